"""import_users --from-graph against the stand-in: pages, licences, accounts, permission."""

from __future__ import annotations

import io

import pytest
from django.core.management.base import CommandError

from tenants_app.models import ConferencingUser, MailboxConnection
from tests.support.commands import Command
from tests.support.graph_stand_in import GraphStandIn
from tests.tenant_checks.conftest import ANNA, ATTENDEE

GROUP = "02bd9fd6-8f93-4758-87c3-1fb73740a315"


def test_a_directory_of_several_pages_is_brought_in_whole(
    command: Command, online: GraphStandIn, connection: MailboxConnection
) -> None:
    for number in range(1_200):
        online.add_mailbox(f"user{number:04}@contoso.com", language="de-DE", licensed=number % 2 == 0)
    online.add_mailbox("room@contoso.com", enabled=False)
    online.mailbox(ANNA).user.mail = "anna@contoso.com"
    errors = io.StringIO()
    told = command("import_users", "--from-graph", "Exchange Online", errors=errors)

    assert "1,203 created, 0 changed, 0 unchanged, 0 skipped; 0 runs started." in told
    assert "Left out of what the directory has: 1 whose sign-in is blocked." in errors.getvalue()
    assert ConferencingUser.objects.filter(audio_conferencing_license=True).count() == 603
    assert ConferencingUser.objects.filter(language="de-DE").count() == 1_200
    assert ConferencingUser.objects.get(upn=ANNA).sip_address == "anna@contoso.com"
    assert [request.path for request in online.requests] == ["/users", "/users"]
    assert "0 created, 0 changed, 1,203 unchanged" in command("import_users", "--from-graph", "Exchange Online")


def test_without_the_permission_the_sentence_says_which(
    command: Command, online: GraphStandIn, connection: MailboxConnection
) -> None:
    online.application.roles = ("Calendars.ReadWrite",)
    with pytest.raises(CommandError, match=r"give it the application permission User\.Read\.All, grant admin consent"):
        command("import_users", "--from-graph", "Exchange Online")

    assert ConferencingUser.objects.count() == 0


def test_a_group_is_asked_for_its_members(
    command: Command, online: GraphStandIn, connection: MailboxConnection
) -> None:
    arguments = ("import_users", "--from-graph", "Exchange Online", "--group", GROUP)
    with pytest.raises(CommandError, match=r"give it the application permission GroupMember\.Read\.All"):
        command(*arguments)
    online.application.roles = ("User.Read.All", "GroupMember.Read.All")
    with pytest.raises(CommandError, match=f"The group {GROUP} has no members, or is not there"):
        command(*arguments)
    online.world.groups[GROUP] = [online.mailbox(upn).user.id for upn in (ANNA, ATTENDEE)]

    assert "2 created" in command(*arguments)
    assert set(ConferencingUser.objects.values_list("upn", flat=True)) == {ANNA, ATTENDEE}
