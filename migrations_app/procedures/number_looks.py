"""Looks at mailboxes outside, before a number is released (R35): what the search goes by is no older than the search.

The search asks what MMS knows of mailboxes outside, and reads only what may show the number. So it waits for a look at
each that began after nobody was about to change meetings any more, and no update was on its way. A mailbox that
cannot be looked at is passed over, and holds the number until it can be, or a person decides.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Protocol

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce

from migrations_app.failures import describe
from migrations_app.mailboxes.indexed import IndexedMailbox
from migrations_app.models import MailboxScan
from migrations_app.monitoring import clock
from migrations_app.runs.queue import wake_cluster
from tenants_app.models import ConferencingUser
from tenants_app.sentences import sentence


class Search(Protocol):
    """A search through mailboxes: for a number on its way off a bridge, or for what a deployment alone has (R88)."""

    tenant_id: int
    looks_since: datetime | None
    """Looks that began later are new enough."""
    searched_at: datetime | None
    """When it had ended."""


def are_needed(search: Search) -> bool:
    """Whether any of the tenant's users has a mailbox outside."""
    return _outside(search).exists()


def not_looked_at(search: Search) -> QuerySet[Any]:
    """Users with a mailbox outside whose last look began before this search, or found out nothing."""
    now = clock.now()
    since = search.looks_since or now
    seen = Q(
        mailbox_scan__connection=F("at"),
        mailbox_scan__scanned_at__gte=since,
        mailbox_scan__scanned_at__lte=now + clock.TOLERANCE,  # a later one was written by a clock that was ahead
    )
    return _outside(search).annotate(at=Coalesce("mailbox", "tenant__mailbox")).exclude(seen)


def awaited(search: Search) -> QuerySet[Any]:
    """Of these, those whose look is still to come: nothing has gone wrong with it yet. ``at`` is their connection."""
    at_hand = Q(mailbox_scan=None) | Q(mailbox_scan__failures=0)
    is_let_in = Q(mailbox__problem_code="") | Q(mailbox=None, tenant__mailbox__problem_code="")
    return not_looked_at(search).filter(at_hand, is_let_in)


def refused(search: Search) -> QuerySet[ConferencingUser]:
    """Those with whose look something has gone wrong, or who were passed over by a search that has ended; by name."""
    unseen = not_looked_at(search).select_related("mailbox_scan__connection", "mailbox", "tenant__mailbox")
    if search.searched_at is None:
        unseen = unseen.exclude(pk__in=awaited(search).values("pk"))
    return unseen.order_by("upn")


def why(user: ConferencingUser) -> str:
    """Why one of :func:`refused` was not looked at, and what to do."""
    scan: MailboxScan | None = getattr(user, "mailbox_scan", None)
    connection = user.mailbox_connection
    if scan and scan.problem:
        return scan.problem
    if connection and connection.problem_code:
        return describe(connection.problem_code, connection.problem_detail)
    return sentence("Their mailbox is to be looked at first: it will be, as soon as a worker is free.")


def ask_for(users: QuerySet[Any]) -> None:
    """Let these of :func:`awaited` be looked at now, and not when it would be their time again."""
    without = users.filter(mailbox_scan=None).values_list("pk", "at")
    MailboxScan.objects.bulk_create(
        [MailboxScan(user_id=user, connection_id=connection) for user, connection in without], ignore_conflicts=True
    )
    later = MailboxScan.objects.filter(user__in=users.values("pk"), due_at__gt=clock.now())
    if later.update(due_at=clock.now()):
        wake_cluster()


def passed_over(search: Search, users: Collection[int]) -> set[int]:
    """Which of the users (keys) are not to be searched, since nothing is known of their mailboxes."""
    return set(not_looked_at(search).filter(pk__in=users).values_list("pk", flat=True))


def _outside(search: Search) -> QuerySet[ConferencingUser]:
    return ConferencingUser.objects.filter(IndexedMailbox.whose, tenant=search.tenant_id)
