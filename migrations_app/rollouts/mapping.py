"""Which bridge and which number take the place of which when users of a rollout move (R61)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from migrations_app.models import BridgeMapping, NumberMapping, Rollout, RolloutEvent
from migrations_app.rollouts import events
from migrations_app.rollouts.locking import locked_rollout
from migrations_app.rollouts.values import settable
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import apply_values, lock
from tenants_app.changes.moves import MoveMapping, check_mapping
from tenants_app.models import Bridge, Deployment, ServiceNumber
from tenants_app.sentences import sentence

DEFAULTS = ("default_bridge", "default_toll_number", "default_toll_free_number")
"""Where the members come to whose bridge and numbers have no line."""


def mapping_of(rollout: Rollout) -> MoveMapping:
    """The mapping as moves take it, from the legacy deployment to the new one."""
    bridges = BridgeMapping.objects.filter(rollout=rollout).values_list("legacy_bridge", "new_bridge")
    numbers = NumberMapping.objects.filter(rollout=rollout).values_list("old_number__number", "new_number__number")
    toll, toll_free = rollout.default_toll_number, rollout.default_toll_free_number
    return MoveMapping(
        bridges=dict(bridges),
        numbers=dict(numbers),
        default_bridge=rollout.default_bridge_id,
        default_toll_number=toll.number if toll else None,
        default_toll_free_number=toll_free.number if toll_free else None,
    )


@transaction.atomic
def change_mapping(
    rollout: Rollout,
    actor: Actor,
    *,
    bridges: Mapping[Bridge, Bridge | None] | None = None,
    numbers: Mapping[ServiceNumber, ServiceNumber | None] | None = None,
    **defaults: Any,
) -> Rollout:
    """Change the lines that are given, where None takes a line away, and the fields of :data:`DEFAULTS`.

    Members who have moved already stay where they are. Raises ``ValidationError`` for a line that leads to, or from, a
    bridge or number of another deployment.
    """
    defaults = settable(defaults, DEFAULTS)
    rollout = locked_rollout(rollout)
    tenant = lock(rollout.tenant)
    bridges, numbers = bridges or {}, numbers or {}
    _check_bridges(rollout, rollout.legacy, bridges)
    _check_bridges(rollout, rollout.new, [new for new in bridges.values() if new])
    _check_bridges(rollout, rollout.legacy, _bridges_of(numbers))
    _check_bridges(rollout, rollout.new, _bridges_of([new for new in numbers.values() if new]))
    if defaults.get("default_bridge"):
        _check_bridges(rollout, rollout.new, [defaults["default_bridge"]])
    _check_defaults(rollout, defaults)
    before, after = apply_values(rollout, defaults)
    kept = dict(BridgeMapping.objects.filter(rollout=rollout).values_list("legacy_bridge", "new_bridge__name"))
    for old, new in bridges.items():
        was, will = kept.get(old.pk, ""), new.name if new else ""
        if was != will:
            before[old.name], after[old.name] = was, will
            _write(rollout, BridgeMapping, {"legacy_bridge": old}, {"new_bridge": new})
    kept = dict(NumberMapping.objects.filter(rollout=rollout).values_list("old_number", "new_number__number"))
    for old_number, new_number in numbers.items():
        was, will = kept.get(old_number.pk, ""), new_number.number if new_number else ""
        if was != will:
            before[old_number.number], after[old_number.number] = was, will
            _write(rollout, NumberMapping, {"old_number": old_number}, {"new_number": new_number})
    if not after:
        return rollout
    rollout.save(update_fields=list(DEFAULTS))
    check_mapping(tenant, rollout.new, mapping_of(rollout))
    entry(tenant, actor, "change rollout mapping", rollout.name, before, after).save()
    events.note(
        rollout, RolloutEvent.Kind.CHANGED, sentence("The mapping of bridges and numbers was changed."), by=actor.name
    )
    return rollout


def _write(
    rollout: Rollout, model: type[BridgeMapping | NumberMapping], old: dict[str, Any], new: dict[str, Any]
) -> None:
    if next(iter(new.values())) is None:
        model._default_manager.filter(rollout=rollout, **old).delete()
    else:
        model._default_manager.update_or_create(rollout=rollout, **old, defaults=new)


def _bridges_of(numbers: Iterable[ServiceNumber]) -> Sequence[Bridge]:
    return [number.bridge for number in numbers]


def _check_bridges(rollout: Rollout, deployment: Deployment, bridges: Iterable[Bridge]) -> None:
    """Each is the tenant's, and of this deployment or of none."""
    for bridge in bridges:
        if bridge.tenant_id != rollout.tenant_id:
            raise ValidationError(
                sentence(
                    "%(tenant)s has no bridge %(bridge)s: choose one of its own.",
                    tenant=rollout.tenant.name,
                    bridge=bridge.name,
                )
            )
        if bridge.deployment_id not in {None, deployment.pk}:
            raise ValidationError(
                sentence(
                    "%(bridge)s belongs to another deployment than %(deployment)s: choose one of its bridges.",
                    bridge=bridge.name,
                    deployment=deployment.name,
                )
            )


def _check_defaults(rollout: Rollout, defaults: Mapping[str, Any]) -> None:
    kinds = {
        "default_toll_number": ServiceNumber.Kind.TOLL,
        "default_toll_free_number": ServiceNumber.Kind.TOLL_FREE,
    }
    for name, kind in kinds.items():
        number: ServiceNumber | None = defaults.get(name)
        if number is None:
            continue
        _check_bridges(rollout, rollout.new, [number.bridge])
        if number.kind != kind:
            text = (
                sentence("%(number)s is no toll number: choose one that is.", number=number.number)
                if kind == ServiceNumber.Kind.TOLL
                else sentence("%(number)s is no toll-free number: choose one that is.", number=number.number)
            )
            raise ValidationError({name: text})
