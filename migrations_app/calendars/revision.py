"""The revision of an object: which update of a meeting is newer (RFC 5546 section 2.1.4)."""

import re
from collections.abc import Iterable

from migrations_app.calendars.content_lines import Event, value_of

# Exchange reads its own property before SEQUENCE (MS-OXCICAL), so both are raised.
SEQUENCES = frozenset([b"SEQUENCE", b"X-MICROSOFT-CDO-APPT-SEQUENCE", b"X-MS-OLK-APPTLASTSEQUENCE"])


def highest_sequence(source: bytes, events: Iterable[Event]) -> int:
    """Return the revision of an object: the highest SEQUENCE of its events, Exchange's own property included."""
    highest = 0
    for event in events:
        for line in (line for name in SEQUENCES for line in event.named(name)):
            value = value_of(source, line).strip()
            if value.isdigit():
                highest = max(highest, int(value[:20]))
    return highest


_STAMP = re.compile(rb"\d{8}T\d{6}Z", re.IGNORECASE)


def latest_stamp(source: bytes, events: Iterable[Event]) -> bytes:
    """Return the latest DTSTAMP of the events, as written; b"" where none of them is a time in UTC."""
    stamps = (value_of(source, line).strip() for event in events for line in event.named(b"DTSTAMP"))
    return max(filter(_STAMP.fullmatch, stamps), default=b"")
