"""Accepting a wave: what is not as it should be, by name, and the word of a person that it may stay so (R81).

A wave that is offered has items: members who failed, and meetings of its members that need a person. Nobody could have
said in advance how many are too many, so they are shown one by one and accepted with the wave; what was accepted is
kept as it stood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet

from migrations_app.failures import LEFT_FOR_A_PERSON
from migrations_app.models import AcceptedItem, LeftMeeting, RolloutEvent, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.rollouts import events
from migrations_app.rollouts.steering import locked
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched, insert
from tenants_app.sentences import Sentence, sentence, sentence_plural

Kind = AcceptedItem.Kind

LONGEST_NOTE = 500
IN_REVIEW = ("needs-review", "pasted-block")
"""Why a meeting is in need of review: it was not certain what in it is the block."""


def failed_members(wave: Wave) -> QuerySet[WaveMember]:
    """Members who could not be moved, or whose latest run failed."""
    failed = wave.members.filter(state=WaveMember.State.FAILED)
    return failed.select_related("user", "run").order_by("user__upn", "pk")


def left_meetings(wave: Wave) -> QuerySet[LeftMeeting]:
    """Meetings of moved members that need a person now: skipped, failed, or in need of review."""
    moved = WaveMember.objects.filter(
        wave=wave, user=OuterRef("user"), state__in=[WaveMember.State.DONE, WaveMember.State.FAILED]
    )
    rows = LeftMeeting.objects.filter(
        Exists(moved.filter(moved_at__isnull=False)),
        tenant=wave.rollout.tenant_id,
        last_end__gt=clock.now(),
    ).exclude(state=LeftMeeting.State.DEALT_WITH)
    return rows.select_related("user").order_by("user__upn", "starts_at", "pk")


def kind_of(code: str) -> AcceptedItem.Kind:
    """Of which kind a meeting is that was left for this reason."""
    if code in IN_REVIEW:
        return Kind.IN_REVIEW
    return Kind.SKIPPED_MEETING if code in LEFT_FOR_A_PERSON else Kind.FAILED_MEETING


def of_kind(kind: str) -> Q:
    """The left meetings of that kind."""
    if kind == Kind.IN_REVIEW:
        return Q(code__in=IN_REVIEW)
    if kind == Kind.SKIPPED_MEETING:
        return Q(code__in=[code for code in LEFT_FOR_A_PERSON if code not in IN_REVIEW])
    return ~Q(code__in=LEFT_FOR_A_PERSON)


def counts(wave: Wave) -> Mapping[str, int]:
    """How many items there are of each kind; two questions."""
    sums = left_meetings(wave).order_by().values_list("code").annotate(meetings=Count("pk"))
    found: dict[str, int] = {kind.value: 0 for kind in Kind}
    found[Kind.FAILED_MEMBER] = wave.members.filter(state=WaveMember.State.FAILED).count()
    for code, meetings in sums:
        found[kind_of(code)] += meetings
    return found


def why_not_accepted(wave: Wave) -> Sentence | None:
    """What is in the way of accepting it, in a sentence; None where nothing is. Only reads."""
    if wave.state in Wave.ENDED:
        return sentence("Wave %(wave)s has ended already.", wave=wave.name)
    if wave.state != Wave.State.OBSERVING:
        return sentence("Wave %(wave)s is not through yet: it is offered when all have ended.", wave=wave.name)
    if wave.offered_at is None:
        if wave.observed_until and wave.observed_until > clock.now():
            return sentence(
                "Wave %(wave)s is observed until %(until)s: it can be accepted from then on.",
                wave=wave.name,
                until=wave.observed_until,
            )
        return sentence(
            "Wave %(wave)s is not offered for acceptance yet: wait until nobody of it is under way.", wave=wave.name
        )
    if wave.members.filter(state__in=[WaveMember.State.WAITING, *WaveMember.UNDER_WAY]).exists():
        return sentence("Members of wave %(wave)s are under way again: wait until they have ended.", wave=wave.name)
    return None


@transaction.atomic
def accept(wave: Wave, actor: Actor, *, shown: int | None = None, note: str = "") -> Wave:
    """Take the word of a person that the wave is good as it is; what is not in order is kept by name.

    ``shown`` is how many items the person saw: where there are more by now, nothing is accepted.
    """
    wave = locked(wave)
    if why := why_not_accepted(wave):
        raise ValidationError(why)
    note = note.strip()
    if len(note) > LONGEST_NOTE:
        raise ValidationError(
            {"note": sentence("The note has more than %(most)s characters: shorten it.", most=LONGEST_NOTE)}
        )
    kept = 0
    for some in batched(items(wave)):
        kept += insert(some)
        if shown is not None and kept > shown:
            raise ValidationError(
                sentence(
                    "By now there is more to accept than was shown, so nothing was accepted: look once more.",
                )
            )
    now = clock.now()
    wave.state = Wave.State.COMPLETED_WITH_ERRORS if kept else Wave.State.COMPLETED
    wave.accepted_at, wave.accepted_by, wave.next_look_at = now, actor.name, None
    wave.save(update_fields=["state", "accepted_at", "accepted_by", "next_look_at"])
    told = (
        sentence_plural(
            "Wave %(wave)s of %(rollout)s was accepted, with %(n)s item that is not in order.",
            "Wave %(wave)s of %(rollout)s was accepted, with %(n)s items that are not in order.",
            kept,
            wave=wave.name,
            rollout=str(wave.rollout),
        )
        if kept
        else sentence(
            "Wave %(wave)s of %(rollout)s was accepted: all is in order.", wave=wave.name, rollout=str(wave.rollout)
        )
    )
    after = {"accepted items": kept, **({"note": note} if note else {})}
    entry(
        wave.rollout.tenant, actor, "accept wave", f"{wave.rollout}/{wave.name}", after=after, consequence=told
    ).save()
    events.note(wave.rollout, RolloutEvent.Kind.ACCEPTED, told, wave=wave, by=actor.name, reason=note)
    return wave


def counts_shown(wave: Wave) -> Mapping[str, int]:
    """The counts as the page shows them: of what was accepted, once it was."""
    if wave.accepted_at is None:
        return counts(wave)
    found = dict(wave.accepted_items.order_by().values_list("kind").annotate(items=Count("pk")))
    return {kind.value: found.get(kind.value, 0) for kind in Kind}


def rows_of(wave: Wave, kind: str) -> QuerySet[Any]:
    """The rows that items of one kind are made of (:func:`item_of`), or those that were accepted."""
    if wave.accepted_at is not None:
        return wave.accepted_items.filter(kind=kind).order_by("pk")
    return failed_members(wave) if kind == Kind.FAILED_MEMBER else left_meetings(wave).filter(of_kind(kind))


def item_of(wave: Wave, row: Model) -> AcceptedItem:
    """The item that such a row stands for; not saved, where it is not accepted."""
    if isinstance(row, WaveMember):
        return AcceptedItem(wave=wave, kind=Kind.FAILED_MEMBER, user=row.user, upn=row.user.upn, sentence=row.failure)
    if isinstance(row, LeftMeeting):
        return AcceptedItem(
            wave=wave,
            kind=kind_of(row.code),
            user=row.user,
            upn=row.user.upn,
            uid=row.uid,
            subject=row.subject,
            starts_at=row.starts_at,
            sentence=row.reason,
        )
    assert isinstance(row, AcceptedItem)  # noqa: S101 - rows_of gives no others
    return row


def items(wave: Wave) -> Iterator[AcceptedItem]:
    """All that there is to accept, not saved."""
    for rows in (failed_members(wave), left_meetings(wave)):
        for row in rows.iterator():
            yield item_of(wave, row)
