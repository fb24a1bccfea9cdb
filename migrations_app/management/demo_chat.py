"""Persistent chat of the Contoso demo: an archive, an import that is finished, and a plan that waits for a person.

All is done by the functions that pages and commands call. One page of what was imported is changed afterwards, as if by
somebody with an editor, so that the comparison has something to find.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from migrations_app.chat import archives, importing, plans, target_rows, verification
from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Grant,
    Manifest,
    Message,
    MessageKind,
    Principal,
    PrincipalKind,
    PrincipalState,
    Privacy,
    RoleName,
    Room,
    RoomType,
)
from migrations_app.chat.archive.writing import ArchiveWriter
from migrations_app.demo import chat, people
from tenants_app.audit import Actor
from tenants_app.models import Tenant

ARCHIVE = "Group Chat 2016"
TO_READ, NEW_CHAT = "Chat to read", "Mattermost"
CHANGED = ("7.8 bar", "8.7 bar")
"""What was written in a room, and what stands on its page now."""
_ROOT = "1"
_PEOPLE = 11


def load(tenant: Tenant, actor: Actor, now: datetime) -> None:
    """Store the archive, import it into one target and compare both sides, and plan the import into another."""
    newest = now.replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
    archive = archives.store_export(tenant, actor, ARCHIVE, lambda folder: _write(folder, newest))
    to_read = target_rows.set_target(tenant, actor, TO_READ, kind="archive")
    plan = plans.plan_now(plans.make_plan(tenant, actor, archive, to_read))
    importing.import_now(importing.start(plan, actor))
    _change_a_page(target_rows.folder_of(to_read))
    verification.verify_now(plan)
    new_chat = target_rows.set_target(tenant, actor, NEW_CHAT, kind="mattermost")
    plans.plan_now(plans.make_plan(tenant, actor, archive, new_chat))


def _change_a_page(folder: Path) -> None:
    was, becomes = CHANGED
    for page in sorted(folder.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if was in text:
            page.write_text(text.replace(was, becomes), encoding="utf-8")


def _write(folder: Path, newest: datetime) -> Manifest:
    with ArchiveWriter(folder) as writer:
        for principal in _principals():
            writer.principal(principal)
        ids = {"": _ROOT}
        writer.category(Category(_ROOT, "Contoso", roles=(Grant(_id(0), RoleName.MANAGER),), more={"root": True}))
        for number, category in enumerate(chat.CATEGORIES, 10):
            ids[category.name] = str(number)
            writer.category(
                Category(
                    str(number),
                    category.name,
                    parent=ids[category.above] if category.above else None,
                    description=category.description,
                    invitations=category.invitations,
                    roles=_grants(RoleName.MANAGER, category.managers),
                )
            )
        for number, room in enumerate(chat.ROOMS, 100):
            _write_room(writer, str(number), room, ids[room.category], newest)
        return writer.finish(source="mgc-tables: group-chat-2016", created=newest + timedelta(hours=20))


def _write_room(writer: ArchiveWriter, id_: str, room: chat.DemoRoom, category: str, newest: datetime) -> None:
    written = writer.messages(id_, _messages(writer, id_, room, newest))
    writer.room(
        Room(
            id_,
            category,
            room.name,
            guid=f"0d0c0000-0000-4000-8000-000000000{id_}",
            description=room.description,
            type=RoomType.AUDITORIUM if room.is_auditorium else RoomType.NORMAL,
            privacy=Privacy(room.privacy),
            invitations=room.invitations,
            is_disabled=room.is_disabled,
            roles=(
                *_grants(RoleName.MANAGER, room.managers),
                *_grants(RoleName.MEMBER, room.members),
                *_grants(RoleName.PRESENTER, room.presenters),
                *(Grant(other, RoleName.MEMBER) for other in room.others),
            ),
            messages=written.messages,
            first=written.first,
            last=written.last,
        )
    )


def _messages(writer: ArchiveWriter, room: str, told: chat.DemoRoom, newest: datetime) -> Iterator[Message]:
    for n, line in enumerate(told.lines, 1):
        at = newest - timedelta(hours=line.hours)
        author = chat.GONE if line.who == chat.LEFT else _id(line.who)
        file = ""
        if line.file:
            file = f"{room}-{n}"
            sha256, size = writer.octets(io.BytesIO(line.content.encode())) if line.content else ("", 0)
            writer.file(ChatFile(file, room, line.file, size, sha256, author, at, is_missing=not line.content))
        yield Message(n, at.astimezone(UTC), author, MessageKind(line.kind), line.text, file=file)


def _principals() -> Iterator[Principal]:
    for number, user in enumerate(people.users()[:_PEOPLE]):
        yield Principal(_id(number), sip=user.sip_address, upn=user.upn, name=user.display_name, email=user.upn)
    yield Principal(chat.GONE, sip="l.berger@contoso.com", name="Lea Berger", state=PrincipalState.DELETED)
    yield Principal(chat.PARTNER, sip="frank.moor@fabrikam.com", name="Frank Moor", is_federated=True)
    yield Principal(chat.GROUP, PrincipalKind.GROUP, name="Night shift, all halls")


def _id(place: int) -> str:
    return str(500 + place)


def _grants(role: RoleName, places: Sequence[int]) -> tuple[Grant, ...]:
    return tuple(Grant(_id(place), role) for place in places)
