from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

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
        deleted = prune(timezone.now() - timedelta(days=days), self._tell if self.stdout.isatty() else _say_nothing)
        self.stdout.write(
            _(
                "Deleted %(runs)s with %(meetings)s and %(messages)s, %(imports)s, and %(wake_ups)s, all older than "
                "%(days)s."
            )
            % {
                "runs": counted(deleted["runs"], "run"),
                "meetings": counted(deleted["meetings"], "meeting"),
                "messages": counted(deleted["messages"], "message"),
                "imports": counted(deleted["imports"], "user import"),
                "wake_ups": counted(deleted["wake_ups"], "wake-up"),
                "days": counted(days, "day"),
            }
        )

    def _tell(self, deleted: Counter[str]) -> None:
        """On a line that what is said next overwrites."""
        self.stdout.write(_("%(runs)s deleted so far …") % {"runs": counted(deleted["runs"], "run")}, ending="\r")
        self.stdout.flush()


def _say_nothing(deleted: Counter[str]) -> None:
    """To what is no terminal, only the end is told."""
