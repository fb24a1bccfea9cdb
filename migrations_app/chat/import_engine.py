"""The procedure that imports: it begins a plan, writes its rooms, and finishes it (R111, R112).

1. One worker sees whether source and target still look as planned, else a new plan is made; then it makes categories.
2. Workers take rooms, each one its own, as many at a time as the target allows, and write them (``room_writing``).
   A room that fails does not stop the others, until the stop rule says so (R78).
3. When no room is left, one worker finishes what the target makes of all rooms together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Self

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import override

from migrations_app.chat import archives, plans, stop_rule, target_rows
from migrations_app.chat.archive.packing import pack
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import Archive
from migrations_app.chat.archive.records import Room
from migrations_app.chat.conversion.outgoing import OutgoingCategory, Person
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.leases import (
    LeaseLost,
    claim_plan,
    claim_room,
    keep_plan,
    kept_meanwhile,
    leave_plan,
    leave_room,
    may_begin,
    waiting_room,
)
from migrations_app.chat.room_writing import RoomWriter
from migrations_app.chat.targets.base import KeepsArchives, Target, TargetProblem, Unanswered
from migrations_app.mail import delivery
from migrations_app.models import ChatArchive, ChatPlan, ChatRoom
from migrations_app.monitoring import clock
from migrations_app.retries import RETRIES, pause_before_retry
from migrations_app.runs import queue
from tenants_app import bulk
from tenants_app.audit import Actor, Channel
from tenants_app.sentences import at_most, sentence

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

TURN = timedelta(minutes=1)
"""After so long other procedures have their turn, and before where a run or a message is due."""
LOOKS_EVERY = 1.0
"""Seconds between two looks whether something else is due."""
PAUSE = timedelta(minutes=1)
"""After something unexpected that is about no room, an import is left alone for so long."""

State = ChatPlan.State
INTERNAL = sentence("Something unexpected happened: look into the log of the workers, then retry this room.")


# --- the main loop ----------------------------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Go on with the imports that are under way. Returns whether it gave way before it was through."""
    turn = _Turn(min(until, timezone.now() + TURN))
    plans_due = _due(clock.now()).select_related("tenant", "archive", "target")
    for plan in plans_due.order_by("?")[:50]:  # so that a long import does not keep others waiting
        if turn.is_over():
            return True
        try:
            work(plan, turn.is_over)
        except Exception:
            log.exception("import %s could not go on; it is tried again", plan.pk)
            ChatPlan.objects.filter(pk=plan.pk).update(retry_at=clock.now() + PAUSE)
    return is_due(clock.now())


class _Turn:
    """How long a worker may be at imports: until a time, or until something else is due."""

    def __init__(self, until: datetime) -> None:
        self._until = until
        self._look_at = 0.0
        self._is_over = False

    def is_over(self) -> bool:
        """Asks the database every now and then only, so that it can be asked after each batch."""
        if not self._is_over and monotonic() >= self._look_at:
            self._look_at = monotonic() + LOOKS_EVERY
            self._is_over = queue.is_due() or delivery.is_due()
        return self._is_over or timezone.now() >= self._until


def is_due(now: datetime) -> bool:
    """Whether an import has something to do that nobody does now."""
    return any(_has_work(plan, now) for plan in _due(now).select_related("target").order_by("pk")[:50])


def settles_at() -> datetime | None:
    """None: imports do not wait for a settling time."""
    return None


def _due(now: datetime) -> QuerySet[ChatPlan]:
    """Plans that are being imported; a tenant that is switched off is passed over (R12)."""
    free = ChatPlan.objects.filter(may_begin(now), state=State.IMPORTING)
    return free.filter(tenant__meeting_migration_enabled=True)


def _has_work(plan: ChatPlan, now: datetime) -> bool:
    if plan.prepared_at is None or not plan.rooms.filter(state__in=ChatRoom.UNDER_WAY).exists():
        return True
    return waiting_room(plan, now) is not None


def work(plan: ChatPlan, gives_way: Callable[[], bool], tell: Callable[[ChatPlan], None] = lambda plan: None) -> bool:
    """Go on with one import until it gives way, or nothing of it can be done now. Whether anything was done."""
    try:
        with _Session(plan) as session:
            return session.work(gives_way, tell)
    except LeaseLost as lost:
        log.warning("%s does not go on here", lost)
        return True
    except _Ended:
        return True


class _Ended(Exception):
    """The import has been ended by this worker: there is nothing more to do."""


