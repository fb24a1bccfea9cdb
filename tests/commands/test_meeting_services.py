"""Meeting services (R39) and who hands out conference IDs (R43), by command and by file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.users import change_user
from tenants_app.csv_files.users_out import user_lines
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
NEW = ("new_tenant", "fabrikam", "--name", "Fabrikam", "--domain", "fabrikam.com")
URL = ("--meeting-url", "https://meet.fabrikam.com")
NO_TEAMS = "meeting service: The Teams service needs a connection to Teams: choose one of the tenant's connections"
NONE_YET = "Contoso has no connection to Teams, which the Teams service needs: give it one, or choose none."


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ("", "none")),
        (URL, ("https://meet.fabrikam.com", "link")),
        ((*URL, "--meeting-service", "none"), ("https://meet.fabrikam.com", "none")),
        ((*URL, "--meeting-service", "LINK"), ("https://meet.fabrikam.com", "link")),
    ],
)
def test_r39_a_new_tenant_has_the_service_that_is_named_or_link_where_there_is_a_url(
    command: Command, options: tuple[str, ...], expected: tuple[str, str]
) -> None:
    command(*NEW, *options)
    record = json.loads(command("get_tenant", "--format", "json"))[0]

    assert (record["MeetingUrl"], record["MeetingService"]) == expected


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--meeting-service", "link"), "The Link service needs a meeting URL: give one, or choose none instead."),
        ((*URL, "--meeting-service", "teams"), NO_TEAMS),
        ((*URL, "--meeting-service", "zoom"), "'zoom' is not a meeting service: write link, teams or none."),
        (("--meeting-url", "http://meet.fabrikam.com"), "A meeting URL begins with https://: give one that does."),
        (("--meeting-url", "ftp://meet.fabrikam.com"), "Give a web address that begins with https://"),
    ],
)
def test_r39_what_a_new_tenant_cannot_have_is_refused_in_a_sentence(
    command: Command, options: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError) as refused:
        command(*NEW, *options)

    assert sentence in str(refused.value)
    assert not Tenant.objects.exists()


def test_r39_r9_a_user_gets_a_service_of_their_own_or_the_tenants(command: Command, anna: ConferencingUser) -> None:
    user = ("set_dial_in_conferencing_user", "--user", anna.upn, "--meeting-service")
    get = ("get_dial_in_conferencing_user", "--user", anna.upn, "--format", "json")
    told, records = [], [json.loads(command(*get))["MeetingService"]]
    for service in ("none", "tenant"):
        told.append(command(*user, service))
        records.append(json.loads(command(*get))["MeetingService"])

    assert records == ["tenant", "none", "tenant"]
    assert told[0].splitlines() == [
        f"{anna.upn}: MeetingService tenant → none",
        f"{anna.upn}: No run, because a changed meeting service does not start one: existing meetings stay where they "
        "are hosted.",
    ]
    assert AuditEntry.objects.latest("pk").before == {"meeting_service": "none"}


@pytest.mark.parametrize(
    ("service", "sentence"),
    [("teams", NONE_YET), ("webex", "'webex' is not a meeting service: write link, teams, none or tenant.")],
)
def test_r39_an_impossible_service_of_a_user_is_refused(
    command: Command, anna: ConferencingUser, service: str, sentence: str
) -> None:
    before = everything_stored()
    with pytest.raises(CommandError) as refused:
        command("set_dial_in_conferencing_user", "--user", anna.upn, "--meeting-service", service)

    assert sentence in str(refused.value)
    assert everything_stored() == before


def test_r39_the_service_stands_in_files_of_users(
    command: Command, anna: ConferencingUser, make_user: MakeUser, tenant: Tenant, tmp_path: Path
) -> None:
    make_user("bruno", meeting_service="none")
    make_user("clara", meeting_service="link")
    path = tmp_path / "users.csv"
    path.write_text("".join(user_lines(tenant.users.all())), encoding="utf-8")
    again = command("import_users", str(path))
    path.write_text(
        "UserPrincipalName,MeetingService\n"
        "anna.rossi@contoso.com,None\nbruno@contoso.com,tenant\nclara@contoso.com,\ndora@contoso.com,\n"
    )
    command("import_users", str(path))

    assert "0 created, 0 changed, 3 unchanged" in again
    services = dict(ConferencingUser.objects.values_list("upn", "meeting_service"))
    assert services == {
        "anna.rossi@contoso.com": "none",
        "bruno@contoso.com": "",
        "clara@contoso.com": "link",
        "dora@contoso.com": "",
    }


def test_r39_r43_bad_cells_are_reported_by_line_and_nothing_is_written(
    command: Command, anna: ConferencingUser, new_bridge: Bridge, tmp_path: Path
) -> None:
    set_bridge(new_bridge.tenant, new_bridge.name, ACTOR, conference_ids_from="service")
    path = tmp_path / "users.csv"
    path.write_text(
        "UserPrincipalName,MeetingService,Bridge,ConferenceId\n"
        "anna.rossi@contoso.com,teams,,\nbruno@contoso.com,zoom,,\n"
        "clara@contoso.com,,New bridge,7654321\ndora@contoso.com,link,New bridge,\n"
    )
    before, errors = everything_stored(), io.StringIO()
    with pytest.raises(CommandError, match="3 bad rows, so nothing was written"):
        command("import_users", str(path), errors=errors)

    assert everything_stored() == before
    assert errors.getvalue().splitlines() == [
        f"line 2: MeetingService: {NONE_YET}",
        "line 3: MeetingService: 'zoom' is not a meeting service: write link, teams, none or tenant.",
        "line 4: ConferenceId: The meeting service hands out the conference IDs of the bridge New bridge: "
        "give none here.",
    ]


def test_r43_a_file_of_users_on_such_a_bridge_goes_in_again_as_it_came_out(
    command: Command, anna: ConferencingUser, old_bridge: Bridge, tmp_path: Path
) -> None:
    set_bridge(old_bridge.tenant, old_bridge.name, ACTOR, conference_ids_from="service")
    path = tmp_path / "users.csv"
    path.write_text("".join(user_lines(old_bridge.tenant.users.all())), encoding="utf-8")

    assert "0 created, 0 changed, 1 unchanged" in command("import_users", str(path))


def test_r43_a_bridge_says_who_hands_out_its_ids_and_what_follows(
    command: Command, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    bridge = ("set_dial_in_conferencing_bridge", "Old bridge")
    told = command(*bridge, "--conference-ids-from", "service")
    (record,) = json.loads(command("get_dial_in_conferencing_bridge", "--format", "json"))
    unchanged = command(*bridge, "--conference-ids-from", "service")
    with pytest.raises(CommandError, match="'me' is not a source of conference IDs: use mms, service"):
        command(*bridge, "--conference-ids-from", "me")

    assert told == (
        "Old bridge: ConferenceIdsFrom mms → service\n"
        "Old bridge: No run, because invitations keep the IDs that they show. MMS gives 1 user of Old "
        "bridge none from now on, and new meetings have those of the meeting service. Nobody "
        "becomes out of date.\n"
    )
    assert record["ConferenceIdsFrom"] == "service"
    assert "No run" not in unchanged
    entry = AuditEntry.objects.latest("pk")
    assert (entry.before, entry.after) == ({"conference_ids_from": "mms"}, {"conference_ids_from": "service"})
    assert entry.consequence.startswith("No run, because invitations keep the IDs")


@pytest.mark.parametrize("option", [["--conference-id", "7654321"], ["--reset-conference-id"]])
def test_r43_an_id_by_command_is_refused_there(
    command: Command, anna: ConferencingUser, new_bridge: Bridge, option: list[str]
) -> None:
    set_bridge(new_bridge.tenant, new_bridge.name, ACTOR, conference_ids_from="service")
    change_user(anna, ACTOR, bridge=new_bridge)
    before = everything_stored()
    with pytest.raises(CommandError, match="conference ID: The meeting service hands out the conference IDs of the"):
        command("set_dial_in_conferencing_user", "--user", anna.upn, *option)

    assert everything_stored() == before
