"""What a run would do with each meeting of a user, by the code that would do it; writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrations_app.models import MeetingResult, Run
from migrations_app.runs.history import plain_block
from migrations_app.runs.movements import Movements
from migrations_app.runs.outcomes import Outcome, Outcomes
from migrations_app.targets import ALL_CURRENT, Targets
from tenants_app.models import ConferencingUser
from tenants_app.sentences import sentence_plural
from tenants_app.wording import all_of


@dataclass(slots=True)
class ServerMails:
    """The messages that a mailbox's server sends which tells attendees of each part of a meeting by itself."""

    whole: int = 0
    """For meetings as a whole."""
    occurrences: int = 0
    """For occurrences that differ from their series."""

    def note(self, parts: Collection[str]) -> None:
        """Count those of one meeting; see ``Outcome.mailed_parts``."""
        self.whole += "" in parts
        self.occurrences += sum(part != "" for part in parts)

    @property
    def sentence(self) -> str:
        """How many it sends; empty where it sends none."""
        if not self.whole + self.occurrences:
            return ""
        told = []
        if self.whole:
            told.append(
                sentence_plural("%(n)s for a whole meeting or series", "%(n)s for whole meetings or series", self.whole)
            )
        if self.occurrences:
            told.append(
                sentence_plural("%(n)s for changed occurrence", "%(n)s for changed occurrences", self.occurrences)
            )
        return sentence_plural(
            "Exchange sends %(n)s message: %(which)s.",
            "Exchange sends %(n)s messages: %(which)s.",
            self.whole + self.occurrences,
            which=all_of(told),
        )


@dataclass(slots=True)
class Tally:
    """What runs will do to meetings and mail; exact as long as nobody changes anything in between."""

    updated: int = 0
    """Meetings whose block changes."""
    mailed: int = 0
    """Invitations that are sent to attendees."""
    failed: int = 0
    """Meetings that cannot be read or changed."""
    movements: Movements = field(default_factory=Movements)

    def note(self, outcome: Outcome) -> None:
        """Count what becomes of one meeting."""
        self.updated += outcome.result.outcome == MeetingResult.Outcome.SUCCEEDED
        self.failed += outcome.result.outcome == MeetingResult.Outcome.FAILED
        self.mailed += outcome.recipient_count
        self.movements.note(outcome.result)


def foresee_meetings(
    user: ConferencingUser, targets: Targets = ALL_CURRENT, uids: Sequence[str] | None = None
) -> Iterator[Outcome]:
    """What a run with these targets would make of each meeting of the user.

    With ``uids`` only of these, in that order, as far as they are in the mailbox. The settings are those of ``user``,
    saved or not; the meetings are read while the answer is read. Raises ``Failure`` where a run would fail as a whole.
    """
    return Outcomes(Run(user=user, tenant=user.tenant, targets=targets.stored), user=user).foreseen(uids)


FORESEEN_FIELDS: Mapping[str, Callable[[Outcome], Any]] = {
    "UserPrincipalName": lambda outcome: outcome.result.run.user.upn,
    "MeetingUid": lambda outcome: outcome.result.uid,
    "Subject": lambda outcome: outcome.result.subject,
    "StartDate": lambda outcome: outcome.result.starts_at,
    "Outcome": lambda outcome: outcome.result.outcome,
    "Reason": lambda outcome: outcome.result.code,
    "Message": lambda outcome: outcome.result.reason,
    "Recipients": lambda outcome: outcome.recipient_count,
    "MeetingService": lambda outcome: outcome.result.meeting_service,
    "JoinUrlBefore": lambda outcome: outcome.result.join_url_before,
    "JoinUrlAfter": lambda outcome: outcome.result.join_url_after,
    "BlockBefore": lambda outcome: plain_block((span, span.before) for span in outcome.replaced),
    "BlockAfter": lambda outcome: plain_block((span, span.after) for span in outcome.replaced),
}
"""The fields of a meeting of a dry run, and how each is read."""


def foreseen_record(outcome: Outcome) -> dict[str, Any]:
    """What a run would make of one meeting, by the names of the fields."""
    return {name: read(outcome) for name, read in FORESEEN_FIELDS.items()}
