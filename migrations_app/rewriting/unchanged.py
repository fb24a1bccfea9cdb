"""Whether anybody has changed a meeting since: a digest of what its organizer says in it."""

from hashlib import blake2b

from migrations_app.calendars.content_lines import all_events, unfold
from migrations_app.rewriting.components import DESCRIPTIONS, MACHINE_READ, recurrence_id_of

_NOT_THE_ORGANIZERS = frozenset([b"SEQUENCE", b"DTSTAMP", b"LAST-MODIFIED", b"CREATED", b"ATTENDEE", b"REQUEST-STATUS"])
"""What changes when attendees answer, and with every revision."""


def digest_of(body: bytes) -> str:
    """Return the digest of an object's meaning, as 32 characters: the same however its lines are folded and ordered.

    The stamps of a revision do not count, nor do attendees and their answers, alarms, and what calendar programs keep
    for themselves in properties of their own (X-). Raises UnreadableCalendar.
    """
    said = []
    for event in all_events(body):
        place = recurrence_id_of(body, event).encode("utf-8", "surrogateescape")
        for line in event.lines:
            is_own = line.name.startswith(b"X-") and line.name not in DESCRIPTIONS and line.name not in MACHINE_READ
            if line.name and line.name not in _NOT_THE_ORGANIZERS and not is_own:
                said.append(place + b"\n" + unfold(body[line.start : line.end]).rstrip(b"\r\n"))
    return blake2b(b"\n".join(sorted(said)), digest_size=16).hexdigest()
