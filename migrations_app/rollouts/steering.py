"""What people do with a wave: start, pause and resume it, and retry a member alone (R77, R79, R80, R91).

Each is one transaction that locks the rollout, then the wave; the background service does the rest (``engine``). Who
may do it is for the screens and commands to know.
"""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.models import RolloutEvent, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.rollouts import events, gates, members, moving
from migrations_app.rollouts.locking import locked_member, locked_rollout, locked_wave
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import lock
from tenants_app.sentences import Sentence, sentence

LONGEST_REASON = 500

State = Wave.State
_TAKES_RETRIES = (State.RUNNING, State.PAUSED, State.STOPPED, State.OBSERVING)


@transaction.atomic
def start(wave: Wave, actor: Actor, *, at_once: bool = False) -> Wave:
    """Begin to move the wave's members, batch by batch. It takes as long for a large wave as for a small one.

    ``at_once``: whatever its earliest start and its daily window, which it has no more then. Raises
    ``ValidationError`` with what is in the way.
    """
    wave = locked(wave)
    if why := why_not_started(wave):
        raise ValidationError(why)
    now = clock.now()
    if at_once:
        wave.not_before = wave.window_from = wave.window_to = None
    wave.state, wave.started_at, wave.started_by = State.RUNNING, now, actor.name
    wave.counts_from = wave.next_look_at = now
    wave.save()
    told = sentence("Wave %(wave)s of %(rollout)s was started.", wave=wave.name, rollout=str(wave.rollout))
    _audit(wave, actor, "start wave", RolloutEvent.Kind.STARTED, told, {"at once": True} if at_once else {})
    return wave


def why_not_started(wave: Wave) -> Sentence | None:
    """What is in the way of its start, in a sentence; None where nothing is. Only reads."""
    rollout = wave.rollout
    if wave.has_started:
        return sentence("Wave %(wave)s was started already.", wave=wave.name)
    if rollout.is_finished:
        return sentence("The rollout %(rollout)s has ended: none of its waves starts any more.", rollout=str(rollout))
    if not rollout.tenant.meeting_migration_enabled:
        return sentence("Meeting migration is switched off: switch it on, then start the wave.")
    if rollout.new.is_retired:
        return sentence("%(deployment)s is retired: nobody can be moved to it.", deployment=str(rollout.new))
    others = rollout.waves.exclude(pk=wave.pk)
    if earlier := others.filter(position__lt=wave.position, state__in=Wave.NOT_STARTED).first():
        return sentence("Wave %(wave)s comes before: start it first, or remove it.", wave=earlier.name)
    if moving := others.filter(state__in=[*Wave.MOVES, State.PAUSED, State.STOPPED]).first():
        return sentence("Wave %(wave)s is not through yet: one wave moves at a time.", wave=moving.name)
    if not members.has_somebody(wave):
        return sentence("Nobody is in wave %(wave)s: add members first.", wave=wave.name)
    gate = gates.gate_of(wave)
    return None if gate.is_open else gate.sentence


@transaction.atomic
def pause(wave: Wave, actor: Actor, reason: str = "") -> Wave:
    """Move nobody else until it is resumed; runs that were asked for go on to their end (R79)."""
    wave = locked(wave)
    if wave.state not in Wave.MOVES:
        raise ValidationError(
            sentence(
                "Wave %(wave)s moves nobody now: there is nothing to pause.",
                wave=wave.name,
            )
        )
    wave.state, wave.next_look_at = State.PAUSED, clock.now()
    wave.save(update_fields=["state", "next_look_at"])
    told = sentence("Wave %(wave)s of %(rollout)s was paused.", wave=wave.name, rollout=str(wave.rollout))
    _audit(wave, actor, "pause wave", RolloutEvent.Kind.PAUSED, told, reason=_checked_reason(reason))
    return wave


