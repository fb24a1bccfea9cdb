"""Taking a wave back: what that leads to, asking for it, and the way of each member (R83 to R87).

The engine walks the members in batches, as forward, and asks here for what is different on the way back: the settings
that were kept go back by the mapping reversed, and the runs since the move are undone, the latest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from migrations_app.models import Rollback, RolloutEvent, Run, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.preview.foretold import Foretold, Totals, foretell_all
from migrations_app.preview.plans import is_small, planned_now
from migrations_app.preview.rollback_plan import RollbackOfWave
from migrations_app.rollouts import events, searching
from migrations_app.rollouts.locking import locked_rollout
from migrations_app.rollouts.mapping import mapping_of
from migrations_app.runs.queue import lock_users, wake_cluster
from migrations_app.runs.taking_back import members_to_go_back, runs_to_undo, withdraw_pending
from migrations_app.runs.undo_start import start_undo
from tenants_app.audit import SERVICE, Actor, entry
from tenants_app.bulk import batched
from tenants_app.changes.locking import lock
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.models import Bridge, ConferencingUser, Deployment, ServiceNumber
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.wording import sentences

State = WaveMember.State

MAY_GO_BACK = (
    Wave.State.RUNNING,
    Wave.State.PAUSED,
    Wave.State.STOPPED,
    Wave.State.OBSERVING,
    Wave.State.COMPLETED,
    Wave.State.COMPLETED_WITH_ERRORS,
)
"""States of a wave that can be taken back (R83)."""


# --- before it starts ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Foresight:
    """What taking the wave back would lead to (R83)."""

    wave: Wave
    members: int
    """How many move back."""
    refusal: str = ""
    """Why it cannot be done; empty where it can."""
    totals: Totals | None = None
    """What becomes of the meetings; None where there are more than somebody can wait for (:class:`RollbackOfWave`)."""
    told: list[Foretold] = field(default_factory=list)


def foresee(wave: Wave, users: Collection[ConferencingUser] | None = None) -> Foresight:
    """How many members move back, which meetings are put back, and who is told; only reads."""
    pks = _keys(users)
    foresight = Foresight(wave, members_to_go_back(wave, pks).count(), why_not_rolled_back(wave, users))
    plan = RollbackOfWave.of(wave, pks)
    if foresight.members and is_small(plan):
        foresight.told, foresight.totals = foretell_all(planned_now(plan))
    return foresight


def why_not_rolled_back(wave: Wave, users: Collection[ConferencingUser] | None = None) -> str:
    """Why the wave, or the chosen members, cannot be taken back now, in one sentence; empty where they can."""
    rollout = wave.rollout
    if rollout.legacy.retired_at is not None:
        return sentence(
            "%(deployment)s has been retired since %(since)s, so nobody can go back to it: take its retirement back "
            "first.",
            deployment=rollout.legacy.name,
            since=rollout.legacy.retired_at,
        )
    if rollout.is_finished:
        return sentence("The rollout has ended, so its waves stay as they are.")
    if wave.state == Wave.State.ROLLING_BACK or wave.back_from:
        return sentence("The wave %(wave)s is being taken back already: wait until that has ended.", wave=wave.name)
    if wave.state not in MAY_GO_BACK:
        return (
            sentence("The wave %(wave)s has been taken back already.", wave=wave.name)
            if wave.state == Wave.State.ROLLED_BACK
            else sentence("The wave %(wave)s has not started, so there is nothing to take back.", wave=wave.name)
        )
    if later := _later_wave_with_moved(wave):
        return sentence(
            "Members of the later wave %(later)s have moved: take that back first, waves go back latest first.",
            later=later.name,
        )
    if going := Wave.objects.filter(
        rollout=rollout.pk, position__gt=wave.position, state__in=Wave.MOVES
    ).first():  # it has moved nobody yet, and would while this one goes back
        return sentence("Wave %(wave)s is not through yet: one wave moves at a time.", wave=going.name)
    pks = _keys(users)
    there = set(members_to_go_back(wave, pks).values_list("user", flat=True)) if pks is not None else set()
    for user in users or ():
        if user.pk not in there:
            return sentence(
                "%(upn)s has not moved in the wave %(wave)s, so there is nothing to take back.",
                upn=user.upn,
                wave=wave.name,
            )
    if pks == [] or not members_to_go_back(wave, pks).exists():
        return sentence("Nobody of the wave %(wave)s has moved, so there is nothing to take back.", wave=wave.name)
    return ""


def _later_wave_with_moved(wave: Wave) -> Wave | None:
    later = Wave.objects.filter(rollout=wave.rollout_id, position__gt=wave.position).order_by("-position")
    return next((each for each in later if members_to_go_back(each).exists()), None)


def _keys(users: Collection[ConferencingUser] | None) -> list[int] | None:
    return None if users is None else sorted({user.pk for user in users})


# --- asking for it ------------------------------------------------------------------------------------


@transaction.atomic
def roll_back(
    wave: Wave, actor: Actor, users: Collection[ConferencingUser] | None = None, reason: str = ""
) -> Rollback:
    """Take the wave back, or the chosen members. Answers at once, whatever the size: the engine does it in batches.

    From this moment on the wave moves nobody forward. Raises ``ValidationError`` with one sentence where it cannot be.
    """
    locked_rollout(wave.rollout, is_open=False)  # nobody retires the legacy deployment meanwhile
    # With the later ones, so that none of them begins to move meanwhile.
    locked = Wave.objects.select_for_update(of=("self",), no_key=True).filter(
        rollout=wave.rollout_id, position__gte=wave.position
    )
    found = list(locked.select_related("rollout__tenant", "rollout__legacy", "rollout__new").order_by("position"))
    wave = found[0]
    if refusal := why_not_rolled_back(wave, users):
        raise ValidationError(refusal)
    now = clock.now()
    count = _set_off(members_to_go_back(wave, _keys(users)))
    begun = Rollback.objects.create(
        wave=wave,
        is_whole=users is None,
        members=count,
        asked_at=now,
        asked_by=actor.name,
        reason=reason.strip()[:500],
    )
    wave.back_from, wave.state = wave.state, Wave.State.ROLLING_BACK
    wave.batch, wave.counts_from, wave.next_look_at = 0, now, now
    wave.save(update_fields=["back_from", "state", "batch", "counts_from", "next_look_at"])
    told = sentence_plural(
        "The wave %(wave)s is being taken back: %(n)s member moves back to %(deployment)s.",
        "The wave %(wave)s is being taken back: %(n)s members move back to %(deployment)s.",
        count,
        wave=wave.name,
        deployment=wave.rollout.legacy.name,
    )
    events.note(wave.rollout, RolloutEvent.Kind.ROLLBACK, told, wave=wave, by=actor.name, reason=begun.reason)
    if searching.hosts_of_new_alone(wave.rollout):
        searching.begin_for(wave, actor)  # what cannot go back is listed while the others do (R85)
    after = {"members": count, **({"reason": begun.reason} if begun.reason else {})}
    entry(wave.rollout.tenant, actor, "roll back wave", wave.name, after=after, consequence=told).save()
    wake_cluster()
    return begun


def _set_off(members: models.QuerySet[WaveMember]) -> int:
    return members.update(
        is_going_back=True,
        state=State.WAITING,
        batch=None,
        attempts=0,
        asked_at=None,
        failure="",
        finished_at=None,
        undo_run=None,
    )


# --- what the engine asks for -------------------------------------------------------------------------


def target(wave: Wave) -> Deployment:
    """Where its members go: whose mover is asked."""
    return wave.rollout.legacy


def change(wave: Wave, members: Sequence[WaveMember], actor: Actor, now: datetime) -> None:
    """Move these members back, whose accounts were moved, and begin to undo what the runs since have changed.

    In the engine's transaction, which has locked the wave and the members and saves them. Who has a run in progress
    stays ``Moving``, to be offered again once it has ended. Raises ``ValidationError`` where the settings of one of
    them cannot be changed.
    """
    tenant = lock(wave.rollout.tenant)
    pks = [member.user_id for member in members]
    for some in batched(sorted(pks)):
        lock_users(some)
    begun = _open(wave)
    by = begun.asked_by if begun else SERVICE.name
    # Before anybody asks who is at work: a worker may have claimed a pending run meanwhile.
    at_work = set()
    for some in batched(sorted(pks)):
        list(Run.objects.select_for_update().filter(user__in=some, state=Run.State.PENDING))
        busy = Run.objects.filter(user__in=some, state=Run.State.IN_PROGRESS)
        at_work |= set(busy.values_list("user_id", flat=True))
    free = []
    for member in members:
        if member.user_id in at_work:
            member.state, member.asked_at = State.MOVING, None
        else:
            free.append(member)
    for some in batched([member.user_id for member in free]):
        withdraw_pending(some, by)
    edits = _edits(wave, free)
    told = {each.upn: each.sentence for each in change_users(tenant, edits, actor, due_now=True)} if edits else {}
    undone_by = Actor(by, actor.channel)
    for member in free:
        member.decision = told.get(member.user.upn, "")
        _go_on(member, begun, undone_by, now)


def settle(wave: Wave, ended: Iterable[tuple[WaveMember, Run | None]], now: datetime) -> None:
    """Go on with members under way back whose latest run has ended, and for whom none is pending or in progress.

    In the engine's transaction, which has locked the members and saves them.
    """
    begun = _open(wave)
    actor = Actor(begun.asked_by if begun else SERVICE.name, SERVICE.channel)
    for member, run in ended:
        if run is not None and run.pk == member.undo_run_id and run.state == Run.State.FAILED:
            _fail(member, run.last_error_message, now)
        else:
            _go_on(member, begun, actor, now)


def end(wave: Wave, now: datetime) -> None:
    """All members who were to go back have ended: say so, and set the wave's state, which the engine saves."""
    begun = _open(wave)
    back = wave.members.filter(is_going_back=True)
    is_whole = begun is None or begun.is_whole
    since = begun.asked_at if begun else wave.counts_from or now
    returned = back.filter(state=State.ROLLED_BACK, finished_at__gte=since).count()
    failed = back.filter(state=State.FAILED, finished_at__gte=since).count()
    before, wave.back_from = wave.back_from, ""
    if is_whole and not failed:
        wave.state, wave.next_look_at = Wave.State.ROLLED_BACK, None
        _let_go(wave, now)
    else:
        wave.state = Wave.State.PAUSED if before == Wave.State.RUNNING else Wave.State(before or Wave.State.PAUSED)
        wave.next_look_at = None if wave.state in Wave.ENDED else now
        forward = wave.members.filter(is_going_back=False).aggregate(last=models.Max("batch"))
        wave.batch = forward["last"] or 0  # the next one forward is no batch that was there (R78)
    if begun:
        begun.ended_at, begun.returned, begun.failed = now, returned, failed
        begun.save(update_fields=["ended_at", "returned", "failed"])
    events.note(wave.rollout, RolloutEvent.Kind.ROLLED_BACK, _told_of_end(wave, returned, failed), wave=wave)


