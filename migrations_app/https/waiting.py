"""How long a server asks to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(days=1)
"""A run is tried for a day (R28)."""


def wait_stated(text: str) -> timedelta | None:
    """How long to wait, given in seconds or as a time (RFC 9110 section 10.2.3); at most a day."""
    stated = text.strip()
    if not stated:
        return None
    if stated.isascii() and stated.isdigit():
        # More digits than a day has seconds is a day.
        wait = timedelta(seconds=int(stated)) if len(stated) < 6 else LONGEST_WAIT
    else:
        try:
            at = parsedate_to_datetime(stated)
        except (ValueError, OverflowError):
            return None
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
