"""Why an object is left as it is."""

from typing import Literal

Reason = Literal["no-block", "other-service", "pasted-block", "already-current", "no-conference-id", "needs-review"]


class Declined(Exception):
    """The object is left exactly as it is, for one of the reasons of R20.

    `reason` is the word shown and stored, `detail` one sentence for an administrator, `provider` the name of another
    provider whose meeting it is.
    """

    def __init__(self, reason: Reason, detail: str, provider: str = "") -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail
        self.provider = provider


def needs_review(detail: str) -> Declined:
    """Return the refusal for a block that is damaged or ambiguous: it is never guessed at (R20)."""
    return Declined("needs-review", detail)
