"""The procedure that makes plans: it reads source and target, and writes down what would become of each room (R110).

Rooms are written down some at a time, with the cursor, in one transaction: whoever is killed goes on behind them. A
plan that goes on after a decision (``ChatPlan.keeps_content``) reads no messages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from migrations_app.chat import archives, target_rows
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import Archive
from migrations_app.chat.conversion.conflicts import Choices
from migrations_app.chat.conversion.findings import Finding
from migrations_app.chat.conversion.outgoing import Found, OnConflict, Person
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.conversion.planned import MOVED, as_json
from migrations_app.chat.conversion.planning import PlannedRoom, plan_as_a_whole, plan_rooms
from migrations_app.chat.leases import LeaseLost, claim_plan, keep_plan, kept_meanwhile, leave_plan, may_begin
from migrations_app.chat.plan_counts import counts_of
from migrations_app.chat.targets.base import Target, TargetProblem
from migrations_app.models import ChatArchive, ChatFinding, ChatPlan, ChatRoom
from migrations_app.monitoring import clock
from migrations_app.runs import queue
from tenants_app import bulk
from tenants_app.sentences import at_most, sentence

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

TURN = timedelta(seconds=20)
"""After so long, runs and messages have their turn."""
PIECE = 100
"""Rooms that are written down at once, or fewer, where their messages take long to read."""
SECONDS_OF_A_PIECE = 5.0
ATTEMPTS = 5
"""Begun so often without coming further, or not answered by the target, a plan is refused."""
PAUSE = timedelta(minutes=1)

OF_CONTENT = frozenset(
    {
        *("author-in-text", "time-in-text", "times-shifted", "time-not-kept", "split", "replaced-characters"),
        *("formatting-lost", "file-missing", "file-too-large", "unknown-author", "empty-message", "retention"),
    }
)
"""Findings that only reading messages tells."""

State = ChatPlan.State
_OF_ROOM = (
    *("position", "name", "category", "becomes", "becomes_category", "planned", "state", "estimate_seconds"),
    *("message_count", "file_count", "file_bytes", "first_at", "last_at"),
)


# --- the main loop ----------------------------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Go on with the plans that are to be made, oldest first. Returns whether it gave way before it was through."""
    turn_ends = min(until, timezone.now() + TURN)
    for plan in _due(clock.now()).select_related("tenant", "archive", "target").order_by("created", "pk")[:50]:
        if timezone.now() >= turn_ends or queue.is_due():
            return True
        step(plan, turn_ends)
    return is_due(clock.now())


def is_due(now: datetime) -> bool:
    """Whether a plan is to be made that nobody makes now."""
    return _due(now).exists()


def settles_at() -> datetime | None:
    """None: plans do not wait for a settling time."""
    return None


def _due(now: datetime) -> QuerySet[ChatPlan]:
    return ChatPlan.objects.filter(may_begin(now), state=State.PLANNING)


def step(plan: ChatPlan, until: datetime | None, tell: Callable[[ChatPlan], None] = lambda plan: None) -> bool:
    """Take the plan as far as possible until then. Whether this worker had it."""
    if not claim_plan(plan, State.PLANNING):
        return False
    if plan.attempts >= ATTEMPTS:
        why = sentence("It was begun several times and never came further: look into the log of the workers.")
        leave_plan(plan, state=State.REFUSED, problem=plan.problem or why)
        return True
    try:
        keep_plan(plan, attempts=plan.attempts + 1)
        _Planner(plan, until, tell).plan_rooms()
    except LeaseLost as lost:
        log.warning("%s was taken over by another worker", lost)
    except Unusable as error:
        leave_plan(plan, state=State.REFUSED, problem=at_most(500, error.in_a_sentence))
    except TargetProblem as problem:
        _put_off(plan, problem)
    except OSError as error:
        why = sentence("The archive cannot be read (%(error)s).", error=error.strerror or type(error).__name__)
        leave_plan(plan, state=State.REFUSED, problem=why)
    except Exception:
        log.exception("plan %s could not be made; it is tried again", plan.pk)
        leave_plan(plan, retry_at=clock.now() + PAUSE)
    return True


