"""Whether the service is well: one answer for the monitoring commands and the pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Max, Min, Q

from migrations_app.models import MAY_BE_WORKED, Heartbeat, Notice, Run, Update, WorkerSilence, runs_may_begin
from migrations_app.monitoring import clock, machines
from migrations_app.monitoring.progress import count_accepted, users_by_state
from tenants_app.models import WARN_BEFORE, MailboxConnection, Tenant

WORKER_SILENT = timedelta(minutes=3)
"""The schedule wakes the cluster every minute, so one that has been silent for this long is late."""
WORKER_GONE = timedelta(minutes=10)
"""After this long it is taken to be gone."""
QUEUE_STUCK = timedelta(minutes=5)
"""Due runs that wait for this long while none is in progress are waiting for nobody."""
_WORKER = "worker"


@dataclass(frozen=True, slots=True)
class QueueState:
    """The queue at one moment: users by the state of their latest run (R29), and what waits though it is due."""

    failed: int
    """Without those that somebody has accepted."""
    accepted: int
    """Whose latest run failed too, which somebody has accepted."""
    pending: int
    in_progress: int
    longest_wait: timedelta
    """Of a run that is due and not paused by a switch; zero where none waits."""
    unsent: int
    longest_unsent: timedelta
    """Since the oldest message that is still to be sent was queued; zero where there is none."""
    undeliverable: int
    """Messages of users' latest runs that the mail server refused for good."""
    refused_by: Sequence[str] = ()
    """Mailbox connections whose server refuses MMS as a whole; runs of their users wait, and count as no queue."""
    ending_secrets: Sequence[MailboxConnection] = ()
    """Connections whose client secret or certificate is to be renewed, or has ended."""


def queue_state(tenant: Tenant | None = None) -> QueueState:
    """The state of the queue, of one tenant or of all."""
    now = clock.now()
    due = Run.objects.filter(MAY_BE_WORKED, runs_may_begin(now), state=Run.State.PENDING, due_at__lte=now)
    refusing = MailboxConnection.objects.exclude(problem_code="")
    ending = MailboxConnection.objects.filter(secret_expires_at__lte=now + WARN_BEFORE).order_by("secret_expires_at")
    queued = Update.objects.filter(state=Update.State.QUEUED)
    notices = Notice.objects.filter(state=Notice.State.QUEUED)
    refused = Update.objects.filter(state=Update.State.FAILED, result__run__is_latest=True)
    if tenant is not None:
        due = due.filter(tenant=tenant)
        refusing = refusing.filter(tenant=tenant)
        ending = ending.filter(tenant=tenant)
        queued = queued.filter(result__run__tenant=tenant)
        notices = notices.filter(tenant=tenant)
        refused = refused.filter(result__run__tenant=tenant)
    names = dict(refusing.order_by("pk").values_list("pk", "name"))
    if names:
        theirs = Q(user__mailbox__in=list(names)) | Q(user__mailbox=None, tenant__mailbox__in=list(names))
        due = due.exclude(theirs)
    oldest = queued.order_by("queued_at").values_list("queued_at", flat=True).first()
    waiting = notices.aggregate(count=Count("pk"), oldest=Min("queued_at"))
    users, accepted = users_by_state(tenant), count_accepted(tenant)
    return QueueState(
        failed=max(users[Run.State.FAILED] - accepted, 0),
        accepted=accepted,
        pending=users[Run.State.PENDING],
        in_progress=users[Run.State.IN_PROGRESS],
        longest_wait=_since(due.order_by("due_at").values_list("due_at", flat=True).first(), now),
        unsent=queued.count() + waiting["count"],
        longest_unsent=_since(min(filter(None, (oldest, waiting["oldest"])), default=None), now),
        undeliverable=refused.count(),
        refused_by=tuple(names.values()),
        ending_secrets=tuple(ending),
    )


