"""What a change of one user will lead to, told before it is saved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrations_app.failures import Failure, describe
from migrations_app.invitations.dial_in import dial_in_details
from migrations_app.preview.foretold import Foretold, Planned, Totals, foretell
from migrations_app.preview.meetings import foresee_meetings
from migrations_app.rewriting.comparison import Change, compare_texts
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.starts import decide_changes, targets_of_pending
from migrations_app.targets import ALL_CURRENT, Targets
from tenants_app.changes.users import UserEdit, foresee_user
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.records import user_record
from tenants_app.sentences import Sentence, one_after_the_other, sentence, sentence_plural
from tenants_app.signals import Consequence
from tenants_app.wording import A_FREE_ONE, FREE_ID


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
    totals: Totals
    meetings: Sequence[Foretold] = ()
    """What the run that starts would make of each future meeting; nothing where none starts."""
    dial_in: Change | None = None
    """The dial-in details before and after, where they differ."""

    @property
    def text(self) -> str:
        """All of it, for the screen and the command."""
        return one_after_the_other(self.consequence.sentence, self.consequence.chosen, self.effect)


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

    def foreseen(self) -> Iterator[Outcome]:
        """The outcomes; raises the failure where there is one."""
        if self.failure:
            raise self.failure
        return self.outcomes


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
    totals = Totals()
    starts = seen.consequence.starts_run
    told = foretell(Planned(seen.user, starts, seen.consequence.sentence, lambda: seen), totals)
    if starts:
        effect = _effect_of_run(seen.failure, totals)
    elif seen.user.is_out_of_date:
        effect = _effect_of_no_run(totals, seen.was_out_of_date)
    else:
        effect = sentence("The invitations then say what the settings ask for.") if seen.was_out_of_date else ""
    wrong = seen.user.is_out_of_date and (seen.failure is not None or not starts)
    dial_in = _dial_in_change(tenant, seen.user)
    return Foresight(seen.consequence, effect, wrong, seen.settings, totals, [told] if starts else [], dial_in)


def _dial_in_change(tenant: Tenant, after: ConferencingUser) -> Change | None:
    """The dial-in details of the user as stored, and with the settings afterwards."""
    stored = ConferencingUser.objects.filter(tenant=tenant, pk=after.pk)
    before = stored.select_related("tenant", "bridge", "toll_number", "toll_free_number", "deployment").get()
    sides = [_dial_in_text(before), _dial_in_text(after)]
    return compare_texts(sentence("Dial-in details"), *sides) if sides[0] != sides[1] else None


def _dial_in_text(user: ConferencingUser) -> str:
    try:
        return dial_in_details(user).text.replace(FREE_ID, str(A_FREE_ONE))
    except Failure as failure:
        return failure.what


def _effect_of_run(failure: Failure | None, affected: Totals) -> str:
    """What a run changes in the meetings, in sentences."""
    if failure:
        return one_after_the_other(
            sentence("It would fail before it looks at any meeting."), describe(failure.code, failure.detail)
        )
    if not affected.meetings:
        return sentence("The mailbox has no future meetings, so nobody would be mailed.")
    future = _of_future(affected)
    updated = (
        sentence_plural(
            "%(future)s would be updated and %(n)s invitation sent.",
            "%(future)s would be updated and %(n)s invitations sent.",
            affected.recipients,
            future=future,
        )
        if affected.recipients
        else sentence("%(future)s would be updated and nobody mailed.", future=future)
    )
    failed = sum(affected.failed.values())
    fail = sentence_plural("%(n)s would fail.", "%(n)s would fail.", failed) if failed else ""
    return one_after_the_other(updated, fail, affected.ahead)


def _of_future(affected: Totals) -> Sentence:
    return sentence_plural(
        "%(updated)s of %(n)s future meeting",
        "%(updated)s of %(n)s future meetings",
        affected.meetings,
        updated=affected.updated,
    )


def _effect_of_no_run(affected: Totals, was_out_of_date: bool) -> str:
    """What a change that starts no run leaves behind: invitations that do not say what the settings ask for (R36)."""
    if not affected.updated:
        if was_out_of_date:
            return sentence("The user stays out of date: the invitations do not say what the settings ask for.")
        return sentence("The user is then out of date: the invitations do not say what the settings ask for.")
    if was_out_of_date:
        return sentence_plural(
            "The user stays out of date: %(future)s does not say what the settings ask for.",
            "The user stays out of date: %(future)s do not say what the settings ask for.",
            affected.updated,
            future=_of_future(affected),
        )
    return sentence_plural(
        "The user is then out of date: %(future)s does not say what the settings ask for.",
        "The user is then out of date: %(future)s do not say what the settings ask for.",
        affected.updated,
        future=_of_future(affected),
    )
