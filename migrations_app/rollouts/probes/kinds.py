"""The kinds of probes, as forms, commands and the worker know them (R71)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from migrations_app.rollouts.probes import command, dns, http, sip, tcp
from migrations_app.rollouts.probes.answers import Answer, Finding, Stopped, inconclusive
from migrations_app.rollouts.probes.bounds import Bounds, Clock
from migrations_app.rollouts.probes.parameters import Parameter, as_json
from tenants_app.sentences import Sentence, sentence


class Parameters(Protocol):
    """What a check of a kind is given: a frozen dataclass, read by the kind's ``parse``."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that the deployment must list."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of probe."""

    name: str
    """As it is stored and typed."""
    label: Sentence
    does: Sentence
    passes: Sentence
    """When it passes."""
    parameters: Sequence[Parameter]
    """For forms and help, in order."""
    parse: Callable[[Mapping[str, Any]], Any]
    """The parameters, from JSON, a form or a command. Raises ``Unusable``."""
    probe: Callable[[Any, Bounds, Clock], Finding]

    def as_json(self, parameters: Any) -> dict[str, Any]:
        """What is stored of parameters, and read back by ``parse``."""
        return as_json(parameters)

    def measure(self, values: Mapping[str, Any], bounds: Bounds) -> Answer:
        """Probe once. Raises ``Unusable`` for values that ``parse`` refuses, and nothing for what the outside does."""
        parameters = self.parse(values)
        clock = Clock(bounds.seconds)
        try:
            finding = self.probe(parameters, bounds, clock)
        except Stopped as stopped:
            finding = stopped.finding
        except TimeoutError:
            finding = inconclusive(
                sentence(
                    "The check had not come to an end after %(seconds)s seconds.", seconds=round(clock.seconds, 1)
                ),
                sentence("Look whether what it asks is overloaded, or give the check more time."),
            )
        return Answer(finding.outcome, finding.sentence, clock.taken(), finding.output)


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "tcp",
            sentence("TCP or TLS connection"),
            sentence("Connects to a host and port, with TLS if asked for."),
            sentence("Connected; with TLS also: name and chain of the certificate are good, and it has the days left."),
            tcp.PARAMETERS,
            tcp.parse,
            tcp.probe,
        ),
        Kind(
            "http",
            sentence("Web page"),
            sentence("Asks a web address by GET or HEAD, and follows redirects to hosts of the deployment only."),
            sentence("The answer is among the expected ones, and the expected text is in its first 64 KiB."),
            http.PARAMETERS,
            http.parse,
            http.probe,
        ),
        Kind(
            "dns",
            sentence("DNS records"),
            sentence("Asks for records of a name, of the resolver that MMS uses or of a named DNS server."),
            sentence("The answer is exactly the expected set of records, or contains it."),
            dns.PARAMETERS,
            dns.parse,
            dns.probe,
        ),
        Kind(
            "sip",
            sentence("SIP OPTIONS"),
            sentence("Sends one OPTIONS request over UDP, TCP or TLS."),
            sentence("A final answer comes, and is among the expected ones."),
            sip.PARAMETERS,
            sip.parse,
            sip.probe,
        ),
        Kind(
            "command",
            sentence("Command"),
            sentence("Runs a program that the operator of MMS has installed."),
            sentence("It ends with status 0; 1 and 2 fail, everything else is inconclusive."),
            command.PARAMETERS,
            command.parse,
            command.probe,
        ),
    )
}
