"""What a change of one user will lead to, told before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrations_app.failures import Failure, describe
from migrations_app.models import MeetingResult
from migrations_app.preview.meetings import Tally, foresee_meetings
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.selection import NOT_THEIRS_TO_COME
from migrations_app.runs.starts import decide_changes, targets_of_pending
from migrations_app.targets import ALL_CURRENT, Targets
from tenants_app.changes.users import UserEdit, foresee_user
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.records import user_record
from tenants_app.signals import Consequence
from tenants_app.wording import counted

LISTED = 50
"""Meetings that are told one by one."""


@dataclass(frozen=True, slots=True)
class Foresight:
    """What saving a change of a user would answer and lead to."""

    consequence: Consequence
    effect: str
    """What it changes in the meetings; empty where it changes nothing."""
    leaves_invitations_wrong: bool
    """Whether invitations will then say something else than the settings ask for."""
    settings: Mapping[str, Any]
    """The user's settings afterwards, as ``user_record`` tells them."""
    listed: Sequence[MeetingResult] = ()
    """What the run that starts would make of each future meeting; of very many only of the first."""
    unlisted: int = 0
    """How many more there are."""

    @property
    def text(self) -> str:
        """All of it, for the screen and the command."""
        return " ".join(filter(None, [self.consequence.sentence, self.consequence.chosen, self.effect]))


@dataclass(slots=True)
class _Affected(Tally):
    """The user's future meetings, and those of them that a run would change."""

    meetings: int = 0
    listed: list[MeetingResult] = field(default_factory=list)

    @classmethod
    def of(cls, foreseen: Iterable[Outcome]) -> _Affected:
        found = cls()
        for outcome in foreseen:
            found.note(outcome)
            if outcome.result.code not in NOT_THEIRS_TO_COME:
                found.meetings += 1
                if len(found.listed) < LISTED:
                    found.listed.append(outcome.result)
        return found


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A change of a user that is not saved, and what a run would make of the meetings after it."""

    user: ConferencingUser
    """With the settings afterwards."""
    consequence: Consequence
    was_out_of_date: bool
    settings: Mapping[str, Any]
    """The user's settings afterwards, as ``user_record`` tells them."""
    targets: Targets
    """Of the run, with those of a pending one that it joins."""
    outcomes: Iterator[Outcome]
    """What a run would make of each meeting; nothing where none starts and the invitations would not be wrong."""
    failure: Failure | None
    """Why such a run would fail before it looks at any meeting."""


def rehearse(tenant: Tenant, edit: UserEdit) -> Unsaved:
    """Apply the change in memory, by the code that makes it; locks and writes nothing.

    Raises ``ValidationError`` as the change would. The meetings are rewritten when ``outcomes`` is read.
    """
    was_out_of_date = ConferencingUser.objects.filter(tenant=tenant, pk=edit.user_pk).out_of_date().exists()
    effect = foresee_user(tenant, edit)
    user, consequence = effect.change.user, effect.consequence
    outcomes: Iterator[Outcome] = iter(())
    failure: Failure | None = None
    targets = ALL_CURRENT
    if consequence.starts_run:
        ((_, decision),) = decide_changes(user.tenant, [effect.change])
        targets = targets_of_pending([user])[user.pk].joined(decision.targets)
    if consequence.starts_run or user.is_out_of_date:
        try:
            outcomes = foresee_meetings(user, targets)
        except Failure as refused:
            failure = refused
    return Unsaved(user, consequence, was_out_of_date, user_record(user), targets, outcomes, failure)


def foresee(tenant: Tenant, edit: UserEdit) -> Foresight:
    """What saving ``edit`` would lead to. Raises ``ValidationError`` as the change itself would."""
    seen = rehearse(tenant, edit)
    affected = _Affected.of(seen.outcomes)
    if seen.consequence.starts_run:
        effect = _effect_of_run(seen.failure, affected)
    elif seen.user.is_out_of_date:
        effect = _effect_of_no_run(affected, seen.was_out_of_date)
    else:
        effect = "The invitations then say what the settings ask for." if seen.was_out_of_date else ""
    wrong = seen.user.is_out_of_date and (seen.failure is not None or not seen.consequence.starts_run)
    listed = affected.listed if seen.consequence.starts_run else []
    return Foresight(seen.consequence, effect, wrong, seen.settings, listed, affected.meetings - len(affected.listed))


def _effect_of_run(failure: Failure | None, affected: _Affected) -> str:
    """What a run changes in the meetings, in sentences."""
    if failure:
        return f"It would fail before it looks at any meeting. {describe(failure.code, failure.detail)}"
    if not affected.meetings:
        return "The mailbox has no future meetings, so nobody would be mailed."
    future = f"{affected.updated:,} of {counted(affected.meetings, 'future meeting')}"
    mailed = f"{counted(affected.mailed, 'invitation')} sent" if affected.mailed else "nobody mailed"
    fail = f" {affected.failed:,} would fail." if affected.failed else ""
    return f"{future} would be updated and {mailed}.{fail} {affected.movements.ahead}".rstrip()


def _effect_of_no_run(affected: _Affected, was_out_of_date: bool) -> str:
    """What a change that starts no run leaves behind: invitations that do not say what the settings ask for (R36)."""
    remains = "stays" if was_out_of_date else "is then"
    if not affected.updated:
        return f"The user {remains} out of date: the invitations do not say what the settings ask for."
    wrong = f"{affected.updated:,} of {counted(affected.meetings, 'future meeting')}"
    said = "does" if affected.updated == 1 else "do"
    return f"The user {remains} out of date: {wrong} {said} not say what the settings ask for."
