"""Previews that are ready, for tests of pages."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from migrations_app.models import Preview
from migrations_app.preview.plans import Starts
from migrations_app.procedures import previews
from migrations_app.targets import ALL, LINK, Targets
from migrations_app.tasks import TIME_BUDGET
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR


def preview_of(user: ConferencingUser) -> dict[str, Any]:
    """Keys of a preview of a run that makes all of the user's meetings anew, and of its first meeting."""
    plan = Starts.of(user.tenant, users=[user.pk], targets=Targets.of_types(ALL, LINK))
    shown = previews.submit(user.tenant, plan, ACTOR)
    previews.advance(timezone.now() + TIME_BUDGET)
    shown = Preview.objects.get(pk=shown.pk)
    first = shown.meetings.order_by("pk").first()
    return {"preview": shown.pk, "previewed": first.pk if first else 0}
