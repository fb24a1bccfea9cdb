"""Retiring a legacy deployment: its gate with the evidence of each condition, and taking it back (R88, R89)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from migrations_app.models import (
    AcceptedMeeting,
    FoundMeeting,
    MeetingSearch,
    Retirement,
    Rollout,
    RolloutEvent,
    Run,
    TakenListing,
    Wave,
    WaveMember,
)
from migrations_app.monitoring import clock
from migrations_app.rollouts import events, gates, searching, taken_listings
from migrations_app.rollouts.defining import finish
from migrations_app.rollouts.further_conditions import further
from tenants_app.audit import Actor, entry
from tenants_app.changes import deployments
from tenants_app.changes.locking import lock
from tenants_app.models import ConferencingUser, Deployment
from tenants_app.sentences import english, one_after_the_other, sentence, sentence_plural

SEARCH_VALID_FOR = timedelta(hours=24)
"""How old a search of the mailboxes may be."""
NAMED = 20
"""Users, runs or meetings that an evidence names."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the conditions of retirement, and what shows whether it holds."""

    code: str
    title: str
    """To be translated where it is shown."""
    holds: bool
    evidence: str
    """What was found and, where it does not hold, what to do."""
    named: Sequence[str] = ()
    """The first of those who stand in the way."""


@dataclass(frozen=True, slots=True)
class RetirementGate:
    """All conditions of a legacy deployment's retirement at a moment."""

    deployment: Deployment
    conditions: Sequence[Condition]
    checklists: Sequence[tuple[Rollout, gates.Gate]] = ()

    @property
    def is_open(self) -> bool:
        return all(condition.holds for condition in self.conditions)

    @property
    def closing(self) -> list[Condition]:
        return [condition for condition in self.conditions if not condition.holds]


@dataclass(slots=True)
class Situation:
    """What the conditions are asked about."""

    deployment: Deployment
    now: datetime
    rollouts: Sequence[Rollout]
    """Those that lead away from it and have not ended."""
    checklists: list[tuple[Rollout, gates.Gate]] = field(default_factory=list)


def gate_of(deployment: Deployment, now: datetime | None = None) -> RetirementGate:
    """Whether the deployment may be retired, with the evidence; as many statements however many users there are."""
    now = now or timezone.now()
    rollouts = list(
        Rollout.objects.filter(legacy=deployment, finished_at=None).select_related("tenant", "legacy", "new")
    )
    situation = Situation(deployment, now, rollouts)
    situation.checklists = [(rollout, gates.retirement_checklist(rollout, now)) for rollout in rollouts]
    return RetirementGate(deployment, [each for ask in CONDITIONS for each in ask(situation)], situation.checklists)


# --- the conditions -----------------------------------------------------------------------------------


def _nobody_belongs(situation: Situation) -> Iterable[Condition]:
    users = ConferencingUser.objects.filter(deployment=situation.deployment)
    count = users.count()
    told = (
        sentence_plural(
            "%(n)s user belongs to %(deployment)s still: move them, or take them out of it.",
            "%(n)s users belong to %(deployment)s still: move them, or take them out of it.",
            count,
            deployment=situation.deployment.name,
        )
        if count
        else sentence("No user belongs to %(deployment)s.", deployment=situation.deployment.name)
    )
    named = list(users.order_by("upn").values_list("upn", flat=True)[:NAMED]) if count else []
    yield Condition("users", gettext_noop("Nobody belongs to it"), not count, told, named)
    kind = TakenListing.Kind.ACCOUNTS
    taken = taken_listings.latest(situation.deployment, kind)
    title = gettext_noop("A listing of its accounts is empty")
    if taken is None:
        why = sentence("No listing of its accounts was taken: export them there, and give the file here.")
        yield Condition("accounts", title, False, why)
    elif taken_listings.is_too_old(taken, situation.now):
        why = sentence(
            "The last listing was taken on %(when)s, which is more than a day ago: take a new one.", when=taken.at
        )
        yield Condition("accounts", title, False, why)
    else:
        told = one_after_the_other(taken_listings.told_of(taken), _taken_by(taken))
        accounts = [entry[0] for entry in taken.entries[:NAMED]]
        yield Condition("accounts", title, not taken.count, told, accounts)


def _taken_by(taken: TakenListing) -> str:
    return sentence("Given by %(who)s on %(when)s.", who=taken.by, when=taken.at)


