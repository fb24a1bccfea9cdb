"""Numbers that meetings in mailboxes outside show: found by the index, read only where they may be, never missed."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from migrations_app import tasks
from migrations_app.mailboxes import indexed
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.mailboxes.upcoming import read_upcoming
from migrations_app.models import IndexedMeeting, MailboxScan, NumberRelease, Run
from migrations_app.preview.release_effect import effect_of_release
from migrations_app.procedures.number_release import Holds, release_anyway, start_release
from migrations_app.runs.outcomes import Outcomes
from tenants_app.changes.bridges import register_number
from tenants_app.changes.users import mark_up_to_date
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection, ServiceNumber
from tests.mailboxes.conftest import Store
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.fault_proxy import FAULTS, FaultProxy
from tests.support.pages import words
from tests.support.radicale_server import RadicaleServer

pytestmark = pytest.mark.django_db

OLD, NEW = "+14255550111", "+14255550122"
SHOWN = b"\r\nCOMMENT:Or call (425) 555-0111"


@pytest.fixture
def numbers(old_bridge: Bridge) -> tuple[ServiceNumber, ServiceNumber]:
    """One that leaves its bridge, and the one that takes its place."""
    old, new = (register_number(old_bridge, each, "toll", ACTOR) for each in (OLD, NEW))
    return old, new


@pytest.fixture
def meetings(store: Store, connection: MailboxConnection) -> list[str]:
    """The UIDs of Anna's meetings, in the order of their places on the server; none shows the number."""
    return list(store(6))


def show(server: RadicaleServer, calendar: str, number: int, *, shows: bool = True) -> None:
    """Let somebody write the number into a meeting, or take it out, with another program."""
    body = server.request("GET", f"{calendar}{number}.ics").content
    text = body.replace(SHOWN, b"")
    if shows:
        text = text.replace(b"\r\nEND:VEVENT", SHOWN + b"\r\nEND:VEVENT", 1)
    assert text != body
    assert server.request("PUT", f"{calendar}{number}.ics", text).status_code in {201, 204}


def go_on(times: int = 3) -> None:
    """As often as the cluster is woken, without waiting for it."""
    for _ in range(times):
        tasks.work_queue()


def look_at(user: ConferencingUser) -> None:
    """Now, as in the background."""
    mailbox_of(ConferencingUser.objects.get(pk=user.pk)).refresh(lambda: None)


def texts_read(faults: FaultProxy) -> int:
    return sum(done.method == "GET" for done in faults.done)


def found(user: ConferencingUser, number: str) -> set[str]:
    users = ConferencingUser.objects.filter(pk=user.pk)
    return {stored.listed.uid for _, stored in read_upcoming(users, timezone.now(), number)}


def test_r35_only_meetings_that_may_show_the_number_are_read_and_all_that_do_are_found(
    anna: ConferencingUser,
    numbers: tuple[ServiceNumber, ServiceNumber],
    meetings: list[str],
    server: RadicaleServer,
    calendar: str,
    faults: FaultProxy,
) -> None:
    show(server, calendar, 2)
    go_on()
    faults.done.clear()

    assert found(anna, OLD) == {meetings[2]}
    assert Counter(done.method for done in faults.done)["REPORT"] + texts_read(faults) == 1
    assert found(anna, "") == set(meetings)
    # A number that MMS has never heard of is found as well, and one of few digits too.
    text = server.request("GET", f"{calendar}0.ics").content
    other = text.replace(b"\r\nEND:VEVENT", b"\r\nCOMMENT:Lobby +290 2 2345\r\nEND:VEVENT", 1)
    assert server.request("PUT", f"{calendar}0.ics", other).status_code in {201, 204}
    look_at(anna)
    assert found(anna, "+29022345") == {meetings[0]}


