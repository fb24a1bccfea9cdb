"""Users, groups and containers from ``tblPrincipal``, with who is in which group (R104, R116)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from migrations_app.chat.archive.records import Principal, PrincipalKind, PrincipalState
from migrations_app.chat.sources.reporting import Reported
from migrations_app.chat.sources.scratch import Batched, Scratch
from migrations_app.chat.sources.table_columns import AFFILIATION, PRINCIPAL, PRINCIPAL_TYPE
from migrations_app.chat.sources.table_rows import Record, Table
from tenants_app.sentences import sentence

SIP = "sip:"
_STATES = {
    "0": PrincipalState.ACTIVE,
    "false": PrincipalState.ACTIVE,
    "1": PrincipalState.DISABLED,
    "true": PrincipalState.DISABLED,
    "2": PrincipalState.DELETED,
}
_CONTAINERS = {"dc", "folder"}
_FIRST_PART = re.compile(r"[A-Za-z]+=((?:[^,\\]|\\.)*)")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    kind: PrincipalKind
    is_federated: bool


class Principals:
    """All of ``tblPrincipal``. In memory are their numbers only."""

    def __init__(self, tables: Mapping[str, Table], scratch: Scratch, reported: Reported) -> None:
        self._table, self._scratch = tables[PRINCIPAL], scratch
        self._types: dict[int, _Type] = {}
        self.numbers: set[int] = set()
        tables[PRINCIPAL_TYPE].each(reported, self._add_type)
        self._table.each(reported, self._check)
        self._load_affiliations(tables[AFFILIATION], reported)

    def __iter__(self) -> Iterator[Principal]:
        for row in self._table.file.rows():
            yield self._principal(Record(self._table, row), lists_members=True)

    def _add_type(self, record: Record) -> None:
        name = record.text("ptypeDesc").strip()
        folded = name.casefold()
        if record.bit("ptypeIsUser") or record.bit("ptypeIsSystemUser"):
            kind = PrincipalKind.USER
        else:
            kind = PrincipalKind.FOLDER if folded in _CONTAINERS else PrincipalKind.GROUP
        is_federated = bool(record.bit_or_none("ptypeIsFederated")) or folded.startswith("federated")
        self._types[record.integer("ptypeID")] = _Type(name, kind, is_federated)

    def _check(self, record: Record) -> None:
        number = record.integer("prinID")
        if number in self.numbers:
            raise record.bad(sentence("There is a principal with the number %(number)s already.", number=str(number)))
        self.numbers.add(number)
        self._principal(record, lists_members=False)

    def _principal(self, record: Record, *, lists_members: bool) -> Principal:
        number = record.integer("prinID")
        try:
            type_ = self._types[record.integer("prinTypeID")]
        except KeyError:
            raise record.bad(
                sentence(
                    "The principal is of type %(type)s, which is not in tblPrincipalType.",
                    type=str(record.integer("prinTypeID")),
                )
            ) from None
        disabled = record.text("prinDisabled").strip()
        try:
            state = _STATES[disabled.casefold()]
        except KeyError:
            raise record.bad(
                sentence("The column prinDisabled has %(value)s, and not 0, 1 or 2.", value=disabled)
            ) from None
        uri = record.text("prinUri").strip()
        path = record.text_or_nothing("prinADPath")
        common = record.text_or_nothing("prinName")
        shown = record.text_or_nothing("prinDisplayName") or common or _name_in(path)
        is_sip = uri.casefold().startswith(SIP)
        used = ["prinID", "prinGuid", "prinEmail", "prinADUserPrincipalName", "prinDisabled", "prinTypeID"]
        used += ["prinDisplayName", *(["prinUri"] if is_sip else []), *(["prinName"] if common == shown else [])]
        more: dict[str, object] = {**record.more(*used), "source_type": type_.name}
        return Principal(
            id=str(number),
            kind=type_.kind,
            sip=uri[len(SIP) :] if is_sip else "",
            upn=record.text_or_nothing("prinADUserPrincipalName"),
            name=shown or uri,
            email=record.text_or_nothing("prinEmail"),
            guid=guid_of(record.text("prinGuid")),
            state=state,
            members=self._members(number) if lists_members and type_.kind is not PrincipalKind.USER else None,
            is_federated=type_.is_federated,
            more=more,
        )

    def _load_affiliations(self, table: Table, reported: Reported) -> None:
        self._scratch.run("CREATE TABLE affiliation (whole INTEGER, part INTEGER)")
        rows = Batched(self._scratch, "INSERT INTO affiliation VALUES (?, ?)")

        def add(record: Record) -> None:
            part, whole = record.integer("principalID"), record.integer("affiliationID")
            for number in (part, whole):
                if number not in self.numbers:
                    raise record.bad(sentence("The principal %(number)s is not in tblPrincipal.", number=str(number)))
            if part != whole:  # each principal is affiliated with itself
                rows.add(whole, part)

        table.each(reported, add)
        rows.flush()
        self._scratch.run("CREATE INDEX of_whole ON affiliation (whole, part)")

    def _members(self, number: int) -> tuple[str, ...] | None:
        question = "SELECT DISTINCT part FROM affiliation WHERE whole = ? ORDER BY part"
        return tuple(str(part) for (part,) in self._scratch.rows(question, [number])) or None


def guid_of(text: str) -> str:
    return text.strip().strip("{}").lower()


def _name_in(path: str) -> str:
    """Of a distinguished name the value of its first part: groups have no other name."""
    match = _FIRST_PART.match(path.strip())
    return _ESCAPED.sub(r"\1", match.group(1)) if match else ""
