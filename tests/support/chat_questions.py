"""What the campaign that kills while chat moves asks an installation about itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from migrations_app.chat import folders, importing, keeping, plans, readings, target_rows
from migrations_app.chat.archives import open_stored
from migrations_app.models import ChatArchive, ChatPlan, ChatReading, ChatRoom
from migrations_app.monitoring import clock
from tenants_app.changes.tenants import create_tenant
from tenants_app.models import Tenant
from tests.support.questions import ACTOR

READING, PLANNING, IMPORTING, COMPARING, DONE = "reading", "planning", "importing", "comparing", "done"
PHASES = (READING, PLANNING, IMPORTING, COMPARING)


def begin_chat(zipped: str, target: dict[str, Any]) -> None:
    """Give this archive to be read, for a target of its own."""
    tenant = Tenant.objects.filter(slug="contoso").first() or create_tenant(
        ACTOR, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    number = ChatReading.objects.count() + 1
    target_rows.set_target(tenant, ACTOR, f"Target {number}", **target)
    _give(tenant, Path(zipped), f"Chat {number}")


def _give(tenant: Tenant, path: Path, name: str) -> None:
    file = SimpleUploadedFile(path.name, path.read_bytes())
    readings.submit(tenant, ACTOR, file, kind="mms-chat", name=name, options={})


def chat_phase() -> str:
    """Take the newest chat to its next phase where it is through with one, as a person would, and say which it is in.

    Rooms with errors are left out, and what dead workers had claimed is free.
    """
    expire_chat()
    reading = ChatReading.objects.order_by("-pk")[0]
    if reading.state == ChatReading.State.WAITING:
        return READING
    assert reading.archive is not None, [str(problem) for problem in reading.problems]
    plan = ChatPlan.objects.filter(archive=reading.archive).order_by("-number").first()
    if plan is None:
        target = reading.tenant.chat_targets.order_by("-pk")[0]
        plan = plans.make_plan(reading.tenant, ACTOR, reading.archive, target, includes_disabled=True)
    if plan.state == ChatPlan.State.READY:
        _start(plan)
    plan.refresh_from_db()
    if plan.state == ChatPlan.State.PLANNING:
        return PLANNING
    if plan.state == ChatPlan.State.IMPORTING:
        return IMPORTING
    assert plan.state == ChatPlan.State.IMPORTED, (plan.state, str(plan.problem), _errors(plan))
    return COMPARING if plan.rooms.filter(compare_asked_at__isnull=False).exists() else DONE


def _start(plan: ChatPlan) -> None:
    errors = plan.rooms.filter(state=ChatRoom.State.PLANNED, error_count__gt=0)
    if errors.exists():
        plans.decide(plan, ACTOR, errors, deselect=True, reason="Its name is too long.")
    else:
        if plan.findings.filter(code="retention-unknown").exists():
            plan = plans.accept_retention(plan, ACTOR, "It keeps everything.")
        importing.start(plan, ACTOR)


def _errors(plan: ChatPlan) -> dict[str, str]:
    return {room.name: str(room.error_detail) for room in plan.rooms.filter(state=ChatRoom.State.FAILED)}


def expire_chat() -> None:
    """As if the time of all leases and pauses were over."""
    ChatPlan.objects.update(lease_until=None, retry_at=None)
    ChatRoom.objects.update(lease_until=None, retry_at=None)


def import_again() -> dict[str, int]:
    """Import the newest archive again into the same target: how many messages the target has before and afterwards."""
    plan = ChatPlan.objects.order_by("-number")[0]
    before = _messages_there(plan)
    again = plans.plan_now(plans.make_plan(plan.tenant, ACTOR, plan.archive, plan.target, includes_disabled=True))
    while again.state == ChatPlan.State.READY:
        _start(again)
        again = plans.plan_now(again)
    importing.import_now(again)
    return {"before": before, "after": _messages_there(plan)}


def _messages_there(plan: ChatPlan) -> int:
    with target_rows.opened(plan.target) as target:
        rooms = plan.rooms.exclude(target_id="").values_list("target_id", flat=True)
        return sum(1 for room in rooms for _ in target.read_messages(room))


def _rates(plan: ChatPlan, messages: int) -> dict[str, float]:
    """Of the import and of the comparison, with all pauses between workers."""
    assert plan.started_at is not None
    assert plan.finished_at is not None
    compared = max(filter(None, plan.rooms.values_list("compared_at", flat=True)), default=plan.finished_at)
    spans = {"imported": plan.finished_at - plan.started_at, "compared": compared - plan.finished_at}
    return {name: round(messages / max(span.total_seconds(), 0.001), 1) for name, span in spans.items()}


def chat_moved() -> dict[str, Any]:
    """The newest chat, as it is at its target, looked at without any of what MMS noted of the import."""
    plan = ChatPlan.objects.order_by("-number")[0]
    lost = doubled = strange = messages = 0
    out_of_order = []
    with open_stored(plan.archive) as archive, target_rows.opened(plan.target) as target:
        for room in plan.rooms.filter(state=ChatRoom.State.IMPORTED):
            expected = [message.n for message in archive.messages(room.room_id)]
            keys = [read.key for read in target.read_messages(room.target_id)]
            there = [int(key.split("/")[1]) for key in keys]
            messages += len(expected)
            lost += len(set(expected) - set(there))
            strange += len(set(there) - set(expected))
            doubled += len(keys) - len(set(keys))
            if there != sorted(there):
                out_of_order.append(room.name)
    keeping.look(clock.now())
    return {
        "states": dict(Counter(plan.rooms.values_list("state", flat=True))),
        "compared": dict(Counter(plan.rooms.filter(state="Imported").values_list("comparison", flat=True))),
        "differences": sum(plan.rooms.values_list("difference_count", flat=True)),
        "messages": messages,
        "messages_per_second": _rates(plan, messages),
        "lost": lost,
        "doubled": doubled,
        "strange": strange,
        "out_of_order": out_of_order,
        "archives": ChatArchive.objects.count(),
        "folders": sum(1 for _ in folders.lying(folders.ARCHIVES)),
        "given": sum(1 for _ in folders.lying(folders.READINGS)),
    }
