"""How states, outcomes and failures look: a label, a colour and an icon for each value, in one place."""

from __future__ import annotations

from typing import Any, NamedTuple

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from migrations_app.failures import entry_of, happened
from tenants_app.templatetags.page_parts import icon

register = template.Library()


class Badge(NamedTuple):
    """``tone`` is one of the ``tone-…`` classes of ``mms.css``."""

    label: str
    tone: str
    icon: str


NEVER_RUN = Badge("No run yet", "quiet", "circle-dashed")
BADGES = {
    # states of runs
    "Pending": Badge("Pending", "pending", "hourglass"),
    "InProgress": Badge("In progress", "progress", "loader-2"),
    "Failed": Badge("Failed", "failed", "circle-x"),
    "Succeeded": Badge("Succeeded", "succeeded", "circle-check"),
    # outcomes of meetings, beside Failed and Succeeded
    "Skipped": Badge("Skipped", "quiet", "arrow-right"),
    # what a run would make of a meeting
    "Would be updated": Badge("Would be updated", "pending", "refresh"),
    "Would be skipped": Badge("Would be skipped", "quiet", "arrow-right"),
    "Would fail": Badge("Would fail", "failed", "circle-x"),
    "Not known": Badge("Not known", "quiet", "circle-dashed"),
    # messages, beside Failed
    "Queued": Badge("Queued", "pending", "mail"),
    "Sent": Badge("Sent", "succeeded", "mail-check"),
    "Superseded": Badge("Replaced by a newer one", "quiet", "mail"),
}


@register.simple_tag
def badge(value: str | None) -> SafeString:
    """The badge of a state or an outcome."""
    label, tone, name = BADGES[value] if value else NEVER_RUN
    return format_html('<span class="state tone-{}">{}{}</span>', tone, icon(name), label)


@register.filter
def state_label(value: str) -> str:
    return BADGES[value].label


@register.inclusion_tag("migrations/failure.html")
def failure(code: str, detail: str) -> dict[str, Any]:
    """What happened and what to do, from the catalogue (R31)."""
    return {"what": happened(code, detail), "do": entry_of(code).do} if code else {}
