"""What differs between an event as the organizer has it and as attendees are sent it; what is stored stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrations_app.calendars import people
from migrations_app.calendars.content_lines import (
    AS_WINDOWS_1252,
    Edit,
    Event,
    folded,
    insert_lines,
    replace_in_value,
    unfold,
    value_start,
)

# What a program notes for itself about the organizer's copy: that it opens a window, when an alarm was dismissed.
_OWN = frozenset([b"X-MS-OLK-FORCEINSPECTOROPEN", b"X-MOZ-LASTACK"])
_OWN_PREFIX = b"X-MOZ-SNOOZE-TIME"
_CRLF = b"\r\n"


def is_own(name: bytes) -> bool:
    """Tell whether a property, of an event or of the calendar, is a program's note about the organizer's copy."""
    return name in _OWN or name.startswith(_OWN_PREFIX)


def as_sent(source: bytes, event: Event, stamp: bytes) -> Iterator[Edit]:
    """Yield the edits that make an event the attendees'.

    The organizer's alarms and notes go. `stamp` becomes its DTSTAMP where one is given: all that one message holds is
    of one revision (RFC 5546 section 2.1.5). Each address becomes a mailto: link (RFC 6047 section 2.3).
    """
    for name, start, end in event.inner:
        if name == b"VALARM":
            yield Edit(start, end, b"")
    for name in event.names:
        if is_own(name):
            yield from (Edit(line.start, line.following, b"") for line in event.named(name))
    for line in (*event.named(b"ORGANIZER"), *event.named(b"ATTENDEE")):
        if (found := people.ill_written(source, line)) is not None:
            start, end, address = found
            yield replace_in_value(source, line, start, end, b"mailto:" + address)
    if stamp:
        yield from _stamped(source, event, stamp)


def _stamped(source: bytes, event: Event, stamp: bytes) -> Iterator[Edit]:
    lines = event.named(b"DTSTAMP")
    for line in lines:
        unfolded = unfold(source[line.start : line.end])
        start = value_start(unfolded)
        if unfolded[start:].strip() != stamp:
            yield replace_in_value(source, line, start, len(unfolded), stamp)
    if not lines:
        yield insert_lines(source, event, [b"DTSTAMP:" + stamp])


def as_utf_8(calendar: bytes) -> bytes:
    """Return a calendar as the UTF-8 text that a mail says it is, with CRLF line ends (RFC 2045 section 6.8).

    A line with a fold inside a character is folded anew; octets that are not UTF-8 are taken for Windows-1252.
    """
    without_breaks = b"".join(calendar.split(_CRLF))  # quicker than to count them
    if b"\n" in without_breaks or b"\r" in without_breaks:
        calendar = _CRLF.join(line.rstrip(b"\r").replace(b"\r", b" ") for line in calendar.split(b"\n"))
    if calendar.isascii() or _is_utf_8(calendar):
        return calendar
    lines = re.split(rb"\r\n(?![ \t])", calendar)
    return _CRLF.join(line if _is_utf_8(line) else _recoded(line) for line in lines)


def _recoded(line: bytes) -> bytes:
    text = unfold(line).decode("utf-8", AS_WINDOWS_1252)
    return folded(text.encode("utf-8"), b"\r\n ")


def _is_utf_8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
