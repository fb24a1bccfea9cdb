"""A tenant's own mail server: TLS and sign-in, whose name stands in From, and that it holds up nobody else."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.mail.delivery import deliver, is_due
from migrations_app.mail.servers import Connections
from migrations_app.mail.waiting import Queue
from migrations_app.models import MailServer, Update
from migrations_app.tasks import work
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.changes.mailboxes import rotate_secrets
from tenants_app.changes.tenants import create_tenant
from tenants_app.models import AuditEntry, ConferencingUser, MailServerConnection, Tenant
from tests.support.actors import ACTOR
from tests.support.clock import Clock, clock
from tests.support.mail_servers import HOST, PASSWORD, Inbox, Served, relay, serving
from tests.support.meetings import invite, messages_in, migrate
from tests.support.two_tenants import furnish

KEY, NEW_KEY = "mK1v0bB3c1RkAJRGaQbTfYTb5eF3r5ZPZyGJw1C0n2E=", "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I="


@pytest.fixture(autouse=True)
def operator(settings: Any) -> None:
    """The operator has a key for secrets, and allows the host of the tests, which is at a private address."""
    settings.MMS_SECRETS_KEYS = [KEY]
    settings.MMS_ALLOWED_MAIL_HOSTS = [HOST]


@pytest.fixture
def own(tenant: Tenant) -> Iterator[Served]:
    with relay() as served:
        change_mail_server(tenant, ACTOR, **served.settings)
        yield served


@pytest.fixture
def frank(db: None) -> ConferencingUser:
    """A user of another tenant, which has no server of its own."""
    other = create_tenant(
        ACTOR,
        slug="fabrikam",
        name="Fabrikam",
        domain="fabrikam.com",
        meeting_url="https://meet.fabrikam.com",
        settling_time=0,
    )
    return furnish(other).user


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    with clock(monkeypatch) as moved:
        yield moved


def updates_of(user: ConferencingUser) -> list[Update]:
    return list(Update.objects.filter(result__run__user=user))


def states_of(user: ConferencingUser) -> dict[str, int]:
    return dict(Counter(update.state for update in updates_of(user)))


# --- which server ---------------------------------------------------------------------------------------


def test_a_tenants_messages_go_through_its_own_server_and_those_of_others_through_the_installations(
    anna: ConferencingUser, frank: ConferencingUser, own: Served, outbox: Path
) -> None:
    invite(anna)
    invite(frank, 1)
    migrate(anna)
    migrate(frank)
    assert deliver() == 2
    assert len(own.relay.envelopes) == 1
    assert own.relay.signed_in
    assert own.relay.envelopes[0].mail_from == "meeting-migration@contoso.com"
    (other,) = messages_in(outbox)
    assert other["From"].addresses[0].addr_spec == frank.upn


def test_tls_from_the_start_works_too(anna: ConferencingUser, outbox: Path) -> None:
    with relay(is_tls_from_the_start=True) as served:
        change_mail_server(anna.tenant, ACTOR, **served.settings, security="tls")
        invite(anna)
        migrate(anna)
        assert deliver() == 1
        assert len(served.relay.envelopes) == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"ca_certificates": ""}, "its certificate is not trusted"), ({"password": "wrong"}, "answer 535")],
)
def test_nothing_is_handed_to_a_server_that_is_not_trusted_or_does_not_let_us_in(
    anna: ConferencingUser, outbox: Path, wrong: dict[str, Any], why: str
) -> None:
    with relay() as served:
        change_mail_server(anna.tenant, ACTOR, **(served.settings | wrong))
        invite(anna)
        migrate(anna)
        while is_due():
            deliver()
        assert served.relay.asked == []
    (update,) = updates_of(anna)
    assert (update.state, update.error_code, update.attempts) == ("Queued", "mail-server-unreachable", 0)
    assert why in update.error_detail


def test_a_certificate_for_another_host_is_not_trusted(anna: ConferencingUser) -> None:
    with relay(issued_for="smtp.fabrikam.com") as served:
        change_mail_server(anna.tenant, ACTOR, **served.settings)
        invite(anna)
        migrate(anna)
        assert deliver() == 0
        assert served.relay.asked == []


def test_a_private_address_is_reached_only_where_the_operator_names_the_host(
    anna: ConferencingUser, settings: Any
) -> None:
    with relay() as served:
        change_mail_server(anna.tenant, ACTOR, **served.settings)
        settings.MMS_ALLOWED_MAIL_HOSTS = []
        invite(anna)
        migrate(anna)
        assert deliver() == 0
        assert served.relay.sessions == set()
    assert "private network" in updates_of(anna)[0].error_detail


def test_back_at_the_installations_server_nothing_is_left_of_the_own_one(
    anna: ConferencingUser, own: Served, outbox: Path
) -> None:
    change_mail_server(anna.tenant, ACTOR, messages_per_minute=5, sender_mode="service")
    change_mail_server(anna.tenant, ACTOR, host="")
    kept = MailServerConnection.objects.get()
    assert (kept.username, kept.sealed_password, kept.ca_certificates, kept.messages_per_minute) == ("", "", "", 0)
    assert kept.sender_mode == "service"
    invite(anna)
    migrate(anna)
    assert deliver() == 1
    assert len(list(outbox.iterdir())) == 1
    assert own.relay.envelopes == []


# --- the row --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"host": "smtp.contoso.com", "security": "none"}, "security"),
        ({"host": "smtp.contoso.com", "username": "mms"}, "username"),
        ({"host": "smtp.contoso.com", "password": "secret"}, "username"),
        ({"host": "smtp.contoso.com", "username": "jörg", "password": "secret"}, "username"),
        ({"host": "smtp.contoso.com:25"}, "host"),
        ({"host": "https://smtp.contoso.com"}, "host"),
        ({"host": "smtp.contoso.com", "port": 0}, "port"),
        ({"host": "smtp.contoso.com", "ca_certificates": "none"}, "ca_certificates"),
        ({"port": 25}, "host"),
        ({"messages_per_minute": 3}, "host"),
        ({"sender": "someone@example.org"}, "sender"),
        ({"sender": "someone@notcontoso.com"}, "sender"),
        ({"sender": "no address"}, "sender"),
        ({"dkim_selectors": "s1,,s2"}, "dkim_selectors"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(tenant: Tenant, values: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refused:
        change_mail_server(tenant, ACTOR, **values)
    assert field in refused.value.message_dict
    assert not MailServerConnection.objects.exists()


@pytest.mark.parametrize("elsewhere", [{"host": "smtp.fabrikam.com"}, {"port": 2525}, {"security": "tls"}])
def test_the_password_goes_nowhere_else_than_it_was_given_for(own: Served, elsewhere: dict[str, Any]) -> None:
    tenant = Tenant.objects.get(slug="contoso")
    with pytest.raises(ValidationError, match="Enter the password too"):
        change_mail_server(tenant, ACTOR, **elsewhere)
    assert change_mail_server(tenant, ACTOR, **elsewhere, password=PASSWORD).password == PASSWORD


def test_the_password_is_sealed_audited_without_itself_and_rotated(own: Served, settings: Any) -> None:
    kept = MailServerConnection.objects.get()
    assert PASSWORD not in kept.sealed_password
    assert PASSWORD not in str(list(AuditEntry.objects.values()))
    settings.MMS_SECRETS_KEYS = [NEW_KEY, KEY]
    assert rotate_secrets() == (1, [])
    settings.MMS_SECRETS_KEYS = [NEW_KEY]
    assert MailServerConnection.objects.get().password == PASSWORD


def test_without_a_key_for_secrets_no_password_is_kept_and_nothing_else_is_either(
    tenant: Tenant, settings: Any
) -> None:
    settings.MMS_SECRETS_KEYS = []
    with pytest.raises(ValidationError, match="MMS_SECRETS_KEY is not set"):
        change_mail_server(tenant, ACTOR, host="smtp.contoso.com", username="mms", password=PASSWORD)
    assert not MailServerConnection.objects.exists()
    assert change_mail_server(tenant, ACTOR, host="smtp.contoso.com").is_own


def test_a_password_that_no_key_opens_is_told_and_loses_no_message(
    anna: ConferencingUser, own: Served, settings: Any
) -> None:
    invite(anna)
    migrate(anna)
    settings.MMS_SECRETS_KEYS = [NEW_KEY]
    assert deliver() == 0
    (update,) = updates_of(anna)
    assert (update.state, update.error_code, update.attempts) == ("Queued", "mail-server-without-sign-in", 0)
    assert own.relay.sessions == set()
    settings.MMS_SECRETS_KEYS = [KEY]
    assert deliver() == 1


def test_no_password_is_logged(anna: ConferencingUser, own: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    own.relay.greylist()
    invite(anna)
    migrate(anna)
    deliver()
    assert PASSWORD not in caplog.text


# --- in whose name --------------------------------------------------------------------------------------


def test_from_the_organizer_the_service_is_sender(anna: ConferencingUser, outbox: Path) -> None:
    invite(anna)
    migrate(anna)
    deliver()
    (message,) = messages_in(outbox)
    assert message["From"].addresses[0].addr_spec == anna.upn
    assert message["Sender"].address.addr_spec == "meeting-migration@contoso.com"
    assert message["Reply-To"].addresses[0].addr_spec == anna.upn


@pytest.mark.parametrize(
    ("language", "name"),
    [("en", "Anna Rossi via MMS"), ("it-IT", "Anna Rossi tramite MMS"), ("es", "Anna Rossi a través de MMS")],
)
def test_from_the_service_it_says_on_whose_behalf_and_replies_go_to_the_organizer(
    make_user: Callable[..., ConferencingUser], outbox: Path, language: str, name: str
) -> None:
    anna = make_user("anna.rossi", display_name="Anna Rossi", language=language)
    change_mail_server(anna.tenant, ACTOR, sender_mode="service", sender="mms@contoso.com")
    invite(anna)
    migrate(anna)
    deliver()
    (message,) = messages_in(outbox)
    (author,) = message["From"].addresses
    assert (author.addr_spec, author.display_name) == ("mms@contoso.com", name)
    assert message["Reply-To"].addresses[0].addr_spec == anna.upn
    assert message["Sender"] is None, "an author is not named as sender too (RFC 5322 section 3.6.2)"
    calendar = next(part for part in message.walk() if part.get_content_type() == "text/calendar")
    lines = calendar.get_payload(decode=True).replace(b"\r\n ", b"").decode().splitlines()
    assert [line.rpartition(":")[2] for line in lines if line.startswith("ORGANIZER")] == [anna.upn]


def test_a_long_name_leaves_room_for_on_whose_behalf_it_is(
    make_user: Callable[..., ConferencingUser], outbox: Path
) -> None:
    anna = make_user("anna.rossi", display_name="Anna {name} " * 12)
    change_mail_server(anna.tenant, ACTOR, sender_mode="service")
    invite(anna)
    migrate(anna)
    deliver()
    (message,) = messages_in(outbox)
    assert (
        " ".join(message["From"].addresses[0].display_name.split()) == f"{('Anna {name} ' * 12)[:100].strip()} via MMS"
    )


# --- what servers say -----------------------------------------------------------------------------------


def test_a_greylisting_server_gets_the_message_later_and_once(anna: ConferencingUser, own: Served) -> None:
    own.relay.greylist()
    invite(anna)
    migrate(anna)
    assert deliver() == 0
    (update,) = updates_of(anna)
    assert (update.state, update.error_code) == ("Queued", "mail-put-off")
    why = Queue(anna.tenant).why(update)
    assert why
    assert "later" in why.reason
    assert why.until == update.due_at
    Update.objects.update(due_at=timezone.now())
    assert deliver() == 1
    assert set(own.relay.copies().values()) == {1}


def test_a_refused_recipient_shows_and_the_others_are_told(anna: ConferencingUser, own: Served, outbox: Path) -> None:
    _, body = invite(anna)
    migrate(anna)
    refused, *others = sorted(person.address for person in itip.read(body, (), now=timezone.now()).recipients)
    assert others
    own.relay.refuse(refused)
    assert deliver() == 0
    (update,) = updates_of(anna)
    assert (update.state, update.error_code) == ("Failed", "recipients-refused")
    assert refused in update.error_detail
    assert {address for _, address in own.relay.copies()} == set(others)


def test_a_server_that_falls_silent_after_the_message_leaves_it_in_doubt_and_tells_nobody_twice(
    anna: ConferencingUser, own: Served, now: Clock
) -> None:
    own.relay.hangs_after_data = lambda: now.passes(121)
    invite(anna)
    migrate(anna)
    assert deliver() == 0
    (update,) = updates_of(anna)
    assert (update.state, update.error_code) == ("Failed", "mail-unconfirmed")
    own.relay.hangs_after_data = None
    now.passes(3_600)
    assert deliver() == 0
    assert set(own.relay.copies().values()) == {1}


# --- one holds up no other ------------------------------------------------------------------------------


def test_a_server_that_is_gone_holds_up_no_other_tenants_messages(
    anna: ConferencingUser, frank: ConferencingUser, settings: Any
) -> None:
    change_mail_server(anna.tenant, ACTOR, host=HOST, port=9)
    for number in range(5):
        invite(anna, number)
        invite(frank, 10 + number)
    migrate(anna)
    migrate(frank)
    with serving(Inbox(), settings) as inbox:
        assert deliver() == 5
    assert len(inbox.envelopes) == 5
    assert states_of(anna) == {"Queued": 5}
    assert states_of(frank) == {"Sent": 5}
    silent = MailServer.objects.exclude(failures=0).get()
    assert silent.name == f"{HOST}:9 of contoso"


def test_a_server_that_hangs_after_data_costs_other_tenants_one_wait_and_no_more(
    anna: ConferencingUser, frank: ConferencingUser, own: Served, outbox: Path, now: Clock
) -> None:
    own.relay.hangs_after_data = lambda: now.passes(121)
    for number in range(5):
        invite(anna, number)
        invite(frank, 10 + number)
    migrate(anna)
    migrate(frank)
    began = timezone.now()
    while is_due():
        deliver(timezone.now() + timedelta(seconds=20))
    assert timezone.now() - began < timedelta(seconds=130)
    assert states_of(frank) == {"Sent": 5}
    assert states_of(anna) == {"Failed": 1, "Queued": 4}
    assert len(own.relay.envelopes) == 1


def test_a_refusing_installations_server_holds_up_no_tenant_that_has_its_own(
    anna: ConferencingUser, frank: ConferencingUser, own: Served, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    invite(frank)
    invite(anna, 1)
    migrate(frank)
    migrate(anna)
    while is_due():
        deliver()
    assert states_of(anna) == {"Sent": 1}
    assert states_of(frank) == {"Queued": 1}


def test_servers_take_turns_so_that_a_long_queue_leaves_time_for_a_short_one(
    anna: ConferencingUser, frank: ConferencingUser, own: Served, outbox: Path, now: Clock
) -> None:
    own.relay.says = lambda _: now.passes(3) or "250 OK"
    for number in range(20):
        invite(anna, number)
    invite(frank, 30)
    migrate(anna)
    migrate(frank)
    deliver(timezone.now() + timedelta(seconds=20))
    assert states_of(frank) == {"Sent": 1}
    assert states_of(anna)["Queued"] > 0


def test_one_connection_to_each_server_is_kept_open_over_many_turns(
    anna: ConferencingUser, frank: ConferencingUser, own: Served, settings: Any
) -> None:
    with serving(Inbox(), settings) as inbox, Connections() as connections:
        for number in range(3):
            invite(anna, number)
            invite(frank, 10 + number)
            migrate(anna)
            migrate(frank)
            assert deliver(None, connections) == 2
        assert len(own.relay.sessions) == len(inbox.sessions) == 1
    assert len(own.relay.envelopes) == len(inbox.envelopes) == 3


def test_a_connection_that_the_server_has_closed_meanwhile_costs_no_message_a_pause(
    anna: ConferencingUser, outbox: Path, now: Clock
) -> None:
    with relay() as first, Connections() as connections:
        change_mail_server(anna.tenant, ACTOR, **first.settings)
        invite(anna)
        migrate(anna)
        assert deliver(None, connections) == 1
        for backend in connections._backends.values():
            backend.connection.sock.shutdown(2)  # type: ignore[attr-defined] - as a server does that has waited enough
        now.passes(300)
        invite(anna, 1)
        migrate(anna)
        assert deliver(None, connections) == 1
        assert len(first.relay.sessions) == 2


def test_a_changed_server_is_used_at_once_and_wakes_what_was_asleep(anna: ConferencingUser, outbox: Path) -> None:
    change_mail_server(anna.tenant, ACTOR, host=HOST, port=9)
    invite(anna)
    migrate(anna)
    while is_due():
        deliver()
    assert not is_due()
    with relay() as served:
        change_mail_server(anna.tenant, ACTOR, **served.settings)
        work(timezone.now() + timedelta(minutes=1))
        assert len(served.relay.envelopes) == 1
    assert not MailServer.objects.exclude(next_try_at=None).exists()
