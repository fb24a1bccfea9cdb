"""Two streams of messages side by side: which one is lost, doubled, altered or out of its place (R123).

Neither stream is held. What waits for its counterpart is, at most ``window`` messages on each side, and of each only
digests: so every message of a room up to that size is found wherever it stands, and of a larger one those that stand
less than that from their place.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar

from migrations_app.chat.archive.records import MessageKind

WINDOW = 100_000

Known = TypeVar("Known", bound=Hashable)

Place = tuple[int, int]
"""Number and part of a message; part 0 is the whole of one that was not split."""


@dataclass(slots=True, eq=False)
class Expected:
    """A message of the archive as it is to be there."""

    place: Place
    at: datetime | None
    """None where the target keeps no times."""
    author: str | None
    """None where the target keeps no author of this one: its text says who it was."""
    text: bytes
    """A SHA-256 of it; likewise below."""
    kind: MessageKind
    name: str
    """Of its author, for sentences."""
    sent: datetime
    """When it was written at the source, for sentences."""
    file_name: str = ""
    file_bytes: int | None = None
    file_sha256: str = ""
    has_file: bool = False
    is_resolved: bool = False
    fingerprint: bytes | None = None
    """Of its counterpart, as soon as there is one; likewise the checksum of its file."""
    found_file: str = ""


@dataclass(slots=True, eq=False)
class There:
    """A message of the target."""

    key: str
    place: Place | None
    at: datetime | None
    author: str
    text: bytes
    file_name: str = ""
    file_bytes: int | None = None
    file_sha256: str = ""


class Report(Protocol):
    """Whom a walk tells what it finds; each message is told of once, but for its order."""

    def paired(self, expected: Expected, there: There) -> None: ...

    def lost(self, expected: Expected) -> None: ...

    def doubled(self, there: There) -> None: ...

    def unknown(self, there: There) -> None:
        """It has a key of ours that the archive does not have."""
        ...

    def foreign(self, there: There) -> None: ...

    def out_of_order(self, there: There) -> None: ...


def digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def place_of(key: str, room: str) -> Place | None:
    """Number and part that a key of this room gives; None where it is none."""
    of_room, _, rest = key.partition("/")
    number, stroke, part = rest.partition("/")
    if of_room != room or not _is_number(number) or (stroke and not _is_number(part)):
        return None
    return int(number), int(part) if part else 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 18


class _Seen(Generic[Known]):
    """What went by last, as far as the window reaches."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._row: deque[Known] = deque()
        self._all: Counter[Known] = Counter()

    def add(self, one: Known) -> None:
        self._row.append(one)
        self._all[one] += 1
        if len(self._row) > self._window:
            oldest = self._row.popleft()
            self._all[oldest] -= 1
            if not self._all[oldest]:
                del self._all[oldest]

    def __contains__(self, one: Known) -> bool:
        return one in self._all

    @property
    def oldest(self) -> Known | None:
        return self._row[0] if self._row else None


def walk_by_key(
    expected: Iterator[Expected], there: Iterator[There], report: Report, *, keeps_time: bool, window: int = WINDOW
) -> None:
    """Where the target keeps our keys. ``expected`` comes by place.

    Both streams are read in turn. Where too many wait on one side, the other one goes on until they are found.
    """
    waiting: OrderedDict[Place, tuple[int, Expected]] = OrderedDict()
    ahead: dict[Place, There] = {}
    places_ahead: list[Place] = []  # a heap
    passed: _Seen[Place] = _Seen(window)
    reached: Place = (-1, 0)
    count = 0
    order = _Order(keeps_time)
    ours: Expected | None = next(expected, None)
    theirs: There | None = next(there, None)
    is_our_turn = False
    while ours is not None or theirs is not None:
        is_our_turn = not is_our_turn
        may_go_on = is_our_turn and len(waiting) < window
        if ours is not None and (theirs is None or len(ahead) >= window or may_go_on):
            reached, count = ours.place, count + 1
            passed.add(reached)
            if (found := ahead.pop(reached, None)) is not None:
                report.paired(ours, found)
            else:
                waiting[reached] = count, ours
            while waiting and (next(iter(waiting.values()))[0] <= count - window or len(waiting) > window):
                report.lost(waiting.popitem(last=False)[1][1])
            while places_ahead and places_ahead[0] <= reached:
                place = heappop(places_ahead)
                if place < reached and place in ahead:
                    report.unknown(ahead.pop(place))
            ours = next(expected, None)
        elif theirs is not None:
            place_there = theirs.place
            if place_there is None:
                report.foreign(theirs)
            elif (match := waiting.pop(place_there, None)) is not None:
                order.see(theirs, report)
                report.paired(match[1], theirs)
            elif place_there in ahead or place_there in passed:
                report.doubled(theirs)
            elif place_there > reached and ours is not None:
                order.see(theirs, report)
                ahead[place_there] = theirs
                heappush(places_ahead, place_there)
            elif passed.oldest is not None and place_there < passed.oldest:
                report.doubled(theirs)  # from so far back that only this is likely
            else:
                report.unknown(theirs)
            theirs = next(there, None)
    for _, one in waiting.values():
        report.lost(one)
    for other in ahead.values():
        report.unknown(other)


