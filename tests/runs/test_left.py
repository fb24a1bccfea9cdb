"""Meetings that need a person: which runs list, which leave the list, and what was done about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.demo import invitations as demo
from migrations_app.failures import Failure
from migrations_app.mail.actions import confirm_updates_delivered, send_updates_again
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.meeting_services.link import LinkService
from migrations_app.models import CalendarObject, LeftMeeting, NumberRelease, Run, UntoldNumber, Update
from migrations_app.procedures.number_release import accept_given_up, start_release
from migrations_app.runs import queue
from migrations_app.runs.left import count_open, settle, unmigrated
from migrations_app.runs.left_actions import deal_with, open_again
from migrations_app.runs.pruning import prune
from migrations_app.runs.worker import work_run
from migrations_app.targets import CURRENT, LINK, SKYPE, TEAMS, Targets
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.mail_servers import Inbox, serving
from tests.support.meetings import STAY, body_of, invite, migrate


def left() -> dict[str, str]:
    """The meetings to come that somebody must see to, and why, by UID."""
    return dict(LeftMeeting.objects.filter(state="Open", last_end__gt=timezone.now()).values_list("uid", "code"))


def replace_by(user: ConferencingUser, uid: str, build: Callable[..., bytes]) -> None:
    """The organizer has put the meeting right: it is another one by the same UID."""
    other, body = invite(user, 9, build=build)
    CalendarObject.objects.filter(uid=other).delete()
    EmbeddedMailbox(user).store([(uid, body.replace(other.encode(), uid.encode()))])


def unreadable(user: ConferencingUser, number: int) -> str:
    uid, body = invite(user, number)
    EmbeddedMailbox(user).store([(uid, body.replace(b"DTSTART", b"DTSTRAT"))])
    return uid


def test_r20_what_a_run_leaves_is_listed_until_a_run_finds_it_in_order(anna: ConferencingUser) -> None:
    """Each reason but those that need a service or a bridge; these are below."""
    builds = {0: demo.pasted_block, 1: demo.damaged_frame, 2: demo.too_large}
    uids = {number: invite(anna, number, build=build)[0] for number, build in builds.items()}
    fine = [invite(anna, number, build=build)[0] for number, build in ((3, demo.skype_text), (4, demo.no_block))]
    broken = unreadable(anna, 5)
    run = migrate(anna)

    assert left() == {
        uids[0]: "pasted-block",
        uids[1]: "needs-review",
        uids[2]: "too-many-attendees",
        broken: "unreadable-calendar-object",
    }
    assert (run.state, run.left_meetings) == ("Failed", 4)
    row = LeftMeeting.objects.get(uid=uids[2])
    stored = CalendarObject.objects.get(uid=uids[2])
    assert (row.tenant, row.user, row.run, row.subject) == (anna.tenant, anna, run, stored.subject)
    assert (row.starts_at, row.last_end, row.attendee_count) == (
        stored.starts_at,
        stored.last_end,
        stored.attendee_count,
    )
    assert "the limit is 250" in row.reason

    for uid in (uids[0], broken):
        replace_by(anna, uid, demo.skype_html)
    replace_by(anna, uids[1], demo.no_block)
    CalendarObject.objects.filter(uid=uids[2]).delete()
    again = migrate(anna)
    assert (again.state, again.left_meetings, again.succeeded_meetings) == ("Succeeded", 0, 2)
    assert not LeftMeeting.objects.exists()
    assert {fine[0]} <= set(again.results.filter(code="already-current").values_list("uid", flat=True))


def test_r39_r43_what_lacks_a_service_or_an_id_is_listed_until_it_has_one(anna: ConferencingUser) -> None:
    uid, _ = invite(anna)
    change_tenant(anna.tenant, ACTOR, meeting_service="none")
    change_user(anna, ACTOR, is_data_fix=True, hosting="on-premises")
    change_user(anna, ACTOR, hosting="online")
    run = queue.claim()
    assert run is not None
    work_run(run)

    assert left() == {uid: "no-meeting-service"}
    change_tenant(anna.tenant, ACTOR, meeting_service="link")
    migrate(anna, Targets.of_types(SKYPE, LINK))
    assert left() == {}

    without, _ = invite(anna, 1, phone=False)
    migrate(anna, STAY)
    assert left() == {without: "no-conference-id"}
    migrate(anna, Targets.of_types(SKYPE, LINK))
    assert left() == {}


def test_r28_what_may_cure_by_waiting_is_listed_once_the_run_has_failed(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, _ = invite(anna)
    damaged, _ = invite(anna, 1, build=demo.damaged_frame)
    monkeypatch.setattr("migrations_app.runs.outcomes.examine", raises)
    monkeypatch.setattr("migrations_app.runs.queue.RETRIES", 1)
    run = migrate(anna)
    assert run.state == "Pending"
    assert left() == {}

    queue.run_now(run)
    begun = queue.claim()
    assert begun is not None
    work_run(begun)
    begun.refresh_from_db()
    assert (begun.state, begun.left_meetings) == ("Failed", 2)
    assert left() == {uid: "internal-error", damaged: "internal-error"}

    monkeypatch.undo()
    migrate(anna)
    assert left() == {damaged: "needs-review"}


def raises(*_: Any, **__: Any) -> None:
    raise ZeroDivisionError


def test_a_retry_lists_what_it_has_skipped_and_leaves_the_rest_as_it_was(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged, _ = invite(anna, 0, build=demo.damaged_frame)
    other, _ = invite(anna, 1, build=demo.damaged_frame)
    migrate(anna)
    assert left() == dict.fromkeys([damaged, other], "needs-review")
    replace_by(anna, other, demo.skype_text)

    def make(*_: Any) -> None:
        raise Failure("service-unavailable")

    monkeypatch.setattr(LinkService, "make", make)
    run = migrate(anna)
    assert run.state == "Pending"
    assert (run.left_meetings, run.failed_meetings) == (1, 1)
    assert left() == dict.fromkeys([damaged, other], "needs-review"), "of the other nothing new is certain"


def test_a_worker_that_is_killed_at_the_end_of_a_run_loses_nothing_of_it(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, _ = invite(anna, build=demo.damaged_frame)
    monkeypatch.setattr("migrations_app.runs.left.update", killed)
    with pytest.raises(KeyboardInterrupt):
        migrate(anna)
    assert Run.objects.get().state == "InProgress"
    assert left() == {}

    monkeypatch.undo()
    Run.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    assert queue.sweep() == 1
    assert left() == {uid: "needs-review"}, "what was skipped is known, whatever comes of the retry"
    again = queue.claim()
    assert again is not None
    work_run(again)
    again.refresh_from_db()
    assert (again.state, again.left_meetings) == ("Succeeded", 1)
    assert left() == {uid: "needs-review"}


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_was_done_holds_until_reason_or_text_change(anna: ConferencingUser) -> None:
    uid, _ = invite(anna, build=demo.damaged_frame)
    migrate(anna)
    row = LeftMeeting.objects.get()
    earlier = AuditEntry.objects.count()
    assert deal_with(anna.tenant, [row.pk], ACTOR, "Told Anna") == 1
    assert deal_with(anna.tenant, [row.pk], ACTOR, "Again") == 0
    migrate(anna)
    row.refresh_from_db()
    assert (row.state, row.note, row.by) == ("DealtWith", "Told Anna", ACTOR.name)
    assert row.run == Run.objects.get(is_latest=True)
    assert count_open(anna.tenant) == 0
    assert not unmigrated(anna.tenant).exists()
    entry = AuditEntry.objects.order_by("pk")[earlier]
    assert (entry.action, entry.target, entry.after["Note"]) == ("meeting dealt with", anna.upn, "Told Anna")

    assert open_again(anna.tenant, [row.pk], ACTOR) == 1
    assert deal_with(anna.tenant, [row.pk], ACTOR) == 1
    EmbeddedMailbox(anna).store([(uid, body_of(anna, uid).replace(b"END:VEVENT", b"COMMENT:New\r\nEND:VEVENT"))])
    migrate(anna)
    row.refresh_from_db()
    assert (row.state, row.note, row.by, row.at) == ("Open", "", "", None)


def test_a_meeting_that_is_over_needs_nobody(anna: ConferencingUser) -> None:
    invite(anna, build=demo.damaged_frame)
    migrate(anna)
    assert count_open() == 1
    ends = LeftMeeting.objects.get().last_end
    with time_machine.travel(ends + timedelta(seconds=1)):
        assert count_open() == 0
        prune(ends)
        assert LeftMeeting.objects.exists()
        prune(ends + timedelta(seconds=1))
        assert not LeftMeeting.objects.exists()


def test_r40_a_run_for_other_meetings_says_nothing_of_those_it_leaves_out(anna: ConferencingUser) -> None:
    """Whatever it is, a meeting stays listed that the run was not for."""
    uid, _ = invite(anna, build=demo.damaged_frame)
    migrate(anna)
    LeftMeeting.objects.update(code="no-conference-id")
    replace_by(anna, uid, demo.skype_text)
    run = migrate(anna, Targets.of_types(TEAMS, CURRENT))
    assert run.results.get().code == "not-selected"
    assert left() == {uid: "no-conference-id"}
    migrate(anna, STAY)
    assert left() == {}


def test_a_run_with_nothing_left_asks_one_question_more_whatever_it_has_done(anna: ConferencingUser) -> None:
    for number in range(3):
        invite(anna, number)
    migrate(anna)
    with CaptureQueriesContext(connection) as queries:
        migrate(anna)

    about_it = [query["sql"] for query in queries if "leftmeeting" in query["sql"].lower()]
    assert len(about_it) == 1
    assert about_it[0].startswith("SELECT")


# --- messages ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def smtp(settings: Any) -> Iterator[Inbox]:
    with serving(Inbox(), settings) as inbox:
        yield inbox


def test_r24_a_message_that_was_given_up_is_listed_until_it_is_sent_again(anna: ConferencingUser, smtp: Inbox) -> None:
    smtp.answer = "550 No such thing here"
    uid, _ = invite(anna)
    run = migrate(anna)
    deliver()
    assert left() == {uid: "mail-refused"}
    row = LeftMeeting.objects.get()
    assert (row.run, row.message) == (run, Update.objects.get())
    settle(run, has_ended=True)  # as where the run goes on while its messages are sent
    assert left() == {uid: "mail-refused"}
    migrate(anna)
    assert left() == {uid: "mail-refused"}, "a run that changes nothing tells nobody"

    send_updates_again(run, ACTOR)
    assert left() == {}
    deliver()
    assert left() == {uid: "mail-refused"}
    Update.objects.update(error_code=Update.IN_DOUBT, recipients_in_doubt={"a@example.org": "<1@contoso.com>"})
    confirm_updates_delivered(run, ACTOR)
    assert left() == {}
    deliver()
    change_user(anna, ACTOR, is_data_fix=True, conference_id="7654321")
    migrate(anna)
    assert left() == {}, "a newer message tells of the meeting as it is now"


def test_r35_messages_that_were_accepted_for_a_number_need_nobody(anna: ConferencingUser, smtp: Inbox) -> None:
    smtp.answer = "550 No such thing here"
    uid, _ = invite(anna)
    migrate(anna)
    deliver()
    assert left() == {uid: "mail-refused"}
    assert anna.bridge
    spare = register_number(anna.bridge, "+14255550122", "toll", ACTOR)
    release = start_release(spare, anna.bridge.numbers.get(is_default=True), ACTOR)
    NumberRelease.objects.update(state=NumberRelease.State.UPDATING, searched_at=timezone.now())
    ends = timezone.now() + timedelta(days=1)
    UntoldNumber.objects.create(update=Update.objects.get(), number=spare, meeting_ends_at=ends)
    assert accept_given_up(release, ACTOR) == 1

    row = LeftMeeting.objects.get()
    assert (row.state, row.by) == ("DealtWith", ACTOR.name)
