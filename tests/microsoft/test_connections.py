"""Connections to Exchange Online and on-premises: what belongs to them, their certificates, and trying one."""

from __future__ import annotations

import base64
import io
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from migrations_app.failures import FAILED, Failure
from migrations_app.graph_access import application_of, graph_for
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.of_user import try_connection
from migrations_app.microsoft.clouds import CLOUDS
from tenants_app.changes.mailboxes import change_connection, create_connection, set_credentials
from tenants_app.models import AuditEntry, ConferencingUser, MailboxConnection, Tenant
from tests.microsoft.conftest import CLIENT, DIRECTORY, HOSTS, SECRET, Microsoft, told
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.pages import words
from tests.support.signing import certificate, ec_key, pair, private, rsa_key

pytestmark = pytest.mark.django_db

GRAPH = {"kind": "graph", "directory_id": DIRECTORY, "username": CLIENT}
EXCHANGE = {"kind": "exchange", "address": "https://mail.contoso.com/EWS/Exchange.asmx", "username": "CONTOSO\\mms"}
PAGE = "/contoso/settings/mailboxes/"


def graph(tenant: Tenant, secret: str = SECRET, **more: Any) -> MailboxConnection:
    return create_connection(tenant, ACTOR, "M365", password=secret, **{**GRAPH, **more})


