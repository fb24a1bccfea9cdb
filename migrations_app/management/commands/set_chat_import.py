from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.chat import importing, plans
from migrations_app.chat.conversion.outgoing import OnConflict
from migrations_app.management.chat_import import in_short, rooms_named
from migrations_app.models import ChatPlan
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.wording import grouped

_DECIDES = ("on_conflict", "deselect", "select", "new_name")


class Command(AdministratorCommand):
    help = (
        "Decide about a plan of chat and steer its import: what becomes of rooms whose name is taken, which rooms are "
        "left out, that the target keeps old messages; pause, resume, and try failed rooms again."
    )
    example = '1 --room Offers --deselect --reason "Nobody reads it"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("number", type=int, metavar="NUMBER", help="of the plan; get_chat_import lists them")
        steer = parser.add_argument_group("the import")
        steer.add_argument("--pause", action="store_true", help="stop after the messages that are being written")
        steer.add_argument("--resume", action="store_true", help="go on after a pause or a stop")
        steer.add_argument("--retry", nargs="*", metavar="ROOM", help="try failed rooms again: these, or all")
        decide = parser.add_argument_group("the plan")
        decide.add_argument("--room", nargs="+", metavar="ROOM", help="the rooms that are meant, by name or id")
        decide.add_argument("--on-conflict", choices=list(OnConflict), help="what becomes of them if the name is taken")
        decide.add_argument("--deselect", action="store_true", help="leave them out; needs --reason")
        decide.add_argument("--select", action="store_true", help="import them after all")
        decide.add_argument("--new-name", metavar="NAME", help="what the one room is to be called; empty: as it is")
        decide.add_argument(
            "--accept-retention", action="store_true", help="say that the target keeps old messages; needs --reason"
        )
        decide.add_argument("--plan-again", action="store_true", help="look at source and target once more")
        parser.add_argument("--reason", metavar="TEXT", default="", help="why; the audit and the report show it")

    def handle(self, *args: Any, **options: Any) -> None:
        plan = plans.plan_numbered(self.tenant(options), options["number"])
        asked = [name for name in ("pause", "resume", "accept_retention", "plan_again") if options[name]]
        asked += [name for name in ("retry", "room") if options[name] is not None]
        if len(asked) != 1:
            raise wrong_usage(_("Give one of --pause, --resume, --retry, --room, --accept-retention and --plan-again."))
        getattr(self, f"_{asked[0]}")(plan, options)

    def _pause(self, plan: ChatPlan, options: Mapping[str, Any]) -> None:
        importing.pause(plan, self.actor)
        self.stdout.write(_("Plan %(number)s is paused.") % {"number": plan.number})

    def _resume(self, plan: ChatPlan, options: Mapping[str, Any]) -> None:
        importing.resume(plan, self.actor, options["reason"])
        self.stdout.write(_("Plan %(number)s goes on.") % {"number": plan.number})

    def _retry(self, plan: ChatPlan, options: Mapping[str, Any]) -> None:
        rooms = rooms_named(plan, options["retry"]) if options["retry"] else None
        count = importing.retry(plan, self.actor, rooms)
        self.stdout.write(
            ngettext("%(count)s room is tried again.", "%(count)s rooms are tried again.", count)
            % {"count": grouped(count)}
        )

    def _accept_retention(self, plan: ChatPlan, options: Mapping[str, Any]) -> None:
        if not options["reason"].strip():
            raise wrong_usage(_("Say with --reason from whom you know that the target keeps old messages."))
        self.stdout.write(in_short(plans.accept_retention(plan, self.actor, options["reason"])))

    def _plan_again(self, plan: ChatPlan, options: Mapping[str, Any]) -> None:
        self.stdout.write(in_short(plans.plan_now(plans.plan_again(plan, self.actor))))

    def _room(self, plan: ChatPlan, options: Mapping[str, Any]) -> None:
        decided = [name for name in _DECIDES if options[name] not in (None, False)]
        if not decided or (options["deselect"] and options["select"]):
            raise wrong_usage(_("Say what becomes of these rooms: --on-conflict, --new-name, --deselect or --select."))
        chosen: dict[str, Any] = {}
        if options["deselect"] or options["select"]:
            chosen["deselect"] = options["deselect"]
        with transaction.atomic():
            plans.decide(
                plan,
                self.actor,
                rooms_named(plan, options["room"]),
                on_conflict=options["on_conflict"],
                name=options["new_name"],
                reason=options["reason"],
                **chosen,
            )
        self.stdout.write(in_short(plans.plan_now(plan)))
