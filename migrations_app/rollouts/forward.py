"""Members on their way to the new deployment: their settings are changed, and their run is followed (R62, R80).

``going_back`` has the same functions for the way back (R84); ``engine`` walks the batches of either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from migrations_app.models import RolloutEvent, Run, Wave, WaveMember
from migrations_app.rollouts import events
from migrations_app.rollouts.mapping import mapping_of
from tenants_app.audit import Actor
from tenants_app.changes.conference_ids import own_conference_ids
from tenants_app.changes.deployments import move_users
from tenants_app.models import ConferencingUser, Deployment
from tenants_app.sentences import sentence, sentence_plural

State = WaveMember.State


def target(wave: Wave) -> Deployment:
    """To which deployment they move, and so who moves the accounts (R63)."""
    return wave.rollout.new


def change(wave: Wave, members: Sequence[WaveMember], actor: Actor, now: datetime) -> None:
    """Change the settings of members whose account has been moved, in one change (R62); the caller's transaction.

    As many statements for many as for one. Sets what became of each in its row, which the caller saves. Raises
    ``ValidationError``, and changes nobody, where one of them cannot be changed.
    """
    rollout = wave.rollout
    pks = [member.user_id for member in members]
    before = _settings(pks)
    consequences = move_users(
        rollout.tenant, pks, rollout.new, actor, mapping=mapping_of(rollout), due_now=True, part_of=wave
    )
    said = {consequence.upn: consequence for consequence in consequences}
    started = {member.user_id for member in members if said[member.user.upn].starts_run}
    runs = dict(Run.objects.filter(user__in=started, is_latest=True).values_list("user_id", "pk"))
    for member in members:
        member.decision = said[member.user.upn].sentence
        member.before = member.before or before[member.user_id]
        member.moved_at = member.moved_at or now
        member.failure = ""
        if member.user_id in runs:
            member.run_id = runs[member.user_id]
            member.state, member.finished_at = State.UPDATING, None
        else:
            member.state, member.finished_at = State.DONE, now


def _settings(pks: Sequence[int]) -> Mapping[int, dict[str, Any]]:
    """What the users have before they move, by their keys."""
    users = list(ConferencingUser.objects.filter(pk__in=pks))
    ids = own_conference_ids(users)
    return {
        user.pk: {
            "deployment": user.deployment_id,
            "hosting": user.hosting,
            "bridge": user.bridge_id,
            "toll_number": user.toll_number_id,
            "toll_free_number": user.toll_free_number_id,
            "conference_id": ids[user.pk].digits if user.pk in ids else "",
        }
        for user in users
    }


def settle(wave: Wave, ended: Iterable[tuple[WaveMember, Run | None]], now: datetime) -> None:
    """Note how the latest run of each of these members has ended, or that another goes on; the caller saves."""
    for member, run in ended:
        if run is not None and not run.has_ended:
            member.state, member.finished_at, member.failure, member.run = State.UPDATING, None, "", run
        elif run is not None and run.state == Run.State.FAILED:
            member.state, member.finished_at = State.FAILED, run.finished_at or now
            member.failure, member.run = run.last_error_message, run
        else:
            member.state, member.failure = State.DONE, ""
            member.finished_at = run.finished_at if run is not None and run.finished_at else now
            member.run = run or member.run


def end(wave: Wave, now: datetime) -> None:
    """Nobody is left to move: the pilot period begins, or goes on (R81). The caller saves the wave."""
    wave.state = Wave.State.OBSERVING
    if wave.moved_at is None:
        wave.moved_at = now
        wave.observed_until = now + timedelta(days=wave.observe_days)
        events.note(wave.rollout, RolloutEvent.Kind.MOVED, _moved(wave), wave=wave)
    wave.next_look_at = now


def _moved(wave: Wave) -> str:
    if not wave.observe_days:
        return sentence("All members of wave %(wave)s have ended.", wave=wave.name)
    return sentence_plural(
        "All members of wave %(wave)s have ended: it is observed for %(n)s day.",
        "All members of wave %(wave)s have ended: it is observed for %(n)s days.",
        wave.observe_days,
        wave=wave.name,
    )
