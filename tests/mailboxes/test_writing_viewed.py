"""Writing meetings of Exchange part by part: nothing lost, nothing doubled, no join link changed, nobody told twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.failures import Failure
from migrations_app.mail.organizer_notes import Assigned, assign
from migrations_app.mailboxes import of_user, upcoming
from migrations_app.mailboxes.exchange.events import ExchangeEvent, Person
from migrations_app.mailboxes.exchange.source import Changed, Refused, Unsettled
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import IndexedMeeting, IntendedWrite, LeftMeeting, MeetingResult, Run, Update
from migrations_app.rewriting.spans import unpack
from migrations_app.runs import queue, worker
from migrations_app.runs.undo_start import start_undo
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection, ServiceNumber
from tests.support import exchange_source as exchange
from tests.support.actors import ACTOR
from tests.support.exchange_events import event_of
from tests.support.exchange_source import ExchangeCalendar, MemoryMailbox
from tests.support.meetings import ANEW, STAY, migrate, plan, preview
from tests.support.pages import words

NEW = "+44 20 7946 0123"

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """Stands in for ``kill -9``: nothing of the worker goes on."""


@pytest.fixture
def calendar(anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch) -> ExchangeCalendar:
    """Anna's, in an Exchange that is reached by the connection of her tenant."""
    monkeypatch.setattr(of_user, "_KINDS", {MailboxConnection.Kind.GRAPH: MemoryMailbox})
    monkeypatch.setattr(upcoming, "KINDS", (MemoryMailbox,))
    connection = MailboxConnection.objects.create(tenant=anna.tenant, name="Exchange", kind="graph")
    anna.tenant.mailbox = connection
    anna.tenant.save()
    made = ExchangeCalendar()
    monkeypatch.setattr(MemoryMailbox, "calendars", {anna.pk: made})
    return made


@pytest.fixture
def moved(anna: ConferencingUser, new_bridge: Bridge, calendar: ExchangeCalendar) -> ConferencingUser:
    """Anna, who is on another bridge than her invitations say."""
    change_user(anna, ACTOR, bridge=new_bridge)
    Run.objects.all().delete()
    return again(anna)


