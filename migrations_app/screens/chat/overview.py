"""Where chat stands: plans, archives, targets, and what to do next for whoever begins (R128)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from migrations_app.models import ChatArchive, ChatPlan, ChatReading, ChatRoom, ChatTarget
from migrations_app.monitoring.health import workers
from migrations_app.screens.chat.of_page import standings_of
from migrations_app.screens.live import Live
from tenants_app.access import Access, access_for
from tenants_app.screens.requests import Request

SHOWN = 20
"""Plans on the page, the newest first; and archives and readings beside them."""
A_FEW = 5


@dataclass(slots=True)
class FirstStep:
    """One step of the way, with where it is taken."""

    name: str
    why: str
    page: str
    is_done: bool
    may: bool = True


@require_safe
def overview(request: Request, slug: str) -> HttpResponse:
    """Everything at a glance. The page follows what happens."""
    access = access_for(request, slug)
    live = Live(request, access)
    if live.is_unchanged:
        return live.nothing_new()
    tenant = access.tenant
    plans = list(ChatPlan.objects.filter(tenant=tenant).select_related("archive", "target")[: SHOWN + 1])
    standings = standings_of(plans[:SHOWN])
    archives = list(ChatArchive.objects.filter(tenant=tenant, state=ChatArchive.State.STORED)[: A_FEW + 1])
    readings = list(ChatReading.objects.filter(tenant=tenant, state=ChatReading.State.WAITING)[:A_FEW])
    targets = list(ChatTarget.objects.filter(tenant=tenant).annotate(plan_count=Count("plans")))
    goes_on = bool(readings) or any(plan.state in ChatPlan.UNDER_WAY for plan in plans)
    compares = any(standing.being_compared for standing in standings.values())
    steps = _first_steps(access, archives, targets, plans)
    context = {
        "access": access,
        "plans": [(plan, standings[plan.pk]) for plan in plans[:SHOWN]],
        "is_cut": len(plans) > SHOWN,
        "archives": archives[:A_FEW],
        "has_more_archives": len(archives) > A_FEW,
        "readings": readings,
        "targets": targets,
        "steps": steps,
        "steps_left": sum(not step.is_done for step in steps),
        "is_silent": (goes_on or compares) and workers().are_silent,
        "seconds_to_refresh": 2 if goes_on or compares else 15,
    }
    return live.answer("chat/overview.html", "chat/overview_live.html", context)


def _first_steps(
    access: Access, archives: Sequence[ChatArchive], targets: Sequence[ChatTarget], plans: Sequence[ChatPlan]
) -> list[FirstStep]:
    """The way from nothing to a verified import. Steps of the latest plan lead to it."""
    slug, latest = access.tenant.slug, plans[0] if plans else None
    to_plan = reverse("chat-plan", args=[slug, latest.number]) if latest else reverse("new-chat-plan", args=[slug])
    rooms: Any = ChatRoom.objects.filter(plan=latest) if latest else ChatRoom.objects.none()
    is_imported = latest is not None and latest.state == ChatPlan.State.IMPORTED
    is_verified = (
        is_imported
        and not rooms.exclude(state__in=ChatRoom.OUT).exclude(comparison=ChatRoom.Comparison.VERIFIED).exists()
    )
    may_operate, may_administer = access.may_operate, access.may_administer
    return [
        FirstStep(
            _("Give MMS the history"),
            _("An archive, tables of the old database, or files of the compliance service. Nothing is changed there."),
            reverse("chat-archives", args=[slug]) + "#give",
            bool(archives or plans),
            may_operate,
        ),
        FirstStep(
            _("Say where rooms go"),
            _("Pages to read that need no server, Matrix, Microsoft Teams, Mattermost, or Persistent Chat itself."),
            reverse("chat-targets", args=[slug]),
            bool(targets),
            may_administer,
        ),
        FirstStep(
            _("Plan the import"),
            _("MMS reads everything, touches nothing, and says of each room what it would become."),
            reverse("new-chat-plan", args=[slug]),
            bool(plans),
            may_operate,
        ),
        FirstStep(
            _("Import the rooms"),
            _("Once no error is left, or rooms with errors are deselected. It can be paused at any time."),
            to_plan,
            is_imported,
            may_operate,
        ),
        FirstStep(
            _("Compare both sides"),
            _("MMS reads the target back and compares it with the archive, message by message."),
            to_plan,
            bool(is_verified),
            may_operate,
        ),
        FirstStep(
            _("Pass the gate"),
            _("It says whether the old system may be switched off."),
            reverse("chat-gate", args=[slug, latest.number]) if latest else to_plan,
            False,
            may_operate,
        ),
    ]