def _told_of_end(wave: Wave, returned: int, failed: int) -> str:
    done = {"wave": wave.name, "deployment": wave.rollout.legacy.name}
    if not failed:
        return sentence_plural(
            "Of the wave %(wave)s %(n)s member is back on %(deployment)s.",
            "Of the wave %(wave)s %(n)s members are back on %(deployment)s.",
            returned,
            **done,
        )
    return sentence_plural(
        "Of the wave %(wave)s %(n)s member is back on %(deployment)s, and %(failed)s could not be taken back.",
        "Of the wave %(wave)s %(n)s members are back on %(deployment)s, and %(failed)s could not be taken back.",
        returned,
        failed=failed,
        **done,
    )


def _let_go(wave: Wave, now: datetime) -> None:
    """Those who never moved may join a later wave (R87)."""
    stayed = wave.members.filter(is_current=True, state__in=[State.WAITING, State.FAILED])
    stayed.update(
        state=State.EXCLUDED,
        is_current=False,
        is_going_back=False,
        finished_at=now,
        failure=sentence("The wave was taken back before they moved."),
    )


# --- one member ---------------------------------------------------------------------------------------


def _go_on(member: WaveMember, begun: Rollback | None, actor: Actor, now: datetime) -> None:
    """Undo the next run of the member, wait for the one that is under way, or note that they are back."""
    runs = runs_to_undo(member, begun.asked_at if begun else None)
    if runs:
        try:
            member.undo_run = start_undo(runs[0], actor, now_due=True)
        except ValidationError as error:
            _fail(member, sentences(error), now)
        else:
            member.state = State.UPDATING
    elif Run.objects.filter(user=member.user_id, state__in=[Run.State.PENDING, Run.State.IN_PROGRESS]).exists():
        member.state = State.UPDATING  # a run that the way back has started itself
    else:
        member.state, member.finished_at, member.is_current = State.ROLLED_BACK, now, False