def again(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant__mailbox", "bridge").get(pk=user.pk)


def meeting(
    user: ConferencingUser, number: int = 0, build: Callable[..., bytes] = invitations.teams_gen2
) -> ExchangeEvent:
    """An event of the user; where it is in Teams, the server knows its link."""
    event = event_of(build(plan(user, number)))
    found = exchange.TEAMS.search(event.body)
    link = found[0].replace("&amp;", "&") if found and "meetup-join" in found[0] else ""
    exceptions = tuple(
        replace(each, id=f"event{number}-{index}", join_url=link) for index, each in enumerate(event.exceptions)
    )
    return replace(event, id=f"event{number}", join_url=link, exceptions=exceptions)


def series(user: ConferencingUser) -> ExchangeEvent:
    """A series of which two occurrences to come have texts of their own."""
    event = meeting(user, 7, invitations.series_with_overrides)
    later = tuple(each for each in event.exceptions if each.starts_at > timezone.now())
    assert len(later) == 2
    return replace(event, exceptions=tuple(replace(each, body=each.body or event.body) for each in later))


def single(user: ConferencingUser) -> ExchangeEvent:
    """A meeting in Teams."""
    return meeting(user, 0)


def texts(calendar: ExchangeCalendar) -> dict[str, str]:
    return {each.id: each.body for event in calendar.events.values() for each in (event, *event.exceptions)}


def work_until_done(run: Run, tries: int = 12) -> Run:
    for _ in range(tries):
        Run.objects.filter(state="InProgress").update(lease_until=timezone.now() - timedelta(hours=1))
        queue.sweep()
        MailboxConnection.objects.update(paused_until=None)
        Run.objects.filter(pk=run.pk, state="Pending").update(due_at=timezone.now())
        claimed = queue.claim()
        if claimed is None:
            break
        with suppress(Killed):
            worker.work_run(claimed)
    run.refresh_from_db()
    return run


def at(number: int, what: Callable[[], BaseException], of: str = "") -> Callable[[str, str], None]:
    """What goes wrong at the request of this number, or of this number and name, before (even) or after it (odd)."""
    count = iter(range(10_000))

    def happens(request: str, when: str) -> None:
        if request.startswith(of) and next(count) == number:
            raise what()

    return happens


def happened(calendar: ExchangeCalendar) -> bool:
    """Whether what was to go wrong did: the next request of any kind goes well."""
    return len(calendar.requests) > POINTS // 2


def started(user: ConferencingUser) -> Run:
    with suppress(Killed):
        migrate(user, STAY)
    return Run.objects.latest("pk")


def test_what_is_listed_is_read_once_and_followed(anna: ConferencingUser, calendar: ExchangeCalendar) -> None:
    for number in range(25):
        calendar.put(meeting(anna, number))
    calendar.put(series(anna))
    mailbox = mailbox_of(anna)
    mailbox.refresh(lambda: None)
    assert IndexedMeeting.objects.count() == 25
    first = len(calendar.requests)
    mailbox.refresh(lambda: None)
    assert "read" not in calendar.requests[first:], "nothing has changed"
    calendar.put(replace(calendar.events["event1"], subject="Another title"))
    del calendar.events["event2"]
    past = timezone.now() - timedelta(hours=2)
    calendar.put(replace(calendar.events["event3"], starts_at=past, ends_at=past + timedelta(hours=1)))
    mailbox.refresh(lambda: None)

    listed = {each.subject for each in mailbox.list_upcoming(timezone.now())}
    assert "Another title" in listed
    assert set(IndexedMeeting.objects.values_list("href", flat=True)) == calendar.events.keys() - {"event3"}


def test_a_look_that_is_cut_off_goes_on_where_it_was(anna: ConferencingUser, calendar: ExchangeCalendar) -> None:
    for number in range(25):
        calendar.put(meeting(anna, number))
    calendar.happens = at(9, lambda: Failure("mailbox-unavailable"))
    with pytest.raises(Failure):
        mailbox_of(anna).refresh(lambda: None)
    there = IndexedMeeting.objects.count()
    assert 0 < there < 25
    calendar.happens, read = lambda request, when: None, calendar.requests.count("read")
    mailbox_of(anna).refresh(lambda: None)

    assert IndexedMeeting.objects.count() == 25
    assert calendar.requests.count("read") - read <= 2, "what was read before is not read again"


def test_what_is_missing_from_one_page_is_looked_for_before_it_is_given_up(
    anna: ConferencingUser, calendar: ExchangeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    calendar.put(meeting(anna, 0))
    calendar.put(meeting(anna, 1))
    mailbox = mailbox_of(anna)
    mailbox.refresh(lambda: None)
    monkeypatch.setattr(exchange.MemorySource, "list", lambda *_: iter([[]]))
    mailbox.refresh(lambda: None)

    assert IndexedMeeting.objects.count() == 2


def test_r24_numbers_are_exchanged_in_place_and_the_server_mails_each_part_once(
    moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(meeting(moved, 0))
    calendar.put(series(moved))
    before = dict(calendar.events)
    mailbox_of(moved).refresh(lambda: None)
    foreseen = {result.uid: result.outcome for result, _ in preview(moved)}
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings, run.invites_update) == ("Succeeded", 2, 0)
    assert all(NEW in text for text in texts(calendar).values())
    assert calendar.mails == {"event0": 1, "event7": 1, "event7-1": 1, "event7-2": 1}
    assert {event.join_url for event in calendar.events.values()} == {event.join_url for event in before.values()}
    assert set(Update.objects.values_list("state", flat=True)) == {"ByServer"}
    assert set(foreseen.values()) == {"Succeeded"}
    silent = migrate(again(moved), STAY)
    assert (silent.succeeded_meetings, silent.skipped_meetings) == (0, 2)
    assert sum(calendar.mails.values()) == 4


@pytest.mark.parametrize("stores", [exchange.untouched, exchange.as_outlook], ids=["as sent", "as Outlook"])
def test_r45_what_the_server_wrote_down_in_its_own_way_goes_back(
    stores: Callable[[str], str], moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(meeting(moved, 0))
    calendar.put(series(moved))
    before = texts(calendar)
    calendar.stores = stores
    run = migrate(moved, STAY)
    assert (run.state, run.succeeded_meetings) == ("Succeeded", 2)
    undo = work_until_done(start_undo(run, ACTOR))

    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", 2)
    assert {name: stores(text) for name, text in texts(calendar).items()} == {
        name: stores(text) for name, text in before.items()
    }


POINTS = 18
"""Before and after each request of a run over one series with two exceptions."""
DISTURBANCES = [
    *(pytest.param(Killed, "", number, id=f"killed at {number}") for number in range(POINTS)),
    *(
        pytest.param(lambda: Failure("mailbox-unavailable"), "", number, id=f"away at {number}")
        for number in (5, 8, 11)
    ),
    *(pytest.param(Unsettled, "apply", number, id=f"unsettled at {number}") for number in (1, 3, 5)),
    *(pytest.param(Changed, "apply", number, id=f"changed at {number}") for number in (2, 4)),
]


@pytest.mark.parametrize(("what", "of", "number"), DISTURBANCES)
def test_a_series_is_written_once_and_goes_back_whole_whatever_is_cut_off(
    what: Callable[[], BaseException], of: str, number: int, moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    stores = exchange.as_outlook
    event = series(moved)
    calendar.put(replace(event, body=stores(event.body)))
    calendar.events[event.id] = replace(
        calendar.events[event.id],
        exceptions=tuple(replace(each, body=stores(each.body)) for each in calendar.events[event.id].exceptions),
    )
    before = texts(calendar)
    calendar.stores = stores
    calendar.happens = at(number, what, of)
    run = work_until_done(started(moved))

    assert happened(calendar)
    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    assert all(NEW in text for text in texts(calendar).values())
    assert calendar.mails == {"event7": 1, "event7-1": 1, "event7-2": 1}
    (result,) = MeetingResult.objects.all()
    assert {span.recurrence_id == "" for span in unpack(bytes(result.spans or b""))} == {True, False}
    assert len({span.recurrence_id for span in unpack(bytes(result.spans or b""))}) == 3
    assert Update.objects.get().state == "ByServer"
    assert not IntendedWrite.objects.exists()
    calendar.happens = at(number, what, of)
    undo = work_until_done(start_undo(run, ACTOR))

    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", 1)
    assert texts(calendar) == before
    assert calendar.mails == {"event7": 2, "event7-1": 2, "event7-2": 2}
    assert not IntendedWrite.objects.exists()


# --- join links ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "blob", [exchange.kept, exchange.follows_body, exchange.alternating, exchange.anew_without_blob]
)
def test_no_join_link_changes_that_is_to_be_kept_however_the_server_treats_the_blob(
    blob: Callable[[str, str, int], str], moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    for number in range(3):
        calendar.put(meeting(moved, number))
    links = {event.id: event.join_url for event in calendar.events.values()}
    calendar.blob = blob
    run = migrate(moved, STAY)
    undo = work_until_done(start_undo(run, ACTOR))

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", 3)
    assert {event.id: event.join_url for event in calendar.events.values()} == links


@pytest.mark.parametrize("blob", [exchange.follows_body, exchange.alternating], ids=["follows", "alternating"])
def test_a_meeting_that_is_made_anew_leaves_teams(
    blob: Callable[[str, str, int], str], moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(meeting(moved, 0))
    calendar.blob = blob
    run = migrate(moved, ANEW)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    assert calendar.events["event0"].join_url == ""
    undo = work_until_done(start_undo(run, ACTOR))
    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", 1)


def test_a_join_link_that_changed_fails_the_meeting_which_is_told_and_can_be_undone(
    moved: ConferencingUser, calendar: ExchangeCalendar, alice: Client
) -> None:
    calendar.put(meeting(moved, 0))
    calendar.put(meeting(moved, 1, invitations.skype_html))
    before = texts(calendar)
    calendar.blob = exchange.always_anew
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings, run.failed_meetings) == ("Failed", 1, 1)
    assert run.last_error_code == "join-link-changed"
    failed = run.results.get(outcome="Failed")
    assert calendar.events["event0"].join_url in failed.reason
    assert any(NEW in span.after for span in unpack(bytes(failed.spans or b"")))
    assert Update.objects.filter(state="ByServer").count() == 2
    assert [row.code for row in LeftMeeting.objects.all()] == ["join-link-changed"]
    page = words(alice.get(f"/contoso/migrations/{run.correlation_id}/meetings/{failed.pk}/").content)
    assert "the join link is not what it was to be" in page
    assert "7946" in page
    assert "Exchange writes HTML down in its own way" in page
    assert "Undo" in words(alice.get(f"/contoso/migrations/{run.correlation_id}/").content)
    calendar.blob = exchange.follows_body
    undo = work_until_done(start_undo(run, ACTOR))
    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", 2)
    assert texts(calendar) == before
    assert calendar.mails == {"event0": 2, "event1": 2}


@pytest.mark.parametrize("build", [single, series], ids=["a meeting", "a series"])
def test_a_join_link_that_changed_is_found_by_whoever_comes_after_a_kill(
    build: Callable[[ConferencingUser], ExchangeEvent], moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    event = build(moved)
    calendar.put(event)
    before = texts(calendar)
    calendar.blob = lambda link, body, count: exchange.another(count)
    calendar.happens = at(1, Killed, "apply")
    run = work_until_done(started(moved))

    (result,) = run.results.all()
    assert (run.state, result.code) == ("Failed", "join-link-changed")
    assert set(calendar.mails.values()) == {1}
    assert Update.objects.get().state == "ByServer"
    assert not IntendedWrite.objects.exists()
    (left,) = LeftMeeting.objects.all()
    assert assign(moved.tenant, [left.pk], ACTOR) == Assigned(changed=1)
    later = migrate(again(moved), STAY)
    assert [each.code for each in later.results.all()] == ["needs-review"], "its text alone is what it should be"
    calendar.blob = exchange.follows_body
    undo = work_until_done(start_undo(run, ACTOR))
    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", 1)
    assert texts(calendar) == before


def test_what_was_written_amiss_is_not_written_again_where_the_run_is_tried_again(
    moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(meeting(moved, 0))
    calendar.put(meeting(moved, 1))
    calendar.blob = exchange.always_anew
    calendar.happens = at(2, lambda: Failure("mailbox-unavailable"), "apply")
    run = work_until_done(started(moved))

    assert (run.state, run.failed_meetings, run.attempts) == ("Failed", 2, 2)
    assert calendar.mails == {"event0": 1, "event1": 1}
    assert MeetingResult.objects.filter(spans__isnull=False).count() == 2


def test_a_meeting_whose_blob_somebody_broke_is_left_and_a_preview_says_so(
    moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(replace(meeting(moved, 0), join_url=exchange.another(5)))
    mailbox_of(moved).refresh(lambda: None)
    ((foreseen, _),) = preview(moved)
    run = migrate(moved, STAY)

    (result,) = run.results.all()
    assert (result.code, result.detail) == (foreseen.code, foreseen.detail)
    assert result.code == "needs-review"
    assert "does not show the Teams link that Exchange has for it" in result.reason
    assert not calendar.mails


# --- what Exchange does not take ----------------------------------------------------------------------------


def test_what_is_over_of_a_series_is_in_nobodys_way(moved: ConferencingUser, calendar: ExchangeCalendar) -> None:
    event = series(moved)
    past = timezone.now() - timedelta(days=7)
    over = replace(
        event.exceptions[0], id="over", recurrence_id=past, starts_at=past, ends_at=past + timedelta(hours=1),
        body="<p>Lost</p>", join_url=exchange.another(5), is_unsent=True,
    )  # fmt: skip
    calendar.put(replace(event, exceptions=(over, *event.exceptions)))
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    assert texts(calendar)["over"] == "<p>Lost</p>"


def test_what_is_too_large_is_refused_before_it_is_sent(moved: ConferencingUser, calendar: ExchangeCalendar) -> None:
    many = tuple(Person(f"guest{number}@fabrikam.com") for number in range(501))
    calendar.put(replace(meeting(moved, 0), attendees=many))
    large = meeting(moved, 1)
    calendar.put(replace(large, body=large.body.replace("</body>", f"<!-- {'x' * 4_000_000} --></body>")))
    moved.tenant.attendee_limit = 1000
    moved.tenant.save()
    run = migrate(again(moved), STAY)

    assert (run.state, run.failed_meetings) == ("Failed", 2)
    assert set(run.results.values_list("code", flat=True)) == {"meeting-too-large-for-exchange"}
    assert "501 attendees" in run.results.get(attendee_count__gt=400).detail
    assert "apply" not in calendar.requests


def test_a_delegates_meeting_is_left_with_the_name_of_its_organizer(
    moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(replace(meeting(moved, 0), organizer=Person("bruno.costa@contoso.com")))
    calendar.put(replace(meeting(moved, 1), is_organizer=False))
    run = migrate(moved, STAY)

    assert set(run.results.values_list("code", flat=True)) == {"not-organizer"}
    assert {result.detail for result in run.results.all()} == {
        "its organizer is bruno.costa@contoso.com",
        "Exchange says that this calendar is not its organizer's",
    }
    assert not calendar.mails


def test_a_part_that_is_refused_fails_the_series_with_what_was_written_before(
    moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(series(moved))
    before = texts(calendar)
    calendar.happens = at(4, lambda: Refused("meeting-refused-by-server", "no"), "apply")
    run = migrate(moved, STAY)

    (result,) = run.results.all()
    assert (run.state, result.code) == ("Failed", "meeting-refused-by-server")
    assert calendar.mails == {"event7-1": 1, "event7-2": 1}
    assert Update.objects.get().state == "ByServer"
    assert not IntendedWrite.objects.exists()
    calendar.happens = lambda request, when: None
    undo = work_until_done(start_undo(run, ACTOR))
    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", 1)
    assert texts(calendar) == before


# --- what happens meanwhile ---------------------------------------------------------------------------------


def test_what_is_deleted_or_moved_or_stands_twice_is_told_apart(
    moved: ConferencingUser, calendar: ExchangeCalendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        calendar.put(meeting(moved, number))
    calendar.put(replace(calendar.events["event3"], id="copy"))
    refresh = MemoryMailbox.refresh

    def then(self: MemoryMailbox, keep: Callable[[], object]) -> None:
        refresh(self, keep)
        del calendar.events["event0"]
        calendar.put(replace(calendar.events.pop("event1"), id="elsewhere"))

    monkeypatch.setattr(MemoryMailbox, "refresh", then)
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings, run.failed_meetings) == ("Failed", 2, 1)
    assert "stands twice" in run.results.get(outcome="Failed").reason
    assert calendar.mails == {"elsewhere": 1, "event2": 1}


def test_r40_an_edit_between_two_parts_is_kept_and_the_rest_written_after_it(
    moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(series(moved))
    edits = iter([True])

    def happens(request: str, when: str) -> None:
        if (request, when) == ("apply", "after") and next(edits, False):
            event = calendar.events["event7"]
            calendar.events["event7"] = replace(event, subject="Another title", change_key=calendar.key())

    calendar.happens = happens
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    assert calendar.events["event7"].subject == "Another title"
    assert calendar.mails == {"event7": 1, "event7-1": 1, "event7-2": 1}
    (result,) = MeetingResult.objects.all()
    assert len({span.recurrence_id for span in unpack(bytes(result.spans or b""))}) == 3


def test_r45_what_the_organizer_adds_at_this_moment_is_not_taken_back(
    moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(meeting(moved, 0))
    edits = iter([True])

    def happens(request: str, when: str) -> None:
        if (request, when) == ("apply", "after") and next(edits, False):
            event = calendar.events["event0"]
            body = event.body.replace("</body>", "<p>Bring the figures</p></body>")
            calendar.put(replace(event, body=body))

    calendar.happens, calendar.stores = happens, exchange.as_outlook
    run = migrate(moved, STAY)
    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    work_until_done(start_undo(run, ACTOR))

    assert "Bring the figures" in calendar.events["event0"].body


@pytest.mark.parametrize("is_third", [True, False], ids=["to a third bridge", "back"])
def test_r45_a_series_that_was_half_written_follows_the_settings_of_now_and_goes_back_to_what_it_was(
    is_third: bool, moved: ConferencingUser, calendar: ExchangeCalendar
) -> None:
    calendar.put(series(moved))
    before = texts(calendar)
    calendar.happens = at(1, Killed, "apply")
    run = started(moved)
    bridge = Bridge.objects.exclude(pk=moved.bridge_id or 0).get()
    if is_third:
        bridge = set_bridge(moved.tenant, "Third bridge", ACTOR)
        register_number(bridge, "+493012345678", ServiceNumber.Kind.TOLL, ACTOR, country="Germany")
    change_user(again(moved), ACTOR, bridge=bridge)
    work_until_done(run)
    run = work_until_done(Run.objects.latest("pk"))

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    assert not IntendedWrite.objects.exists()
    if is_third:
        assert all("+49 30 12345678" in text for text in texts(calendar).values())
        undo = work_until_done(start_undo(run, ACTOR))
        assert undo.succeeded_meetings == 1
        assert texts(calendar) == before
    else:
        assert not any(NEW in text for text in texts(calendar).values())


def test_a_preview_counts_the_messages_of_the_server(
    moved: ConferencingUser, calendar: ExchangeCalendar, command: Any
) -> None:
    calendar.put(meeting(moved, 0))
    calendar.put(series(moved))
    with pytest.raises(CommandError, match="MMS has not looked into this mailbox yet"):
        command("start_meeting_migration", "--user", moved.upn, "--dry-run")
    mailbox_of(moved).refresh(lambda: None)

    printed = command("start_meeting_migration", "--user", moved.upn, "--dry-run")
    assert "Exchange sends 4 messages: 2 for whole meetings or series and 2 for changed occurrences." in printed
