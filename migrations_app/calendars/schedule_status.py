"""What a server that schedules says of telling the attendees (RFC 6638 sections 3.2.9 and 7.3)."""

from __future__ import annotations

import re

from migrations_app.calendars.content_lines import all_events, unfold, value_start
from migrations_app.calendars.people import person
from tenants_app.sentences import sentence

_STATUS = re.compile(rb";SCHEDULE-STATUS=\"?([0-9.,]+)", re.IGNORECASE)
_FAILED = ("3", "4", "5")
"""How the codes begin of what did not arrive; 1 and 2 are on their way, or there."""


def not_told(body: bytes) -> dict[str, str]:
    """The attendees whom the server could not tell of the meeting as it stands, with the code that it noted.

    Raises ``UnreadableCalendar``.
    """
    failed: dict[str, str] = {}
    for event in all_events(body):
        for line in event.named(b"ATTENDEE"):
            unfolded = unfold(body[line.start : line.end])
            found = _STATUS.search(unfolded[: value_start(unfolded)])
            codes = found[1].decode("ascii").split(",") if found else []
            if any(code.startswith(_FAILED) for code in codes):
                failed[person(body, line).address or sentence("an attendee")] = codes[-1]
    return failed
