"""What a mailbox of Exchange asks of the protocol by which it is reached: Graph, or EWS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, Self

from migrations_app.failures import Failure
from migrations_app.mailboxes.exchange.events import Change, Entry, ExchangeEvent


class Changed(Exception):
    """Somebody has changed the event since it was read: nothing was written."""


class Gone(Exception):
    """The event is not there any more."""


class Unsettled(Exception):
    """The answer to a write was lost: whether it was carried out shows only when the event is read."""


class Refused(Failure):
    """The server will not take this change of this event, now or later; nothing was written."""


class Source(Protocol):
    """The calendar of one user. Each method may raise ``Failure``; a session, closed by ``with``."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def list(self, now: datetime, keep: Callable[[], object]) -> Iterator[Sequence[Entry]]:
        """All events of the calendars that MMS may write which end after ``now``, and every series that may: single
        ones and masters, whoever organizes them. ``keep`` is called before each request."""

    def read(self, ids: Sequence[str]) -> Mapping[str, ExchangeEvent]:
        """These events, by their id, series with their exceptions; those that are gone are missing."""

    def apply(self, change: Change) -> str:
        """Write one change, in one request, on condition of its change key; the event's new change key. The server
        tells the attendees of it. Raises ``Changed``, ``Gone``, ``Unsettled`` or ``Refused``."""
