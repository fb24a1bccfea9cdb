"""Asking what only writing tells, and deleting what was made for it: never passed over in silence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from migrations_app.failures import Failure
from migrations_app.tenant_checks.findings import Finding, failed, of_failure, ok, unknown
from tenants_app.sentences import one_after_the_other, sentence

SUBJECT = "MMS check {name}: please ignore"
TRIES, PAUSE, LONGEST_PAUSE = 4, 5.0, 60.0
"""How often an event is deleted that is still there, and after how many seconds: more where the server asks for it."""


def announced(owner: str, attendee: str) -> tuple[str, str]:
    """What holds of everything that is made, to be said before it is."""
    return (
        sentence(
            "No other event is read or changed. What is made is deleted at the end, also after a failure. Should the "
            "command be cut off, delete what is called “%(subject)s” from the calendar of %(owner)s.",
            subject=SUBJECT.format(name="…"),
            owner=owner,
        ),
        sentence(
            "Cancelled events of this name may stay in the calendar of %(attendee)s, who can remove them.",
            attendee=attendee,
        ),
    )


class Own(Protocol):
    """A calendar in which a check makes what it needs."""

    @property
    def subjects(self) -> Sequence[str]:
        """Of all that may have been made."""

    def delete(self, subject: str, wait: Callable[[float], object]) -> Finding:
        """Delete what has this subject."""


Where = TypeVar("Where", bound=Own)


def asked(
    calendar: Where, questions: Sequence[Callable[[Where], Iterator[Finding]]], wait: Callable[[float], object]
) -> Iterator[Finding]:
    """Ask one after the other, until one cannot be, and delete what was made for them in any case."""
    try:
        for each in questions:
            try:
                yield from each(calendar)
            except Failure as failure:
                yield of_failure(sentence("test event"), failure)
                break
    except BaseException:
        for subject in calendar.subjects:  # nobody reads on: what to look for was said before
            calendar.delete(subject, wait)
        raise
    for subject in calendar.subjects:
        yield calendar.delete(subject, wait)
    yield unknown(
        sentence("Join button"),
        sentence(
            "Which link the Join button of Outlook follows after an update only a person can see, in "
            "each client that is used."
        ),
    )


def deleted(
    subject: str, owner: str, find: Callable[[], str], delete: Callable[[str], object], wait: Callable[[float], object]
) -> Finding:
    """Delete the event with this subject until it is gone. ``find`` tells its id, or nothing where it is gone."""
    why = ""
    for attempt in range(TRIES):
        pause = PAUSE
        try:
            if not (found := find()):
                return _gone(subject, owner)
            delete(found)
            if not find():
                return _gone(subject, owner)
            why = ""
        except Failure as failure:
            why = failure.told
            if failure.retry_after is not None:
                pause = min(max(pause, failure.retry_after.total_seconds()), LONGEST_PAUSE)
        if attempt < TRIES - 1:
            wait(pause)
    told = sentence(
        "“%(subject)s” is still there, as far as can be seen: look in the calendar of %(owner)s, and delete it there.",
        subject=subject,
        owner=owner,
    )
    return failed(sentence("tidying up"), one_after_the_other(told, why))


def _gone(subject: str, owner: str) -> Finding:
    return ok(
        sentence("tidying up"),
        sentence("“%(subject)s” is gone from the calendar of %(owner)s.", subject=subject, owner=owner),
    )
