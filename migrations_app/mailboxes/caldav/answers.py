"""What a server's refusal means: for the catalogue, and in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from migrations_app.failures import Failure
from migrations_app.mailboxes.caldav.multistatus import preconditions
from migrations_app.mailboxes.caldav.transport import Answer

LONGEST_WAIT = timedelta(days=1)
"""A run is tried for a day (R28)."""
_PASSES = {408, 423, 425, 429, 507}
"""Refusals that pass by themselves, beside all from 500 on."""
_OVER_LIMIT = {413: "the meeting is too large", 507: "the mailbox is full"}
_CONDITIONS = {
    "no-uid-conflict": "another object in the mailbox has the same UID",
    "unique-scheduling-object-resource": "another object in the mailbox has the same UID",
    "valid-calendar-data": "the text is not valid to it",
    "valid-calendar-object-resource": "the object is not valid to it",
    "supported-calendar-data": "it does not take iCalendar",
    "supported-calendar-component": "the calendar takes no meetings",
    "max-resource-size": "the meeting is too large",
    "max-attendees-per-instance": "the meeting has too many attendees",
    "max-instances": "the series has too many occurrences",
    "min-date-time": "a date is too early",
    "max-date-time": "a date is too late",
    "quota-not-exceeded": "the mailbox is full",
    "sufficient-disk-space": "the server's disk is full",
    "same-organizer-in-all-components": "the occurrences have different organizers",
    "allowed-organizer-scheduling-object-change": "the organizer may not change this",
    "allowed-attendee-scheduling-object-change": "an attendee may not change this",
    "attendee-allowed": "an attendee is not allowed",
    "organizer-allowed": "the organizer is not allowed",
}
"""RFC 4791 sections 5.3.2.1 and 9, RFC 6638 section 3.2.4, RFC 4331."""


class Refused(Failure):
    """The server will not take an object as it is; ``conditions`` are the names of those that it names."""

    def __init__(self, status: int, conditions: list[str]) -> None:
        known = dict.fromkeys(_CONDITIONS[name] for name in conditions if name in _CONDITIONS)
        words = ", ".join(known) or _OVER_LIMIT.get(status, f"it answered {status} without saying why")
        super().__init__("meeting-refused-by-server", words)
        self.status = status
        self.conditions = conditions


class OfOnePath(Failure):
    """The server answers, and something is wrong with what was asked about: it says nothing of other mailboxes."""


_OF_ONE_PATH = {423, 500, 507}


def failure_of(answer: Answer) -> Failure:
    """What an answer that is not the expected one means for whatever was asked."""
    host, status, base = answer.origin.host, answer.status, answer.base
    if status == 403:
        return Failure("mailbox-forbidden", f"{host} forbids it at {base}")
    if status in {404, 410}:
        return Failure("mailbox-not-found", f"{host} has nothing at {base}")
    if status in {405, 501} or status // 100 == 2:
        return Failure("mailbox-address", f"what answers at {base} of {host} is no CalDAV server")
    if status in _PASSES or status >= 500:
        why = "is locked" if status == 423 else f"was answered with {status}"
        kind = OfOnePath if status in _OF_ONE_PATH else Failure
        return kind("mailbox-unavailable", f"{base} of {host} {why}", retry_after(answer))
    return Failure("mailbox-answer", f"{host} answered {status} about {base}")


def refusal_of(answer: Answer) -> Failure:
    """What an answer means that refuses an object."""
    conditions = preconditions(answer.body)
    if answer.status == 403 and (not conditions or "need-privileges" in conditions):
        return failure_of(answer)
    return Refused(answer.status, conditions)


def retry_after(answer: Answer) -> timedelta | None:
    """How long the server asks to wait."""
    return wait_stated(answer.headers.get("retry-after", ""))


def wait_stated(text: str) -> timedelta | None:
    """How long to wait, given in seconds or as a time (RFC 9110 section 10.2.3); at most a day."""
    stated = text.strip()
    if not stated:
        return None
    if stated.isascii() and stated.isdigit():
        # More digits than a day has seconds is a day.
        wait = timedelta(seconds=int(stated)) if len(stated) < 6 else LONGEST_WAIT
    else:
        try:
            at = parsedate_to_datetime(stated)
        except ValueError:
            return None
        wait = (at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)
    return min(max(wait, timedelta(0)), LONGEST_WAIT)
