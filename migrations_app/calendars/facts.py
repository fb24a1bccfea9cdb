"""What a run needs to know about a meeting before touching it: who, when until, how many.

Dates are read with icalendar and dateutil; everything is turned to UTC. Where a time zone or a rule cannot be
resolved the answer errs towards "later", so that no meeting is taken for past that is not.
"""

from dataclasses import dataclass
from datetime import datetime

from migrations_app.calendars.content_lines import (
    Calendar,
    Event,
    events_of,
    methods_of,
    parse,
    text_of,
    uid_of,
    value_of,
)
from migrations_app.calendars.dates import Occurrence, Reader, changes_all_that_follow
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.people import organizer, person
from tenants_app.sentences import Sentence, sentence

ANSWERS = frozenset(["REPLY", "COUNTER", "REFRESH", "DECLINECOUNTER"])
"""The METHODs of what attendees and organizer write to each other about a meeting (RFC 5546 section 1.4)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """A meeting in short. Times are aware UTC; `ends_at` is None for a series without an end.

    `organizer` is a lower-case address, at most 320 characters, or ""; always "" for an answer (see ANSWERS).
    `attendee_count` counts distinct people, organizer included, also those without a mail address.
    """

    uid: str
    subject: str
    organizer: str
    starts_at: datetime
    ends_at: datetime | None
    attendee_count: int
    cancelled: bool


def read_facts(source: bytes) -> Facts:
    """Return the facts of one object (one UID). Raises UnreadableCalendar with a sentence naming what is wrong."""
    calendars = parse(source)
    events = events_of(calendars)
    reader = Reader(source, calendars)
    master = next((event for event in events if not event.named(b"RECURRENCE-ID")), None)
    overrides = [event for event in events if event.named(b"RECURRENCE-ID")]
    first = master or events[0]
    starts_at = reader.start(first).utc()
    ends_at = reader.end_of_series(master, overrides)
    cancelled = _cancelled(source, calendars)
    # An answer names the meeting's organizer but is not the meeting: nobody's copy to migrate or to mail.
    owner = None if methods_of(source, calendars) & ANSWERS else organizer(source, events)
    return Facts(
        uid=uid_of(source, first),
        subject=text_of(source, first, b"SUMMARY"),
        organizer=owner.address.lower() if owner else "",
        starts_at=starts_at,
        ends_at=ends_at,
        attendee_count=_count_people(source, events),
        cancelled=all(cancelled) or (master is not None and cancelled[events.index(master)]),
    )


def why_without_organizer(source: bytes) -> Sentence:
    """Return why an object has no organizer in its facts, as one clause. Raises UnreadableCalendar."""
    calendars = parse(source)
    answers = methods_of(source, calendars) & ANSWERS
    if answers:
        return sentence(
            "it is an answer about a meeting (METHOD:%(method)s), not the meeting itself", method=min(answers)
        )
    if organizer(source, events_of(calendars)) is None:
        return sentence("nobody is named as organizer")
    return sentence("its organizer is named without a mail address")


def occurrences(source: bytes, ends_after: datetime, starts_by: datetime) -> list[Occurrence]:
    """Return when one object's meeting takes place within two moments (aware): what ends after, and begins by, them.

    Cancelled occurrences take place no more. Raises UnreadableCalendar.
    """
    calendars = parse(source)
    events = events_of(calendars)
    master = next((event for event in events if not event.named(b"RECURRENCE-ID")), None)
    judged = zip(events, _cancelled(source, calendars), strict=True)
    overrides = [(event, is_off) for event, is_off in judged if event.named(b"RECURRENCE-ID")]
    return Reader(source, calendars).occurrences(master, overrides, ends_after, starts_by)


def _cancelled(source: bytes, calendars: list[Calendar]) -> list[bool]:
    """Tell of each event whether it takes place no more."""
    return [
        is_withdrawn or text_of(source, event, b"STATUS").upper() == "CANCELLED"
        for calendar in calendars
        for is_withdrawn in ["CANCEL" in methods_of(source, [calendar])]
        for event in calendar.events
    ]


def events_not_over(source: bytes, calendars: list[Calendar], now: datetime) -> list[Event]:
    """Return the master and those overrides that do not lie wholly before `now` (R23).

    An override whose end cannot be read is taken for one that is still to come.
    """
    events = events_of(calendars)
    reader = Reader(source, calendars)
    return [event for event in events if not _is_past_override(source, reader, event, now)]


def _is_past_override(source: bytes, reader: "Reader", event: Event, now: datetime) -> bool:
    if not event.named(b"RECURRENCE-ID") or changes_all_that_follow(source, event):
        return False
    try:
        return reader.end(event) < now
    except UnreadableCalendar:
        return False


def _count_people(source: bytes, events: list[Event]) -> int:
    people = set()
    for event in events:
        for line in event.lines:
            if line.name in (b"ATTENDEE", b"ORGANIZER"):
                name, address = person(source, line)
                people.add(address.casefold() or (name.casefold(), value_of(source, line)))
    return len(people)
