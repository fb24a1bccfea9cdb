from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.chat import importing
from migrations_app.chat.target_rows import target_named
from migrations_app.management.chat_import import ChatImportCommand, Progress, how_far, rooms_named
from migrations_app.models import ChatPlan, ChatRoom
from tenants_app.management.arguments import add_format
from tenants_app.wording import grouped

State = ChatPlan.State


class Command(ChatImportCommand):
    help = (
        "Import the rooms of a chat archive into a target, after a plan, and follow it to its end. Killed or stopped, "
        "it goes on where it was when it is given again; what is there is not imported twice."
    )
    example = 'chat.zip --target "New home" --on-conflict rename'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--what-if", action="store_true", help="only plan, as plan_chat_import does")
        parser.add_argument("--room", nargs="+", metavar="NAME", help="only these rooms, by name or id")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["what_if"]:
            self.tell_plan(self.planned(options), options)
            return
        plan = self._begun(options)
        if plan is None:
            plan = self.planned(options)
            rooms = rooms_named(plan, options["room"]) if options["room"] else None
            plan = importing.start(plan, self.actor, rooms)
        self.stdout.write(_("Plan %(number)s is being imported.") % {"number": plan.number})
        self._tell_end(importing.import_now(plan, Progress(self.stdout), self._tell_waiting))

    def _begun(self, options: Mapping[str, Any]) -> ChatPlan | None:
        """The import of this archive into this target that has begun and is not over, gone on with."""
        tenant = self.tenant(options)
        target = target_named(tenant, options["target"])
        archive = self.stored(tenant, options["archive"])
        begun = (State.IMPORTING, State.PAUSED, State.STOPPED)
        found = archive.plans.filter(target=target, state__in=begun).select_related("tenant", "archive", "target")
        plan = found.order_by("-number").first()
        if plan is not None and plan.state != State.IMPORTING:
            plan = importing.resume(plan, self.actor)
        if plan is not None and options["room"]:
            raise CommandError(
                _("Plan %(number)s has begun: its rooms were chosen. Give the command without --room to go on.")
                % {"number": plan.number}
            )
        return plan

    def _tell_waiting(self, plan: ChatPlan) -> None:
        self.stdout.write(
            _("Waiting for another worker, or for the next attempt at what failed: %(how_far)s")
            % {"how_far": how_far(plan)}
        )
        self.stdout.flush()

    def _tell_end(self, plan: ChatPlan) -> None:
        self.stdout.write(how_far(plan))
        if plan.state == State.OUTDATED:
            number = plan.replaced_by.number if plan.replaced_by else ""
            raise CommandError(
                _("%(why)s Look at plan %(number)s, then give the command again.")
                % {"why": plan.problem, "number": number}
            )
        if plan.state == State.STOPPED:
            raise CommandError(
                _("The import has stopped: %(why)s Give the command again to go on.") % {"why": plan.problem}
            )
        if plan.state == State.PAUSED:
            raise CommandError(_("Somebody has paused the import: give the command again to go on."))
        if plan.state != State.IMPORTED:
            raise CommandError(_("MMS is switched off for this tenant, so the import waits."))
        failed = plan.rooms.filter(state=ChatRoom.State.FAILED).count()
        if failed:
            raise CommandError(
                ngettext(
                    "%(count)s room failed: get_chat_room --state Failed names it, set_chat_import %(number)s --retry "
                    "tries it again.",
                    "%(count)s rooms failed: get_chat_room --state Failed lists them, set_chat_import %(number)s "
                    "--retry tries them again.",
                    failed,
                )
                % {"count": grouped(failed), "number": plan.number}
            )