def _no_meeting_shows_it(situation: Situation) -> Iterable[Condition]:
    title = gettext_noop("No meeting to come leads to it")
    deployment, now = situation.deployment, situation.now
    search = searching.latest(deployment=deployment)
    if search is None or search.searched_at is None or search.asked_at < now - SEARCH_VALID_FOR:
        going = searching.under_way(deployment=deployment)
        if going:
            told = sentence_plural(
                "The mailboxes are being searched: %(n)s was read so far.",
                "The mailboxes are being searched: %(n)s were read so far.",
                going.searched_users,
            )
        elif search is None:
            told = sentence("The mailboxes were not searched: have them searched.")
        else:
            told = sentence(
                "The mailboxes were searched on %(when)s, which is more than a day ago: have them searched again.",
                when=search.asked_at,
            )
        yield Condition("meetings", title, False, told)
        return
    waiting = open_meetings(search, now)
    count, accepted = waiting.count(), accepted_meetings(search, now).count()
    unread = search.unread.count()
    found = (
        sentence_plural(
            "%(n)s meeting to come leads to it or shows a number of its own: have it changed, or accept it by name.",
            "%(n)s meetings to come lead to it or show a number of its own: have them changed, or accept them by name.",
            count,
        )
        if count
        else sentence_plural(
            "In %(n)s mailbox no meeting to come leads to it or shows a number of its own.",
            "In %(n)s mailboxes no meeting to come leads to it or shows a number of its own.",
            search.searched_users - unread,
        )
    )
    told = one_after_the_other(
        found,
        sentence_plural("%(n)s was accepted by name.", "%(n)s were accepted by name.", accepted) if accepted else "",
        sentence_plural("%(n)s mailbox could not be read.", "%(n)s mailboxes could not be read.", unread)
        if unread
        else "",
        sentence("Searched on %(when)s.", when=search.searched_at),
    )
    named = [f"{row.user.upn}: {row.subject}" for row in waiting[:NAMED]] if count else []
    yield Condition("meetings", title, not count, told, named)


def _directories_moved(situation: Situation) -> Iterable[Condition]:
    title = gettext_noop("Its conference directories have been moved")
    taken = taken_listings.latest(situation.deployment, TakenListing.Kind.DIRECTORIES)
    if taken is None:
        told = sentence(
            "No list of its conference directories was given: list them with their owners before and after the move."
        )
        yield Condition("directories", title, False, told)
        return
    told = one_after_the_other(taken_listings.told_of(taken), _taken_by(taken))
    named = [entry[0] for entry in taken.entries[: min(taken.open_count, NAMED)]]
    yield Condition("directories", title, not taken.open_count, told, named)


def _nothing_under_way(situation: Situation) -> Iterable[Condition]:
    waves = Wave.objects.filter(rollout__in=situation.rollouts).order_by("rollout", "position")
    open_waves = [wave for wave in waves if not _is_through(wave)]
    told = (
        sentence("Every wave is completed and accepted.")
        if not open_waves
        else sentence_plural(
            "%(n)s wave is not completed and accepted: finish it, or remove it if it has not started.",
            "%(n)s waves are not completed and accepted: finish them, or remove those that have not started.",
            len(open_waves),
        )
    )
    if not situation.rollouts:
        told = sentence("No rollout leads away from it: without one there is nothing that shows it may be retired.")
    title = gettext_noop("Every wave is completed and accepted")
    holds = bool(situation.rollouts) and not open_waves
    yield Condition("waves", title, holds, told, [wave.name for wave in open_waves[:NAMED]])
    members = WaveMember.objects.filter(wave__rollout__in=situation.rollouts, user=OuterRef("user"))
    states = [Run.State.FAILED, Run.State.PENDING, Run.State.IN_PROGRESS]
    runs = Run.objects.filter(Exists(members), tenant=situation.deployment.tenant_id, is_latest=True, state__in=states)
    in_the_way = runs.exclude(state=Run.State.FAILED, accepted_at__isnull=False)
    counts = in_the_way.aggregate(
        failed=Count("pk", filter=Q(state=Run.State.FAILED)), going=Count("pk", filter=~Q(state=Run.State.FAILED))
    )
    told = one_after_the_other(
        sentence_plural(
            "The latest run of %(n)s member has failed: correct it, or accept the failure.",
            "The latest runs of %(n)s members have failed: correct them, or accept the failures.",
            counts["failed"],
        )
        if counts["failed"]
        else "",
        sentence_plural(
            "%(n)s run is pending or in progress: wait for it.",
            "%(n)s runs are pending or in progress: wait for them.",
            counts["going"],
        )
        if counts["going"]
        else "",
    ) or sentence("No run of a member has failed, is pending or in progress.")
    holds = not counts["failed"] and not counts["going"]
    named = [] if holds else list(in_the_way.order_by("user__upn").values_list("user__upn", flat=True)[:NAMED])
    yield Condition("runs", gettext_noop("No run of a member has failed or goes on"), holds, told, named)


def _is_through(wave: Wave) -> bool:
    """Completed and accepted; or taken back, whose members are in later waves or belong to it still (which shows)."""
    if wave.state == Wave.State.ROLLED_BACK:
        return True
    return wave.state in {Wave.State.COMPLETED, Wave.State.COMPLETED_WITH_ERRORS} and wave.accepted_at is not None


