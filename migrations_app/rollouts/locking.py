"""Whoever changes what a rollout or one of its waves is waits for others who do."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from migrations_app.models import Rollout, Wave, WaveMember
from tenants_app.sentences import sentence


def locked_rollout(rollout: Rollout, *, is_open: bool = True) -> Rollout:
    """The rollout as it is now, in a transaction of the caller. Raises ``ValidationError`` where it has ended."""
    found = (
        Rollout.objects.select_for_update(of=("self",), no_key=True)
        .select_related("tenant", "legacy", "new")
        .get(pk=rollout.pk)
    )
    if is_open and found.finished_at is not None:
        raise ValidationError(
            sentence(
                "The rollout %(name)s ended on %(when)s: nothing is changed of it any more.",
                name=found.name,
                when=found.finished_at,
            )
        )
    return found


def locked_waves(rollout: Rollout) -> list[Wave]:
    """All waves of the rollout in their order, each with this rollout."""
    waves = list(Wave.objects.select_for_update(no_key=True).filter(rollout=rollout).order_by("pk"))
    for wave in waves:
        wave.rollout = rollout
    return sorted(waves, key=lambda wave: wave.position)


def locked_wave(wave: Wave) -> Wave:
    """The wave as it is now, with rollout and tenant loaded, in a transaction of the caller. Raises
    ``ValidationError`` where it was removed meanwhile."""
    waves = Wave.objects.select_for_update(of=("self",), no_key=True).select_related("rollout__tenant")
    found = waves.filter(pk=wave.pk).first()
    if found is None:
        raise ValidationError(sentence("The wave %(wave)s is not there any more: look again.", wave=wave.name))
    return found


def locked_member(member: WaveMember) -> WaveMember:
    """The member as they are now, with the user, in a transaction of the caller who holds the wave. Raises
    ``ValidationError`` where the user was deleted meanwhile."""
    held = WaveMember.objects.select_for_update(of=("self",), no_key=True).select_related("user")
    found = held.filter(pk=member.pk).first()
    if found is None:
        raise ValidationError(sentence("The user is not there any more, so nothing was done."))
    return found


def check_not_started(wave: Wave) -> None:
    """Raise ``ValidationError`` where the wave has started: what it is stays as it is from then on (R64)."""
    if wave.has_started:
        raise ValidationError(sentence("The wave %(wave)s has started, so it is not changed any more.", wave=wave.name))
