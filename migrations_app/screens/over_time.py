"""The charts of a tenant over time, each in the row of a table that says the same in figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.utils.translation import gettext_lazy

from migrations_app.badges import BADGES, Badge
from migrations_app.failures import CATALOGUE
from migrations_app.monitoring.over_time import STRETCHES, OverTime, highest
from migrations_app.screens import charts

CODES_SHOWN = 6
"""Codes that get a chart of their own; the others are counted together."""

_MOMENTS = {
    "failed": BADGES["Failed"],
    "pending": BADGES["Pending"],
    "in_progress": BADGES["InProgress"],
    "succeeded": BADGES["Succeeded"],
    "left": Badge(gettext_lazy("Meetings left for you"), "pending", "alert-triangle"),
    "waiting": Badge(gettext_lazy("Messages waiting"), "quiet", "mail"),
}
_DONE = {
    "sent": Badge(gettext_lazy("Updates sent"), "succeeded", "mail-check"),
    "runs_ended": Badge(gettext_lazy("Runs ended"), "progress", "check"),
}


class Row(NamedTuple):
    """One chart, and what it comes to."""

    label: str
    tone: str
    chart: charts.OverTime
    figure: int | None
    """How it stands at last, or the sum of what was done; None where nothing was measured."""
    most: int | None
    """The highest in one piece of the chart."""
    code: str = ""
    """Of a failure."""


def charts_over_time(found: OverTime) -> dict[str, Any]:
    """What the card of the dashboard shows."""
    drawn = found.drawn
    moments = [
        Row(look.label_of_many, look.tone, charts.steps(values), _last(values), highest(drawn, name))
        for name, look in _MOMENTS.items()
        if (values := [bucket.of(name) for bucket in drawn])
    ]
    done = [
        Row(look.label_of_many, look.tone, charts.bars(values), _sum(values), highest(drawn, name))
        for name, look in _DONE.items()
        if (values := [bucket.of(name) for bucket in drawn])
    ]
    codes = found.codes
    failures = []
    for code, count in codes[:CODES_SHOWN]:
        values = [bucket.failed_by(code) for bucket in drawn]
        what = CATALOGUE[code].what if code in CATALOGUE else code
        failures.append(Row(what, "failed", charts.bars(values), count, max(filter(None, values), default=0), code))
    return {
        "of": found,
        "stretches": [(each, each is found.stretch) for each in STRETCHES.values()],
        "moments": moments,
        "done": done,
        "failures": failures,
        "other_failures": sum(count for _, count in codes[CODES_SHOWN:]),
        "width": charts.WIDTH,
        "height": charts.HEIGHT,
    }


def _last(values: Sequence[int | None]) -> int | None:
    return next((value for value in reversed(values) if value is not None), None)


def _sum(values: Sequence[int | None]) -> int | None:
    measured = [value for value in values if value is not None]
    return sum(measured) if measured else None
