"""Archives, targets and plans of chat: what tests of imports begin with."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from migrations_app.chat import archives, import_engine, importing, plans, target_rows
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Grant,
    Manifest,
    Message,
    MessageKind,
    Principal,
    RoleName,
    Room,
)
from migrations_app.chat.archive.writing import ArchiveWriter
from migrations_app.models import ChatArchive, ChatPlan, ChatRoom, ChatTarget
from tenants_app.models import Tenant
from tests.support.actors import ACTOR

BEGAN = datetime(2012, 3, 4, 5, 6, 7, tzinfo=UTC)
PEOPLE = ("ann", "bob", "cyd")


def write_rooms(folder: Path, rooms: Sequence[str], messages: int, *, disabled: Sequence[str] = ()) -> None:
    """An archive with these rooms by name, in one category, each with so many messages; the third of each shows a
    file. Ann manages all rooms, Bob and Cyd belong to them."""
    with ArchiveWriter(folder) as writer:
        for name in PEOPLE:
            address = f"{name}@contoso.com"
            writer.principal(Principal(name, sip=address, upn=address, name=name.title(), email=address))
        writer.category(Category("c1", "Operations"))
        for number, name in enumerate(rooms, 1):
            said = []
            for n in range(1, messages + 1):
                at = BEGAN + timedelta(hours=number, seconds=n)
                file = ""
                if n == 3:
                    file = f"{number}-plan.txt"
                    sha256, size = writer.octets(io.BytesIO(f"The plan of {name}".encode()))
                    writer.file(ChatFile(file, str(number), "plan.txt", size, sha256, "ann", at))
                kind = MessageKind.FILE if file else MessageKind.MESSAGE
                said.append(Message(n, at, PEOPLE[n % 3], kind, f"{name} says {n}", file=file))
            done = writer.messages(str(number), said)
            room = Room(str(number), "c1", name, guid=f"guid-{name}", roles=_ROLES, is_disabled=name in disabled)
            writer.room(replace(room, messages=done.messages, first=done.first, last=done.last))
        writer.finish(source="mms-chat: test", created=BEGAN)


_ROLES = (
    Grant("ann", RoleName.MANAGER),
    Grant("bob", RoleName.MEMBER),
    Grant("cyd", RoleName.MEMBER),
)


def stored(tenant: Tenant, folder: Path | None = None, name: str = "Old chat", **values: Any) -> ChatArchive:
    """An archive in the folder that MMS keeps archives in, as if it had been stored; without one there are two rooms
    with five messages each. ``values`` are those of :func:`write_rooms`."""
    rooms, messages = values.pop("rooms", ("Alpha", "Beta")), values.pop("messages", 5)

    def fill(place: Path) -> Manifest:
        if folder is None:
            write_rooms(place, rooms, messages, disabled=values.pop("disabled", ()))
        else:
            shutil.copytree(folder, place, dirs_exist_ok=True)
        with open_archive(place, check=False) as archive:
            return archive.manifest

    return archives.store_export(tenant, ACTOR, name, fill)


def a_target(tenant: Tenant, name: str = "New home", **values: Any) -> ChatTarget:
    return target_rows.set_target(tenant, ACTOR, name, **{"kind": "archive", **values})


def a_plan(
    tenant: Tenant, archive: ChatArchive | None = None, target: ChatTarget | None = None, **values: Any
) -> ChatPlan:
    """A plan that is made."""
    plan = plans.make_plan(tenant, ACTOR, archive or stored(tenant), target or a_target(tenant), **values)
    return plans.plan_now(plan)


def imported(plan: ChatPlan, **values: Any) -> ChatPlan:
    """The plan, once all of it was imported as far as it can be without waiting."""
    importing.start(plan, ACTOR, **values)
    return worked(plan)


def worked(plan: ChatPlan) -> ChatPlan:
    """The plan, after a worker has done of its import all that can be done now."""
    plan = ChatPlan.objects.select_related("tenant", "archive", "target").get(pk=plan.pk)
    while plan.state == ChatPlan.State.IMPORTING and import_engine.work(plan, lambda: False):
        plan.refresh_from_db()
    plan.refresh_from_db()
    return plan


def forget_leases() -> None:
    """As if the time of all leases and pauses were over."""
    ChatPlan.objects.update(lease_until=None, retry_at=None)
    ChatRoom.objects.update(lease_until=None, retry_at=None)
