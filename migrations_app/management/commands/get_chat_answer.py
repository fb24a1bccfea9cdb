from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from migrations_app.chat.people import rooms_of
from migrations_app.management.chat_import import newest_plan
from migrations_app.models import ChatQuestion
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand

COLUMNS = (
    *("Name", "Address", "Language", "Rooms", "AskedDate", "AskedBy", "Mails", "Answer", "Said", "AnswerDate"),
    *("ErrorCode", "ErrorDetail"),
)
IN_TABLE = ("Name", "Address", "AskedDate", "Mails", "Answer", "Said", "ErrorCode")


class Command(AdministratorCommand):
    help = "List who was asked whether anything is missing from their chat rooms, and what they said."
    example = ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--plan", type=int, metavar="NUMBER", help="of this plan (default: the newest)")
        parser.add_argument("--missing", action="store_true", help="only those who say that something is missing")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        plan = newest_plan(self.tenant(options), options["plan"])
        found = plan.questions.select_related("plan").order_by("name", "pk")
        if options["missing"]:
            found = found.filter(answer=ChatQuestion.Answer.MISSING)
        self.list_rows(map(_record, found.iterator(500)), options, COLUMNS, IN_TABLE, _("Nobody is listed."))


def _record(question: ChatQuestion) -> dict[str, Any]:
    return {
        "Name": question.name,
        "Address": question.address,
        "Language": question.language,
        "Rooms": "; ".join(rooms_of(question)),
        "AskedDate": question.asked_at,
        "AskedBy": question.asked_by,
        "Mails": question.mails,
        "Answer": question.answer,
        "Said": question.said,
        "AnswerDate": question.answered_at,
        "ErrorCode": question.error_code,
        "ErrorDetail": str(question.error_detail),
    }
