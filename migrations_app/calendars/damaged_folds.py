"""Lines that an editor or a mail program cut in two by taking away the blank that a folded line begins with."""

from bisect import bisect_right
from itertools import islice, pairwise, takewhile
from operator import attrgetter

from migrations_app.calendars.content_lines import Event, Line, unfold

# Of events, by RFC 5545, 7986 and 9073; all others begin with X-.
_PROPERTIES = frozenset(
    b"ATTACH ATTENDEE CALENDAR-ADDRESS CATEGORIES CLASS COLOR COMMENT CONCEPT CONFERENCE CONTACT CREATED DESCRIPTION "
    b"DTEND DTSTAMP DTSTART DURATION EXDATE EXRULE GEO IMAGE LAST-MODIFIED LINK LOCATION LOCATION-TYPE NAME ORGANIZER "
    b"PARTICIPANT-TYPE PRIORITY RDATE RECURRENCE-ID REFID RELATED-TO REQUEST-STATUS RESOURCES RESOURCE-TYPE RRULE "
    b"SEQUENCE SOURCE STATUS STRUCTURED-DATA STYLED-DESCRIPTION SUMMARY TRANSP UID URL".split()
)

_start = attrgetter("start")


def remainder(source: bytes, event: Event, line: Line) -> bytes:
    """Return what stands between a line and the next property: the rest of its text where a fold is damaged.

    The octets are unfolded; b"" where the line is whole.
    """
    following = islice(event.lines, bisect_right(event.lines, line.start, key=_start), None)
    rest = takewhile(lambda other: _is_stray(other.name), following)
    return b"".join(unfold(source[other.start : other.end]) for other in rest)


def has_cut_attendee(source: bytes, event: Event) -> bool:
    """Tell whether the line of an attendee is cut in two, so that nobody can tell who it is."""
    if all(name.startswith(b"X-") for name in event.names - _PROPERTIES):
        return False
    heads = (source[line.start : line.start + 8].upper() for line in event.lines if _is_stray(line.name))
    return b"ATTENDEE" in heads or any(
        line.name == b"ATTENDEE" and _is_stray(following.name) for line, following in pairwise(event.lines)
    )


def _is_stray(name: bytes) -> bool:
    return name not in _PROPERTIES and not name.startswith(b"X-")
