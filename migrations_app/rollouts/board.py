"""A wave at a glance: its members by state, its batches, and what it waits for; bounded, however large it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from django.db.models import Count, QuerySet

from migrations_app.models import Run, Wave, WaveMember
from migrations_app.rollouts.engine import opens_at
from migrations_app.rollouts.gates import Gate
from migrations_app.rollouts.move_lists import waits_for_list
from tenants_app.local_times import told
from tenants_app.sentences import Sentence, sentence, sentence_plural

SHOWN = 8
"""Members of each state who are named."""
BATCHES = 10
"""Batches that are shown, the last ones."""

State = WaveMember.State
ORDER = (State.FAILED, State.UPDATING, State.MOVING, State.WAITING, State.DONE, State.ROLLED_BACK, State.EXCLUDED)
"""What needs somebody first."""


@dataclass(frozen=True, slots=True)
class Column:
    """The members in one state: how many, and the first of them."""

    state: str
    count: int
    members: Sequence[WaveMember]

    @property
    def more(self) -> int:
        return self.count - len(self.members)


@dataclass(slots=True)
class Batch:
    """What became of the members of a batch."""

    number: int
    by_state: Counter[str] = field(default_factory=Counter)

    @property
    def members(self) -> int:
        return self.by_state.total()

    @property
    def ended(self) -> int:
        return sum(self.by_state[state] for state in (*WaveMember.FINISHED, State.EXCLUDED))

    @property
    def failed(self) -> int:
        return self.by_state[State.FAILED]


@dataclass(frozen=True, slots=True)
class Board:
    """What the page of a wave shows of its members."""

    counts: Counter[str]
    columns: Sequence[Column]
    batches: Sequence[Batch]
    """The last ones, newest first."""

    @property
    def members(self) -> int:
        """Without those who were excluded."""
        return self.counts.total() - self.counts[State.EXCLUDED]

    @property
    def ended(self) -> int:
        return sum(self.counts[state] for state in WaveMember.FINISHED)

    @property
    def under_way(self) -> int:
        return sum(self.counts[state] for state in WaveMember.UNDER_WAY)


def board_of(wave: Wave) -> Board:
    """The wave's members, in a number of questions that does not grow with them."""
    counts: Counter[str] = Counter()
    batches: dict[int, Batch] = {}
    rows = wave.members.order_by().values_list("batch", "state").annotate(members=Count("pk"))
    for number, state, count in cast("QuerySet[WaveMember, tuple[int | None, str, int]]", rows):
        counts[state] += count
        if number is not None:
            batches.setdefault(number, Batch(number)).by_state[state] += count
    columns = [Column(state, counts[state], _first(wave, state)) for state in ORDER if counts[state]]
    _load_runs([member for column in columns for member in column.members])
    return Board(counts, columns, [batches[number] for number in sorted(batches, reverse=True)[:BATCHES]])


def _first(wave: Wave, state: str) -> list[WaveMember]:
    members = wave.members.filter(state=state).select_related("user")
    has_ended = state in WaveMember.FINISHED or state == State.EXCLUDED
    order = ("-finished_at", "-pk") if has_ended else ("batch", "pk")
    return list(members.order_by(*order)[:SHOWN])


def _load_runs(members: Sequence[WaveMember]) -> None:
    """Let each have the latest run of the user, which is the one that counts."""
    latest = Run.objects.filter(user__in=[member.user_id for member in members if member.moved_at], is_latest=True)
    runs = {run.user_id: run for run in latest}
    for member in members:
        member.run = runs.get(member.user_id) if member.moved_at else None


def waits_for(wave: Wave, board: Board, gate: Gate | None, now: datetime) -> Sentence | None:
    """Why nobody is moved at this moment although the wave moves, in a sentence; None where it goes on, or does not
    move at all."""
    if wave.state not in Wave.MOVES:
        return None
    if not wave.rollout.tenant.meeting_migration_enabled:
        return sentence("The service is switched off: nobody is moved until it is on again.")
    if waiting := board.counts[State.MOVING]:
        if waits_for_list(wave):
            return sentence_plural(
                "%(n)s member waits to be moved with Move-CsUser: take the list, move it, and confirm it here.",
                "%(n)s members wait to be moved with Move-CsUser: take the list, move them, and confirm it here.",
                waiting,
            )
        return None
    if updating := board.counts[State.UPDATING]:
        return sentence_plural(
            "The next batch begins when the run of %(n)s member has ended.",
            "The next batch begins when the runs of %(n)s members have ended.",
            updating,
        )
    if wave.back_from or not board.counts[State.WAITING] or wave.frozen_at is None:
        return None
    opens = opens_at(wave, now)
    if opens > now:
        return sentence("The next batch begins %(moment)s.", moment=told(opens, wave.zone))
    if gate is not None and not gate.is_open:
        return sentence("The next batch waits for the gate: see below which checks close it.")
    return None
