"""How the numbers of a rollout's report read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import localize
from django.utils.translation import gettext, ngettext

from migrations_app.models import WaveMember
from migrations_app.rollouts.report_wording import LABELS
from tenants_app.templatetags.page_parts import when

register = template.Library()


@register.filter
def figures(section: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Each number of a section with what it is called, in the order in which they were counted."""
    return [
        (gettext(LABELS[name]), intcomma(value) if isinstance(value, int) else localize(value))
        for name, value in (section or {}).items()
        if name in LABELS and isinstance(value, (int, float)) and not isinstance(value, bool)
    ]


@register.filter
def foreseen(planned: Mapping[str, Any]) -> Mapping[str, Any]:
    """What was known of the plan: where nobody had looked at the moves, only who was a member."""
    if planned.get("foreseen_at"):
        return planned
    return {name: planned[name] for name in ("members", "client_unknown", "client_below") if name in planned}


@register.filter
def cells(row: Mapping[str, Any], columns: Sequence[str]) -> list[tuple[str, Any]]:
    """The cells of a row of a list, each with the title of its column; states in words, times with their zone."""
    values = [_cell(name, value) for name, value in row.items()]
    return list(zip(columns, values, strict=True))


def _cell(name: str, value: Any) -> Any:
    if name == "state":
        return WaveMember.State(value).label
    return when(value) if isinstance(value, datetime) else value


@register.filter
def lasting(seconds: int) -> str:
    """How long something lasted, in the largest two units."""
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return ngettext("%(days)s day %(hours)s h", "%(days)s days %(hours)s h", days) % {
            "days": days,
            "hours": hours % 24,
        }
    if hours:
        return gettext("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes % 60}
    return gettext("%(minutes)s min") % {"minutes": minutes}
