"""The rollout of the Contoso demo: London's users leave their pool, and it is half-way through its pilot.

All is done by the functions that pages and commands call, as two people would have done it; only the wave of the test
users is put into the days before. The servers are at ``.example`` and do not exist: what would ask them is taken out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet
from django.utils import timezone

from migrations_app.demo import people
from migrations_app.models import CheckAnswer, Rollout, RolloutCheck, RolloutEvent, Wave, WaveMember
from migrations_app.procedures import previews
from migrations_app.rollouts import acceptance, engine, readiness, steering
from migrations_app.rollouts.answers import answer
from migrations_app.rollouts.checks import remove_check
from migrations_app.rollouts.defining import new_rollout
from migrations_app.rollouts.mapping import change_mapping
from migrations_app.rollouts.members import add_members
from migrations_app.rollouts.opening import open_gate
from migrations_app.rollouts.waves import change_wave
from tenants_app.audit import Actor, Channel
from tenants_app.changes.deployments import create_deployment
from tenants_app.models import Bridge, ConferencingUser, Deployment, Tenant

ALICE, BOB = Actor("alice", Channel.COMMAND), Actor("bob", Channel.COMMAND)
"""Who defines it and opens a gate, and who answers the checks."""

TEST_USERS, PILOT_USERS, FIRST_BATCH = 2, 10, 5
"""The pilot stops by itself after its first batch, of whom one fails: the user with the damaged mailbox."""
LEAST = TEST_USERS + PILOT_USERS + 1
"""So many users of London there must be."""
AGO = timedelta(days=4)
"""The wave of the test users began so long ago."""

Answer = CheckAnswer.Answer


def deployments(tenant: Tenant) -> Deployment:
    """London's old pool, beside what takes its place."""
    legacy = create_deployment(
        tenant,
        ALICE,
        name=people.LONDON_POOL,
        kind=Deployment.Kind.ON_PREMISES,
        role=Deployment.Role.LEGACY,
        meeting_hosts=["pool.london.contoso.example"],
    )
    create_deployment(
        tenant,
        ALICE,
        name=people.NEW_POOL,
        kind=Deployment.Kind.ON_PREMISES,
        role=Deployment.Role.NEW,
        meeting_hosts=["meetings.contoso.example"],
    )
    return legacy


def move_london(tenant: Tenant, legacy: Deployment, new: Deployment, *, can_look: bool) -> None:
    """Define the rollout, take the test users through their wave, and begin the pilot. The background service goes on
    with it, finds that one of five has failed, and stops the wave.

    ``can_look``: whether mailboxes can be read already, so that the pilot's readiness is known.
    """
    rollout = new_rollout(
        tenant, ALICE, name="London to the new pool", legacy=legacy, new=new, min_finished=FIRST_BATCH
    )
    _map(rollout, tenant)
    test, pilot, _everyone = rollout.waves.order_by("position")
    users = list(legacy.users.order_by("upn"))
    damaged = [user for user in users if user.upn == people.DAMAGED_MAILBOX_USER_UPN]
    others = [user for user in users if user not in damaged and user.audio_conferencing_license]
    quiet = [user for user in users if not user.audio_conferencing_license]
    _join(test, quiet[:TEST_USERS], "Service desk")
    _join(pilot, [*damaged, *others[: PILOT_USERS - len(damaged)]], "Sales, London")
    change_wave(pilot, ALICE, batches=[FIRST_BATCH])
    for check in rollout.checks.exclude(kind__in=[RolloutCheck.Kind.MANUAL, RolloutCheck.Kind.RUNS]):
        remove_check(check, "The demo has no servers that could be asked.", ALICE)
    _answer(test)
    steering.start(test, ALICE)
    _advance()
    _put_back_in_time(rollout, test)
    _advance()
    acceptance.accept(Wave.objects.get(pk=test.pk), ALICE, note="Both say that everything works.")
    _answer(pilot)
    if can_look:
        readiness.look(pilot, BOB)
        while previews.advance(timezone.now() + timedelta(minutes=1)):
            pass
    open_gate(rollout, pilot, "MMS has not looked yet: the demo has only just been loaded.", ALICE)
    steering.start(Wave.objects.get(pk=pilot.pk), BOB)
    _advance()


def _map(rollout: Rollout, tenant: Tenant) -> None:
    bridges = {bridge.name: bridge for bridge in Bridge.objects.filter(tenant=tenant)}
    change_mapping(rollout, ALICE, bridges={bridges[people.LEGACY]: bridges[people.CLOUD]})


def _join(wave: Wave, users: Sequence[ConferencingUser], reason: str) -> None:
    add_members(wave, [user.pk for user in users], ALICE, reason=reason)


def _answer(wave: Wave) -> None:
    for check in RolloutCheck.objects.filter(wave=wave, kind=RolloutCheck.Kind.MANUAL, removed_at=None):
        answer(check, Answer.YES, "", BOB)


def _advance() -> None:
    """Let the waves go on as far as they can without runs."""
    until = timezone.now() + timedelta(minutes=1)
    while engine.advance(until):
        pass


def _put_back_in_time(rollout: Rollout, test: Wave) -> None:
    """What has happened until now happened some days ago, so that the pilot period of the test users is over."""
    rows: Sequence[tuple[QuerySet[Any], Sequence[str]]] = (
        (RolloutEvent.objects.filter(rollout=rollout), ["at"]),
        (CheckAnswer.objects.filter(rollout_check__rollout=rollout), ["at"]),
        (RolloutCheck.objects.filter(rollout=rollout), ["removed_at"]),
        (WaveMember.objects.filter(wave=test), ["added_at", "began_at", "moved_at", "finished_at"]),
        (Wave.objects.filter(pk=test.pk), ["started_at", "frozen_at", "moved_at", "observed_until", "counts_from"]),
        (Rollout.objects.filter(pk=rollout.pk), ["created"]),
    )
    for found, fields in rows:
        found.update(**{field: F(field) - AGO for field in fields})
    Wave.objects.filter(pk=test.pk).update(next_look_at=timezone.now())
