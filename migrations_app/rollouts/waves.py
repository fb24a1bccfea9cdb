"""Waves as an admin plans them: added, changed, split, put into another order and removed, until they start (R64)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils.http import urlencode

from migrations_app.finding.users import asked_of, find_users
from migrations_app.models import Rollout, RolloutEvent, Wave
from migrations_app.rollouts import checks, events
from migrations_app.rollouts.locking import check_not_started, locked_rollout, locked_waves
from migrations_app.rollouts.values import PERIODS, checked_batches, settable
from tenants_app.audit import Actor, entry
from tenants_app.changes.locking import apply_values
from tenants_app.local_times import time_zone_names
from tenants_app.sentences import Sentence, sentence

SETTABLE = (
    "name",
    "purpose",
    "takes_rest",
    "saved_query",
    "batches",
    "not_before",
    "window_from",
    "window_to",
    "time_zone",
    "observe_days",
    "min_client_version",
    "tells_before",
    "tells_after",
)
"""What can be set of a wave until it starts."""

MOST_WAVES = 100
LONGEST_PERIOD = 365


@transaction.atomic
def add_wave(rollout: Rollout, actor: Actor, *, name: str, **values: Any) -> Wave:
    """A wave behind the others, but before one that takes whoever is left and has not started."""
    rollout = locked_rollout(rollout)
    waves = locked_waves(rollout)
    if len(waves) >= MOST_WAVES:
        raise ValidationError(sentence("A rollout has at most %(most)s waves.", most=MOST_WAVES))
    wave = Wave(rollout=rollout)
    apply_values(wave, _read(wave, {"name": name, **values}))
    if "observe_days" not in values:
        wave.observe_days = PERIODS.get(wave.purpose, 0)
    at = len(waves)
    if waves and waves[-1].takes_rest and not waves[-1].has_started and not wave.takes_rest:
        at -= 1
    wave.position = at + 1
    _check(wave, waves)
    waves.insert(at, wave)
    _check_order(waves)
    _number(waves)
    checks.add_wave_checklist(wave, rollout)
    entry(wave.rollout.tenant, actor, "add wave", _target(wave), {}, {"position": wave.position}).save()
    _note(wave, actor, sentence("The wave %(wave)s was added.", wave=wave.name))
    return wave


@transaction.atomic
def change_wave(wave: Wave, actor: Actor, **values: Any) -> Wave:
    """Change what is given, of :data:`SETTABLE`. Raises ``ValidationError`` where it has started."""
    _rollout, waves, wave = _locked(wave)
    check_not_started(wave)
    old_name = wave.name
    before, after = apply_values(wave, _read(wave, values))
    if not after:
        return wave
    _check(wave, waves)
    _check_order(waves)
    wave.save()
    told = (
        sentence("The wave %(old)s is called %(new)s now.", old=old_name, new=wave.name)
        if "name" in after
        else sentence("The wave %(wave)s was changed.", wave=wave.name)
    )
    entry(wave.rollout.tenant, actor, "change wave", _target(wave), before, after).save()
    _note(wave, actor, told)
    return wave


@transaction.atomic
def put_wave(wave: Wave, position: int, actor: Actor) -> Wave:
    """Put a wave that has not started at another place, from 1, behind all that have started."""
    _rollout, waves, wave = _locked(wave)
    check_not_started(wave)
    if not 1 <= position <= len(waves):
        raise ValidationError(
            sentence("There are the places 1 to %(last)s in this rollout: choose one of them.", last=len(waves))
        )
    if position == wave.position:
        return wave
    before = {"position": wave.position}
    waves.remove(wave)
    waves.insert(position - 1, wave)
    passed = next((each for each in waves[position:] if each.has_started), None)
    if passed is not None:
        raise ValidationError(
            sentence(
                "The wave %(started)s has started, so %(wave)s comes behind it.", started=passed.name, wave=wave.name
            )
        )
    _check_order(waves)
    _number(waves)
    entry(wave.rollout.tenant, actor, "put wave", _target(wave), before, {"position": wave.position}).save()
    _note(wave, actor, sentence("The wave %(wave)s was put at place %(place)s.", wave=wave.name, place=wave.position))
    return wave


@transaction.atomic
def split_wave(wave: Wave, actor: Actor, *, name: str, keep: int) -> Wave:
    """Make two of a wave: it keeps its first ``keep`` members, and a new one right behind it gets the others.

    The new one has the same settings, and the filter, or whoever is left, goes to it. Returns the new one.
    """
    rollout, waves, wave = _locked(wave)
    check_not_started(wave)
    if keep < 0:
        raise ValidationError({"keep": sentence("Give the number of members who stay: 0 or more.")})
    kept = list(wave.members.order_by("pk").values_list("pk", flat=True)[:keep])
    copied = {field: getattr(wave, field) for field in SETTABLE if field != "name"}
    other = Wave(rollout=rollout, position=wave.position + 1)
    apply_values(other, {**copied, "name": name.strip()})
    wave.saved_query, wave.takes_rest = "", False
    waves.insert(waves.index(wave) + 1, other)
    _check(other, waves)
    _check_order(waves)
    wave.save()
    _number(waves)
    checks.copy_checks(wave, other)
    last_kept = kept[-1] if kept else 0
    moved = wave.members.filter(pk__gt=last_kept).update(wave=other)
    entry(
        other.rollout.tenant,
        actor,
        "split wave",
        _target(other),
        {"wave": wave.name},
        {"members": moved, "position": other.position},
    ).save()
    _note(
        other,
        actor,
        sentence(
            "The wave %(wave)s was split. Members of %(other)s now: %(moved)s.",
            wave=wave.name,
            moved=moved,
            other=other.name,
        ),
    )
    return other


@transaction.atomic
def remove_wave(wave: Wave, actor: Actor) -> None:
    """Remove a wave that has not started and has no members, with its checks."""
    rollout, waves, wave = _locked(wave)
    check_not_started(wave)
    count = wave.members.count()
    if count:
        raise ValidationError(
            sentence(
                "The wave %(wave)s has members (%(count)s): take them out, or put them into another wave, first.",
                wave=wave.name,
                count=count,
            )
        )
    waves.remove(wave)
    entry(rollout.tenant, actor, "remove wave", _target(wave), {"position": wave.position}).save()
    wave.delete()
    _number(waves)
    events.note(
        rollout,
        RolloutEvent.Kind.CHANGED,
        sentence("The wave %(wave)s was removed.", wave=wave.name),
        by=actor.name,
    )


def _locked(wave: Wave) -> tuple[Rollout, list[Wave], Wave]:
    """The rollout, all its waves, and among them this one."""
    rollout = locked_rollout(wave.rollout)
    waves = locked_waves(rollout)
    found = next((each for each in waves if each.pk == wave.pk), None)
    if found is None:
        raise ValidationError(sentence("The wave %(wave)s is not there any more: look again.", wave=wave.name))
    return rollout, waves, found


def _read(wave: Wave, values: dict[str, Any]) -> dict[str, Any]:
    """The values as they are kept."""
    values = settable(values, SETTABLE)
    if "batches" in values:
        values["batches"] = checked_batches(values["batches"]) or None
    if "saved_query" in values:
        values["saved_query"] = _checked_query(wave, values["saved_query"])
    return values


def _checked_query(wave: Wave, query: str) -> str:
    """A filter of the user list as it is kept: the query of its address, of which a whole address may be given."""
    query = query.strip().partition("#")[0].rpartition("?")[2]
    if not query:
        return ""
    try:
        find_users(wave.rollout.tenant, query)
    except ValidationError as error:
        raise ValidationError({"saved_query": error.messages}) from None
    return urlencode(asked_of(query))


def _check(wave: Wave, waves: list[Wave]) -> None:
    if any(other.pk != wave.pk and other.name.casefold() == wave.name.casefold() for other in waves):
        raise ValidationError(
            {"name": sentence("There is already a wave %(name)s in this rollout: choose another name.", name=wave.name)}
        )
    if (wave.window_from is None) != (wave.window_to is None):
        field = "window_to" if wave.window_to is None else "window_from"
        raise ValidationError({field: sentence("A window has a beginning and an end: give both, or neither.")})
    if wave.window_from is not None and wave.window_from == wave.window_to:
        raise ValidationError({"window_to": sentence("A window ends at another time than it begins: choose one.")})
    if wave.time_zone and wave.time_zone not in time_zone_names():
        raise ValidationError(
            {
                "time_zone": sentence(
                    "There is no time zone %(zone)s: write it as Europe/Rome.", zone=wave.time_zone[:64]
                )
            }
        )
    if wave.observe_days > LONGEST_PERIOD:
        raise ValidationError(
            {"observe_days": sentence("A pilot period has at most %(most)s days.", most=LONGEST_PERIOD)}
        )
    wave.full_clean(validate_constraints=False, exclude=["rollout"])


def _check_order(waves: list[Wave]) -> None:
    """Whoever is left joins one wave, the last of those to come."""
    to_come = [wave for wave in waves if not wave.has_started]
    for wave in to_come[:-1]:
        if wave.takes_rest:
            raise ValidationError(
                sentence(
                    "%(wave)s takes whoever is left, so it is the last wave and the only one that does.",
                    wave=wave.name,
                )
            )


def _number(waves: list[Wave]) -> None:
    """Give the waves their places, and save those that are new or have another now."""
    placed = list(enumerate(waves, 1))
    moved = [wave.pk for place, wave in placed if wave.pk is not None and wave.position != place]
    # No two waves have one place at any moment, so those that move stand aside first.
    Wave.objects.filter(pk__in=moved).update(position=F("position") + 2 * MOST_WAVES)
    for place, wave in placed:
        if wave.pk is None or wave.position != place:
            wave.position = place
            wave.save()


def _target(wave: Wave) -> str:
    return f"{wave.rollout.name}: {wave.name}"


def _note(wave: Wave, actor: Actor, told: Sentence) -> None:
    events.note(wave.rollout, RolloutEvent.Kind.CHANGED, told, wave=wave, by=actor.name)
