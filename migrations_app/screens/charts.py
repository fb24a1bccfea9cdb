"""Charts as numbers for an SVG: the templates draw them, beside a table of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WIDTH = 1000
_THINNEST = 8  # a single failed user among thousands must stay visible


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a stacked bar: ``x`` and ``width`` in units of the drawing, ``share`` in percent."""

    name: str
    count: int
    x: float
    width: float
    share: float


def stacked_bar(counts: Mapping[str, int]) -> list[Segment]:
    """The pieces of a bar ``WIDTH`` wide, in the order of ``counts``; empty ones have no width."""
    total = sum(counts.values())
    wide = {name: max(count / total * WIDTH, _THINNEST) if count else 0.0 for name, count in counts.items()}
    scale = WIDTH / (sum(wide.values()) or 1)
    segments: list[Segment] = []
    x = 0.0
    for name, count in counts.items():
        width = wide[name] * scale
        segments.append(Segment(name, count, round(x, 1), round(width, 1), count / total * 100 if total else 0.0))
        x += width
    return segments
