"""Chat on which every request of the table of permissions can act, and the same keys of another tenant."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from migrations_app.chat import importing, plans
from migrations_app.chat.archives import store_export
from migrations_app.chat.evidence import store_evidence
from migrations_app.chat.products import products_of
from migrations_app.chat.target_rows import set_target
from migrations_app.chat.verification import verify_now
from migrations_app.models import ChatDifference, ChatFinding, ChatPlan, ChatReading, ChatRoom, ChatStep
from tenants_app.models import Tenant
from tests.support.actors import ACTOR
from tests.support.chat_plans import worked
from tests.support.chat_rows import a_plan, a_room, a_target, an_archive, random_name
from tests.support.chat_small import write_small


def chat_of_tables(tenant: Tenant) -> dict[str, Any]:
    """An archive that is stored and was imported, and plans in every state that somebody can do something about."""
    archive = store_export(tenant, ACTOR, "Group Chat", write_small)
    target = set_target(tenant, ACTOR, "Pages to read", kind="archive")
    done = plans.plan_now(plans.make_plan(tenant, ACTOR, archive, target))
    plans.decide(done, ACTOR, done.rooms.filter(room_id="long"), deselect=True, reason="Nobody uses it.")
    done.refresh_from_db()
    plans.plan_now(done)
    importing.start(done, ACTOR)
    worked(done)
    verify_now(done)
    differs = done.rooms.get(room_id="helpdesk")
    ChatRoom.objects.filter(pk=differs.pk).update(comparison="Differs", difference_count=1)
    difference = ChatDifference.objects.create(room=differs, code="members", sentence="Somebody is missing.")
    ready = a_plan(archive, a_target(tenant, "Later"))
    room = a_room(ready, room_id="helpdesk")
    ChatFinding.objects.create(plan=ready, severity="error", code="retention-unknown", sentence="Nobody knows.")
    startable = a_plan(archive, a_target(tenant, "At once"))
    a_room(startable, room_id="helpdesk")
    moving = a_plan(archive, a_target(tenant, "Moving"), state=ChatPlan.State.IMPORTING, started_at=timezone.now())
    paused = a_plan(archive, a_target(tenant, "Paused"), state=ChatPlan.State.PAUSED, started_at=timezone.now())
    failed = a_room(paused, state="Failed", error_code="chat-target-refused", error_detail="Refused.")
    guided = a_plan(archive, a_target(tenant, "Persistent Chat", "pchat"))
    for plan, key in ((done, "retention-officer"), (guided, "stop-source"), (guided, "endpoint-uri")):
        ChatStep.objects.create(plan=plan, key=key, done_by="zoe", evidence="Seen.")
    return {
        "chat_archive": archive.pk,
        "chat_spare_archive": store_export(tenant, ACTOR, "Spare", write_small).pk,
        "chat_evidence": store_evidence(tenant, ACTOR, [b"PK"], file_name="Export.zip", what="An export.").pk,
        "chat_given": _given(tenant).pk,
        "chat_target": target.pk,
        "chat_product": products_of(target)[0].name,
        "chat_spare": set_target(tenant, ACTOR, "Spare", kind="archive").pk,
        "chat_ready": ready.number,
        "chat_start": startable.number,
        "chat_moving": moving.number,
        "chat_paused": paused.number,
        "chat_done": done.number,
        "chat_guided": guided.number,
        "chat_room": room.pk,
        "chat_failed": failed.pk,
        "chat_differs": differs.pk,
        "chat_difference": difference.pk,
    }


def _given(tenant: Tenant) -> ChatReading:
    return ChatReading.objects.create(
        tenant=tenant,
        file_name="Given.zip",
        folder=random_name("given", tenant.pk),
        state="Refused",
        requested_by="bob",
    )


def chat_of_others(tenant: Tenant) -> dict[str, int]:
    """The same keys of another tenant, as far as they stand in addresses."""
    archive, target = an_archive(tenant, "Harbour"), a_target(tenant, "Harbour")
    plan = a_plan(archive, target, number=4711)  # which no plan of Contoso has
    room = a_room(plan, "Harbour")
    evidence = store_evidence(tenant, ACTOR, [b"PK"], file_name="Harbour.zip", what="An export.")
    plans_of_it = ("chat_ready", "chat_start", "chat_moving", "chat_paused", "chat_done", "chat_guided")
    return {
        **dict.fromkeys(("chat_archive", "chat_spare_archive"), archive.pk),
        "chat_evidence": evidence.pk,
        "chat_given": _given(tenant).pk,
        **dict.fromkeys(("chat_target", "chat_spare"), target.pk),
        **dict.fromkeys(plans_of_it, plan.number),
        **dict.fromkeys(("chat_room", "chat_failed", "chat_differs"), room.pk),
    }