class _Session:
    """One worker at one import, with source and target open."""

    def __init__(self, plan: ChatPlan) -> None:
        self.plan = plan
        self._stack = ExitStack()
        self._archive: Archive | None = None
        self._target: Target | None = None
        self._people: Mapping[str, Person] = {}
        self._records: dict[str, Room] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    # --- what there is to do --------------------------------------------------------------------------

    def work(self, gives_way: Callable[[], bool], tell: Callable[[ChatPlan], None]) -> bool:
        """Go on until it gives way, or nothing can be done now. Whether anything was done."""
        plan, did = self.plan, False
        if plan.prepared_at is None:
            if not claim_plan(plan, State.IMPORTING):
                return False
            if plan.prepared_at is None:
                self._as_a_whole(self._prepare)
            else:
                leave_plan(plan)
            did = True
            tell(plan)
        while not gives_way():
            room = claim_room(plan)
            if room is None:
                break
            did = True
            if not self._write(room, gives_way, tell):
                return True
        else:
            return True
        if not plan.rooms.filter(state__in=ChatRoom.UNDER_WAY).exists() and claim_plan(plan, State.IMPORTING):
            self._as_a_whole(self._finish)
            did = True
        return did

    def _as_a_whole(self, do: Callable[[], None]) -> None:
        """Do what is about the plan as a whole, and note where that cannot be done."""
        try:
            with kept_meanwhile(self.plan), override(settings.LANGUAGE_CODE):
                do()
        except Unanswered:
            leave_plan(self.plan, retry_at=clock.now() + pause_before_retry(1))
            raise _Ended from None
        except (TargetProblem, Unusable, OSError) as error:
            self._halt(_problem_of(error))
        except (LeaseLost, _Ended):
            raise
        except Exception:
            log.exception("import %s could not go on", self.plan.pk)
            self._halt(TargetProblem("internal-error", INTERNAL, is_of_room=False, waits=True))

    def _halt(self, problem: TargetProblem) -> None:
        """Let the whole import wait where that may help, else stop it; this worker does nothing more of it."""
        plan = self.plan
        if problem.waits and plan.attempts < RETRIES:
            again = clock.now() + _pause(problem, plan.attempts + 1)
            leave_plan(plan, attempts=plan.attempts + 1, retry_at=again, problem=problem.sentence)
        else:
            leave_plan(plan, state=State.STOPPED, problem=problem.sentence, stopped_at=clock.now())
        raise _Ended

    # --- beginning ------------------------------------------------------------------------------------

    def _open(self) -> tuple[Archive, Target]:
        if self._archive is None or self._target is None:
            if self.plan.archive.state != ChatArchive.State.STORED:
                raise TargetProblem(
                    "chat-archive-gone",
                    sentence("The archive was deleted, so nothing more can be imported of it."),
                    is_of_room=False,
                )
            self._archive = self._stack.enter_context(archives.open_stored(self.plan.archive))
            self._target = self._stack.enter_context(target_rows.opened(self.plan.target))
            self._people = people_of(self._archive, self._target, settings.LANGUAGE_CODE)
            self._records = {room.id: room for room in self._archive.rooms()}
        return self._archive, self._target

    def _prepare(self) -> None:
        """See whether all is as it was planned, and make categories; what an earlier import made is found again."""
        plan = self.plan
        archive, target = self._open()
        found = target.look()
        has_begun = plan.rooms.exclude(target_id="").exists()
        if archive.digest != plan.source_digest or (found.digest != plan.target_digest and not has_begun):
            self._plan_anew()
            raise _Ended
        made = dict(plan.categories)
        for category in self._categories(made):
            made[category.id] = target.begin_category(category)
            keep_plan(plan, categories=made)
        ours = {room.id: found.ours.get(room.guid or room.id, "") for room in self._records.values()}
        known = [
            ChatRoom(pk=pk, target_id=ours[room])
            for pk, room in plan.rooms.filter(target_id="", state__in=ChatRoom.UNDER_WAY).values_list("pk", "room_id")
            if ours.get(room)
        ]
        with transaction.atomic():
            bulk.update(known, ["target_id"])
            limits = target.limits
            if not leave_plan(
                plan, prepared_at=clock.now(), rooms_at_once=limits.rooms_at_once, attempts=0, problem=""
            ):
                raise LeaseLost(f"plan {plan.pk}")
        plan.refresh_from_db()
        queue.wake_cluster(plan.rooms.filter(state__in=ChatRoom.UNDER_WAY).count() - 1)

    def _categories(self, made: Mapping[str, str]) -> list[OutgoingCategory]:
        """Those of the rooms that are to be imported which are not made yet, in the order of the rooms."""
        left = self.plan.rooms.filter(state__in=ChatRoom.UNDER_WAY).order_by("position")
        found: dict[str, OutgoingCategory] = {}
        for planned in left.values_list("planned", flat=True):
            category = OutgoingCategory(**planned["category"])
            if category.id not in made:
                found.setdefault(category.id, category)
        return list(found.values())

    def _plan_anew(self) -> None:
        """Let another plan take the place of this one (R110): nothing was imported yet."""
        plan = self.plan
        why = sentence("Source or target do not look any more as planned, so the import was planned anew.")
        with transaction.atomic():
            plan.rooms.filter(state__in=ChatRoom.UNDER_WAY).update(state=ChatRoom.State.PLANNED)
            new = plans.replaced(plan, Actor(plan.started_by, Channel.SERVICE))
            if not leave_plan(plan, state=State.OUTDATED, problem=why, replaced_by=new, finished_at=timezone.now()):
                raise LeaseLost(f"plan {plan.pk}")

    # --- rooms ----------------------------------------------------------------------------------------

    def _write(self, room: ChatRoom, gives_way: Callable[[], bool], tell: Callable[[ChatPlan], None]) -> bool:
        """Write the room, and note how that ended; whether this worker may take another."""
        try:
            with kept_meanwhile(room), override(settings.LANGUAGE_CODE):  # what it writes there is for people
                archive, target = self._open()
                writer = RoomWriter(
                    room,
                    archive,
                    self._records[room.room_id],
                    target,
                    self._people,
                    language=settings.LANGUAGE_CODE,
                )

                def after_each() -> bool:
                    tell(self.plan)
                    return gives_way()

                is_done = writer.write_all(self.plan.categories[writer.outgoing.category.id], after_each)
        except LeaseLost:
            leave_room(room, ChatRoom.State.WAITING)  # where it was paused, and not taken over
            raise
        except Unanswered:
            self._put_off(room, _problem_of(None))
        except (TargetProblem, Unusable, OSError) as error:
            self._put_off(room, _problem_of(error))
        except Exception:
            log.exception("room %s could not be imported", room.pk)
            self._fail(room, TargetProblem("internal-error", INTERNAL))
        else:
            if not is_done:
                leave_room(room, ChatRoom.State.WAITING)
                return False
            leave_room(room, ChatRoom.State.IMPORTED, finished_at=clock.now(), error_code="", error_detail="")
            if self.plan.attempts:
                ChatPlan.objects.filter(pk=self.plan.pk).update(attempts=0, problem="")
            self._stop_where_too_many_failed()
        tell(self.plan)
        return True

    def _put_off(self, room: ChatRoom, problem: TargetProblem) -> None:
        """Try again later where that may help: the room alone, or all of the import where it is not about the room."""
        if not problem.is_of_room:
            leave_room(room, ChatRoom.State.WAITING, error_code=problem.code, error_detail=problem.sentence)
            if claim_plan(self.plan, State.IMPORTING, waits=False):
                self._halt(problem)
            raise _Ended
        if not problem.waits or room.attempts >= RETRIES:
            self._fail(room, problem)
            return
        leave_room(
            room,
            ChatRoom.State.WAITING,
            attempts=room.attempts + 1,
            retry_at=clock.now() + _pause(problem, room.attempts + 1),
            error_code=problem.code,
            error_detail=problem.sentence,
        )

    def _fail(self, room: ChatRoom, problem: TargetProblem) -> None:
        """Note that the room has failed, and stop the import where that is one too many (R78)."""
        told = {"error_code": problem.code, "error_detail": problem.sentence, "finished_at": clock.now()}
        if not leave_room(room, ChatRoom.State.FAILED, **told):
            raise LeaseLost(f"room {room.pk}")
        self._stop_where_too_many_failed()

    def _stop_where_too_many_failed(self) -> None:
        """Stop the import by the rule of R78; rooms that others write go on until their next batch."""
        if not self.plan.rooms.filter(state=ChatRoom.State.FAILED).exists():
            return
        plan = ChatPlan.objects.get(pk=self.plan.pk)
        why = stop_rule.why_stopped(plan)
        if why is not None:
            importing = ChatPlan.objects.filter(pk=plan.pk, state=State.IMPORTING)
            importing.update(state=State.STOPPED, problem=why, stopped_at=clock.now())

    # --- the end --------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """What the target makes of all rooms together; then both sides are to be compared (R123)."""
        plan = self.plan
        if plan.rooms.filter(state__in=ChatRoom.UNDER_WAY).exists():  # somebody has asked for more meanwhile
            leave_plan(plan)
            return
        _, target = self._open()
        if isinstance(target, KeepsArchives):
            folder = archives.folder_of(plan.archive)
            target.keep_archive(plan.archive.name, partial(pack, folder))
        target.finish()
        now = clock.now()
        with transaction.atomic():
            compared = plan.rooms.filter(state=ChatRoom.State.IMPORTED, compare_asked_at=None)
            compared.exclude(compared_at__gt=F("finished_at")).update(compare_asked_at=now)
            if not leave_plan(plan, state=State.IMPORTED, finished_at=now, problem="", attempts=0, retry_at=None):
                raise LeaseLost(f"plan {plan.pk}")
        queue.wake_cluster()


def _pause(problem: TargetProblem, attempts: int) -> timedelta:
    return pause_before_retry(attempts) if problem.retry_after is None else timedelta(seconds=problem.retry_after)


def _problem_of(error: Exception | None) -> TargetProblem:
    """What went wrong, as a target would say it."""
    if isinstance(error, TargetProblem):
        return error
    if error is None:
        return TargetProblem(
            "chat-target-silent",
            sentence("The target did not say whether it has done something: it is asked again, and then gone on."),
            waits=True,
        )
    if isinstance(error, Unusable):
        return TargetProblem(
            "chat-archive-unreadable",
            sentence("The stored archive cannot be read: %(detail)s", detail=at_most(300, error.in_a_sentence)),
            is_of_room=False,
        )
    detail = getattr(error, "strerror", "") or type(error).__name__
    return TargetProblem(
        "chat-disk",
        sentence("A file below MMS_DATA_DIR cannot be read or written: %(detail)s.", detail=at_most(300, detail)),
        is_of_room=False,
    )
