"""Moving members in one of two directions: their accounts by a mover, then their settings in one change (R62, R63).

Who moved the accounts is asked outside of transactions; everything else is done in the transaction of the caller, who
holds the wave. A wave that has to stop is stopped here too, where somebody fails (R78).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from migrations_app.models import RolloutEvent, Run, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.rollouts import counting, events, forward, going_back, movers
from migrations_app.rollouts.stopping import why_stopped
from tenants_app import bulk
from tenants_app.audit import Actor, Channel
from tenants_app.models import Deployment
from tenants_app.sentences import sentence
from tenants_app.wording import sentences

log = logging.getLogger(__name__)

PIECE = 500
"""Members in one transaction."""
LEASE = timedelta(seconds=movers.TIMEOUT) + timedelta(minutes=1)
"""How long a program that moves an account is left alone; after that it is called again for the same user."""

State = WaveMember.State
GOES_ON = (
    Wave.State.RUNNING,
    Wave.State.ROLLING_BACK,
    Wave.State.PAUSED,
    Wave.State.STOPPED,
    Wave.State.OBSERVING,
)
"""States in which members may still change: those who were moved already are followed also where nobody else is."""
STOPS = (*Wave.MOVES, Wave.State.OBSERVING)
KEPT = (
    *("state", "decision", "before", "moved_at", "finished_at", "run", "undo_run", "failure", "is_current", "batch"),
    *("asked_at", "attempts", "is_going_back"),
)
"""What steps change of a member."""

BROKEN = sentence("It could not be done: look into the log of the workers, then retry this member alone.")


class Direction(Protocol):
    """What is done with members, on one of the two ways."""

    def target(self, wave: Wave) -> Deployment:
        """Where their accounts are moved to."""

    def change(self, wave: Wave, members: Sequence[WaveMember], actor: Actor, now: datetime) -> None:
        """Change their settings, now that their accounts are there."""

    def settle(self, wave: Wave, ended: Sequence[tuple[WaveMember, Run | None]], now: datetime) -> None:
        """Note what became of members whose latest run has ended, or goes on anew."""

    def end(self, wave: Wave, now: datetime) -> None:
        """Note in the wave's row that nobody is left to be moved."""


DIRECTIONS: Mapping[bool, Direction] = {False: forward, True: going_back}
"""By whether members go back."""


# --- holding and stopping a wave ----------------------------------------------------------------------


def locked(pk: int, *, waits: bool = False) -> Wave | None:
    """The wave, held until the transaction ends; None where another worker has it, or it needs nobody any more."""
    waves = Wave.objects.select_for_update(of=("self",), skip_locked=not waits, no_key=True)
    found = waves.select_related("rollout__tenant", "rollout__new", "rollout__legacy")
    return found.filter(pk=pk, next_look_at__isnull=False, state__in=GOES_ON).first()


def stops(wave: Wave) -> bool:
    """Stop the wave where R78 says so: nobody else is moved (R79). Whether it was stopped."""
    why = why_stopped(counting.counted(wave), counting.thresholds_of(wave))
    if why is None:
        return False
    stop(wave, why)
    return True


def stop(wave: Wave, why: str) -> None:
    """Stop the wave, with one event, of which one alert comes."""
    wave.state, wave.stop_reason, wave.next_look_at = Wave.State.STOPPED, why, clock.now()
    wave.save(update_fields=["state", "stop_reason", "next_look_at"])
    told = sentence(
        "Wave %(wave)s of %(rollout)s has stopped: %(why)s", wave=wave.name, rollout=str(wave.rollout), why=why
    )
    events.note(wave.rollout, RolloutEvent.Kind.STOPPED, told, wave=wave)


# --- moving ---------------------------------------------------------------------------------------------


def actor_of(wave: Wave) -> Actor:
    """In whose name members are moved: whoever started the wave."""
    return Actor(wave.started_by, Channel.SERVICE)


def is_back(wave: Wave) -> bool:
    return bool(wave.back_from)


def move(wave: Wave, now: datetime) -> bool | WaveMember | None:
    """Move some of the batch. Returns None where none of them waits for that."""
    if not wave.rollout.tenant.meeting_migration_enabled:  # R12
        return None
    found = list(held(on_the_way(wave).filter(state=State.WAITING, batch__isnull=False))[:PIECE])
    if not found:
        return None
    mover = DIRECTIONS[is_back(wave)].target(wave).mover
    if mover == Deployment.Mover.RECORD:
        _change(wave, found, now)
        return True
    if mover == Deployment.Mover.COMMAND:
        return _claim(found[0], now)
    for member in found:
        _count_attempt(member, now)
    bulk.update(found, [*KEPT, "began_at"])
    return True


def on_the_way(wave: Wave) -> QuerySet[WaveMember]:
    """The members who go in the direction in which the wave goes."""
    return wave.members.filter(is_going_back=is_back(wave))


def held(which: QuerySet[WaveMember]) -> QuerySet[WaveMember]:
    """The members, locked in the order in which everybody locks them."""
    return which.select_for_update(of=("self",), no_key=True).select_related("user").order_by("pk")


def _count_attempt(member: WaveMember, now: datetime) -> None:
    member.state, member.asked_at = State.MOVING, now
    member.attempts += 1
    member.began_at = member.began_at or now


def _claim(member: WaveMember, now: datetime) -> WaveMember:
    """Count the attempt before the program is called: a worker that is killed leaves a member whom the next finds."""
    _count_attempt(member, now)
    member.save(update_fields=["state", "asked_at", "attempts", "began_at"])
    return member


