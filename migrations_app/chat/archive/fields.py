"""Records as JSON objects and back, in the order of fields that R100 gives."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, TypeVar

from migrations_app.chat.archive.json_lines import BadLine
from migrations_app.chat.archive.limits import LONGEST_ID, is_room_id
from migrations_app.chat.archive.records import (
    FORMAT,
    VERSION,
    Category,
    ChatFile,
    Entry,
    Grant,
    Level,
    Manifest,
    Message,
    MessageKind,
    More,
    Principal,
    PrincipalKind,
    PrincipalState,
    Privacy,
    RoleName,
    Room,
    RoomType,
)
from tenants_app.sentences import english, sentence

Fields = dict[str, Any]

LARGEST = 2**63 - 1
"""Of whole numbers: what databases take."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")

_Kind = TypeVar("_Kind", bound=StrEnum)
_MESSAGE_KINDS = {kind.value: kind for kind in MessageKind}


def time_as_text(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds; what is finer is left out."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def time_of(text: str) -> datetime:
    """The reverse; any offset is understood. Raises ``ValueError``."""
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    try:
        at = datetime.fromisoformat(text)
        if not text.endswith("Z"):
            at = at.astimezone(UTC)
    except OverflowError:
        raise ValueError(text) from None
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


# How each field is read. What is left in the object afterwards is what this version does not know.


def _text(fields: Fields, name: str) -> str:
    value = fields.pop(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadLine(sentence("The field “%(field)s” is not a text.", field=name))
    return value


def _one_line(fields: Fields, name: str) -> str:
    """A text that is shown in lists and kept in columns."""
    value = _text(fields, name)
    if "\0" in value:
        raise BadLine(sentence("The field “%(field)s” has the character U+0000, which no name can have.", field=name))
    return value


def _id(fields: Fields, name: str) -> str:
    value = _text(fields, name)
    _check_id(name, value)
    return value


def _check_id(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise BadLine(sentence("The field “%(field)s” is missing.", field=name))
    if len(value) > LONGEST_ID or _CONTROLS.search(value):
        raise BadLine(
            sentence(
                "The field “%(field)s” is not an id: up to %(n)s characters without control characters.",
                field=name,
                n=LONGEST_ID,
            )
        )


def _ids(fields: Fields, name: str) -> tuple[str, ...]:
    values = fields.pop(name, None)
    if values is None:
        return ()
    if not isinstance(values, list):
        raise BadLine(sentence("The field “%(field)s” is not a list.", field=name))
    for value in values:
        _check_id(name, value)
    return tuple(values)


def _flag(fields: Fields, name: str, default: bool) -> bool:
    value = fields.pop(name, default)
    if not isinstance(value, bool):
        raise BadLine(sentence("The field “%(field)s” is neither true nor false.", field=name))
    return value


def _number(fields: Fields, name: str, *, least: int = 0) -> int:
    value = fields.pop(name, 0)
    if type(value) is not int or not least <= value <= LARGEST:
        raise BadLine(
            sentence("The field “%(field)s” is not a whole number of at least %(least)s.", field=name, least=least)
        )
    return value


def _time(fields: Fields, name: str) -> datetime | None:
    value = fields.pop(name, None)
    if value is None:
        return None
    try:
        return time_of(value)
    except (ValueError, TypeError):
        raise BadLine(
            sentence("The field “%(field)s” is not a time such as 2008-05-28T14:02:03.123Z.", field=name)
        ) from None


def _one_of(fields: Fields, name: str, kinds: type[_Kind], default: _Kind | None = None) -> _Kind:
    value = fields.pop(name, default)
    try:
        return kinds(value)
    except ValueError:
        raise BadLine(
            sentence("The field “%(field)s” is none of: %(values)s.", field=name, values=", ".join(kinds))
        ) from None


def _grants(fields: Fields) -> tuple[Grant, ...]:
    values = fields.pop("roles", None) or []
    if not isinstance(values, list):
        raise BadLine(sentence("The field “%(field)s” is not a list.", field="roles"))
    grants = []
    for value in values:
        if not isinstance(value, dict) or set(value) != {"principal", "role"}:
            raise BadLine(
                sentence(
                    "The field “%(field)s” has something other than pairs of “principal” and “role”.", field="roles"
                )
            )
        _check_id("principal", value["principal"])
        grants.append(Grant(value["principal"], _one_of(value, "role", RoleName)))
    return tuple(grants)


def principal_of(fields: Fields) -> Principal:
    """A line of ``users.jsonl``. Raises ``BadLine``; so do all of these."""
    members = _ids(fields, "members") if fields.get("members") is not None else fields.pop("members", None)
    return Principal(
        id=_id(fields, "id"),
        kind=_one_of(fields, "kind", PrincipalKind, PrincipalKind.USER),
        sip=_one_line(fields, "sip"),
        upn=_one_line(fields, "upn"),
        name=_one_line(fields, "name"),
        email=_one_line(fields, "email"),
        guid=_one_line(fields, "guid"),
        state=_one_of(fields, "state", PrincipalState, PrincipalState.ACTIVE),
        members=members,
        is_federated=_flag(fields, "federated", default=False),
        more=fields,
    )


def fields_of_principal(principal: Principal) -> Fields:
    fields: Fields = {
        "id": principal.id,
        "kind": principal.kind.value,
        "sip": principal.sip,
        "upn": principal.upn,
        "name": principal.name,
        "email": principal.email,
        "guid": principal.guid,
        "state": principal.state.value,
    }
    if principal.members is not None:
        fields["members"] = list(principal.members)
    if principal.is_federated:
        fields["federated"] = True
    return _with(fields, principal.more)


def category_of(fields: Fields) -> Category:
    parent = _id(fields, "parent") if fields.get("parent") is not None else fields.pop("parent", None)
    return Category(
        id=_id(fields, "id"),
        name=_named(fields),
        guid=_one_line(fields, "guid"),
        parent=parent,
        description=_one_line(fields, "description"),
        invitations=_flag(fields, "invitations", default=True),
        history=_flag(fields, "history", default=True),
        files=_flag(fields, "files", default=True),
        allowed=_ids(fields, "allowed"),
        denied=_ids(fields, "denied"),
        roles=_grants(fields),
        is_disabled=_flag(fields, "disabled", default=False),
        more=fields,
    )


def fields_of_category(category: Category) -> Fields:
    fields: Fields = {
        "id": category.id,
        "guid": category.guid,
        "parent": category.parent,
        "name": category.name,
        "description": category.description,
        "invitations": category.invitations,
        "history": category.history,
        "files": category.files,
        "allowed": list(category.allowed),
        "denied": list(category.denied),
        "roles": _fields_of_grants(category.roles),
    }
    if category.is_disabled:
        fields["disabled"] = True
    return _with(fields, category.more)


def room_of(fields: Fields) -> Room:
    invitations = fields.pop("invitations", None)
    if invitations is not None and not isinstance(invitations, bool):
        raise BadLine(sentence("The field “%(field)s” is neither null nor true nor false.", field="invitations"))
    room_id = _text(fields, "id")
    if not is_room_id(room_id):
        raise BadLine(
            sentence(
                "The field “%(field)s” is not the id of a room: letters, digits, “.”, “_” and “-”, at most 120.",
                field="id",
            )
        )
    return Room(
        id=room_id,
        category=_id(fields, "category"),
        name=_named(fields),
        guid=_one_line(fields, "guid"),
        description=_one_line(fields, "description"),
        type=_one_of(fields, "type", RoomType, RoomType.NORMAL),
        privacy=_one_of(fields, "privacy", Privacy, Privacy.PRIVATE),
        invitations=invitations,
        is_disabled=_flag(fields, "disabled", default=False),
        add_in=_one_line(fields, "add_in"),
        created=_time(fields, "created"),
        roles=_grants(fields),
        messages=_number(fields, "messages"),
        first=_time(fields, "first"),
        last=_time(fields, "last"),
        left_out=_number(fields, "left_out"),
        more=fields,
    )


def _named(fields: Fields) -> str:
    name = _one_line(fields, "name")
    if not name.strip():
        raise BadLine(sentence("The field “%(field)s” is missing.", field="name"))
    return name


def fields_of_room(room: Room) -> Fields:
    fields: Fields = {
        "id": room.id,
        "guid": room.guid,
        "category": room.category,
        "name": room.name,
        "description": room.description,
        "type": room.type.value,
        "privacy": room.privacy.value,
        "invitations": room.invitations,
        "disabled": room.is_disabled,
        "add_in": room.add_in,
        "created": None if room.created is None else time_as_text(room.created),
        "roles": _fields_of_grants(room.roles),
        "messages": room.messages,
        "first": None if room.first is None else time_as_text(room.first),
        "last": None if room.last is None else time_as_text(room.last),
    }
    if room.left_out:
        fields["left_out"] = room.left_out
    return _with(fields, room.more)


def message_of(fields: Fields) -> Message:
    """Called for each of millions of lines: what is usual takes the short way."""
    pop = fields.pop
    n, ticks, author, text, rtf = (
        pop("n", None),
        pop("ticks", None),
        pop("author", None),
        pop("text", ""),
        pop("rtf", ""),
    )
    if type(n) is not int or not 1 <= n <= LARGEST:
        raise BadLine(
            sentence("The field “%(field)s” is not a whole number of at least %(least)s.", field="n", least=1)
        )
    if ticks is not None and (type(ticks) is not int or not 0 <= ticks <= LARGEST):
        raise BadLine(
            sentence("The field “%(field)s” is not a whole number of at least %(least)s.", field="ticks", least=0)
        )
    _check_id("author", author)
    rtf = "" if rtf is None else rtf
    for name, value in (("text", text), ("rtf", rtf)):
        if not isinstance(value, str):
            raise BadLine(sentence("The field “%(field)s” is not a text.", field=name))
    kind = _MESSAGE_KINDS.get(value) if isinstance(value := pop("kind", "message"), str) else None
    if kind is None:
        raise BadLine(
            sentence("The field “%(field)s” is none of: %(values)s.", field="kind", values=", ".join(MessageKind))
        )
    at = _time(fields, "at")
    if at is None:
        raise BadLine(sentence("The field “%(field)s” is missing.", field="at"))
    file = pop("file", None)
    if file:
        _check_id("file", file)
    return Message(n, at, author, kind, text, rtf, file or "", ticks, fields)


def fields_of_message(message: Message) -> Fields:
    fields: Fields = {
        "n": message.n,
        "at": time_as_text(message.at),
        "ticks": message.ticks,
        "author": message.author,
        "kind": message.kind.value,
        "text": message.text,
        "rtf": message.rtf or None,
        "file": message.file or None,
    }
    return _with(fields, message.more)


def file_of(fields: Fields) -> ChatFile:
    is_missing = _flag(fields, "missing", default=False)
    sha256 = _text(fields, "sha256")
    if not is_missing and not _SHA256.fullmatch(sha256):
        raise BadLine(
            sentence("The field “%(field)s” is not a SHA-256 in 64 small hexadecimal digits.", field="sha256")
        )
    return ChatFile(
        id=_id(fields, "id"),
        room=_id(fields, "room"),
        name=_one_line(fields, "name"),
        bytes=_number(fields, "bytes"),
        sha256="" if is_missing else sha256,
        uploader=_id(fields, "uploader") if fields.get("uploader") else _text(fields, "uploader"),
        at=_time(fields, "at"),
        is_missing=is_missing,
        more=fields,
    )


def fields_of_file(file: ChatFile) -> Fields:
    fields: Fields = {
        "id": file.id,
        "room": file.room,
        "name": file.name,
        "bytes": file.bytes,
        "sha256": file.sha256 or None,
        "uploader": file.uploader or None,
        "at": None if file.at is None else time_as_text(file.at),
        "missing": file.is_missing,
    }
    return _with(fields, file.more)


def _with(fields: Fields, more: More) -> Fields:
    """The fields, and behind them those that this version does not know."""
    for name, value in more.items():
        fields.setdefault(name, value)
    return fields


def _fields_of_grants(grants: tuple[Grant, ...]) -> list[Fields]:
    return [{"principal": grant.principal, "role": grant.role.value} for grant in grants]


# The manifest


def manifest_of(fields: Fields) -> Manifest:
    if fields.pop("format", None) != FORMAT:
        raise BadLine(sentence("This is not a chat archive: its “format” is not “%(format)s”.", format=FORMAT))
    version = fields.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise BadLine(
            sentence(
                "The archive has version %(version)s of the format. This MMS reads version %(known)s.",
                version=str(version)[:20],
                known=str(VERSION),
            )
        )
    created = _time(fields, "created")
    if created is None:
        raise BadLine(sentence("The field “%(field)s” is missing.", field="created"))
    return Manifest(
        created=created,
        source=_one_line(fields, "source"),
        level=_one_of(fields, "level", Level, Level.ALL),
        scope=_texts(fields, "scope"),
        start_date=_date(fields, "start_date"),
        counts=_counts(fields),
        entries=_entries(fields),
        notes=_texts(fields, "notes"),
        more=fields,
    )


def fields_of_manifest(manifest: Manifest) -> Fields:
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": time_as_text(manifest.created),
        "source": manifest.source,
        "level": manifest.level.value,
        "scope": list(manifest.scope),
        "start_date": None if manifest.start_date is None else manifest.start_date.isoformat(),
        "counts": dict(manifest.counts),
        "notes": [english(note) for note in manifest.notes],
        **manifest.more,
        "entries": [
            {"path": entry.path, "bytes": entry.bytes, "lines": entry.lines, "sha256": entry.sha256}
            for entry in manifest.entries
        ],
    }


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    values = fields.pop(name, None) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise BadLine(sentence("The field “%(field)s” is not a list of texts.", field=name))
    if any("\0" in value for value in values):
        raise BadLine(sentence("The field “%(field)s” has the character U+0000, which no name can have.", field=name))
    return tuple(values)


def _date(fields: Fields, name: str) -> date | None:
    value = fields.pop(name, None)
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except (ValueError, TypeError):
        raise BadLine(sentence("The field “%(field)s” is not a date such as 2012-01-31.", field=name)) from None


def _counts(fields: Fields) -> Mapping[str, int]:
    values = fields.pop("counts", None) or {}
    if not isinstance(values, dict) or not all(
        type(value) is int and 0 <= value <= LARGEST and "\0" not in name for name, value in values.items()
    ):
        raise BadLine(sentence("The field “%(field)s” has something other than whole numbers.", field="counts"))
    return values


def _entries(fields: Fields) -> tuple[Entry, ...]:
    values = fields.pop("entries", None)
    if not isinstance(values, list):
        raise BadLine(sentence("The field “%(field)s” is not a list.", field="entries"))
    entries = []
    for value in values:
        if not isinstance(value, dict):
            raise BadLine(sentence("The field “%(field)s” has something other than objects.", field="entries"))
        path, sha256 = _text(value, "path"), _text(value, "sha256")
        if not _SHA256.fullmatch(sha256):
            raise BadLine(
                sentence("The field “%(field)s” is not a SHA-256 in 64 small hexadecimal digits.", field="sha256")
            )
        entries.append(Entry(path, _number(value, "bytes"), _number(value, "lines"), sha256))
    return tuple(entries)


OF_ENTRY: Mapping[str, Callable[[Fields], Any]] = {
    "users.jsonl": principal_of,
    "categories.jsonl": category_of,
    "rooms.jsonl": room_of,
    "files.jsonl": file_of,
}
"""How the lines of each list are read."""
