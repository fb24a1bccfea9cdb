"""Trying a mail server step by step, in words; but for a test message that somebody asks for, nothing is sent."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import make_msgid

from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.utils import DNS_NAME
from django.utils import timezone

from migrations_app.calendars.people import Person
from migrations_app.failures import Failure
from migrations_app.mail import limits, smtp
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.findings import Finding, Tone
from migrations_app.mail.letters import Letter
from migrations_app.mail.servers import Server, service_of
from migrations_app.monitoring import mail_server
from migrations_app.reachable import why_not_trusted
from tenants_app.models import MailServerConnection, Tenant

SECONDS = 10
"""For each answer of the server: somebody waits for what is found."""
WARN_BEFORE = timedelta(days=30)
"""How long before its end a certificate is warned of."""


def try_server(tenant: Tenant, to: str = "", text: tuple[str, str] | None = None) -> Iterator[Finding]:
    """What works of the tenant's mail server; ends after the first step without which the next makes no sense.

    With ``to`` one test message goes to that address, which is an ASCII one, and to nobody else. Its subject and body
    are those of ``text``, where that is given.
    """
    connection = MailServerConnection.of(tenant)
    server = Server.of(connection)
    service = service_of(tenant, connection).address
    try:
        backend = server.backend()
    except Failure as failure:
        yield Finding("sign-in", failure.what, Tone.BAD)
        return
    if not isinstance(backend, smtp.EmailBackend):
        yield Finding("server", "The installation hands its messages to no SMTP server, so there is none to be tried.")
        if to:
            yield _given_to(backend, _test_message(tenant, service, to, text))
        return
    yield from _try_smtp(server, backend, service, _test_message(tenant, service, to, text) if to else None)


def _try_smtp(
    server: Server, backend: smtp.EmailBackend, service: str, message: ComposedMessage | None
) -> Iterator[Finding]:
    where = f"{backend.host}, port {backend.port}"
    options = {"context": backend.ssl_context} if backend.use_ssl else {}
    try:
        session: smtp.Session = backend.connection_class(
            backend.host, backend.port, local_hostname=DNS_NAME.get_fqdn(), timeout=SECONDS, **options
        )
    except OSError as error:
        yield _not_connected(backend, where, error)
        return
    try:
        yield Finding("server", f"{where}, answers.")
        for step in (_certificate, _sign_in, _offers):
            finding = step(session, backend)
            yield finding
            if finding.is_bad:
                return
        yield _sender(session, service)
        if message:
            yield _sent(session, server, service, message)
        mail_server.answered(server.name)
    except OSError as error:
        yield Finding("server", f"{where}, stopped answering: {smtp.told_by(error)}.", Tone.BAD)
    finally:
        session.say_goodbye_soon()
        with suppress(OSError):
            session.quit()
        session.close()


def _not_connected(backend: smtp.EmailBackend, where: str, error: OSError) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_trusted(error)
    if isinstance(error, ssl.SSLError):
        return Finding("TLS", f"{where}, does not begin with TLS. Try STARTTLS, or another port.", Tone.BAD)
    hint = ""
    if smtp.timed_out(error) and not backend.use_ssl:
        hint = " Where it expects TLS from the start, as at port 465, choose that."
    return Finding("server", f"{where}, cannot be reached: {smtp.told_by(error)}.{hint}", Tone.BAD)


def _not_trusted(error: ssl.SSLCertVerificationError) -> Finding:
    return Finding("certificate", f"The server's certificate {why_not_trusted(error)}.", Tone.BAD)


def _certificate(session: smtp.Session, backend: smtp.EmailBackend) -> Finding:
    if backend.use_tls:
        try:
            session.starttls(context=backend.ssl_context)
        except ssl.SSLCertVerificationError as error:
            return _not_trusted(error)
        except smtplib.SMTPNotSupportedError:
            return Finding("TLS", "The server does not offer STARTTLS.", Tone.BAD)
        except (smtplib.SMTPException, ssl.SSLError) as error:
            return Finding("TLS", f"No TLS connection could be agreed on: {smtp.told_by(error)}.", Tone.BAD)
    elif not backend.use_ssl:
        return Finding("TLS", "The connection is not encrypted: whoever is on the way can read along.", Tone.LOOK)
    if not isinstance(session.sock, ssl.SSLSocket):
        raise smtplib.SMTPServerDisconnected
    shown = session.sock.getpeercert() or {}
    issuer = {str(part[0]): str(part[1]) for parts in shown.get("issuer", ()) for part in parts}
    by = issuer.get("organizationName") or issuer.get("commonName") or "an authority without a name"
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    is_near = ends - timezone.now() < WARN_BEFORE
    told = f"{session.sock.version()}, with a certificate of {by} that is valid until {ends:%Y-%m-%d}."
    return Finding("certificate", f"{told}{' Renew it.' if is_near else ''}", Tone.LOOK if is_near else Tone.GOOD)


def _sign_in(session: smtp.Session, backend: smtp.EmailBackend) -> Finding:
    if not backend.username:
        return Finding("sign-in", "MMS does not sign in.")
    try:
        session.login(backend.username, backend.password)
    except smtplib.SMTPNotSupportedError:
        return Finding("sign-in", "The server offers no sign-in here.", Tone.BAD)
    except smtplib.SMTPAuthenticationError as error:
        told = f"The server refuses user name or password ({smtp.told_by(error)})."
        return Finding("sign-in", told, Tone.BAD)
    except smtplib.SMTPServerDisconnected:
        raise
    except smtplib.SMTPException:
        return Finding("sign-in", "The server offers no kind of sign-in that MMS knows.", Tone.BAD)
    return Finding("sign-in", "Signed in.")


def _offers(session: smtp.Session, _: smtp.EmailBackend) -> Finding:
    session.ehlo_or_helo_if_needed()
    size = session.esmtp_features.get("size", "").strip()[:12]
    known = {"8bitmime": "8BITMIME", "dsn": "DSN", "pipelining": "PIPELINING"}
    offered = [name for key, name in known.items() if session.has_extn(key)]
    is_limited = size.isascii() and size.isdigit() and int(size) > 0
    most = f"messages of up to {int(size) / 1_000_000:,.0f} MB" if is_limited else "no limit of size"
    return Finding("offers", f"The server offers {', '.join(offered) or 'no extension that matters'}; {most}.")


def _sender(session: smtp.Session, service: str) -> Finding:
    code, _ = session.mail(service)
    session.rset()
    if code == 250:
        return Finding("sender", f"It takes messages from {service}.")
    return Finding("sender", f"It takes no message from {service} (answer {code}).", Tone.BAD)


def _sent(session: smtp.Session, server: Server, service: str, message: ComposedMessage) -> Finding:
    (to,) = message.to
    grant = limits.take(server.name, server.limits, [to])
    if not grant.now:
        return Finding("test message", "The limit of this minute is reached: try again in a minute.", Tone.BAD)
    try:
        answers = session.transmit(
            service,
            [to],
            message.message().as_bytes(),
            may_ask_more=lambda: True,
            before_the_end=lambda taken: None,
        )
    except smtp.Unanswered:
        return Finding("test message", f"The server did not say whether it took the message to {to}.", Tone.BAD)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        return Finding("test message", f"The server refused the message ({smtp.told_by(error)}).", Tone.BAD)
    for code in (answers.put_off | answers.refused).values():
        return Finding("test message", f"The server did not take {to} as a recipient (answer {code}).", Tone.BAD)
    return _on_its_way(message, to)


def _given_to(backend: BaseEmailBackend, message: ComposedMessage) -> Finding:
    try:
        backend.send_messages([message])
    except OSError as error:
        return Finding("test message", f"The message could not be written: {smtp.told_by(error)}.", Tone.BAD)
    return _on_its_way(message, message.to[0])


def _on_its_way(message: ComposedMessage, to: str) -> Finding:
    return Finding("test message", f"A message to {to} is on its way: {message.message_id}.")


def _test_message(tenant: Tenant, service: str, to: str, text: tuple[str, str] | None) -> ComposedMessage:
    """A message that only shows that one arrives, or how one reads."""
    subject, body = text or (
        "Test message of MMS",
        f"This message shows that MMS can send mail for {tenant.name}.\n\n"
        "It was asked for by an administrator, and says nothing about any meeting.",
    )
    letter = Letter(
        sender=Person("", service),
        to=Person("", to),
        subject=subject,
        text=body,
        language="en",
        message_id=make_msgid(domain=service.rpartition("@")[2]),
        date=timezone.now(),
    )
    return letter.compose()
