from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from migrations_app.history import prune
from tenants_app.commands import AdministratorCommand, at_least


class Command(AdministratorCommand):
    help = (
        "Delete runs that ended long ago, of all tenants; each user's latest run and the audit are kept. "
        "Run it once a day."
    )
    example = "--days 150"
    acts_on_a_tenant = False

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--days", type=at_least(1), default=150, metavar="N", help="how long history is kept (default: 150)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        days = min(options["days"], 36_500)
        deleted = prune(timezone.now() - timedelta(days=days))
        self.stdout.write(
            f"Deleted {deleted['runs']:,} runs with {deleted['meetings']:,} meetings and {deleted['messages']:,} "
            f"messages, and {deleted['wake_ups']:,} records of wake-ups, all older than {days:,} days."
        )
