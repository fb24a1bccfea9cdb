"""What the test of a connection finds, step by step, in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from migrations_app.failures import Failure, describe
from tenants_app.sentences import Sentence, one_after_the_other, sentence

WARN_BEFORE = timedelta(days=30)
"""How long before its end a certificate is warned of."""
NAMED = 10
"""Calendars that are named."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found. ``code`` is of the catalogue: of the failure where ``ok`` is false, of a warning where it is
    true, else empty.
    """

    step: str
    """``address``, ``certificate``, ``secret``, ``sign-in``, ``mailbox``, ``scheduling`` or ``write``."""
    ok: bool
    sentence: str
    code: str = ""


STEP_NAMES: Mapping[str, Sentence] = MappingProxyType(
    {
        name: name
        for name in (
            sentence("address"),
            sentence("certificate"),
            sentence("secret"),
            sentence("sign-in"),
            sentence("permission"),
            sentence("impersonation"),
            sentence("version"),
            sentence("mailbox"),
            sentence("filters"),
            sentence("ids"),
            sentence("scheduling"),
            sentence("write"),
        )
    }
)
"""What people call the steps."""


def of_calendars(upn: str, listed: str, looked_after: Sequence[str], why_none: Callable[[], Failure]) -> Finding:
    """What calendars a mailbox has, and which MMS looks after; where that is none, why."""
    if looked_after:
        told = sentence(
            "The mailbox of %(upn)s has %(listed)s. MMS looks after %(written)s.",
            upn=upn,
            listed=listed,
            written=", ".join(f"“{name}”" for name in looked_after[:NAMED]),
        )
        return Finding("mailbox", True, told)
    failure = why_none()
    told = sentence("The mailbox of %(upn)s has %(listed)s.", upn=upn, listed=listed)
    return Finding("mailbox", False, one_after_the_other(told, describe(failure.code, failure.detail)), failure.code)


def failed(step: str, failure: Failure) -> Finding:
    """That the step failed, and which come after it were not tried."""
    after = "" if step == "write" else sentence("What comes after this could not be tried.")
    told = one_after_the_other(describe(failure.code, failure.detail), after)
    return Finding(step, False, told, failure.code)


def in_a_row(things: Sequence[str]) -> Sentence:
    """Things one after the other, with commas between them."""
    row = sentence("%(first)s", first=things[0])
    for each in things[1:]:
        row = sentence("%(row)s, %(next)s", row=row, next=each)
    return row


def first_of(names: Sequence[str], most: int) -> Sentence:
    """The first of the names, with how many more there are."""
    row = in_a_row(names[:most])
    if len(names) <= most:
        return row
    return sentence("%(row)s and %(count)s more", row=row, count=len(names) - most)


def with_marks(name: str, marks: Sequence[str]) -> str:
    """A calendar's name, and in brackets what is to be known of it."""
    return sentence("“%(name)s” (%(marks)s)", name=name, marks=in_a_row(marks)) if marks else f"“{name}”"
