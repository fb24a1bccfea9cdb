"""What a large tenant does: rollouts, chat, previews, actions for many users, plans, notices and alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.bench.many_rows import for_users

A_FEW = "u.id % 50 = 1"
"""Users of whom there is a room of chat, a preview, an action, a plan of their own, and an alert."""


def begin(tenant: Any) -> None:
    """What all users are in: a rollout, a plan of chat, a preview, an action and a round of notices."""
    from django.utils import timezone

    from migrations_app.models import BulkAction, NoticeRound, Plan, Preview
    from tests.support import chat_rows, rollouts

    now = timezone.now()
    asked: dict[str, Any] = {"tenant": tenant, "requested_by": "alice"}
    rollouts.a_wave(rollouts.a_rollout(tenant), 2, state="Running", started_at=now, frozen_at=now)
    chat_rows.a_plan(chat_rows.an_archive(tenant), chat_rows.a_target(tenant))
    Preview.objects.create(kind="start", title="All users", state="Ready", **asked)
    soon = now + timedelta(days=1)
    plan = Plan.objects.create(not_before=soon, opens_at=soon, **asked)
    BulkAction.objects.create(kind="start", channel="screen", state="Done", finished_at=now, **asked)
    BulkAction.objects.create(kind="start", channel="screen", plan=plan, **asked)
    NoticeRound.objects.create(plan=plan, preview_kind="start", begins_at=soon, **asked)


def fill(numbers: range) -> None:
    """What it means for the users of these numbers."""
    fill_rollout(numbers)
    fill_chat(numbers)
    fill_jobs(numbers)
    fill_alerts(numbers)


def fill_rollout(numbers: range) -> None:
    from migrations_app.models import Wave, WaveMember

    first, second = Wave.objects.order_by("position")[:2]
    member: dict[str, Any] = {"source": "file", "added_by": "alice", "reason": "From the list of the department."}
    for_users(WaveMember(wave=first, **member), numbers, "u.id % 2 = 0", user_id="u.id")
    moved = WaveMember(wave=second, state="Done", batch=1, moved_at=second.started_at, **member)
    for_users(moved, numbers, "u.id % 4 = 1", user_id="u.id", finished_at="u.created")
    for_users(WaveMember(wave=second, **member), numbers, "u.id % 4 = 3", user_id="u.id")


def fill_chat(numbers: range) -> None:
    from migrations_app.models import ChatFinding, ChatPlan, ChatRoom

    plan = ChatPlan.objects.get()
    room = ChatRoom(plan=plan, category="Contoso / IT", becomes_category="Contoso - IT", message_count=300)
    named = {"room_id": "u.upn", "name": "u.display_name", "becomes": "u.display_name", "position": "u.id"}
    for_users(room, numbers, A_FEW, **named)
    finding = ChatFinding(plan=plan, severity="warning", code="federated", sentence="People of fabrikam.com are in it.")
    rooms = ChatRoom._meta.db_table
    for_users(finding, numbers, A_FEW, room_id=f"(SELECT id FROM {rooms} WHERE room_id = u.upn)")  # noqa: S608 - ours


def fill_jobs(numbers: range) -> None:
    """A preview and an action of everybody, and many of few; plans and notices."""
    from migrations_app.models import BulkAction, BulkActionUser, Notice, NoticeRound, Plan, Preview, PreviewedMeeting
    from tenants_app.models import Tenant

    asked: dict[str, Any] = {"tenant": Tenant.objects.get(), "requested_by": "alice"}
    everybody = Preview.objects.get(title="All users")
    foreseen = PreviewedMeeting(
        preview=everybody,
        subject="Weekly",
        outcome="Succeeded",
        starts_at=everybody.created,
        recipients=["a@contoso.com"],
    )
    for_users(foreseen, numbers, upn="u.upn", uid="u.upn")
    action = BulkAction.objects.order_by("pk").first()
    for_users(BulkActionUser(action=action, state="Done", sentence="Started."), numbers, user_id="u.id", upn="u.upn")
    round_ = NoticeRound.objects.get()
    told = Notice(round=round_, tenant=asked["tenant"], state="Sent", meetings=10, language="en")
    for_users(told, numbers, user_id="u.id", sent_at="u.created")
    for_users(Preview(kind="start", state="Ready", **asked), numbers, A_FEW, title="u.upn", created="u.created")
    for_users(BulkAction(kind="move", channel="screen", state="Done", **asked), numbers, A_FEW, created="u.created")
    planned = Plan(state="Done", not_before=everybody.created, opens_at=everybody.created, **asked)
    for_users(planned, numbers, A_FEW, created="u.created")
    without_job = Plan.objects.filter(bulk_actions=None).values_list("pk", flat=True)
    done = [BulkAction(kind="start", channel="screen", state="Done", plan_id=plan, **asked) for plan in without_job]
    BulkAction.objects.bulk_create(done, batch_size=1000)


def fill_alerts(numbers: range) -> None:
    from migrations_app.models import Alert, AlertDelivery
    from tenants_app.models import Tenant

    last = Alert.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    alert = Alert(tenant=Tenant.objects.get(), content={"title": "3 runs failed"})
    for_users(alert, numbers, A_FEW, created="u.created")
    AlertDelivery.objects.bulk_create(
        [
            AlertDelivery(alert_id=key, channel="mail", state="Sent", recipient="admins@contoso.com")
            for key in Alert.objects.filter(pk__gt=last).values_list("pk", flat=True)
        ],
        batch_size=1000,
    )
