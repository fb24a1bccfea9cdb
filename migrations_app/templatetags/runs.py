"""Template tags that show states, outcomes and failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import Q
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import ngettext, npgettext

from migrations_app.badges import BADGES, FORESEEN, MEMBERS, NEVER_RUN, WAVES
from migrations_app.failures import entry_of, happened
from migrations_app.mail.waiting import Queue, Waiting
from migrations_app.models import (
    BulkActionUser,
    MeetingResult,
    NumberRelease,
    Plan,
    PreviewedMeeting,
    Run,
    Update,
)
from migrations_app.preview.foretold import changes_of
from migrations_app.procedures.bulk_kinds import KINDS, Kind
from migrations_app.procedures.plans import job_in_words, job_of, page_of
from migrations_app.rewriting.comparison import Change
from migrations_app.runs.movements import movement_of
from migrations_app.runs.plans import begins_in_words, window_in_words
from tenants_app.local_times import told
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.templatetags.components import draw, state

register = template.Library()

STEPS = [
    state.value
    for state in (
        NumberRelease.State.WAITING,
        NumberRelease.State.MOVING,
        NumberRelease.State.UPDATING,
        NumberRelease.State.RELEASED,
    )
]
"""The states that a number goes through on its way off a bridge."""
STEP_ICONS = {"done": "circle-check", "now": "loader-2", "next": "circle-dashed"}


UNITS: Mapping[str, Callable[[int], str]] = {
    "attendee": lambda n: ngettext("attendee", "attendees", n),
    "done": lambda n: npgettext("users", "done", "done", n),
    "failed": lambda n: npgettext("meetings", "failed", "failed", n),
    "fewer than shown": lambda n: ngettext("fewer than shown", "fewer than shown", n),
    "left": lambda n: npgettext("meetings", "left", "left", n),
    "meeting": lambda n: ngettext("meeting", "meetings", n),
    "message": lambda n: ngettext("message", "messages", n),
    "not done": lambda n: npgettext("users", "not done", "not done", n),
    "skipped": lambda n: npgettext("meetings", "skipped", "skipped", n),
    "updated": lambda n: npgettext("meetings", "updated", "updated", n),
    "user": lambda n: ngettext("user", "users", n),
}
"""What a number in a table counts, as it stands behind the number on a phone."""


@register.filter
def unit(number: int, name: str) -> str:
    """What so many are called."""
    return UNITS[name](number)


@register.simple_tag
def badge(value: str | None) -> SafeString:
    """The badge of a state or an outcome."""
    look = BADGES[value] if value else NEVER_RUN
    return state(look.tone, look.icon, look.label)


@register.simple_tag
def wave_badge(value: str) -> SafeString:
    """The badge of the state of a wave."""
    look = WAVES[value]
    return state(look.tone, look.icon, look.label)


@register.simple_tag
def member_badge(value: str) -> SafeString:
    """The badge of the state of a member of a wave."""
    look = MEMBERS[value]
    return state(look.tone, look.icon, look.label)


@register.filter
def member_label(value: str) -> str:
    """What people call the state of a member of a wave."""
    return str(MEMBERS[value].label)


@register.simple_tag
def run_badge(value: str | None, left: int | None = 0) -> SafeString:
    """The badge of a run's state, which says how many meetings it left that still need a person."""
    look = BADGES[value] if value else NEVER_RUN
    if not left:
        return state(look.tone, look.icon, look.label)
    tone, icon_name = ("pending", "alert-triangle") if value == "Succeeded" else (look.tone, look.icon)
    told = ngettext("%(state)s, %(count)s left for you", "%(state)s, %(count)s left for you", left)
    return state(tone, icon_name, told % {"state": look.label, "count": intcomma(left)})


@register.simple_tag
def foreseen_badge(outcome: str) -> SafeString:
    """The badge of what a run would make of a meeting."""
    return badge(FORESEEN[outcome])


@register.filter
def user_key(record: Run | ConferencingUser) -> str:
    """The key of the user in a row of a list: the user, or the one whose run it is."""
    return str(record.user_id if isinstance(record, Run) else record.pk)


