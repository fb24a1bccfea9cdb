from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.archives import find_archive
from migrations_app.models import ChatArchive
from tenants_app.management.base import AdministratorCommand

COLUMNS = (
    "Name", "State", "Source", "Level", "Exported", "Stored", "StoredBy", "Rooms", "Messages", "Files", "LeftOut",
    "Bytes", "NewestMessage", "SHA256",
)  # fmt: skip


class Command(AdministratorCommand):
    help = "List the chat archives that MMS has stored: where they come from, what they hold, and their checksums."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", nargs="?", metavar="NAME", help="only this one")
        parser.add_argument("--deleted", action="store_true", help="also those that were deleted")
        parser.add_argument("--format", choices=("table", "csv", "json"), default="table")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        if options["name"]:
            self.show_record(_row(find_archive(tenant, options["name"])), options)
            return
        archives = ChatArchive.objects.filter(tenant=tenant)
        if not options["deleted"]:
            archives = archives.filter(state=ChatArchive.State.STORED)
        self.list_rows(
            (_row(archive) for archive in archives.iterator(chunk_size=500)),
            options,
            COLUMNS,
            in_table=("Name", "State", "Level", "Stored", "Rooms", "Messages", "Files", "Bytes"),
            when_empty=_("There is no chat archive."),
        )


def _row(archive: ChatArchive) -> dict[str, Any]:
    counts = archive.counts
    return {
        "Name": archive.name,
        "State": archive.state,
        "Source": archive.source,
        "Level": archive.level,
        "Exported": archive.exported_at,
        "Stored": archive.stored_at,
        "StoredBy": archive.stored_by,
        "Rooms": counts.get("rooms", 0),
        "Messages": counts.get("messages", 0),
        "Files": counts.get("files", 0),
        "LeftOut": counts.get("left_out", 0),
        "Bytes": archive.bytes,
        "NewestMessage": archive.newest_at,
        "SHA256": archive.sha256,
    }
