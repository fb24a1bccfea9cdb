"""A wave going on by itself: members in batches, each moved once and followed to the end of their run (R77 to R81).

Each step is one transaction that holds the wave's row, and says in rows how far it is: whoever was killed, the next
worker goes on. Rows are locked in this order: wave, members, tenant, users, runs.

1. Who is to move is listed as members, some at a time (R66).
2. Members whose run has ended are Done or Failed; the stop rule is asked wherever somebody failed (R78).
3. Members of the batch are moved: at once where somebody has moved their accounts already; one by one where a program
   does it, which is called outside of transactions, with its attempt counted before; or they wait for the result of the
   list that MMS has written (R63).
4. Once all of the batch have ended, the next begins, where the window and the gate are open; or the wave has ended.

What is done with a member is a matter of the direction (``forward``, ``going_back``).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from migrations_app.models import RolloutEvent, Run, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.rollouts import events, gates, members, moving, organizers, readiness
from migrations_app.targets import UNDO
from tenants_app import bulk
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.wording import sentences

log = logging.getLogger(__name__)

LOOK = timedelta(minutes=1)
"""After so long a wave is looked after again that waits for something of which nobody tells it."""

IS_WAITED_FOR = True

State = WaveMember.State


# --- the main loop --------------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Take one step of each wave that has one. Returns whether any was taken: then more may follow, and runs."""
    goes_on = False
    for pk in list(_due(clock.now()).order_by("next_look_at", "pk").values_list("pk", flat=True)):
        if timezone.now() < until:
            goes_on |= _try_step(pk)
    return goes_on


def is_due(now: datetime) -> bool:
    """Whether some wave has a step to be taken at this moment."""
    return _due(now).exists()


def settles_at() -> datetime | None:
    """None: they do not wait for a settling time."""
    return None


def look_at(wave: Wave) -> None:
    """Have the wave looked after at once; in the transaction of what has happened to it."""
    Wave.objects.filter(pk=wave.pk).update(next_look_at=clock.now())


def _due(now: datetime) -> QuerySet[Wave]:
    """Waves to be looked after by now, or with a member whose run has ended."""
    has_ended = WaveMember.objects.filter(_run_has_ended(), wave=OuterRef("pk"), state=State.UPDATING)
    waves = Wave.objects.filter(next_look_at__isnull=False, state__in=moving.GOES_ON)
    return waves.filter(Q(next_look_at__lte=now) | Exists(has_ended))


def _latest_runs() -> QuerySet[Run]:
    return Run.objects.filter(user=OuterRef("user"), is_latest=True)


def _run_has_ended() -> Q:
    """Members whose latest run is not under way. A later change may have put another one in the place of the first
    (R18): it is the latest that counts."""
    return Q(~Exists(_latest_runs().filter(state__in=[Run.State.PENDING, Run.State.IN_PROGRESS])))


def _try_step(pk: int) -> bool:
    """Take the next step, whatever happens. Returns whether another may follow at once."""
    try:
        return _step(pk)
    except Exception:
        log.exception("wave %s could not go on; it is tried again", pk)
        Wave.objects.filter(pk=pk).update(next_look_at=clock.now() + LOOK)
        return False


def _step(pk: int) -> bool:
    with transaction.atomic():
        wave = moving.locked(pk)
        if wave is None:
            return False
        now = clock.now()
        asked = _next(wave, now)
        if asked and wave.state in moving.GOES_ON and (wave.next_look_at is None or wave.next_look_at > now):
            _wait(wave, now)  # for nothing: another step may follow
    if isinstance(asked, WaveMember):
        moving.ask(wave, asked)
        return True
    return asked


def _next(wave: Wave, now: datetime) -> bool | WaveMember:
    """Take the next step. Returns whether another may follow at once, or the member whose account a program moves."""
    if wave.frozen_at is None and wave.state == Wave.State.RUNNING:
        return _freeze(wave, now)
    if _settle(wave, now, State.UPDATING):
        return True
    if wave.state in moving.STOPS and moving.stops(wave):
        return True
    if left := moving.left_moving(wave, now):
        return left
    if wave.state in Wave.MOVES and (asked := moving.move(wave, now)) is not None:
        return asked
    if _settle(wave, now, State.DONE) or _settle(wave, now, State.FAILED):
        return True
    if wave.state in Wave.MOVES:
        return _go_on(wave, now)
    if wave.state == Wave.State.OBSERVING:
        return _observe(wave, now)
    return _wait(wave, now + LOOK)


def _wait(wave: Wave, until: datetime | None) -> bool:
    wave.next_look_at = until
    wave.save(update_fields=["next_look_at"])
    return False


# --- who is to move -------------------------------------------------------------------------------------


def _freeze(wave: Wave, now: datetime) -> bool:
    """List the next users of its filter as members (R66); of the last ones it is known what is planned."""
    try:
        last = members.freeze(wave, wave.cursor, moving.PIECE)
    except ValidationError as error:  # the filter asks for what is not there any more
        moving.stop(wave, sentences(error))
        return True
    if last is None:
        wave.frozen_at, wave.cursor = now, 0
        wave.planned = readiness.plan_of(wave, now)
        if wave.tells_before and (opens := opens_at(wave, now)) > now:
            organizers.tell_before(wave, opens)
    else:
        wave.cursor = last
    wave.save(update_fields=["frozen_at", "planned", "cursor"])
    return True


