"""Counting a wave's members: how far it is, and what its stop rule looks at (R78, R79)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db.models import Count, Q

from migrations_app.models import Wave, WaveMember
from migrations_app.rollouts import gates
from migrations_app.rollouts.stopping import Counted, Thresholds, longest_row

LOOKED_BACK = 2_000
"""How many of those who ended last are looked through for a row of failures: more than end in one step."""

State = WaveMember.State


def by_state(wave: Wave) -> Mapping[str, int]:
    """How many members are in each state; one question, by an index."""
    return by_states([wave])[wave.pk]


def by_states(waves: Sequence[Wave]) -> Mapping[int, Mapping[str, int]]:
    """The same of several waves, by their keys; one question for all of them."""
    found = {wave.pk: dict.fromkeys(State.values, 0) for wave in waves}
    rows = WaveMember.objects.filter(wave__in=found).order_by().values_list("wave", "state")
    for wave, state, count in rows.annotate(members=Count("pk")):
        found[wave][state] = count
    return found


def thresholds_of(wave: Wave) -> Thresholds:
    """What the wave's rollout says; ``wave.rollout`` should be loaded already."""
    rollout = wave.rollout
    return Thresholds(rollout.max_failed_percent, rollout.min_finished, rollout.max_failed_in_a_row)


def counted(wave: Wave) -> Counted:
    """What the stop rule looks at: members who have ended since the wave was started or resumed, and its checks.

    Of a wave that is taken back, members on their way back; its checks, which may be why it is, do not count then. As
    long as nobody has failed, only that is asked.
    """
    members = wave.members.filter(is_going_back=bool(wave.back_from)).order_by()
    since = Q(finished_at__gt=wave.counts_from) if wave.counts_from else Q()
    failed_since = since & Q(state=State.FAILED)
    twice = () if wave.back_from else tuple(str(check.name) for check in gates.failing_twice(wave))
    if not members.filter(failed_since).exists():
        return Counted(size=0, checks_failed_twice=twice)
    ended = Q(state__in=WaveMember.FINISHED)
    sums = members.exclude(state=State.EXCLUDED).aggregate(
        size=Count("pk"),
        finished=Count("pk", filter=ended & since),
        failed=Count("pk", filter=failed_since),
        batch_size=Count("pk", filter=Q(batch=wave.batch)),
        batch_failed=Count("pk", filter=Q(batch=wave.batch) & failed_since),
    )
    last = members.filter(ended & since).order_by("-finished_at", "-pk")
    depth = LOOKED_BACK + min(wave.rollout.max_failed_in_a_row, LOOKED_BACK)
    row = longest_row(state == State.FAILED for state in last.values_list("state", flat=True)[:depth])
    return Counted(**sums, in_a_row=row, checks_failed_twice=twice)