@dataclass(frozen=True, slots=True)
class Workers:
    """The background workers, by the last sign of life that one of them gave; None where none ever did.

    A sign that bears a time to come is none: the clock was set back since, and nobody can tell how long ago it was.
    """

    last_sign: datetime | None
    silence: timedelta | None
    """How long that is ago."""

    @property
    def are_silent(self) -> bool:
        """Whether they have been silent for so long that what waits for them seems to wait in vain."""
        return self.silence is None or self.silence > WORKER_SILENT

    @property
    def are_gone(self) -> bool:
        return self.silence is None or self.silence > WORKER_GONE


def beat() -> None:
    """Leave the sign of life that :func:`workers` looks for; whoever works the queue does so before and after a run.

    The first one after a long silence notes how long that was.
    """
    machines.sign()
    now = clock.now()
    of_workers = Heartbeat.objects.filter(name=_WORKER)
    if of_workers.filter(at__gte=now - WORKER_GONE).update(at=now):
        return
    with transaction.atomic():
        last = of_workers.select_for_update().first()
        if last and last.at < now - WORKER_GONE and not _was_busy(last.at, now):
            WorkerSilence.objects.get_or_create(began=last.at, defaults={"ended": now})
        Heartbeat.objects.update_or_create(name=_WORKER, defaults={"at": now})


def _was_busy(since: datetime, now: datetime) -> bool:
    """Whether one run lasted all that time: a worker that was heard of then began it, and it lasts or has just ended.

    One that a worker left behind when it died is in progress too, but its lease is over.
    """
    begun = Run.objects.filter(started_at__lte=since + clock.TOLERANCE)
    lasts = Q(state=Run.State.IN_PROGRESS, lease_until__range=(now, now + WORKER_GONE + clock.TOLERANCE))
    return begun.filter(lasts | Q(finished_at__gt=now - clock.TOLERANCE)).exists()


def workers() -> Workers:
    """When a worker was last heard of. A run in progress whose lease holds says that its worker is alive now."""
    now = clock.now()
    # No lease is longer: one that ends later was taken before the clock was set back.
    held = Run.objects.filter(lease_until__range=(now, now + WORKER_GONE + clock.TOLERANCE))
    if held.filter(state=Run.State.IN_PROGRESS).exists():
        return Workers(now, timedelta(0))
    at = Heartbeat.objects.filter(name=_WORKER).values_list("at", flat=True).first()
    if at is None or at > now + clock.TOLERANCE:
        return Workers(None, None)
    return Workers(at, _since(at, now))


@dataclass(frozen=True, slots=True)
class Clocks:
    """How far the clocks are from each other, and from what they were."""

    drift: timedelta
    """This machine's, ahead of the database server's; zero where they agree, within the tolerance."""
    set_back: timedelta
    """How far heartbeats, and runs that have not ended, bear a time to come; zero where none does."""


def clocks() -> Clocks:
    """Whether times can be relied on."""
    now, drift = clock.now(), clock.drift()
    tenants = list(Tenant.objects.values_list("pk", flat=True))  # by the index of their runs by time
    ahead_of_now = Run.objects.filter(tenant__in=tenants, created__gt=now).order_by()
    unfinished = ahead_of_now.filter(state__in=[Run.State.PENDING, Run.State.IN_PROGRESS])
    written = [unfinished.aggregate(at=Max("created"))["at"], Heartbeat.objects.aggregate(at=Max("at"))["at"]]
    ahead = max((at - now for at in written if at), default=timedelta(0))
    return Clocks(
        *(length if abs(length) > clock.TOLERANCE else timedelta(0) for length in (drift, max(ahead, timedelta(0))))
    )


def is_stuck(state: QueueState) -> bool:
    """Whether runs are due that nobody takes."""
    return state.longest_wait > QUEUE_STUCK and state.in_progress == 0


def _since(moment: datetime | None, now: datetime) -> timedelta:
    return timedelta(0) if moment is None else max(now - moment, timedelta(0))
