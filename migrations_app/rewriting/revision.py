"""The revision stamps of an object: which update of a meeting is newer (RFC 5546 section 2.1.4)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from migrations_app.calendars.content_lines import Edit, Event, insert_lines, replace_in_value, unfold, value_start
from migrations_app.calendars.revision import SEQUENCES, highest_sequence, latest_stamp
from migrations_app.rewriting.errors import needs_review
from tenants_app.sentences import sentence

_STAMPS = frozenset([b"DTSTAMP", b"LAST-MODIFIED", b"X-MS-OLK-APPTSEQTIME"])
_REVISION = _STAMPS | SEQUENCES
_STAMP_FORMAT = "%Y%m%dT%H%M%SZ"
_HIGHEST_SEQUENCE = 2**31 - 1


def renew(
    source: bytes,
    events: Sequence[Event],
    changed: Sequence[Event],
    now: datetime,
    edits: list[Edit],
    *,
    same_sequence: bool = False,
) -> int:
    """Add the edits that mark the changed components as newer than every one there is. Return the SEQUENCE after them.

    With `same_sequence` that stays as it is, and the time stamps alone are newer (RFC 5546 section 2.1.5).
    """
    highest = highest_sequence(source, events)
    if highest >= _HIGHEST_SEQUENCE and not same_sequence:
        raise needs_review(
            sentence("The invitation's SEQUENCE is as high as it can be, so no update of it would be accepted.")
        )
    number = str(highest + 1).encode()
    moment = now.astimezone(UTC)
    if same_sequence:
        moment = max(moment, _after(latest_stamp(source, events)))
    written = moment.replace(tzinfo=None).isoformat(timespec="seconds")  # ten times as fast as strftime
    stamp = f"{written.replace('-', '').replace(':', '')}Z".encode()
    renewed = _STAMPS if same_sequence else _REVISION
    for event in changed:
        missing = {b"DTSTAMP": stamp} if same_sequence else {b"SEQUENCE": number, b"DTSTAMP": stamp}
        for line in event.lines:
            if line.name in renewed:
                missing.pop(line.name, None)
                unfolded = unfold(source[line.start : line.end])
                text = number if line.name in SEQUENCES else stamp
                edits.append(replace_in_value(source, line, value_start(unfolded), len(unfolded), text))
        if missing:
            edits.append(insert_lines(source, event, [name + b":" + value for name, value in missing.items()]))
    return highest if same_sequence else highest + 1


def _after(stamp: bytes) -> datetime:
    """Return the second after a time stamp; the beginning of time where it is none."""
    try:
        return datetime.strptime(stamp.decode("ascii").upper(), _STAMP_FORMAT).replace(tzinfo=UTC) + timedelta(
            seconds=1
        )
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)
