"""What is known of a meeting's organizer, and of its online meeting, before its text is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Own:
    """What tells a meeting's own join link from others (R39).

    `key` ends the meeting's `Link` link; "" where the meeting is not known. `place` is where the organizer's `Link`
    links begin, without the key: such a link outside any frame is a block that has lost its frame. `names` are what
    join links call the organizer, and `domains` the organization's, in lower case. `remembered` are join links of this
    meeting that MMS knows, as `comparable` has them, and `remembered_as_link` those of the `Link` service.
    `is_of_another_meeting` is asked with such a link, `belongs_to_someone_else` with the user part of one.
    """

    key: str = ""
    place: str = ""
    names: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    remembered: frozenset[str] = frozenset()
    remembered_as_link: frozenset[str] = frozenset()
    is_of_another_meeting: Callable[[str], bool] | None = None
    belongs_to_someone_else: Callable[[str], bool] | None = None

    def is_named_in(self, owner: str) -> bool:
        """Tell whether the user part of a join link, with or without a domain, names the organizer."""
        return owner.partition("@")[0].lower() in self.names
