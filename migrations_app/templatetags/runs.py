"""Template tags that show states, outcomes and failures."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from migrations_app.badges import BADGES, FORESEEN, NEVER_RUN
from migrations_app.failures import entry_of, happened
from tenants_app.templatetags.page_parts import icon

register = template.Library()


@register.simple_tag
def badge(value: str | None) -> SafeString:
    """The badge of a state or an outcome."""
    label, tone, name = BADGES[value] if value else NEVER_RUN
    return format_html('<span class="state tone-{}">{}{}</span>', tone, icon(name), label)


@register.simple_tag
def foreseen_badge(outcome: str) -> SafeString:
    """The badge of what a run would make of a meeting."""
    return badge(FORESEEN[outcome])


@register.filter
def state_label(value: str) -> str:
    return BADGES[value].label


@register.inclusion_tag("parts/failure.html")
def failure(code: str, detail: str) -> dict[str, Any]:
    """What happened and what to do, from the catalogue (R31)."""
    return {"what": happened(code, detail), "do": entry_of(code).do} if code else {}
