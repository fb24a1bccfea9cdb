"""Where the CalDAV server of a host is: the address itself, the well-known one, and what DNS says (RFC 6764)."""

from __future__ import annotations

from collections.abc import Iterator

WELL_KNOWN = "/.well-known/caldav"
_SECONDS = 5
_MOST_SERVERS = 5


def service_addresses(host: str) -> Iterator[str]:
    """The https addresses that DNS names for the calendars of a host, those to be tried first before the others.

    None where DNS names none, or does not answer.
    """
    import dns.exception
    import dns.resolver  # a tenth of what a process loads to start, and few ever ask

    name = f"_caldavs._tcp.{host}."
    try:
        found = dns.resolver.resolve(name, "SRV", lifetime=_SECONDS)
    except (dns.exception.DNSException, OSError):
        return
    path = _path(name)
    for record in sorted(found, key=lambda record: (record.priority, -record.weight))[:_MOST_SERVERS]:
        target = record.target.to_text(omit_final_dot=True).lower()
        if target not in {"", "."}:  # a dot says that there is no such service
            yield f"https://{target}:{record.port}{path}"


def _path(name: str) -> str:
    """Where the service begins, by the key ``path`` of the TXT record; the well-known address where there is none."""
    import dns.exception
    import dns.resolver

    try:
        found = dns.resolver.resolve(name, "TXT", lifetime=_SECONDS)
    except (dns.exception.DNSException, OSError):
        return WELL_KNOWN
    for record in found:
        for text in record.strings:
            key, _, value = text.decode("utf-8", "replace").partition("=")
            if key.strip().lower() == "path" and value.startswith("/"):
                return str(value)
    return WELL_KNOWN


def is_within(target: str, host: str) -> bool:
    """Whether a host that DNS names belongs to the host that was asked about: DNS can be forged, and a password goes
    where it leads (RFC 6764 section 8).
    """
    return target == host or target.endswith(f".{host}")
