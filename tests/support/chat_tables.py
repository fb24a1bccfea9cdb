"""An archive as the tables of a database, in CSV files as tools write them (R104)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import (
    Category,
    Grant,
    Principal,
    PrincipalKind,
    PrincipalState,
    Privacy,
    RoleName,
    Room,
    RoomType,
)
from migrations_app.chat.sources.ticks import ticks_of

ROLES = {RoleName.MEMBER: 1, RoleName.MANAGER: 2, RoleName.PRESENTER: 3, RoleName.CREATOR: 4}
TYPES = {PrincipalKind.USER: 5, PrincipalKind.GROUP: 9, PrincipalKind.FOLDER: 10}
FEDERATED_USER = 7
PRIVACY = {Privacy.PRIVATE: 2, Privacy.SCOPED: 3, Privacy.OPEN: 6}
STATES = {PrincipalState.ACTIVE: 0, PrincipalState.DISABLED: 1, PrincipalState.DELETED: 2}

Table = list[list[str]]
"""The head, and the rows."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a tool writes CSV."""

    encoding: str = "utf-8"
    delimiter: str = ","
    null: str = ""
    true: str = "1"
    false: str = "0"
    newline: str = "\r\n"

    def bit(self, value: bool | None) -> str:
        return self.null if value is None else self.true if value else self.false


PLAIN = Style()


def tables_of(archive: Path, style: Style = PLAIN) -> dict[str, Table]:
    """All tables; fields that the archive has beyond its format become further columns."""
    bit = style.bit
    with open_archive(archive) as opened:
        principals, categories = list(opened.principals()), list(opened.categories())
        rooms = list(opened.rooms())
        chat = [["channelId", "chatId", "chatDate", "userId", "isAlert", "content", "rtf", "mood"]]
        for room in rooms:
            for each in opened.messages(room.id):
                mood = str(each.more.get("mood", ""))
                chat.append(
                    [
                        *(room.id, str(each.n), str(each.ticks), each.author, bit(each.kind == "alert"), each.text),
                        *(each.rtf or style.null, mood),
                    ]
                )
    root = next(each.id for each in categories if each.more.get("root"))
    affiliations = [["principalID", "affiliationID", "index"]]
    for person in principals:
        affiliations.append([person.id, person.id, "-1"])
        affiliations += [[member, person.id, "1"] for member in person.members or ()]
    roles = [["prinRoleNodeID", "prinRolePrinID", "prinRoleTypeID"]]
    roles += [row for node in (*categories, *rooms) for row in _roles(node.id, node.roles)]
    scopes = [["scopeNodeID", "scopePrinID", "scopeIsDenied"]]
    for category in categories:
        scopes += [[category.id, person, bit(False)] for person in category.allowed]
        scopes += [[category.id, person, bit(True)] for person in category.denied]
    return {
        "tblPrincipalType": [
            ["ptypeID", "ptypeDesc", "ptypeIsSystemUser", "ptypeIsUser", "ptypeIsFederated"],
            ["5", "User", bit(False), bit(True), bit(False)],
            ["7", "FederatedUser", bit(False), bit(True), bit(True)],
            ["9", "Group", bit(False), bit(False), bit(False)],
            ["10", "Folder", bit(False), bit(False), bit(False)],
        ],
        "tblPrincipal": _principals(principals, style),
        "tblPrincipalAffiliations": affiliations,
        "tblNode": _nodes(categories, rooms, root, style),
        "tblRoleType": [
            ["rtypeID", "rtypeDesc", "rtypeAllowedPermSet"],
            *(
                [str(number), name, "0"]
                for name, number in zip(("Member", "Manager", "Voiced", "Creator"), (1, 2, 3, 4), strict=True)
            ),
        ],
        "tblPrincipalRole": roles,
        "tblScopePrincipal": scopes,
        "tblChat": chat,
    }


def write_tables(folder: Path, tables: Mapping[str, Table], style: Style = PLAIN, *, shuffled: bool = False) -> Path:
    """Write each as ``<table>.csv``; texts in quotation marks, and the rows in another order where it is asked."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        head, *rows = table
        if shuffled:
            random.Random(name).shuffle(rows)  # noqa: S311 - repeatable, not secret
        lines = (style.delimiter.join(map(_field, row)) for row in (head, *rows))
        text = "".join(f"{line}{style.newline}" for line in lines)
        (folder / f"{name}.csv").write_bytes(text.encode(style.encoding))
    return folder


def _field(value: str) -> str:
    if value.lstrip("-").isdigit() or value in {"", "NULL", "True", "False"}:
        return value
    return '"' + value.replace('"', '""') + '"'


def _roles(node: str, grants: Iterable[Grant]) -> Table:
    return [[node, grant.principal, str(ROLES[grant.role])] for grant in grants]


def _principals(principals: Iterable[Principal], style: Style) -> Table:
    table = [
        [
            *("prinID", "prinGuid", "prinUri", "prinName", "prinDisplayName", "prinEmail", "prinADPath"),
            *("prinADUserPrincipalName", "prinDisabled", "prinTypeID", "department"),
        ]
    ]
    for person in principals:
        uri = f"sip:{person.sip}" if person.sip else f"ma-grp://contoso.com/{person.id}"
        type_ = FEDERATED_USER if person.is_federated else TYPES[person.kind]
        table.append(
            [
                *(person.id, person.guid, uri, style.null, person.name, person.email or style.null, style.null),
                *(
                    person.upn or style.null,
                    str(STATES[person.state]),
                    str(type_),
                    str(person.more.get("department", "")),
                ),
            ]
        )
    return table


def _nodes(categories: Iterable[Category], rooms: Iterable[Room], root: str, style: Style) -> Table:
    bit = style.bit
    table = [
        [
            *("nodeID", "nodeGuid", "parentID", "nodeType", "nodeName", "nodeDesc", "invite", "logged", "filePost"),
            *("disabled", "behavior", "visibility", "siopID", "nodeAddedOn", "colour", "motto"),
        ]
    ]
    table += [
        [
            *(each.id, each.guid, each.parent or root, bit(True), each.name, each.description, bit(each.invitations)),
            *(bit(each.history), bit(each.files), bit(each.is_disabled), "4", style.null, style.null),
            *("633482073409535482", str(each.more.get("colour", "")), ""),
        ]
        for each in categories
    ]
    for room in rooms:
        created = str(ticks_of(room.created)) if room.created else style.null
        behavior = "5" if room.type is RoomType.AUDITORIUM else "4"
        table.append(
            [
                *(room.id, room.guid, room.category, bit(False), room.name, room.description, bit(room.invitations)),
                *(style.null, style.null, bit(room.is_disabled), behavior, str(PRIVACY[room.privacy])),
                *(room.add_in or style.null, created, "", str(room.more.get("motto", ""))),
            ]
        )
    return table
