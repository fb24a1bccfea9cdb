"""What commands say to a person can be said in the language of the installation; what scripts read stays."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.marked import everything_marked, forgotten_in, without_marked

NAMES = [
    *("Contoso", "contoso", "Cloud", "FooterText", "Hello", "MMS", "OK"),
    *("toll", "assigned", "false", "Microsoft", "mms"),
]


def said(*arguments: str) -> str:
    out = StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=out)
    except (CommandError, SystemExit) as error:
        out.write("" if isinstance(error, SystemExit) else str(error))
    return out.getvalue().partition(" | ")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("get_tenant", "--tenant", "contoso", "--no-such-option"),
        ("get_dial_in_conferencing_bridge",),
        ("register_service_number", "+34910000000", "--bridge", "Cloud", "--type", "toll"),
        ("get_service_number",),
        ("get_meeting_migration_status",),
        ("get_meeting_migration_history", "--user", "nobody@contoso.com"),
        ("get_planned_start",),
        ("get_unmigrated_meeting",),
        ("set_tenant", "--footer-text", "Hello"),
        ("set_tenant", "--settling-time", "soon"),
        ("start_meeting_migration", "--out-of-date"),
        ("start_meeting_migration", "--out-of-date", "--dry-run", "--wait"),
        ("run_migrations",),
        ("prune_history", "--days", "400"),
        ("check_migrations",),
        ("test_alert",),
    ],
    ids=" ".join,
)
def test_what_a_command_says_can_be_translated(tenant: Tenant, arguments: tuple[str, ...]) -> None:
    Bridge.objects.create(tenant=tenant, name="Cloud")
    with everything_marked():
        assert forgotten_in(said(*arguments).splitlines(), NAMES) == []


def test_fields_for_scripts_are_the_same_in_every_language(tenant: Tenant, settings: Any) -> None:
    (before,) = json.loads(said("get_tenant", "--format", "json"))
    settings.LANGUAGE_CODE = "es"
    with everything_marked():
        (after,) = json.loads(said("get_tenant", "--format", "json"))
    assert after == before


def test_an_explanation_is_told_in_it_to_the_last_line(tenant: Tenant, settings: Any) -> None:
    settings.LANGUAGE_CODE = "it"
    told = " ".join(said("explain_meeting", str(settings.BASE_DIR / "samples/invitations/budget.ics")).split())
    assert "DECISIONE Verrebbe ignorata (pasted-block) Il blocco è stato copiato da un'altra riunione: " in told
    assert "Descrizione in testo normale Riga 137 punti, dopo “Please read the budget first”" in told


def test_what_a_change_would_lead_to_can_be_translated(anna: ConferencingUser) -> None:
    with everything_marked():
        told = said("set_dial_in_conferencing_user", "--user", anna.upn, "--reset-conference-id", "--dry-run")
    assert "the conference ID changed" in told
    assert "because" not in without_marked(told)
