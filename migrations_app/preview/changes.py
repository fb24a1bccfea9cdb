"""What a change of one user will lead to, told before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from migrations_app.failures import Failure, describe
from migrations_app.models import MeetingResult, Run
from migrations_app.preview.meetings import Tally, foresee_meetings
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.selection import NOT_THEIRS_TO_COME
from migrations_app.targets import ALL_CURRENT, Targets
from tenants_app.audit import Actor
from tenants_app.changes.users import UserEdit, change_users
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
        return f"{self.consequence.sentence} {self.effect}".strip()


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
class Rehearsal:
    """A change of a user that was made and taken back, and the meetings as they would be looked at after it."""

    user: ConferencingUser
    """With the settings afterwards."""
    consequence: Consequence
    was_out_of_date: bool
    settings: Mapping[str, Any]
    """The user's settings afterwards, as ``user_record`` tells them."""
    outcomes: Iterator[Outcome]
    """What a run would make of each meeting, with the targets of a pending one that it joins; nothing where none starts
    and the invitations would not be wrong."""
    failure: Failure | None
    """Why such a run would fail before it looks at any meeting."""


def rehearse(tenant: Tenant, edit: UserEdit, actor: Actor) -> Rehearsal:
    """Make the change and take it back, so the answer cannot differ. Raises ``ValidationError`` as the change would.

    The meetings are rewritten when ``outcomes`` is read and the change has been taken back: it keeps others waiting,
    and a mailbox may be large.
    """
    users = ConferencingUser.objects.filter(tenant=tenant, pk=edit.user_pk)
    was_out_of_date = users.out_of_date().exists()
    outcomes: Iterator[Outcome] = iter(())
    failure: Failure | None = None
    targets = ALL_CURRENT
    with transaction.atomic():
        (consequence,) = change_users(tenant, [edit], actor)
        user = users.select_related("tenant", "bridge", "toll_number", "toll_free_number").get()
        if consequence.starts_run:
            targets = Targets.of(Run.objects.get(user=user, state=Run.State.PENDING).targets)
        if consequence.starts_run or user.is_out_of_date:
            try:
                outcomes = foresee_meetings(user, targets)
            except Failure as refused:
                failure = refused
        settings = user_record(user)
        transaction.set_rollback(True)
    return Rehearsal(user, consequence, was_out_of_date, settings, outcomes, failure)


def foresee(tenant: Tenant, edit: UserEdit, actor: Actor) -> Foresight:
    """What saving ``edit`` would lead to. Raises ``ValidationError`` as the change itself would."""
    seen = rehearse(tenant, edit, actor)
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
