"""Copies of meetings in the calendars of attendees, where the stand-in has these, and what an update does to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from tests.support.graph_stand_in.world import Event, Mailbox, World, opaque


class Copies(StrEnum):
    """What reaches attendees. Nobody has documented which of these Exchange does, and for which clients."""

    NONE = "none"
    """No copies: what is sent lies in a mailbox that nobody looks into."""
    STALE = "stale"
    """An invitation becomes a copy, which no update changes."""
    TEXT = "text"
    """A copy follows, but for its named properties, which stay as they were (msgraph-sdk-dotnet#519)."""
    WHOLE = "whole"
    """A copy follows with its named properties."""


def deliver(world: World, event: Event, recipients: Iterable[str], how: Copies, *, is_gone: bool) -> None:
    """Bring what was sent of an event, or of an exception, into the calendars of those who got it."""
    if how is Copies.NONE:
        return
    for address in recipients:
        user = next((each for each in world.users.values() if each.mail.casefold() == address.casefold()), None)
        mailbox = world.mailboxes.get(user.id) if user else None
        if mailbox is None or not mailbox.user.has_mailbox:
            continue
        copy = mailbox.events.get(_key(mailbox, event))
        if copy is None:
            copy = _new(mailbox, event)
        elif how is not Copies.STALE:
            _follow(copy, event, with_properties=how is Copies.WHOLE)
        if is_gone and how is not Copies.STALE:
            copy.is_cancelled, copy.subject = True, f"Canceled: {event.said('subject')}"
        copy.series.version += 1
        copy.series.other["modified"] = world.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def _key(mailbox: Mailbox, event: Event) -> str:
    return "AAkA" + opaque(f"{mailbox.user.id}:copy:{event.key}")


def _new(mailbox: Mailbox, event: Event) -> Event:
    """A copy that says by itself all that the event does; of an exception inside that of its series."""
    series = None
    if event.master is not None:
        series = mailbox.events.get(_key(mailbox, event.master)) or _new(mailbox, event.master)
    copy = replace(
        event,
        key=_key(mailbox, event),
        calendar=next(iter(mailbox.calendars)),
        is_organizer=False,
        master=series,
        exceptions=[],
        other={},
        **{name: event.said(name) for name in (*_FOLLOWING, *_KEPT)},
    )
    copy.properties = dict(copy.properties or {})
    if series is not None:
        series.exceptions.append(copy)
    mailbox.register(copy)
    return copy


_FOLLOWING = ("subject", "body", "location", "attendees", "organizer")
_KEPT = ("properties", "join_url", "provider")
"""What the Join button of some clients goes by."""


def _follow(copy: Event, event: Event, *, with_properties: bool) -> None:
    for name in (*_FOLLOWING, *(_KEPT if with_properties else ())):
        setattr(copy, name, event.said(name))
    copy.properties = dict(copy.properties or {})
    copy.starts_at, copy.ends_at, copy.sequence, copy.is_html = (
        event.starts_at,
        event.ends_at,
        event.sequence,
        event.is_html,
    )
