"""The revision stamps of an object: which update of a meeting is newer (RFC 5546 section 2.1.4)."""

from collections.abc import Sequence
from datetime import UTC, datetime

from migrations_app.calendars.content_lines import Edit, Event, insert_lines, replace_in_value, unfold, value_start
from migrations_app.calendars.revision import SEQUENCES, highest_sequence
from migrations_app.rewriting.errors import needs_review

_STAMPS = frozenset([b"DTSTAMP", b"LAST-MODIFIED", b"X-MS-OLK-APPTSEQTIME"])
_HIGHEST_SEQUENCE = 2**31 - 1


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
            if line.name in SEQUENCES or line.name in _STAMPS:
                missing.pop(line.name, None)
                unfolded = unfold(source[line.start : line.end])
                text = number if line.name in SEQUENCES else stamp
                edits.append(replace_in_value(source, line, value_start(unfolded), len(unfolded), text))
        if missing:
            edits.append(insert_lines(source, event, [name + b":" + value for name, value in missing.items()]))
    return highest + 1
