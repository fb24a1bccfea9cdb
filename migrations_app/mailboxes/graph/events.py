"""Graph's events (JSON) as :class:`migrations_app.mailboxes.exchange.events.ExchangeEvent`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time

from migrations_app.mailboxes.exchange.events import Entry, ExchangeEvent, Kind, Person
from migrations_app.mailboxes.graph.answers import (
    JSON,
    LONGEST_ETAG,
    flag,
    id_of,
    key,
    listed,
    moment,
    named,
    objects,
    text,
    unusable,
)
from migrations_app.mailboxes.graph.queries import PROPERTY_IDS, SEQUENCE_ID
from migrations_app.mailboxes.graph.recurrence import range_of, rule_of, zone_of

_KINDS = {"singleinstance": Kind.SINGLE, "seriesmaster": Kind.SERIES, "exception": Kind.EXCEPTION}
_ANSWERS = {
    "organizer": "ACCEPTED",
    "accepted": "ACCEPTED",
    "tentativelyaccepted": "TENTATIVE",
    "declined": "DECLINED",
}
"""PARTSTAT by response; ``none`` and ``notResponded`` are NEEDS-ACTION."""
_ROLES = {"optional": "OPT-PARTICIPANT", "resource": "NON-PARTICIPANT"}
_NAMES: Mapping[str, str] = {id_.casefold(): name for name, id_ in PROPERTY_IDS.items()}
"""Graph may write the GUID of an id in other letters than it was asked with."""


def entry_of(given: JSON) -> Entry:
    """What a listing tells of an event. Raises ``Failure``."""
    return Entry(id_of(given), change_key_of(given), _kind(given))


def change_key_of(given: JSON) -> str:
    """The ETag, which ``If-Match`` takes; empty where the event has none."""
    etag = key(given, "@odata.etag", LONGEST_ETAG)
    change_key = key(given, "changeKey", LONGEST_ETAG - 4)
    return etag or (f'W/"{change_key}"' if change_key else "")


def event_of(given: JSON, uid: str = "") -> ExchangeEvent:
    """The event without its exceptions. An exception has the ``uid`` of its series: what Graph calls its own differs.

    Raises ``Failure`` where something is missing without which MMS could take it for another event or another time.
    """
    kind = _kind(given)
    body = objects(given, "body")
    is_all_day = flag(given, "isAllDay")
    recurrence = objects(given, "recurrence")
    starts_at = _time(given, "start")
    # Whole days are the same wherever one is: midnights of UTC, or else those of the zone.
    zone = "UTC" if is_all_day and starts_at.time() == time.min else _zone(given, recurrence)
    properties, sequence = _properties(given)
    organizer = objects(given, "organizer")
    return ExchangeEvent(
        id=id_of(given),
        change_key=change_key_of(given),
        uid=uid or named(given, "iCalUId"),
        kind=kind,
        subject=text(given, "subject"),
        organizer=_person(organizer) if organizer else None,
        starts_at=starts_at,
        ends_at=_time(given, "end"),
        body=text(body, "content"),
        body_is_html=text(body, "contentType").casefold() != "text",
        zone=zone or "UTC",
        is_all_day=is_all_day,
        is_cancelled=flag(given, "isCancelled"),
        is_organizer=flag(given, "isOrganizer"),
        is_unsent=flag(given, "isDraft"),
        attendees=tuple(person for each in listed(given, "attendees") if (person := _attendee(each)).address),
        location=text(objects(given, "location"), "displayName"),
        properties=properties,
        join_url=text(objects(given, "onlineMeeting"), "joinUrl") or text(given, "onlineMeetingUrl"),
        sequence=sequence,
        rrule=rule_of(recurrence, zone, is_all_day) if kind is Kind.SERIES else "",
        recurrence_id=original_start(given) if kind is Kind.EXCEPTION else None,
    )


def original_start(given: JSON) -> datetime:
    """When the series had this occurrence or exception. Raises ``Failure``."""
    given_start = text(given, "originalStart")
    if given_start:
        return moment(given_start, "originalStart")
    if text(given, "type").casefold() == "occurrence":  # which is where the series has it
        return _time(given, "start")
    raise unusable("originalStart")


def _kind(given: JSON) -> Kind:
    kind = _KINDS.get(named(given, "type").casefold())
    if kind is None:
        raise unusable("type")
    return kind


def _zone(given: JSON, recurrence: JSON) -> str:
    """Of the series; empty where nobody knows."""
    names = (text(range_of(recurrence), "recurrenceTimeZone"), text(given, "originalStartTimeZone"))
    return next((zone for name in names if name and (zone := zone_of(name))), "")


def _time(given: JSON, name: str) -> datetime:
    when = objects(given, name)
    zone = zone_of(text(when, "timeZone") or "UTC")
    if not zone:
        raise unusable(name)
    return moment(named(when, "dateTime"), name, zone)


def _person(given: JSON) -> Person:
    address = objects(given, "emailAddress")
    return Person(text(address, "address"), text(address, "name"))


def _attendee(given: JSON) -> Person:
    person, role = _person(given), text(given, "type").casefold()
    answer = text(objects(given, "status"), "response").casefold()
    return Person(
        person.address,
        person.name,
        _ANSWERS.get(answer, "NEEDS-ACTION"),
        _ROLES.get(role, "REQ-PARTICIPANT"),
        is_room=role == "resource",
    )


def _properties(given: JSON) -> tuple[dict[str, str], int]:
    """The named properties that say something, and the sequence."""
    found, sequence = dict[str, str](), 0
    for each in listed(given, "singleValueExtendedProperties"):
        id_, value = text(each, "id").casefold(), text(each, "value")
        if id_ == SEQUENCE_ID.casefold():
            sequence = int(value) if value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS else 0
        elif value and id_ in _NAMES:
            found[_NAMES[id_]] = value
    return found, sequence


_MOST_DIGITS = 9
