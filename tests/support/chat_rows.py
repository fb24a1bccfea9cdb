"""Rows of persistent chat for a look at every page: an archive, a target, plans with rooms in every state."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from migrations_app.chat.people import digest_of, token_of
from migrations_app.models import (
    ChatArchive,
    ChatDifference,
    ChatEvidence,
    ChatFinding,
    ChatPlan,
    ChatQuestion,
    ChatReading,
    ChatRoom,
    ChatTarget,
)
from tenants_app.models import Tenant

BEGAN = datetime(2011, 3, 1, 9, 30, tzinfo=UTC)


def random_name(*parts: object) -> str:
    """A name of a folder, the same for the same parts."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def an_archive(tenant: Tenant, name: str = "Group Chat", **values: Any) -> ChatArchive:
    """The row of an archive whose folder is not there."""
    usual = {
        "folder": random_name("archive", tenant.pk, name),
        "source": "mgc-tables:gc",
        "level": "All",
        "exported_at": BEGAN,
        "counts": {"users": 12, "categories": 3, "rooms": 4, "messages": 1200, "files": 7},
        "bytes": 123_456,
        "sha256": "ab" * 32,
        "newest_at": BEGAN,
        "stored_by": "bob",
    }
    return ChatArchive.objects.create(tenant=tenant, name=name, **{**usual, **values})


def a_target(tenant: Tenant, name: str = "Pages to read", kind: str = "archive", **values: Any) -> ChatTarget:
    """The row of a target of a kind that needs no server."""
    usual = {"folder": random_name("target", tenant.pk, name), "created_by": "alice"}
    return ChatTarget.objects.create(tenant=tenant, name=name, kind=kind, **{**usual, **values})


def a_plan(archive: ChatArchive, target: ChatTarget, **values: Any) -> ChatPlan:
    """The next plan of the tenant, ready unless told otherwise."""
    tenant = archive.tenant
    number = ChatPlan.objects.filter(tenant=tenant).count() + 1
    usual = {
        "number": number,
        "state": "Ready",
        "created_by": "bob",
        "planned_at": timezone.now(),
        "estimate_seconds": 4000.0,
    }
    plan = ChatPlan.objects.create(tenant=tenant, archive=archive, target=target, **{**usual, **values})
    plan.tenant = tenant
    return plan


def a_room(plan: ChatPlan, name: str = "Helpdesk", **values: Any) -> ChatRoom:
    """The next room of the plan."""
    position = plan.rooms.count() + 1
    usual = {
        "room_id": f"room-{position}",
        "category": "Contoso / IT",
        "becomes": name,
        "becomes_category": "Contoso - IT",
        "message_count": 300,
        "file_count": 2,
        "file_bytes": 4_000,
        "first_at": BEGAN,
        "last_at": BEGAN,
    }
    return ChatRoom.objects.create(plan=plan, position=position, name=name, **{**usual, **values})


def chat_of_pages(tenant: Tenant, text: str) -> dict[str, Any]:
    """Keys of rows for a look at every page. ``text`` is what people wrote."""
    archive = an_archive(tenant, text[:150], notes=[text[:200]], scope=[text[:100]])
    deleted = an_archive(tenant, "Chat of Fabrikam", state="Deleted", deleted_at=timezone.now(), deleted_by=text[:200])
    evidence = ChatEvidence.objects.create(
        tenant=tenant,
        file_name=text[:255],
        folder=random_name("evidence", tenant.pk),
        bytes=9,
        sha256="cd" * 32,
        dated=BEGAN,
        what=text[:300],
        stored_by=text[:200],
    )
    refused = ChatReading.objects.create(
        tenant=tenant,
        file_name=text[:255],
        folder=random_name("reading", tenant.pk),
        state="Refused",
        problems=[text[:300]],
        problem_count=3,
        requested_by=text[:200],
        finished_at=timezone.now(),
    )
    target = a_target(tenant, text[:100])
    server = a_target(tenant, f"Matrix {text}"[:100], "matrix", address="https://matrix.contoso.com")
    pchat = a_target(tenant, "Persistent Chat", "pchat")
    ready = a_plan(archive, target, error_count=1, warning_count=1, room_count=2, message_count=600, file_count=4)
    wrong = a_room(ready, text[:300], error_count=1, warning_count=1, category=text[:500], becomes=text[:500])
    a_room(ready, "Canteen", state="Deselected", decided_by=text[:200], reason=text[:500])
    for room, severity, code in (
        (wrong, "error", "name-too-long"),
        (wrong, "warning", "federated"),
        (None, "error", "retention-unknown"),
    ):
        ChatFinding.objects.create(plan=ready, room=room, severity=severity, code=code, sentence=text[:500], count=3)
    begun = {"started_at": timezone.now(), "started_by": text[:200]}
    running = a_plan(archive, target, state="Stopped", problem=text[:500], room_count=3, message_count=900, **begun)
    differs = a_room(
        running,
        text[:300],
        state="Imported",
        written=300,
        comparison="Differs",
        compared_at=timezone.now(),
        difference_count=2,
        target_id=text[:500],
        cursor_n=300,
        started_at=timezone.now(),
    )
    ChatDifference.objects.create(room=differs, code="lost-message", n=7, sentence=text[:500], do=text[:500])
    ChatDifference.objects.create(
        room=differs,
        code="missing-people",
        sentence=text[:500],
        accepted_at=timezone.now(),
        accepted_by=text[:200],
        reason=text[:500],
    )
    failed = a_room(running, "Printers", state="Failed", error_code="chat-target-sign-in", error_detail=text[:500])
    a_room(running, "Night shift", state="Waiting")
    question = ChatQuestion(
        plan=running,
        principal="1",
        name=text[:300],
        address="anna.rossi@contoso.com",
        rooms=[differs.pk],
        asked_at=timezone.now(),
        asked_by="bob",
        answer="missing",
        said=text[:1500],
        answered_at=timezone.now(),
    )
    question.token = digest_of(token_of(question))
    question.save()
    guided = a_plan(archive, pchat)
    return {
        "archive": archive.pk,
        "deleted_archive": deleted.pk,
        "evidence": evidence.pk,
        "reading": refused.pk,
        "chat_target": target.pk,
        "chat_server": server.pk,
        "asked": token_of(question),
        "ready": ready.number,
        "chat": running.number,
        "guided": guided.number,
        "wrong_room": wrong.pk,
        "chat_room": differs.pk,
        "unreachable_room": failed.pk,
    }
