"""Times of their own for messages from after the clock of the source was set back (R118).

A converter goes through a room once, and knows the latest time that it has given: enough as long as time goes on. Where
it goes back, whether a millisecond is free depends on all messages of the room. So a plan reads such a room a second
time, holds those times that are near enough to matter, and notes what it has found in the room as it is planned.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from migrations_app.chat.archive.records import Message
from migrations_app.chat.conversion.messages import MOST_SHIFT, Converter, to_the_millisecond

MOST = 10_000
"""Messages for which free times are looked for; a room with more of them keeps its error."""
_STEP = timedelta(milliseconds=1)
_MOST_STEPS = MOST_SHIFT // _STEP
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


def free_times(
    messages: Callable[[], Iterator[Message]], converter: Converter, left_behind: Mapping[int, int]
) -> dict[int, int]:
    """By how many milliseconds each of these messages is moved, by number; it is not there where none is free within a
    second. ``left_behind`` says how many parts each has. The converter is a new one of the same room."""
    if len(left_behind) > MOST:
        return {}
    at_of = {each.n: _steps(to_the_millisecond(each.at)) for each in messages() if each.n in left_behind}
    begins = sorted(at_of.values())
    longest = _MOST_STEPS + max(left_behind.values(), default=0)
    taken: set[int] = set()
    for message in messages():
        for made in converter.convert(message):
            at = _steps(made.at)
            index = bisect_right(begins, at)
            if message.n not in left_behind and index and at - begins[index - 1] <= longest:
                taken.add(at)
    moved: dict[int, int] = {}
    for n, at in at_of.items():
        for by in range(_MOST_STEPS + 1):
            wanted = range(at + by, at + by + left_behind[n])
            if taken.isdisjoint(wanted):
                taken.update(wanted)
                moved[n] = by
                break
    return moved


def _steps(at: datetime) -> int:
    return (at - _BEGIN) // _STEP
