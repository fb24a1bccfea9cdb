"""Exchange's events as calendar objects, on which the engine works, and back: what a new text changes of the event.

Exchange keeps one body of an event, HTML or plain text, so the object has one description, and none of an event
whose body is empty. An exception has a body of its own even where nobody has changed it, so it always comes with
a description of its own and is written by itself; one without text inherits that of the series, as it does for the
engine everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from migrations_app.calendars.content_lines import Calendar, Event, folded, parse, unfold, value_start
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.mailboxes.exchange.date_lines import dates, recurrence_id
from migrations_app.mailboxes.exchange.events import PROPERTIES, Change, ExchangeEvent
from migrations_app.mailboxes.exchange.people_lines import people
from migrations_app.mailboxes.exchange.values import body_from_value, body_to_value, from_value, to_value
from migrations_app.rewriting.components import recurrence_id_of
from tenants_app.sentences import sentence

_END_OF_LINE = b"\r\n"
_FOLD = b"\r\n "
_HEADS = {True: b"X-ALT-DESC;FMTTYPE=text/html:", False: b"DESCRIPTION:"}
_LOCATION = b"LOCATION:"
_NAMES = {b"X-MICROSOFT-" + name.upper().encode() + b":": name for name in PROPERTIES}
_WRITABLE = frozenset([*_HEADS.values(), _LOCATION, *_NAMES])
_COUNTED_BY_SERVER = frozenset([b"SEQUENCE", b"DTSTAMP", b"LAST-MODIFIED"])
# A stamp is required, and an event has none that does not change when an attendee answers.
_STAMP = b"DTSTAMP:19700101T000000Z"


def to_calendar(event: ExchangeEvent) -> bytes:
    """The event, with its exceptions, as one calendar object (RFC 5545): the same octets for the same event."""
    lines = [b"BEGIN:VCALENDAR", b"VERSION:2.0", b"PRODID:-//MMS//Exchange//EN"]
    for each in (event, *_exceptions(event)):
        lines += [b"BEGIN:VEVENT", *_lines(each, event), b"END:VEVENT"]
    lines.append(b"END:VCALENDAR")
    return b"".join([folded(line, _FOLD) + _END_OF_LINE for line in lines])


def etag_of(event: ExchangeEvent) -> str:
    """What tells this state of the event and its exceptions from every other, as far as MMS reads them.

    A digest of all fields, bodies character for character, but for the change keys and the attendees' answers: an
    answer that comes in while a meeting is worked on is no reason to begin anew. What the next write is conditional on
    is the change key of the event that was read last. A series of which some exceptions are written already has
    another digest than before and after.
    """
    said = repr(_without_answers(event)).encode("utf-8", "backslashreplace")
    return blake2b(said, digest_size=16).hexdigest()


def changes(event: ExchangeEvent, text: bytes) -> Sequence[Change]:
    """What has to be written so that the event says what ``text`` does, a rewrite of its calendar object; one change
    for each event that differs, exceptions first. Whatever did not change in the text is, character for character, what
    was read. Raises ``ValueError`` where the text differs in something that is not a block's to change."""
    was, now = to_calendar(event), text
    try:
        (before,), (after,) = parse(was), parse(now)
    except UnreadableCalendar as error:
        raise ValueError(sentence("The text is no calendar object.")) from error
    if _around(was, before) != _around(now, after):
        raise ValueError(sentence("The text differs outside of its events."))
    old, new = _by_recurrence_id(was, before), _by_recurrence_id(now, after)
    events = {recurrence_id(each, event).decode("ascii"): each for each in _exceptions(event)} | {"": event}
    if not old.keys() == new.keys() == events.keys():
        raise ValueError(sentence("The text has other occurrences than the event."))
    found = (_change(each, old[name], new[name]) for name, each in events.items())
    return [each for each in found if each is not None]


def _exceptions(event: ExchangeEvent) -> Sequence[ExchangeEvent]:
    return sorted(event.exceptions, key=lambda each: (recurrence_id(each, event), each.id))


