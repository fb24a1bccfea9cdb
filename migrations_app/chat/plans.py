"""What people do about a plan: have it made, decide on rooms, answer for the target, see why it cannot begin (R110).

A decision puts the plan back to Planning: what becomes of one room depends on the names of all. The background service
then looks at names and people alone, which takes seconds; what was found of messages stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from migrations_app.chat import plan_engine
from migrations_app.chat.archive.records import LONGEST_NAME
from migrations_app.chat.conversion.outgoing import OnConflict
from migrations_app.chat.plan_counts import ACCEPTABLE, counts_of, standing
from migrations_app.chat.targets import of_kind
from migrations_app.models import ChatArchive, ChatFinding, ChatPlan, ChatRoom, ChatTarget
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import lock
from tenants_app.models import Tenant
from tenants_app.sentences import sentence, sentence_plural
from tenants_app.validators import validate_one_line

State = ChatPlan.State
Rooms = Iterable["ChatRoom | int"]
"""Rooms of a plan, or their keys."""

DECIDED = (ChatRoom.State.PLANNED, ChatRoom.State.DESELECTED, ChatRoom.State.SKIPPED)
"""States of rooms of which it may still be decided what becomes of them."""
POLL_SECONDS = 0.5
"""How often a command looks whether what another worker does is over."""
_CHOICES = ("on_conflict", "prefixes_rooms", "keeps_root_managers", "includes_disabled")
_RULE = ("max_failed_percent", "min_finished", "max_failed_in_a_row")


def plan_numbered(tenant: Tenant, number: int) -> ChatPlan:
    """The tenant's plan of that number. Raises ``ValidationError``."""
    plans = ChatPlan.objects.filter(tenant=tenant, number=number).select_related("tenant", "archive", "target")
    found = plans.first()
    if found is None:
        raise ValidationError(sentence("There is no plan %(number)s: plan_chat_import makes one.", number=str(number)))
    return found


def locked(plan: ChatPlan) -> ChatPlan:
    """The plan as it is now, held until the caller's transaction ends."""
    held = ChatPlan.objects.select_for_update(of=("self",), no_key=True)
    return held.select_related("tenant", "archive", "target").get(pk=plan.pk)


@transaction.atomic
def make_plan(
    tenant: Tenant,
    actor: Actor,
    archive: ChatArchive,
    target: ChatTarget,
    *,
    on_conflict: str = "refuse",
    prefixes_rooms: bool = False,
    keeps_root_managers: bool = True,
    includes_disabled: bool = False,
) -> ChatPlan:
    """A new plan, which the background service makes; nothing is changed at the target. Raises ``ValidationError``."""
    lock(tenant)
    _check_conflict_answer(on_conflict)
    if archive.tenant_id != tenant.pk or target.tenant_id != tenant.pk:
        raise ValidationError(sentence("Archive and target belong to another tenant."))
    if archive.state != ChatArchive.State.STORED:
        raise ValidationError(sentence("The archive %(name)s was deleted: choose another one.", name=archive.name))
    if not archive.counts.get("rooms"):
        raise ValidationError(
            sentence(
                "The archive %(name)s has no rooms (level %(level)s), so there is nothing to import: export it with "
                "level All.",
                name=archive.name,
                level=archive.level,
            )
        )
    last = ChatPlan.objects.filter(tenant=tenant).aggregate(last=Max("number"))["last"] or 0
    plan = ChatPlan.objects.create(
        tenant=tenant,
        number=last + 1,
        archive=archive,
        target=target,
        on_conflict=on_conflict,
        prefixes_rooms=prefixes_rooms,
        keeps_root_managers=keeps_root_managers,
        includes_disabled=includes_disabled,
        created_by=actor.name,
    )
    told = {"archive": archive.name, "target": target.name, "on_conflict": on_conflict}
    entry(tenant, actor, "plan chat import", str(plan), {}, told).save()
    wake_cluster()
    return plan


def _check_conflict_answer(answer: str) -> None:
    if answer not in list(OnConflict):
        raise ValidationError(
            sentence(
                "%(answer)s is no answer to a name conflict: use %(answers)s.",
                answer=answer,
                answers=", ".join(OnConflict),
            )
        )