def test_r35_what_an_older_release_has_indexed_is_read_until_it_is_indexed_anew(
    anna: ConferencingUser,
    numbers: tuple[ServiceNumber, ServiceNumber],
    meetings: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_on()
    assert found(anna, OLD) == set()
    monkeypatch.setattr(indexed, "VERSION", indexed.VERSION + 1)
    assert found(anna, OLD) == set(meetings)
    monkeypatch.undo()
    IndexedMeeting.objects.update(version=0, digits=None)
    assert found(anna, OLD) == set(meetings)
    MailboxScan.objects.update(due_at=timezone.now())
    go_on()
    assert found(anna, OLD) == set()
    assert set(IndexedMeeting.objects.values_list("version", flat=True)) == {indexed.VERSION}


def test_r35_rows_of_digits_without_end_are_not_kept_and_the_meeting_is_read(
    anna: ConferencingUser, meetings: list[str], server: RadicaleServer, calendar: str
) -> None:
    body = server.request("GET", f"{calendar}1.ics").content
    long = b"\r\nCOMMENT:" + b" x ".join(b"%07d" % number for number in range(1_000)) + b"\r\nEND:VEVENT"
    server.request("PUT", f"{calendar}1.ics", body.replace(b"\r\nEND:VEVENT", long, 1))
    go_on()

    assert IndexedMeeting.objects.get(uid=meetings[1]).digits is None
    assert found(anna, OLD) == {meetings[1]}


def test_r35_a_meeting_that_stands_twice_is_searched_twice(
    anna: ConferencingUser, meetings: list[str], server: RadicaleServer, calendar: str
) -> None:
    show(server, calendar, 0)
    copy = server.request("GET", f"{calendar}0.ics").content
    other = server.make_calendar(anna.upn, "other")
    try:
        server.put(f"{other}copy.ics", copy)
        show(server, calendar, 0, shows=False)
        go_on()
        users = ConferencingUser.objects.filter(pk=anna.pk)
        assert any(SHOWN in stored.body for _, stored in read_upcoming(users, timezone.now(), OLD))
    finally:
        server.delete(other)


def test_r35_it_is_released_by_looks_that_began_after_the_search_was_asked_for(
    anna: ConferencingUser,
    numbers: tuple[ServiceNumber, ServiceNumber],
    meetings: list[str],
    server: RadicaleServer,
    calendar: str,
) -> None:
    old, new = numbers
    mark_up_to_date(ConferencingUser.objects.get(pk=anna.pk), ACTOR)
    go_on()
    # Since the last look somebody wrote it into a meeting: the index does not know.
    show(server, calendar, 4)
    assert found(anna, OLD) == set()
    release = start_release(old, new, ACTOR, now_due=True)
    go_on(4)
    release.refresh_from_db()
    assert release.state == NumberRelease.State.UPDATING
    assert [each.uid for each in release.shown_meetings.all()] == [meetings[4]]
    scan = MailboxScan.objects.get(user=anna)
    assert scan.scanned_at
    assert release.looks_since
    assert scan.scanned_at >= release.looks_since

    # It goes out there, and comes in elsewhere: known by the next look, not before, and never released in between.
    show(server, calendar, 4, shows=False)
    show(server, calendar, 5)
    go_on(4)
    release.refresh_from_db()
    assert release.state == NumberRelease.State.UPDATING
    assert [each.uid for each in release.shown_meetings.all()] == [meetings[5]]
    show(server, calendar, 5, shows=False)
    go_on(6)
    release.refresh_from_db()
    assert release.state == NumberRelease.State.RELEASED


def test_r35_a_look_notes_what_shows_a_number_on_its_way_off_though_the_search_has_passed(
    anna: ConferencingUser,
    numbers: tuple[ServiceNumber, ServiceNumber],
    meetings: list[str],
    server: RadicaleServer,
    calendar: str,
) -> None:
    old, new = numbers
    show(server, calendar, 0)
    MailboxScan.objects.all().delete()  # as of a mailbox that nobody has ever thought of
    release = start_release(old, new, ACTOR, now_due=True)
    go_on(4)
    show(server, calendar, 1)
    look_at(anna)
    assert set(release.shown_meetings.values_list("uid", flat=True)) == {meetings[0], meetings[1]}


def test_r35_a_mailbox_that_cannot_be_looked_at_holds_it_until_a_person_decides(
    anna: ConferencingUser,
    make_user: Callable[..., ConferencingUser],
    numbers: tuple[ServiceNumber, ServiceNumber],
    meetings: list[str],
    faults: FaultProxy,
    alice: Client,
    command: Command,
) -> None:
    old, new = numbers
    without = make_user("carla.lind")  # has no calendar there
    release = start_release(old, new, ACTOR, now_due=True)
    go_on(5)
    release.refresh_from_db()
    assert release.state == NumberRelease.State.UPDATING
    assert release.searched_at
    holds = Holds.of(release)
    assert (holds.meetings, holds.mailboxes) == (0, 1)
    page = words(alice.get(reverse("release", args=["contoso", release.pk])).content)
    assert "1 mailbox could not be looked at, so nobody knows what the meetings there show." in page
    assert "Mailboxes that could not be looked at" in page
    assert "carla.lind@contoso.com, in Radicale" in page
    assert "Mailboxes not looked at" in words(
        alice.get(reverse("release-anyway", args=["contoso", release.pk])).content
    )
    rows = json.loads(command("get_number_release", "--tenant", "contoso", "--number", OLD, "--format", "json"))
    assert [(row["HeldBy"], row["UserPrincipalName"]) for row in rows] == [("Mailbox", without.upn)]
    assert "mailbox" in rows[0]["Message"]

    release_anyway(release, "Carla has no calendar", ACTOR, seen=holds.key)
    release.refresh_from_db()
    assert release.state == NumberRelease.State.RELEASED
    assert without.tenant_id == anna.tenant_id


def test_r32_previews_read_many_meetings_in_one_request(
    anna: ConferencingUser,
    numbers: tuple[ServiceNumber, ServiceNumber],
    meetings: list[str],
    server: RadicaleServer,
    calendar: str,
    faults: FaultProxy,
    alice: Client,
) -> None:
    show(server, calendar, 1)
    go_on()
    faults.done.clear()
    user = ConferencingUser.objects.select_related("tenant__mailbox", "mailbox").get(pk=anna.pk)
    foreseen = list(Outcomes(Run(user=user, tenant=user.tenant)).foreseen())
    assert {each.result.uid for each in foreseen} == set(meetings)
    assert Counter(done.method for done in faults.done) == {"REPORT": 1}
    effect = effect_of_release(numbers[0], NEW, 1_000)
    assert effect is not None
    assert effect.still_shown == 1

    page = reverse("replace-number", args=["contoso", numbers[0].bridge_id, numbers[0].pk])
    told = words(alice.get(f"{page}?by=%2B{NEW[1:]}&count=exactly").content)
    assert re.search(r"Of mailboxes in mail systems as of (now|[^.]+ ago) ?\. MMS looks at all of them again", told)
    away = next(fault for fault in FAULTS if fault.name == "500")
    faults.plan = lambda _: away
    told = words(alice.get(f"{page}?by=%2B{NEW[1:]}&count=exactly").content)
    assert "What the runs will change cannot be counted now." in told