def _long_enough(situation: Situation) -> Iterable[Condition]:
    title = gettext_noop("The last wave has been in use long enough")
    done = Wave.objects.filter(
        rollout__in=situation.rollouts, state__in=[Wave.State.COMPLETED, Wave.State.COMPLETED_WITH_ERRORS]
    )
    last = done.aggregate(Max("moved_at"))["moved_at__max"]
    days = max((rollout.retire_after for rollout in situation.rollouts), default=0)
    if last is None:
        yield Condition("in-use", title, False, sentence("No wave has moved anybody yet, so none has been in use."))
        return
    from_then_on = last + timedelta(days=days)
    holds = from_then_on <= situation.now
    told = (
        sentence("The last wave has been in use since %(since)s.", since=last)
        if holds
        else sentence_plural(
            "The last wave has been in use since %(since)s: wait until %(until)s, when it has been so for %(n)s day.",
            "The last wave has been in use since %(since)s: wait until %(until)s, when it has been so for %(n)s days.",
            days,
            since=last,
            until=from_then_on,
        )
    )
    yield Condition("in-use", title, holds, told)


def _checklist_done(situation: Situation) -> Iterable[Condition]:
    closing = [standing for _, gate in situation.checklists if not gate.is_open for standing in gate.closing]
    by_hand = any(gate.is_opened_by_hand for _, gate in situation.checklists)
    told = (
        sentence_plural("%(n)s item of the checklist is open.", "%(n)s items of the checklist are open.", len(closing))
        if closing
        else sentence("The checklist was opened by hand by an admin.")
        if by_hand
        else sentence("The checklist is done.")
    )
    named = [str(standing.check.name) for standing in closing[:NAMED]]
    yield Condition("checklist", gettext_noop("The checklist is done"), not closing, told, named)


CONDITIONS: Sequence[Callable[[Situation], Iterable[Condition]]] = (
    _nobody_belongs,
    _no_meeting_shows_it,
    _directories_moved,
    _nothing_under_way,
    _long_enough,
    _checklist_done,
    further,
)
"""What is asked, in the order of R88. What else must hold before a deployment is retired is one more function here, or
is registered by a room on a higher floor (``further_conditions``)."""


# --- meetings that were found -------------------------------------------------------------------------


def open_meetings(search: MeetingSearch, now: datetime) -> QuerySet[FoundMeeting]:
    """What the search has found, is to come still, and was not accepted."""
    return _to_come(search, now).exclude(_accepted(search))


def accepted_meetings(search: MeetingSearch, now: datetime) -> QuerySet[FoundMeeting]:
    """What the search has found, is to come still, and was accepted by name."""
    return _to_come(search, now).filter(_accepted(search))


def _to_come(search: MeetingSearch, now: datetime) -> QuerySet[FoundMeeting]:
    found = search.meetings.filter(last_end__gt=now).select_related("user")
    return found.order_by("user__upn", "starts_at", "pk")


def _accepted(search: MeetingSearch) -> Exists:
    return Exists(
        AcceptedMeeting.objects.filter(deployment=search.deployment_id, user=OuterRef("user"), uid=OuterRef("uid"))
    )


