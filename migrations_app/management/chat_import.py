"""What the commands about imports of chat share: the archive, the target, the plan, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db.models import Case, When
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.chat import plans
from migrations_app.chat.archive.copying import copy
from migrations_app.chat.archive.problems import Unusable
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archives import store_export
from migrations_app.chat.conversion.outgoing import OnConflict
from migrations_app.chat.target_rows import target_named
from migrations_app.models import ChatArchive, ChatFinding, ChatPlan, ChatRoom
from tenants_app.audit import Actor
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import Tenant
from tenants_app.wording import grouped

State = ChatPlan.State
TELLS_EVERY = 2.0
"""Seconds between two lines that say how far it is."""
FINDINGS = ("Room", "Severity", "Code", "Count", "Finding")
_SHOWN_PROBLEMS = 20
_SHOWN_OF_NAME = 40


class ChatImportCommand(AdministratorCommand):
    """A command that plans the import of an archive into a target."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("archive", metavar="FILE.zip", type=Path, help="a chat archive; it is stored, once")
        parser.add_argument("--target", required=True, metavar="NAME", help="where its rooms are to go")
        parser.add_argument(
            "--on-conflict",
            choices=list(OnConflict),
            help="what becomes of a room whose name is there already (default: refuse)",
        )
        parser.add_argument("--include-disabled", action="store_true", help="also rooms that are disabled")
        parser.add_argument(
            "--prefix-rooms", action="store_true", help="put the names of nested categories before those of rooms"
        )
        parser.add_argument(
            "--without-root-managers",
            action="store_true",
            help="do not make managers of the root category managers of every room",
        )

    def planned(self, options: Mapping[str, Any]) -> ChatPlan:
        """The newest plan of this archive for this target that has not begun, or a new one, with the decisions of the
        last; it is made at once."""
        tenant = self.tenant(options)
        target = target_named(tenant, options["target"])
        archive = self.stored(tenant, options["archive"])
        given = {
            "on_conflict": options["on_conflict"],
            "includes_disabled": options["include_disabled"] or None,
            "prefixes_rooms": options["prefix_rooms"] or None,
            "keeps_root_managers": False if options["without_root_managers"] else None,
        }
        choices = {name: value for name, value in given.items() if value is not None}
        last = archive.plans.filter(target=target).order_by("-number").first()
        if last is None:
            return self.made(plans.make_plan(tenant, self.actor, archive, target, **choices))
        is_other = any(getattr(last, name) != value for name, value in choices.items())
        if is_other or last.state not in {State.READY, State.REFUSED, State.PLANNING}:
            last = plans.replaced(last, self.actor, **choices)
        elif last.state != State.PLANNING:
            plans.plan_again(last, self.actor)
        return self.made(last)

    def made(self, plan: ChatPlan) -> ChatPlan:
        """The plan, once it is ready. Raises ``CommandError`` where it cannot be made."""
        plan = plans.plan_now(plan, Progress(self.stdout, is_of_plan=True))
        if plan.state != State.READY:
            raise CommandError(
                _("Plan %(number)s could not be made: %(why)s") % {"number": plan.number, "why": plan.problem}
            )
        return plans.plan_numbered(plan.tenant, plan.number)

    def stored(self, tenant: Tenant, path: Path) -> ChatArchive:
        """The archive in this file, stored, if it is not yet. Raises ``CommandError`` with what is wrong with it."""
        try:
            return stored(tenant, self.actor, path)
        except Unusable as unusable:
            for problem in unusable.problems[:_SHOWN_PROBLEMS]:
                self.stderr.write(str(problem))
            raise CommandError(
                ngettext(
                    "%(count)s problem: the archive was not stored.",
                    "%(count)s problems: the archive was not stored.",
                    unusable.count,
                )
                % {"count": grouped(unusable.count)}
            ) from None
        except OSError as error:
            raise CommandError(
                _("%(path)s cannot be read (%(strerror)s): check the path and its permissions.")
                % {"path": path, "strerror": error.strerror}
            ) from error

    def tell_plan(self, plan: ChatPlan, options: Mapping[str, Any]) -> None:
        """What would become of the rooms, and each finding."""
        if options["format"] == "table":
            self.stdout.write(in_short(plan))
            if plan.estimate_seconds:
                self.stdout.write(
                    _("The import takes about %(time)s, by what is known of the target.")
                    % {"time": how_long(plan.estimate_seconds)}
                )
        worst_first = Case(*(When(severity=each, then=place) for place, each in enumerate(ChatFinding.Severity)))
        findings = plan.findings.select_related("room").order_by(worst_first, "room__position", "pk").iterator(500)
        records = (finding_record(finding, is_short=options["format"] == "table") for finding in findings)
        self.list_rows(records, options, FINDINGS, when_empty=_("Nothing was found."))
        if why := plans.why_not_started(plan):
            raise CommandError(str(why))


