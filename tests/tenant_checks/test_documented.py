"""Whatever a check asks by writing stands in the guide, under the name by which the report has it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings

from migrations_app.graph_access import graph_for
from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.mailboxes.of_user import source_of
from migrations_app.tenant_checks import trying, trying_exchange, trying_teams
from migrations_app.tenant_checks.findings import Finding
from tenants_app.models import ConferencingUser, MailboxConnection
from tests.support.graph_stand_in import Copies, GraphStandIn
from tests.tenant_checks.conftest import ANNA, ATTENDEE

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
OF_THE_CHECK_ITSELF = {"test event", "test series", "tidying up"}


def asked(found: Iterable[Finding]) -> set[str]:
    return {each.question for each in found} - OF_THE_CHECK_ITSELF


def told(page: str, chapter: str) -> set[str]:
    """What is named in the tables of a chapter."""
    text = (Path(settings.BASE_DIR) / "docs" / page).read_text(encoding="utf-8")
    _, _, rest = text.partition(f" {chapter}\n")
    return set(re.findall(r"`([^`]+)`", "".join(line for line in rest.splitlines() if line.startswith("| "))))


@pytest.mark.parametrize("copies", [Copies.NONE, Copies.WHOLE])
def test_exchange_online(online: GraphStandIn, connection: MailboxConnection, copies: Copies) -> None:
    online.copies = copies
    with graph_for(connection) as graph:
        of_mailbox = asked(trying.check(graph, user=ANNA, attendee=ATTENDEE, now=NOW, wait=lambda seconds: None))
        of_teams = asked(trying_teams.check(graph, user=ANNA, now=NOW))
    documented = told("microsoft-365.md", "What only your tenant can tell")

    assert len(of_mailbox) > 8
    assert of_mailbox | of_teams <= documented


def test_exchange_on_premises(connected: MailboxConnection, anna: ConferencingUser) -> None:
    anna.mailbox = connected
    with source_of(anna) as source:
        assert isinstance(source, EwsSource)
        of_mailbox = asked(trying_exchange.check(source, attendee=ATTENDEE, now=NOW, wait=lambda seconds: None))

    assert len(of_mailbox) > 8
    assert of_mailbox <= told("mailboxes.md", "What only a real server can tell")
