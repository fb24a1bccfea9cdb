"""Charts as numbers for an SVG: the templates draw them, beside a table of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


HEIGHT = 40
"""Of a small chart over time, in units of the drawing, as ``WIDTH``."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of a drawing."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class OverTime:
    """A small chart of one value over a stretch, drawn as steps or as bars; a gap where nobody measured."""

    line: str
    """The ``d`` of a path; empty where it is drawn as bars."""
    bars: Sequence[Box]
    gaps: Sequence[Box]


def steps(values: Sequence[int | None]) -> OverTime:
    """A line that keeps each value until the next, from nothing at the bottom to the highest at the top."""
    width, highest = _width(values), max(filter(None, values), default=1)
    line: list[str] = []
    was_measured = False
    for at, value in enumerate(values):
        if value is not None:
            y = round(HEIGHT - 2 - value / highest * (HEIGHT - 4), 1)
            line.append(f"{'L' if was_measured else 'M'}{_at(at, width)} {y}H{_at(at + 1, width)}")
        was_measured = value is not None
    return OverTime("".join(line), (), _gaps(values, width))


def bars(values: Sequence[int | None]) -> OverTime:
    """A bar for each value; what is not nothing is never too small to be seen."""
    width, highest = _width(values), max(filter(None, values), default=1)
    found = []
    for at, value in enumerate(values):
        if value:
            height = max(round(value / highest * HEIGHT, 1), 2)
            found.append(Box(_at(at, width), HEIGHT - height, round(width * 0.8, 1), height))
    return OverTime("", found, _gaps(values, width))


def _width(values: Sequence[object]) -> float:
    return WIDTH / max(len(values), 1)


def _at(place: int, width: float) -> float:
    return round(place * width, 1)


def _gaps(values: Sequence[int | None], width: float) -> list[Box]:
    """Where nobody measured, a box for each stretch without a break."""
    found: list[Box] = []
    begin: int | None = None
    for at, value in enumerate([*values, 0]):
        if value is None and begin is None:
            begin = at
        elif value is not None and begin is not None:
            found.append(Box(_at(begin, width), 0, round((at - begin) * width, 1), HEIGHT))
            begin = None
    return found
