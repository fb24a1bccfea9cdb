"""Which links of a calendar object lead to certain hosts, however they are written (R85, R88).

Whole objects are searched, as for numbers (:mod:`written_numbers`): every property, with folds, escapes, markup and
the wrappers of mail filters taken away.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import datetime
from urllib.parse import urlsplit

from migrations_app.rewriting.links import links_in
from migrations_app.rewriting.written_numbers import readings_of

_FOLD = re.compile(rb"\r?\n[ \t]")
_IN_DISGUISE = re.compile(rb"aHR0c|&#|=[0-9A-F]{2}|%2e|ENCODING=", re.IGNORECASE)
"""What may stand for letters of a host's name: base64, references, quoted-printable, an encoded dot."""


def links_to(body: bytes, hosts: Collection[str], now: datetime | None = None) -> list[str]:
    """Return the links of the object whose host is one of these (lower case), unwrapped, each once, in their order.

    The object may be damaged. With ``now``, occurrences that are over or cancelled do not count, where it can be read.
    """
    if not _may_show(body, hosts):
        return []
    found: dict[str, None] = {}
    for text in readings_of(body, now):
        if "://" in text:
            found |= {url: None for url in links_in(text) if host_of(url) in hosts}
    return list(found)


def _may_show(body: bytes, hosts: Collection[str]) -> bool:
    """Tell, quickly and without a wrong no, whether one of the hosts may stand in the octets."""
    if not hosts:
        return False
    lowered = _FOLD.sub(b"", body).lower()
    return any(host.encode() in lowered for host in hosts) or bool(_IN_DISGUISE.search(body))


def host_of(url: str) -> str:
    """Return the host that a link leads to, in lower case; "" where that cannot be told."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def hosts_of(links: Iterable[str]) -> list[str]:
    """Return the hosts that the links lead to, each once."""
    return list(dict.fromkeys(map(host_of, links)))
