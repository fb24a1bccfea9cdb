from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.management.wave_command import WaveCommand
from migrations_app.models import AcceptedItem
from migrations_app.rollouts import acceptance
from tenants_app.management.arguments import add_format
from tenants_app.wording import counted

COLUMNS = ("Kind", "UserPrincipalName", "Subject", "StartDate", "MeetingUid", "Message")
IN_TABLE = ("Kind", "UserPrincipalName", "Subject", "Message")


class Command(WaveCommand):
    help = (
        "Accept a wave whose pilot period is over: it is completed then. What is not in order is listed by name, and "
        "kept as it stood."
    )
    example = '"To the new service/Test users" --note "The last two are told by telephone."'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--note", default="", metavar="TEXT", help="stands in the audit and in the report")
        parser.add_argument("--dry-run", action="store_true", help="list what there is to accept, and accept nothing")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        _tenant, wave = self.wave(options)
        if options["dry_run"]:
            items = (_record(item) for item in acceptance.items(wave))
            self.list_rows(items, options, COLUMNS, IN_TABLE, when_empty=_("All is in order."))
            if options["format"] == "table":
                self.tell_rehearsal(options)
            return
        wave = acceptance.accept(wave, self.actor, note=options["note"])
        kept = wave.accepted_items.order_by("pk")
        self.list_rows(map(_record, kept.iterator()), options, COLUMNS, IN_TABLE, when_empty=_("All is in order."))
        if options["format"] == "table":
            self.stdout.write(
                _("Wave %(wave)s is accepted, with %(items)s.")
                % {"wave": wave.name, "items": counted(kept.count(), "item")}
            )


def _record(item: AcceptedItem) -> dict[str, Any]:
    return {
        "Kind": item.kind,
        "UserPrincipalName": item.upn,
        "Subject": item.subject,
        "StartDate": item.starts_at,
        "MeetingUid": item.uid,
        "Message": item.sentence,
    }
