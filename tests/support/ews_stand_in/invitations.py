"""Invitations as items of the stand-in."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from migrations_app.mailboxes.ews import events
from migrations_app.mailboxes.exchange.events import ExchangeEvent
from tests.support.ews_stand_in.operations import whole
from tests.support.ews_stand_in.store import Item
from tests.support.exchange_events import event_of

_WINDOWS = {olson: windows for windows, olson in reversed(WINDOWS_TO_OLSON.items())}
_ANSWERS = {"ACCEPTED": "Accept", "DECLINED": "Decline", "TENTATIVE": "Tentative"}


def item_of(source: bytes) -> Item:
    """The item, with its exceptions, that Exchange would have of a calendar object."""
    event = event_of(source)
    item, exceptions = _item(event), [_item(each) for each in event.exceptions]
    for each in exceptions:
        each.body = each.body or item.body  # an occurrence that was only moved shows the text of its series
    return replace(item, rrule=_rule(event), exceptions=exceptions)


def event_of_item(item: Item) -> ExchangeEvent:
    """What a reader of EWS sees of an item of the stand-in, with its exceptions."""
    exceptions = sorted(item.exceptions, key=lambda each: each.original_start or each.starts_at)
    return events.event_of(whole(item), [events.event_of(whole(each)) for each in exceptions])


def _item(event: ExchangeEvent) -> Item:
    def people(role: str, *, rooms: bool = False) -> tuple[tuple[str, str, str], ...]:
        return tuple(
            (each.address, each.name, _ANSWERS.get(each.answer, "Unknown"))
            for each in event.attendees
            if each.is_room == rooms and (rooms or each.role == role)
        )

    return Item(
        event.subject,
        event.starts_at,
        event.ends_at,
        body=event.body,
        body_type="HTML" if event.body_is_html else "Text",
        zone=_WINDOWS.get(event.zone, "UTC"),
        location=event.location,
        uid=event.uid,
        organizer=(event.organizer.address, event.organizer.name) if event.organizer else ("", ""),
        required=people("REQ-PARTICIPANT"),
        optional=people("OPT-PARTICIPANT"),
        resources=people("", rooms=True),
        is_all_day=event.is_all_day,
        is_cancelled=event.is_cancelled,
        sequence=event.sequence,
        named=dict(event.properties),
        original_start=event.recurrence_id,
    )


def _rule(event: ExchangeEvent) -> str:
    """With the days said, which iCalendar leaves to the start."""
    if "FREQ=WEEKLY" in event.rrule and "BYDAY" not in event.rrule:
        start = event.starts_at.astimezone(ZoneInfo(event.zone))
        return f"{event.rrule};BYDAY={('MO', 'TU', 'WE', 'TH', 'FR', 'SA', 'SU')[start.weekday()]}"
    return event.rrule