@transaction.atomic
def plan_again(plan: ChatPlan, actor: Actor) -> ChatPlan:
    """Look at source and target once more, with all decisions as they are; of a plan that is out of date, the one that
    was made instead. Raises ``ValidationError``."""
    plan = locked(plan)
    if plan.state == State.OUTDATED and plan.replaced_by is not None:
        return plan.replaced_by
    if plan.state not in {State.READY, State.REFUSED}:
        raise ValidationError(_not_decided(plan))
    _back_to_planning(plan, keeps_content=False)
    entry(plan.tenant, actor, "plan chat import", str(plan), {}, {"archive": plan.archive.name, "again": True}).save()
    return plan


@transaction.atomic
def decide(
    plan: ChatPlan,
    actor: Actor,
    rooms: Rooms,
    *,
    on_conflict: str | None = None,
    deselect: bool | None = None,
    reason: str = "",
    name: str | None = None,
) -> int:
    """What becomes of these rooms: the answer where their name is there already (empty: as the plan has it), whether
    they are left out, for a reason, or not, and what one of them is to be called (empty: as it is). How many rooms it
    is about. Raises ``ValidationError``."""
    plan = locked(plan)
    if plan.state not in {State.READY, State.REFUSED}:
        raise ValidationError(_not_decided(plan))
    if on_conflict:
        _check_conflict_answer(on_conflict)
    if deselect and not reason.strip():
        raise ValidationError({"reason": sentence("Say why the rooms are left out: the report shows it.")})
    pks = [room.pk if isinstance(room, ChatRoom) else room for room in rooms]
    chosen = list(plan.rooms.filter(pk__in=pks, state__in=DECIDED).values_list("pk", "name"))
    if not chosen:
        raise ValidationError(sentence("Choose at least one room."))
    changes: dict[str, str] = {}
    if on_conflict is not None:
        changes["on_conflict"] = on_conflict
    if deselect is not None:
        changes["state"] = ChatRoom.State.DESELECTED if deselect else ChatRoom.State.PLANNED
        changes["decided_by"] = actor.name if deselect else ""
        changes["reason"] = reason.strip()[:500] if deselect else ""
    if name is not None:
        if len(chosen) > 1:
            raise ValidationError({"name": sentence("One name is for one room: choose a single one.")})
        changes["chosen_name"] = _checked_name(name)
    if not changes:
        raise ValidationError(sentence("Nothing was decided: give an answer, or leave rooms out."))
    plan.rooms.filter(pk__in=[pk for pk, _ in chosen]).update(**changes)
    names = ", ".join(name for _, name in chosen[:20])
    told: dict[str, object] = {"rooms": names, "count": len(chosen)}
    told |= {field: value for field, value in changes.items() if field != "decided_by"}
    entry(plan.tenant, actor, "decide on chat rooms", str(plan), {}, told).save()
    _back_to_planning(plan, keeps_content=plan.planned_at is not None)
    return len(chosen)


@transaction.atomic
def name_category(plan: ChatPlan, actor: Actor, category: str, name: str) -> ChatPlan:
    """What a category (its id in the archive) is to be called, where its name cannot be; empty: as it is (R113)."""
    plan = locked(plan)
    if plan.state not in {State.READY, State.REFUSED}:
        raise ValidationError(_not_decided(plan))
    names = {**plan.category_names, category: _checked_name(name)}
    plan.category_names = {key: value for key, value in names.items() if value}
    told = {"category": category, "chosen_name": name.strip()}
    entry(plan.tenant, actor, "decide on chat rooms", str(plan), {}, told).save()
    _back_to_planning(plan, keeps_content=plan.planned_at is not None)
    return plan


def _checked_name(name: str) -> str:
    validate_one_line(name)
    if len(name.strip()) > LONGEST_NAME:
        raise ValidationError({"name": sentence("A name has at most %(limit)s characters.", limit=LONGEST_NAME)})
    return name.strip()


def _back_to_planning(plan: ChatPlan, *, keeps_content: bool) -> None:
    plan.state, plan.problem, plan.cursor, plan.attempts = State.PLANNING, "", 0, 0
    plan.keeps_content, plan.retry_at, plan.lease_token, plan.lease_until = keeps_content, None, None, None
    plan.save()
    wake_cluster()


def _not_decided(plan: ChatPlan) -> str:
    if plan.state == State.PLANNING:
        return sentence("The plan is still being made: wait until it is ready.")
    return sentence("Plan %(number)s has begun, or is out of date: make a new plan.", number=str(plan.number))