def walk_by_time(expected: Iterator[Expected], there: Iterator[There], report: Report, *, window: int = WINDOW) -> None:
    """Where the target has no place for our keys: a message is known by its time and text.

    What is left on both sides is the same message altered where it agrees in time, or in author and text. Whichever
    stream is behind in time goes on.
    """
    walk = _ByTime(report, window)
    ours: Expected | None = next(expected, None)
    theirs: There | None = next(there, None)
    is_our_turn = False
    while ours is not None or theirs is not None:
        is_our_turn = not is_our_turn
        if ours is not None and theirs is not None and ours.at is not None and theirs.at is not None:
            is_our_turn = ours.at <= theirs.at
        if ours is not None and (theirs is None or is_our_turn):
            walk.take_ours(ours)
            ours = next(expected, None)
        elif theirs is not None:
            walk.take_theirs(theirs)
            theirs = next(there, None)
    walk.end()


class _ByTime:
    def __init__(self, report: Report, window: int) -> None:
        self._report, self._window = report, window
        self._ours: OrderedDict[int, Expected] = OrderedDict()
        self._theirs: OrderedDict[int, There] = OrderedDict()
        # By what may make them the same: time and text, time alone, text alone.
        self._our_numbers: defaultdict[Hashable, list[int]] = defaultdict(list)
        self._their_numbers: defaultdict[Hashable, list[int]] = defaultdict(list)
        self._matched: _Seen[Hashable] = _Seen(window)
        self._count = 0
        self._last_at: datetime | None = None

    def take_ours(self, one: Expected) -> None:
        self._count += 1
        number = self._best(one, (one.at, one.text))
        if number is not None:
            self._pair(one, self._pop_theirs(number))
        else:
            self._ours[self._count] = one
            for form in ((one.at, one.text), one.at, one.text):
                self._our_numbers[form].append(self._count)
        while self._ours and next(iter(self._ours)) <= self._count - self._window:
            self._settle(self._pop_ours(next(iter(self._ours))))

    def take_theirs(self, other: There) -> None:
        self._count += 1
        if self._last_at is not None and other.at is not None and other.at < self._last_at:
            self._report.out_of_order(other)
        self._last_at = other.at
        numbers = self._our_numbers.get((other.at, other.text), [])
        number = next((each for each in numbers if self._ours[each].author in (None, other.author)), None)
        if number is None and numbers and (other.at, other.text, other.author) not in self._matched:
            number = numbers[0]
        if number is not None:
            self._pair(self._pop_ours(number), other)
        elif (other.at, other.text, other.author) in self._matched:
            self._report.doubled(other)
        else:
            self._theirs[self._count] = other
            for form in ((other.at, other.text), other.at, other.text):
                self._their_numbers[form].append(self._count)
            if len(self._theirs) > self._window:
                self._report.foreign(self._pop_theirs(next(iter(self._theirs))))

    def end(self) -> None:
        while self._ours:
            self._settle(self._pop_ours(next(iter(self._ours))))
        while self._theirs:
            self._report.foreign(self._pop_theirs(next(iter(self._theirs))))

    def _best(self, one: Expected, form: Hashable, *, only_author: bool = False) -> int | None:
        numbers = self._their_numbers.get(form, [])
        of_author = next((each for each in numbers if one.author in (None, self._theirs[each].author)), None)
        return of_author if of_author is not None or only_author or not numbers else numbers[0]

    def _settle(self, one: Expected) -> None:
        number = None if one.at is None else self._best(one, one.at)
        if number is None:
            number = self._best(one, one.text, only_author=True)
        if number is None:
            self._report.lost(one)
        else:
            self._pair(one, self._pop_theirs(number))

    def _pair(self, one: Expected, other: There) -> None:
        self._matched.add((other.at, other.text, other.author))
        self._report.paired(one, other)

    def _pop_ours(self, number: int) -> Expected:
        one = self._ours.pop(number)
        _forget(self._our_numbers, number, ((one.at, one.text), one.at, one.text))
        return one

    def _pop_theirs(self, number: int) -> There:
        other = self._theirs.pop(number)
        _forget(self._their_numbers, number, ((other.at, other.text), other.at, other.text))
        return other


def _forget(numbers: defaultdict[Hashable, list[int]], number: int, forms: Iterable[Hashable]) -> None:
    for form in forms:
        numbers[form].remove(number)
        if not numbers[form]:
            del numbers[form]


class _Order:
    """Whether messages stand in the order of their numbers, or where the target sorts by time, of their times."""

    def __init__(self, keeps_time: bool) -> None:
        self._keeps_time = keeps_time
        self._last: There | None = None

    def see(self, there: There, report: Report) -> None:
        last, self._last = self._last, there
        if last is None or last.place is None or there.place is None or last.place < there.place:
            return
        if self._keeps_time and last.at is not None and there.at is not None and last.at < there.at:
            return
        report.out_of_order(there)
