"""Times as Persistent Chat keeps them: ticks, units of 100 ns since the year 1 (R104, R105)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

A_MILLISECOND = 10_000
UNIX_EPOCH = 621_355_968_000_000_000
"""1970-01-01 in ticks: 62,135,596,800 s (chat.md, F4)."""
_FIRST = datetime(1990, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)
"""What is not between these is no time of a message, but another unit or a damaged number."""


def time_of(ticks: int) -> datetime | None:
    """The time to the millisecond, cut and not rounded, in UTC; None where it can be no time of a message."""
    milliseconds = (ticks - UNIX_EPOCH) // A_MILLISECOND
    if not _FIRST_MILLISECOND <= milliseconds < _LAST_MILLISECOND:
        return None
    return _UNIX + timedelta(milliseconds=milliseconds)


def ticks_of(time: datetime) -> int:
    """The same the other way round, exact to the microsecond."""
    return UNIX_EPOCH + (time - _UNIX) // timedelta(microseconds=1) * 10


_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MILLISECOND = (_FIRST - _UNIX) // timedelta(milliseconds=1)
_LAST_MILLISECOND = (_LAST - _UNIX) // timedelta(milliseconds=1)
