"""Calendar objects of one meeting each (RFC 4791 section 4.1), out of files that hold many.

An object needs the time zones that it names, and only these: a file may define thousands. What comes out is bounded,
because a small file can stand for a very large mailbox.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain

from migrations_app.calendars.content_lines import (
    Calendar,
    Edit,
    Event,
    all_events,
    events_of,
    line_number,
    parse,
    splice,
    text_of,
    uid_of,
    unfold,
)
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.moments import plain_name, zone_id
from tenants_app.sentences import sentence

LARGEST_FILE = 16_000_000
"""Octets of a file, and octets that its objects may have more than it."""
MOST_LINES = 1_000_000
"""Content lines of a file."""
_OF_SPLITTING = frozenset([b"UID", b"SUMMARY"])
_ZONE_NAME = re.compile(rb'"([^"\r\n]*)|([^";:\r\n]*)')

Member = tuple[Calendar, Event]


class Zones:
    """The time zones of each calendar of a file."""

    def __init__(self, source: bytes, calendars: Iterable[Calendar]) -> None:
        self._source = source
        self._texts = {
            id(calendar): {zone_id(text): text for text in (source[slice(*span)] for span in calendar.timezones)}
            for calendar in calendars
        }

    def named_by(self, members: Iterable[Member]) -> list[bytes]:
        """Return the definitions that these events name, each once, in the order in which they name them."""
        found: dict[bytes, None] = {}
        for calendar, event in members:
            if known := self._texts[id(calendar)]:
                found |= dict.fromkeys(known[name] for name in self._names(event, known) if name in known)
        return list(found)

    def _names(self, event: Event, known: Collection[str]) -> Iterable[str]:
        text = self._source[event.start : event.end]
        names = dict.fromkeys(_names_in(text))
        if not all(name in names for name in known):  # a name may be folded
            names |= dict.fromkeys(_names_in(unfold(text)))
        return names


def _names_in(text: bytes) -> Iterator[str]:
    for piece in text.lower().split(b"tzid=")[1:]:  # parameters have any case, and names are compared without theirs
        if (found := _ZONE_NAME.match(piece)) is not None:
            yield plain_name((found[1] or found[2] or b"").decode("utf-8", "replace"))


def split_objects(source: bytes) -> list[tuple[str, bytes]]:
    """Return (UID, object) for each UID of a file, in the order of their first events.

    A source with one UID comes back as it is; with several, each object gets its calendar's own lines, the time zones
    that it names and its events, copied octet for octet. Raises UnreadableCalendar (see `parse`), also when a VEVENT
    has no UID or when the file or what comes out of it is too large, and NoMeeting when there is no VEVENT at all.
    """
    if len(source) > LARGEST_FILE:
        raise UnreadableCalendar(
            sentence(
                "The file has %(size)s MB, and %(most)s MB are read: export fewer meetings at a time.",
                size=round(len(source) / 1e6),
                most=round(LARGEST_FILE / 1e6),
            )
        )
    calendars = parse(source, only=_OF_SPLITTING, most_lines=MOST_LINES)
    events_of(calendars)
    objects: dict[str, list[Member]] = {}
    for calendar in calendars:
        for event in calendar.events:
            uid = uid_of(source, event)
            if not uid:
                subject = text_of(source, event, b"SUMMARY")[:100]
                line = str(line_number(source, event.start))
                raise UnreadableCalendar(
                    sentence("The event in line %(line)s, “%(subject)s”, has no UID.", line=line, subject=subject)
                    if subject
                    else sentence("The event in line %(line)s has no UID.", line=line)
                )
            objects.setdefault(uid, []).append((calendar, event))
    if len(objects) == 1:
        return [(next(iter(objects)), source)]
    return _taken_apart(source, calendars, objects)


def _taken_apart(
    source: bytes, calendars: Sequence[Calendar], objects: dict[str, list[Member]]
) -> list[tuple[str, bytes]]:
    zones = Zones(source, calendars)
    headers = {id(each): b"".join([source[start:end] for start, end in each.header]) for each in calendars}
    apart, room = [], len(source) + LARGEST_FILE
    for uid, members in objects.items():
        body = one_object(source, members, [headers[id(members[0][0])]], zones)
        room -= len(body)
        if room < 0:
            raise UnreadableCalendar(
                sentence(
                    "The file's meetings take far more room one by one than together, since each names large time "
                    "zones or its calendar has many lines of its own: export fewer meetings at a time."
                )
            )
        apart.append((uid, body))
    return apart


def one_object(
    source: bytes, members: Sequence[Member], header: Iterable[bytes], zones: Zones, texts: Iterable[bytes] = ()
) -> bytes:
    """Return one calendar of the lines in `header`, the time zones that the members name and their events.

    `texts` are written in the place of the events where they are given. Every other component is left out.
    """
    events = texts or (source[event.start : event.end] for _, event in members)
    footer = source[slice(*members[0][0].footer)]
    return b"".join(chain(header, zones.named_by(members), events, [footer]))


def put_back(source: bytes, changed: Mapping[str, tuple[bytes, bytes]]) -> bytes:
    """Return the file that `split_objects` took apart with some objects changed, and every other octet as it was.

    `changed` has, by UID, an object as it came out and as it is now. Only its events may differ, and none may have
    come or gone: what else an object has belongs to the whole file. Raises ValueError where that is not so.
    """
    if not changed:
        return source
    spans: dict[str, list[tuple[int, int]]] = {}
    for event in events_of(parse(source, only=_OF_SPLITTING, most_lines=MOST_LINES)):
        spans.setdefault(uid_of(source, event), []).append((event.start, event.end))
    if len(spans) == 1:
        return next(iter(changed.values()))[1]
    edits = []
    for uid, (before, after) in changed.items():
        old, new = all_events(before), all_events(after)
        if not len(spans[uid]) == len(old) == len(new) or _around(before, old) != _around(after, new):
            raise ValueError(sentence("The object with the UID %(uid)s cannot be put back into its file.", uid=uid))
        edits += [
            Edit(start, end, after[event.start : event.end])
            for (start, end), event in zip(spans[uid], new, strict=True)
        ]
    return splice(source, edits)


def _around(source: bytes, events: Sequence[Event]) -> list[bytes]:
    """What stands before, between and after the events of an object."""
    ends = [0, *(event.end for event in events)]
    starts = [*(event.start for event in events), len(source)]
    return [source[end:start] for end, start in zip(ends, starts, strict=True)]