@transaction.atomic
def accept_meetings(deployment: Deployment, pks: Iterable[int], reason: str, actor: Actor) -> int:
    """Accept found meetings (keys) by name: they may go on leading to the deployment. Returns how many are new.

    Raises ``ValidationError`` without a reason.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise ValidationError({"reason": sentence("Say why these meetings may stay as they are.")})
    if len(reason) > 500:
        raise ValidationError({"reason": sentence("Give the reason in at most %(most)s characters.", most=500)})
    tenant = lock(deployment.tenant)
    found = FoundMeeting.objects.filter(search__deployment=deployment, search__wave=None, pk__in=list(pks))
    now, new = clock.now(), 0
    for row in found.select_related("user"):
        _, is_new = AcceptedMeeting.objects.get_or_create(
            deployment=deployment,
            user=row.user,
            uid=row.uid,
            defaults={"subject": row.subject, "at": now, "by": actor.name, "reason": reason},
        )
        if is_new:
            new += 1
            after = {"deployment": deployment.name, "meeting": row.subject or row.uid, "reason": reason}
            entry(tenant, actor, "accept legacy meeting", row.user.upn, after=after).save()
    return new


# --- retiring -----------------------------------------------------------------------------------------


def why_not_retired(deployment: Deployment, now: datetime | None = None) -> list[str]:
    """Why the deployment cannot be retired now, a sentence for each condition; none where it can."""
    if deployment.retired_at is not None:
        return [
            sentence(
                "%(deployment)s is retired already, since %(since)s.",
                deployment=deployment.name,
                since=deployment.retired_at,
            )
        ]
    return [condition.evidence for condition in gate_of(deployment, now).closing]


@transaction.atomic
def retire(deployment: Deployment, actor: Actor, reason: str = "") -> Deployment:
    """Retire the deployment, and end the rollouts that lead away from it: nobody is moved to it any more, its checks
    stop, and its record stays. Raises ``ValidationError`` with a sentence for each condition that does not hold.
    """
    _hold_rollouts(deployment)
    deployment = _locked(deployment)
    rollouts = list(Rollout.objects.filter(legacy=deployment, finished_at=None).order_by("pk"))
    gate = gate_of(deployment)
    if not gate.is_open and deployment.retired_at is None:
        raise ValidationError([condition.evidence for condition in gate.closing])
    deployment = deployments.retire_deployment(deployment, actor, reason=reason)
    for rollout, checklist in gate.checklists:
        if checklist.is_opened_by_hand:
            gates.use_retirement_opening(rollout, actor.name)
    Retirement.objects.create(
        deployment=deployment,
        at=deployment.retired_at or clock.now(),
        by=actor.name,
        reason=reason[:500],
        evidence=[[condition.code, condition.evidence] for condition in gate.conditions],
    )
    for rollout in rollouts:
        finish(rollout, actor)
    told = sentence("%(deployment)s is retired: nobody can be moved to it any more.", deployment=deployment.name)
    for rollout in rollouts:
        events.note(rollout, RolloutEvent.Kind.RETIRED, told, by=actor.name, reason=reason[:500])
    return deployment


def shown_gate(deployment: Deployment, held: Retirement | None) -> RetirementGate:
    """The gate, and once it is retired what was shown then: the rollouts that are asked have ended with it."""
    gate = gate_of(deployment)
    if held is None:
        return gate
    shown = dict(held.evidence)
    then = [
        replace(each, holds=True, evidence=shown.get(each.code, each.evidence), named=()) for each in gate.conditions
    ]
    return replace(gate, conditions=then)


@transaction.atomic
def take_back(deployment: Deployment, actor: Actor, reason: str = "") -> Deployment:
    """Take the retirement back, as long as its numbers are not released: the rollouts that it ended go on (R89).

    Raises ``ValidationError`` with one sentence where it cannot be.
    """
    _hold_rollouts(deployment)
    deployment = _locked(deployment)
    retired_at = deployment.retired_at
    deployment = deployments.unretire_deployment(deployment, actor, reason=reason)
    held = Retirement.objects.filter(deployment=deployment, taken_back_at=None)
    held.update(taken_back_at=clock.now(), taken_back_by=actor.name, taken_back_reason=reason[:500])
    ended = list(Rollout.objects.filter(legacy=deployment, finished_at__gte=retired_at).order_by("pk"))
    for rollout in ended:
        rollout.finished_at, rollout.finished_by = None, ""
        rollout.save(update_fields=["finished_at", "finished_by"])
        _take_places_again(rollout)
        told = sentence("The retirement of %(deployment)s was taken back.", deployment=deployment.name)
        events.note(rollout, RolloutEvent.Kind.UNRETIRED, told, by=actor.name, reason=reason[:500])
    return deployment


def _take_places_again(rollout: Rollout) -> None:
    """Its members are in it again, but for those who have joined another rollout meanwhile."""
    moved = [WaveMember.State.DONE, WaveMember.State.FAILED]
    elsewhere = WaveMember.objects.filter(user=OuterRef("user"), is_current=True)
    theirs = WaveMember.objects.filter(wave__rollout=rollout, state__in=moved)
    last = theirs.filter(~Exists(elsewhere)).values("user").annotate(last=Max("pk")).values_list("last", flat=True)
    WaveMember.objects.filter(pk__in=list(last)).update(is_current=True)


def _hold_rollouts(deployment: Deployment) -> None:
    """Whoever steers its waves waits until this has ended. They hold the rollout first, and then the tenant."""
    held = Rollout.objects.select_for_update(of=("self",), no_key=True).filter(legacy=deployment)
    list(held.order_by("pk").values_list("pk", flat=True))


def _locked(deployment: Deployment) -> Deployment:
    lock(deployment.tenant)
    return (
        Deployment.objects.select_for_update(no_key=True, of=("self",)).select_related("tenant").get(pk=deployment.pk)
    )


def records(gate: RetirementGate) -> list[dict[str, object]]:
    """The conditions as commands list them."""
    return [
        {
            "Condition": condition.code,
            "Title": english(condition.title),
            "Holds": condition.holds,
            "Evidence": condition.evidence,
            "Named": ", ".join(condition.named),
        }
        for condition in gate.conditions
    ]
