"""The procedure that compares both sides of rooms that somebody asked for, or that were imported (R123).

A room's comparison is one step: it reads both sides from the beginning, and notes what it found in one transaction. A
worker that is killed leaves nothing, and the next one begins the room anew once its lease is over.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from time import monotonic

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet

from migrations_app.chat import archives, target_rows
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import Archive
from migrations_app.chat.archive.records import Room
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Found, OutgoingRoom, Person
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.conversion.planned import outgoing_of
from migrations_app.chat.leases import LEASE, is_free, kept_meanwhile
from migrations_app.chat.room_writing import FilesOf
from migrations_app.chat.targets.base import Target, TargetProblem
from migrations_app.chat.verifying.compare import Compared, compare_room
from migrations_app.chat.verifying.differences import DO
from migrations_app.models import ChatArchive, ChatDifference, ChatPlan, ChatRoom
from migrations_app.monitoring import clock
from migrations_app.monitoring.health import beat
from migrations_app.monitoring.machines import all_workers
from migrations_app.retries import RETRIES, pause_before_retry
from migrations_app.runs import queue
from tenants_app.bulk import insert
from tenants_app.sentences import Sentence, english, sentence, sentence_plural

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

ROOMS_IN_A_TURN = 20
"""After so many rooms, runs and messages have their turn."""
_SIGN = 20.0
"""Seconds after which who compares shows that it is alive."""
Comparison = ChatRoom.Comparison


def advance(until: datetime) -> bool:
    """Compare rooms that are asked for, one after the other. Returns whether it gave way before it was through."""
    for pk in list(_due().values_list("plan", flat=True).order_by("plan").distinct()[:20]):
        plan = ChatPlan.objects.select_related("tenant", "archive", "target").get(pk=pk)
        with Session(plan) as session:
            for _ in range(ROOMS_IN_A_TURN):
                if clock.now() >= until or queue.is_due():
                    return True
                room = claim(_due().filter(plan=plan))
                if room is None or not session.compare(room):
                    break
            else:
                return True
    return False


def is_due(now: datetime) -> bool:
    """Whether a room is to be compared that nobody compares now."""
    return _due(now).exists()


def settles_at() -> datetime | None:
    """None: comparisons do not wait for a settling time."""
    return None


def _due(now: datetime | None = None) -> QuerySet[ChatRoom]:
    """Rooms that are to be compared now; a tenant that is switched off is passed over (R12)."""
    now = now or clock.now()
    asked = ChatRoom.objects.filter(is_free(now), compare_asked_at__lte=now)
    return asked.filter(plan__tenant__meeting_migration_enabled=True).exclude(state__in=ChatRoom.UNDER_WAY)


def claim(rooms: QuerySet[ChatRoom]) -> ChatRoom | None:
    """Take the first of these rooms that nobody holds; None where there is none."""
    now = clock.now()
    free = rooms.filter(is_free(now)).exclude(state__in=ChatRoom.UNDER_WAY).order_by("compare_asked_at", "position")
    for pk in list(free.values_list("pk", flat=True)[:10]):
        token = uuid.uuid4()
        mine = ChatRoom.objects.filter(is_free(now), pk=pk, compare_asked_at__isnull=False)
        if mine.update(lease_token=token, lease_until=now + LEASE, compare_attempts=F("compare_attempts") + 1):
            room = ChatRoom.objects.select_related("plan__tenant", "plan__archive", "plan__target").get(pk=pk)
            if room.lease_token == token:
                return room
    return None


class Session:
    """Archive and target of a plan, opened when the first room is compared."""

    def __init__(self, plan: ChatPlan) -> None:
        self.plan = plan
        self._opened: Opened | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._opened is not None:
            opened, self._opened = self._opened, None
            opened.close()

    def open(self) -> Opened:
        """Both sides. Raises ``TargetProblem``."""
        if self._opened is None:
            self._opened = Opened(self.plan)
        return self._opened

    def compare(self, room: ChatRoom) -> bool:
        """Compare a room that this worker has claimed, and note what was found. Whether others may be compared."""
        try:
            with kept_meanwhile(room):
                found = self._found(room)
        except (TargetProblem, Unusable, OSError) as error:
            return self._put_off(room, _problem_of(error))
        except Exception:
            log.exception("room %s could not be compared", room.pk)
            _note_problem(room, _UNEXPECTED)
            return True
        _note(room, found)
        return True

    def _found(self, room: ChatRoom) -> Compared | None:
        """What differs; None where the target does not have the room at all."""
        if room.compare_attempts > RETRIES * all_workers():
            raise TargetProblem("internal-error", _UNEXPECTED)
        opened = self.open()
        outgoing = opened.outgoing(room)
        target_id = room.target_id or opened.id_of(outgoing)
        if not target_id:
            return None
        return compare_room(
            opened.archive,
            outgoing,
            opened.people,
            opened.target.limits,
            opened.target,
            target_id,
            files=FilesOf(opened.archive),
            language=settings.LANGUAGE_CODE,
            seed=room.pk,
            live=_signs(),
        )

    def _put_off(self, room: ChatRoom, problem: TargetProblem) -> bool:
        """Try again later where that may help; otherwise the room is not readable."""
        if problem.waits and room.compare_attempts <= RETRIES:
            pause = pause_before_retry(room.compare_attempts)
            _mine(room).update(
                lease_token=None,
                lease_until=None,
                compare_asked_at=clock.now() + pause,
                compare_problem=problem.sentence,
            )
        else:
            _note_problem(room, problem.sentence)
        if not problem.is_of_room:
            self._close()
        return problem.is_of_room


class Opened:
    """Both sides of a plan, open."""

    language = settings.LANGUAGE_CODE
    """Of what MMS itself has written into messages."""

    def __init__(self, plan: ChatPlan) -> None:
        if plan.archive.state != ChatArchive.State.STORED:
            raise TargetProblem(
                "chat-archive-gone",
                sentence("The archive was deleted, so nothing can be compared with it."),
                is_of_room=False,
            )
        self._archive = archives.open_stored(plan.archive)
        self.archive: Archive = self._archive.__enter__()
        try:
            self._target = target_rows.opened(plan.target)
            self.target: Target = self._target.__enter__()
        except BaseException:
            self._archive.__exit__(None, None, None)
            raise
        self._found: Found | None = None
        try:
            self.people: Mapping[str, Person] = people_of(self.archive, self.target, settings.LANGUAGE_CODE)
            self._records: Mapping[str, Room] = {room.id: room for room in self.archive.rooms()}
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        try:
            self._target.__exit__(None, None, None)
        finally:
            self._archive.__exit__(None, None, None)

    def outgoing(self, room: ChatRoom) -> OutgoingRoom:
        """The room as it was planned."""
        return outgoing_of(room.planned, self._records[room.room_id])

    def id_of(self, room: OutgoingRoom) -> str:
        """Where others have copied the room: the one that has its GUID, else its name; empty where there is none."""
        if self._found is None:
            self._found = self.target.look()
        found = self._found
        name = folded(room.name)
        if self.target.limits.room_names_within_category:
            name = f"{folded(room.category.name)}/{name}"
        return found.ours.get(room.room.guid or room.room.id) or found.rooms.get(name, "")


_UNEXPECTED: Sentence = sentence("Something unexpected happened: look into the log of the workers, then compare again.")


def _problem_of(error: Exception) -> TargetProblem:
    if isinstance(error, TargetProblem):
        return error
    if isinstance(error, Unusable):
        return TargetProblem("chat-archive-damaged", error.in_a_sentence)
    return TargetProblem(
        "chat-not-readable",
        sentence(
            "Archive or target cannot be read: %(error)s.", error=getattr(error, "strerror", "") or type(error).__name__
        ),
    )


def _signs() -> Callable[[], None]:
    """Called often while a room is compared, and dear only now and then."""
    next_sign = monotonic() + _SIGN

    def live() -> None:
        nonlocal next_sign
        if monotonic() >= next_sign:
            next_sign = monotonic() + _SIGN
            beat()

    return live


def _mine(room: ChatRoom) -> QuerySet[ChatRoom]:
    return ChatRoom.objects.filter(pk=room.pk, lease_token=room.lease_token)


_ENDED = {"lease_token": None, "lease_until": None, "compare_asked_at": None, "compare_attempts": 0}


def _note_problem(room: ChatRoom, problem: str) -> None:
    _mine(room).update(**_ENDED, comparison=Comparison.NOT_READABLE, compare_problem=problem, compared_at=clock.now())


@transaction.atomic
def _note(room: ChatRoom, found: Compared | None) -> None:
    """Write down what was found, in place of what was found before; what somebody accepted of it stays accepted."""
    if found is None:
        text = sentence("There is no room %(name)s at the target.", name=room.becomes or room.name)
        rows, count, told = [ChatDifference(room=room, code="no-room", sentence=text, do=DO["no-room"])], 1, {}
    else:
        rows = [
            ChatDifference(room=room, code=each.code, n=each.n, sentence=each.sentence, do=each.do)
            for each in found.differences
        ]
        count, told = found.difference_count, found.as_json()
        if count > len(rows):
            text = sentence_plural(
                "%(n)s more difference is counted, and not listed.",
                "%(n)s more differences are counted, and not listed.",
                count - len(rows),
            )
            rows.append(ChatDifference(room=room, code="not-listed", sentence=text, do=DO["not-listed"]))
    changed = _mine(room).update(
        **_ENDED,
        comparison=Comparison.DIFFERS if rows else Comparison.VERIFIED,
        compare_problem="",
        compared_at=clock.now(),
        compared=told,
        difference_count=count,
    )
    if not changed:
        log.warning("room %s was compared by another worker meanwhile", room.pk)
        return
    accepted = {
        (each.code, each.n, english(each.sentence)): each for each in room.differences.exclude(accepted_at=None)
    }
    for row in rows:
        before = accepted.get((row.code, row.n, english(row.sentence)))
        if before is not None:
            row.accepted_at, row.accepted_by, row.reason = before.accepted_at, before.accepted_by, before.reason
    room.differences.all().delete()
    insert(rows)
