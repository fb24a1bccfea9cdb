"""``tcp``: connects to a host and port, with TLS if asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migrations_app.rollouts.probes.answers import Finding, passed
from migrations_app.rollouts.probes.bounds import Bounds, Clock
from migrations_app.rollouts.probes.certificates import (
    CA_CERTIFICATES,
    CERTIFICATE_NAME,
    DAYS_LEFT,
    check_days,
    valid_until,
)
from migrations_app.rollouts.probes.parameters import Host, Number, Switch, read
from migrations_app.rollouts.probes.reaching import connect
from tenants_app.sentences import one_after_the_other, sentence

PARAMETERS = (
    Host("host", sentence("Host"), sentence("The host to connect to."), is_required=True, most=253),
    Number(
        "port",
        sentence("Port"),
        sentence("The port to connect to, such as 5061."),
        is_required=True,
        least=1,
        most=65535,
    ),
    Switch(
        "tls", sentence("TLS"), sentence("Whether to make a TLS connection and look at the certificate."), default=False
    ),
    DAYS_LEFT,
    CERTIFICATE_NAME,
    CA_CERTIFICATES,
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one check."""

    host: str
    port: int
    tls: bool
    days_left: int
    certificate_name: str
    ca_certificates: str

    @property
    def hosts(self) -> tuple[str, ...]:
        """Those that the deployment must list."""
        return (self.host,)


def parse(values: Mapping[str, Any]) -> Parameters:
    """Raises ``Unusable``."""
    return read(Parameters, PARAMETERS, values)


def probe(parameters: Parameters, bounds: Bounds, clock: Clock) -> Finding:
    """Passes when connected; with TLS also when name and chain are valid and the certificate has the days left."""
    with connect(parameters.host, parameters.port, bounds, clock) as connection:
        if parameters.tls:
            connection.secure(parameters.certificate_name or parameters.host, parameters.ca_certificates)
            check_days(connection, parameters.days_left)
        return passed(
            one_after_the_other(
                sentence(
                    "%(host)s took the connection at port %(port)s.", host=parameters.host, port=str(parameters.port)
                ),
                valid_until(connection),
            )
        )
