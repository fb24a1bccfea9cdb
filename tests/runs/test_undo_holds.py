"""What an undo keeps of others, and what holds after it: numbers, IDs, the queue, changes (R4, R6, R12, R18, R35)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.dial_in_directory.lookup import by_id
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, Run, UntoldNumber
from migrations_app.preview.many_users import foresee_release, foresee_start
from migrations_app.procedures.number_holders import explain, holders_with_why
from migrations_app.procedures.number_release import advance, holders, start_release
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.out_of_date import users_out_of_date
from migrations_app.runs.pruning import prune
from migrations_app.runs.undo_start import start_undo, why_not_undone
from migrations_app.runs.undoing import Undoing
from migrations_app.runs.worker import work_run
from migrations_app.tasks import work_queue
from tenants_app.changes.bridges import register_number, release_number
from tenants_app.changes.conference_ids import ConferenceNumbering
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import UserEdit, change_user, change_users, mark_up_to_date
from tenants_app.dependants import dependants
from tenants_app.models import Bridge, ConferencingUser, FormerNumber, InvitedNumber, ServiceNumber
from tests.support.actors import ACTOR
from tests.support.content_lines import without_stamps
from tests.support.meetings import ANEW, STAY, body_of, invite, migrate, told
from tests.support.taken_back import taken_back
from tests.support.together import together
from tests.support.undoing import outcomes_of, undo, work

MakeUser = Callable[..., ConferencingUser]
pytestmark = pytest.mark.django_db(transaction=True)


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
        FormerNumber.objects.create(tenant=anna.tenant, number="+14255550100")
        assert outcomes_of(undo(run)) == {uid: "Succeeded"}, "it is on a bridge again"
    with taken_back():
        release_of_old_number(anna)
        undone = undo(run)
        assert outcomes_of(undone) == {uid: "number-released"}
        assert "+14255550100" in undone.results.get().reason
        assert body_of(anna, uid) == shown


def release_of_old_number(anna: ConferencingUser) -> None:
    """The old number is gone from its bridge, as the procedure leaves it."""
    number = ServiceNumber.objects.get(number="+14255550100")
    InvitedNumber.objects.filter(number=number).delete()
    UntoldNumber.objects.filter(number=number).delete()
    ConferencingUser.objects.exclude(pk=anna.pk).delete()
    ServiceNumber.objects.filter(pk=number.pk).update(is_default=False)
    release_number(number, ACTOR)


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


def test_r4_a_private_id_stays_its_meetings_though_the_meeting_is_gone(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So an undo brings it back, and a caller with an old invitation reaches nobody else's meeting."""
    change_user(anna, ACTOR, is_data_fix=True, conference_id_type="private")
    uid, _ = invite(anna)
    migrate(anna, ANEW)
    given = anna.conference_ids.get(meeting_uid=uid).digits
    change_user(anna, ACTOR, conference_id_type="public")
    migrate(anna)
    CalendarObject.objects.filter(user=anna).delete()
    migrate(anna)

    offered = iter([int(given) - 1_000_000] * 10 + [1_234_567] * 10)
    monkeypatch.setattr(secrets, "randbelow", lambda most: next(offered))
    with taken_back():
        assert ConferenceNumbering()._free(anna.bridge, 1) == ["2234567"]  # type: ignore[arg-type]


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


def test_r18_a_run_that_gave_way_to_an_undo_which_puts_nothing_back_is_requested_anew(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    uid, _ = invite(anna)
    run = migrate(anna)
    EmbeddedMailbox(anna).store([(uid, body_of(anna, uid).replace(b"\r\nSUMMARY", b"\r\nCATEGORIES:Moved\r\nSUMMARY"))])
    change_user(anna, ACTOR, bridge=new_bridge)
    withdrawn = Run.objects.get(state="Pending")
    undone = undo(run)
    withdrawn.refresh_from_db()

    assert (undone.state, undone.succeeded_meetings) == ("Succeeded", 0)
    assert withdrawn.last_error_code == "undone-instead"
    again = Run.objects.get(state="Pending")
    assert again.is_latest
    assert (again.targets, again.requested_by) == (withdrawn.targets, withdrawn.requested_by)
    assert again.reasons[: len(withdrawn.reasons)] == withdrawn.reasons
    assert (
        again.reasons[-1]["sentence"] == f"The undo {undone.correlation_id} that took its place has put nothing back."
    )
    assert not ConferencingUser.objects.get(pk=anna.pk).undo_holds


def test_r45_a_run_that_gave_way_to_an_undo_which_puts_something_back_stays_withdrawn(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    invite(anna)
    run = migrate(anna)
    change_user(anna, ACTOR, bridge=new_bridge)
    assert undo(run).succeeded_meetings == 1

    assert not Run.objects.filter(state="Pending").exists()
    assert ConferencingUser.objects.get(pk=anna.pk).undo_holds


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
        release_of_old_number(anna)
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