# --- what belongs to which kind -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "secret", "field", "sentence"),
    [
        (GRAPH | {"directory_id": ""}, SECRET, "directory_id", "Give the directory (tenant) ID"),
        (GRAPH | {"directory_id": "common"}, SECRET, "directory_id", "Give the directory (tenant) ID"),
        (GRAPH | {"directory_id": "../contoso"}, SECRET, "directory_id", "Give the directory (tenant) ID"),
        (GRAPH | {"username": "mms@contoso.com"}, SECRET, "username", "application (client) ID"),
        (GRAPH, "", "password", "Give a certificate with its private key, or a client secret"),
        (GRAPH, DIRECTORY, "password", "That is the ID of a client secret"),
        (GRAPH | {"address": "https://dav.contoso.com/"}, SECRET, "address", "has no address: leave that out"),
        (GRAPH | {"path_template": "/{upn}/"}, SECRET, "path_template", "has no path template"),
        (GRAPH | {"who_tells": "mms"}, SECRET, "who_tells", "because the server does"),
        (GRAPH | {"autodiscover": True}, SECRET, "autodiscover", "has no autodiscovery"),
        (EXCHANGE | {"cloud": "china"}, SECRET, "cloud", "A connection to Exchange on-premises has no cloud"),
        (EXCHANGE | {"directory_id": DIRECTORY}, SECRET, "directory_id", "has no directory"),
        (EXCHANGE | {"address": ""}, SECRET, "address", "Give the address of its EWS"),
        (EXCHANGE | {"autodiscover": True}, SECRET, "address", "Leave the address empty"),
        (EXCHANGE, "", "password", "a service account that may impersonate the organizers"),
        (EXCHANGE, "-----BEGIN CERTIFICATE-----", "password", "certificates sign in to Exchange Online only"),
        ({"kind": "caldav", "address": "https://dav.contoso.com/", "cloud": "us-gov"}, "", "cloud", "has no cloud"),
    ],
)
def test_what_is_missing_or_belongs_to_another_kind_is_said_in_a_sentence(
    tenant: Tenant, values: dict[str, Any], secret: str, field: str, sentence: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        create_connection(tenant, ACTOR, "M365", password=secret, **values)
    assert sentence in refused.value.message_dict[field][0]
    assert not MailboxConnection.objects.filter(name="M365").exists()


# --- certificates -------------------------------------------------------------------------------------


def test_a_certificate_is_known_by_its_fingerprint_and_its_end(tenant: Tenant) -> None:
    pem = pair(timedelta(days=100))
    connection = graph(tenant, pem)
    read = x509.load_pem_x509_certificate(pem[pem.index("-----BEGIN CERTIFICATE") :].encode())

    assert connection.certificate_fingerprint == read.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name
    assert connection.secret_expires_at == read.not_valid_after_utc
    assert connection.password == pem
    with pytest.raises(ValidationError, match="MMS reads from a certificate when it ends"):
        change_connection(connection, ACTOR, secret_expires_at=timezone.now() + timedelta(days=999))

    ends_at = timezone.now() + timedelta(days=90)
    changed = change_connection(connection, ACTOR, password=SECRET, secret_expires_at=ends_at)
    assert (changed.certificate_fingerprint, changed.secret_expires_at) == ("", ends_at)
    assert change_connection(changed, ACTOR, password="another~secret").secret_expires_at is None
    told_of = str(list(AuditEntry.objects.values_list("before", "after")))
    assert SECRET not in told_of
    assert "BEGIN" not in told_of


def _of_version(number: int) -> str:
    """A certificate of a version that there is not."""
    read = x509.load_pem_x509_certificate(certificate(rsa_key()).encode())
    octets = read.public_bytes(Encoding.DER).replace(b"\xa0\x03\x02\x01\x02", bytes([0xA0, 3, 2, 1, number]), 1)
    return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(octets).decode()}-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("pem", "sentence"),
    [
        (lambda: private(rsa_key()), "holds no certificate"),
        (lambda: certificate(rsa_key()), "holds no private key"),
        (lambda: private(rsa_key()) + private(rsa_key(1)) + certificate(rsa_key()), "more than one private key"),
        (lambda: private(rsa_key(1)) + certificate(rsa_key()), "do not belong together"),
        (lambda: private(rsa_key()) + certificate(rsa_key(), timedelta(days=-1)), "The certificate ended on"),
        (lambda: private(rsa_key()) + certificate(rsa_key(), begins=5), "not valid before"),
        (lambda: private(rsa_key(), "passphrase") + certificate(rsa_key()), "take its passphrase off"),
        (lambda: private(ec_key()) + certificate(ec_key()), "Microsoft takes RSA keys only"),
        (lambda: private(rsa_key(0, 1024)) + certificate(rsa_key(0, 1024)), "has 1024 bits"),
        (lambda: pair().replace("MII", "AAA"), "cannot be read"),
        (lambda: "-----BEGIN NOTHING-----", "holds no private key"),
        (lambda: pair() + certificate(ec_key()) * 400, "too large"),
        (lambda: private(rsa_key()) + _of_version(9), "certificate cannot be read"),
    ],
)
def test_a_certificate_by_which_nobody_could_sign_in_is_not_taken(tenant: Tenant, pem: Any, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        graph(tenant, pem())
    assert sentence in refused.value.message_dict["password"][0]
    assert "BEGIN" not in str(refused.value)


def test_mms_signs_in_by_its_certificate(microsoft: Microsoft) -> None:
    microsoft.credential = "\n".join(["Bag Attributes", certificate(rsa_key()), private(rsa_key()), ""])
    with microsoft.client() as client:
        client.get("/users")
    (form,) = microsoft.signed_in
    claims = jwt.decode(
        form["client_assertion"], rsa_key().public_key(), algorithms=["PS256"], options={"verify_aud": False}
    )
    assert (claims["iss"], claims["sub"]) == (CLIENT, CLIENT)
    assert "client_secret" not in form


# --- where Graph is -----------------------------------------------------------------------------------


def test_only_the_operator_can_lead_the_sign_in_elsewhere(tenant: Tenant, settings: Any) -> None:
    connection = graph(tenant, cloud="us-dod")
    assert application_of(connection).cloud == CLOUDS["us-dod"]
    settings.MMS_MICROSOFT_ENDPOINTS = ["https://login.example.org", "https://graph.example.org"]
    cloud = application_of(connection).cloud
    assert (cloud.authority, cloud.graph) == ("https://login.example.org", "https://graph.example.org")
    assert cloud.scope == "https://dod-graph.microsoft.us/.default"


def test_a_secret_is_entered_anew_for_another_directory(tenant: Tenant) -> None:
    connection = graph(tenant)
    for change in ({"directory_id": "fabrikam.com"}, {"cloud": "china"}):
        with pytest.raises(ValidationError, match="Enter the certificate or client secret too"):
            change_connection(connection, ACTOR, **change)
    assert (
        change_connection(connection, ACTOR, directory_id="fabrikam.com", password="s").directory_id == "fabrikam.com"
    )
    with pytest.raises(ValidationError, match="no sign-ins of their own"):
        set_credentials(connection, [("anna.rossi@contoso.com", "anna", "secret")], ACTOR)


# --- trying one ---------------------------------------------------------------------------------------


@pytest.fixture
def reached(tenant: Tenant, microsoft: Microsoft, settings: Any) -> MailboxConnection:
    origin = microsoft.server.address.rstrip("/")
    settings.MMS_ALLOWED_MAIL_HOSTS, settings.MMS_MICROSOFT_ENDPOINTS = HOSTS, [origin, origin]
    return graph(tenant, pair(timedelta(days=10)))


def test_trying_a_connection_begins_with_the_sign_in_and_the_end_of_its_certificate(
    reached: MailboxConnection, microsoft: Microsoft, anna: ConferencingUser
) -> None:
    with graph_for(reached) as client:
        client.get("/users")
    steps = list(islice(try_connection(reached, anna), 3))

    assert [(step.step, step.ok) for step in steps] == [("address", True), ("sign-in", True), ("secret", True)]
    assert (steps[2].code, "9 days" in steps[2].sentence) == ("certificate-refused", True)
    assert len(microsoft.signed_in) == 2  # anew, whatever is known


def test_a_refused_sign_in_ends_the_test_and_says_what_to_do(
    reached: MailboxConnection, microsoft: Microsoft, anna: ConferencingUser
) -> None:
    microsoft.token = lambda _: told({"error": "invalid_client", "error_codes": [700027]}, 401)
    output = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("test_mailbox_connection", "M365", "--user", anna.upn, stdout=output)
    (line,) = output.getvalue().splitlines()
    assert line.startswith("FAILED  sign-in: ")
    assert FAILED["certificate-refused"].do in line


def test_one_mailbox_that_is_throttled_leaves_the_connection_alone(tenant: Tenant) -> None:
    connection = graph(tenant)
    throttled = Failure("mailbox-throttled", "", timedelta(minutes=5))
    throttled.is_of_one_mailbox = True
    assert throttling.note_failure(connection, throttled) is None
    assert throttling.unavailable_connections() == []
    assert throttling.note_failure(connection, Failure("mailbox-unavailable", "", timedelta(minutes=5)))
    assert throttling.unavailable_connections() == [connection.pk]
    throttling.note_failure(connection, Failure("secret-expired"))
    connection.refresh_from_db()
    assert connection.problem_code == "secret-expired"


# --- commands -----------------------------------------------------------------------------------------


def test_commands_make_change_and_list_connections_of_both_kinds(
    tenant: Tenant, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "mms.pem").write_text(pair())
    (tmp_path / "secret.txt").write_text(f"{SECRET}\n")
    secret = ("--secret-file", str(tmp_path / "secret.txt"))
    command(
        *("new_mailbox_connection", "M365", "--kind", "graph", "--directory", "contoso.com", "--username", CLIENT),
        *("--secret-file", str(tmp_path / "mms.pem"), "--cloud", "us-gov"),
    )
    command(
        *("new_mailbox_connection", "EWS", "--kind", "exchange", "--username", "CONTOSO\\mms", *secret),
        *("--autodiscover", "true", "--sign-in-by", "basic"),
    )
    listed = command("get_mailbox_connection", "--format", "csv")
    assert "us-gov,contoso.com," in listed
    assert "basic,true" in listed
    assert "BEGIN" not in listed
    assert SECRET not in listed

    ends_at = (timezone.now() + timedelta(days=60)).date().isoformat()
    changed = command("set_mailbox_connection", "M365", *secret, "--secret-expires", ends_at)
    assert "the new password is kept" in changed
    connection = MailboxConnection.objects.get(name="M365")
    assert (connection.password, connection.certificate_fingerprint) == (SECRET, "")
    assert connection.secret_expires_at is not None
    assert connection.secret_expires_at.date().isoformat() >= ends_at
    with pytest.raises(CommandError, match="That is over already"):
        command("set_mailbox_connection", "M365", "--secret-expires", "2020-01-01")
    with pytest.raises(CommandError, match="one of Microsoft's clouds"):
        command("set_mailbox_connection", "M365", "--cloud", "germany")


# --- on the page --------------------------------------------------------------------------------------


def uploaded(pem: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("mms.pem", pem.encode(), "application/x-pem-file")


def test_the_kind_is_chosen_first_and_has_the_fields_of_its_own(tenant: Tenant, alice: Client) -> None:
    chosen = alice.get(PAGE).content.decode()
    assert "?kind=graph#connect" in chosen
    assert "new_connection_name" not in chosen
    fields = {
        "graph": ("directory_id", "certificate", "secret_expires_at"),
        "exchange": ("autodiscover", "sign_in_by", "ca_certificates"),
        "caldav": ("path_template", "who_tells"),
    }
    for kind, names in fields.items():
        page = alice.get(f"{PAGE}?kind={kind}").content.decode()
        others = {name for other, theirs in fields.items() if other != kind for name in theirs} - {"ca_certificates"}
        assert all(f"new_connection_{name}" in page for name in names)
        assert not any(f"new_connection_{name}" in page for name in others)
        assert "Nothing was saved" not in page
    assert "new_connection_name" not in alice.get(f"{PAGE}?kind=embedded").content.decode()


def test_a_connection_to_exchange_online_is_made_and_shown_on_the_page(tenant: Tenant, alice: Client) -> None:
    form = {**GRAPH, "name": "M365", "cloud": "global"}
    missing = alice.post(PAGE, form)
    both = alice.post(PAGE, form | {"certificate": uploaded(pair()), "password": SECRET})
    wrong = alice.post(PAGE, form | {"certificate": uploaded(certificate(rsa_key()))})
    assert "Give a certificate with its private key, or a client secret" in words(missing.content)
    assert "Give a certificate or a client secret, not both." in words(both.content)
    assert "holds no private key" in words(wrong.content)
    assert not MailboxConnection.objects.filter(name="M365").exists()

    made = alice.post(PAGE, form | {"certificate": uploaded(pair(timedelta(days=20)))}, follow=True)
    connection = MailboxConnection.objects.get(name="M365")
    page = words(made.content)
    assert connection.certificate_fingerprint in page
    assert "The certificate ends on" in page
    assert "Nothing was saved" not in page
    assert "BEGIN" not in made.content.decode()
    assert "the app registration in Microsoft Entra, and enter it here" in words(alice.get(PAGE).content)

    at = f"{PAGE}{connection.pk}/"
    shown = dict.fromkeys(["cloud"], "global") | {"directory_id": DIRECTORY, "username": CLIENT, "most_requests": "4"}
    shown["secret_expires_at"] = ""
    alice.post(at, shown | {"calendars": "Work"})
    connection.refresh_from_db()
    assert (connection.calendars, connection.password.count("BEGIN")) == ("Work", 2)

    ends_on = timezone.localdate() + timedelta(days=200)
    refused = alice.post(at, shown | {"secret_expires_at": ends_on.isoformat()})
    assert "MMS reads from a certificate when it ends" in words(refused.content)
    alice.post(at, shown | {"password": SECRET, "secret_expires_at": ends_on.isoformat()})
    connection.refresh_from_db()
    assert (connection.password, connection.certificate_fingerprint) == (SECRET, "")
    assert connection.secret_expires_at is not None
    assert timezone.localdate(connection.secret_expires_at) == ends_on


def test_a_connection_to_exchange_on_premises_is_made_on_the_page(tenant: Tenant, alice: Client) -> None:
    form = {**EXCHANGE, "name": "EWS", "sign_in_by": "ntlm"}
    assert "may impersonate the organizers" in words(alice.post(PAGE, form).content)
    made = alice.post(PAGE, form | {"password": SECRET}, follow=True)
    connection = MailboxConnection.objects.get(name="EWS")
    assert (connection.kind, connection.password, connection.tells_attendees) == ("exchange", SECRET, True)
    assert SECRET not in made.content.decode()


def test_monitoring_warns_before_a_secret_ends_and_more_when_it_has(tenant: Tenant) -> None:
    connection = graph(tenant)
    for days, status in ((31, 0), (29, 1), (-1, 2)):
        MailboxConnection.objects.update(secret_expires_at=timezone.now() + timedelta(days=days))
        output = io.StringIO()
        with pytest.raises(SystemExit) as ended:
            call_command("check_migrations", stdout=output)
        told_of = f"the client secret of the mailbox connection {connection.name}"
        assert (ended.value.code, told_of in output.getvalue()) == (status, status > 0)
