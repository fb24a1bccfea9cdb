"""``dns``: asks for records of a name, of the resolver that MMS uses or of a named one."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from migrations_app.rollouts.printed import without_controls
from migrations_app.rollouts.probes.answers import Finding, failed, inconclusive, passed
from migrations_app.rollouts.probes.bounds import Bounds, Clock
from migrations_app.rollouts.probes.parameters import (
    Choice,
    Host,
    Lines,
    Number,
    Unusable,
    host_name,
    read,
)
from migrations_app.rollouts.probes.reaching import addresses_of
from tenants_app.sentences import Sentence, sentence

EXACTLY, CONTAINS = "exactly", "contains"
_TYPES = ("A", "AAAA", "CNAME", "SRV", "TXT")
_MOST_RECORDS = 200
"""Of an answer that are looked at; no name needs as many."""
_PAUSE = 2.0
"""Seconds that dnspython may wait between two tries without looking how much time is left."""
_SRV = re.compile(r"(\d{1,5})\s+(\d{1,5})\s+(\d{1,5})\s+(\S+)", re.ASCII)

PARAMETERS = (
    Host(
        "name",
        sentence("Name"),
        sentence("The name to ask for, such as _sipfederationtls._tcp.contoso.com."),
        is_required=True,
        most=253,
    ),
    Choice(
        "type",
        sentence("Type"),
        sentence("The type of the records."),
        default="A",
        choices=tuple((name, Sentence(name)) for name in _TYPES),
    ),
    Lines(
        "expected",
        sentence("Expected records"),
        sentence("One a line; of SRV priority, weight, port and target. Empty: there must be none."),
        most=1000,
    ),
    Choice(
        "match",
        sentence("Comparison"),
        sentence("Whether there may be other records beside the expected ones."),
        default=EXACTLY,
        choices=((EXACTLY, sentence("exactly these")), (CONTAINS, sentence("these, perhaps with others"))),
    ),
    Host(
        "resolver",
        sentence("DNS server"),
        sentence("The server to ask, by name or address, such as one of the domain; empty: the one that MMS uses."),
        most=253,
    ),
    Number(
        "resolver_port",
        sentence("Port of the DNS server"),
        sentence("Where a DNS server is named."),
        default=53,
        least=1,
        most=65535,
    ),
)


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of one check."""

    name: str
    type: str
    expected: tuple[str, ...]
    match: str
    resolver: str
    resolver_port: int

    @property
    def hosts(self) -> tuple[str, ...]:
        """Those that the deployment must list: a server that is asked, not what it is asked for."""
        return (self.resolver,) if self.resolver else ()


class _NoAnswer(Exception):
    """DNS did not say whether there are records."""


def parse(values: Mapping[str, Any]) -> Parameters:
    """Raises ``Unusable``."""
    parameters = read(Parameters, PARAMETERS, values)
    if parameters.match == CONTAINS and not parameters.expected:
        raise Unusable({"expected": sentence("Give at least one record, or have the answer be exactly none.")})
    try:
        _expected(parameters)
    except ValueError:
        raise Unusable({"expected": _FORMS[parameters.type]}) from None
    return parameters


def probe(parameters: Parameters, bounds: Bounds, clock: Clock) -> Finding:
    """Passes when the answer is, or contains, the expected set."""
    addresses = (
        addresses_of(parameters.resolver, parameters.resolver_port, bounds, clock) if parameters.resolver else []
    )
    try:
        found = _asked(parameters, addresses, clock)
    except _NoAnswer:
        return inconclusive(
            sentence("DNS does not answer for %(name)s.", name=parameters.name),
            sentence("Look whether the DNS servers that the check asks are up and know the domain."),
        )
    wanted = _expected(parameters)
    is_right = wanted == found if parameters.match == EXACTLY else wanted <= found
    values = {"name": parameters.name, "type": parameters.type, "found": _listed(found), "expected": _listed(wanted)}
    if is_right and not found:
        return passed(sentence("%(name)s has no %(type)s record, as expected.", **values))
    if is_right:
        return passed(sentence("%(name)s has the %(type)s records expected: %(found)s.", **values))
    if not found:
        return failed(
            sentence("%(name)s has no %(type)s record, and %(expected)s was expected.", **values), _CORRECT_THEM
        )
    if not wanted:
        return failed(
            sentence("%(name)s has the %(type)s records %(found)s, and none was expected.", **values), _CORRECT_THEM
        )
    return failed(
        sentence("%(name)s has the %(type)s records %(found)s, and %(expected)s was expected.", **values),
        _CORRECT_THEM,
    )


_CORRECT_THEM = sentence("Correct the records in DNS, or what the check expects.")
_ADDRESS_V4 = sentence("Give one IPv4 address a line, such as 203.0.113.7.")
_ADDRESS_V6 = sentence("Give one IPv6 address a line, such as 2001:db8::7.")
_FORMS = {
    "A": _ADDRESS_V4,
    "AAAA": _ADDRESS_V6,
    "CNAME": sentence("Give the one host name that the name is another name of."),
    "SRV": sentence("Give priority, weight, port and target on each line, such as 0 5 443 sip.contoso.com."),
    "TXT": sentence("Give one text a line."),
}


def _asked(parameters: Parameters, addresses: list[str], clock: Clock) -> frozenset[str]:
    """The records, each in its one form. Raises ``_NoAnswer``."""
    import dns.exception
    import dns.resolver  # a tenth of what a process loads to start, and few ever ask

    resolver = dns.resolver.Resolver(configure=False) if addresses else dns.resolver.get_default_resolver()
    if addresses:
        resolver.nameservers = addresses  # those that were checked: no name is asked for again
        resolver.port = parameters.resolver_port
    left = clock.left()
    lifetime = max(left - _PAUSE, left / 2)
    try:
        answer = resolver.resolve(f"{parameters.name}.", parameters.type, lifetime=lifetime, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return frozenset()
    except (dns.exception.DNSException, OSError, ValueError):
        raise _NoAnswer from None
    return frozenset(_text(record, parameters.type) for record in list(answer)[:_MOST_RECORDS])


def _text(record: Any, kind: str) -> str:
    """What a server said, in the form in which what is expected is kept."""
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")
    if kind == "CNAME":
        return _name(record.target)
    if kind == "SRV":
        return f"{record.priority} {record.weight} {record.port} {_name(record.target)}"
    return str(ipaddress.ip_address(record.address))


def _name(name: Any) -> str:
    return str(name.to_text(omit_final_dot=True)).lower()


def _expected(parameters: Parameters) -> frozenset[str]:
    """Raises ``ValueError`` where a text is no record of the type."""
    return frozenset(_as_record(text, parameters.type) for text in parameters.expected)


def _as_record(text: str, kind: str) -> str:
    if kind == "A":
        return str(ipaddress.IPv4Address(text))
    if kind == "AAAA":
        return str(ipaddress.IPv6Address(text))
    if kind == "CNAME":
        return host_name(text)
    if kind == "SRV":
        match = _SRV.fullmatch(text)
        numbers = [int(part) for part in match.groups()[:3]] if match else [65_536]
        if match is None or max(numbers) > 65_535:
            raise ValueError
        target = "." if match[4] == "." else host_name(match[4])
        return f"{numbers[0]} {numbers[1]} {numbers[2]} {target}"
    return text


def _listed(records: frozenset[str]) -> str:
    return without_controls(", ".join(sorted(records)))
