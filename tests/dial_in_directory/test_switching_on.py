"""R46: an admin switches the directory on, sees its key once, and renews it; on a screen and by command."""

from __future__ import annotations

import html
import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.directory import MAPPER, NUMBERS
from tests.support.jitsi_client import TelephoneBridge
from tests.support.pages import words

KEY = re.compile(r"<code class='secret'>([\w-]{43})</code>")


def switch(client: Client, on: str) -> str:
    return client.post("/contoso/settings/DialInDirectory/", {"on": on}, follow=True).content.decode()


def opens(key: str) -> bool:
    answer = Client().get(f"{MAPPER}?id=1234567", headers={"Authorization": f"Bearer {key}"})
    return answer.status_code == 200


def told(*arguments: str) -> str:
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


def test_switched_on_it_shows_its_key_once_and_keeps_a_hash_only(alice: Client, tenant: Tenant) -> None:
    page = switch(alice, "true")
    (key,) = KEY.findall(page)
    again = alice.get("/contoso/settings/").content.decode()

    assert "DialInDirectory is on." in words(page.encode())
    assert opens(key)
    assert key not in again
    assert "There is a key. It cannot be shown again" in words(again.encode())
    assert key not in repr(Tenant.objects.values()) + repr(AuditEntry.objects.values())
    assert not opens(Tenant.objects.values_list("directory_key_hash", flat=True).get(slug="contoso"))


def test_a_new_key_ends_the_old_one_and_the_audit_says_who_made_it(alice: Client) -> None:
    (old,) = KEY.findall(switch(alice, "true"))
    (new,) = KEY.findall(alice.post("/contoso/settings/directory-key/", follow=True).content.decode())

    assert (opens(old), opens(new)) == (False, True)
    entries = AuditEntry.objects.filter(action="renew directory key")
    assert [(row.actor, row.target, row.before, row.after) for row in entries] == [("alice", "contoso", {}, {})] * 2
    found = words(alice.get("/contoso/audit/?action=renew+directory+key").content)
    assert "Renew directory key" in found
    assert new not in found


def test_switched_off_it_is_gone_and_switched_on_again_it_has_another_key(alice: Client) -> None:
    (old,) = KEY.findall(switch(alice, "true"))
    page = switch(alice, "false")
    assert Client().get(NUMBERS).status_code == 404
    assert not KEY.findall(page)
    assert NUMBERS not in page
    (new,) = KEY.findall(switch(alice, "true"))

    assert (opens(old), opens(new)) == (False, True)


@pytest.mark.parametrize("name", ["vera", "bob"])
def test_whoever_is_no_admin_reads_the_addresses_and_changes_nothing(
    request: pytest.FixtureRequest, tenant: Tenant, name: str
) -> None:
    client: Client = request.getfixturevalue(name)
    change_tenant(tenant, ACTOR, dial_in_directory=True)
    page = client.get("/contoso/settings/").content.decode()

    assert f"config.dialInConfCodeUrl = 'http://testserver{MAPPER}';" in html.unescape(page)
    assert "directory-key" not in page
    assert "There is no key yet" in words(page.encode())
    assert client.post("/contoso/settings/directory-key/").status_code == 403


def test_the_page_has_the_lines_of_jitsis_configuration(alice: Client, settings: Any) -> None:
    settings.MMS_BASE_URL = "https://mms.example.org"
    page = html.unescape(switch(alice, "true"))

    for line in (
        f"config.dialInNumbersUrl = 'https://mms.example.org{NUMBERS}';",
        f"config.dialInConfCodeUrl = 'https://mms.example.org{MAPPER}';",
        "config.hosts.domain = 'meet.contoso.com';",
        "config.hosts.muc = 'conference.' + subdomain + 'meet.contoso.com';",
    ):
        assert line in page


def test_by_command_it_prints_a_key_once(tenant: Tenant) -> None:
    printed = told("set_tenant", "--dial-in-directory", "true")
    key = printed.splitlines()[-1]

    assert "Contoso: DialInDirectory false → true" in printed
    assert opens(key)
    assert json.loads(told("get_tenant", "--tenant", "contoso", "--format", "json"))[0]["DialInDirectory"] is True
    assert key not in told("get_tenant") + repr(AuditEntry.objects.values())
    assert AuditEntry.objects.filter(action="renew directory key").count() == 1


def test_by_command_once_more_it_renews_the_key(tenant: Tenant) -> None:
    old = told("set_tenant", "--dial-in-directory", "true").splitlines()[-1]
    new = told("set_tenant", "--dial-in-directory", "true").splitlines()[-1]

    assert (opens(old), opens(new)) == (False, True)


def test_by_command_it_goes_off_without_another_word(tenant: Tenant) -> None:
    told("set_tenant", "--dial-in-directory", "true")

    assert told("set_tenant", "--dial-in-directory", "false") == "Contoso: DialInDirectory true → false\n"
    assert Client().get(NUMBERS).status_code == 404


def test_another_tenants_directory_stays_as_it_is(tenant: Tenant) -> None:
    other = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    key = told("set_tenant", "--tenant", "contoso", "--dial-in-directory", "true").splitlines()[-1]

    other.refresh_from_db()
    assert (other.dial_in_directory, other.directory_key_hash) == (False, "")
    assert TelephoneBridge(MAPPER, key).room("1234567") is None
    assert Client().get(MAPPER.replace("contoso", "fabrikam")).status_code == 404
