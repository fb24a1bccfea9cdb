"""Passwords at rest: encrypted, bound to their row, never told, and opened by no other key."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from migrations_app.failures import Failure
from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.mailboxes.of_user import try_connection
from tenants_app.changes.mailboxes import change_connection, create_connection, set_credentials
from tenants_app.models import AuditEntry, ConferencingUser, MailboxConnection, MailboxCredential, Tenant
from tenants_app.records import connection_record
from tenants_app.sealing import NoSecretsKey, UnopenableSecret
from tests.support.actors import ACTOR
from tests.support.installation import new_installation
from tests.support.processes import Starts
from tests.support.two_tenants import everything_stored

PASSWORD = "Pässwörd with spaces, ünïcode\tand a tab"


def key() -> str:
    return Fernet.generate_key().decode("ascii")


@pytest.fixture
def connection(tenant: Tenant) -> MailboxConnection:
    address = "https://dav.contoso.com/"
    return create_connection(tenant, ACTOR, "Nextcloud", address=address, username="mms", password=PASSWORD)


def stored(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


def test_a_password_comes_back_as_it_was_and_stands_nowhere_in_the_database(connection: MailboxConnection) -> None:
    assert stored(connection).password == PASSWORD
    assert PASSWORD not in str(everything_stored())
    assert PASSWORD not in str(connection_record(stored(connection)))
    told = AuditEntry.objects.latest("pk")
    assert PASSWORD not in f"{told.before} {told.after}"


def test_the_audit_says_that_a_password_changed_and_not_to_what(connection: MailboxConnection) -> None:
    change_connection(connection, ACTOR, password="another")

    assert AuditEntry.objects.latest("pk").after == {"password": "changed"}
    assert stored(connection).password == "another"


def test_the_audit_says_that_certificates_changed_and_does_not_hold_them(connection: MailboxConnection) -> None:
    change_connection(connection, ACTOR, ca_certificates=trustme.CA().cert_pem.bytes().decode())

    told = AuditEntry.objects.latest("pk")
    assert (told.before, told.after) == ({"ca_certificates": ""}, {"ca_certificates": "changed"})


def test_a_password_that_is_copied_into_another_row_opens_nothing(connection: MailboxConnection) -> None:
    other = create_connection(connection.tenant, ACTOR, "Other", address="https://dav.contoso.com/")
    MailboxConnection.objects.filter(pk=other.pk).update(sealed_password=stored(connection).sealed_password)

    with pytest.raises(UnopenableSecret):
        stored(other).password  # noqa: B018 - reading it is what is refused


@pytest.mark.parametrize("damaged", ["v1:", "v1:gAAAAA", "plain text", "v2:x", "v1:ünïcode"])
def test_what_no_key_opens_is_an_error_and_no_password(connection: MailboxConnection, damaged: str) -> None:
    MailboxConnection.objects.filter(pk=connection.pk).update(sealed_password=damaged)

    with pytest.raises(UnopenableSecret, match="No key of MMS_SECRETS_KEY opens"):
        stored(connection).password  # noqa: B018 - reading it is what is refused


def test_an_older_key_opens_until_everything_is_closed_with_the_newest(
    connection: MailboxConnection, anna: ConferencingUser, settings: Any
) -> None:
    set_credentials(connection, [(anna.upn, "anna", "hers")], ACTOR)
    old, new = settings.MMS_SECRETS_KEYS, [key()]
    settings.MMS_SECRETS_KEYS = new + old
    assert stored(connection).password == PASSWORD
    for _ in range(2):  # it can be repeated
        output = io.StringIO()
        call_command("rotate_secrets", stdout=output)
        assert output.getvalue() == "2 passwords encrypted with the newest key.\n"
    settings.MMS_SECRETS_KEYS = new

    assert stored(connection).password == PASSWORD
    assert MailboxCredential.objects.get().password == "hers"


def test_a_password_that_no_key_opens_keeps_no_other_from_being_rotated(
    connection: MailboxConnection, anna: ConferencingUser, settings: Any
) -> None:
    lost, kept = settings.MMS_SECRETS_KEYS, [key()]
    settings.MMS_SECRETS_KEYS = kept
    set_credentials(connection, [(anna.upn, "anna", "hers")], ACTOR)
    before = stored(connection).sealed_password
    settings.MMS_SECRETS_KEYS = [key(), *kept]
    output = io.StringIO()
    with pytest.raises(CommandError, match=r"No key opens 1 password \(mailbox connection Nextcloud\)"):
        call_command("rotate_secrets", stdout=output)

    assert output.getvalue().startswith("1 password encrypted")
    assert stored(connection).sealed_password == before
    settings.MMS_SECRETS_KEYS = lost
    assert stored(connection).password == PASSWORD


def test_without_a_key_no_password_is_kept_and_the_reason_is_told(tenant: Tenant, settings: Any) -> None:
    settings.MMS_SECRETS_KEYS = []
    with pytest.raises(ValidationError, match="MMS_SECRETS_KEY is not set"):
        create_connection(tenant, ACTOR, "X", address="https://dav.contoso.com/", username="mms", password="secret")
    assert not MailboxConnection.objects.filter(name="X").exists()
    with pytest.raises(CommandError, match="MMS_SECRETS_KEY is not set"):
        call_command("rotate_secrets")
    with pytest.raises(NoSecretsKey):
        MailboxConnection(pk=1, sealed_password="v1:x").password  # noqa: B018 - reading it is what is refused


def test_another_server_is_not_sent_the_password_of_the_old_one(connection: MailboxConnection) -> None:
    with pytest.raises(ValidationError, match="Enter the password too"):
        change_connection(connection, ACTOR, address="https://dav.fabrikam.com/")
    assert stored(connection).address == "https://dav.contoso.com/"
    change_connection(connection, ACTOR, address="https://dav.contoso.com/other/")
    change_connection(stored(connection), ACTOR, address="https://dav.fabrikam.com/", password="new")

    assert stored(connection).password == "new"


def test_a_users_own_password_is_sent_to_no_other_server_than_it_was_given_for(
    connection: MailboxConnection, anna: ConferencingUser
) -> None:
    change_connection(connection, ACTOR, username="", password="", make_default=True)
    set_credentials(stored(connection), [(anna.upn, "", "hers")], ACTOR)

    def sign_in() -> tuple[str, str]:
        return CalDavMailbox(ConferencingUser.objects.select_related("tenant__mailbox").get(pk=anna.pk)).sign_in()

    assert sign_in() == (anna.upn, "hers")
    change_connection(stored(connection), ACTOR, address="https://DAV.contoso.com/other/")
    assert sign_in() == (anna.upn, "hers")
    for address in ("https://dav.fabrikam.com/", "http://dav.contoso.com/", "https://dav.contoso.com:8443/"):
        change_connection(stored(connection), ACTOR, address=address)
        with pytest.raises(Failure, match="mailbox-without-sign-in") as failure:
            sign_in()
        assert "was given for https://dav.contoso.com and is sent to no other server" in failure.value.detail
    other = create_connection(anna.tenant, ACTOR, "Other", address="https://dav.fabrikam.com/")
    findings = list(try_connection(other, ConferencingUser.objects.get(pk=anna.pk)))
    assert [finding.code for finding in findings] == ["mailbox-without-sign-in"]


Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def production(tmp_path: Path, migrated: Path) -> Iterator[Start]:
    """Runs a program where MMS is in production, with these variables besides."""
    with new_installation(tmp_path) as made, Starts() as starts:
        made.migrate(migrated)
        (made.data_dir / "static").mkdir(exist_ok=True)
        told = {"ALLOWED_HOSTS": "mms.example.org", "SECRET_KEY": "x" * 50}
        told["DJANGO_SETTINGS_MODULE"] = "mms_site.settings"
        yield lambda program, **more: starts.run(made.environment | told | more, program)


IMPORT = "import mms_site.wsgi"
STORE = """
import django; django.setup()
from tenants_app.audit import Actor, Channel
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import create_tenant
actor = Actor("x", Channel.COMMAND)
tenant = create_tenant(actor, slug="contoso", name="Contoso", domain="contoso.com", meeting_service="none")
create_connection(tenant, actor, "DAV", address="https://dav.contoso.com/", username="mms", password="secret")
"""


def test_production_does_not_start_without_the_key_of_what_is_stored(production: Start) -> None:
    assert production(IMPORT).returncode == 0  # nothing is stored yet
    with_key = {"MMS_SECRETS_KEY": key()}
    made = production(STORE, **with_key)
    assert made.returncode == 0, made.stderr

    assert production(IMPORT, **with_key).returncode == 0
    refused = production(IMPORT)
    assert refused.returncode == 1
    assert refused.stderr.startswith("MMS cannot start: MMS_SECRETS_KEY is not set, but passwords are stored")
    assert refused.stderr.count("\n") == 1