class Progress:
    """Says every now and then how far a plan or its import is."""

    def __init__(self, stdout: OutputWrapper, *, is_of_plan: bool = False) -> None:
        self._stdout = stdout
        self._is_of_plan = is_of_plan
        self._said_at = monotonic()

    def __call__(self, plan: ChatPlan) -> None:
        if monotonic() < self._said_at + TELLS_EVERY:
            return
        self._said_at = monotonic()
        of_plan = _("%(rooms)s rooms planned.") % {"rooms": grouped(plan.cursor)}
        self._stdout.write(of_plan if self._is_of_plan else how_far(plan))
        self._stdout.flush()


def stored(tenant: Tenant, actor: Actor, path: Path) -> ChatArchive:
    """The tenant's archive with the checksum of the one at this path; it is stored under the name of the file where
    there is none. Raises ``Unusable`` and ``OSError``."""
    path.stat()  # a file that is not there is no archive with something wrong in it
    with open_archive(path, check=False) as opened:
        digest = opened.digest
    stored = ChatArchive.objects.filter(tenant=tenant, state=ChatArchive.State.STORED)
    found = stored.filter(sha256=digest).order_by("pk").first()
    if found is not None:
        found.tenant = tenant
        return found
    name, count = path.stem[:140], 1
    while stored.filter(name__iexact=name).exists():
        count += 1
        name = f"{path.stem[:140]} ({count})"
    return store_export(tenant, actor, name, lambda folder: copy(path, folder))


def newest_plan(tenant: Tenant, number: int | None) -> ChatPlan:
    """The plan of that number, or the newest where none is given. Raises ``CommandError`` and ``ValidationError``."""
    if number is not None:
        return plans.plan_numbered(tenant, number)
    found = ChatPlan.objects.filter(tenant=tenant).select_related("tenant", "archive", "target")
    newest = found.order_by("-number").first()
    if newest is None:
        raise CommandError(_("There are no plans: plan_chat_import makes one."))
    return newest


def rooms_named(plan: ChatPlan, names: Sequence[str]) -> list[ChatRoom]:
    """The plan's rooms of these names or ids. Raises ``CommandError`` where one is not there, or means several."""
    found: dict[int, ChatRoom] = {}
    for name in dict.fromkeys(names):
        rooms = list(plan.rooms.filter(room_id=name)) or list(plan.rooms.filter(name__iexact=name.strip()))
        if not rooms:
            raise CommandError(
                _("Plan %(number)s has no room %(name)s: get_chat_room --plan %(number)s lists them.")
                % {"number": plan.number, "name": name}
            )
        if len(rooms) > 1:
            ids = ", ".join(f"{room.room_id} ({room.category})" for room in rooms[:10])
            raise CommandError(
                _("Several rooms are called %(name)s: name the one by its id, one of %(ids)s.")
                % {"name": name, "ids": ids}
            )
        found[rooms[0].pk] = rooms[0]
    return list(found.values())


def finding_record(finding: ChatFinding, *, is_short: bool = False) -> dict[str, Any]:
    """The finding as it is listed; ``is_short``: with no more of the room's name than a column has room for."""
    name = finding.room.name if finding.room else ""
    return {
        "Room": f"{name[: _SHOWN_OF_NAME - 1]}…" if is_short and len(name) > _SHOWN_OF_NAME else name,
        "Severity": finding.severity,
        "Code": finding.code,
        "Count": finding.count,
        "Finding": str(finding.sentence),
    }


def in_short(plan: ChatPlan) -> str:
    """How much there is, and how much was found."""
    told = {
        "number": plan.number,
        "rooms": grouped(plan.room_count),
        "messages": grouped(plan.message_count),
        "files": grouped(plan.file_count),
        "errors": grouped(plan.error_count),
        "warnings": grouped(plan.warning_count),
        "notes": grouped(plan.note_count),
    }
    return (
        _(
            "Plan %(number)s. Rooms: %(rooms)s, messages: %(messages)s, files: %(files)s; errors: %(errors)s, "
            "warnings: %(warnings)s, notes: %(notes)s. Nothing was changed."
        )
        % told
    )


def how_long(seconds: float) -> str:
    """About so long, in hours and minutes."""
    minutes = max(1, round(seconds / 60))
    return _("%(hours)s h %(minutes)s min") % {"hours": grouped(minutes // 60), "minutes": minutes % 60}


def how_far(plan: ChatPlan) -> str:
    """How far an import is."""
    written, done, total = far(plan)
    told = {"done": grouped(done), "total": grouped(total), "written": grouped(written)}
    return _("%(done)s of %(total)s rooms ended, %(written)s messages written.") % told


def far(plan: ChatPlan) -> tuple[int, int, int]:
    """Messages that were written, rooms that have ended, and rooms that are imported in all."""
    rooms: Iterable[tuple[str, int]] = plan.rooms.exclude(
        state__in=(*ChatRoom.OUT, ChatRoom.State.PLANNED)
    ).values_list("state", "written")
    ended = (ChatRoom.State.IMPORTED, ChatRoom.State.FAILED)
    written = done = total = 0
    for state, count in rooms:
        written, done, total = written + count, done + (state in ended), total + 1
    return written, done, total
