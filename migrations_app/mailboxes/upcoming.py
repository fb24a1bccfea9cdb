"""The meetings that users still have before them, whatever kinds of mailboxes they are in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import chain

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from migrations_app.mailboxes.base import AsOf, FutureMeetings, Mailbox, Stored
from migrations_app.mailboxes.indexed import IndexedMailbox
from migrations_app.mailboxes.of_user import KINDS
from tenants_app.models import ConferencingUser


def future_meetings(users: QuerySet[ConferencingUser]) -> FutureMeetings:
    """The meetings that the users organize and that are not over (R20), by what MMS knows of them already."""
    now = timezone.now()
    return sum((kind.count_upcoming(users, now) for kind in _counted()), FutureMeetings())


def count_stored(users: Collection[int]) -> dict[int, int]:
    """How many meetings are in the mailboxes of these users (keys), those to come and all others, as a run counts them.

    Left out are users whose mailbox MMS has not looked through yet, of whom it knows nothing.
    """
    theirs = ConferencingUser.objects.filter(pk__in=users).order_by()
    found: dict[int, int] = {}
    for kind in _counted():
        found.update(kind.count_stored(theirs))
    return found


def _counted() -> tuple[type[Mailbox] | type[IndexedMailbox], ...]:
    """The kinds, those outside as one: what MMS knows of them stands in the same rows, which one statement counts."""
    return tuple(dict.fromkeys(IndexedMailbox if issubclass(kind, IndexedMailbox) else kind for kind in KINDS))


def read_upcoming(
    users: QuerySet[ConferencingUser], now: datetime, showing: str = "", uids: Collection[str] | None = None
) -> Iterator[tuple[int, Stored]]:
    """The texts of all that may still send somebody to a number that the users' meetings show, with the user's key.

    With ``showing``, an E.164 number, what surely does not show it may be left out: of mailboxes outside what the last
    look at them has not found it in. With ``uids`` only these meetings.
    """
    return chain.from_iterable(kind.read_upcoming(users, now, showing, uids) for kind in KINDS)


def oldest_look(users: QuerySet[ConferencingUser]) -> AsOf | None:
    """How current is what MMS knows of the users' mailboxes outside; None where they have none."""
    found = users.filter(IndexedMailbox.whose).aggregate(
        users=Count("pk"), seen=Count("mailbox_scan__scanned_at"), oldest=Min("mailbox_scan__scanned_at")
    )
    if not found["users"]:
        return None
    return AsOf(found["oldest"] if found["seen"] == found["users"] else None)
