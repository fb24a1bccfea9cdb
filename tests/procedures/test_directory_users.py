"""Users from Microsoft Entra: what becomes a row, what is left out, who is named; by command and on the page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.test import Client
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.microsoft.client import JSON
from migrations_app.models import Run, UserImport
from migrations_app.procedures import directory_users, user_import
from migrations_app.tasks import TIME_BUDGET
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, MailboxConnection, Tenant
from tests.support.commands import Command
from tests.support.pages import words

PLACE = "/contoso/users/import/"
LICENSED = [{"servicePlanId": "3e26ee1f-8a5f-4d52-aee2-b81ce45c8f40", "capabilityStatus": "Enabled"}]
GROUP = "02bd9fd6-8f93-4758-87c3-1fb73740a315"


def person(name: str, **differing: Any) -> dict[str, Any]:
    upn = f"{name}@contoso.com"
    said = {"id": f"id-of-{name}", "userPrincipalName": upn, "mail": upn, "displayName": name.replace(".", " ").title()}
    return said | {"preferredLanguage": None, "accountEnabled": True, "assignedPlans": LICENSED} | differing


class Organization:
    """Graph as far as users are concerned, a page at a time."""

    def __init__(self) -> None:
        self.people: list[dict[str, Any]] = []
        self.group: list[dict[str, Any]] = []
        self.asked: list[tuple[str, Mapping[str, str]]] = []
        self.failures: dict[str, Failure] = {}

    def __enter__(self) -> Organization:
        return self

    def __exit__(self, *_: object) -> None: ...

    def pages(
        self, path: str, params: Mapping[str, str] | None = None, prefer: Sequence[str] = ()
    ) -> Iterator[Sequence[JSON]]:
        self.asked.append((path, params or {}))
        for prefix, failure in self.failures.items():
            if path.startswith(prefix):
                raise failure
        found = self.group if path.startswith("/groups/") else self.people
        for start in range(0, len(found), 2):
            yield found[start : start + 2]


@pytest.fixture
def organization(monkeypatch: pytest.MonkeyPatch) -> Organization:
    there = Organization()
    monkeypatch.setattr(directory_users, "open_graph", lambda connection: there)
    return there


@pytest.fixture
def graph(tenant: Tenant) -> MailboxConnection:
    return MailboxConnection.objects.create(tenant=tenant, name="Exchange Online", kind="graph")


def read(tenant: Tenant, organization: Any, **source: str) -> directory_users.Directory:
    return directory_users.read_directory(organization, tenant, directory_users.Source(**source))


# --- what the directory says --------------------------------------------------------------------------


def test_what_the_directory_knows_becomes_a_row_and_nothing_else_does(
    tenant: Tenant, organization: Organization
) -> None:
    organization.people = [
        person("zoe", preferredLanguage="de-DE", mail="zoe.lang@contoso.com"),
        person("anna.rossi"),
        person("bruno", assignedPlans=[{**LICENSED[0], "capabilityStatus": "Suspended"}]),
        person("carla", assignedPlans=[{"servicePlanId": "57ff2da0-773e-42df-b2af-ffb7a2317929"}]),
        person("dario", assignedPlans=None),
    ]

    assert read(tenant, organization).text.splitlines() == [
        "UserPrincipalName,SipAddress,DisplayName,Language,AudioConferencingLicense",
        "anna.rossi@contoso.com,anna.rossi@contoso.com,Anna Rossi,,true",
        "bruno@contoso.com,bruno@contoso.com,Bruno,,false",
        "carla@contoso.com,carla@contoso.com,Carla,,false",
        "dario@contoso.com,dario@contoso.com,Dario,,",
        "zoe@contoso.com,zoe.lang@contoso.com,Zoe,de-DE,true",
    ]
    path, params = organization.asked[0]
    assert (path, params["$filter"]) == ("/users", "userType eq 'Member'")
    assert "assignedPlans" in params["$select"]


@pytest.mark.parametrize("plan", ["9974d6cf-cd24-4ba2-921c-e2aa687da846", "BB038288-76AB-49D6-AFC1-EAA6C222C65A"])
def test_every_plan_with_dial_in_numbers_is_a_licence(tenant: Tenant, organization: Organization, plan: str) -> None:
    """One that is not known would take the licence away, and with it the numbers from all invitations."""
    organization.people = [person("anna.rossi", assignedPlans=[{**LICENSED[0], "servicePlanId": plan}])]
    assert read(tenant, organization).text.splitlines()[1].endswith(",true")


def test_names_are_kept_in_one_line_and_without_what_no_database_keeps(
    tenant: Tenant, organization: Organization
) -> None:
    organization.people = [
        person("anna", displayName=" Anna\r\n\tRossi "),
        person("bruno", displayName="Bru\0no\ud800"),
        person("carla", displayName='=HYPERLINK("https://evil.example.org")'),
    ]
    text = read(tenant, organization).text
    assert [row.partition(".com,")[2].partition(".com,")[2] for row in text.splitlines()[1:]] == [
        "Anna Rossi,,true",
        "Bru\ufffdno?,,true",
        '"\'=HYPERLINK(""https://evil.example.org"")",,true',
    ]


@pytest.mark.parametrize(
    "said",
    [{"userPrincipalName": 7}, {"mail": ["x"]}, {"displayName": {}}, {"assignedPlans": 7}, {"assignedPlans": ["x"]}],
    ids=repr,
)
def test_a_user_of_another_shape_is_not_guessed_at(
    tenant: Tenant, organization: Organization, said: Mapping[str, Any]
) -> None:
    organization.people = [person("anna", **said)]
    with pytest.raises(ValidationError, match=f"{next(iter(said))} cannot be read"):
        read(tenant, organization)


def test_who_can_have_no_meetings_is_left_out_and_counted(tenant: Tenant, organization: Organization) -> None:
    organization.people = [
        person("anna.rossi"),
        person("room", accountEnabled=False),
        person("service", mail=None),
        person("printer", mail=""),
    ]
    found = read(tenant, organization)

    assert found.rows == 1
    assert found.left_out_in_words == (
        "Left out of what the directory has: 1 whose sign-in is blocked, 2 without a mail address."
    )


def test_group_and_domain_choose_together(tenant: Tenant, organization: Organization) -> None:
    organization.people = [person("anna.rossi"), person("bruno"), person("c", userPrincipalName="c@fabrikam.com")]
    organization.group = [{"id": "id-of-anna.rossi"}, {"id": "id-of-c"}, {"id": "a group inside"}]

    assert read(tenant, organization, group=GROUP, domain="Contoso.com").text.count("\n") == 2
    assert read(tenant, organization, group=GROUP).text.count("\n") == 3
    assert read(tenant, organization, domain="contoso.com").text.count("\n") == 3
    assert organization.asked[0][0] == f"/groups/{GROUP}/transitiveMembers"


def test_users_whom_the_directory_does_not_have_are_named_however_few_were_asked_for(
    tenant: Tenant, organization: Organization, make_user: Callable[..., ConferencingUser]
) -> None:
    for name in ("anna.rossi", "bruno", "carla", "dario"):
        make_user(name)
    organization.people = [person("Anna.Rossi"), person("bruno", accountEnabled=False)]
    organization.group = [{"id": "id-of-Anna.Rossi"}]
    found = read(tenant, organization, group=GROUP)

    assert (found.gone, found.gone_count) == (["carla@contoso.com", "dario@contoso.com"], 2)
    assert found.gone_in_words == (
        "2 users of MMS not among the directory's members, and left as they are: carla@contoso.com, dario@contoso.com."
    )


@pytest.mark.parametrize(
    ("path", "source", "words_of"),
    [
        ("/users", {}, "does not let the application read users: give it the application permission User.Read.All"),
        ("/groups", {"group": GROUP}, "members of groups: give it the application permission GroupMember.Read.All"),
    ],
)
def test_a_missing_permission_is_named(
    tenant: Tenant, organization: Organization, path: str, source: dict[str, str], words_of: str
) -> None:
    organization.failures[path] = Failure("mailbox-forbidden", "Authorization_RequestDenied")
    with pytest.raises(ValidationError) as refused:
        read(tenant, organization, **source)

    assert words_of in refused.value.messages[0]


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"group": "Sales"}, "'Sales' is not the ID of a group"),
        ({"domain": "@contoso.com"}, "Give a domain such as contoso.com, without an @."),
        ({"group": GROUP}, f"The group {GROUP} has no members, or is not there"),
        (
            {"domain": "example.org"},
            "No user of the directory can be brought in. Left out of what the directory has: 1",
        ),
    ],
)
def test_what_leads_to_nobody_is_refused(
    tenant: Tenant, organization: Organization, source: dict[str, str], sentence: str
) -> None:
    organization.people = [person("anna.rossi")]
    with pytest.raises(ValidationError) as refused:
        read(tenant, organization, **source)

    assert sentence in refused.value.messages[0]


def test_an_empty_directory_makes_nobody_gone(tenant: Tenant, organization: Organization, anna: Any) -> None:
    with pytest.raises(ValidationError, match="named no members"):
        read(tenant, organization)


# --- by command ---------------------------------------------------------------------------------------


def test_the_command_imports_what_the_directory_says_and_a_second_time_nothing(
    command: Command, organization: Organization, graph: MailboxConnection, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    organization.people = [
        person("anna.rossi", assignedPlans=[]),
        person("clara", preferredLanguage="it-IT"),
        person("room", accountEnabled=False),
    ]
    arguments = ("import_users", "--from-graph", "exchange online")
    errors = io.StringIO()
    listed = json.loads(command(*arguments, "--dry-run", "--format", "json", errors=errors))

    assert [(row["UserPrincipalName"], row["Change"], row["StartsRun"]) for row in listed] == [
        ("anna.rossi@contoso.com", "AudioConferencingLicense true → false", True),
        ("clara@contoso.com", "create", False),
    ]
    assert "1 whose sign-in is blocked" in errors.getvalue()
    assert not ConferencingUser.objects.filter(upn="clara@contoso.com").exists()
    assert "1 created, 1 changed, 0 unchanged, 0 skipped; 1 run started." in command(*arguments)
    clara = ConferencingUser.objects.get(upn="clara@contoso.com")
    assert (clara.language, clara.audio_conferencing_license, clara.bridge) == ("it-IT", True, old_bridge)
    assert AuditEntry.objects.get(action="import users").target == "Microsoft 365, by exchange online"
    assert "0 created, 0 changed, 2 unchanged, 0 skipped; 0 runs started." in command(*arguments)


def test_a_bad_row_names_its_user(command: Command, organization: Organization, graph: MailboxConnection) -> None:
    organization.people = [person("anna.rossi"), person("bruno", preferredLanguage="not a language")]
    errors = io.StringIO()
    with pytest.raises(CommandError, match="1 bad row, so nothing was written"):
        command("import_users", "--from-graph", "Exchange Online", errors=errors)

    assert "line 3: bruno@contoso.com: Language: Give a language tag such as en-US." in errors.getvalue()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "Name a file, or a connection with --from-graph."),
        (("users.csv", "--from-graph", "Exchange Online"), "Name a file, or a connection with --from-graph."),
        (("users.csv", "--domain", "contoso.com"), "add --from-graph"),
        (("--from-graph", "embedded"), "embedded leads to no directory: name a connection of kind graph."),
        (("--from-graph", "Nowhere"), "has no mailbox connection Nowhere"),
    ],
)
def test_wrong_usage(
    command: Command, graph: MailboxConnection, organization: Organization, arguments: Sequence[str], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        command("import_users", *arguments)


def test_a_failure_of_the_connection_is_told(
    command: Command, organization: Organization, graph: MailboxConnection
) -> None:
    organization.failures["/users"] = Failure("mailbox-unavailable", "it does not answer")
    with pytest.raises(CommandError, match="could not be reached: it does not answer"):
        command("import_users", "--from-graph", "Exchange Online")


# --- on the page --------------------------------------------------------------------------------------


def work() -> None:
    user_import.advance(timezone.now() + TIME_BUDGET)


def page(client: Client, address: str) -> str:
    return words(client.get(address).content)


def test_the_page_reads_the_directory_in_the_background_and_shows_the_same_differences(
    alice: Client, organization: Organization, graph: MailboxConnection, anna: ConferencingUser
) -> None:
    organization.people = [person("anna.rossi", displayName="Anna Bianchi"), person("clara")]
    organization.people += [person("service", mail=None)]
    ConferencingUser.objects.create(tenant=anna.tenant, upn="gone@contoso.com", sip_address="gone@contoso.com")
    answer: Any = alice.post(PLACE, {"connection": graph.pk, "group": "", "domain": " contoso.com "})
    assert "The directory waits to be checked. Nothing is changed." in page(alice, answer.url)
    assert organization.asked == []
    work()

    shown = page(alice, answer.url)
    assert "This is what the directory would change" in shown
    assert "DisplayName Anna Rossi → Anna Bianchi" in shown
    assert "Left out of what the directory has: 1 without a mail address." in shown
    assert "In MMS, but not in the directory 1" in shown
    assert "gone@contoso.com" in shown
    alice.post(f"{answer.url}apply/")
    work()
    assert UserImport.objects.get().state == "Applied"
    assert set(ConferencingUser.objects.values_list("display_name", flat=True)) == {"Anna Bianchi", "Clara", ""}
    assert Run.objects.count() == 0
    assert AuditEntry.objects.get(action="import users").target == "Microsoft 365, by Exchange Online"


def test_the_page_says_what_is_missing(alice: Client, organization: Organization, graph: MailboxConnection) -> None:
    refused: Any = alice.post(PLACE, {"connection": graph.pk, "group": "Sales"})
    assert "is not the ID of a group" in refused.context["directory"].errors["group"][0]
    assert UserImport.objects.count() == 0
    organization.failures["/users"] = Failure("mailbox-forbidden")
    answer: Any = alice.post(PLACE, {"connection": graph.pk})
    work()

    assert "The directory cannot be used, and nothing was written." in page(alice, answer.url)
    assert "give it the application permission User.Read.All" in page(alice, answer.url)


def test_without_a_connection_the_page_says_where_to_make_one(alice: Client, tenant: Tenant) -> None:
    assert "For this MMS needs a connection of Exchange Online: add one under Mailboxes" in page(alice, PLACE)


def test_what_waiting_may_cure_is_tried_again_and_given_up_in_the_end(
    alice: Client, organization: Organization, graph: MailboxConnection
) -> None:
    organization.failures["/users"] = Failure("mailbox-unavailable", "it does not answer")
    alice.post(PLACE, {"connection": graph.pk})
    for _ in range(user_import.ATTEMPTS - 1):
        work()
        assert UserImport.objects.get().state == "Checking"
    work()
    assert (UserImport.objects.get().state, "it does not answer" in UserImport.objects.get().problem) == (
        "Refused",
        True,
    )


def test_a_directory_that_was_read_is_not_read_again(
    alice: Client, organization: Organization, graph: MailboxConnection
) -> None:
    organization.people = [person("anna.rossi")]
    answer: Any = alice.post(PLACE, {"connection": graph.pk})
    work()
    graph.delete()
    alice.post(f"{answer.url}check/")
    work()

    assert UserImport.objects.get().state == "Checked"
    assert len(organization.asked) == 1
    assert "to have the directory read anew, begin another import" in page(alice, answer.url)


def test_a_connection_that_was_removed_meanwhile_is_told(
    alice: Client, organization: Organization, graph: MailboxConnection
) -> None:
    answer: Any = alice.post(PLACE, {"connection": graph.pk})
    graph.delete()
    work()

    assert "The mailbox connection was removed: choose another, and begin anew." in page(alice, answer.url)


def test_the_connection_of_another_tenant_cannot_be_chosen(
    alice: Client, organization: Organization, graph: MailboxConnection
) -> None:
    other = Tenant.objects.create(slug="other", name="Other", domain="other.example.org")
    theirs = MailboxConnection.objects.create(tenant=other, name="Theirs", kind="graph")
    answer: Any = alice.post(PLACE, {"connection": theirs.pk})

    assert list(answer.context["directory"].errors) == ["connection"]
    assert UserImport.objects.count() == 0
