"""Checks of a rollout: the list that it starts with, and what administrators make of it (R69, R74)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from migrations_app.models import Rollout, RolloutCheck, Wave
from migrations_app.rollouts.answers import expires_at, why_over
from migrations_app.rollouts.checklist import BEFORE_RETIREMENT, Item, items_of
from migrations_app.rollouts.gates import VALID_FOR
from migrations_app.rollouts.kinds import checked
from migrations_app.rollouts.probes.parameters import Unusable
from migrations_app.rollouts.recording import settle_gate
from migrations_app.runs import queue
from tenants_app.audit import Actor, entry
from tenants_app.bulk import insert
from tenants_app.sentences import sentence

STEP = 10
"""Between the positions of two checks."""
MOST_CHECKS = 1000
"""Of a rollout."""
SHORTEST_INTERVAL = 60
"""Seconds. The background service is woken once a minute where nothing else is to be done."""
SETTABLE = (
    "name",
    "scope",
    "parameters",
    "instructions",
    "interval",
    "timeout",
    "valid_for",
    "is_advisory",
    "needs_second_account",
)
"""What can be set of a check; its kind and its wave stay what they were made with."""
PARAMETER = "parameter_"
"""Before the name of a parameter where it stands among other fields: in forms, and in what is wrong with them."""
_SHOWN = ("name", "scope", "interval", "timeout", "valid_for", "is_advisory", "needs_second_account")
"""What the audit says of a check, besides its parameters and instructions."""


def add_checklist(rollout: Rollout) -> None:
    """Give a new rollout its checks, for each wave that it has and before retirement. In the caller's transaction."""
    for wave in rollout.waves.all():
        add_wave_checklist(wave, rollout)
    insert(_rows(rollout, None, BEFORE_RETIREMENT))


def add_wave_checklist(wave: Wave, rollout: Rollout) -> None:
    """Give a new wave the checks that a wave of its purpose starts with. In the caller's transaction."""
    insert(_rows(rollout, wave, items_of(wave.purpose, rollout)))


def _rows(rollout: Rollout, wave: Wave | None, items: Iterable[Item]) -> list[RolloutCheck]:
    now = timezone.now()
    return [
        RolloutCheck(
            rollout=rollout,
            wave=wave,
            position=STEP * number,
            name=item.name,
            scope=item.scope,
            kind=item.kind,
            instructions=item.instructions,
            parameters=dict(item.parameters),
            due_at=None if item.kind == RolloutCheck.Kind.MANUAL else now,
        )
        for number, item in enumerate(items, start=1)
    ]


def copy_checks(source: Wave, target: Wave) -> None:
    """Give a wave that was split off the checks of the other one, unanswered. In the caller's transaction."""
    checks = list(source.checks.filter(removed_at=None).order_by("position", "pk"))
    now = timezone.now()
    for check in checks:
        check.pk, check.wave, check.last_result, check.failed_in_a_row = None, target, None, 0
        check.due_at, check.lease_token, check.lease_until = None if check.is_manual else now, None, None
    insert(checks)


# --- what administrators do ---------------------------------------------------------------------------


@transaction.atomic
def define_check(
    rollout: Rollout, wave: Wave | None, kind: str, values: Mapping[str, Any], actor: Actor
) -> RolloutCheck:
    """Add a check behind the others of the wave, or of those before retirement (``wave`` None).

    ``values`` are fields of :data:`SETTABLE`. Raises ``ValidationError`` by field, with parameters by their names.
    """
    rollout = _locked(rollout)
    siblings = RolloutCheck.objects.filter(rollout=rollout, wave=wave)
    check = RolloutCheck(rollout=rollout, wave=wave, kind=kind)
    check.position = (siblings.aggregate(last=Max("position"))["last"] or 0) + STEP
    if why := why_over(check):
        raise ValidationError(why)
    if RolloutCheck.objects.filter(rollout=rollout, removed_at=None).count() >= MOST_CHECKS:
        raise ValidationError(sentence("A rollout has at most %(most)s checks: remove one first.", most=MOST_CHECKS))
    _apply(check, values)
    check.save()
    entry(rollout.tenant, actor, "add check", _named(check), after=_record(check)).save()
    _settle(check)
    return check


@transaction.atomic
def change_check(check: RolloutCheck, values: Mapping[str, Any], actor: Actor) -> bool:
    """Change what can be set of a check; whether anything changed. What was found and answered before stays, and counts
    no more where it was found by other parameters. Raises ``ValidationError`` as :func:`define_check`."""
    rollout, check = _locked_check(check)
    before, parameters = _record(check), check.parameters
    _apply(check, values)
    after = _record(check)
    if after == before:
        return False
    if check.parameters != parameters:
        check.last_result, check.failed_in_a_row = None, 0
        check.lease_token = check.lease_until = None  # what is being looked at by the old ones is dropped
    check.save()
    changed = [name for name in after if after[name] != before.get(name)]
    entry(
        rollout.tenant,
        actor,
        "change check",
        _named(check),
        {name: before.get(name) for name in changed},
        {name: after[name] for name in changed},
    ).save()
    _settle(check)
    return True


