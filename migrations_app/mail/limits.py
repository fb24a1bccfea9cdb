"""How much a mail server is given in a minute, and how much of it for one domain: counted in rows, by all workers.

In no sixty seconds, wherever they begin, a server is given more than its limits say. Where the limit of a domain is
reached, what is written to it sleeps; each sleeper books room ahead, so that they come back as there is room and not
all at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import models, transaction

from migrations_app.models import SentLately
from migrations_app.monitoring import clock

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server may be given in a minute; 0 is no limit."""

    messages: int = 0
    """Messages, each counted once however many it goes to."""
    per_domain: int = 0
    """Recipients of one domain."""


@dataclass(slots=True)
class Grant:
    """To whom a message may go now."""

    now: list[str] = field(default_factory=list)
    asleep: dict[str, datetime] = field(default_factory=dict)
    """Until when the others wait, because of their domain's limit."""
    held_until: datetime | None = None
    """Until when the server takes no message at all; then nobody is granted anything, nor put to sleep."""


def take(server: str, limits: Limits, recipients: Sequence[str]) -> Grant:
    """Take room for one message to as many of these recipients as there is room for, in their order."""
    if not (limits.messages or limits.per_domain):
        return Grant(now=list(recipients))
    with transaction.atomic():
        return _take(server, limits, recipients)


def _take(server: str, limits: Limits, recipients: Sequence[str]) -> Grant:
    domains = sorted({domain_of(address) for address in recipients}) if limits.per_domain else []
    counts = _locked(server, ["", *domains])
    now = clock.now()
    for row in counts.values():
        _forget_times_to_come(row, now)
    if limits.messages and not _room(counts[""], limits.messages, now):
        return Grant(held_until=_next_room(counts[""], limits.messages, now))
    grant = Grant()
    taken: Counter[str] = Counter()
    for address in recipients:
        domain = domain_of(address)
        if not limits.per_domain or taken[domain] < _room(counts[domain], limits.per_domain, now):
            grant.now.append(address)
            taken[domain] += 1
    if grant.now:
        _add(counts[""], 1, now)
        for domain in domains:
            _add(counts[domain], taken[domain], now)
    # A message books once for each domain: it comes back as a whole, and takes as much room as there is then.
    left = [address for address in recipients if address not in grant.now]
    until = {domain: _book(counts[domain], limits.per_domain, now) for domain in dict.fromkeys(map(domain_of, left))}
    grant.asleep = {address: until[domain_of(address)] for address in left}
    for row in counts.values():
        row.save()
    return grant


def domain_of(address: str) -> str:
    """The domain of an address, in lower case."""
    return address.rpartition("@")[2].lower()[:253]


def _locked(server: str, domains: Sequence[str]) -> dict[str, SentLately]:
    """The rows, locked in one order, so that no two workers wait for each other."""
    missing = set(domains) - {row.domain for row in _rows(server, domains)}
    SentLately.objects.bulk_create(
        [SentLately(server=server, domain=domain) for domain in sorted(missing)], ignore_conflicts=True
    )
    return {row.domain: row for row in _rows(server, domains).order_by("domain").select_for_update()}


def _rows(server: str, domains: Collection[str]) -> models.QuerySet[SentLately]:
    return SentLately.objects.filter(server=server, domain__in=domains)


def _recent(row: SentLately, now: datetime) -> dict[int, int]:
    """How many in each second of the last minute; a second that began earlier may reach into it."""
    this = int(now.timestamp())
    return {at: count for at, count in ((int(key), count) for key, count in row.seconds.items()) if this - at in _SPAN}


_SPAN = range(_MINUTE + 1)


def _forget_times_to_come(row: SentLately, now: datetime) -> None:
    """What was sent at a time to come was sent by a clock that has been set back since, and booked by it too."""
    limit = (now + clock.TOLERANCE).timestamp()
    if any(int(key) > limit for key in row.seconds):
        row.seconds = {str(at): count for at, count in _recent(row, now).items()}
        row.booked_until = None


def _room(row: SentLately, limit: int, now: datetime) -> int:
    return max(limit - sum(_recent(row, now).values()), 0)


def _next_room(row: SentLately, limit: int, now: datetime) -> datetime:
    """When there is room for one more."""
    too_many = sum(_recent(row, now).values()) - limit + 1
    for at, count in sorted(_recent(row, now).items()):
        too_many -= count
        if too_many <= 0:
            return datetime.fromtimestamp(at + _MINUTE + 1, tz=now.tzinfo)
    return now


def _add(row: SentLately, count: int, now: datetime) -> None:
    recent = _recent(row, now)
    if count:
        this = int(now.timestamp())
        recent[this] = recent.get(this, 0) + count
    row.seconds = {str(at): sent for at, sent in recent.items()}


def _book(row: SentLately, limit: int, now: datetime) -> datetime:
    """Room for one more, after those that were booked before."""
    at = max(row.booked_until or now, _next_room(row, limit, now))
    row.booked_until = at + timedelta(seconds=_MINUTE / limit)
    return at
