from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.failures import Failure, describe
from migrations_app.management.correlation_id import correlation_id
from migrations_app.management.foreseen_meetings import ForeseeingCommand
from migrations_app.models import Run
from migrations_app.runs.undo_start import foreseen_undo, start_undo, why_not_undone


class Command(ForeseeingCommand):
    help = (
        "Put a run's meetings back as they were, with their old join links, and tell the attendees. Meetings that were "
        "changed since are left, and so are those whose old number was released or whose old conference ID is "
        "another's now. It is done while the service is off, too. Afterwards no change starts a run of the user "
        "by itself: start one by hand to bring the meetings up to date again."
    )
    example = "--correlation-id 7f9c24e8-3b12-4fef-91e0-2a5b8c1d6e70 --dry-run"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--correlation-id", type=correlation_id, required=True, metavar="ID", help="of the run")
        parser.add_argument(
            "--meeting",
            nargs="+",
            action="extend",
            metavar="UID",
            help="only these of its meetings, as get_meeting_migration_history lists them (MeetingUid)",
        )
        parser.add_argument("--now", action="store_true", help="do not wait for the tenant's settling time")

    def handle(self, *args: Any, **options: Any) -> None:
        self.check_format(options)
        tenant, chosen = self.tenant(options), options["meeting"]
        if chosen is not None:
            chosen = list(dict.fromkeys(chosen))
        runs = Run.objects.select_related("tenant", "user__tenant", "user__bridge")
        run = runs.filter(tenant=tenant, correlation_id=options["correlation_id"]).first()
        if run is None:
            raise CommandError(
                _("%(tenant)s has no run %(correlation_id)s: get_meeting_migration_status lists them.")
                % {"tenant": tenant, "correlation_id": options["correlation_id"]}
            )
        if options["dry_run"]:
            refusal = why_not_undone(run, chosen)
            if refusal:
                raise CommandError(refusal)
            try:
                self.list_meetings(foreseen_undo(run, chosen), options)
            except Failure as failure:
                raise CommandError(f"{run.user.upn}: {describe(failure.code, failure.detail)}") from failure
        else:
            try:
                undo = start_undo(run, self.actor, chosen=chosen, now_due=options["now"])
            except ValidationError as error:
                raise CommandError(" ".join(error.messages)) from error
            self.stdout.write(
                _("%(upn)s: Undo of %(correlation_id)s as the run %(undo_correlation_id)s.")
                % {
                    "upn": run.user.upn,
                    "correlation_id": run.correlation_id,
                    "undo_correlation_id": undo.correlation_id,
                }
            )