def _put_off(plan: ChatPlan, problem: TargetProblem) -> None:
    """Try again later where that may help; else the plan is refused."""
    if problem.waits and plan.attempts < ATTEMPTS:
        pause = PAUSE if problem.retry_after is None else timedelta(seconds=problem.retry_after)
        leave_plan(plan, retry_at=clock.now() + pause, problem=problem.sentence)
    else:
        leave_plan(plan, state=State.REFUSED, problem=problem.sentence)


# --- one plan ---------------------------------------------------------------------------------------------------------


class _Planner:
    """One attempt at a plan, by the worker that has claimed it."""

    def __init__(self, plan: ChatPlan, until: datetime | None, tell: Callable[[ChatPlan], None]) -> None:
        self.plan = plan
        self.until = until
        self.tell = tell
        self.unread: frozenset[str] | None = None

    def plan_rooms(self) -> None:
        """Write down rooms until all are, or the turn is over."""
        plan = self.plan
        with ExitStack() as stack:
            stack.enter_context(kept_meanwhile(plan))
            if plan.archive.state != ChatArchive.State.STORED:
                leave_plan(plan, state=State.REFUSED, problem=sentence("The archive was deleted: choose another one."))
                return
            archive = stack.enter_context(archives.open_stored(plan.archive))
            target = stack.enter_context(target_rows.opened(plan.target))
            found = target.look()
            if plan.keeps_content and plan.target_digest != found.digest:
                keep_plan(plan, keeps_content=False, cursor=0)
            choices = self._choices()
            people = people_of(archive, target, settings.LANGUAGE_CODE)
            if plan.cursor == 0 or plan.target_digest != found.digest:
                self._begin(archive, target, found, people, choices)
            self.unread = self._unread()
            read = archive if self.unread is None else _WithoutMessages(archive, self.unread)
            rooms = plan_rooms(
                read, target.limits, found, people, choices, begin=plan.cursor, language=settings.LANGUAGE_CODE
            )
            for some in _in_pieces(rooms):
                self._write(some)
                self.tell(plan)
                if self.until is not None and timezone.now() >= self.until:
                    leave_plan(plan)
                    return
            self._end()

    def _unread(self) -> frozenset[str] | None:
        """The rooms whose messages are to be read all the same: they were not to be imported until now. None: all."""
        if not self.plan.keeps_content:
            return None
        rooms = self.plan.rooms
        skipped = rooms.filter(state=ChatRoom.State.SKIPPED)
        # What was found of times is kept with a room that can be imported, and nowhere else.
        moved = rooms.filter(planned={}, findings__code="times-shifted")
        return frozenset(room for some in (skipped, moved) for room in some.values_list("room_id", flat=True))

    def _choices(self) -> Choices:
        plan = self.plan
        of_tenant = archives.settings_of(plan.tenant)
        is_out = Q(state=ChatRoom.State.DESELECTED)
        decided = plan.rooms.filter(~Q(on_conflict="") | ~Q(chosen_name="") | is_out)
        rows = list(decided.values_list("room_id", "on_conflict", "chosen_name", "state"))
        return Choices(
            on_conflict=OnConflict(plan.on_conflict),
            of_room={room: OnConflict(answer) for room, answer, _, _ in rows if answer},
            names={room: name for room, _, name, _ in rows if name},
            category_names=plan.category_names,
            deselected=frozenset(room for room, _, _, state in rows if state == ChatRoom.State.DESELECTED),
            prefixes_rooms=plan.prefixes_rooms,
            keeps_root_managers=plan.keeps_root_managers,
            includes_disabled=plan.includes_disabled,
            separator=of_tenant.separator,
        )

    @transaction.atomic
    def _begin(
        self, archive: Archive, target: Target, found: Found, people: Mapping[str, Person], choices: Choices
    ) -> None:
        """Forget what was planned for a target as it is not any more, and note what is about the plan as a whole."""
        plan = self.plan
        keep_plan(plan, cursor=0, source_digest=plan.archive.sha256, target_digest=found.digest)
        plan.findings.filter(room=None).delete()
        notes = archive.manifest.notes
        whole = plan_as_a_whole(archive, target.limits, found, people, choices, target.findings(), notes)
        bulk.insert([_finding(plan, None, each) for each in whole])

    @transaction.atomic
    def _write(self, some: Sequence[PlannedRoom]) -> None:
        """Write down some rooms and what was found of them, with as many statements for many as for one."""
        plan = self.plan
        keep_plan(plan, cursor=plan.cursor + len(some), attempts=0, problem="")
        there = {row.room_id: row for row in plan.rooms.filter(room_id__in=[each.room.id for each in some])}
        new: list[ChatRoom] = []
        old: list[ChatRoom] = []
        for place, each in enumerate(some, plan.cursor - len(some) + 1):
            row = there.get(each.room.id)
            (old if row else new).append(self._row(row or ChatRoom(plan=plan, room_id=each.room.id), each, place))
        bulk.insert(new)
        bulk.update(old, _OF_ROOM)
        keys = dict(plan.rooms.filter(room_id__in=[each.room.id for each in some]).values_list("room_id", "pk"))
        kept = [key for room, key in keys.items() if not self._is_read(room)]
        stale = ChatFinding.objects.filter(plan=plan, room__in=keys.values())
        stale.exclude(room__in=kept, code__in=OF_CONTENT).delete()
        bulk.insert([_finding(plan, keys[each.room.id], finding) for each in some for finding in each.findings])

    def _is_read(self, room: str) -> bool:
        return self.unread is None or room in self.unread

    def _row(self, row: ChatRoom, planned: PlannedRoom, place: int) -> ChatRoom:
        outgoing = planned.outgoing
        row.position, row.name, row.category = place, planned.room.name[:300], planned.category[:1000]
        row.becomes, row.becomes_category = planned.name[:1000], planned.category_name[:1000]
        moved = {} if self._is_read(planned.room.id) else row.planned.get(MOVED, {})
        row.planned = as_json(outgoing) if outgoing else {}
        if row.planned and moved:  # found when messages were read
            row.planned[MOVED] = moved
        if row.state != ChatRoom.State.DESELECTED:
            row.state = ChatRoom.State.SKIPPED if planned.is_skipped else ChatRoom.State.PLANNED
        row.message_count, row.first_at, row.last_at = planned.room.messages, planned.room.first, planned.room.last
        if self._is_read(planned.room.id):
            row.file_count, row.file_bytes = planned.files, planned.file_bytes
            row.estimate_seconds = planned.estimate_seconds
        return row

    @transaction.atomic
    def _end(self) -> None:
        plan = self.plan
        _count_findings(plan)
        changes: dict[str, Any] = {**counts_of(plan), "state": State.READY, "planned_at": timezone.now()}
        if not leave_plan(plan, problem="", keeps_content=False, retry_at=None, **changes):
            raise LeaseLost(f"plan {plan.pk}")
        plan.refresh_from_db()


