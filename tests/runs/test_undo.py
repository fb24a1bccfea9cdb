"""Undo (section 5, R45): meetings go back as they were, octet for octet, and attendees are told once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from django.core.exceptions import ValidationError

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.calendars.revision import highest_sequence
from migrations_app.failures import Failure
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, Run
from migrations_app.procedures.bulk_actions import perform
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.runs.undo_start import foreseen_undo, start_undo, why_not_undone
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.content_lines import without_stamps
from tests.support.meetings import ANEW, STAY, body_of, invite, messages_in, migrate, told
from tests.support.taken_back import taken_back
from tests.support.undoing import Killed, outcomes_of, statements_of, undo, work

MakeUser = Callable[..., ConferencingUser]
pytestmark = pytest.mark.django_db(transaction=True)


def test_r45_meetings_go_back_octet_for_octet_with_their_old_link_and_attendees_are_told_once(
    anna: ConferencingUser, new_bridge: Bridge, outbox: Path
) -> None:
    before = dict(invite(anna, number) for number in range(3))
    run = migrate(anna)
    deliver()
    assert all(body_of(anna, uid) != body for uid, body in before.items())
    first = told(outbox)
    foreseen = list(foreseen_undo(run))
    undone = undo(run)
    deliver()

    assert (undone.state, undone.migration_type, undone.undoes) == ("Succeeded", "Undo", run)
    assert {uid: sorted(without_stamps(body_of(anna, uid))) for uid in before} == {
        uid: sorted(without_stamps(body)) for uid, body in before.items()
    }
    assert told(outbox) == dict.fromkeys(first, 2), "each attendee once by the run and once by the undo"
    for result in undone.results.all():
        old = run.results.get(uid=result.uid)
        assert (result.join_url_before, result.join_url_after) == (old.join_url_after, old.join_url_before)
        assert result.sequence == (old.sequence or 0) + 1
    recorded = undone.results.order_by("pk").values_list("uid", "outcome", "code", "join_url_after", "sequence")
    assert [
        (each.result.uid, each.result.outcome, each.result.code, each.result.join_url_after, each.result.sequence)
        for each in foreseen
    ] == list(recorded), "what was foreseen is what happened"
    anna.refresh_from_db()
    assert anna.is_out_of_date
    assert anna.undo_holds
    assert why_not_undone(run) == "All of these meetings were put back already, and nothing is undone twice."
    assert "start a run of the user" in why_not_undone(undone)


# A worker that is killed while it reads leaves its cursor open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("seed", range(2))
def test_r28_killed_at_any_statement_nothing_is_put_back_twice_and_nobody_told_twice(
    anna: ConferencingUser, outbox: Path, seed: int
) -> None:
    """`pytest -k any_statement` with more seeds is a campaign; make soak-undo kills real processes."""
    before = dict(invite(anna, number) for number in range(3))
    run = migrate(anna)
    deliver()
    first = told(outbox)
    chance = Random(seed)  # noqa: S311 - it picks moments and guards nothing
    undone = start_undo(run, ACTOR)
    with taken_back():
        most = statements_of(lambda: work(undone))
    kills = 0
    for moment in sorted(chance.sample(range(2, most), 6)):
        with suppress(Killed):
            statements_of(lambda: work(undone), killed_at=moment)
            break
        kills += 1
    undone.refresh_from_db()
    if undone.state != "Succeeded":
        work(undone)
        undone.refresh_from_db()
    deliver()

    assert kills
    assert (undone.state, undone.succeeded_meetings, undone.invites_update) == ("Succeeded", 3, 3)
    for uid, body in before.items():
        now = body_of(anna, uid)
        assert sorted(without_stamps(now)) == sorted(without_stamps(body))
        assert highest_sequence(now, all_events(now)) == run.results.get(uid=uid).sequence + 1  # type: ignore[operator]
    assert told(outbox) == dict.fromkeys(first, 2)


CATALOGUE = Path(__file__).parents[1] / "catalogue"


def catalogue() -> Iterator[dict[str, bytes]]:
    """The invitations of the catalogue by UID, as many at a time as have different ones."""
    left = [path.read_bytes() for path in sorted(CATALOGUE.glob("*/*.ics"))]
    while left:
        some: dict[str, bytes] = {}
        later = []
        for body in left:
            try:
                uid = read_facts(body).uid
            except UnreadableCalendar:
                continue  # no run changes it
            if uid in some:
                later.append(body)
            else:
                some[uid] = body
        yield some
        left = later


def test_r45_every_meeting_of_the_catalogue_is_restored_octet_for_octet(
    make_user: MakeUser, new_bridge: Bridge
) -> None:
    """Made anew, and then with other numbers put in place; both through queue, worker and mailbox."""
    anna = make_user("anna", sip_address="anna@contoso.com")
    changed = 0
    for meetings in catalogue():
        for targets, bridge in ((ANEW, anna.bridge), (STAY, new_bridge)):
            EmbeddedMailbox(anna).store(meetings.items())
            change_user(anna, ACTOR, is_data_fix=True, bridge=bridge)
            run = migrate(ConferencingUser.objects.get(pk=anna.pk), targets)
            codes = outcomes_of(undo(run)) if run.succeeded_meetings else {}
            changed += run.succeeded_meetings
            assert set(codes.values()) <= {"Succeeded"}
            for uid, body in meetings.items():
                now = body_of(anna, uid)
                if uid in codes:
                    assert sorted(without_stamps(now)) == sorted(without_stamps(body)), uid
                else:
                    assert now == body
        CalendarObject.objects.all().delete()
    assert changed >= 200


def edit(user: ConferencingUser, uid: str, old: bytes, new: bytes) -> None:
    body = body_of(user, uid)
    assert old in body
    EmbeddedMailbox(user).store([(uid, body.replace(old, new))])


def test_what_changed_since_is_left_with_the_reason_and_the_rest_goes_back(
    anna: ConferencingUser, outbox: Path
) -> None:
    before = dict(invite(anna, number) for number in range(6))
    run = migrate(anna)
    answered, renamed, gone, cancelled, block, whole = before
    edit(anna, answered, b"ATTENDEE;", b"ATTENDEE;PARTSTAT=ACCEPTED;X-NUM-GUESTS=0;")
    edit(anna, renamed, b"\r\nSUMMARY", b"\r\nCATEGORIES:Moved\r\nSUMMARY")
    CalendarObject.objects.filter(uid=gone).delete()
    edit(anna, cancelled, b"BEGIN:VEVENT", b"BEGIN:VEVENT\r\nSTATUS:CANCELLED")
    (link,) = {result.join_url_after for result in run.results.filter(uid=block)}
    key = link.rpartition("/")[2].encode()
    fold = re.sub(rb"\r\n[ \t]", b"", body_of(anna, block))
    EmbeddedMailbox(anna).store([(block, fold.replace(key, key + b"X"))])
    left = {uid: body_of(anna, uid) for uid in (renamed, cancelled, block)}
    messages = len(messages_in(outbox))
    undone = undo(run)
    deliver()

    codes = outcomes_of(undone)
    assert codes == {
        answered: "Succeeded",
        whole: "Succeeded",
        renamed: "changed-since",
        gone: "meeting-deleted",
        cancelled: "cancelled",
        block: "changed-since",
    }
    assert {uid: body_of(anna, uid) for uid in left} == left
    assert (undone.state, undone.skipped_meetings, undone.invites_update) == ("Succeeded", 4, 2)
    assert len(messages_in(outbox)) >= messages
    assert all(result.reason for result in undone.results.exclude(code=""))
    assert why_not_undone(run) == "", "those that were left may be tried again"
    again = undo(run)
    assert {outcomes_of(again)[uid] for uid in (answered, whole)} == {"already-put-back"}
    assert again.invites_update == 0


def test_chosen_meetings_go_back_and_a_wrong_choice_is_refused_in_one_sentence(
    anna: ConferencingUser, make_user: MakeUser
) -> None:
    one, other = (invite(anna, number)[0] for number in range(2))
    run = migrate(anna)
    for chosen, said in (([], "No meeting is chosen"), (["nobody's"], "has not changed the meeting nobody's")):
        with pytest.raises(ValidationError, match=said):
            start_undo(run, ACTOR, chosen=chosen)
    undone = undo(run, [one])
    assert outcomes_of(undone) == {one: "Succeeded"}
    with pytest.raises(ValidationError, match="This meeting was put back already"):
        start_undo(run, ACTOR, chosen=[one])
    assert outcomes_of(undo(run)) == {one: "already-put-back", other: "Succeeded"}
    with pytest.raises(ValidationError, match="put back already, and nothing is undone twice"):
        start_undo(run, ACTOR)
    nothing = migrate(make_user("bruno"))
    assert "changed no meeting" in why_not_undone(nothing)
    nothing.reasons = [{"rule": "R38", "sentence": "Migrated with the Meeting Migration Tool, from files."}]
    assert "files that MMS does not keep" in why_not_undone(nothing)
    entries = AuditEntry.objects.filter(action="undo migration")
    assert [entry.after.get("meetings") for entry in entries.order_by("pk")] == [[one], None]
    assert all(str(run.correlation_id) in entry.consequence for entry in entries)


def test_r28_an_undo_is_tried_again_and_its_failure_is_retried_as_an_undo(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, body = invite(anna)
    run = migrate(anna)
    undone = start_undo(run, ACTOR)

    def refuse(*arguments: object) -> None:
        raise Failure("mailbox-unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedMailbox, "read", refuse)
        work(undone)
    undone.refresh_from_db()
    assert (undone.state, undone.last_error_code) == ("Pending", "mailbox-unavailable")
    Run.objects.filter(pk=undone.pk).update(state="Failed", last_error_code="retries-used-up")
    action = perform(anna.tenant, KINDS["retry"], ConferencingUser.objects.filter(pk=anna.pk), ACTOR)
    assert action.done_count == 1
    again = Run.objects.get(state="Pending")
    assert (again.undoes, again.migration_type) == (run, "Undo")
    work(again)
    assert sorted(without_stamps(body_of(anna, uid))) == sorted(without_stamps(body))
