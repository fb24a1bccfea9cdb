"""The whole story of chat by an administrator in a browser: archive, target, plan, import, comparison, gate."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.chat import plans, readings
from migrations_app.chat.verification import verify_now
from migrations_app.models import ChatArchive, ChatDifference, ChatPlan, ChatRoom
from tenants_app.models import AuditEntry, Tenant
from tests.support.chat_plans import worked
from tests.support.chat_small import MARK, small_zip
from tests.support.windows import Open

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.MMS_DATA_DIR = tmp_path
    return tmp_path


def planned() -> ChatPlan:
    """What the background service makes of the plan."""
    return plans.plan_now(ChatPlan.objects.select_related("tenant", "archive", "target").get())


@pytest.mark.parametrize("options", [{}, {"java_script_enabled": False, "viewport": PHONE}], ids=["desktop", "phone"])
def test_an_admin_takes_rooms_over_and_knows_that_nothing_is_lost(
    open_page: Open, tenant: Tenant, options: dict[str, Any]
) -> None:
    page = open_page("/contoso/chat/", **options)
    page.get_by_role("link", name="Give MMS the history").click()
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "Group Chat.zip", "mimeType": "application/zip", "buffer": small_zip()}
    )
    page.get_by_role("button", name="Take it over").click()
    page.get_by_text("It is being read.").wait_for()
    readings.advance(timezone.now() + timedelta(seconds=30))
    page.reload()
    page.get_by_role("link", name="Open the archive").click()
    page.get_by_role("heading", name="Group Chat").wait_for()

    page.goto("/contoso/chat/targets/")
    page.get_by_role("link", name="Archive to read").click()
    page.get_by_label("Name").fill("Pages to read")
    page.get_by_role("button", name="Add the target").click()
    page.get_by_role("button", name="Test it").click()
    page.get_by_text("The target answers. Nothing was changed there.").wait_for()

    page.goto("/contoso/chat/plans/new/")
    page.get_by_role("button", name="Plan it").click()
    page.get_by_text("rooms looked at. Nothing is changed.").wait_for()
    planned()
    page.reload()
    page.get_by_text("It cannot be imported yet.").wait_for()
    page.get_by_role("link", name="Rooms with errors").click()
    page.get_by_label("Select Long").check()
    page.get_by_label("Why").fill("Nobody uses it.")
    page.get_by_role("button", name="Leave out").click()
    page.get_by_text("1 room is left out.").wait_for()
    planned()

    page.goto("/contoso/chat/plans/1/")
    page.get_by_role("link", name="Import", exact=True).click()
    page.get_by_text("2 rooms with 24 messages are written").wait_for()
    page.get_by_role("button", name="Start the import").click()
    page.get_by_text("The import has begun.").wait_for()
    done = worked(ChatPlan.objects.get())
    verify_now(done)
    page.reload()
    page.get_by_text("Every room is verified").wait_for()

    differs(done)
    page.goto("/contoso/chat/plans/1/rooms/?comparison=Differs")
    page.get_by_role("link", name="Helpdesk").click()
    assert MARK not in page.content()
    page.get_by_role("button", name="Show a sample of messages").click()
    page.get_by_text(MARK).first.wait_for()
    assert AuditEntry.objects.get(action="look at chat messages").actor == "alice"
    page.get_by_role("link", name="Helpdesk").first.click()
    page.get_by_label("Bruno Costa is missing.").check()
    page.get_by_label("Why").fill("He has left.")
    page.get_by_role("button", name="Accept what is ticked").click()
    page.get_by_text("1 difference is accepted.").wait_for()

    page.get_by_role("link", name="Rooms of plan 1").click()
    page.get_by_role("link", name="Gate", exact=True).click()
    page.get_by_text("The gate is closed").wait_for()
    condition = page.locator("#condition-backups")
    condition.get_by_label("How you know").fill("Tapes 12 and 13, looked at today.")
    condition.get_by_role("button", name="It holds").click()
    page.get_by_text("It is noted.").wait_for()
    assert condition.get_by_text("Tapes 12 and 13").count() == 1
    assert ChatArchive.objects.count() == 1


def differs(plan: ChatPlan) -> None:
    """As if somebody had been taken out of a room since."""
    room = ChatRoom.objects.get(plan=plan, room_id="helpdesk")
    ChatRoom.objects.filter(pk=room.pk).update(comparison="Differs", difference_count=1)
    ChatDifference.objects.create(room=room, code="missing-people", sentence="Bruno Costa is missing.")
