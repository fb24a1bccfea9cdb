"""The columns of the CSV file of users, and how a row becomes a user's settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from tenants_app.catalogue import USER_SETTINGS, Kind, UserSetting
from tenants_app.changes.brought_along import completed
from tenants_app.changes.conference_ids import check_gives_conference_ids, id_in_use
from tenants_app.changes.deployments import read_deployment
from tenants_app.changes.mailboxes import read_mailbox
from tenants_app.changes.moves import NUMBERS, Routes, of_new_user
from tenants_app.changes.users import check_user
from tenants_app.meeting_services import check_meeting_service, read_meeting_service
from tenants_app.models import (
    Bridge,
    ConferenceId,
    ConferencingUser,
    Deployment,
    MailboxConnection,
    ServiceNumber,
    Tenant,
)
from tenants_app.sentences import sentence
from tenants_app.validators import validate_conference_id
from tenants_app.wording import first_sentence, read_truth, stored_provider

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
        self.deployments = {each.name.lower(): each for each in Deployment.objects.filter(tenant=tenant)}
        self._routes = Routes(tenant)
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
            raise ValidationError(sentence("ConferenceId: a conference ID belongs to a bridge: fill in Bridge."))
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
                    reason = first_sentence(error) if isinstance(error, ValidationError) else error.args[0]
                    problems.append(sentence("%(field)s: %(message)s", field=column, message=reason))
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
        return ConferencingUser(tenant=self.tenant, **of_new_user(self.tenant, settings))

    def _changed(
        self, row: Row, user: ConferencingUser, own_id: ConferenceId | None, given: dict[str, Any]
    ) -> ConferencingUser:
        wanted_id = given.pop("conference_id", "")
        row.values = {name: value for name, value in given.items() if getattr(user, name) != value}
        if "deployment" in row.values:
            # What the row names beside it is chosen, also where it is what the user has: the same file changes nothing.
            row.values |= {name: given[name] for name in ("hosting", "bridge", *NUMBERS) if name in given}
        elif "bridge" in row.values:
            # A number that the row names is chosen anew, also where it is the one that the user has on the old bridge.
            row.values |= {name: given[name] for name in NUMBERS if name in given}
        route = self._routes.of_change(user, row.values)
        for name, value in completed(user, row.values, self.tenant, self.default_bridge, route).items():
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
            raise ValueError(sentence("%(cell)r is not a place: write Online or OnPremises.", cell=cell))
        return _PLACES[word]

    def truth(self, cell: str) -> bool:
        return read_truth(cell)

    def provider(self, cell: str) -> str:
        return stored_provider(cell)

    def bridge(self, cell: str) -> Bridge:
        found = self.bridges.get(cell.lower())
        if found is None:
            raise ValueError(
                sentence(
                    "%(tenant)s has no bridge %(bridge)s: add it first, or correct the name.",
                    tenant=self.tenant.name,
                    bridge=cell,
                )
            )
        return found

    def deployment(self, cell: str) -> Deployment | None:
        return read_deployment(self.tenant, cell, self.deployments)

    def conference_id(self, cell: str) -> str:
        validate_conference_id(cell)
        return cell

    def conference_id_type(self, cell: str) -> str:
        word = cell.lower()
        if word not in _CONFERENCE_ID_TYPES:
            raise ValueError(sentence("%(cell)r is not a type: write public or private.", cell=cell))
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
            raise ValueError(sentence("%(cell)s is not a service number: register it on a bridge first.", cell=cell))
        return found


_PLACES = {place.replace("-", ""): place for place in ConferencingUser.Hosting.values}
_CONFERENCE_ID_TYPES = frozenset(ConferencingUser.ConferenceIdType.values)
_READERS: Mapping[Kind, Callable[[CellReader, str], Any]] = {
    Kind.TEXT: CellReader.text,
    Kind.ADDRESS: CellReader.sip_address,
    Kind.PLACE: CellReader.place,
    Kind.YES_OR_NO: CellReader.truth,
    Kind.PROVIDER: CellReader.provider,
    Kind.DEPLOYMENT: CellReader.deployment,
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
