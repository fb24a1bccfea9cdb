"""Options of a rollout that commands share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser, OutputWrapper
from django.utils.translation import gettext as _

from migrations_app.models import Rollout
from migrations_app.rollouts.people import change_people
from tenants_app.audit import Actor
from tenants_app.management.mailbox_options import secret_of

_NAMES = ("batches", "max_failed_percent", "min_finished", "max_failed_in_a_row", "retire_after")


def add_rollout_options(parser: CommandParser) -> None:
    """Batches, thresholds, and who is told."""
    parser.add_argument(
        "--batches", metavar="N,N,…", help="how many members move at a time, such as 1,10,100; the last repeats"
    )
    parser.add_argument(
        "--max-failed-percent", type=int, metavar="N", help="a wave stops when more of its finished members failed"
    )
    parser.add_argument(
        "--min-finished", type=int, metavar="N", help="before so many have finished, that does not count"
    )
    parser.add_argument("--max-failed-in-a-row", type=int, metavar="N", help="a wave stops after so many in a row")
    parser.add_argument(
        "--retire-after", type=int, metavar="DAYS", help="days of use before the legacy deployment can be retired"
    )
    parser.add_argument(
        "--notify", action="append", metavar="ADDRESS", help="a mail address that is told; may be repeated"
    )
    parser.add_argument("--webhook", metavar="URL", help="where the same is posted as JSON, signed")
    parser.add_argument(
        "--secret-file", metavar="FILE|-", help="a file that holds the webhook's secret, or - for standard input"
    )


def values_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of batches and thresholds."""
    return {name: options[name] for name in _NAMES if options[name] is not None}


def told_people(rollout: Rollout, actor: Actor, options: Mapping[str, Any]) -> tuple[Rollout, str]:
    """Change who is told, where that was asked for; the rollout, and a secret that was made."""
    people = "\n".join(options["notify"]) if options["notify"] is not None else None
    secret = secret_of(options)
    if people is None and options["webhook"] is None and secret is None:
        return rollout, ""
    return change_people(rollout, actor, people=people, webhook_url=options["webhook"], secret=secret)


def tell_secret(output: OutputWrapper, secret: str) -> None:
    """Print a secret that was made, this once."""
    if secret:
        output.write(_("The webhook's secret, which is printed only now: %(made)s") % {"made": secret})
