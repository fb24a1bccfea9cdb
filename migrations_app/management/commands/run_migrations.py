from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app import registry
from migrations_app.alerts import worker as alerts
from migrations_app.mail import delivery, outbox
from migrations_app.mail.waiting import Queue
from migrations_app.models import MAY_BE_WORKED, Run, Update, runs_may_begin
from migrations_app.monitoring import clock
from migrations_app.runs.left import count_open
from migrations_app.tasks import work
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import counted, grouped, plain

NO_LIMIT = datetime.max.replace(tzinfo=UTC)
POLL_SECONDS = 0.5
"""How often the queue is looked at while others hold what is left of it."""


class Command(AdministratorCommand):
    help = (
        "Work the queue in this terminal, without the cluster or beside it: all that is due, then stop. "
        "Ctrl-C stops after the present run."
    )
    example = "--until-idle"
    acts_on_a_tenant = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--until-idle",
            action="store_true",
            help="wait also for runs that become due after the settling time; later retries, and what is planned, are "
            "only named",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        worked = 0
        with _stop_on_request() as stop:
            while not stop.is_set():
                worked += work(NO_LIMIT, stop=stop.is_set, after_run=self._tell)
                pause = _pause() if options["until_idle"] else None
                if pause is None:
                    break
                stop.wait(pause)
        self.stdout.write(
            ngettext("%(count)s run worked.", "%(count)s runs worked.", worked) % {"count": grouped(worked)}
        )
        if stop.is_set():
            raise CommandError(_("Stopped before the queue was empty: what is left goes on with the next start."))
        self._tell_what_is_left()

    def _tell(self, run: Run) -> None:
        run = Run.objects.select_related("user").get(pk=run.pk)
        meetings, messages = counted(run.total_meetings, "meeting"), counted(run.invites_update, "message")
        sentence = (
            _("%(user)s: %(state)s; %(meetings)s: %(done)s put back, %(skipped)s skipped, %(failed)s failed; %(mails)s")
            if run.is_undo
            else _(
                "%(user)s: %(state)s; %(meetings)s: %(done)s migrated, %(skipped)s skipped, %(failed)s failed; "
                "%(mails)s"
            )
        )
        line = [
            sentence
            % {
                "user": run.user.upn,
                "state": run.state,
                "meetings": meetings,
                "done": grouped(run.succeeded_meetings),
                "skipped": grouped(run.skipped_meetings),
                "failed": grouped(run.failed_meetings),
                "mails": messages,
            }
        ]
        if run.left_meetings:
            line.append(_("%(count)s left for you") % {"count": grouped(run.left_meetings)})
        if run.state == Run.State.PENDING:
            line.append(_("tried again at %(time)s") % {"time": plain(run.due_at)})
        self.stdout.write("; ".join(line))
        if run.last_error_message:
            self.stdout.write(f"{run.user.upn}: {run.last_error_message}")
        self.stdout.flush()

    def _tell_what_is_left(self) -> None:
        if left := count_open():
            self.stdout.write(
                ngettext(
                    "%(count)s meeting needs a person: get_unmigrated_meeting lists them.",
                    "%(count)s meetings need a person: get_unmigrated_meeting lists them.",
                    left,
                )
                % {"count": grouped(left)}
            )
        pending = Run.objects.filter(state=Run.State.PENDING)
        off = pending.exclude(MAY_BE_WORKED).count()
        if off:
            self.stdout.write(
                ngettext(
                    "%(count)s run of tenants whose service is switched off: waiting.",
                    "%(count)s runs of tenants whose service is switched off: waiting.",
                    off,
                )
                % {"count": grouped(off)}
            )
        waiting = pending.filter(MAY_BE_WORKED).order_by("due_at")
        first = waiting.first()
        if first:
            later = waiting.count()
            self.stdout.write(
                ngettext(
                    "%(count)s run due later, the next at %(time)s.",
                    "%(count)s runs due later, the next at %(time)s.",
                    later,
                )
                % {"count": grouped(later), "time": plain(first.due_at)}
            )
        unsent = Update.objects.filter(state=Update.State.QUEUED).order_by("due_at")
        update = unsent.select_related("result__run__tenant").defer("result__spans").first()
        if update:
            why = Queue(update.result.run.tenant).why(update)
            at = why.until if why and why.until else update.due_at
            reason = f" {update.error_message}" if update.error_message else f" {why.reason}" if why else ""
            count = unsent.count()
            self.stdout.write(
                ngettext(
                    "%(count)s message still to be sent, the next at %(time)s.",
                    "%(count)s messages still to be sent, the next at %(time)s.",
                    count,
                )
                % {"count": grouped(count), "time": plain(at)}
                + reason
            )


def _pause() -> float | None:
    """Seconds until there may be something to do; None when the queue is idle but for retries that are due later."""
    now = clock.now()
    pending = Run.objects.filter(MAY_BE_WORKED, state=Run.State.PENDING)
    if (
        Run.objects.filter(state=Run.State.IN_PROGRESS).exists()
        or pending.filter(runs_may_begin(now), due_at__lte=now).exists()
        or registry.is_due(now)
        or delivery.is_due()
        or alerts.is_due(now)
        or outbox.is_in_hand(now)
    ):
        return POLL_SECONDS
    first_run = pending.filter(attempts=0, plan=None).order_by("due_at").values_list("due_at", flat=True).first()
    settling = [moment for moment in (first_run, registry.settles_at()) if moment]
    if not settling:
        return None
    # Looked at again every so often, because "run now" may have made it due meanwhile.
    return min(max((min(settling) - now).total_seconds(), 0.01), 10 * POLL_SECONDS)


@contextmanager
def _stop_on_request() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one interrupts at once."""
    stop = threading.Event()
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def request(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in previous:
        signal.signal(number, request)
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
