"""A tenant over the last hour, day or 30 days, by what was measured (``samples``): for charts and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext, gettext_noop

from migrations_app.models import Sample
from tenants_app.models import Tenant


@dataclass(frozen=True, slots=True)
class Stretch:
    """What can be looked at: how far back, by which samples, and how finely it is drawn and told."""

    name: str
    """In addresses."""
    said: str
    """As a button says it."""
    is_empty: str
    """Said where nothing was measured in it."""
    length: timedelta
    by: int
    """Minutes of the samples that it is made of."""
    drawn: timedelta
    told: timedelta
    """How long one line of the table is."""

    @property
    def label(self) -> str:
        return gettext(self.said)

    @property
    def nothing_measured(self) -> str:
        return gettext(self.is_empty)


STRETCHES = {
    each.name: each
    for each in (
        Stretch(
            "hour",
            gettext_noop("Last hour"),
            gettext_noop(
                "Nothing was measured in the last hour: the background service measures every minute while it runs."
            ),
            timedelta(hours=1),
            Sample.MINUTE,
            timedelta(minutes=1),
            timedelta(minutes=5),
        ),
        Stretch(
            "day",
            gettext_noop("Last day"),
            gettext_noop(
                "Nothing was measured in the last day: the background service measures every minute while it runs."
            ),
            timedelta(days=1),
            Sample.MINUTE,
            timedelta(minutes=15),
            timedelta(hours=1),
        ),
        Stretch(
            "month",
            gettext_noop("Last 30 days"),
            gettext_noop(
                "Nothing was measured in the last 30 days but for this hour: the background service measures every "
                "minute while it runs."
            ),
            timedelta(days=30),
            Sample.HOUR,
            timedelta(hours=6),
            timedelta(days=1),
        ),
    )
}
USUAL = STRETCHES["day"]

STATES = ("failed", "pending", "in_progress", "succeeded", "left", "waiting")
"""What is so at a moment: of several samples the last one counts."""
DONE = ("sent", "runs_ended", "meetings")
"""What was done in a stretch: of several samples the sum counts."""
_FIELDS = (*STATES, *DONE)


@dataclass(slots=True)
class Bucket:
    """One piece of a stretch."""

    begin: datetime
    end: datetime
    minutes: int = 0
    """How many were measured; none is a gap, of which nothing is known."""
    values: dict[str, int] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)

    def add(self, sample: dict[str, int], measured: int, failures: dict[str, int]) -> None:
        """Add a sample that is later than those before."""
        self.minutes += measured
        self.values |= {name: sample[name] for name in STATES}
        self.values |= {name: self.values.get(name, 0) + sample[name] for name in DONE}
        self.failures.update(failures)

    def of(self, name: str) -> int | None:
        """A value, or None where nothing was measured."""
        return self.values.get(name)

    def failed_by(self, code: str) -> int | None:
        return self.failures[code] if self.minutes else None

    @property
    def failed_runs(self) -> int | None:
        return self.failures.total() if self.minutes else None


@dataclass(frozen=True, slots=True)
class OverTime:
    """A stretch, as finely as it is drawn and as it is told."""

    stretch: Stretch
    drawn: Sequence[Bucket]
    told: Sequence[Bucket]

    @property
    def begin(self) -> datetime:
        return self.drawn[0].begin

    @property
    def end(self) -> datetime:
        return self.drawn[-1].end

    @property
    def measured(self) -> int:
        """Minutes."""
        return sum(bucket.minutes for bucket in self.drawn)

    @property
    def missing(self) -> timedelta:
        """How much of it nobody has measured."""
        return max(self.end - self.begin - timedelta(minutes=self.measured), timedelta(0))

    @property
    def codes(self) -> list[tuple[str, int]]:
        """Codes by which runs failed, and how many, most first."""
        return sum((bucket.failures for bucket in self.told), Counter[str]()).most_common()


def over_time(tenant: Tenant, stretch: Stretch, now: datetime) -> OverTime:
    """The stretch that ends now; one statement, by an index, of at most some 1,500 rows."""
    last = now.replace(second=0, microsecond=0) if stretch.by == Sample.MINUTE else _hour_of(now)
    told, drawn = (_buckets(last, stretch, length) for length in (stretch.told, stretch.drawn))
    rows = Sample.objects.filter(
        tenant=tenant, length=stretch.by, at__gt=min(told[0].begin, drawn[0].begin), at__lte=last
    ).order_by("at")
    for at, measured, failures, *values in rows.values_list("at", "measured", "failures", *_FIELDS):
        sample = dict(zip(_FIELDS, values, strict=True))
        for buckets, length in ((told, stretch.told), (drawn, stretch.drawn)):
            place = _place(at, buckets, length)
            if place is not None:
                buckets[place].add(sample, measured, failures)
    return OverTime(stretch, drawn, told)


def _hour_of(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _buckets(last: datetime, stretch: Stretch, length: timedelta) -> list[Bucket]:
    count = stretch.length // length
    return [Bucket(last - length * (count - at), last - length * (count - at - 1)) for at in range(count)]


def _place(at: datetime, buckets: Sequence[Bucket], length: timedelta) -> int | None:
    """In which bucket a sample belongs that ended ``at``; a bucket holds its end, and not its beginning."""
    if at <= buckets[0].begin:
        return None
    return min(-int((buckets[0].begin - at) // length) - 1, len(buckets) - 1)


def highest(buckets: Iterable[Bucket], name: str) -> int | None:
    """The highest value that was measured; None where nothing was."""
    return max((value for bucket in buckets if (value := bucket.of(name)) is not None), default=None)
