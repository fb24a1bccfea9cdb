"""What checks ask of a certificate beside its name and chain, which are looked at in any case: the days it has left."""

from __future__ import annotations

from datetime import UTC, datetime

from migrations_app.failures import Failure
from migrations_app.https.network import trust
from migrations_app.rollouts.probes.answers import Stopped, failed
from migrations_app.rollouts.probes.parameters import Host, LongText, Number
from migrations_app.rollouts.probes.reaching import Connection
from tenants_app.sentences import Sentence, sentence, sentence_plural


class Authorities(LongText):
    """Certificates of CAs in PEM form."""

    def read(self, value: object) -> str:
        text = str(super().read(value))
        try:
            trust(text)
        except Failure:
            raise ValueError(
                sentence("Give certificates in PEM form, which begin with -----BEGIN CERTIFICATE-----.")
            ) from None
        return text


DAYS_LEFT = Number(
    "days_left",
    sentence("Days left"),
    sentence("How many days the certificate must still be valid, where TLS is used."),
    default=14,
    most=3650,
)
CERTIFICATE_NAME = Host(
    "certificate_name",
    sentence("Name in the certificate"),
    sentence(
        "The name that the certificate must be made out to, where it is not the host's, such as that of its pool."
    ),
    most=253,
)
CA_CERTIFICATES = Authorities(
    "ca_certificates",
    sentence("CA certificates"),
    sentence("Certificates of the organization's own CA (PEM), which are believed beside those of the system."),
    most=100_000,
)


def check_days(connection: Connection, least: int) -> None:
    """Raises :class:`Stopped` where the certificate ends too soon."""
    if connection.certificate is None:
        return
    until = connection.certificate.valid_until
    left = (until - datetime.now(UTC)).days
    if left < least:
        raise Stopped(
            failed(
                sentence_plural(
                    "The certificate of %(host)s is valid for %(n)s day, until %(day)s; the check asks for %(least)s.",
                    "The certificate of %(host)s is valid for %(n)s days, until %(day)s; the check asks for %(least)s.",
                    left,
                    host=connection.host,
                    day=until.date(),
                    least=least,
                ),
                sentence("Have it renewed."),
            )
        )


def valid_until(connection: Connection) -> Sentence:
    """How long the certificate is good, as a sentence of its own; none without TLS."""
    if connection.certificate is None:
        return Sentence("")
    return sentence("Its certificate is valid until %(day)s.", day=connection.certificate.valid_until.date())