def left_moving(wave: Wave, now: datetime) -> bool | WaveMember:
    """Take those further whom a step has left on their way, also where nobody else is moved. Returns whether there were
    any, or one whose program a worker had called that was killed: their account may be moved by now."""
    is_answered = Q(asked_at=None)
    is_over = is_answered | Q(asked_at__lt=now - LEASE) | Q(asked_at__gt=now + clock.TOLERANCE)
    which = Q()
    for is_back, direction in DIRECTIONS.items():
        is_list = direction.target(wave).mover == Deployment.Mover.LIST
        which |= Q(is_answered if is_list else is_over, is_going_back=is_back)
    busy = Run.objects.filter(user=OuterRef("user"), state=Run.State.IN_PROGRESS)
    free = Q(is_going_back=False) | ~Exists(busy)  # who goes back waits until nobody works on their meetings
    found = list(held(wave.members.filter(which, free, state=State.MOVING))[:PIECE])
    for member in found:
        if DIRECTIONS[member.is_going_back].target(wave).mover == Deployment.Mover.COMMAND:
            return _claim(member, now)
    _change(wave, found, now)
    return bool(found)


def ask(wave: Wave, member: WaveMember) -> None:
    """Call the program that moves the account, outside of any transaction, and note what it answered."""
    deployment = DIRECTIONS[member.is_going_back].target(wave)
    try:
        answer = movers.ask(deployment, member.user.upn)
    except Exception:
        log.exception("the mover of %s failed for member %s", deployment.pk, member.pk)
        answer = movers.Moved(movers.State.FAILED, BROKEN)
    note_answers(wave, {member.user_id: answer}, {member.pk: member.asked_at})


@transaction.atomic
def note_answers(
    wave: Wave,
    answers: Mapping[int, movers.Moved],
    asked_at: Mapping[int, datetime | None] | None = None,
    actor: Actor | None = None,
) -> int:
    """Take it that these users' accounts (keys) were moved, or were not; how many of them were waiting for that.

    With ``asked_at`` an answer counts only where nobody has asked anew since, of members by their keys.
    """
    found = locked(wave.pk, waits=True)
    if found is None:
        return 0
    now, noted = clock.now(), 0
    for some in bulk.batched(sorted(answers), PIECE):
        waiting = list(held(found.members.filter(state=State.MOVING, user__in=some)))
        if asked_at is not None:
            waiting = [member for member in waiting if asked_at.get(member.pk) == member.asked_at]
        noted += len(waiting)
        refused = [member for member in waiting if not answers[member.user_id].is_done]
        for member in refused:
            _fail(member, answers[member.user_id].sentence, now)
        bulk.update(refused, KEPT)
        moved = [member for member in waiting if answers[member.user_id].is_done]
        for member in moved:
            member.asked_at = None
        _change(found, moved, now, actor)
    if found.state in STOPS:
        stops(found)
    if noted and found.state != Wave.State.STOPPED:
        found.next_look_at = now
        found.save(update_fields=["next_look_at"])
    return noted


def _fail(member: WaveMember, why: str, now: datetime) -> None:
    member.state, member.finished_at, member.failure = State.FAILED, now, why


def _change(wave: Wave, these: list[WaveMember], now: datetime, actor: Actor | None = None) -> None:
    """Change the settings of members whose accounts are moved, all of them at once; where one cannot be, one by one,
    until the wave stops. It is done in the name of ``actor``, or of whoever started the wave."""
    by = actor or actor_of(wave)
    if not these:
        return
    for member in these:
        if member.state == State.WAITING:
            member.attempts += 1
            member.began_at = member.began_at or now
    try:
        with transaction.atomic():
            _changed(wave, these, now, by)
            return
    except (OperationalError, InterfaceError):
        raise  # about the database and not about the members: the step is taken again
    except Exception as error:
        if not isinstance(error, ValidationError):
            log.exception("a batch of wave %s went wrong; its members are tried one by one", wave.pk)
    for member in these:
        fresh = held(wave.members.filter(pk=member.pk)).get()
        fresh.attempts, fresh.began_at, fresh.asked_at = member.attempts, member.began_at, member.asked_at
        if not _changed_alone(wave, fresh, now, by) and wave.state in STOPS and member.batch and stops(wave):
            return


def _changed_alone(wave: Wave, member: WaveMember, now: datetime, by: Actor) -> bool:
    """Change the settings of one member, or note why that cannot be."""
    try:
        with transaction.atomic():
            _changed(wave, [member], now, by)
            return True
    except (OperationalError, InterfaceError):
        raise
    except ValidationError as error:
        why = sentences(error)
    except Exception:
        log.exception("member %s could not be changed", member.pk)
        why = BROKEN
    _fail(member, why, now)
    bulk.update([member], KEPT)
    return False


def _changed(wave: Wave, these: list[WaveMember], now: datetime, by: Actor) -> None:
    for is_back, direction in DIRECTIONS.items():
        some = [member for member in these if member.is_going_back == is_back]
        if some:
            direction.change(wave, some, by, now)
            bulk.update(some, [*KEPT, "began_at"])


def move_alone(wave: Wave, member: WaveMember, actor: Actor) -> None:
    """Move a failed member once more, in the caller's transaction, which holds both rows: at once where accounts are
    recorded only, else the program is called, or the result waited for."""
    now = clock.now()
    member.failure, member.finished_at, member.batch = "", None, member.batch or wave.batch
    if DIRECTIONS[member.is_going_back].target(wave).mover == Deployment.Mover.RECORD:
        member.state = State.WAITING
        member.save(update_fields=["state", "failure", "finished_at", "batch"])
        _change(wave, [member], now, actor)
        return
    member.state, member.asked_at = State.MOVING, None
    if DIRECTIONS[member.is_going_back].target(wave).mover == Deployment.Mover.LIST:
        _count_attempt(member, now)
    member.save(update_fields=["state", "failure", "finished_at", "batch", "asked_at", "attempts"])
