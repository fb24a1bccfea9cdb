"""Users from a CSV file: every row is checked before anything is written, then all are written in bulk."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from tenants_app import changes
from tenants_app.announcements import Consequence
from tenants_app.audit import Actor, Channel
from tenants_app.changes import UserEdit
from tenants_app.commands import sentences
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, ServiceNumber, Tenant, validate_conference_id
from tenants_app.records import read_truth, stored_provider

UPN = "UserPrincipalName"
_BULK = 500


@dataclass(slots=True)
class Plan:
    """What an import will do. ``bad_rows`` are (line number, sentence)."""

    new_users: list[dict[str, Any]] = field(default_factory=list)
    edits: list[UserEdit] = field(default_factory=list)
    unchanged: int = 0
    bad_rows: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    """One row. What is found out about it is filled in when it is checked; users themselves are not kept, for size."""

    line: int
    cells: Mapping[str, str]
    user_pk: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    bridge_pk: int | None = None
    conference_id: str = ""
    """The ID that the row asks for, other than the one that the user has on the bridge."""


def plan(tenant: Tenant, text: str) -> Plan:
    """Check all rows; call it in the transaction of :func:`carry_out`.

    Raises ``ValidationError`` where the file as a whole cannot be used.
    """
    planned = Plan()
    reader = _CellReader(tenant)
    good: list[_Row] = []
    for batch in _batches(_rows(text, planned)):
        found = {
            user.upn.lower(): user
            for user in ConferencingUser.objects.with_upns(tenant, [row.cells[UPN] for row in batch])
            .select_related("bridge", "toll_number", "toll_free_number")
            .prefetch_related("conference_ids")
        }
        for row in batch:
            try:
                reader.check(row, found.get(row.cells[UPN].lower()))
            except ValidationError as error:
                planned.bad_rows.append((row.line, sentences(error, _COLUMN_OF_FIELD)))
            else:
                good.append(row)
    for row in _with_free_conference_ids(good, planned):
        if row.user_pk is None:
            planned.new_users.append(row.values)
        elif row.values:
            planned.edits.append(UserEdit(row.user_pk, row.values))
        else:
            planned.unchanged += 1
    return planned


def carry_out(tenant: Tenant, planned: Plan, actor: Actor) -> list[Consequence]:
    """Write what was planned; what follows from the changes."""
    actor = actor.through(Channel.IMPORT)
    if planned.new_users:
        changes.create_users(tenant, planned.new_users, actor)
    return changes.change_users(tenant, planned.edits, actor) if planned.edits else []


# --- the file -----------------------------------------------------------------------------------------


def _rows(text: str, planned: Plan) -> Iterator[_Row]:
    """The rows that name a user; others are noted as bad."""
    header_line = text.partition("\n")[0]
    delimiter = ";" if header_line.count(";") > header_line.count(",") else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    first_lines: dict[str, int] = {}
    line = 1
    try:
        columns = _columns(next(reader, []))
        line = reader.line_num + 1
        for cells in reader:
            row_line, line = line, reader.line_num + 1
            if not any(map(str.strip, cells)):
                continue
            if len(cells) != len(columns):
                planned.bad_rows.append(
                    (row_line, f"The row has {len(cells)} cells where the header has {len(columns)}: quote or add.")
                )
                continue
            row = _Row(row_line, {name: cell.strip() for name, cell in zip(columns, cells, strict=True)})
            upn = row.cells[UPN]
            if not upn:
                planned.bad_rows.append((row_line, "The row names no user: fill in UserPrincipalName."))
            elif upn.lower() in first_lines:
                planned.bad_rows.append(
                    (row_line, f"{upn} stands already on line {first_lines[upn.lower()]:,}: give each user one row.")
                )
            else:
                first_lines[upn.lower()] = row_line
                yield row
    except csv.Error as error:
        raise ValidationError(
            f"The file cannot be read as CSV from line {line:,} on ({error}): look for a quotation mark too many."
        ) from error


def _columns(header: list[str]) -> list[str]:
    known = {name.lower(): name for name in COLUMNS}
    if not any(map(str.strip, header)):
        raise ValidationError("The file is empty: the first line names the columns, such as UserPrincipalName,Bridge.")
    columns = []
    for cell in header:
        name = known.get(cell.strip().lower())
        if name is None:
            raise ValidationError(f"There is no column {cell.strip()!r}: use {', '.join(COLUMNS)}.")
        if name in columns:
            raise ValidationError(f"The column {name} stands twice in the first line: keep one.")
        columns.append(name)
    if UPN not in columns:
        raise ValidationError(f"The first line must name the column {UPN}.")
    return columns


def _batches(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    batch: list[_Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _BULK:
            yield batch
            batch = []
    if batch:
        yield batch


# --- the cells ----------------------------------------------------------------------------------------


class _CellReader:
    """Turns the cells of rows into values of users; knows the tenant's bridges and numbers."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.bridges = {bridge.name.lower(): bridge for bridge in Bridge.objects.filter(tenant=tenant)}
        self.default_bridge = next((bridge for bridge in self.bridges.values() if bridge.is_default), None)
        self.numbers = {row.number: row for row in ServiceNumber.objects.filter(tenant=tenant)}

    def check(self, row: _Row, user: ConferencingUser | None) -> None:
        """Fill in the row, and check the user as they would be; raises ``ValidationError``."""
        given = self._read(row.cells)
        user = self._made(row, given) if user is None else self._changed(row, user, given)
        row.user_pk, row.bridge_pk = user.pk, user.bridge_id
        if row.values:
            user.clean_fields(exclude=["tenant", "bridge", "toll_number", "toll_free_number"])
            user.clean()
        if row.conference_id and user.bridge is None:
            raise ValidationError("ConferenceId: a conference ID belongs to a bridge: fill in Bridge.")

    def _read(self, cells: Mapping[str, str]) -> dict[str, Any]:
        values, problems = {}, []
        for column, cell in cells.items():
            if cell and column != UPN:
                field_name, read = COLUMNS[column]
                try:
                    values[field_name] = read(self, cell)
                except (ValidationError, ValueError) as error:
                    reason = error.messages[0] if isinstance(error, ValidationError) else str(error)
                    problems.append(f"{column}: {reason}")
        if problems:
            raise ValidationError(problems)
        return values

    def _made(self, row: _Row, given: dict[str, Any]) -> ConferencingUser:
        row.values = {"upn": row.cells[UPN], "sip_address": row.cells[UPN].lower(), **given}
        is_microsoft = not given.get("conferencing_provider")
        if given.get("audio_conferencing_license") and is_microsoft and self.default_bridge:
            row.values.setdefault("bridge", self.default_bridge)
        settings = dict(row.values)
        row.conference_id = settings.pop("conference_id", "")
        return ConferencingUser(tenant=self.tenant, **settings)

    def _changed(self, row: _Row, user: ConferencingUser, given: dict[str, Any]) -> ConferencingUser:
        own_id, own_bridge = user.conference_id, user.bridge_id
        wanted_id = given.pop("conference_id", "")
        row.values = {name: value for name, value in given.items() if getattr(user, name) != value}
        if "bridge" in row.values:
            # Numbers belong to a bridge: those of the old one do not move along.
            row.values |= {name: given.get(name) for name in ("toll_number", "toll_free_number")}
        for name, value in row.values.items():
            setattr(user, name, value)
        if wanted_id and (wanted_id != own_id or user.bridge_id != own_bridge):
            row.values["conference_id"] = row.conference_id = wanted_id
        return user

    # What a cell of each column stands for; errors are sentences.

    def text(self, cell: str) -> str:
        return cell

    def sip_address(self, cell: str) -> str:
        return cell.lower().removeprefix("sip:")

    def place(self, cell: str) -> str:
        """``OnPremises``, ``Exchange on-premises``, ``Online`` …"""
        word = cell.lower().replace(" ", "").replace("-", "").removeprefix("exchange")
        for place in ConferencingUser.Hosting.values:
            if word == place.replace("-", ""):
                return place
        raise ValueError(f"{cell!r} is not a place: write Online or OnPremises.")

    def truth(self, cell: str) -> bool:
        return read_truth(cell)

    def provider(self, cell: str) -> str:
        return stored_provider(cell)

    def bridge(self, cell: str) -> Bridge:
        found = self.bridges.get(cell.lower())
        if found is None:
            raise ValueError(f"{self.tenant.name} has no bridge {cell}: make it with set_dial_in_conferencing_bridge.")
        return found

    def conference_id(self, cell: str) -> str:
        validate_conference_id(cell)
        return cell

    def conference_id_type(self, cell: str) -> str:
        word = cell.lower()
        if word not in ConferencingUser.ConferenceIdType.values:
            raise ValueError(f"{cell!r} is not a type: write public or private.")
        return word

    def number(self, cell: str) -> ServiceNumber:
        found = self.numbers.get(cell)
        if found is None:
            raise ValueError(f"{cell} is not a service number: add it with register_service_number.")
        return found