@transaction.atomic
def resume(wave: Wave, actor: Actor, reason: str = "") -> Wave:
    """Let it go on. After a stop that needs a reason, and failures until now count for no other stop (R79)."""
    wave = locked(wave)
    was_stopped = wave.state == State.STOPPED
    if not was_stopped and wave.state != State.PAUSED:
        raise ValidationError(
            sentence("Wave %(wave)s is neither paused nor stopped: there is nothing to resume.", wave=wave.name)
        )
    others = wave.rollout.waves.exclude(pk=wave.pk)
    if back := others.filter(state=State.ROLLING_BACK).first():
        raise ValidationError(sentence("Wave %(wave)s is not through yet: one wave moves at a time.", wave=back.name))
    reason = _checked_reason(reason)
    if was_stopped and not reason:
        raise ValidationError(
            {"reason": sentence("The wave stopped by itself: give the reason why it may go on all the same.")}
        )
    now = clock.now()
    wave.state = State.ROLLING_BACK if wave.back_from else State.RUNNING
    wave.next_look_at = now
    if was_stopped:
        wave.counts_from, wave.stop_reason = now, ""
    wave.save(update_fields=["state", "next_look_at", "counts_from", "stop_reason"])
    told = sentence("Wave %(wave)s of %(rollout)s was resumed.", wave=wave.name, rollout=str(wave.rollout))
    _audit(wave, actor, "resume wave", RolloutEvent.Kind.RESUMED, told, reason=reason)
    return wave


@transaction.atomic
def retry(member: WaveMember, actor: Actor) -> WaveMember:
    """Try a failed member again, alone, also where the wave is paused or has stopped (R80).

    What has succeeded is not done again: one who was moved gets another run, whose meetings that are right stay.
    """
    wave = locked(member.wave)
    member = locked_member(member)
    if member.state != WaveMember.State.FAILED:
        raise ValidationError(
            sentence("%(user)s has not failed: only a failed member is tried again.", user=member.user.upn)
        )
    if wave.state not in _TAKES_RETRIES and not (member.is_going_back and wave.state == State.ROLLING_BACK):
        raise ValidationError(sentence("Wave %(wave)s has ended: its members are not tried again.", wave=wave.name))
    if wave.back_from and not member.is_going_back:
        raise ValidationError(
            sentence("The wave %(wave)s is being taken back already: wait until that has ended.", wave=wave.name)
        )
    told = _try_again(wave, member, actor)
    wave.offered_at, wave.next_look_at = None, clock.now()
    wave.save(update_fields=["offered_at", "next_look_at"])
    entry(wave.rollout.tenant, actor, "retry wave member", member.user.upn, consequence=told).save()
    wake_cluster()
    return member


def _try_again(wave: Wave, member: WaveMember, actor: Actor) -> str:
    """Start another run of one who was moved, or have the account moved again. What comes of it, in a sentence."""
    if member.moved_at and not member.is_going_back:
        lock(wave.rollout.tenant)
        (consequence,) = start_by_hand(wave.rollout.tenant, [member.user], actor, now_due=True)
        if not consequence.starts_run:
            raise ValidationError(consequence.sentence)
        member.state, member.failure, member.finished_at = WaveMember.State.UPDATING, "", None
        member.save(update_fields=["state", "failure", "finished_at"])
        return consequence.sentence
    if not wave.rollout.tenant.meeting_migration_enabled:  # R12
        raise ValidationError(
            sentence(
                "No run, because %(why)s.",
                why=sentence("the service is switched off for this tenant: switch MeetingMigrationEnabled on first"),
            )
        )
    moving.move_alone(wave, member, actor)
    return sentence("The member is moved again.")


def locked(wave: Wave) -> Wave:
    """The wave with its rollout, both held until the transaction ends."""
    rollout = locked_rollout(wave.rollout, is_open=False)
    found = locked_wave(wave)
    found.rollout = rollout
    return found


def _checked_reason(reason: str) -> str:
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise ValidationError(
            {"reason": sentence("The reason has more than %(most)s characters: shorten it.", most=LONGEST_REASON)}
        )
    return reason


def _audit(
    wave: Wave,
    actor: Actor,
    action: str,
    kind: RolloutEvent.Kind,
    told: Sentence,
    after: dict[str, object] | None = None,
    reason: str = "",
) -> None:
    """Note it in the audit and in the timeline, and wake whoever does the rest."""
    noted = {**(after or {}), **({"reason": reason} if reason else {})}
    entry(wave.rollout.tenant, actor, action, f"{wave.rollout}/{wave.name}", after=noted, consequence=told).save()
    events.note(wave.rollout, kind, told, wave=wave, by=actor.name, reason=reason)
    wake_cluster()
