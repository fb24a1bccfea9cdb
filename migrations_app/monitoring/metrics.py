"""How the service stands, as Prometheus asks for it: read from the database at each scrape, by a few questions.

All are gauges. What the database counts goes down when history is pruned, and Prometheus would take a counter that
goes down for one that began anew. The number of questions is the same for one tenant and for a thousand.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.db import connection
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from migrations_app.models import (
    MAY_BE_WORKED,
    ChatPlan,
    ChatRoom,
    LeftMeeting,
    MailServer,
    Notice,
    NumberRelease,
    Run,
    Update,
    runs_may_begin,
)
from migrations_app.monitoring import clock, mail_server
from migrations_app.monitoring.health import clocks, workers
from migrations_app.monitoring.machines import machines
from tenants_app.models import ConferencingUser, MailboxConnection, MailServerConnection, Tenant

LATELY = timedelta(hours=1)
_OF_MESSAGE = "result__run__tenant"


class Service(Collector):
    """All of it, in the order of the documentation (docs/monitoring.md)."""

    def collect(self) -> Iterator[Metric]:
        begin = time.perf_counter()
        yield InfoMetricFamily("mms", "What answers here.", {"version": _version(), "database": connection.vendor})
        tenants = Tenants()
        yield from tenants.info()
        yield from _runs(tenants)
        yield from _messages(tenants)
        yield from _for_a_person(tenants)
        yield from _chat(tenants)
        yield from _connections(tenants)
        yield from _mail_servers()
        yield from _cluster()
        yield _gauge(
            "mms_scrape_duration_seconds", "How long it took to find all of this.", time.perf_counter() - begin
        )


class Tenants:
    """All tenants, and metrics that have a value for each of them: zero where nothing was found."""

    def __init__(self) -> None:
        self.rows = list(Tenant.objects.order_by("slug").only("slug", "name", "meeting_migration_enabled", "mailbox"))
        self.slugs = {tenant.pk: tenant.slug for tenant in self.rows}

    def info(self) -> Iterator[Metric]:
        named = GaugeMetricFamily("mms_tenant_info", "The tenant's name; always 1.", labels=["tenant", "name"])
        is_on = GaugeMetricFamily(
            "mms_service_enabled",
            "Whether the service is switched on for the tenant (1) or off (0).",
            labels=["tenant"],
        )
        for tenant in self.rows:
            named.add_metric([tenant.slug, tenant.name], 1)
            is_on.add_metric([tenant.slug], int(tenant.meeting_migration_enabled))
        yield named
        yield is_on

    def each(self, name: str, about: str, found: Mapping[int, float]) -> Metric:
        """One value for each tenant, by its key."""
        metric = GaugeMetricFamily(name, about, labels=["tenant"])
        for key, slug in self.slugs.items():
            metric.add_metric([slug], found.get(key, 0))
        return metric

    def by(
        self, label: str, name: str, about: str, values: Iterable[str], found: Mapping[tuple[int, str], float]
    ) -> Metric:
        """One value for each tenant and each of the ``values`` of a label."""
        metric = GaugeMetricFamily(name, about, labels=["tenant", label])
        for key, slug in self.slugs.items():
            for value in values:
                metric.add_metric([slug, value], found.get((key, value), 0))
        return metric


def _counts(rows: QuerySet[Any], *by: str) -> dict[Any, int]:
    """How many rows there are by the fields; one field alone is the key itself."""
    counted = rows.order_by().values_list(*by).annotate(rows=Count("pk"))
    return {(row[0] if len(by) == 1 else row[:-1]): row[-1] for row in counted}


def _waits(rows: QuerySet[Any], tenant: str, since: str) -> dict[int, float]:
    """For how many seconds the first has waited, by tenant."""
    now = clock.now()
    found = rows.order_by().values_list(tenant).annotate(first=Min(since))
    return {key: max((now - first).total_seconds(), 0) for key, first in found}


def _runs(tenants: Tenants) -> Iterator[Metric]:
    latest = Run.objects.filter(is_latest=True)
    yield tenants.by(
        "state",
        "mms_users",
        "Users by the state of their latest run (R29). Who never had a run is in none.",
        Run.State.values,
        _counts(latest, "tenant", "state"),
    )
    failed = latest.filter(state=Run.State.FAILED)
    causes: dict[tuple[int, str], int] = {}
    for (key, cause, code), count in _counts(
        failed.filter(accepted_at=None), "tenant", "last_error_cause", "last_error_code"
    ).items():
        causes[key, cause or code] = causes.get((key, cause or code), 0) + count
    by_code = GaugeMetricFamily(
        "mms_users_failed",
        "Users whose latest run failed, by the code of what has to be put right; without those that somebody accepted.",
        labels=["tenant", "code"],
    )
    for (key, code), count in sorted(causes.items()):
        if key in tenants.slugs:
            by_code.add_metric([tenants.slugs[key], code], count)
    yield by_code
    yield tenants.each(
        "mms_users_failed_accepted",
        "Users whose latest run failed, which somebody has accepted.",
        _counts(failed.filter(accepted_at__isnull=False), "tenant"),
    )
    yield tenants.each(
        "mms_runs_in_progress",
        "Runs that a worker has in hand.",
        _counts(Run.objects.filter(state="InProgress"), "tenant"),
    )
    pending = Run.objects.filter(state=Run.State.PENDING)
    now = clock.now()
    due = pending.filter(MAY_BE_WORKED, runs_may_begin(now), due_at__lte=now).exclude(_of_refused_connections())
    yield tenants.each("mms_runs_due", "Runs that could begin now, and wait for a worker.", _counts(due, "tenant"))
    yield tenants.each(
        "mms_runs_due_longest_wait_seconds",
        "For how long the run has waited that has been due longest.",
        _waits(due, "tenant", "due_at"),
    )
    yield tenants.each(
        "mms_runs_retry_waiting",
        "Pending runs that were tried before.",
        _counts(pending.filter(attempts__gt=0), "tenant"),
    )
    yield tenants.each(
        "mms_runs_planned",
        "Pending runs that wait for the time that was planned, or for notices to organizers.",
        _counts(pending.filter(plan__isnull=False).exclude(runs_may_begin(now)), "tenant"),
    )


def _of_refused_connections() -> Q:
    """Runs whose mailboxes are on a connection that refuses MMS as a whole: they wait, and are no queue."""
    refused = MailboxConnection.objects.exclude(problem_code="").values("pk")
    return Q(user__mailbox__in=refused) | Q(user__mailbox=None, tenant__mailbox__in=refused)


def _messages(tenants: Tenants) -> Iterator[Metric]:
    queued = Update.objects.filter(state=Update.State.QUEUED)
    refused = Update.objects.filter(state=Update.State.FAILED, result__run__is_latest=True)
    found = {
        **{(key, "Queued"): count for key, count in _counts(queued, _OF_MESSAGE).items()},
        **{(key, "Failed"): count for key, count in _counts(refused, _OF_MESSAGE).items()},
    }
    yield tenants.by(
        "state",
        "mms_messages",
        "Messages to attendees that wait (Queued), or that were given up of users' latest runs (Failed).",
        ["Queued", "Failed"],
        found,
    )
    yield tenants.each(
        "mms_messages_longest_wait_seconds",
        "For how long the message has waited that was queued first.",
        _waits(queued, _OF_MESSAGE, "queued_at"),
    )
    yield tenants.each(
        "mms_notices_queued",
        "Advance notices to organizers that wait to be sent.",
        _counts(Notice.objects.filter(state=Notice.State.QUEUED), "tenant"),
    )
    lately = Update.objects.filter(sent_at__gte=timezone.now() - LATELY, state=Update.State.SENT)
    yield tenants.each(
        "mms_messages_sent_last_hour",
        "Messages to attendees that were sent in the last hour.",
        _counts(lately, "tenant"),
    )


def _for_a_person(tenants: Tenants) -> Iterator[Metric]:
    """What ``runs.left.to_come`` finds, of all tenants at once."""
    states = [LeftMeeting.State.OPEN, LeftMeeting.State.ASSIGNED]
    left = LeftMeeting.objects.filter(last_end__gt=timezone.now(), state__in=states)
    yield tenants.by(
        "state",
        "mms_left_meetings",
        "Meetings to come that need a person, and whether somebody has them in hand.",
        [state.value for state in states],
        _counts(left, "tenant", "state"),
    )
    yield tenants.each(
        "mms_users_out_of_date",
        "Users whose invitations do not say what their settings ask for (R36).",
        _counts(ConferencingUser.objects.out_of_date(), "tenant"),
    )
    yield tenants.each(
        "mms_number_releases_open",
        "Numbers on their way off a bridge.",
        _counts(NumberRelease.objects.filter(state__in=NumberRelease.OPEN), "tenant"),
    )


def _chat(tenants: Tenants) -> Iterator[Metric]:
    """Imports of persistent chat that were started, and their rooms."""
    yield tenants.by(
        "state",
        "mms_chat_plans",
        "Imports of persistent chat that were started, by their state.",
        [state.value for state in ChatPlan.STARTED],
        _counts(ChatPlan.objects.filter(state__in=ChatPlan.STARTED), "tenant", "state"),
    )
    rooms = ChatRoom.objects.filter(plan__state__in=ChatPlan.STARTED)
    yield tenants.by(
        "state",
        "mms_chat_rooms",
        "Rooms of these imports by their state.",
        ChatRoom.State.values,
        _counts(rooms, "plan__tenant", "state"),
    )


def _connections(tenants: Tenants) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "mms_mailbox_connection_up",
        "Whether runs of the connection's users may begin (1), or wait because its server refuses MMS as a whole (0).",
        labels=["tenant", "connection"],
    )
    found = MailboxConnection.objects.order_by("tenant", "name").values_list("tenant", "name", "problem_code")
    for key, name, problem in found:
        if key in tenants.slugs:
            up.add_metric([tenants.slugs[key], name], int(not problem))
    yield up


def _mail_servers() -> Iterator[Metric]:
    """The servers in use, each by the name that all workers know it by."""
    own = MailServerConnection.objects.exclude(host="").select_related("tenant")
    in_use = {mail_server.installations(), *map(mail_server.name_of, own)}
    silent = MailServer.objects.filter(next_try_at__isnull=False)
    unanswered = {server.name: mail_server.length_of(server).total_seconds() for server in silent}
    metric = GaugeMetricFamily(
        "mms_mail_server_unanswered_seconds",
        "For how long the mail server has not answered, or turned MMS away; 0 while it takes messages.",
        labels=["server"],
    )
    for name in sorted(in_use):
        metric.add_metric([name], unanswered.get(name, 0))
    yield metric


def _cluster() -> Iterator[Metric]:
    sign = workers().last_sign
    last = GaugeMetricFamily(
        "mms_worker_last_sign_timestamp_seconds", "When a background worker last gave a sign of life; absent: never."
    )
    if sign is not None:
        last.add_metric([], sign.timestamp())
    yield last
    signs = GaugeMetricFamily(
        "mms_machine_last_sign_timestamp_seconds",
        "When a worker of a machine last gave a sign of life, of those that did within a day.",
        labels=["machine"],
    )
    at_work = GaugeMetricFamily(
        "mms_machine_workers", "How many workers a machine has; 0 where they were stopped.", labels=["machine"]
    )
    for machine in machines():
        signs.add_metric([machine.name], machine.last_sign.timestamp())
        at_work.add_metric([machine.name], machine.workers)
    yield signs
    yield at_work
    now = clocks()
    yield _gauge(
        "mms_clock_drift_seconds",
        "How far the clock here is ahead of the database server's; 0 where they agree within a minute.",
        now.drift.total_seconds(),
    )
    yield _gauge(
        "mms_clock_set_back_seconds",
        "How far ahead of now something in the database was written: the clock was set back since.",
        now.set_back.total_seconds(),
    )


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value)


def _version() -> str:
    try:
        return version("meeting-migration-service")
    except PackageNotFoundError:
        return "unknown"