COLUMNS: Mapping[str, tuple[str, Callable[[_CellReader, str], Any]]] = {
    UPN: ("upn", _CellReader.text),
    "SipAddress": ("sip_address", _CellReader.sip_address),
    "DisplayName": ("display_name", _CellReader.text),
    "Language": ("language", _CellReader.text),
    "Hosting": ("hosting", _CellReader.place),
    "MailboxLocation": ("mailbox_location", _CellReader.place),
    "AudioConferencingLicense": ("audio_conferencing_license", _CellReader.truth),
    "AudioConferencingEnabled": ("audio_conferencing_enabled", _CellReader.truth),
    "ConferencingProvider": ("conferencing_provider", _CellReader.provider),
    "Bridge": ("bridge", _CellReader.bridge),
    "ConferenceId": ("conference_id", _CellReader.conference_id),
    "ConferenceIdType": ("conference_id_type", _CellReader.conference_id_type),
    "TollNumber": ("toll_number", _CellReader.number),
    "TollFreeNumber": ("toll_free_number", _CellReader.number),
}
"""The columns of the file, the user's field that each sets, and what reads its cells."""

_COLUMN_OF_FIELD = {field_name: column for column, (field_name, _) in COLUMNS.items()}


def _with_free_conference_ids(rows: list[_Row], planned: Plan) -> Iterator[_Row]:
    """The rows whose conference ID nobody else has; those of the others are noted as bad."""
    wanted = [row for row in rows if row.conference_id]
    holders: dict[tuple[int | None, str], int] = {}
    for start in range(0, len(wanted), _BULK):
        digits = {row.conference_id for row in wanted[start : start + _BULK]}
        held = ConferenceId.objects.filter(digits__in=digits).values_list("bridge_id", "digits", "user_id")
        holders |= {(bridge, found): user for bridge, found, user in held}
    first_lines: dict[tuple[int | None, str], int] = {}
    for row in rows:
        if row.conference_id:
            key = row.bridge_pk, row.conference_id
            if key in holders:
                planned.bad_rows.append(
                    (row.line, f"ConferenceId: {row.conference_id} is already in use on its bridge: choose another.")
                )
                continue
            if key in first_lines:
                planned.bad_rows.append(
                    (row.line, f"ConferenceId: {row.conference_id} stands already on line {first_lines[key]:,}.")
                )
                continue
            first_lines[key] = row.line
        yield row