@transaction.atomic
def remove_check(check: RolloutCheck, reason: str, actor: Actor) -> None:
    """Take a check off its gate, with a reason; what it found and who answered stays for the report."""
    rollout, check = _locked_check(check)
    reason = " ".join(reason.split())
    if not reason:
        raise ValidationError({"reason": sentence("Say why the check is not needed: the report shows it.")})
    check.removed_at, check.removed_by, check.removal_reason = timezone.now(), actor.name, reason
    check.due_at = check.lease_token = check.lease_until = None
    check.full_clean(exclude=["rollout", "wave", "last_result"], validate_constraints=False)
    check.save()
    entry(rollout.tenant, actor, "remove check", _named(check), before=_record(check), after={"reason": reason}).save()
    _settle(check)


@transaction.atomic
def move_check(check: RolloutCheck, actor: Actor, *, up: bool) -> bool:
    """Let a check change places with the one before or after it; whether there is one."""
    rollout, check = _locked_check(check)
    siblings = RolloutCheck.objects.filter(rollout=rollout, wave=check.wave_id, removed_at=None)
    in_order = list(siblings.order_by("position", "pk"))
    place = [each.pk for each in in_order].index(check.pk)
    other = place - 1 if up else place + 1
    if not 0 <= other < len(in_order):
        return False
    in_order[place], in_order[other] = in_order[other], in_order[place]
    for number, each in enumerate(in_order, start=1):
        each.position = STEP * number
    RolloutCheck.objects.bulk_update(in_order, ["position"])
    entry(rollout.tenant, actor, "move check", _named(check), after={"place": other + 1}).save()
    return True


def _locked(rollout: Rollout) -> Rollout:
    rows = Rollout.objects.select_related("tenant", "legacy", "new")
    return rows.select_for_update(of=("self",), no_key=True).get(pk=rollout.pk)


def _locked_check(check: RolloutCheck) -> tuple[Rollout, RolloutCheck]:
    """Raises ``ValidationError`` where it is not asked any more."""
    rollout = _locked(Rollout(pk=check.rollout_id))
    rows = RolloutCheck.objects.select_related("wave").select_for_update(of=("self",), no_key=True)
    locked = rows.get(pk=check.pk, rollout=rollout)
    locked.rollout = rollout
    if why := why_over(locked):
        raise ValidationError(why)
    return rollout, locked


def _apply(check: RolloutCheck, values: Mapping[str, Any]) -> None:
    """Set the fields and check the whole. Raises ``ValidationError`` by field."""
    if unknown := values.keys() - set(SETTABLE):
        raise TypeError(f"not to be set of a check: {', '.join(sorted(unknown))}")
    given = dict(values)
    if check.is_manual:
        given |= {"parameters": {}}
    else:
        given |= {"needs_second_account": False}
    for name, value in given.items():
        setattr(check, name, value)
    errors: dict[str, Any] = {}
    try:
        check.full_clean(exclude=["rollout", "wave", "last_result", "parameters"], validate_constraints=False)
    except ValidationError as error:
        errors |= error.message_dict
    if "scope" not in errors:
        try:
            check.parameters = checked(check.kind, check.parameters, check.rollout, check.scope)
        except Unusable as error:
            errors |= {PARAMETER + name: why for name, why in error.errors.items()}
    if check.interval < SHORTEST_INTERVAL:
        errors["interval"] = sentence("Give at least %(n)s seconds.", n=SHORTEST_INTERVAL)
    elif not check.is_manual and _valid_for(check) < check.interval + check.timeout:
        errors["valid_for"] = sentence("Give more than interval and timeout together: else it closes in between.")
    if errors:
        raise ValidationError(errors)
    if check.is_manual:
        check.due_at = expires_at(check, timezone.now()) if check.pk else None
    else:
        check.due_at = timezone.now()


def _valid_for(check: RolloutCheck) -> float:
    """Seconds for which a result counts."""
    return check.valid_for if check.valid_for is not None else VALID_FOR.total_seconds()


def _settle(check: RolloutCheck) -> None:
    """The gate may have opened or closed by it. Whoever changed it knows, so nobody else is told."""
    if check.wave_id:
        settle_gate(check.wave_id, by_check=False)
    if check.due_at is not None:
        queue.wake_cluster()


def _record(check: RolloutCheck) -> dict[str, Any]:
    """What can be set of it, as the audit keeps it."""
    found = {name: getattr(check, name) for name in _SHOWN}
    return {**found, "kind": check.kind, "instructions": check.instructions, **check.parameters}


def _named(check: RolloutCheck) -> str:
    where = check.wave.name if check.wave else check.rollout.legacy.name
    return f"{check.rollout.name}: {where}: {check.name}"
