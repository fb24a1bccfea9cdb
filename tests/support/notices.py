"""Notices to organizers as they are stored, for tests of pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from migrations_app.models import Notice, NoticeRound
from tenants_app.models import ConferencingUser
from tests.support.planned import plan_for


def notices_to(user: ConferencingUser, **values: Any) -> NoticeRound:
    """One that failed, of runs that are planned and wait for another that is on its way."""
    plan = plan_for(user, wants_notice=True, waits_for_notices=True)
    opens = plan.opens_at
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
