"""Which rollout and which wave a page is about, and what its pages show alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _

from migrations_app.models import Rollout, Wave, WaveMember
from migrations_app.rollouts.gates import Gate, gates_of, shown_state
from tenants_app.access import Access

MS = WaveMember.State


def rollout_of(access: Access, pk: int) -> Rollout:
    """The tenant's rollout with that key; 404 where there is none."""
    rollouts = Rollout.objects.select_related("legacy", "new", "default_bridge")
    found = get_object_or_404(rollouts, tenant=access.tenant, pk=pk)
    found.tenant = access.tenant
    return found


def wave_of(request: HttpRequest, access: Access, pk: int, n: int) -> Wave:
    """The wave at place ``n`` of the tenant's rollout with that key, with its rollout; 404 where there is none.

    Waves that have not started can be put into another order, so a form says which wave it was shown for: where another
    is at that place by now nothing is done (``PermissionDenied``), and nobody starts or removes the wrong one.
    """
    rollout = rollout_of(access, pk)
    wave = get_object_or_404(Wave, rollout=rollout, position=n)
    shown = request.POST.get("seen")
    if shown is not None and shown != str(wave.pk):
        raise PermissionDenied(
            _("The waves have another order than when the page was opened, so nothing was done: open the page again.")
        )
    wave.rollout = rollout
    return wave


@dataclass(slots=True)
class Step:
    """A wave in the line of waves."""

    wave: Wave
    gate: Gate | None
    state: str
    counts: dict[str, int] = field(default_factory=dict)
    is_here: bool = False

    @property
    def members(self) -> int:
        """Without those who were excluded."""
        return sum(count for state, count in self.counts.items() if state != MS.EXCLUDED)

    @property
    def done(self) -> int:
        return self.counts.get(MS.DONE, 0)

    @property
    def taken_back(self) -> int:
        return self.counts.get(MS.ROLLED_BACK, 0)

    @property
    def failed(self) -> int:
        return self.counts.get(MS.FAILED, 0)

    @property
    def parts(self) -> Sequence[tuple[str, float, float]]:
        """The bar: the tone of each part, where it begins and how wide it is, of a hundred."""
        moving = sum(self.counts.get(state, 0) for state in WaveMember.UNDER_WAY)
        total, x = self.members or 1, 0.0
        parts = []
        for tone, count in (("succeeded", self.done), ("failed", self.failed), ("progress", moving)):
            if count:
                width = max(count / total * 100, 1.5)
                parts.append((tone, round(x, 2), round(min(width, 100 - x), 2)))
                x += width
        return parts

    @property
    def gathers(self) -> str:
        """Who joins when it starts; empty where all are listed."""
        if self.wave.has_started:
            return ""
        if self.wave.takes_rest:
            return _("and whoever is left")
        return _("and whom a filter finds") if self.wave.saved_query else ""


def line_of(rollout: Rollout, here: Wave | None = None, now: datetime | None = None) -> list[Step]:
    """All waves with their states, gates and members, in as many statements however many there are."""
    waves = list(Wave.objects.filter(rollout=rollout).order_by("position"))
    for wave in waves:
        wave.rollout = rollout
    gates = gates_of([wave for wave in waves if not wave.has_started], now or timezone.now())
    counts = _counted(waves)
    return [
        Step(
            wave,
            gate := gates.get(wave.pk),
            shown_state(wave, gate) if gate is not None else wave.state,
            counts[wave.pk],
            here is not None and wave.pk == here.pk,
        )
        for wave in waves
    ]


def lines_of(rollouts: Iterable[Rollout]) -> dict[int, list[Step]]:
    """The same of several rollouts, without gates: for the list."""
    by_pk = {rollout.pk: rollout for rollout in rollouts}
    waves = list(Wave.objects.filter(rollout__in=by_pk).order_by("rollout", "position"))
    counts = _counted(waves)
    lines: dict[int, list[Step]] = {pk: [] for pk in by_pk}
    for wave in waves:
        wave.rollout = by_pk[wave.rollout_id]
        lines[wave.rollout_id].append(Step(wave, None, wave.state, counts[wave.pk]))
    return lines


def _counted(waves: Iterable[Wave]) -> dict[int, dict[str, int]]:
    counts: defaultdict[int, dict[str, int]] = defaultdict(dict)
    rows = WaveMember.objects.filter(wave__in=[wave.pk for wave in waves]).order_by()
    counted = rows.values_list("wave", "state").annotate(members=Count("pk"))
    for wave, state, count in cast("Iterable[tuple[int, str, int]]", counted):
        counts[wave][state] = count
    return counts


def wave_context(access: Access, wave: Wave, tab: str) -> dict[str, Any]:
    """What every page of a wave shows: the line of waves above, and the tabs; ``tab`` is the one that is open."""
    line = line_of(wave.rollout, wave)
    step = next(each for each in line if each.is_here)
    return {"access": access, "rollout": wave.rollout, "wave": wave, "line": line, "step": step, "tab": tab}
