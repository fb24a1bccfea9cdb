"""Undo (section 5, R45): meetings go back as they were, octet for octet, and attendees are told once."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.calendars.revision import highest_sequence
from migrations_app.dial_in_directory.lookup import by_id
from migrations_app.failures import Failure
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, NumberRelease, Run, UntoldNumber
from migrations_app.preview.many_users import foresee_release, foresee_start
from migrations_app.procedures.number_holders import explain, holders_with_why
from migrations_app.procedures.number_release import advance, holders, start_release
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.out_of_date import users_out_of_date
from migrations_app.runs.pruning import prune
from migrations_app.runs.undo_start import foreseen_undo, retry_failed, start_undo, why_not_undone
from migrations_app.runs.undoing import Undoing
from migrations_app.runs.worker import work_run
from migrations_app.tasks import work_queue
from tenants_app.changes.bridges import register_number
from tenants_app.changes.conference_ids import ConferenceNumbering
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import UserEdit, change_user, change_users, mark_up_to_date
from tenants_app.dependants import dependants
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, InvitedNumber, ServiceNumber
from tests.support.actors import ACTOR
from tests.support.content_lines import without_stamps
from tests.support.meetings import ANEW, STAY, body_of, invite, messages_in, migrate, told
from tests.support.taken_back import taken_back
from tests.support.together import together

MakeUser = Callable[..., ConferencingUser]
pytestmark = pytest.mark.django_db(transaction=True)


def undo(run: Run, chosen: list[str] | None = None) -> Run:
    """Start the undo and work it; as it ended. Delivers nothing."""
    started = start_undo(run, ACTOR, chosen=chosen)
    claimed = queue.claim()
    assert claimed == started
    assert claimed is not None
    work_run(claimed)
    started.refresh_from_db()
    return started


def outcomes_of(run: Run) -> dict[str, str]:
    return {result.uid: result.code or result.outcome for result in run.results.all()}


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


class Killed(BaseException):
    """Stands in for ``kill -9``: nothing of the worker goes on, and its transaction is lost."""


def work(run: Run) -> None:
    """Another worker takes the run up, once the lease of one that was killed is over."""
    Run.objects.filter(state="InProgress").update(lease_until=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    Run.objects.filter(pk=run.pk, state="Pending").update(due_at=timezone.now())
    claimed = queue.claim()
    assert claimed == run
    assert claimed is not None
    work_run(claimed)


def statements_of(action: Callable[[], object], killed_at: int = 0) -> int:
    """How many statements the action sends to the database; it is killed at that one, where one is named."""
    count = 0

    def note(execute: Any, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == killed_at:
            raise Killed
        return execute(*arguments)

    with connection.execute_wrapper(note):
        action()
    return count


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
    entries = AuditEntry.objects.filter(action="undo migration")
    assert [entry.after.get("meetings") for entry in entries.order_by("pk")] == [[one], None]
    assert all(str(run.correlation_id) in entry.consequence for entry in entries)


def test_r35_never_back_to_a_number_that_was_released_nor_to_an_id_that_is_anothers_now(
    anna: ConferencingUser, make_user: MakeUser, new_bridge: Bridge
) -> None:
    uid, _ = invite(anna)
    migrate(anna)  # it shows the number of the old bridge, and her conference ID
    digits = ConferencingUser.objects.get(pk=anna.pk).conference_id
    change_user(anna, ACTOR, bridge=new_bridge, conference_id="7777777")
    run = queue.claim()
    assert run is not None
    work_run(run)
    shown = body_of(anna, uid)
    bruno = make_user("bruno")
    with taken_back():
        change_user(bruno, ACTOR, is_data_fix=True, conference_id=digits)
        assert outcomes_of(undo(run)) == {uid: "conference-id-taken"}
        assert not ConferencingUser.objects.get(pk=anna.pk).undo_holds, "nothing was put back, so nothing holds"
    with taken_back():
        NumberRelease.objects.create(
            tenant=anna.tenant,
            bridge=new_bridge,
            e164="+14255550100",
            replacement=new_bridge.numbers.all()[0],
            replacement_e164="+442079460123",
            requested_by="alice",
            due_at=timezone.now(),
            state="Released",
        )
        assert outcomes_of(undo(run)) == {uid: "Succeeded"}, "it is on a bridge again"
    with taken_back():
        release_of_old_number(anna, new_bridge)
        undone = undo(run)
        assert outcomes_of(undone) == {uid: "number-released"}
        assert "+14255550100" in undone.results.get().reason
        assert body_of(anna, uid) == shown


def release_of_old_number(anna: ConferencingUser, new_bridge: Bridge) -> None:
    """The old number is gone from its bridge, as the procedure leaves it."""
    number = ServiceNumber.objects.get(number="+14255550100")
    InvitedNumber.objects.filter(number=number).delete()
    UntoldNumber.objects.filter(number=number).delete()
    ConferencingUser.objects.exclude(pk=anna.pk).delete()
    number.delete()
    NumberRelease.objects.create(
        tenant=anna.tenant,
        bridge=new_bridge,
        e164="+14255550100",
        replacement=new_bridge.numbers.all()[0],
        replacement_e164="+442079460123",
        requested_by="alice",
        due_at=timezone.now(),
        state="Released",
    )


def test_r35_a_number_that_is_put_back_is_held_until_a_run_takes_it_out_again(
    anna: ConferencingUser, new_bridge: Bridge, outbox: Path
) -> None:
    invite(anna)
    migrate(anna)
    deliver()
    old, new = ServiceNumber.objects.get(number="+14255550100"), ServiceNumber.objects.get(number="+442079460123")
    change_user(anna, ACTOR, bridge=new_bridge)
    run = queue.claim()
    assert run is not None
    work_run(run)
    deliver()
    assert not anna.invited_numbers.filter(number=old).exists()
    undo(run)
    assert anna.invited_numbers.filter(number=old).exists()
    assert UntoldNumber.objects.filter(number=new).exists(), "attendees hold the new one until they are told"
    assert anna in dependants(old)
    migrate(ConferencingUser.objects.get(pk=anna.pk), STAY)
    assert not anna.invited_numbers.filter(number=old).exists()
    assert not ConferencingUser.objects.get(pk=anna.pk).is_out_of_date


def test_r4_an_id_that_was_taken_out_is_handed_to_nobody_while_its_run_can_be_undone(
    anna: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invite(anna)
    migrate(anna)
    first = ConferencingUser.objects.get(pk=anna.pk).conference_id
    change_user(anna, ACTOR, conference_id="7777777")
    run = queue.claim()
    assert run is not None
    work_run(run)
    deliver()

    def handed_out() -> str:
        offered = iter([int(first) - 1_000_000] * 10 + [1_234_567] * 10)
        monkeypatch.setattr(secrets, "randbelow", lambda most: next(offered))
        numbers = ConferenceNumbering()
        with taken_back():
            (digits,) = numbers._free(anna.bridge, 1)  # type: ignore[arg-type]
            return digits

    assert handed_out() == "2234567"
    prune(timezone.now())
    assert handed_out() == "2234567", "it is the user's latest run, which is kept"
    migrate(anna, ANEW)
    prune(timezone.now())
    assert handed_out() == first


def test_r12_an_undo_is_worked_and_told_while_the_service_is_off(
    anna: ConferencingUser, make_user: MakeUser, outbox: Path
) -> None:
    uid, body = invite(anna)
    run = migrate(anna)
    deliver()
    other = make_user("bruno")
    change_user(other, ACTOR, audio_conferencing_enabled=False)
    assert other.runs.get().state == "Pending"
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=False)
    undone = start_undo(run, ACTOR, now_due=True)
    work_queue()
    undone.refresh_from_db()
    assert undone.state == "Succeeded"
    assert sorted(without_stamps(body_of(anna, uid))) == sorted(without_stamps(body))
    assert set(told(outbox).values()) == {2}
    assert other.runs.get().state == "Pending"


def decisions(user: ConferencingUser) -> list[str]:
    """What changes of each kind answer that would start a run by themselves."""
    changes: list[dict[str, Any]] = [{"audio_conferencing_enabled": False}, {"conference_id": "new"}]
    told = []
    for values in changes:
        with taken_back():
            told += [consequence.sentence for consequence in change_user(user, ACTOR, **values)]
    return told


def test_an_undo_holds_until_a_person_starts_the_user(anna: ConferencingUser, new_bridge: Bridge) -> None:
    invite(anna)
    run = migrate(anna)
    undo(run)
    for sentence in decisions(anna):
        assert sentence.startswith("No run, because an undo holds")
    with taken_back():
        assert mark_up_to_date(anna, ACTOR)
        assert all(sentence.startswith("Run, ") for sentence in decisions(anna))
    number = ServiceNumber.objects.get(number="+14255550100")
    by_hand, by_procedure = foresee_start(anna.tenant, users_out_of_date(anna.tenant)), foresee_release(number)
    for foreseen in (by_hand, by_procedure):
        assert foreseen.runs == 1
        assert anna.upn in foreseen.undos.sentence
    with taken_back():
        edit_of_procedure = UserEdit(anna.pk, {}, unassigned_number=number.number)
        (consequence,) = change_users(anna.tenant, [edit_of_procedure], ACTOR)
        assert consequence.starts_run
        assert not ConferencingUser.objects.get(pk=anna.pk).undo_holds
    again = migrate(ConferencingUser.objects.get(pk=anna.pk))
    assert again.succeeded_meetings == 1
    assert not ConferencingUser.objects.get(pk=anna.pk).undo_holds
    assert all(sentence.startswith("Run, ") for sentence in decisions(anna))
    assert "undo itself" in why_not_undone(run.undone_by.get())
    assert why_not_undone(again) == ""


def test_r18_a_user_has_one_pending_run_whatever_is_asked_for(anna: ConferencingUser) -> None:
    invite(anna)
    run = migrate(anna)
    change_user(anna, ACTOR, conference_id="7777777")
    waiting = Run.objects.get(state="Pending")
    undone = start_undo(run, ACTOR)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.last_error_code) == ("Failed", "undone-instead")
    with pytest.raises(ValidationError, match="An undo of the user is pending"):
        start_undo(run, ACTOR)
    assert change_user(anna, ACTOR, conference_id="7777778")[0].sentence.startswith("No run, because an undo holds")
    assert Run.objects.get(state="Pending") == undone
    with taken_back():
        user = ConferencingUser.objects.select_related("bridge").get(pk=anna.pk)
        (told_,) = start_by_hand(anna.tenant, [user], ACTOR)
        assert told_.starts_run
        undone.refresh_from_db()
        assert (undone.state, undone.last_error_code) == ("Failed", "newer-run")
        newest = Run.objects.get(state="Pending")
        assert (newest.migration_type, [reason["rule"] for reason in newest.reasons]) == ("ToSameType", ["R11"])
        assert not ConferencingUser.objects.get(pk=anna.pk).undo_holds
    claimed = queue.claim()
    assert claimed is not None
    with pytest.raises(ValidationError, match="A run of the user is in progress"):
        start_undo(run, ACTOR)
    work_run(claimed)
    assert Run.objects.filter(user=anna, is_latest=True).get() == undone


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
    (consequence,) = retry_failed(anna.tenant, ACTOR)
    assert consequence.starts_run
    again = Run.objects.get(state="Pending")
    assert (again.undoes, again.migration_type) == (run, "Undo")
    work(again)
    assert sorted(without_stamps(body_of(anna, uid))) == sorted(without_stamps(body))


def test_r46_the_directory_answers_what_invitations_print_after_an_undo(anna: ConferencingUser) -> None:
    invite(anna)
    migrate(anna, ANEW)  # into Link at the meeting URL of today
    first = ConferencingUser.objects.get(pk=anna.pk).conference_id
    change_tenant(anna.tenant, ACTOR, meeting_url="https://rooms.contoso.com")
    change_user(anna, ACTOR, is_data_fix=True, conference_id="7777777")
    run = migrate(ConferencingUser.objects.get(pk=anna.pk), ANEW)
    (result,) = run.results.all()
    assert result.join_url_after.startswith("https://rooms.contoso.com/")
    starts_at = result.starts_at
    assert starts_at is not None

    def led_to(digits: str) -> str:
        found = by_id(anna.tenant, digits, "", starts_at)
        (host,) = re.findall(r"(?:meet|rooms)\.contoso\.com", str(found.room)) or [""]
        return host

    assert (led_to(first), led_to("7777777")) == ("", "rooms.contoso.com")
    undo(run)
    assert (led_to(first), led_to("7777777")) == ("meet.contoso.com", "meet.contoso.com")
    migrate(ConferencingUser.objects.get(pk=anna.pk), ANEW)
    assert (led_to(first), led_to("7777777")) == ("", "rooms.contoso.com")


def test_r35_a_number_that_is_released_while_the_meeting_is_judged_does_not_come_back(
    anna: ConferencingUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, _ = invite(anna)
    migrate(anna)
    change_user(anna, ACTOR, bridge=new_bridge)
    run = queue.claim()
    assert run is not None
    work_run(run)
    shown = body_of(anna, uid)
    undone = start_undo(run, ACTOR)
    judged = Undoing.of

    def meanwhile(self: Undoing, *arguments: Any, **named: Any) -> Any:
        found = judged(self, *arguments, **named)
        release_of_old_number(anna, new_bridge)
        return found

    monkeypatch.setattr(Undoing, "of", meanwhile)
    work(undone)
    assert outcomes_of(undone) == {uid: "number-released"}
    assert body_of(anna, uid) == shown
    assert not undone.results.get().spans


def test_r18_undos_changes_and_starts_at_the_same_moment_leave_one_pending_run(anna: ConferencingUser) -> None:
    invite(anna)
    run = migrate(anna)

    def ask(number: int) -> str:
        user = ConferencingUser.objects.select_related("bridge").get(pk=anna.pk)
        if number % 2:
            return change_user(user, ACTOR, conference_id=f"777777{number}")[0].sentence
        try:
            return str(start_undo(run, ACTOR))
        except ValidationError as refused:
            return refused.messages[0]

    told_ = together(ask)
    pending = Run.objects.get(state="Pending")
    assert pending.is_undo, "whoever changed before gave way, and whoever changed after started nothing"
    assert Run.objects.get(is_latest=True) == pending
    assert ConferencingUser.objects.get(pk=anna.pk).undo_holds
    assert told_.count("An undo of the user is pending: wait until it has ended.") == 1


def test_r35_a_number_on_its_way_off_the_bridge_stays_while_an_undo_has_put_it_back(
    anna: ConferencingUser, outbox: Path
) -> None:
    invite(anna)
    leaving = register_number(anna.bridge, "+14255550133", "toll", ACTOR)  # type: ignore[arg-type]
    change_user(anna, ACTOR, toll_number=leaving)
    migrate(ConferencingUser.objects.select_related("bridge").get(pk=anna.pk), STAY)
    deliver()
    other = register_number(anna.bridge, "+14255550144", "toll", ACTOR)  # type: ignore[arg-type]
    release = start_release(leaving, other, ACTOR, now_due=True)
    minute = timedelta(minutes=1)
    advance(timezone.now() + minute)
    run = queue.claim()
    assert run is not None
    work_run(run)
    undone = undo(run)  # before the procedure goes on
    assert undone.succeeded_meetings == 1
    deliver()
    for _ in range(3):
        advance(timezone.now() + minute)
    release.refresh_from_db()
    assert (release.state, ServiceNumber.objects.filter(pk=leaving.pk).exists()) == ("Updating", True)
    assert anna in holders(release)
    (held,) = explain(release, list(holders_with_why(release).select_related("latest", "bridge")))
    assert held.sentences == ["Their invitations were not brought up to date yet, and no run is under way: start one."]
    migrate(ConferencingUser.objects.select_related("bridge").get(pk=anna.pk), STAY)
    deliver()
    for _ in range(3):
        advance(timezone.now() + minute)
    release.refresh_from_db()
    assert (release.state, ServiceNumber.objects.filter(pk=leaving.pk).exists()) == ("Released", False)
    assert "put back already" in why_not_undone(run)
