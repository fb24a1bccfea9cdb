"""The engine's two steps in one, for tests of finding and writing: whatever a meeting is, it is made anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

from migrations_app.rewriting import links
from migrations_app.rewriting.block import MeetingBlock
from migrations_app.rewriting.examine import examine
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.own import Own
from migrations_app.rewriting.rewrite import Rewrite, write
from migrations_app.rewriting.written_numbers import DialIn


@lru_cache(maxsize=64)
def own_of_link(url: str, belongs_to_someone_else: Callable[[str], bool] | None = None) -> Own:
    """What a meeting's ``Link`` link alone tells."""
    name = links.owner_of(url).partition("@")[0].lower()
    return Own(
        key=links.key_of(url),
        place=url.rpartition("/")[0] + "/",
        names=frozenset({name} - {""}),
        domains=frozenset({links.domain_of(url)} - {""}),
        belongs_to_someone_else=belongs_to_someone_else,
    )


def rewrite(
    source: bytes,
    block: MeetingBlock,
    *,
    now: datetime,
    belongs_to_someone_else: Callable[[str], bool] | None = None,
    dial_in: DialIn | None = None,
    same_sequence: bool = False,
) -> Rewrite:
    """Return the object with the meeting made anew as `block`, whatever the old one leads into.

    `source` is one object (one UID), `now` is aware. `belongs_to_someone_else` is asked with the user segment of a
    Skype for Business or own join link. `dial_in` is how people dial into the organizer's meetings. With
    `same_sequence` the object becomes newer by its time stamps alone. Raises Declined with a reason of R20 when the
    object is to be left as it is, UnreadableCalendar when it is no calendar.
    """
    own = own_of_link(block.join_url, belongs_to_someone_else)
    examined = examine(source, own, now=now, dial_in=dial_in)
    meeting = OnlineMeeting(block.join_url)
    return write(
        examined,
        block,
        {each.recurrence_id: meeting for each in examined.meetings},
        now=now,
        same_sequence=same_sequence,
    )
