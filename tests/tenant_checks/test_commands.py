"""What check_graph, check_teams and check_exchange have in common: whom they check, how they end, what they keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.core.management import load_command_class
from django.core.management.base import CommandError

from tenants_app.models import MailboxConnection
from tests.support.commands import Command
from tests.support.ews_stand_in import EwsStandIn
from tests.support.graph_stand_in import GraphStandIn
from tests.tenant_checks.conftest import ANNA

CHECKS = ("check_graph", "check_teams", "check_exchange")


@dataclass
class Tenant:
    """Both systems, and a connection to each."""

    online: GraphStandIn
    exchange: EwsStandIn
    connections: dict[str, MailboxConnection]

    @property
    def was_asked(self) -> bool:
        return bool(self.online.requests or self.exchange.bodies)

    def of(self, check: str) -> MailboxConnection:
        return self.connections["exchange" if check == "check_exchange" else "graph"]

    def not_of(self, check: str) -> MailboxConnection:
        return self.connections["graph" if check == "check_exchange" else "exchange"]

    def close(self) -> None:
        """Let nobody reach Anna."""
        self.exchange.scope = set()
        self.online.application.secrets.clear()


@pytest.fixture
def both(
    online: GraphStandIn, connection: MailboxConnection, exchange: EwsStandIn, connected: MailboxConnection
) -> Tenant:
    return Tenant(online, exchange, {"graph": connection, "exchange": connected})


@pytest.mark.parametrize("check", CHECKS)
def test_the_help_shows_how_it_is_used(check: str) -> None:
    told = load_command_class("migrations_app", check).create_parser("manage.py", check).format_help()
    told = " ".join(told.split())

    assert f"Example: python manage.py {check}" in told
    assert "--user anna@contoso.com" in told
    assert "as JSON where its name ends in .json" in told


@pytest.mark.parametrize("check", CHECKS)
def test_a_report_is_kept_for_people_and_for_programs(
    command: Command, both: Tenant, tmp_path: Path, check: str
) -> None:
    name = both.of(check).name
    for path in (tmp_path / "report.txt", tmp_path / "report.JSON"):
        told = command(check, name, "--user", ANNA, "--report", str(path))
        assert told.endswith(f"The report is in {path}.\n")
    as_json = json.loads((tmp_path / "report.JSON").read_text())
    as_text = (tmp_path / "report.txt").read_text()

    assert as_json["about"]["Connection"] == name
    assert as_text.startswith(f"{as_json['check']}, 20")
    for found in as_json["findings"]:
        assert found["verdict"] in {"ok", "note", "open"}
        assert f"{found['question']}: {found['sentence']}" in as_text


@pytest.mark.parametrize("check", CHECKS)
def test_what_failed_ends_with_1_and_is_in_the_report(
    command: Command, both: Tenant, tmp_path: Path, check: str
) -> None:
    path = tmp_path / "report.json"
    both.close()
    with pytest.raises(SystemExit) as ended:
        command(check, both.of(check).name, "--user", ANNA, "--report", str(path))

    assert ended.value.code == 1
    assert "failed" in {found["verdict"] for found in json.loads(path.read_text())["findings"]}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("where", ["missing/report.txt", ".", "report\0.txt"])
def test_a_report_that_cannot_be_kept_is_refused_before_anything_is_asked(
    command: Command, both: Tenant, tmp_path: Path, check: str, where: str
) -> None:
    with pytest.raises(CommandError, match=r"The report cannot be written to .*: choose another place with --report"):
        command(check, both.of(check).name, "--user", ANNA, "--report", f"{tmp_path}/{where}")

    assert not both.was_asked
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", CHECKS)
def test_connections_that_are_none_of_these(command: Command, both: Tenant, check: str) -> None:
    other = both.not_of(check)
    with pytest.raises(CommandError, match=f"is of kind {other.kind}: name a connection of kind {both.of(check).kind}"):
        command(check, other.name, "--user", ANNA)
    with pytest.raises(CommandError, match="Nowhere"):
        command(check, "Nowhere", "--user", ANNA)
    second = MailboxConnection.objects.get(pk=both.of(check).pk)
    second.pk, second.name = None, "Another"
    second.save()
    with pytest.raises(CommandError, match=f"several connections of kind {second.kind}: name one"):
        command(check, "--user", ANNA)
    MailboxConnection.objects.filter(kind=second.kind).delete()
    with pytest.raises(
        CommandError, match=f"no connection of kind {second.kind}: make one with new_mailbox_connection"
    ):
        command(check, "--user", ANNA)

    assert not both.was_asked


@pytest.mark.parametrize(
    ("check", "option"),
    [
        *((check, option) for check in CHECKS for option in ("--user", "--write-to")),
        *((check, option) for check in ("check_graph", "check_exchange") for option in ("--outside", "--attendee")),
    ],
)
def test_what_is_no_address_is_refused(command: Callable[..., str], both: Tenant, check: str, option: str) -> None:
    given = {"--user": ANNA, "--write-to": "mms.test@contoso.com", "--attendee": "mms.attendee@contoso.com"}
    if check == "check_teams":
        del given["--attendee"]
    given[option] = "anna at contoso"
    with pytest.raises(CommandError, match=r"anna at contoso: Give an address such as anna@contoso\.com") as refused:
        command(check, both.of(check).name, *(part for pair in given.items() for part in pair))

    assert refused.value.returncode == 2
    assert not both.was_asked
