"""Who is in a wave: added by hand, taken in when it starts, excluded and taken out (R65, R66); each change audited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from migrations_app.models import Wave, WaveMember
from migrations_app.rollouts.joining import Places, candidates
from migrations_app.rollouts.locking import check_not_started, locked_member, locked_rollout, locked_wave
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched, insert
from tenants_app.models import ConferencingUser
from tenants_app.sentences import Sentence, sentence

MOST_BY_HAND = 20_000
"""Users who are added at once while somebody waits."""
NAMED = 20
"""Refusals that are told by name."""


@dataclass(slots=True)
class Added:
    """What became of users who were to be added."""

    added: int = 0
    unchanged: int = 0
    """Who were in the wave already."""
    refused: int = 0
    sentences: list[Sentence] = field(default_factory=list)
    """Why, of the first who were refused."""
    came_from: Counter[str] = field(default_factory=Counter)
    """How many left which other wave of the rollout."""

    def refuse(self, why: Sentence) -> None:
        self.refused += 1
        if len(self.sentences) < NAMED:
            self.sentences.append(why)


@transaction.atomic
def add_members(wave: Wave, users: Iterable[int], actor: Actor, *, reason: str = "", may_leave: bool = False) -> Added:
    """Add users (keys) by hand to a wave that has not started; those who cannot join are told, and left out.

    ``may_leave``: who is in another wave of the rollout, which has not started either, leaves that one.
    """
    locked_rollout(wave.rollout)
    wave = locked_wave(wave)
    check_not_started(wave)
    pks = sorted(set(users))
    if len(pks) > MOST_BY_HAND:
        raise ValidationError(
            sentence(
                "%(count)s users are chosen, and at most %(most)s are added at once: use a file, or the wave's filter.",
                count=len(pks),
                most=MOST_BY_HAND,
            )
        )
    answer = Added()
    for some in batched(pks):
        _add(wave, some, actor, reason.strip()[:500], answer, may_leave=may_leave)
    if answer.added:
        after = {"members": answer.added} | ({"reason": reason} if reason else {})
        after |= {f"from {name}": count for name, count in answer.came_from.items()}
        entry(wave.rollout.tenant, actor, "add wave members", f"{wave.rollout.name}: {wave.name}", {}, after).save()
    return answer


def _add(wave: Wave, pks: Collection[int], actor: Actor, reason: str, answer: Added, *, may_leave: bool) -> None:
    now = timezone.now()
    places = Places(wave.rollout, pks)
    rows, leaving = [], []
    for user in ConferencingUser.objects.filter(tenant=wave.rollout.tenant_id, pk__in=pks).order_by("pk"):
        if places.is_in(wave, user):
            answer.unchanged += 1
        elif why := places.why_not(wave, user, may_leave=may_leave):
            answer.refuse(why)
        else:
            if place := places.current.get(user.pk):
                leaving.append(place.member_pk)
                answer.came_from[place.wave_name] += 1
            rows.append(
                WaveMember(
                    wave=wave,
                    user=user,
                    source=WaveMember.Source.HAND,
                    reason=reason,
                    added_at=now,
                    added_by=actor.name,
                )
            )
    if leaving:
        WaveMember.objects.filter(pk__in=leaving).delete()
    answer.added += insert(rows)


@transaction.atomic
def take_out(wave: Wave, members: Collection[int] | None, actor: Actor) -> int:
    """Take members (keys; None: all) out of a wave that has not started. Returns how many it were."""
    locked_rollout(wave.rollout)
    wave = locked_wave(wave)
    if wave.has_started:
        raise ValidationError(
            sentence(
                "The wave %(wave)s has started: its members are not taken out any more, but excluded with a reason.",
                wave=wave.name,
            )
        )
    rows = wave.members.all()
    if members is None:
        count = rows.count()
        rows.delete()
    else:
        count = sum(rows.filter(pk__in=some).delete()[0] for some in batched(sorted(set(members))))
    if count:
        target = f"{wave.rollout.name}: {wave.name}"
        entry(wave.rollout.tenant, actor, "take out wave members", target, {"members": count}).save()
    return count


@transaction.atomic
def exclude(member: WaveMember, actor: Actor, *, reason: str) -> WaveMember:
    """Leave out a member of a started wave who waits, or whose move failed; they may join a later wave (R65)."""
    reason = reason.strip()
    if not reason:
        raise ValidationError({"reason": sentence("Say why the member is excluded: the report shows it.")})
    locked_rollout(member.wave.rollout)
    wave = locked_wave(member.wave)
    if not wave.has_started:
        raise ValidationError(
            sentence("The wave %(wave)s has not started: take the member out instead.", wave=wave.name)
        )
    member = locked_member(member)
    if not member.may_be_excluded:
        raise ValidationError(
            sentence(
                "%(upn)s is not excluded any more, because the move has begun or is done: roll it back instead.",
                upn=member.user.upn,
            )
        )
    before = member.state
    member.state, member.is_current, member.excluded_by = WaveMember.State.EXCLUDED, False, actor.name
    member.failure = sentence("Excluded: %(reason)s", reason=reason[:300])
    member.save(update_fields=["state", "is_current", "excluded_by", "failure"])
    if wave.state in Wave.MOVES:
        wave.next_look_at = timezone.now()
        wave.save(update_fields=["next_look_at"])
    entry(
        wave.rollout.tenant,
        actor,
        "exclude wave member",
        member.user.upn,
        {"state": before},
        {"wave": f"{wave.rollout.name}: {wave.name}", "reason": reason[:500]},
    ).save()
    return member


# --- when it starts -----------------------------------------------------------------------------------


def freeze(wave: Wave, after_key: int, limit: int) -> int | None:
    """Take in the next ``limit`` users, by key, who join by the wave's filter or because they are left (R66).

    In a transaction of the caller, who has locked the wave and keeps the key that is returned for the next call; None:
    all are in. A step that is repeated adds nobody twice. Raises ``ValidationError`` where the filter asks for what is
    not there any more.
    """
    users = candidates(wave)
    if users is None:
        return None
    keys = list(users.filter(pk__gt=after_key).order_by("pk").values_list("pk", flat=True)[:limit])
    now = timezone.now()
    source = WaveMember.Source.REST if wave.takes_rest else WaveMember.Source.FILTER
    for some in batched(keys):
        rows = [
            WaveMember(wave=wave, user_id=key, source=source, added_at=now, added_by=wave.started_by or "MMS")
            for key in some
        ]
        insert(rows, unless_there=True)
    return keys[-1] if len(keys) == limit else None


def has_somebody(wave: Wave) -> bool:
    """Whether anybody would move if the wave started now; by the same questions as :func:`freeze`."""
    if wave.members.filter(state=WaveMember.State.WAITING).exists():
        return True
    users = candidates(wave)
    return users is not None and users.exists()


def newcomers(wave: Wave) -> QuerySet[ConferencingUser]:
    """Who matches the filter of a started wave by now and was not taken in, nor is in another wave (R66)."""
    if not wave.has_started or not wave.saved_query or wave.takes_rest:
        return ConferencingUser.objects.none()
    try:
        found = candidates(wave)
    except ValidationError:
        found = None
    return ConferencingUser.objects.none() if found is None else found


def following(wave: Wave) -> list[Wave]:
    """The waves behind it that have not started: where newcomers may go."""
    behind = Wave.objects.filter(
        rollout=wave.rollout_id, position__gt=wave.position, state__in=Wave.NOT_STARTED
    ).select_related("rollout__tenant")
    return list(behind.order_by("position"))
