"""What a change of one user will lead to, told before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from migrations_app.failures import Failure, describe
from migrations_app.models import MeetingResult
from migrations_app.runs.outcomes import preview
from migrations_app.runs.selection import NOT_THEIRS_TO_COME
from tenants_app.audit import Actor
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.records import user_record
from tenants_app.signals import Consequence
from tenants_app.wording import counted


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

    @property
    def text(self) -> str:
        """All of it, for the screen and the command."""
        return f"{self.consequence.sentence} {self.effect}".strip()


@dataclass(slots=True)
class _Affected:
    """The user's future meetings, and those of them that a run would change."""

    meetings: int = 0
    updated: int = 0
    failed: int = 0
    mailed: int = 0

    @classmethod
    def of(cls, foreseen: Iterable[tuple[MeetingResult, int]]) -> _Affected:
        found = cls()
        for result, recipients in foreseen:
            found.meetings += result.code not in NOT_THEIRS_TO_COME
            found.updated += result.outcome == MeetingResult.Outcome.SUCCEEDED
            found.failed += result.outcome == MeetingResult.Outcome.FAILED
            found.mailed += recipients
        return found


def foresee(tenant: Tenant, edit: UserEdit, actor: Actor) -> Foresight:
    """What saving ``edit`` would lead to. Makes the change and takes it back, so the answer cannot differ.

    The meetings are rewritten, and the rewritten ones counted, when the change has been taken back: it keeps others
    waiting, and a mailbox may be large. Raises ``ValidationError`` as the change itself would.
    """
    users = ConferencingUser.objects.filter(tenant=tenant, pk=edit.user_pk)
    was_out_of_date = users.out_of_date().exists()
    foreseen: Iterable[tuple[MeetingResult, int]] = ()
    failure: Failure | None = None
    with transaction.atomic():
        (consequence,) = change_users(tenant, [edit], actor)
        user = users.select_related("tenant", "bridge", "toll_number", "toll_free_number").get()
        settings = user_record(user)
        if consequence.starts_run or user.is_out_of_date:
            try:
                foreseen = preview(user)
            except Failure as refused:
                failure = refused
        transaction.set_rollback(True)
    if consequence.starts_run:
        effect = _effect_of_run(failure, _Affected.of(foreseen))
    elif user.is_out_of_date:
        effect = _effect_of_no_run(_Affected.of(foreseen), was_out_of_date)
    else:
        effect = "The invitations then say what the settings ask for." if was_out_of_date else ""
    wrong = user.is_out_of_date and (failure is not None or not consequence.starts_run)
    return Foresight(consequence, effect, wrong, settings)


def _effect_of_run(failure: Failure | None, affected: _Affected) -> str:
    if failure:
        return f"It would fail before it looks at any meeting. {describe(failure.code, failure.detail)}"
    if not affected.meetings:
        return "The mailbox has no future meetings, so nobody would be mailed."
    future = f"{affected.updated:,} of {counted(affected.meetings, 'future meeting')}"
    mailed = f"{counted(affected.mailed, 'invitation')} sent" if affected.mailed else "nobody mailed"
    fail = f" {affected.failed:,} would fail." if affected.failed else ""
    return f"{future} would be updated and {mailed}.{fail}"


def _effect_of_no_run(affected: _Affected, was_out_of_date: bool) -> str:
    """What a change that starts no run leaves behind: invitations that do not say what the settings ask for (R36)."""
    remains = "stays" if was_out_of_date else "is then"
    if not affected.updated:
        return f"The user {remains} out of date: the invitations do not say what the settings ask for."
    wrong = f"{affected.updated:,} of {counted(affected.meetings, 'future meeting')}"
    said = "does" if affected.updated == 1 else "do"
    return f"The user {remains} out of date: {wrong} {said} not say what the settings ask for."
