from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat import endpoint, gate, sequence
from migrations_app.chat.evidence import store_evidence
from migrations_app.chat.plans import plan_numbered
from migrations_app.models import ChatPlan
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.sentences import sentence

_PIECE = 2**18


class Command(AdministratorCommand):
    help = (
        "Note who has done a step of a chat plan and how they know, answer a condition of its gate, or say what an old "
        "client did: with text, a file, or both. Where a condition needs a second account, --confirm is for that one. "
        "endpoint-options has MMS ask the pool; endpoint-uri compares --before and --after character by character. "
        "get_chat_step lists the keys."
    )
    example = '1 backups --evidence "Tape 17 of 2 November, tried by Ann Lee"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("plan", metavar="PLAN", type=int, help="its number")
        parser.add_argument("key", metavar="KEY", help="of the step, the condition, or the kind of client")
        parser.add_argument("--evidence", default="", metavar="TEXT", help="what was done or seen, where, its output")
        parser.add_argument("--file", metavar="FILE", help="a file that shows it; MMS keeps it with its checksum")
        parser.add_argument("--before", metavar="URI", help="of endpoint-uri: what the lookup account had")
        parser.add_argument("--after", metavar="URI", help="of endpoint-uri: what the new endpoint has")
        parser.add_argument("--confirm", action="store_true", help="confirm what another account has answered")
        parser.add_argument("--take-back", action="store_true", help="it does not count any more")

    def handle(self, *args: Any, **options: Any) -> None:
        plan, key = plan_numbered(self.tenant(options), options["plan"]), options["key"]
        if sum(bool(options[each]) for each in ("confirm", "take_back")) and (options["evidence"] or options["file"]):
            raise wrong_usage(_("--confirm and --take-back stand alone."))
        if options["confirm"]:
            gate.confirm_condition(plan, self.actor, key)
            self.stdout.write(_("%(key)s is confirmed.") % {"key": key})
        elif options["take_back"]:
            self._take_back(plan, key)
            self.stdout.write(_("%(key)s is taken back.") % {"key": key})
        else:
            self._note(plan, key, options)
            self.stdout.write(_("%(key)s is noted.") % {"key": key})

    def _take_back(self, plan: ChatPlan, key: str) -> None:
        if key in gate.KEYS:
            gate.take_back_answer(plan, self.actor, key)
        elif key in endpoint.KEYS:
            endpoint.take_back(plan, self.actor, key)
        else:
            sequence.take_back_step(plan, self.actor, key)

    def _note(self, plan: ChatPlan, key: str, options: dict[str, Any]) -> None:
        if key == endpoint.URI:
            if options["before"] is None or options["after"] is None:
                raise wrong_usage(_("Give --before and --after, both as they were printed."))
            endpoint.compare(plan, self.actor, options["before"], options["after"])
            return
        if key == endpoint.OPTIONS:
            self.stdout.write(endpoint.ask_pool(plan, self.actor).evidence)
            return
        known = [*gate.KEYS, *endpoint.KEYS, *(each.key for each in sequence.kinds_of(plan))]
        if key not in known:
            raise CommandError(
                _("There is no step %(step)s: use %(steps)s.") % {"step": key, "steps": ", ".join(known)}
            )
        note: Any = (
            gate.answer_condition
            if key in gate.KEYS
            else endpoint.answer_client
            if key in endpoint.KEYS
            else sequence.do_step
        )
        if not options["file"]:
            note(plan, self.actor, key, options["evidence"])
            return
        path = options["file"]
        try:
            store_evidence(
                plan.tenant,
                self.actor,
                _pieces(path),
                file_name=Path(path).name,
                what=sentence("Evidence of a step of plan %(number)s.", number=str(plan.number)),
                also=lambda file: note(plan, self.actor, key, options["evidence"], file),
            )
        except OSError as error:
            raise CommandError(
                _("%(path)s cannot be read (%(problem)s): check its path and permissions.")
                % {"path": path, "problem": error.strerror}
            ) from error


def _pieces(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
