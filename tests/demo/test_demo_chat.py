"""The chat of the demo: an archive, an import with one difference to look at, and a plan that waits for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.management import demo_chat
from migrations_app.models import ChatArchive, ChatDifference, ChatPlan, ChatRoom
from tenants_app.audit import Actor, Channel
from tenants_app.models import Tenant


@pytest.fixture
def loaded(tenant: Tenant, settings: Any, tmp_path: Path) -> Tenant:
    settings.MMS_DATA_DIR = tmp_path
    demo_chat.load(tenant, Actor("load_demo", Channel.COMMAND), timezone.now())
    return tenant


def test_a_newcomer_sees_an_import_that_is_verified_with_one_difference_to_look_at(loaded: Tenant) -> None:
    assert ChatArchive.objects.get().counts["rooms"] == 6
    plan = ChatPlan.objects.get(target__kind="archive")
    assert (plan.state, plan.error_count) == ("Imported", 0)
    rooms = dict(plan.rooms.values_list("name", "comparison"))
    assert rooms.pop("Handover") == ChatRoom.Comparison.DIFFERS
    disabled = rooms.pop("Christmas party 2014", "")
    assert disabled == ChatRoom.Comparison.NOT_COMPARED
    assert set(rooms.values()) == {ChatRoom.Comparison.VERIFIED}
    assert [each.room.name for each in ChatDifference.objects.select_related("room")] == ["Handover"]


def test_a_newcomer_sees_a_plan_with_findings_of_many_kinds(loaded: Tenant) -> None:
    plan = ChatPlan.objects.get(target__kind="mattermost")
    assert plan.state == "Ready"
    found = set(plan.findings.values_list("code", flat=True))
    assert {"flattened", "root-managers", "invitations-off", "federated", "file-missing", "inactive"} <= found
    assert {"group-to-be-granted", "privacy-mapped"} <= found


def test_the_demo_is_the_same_whenever_it_is_loaded(loaded: Tenant) -> None:
    shown = ChatRoom.objects.filter(plan__target__kind="archive", state=ChatRoom.State.IMPORTED).order_by("position")
    assert list(shown.values_list("name", "message_count")) == [
        (room.name, len(room.lines)) for room in demo_chat.chat.ROOMS if not room.is_disabled
    ]
