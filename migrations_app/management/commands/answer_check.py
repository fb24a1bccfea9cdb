from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.models import CheckAnswer
from migrations_app.rollouts.answers import answer
from migrations_app.rollouts.gates import standing_of
from migrations_app.rollouts.naming import find_check, find_wave
from tenants_app.management.base import AdministratorCommand

Answer = CheckAnswer.Answer


class Command(AdministratorCommand):
    help = (
        "Answer a check of a rollout that asks a person. Answers are appended, never changed; the last one counts. A "
        "note is needed with --no and --not-applicable."
    )
    example = '"Each side can be administered" --yes'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("check", metavar="CHECK", help="its number, which its page shows, or its name")
        parser.add_argument("--wave", metavar="WAVE", help="before which it is asked, where several have its name")
        said = parser.add_mutually_exclusive_group(required=True)
        said.add_argument("--yes", dest="answer", action="store_const", const=Answer.YES)
        said.add_argument("--no", dest="answer", action="store_const", const=Answer.NO)
        said.add_argument("--not-applicable", dest="answer", action="store_const", const=Answer.NOT_APPLICABLE)
        parser.add_argument("--note", metavar="TEXT", default="", help="shown wherever the gate is")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        wave = find_wave(tenant, options["wave"]) if options["wave"] else None
        check = find_check(tenant, options["check"], wave)
        answer(check, options["answer"], options["note"], self.actor)
        standing = standing_of(check)
        told = {"check": check.name, "outcome": standing.outcome.label, "why": standing.sentence}
        self.stdout.write(_("%(check)s: %(outcome)s. %(why)s") % told)
