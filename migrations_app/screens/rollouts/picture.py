"""Who meets whom as numbers for an SVG: the wave on the left, who stays behind on the right, meetings as lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migrations_app.rollouts.company import Company, Outsider

WIDTH, ROW, EDGE = 520, 30, 8
LEFT, RIGHT = 80, 240
_THICKEST, _THINNEST = 14.0, 1.5


@dataclass(frozen=True, slots=True)
class Line:
    """The meetings that one of the outsiders shares with members."""

    outsider: Outsider
    y: float
    path: str
    """The ``d`` of a path."""
    thickness: float
    name: str
    """Short enough for the drawing."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The drawing, in its units."""

    height: int
    middle: float
    lines: Sequence[Line]
    width: int = WIDTH
    left: int = LEFT
    right: int = RIGHT
    edge: int = EDGE


def picture_of(company: Company) -> Picture:
    """A line for each who is shown, the thicker the more meetings."""
    height = max(len(company.outsiders) * ROW, 120) + 2 * EDGE
    middle = height / 2
    lines = []
    for at, each in enumerate(company.outsiders):
        y = EDGE + ROW * (at + 0.5)
        bend = (LEFT + RIGHT) / 2
        path = f"M{LEFT} {middle:.1f}C{bend:.0f} {middle:.1f} {bend:.0f} {y:.1f} {RIGHT} {y:.1f}"
        thickness = max(each.meetings / (company.most or 1) * _THICKEST, _THINNEST)
        lines.append(Line(each, y, path, round(thickness, 1), _short(each.user.display_name or each.user.upn)))
    return Picture(height, middle, lines)


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"
