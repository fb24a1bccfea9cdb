"""Which rollout, wave or check somebody means who names it in a command."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from migrations_app.models import Rollout, RolloutCheck, Wave
from tenants_app.models import Tenant
from tenants_app.sentences import english, sentence


def find_rollout(tenant: Tenant, text: str) -> Rollout:
    """The tenant's rollout of that name, or with that key. Raises ``ValidationError`` with a sentence."""
    named = text.strip()
    found = _rollout(tenant, named)
    if found is None:
        names = ", ".join(Rollout.objects.filter(tenant=tenant).values_list("name", flat=True)[:5])
        if not names:
            raise ValidationError(
                sentence("%(tenant)s has no rollout yet: make one with new_rollout.", tenant=tenant.name)
            )
        raise ValidationError(
            sentence(
                "%(tenant)s has no rollout %(name)s: name one of these: %(names)s.",
                tenant=tenant.name,
                name=named,
                names=names,
            )
        )
    return found


def _rollout(tenant: Tenant, named: str) -> Rollout | None:
    rollouts = Rollout.objects.filter(tenant=tenant).select_related("tenant", "legacy", "new")
    found = rollouts.filter(name__iexact=named).first()
    if found is None and named.isdecimal() and len(named) < 10:
        found = rollouts.filter(pk=int(named)).first()
    return found


def find_wave(tenant: Tenant, text: str) -> Wave:
    """The wave that is named ``ROLLOUT/WAVE``, the wave by its name or its number; or by its name alone, or its number,
    where no other wave of the tenant has that. Raises ``ValidationError`` with a sentence.
    """
    rollout_name, slash, wave_name = text.strip().rpartition("/")
    waves = Wave.objects.filter(rollout__tenant=tenant).select_related(
        "rollout__tenant", "rollout__legacy", "rollout__new"
    )
    wanted = waves.filter(rollout=_rollout(tenant, rollout_name.strip())) if slash else waves
    named = wave_name.strip()
    found = list(wanted.filter(name__iexact=named)[:2])
    if not found and named.isdecimal() and len(named) < 5:
        found = list(wanted.filter(position=int(named))[:2])
    if len(found) == 1:
        return found[0]
    if found:
        raise ValidationError(
            sentence(
                "Several rollouts have a wave %(name)s: write %(rollout)s/%(name)s for one of them.",
                name=named,
                rollout=found[0].rollout.name,
            )
        )
    some = waves.order_by("rollout__name", "position").values_list("rollout__name", "name")[:5]
    names = ", ".join("/".join(each) for each in some)
    if not names:
        raise ValidationError(sentence("%(tenant)s has no wave yet: new_rollout makes three.", tenant=tenant.name))
    raise ValidationError(
        sentence("There is no wave %(name)s: name one of these: %(names)s.", name=text.strip(), names=names)
    )


def find_check(tenant: Tenant, text: str, wave: Wave | None = None) -> RolloutCheck:
    """The check of that number; or of that name, in English or as pages show it, where no other check of the tenant has
    it: then ``ROLLOUT/WAVE/CHECK`` says which one is meant. With ``wave`` only its checks are looked for.

    Removed ones are not found. Raises ``ValidationError`` with a sentence.
    """
    checks = RolloutCheck.objects.filter(rollout__tenant=tenant, removed_at=None)
    checks = checks.select_related("rollout__tenant", "rollout__legacy", "rollout__new", "wave", "last_result")
    if wave is not None:
        checks = checks.filter(wave=wave)
    named = text.strip()
    if named.isdecimal() and len(named) < 19 and (found := checks.filter(pk=int(named)).first()):
        return found
    same = [check for check in checks if named.casefold() in _names(check)]
    if not same and named.count("/") >= 2:
        where, _slash, last = named.rpartition("/")
        of_wave = find_wave(tenant, where)
        same = [check for check in checks.filter(wave=of_wave) if last.strip().casefold() in _names(check)]
    if len(same) == 1:
        return same[0]
    if same:
        raise ValidationError(
            sentence(
                "Several checks are named %(name)s: give the number of one, which its page shows (%(numbers)s).",
                name=named,
                numbers=", ".join(f"{check.pk}: {check.wave or check.rollout}" for check in same[:5]),
            )
        )
    raise ValidationError(
        sentence("There is no check %(name)s: give the number that its page shows, or its name.", name=named)
    )


def _names(check: RolloutCheck) -> set[str]:
    return {english(check.name).casefold(), str(check.name).casefold()}