@transaction.atomic
def accept_retention(plan: ChatPlan, actor: Actor, reason: str = "") -> ChatPlan:
    """Say that the target keeps the history, because it does not say so itself (R110). Raises ``ValidationError``."""
    plan = locked(plan)
    if plan.state != State.READY:
        raise ValidationError(_not_decided(plan))
    if plan.retention_accepted_at is None:
        if not plan.findings.filter(code=ACCEPTABLE).exists():
            raise ValidationError(sentence("There is nothing to accept: the target says how long it keeps messages."))
        plan.retention_accepted_at, plan.retention_accepted_by = timezone.now(), actor.name
        for name, value in counts_of(plan).items():
            setattr(plan, name, value)
        plan.save()
        told = {"target": plan.target.name, "reason": reason.strip()[:500]}
        entry(plan.tenant, actor, "accept chat retention", str(plan), {}, told).save()
    return plan


def plan_now(plan: ChatPlan, tell: Callable[[ChatPlan], None] = lambda plan: None) -> ChatPlan:
    """Make the plan at once, or wait until another worker has made it; the plan as it is then. It is still Planning
    where the target does not answer now."""
    plan.refresh_from_db()
    while plan.state == State.PLANNING:
        if not plan_engine.step(plan, None, tell):
            time.sleep(POLL_SECONDS)
        plan.refresh_from_db()
        if plan.retry_at and plan.retry_at > timezone.now():
            break
    return plan


def why_not_started(plan: ChatPlan, rooms: Rooms | None = None) -> str:
    """The sentence that says why these rooms, or all that are planned, cannot be imported now; empty where they can."""
    if plan.state == State.PLANNING:
        return sentence("The plan is still being made: wait until it is ready.")
    if plan.state == State.REFUSED:
        return sentence("The plan could not be made: see why, and have it made again.")
    if plan.state == State.OUTDATED:
        return sentence("Source or target have changed since: go on with the plan that was made instead.")
    if not of_kind.writes(plan.target.kind):
        return sentence("MMS does not write to such a target: follow the steps of the guided sequence.")
    if plan.archive.state != ChatArchive.State.STORED:
        return sentence("The archive %(name)s was deleted: make a plan of another one.", name=plan.archive.name)
    if not plan.tenant.meeting_migration_enabled:
        return sentence("MMS is switched off for this tenant: switch it on under Settings.")
    if plan.state not in {State.READY, State.IMPORTED}:
        return sentence("The import has begun already.")
    chosen = plan.rooms.filter(state=ChatRoom.State.PLANNED)
    if rooms is not None:
        chosen = chosen.filter(pk__in=[room.pk if isinstance(room, ChatRoom) else room for room in rooms])
    if not chosen.exists():
        return sentence("No room is left to be imported.")
    errors = standing(plan).filter(severity=ChatFinding.Severity.ERROR)
    if rooms is not None:
        errors = errors.filter(room=None) | errors.filter(room__in=chosen)
    count = errors.count()
    if count:
        return sentence_plural(
            "%(n)s error is left: put it right, or leave its room out.",
            "%(n)s errors are left: put them right, or leave their rooms out.",
            count,
        )
    return ""


@transaction.atomic
def replaced(plan: ChatPlan, actor: Actor, **choices: Any) -> ChatPlan:
    """A new plan of the same archive for the same target, with the decisions of this one, but for the ``choices`` of
    :func:`make_plan` that are given.

    Of rooms it has no more than what was decided; the rest is planned.
    """
    choices = {name: getattr(plan, name) for name in _CHOICES} | choices
    new = make_plan(plan.tenant, actor, plan.archive, plan.target, **choices)
    for name in (*_RULE, "category_names"):
        setattr(new, name, getattr(plan, name))
    new.save(update_fields=[*_RULE, "category_names"])
    kept = ("position", "room_id", "name", "category", "on_conflict", "chosen_name", "decided_by", "reason")
    decided = plan.rooms.exclude(on_conflict="", decided_by="", chosen_name="").order_by("position")
    ChatRoom.objects.bulk_create(
        [
            ChatRoom(
                plan=new,
                **{name: getattr(room, name) for name in kept},
                state=room.state if room.state == ChatRoom.State.DESELECTED else ChatRoom.State.PLANNED,
            )
            for room in decided
        ],
        batch_size=200,
    )
    return new
