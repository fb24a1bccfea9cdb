"""Notices to organizers as they are stored, for tests of pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from migrations_app.models import Notice, NoticeRound, Plan
from tenants_app.models import ConferencingUser


def notices_to(user: ConferencingUser, **values: Any) -> NoticeRound:
    """One that failed, of runs that are planned and wait for another that is on its way."""
    opens = timezone.now() + timedelta(days=3)
    plan = Plan.objects.create(
        tenant=user.tenant,
        not_before=opens,
        opens_at=opens,
        requested_by="alice",
        wants_notice=True,
        waits_for_notices=True,
    )
    round_ = NoticeRound.objects.create(
        tenant=user.tenant, plan=plan, preview_kind="start", begins_at=opens, requested_by="alice"
    )
    told = {
        "tenant": user.tenant,
        "user": user,
        "meetings": 2,
        "language": "en",
        "begins_at": opens - timedelta(days=1),
    }
    failed = {"state": Notice.State.FAILED, "error_code": "mail-refused"}
    Notice.objects.create(round=round_, **told | failed | values)
    return round_
