"""Categories and rooms from ``tblNode``, with their scopes and roles (R104; names are left as they are)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from migrations_app.chat.archive.records import Category, Grant, Privacy, RoleName, Room, RoomType
from migrations_app.chat.sources import ticks
from migrations_app.chat.sources.reporting import Reported
from migrations_app.chat.sources.table_columns import NODE, PRINCIPAL_ROLE, ROLE_TYPE, SCOPE
from migrations_app.chat.sources.table_principals import guid_of
from migrations_app.chat.sources.table_rows import NULL, Record, Table
from tenants_app.sentences import sentence

ROOT = "root"
"""What ``Category.more`` says of the root: it stands above all categories and is none of them (R114)."""

_TYPES = {4: RoomType.NORMAL, 5: RoomType.AUDITORIUM}
_PRIVACY = {2: Privacy.PRIVATE, 3: Privacy.SCOPED, 6: Privacy.OPEN}
_ROLES = {
    "member": RoleName.MEMBER,
    "manager": RoleName.MANAGER,
    "voiced": RoleName.PRESENTER,
    "creator": RoleName.CREATOR,
}
_USED = ["nodeID", "nodeGuid", "parentID", "nodeType", "nodeName", "nodeDesc", "invite", "disabled", "siopID"]
_USED += ["behavior", "visibility", "nodeAddedOn"]


@dataclass(slots=True)
class _Node:
    number: int
    line: int
    parent: int | None
    is_category: bool
    name: str
    description: str
    guid: str
    invitations: bool | None
    history: bool | None
    files: bool | None
    is_disabled: bool
    type: RoomType
    privacy: Privacy | None
    add_in: str
    created: int | None
    more: dict[str, Any]
    allowed: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    roles: dict[tuple[str, RoleName], None] = field(default_factory=dict)


class Nodes:
    """All of ``tblNode`` but the rooms that are left out (ids or names)."""

    def __init__(
        self, tables: Mapping[str, Table], principals: Collection[int], leave_out: Collection[str], reported: Reported
    ) -> None:
        self._principals, self._leave_out, self._reported = principals, frozenset(leave_out), reported
        self._file = tables[NODE].file.name
        self._nodes: dict[int, _Node] = {}
        self._roles: dict[int, RoleName] = {}
        self.left_out: set[int] = set()
        tables[NODE].each(reported, self._add)
        self.root = self._root()
        self._check_tree()
        tables[ROLE_TYPE].each(reported, self._add_role_type)
        tables[SCOPE].each(reported, self._add_scope)
        tables[PRINCIPAL_ROLE].each(reported, self._add_role)

    # --- what others ask ---------------------------------------------------------------------------------

    def is_room(self, number: int) -> bool | None:
        """None where there is no such node."""
        node = self._nodes.get(number)
        return None if node is None else not node.is_category

    def categories(self) -> Iterator[Category]:
        """Parents before their children."""
        children: dict[int | None, list[_Node]] = {}
        for node in self._nodes.values():
            if node.is_category and node.number != self.root:
                children.setdefault(node.parent, []).append(node)
        # Above the first ones stands the root, or nothing.
        waiting = [each for each in (self._nodes.get(self.root or 0),) if each] + children.pop(None, [])
        while waiting:
            node = waiting.pop(0)
            yield self._category(node)
            waiting += children.pop(node.number, [])

    def rooms(self) -> Iterator[Room]:
        for node in self._nodes.values():
            if not node.is_category:
                yield self._room(node)

    def _category(self, node: _Node) -> Category:
        is_root = node.number == self.root
        parent = None if is_root or node.parent in {None, self.root} else str(node.parent)
        return Category(
            id=str(node.number),
            name=node.name,
            guid=node.guid,
            parent=parent,
            description=node.description,
            invitations=self._inherited(node, "invitations", True),
            history=self._inherited(node, "history", True),
            files=self._inherited(node, "files", True),
            allowed=tuple(node.allowed),
            denied=tuple(node.denied),
            roles=_grants(node),
            is_disabled=node.is_disabled,
            more={**node.more, ROOT: True} if is_root else node.more,
        )

    def _room(self, node: _Node) -> Room:
        scopes = {"allowed": node.allowed, "denied": node.denied}
        return Room(
            id=str(node.number),
            category=str(node.parent),
            name=node.name,
            guid=node.guid,
            description=node.description,
            type=node.type,
            privacy=self._inherited(node, "privacy", Privacy.PRIVATE),
            invitations=node.invitations,
            is_disabled=node.is_disabled,
            add_in=node.add_in,
            created=None if node.created is None else ticks.time_of(node.created),
            roles=_grants(node),
            more={**node.more, **{name: value for name, value in scopes.items() if value}},
        )

    def _inherited(self, node: _Node, what: str, otherwise: Any) -> Any:
        """Of Group Chat: what is not set comes from above."""
        value = getattr(node, what)
        while value is None and node.parent is not None and node.parent != node.number:
            node = self._nodes[node.parent]
            value = getattr(node, what)
        return otherwise if value is None else value

    # --- reading -----------------------------------------------------------------------------------------

    def _add(self, record: Record) -> None:
        number, name = record.integer("nodeID"), record.text("nodeName")
        is_category = record.bit("nodeType")
        if number in self._nodes or number in self.left_out:
            raise record.bad(sentence("There is a node with the number %(number)s already.", number=str(number)))
        if not is_category and self._leave_out & {str(number), name}:
            self.left_out.add(number)
            return
        if not name.strip():
            raise record.bad(sentence("The node %(number)s has no name.", number=str(number)))
        behavior, visibility = record.integer_or_none("behavior"), record.integer_or_none("visibility")
        if not is_category and behavior not in _TYPES:
            raise record.bad(
                sentence("The column behavior has %(value)s, and not 4 or 5.", value=str(behavior or NULL))
            )
        if not is_category and visibility is not None and visibility not in _PRIVACY:
            raise record.bad(sentence("The column visibility has %(value)s, and not 2, 3 or 6.", value=str(visibility)))
        created = record.integer_or_none("nodeAddedOn")
        shown = ["logged", "filePost"] if is_category else []
        more: dict[str, Any] = dict(record.more(*_USED, *shown))
        if created is not None and ticks.time_of(created) is None:
            more["nodeAddedOn"], created = str(created), None
        self._nodes[number] = _Node(
            number=number,
            line=record.row.line,
            parent=record.integer_or_none("parentID"),
            is_category=is_category,
            name=name,
            description=record.text_or_nothing("nodeDesc"),
            guid=guid_of(record.text("nodeGuid")),
            invitations=record.bit_or_none("invite"),
            history=record.bit_or_none("logged"),
            files=record.bit_or_none("filePost"),
            is_disabled=record.bit("disabled"),
            type=_TYPES.get(behavior or 0, RoomType.NORMAL),
            privacy=_PRIVACY.get(visibility or 0),
            add_in=guid_of(record.text_or_nothing("siopID")),
            created=created,
            more=more,
        )

    def _root(self) -> int | None:
        own = sorted(number for number, node in self._nodes.items() if node.parent == number and node.is_category)
        for number in own[1:]:
            self._report(self._nodes[number], sentence("Only one category, the root, may be its own parent."))
        return own[0] if own else None

    def _check_tree(self) -> None:
        for node in self._nodes.values():
            if node.parent is None:
                if not node.is_category:
                    self._report(node, sentence("The room “%(name)s” has no category.", name=node.name))
                continue
            parent = self._nodes.get(node.parent)
            if parent is None:
                self._report(
                    node,
                    sentence("The node's parent %(parent)s is not in tblNode.", parent=str(node.parent)),
                )
            elif not parent.is_category:
                self._report(node, sentence("The node's parent %(parent)s is a room.", parent=str(node.parent)))
        if self._reported.count:
            return
        well: set[int] = {self.root} if self.root is not None else set()
        for node in self._nodes.values():
            path: list[_Node] = []
            above: _Node | None = node
            while above is not None and above.number not in well:
                if above in path:
                    self._report(above, sentence("The category “%(name)s” lies within itself.", name=above.name))
                    break
                path.append(above)
                above = None if above.parent is None else self._nodes[above.parent]
            well.update(each.number for each in path)

    def _report(self, node: _Node, reason: str) -> None:
        self._reported.add(self._file, node.line, reason)

    def _add_role_type(self, record: Record) -> None:
        described = record.text("rtypeDesc").strip()
        try:
            self._roles[record.integer("rtypeID")] = _ROLES[described.split(":")[0].strip().casefold()]
        except KeyError:
            raise record.bad(
                sentence("MMS knows no role %(role)s: members, managers, voiced, creators.", role=described)
            ) from None

    def _add_scope(self, record: Record) -> None:
        node = self._whose(record, "scopeNodeID")
        if node is not None:
            scope = node.denied if record.bit("scopeIsDenied") else node.allowed
            principal = self._principal(record, "scopePrinID")
            if principal not in scope:
                scope.append(principal)

    def _add_role(self, record: Record) -> None:
        node = self._whose(record, "prinRoleNodeID")
        if node is None:
            return
        number = record.integer("prinRoleTypeID")
        if number not in self._roles:
            raise record.bad(sentence("The role %(role)s is not in tblRoleType.", role=str(number)))
        node.roles[self._principal(record, "prinRolePrinID"), self._roles[number]] = None

    def _whose(self, record: Record, column: str) -> _Node | None:
        number = record.integer(column)
        if number in self.left_out:
            return None
        node = self._nodes.get(number)
        if node is None:
            raise record.bad(sentence("The node %(number)s is not in tblNode.", number=str(number)))
        return node

    def _principal(self, record: Record, column: str) -> str:
        number = record.integer(column)
        if number not in self._principals:
            raise record.bad(sentence("The principal %(number)s is not in tblPrincipal.", number=str(number)))
        return str(number)


def with_counts(room: Room, count: int, first: int | None, last: int | None) -> Room:
    """The room with the number of its messages and the ticks of the first and the last."""
    return replace(
        room,
        messages=count,
        first=None if first is None else ticks.time_of(first),
        last=None if last is None else ticks.time_of(last),
    )


def _grants(node: _Node) -> tuple[Grant, ...]:
    return tuple(Grant(principal, role) for principal, role in node.roles)
