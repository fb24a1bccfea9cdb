"""An alert by mail: through the tenant's mail server, in its name, and within its limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from smtplib import SMTPDataError, SMTPSenderRefused
from time import monotonic

from migrations_app.alerts import mail_text
from migrations_app.failures import Failure
from migrations_app.mail import limits, smtp
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.servers import Connections, Server, service_of
from migrations_app.models import AlertDelivery
from migrations_app.monitoring import clock, mail_server
from migrations_app.monitoring.health import beat
from tenants_app.languages import spoken_to
from tenants_app.models import MailServerConnection, Tenant
from tenants_app.sentences import sentence

_SIGN = 20.0
"""Seconds after which who waits for a mail server shows that it is alive."""
_LATER = timedelta(minutes=1)
"""After which it is looked again whether a silent server answers."""


class NotNow(Exception):
    """The server is left alone until then, because of a failure: this was no try."""

    def __init__(self, until: datetime, failure: Failure) -> None:
        super().__init__(failure.code)
        self.until, self.failure = until, failure


def send(delivery: AlertDelivery, connections: Connections) -> None:
    """Hand it to the tenant's mail server. Tried again, it is the same message: whoever gets it twice knows it by its
    Message-ID. Raises ``Failure`` where the server did not take it, and ``NotNow``."""
    alert, recipient = delivery.alert, delivery.recipient

    def compose(service: str) -> ComposedMessage:
        with spoken_to(recipient):
            return mail_text.message(
                alert.tenant, alert.content, service, recipient, delivery.delivery_id, alert.created
            )

    hand_over(alert.tenant, recipient, compose, connections)


def hand_over(
    tenant: Tenant, recipient: str, compose: Callable[[str], ComposedMessage], connections: Connections
) -> None:
    """Hand a message to the tenant's mail server, which ``compose`` makes in the name of the service's address. Raises
    ``Failure`` where the server did not take it, and ``NotNow``."""
    connection = MailServerConnection.of(tenant)
    server = Server.of(connection)
    if not mail_server.may_try(server.name):
        raise NotNow(clock.now() + _LATER, Failure("mail-server-unreachable"))
    message = compose(service_of(tenant, connection).address)
    backend = connections.to(server, _signs())
    try:
        if isinstance(backend, smtp.EmailBackend):
            _transmit(backend, server, message, recipient)
        else:
            backend.send_messages([message])
    except (SMTPSenderRefused, SMTPDataError) as error:
        raise _refused(error.smtp_code) from error
    except (OSError, smtp.Unanswered) as error:
        mail_server.failed(server.name, smtp.told_by(error), after_waiting=smtp.timed_out(error))
        raise Failure("mail-server-unreachable", smtp.told_by(error)) from error
    mail_server.answered(server.name)


def _signs() -> Callable[[], None]:
    """Called often while one waits for the server, and dear only now and then."""
    next_sign = monotonic() + _SIGN

    def live() -> None:
        nonlocal next_sign
        if monotonic() >= next_sign:
            next_sign = monotonic() + _SIGN
            beat()

    return live


def _transmit(backend: smtp.EmailBackend, server: Server, message: ComposedMessage, recipient: str) -> None:
    session = backend.session()
    grant = limits.take(server.name, server.limits, [recipient])
    if not grant.now:
        until = grant.held_until or grant.asleep[recipient]
        raise NotNow(until, Failure("mail-limit", limits.domain_of(recipient)))
    answers = session.transmit(
        message.from_email,
        [recipient],
        message.message().as_bytes(),
        may_ask_more=lambda: True,
        before_the_end=lambda taken: None,
    )
    for code in (answers.put_off | answers.refused).values():
        raise _refused(code)


def _refused(code: int) -> Failure:
    return Failure("mail-put-off" if 400 <= code < 500 else "alert-refused", sentence("answer %(code)s", code=code))