@register.filter
def bulk_kind(name: str) -> Kind:
    """What is done for many users, by its name."""
    return KINDS[name]


@register.filter
def begins(plan: Plan) -> str:
    """When what is planned begins, or goes on: ``Saturday 5 December 2026, 22:00, Rome time``, and its daily window."""
    return begins_in_words(plan)


@register.filter
def window(plan: Plan) -> str:
    """The daily window of a plan, with its time zone; empty where it has none."""
    return window_in_words(plan)


@register.filter
def at_length(moment: datetime) -> str:
    """``Saturday 5 December 2026, 22:00, Rome time``."""
    return told(moment, timezone.get_current_timezone())


@register.filter
def job_name(plan: Plan) -> str:
    """What is planned, as the heading of its page."""
    return job_in_words(job_of(plan))


@register.filter
def job_page(plan: Plan) -> str:
    """The address of the page of what is planned."""
    job = job_of(plan)
    return reverse(page_of(job), args=[plan.tenant.slug, job.pk])


@register.simple_tag
def next_plans(tenant: Tenant) -> list[Plan]:
    """What begins next of what is planned, a few."""
    found = Plan.objects.filter(tenant=tenant, state=Plan.State.PLANNED).order_by("opens_at", "pk")
    return list(found.select_related("tenant").prefetch_related("bulk_actions", "number_releases")[:3])


@register.simple_tag
def plan_of_user(user: ConferencingUser) -> Plan | None:
    """What is planned next of those jobs that are about the user by name."""
    waiting = BulkActionUser.objects.filter(user=user, state=BulkActionUser.State.WAITING)
    found = Plan.objects.filter(tenant=user.tenant_id, state=Plan.State.PLANNED)
    named = Q(bulk_actions__in=waiting.values("action"))
    numbers = Q(number_releases__number__in=[key for key in (user.toll_number_id, user.toll_free_number_id) if key])
    return found.filter(named | numbers).select_related("tenant").order_by("opens_at", "pk").first()


@register.filter
def foretold_changes(row: PreviewedMeeting) -> list[Change]:
    """What would be replaced in a meeting of a preview."""
    return changes_of(row)


@register.filter
def movement_ahead(result: MeetingResult) -> str:
    """Whether the meeting would stay in its service; empty where that is not known (R40)."""
    movement = movement_of(result)
    return movement.ahead if movement else ""


@register.filter
def movement_done(result: MeetingResult) -> str:
    """Whether the meeting stayed in its service; empty where that is not known (R40)."""
    movement = movement_of(result)
    return movement.done if movement else ""


@register.filter
def state_label(value: str, number: int = 1) -> str:
    """What people call the state, of one or beside a number."""
    return BADGES[value].label if number == 1 else BADGES[value].label_of_many


@register.inclusion_tag("parts/failure.html")
def failure(code: str, detail: str) -> dict[str, Any]:
    """What happened and what to do, from the catalogue (R31)."""
    return {"what": happened(code, detail), "do": entry_of(code).do} if code else {}


@register.filter(name="happened")
def what_happened(code: str, detail: str = "") -> str:
    """What happened alone, without what to do."""
    return happened(code, detail) if code else ""


@register.simple_tag
def why_waiting(queue: Queue, update: Update) -> Waiting | None:
    """Why a message is not sent yet; None where it does not wait."""
    return queue.why(update)


@register.simple_block_tag(takes_context=True)
def step(context: Context, content: SafeString, name: str, reached: str, title: str = "") -> SafeString:
    """One step of taking a number off, where the number has ``reached`` another or the same."""
    ahead = STEPS.index(name) - STEPS.index(reached)
    standing = "next" if ahead > 0 else "done" if ahead < 0 or reached == STEPS[-1] else "now"
    icon = BADGES[name].icon if standing == "now" else STEP_ICONS[standing]
    return draw(context, "releases/step.html", content=content, title=title or name, standing=standing, icon=icon)
