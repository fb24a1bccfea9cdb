"""The columns of the CSV file of users, and how a row becomes a user's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from tenants_app.catalogue import USER_SETTINGS, Kind, UserSetting
from tenants_app.changes.brought_along import NUMBERS, completed
from tenants_app.changes.conference_ids import check_gives_conference_ids, id_in_use
from tenants_app.changes.mailboxes import read_mailbox
from tenants_app.changes.users import check_user
from tenants_app.meeting_services import check_meeting_service, read_meeting_service
from tenants_app.models import Bridge, ConferenceId, ConferencingUser, MailboxConnection, ServiceNumber, Tenant
from tenants_app.validators import validate_conference_id
from tenants_app.wording import read_truth, stored_provider

UPN = "UserPrincipalName"


@dataclass(slots=True)
class Row:
    """One row. What is found out about it is filled in when it is checked; users themselves are not kept, for size."""

    line: int
    upn: str
    cells: Mapping[str, str]
    user_pk: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    bridge_pk: int | None = None
    conference_id: str = ""
    """The ID that the row asks for, other than the one that the user has on the bridge."""


class CellReader:
    """Turns the cells of rows into values of users; knows the tenant's bridges and numbers."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        bridges = Bridge.objects.filter(tenant=tenant).prefetch_related("numbers")
        self.bridges = {bridge.name.lower(): bridge for bridge in bridges}
        self.default_bridge = next((bridge for bridge in self.bridges.values() if bridge.is_default), None)
        self.mailboxes: dict[str, MailboxConnection | None] = {}
        self.numbers = {row.number: row for row in ServiceNumber.objects.filter(tenant=tenant)}

    def check(self, row: Row, user: ConferencingUser | None, own_id: ConferenceId | None) -> None:
        """Fill in the row, and check the user as they would be; raises ``ValidationError``."""
        given = self._read(row.cells)
        user = self._made(row, given) if user is None else self._changed(row, user, own_id, given)
        row.user_pk, row.bridge_pk = user.pk, user.bridge_id
        if row.values:
            check_user(user, row.values)
        if row.conference_id and user.bridge is None:
            raise ValidationError("ConferenceId: a conference ID belongs to a bridge: fill in Bridge.")
        if row.conference_id and user.bridge is not None:
            check_gives_conference_ids(user.bridge)

    def _read(self, cells: Mapping[str, str]) -> dict[str, Any]:
        values, problems = {}, []
        for column, cell in cells.items():
            if cell and column != UPN:
                setting = SETTING_OF_COLUMN[column]
                try:
                    values[setting.field] = _READERS[setting.kind](self, cell)
                except (ValidationError, ValueError) as error:
                    reason = error.messages[0] if isinstance(error, ValidationError) else str(error)
                    problems.append(f"{column}: {reason}")
        if problems:
            raise ValidationError(problems)
        return values

    def _made(self, row: Row, given: dict[str, Any]) -> ConferencingUser:
        row.values = {"upn": row.upn, "sip_address": row.upn.lower(), **given}
        is_microsoft = not given.get("conferencing_provider")
        if given.get("audio_conferencing_license") and is_microsoft and self.default_bridge:
            row.values.setdefault("bridge", self.default_bridge)
        settings = dict(row.values)
        row.conference_id = settings.pop("conference_id", "")
        return ConferencingUser(tenant=self.tenant, **settings)

    def _changed(
        self, row: Row, user: ConferencingUser, own_id: ConferenceId | None, given: dict[str, Any]
    ) -> ConferencingUser:
        wanted_id = given.pop("conference_id", "")
        row.values = {name: value for name, value in given.items() if getattr(user, name) != value}
        if "bridge" in row.values:
            # A number that the row names is chosen anew, also where it is the one that the user has on the old bridge.
            row.values |= {name: given[name] for name in NUMBERS if name in given}
        for name, value in completed(user, row.values, self.tenant, self.default_bridge).items():
            setattr(user, name, value)
        if wanted_id and wanted_id != id_in_use(user, own_id):
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
        if word not in _PLACES:
            raise ValueError(f"{cell!r} is not a place: write Online or OnPremises.")
        return _PLACES[word]

    def truth(self, cell: str) -> bool:
        return read_truth(cell)

    def provider(self, cell: str) -> str:
        return stored_provider(cell)

    def bridge(self, cell: str) -> Bridge:
        found = self.bridges.get(cell.lower())
        if found is None:
            raise ValueError(f"{self.tenant.name} has no bridge {cell}: add it first, or correct the name.")
        return found

    def conference_id(self, cell: str) -> str:
        validate_conference_id(cell)
        return cell

    def conference_id_type(self, cell: str) -> str:
        word = cell.lower()
        if word not in _CONFERENCE_ID_TYPES:
            raise ValueError(f"{cell!r} is not a type: write public or private.")
        return word

    def meeting_service(self, cell: str) -> str:
        service = read_meeting_service(cell, of_user=True)
        check_meeting_service(service, self.tenant)
        return service

    def mailbox(self, cell: str) -> MailboxConnection | None:
        if cell.lower() not in self.mailboxes:
            self.mailboxes[cell.lower()] = read_mailbox(self.tenant, cell)
        return self.mailboxes[cell.lower()]

    def number(self, cell: str) -> ServiceNumber:
        # Spreadsheets take the plus sign away.
        found = self.numbers.get(cell) or self.numbers.get(f"+{cell}")
        if found is None:
            raise ValueError(f"{cell} is not a service number: register it on a bridge first.")
        return found


_PLACES = {place.replace("-", ""): place for place in ConferencingUser.Hosting.values}
_CONFERENCE_ID_TYPES = frozenset(ConferencingUser.ConferenceIdType.values)
_READERS: Mapping[Kind, Callable[[CellReader, str], Any]] = {
    Kind.TEXT: CellReader.text,
    Kind.ADDRESS: CellReader.sip_address,
    Kind.PLACE: CellReader.place,
    Kind.YES_OR_NO: CellReader.truth,
    Kind.PROVIDER: CellReader.provider,
    Kind.BRIDGE: CellReader.bridge,
    Kind.NUMBER: CellReader.number,
    Kind.CONFERENCE_ID: CellReader.conference_id,
    Kind.CONFERENCE_ID_TYPE: CellReader.conference_id_type,
    Kind.MEETING_SERVICE: CellReader.meeting_service,
    Kind.MAILBOX: CellReader.mailbox,
}
SETTING_OF_COLUMN: Mapping[str, UserSetting] = {setting.name: setting for setting in USER_SETTINGS}
COLUMNS = (UPN, *SETTING_OF_COLUMN)
"""The columns of the file."""
COLUMN_OF_FIELD = {"upn": UPN, **{setting.field: setting.name for setting in USER_SETTINGS}}
