"""What a server's refusal means: for the catalogue, and in words."""

from __future__ import annotations

from datetime import timedelta

from migrations_app.failures import Failure
from migrations_app.https.waiting import wait_stated
from migrations_app.mailboxes.caldav.multistatus import preconditions
from migrations_app.mailboxes.caldav.transport import Answer
from tenants_app.sentences import sentence

_PASSES = {408, 423, 425, 429, 507}
"""Refusals that pass by themselves, beside all from 500 on."""
_OVER_LIMIT = {413: sentence("the meeting is too large"), 507: sentence("the mailbox is full")}
_CONDITIONS = {
    "no-uid-conflict": sentence("another object in the mailbox has the same UID"),
    "unique-scheduling-object-resource": sentence("another object in the mailbox has the same UID"),
    "valid-calendar-data": sentence("the text is not valid to it"),
    "valid-calendar-object-resource": sentence("the object is not valid to it"),
    "supported-calendar-data": sentence("it does not take iCalendar"),
    "supported-calendar-component": sentence("the calendar takes no meetings"),
    "max-resource-size": sentence("the meeting is too large"),
    "max-attendees-per-instance": sentence("the meeting has too many attendees"),
    "max-instances": sentence("the series has too many occurrences"),
    "min-date-time": sentence("a date is too early"),
    "max-date-time": sentence("a date is too late"),
    "quota-not-exceeded": sentence("the mailbox is full"),
    "sufficient-disk-space": sentence("the server's disk is full"),
    "same-organizer-in-all-components": sentence("the occurrences have different organizers"),
    "allowed-organizer-scheduling-object-change": sentence("the organizer may not change this"),
    "allowed-attendee-scheduling-object-change": sentence("an attendee may not change this"),
    "attendee-allowed": sentence("an attendee is not allowed"),
    "organizer-allowed": sentence("the organizer is not allowed"),
}
"""RFC 4791 sections 5.3.2.1 and 9, RFC 6638 section 3.2.4, RFC 4331."""


class Refused(Failure):
    """The server will not take an object as it is; ``conditions`` are the names of those that it names."""

    def __init__(self, status: int, conditions: list[str]) -> None:
        known = dict.fromkeys(_CONDITIONS[name] for name in conditions if name in _CONDITIONS)
        words = ", ".join(known) or _OVER_LIMIT.get(
            status, sentence("it answered %(status)s without saying why", status=status)
        )
        super().__init__("meeting-refused-by-server", words)
        self.status = status
        self.conditions = conditions


_OF_ONE_PATH = {423, 500, 507}
"""What is wrong with the object or the mailbox that was asked about, as long as the server asks nobody to wait."""


def failure_of(answer: Answer) -> Failure:
    """What an answer that is not the expected one means for whatever was asked."""
    host, status, base = answer.origin.host, answer.status, answer.base
    if status == 403:
        return Failure("mailbox-forbidden", sentence("%(host)s forbids it at %(base)s", host=host, base=base))
    if status in {404, 410}:
        return Failure("mailbox-not-found", sentence("%(host)s has nothing at %(base)s", host=host, base=base))
    if status in {405, 501} or status // 100 == 2:
        return Failure(
            "mailbox-address",
            sentence("what answers at %(base)s of %(host)s is no CalDAV server", base=base, host=host),
        )
    if status in _PASSES or status >= 500:
        about = {"base": base, "host": host, "status": str(status)}
        failure = Failure(
            "mailbox-unavailable",
            sentence("%(base)s of %(host)s is locked", **about)
            if status == 423
            else sentence("%(base)s of %(host)s was answered with %(status)s", **about),
            retry_after(answer),
        )
        failure.is_of_one_mailbox = status in _OF_ONE_PATH and failure.retry_after is None
        return failure
    return Failure(
        "mailbox-answer", sentence("%(host)s answered %(status)s about %(base)s", host=host, status=status, base=base)
    )


def refusal_of(answer: Answer) -> Failure:
    """What an answer means that refuses an object."""
    conditions = preconditions(answer.body)
    if answer.status == 403 and (not conditions or "need-privileges" in conditions):
        return failure_of(answer)
    return Refused(answer.status, conditions)


def retry_after(answer: Answer) -> timedelta | None:
    """How long the server asks to wait."""
    return wait_stated(answer.headers.get("retry-after", ""))
