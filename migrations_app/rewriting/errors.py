"""The two ways in which a calendar object is not rewritten."""

from typing import Literal

Reason = Literal["no-block", "pasted-block", "already-current", "needs-review"]


class UnreadableCalendar(ValueError):
    """The object is not a calendar that can be read; the message is one sentence for an administrator.

    Waiting does not cure it: the object stays as it is until somebody mends it.
    """


class Declined(Exception):
    """The object is left exactly as it is, for one of the reasons of R20.

    `reason` is the word shown and stored, `detail` one sentence for an administrator.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


def needs_review(detail: str) -> Declined:
    """Return the refusal for a block that is damaged or ambiguous: it is never guessed at (R20)."""
    return Declined("needs-review", detail)
