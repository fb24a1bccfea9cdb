"""Meetings that a check makes on an Exchange on-premises, reads and changes as MMS does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from migrations_app.failures import Failure
from migrations_app.mailboxes.ews import own_items
from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.mailboxes.exchange.events import Change, ExchangeEvent, Kind
from migrations_app.mailboxes.exchange.source import Changed, Gone, Unsettled
from migrations_app.tenant_checks import tidying
from migrations_app.tenant_checks.findings import Finding
from tenants_app.sentences import sentence

_TRIES = 3
"""How often something is written that changes meanwhile, as by the attendee's answer."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """The default calendar of a test mailbox, and who is invited to what is made in it."""

    source: EwsSource
    attendee: str
    now: datetime
    subjects: list[str] = field(default_factory=list)
    """Of all that may have been made."""

    @property
    def upn(self) -> str:
        return self.source.client.upn

    def make(self, html: str, *, occurrences: int = 1) -> OwnMeeting:
        """A new meeting in 30 days. Raises ``Failure``."""
        subject = tidying.SUBJECT.format(name=uuid4().hex[:8])
        begins = (self.now + timedelta(days=30)).replace(minute=0, second=0, microsecond=0)
        self.subjects.append(subject)
        client, why = self.source.client, ""
        try:
            made = own_items.make(client, subject, html, begins, self.attendee, occurrences=occurrences)
        except (Unsettled, Gone, Changed) as lost:
            made, why = own_items.find(client, subject), str(lost)
        if not made:
            told = sentence("Exchange has made no test event in the calendar of %(upn)s", upn=self.upn)
            raise Failure("mailbox-answer", sentence("%(told)s: %(why)s", told=told, why=why) if why else told)
        return OwnMeeting(self, made, subject)

    def delete(self, subject: str, wait: Callable[[float], object]) -> Finding:
        """Delete what has this subject, and say what came of it."""

        def delete(item_id: str) -> None:
            try:
                own_items.delete(self.source.client, item_id)
            except (Unsettled, Gone, Changed):
                return  # what is left is found

        return tidying.deleted(subject, self.upn, lambda: own_items.find(self.source.client, subject), delete, wait)


@dataclass(slots=True)
class OwnMeeting:
    """A meeting that a check has made. ``told`` is how many of its changes may have told the attendee."""

    calendar: Calendar
    id: str
    subject: str
    told: int = 0

    def read(self) -> ExchangeEvent:
        """What is there now. Raises ``Failure``."""
        found = self.calendar.source.read([self.id])
        if self.id not in found:
            raise Failure(
                "mailbox-answer",
                sentence("the test event “%(subject)s” is not there any more, or not readable", subject=self.subject),
            )
        return found[self.id]

    def write(self, **what: Any) -> ExchangeEvent:
        """Write the meeting as it stands now, and read it back. Raises ``Failure``."""
        return self._written(self.read, lambda now: self._apply(now, what))

    def write_exception(self, **what: Any) -> ExchangeEvent:
        """The same of the first exception; what is read back is the series."""
        return self._written(lambda: first_exception(self.read(), self.subject), lambda now: self._apply(now, what))

    def is_refused(self, stale: ExchangeEvent, html: str) -> bool | None:
        """Whether a text is refused that is written by what was read before the last change; None where the answer was
        lost. Raises ``Failure``."""
        try:
            self._apply(stale, {"body": html})
        except Changed:
            return True
        except Unsettled:
            self.told += 1
            return None
        self.told += 1
        return False

    def move(self, number: int, place: str) -> ExchangeEvent:
        """Give an occurrence of the series another place. Raises ``Failure``."""
        client = self.calendar.source.client

        def apply(now: ExchangeEvent) -> None:
            try:
                own_items.move_to(client, self.id, now.change_key, number, place)
            except Gone:
                raise Failure(
                    "mailbox-answer",
                    sentence("“%(subject)s” has no occurrence %(number)s", subject=self.subject, number=number),
                ) from None

        return self._written(self.read, apply)

    def _written(self, current: Callable[[], ExchangeEvent], apply: Callable[[ExchangeEvent], None]) -> ExchangeEvent:
        for _ in range(_TRIES):
            now = current()
            try:
                apply(now)
            except Changed:
                continue
            except Unsettled:
                if current().change_key == now.change_key:
                    continue  # it was not carried out
            self.told += 1
            return self.read()
        raise self._restless()

    def _apply(self, event: ExchangeEvent, what: dict[str, Any]) -> None:
        try:
            self.calendar.source.apply(Change(event.id, event.change_key, event.kind, **what))
        except Gone:
            raise Failure(
                "mailbox-answer", sentence("the test event “%(subject)s” is not there any more", subject=self.subject)
            ) from None

    def _restless(self) -> Failure:
        return Failure(
            "mailbox-answer",
            sentence(
                "“%(subject)s” could not be changed, or is changed by somebody else all the time", subject=self.subject
            ),
        )


def first_exception(series: ExchangeEvent, subject: str) -> ExchangeEvent:
    """Raises ``Failure`` where there is none."""
    if series.kind is not Kind.SERIES or not series.exceptions:
        raise Failure(
            "mailbox-answer", sentence("“%(subject)s” is no series with an exception any more", subject=subject)
        )
    return series.exceptions[0]
