"""A letter that somebody waits for: handed to the tenant's mail server within the request, or not at all."""

from __future__ import annotations

import smtplib
from typing import Any

from migrations_app.failures import Failure
from migrations_app.mail import limits, smtp
from migrations_app.mail.letters import Letter
from migrations_app.mail.servers import Server, service_of
from tenants_app.models import MailServerConnection, Tenant
from tenants_app.sentences import sentence
from tenants_app.signals import Posted

SECONDS = 10
"""For each answer of the server: somebody waits."""


def on_letter_wanted(
    sender: object, *, tenant: Tenant, to: str, subject: str, text: str, language: str, **_: Any
) -> Posted:
    """Send it by the tenant's own server, or by the installation's where it has none."""
    connection = MailServerConnection.of(tenant)
    server, service = Server.of(connection), service_of(tenant, connection).address
    try:
        backend = server.backend()
    except Failure as failure:
        return Posted(problem=failure.what)
    message = Letter.of_now(service, to, subject, text, language).compose()
    if not isinstance(backend, smtp.EmailBackend):
        try:
            backend.send_messages([message])
        except (OSError, ValueError) as error:
            return Posted(problem=smtp.told_by(error))
        return Posted(by_mail=False)
    backend.timeout = SECONDS
    try:
        return _transmit(backend, server, service, to, message.message().as_bytes())
    except (OSError, smtp.Unanswered) as error:
        return Posted(problem=smtp.told_by(error))
    finally:
        backend.close()


def _transmit(backend: smtp.EmailBackend, server: Server, service: str, to: str, data: bytes) -> Posted:
    session = backend.session()
    if not limits.take(server.name, server.limits, [to]).now:
        return Posted(problem=Failure("mail-limit").what)
    try:
        answers = session.transmit(service, [to], data, may_ask_more=lambda: True, before_the_end=lambda taken: None)
    except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
        return Posted(problem=smtp.told_by(error))
    refused = answers.put_off | answers.refused
    return Posted(problem=sentence("answer %(code)s", code=refused[to])) if to in refused else Posted()