def _lines(event: ExchangeEvent, series: ExchangeEvent) -> Iterator[bytes]:
    """The lines of a VEVENT, unfolded."""
    yield b"UID:" + _plain(series.uid)
    yield from dates(event, series)
    yield _STAMP
    yield b"SEQUENCE:%d" % max(event.sequence, 0)
    if event.is_cancelled:
        yield b"STATUS:CANCELLED"
    yield from people(event)
    yield b"SUMMARY:" + to_value(event.subject)
    if event.location:
        yield _LOCATION + to_value(event.location)
    for head, name in _NAMES.items():
        if event.properties.get(name):
            yield head + to_value(event.properties[name])
    if event.body:
        yield _HEADS[event.body_is_html] + body_to_value(event.body, is_html=event.body_is_html)


def _plain(text: str) -> bytes:
    """A text without control characters, which must not begin a new line."""
    return "".join(character for character in text if character.isprintable()).encode()


def _without_answers(event: ExchangeEvent) -> ExchangeEvent:
    return replace(
        event,
        change_key="",
        organizer=event.organizer and replace(event.organizer, answer=""),
        attendees=tuple(sorted((replace(each, answer="") for each in event.attendees), key=repr)),
        properties=dict(sorted(event.properties.items())),
        excluded=tuple(sorted(event.excluded)),
        exceptions=tuple(map(_without_answers, _exceptions(event))),
    )


# --- back ---------------------------------------------------------------------------------------------------


def _around(source: bytes, calendar: Calendar) -> list[bytes]:
    """What an object has besides its events."""
    pieces = [*calendar.header, *calendar.timezones, calendar.footer]
    inner = [(start, end) for event in calendar.events for _, start, end in event.inner]
    return [source[start:end] for start, end in [*pieces, *inner]]


def _by_recurrence_id(source: bytes, calendar: Calendar) -> dict[str, Mapping[bytes, bytes]]:
    found = {recurrence_id_of(source, event): _said(source, event) for event in calendar.events}
    if len(found) < len(calendar.events):
        raise ValueError(sentence("The text holds the event or one of its occurrences more than once."))
    return found


def _said(source: bytes, event: Event) -> Mapping[bytes, bytes]:
    """What an event says, by the heads of its lines; of what no block can change, all lines together."""
    values: dict[bytes, bytes] = {}
    others: Counter[bytes] = Counter()
    for line in event.lines:
        unfolded = unfold(source[line.start : line.end])
        head = unfolded[: value_start(unfolded)]
        if head in _WRITABLE and head not in values:
            values[head] = unfolded[len(head) :]
        elif line.name not in _COUNTED_BY_SERVER:
            others[unfolded] += 1
    return values | {b"": b"\n".join(sorted(others.elements()))}


def _change(event: ExchangeEvent, was: Mapping[bytes, bytes], now: Mapping[bytes, bytes]) -> Change | None:
    """What is to be written of one event; None where nothing is."""
    differing = {head for head in was.keys() | now.keys() if was.get(head) != now.get(head)}
    if not differing:
        return None
    own = _HEADS[event.body_is_html]
    if b"" in differing or not differing.isdisjoint({*_HEADS.values()} - {own}):
        raise ValueError(sentence("The text differs in something that is not the meeting block's to change."))
    if own in differing and not (was.get(own) and now.get(own)):
        raise ValueError(sentence("The text has gained or lost a description."))
    return Change(
        event.id,
        event.change_key,
        event.kind,
        body_from_value(now[own], event.body, is_html=event.body_is_html) if own in differing else None,
        event.body_is_html,
        from_value(now.get(_LOCATION, b"")) if _LOCATION in differing else None,
        dict(_properties(differing, now)),
    )


def _properties(differing: Iterable[bytes], now: Mapping[bytes, bytes]) -> Iterator[tuple[str, str]]:
    for head, name in _NAMES.items():
        if head in differing:
            yield name, from_value(now.get(head, b""))