def _count_findings(plan: ChatPlan) -> None:
    """Let each room know how many errors and warnings it has; one statement."""

    def of(severity: str) -> Coalesce:
        these = ChatFinding.objects.filter(room=OuterRef("pk"), severity=severity).order_by()
        return Coalesce(Subquery(these.values("room").annotate(n=Count("pk")).values("n")), 0)

    severity = ChatFinding.Severity
    plan.rooms.update(error_count=of(severity.ERROR), warning_count=of(severity.WARNING))


def _finding(plan: ChatPlan, room: int | None, finding: Finding) -> ChatFinding:
    return ChatFinding(
        plan=plan,
        room_id=room,
        severity=finding.severity.value,
        code=finding.code,
        sentence=finding.sentence,
        count=finding.count,
    )


def _in_pieces(rooms: Iterator[PlannedRoom]) -> Iterator[list[PlannedRoom]]:
    """As many rooms as there are in a few seconds, at most so many that a transaction stays short."""
    some: list[PlannedRoom] = []
    began = monotonic()
    for room in rooms:
        some.append(room)
        if len(some) >= PIECE or monotonic() - began >= SECONDS_OF_A_PIECE:
            yield some
            some, began = [], monotonic()
    if some:
        yield some


class _WithoutMessages:
    """An archive of which names and people alone are read, but for the rooms that are named."""

    def __init__(self, archive: Archive, but: frozenset[str]) -> None:
        self._archive = archive
        self._but = but

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    def messages(self, room: str) -> Iterator[Any]:
        return self._archive.messages(room) if room in self._but else iter(())
