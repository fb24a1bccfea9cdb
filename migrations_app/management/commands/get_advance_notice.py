from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.mail.notice_texts import check_language, notice_records
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand


class Command(AdministratorCommand):
    help = (
        "Show what notices to organizers say, in each language: before runs (Advance), and where these are called off "
        "(Cancelled). IsDefault is true for a text that MMS says by itself."
    )
    example = "--language it --format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--language", metavar="CODE", help="in this language only, such as it")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        if options["language"] is not None:
            check_language(options["language"])
        records = [record for record in notice_records(tenant) if options["language"] in {None, record["Language"]}]
        self.list_rows(records, options, list(records[0]), in_table=["Notice", "Language", "IsDefault", "Subject"])
