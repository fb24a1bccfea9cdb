"""What a page shows of each meeting before something is done, and whether that is so still when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from migrations_app.preview.foretold import first_meetings, foretell_all, seen_in_sum
from migrations_app.preview.plans import MOST_AT_ONCE, Plan, is_small, planned_now
from tenants_app.models import ConferencingUser
from tenants_app.screens.requests import Request


def changed_since(done: str) -> str:
    """What is said where something has changed, so that nothing was ``done``: ``moved`` or ``started``."""
    return {
        "moved": _(
            "Settings or meetings have changed since you looked, so nothing was moved: this is what it does now."
        ),
        "started": _(
            "Settings or meetings have changed since you looked, so nothing was started: this is what it does now."
        ),
    }[done]


def looked_at(plan: Plan) -> Mapping[str, Any]:
    """What the plan comes to, with the first meetings; without any of it where looking takes too long for a page."""
    if not is_small(plan):
        return {"totals": None}
    told, totals = foretell_all(planned_now(plan))
    return {"totals": totals, "looked": seen_in_sum(plan.users), **first_meetings(told)}


def first_keys(users: QuerySet[ConferencingUser]) -> list[int]:
    """The keys of these users for a plan; of too many for a page only so many that it can be told."""
    return list(users.order_by("pk").values_list("pk", flat=True)[: MOST_AT_ONCE + 1])


def has_changed_since(request: Request, users: QuerySet[ConferencingUser]) -> bool:
    """Whether these users are others than those of the page from which this was posted, or look otherwise by now."""
    looked = request.POST.get("looked", "")
    return bool(looked) and (users.count() > MOST_AT_ONCE or seen_in_sum(users) != looked)
