"""Taking a wave back: settings and meetings as they were, what is foreseen, and what is refused (R83 to R87)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Rollback, RolloutEvent, Run, Wave, WaveMember
from migrations_app.rollouts import engine, going_back, searching, steering
from migrations_app.rollouts.going_back import foresee, roll_back, why_not_rolled_back
from migrations_app.runs import queue
from migrations_app.runs.undo_start import start_undo
from migrations_app.runs.worker import work_run
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.content_lines import without_stamps
from tests.support.going_back import go_all_the_way_back, move_forward, work_all
from tests.support.meetings import body_of, invite
from tests.support.only_reads import only_reads
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

MakeUser = Callable[..., ConferencingUser]
State = WaveMember.State
pytestmark = pytest.mark.django_db


@pytest.fixture
def wave(tenant: Tenant, anna: ConferencingUser, make_user: MakeUser, old_bridge: Bridge, new_bridge: Bridge) -> Wave:
    """Test users: Anna, with a meeting that moves, and Bruno, without any."""
    legacy = a_deployment(tenant)
    new = a_deployment(tenant, "new", meeting_service="link", meeting_hosts=["meet.contoso.com"])
    bruno = make_user("bruno")
    belong_to(legacy, [anna, bruno], old_bridge)
    belong_to(new, [], new_bridge)
    wave = a_wave(a_rollout(tenant, legacy, new))
    members(wave, ConferencingUser.objects.filter(pk__in=[anna.pk, bruno.pk]))
    return wave


def member_of(wave: Wave, user: ConferencingUser) -> WaveMember:
    return WaveMember.objects.get(wave=wave, user=user)


def test_r84_settings_go_back_and_the_meetings_as_they_were(wave: Wave, anna: ConferencingUser) -> None:
    uid, text = invite(anna)
    before = ConferencingUser.objects.get(pk=anna.pk)
    move_forward(wave)
    assert ConferencingUser.objects.get(pk=anna.pk).deployment == wave.rollout.new
    assert without_stamps(body_of(anna, uid)) != without_stamps(text)

    roll_back(wave, ACTOR, reason="The pilot found echoes")
    assert searching.under_way(wave=wave) is not None  # what cannot go back is looked for by itself (R85)
    go_all_the_way_back(wave)

    after = ConferencingUser.objects.get(pk=anna.pk)
    for name in ("deployment_id", "hosting", "bridge_id", "toll_number_id", "toll_free_number_id", "conference_id"):
        assert getattr(after, name) == getattr(before, name), name
    assert without_stamps(body_of(anna, uid)) == without_stamps(text)
    member = member_of(wave, anna)
    assert (member.state, member.is_current) == (State.ROLLED_BACK, False)  # R87: free for a later wave
    assert member.undo_run is not None
    assert member.undo_run.undoes == member.run
    wave.refresh_from_db()
    assert (wave.state, wave.back_from) == (Wave.State.ROLLED_BACK, "")
    kinds = set(wave.events.values_list("kind", flat=True))
    assert {RolloutEvent.Kind.ROLLBACK, RolloutEvent.Kind.ROLLED_BACK} <= kinds
    ended = Rollback.objects.get(wave=wave)
    assert (ended.returned, ended.failed, ended.reason) == (2, 0, "The pilot found echoes")
    told = AuditEntry.objects.get(action="roll back wave")
    assert told.after["reason"] == "The pilot found echoes"


def test_r84_no_run_comes_of_the_move_back(wave: Wave, anna: ConferencingUser) -> None:
    move_forward(wave)
    runs = set(Run.objects.values_list("pk", flat=True))

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    assert set(Run.objects.values_list("pk", flat=True)) == runs  # she had no meeting, so there was nothing to undo
    assert "No run" in str(member_of(wave, anna).decision)


def test_r84_several_runs_since_the_move_are_undone_the_latest_first(
    wave: Wave, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    uid, text = invite(anna)
    move_forward(wave)
    moved = ConferencingUser.objects.get(pk=anna.pk)
    toll_free = new_bridge.numbers.get(number="+448081570123")
    change_user(moved, ACTOR, toll_free_number=toll_free, reschedule_meetings=True)
    work_all()

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    assert without_stamps(body_of(anna, uid)) == without_stamps(text)
    undos = Run.objects.filter(user=anna, undoes__isnull=False).order_by("pk")
    undone = [undo.undoes_id or 0 for undo in undos]
    assert undone == sorted(undone, reverse=True)
    assert len(undone) == 2


def test_r84_a_pending_run_forward_is_withdrawn_and_alarms_nobody(wave: Wave, anna: ConferencingUser) -> None:
    uid, _ = invite(anna)
    (first, _) = move_forward(wave)
    run = first.run
    assert run is not None
    Run.objects.filter(pk=run.pk).delete()
    waiting = Run.objects.create(tenant=wave.rollout.tenant, user=anna, due_at=timezone.now(), requested_by="test")
    WaveMember.objects.filter(pk=first.pk).update(run=waiting)
    shown = body_of(anna, uid)

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    waiting.refresh_from_db()
    assert (waiting.state, waiting.last_error_code, waiting.is_accepted) == ("Failed", "rolled-back", True)
    assert body_of(anna, uid) == shown
    assert member_of(wave, anna).state == State.ROLLED_BACK


def test_r84_who_has_a_run_in_progress_waits_for_its_end(wave: Wave, anna: ConferencingUser) -> None:
    invite(anna)
    (first, _) = move_forward(wave)
    Run.objects.create(
        tenant=wave.rollout.tenant, user=anna, due_at=timezone.now(), requested_by="test", is_latest=False
    )
    at_work = queue.claim()
    assert at_work is not None
    roll_back(wave, ACTOR)
    member = WaveMember.objects.select_related("user").get(pk=first.pk)
    member.state = State.MOVING

    going_back.change(wave, [member], ACTOR, timezone.now())

    assert str(member.state) == "Moving"  # to be offered again
    assert ConferencingUser.objects.get(pk=anna.pk).deployment == wave.rollout.new
    work_run(at_work)
    going_back.change(wave, [member], ACTOR, timezone.now())
    assert str(member.state) == "Updating"
    assert ConferencingUser.objects.get(pk=anna.pk).deployment == wave.rollout.legacy


def test_r84_who_cannot_be_moved_back_stays_and_is_failed(wave: Wave, anna: ConferencingUser) -> None:
    """By the engine, which asks again member by member: the change refuses the whole of it."""
    (first, _) = move_forward(wave)
    roll_back(wave, ACTOR)
    Deployment.objects.filter(pk=wave.rollout.legacy_id).update(retired_at=timezone.now(), retired_by="test")
    wave = Wave.objects.select_related("rollout__tenant", "rollout__legacy").get(pk=wave.pk)

    with pytest.raises(ValidationError, match="retired"):
        going_back.change(wave, [WaveMember.objects.select_related("user").get(pk=first.pk)], ACTOR, timezone.now())

    assert ConferencingUser.objects.get(pk=anna.pk).deployment == wave.rollout.new


def test_r83_chosen_members_go_back_and_the_wave_goes_on(wave: Wave, anna: ConferencingUser) -> None:
    move_forward(wave)
    roll_back(wave, ACTOR, [anna])
    go_all_the_way_back(wave)

    wave.refresh_from_db()
    assert wave.state == Wave.State.OBSERVING
    states = dict(wave.members.values_list("user__upn", "state"))
    assert states == {anna.upn: State.ROLLED_BACK, "bruno@contoso.com": State.DONE}


def test_r83_a_wave_that_runs_moves_nobody_else_from_the_same_moment_on(wave: Wave, make_user: MakeUser) -> None:
    move_forward(wave)
    carla = make_user("carla")
    (waiting,) = [each for each in members(wave, [carla]) if each.user_id == carla.pk]
    Wave.objects.filter(pk=wave.pk).update(state=Wave.State.RUNNING)

    roll_back(Wave.objects.get(pk=wave.pk), ACTOR)

    wave.refresh_from_db()
    assert (wave.state, wave.back_from) == (Wave.State.ROLLING_BACK, Wave.State.RUNNING)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.is_going_back) == (State.WAITING, False)
    go_all_the_way_back(wave)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.is_current) == (State.EXCLUDED, False)  # R87: may join a later wave


def test_r83_some_of_a_wave_that_runs_leave_it_paused(wave: Wave, anna: ConferencingUser) -> None:
    move_forward(wave)
    Wave.objects.filter(pk=wave.pk).update(state=Wave.State.RUNNING)
    roll_back(Wave.objects.get(pk=wave.pk), ACTOR, [anna])
    go_all_the_way_back(wave)

    wave.refresh_from_db()
    assert wave.state == Wave.State.PAUSED


def test_r83_batches_forward_go_on_with_the_next_number(wave: Wave, anna: ConferencingUser) -> None:
    move_forward(wave)
    wave.members.exclude(user=anna).update(batch=4)
    Wave.objects.filter(pk=wave.pk).update(state=Wave.State.PAUSED, batch=4)
    roll_back(Wave.objects.get(pk=wave.pk), ACTOR, [anna])
    Wave.objects.filter(pk=wave.pk).update(batch=1)  # of the way back
    go_all_the_way_back(wave)

    wave.refresh_from_db()
    assert (wave.state, wave.batch) == (Wave.State.PAUSED, 4), (
        "else two batches have one number, and R78 takes them for one"
    )


@pytest.mark.parametrize("state", Wave.State.values)
def test_r83_states_that_can_be_taken_back(wave: Wave, state: str) -> None:
    move_forward(wave)
    Wave.objects.filter(pk=wave.pk).update(state=state)
    may = {"Running", "Paused", "Stopped", "Observing", "Completed", "CompletedWithErrors"}

    assert (why_not_rolled_back(Wave.objects.get(pk=wave.pk)) == "") == (state in may)


def test_r83_latest_wave_first(wave: Wave, make_user: MakeUser) -> None:
    move_forward(wave)
    later = a_wave(wave.rollout, 2)
    carla = make_user("carla")
    belong_to(wave.rollout.legacy, [carla])
    members(later, [ConferencingUser.objects.get(pk=carla.pk)])
    move_forward(later)

    with pytest.raises(ValidationError, match="Members of the later wave Pilot have moved"):
        roll_back(wave, ACTOR)

    roll_back(later, ACTOR)
    go_all_the_way_back(later)
    assert why_not_rolled_back(wave) == ""


def test_r83_no_later_wave_moves_while_one_goes_back(wave: Wave) -> None:
    move_forward(wave)
    later = a_wave(wave.rollout, 2, state=Wave.State.RUNNING)
    with pytest.raises(ValidationError, match="Wave Pilot is not through yet"):
        roll_back(wave, ACTOR)
    assert not Rollback.objects.exists()

    later = a_wave(wave.rollout, 2, state=Wave.State.PAUSED)
    roll_back(wave, ACTOR)
    with pytest.raises(ValidationError, match="Wave Test users is not through yet"):
        steering.resume(later, ACTOR, "Go on")
    go_all_the_way_back(wave)
    assert steering.resume(later, ACTOR).state == Wave.State.RUNNING


def test_r83_nobody_is_taken_back_twice_nor_who_has_not_moved(wave: Wave, make_user: MakeUser) -> None:
    move_forward(wave)
    carla = make_user("carla")
    with pytest.raises(ValidationError, match=r"carla@contoso\.com has not moved in the wave"):
        roll_back(wave, ACTOR, [carla])
    roll_back(wave, ACTOR)
    with pytest.raises(ValidationError, match="is being taken back already"):
        roll_back(wave, ACTOR)
    go_all_the_way_back(wave)
    with pytest.raises(ValidationError, match="has been taken back already"):
        roll_back(wave, ACTOR)


def test_r87_refused_once_the_legacy_deployment_is_retired(wave: Wave) -> None:
    move_forward(wave)
    Deployment.objects.filter(pk=wave.rollout.legacy_id).update(retired_at=timezone.now(), retired_by="test")

    with pytest.raises(ValidationError, match="Old pool has been retired since"):
        roll_back(Wave.objects.get(pk=wave.pk), ACTOR)


def test_r83_what_is_foreseen_is_what_happens(wave: Wave, anna: ConferencingUser) -> None:
    invite(anna)
    invite(anna, 1)
    move_forward(wave)
    with only_reads():
        foreseen = foresee(wave)
    assert foreseen.totals is not None
    assert (foreseen.members, foreseen.refusal, foreseen.totals.updated) == (2, "", 2)

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    undo = Run.objects.get(user=anna, undoes__isnull=False)
    assert undo.succeeded_meetings == foreseen.totals.updated
    assert sum(result.update.recipient_count for result in undo.results.all()) == foreseen.totals.recipients


def test_r86_a_meeting_that_was_edited_since_stays_with_its_reason(wave: Wave, anna: ConferencingUser) -> None:
    uid, _ = invite(anna)
    move_forward(wave)
    edited = re.sub(rb"(?m)^(SUMMARY[^:]*:)", rb"\1Moved ", body_of(anna, uid))
    EmbeddedMailbox(anna).store([(uid, edited)])
    foreseen = foresee(wave)
    assert [row.code for told in foreseen.told for row in told.meetings] == ["changed-since"]

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    assert body_of(anna, uid) == edited
    assert member_of(wave, anna).state == State.ROLLED_BACK


def test_r84_undone_by_hand_before_is_not_undone_twice(wave: Wave, anna: ConferencingUser) -> None:
    uid, text = invite(anna)
    (first, _) = move_forward(wave)
    assert first.run is not None
    start_undo(first.run, ACTOR, now_due=True)
    work_all()

    roll_back(wave, ACTOR)
    go_all_the_way_back(wave)

    assert Run.objects.filter(user=anna, undoes__isnull=False).count() == 1
    assert without_stamps(body_of(anna, uid)) == without_stamps(text)


def test_r84_by_the_background_service_itself(wave: Wave, anna: ConferencingUser) -> None:
    """Batch by batch, with the runs worked between, as the cluster does it."""
    uid, text = invite(anna)
    move_forward(wave)
    Wave.objects.filter(pk=wave.pk).update(frozen_at=timezone.now(), counts_from=timezone.now(), batches=[1])
    roll_back(wave, ACTOR)

    for _ in range(20):
        engine.advance(timezone.now() + timedelta(minutes=1))
        work_all()
        wave.refresh_from_db()
        if wave.state == Wave.State.ROLLED_BACK:
            break

    assert (wave.state, wave.back_from, wave.batch) == (Wave.State.ROLLED_BACK, "", 2)
    assert set(wave.members.values_list("state", flat=True)) == {State.ROLLED_BACK}
    assert without_stamps(body_of(anna, uid)) == without_stamps(text)
    assert ConferencingUser.objects.get(pk=anna.pk).deployment == wave.rollout.legacy
    assert Run.objects.filter(user=anna, undoes__isnull=False).count() == 1


def test_r84_by_the_background_service_who_cannot_go_back_is_failed(wave: Wave, anna: ConferencingUser) -> None:
    move_forward(wave)
    Wave.objects.filter(pk=wave.pk).update(
        frozen_at=timezone.now(), counts_from=timezone.now(), state=Wave.State.RUNNING
    )
    roll_back(Wave.objects.get(pk=wave.pk), ACTOR)
    Deployment.objects.filter(pk=wave.rollout.legacy_id).update(retired_at=timezone.now(), retired_by="test")

    for _ in range(10):
        engine.advance(timezone.now() + timedelta(minutes=1))
        work_all()

    wave.refresh_from_db()
    failed = member_of(wave, anna)
    assert (failed.state, failed.is_current) == (State.FAILED, True)
    assert "retired" in str(failed.failure)
    assert ConferencingUser.objects.get(pk=anna.pk).deployment == wave.rollout.new
    assert wave.state == Wave.State.STOPPED  # a first batch in which everybody fails stops it (R78)
