"""How much MMS asks of mail systems at once, and when it leaves one alone. In rows, so that all workers know it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from migrations_app.failures import Failure
from migrations_app.models import MailboxScan, Run
from migrations_app.monitoring import clock
from migrations_app.monitoring.machines import all_workers
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant

PAUSE = timedelta(minutes=15)
"""How long a connection that refuses MMS as a whole is left alone, before one user's mailbox is tried again."""
MOMENT = timedelta(minutes=1)
"""How long one is left alone that cannot be reached; the run or the message that found out is tried again by R28."""
LONGEST_PAUSE = timedelta(hours=1)
"""A server that asks for more is tried after this all the same."""
SCAN_LEASE = timedelta(minutes=6)
"""Longer than one request of a scan may take; it is renewed before each."""

_OF_THE_CONNECTION = frozenset(
    {
        "mailbox-certificate",
        "mailbox-address",
        "mailbox-ignores-conditions",
        "mailbox-who-tells",
        "directory-unknown",
        "application-unknown",
        "secret-refused",
        "secret-expired",
        "certificate-refused",
        "application-without-consent",
        "exchange-not-installed",
    }
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
    scans = MailboxScan.objects.exclude(lease_until=None).exclude(clock.lease_is_over(now, SCAN_LEASE))
    busy.update(scans.values_list("connection", flat=True))
    # With others beside it, a slow server never has all workers.
    spared = 1 if len(connections) > 1 or Tenant.objects.count() > 1 else 0
    workers = max(all_workers() - spared, 1)
    return [pk for pk, until, most in connections if _lasts(until, now) or busy[pk] >= min(most, workers)]


def left_alone_until(connection: MailboxConnection) -> datetime | None:
    """Until when a connection is left alone, as it is stored; None where it may be asked."""
    until = MailboxConnection.objects.filter(pk=connection.pk).values_list("paused_until", flat=True).first()
    return until if _lasts(until, clock.now()) else None


def _lasts(until: datetime | None, now: datetime) -> bool:
    """Whether a pause goes on. A longer one than any is was begun by a clock that has been set back since."""
    return until is not None and now < until <= now + LONGEST_PAUSE + clock.TOLERANCE


def reaches(connections: list[int], prefix: str = "user__") -> Q:
    """Users (or what belongs to one) whose mailbox one of these connections leads to."""
    own, tenants = f"{prefix}mailbox", f"{prefix}tenant__mailbox"
    return Q(**{f"{own}__in": connections}) | Q(**{own: None, f"{tenants}__in": connections})


def note_failure(connection: MailboxConnection, failure: Failure) -> datetime | None:
    """Until when the whole connection is left alone because of this; None where it is about one mailbox alone.

    Then whoever has to do with that mailbox waits as long as the server asks (:func:`leave_mailbox_alone`), and others
    go on.
    """
    if failure.is_of_one_mailbox:
        return None
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
        _leave_alone(rows, until, now)
        return until
    if failure.code == "mailbox-unavailable":
        _leave_alone(rows, now + MOMENT, now)  # so that not one worker after the other waits for it in vain
    return None


def leave_mailbox_alone(user: ConferencingUser, wait: timedelta) -> None:
    """The server asks to wait with this one mailbox: nobody begins with it before, neither a run nor a look."""
    until = clock.now() + min(wait, LONGEST_PAUSE)
    Run.objects.filter(user=user, state=Run.State.PENDING, due_at__lt=until).update(due_at=until)
    MailboxScan.objects.filter(user=user, due_at__lt=until).update(due_at=until)


def _leave_alone(rows: QuerySet[MailboxConnection], until: datetime, now: datetime) -> None:
    """Until then, or as long as it is already."""
    longer = Q(paused_until__gt=until, paused_until__lte=now + LONGEST_PAUSE + clock.TOLERANCE)
    rows.exclude(longer).update(paused_until=until)


def note_success(connection: MailboxConnection) -> None:
    """The server has let MMS in: what was wrong with the connection when it was read is over.

    What another worker has found since stays: a server may let in who is signed in, and ask everybody to wait.
    """
    if connection.problem_code or connection.paused_until:
        same = MailboxConnection.objects.filter(pk=connection.pk, paused_until=connection.paused_until)
        if same.update(paused_until=None, problem_code="", problem_detail="", problem_since=None):
            let_go_on([connection.pk])


def let_go_on(connections: list[int]) -> None:
    """The runs and looks that met the refusal of one of these connections, which is over, need not wait any longer."""
    codes, now = _OF_THE_CONNECTION | _OF_ITS_ACCOUNT, clock.now()
    waiting = Run.objects.filter(
        reaches(connections), state=Run.State.PENDING, last_error_code__in=codes, due_at__gt=now
    )
    Run.objects.filter(pk__in=list(waiting.values_list("pk", flat=True)), state=Run.State.PENDING).update(due_at=now)
    MailboxScan.objects.filter(connection__in=connections, code__in=codes, due_at__gt=now).update(due_at=now)