def _fail(member: WaveMember, why: str, now: datetime) -> None:
    member.state, member.failure, member.finished_at = State.FAILED, why, now


def _open(wave: Wave) -> Rollback | None:
    """The rollback that is under way."""
    return Rollback.objects.filter(wave=wave, ended_at=None).first()


def _edits(wave: Wave, members: Sequence[WaveMember]) -> list[UserEdit]:
    """Back to what was kept of each member; what is not there any more follows by the mapping reversed."""
    rollout = wave.rollout
    mapping = mapping_of(rollout).reversed()
    kept: dict[str, type[models.Model]] = {
        "bridge": Bridge,
        "toll_number": ServiceNumber,
        "toll_free_number": ServiceNumber,
    }
    rows: dict[str, dict[int, Any]] = {}
    for name, model in kept.items():
        wanted = {member.before.get(name) for member in members} - {None}
        rows[name] = model._default_manager.filter(tenant=rollout.tenant_id).in_bulk(list(wanted)) if wanted else {}
    edits = []
    for member in members:
        values: dict[str, Any] = {"deployment": rollout.legacy}
        if member.before.get("hosting"):
            values["hosting"] = member.before["hosting"]
        for name in kept:
            pk = member.before.get(name)
            if name in member.before and (pk is None or pk in rows[name]):
                values[name] = rows[name][pk] if pk is not None else None
        if member.before.get("conference_id") and "bridge" in values:
            values["conference_id"] = member.before["conference_id"]
        edits.append(UserEdit(member.user_id, values, mapping=mapping))
    return edits
