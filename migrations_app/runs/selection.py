"""Which meetings a run leaves alone by their facts, before it looks at their text (R20, R22)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from migrations_app.mailboxes.base import Listed
from tenants_app.sentences import sentence

NOT_THEIRS_TO_COME = ("past", "cancelled", "not-organizer")
"""Reasons to skip what is no future meeting of the user."""


def why_skipped(meeting: Listed, addresses: Collection[str], *, limit: int, now: datetime) -> tuple[str, str] | None:
    """The reason and its detail ("" where there is none); None where the text has to be looked at.

    ``addresses`` are the user's in lower case; ``limit`` counts attendees, the organizer included. Why a meeting has
    no organizer stands in its text only.
    """
    if meeting.last_end <= now:
        return "past", ""
    if meeting.cancelled:
        return "cancelled", ""
    if meeting.organizer not in addresses:
        told = sentence("its organizer is %(organizer)s", organizer=meeting.organizer) if meeting.organizer else ""
        return "not-organizer", told
    if meeting.attendee_count > limit:
        return "too-many-attendees", sentence(
            "%(attendees)s with the organizer; the limit is %(limit)s",
            attendees=str(meeting.attendee_count),
            limit=str(limit),
        )
    return None
