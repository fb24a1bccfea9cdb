"""Rollouts as an admin defines them: two deployments, thresholds and batches (R61); each change audited."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop

from migrations_app.models import Rollout, RolloutEvent, Wave, WaveMember
from migrations_app.rollouts import checks, events
from migrations_app.rollouts.locking import locked_rollout, locked_waves
from migrations_app.rollouts.values import PERIODS, checked_batches, settable
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import apply_values, lock
from tenants_app.models import Deployment, Tenant
from tenants_app.sentences import sentence

FIRST_WAVES = (
    (Wave.Purpose.TEST, gettext_noop("Test users")),
    (Wave.Purpose.PILOT, gettext_noop("Pilot")),
    (Wave.Purpose.EVERYONE, gettext_noop("Everyone")),
)
"""The waves that a new rollout proposes (R64): purpose and name. The last one takes whoever is left."""

SETTABLE = (
    "name",
    "batches",
    "max_failed_percent",
    "min_finished",
    "max_failed_in_a_row",
    "retire_after",
)
"""What can be set of a rollout at any time."""


@transaction.atomic
def new_rollout(
    tenant: Tenant, actor: Actor, *, name: str, legacy: Deployment, new: Deployment, **values: Any
) -> Rollout:
    """A rollout from ``legacy`` to ``new`` with the waves and the checklist that it starts with (R64, R74).

    ``values`` are fields of :data:`SETTABLE`. Raises ``ValidationError`` with a sentence for what cannot be.
    """
    tenant = lock(tenant)
    _check_deployments(tenant, legacy, new)
    rollout = Rollout(tenant=tenant, legacy=legacy, new=new, created_by=actor.name)
    apply_values(rollout, _read({"name": name, **values}))
    _check(rollout)
    rollout.save()
    for position, (purpose, wave_name) in enumerate(FIRST_WAVES, 1):
        Wave.objects.create(
            rollout=rollout,
            position=position,
            name=gettext(wave_name),
            purpose=purpose,
            observe_days=PERIODS.get(purpose, 0),
            takes_rest=position == len(FIRST_WAVES),
        )
    entry(
        tenant,
        actor,
        "create rollout",
        rollout.name,
        after={"legacy deployment": legacy.name, "new deployment": new.name},
    ).save()
    events.note(
        rollout,
        RolloutEvent.Kind.CREATED,
        sentence(
            "The rollout from %(legacy)s to %(new)s was defined, with three waves.", legacy=legacy.name, new=new.name
        ),
        by=actor.name,
    )
    checks.add_checklist(rollout)
    return rollout


@transaction.atomic
def change_rollout(rollout: Rollout, actor: Actor, **values: Any) -> Rollout:
    """Change what is given, of :data:`SETTABLE`; batches and thresholds count from the next batch on."""
    rollout = locked_rollout(rollout)
    before, after = apply_values(rollout, _read(values))
    if not after:
        return rollout
    _check(rollout)
    rollout.save()
    entry(rollout.tenant, actor, "change rollout", rollout.name, before, after).save()
    events.note(
        rollout, RolloutEvent.Kind.CHANGED, sentence("The settings of the rollout were changed."), by=actor.name
    )
    return rollout


@transaction.atomic
def close_rollout(rollout: Rollout, actor: Actor, *, reason: str) -> Rollout:
    """End a rollout before its legacy deployment is retired. What was done stays; its users may join another one."""
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": sentence("Say why the rollout ends: the report shows it.")})
    rollout = locked_rollout(rollout)
    for wave in locked_waves(rollout):
        if wave.has_started and wave.state not in Wave.ENDED:
            raise ValidationError(
                sentence(
                    "The wave %(wave)s has started and not ended: wait for it, accept it or roll it back first.",
                    wave=wave.name,
                )
            )
    finish(rollout, actor)
    entry(rollout.tenant, actor, "end rollout", rollout.name, after={"reason": reason}).save()
    events.note(
        rollout, RolloutEvent.Kind.CLOSED, sentence("The rollout was ended."), by=actor.name, reason=reason[:500]
    )
    return rollout


def finish(rollout: Rollout, actor: Actor) -> None:
    """Note that the rollout has ended, in a transaction of the caller; its users are free for another."""
    rollout.finished_at, rollout.finished_by = timezone.now(), actor.name
    rollout.save(update_fields=["finished_at", "finished_by"])
    WaveMember.objects.filter(wave__rollout=rollout, is_current=True).update(is_current=False)


def _read(values: dict[str, Any]) -> dict[str, Any]:
    """The values as they are kept."""
    values = settable(values, SETTABLE)
    if "batches" in values:
        values["batches"] = checked_batches(values["batches"])
    return values


def _check_deployments(tenant: Tenant, legacy: Deployment, new: Deployment) -> None:
    for field, deployment, role in (("legacy", legacy, Deployment.Role.LEGACY), ("new", new, Deployment.Role.NEW)):
        if deployment.tenant_id != tenant.pk:
            raise ValidationError(
                {field: sentence("%(tenant)s has no such deployment: choose one of its own.", tenant=tenant.name)}
            )
        if deployment.role != role:
            text = (
                sentence("%(name)s is not a legacy deployment: users leave a legacy one.", name=deployment.name)
                if role == Deployment.Role.LEGACY
                else sentence("%(name)s is not a new deployment: users move to a new one.", name=deployment.name)
            )
            raise ValidationError({field: text})
        if deployment.retired_at is not None:
            raise ValidationError(
                {
                    field: sentence(
                        "%(name)s has been retired on %(when)s: choose another deployment.",
                        name=deployment.name,
                        when=deployment.retired_at,
                    )
                }
            )


def _check(rollout: Rollout) -> None:
    """What Django and the rows of others say; a sentence for each."""
    others = Rollout.objects.filter(tenant=rollout.tenant, name__iexact=rollout.name).exclude(pk=rollout.pk)
    if others.exists():
        raise ValidationError(
            {"name": sentence("There is already a rollout %(name)s: choose another name.", name=rollout.name)}
        )
    rollout.full_clean(validate_constraints=False)
