"""What a domain asks of receivers (RFC 7489), found by walking up the tree of names instead of by a list of suffixes.

The walk is that of DMARC's successor (draft-ietf-dmarc-dmarcbis section 4.10): it needs no list of public suffixes, and
eight look-ups at most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from migrations_app.mail.deliverability.names import Names

_MOST_LABELS = 8
POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True)
class Record:
    """A DMARC record, and whose it is."""

    domain: str
    tags: dict[str, str]

    def policy_for(self, domain: str) -> str:
        """What is asked for mail from a domain that this is the record of: ``none``, ``quarantine`` or ``reject``."""
        own = self.tags.get("p", "none").lower()
        asked = own if domain == self.domain else self.tags.get("sp", own).lower()
        return asked if asked in POLICIES else "none"

    def is_strict(self, tag: str) -> bool:
        """Whether ``aspf`` or ``adkim`` asks for the very same domain."""
        return self.tags.get(tag, "r").lower() == "s"


def record_for(names: Names, domain: str) -> Record | None:
    """The record that holds for mail from a domain: its own, else that of its organization. Raises ``Unknown``."""
    found = _walk(names, domain)
    own = next((record for record in found if record.domain == domain), None)
    return own or next((record for record in found if record.domain == _organization(domain, found)), None)


def organization_of(names: Names, domain: str) -> str:
    """The domain that all names of an organization are below. Raises ``Unknown``."""
    return _organization(domain, _walk(names, domain))


def are_aligned(names: Names, one: str, other: str, *, strict: bool) -> bool:
    """Whether two domains count as the same. Raises ``Unknown``."""
    return one == other or (not strict and organization_of(names, one) == organization_of(names, other))


def _walk(names: Names, domain: str) -> list[Record]:
    """The records of a domain and of those above it, nearest first."""
    labels = domain.split(".")
    steps = [labels]
    above = labels[1:] if len(labels) <= _MOST_LABELS else labels[-(_MOST_LABELS - 1) :]
    steps += [above[begin:] for begin in range(len(above))]
    found = []
    for step in steps:
        record = _record(names, ".".join(step))
        if record:
            found.append(record)
            if record.tags.get("psd", "u").lower() in {"y", "n"}:
                break
    return found


def _organization(domain: str, found: list[Record]) -> str:
    for record in found:
        if record.tags.get("psd", "").lower() == "n":
            return record.domain
        if record.tags.get("psd", "").lower() == "y" and record.domain != domain:
            below = len(record.domain.split(".")) + 1
            return ".".join(domain.split(".")[-below:])
    return found[-1].domain if found else domain


def _record(names: Names, domain: str) -> Record | None:
    texts = [text for text in names.texts(f"_dmarc.{domain}") if re.match(r"v\s*=\s*DMARC1\s*(;|$)", text)]
    if len(texts) != 1:  # several count as none (RFC 7489 section 6.6.3)
        return None
    pairs = (part.partition("=") for part in texts[0].split(";"))
    return Record(domain, {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()})
