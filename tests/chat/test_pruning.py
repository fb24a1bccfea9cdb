"""Plans of chat that nobody goes by any more go with the rest of the history; nothing that was imported does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.models import ChatArchive, ChatFinding, ChatPlan, ChatRoom, ChatStep, ChatTarget
from migrations_app.runs.pruning import prune
from tenants_app.models import Tenant

NOW = timezone.now()
OLD = NOW - timedelta(days=400)


@pytest.fixture
def numbers(tenant: Tenant) -> Any:
    """Makes a plan of a year ago with a room and a finding; the numbers of those that are left after pruning."""
    archive = ChatArchive.objects.create(tenant=tenant, name="Chat", folder="a", level="All", exported_at=OLD)
    target = ChatTarget.objects.create(tenant=tenant, name="To read", kind="archive", folder="t")

    def make(number: int, state: str, of_room: dict[str, Any] | None = None, **values: Any) -> ChatPlan:
        of = {"tenant": tenant, "archive": archive, "target": target, "created": OLD}
        plan = ChatPlan.objects.create(**{**of, "number": number, "state": state, **values})
        room = ChatRoom.objects.create(plan=plan, position=1, room_id="1", name="Room", **(of_room or {}))
        ChatFinding.objects.create(plan=plan, room=room, severity="note", code="read-only", sentence="x")
        return plan

    return make


def test_only_plans_go_that_imported_nothing_and_were_given_up(numbers: Any) -> None:
    newest = numbers(1, "Ready")
    numbers(2, "Ready", replaced_by=newest)
    numbers(3, "Refused")
    numbers(4, "Outdated")
    numbers(5, "Outdated", created=NOW)
    numbers(6, "Imported", started_at=OLD, replaced_by=newest)
    numbers(7, "Outdated", of_room={"target_id": "there"})
    numbers(8, "Refused", of_room={"comparison": "Verified"})
    ChatStep.objects.create(plan=numbers(9, "Outdated"), key="back-up", done_by="alice")
    prune(NOW - timedelta(days=90))
    assert sorted(ChatPlan.objects.values_list("number", flat=True)) == [1, 5, 6, 7, 8, 9]
    assert ChatFinding.objects.count() == ChatRoom.objects.count() == 6
