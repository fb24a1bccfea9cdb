"""Putting events into a mailbox of the stand-in, and reading them out again past the protocol."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from migrations_app.mailboxes.exchange.events import ExchangeEvent, Kind, Person
from tests.support.graph_stand_in.blob import links, register
from tests.support.graph_stand_in.odata import canonical
from tests.support.graph_stand_in.reading import occurrence_key
from tests.support.graph_stand_in.world import Event, Mailbox, World, opaque, property_id


def add(world: World, mailbox: Mailbox, event: ExchangeEvent, calendar: str = "") -> Event:
    """Keep the event with its exceptions. Ids and change keys are the stand-in's own. What an exception has in common
    with its series it inherits, as in Exchange: it then changes with the series."""
    number = world.number("event")
    calendar = calendar or next(iter(mailbox.calendars))
    kept = _one(event, "AAkA" + opaque(f"{mailbox.user.id}:{event.uid}:{number}"), calendar)
    kept.rrule, kept.excluded = event.rrule, tuple(event.excluded)
    mailbox.register(kept)
    for exception in event.exceptions:
        start = exception.recurrence_id or exception.starts_at
        own = _one(exception, occurrence_key(kept, start.astimezone(UTC)), calendar)
        own.master, own.recurrence_id, own.kind, own.zone = kept, start.astimezone(UTC), Kind.EXCEPTION, kept.zone
        for name in ("subject", "attendees", "location", "properties", "join_url", "provider", "organizer"):
            if getattr(own, name) == getattr(kept, name):
                setattr(own, name, None)
        if (own.body, own.is_html) == (kept.body, kept.is_html):
            own.body = None
        kept.exceptions.append(own)
        mailbox.register(own)
    for one in (kept, *kept.exceptions):
        if one.join_url and one.provider == "teamsForBusiness":
            known = any(meeting["joinWebUrl"] == one.join_url for meeting in world.meetings.values())
            if not known:
                register(world, mailbox.user, one.join_url, subject=one.subject)
    return kept


def _one(event: ExchangeEvent, key: str, calendar: str) -> Event:
    provider = "unknown"
    if event.join_url:
        provider = "teamsForBusiness" if links(event.join_url) else "skypeForBusiness"
    return Event(
        key=key,
        calendar=calendar,
        uid=event.uid,
        kind=event.kind,
        starts_at=event.starts_at.astimezone(UTC),
        ends_at=event.ends_at.astimezone(UTC),
        subject=event.subject,
        organizer=event.organizer,
        attendees=tuple(event.attendees),
        body=event.body,
        is_html=event.body_is_html,
        location=event.location,
        properties={canonical(property_id(name)): value for name, value in event.properties.items() if value},
        zone=event.zone,
        is_all_day=event.is_all_day,
        is_cancelled=event.is_cancelled,
        is_unsent=event.is_unsent,
        is_organizer=event.is_organizer,
        sequence=event.sequence,
        join_url=event.join_url,
        provider=provider,
    )


def read(event: Event) -> ExchangeEvent:
    """What the mailbox holds of the event, with its exceptions: for tests that look past MMS."""
    names = {name.rpartition(" Name ")[2]: value for name, value in (event.said("properties") or {}).items()}
    is_html = event.is_html if event.body is not None or event.master is None else event.master.is_html
    return ExchangeEvent(
        id=event.key,
        change_key=f'W/"{event.change_key}"',
        uid=event.uid,
        kind=event.kind,
        subject=str(event.said("subject") or ""),
        organizer=event.said("organizer"),
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        body=str(event.said("body") or ""),
        body_is_html=is_html,
        zone=event.zone,
        is_all_day=event.is_all_day,
        is_cancelled=event.is_cancelled,
        is_unsent=event.is_unsent,
        is_organizer=event.series.is_organizer,
        attendees=tuple(event.said("attendees") or ()),
        location=str(event.said("location") or ""),
        properties=names,
        join_url=str(event.said("join_url") or ""),
        sequence=event.sequence,
        rrule=event.rrule,
        excluded=event.excluded,
        recurrence_id=event.recurrence_id,
        exceptions=tuple(read(exception) for exception in event.exceptions),
    )


def simple(uid: str, organizer: str, starts_at: datetime, ends_at: datetime, **said: Any) -> ExchangeEvent:
    """An event of which a test says only what matters to it."""
    facts: dict[str, Any] = {
        "id": "",
        "change_key": "",
        "uid": uid,
        "kind": Kind.SERIES if said.get("rrule") else Kind.SINGLE,
        "subject": "Weekly",
        "organizer": Person(organizer, "Anna Rossi"),
        "starts_at": starts_at,
        "ends_at": ends_at,
        "body": "<html><body>Agenda follows.</body></html>",
    }
    return ExchangeEvent(**{**facts, **said})
