from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from migrations_app.runs.pruning import prune
from tenants_app.management.arguments import at_least
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import counted


class Command(AdministratorCommand):
    help = (
        "Delete runs and user imports of long ago, of all tenants; each user's latest run and the audit are kept. "
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
            f"Deleted {counted(deleted['runs'], 'run')} with {counted(deleted['meetings'], 'meeting')} and "
            f"{counted(deleted['messages'], 'message')}, {counted(deleted['imports'], 'user import')}, "
            f"and {counted(deleted['wake_ups'], 'wake-up')}, all older than {counted(days, 'day')}."
        )
