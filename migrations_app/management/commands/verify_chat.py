from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.chat import verification
from migrations_app.management.chat_import import newest_plan, rooms_named
from migrations_app.models import ChatDifference, ChatPlan, ChatRoom
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.wording import grouped

ROOMS = ("Room", "RoomId", "Comparison", "Messages", "MessagesThere", "Foreign", "Differences", "Problem")
DIFFERENCES = ("Room", "Code", "Number", "Difference", "Do", "AcceptedBy", "AcceptedDate", "Reason")
TEXTS = ("Number", "Why", "Equal", "StartDate", "Author", "Text", "DateThere", "AuthorThere", "TextThere")
Comparison = ChatRoom.Comparison


class Command(AdministratorCommand):
    help = (
        "Read imported rooms back from the target and compare them with the archive, message by message; exit status 1 "
        "where a room differs and nobody has accepted it, or cannot be read. It may be given any time later."
    )
    example = "--differences"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--plan", type=int, metavar="NUMBER", help="of this plan (default: the newest)")
        parser.add_argument("--room", nargs="+", metavar="NAME", help="only these rooms, by name or id")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--differences", action="store_true", help="list each difference, with what to do")
        what.add_argument(
            "--texts",
            action="store_true",
            help="compare nothing, but show both sides of the sample of one room that differs; the look is audited",
        )
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        plan = newest_plan(self.tenant(options), options["plan"])
        rooms = rooms_named(plan, options["room"]) if options["room"] else None
        if options["texts"]:
            self._show_texts(rooms, options)
            return
        verification.ask(plan, self.actor, rooms)
        compared = plan.rooms.filter(compare_asked_at__isnull=False)
        pks = list(compared.values_list("pk", flat=True))
        verification.verify_now(plan)
        found = plan.rooms.filter(pk__in=pks).order_by("position")
        if options["differences"]:
            rows = ChatDifference.objects.filter(room__in=found).select_related("room")
            self.list_rows(
                (_difference(each) for each in rows.order_by("room__position", "pk").iterator(500)),
                options,
                DIFFERENCES,
                when_empty=_("Both sides are the same."),
            )
        else:
            self.list_rows(map(_record, found.iterator(500)), options, ROOMS)
        self._tell_end(plan, pks)

    def _show_texts(self, rooms: list[ChatRoom] | None, options: Mapping[str, Any]) -> None:
        if rooms is None or len(rooms) != 1:
            raise wrong_usage(_("Name one room with --room: its texts are shown."))
        sampled = verification.sampled(rooms[0], self.actor, takes_long=True)
        self.list_rows(map(_text, sampled), options, TEXTS, when_empty=_("There is nothing to show."))

    def _tell_end(self, plan: ChatPlan, pks: list[int]) -> None:
        waiting = plan.rooms.filter(pk__in=pks, compare_asked_at__isnull=False).first()
        if waiting is not None:
            raise CommandError(
                _("The target does not answer now, and rooms are compared later by themselves: %(why)s")
                % {"why": waiting.compare_problem}
            )
        count = len(list(_unsettled(plan, pks)))
        if count:
            raise CommandError(
                ngettext(
                    "%(count)s room is not the same on both sides: put it right, or accept_chat_difference.",
                    "%(count)s rooms are not the same on both sides: put them right, or accept_chat_difference.",
                    count,
                )
                % {"count": grouped(count)}
            )


def _unsettled(plan: ChatPlan, pks: list[int]) -> Iterator[ChatRoom]:
    for room in plan.rooms.filter(pk__in=pks).exclude(comparison=Comparison.VERIFIED):
        if not verification.is_settled(room):
            yield room


def _record(room: ChatRoom) -> dict[str, Any]:
    sides = room.compared
    return {
        "Room": room.name,
        "RoomId": room.room_id,
        "Comparison": room.comparison,
        "Messages": sides.get("archive", {}).get("messages"),
        "MessagesThere": sides.get("there", {}).get("messages"),
        "Foreign": sides.get("foreign"),
        "Differences": room.difference_count,
        "Problem": str(room.compare_problem),
    }


def _difference(difference: ChatDifference) -> dict[str, Any]:
    return {
        "Room": difference.room.name,
        "Code": difference.code,
        "Number": difference.n,
        "Difference": str(difference.sentence),
        "Do": str(difference.do),
        "AcceptedBy": difference.accepted_by,
        "AcceptedDate": difference.accepted_at,
        "Reason": difference.reason,
    }


def _text(row: verification.Sampled) -> dict[str, Any]:
    ours, there = row.ours, row.there
    return {
        "Number": row.n,
        "Why": str(row.why),
        "Equal": row.is_equal,
        "StartDate": ours.at if ours else None,
        "Author": ours.author if ours else "",
        "Text": ours.text if ours else "",
        "DateThere": there.at if there else None,
        "AuthorThere": there.author if there else "",
        "TextThere": there.text if there else "",
    }
