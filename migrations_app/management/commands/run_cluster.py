from __future__ import annotations

import signal
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.utils.translation import gettext as _

from migrations_app.cluster.watchdog import PATIENCE, Watchdog
from tenants_app.changes.mailboxes import require_secrets_key
from tenants_app.management.base import SafeOutput


class Command(SafeOutput):
    help = (
        "Run the background service: the cluster (qcluster), and a watchdog that starts it again when it has ended or "
        "fallen silent. SIGTERM or Ctrl-C lets the workers finish what they are at; a second one ends them at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--patience",
            type=_seconds,
            metavar="SECONDS",
            default=PATIENCE,
            help="how long the cluster may leave a wake-up unanswered before it is started again (%(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        require_secrets_key()
        watchdog = Watchdog(options["patience"])
        signal.signal(signal.SIGTERM, watchdog.stop)
        signal.signal(signal.SIGINT, watchdog.stop)
        watchdog.run()


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 600):
        raise ArgumentTypeError(
            _("%(text)s is not usable: give a number of seconds from 1 to 600.") % {"text": repr(text)}
        )
    return int(text)
