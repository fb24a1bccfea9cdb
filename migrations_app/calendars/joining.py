"""Putting together what belongs to one meeting but came in several objects: a series and its changed occurrences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property

from migrations_app.calendars.content_lines import Calendar, Edit, Event, events_of, methods_of, parse, splice
from migrations_app.calendars.dates import Reader
from migrations_app.calendars.moments import zone_id
from tenants_app.sentences import Sentence, sentence

_OF_MEETINGS = frozenset(["PUBLISH", "REQUEST"])
"""The METHODs of an object that is the meeting itself, and neither an answer nor a cancellation."""

Key = datetime | str
"""What an event is of its series: the time that it replaces, in UTC where that can be read; "" for the series."""


class Clash(Exception):
    """Two objects of one UID cannot be one meeting: their places among those given, and what is wrong with the second,
    as a clause about it."""

    def __init__(self, first: int, second: int, why: str) -> None:
        super().__init__(why)
        self.first, self.second, self.why = first, second, why


class _Object:
    def __init__(self, source: bytes) -> None:
        self.source = source
        self.calendars = parse(source)
        self._reader = Reader(source, self.calendars)
        self.events = {self._key(event): event for event in events_of(self.calendars)}

    @property
    def has_series(self) -> bool:
        return "" in self.events

    @property
    def foreign_method(self) -> str:
        return min(methods_of(self.source, self.calendars) - _OF_MEETINGS, default="")

    def text(self, event: Event) -> bytes:
        return self.source[event.start : event.end]

    @cached_property
    def zones(self) -> dict[str, bytes]:
        texts = [self.source[start:end] for calendar in self.calendars for start, end in calendar.timezones]
        return {zone_id(text): text for text in texts}

    def place(self) -> Calendar:
        """Return the calendar that further events are written into."""
        return next(calendar for calendar in self.calendars if calendar.events)

    def _key(self, event: Event) -> Key:
        return self._reader.replaced(event) if event.named(b"RECURRENCE-ID") else ""


def join(sources: Sequence[bytes]) -> bytes:
    """Return one object of all events of several objects of one UID, written into the one that has the series.

    What several say in the same octets stands there once. Raises Clash when two say different things about the
    series or about the same occurrence, or one of several is not the meeting itself; UnreadableCalendar.
    """
    if len(set(sources)) == 1:
        return sources[0]
    objects = [_Object(source) for source in sources]
    places: dict[Key, int] = {}
    for place, each in enumerate(objects):
        if each.foreign_method:
            raise Clash(
                1 if place == 0 else 0,
                place,
                sentence("it is no invitation (METHOD:%(method)s)", method=each.foreign_method),
            )
        for key, event in each.events.items():
            first = places.setdefault(key, place)
            if objects[first].text(objects[first].events[key]) != each.text(event):
                raise Clash(first, place, _says_something_else(key))
    base = objects[places.get("", 0)]
    return _written(base, [(each, key) for key, place in places.items() if (each := objects[place]) is not base])


def join_stored(stored: bytes, new: bytes) -> bytes:
    """Return what a mailbox holds of a meeting once an object of the same UID comes in.

    A series takes the place of a stored series and all its occurrences; changed occurrences join the stored series,
    where each takes the place of the one that it changes. Raises Clash (0 is the stored object, 1 the new one) when
    the new one is not the meeting itself; UnreadableCalendar.
    """
    if stored == new:
        return new
    one, other = _Object(stored), _Object(new)
    if other.foreign_method:
        raise Clash(0, 1, sentence("it is no invitation (METHOD:%(method)s)", method=other.foreign_method))
    if other.has_series:
        if one.has_series:
            return new
        return _written(other, [(one, key) for key in one.events if key not in other.events])
    return _written(one, [(other, key) for key in other.events])


def _written(base: _Object, additions: Sequence[tuple[_Object, Key]]) -> bytes:
    """Return the base with other objects' events in it, in the place of those that they replace or after all others."""
    calendar = base.place()
    edits: list[Edit] = []
    missing: dict[str, bytes] = {}
    appended: list[bytes] = []
    for other, key in additions:
        missing.update({name: text for name, text in other.zones.items() if name not in base.zones})
        text, there = other.text(other.events[key]), base.events.get(key)
        if there is None:
            appended.append(text)
        elif base.text(there) != text:
            edits.append(Edit(there.start, there.end, text))
    begin = calendar.events[0].start
    edits += [Edit(begin, begin, text) for text in missing.values()]
    edits.append(Edit(calendar.footer[0], calendar.footer[0], b"".join(appended)))
    return splice(base.source, edits)


def _says_something_else(key: Key) -> Sentence:
    if key:
        return sentence("it says something else about the same occurrence")
    return sentence("it says something else about the same series")
