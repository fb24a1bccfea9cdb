"""What the commands share by which something is planned for a time to come (R37)."""

from __future__ import annotations

from argparse import BooleanOptionalAction
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.models import Plan
from migrations_app.runs.plans import When, begins_in_words, read_when
from tenants_app.management.arguments import daily_window
from tenants_app.management.base import wrong_usage
from tenants_app.models import Tenant


def add_when(parser: CommandParser) -> None:
    parser.add_argument(
        "--not-before",
        metavar="TIME",
        help="begin no earlier, in the tenant's time zone: 'Saturday 22:00', 'tomorrow 6:00' or 2026-12-05T22:00",
    )
    parser.add_argument(
        "--between",
        type=daily_window,
        metavar="FROM-TO",
        help="begin runs only between these times of each day, in the tenant's time zone, such as 22:00-6:00",
    )
    parser.add_argument(
        "--notify",
        action="store_true",
        help="tell each organizer before, by mail, when it begins and how many of their meetings change",
    )
    parser.add_argument(
        "--notify-cancelled",
        action=BooleanOptionalAction,
        help="with --notify: tell those also where it is cancelled (default: as set_tenant --notify-cancelled says)",
    )


def when_of(tenant: Tenant, options: Mapping[str, Any]) -> When | None:
    """When it is to begin; None where nothing was said of it. Raises ``ValidationError`` with a sentence."""
    not_before, between = options["not_before"], options["between"]
    tells_cancelled = options["notify_cancelled"]
    if tells_cancelled is not None and not options["notify"]:
        raise wrong_usage(_("--notify-cancelled is for those who were told before: give --notify too."))
    if not_before is None and between is None:
        if options["notify"]:
            raise wrong_usage(_("--notify tells the organizers when it begins: give --not-before or --between too."))
        return None
    if options["now"]:
        raise wrong_usage(_("--now begins at once: leave it out, or --not-before and --between."))
    begin, end = between or ("", "")
    if between is not None and not begin:
        raise wrong_usage(_("--between needs two times, such as 22:00-6:00."))
    if not_before is not None and not not_before.strip():
        raise wrong_usage(_("--not-before needs a time, such as 'Saturday 22:00'."))
    typed = {"not_before": not_before or "", "window_from": begin, "window_to": end}
    tells = {
        "notify": options["notify"],
        "notify_cancelled": tenant.notify_cancelled if tells_cancelled is None else tells_cancelled,
    }
    return read_when(tenant, typed | {name: "yes" for name, is_so in tells.items() if is_so})


def told(plan: Plan) -> str:
    """When it begins, and how it is taken back."""
    told = {"when": begins_in_words(plan), "command": f"remove_planned_start {plan.pk}"}
    if plan.wants_notice:
        return (
            _(
                "Planned for %(when)s. The organizers are told before. get_planned_start lists what is planned; "
                "%(command)s cancels it."
            )
            % told
        )
    return _("Planned for %(when)s. get_planned_start lists what is planned; %(command)s cancels it.") % told
