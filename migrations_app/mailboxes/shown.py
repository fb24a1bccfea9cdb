"""Meetings that show a number on its way off a bridge: as rows, while it is on its way (R35)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from migrations_app.mailboxes.base import Listed
from migrations_app.models import MeetingFacts, NumberRelease, ShownMeeting
from migrations_app.rewriting.written_numbers import Place
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser


def is_before(user: ConferencingUser, meeting: Listed, now: datetime) -> bool:
    """Whether it takes place after ``now`` and is the user's to correct, as ``Mailbox.read_upcoming`` says; what names
    no organizer, or cannot be read, is its mailbox's owner's."""
    return meeting.organizer in {*user.addresses, ""} and meeting.last_end > now and not meeting.cancelled


def shown_meeting(
    release: NumberRelease, user: int, meeting: Listed | MeetingFacts, places: Sequence[Place]
) -> ShownMeeting:
    """The row, not saved, for a meeting of the user (by key) that shows the number in these places."""
    return ShownMeeting(
        release=release,
        user_id=user,
        uid=meeting.uid,
        subject=meeting.subject,
        starts_at=meeting.starts_at,
        last_end=meeting.last_end,
        places=[[*place] for place in places],
    )


def note_shown(rows: Sequence[ShownMeeting]) -> None:
    """Save the rows; of a meeting that has one already, with what it shows now."""
    for some in batched(rows, 100):
        ShownMeeting.objects.bulk_create(
            some,
            update_conflicts=True,
            unique_fields=["release", "user", "uid"],
            update_fields=["subject", "starts_at", "last_end", "places"],
        )
