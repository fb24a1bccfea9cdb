"""What others do meanwhile, and what nobody should send: no step of a rollout ends half done or in a traceback."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import Rollout, RolloutCheck, Run, Wave, WaveMember
from migrations_app.procedures import number_release
from migrations_app.procedures.number_release import start_release
from migrations_app.rollouts import going_back, members, move_lists, movers, opening, people, retirement, steering
from migrations_app.rollouts.checks import remove_check
from migrations_app.rollouts.defining import close_rollout
from migrations_app.runs import queue
from tenants_app.changes.bridges import register_number, remove_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import Bridge, ConferencingUser, Deployment, ServiceNumber, Tenant
from tests.rollouts.test_engine import begun, go_on, look, run_ends, state, states
from tests.support.actors import ACTOR
from tests.support.visitors import cast, sign_in

__all__ = ["begun", "cast"]

State, Member = Wave.State, WaveMember.State


def run_of_another_worker_ends() -> None:
    ended = {"state": Run.State.SUCCEEDED, "finished_at": timezone.now(), "lease_token": None, "lease_until": None}
    assert Run.objects.filter(state=Run.State.IN_PROGRESS).update(**ended) == 1


@pytest.mark.parametrize("mover", ["record", "list", "command"])
def test_r84_who_goes_back_waits_quietly_for_the_run_that_is_in_progress(
    mover: str, begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(deployment: Deployment, upn: str) -> movers.Moved:
        asked.append(upn)
        return movers.CONFIRMED

    monkeypatch.setattr(movers, "ask", ask)
    wave = begun(3)
    Deployment.objects.filter(role="legacy").update(mover=mover, mover_command="move" if mover == "command" else "")
    go_on()
    assert queue.claim() is not None
    going_back.roll_back(wave, ACTOR)
    go_on()
    if mover == "list":
        assert move_lists.confirm(wave, ACTOR) == 1
        go_on()
    (member,) = wave.members.filter(is_going_back=True)
    assert (member.state, member.attempts) == (Member.MOVING, 1)
    assert len(asked) == (mover == "command")
    run_of_another_worker_ends()
    look(wave)
    assert states(wave) == [Member.ROLLED_BACK, Member.EXCLUDED, Member.EXCLUDED]
    assert state(wave) == State.ROLLED_BACK


def test_r80_who_waits_for_a_list_hides_nobody_whose_account_is_moved(
    begun: Callable[..., Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = begun(3, batches=[3], mover="list")
    monkeypatch.setattr("migrations_app.rollouts.moving.PIECE", 2)
    go_on()
    long_ago = timezone.now() - timedelta(hours=1)
    wave.members.update(asked_at=long_ago)
    last = wave.members.order_by("pk").last()
    assert last is not None
    WaveMember.objects.filter(pk=last.pk).update(asked_at=None)  # where a worker was cut off
    look(wave)
    assert states(wave) == [Member.MOVING, Member.MOVING, Member.UPDATING]


def test_r79_nobody_is_moved_forward_while_a_wave_is_taken_back(begun: Callable[..., Wave]) -> None:
    wave = begun(3)
    go_on()
    run_ends()
    failed = wave.members.order_by("pk")[1]
    WaveMember.objects.filter(pk=failed.pk).update(state=Member.FAILED, failure="Refused.", finished_at=timezone.now())
    going_back.roll_back(wave, ACTOR)
    steering.pause(wave, ACTOR)
    with pytest.raises(ValidationError, match="is being taken back already"):
        steering.retry(failed, ACTOR)
    failed.refresh_from_db()
    assert failed.state == Member.FAILED


def test_r78_after_a_part_went_back_the_next_batch_is_a_new_one(begun: Callable[..., Wave]) -> None:
    wave = begun(6, batches=[1, 2])
    for _ in range(2):
        go_on()
        run_ends()
    go_on()
    wave.refresh_from_db()
    assert wave.batch == 3
    run_ends()
    go_on()
    first = wave.members.order_by("pk")[0]
    going_back.roll_back(wave, ACTOR, [first.user])
    for _ in range(3):
        go_on()
        run_ends()
    wave.refresh_from_db()
    assert wave.state in {State.PAUSED, State.OBSERVING}
    forward = wave.members.filter(is_going_back=False)
    assert wave.batch == forward.order_by("-batch").values_list("batch", flat=True)[0]


def test_r12_a_retry_moves_nobody_while_the_service_is_switched_off(begun: Callable[..., Wave], tenant: Tenant) -> None:
    wave = begun(2)
    member = wave.members.order_by("pk")[0]
    WaveMember.objects.filter(pk=member.pk).update(state=Member.FAILED, batch=1, finished_at=timezone.now())
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    with pytest.raises(ValidationError, match="switched off"):
        steering.retry(member, ACTOR)
    member.refresh_from_db()
    assert (member.state, member.user.deployment) == (Member.FAILED, wave.rollout.legacy)


def test_r61_a_bridge_to_which_a_rollout_leads_is_not_removed(begun: Callable[..., Wave], new_bridge: Bridge) -> None:
    begun(1)
    with pytest.raises(ValidationError, match="A rollout moves users to"):
        remove_bridge(new_bridge, ACTOR)
    assert Bridge.objects.filter(pk=new_bridge.pk).exists()


def test_r61_a_number_to_which_a_rollout_leads_is_released_once_that_has_ended(
    begun: Callable[..., Wave], tenant: Tenant, new_bridge: Bridge
) -> None:
    wave = begun(1, is_started=False)
    number, other = (register_number(new_bridge, f"+3902123450{n}", "toll", ACTOR) for n in (1, 2))
    Rollout.objects.update(default_toll_number=number)
    with pytest.raises(ValidationError, match="The rollout To the new service moves users to"):
        start_release(number, other, ACTOR, now_due=True)
    close_rollout(wave.rollout, ACTOR, reason="Not needed any more")
    release = start_release(number, other, ACTOR, now_due=True)
    while number_release.advance(timezone.now() + timedelta(minutes=5)):
        pass
    release.refresh_from_db()
    assert release.state == "Released"
    assert not ServiceNumber.objects.filter(pk=number.pk).exists()


def test_r80_who_was_deleted_meanwhile_is_told_and_not_a_fault(begun: Callable[..., Wave]) -> None:
    wave = begun(2)
    member = wave.members.select_related("user", "wave__rollout").order_by("pk")[0]
    ConferencingUser.objects.filter(pk=member.user_id).delete()
    with pytest.raises(ValidationError, match="not there any more"):
        steering.retry(member, ACTOR)
    with pytest.raises(ValidationError, match="not there any more"):
        members.exclude(member, ACTOR, reason="Left")


def test_r64_a_wave_that_was_removed_meanwhile_is_not_started(begun: Callable[..., Wave]) -> None:
    wave = begun(1, is_started=False)
    seen = Wave.objects.get(pk=wave.pk)
    seen.rollout = wave.rollout
    wave.members.all().delete()
    Wave.objects.filter(pk=wave.pk).delete()
    with pytest.raises(ValidationError, match="not there any more"):
        steering.start(seen, ACTOR)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite locks no rows")
def test_r75_nobody_keeps_the_engine_from_noting_what_happens(begun: Callable[..., Wave]) -> None:
    """It notes with the wave held, and that refers to the rollout: who holds the rollout as if to delete it, and waits
    for the wave, would wait for ever."""
    wave = begun(2)
    check = RolloutCheck.objects.create(
        rollout=wave.rollout, wave=wave, position=1, name="Services", scope="new", kind="manual"
    )
    Rollout.objects.update(webhook_url="https://hooks.contoso.com/rollouts")
    with CaptureQueriesContext(connection) as asked:
        opening.open_gate(wave.rollout, wave, "The pilot has to begin this week.", ACTOR)
        people.renew_secret(Rollout.objects.get(pk=wave.rollout_id), ACTOR)
        remove_check(check, "Not needed here", ACTOR)
        with pytest.raises(ValidationError):
            retirement.retire(wave.rollout.legacy, ACTOR)
    held = [each["sql"] for each in asked if 'FROM "migrations_app_rollout"' in each["sql"] and " FOR " in each["sql"]]
    assert len(held) == 4
    assert all("FOR NO KEY UPDATE" in each for each in held), held


@pytest.mark.parametrize("number", ["²", "٣", "-1", "9" * 40, "x", "\0"])
def test_a_page_of_checks_takes_no_number_that_is_none(number: str, begun: Callable[..., Wave], cast: None) -> None:
    wave = begun(1)
    check = RolloutCheck.objects.create(
        rollout=wave.rollout, wave=wave, position=1, name="Services", scope="new", kind="manual"
    )
    alice = sign_in("alice")
    at = f"/contoso/rollouts/{wave.rollout_id}/checks/"
    assert alice.get(f"{at}{check.pk}/", {"before": number}).status_code == 200
    assert alice.post(f"{at}look/", {"wave": number}).status_code == 302
