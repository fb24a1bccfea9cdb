"""Scans of mailboxes outside: what has changed there, so that lists, previews and counts need not go there.

Each user whose mailbox is outside has a row that says when the next look is due. One worker at a time takes it by a
lease. A scan gives way to runs, and goes on later from where it was.
"""

from __future__ import annotations

import logging
import uuid
from datetime import datetime, timedelta
from time import monotonic

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.indexed import IndexedMailbox
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import IndexedMeeting, MailboxScan
from migrations_app.monitoring import clock
from migrations_app.retries import RETRIES, pause_before_retry
from migrations_app.runs import queue
from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant

log = logging.getLogger(__name__)

IS_WAITED_FOR = False
LEASE = throttling.SCAN_LEASE
TURN = timedelta(seconds=20)
"""How long a worker looks at mailboxes until messages have their turn; a look that was begun goes on."""
_LOOK_EVERY = 1.0
"""Seconds between two looks whether a run waits, within the look at one mailbox."""


class _GiveWay(Exception):
    """Something more urgent waits, or the time is over."""


def follow(sender: object, *, tenant: Tenant, moved: MailboxConnection | None = None, **_: object) -> None:
    """Who has a mailbox outside is looked at from now on, and who has none any more is forgotten.

    What a connection held up that is taken up again goes on. ``moved`` leads to another server than before.
    """
    free = MailboxConnection.objects.filter(tenant=tenant, paused_until=None)
    throttling.let_go_on(list(free.values_list("pk", flat=True)))
    users = ConferencingUser.objects.filter(tenant=tenant)
    inside = users.exclude(IndexedMailbox.whose).values("pk")
    MailboxScan.objects.filter(user__tenant=tenant, user__in=inside).delete()
    IndexedMeeting.objects.filter(user__tenant=tenant, user__in=inside).delete()
    now = clock.now()
    outside = users.filter(IndexedMailbox.whose).annotate(effective=Coalesce("mailbox", "tenant__mailbox"))
    new = outside.filter(Q(mailbox_scan=None) | ~Q(mailbox_scan__connection=F("effective")))
    has_any = False
    for some in batched(new.order_by("pk").values_list("pk", "effective")):
        has_any = True
        MailboxScan.objects.bulk_create(
            [MailboxScan(user_id=user, connection_id=connection, due_at=now) for user, connection in some],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=["due_at"],
        )
    if moved:
        # What one server means by a token, another may take for something else, and leave out what it has.
        has_any = (
            bool(MailboxScan.objects.filter(connection=moved).update(calendars={}, scanned_at=None, due_at=now))
            or has_any
        )
    if has_any:
        queue.wake_cluster()


def request_scan(user: ConferencingUser) -> bool:
    """Let the user's mailbox be looked at now; whether it is outside."""
    asked = MailboxScan.objects.filter(user=user).update(due_at=clock.now())
    if asked:
        queue.wake_cluster()
    return bool(asked)


def advance(until: datetime) -> bool:
    """Look at one mailbox after the other that is due, until a run is due or messages have their turn."""
    turn_ends = timezone.now() + TURN
    while timezone.now() < until and (scan := _claim()):
        try:
            _scan(scan, until)
        except _GiveWay:
            _release(scan, clock.now())
            return queue.is_due()
        if timezone.now() >= turn_ends or queue.is_due():
            return True
    return False


def is_due(now: datetime) -> bool:
    """Whether a mailbox is to be looked at that nobody looks at now."""
    return _due(clock.now()).exists()


def settles_at() -> datetime | None:
    """None: scans do not wait for a settling time."""
    return None


def _due(now: datetime) -> QuerySet[MailboxScan]:
    free = Q(lease_until=None) | clock.lease_is_over(now, LEASE)
    due = MailboxScan.objects.filter(free, due_at__lte=now)
    unavailable = throttling.unavailable_connections()
    return due.exclude(connection__in=unavailable) if unavailable else due


def _claim() -> MailboxScan | None:
    """Take the look that has been due longest. Looked for before the transaction, as runs are."""
    if not _due(clock.now()).exists():
        return None
    with transaction.atomic():
        now = clock.now()
        scan = _due(now).order_by("due_at", "pk").select_for_update(skip_locked=True, of=("self",)).first()
        if scan is not None:
            scan.lease_token, scan.lease_until = uuid.uuid4(), now + LEASE
            scan.save(update_fields=["lease_token", "lease_until"])
        return scan


def _scan(scan: MailboxScan, until: datetime) -> None:
    users = ConferencingUser.objects.select_related("tenant__mailbox", "mailbox", "mailbox_credential")
    user = users.get(pk=scan.user_id)
    next_look = monotonic() + _LOOK_EVERY

    def keep() -> None:
        nonlocal next_look
        if timezone.now() >= until:
            raise _GiveWay
        if monotonic() >= next_look:
            if queue.is_due():
                raise _GiveWay
            held = MailboxScan.objects.filter(pk=scan.pk, lease_token=scan.lease_token)
            if not held.update(lease_until=clock.now() + LEASE):
                raise _GiveWay  # another worker has taken it over
            next_look = monotonic() + _LOOK_EVERY

    if user.mailbox_connection is None:
        MailboxScan.objects.filter(pk=scan.pk).delete()
        return
    mailbox = mailbox_of(user)
    try:
        mailbox.refresh(keep)
    except Failure as failure:
        log.warning("the mailbox of %s cannot be looked at: %s %s", user.upn, failure.code, failure.detail)
        again_at = mailbox.note_failure(failure)
        failures = MailboxScan.objects.filter(pk=scan.pk).values_list("failures", flat=True).first() or 1
        pause = failure.retry_after or pause_before_retry(min(failures, RETRIES))
        _release(scan, again_at or clock.now() + pause)
    except _GiveWay:
        raise
    except Exception:
        log.exception("the mailbox of %s cannot be looked at", user.upn)
        _release(scan, clock.now() + pause_before_retry(RETRIES // 2))
    else:
        _release(scan)


def _release(scan: MailboxScan, due_at: datetime | None = None) -> None:
    mine = MailboxScan.objects.filter(pk=scan.pk, lease_token=scan.lease_token)
    if due_at is None:
        mine.update(lease_token=None, lease_until=None)
    else:
        mine.update(lease_token=None, lease_until=None, due_at=due_at)
