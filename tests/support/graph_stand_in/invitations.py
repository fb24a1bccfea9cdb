"""Invitations in iCalendar form as events of a mailbox: for the catalogue's, and for those that tests draw up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from icalendar import Calendar
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from migrations_app.mailboxes.exchange.events import PROPERTIES, ExchangeEvent, Kind, Person
from tests.support.graph_stand_in.blob import links


def of_invitation(text: bytes) -> ExchangeEvent:
    """The event that this calendar object describes. Raises ``ValueError`` where it has none."""
    events = list(Calendar.from_ical(text).walk("VEVENT"))
    masters = [event for event in events if "RECURRENCE-ID" not in event]
    if not masters:
        raise ValueError("There is no event, or none but exceptions.")
    others = tuple(sorted((_event(e) for e in events if "RECURRENCE-ID" in e), key=lambda e: e.starts_at))
    return _event(masters[0], others)


def _as_the_series(exception: ExchangeEvent, body: str, is_html: bool) -> ExchangeEvent:
    """In Exchange an exception that says nothing of its own says what the series does."""
    return exception if exception.body else replace(exception, body=body, body_is_html=is_html)


def _event(event: Any, exceptions: tuple[ExchangeEvent, ...] = ()) -> ExchangeEvent:
    begins = event.decoded("DTSTART")
    starts = _utc(begins)
    if "DTEND" in event:
        ends = _utc(event.decoded("DTEND"))
    else:
        ends = starts + event.decoded(
            "DURATION", timedelta(days=1) if not isinstance(begins, datetime) else timedelta()
        )
    alternative = event.get("X-ALT-DESC")
    body = str(alternative if alternative is not None else event.get("DESCRIPTION", ""))
    named = {f"X-MICROSOFT-{name.upper()}": name for name in PROPERTIES}
    properties = {named[key]: str(value) for key, value in event.items() if key in named and str(value)}
    recurrence = event.get("RECURRENCE-ID")
    rule = event.get("RRULE")
    join = properties.get("SkypeTeamsMeetingUrl") or next(iter(links(body)), "")
    return ExchangeEvent(
        id="",
        change_key="",
        uid=str(event.get("UID", "")),
        kind=Kind.EXCEPTION if recurrence else Kind.SERIES if rule else Kind.SINGLE,
        subject=str(event.get("SUMMARY", "")),
        organizer=_person(event["ORGANIZER"]) if "ORGANIZER" in event else None,
        starts_at=starts,
        ends_at=max(ends, starts),
        body=body,
        body_is_html=alternative is not None,
        zone=_zone(event, begins),
        is_all_day=not isinstance(begins, datetime),
        is_cancelled=str(event.get("STATUS", "")).upper() == "CANCELLED",
        attendees=tuple(_person(who) for who in _list(event.get("ATTENDEE"))),
        location=str(event.get("LOCATION", "")),
        properties=properties,
        join_url=join or properties.get("OnlineMeetingExternalLink", ""),
        sequence=int(event.get("SEQUENCE", 0)),
        rrule=rule.to_ical().decode() if rule else "",
        excluded=tuple(_utc(one.dt) for group in _list(event.get("EXDATE")) for one in group.dts),
        recurrence_id=_utc(recurrence.dt) if recurrence else None,
        exceptions=tuple(_as_the_series(each, body, alternative is not None) for each in exceptions),
    )


def _list(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [] if value is None else [value]


def _utc(moment: date) -> datetime:
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time(), UTC)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _zone(event: Any, begins: Any) -> str:
    name = str(event["DTSTART"].params.get("TZID", "") or getattr(getattr(begins, "tzinfo", None), "key", "") or "UTC")
    return WINDOWS_TO_OLSON.get(name, name)


def _person(who: Any) -> Person:
    given = who.params
    return Person(
        str(who).removeprefix("mailto:").removeprefix("MAILTO:"),
        str(given.get("CN", "")),
        str(given.get("PARTSTAT", "NEEDS-ACTION")).upper(),
        str(given.get("ROLE", "REQ-PARTICIPANT")).upper(),
        str(given.get("CUTYPE", "")).upper() in ("ROOM", "RESOURCE"),
    )
