"""A change of bridge over the demo leaves every join link; a move gives each Skype meeting one new one (R40)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import time_machine
from django.core.management import call_command
from django.utils import timezone

from migrations_app.calendars.content_lines import parse, unescaped
from migrations_app.calendars.facts import events_not_over
from migrations_app.demo import people
from migrations_app.mail.delivery import deliver
from migrations_app.models import CalendarObject, MeetingResult, OnlineMeeting, Run
from migrations_app.tasks import work_queue
from tenants_app.changes.tenants import change_tenant, renew_directory_key
from tenants_app.models import ConferenceId, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.by_day import some
from tests.support.jitsi_client import JitsiMeet, TelephoneBridge, in_process, room_address
from tests.support.meetings import calendar_of, join_links, logical_lines, messages_in

EVERYONE = people.users()
MOVING = [user for user in EVERYONE if user.hosting == "on-premises" and user.mailbox_location == "online"]
SPECIAL = [user for user in EVERYONE if user.upn in {people.BRANCH_USER_UPN, people.DAMAGED_MAILBOX_USER_UPN}]


def links_of(row: CalendarObject) -> Counter[str]:
    """Those of the meeting and of its occurrences that are not over, which stay as they are (R23)."""
    body = bytes(row.body)
    events = events_not_over(body, parse(body), timezone.now())
    lines = [line.encode() for event in events for line in logical_lines(body[event.start : event.end])]
    return join_links("\n".join(map(unescaped, lines)))


@pytest.fixture
def demo(db: None, outbox: Path, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """Contoso with a part of its people, at night with all of them, before anybody's run."""
    sample = [*SPECIAL, *some(MOVING, 6), *some([user for user in EVERYONE if user not in MOVING + SPECIAL], 12)]
    monkeypatch.setattr(people, "users", lambda: sample)
    call_command("load_demo", verbosity=0)
    return Tenant.objects.get()


def test_r40_r46_every_link_stays_or_is_one_new_one_wherever_it_stands(demo: Tenant, outbox: Path) -> None:
    before = {(row.user_id, row.uid): links_of(row) for row in CalendarObject.objects.exclude(unreadable__gt="")}
    work_queue()
    deliver()
    new = defaultdict[tuple[int, str], list[str]](list)
    for row in OnlineMeeting.objects.filter(service="Link"):
        new[row.user_id, row.uid].append(row.join_url)
    moved = {
        (result.run.user_id, result.uid): result
        for result in MeetingResult.objects.select_related("run").filter(meeting_service="SkypeForBusiness")
        if result.run.migration_type == "SkypeForBusinessToLink" and result.outcome == "Succeeded"
    }
    assert moved
    assert {key: len(urls) for key, urls in new.items()} == dict.fromkeys(moved, 1)
    for row in CalendarObject.objects.exclude(unreadable__gt=""):
        key = (row.user_id, row.uid)
        after = links_of(row)
        if key in moved:
            assert set(after) == set(new[key]), "text, HTML and properties lead into one meeting"
            assert moved[key].join_url_after == new[key][0]
            assert moved[key].join_url_before in before[key]
        else:
            assert set(after) == set(before[key])

    assert (
        MeetingResult.objects.filter(outcome="Succeeded").exclude(pk__in=[each.pk for each in moved.values()]).exists()
    )
    _ask_the_directory(demo, outbox, {uid: urls[0] for (_, uid), urls in new.items()})


def _ask_the_directory(tenant: Tenant, outbox: Path, urls: dict[str, str]) -> None:
    """Number and ID of each mail lead to the same meeting as its join link; IDs of other meetings lead nowhere."""
    change_tenant(tenant, ACTOR, dial_in_directory=True)
    key = renew_directory_key(tenant, ACTOR)
    fetch = in_process()
    base = f"/{tenant.slug}/dial-in"
    bridge = TelephoneBridge(f"{base}/conferenceMapper", key, fetch)
    page = JitsiMeet(f"{base}/phoneNumberList", f"{base}/conferenceMapper", fetch)
    starts = {row.uid: row.starts_at for row in CalendarObject.objects.filter(uid__in=urls)}
    asked = 0
    for message in messages_in(outbox):
        text = unescaped("\n".join(logical_lines(calendar_of(message))).encode())
        uid = re.search(r"^UID:(\S+)", text, re.MULTILINE)
        number = re.search(r"tel:(\+\d+),,(\d{7})", text)
        assert uid
        if number is None:
            continue
        with time_machine.travel(starts.get(uid[1]) or tenant.created, tick=False):
            if uid[1] in urls:
                assert str(page.conference_id(urls[uid[1]])) == number[2]
                if RECURS not in text:
                    assert bridge.room(number[2], number[1]) in _rooms_at_once(uid[1], urls, starts)
                asked += 1
    assert asked
    elsewhere = ConferenceId.objects.exclude(user__online_meetings__service="Link").values_list("digits", flat=True)
    assert elsewhere
    assert {bridge.room(digits) for digits in elsewhere} == {None}


RECURS = "RRULE"


def _rooms_at_once(uid: str, urls: dict[str, str], starts: dict[str, object]) -> set[str]:
    """The rooms of the organizer's meetings that begin at the same moment: a shared ID leads to one of them."""
    owner = OnlineMeeting.objects.filter(uid=uid).values_list("user", flat=True)[0]
    theirs = OnlineMeeting.objects.filter(user=owner, service="Link").values_list("uid", flat=True)
    return {room_address(urls[each]) for each in theirs if starts[each] == starts[uid]}


def test_one_user_has_no_service_that_makes_meetings(demo: Tenant) -> None:
    work_queue()
    refused = ConferencingUser.objects.filter(meeting_service="none")
    for user in refused:
        run = Run.objects.get(user=user)
        codes = Counter(run.results.filter(meeting_service="SkypeForBusiness").values_list("code", flat=True))
        assert set(codes) <= {"no-meeting-service", ""}
