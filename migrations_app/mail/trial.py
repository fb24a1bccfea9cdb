"""Trying a mail server step by step, in words; but for a test message that somebody asks for, nothing is sent."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.utils import DNS_NAME
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from migrations_app.failures import Failure
from migrations_app.mail import limits, smtp
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.findings import Finding, Tone
from migrations_app.mail.letters import Letter
from migrations_app.mail.servers import Server, service_of
from migrations_app.monitoring import mail_server
from migrations_app.reachable import why_not_trusted
from tenants_app.languages import language_of_address
from tenants_app.models import MailServerConnection, Tenant
from tenants_app.sentences import one_after_the_other, sentence

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
        yield Finding(sentence("sign-in"), failure.what, Tone.BAD)
        return
    if not isinstance(backend, smtp.EmailBackend):
        yield Finding(
            sentence("server"),
            sentence("The installation hands its messages to no SMTP server, so there is none to be tried."),
        )
        if to:
            yield _given_to(backend, _test_message(tenant, service, to, text))
        return
    yield from _try_smtp(server, backend, service, _test_message(tenant, service, to, text) if to else None)


def _try_smtp(
    server: Server, backend: smtp.EmailBackend, service: str, message: ComposedMessage | None
) -> Iterator[Finding]:
    where = sentence("%(host)s, port %(port)s", host=backend.host, port=str(backend.port))
    options = {"context": backend.ssl_context} if backend.use_ssl else {}
    try:
        session: smtp.Session = backend.connection_class(
            backend.host, backend.port, local_hostname=DNS_NAME.get_fqdn(), timeout=SECONDS, **options
        )
    except OSError as error:
        yield _not_connected(backend, where, error)
        return
    try:
        yield Finding(sentence("server"), sentence("%(where)s, answers.", where=where))
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
        yield Finding(
            sentence("server"),
            sentence("%(where)s, stopped answering: %(error)s.", where=where, error=smtp.told_by(error)),
            Tone.BAD,
        )
    finally:
        session.say_goodbye_soon()
        with suppress(OSError):
            session.quit()
        session.close()


def _not_connected(backend: smtp.EmailBackend, where: str, error: OSError) -> Finding:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_trusted(error)
    if isinstance(error, ssl.SSLError):
        return Finding(
            "TLS", sentence("%(where)s, does not begin with TLS. Try STARTTLS, or another port.", where=where), Tone.BAD
        )
    told = sentence("%(where)s, cannot be reached: %(error)s.", where=where, error=smtp.told_by(error))
    if smtp.timed_out(error) and not backend.use_ssl:
        hint = sentence("Where it expects TLS from the start, as at port 465, choose that.")
        told = one_after_the_other(told, hint)
    return Finding(sentence("server"), told, Tone.BAD)


def _not_trusted(error: ssl.SSLCertVerificationError) -> Finding:
    return Finding(
        sentence("certificate"), sentence("The server's certificate %(error)s.", error=why_not_trusted(error)), Tone.BAD
    )


def _certificate(session: smtp.Session, backend: smtp.EmailBackend) -> Finding:
    if backend.use_tls:
        try:
            session.starttls(context=backend.ssl_context)
        except ssl.SSLCertVerificationError as error:
            return _not_trusted(error)
        except smtplib.SMTPNotSupportedError:
            return Finding("TLS", sentence("The server does not offer STARTTLS."), Tone.BAD)
        except (smtplib.SMTPException, ssl.SSLError) as error:
            return Finding(
                "TLS", sentence("No TLS connection could be agreed on: %(error)s.", error=smtp.told_by(error)), Tone.BAD
            )
    elif not backend.use_ssl:
        return Finding(
            "TLS", sentence("The connection is not encrypted: whoever is on the way can read along."), Tone.LOOK
        )
    if not isinstance(session.sock, ssl.SSLSocket):
        raise smtplib.SMTPServerDisconnected
    shown = session.sock.getpeercert() or {}
    issuer = {str(part[0]): str(part[1]) for parts in shown.get("issuer", ()) for part in parts}
    by = issuer.get("organizationName") or issuer.get("commonName") or sentence("an authority without a name")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC)
    is_near = ends - timezone.now() < WARN_BEFORE
    told = sentence(
        "%(tls)s, with a certificate of %(by)s that is valid until %(day)s.",
        tls=session.sock.version() or "TLS",
        by=by,
        day=f"{ends:%Y-%m-%d}",
    )
    if is_near:
        return Finding(sentence("certificate"), one_after_the_other(told, sentence("Renew it.")), Tone.LOOK)
    return Finding(sentence("certificate"), told)


def _sign_in(session: smtp.Session, backend: smtp.EmailBackend) -> Finding:
    if not backend.username:
        return Finding(sentence("sign-in"), sentence("MMS does not sign in."))
    try:
        session.login(backend.username, backend.password)
    except smtplib.SMTPNotSupportedError:
        return Finding(sentence("sign-in"), sentence("The server offers no sign-in here."), Tone.BAD)
    except smtplib.SMTPAuthenticationError as error:
        told = sentence("The server refuses user name or password (%(error)s).", error=smtp.told_by(error))
        return Finding(sentence("sign-in"), told, Tone.BAD)
    except smtplib.SMTPServerDisconnected:
        raise
    except smtplib.SMTPException:
        return Finding(sentence("sign-in"), sentence("The server offers no kind of sign-in that MMS knows."), Tone.BAD)
    return Finding(sentence("sign-in"), sentence("Signed in."))


def _offers(session: smtp.Session, _: smtp.EmailBackend) -> Finding:
    session.ehlo_or_helo_if_needed()
    size = session.esmtp_features.get("size", "").strip()[:12]
    known = {"8bitmime": "8BITMIME", "dsn": "DSN", "pipelining": "PIPELINING"}
    offered = [name for key, name in known.items() if session.has_extn(key)]
    is_limited = size.isascii() and size.isdigit() and int(size) > 0
    most = (
        sentence("messages of up to %(size)s MB", size=round(int(size) / 1_000_000))
        if is_limited
        else sentence("no limit of size")
    )
    named = ", ".join(offered) or sentence("no extension that matters")
    return Finding(sentence("offers"), sentence("The server offers %(offered)s; %(most)s.", offered=named, most=most))


def _sender(session: smtp.Session, service: str) -> Finding:
    code, _ = session.mail(service)
    session.rset()
    if code == 250:
        return Finding(sentence("sender"), sentence("It takes messages from %(service)s.", service=service))
    return Finding(
        sentence("sender"),
        sentence("It takes no message from %(service)s (answer %(code)s).", service=service, code=code),
        Tone.BAD,
    )


def _sent(session: smtp.Session, server: Server, service: str, message: ComposedMessage) -> Finding:
    (to,) = message.to
    grant = limits.take(server.name, server.limits, [to])
    if not grant.now:
        return Finding(
            sentence("test message"), sentence("The limit of this minute is reached: try again in a minute."), Tone.BAD
        )
    try:
        answers = session.transmit(
            service,
            [to],
            message.message().as_bytes(),
            may_ask_more=lambda: True,
            before_the_end=lambda taken: None,
        )
    except smtp.Unanswered:
        return Finding(
            sentence("test message"),
            sentence("The server did not say whether it took the message to %(to)s.", to=to),
            Tone.BAD,
        )
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        return Finding(
            sentence("test message"),
            sentence("The server refused the message (%(error)s).", error=smtp.told_by(error)),
            Tone.BAD,
        )
    for code in (answers.put_off | answers.refused).values():
        return Finding(
            sentence("test message"),
            sentence("The server did not take %(to)s as a recipient (answer %(code)s).", to=to, code=code),
            Tone.BAD,
        )
    return _on_its_way(message, to)


def _given_to(backend: BaseEmailBackend, message: ComposedMessage) -> Finding:
    try:
        backend.send_messages([message])
    except OSError as error:
        return Finding(
            sentence("test message"),
            sentence("The message could not be written: %(error)s.", error=smtp.told_by(error)),
            Tone.BAD,
        )
    return _on_its_way(message, message.to[0])


def _on_its_way(message: ComposedMessage, to: str) -> Finding:
    return Finding(
        sentence("test message"),
        sentence("A message to %(to)s is on its way: %(message_id)s.", to=to, message_id=message.message_id),
    )


def _test_message(tenant: Tenant, service: str, to: str, text: tuple[str, str] | None) -> ComposedMessage:
    """A message that only shows that one arrives, in the language of whoever has the address, or how one reads."""
    language = language_of_address(to)
    with override(language):
        subject, body = text or (
            _("Test message of MMS"),
            _(
                "This message shows that MMS can send mail for %(tenant)s.\n\n"
                "It was asked for by an administrator, and says nothing about any meeting."
            )
            % {"tenant": tenant.name},
        )
    return Letter.of_now(service, to, subject, body, language).compose()
