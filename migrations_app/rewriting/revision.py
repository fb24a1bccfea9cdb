"""The revision stamps of an object: which update of a meeting is newer (RFC 5546 section 2.1.4)."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from migrations_app.rewriting.content_lines import (
    Edit,
    Event,
    insert_lines,
    replace_in_value,
    unfold,
    value_of,
    value_start,
)
from migrations_app.rewriting.errors import needs_review

# Exchange reads its own property before SEQUENCE (MS-OXCICAL), so both are raised.
_SEQUENCES = frozenset([b"SEQUENCE", b"X-MICROSOFT-CDO-APPT-SEQUENCE", b"X-MS-OLK-APPTLASTSEQUENCE"])
_STAMPS = frozenset([b"DTSTAMP", b"LAST-MODIFIED", b"X-MS-OLK-APPTSEQTIME"])
_HIGHEST_SEQUENCE = 2**31 - 1


def highest_sequence(source: bytes, events: Iterable[Event]) -> int:
    """Return the revision of an object: the highest SEQUENCE of its events, Exchange's own property included."""
    highest = 0
    for event in events:
        for line in (line for name in _SEQUENCES for line in event.named(name)):
            value = value_of(source, line).strip()
            if value.isdigit():
                highest = max(highest, int(value[:20]))
    return highest


def raise_sequence(
    source: bytes, events: Sequence[Event], changed: Sequence[Event], now: datetime, edits: list[Edit]
) -> int:
    """Add the edits that mark the changed components as newer than every one there is. Return the new SEQUENCE."""
    highest = highest_sequence(source, events)
    if highest >= _HIGHEST_SEQUENCE:
        raise needs_review("The invitation's SEQUENCE is as high as it can be, so no update of it would be accepted.")
    number = str(highest + 1).encode()
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ").encode()
    for event in changed:
        missing = {b"SEQUENCE": number, b"DTSTAMP": stamp}
        for line in event.lines:
            if line.name in _SEQUENCES or line.name in _STAMPS:
                missing.pop(line.name, None)
                unfolded = unfold(source[line.start : line.end])
                text = number if line.name in _SEQUENCES else stamp
                edits.append(replace_in_value(source, line, value_start(unfolded), len(unfolded), text))
        if missing:
            edits.append(insert_lines(source, event, [name + b":" + value for name, value in missing.items()]))
    return highest + 1
