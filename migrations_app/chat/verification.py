"""What people do about both sides of rooms: have them compared, look at a sample, accept what differs (R123, R124)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet

from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.compare_engine import Opened, Session, claim
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import OutgoingMessage
from migrations_app.chat.plans import POLL_SECONDS, Rooms, locked
from migrations_app.chat.room_writing import FilesOf
from migrations_app.chat.targets import of_kind
from migrations_app.chat.targets.base import ReadMessage, TargetProblem
from migrations_app.chat.verifying.walking import place_of
from migrations_app.models import ChatDifference, ChatPlan, ChatRoom
from migrations_app.monitoring import clock
from migrations_app.runs import queue
from tenants_app.audit import Actor, entry
from tenants_app.sentences import Sentence, sentence

Comparison = ChatRoom.Comparison
Tell = Callable[[ChatRoom], None]


@transaction.atomic
def ask(plan: ChatPlan, actor: Actor, rooms: Rooms | None = None) -> int:
    """Have these rooms compared in the background, or all that can be. How many. Raises ``ValidationError``."""
    plan = locked(plan)
    found = comparable(plan)
    if rooms is not None:
        found = found.filter(pk__in=[room.pk if isinstance(room, ChatRoom) else room for room in rooms])
    count = found.update(compare_asked_at=clock.now(), compare_attempts=0, compare_problem="")
    if not count:
        raise ValidationError(
            sentence("No room can be compared yet: import rooms first.")
            if of_kind.writes(plan.target.kind)
            else sentence("No room can be compared: choose rooms that are not left out.")
        )
    entry(plan.tenant, actor, "compare chat rooms", str(plan), {}, {"rooms": count}).save()
    queue.wake_cluster()
    return count


def comparable(plan: ChatPlan) -> QuerySet[ChatRoom]:
    """The rooms that are at the target: imported by MMS, or where it does not write, all that are not left out."""
    if of_kind.writes(plan.target.kind):
        return plan.rooms.filter(state=ChatRoom.State.IMPORTED)
    return plan.rooms.exclude(state__in=ChatRoom.OUT).exclude(planned={})


@transaction.atomic
def accept(differences: Iterable[ChatDifference | int], actor: Actor, reason: str) -> int:
    """Accept differences by name, for a reason, all of one plan. How many were open. Raises ``ValidationError``."""
    if not reason.strip():
        raise ValidationError({"reason": sentence("Say why the difference is accepted: the report shows it.")})
    pks = [each.pk if isinstance(each, ChatDifference) else each for each in differences]
    found = ChatDifference.objects.filter(pk__in=pks).select_related("room__plan__tenant").order_by("pk")
    plans = {each.room.plan_id: each.room.plan for each in found}
    if len(plans) != 1:
        raise ValidationError(sentence("Choose at least one difference, of one plan."))
    plan = locked(next(iter(plans.values())))
    open_ones = list(found.filter(accepted_at=None))
    now = clock.now()
    ChatDifference.objects.filter(pk__in=[each.pk for each in open_ones]).update(
        accepted_at=now, accepted_by=actor.name, reason=reason.strip()[:500]
    )
    if open_ones:
        rooms = sorted({each.room.name for each in open_ones})
        told = {
            "rooms": ", ".join(rooms[:20]),
            "differences": ", ".join(sorted({each.code for each in open_ones})),
            "count": len(open_ones),
            "reason": reason.strip()[:500],
        }
        entry(plan.tenant, actor, "accept chat differences", str(plan), {}, told).save()
    return len(open_ones)


def is_settled(room: ChatRoom) -> bool:
    """Whether both sides are the same, or somebody has accepted each difference (R125)."""
    if room.comparison == Comparison.DIFFERS:
        return not room.differences.filter(accepted_at=None).exists()
    return bool(room.comparison == Comparison.VERIFIED)


def verify_now(plan: ChatPlan, tell: Tell = lambda room: None) -> None:
    """Compare at once what is asked for of this plan, or wait until other workers have. Rooms whose target does not
    answer now stay asked for."""
    with Session(plan) as session:
        while plan.rooms.filter(compare_asked_at__isnull=False).exists():
            room = claim(plan.rooms.filter(compare_asked_at__lte=clock.now()))
            if room is not None:
                session.compare(room)
                tell(room)
            elif plan.rooms.filter(compare_asked_at__lte=clock.now()).exists():
                time.sleep(POLL_SECONDS)  # another worker is at it
            else:
                break


# --- looking at text (R123, R129) ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Side:
    """A message on one side, in full; of one that was split, all parts."""

    at: datetime | None
    author: str
    text: str
    kind: str
    file_name: str = ""
    file_bytes: int | None = None


@dataclass(slots=True)
class Sampled:
    """A message of the sample on both sides; None where the side does not have it."""

    n: int
    why: Sentence
    ours: Side | None = None
    there: Side | None = None
    is_equal: bool = False


_WHY = {
    "first": sentence("The first message"),
    "last": sentence("The last message"),
    "longest": sentence("The longest message"),
    "file": sentence("A message with a file"),
    "random": sentence("Drawn at random"),
    "differs": sentence("It differs"),
}
MOST_DIFFERENT = 50
"""Messages that differ, of which both sides are shown."""
LARGEST_ON_A_PAGE = 200_000
"""Messages of a room that are read while somebody waits before a page."""


def why_not_sampled(room: ChatRoom, *, takes_long: bool = False) -> str:
    """Why nobody may look at text of this room; empty where an operator may (R129). A larger one is shown by a command,
    which ``takes_long``."""
    if room.comparison != Comparison.DIFFERS:
        return sentence("Only of rooms with differences both sides are shown.")
    if not room.compared:
        return sentence("The target does not have this room.")
    if room.message_count > LARGEST_ON_A_PAGE and not takes_long:
        return sentence("The room is too large to be read at once: verify_chat --texts shows it.")
    return ""


def sampled(room: ChatRoom, actor: Actor, *, takes_long: bool = False) -> list[Sampled]:
    """Messages of the sample and those that differ, as they are on both sides now. Who looks is audited before the
    first text is read (R129). Reads both sides from the beginning. Raises ``ValidationError``."""
    plan = room.plan
    if why := why_not_sampled(room, takes_long=takes_long):
        raise ValidationError(why)
    why_of = {int(n): str(why) for n, why in room.compared["sample"].items()}
    differing = room.differences.exclude(n=None).order_by("pk").values_list("n", flat=True)[:MOST_DIFFERENT]
    for n in differing:
        why_of[n or 0] = "differs"
    with transaction.atomic():
        entry(
            plan.tenant, actor, "look at chat messages", str(plan), {}, {"room": room.name, "count": len(why_of)}
        ).save()
    try:
        with Session(plan) as session:
            return _both_sides(session.open(), room, why_of)
    except TargetProblem as problem:
        raise ValidationError(problem.sentence) from None
    except Unusable as problem:
        raise ValidationError(problem.in_a_sentence) from None


def _both_sides(opened: Opened, room: ChatRoom, why_of: dict[int, str]) -> list[Sampled]:
    outgoing, limits = opened.outgoing(room), opened.target.limits
    rows = {n: Sampled(n, _WHY[why]) for n, why in sorted(why_of.items())}
    numbers_at: dict[datetime, int] = {}
    expected: dict[int, list[OutgoingMessage]] = {}
    converter = Converter(outgoing, opened.people, limits, files=FilesOf(opened.archive), language=opened.language)
    for message in opened.archive.messages(room.room_id):
        made = converter.convert(message)
        if message.n in rows:
            expected[message.n] = made
            numbers_at |= {each.at: message.n for each in made}
    there: dict[int, list[ReadMessage]] = {}
    for read in opened.target.read_messages(room.target_id or opened.id_of(outgoing)):
        place = place_of(read.key, room.room_id) if read.key else None
        n = place[0] if place else (numbers_at.get(read.at) if read.at and not limits.keeps_keys else None)
        if n is not None and n in rows and len(there.setdefault(n, [])) < 1_000:
            there[n].append(read)
    for n, row in rows.items():
        if parts := expected.get(n):
            file = parts[0].file
            row.ours = Side(
                parts[0].at,
                parts[0].author.shown,
                "\n".join(each.text for each in parts),
                parts[0].kind.value,
                file.name if file else "",
                file.bytes if file else None,
            )
        if reads := there.get(n):
            first = reads[0]
            text = "\n".join(each.text for each in reads)
            row.there = Side(first.at, first.author, text, first.kind.value, first.file_name, first.file_bytes)
        row.is_equal = (
            row.ours is not None
            and row.there is not None
            and row.ours.text == row.there.text
            and (not limits.keeps_time or row.ours.at == row.there.at)
        )
    return [row for row in rows.values() if row.ours or row.there]