# --- what became of those who moved ---------------------------------------------------------------------


def _settle(wave: Wave, now: datetime, state: str) -> bool:
    """Note of some members in that state how their latest run has ended, or that another goes on. Whether there were
    any."""
    found = list(moving.held(wave.members.filter(_is_another_by_now(state), state=state))[: moving.PIECE])
    for is_back, direction in moving.DIRECTIONS.items():
        these = [member for member in found if member.is_going_back == is_back]
        if these:
            latest = Run.objects.filter(user__in=[member.user_id for member in these], is_latest=True)
            runs = {run.user_id: run for run in latest}
            direction.settle(wave, [(member, runs.get(member.user_id)) for member in these], now)
            bulk.update(these, moving.KEPT)
    return bool(found)


def _is_another_by_now(state: str) -> Q:
    """Which members in the state are in another one by their latest run: one that is under way has ended, one who was
    done has failed since, and one who had failed was helped, or somebody tries it again. Of how a move went an undo by
    hand says nothing."""
    if state == State.UPDATING:
        return _run_has_ended()
    since = _latest_runs().filter(created__gte=OuterRef("moved_at")).exclude(migration_type=UNDO)
    runs = since.filter(state=Run.State.FAILED) if state == State.DONE else since.exclude(state=Run.State.FAILED)
    return Q(Exists(runs), is_going_back=False, moved_at__isnull=False)


# --- batch by batch -------------------------------------------------------------------------------------


def _go_on(wave: Wave, now: datetime) -> bool:
    """Begin the next batch where the last has ended and it may begin, or end the moving where nobody is left.

    Going back waits for no window and for no gate: what is wrong there may be why it goes back.
    """
    these = moving.on_the_way(wave)
    left = these.filter(state=State.WAITING)
    is_off = not wave.rollout.tenant.meeting_migration_enabled
    if is_off or these.filter(state__in=WaveMember.UNDER_WAY).exists():
        return _wait(wave, now + LOOK)
    if not left.exists():
        moving.DIRECTIONS[moving.is_back(wave)].end(wave, now)
        wave.save()
        return True
    is_opened_by_hand = False
    if not moving.is_back(wave):
        if (opens := opens_at(wave, now)) > now:
            return _wait(wave, opens)
        gate = gates.gate_of(wave, now)
        if not gate.is_open:
            return _wait(wave, now + LOOK)
        is_opened_by_hand = gate.is_opened_by_hand
    wave.batch += 1
    sizes = wave.batch_sizes()
    size = sizes[min(wave.batch, len(sizes)) - 1]
    chosen = left.filter(batch=None).order_by("pk").values("pk")[:size]
    taken = wave.members.filter(pk__in=list(chosen.values_list("pk", flat=True))).update(batch=wave.batch)
    wave.next_look_at = now
    wave.save(update_fields=["batch", "next_look_at"])
    if is_opened_by_hand:
        gates.use_opening(wave, wave.started_by)
    told = sentence_plural(
        "Batch %(batch)s of wave %(wave)s has begun, with %(n)s member.",
        "Batch %(batch)s of wave %(wave)s has begun, with %(n)s members.",
        taken,
        batch=wave.batch,
        wave=wave.name,
    )
    events.note(wave.rollout, RolloutEvent.Kind.BATCH, told, wave=wave)
    return True


def opens_at(wave: Wave, now: datetime) -> datetime:
    """From when on a batch may begin: now, or what comes after it of the earliest start and the next daily window."""
    earliest = max(now, wave.not_before or now)
    if wave.window is None:
        return earliest
    opens, _ = wave.window.next_opening(wave.zone, earliest)
    return max(opens, earliest)


# --- after the last batch -------------------------------------------------------------------------------


def _observe(wave: Wave, now: datetime) -> bool:
    """Offer the wave for acceptance once its pilot period is over and nobody is under way (R81)."""
    if wave.members.filter(state__in=[State.WAITING, *WaveMember.UNDER_WAY]).exists():
        return _wait(wave, now + LOOK)
    if wave.tells_after and wave.told_after_at is None:
        if organizers.tell_after(wave, now):
            wave.told_after_at = now
        wave.save(update_fields=["cursor", "told_after_at"])
        return True
    until = wave.observed_until or now
    if until > now:
        return _wait(wave, min(until, now + LOOK))
    if wave.offered_at is None:
        wave.offered_at = now
        told = sentence(
            "Wave %(wave)s of %(rollout)s is ready for acceptance.", wave=wave.name, rollout=str(wave.rollout)
        )
        events.note(wave.rollout, RolloutEvent.Kind.OFFERED, told, wave=wave)
    wave.next_look_at = now + LOOK
    wave.save(update_fields=["offered_at", "next_look_at"])
    return False
