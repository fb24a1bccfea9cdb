"""How much MMS asks of mail systems at once, and when it leaves one alone. In rows, so that all workers know it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Greatest

from migrations_app.failures import Failure
from migrations_app.models import MailboxScan, Run
from migrations_app.monitoring import clock
from tenants_app.models import MailboxConnection, Tenant

PAUSE = timedelta(minutes=15)
"""How long a connection that refuses MMS as a whole is left alone, before one user's mailbox is tried again."""
MOMENT = timedelta(minutes=1)
"""How long one is left alone that cannot be reached; the run or the message that found out is tried again by R28."""
LONGEST_PAUSE = timedelta(hours=1)
"""A server that asks for more is tried after this all the same."""

_OF_THE_CONNECTION = frozenset(
    {"mailbox-certificate", "mailbox-address", "mailbox-ignores-conditions", "mailbox-who-tells"}
)
"""What goes wrong for every mailbox of a connection when it does for one."""
_OF_ITS_ACCOUNT = frozenset({"mailbox-sign-in-refused", "secret-unopenable"})
"""Likewise, where all users' mailboxes are reached by one account."""


def unavailable_connections() -> list[int]:
    """Connections (keys) that no worker may begin with now: left alone, or with as many workers as they take."""
    now = clock.now()
    outside = MailboxConnection.objects.exclude(kind=MailboxConnection.Kind.EMBEDDED)
    connections = list(outside.values_list("pk", "paused_until", "most_requests"))
    if not connections:
        return []
    busy: Counter[int] = Counter()
    at_work = Run.objects.filter(state=Run.State.IN_PROGRESS).order_by()
    busy.update(at_work.annotate(at=Coalesce("user__mailbox", "tenant__mailbox")).values_list("at", flat=True))
    busy.update(MailboxScan.objects.filter(lease_until__gt=now).values_list("connection", flat=True))
    # With others beside it, a slow server never has all workers.
    spared = 1 if len(connections) > 1 or Tenant.objects.count() > 1 else 0
    workers = max(settings.MMS_WORKERS - spared, 1)
    return [pk for pk, until, most in connections if (until and until > now) or busy[pk] >= min(most, workers)]


def reaches(connections: list[int], prefix: str = "user__") -> Q:
    """Users (or what belongs to one) whose mailbox one of these connections leads to."""
    own, tenants = f"{prefix}mailbox", f"{prefix}tenant__mailbox"
    return Q(**{f"{own}__in": connections}) | Q(**{own: None, f"{tenants}__in": connections})


def note_failure(connection: MailboxConnection, failure: Failure) -> datetime | None:
    """Until when the whole connection is left alone because of this; None where it is about one mailbox alone."""
    now = clock.now()
    rows = MailboxConnection.objects.filter(pk=connection.pk)
    is_of_all = failure.code in _OF_THE_CONNECTION or (failure.code in _OF_ITS_ACCOUNT and connection.username != "")
    if is_of_all:
        until = now + PAUSE
        rows.update(
            paused_until=until,
            problem_code=failure.code,
            problem_detail=failure.detail,
            problem_since=Coalesce("problem_since", now),
        )
        return until
    if failure.retry_after:
        until = now + min(failure.retry_after, LONGEST_PAUSE)
        _leave_alone(rows, until)
        return until
    if failure.code == "mailbox-unavailable":
        _leave_alone(rows, now + MOMENT)  # so that not one worker after the other waits for it in vain
    return None


def _leave_alone(rows: QuerySet[MailboxConnection], until: datetime) -> None:
    rows.update(paused_until=Greatest(Coalesce(F("paused_until"), until), until))


def note_success(connection: MailboxConnection) -> None:
    """The server has let MMS in: what was wrong with the connection is over."""
    if connection.problem_code or connection.paused_until:
        MailboxConnection.objects.filter(pk=connection.pk).update(
            paused_until=None, problem_code="", problem_detail="", problem_since=None
        )
