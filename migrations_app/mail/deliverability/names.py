"""Looking things up in DNS within bounds, whatever the answers are."""

from __future__ import annotations

import ipaddress
from time import monotonic

from tenants_app.sentences import sentence

SECONDS = 3.0
"""For each look-up."""
ALL_SECONDS = 25.0
"""For all of one check."""
MOST = 80
"""Look-ups of one check."""
_LONGEST = 20_000
"""Characters of a text that are read; no policy needs as many."""
_MOST_RECORDS = 50

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Unknown(Exception):
    """DNS did not say: no answer in time, a failure of the server, or no more look-ups are allowed."""


class Names:
    """The look-ups of one check; the same one is asked once."""

    def __init__(self) -> None:
        self._until = monotonic() + ALL_SECONDS
        self._known: dict[tuple[str, str], list[str] | None] = {}

    def texts(self, name: str) -> list[str]:
        """The TXT records of a name, each in one piece; none where there are none. Raises ``Unknown``."""
        return self._ask(name, "TXT")

    def addresses(self, name: str) -> list[Address]:
        """The IP addresses of a name. Raises ``Unknown``."""
        found = [*self._ask(name, "A"), *self._ask(name, "AAAA")]
        return [ipaddress.ip_address(text) for text in found]

    def mail_exchangers(self, name: str) -> list[str]:
        """The hosts that take a domain's mail. Raises ``Unknown``."""
        return self._ask(name, "MX")

    def _ask(self, name: str, kind: str) -> list[str]:
        key = (name.rstrip(".").lower(), kind)
        if key not in self._known:
            self._known[key] = None
            self._known[key] = self._look_up(*key)
        found = self._known[key]
        if found is None:
            raise Unknown(sentence("DNS does not answer for %(key)s", key=key[0]))
        return found

    def _look_up(self, name: str, kind: str) -> list[str] | None:
        import dns.exception
        import dns.resolver  # a tenth of what a process loads to start, and few ever ask

        left = self._until - monotonic()
        if len(self._known) > MOST or left <= 0:
            return None
        try:
            answer = dns.resolver.resolve(f"{name}.", kind, lifetime=min(SECONDS, left), search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError, ValueError):
            return None
        return [_text(record, kind) for record in list(answer)[:_MOST_RECORDS]]


def _text(record: object, kind: str) -> str:
    if kind == "TXT":
        return b"".join(record.strings).decode("utf-8", "replace")[:_LONGEST]  # type: ignore[attr-defined]
    if kind == "MX":
        return str(record.exchange.to_text(omit_final_dot=True))  # type: ignore[attr-defined]
    return str(record.address)  # type: ignore[attr-defined]
