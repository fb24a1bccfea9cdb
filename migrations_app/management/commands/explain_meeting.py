from __future__ import annotations

import codecs
import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePath
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.calendars.content_lines import escaped
from migrations_app.calendars.errors import NoMeeting, UnreadableCalendar
from migrations_app.calendars.facts import read_facts, why_without_organizer
from migrations_app.calendars.objects import split_objects
from migrations_app.management.commands.import_meetings import check_uid, passed_over
from migrations_app.preview.explanation import MIGRATED, Explanation, explain
from migrations_app.rewriting.comparison import compare
from migrations_app.rewriting.evidence import Verdict
from migrations_app.rewriting.findings import Finding, Point
from migrations_app.rewriting.spans import Span
from tenants_app.management.arguments import read_bytes
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.listing import printable
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.validators import is_address
from tenants_app.wording import grouped

_BODIES = {".txt": "DESCRIPTION:", ".html": "X-ALT-DESC;FMTTYPE=text/html:", ".htm": "X-ALT-DESC;FMTTYPE=text/html:"}
_NOBODY = "organizer@example.org"
_MADE_UP_UID = "body-of-an-invitation"
_MARKS = {Verdict.SCHEDULED: "+", Verdict.PASTED: "-", Verdict.SILENT: "."}
_WIDEST_LABEL = 22
_MOST_LINES = 12


@dataclass(frozen=True, slots=True)
class _Object:
    """A calendar object of a file; not ``is_whole`` where only its body was given."""

    path: str
    uid: str
    body: bytes
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class _Explained:
    """The explanation of an object, the user whose settings it uses, and how that user was found or why nobody was."""

    source: _Object
    user: ConferencingUser | None
    about_user: str
    explanation: Explanation


class Command(AdministratorCommand):
    help = (
        "Say what MMS sees in an invitation, what a run would do with it now, and why. Writes nothing. "
        "All files are read first; if one is bad, none is explained."
    )
    example = "budget.ics --user anna@contoso.com"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "paths",
            nargs="+",
            metavar="PATH",
            help="an .ics file, - for standard input, or a .txt or .html file with the body of an invitation",
        )
        parser.add_argument(
            "--user", metavar="UPN", help="whose settings say what the new block is (default: the organizer's)"
        )
        parser.add_argument(
            "--format", choices=["table", "json"], default="table", help="how to print it (default: table)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options) if options["user"] is not None or options["tenant"] is not None else None
        named = self.user(tenant, options["user"]) if tenant and options["user"] is not None else None
        files = [_objects(path, named) for path in dict.fromkeys(options["paths"])]
        sources = [source for file in files for source in file]
        explained = (self._explain(source, tenant, named) for source in sources)
        if options["format"] == "json":
            self.list_rows(map(_record, explained), options, [])
        else:
            page = _Page()
            for number, each in enumerate(explained, 1):
                lines = page.about(
                    each,
                    _("%(number)s of %(count)s") % {"number": number, "count": len(sources)}
                    if len(sources) > 1
                    else "",
                )
                self.stdout.write("\n".join([*([""] if number > 1 else []), *lines]))
        if not all(files):
            self.stderr.write(passed_over(files.count([])))

    def _explain(self, source: _Object, tenant: Tenant | None, named: ConferencingUser | None) -> _Explained:
        user, about_user = (named, _("as --user says")) if named else self._organizer(source, tenant)
        explanation = explain(source.uid, source.body, user, is_whole=source.is_whole)
        return _Explained(source, user, about_user, explanation)

    def _organizer(self, source: _Object, tenant: Tenant | None) -> tuple[ConferencingUser | None, str]:
        """The user with the organizer's address, and how they were found; None unless exactly one user has it."""
        try:
            address = read_facts(source.body).organizer
            without = "" if address else why_without_organizer(source.body)
        except UnreadableCalendar:
            address = without = ""
        if not source.is_whole or not is_address(address):
            why = (source.is_whole and without) or _("there is no organizer to look for")
            return None, _("%(why)s, so nobody's settings were read and the new block is not known") % {"why": why}
        users = ConferencingUser.objects.filter(Q(upn__iexact=address) | Q(sip_address__iexact=address))
        if tenant:
            users = users.filter(tenant=tenant)
        found = list(users.select_related("tenant", "bridge", "toll_number", "toll_free_number")[:2])
        if len(found) == 1:
            told = _("found in %(tenant)s by the organizer's address") % {"tenant": found[0].tenant.name}
            return found[0], told
        return None, (
            _(
                "several users have the organizer's address, so nobody's settings were read and the new block is not "
                "known"
            )
            if found
            else _("no user has the organizer's address, so nobody's settings were read and the new block is not known")
        )


# --- files --------------------------------------------------------------------------------------------


def _objects(path: str, user: ConferencingUser | None) -> list[_Object]:
    """The calendar objects of a file, one for each UID; none of a calendar without any meeting."""
    content = read_bytes(path)
    name = _BODIES.get(PurePath(path).suffix.lower())
    if name and content.removeprefix(codecs.BOM_UTF8).lstrip()[:15].upper() != b"BEGIN:VCALENDAR":
        return [_Object(path, _MADE_UP_UID, _event_around(name, _text(content), user), is_whole=False)]
    try:
        objects = split_objects(content)
        for uid, _body in objects:
            check_uid(uid)
    except NoMeeting:
        return []
    except UnreadableCalendar as error:
        raise CommandError(printable(f"{path}: {error}")) from error
    return [_Object(path, uid, body) for uid, body in objects]


def _event_around(name: str, text: str, user: ConferencingUser | None) -> bytes:
    """A meeting of the user tomorrow that has this text as its description, and nothing else."""
    start = timezone.now().replace(microsecond=0) + timedelta(days=1)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        f"UID:{_MADE_UP_UID}",
        f"DTSTART:{start:%Y%m%dT%H%M%SZ}",
        f"DTEND:{start + timedelta(hours=1):%Y%m%dT%H%M%SZ}",
        f"ORGANIZER:mailto:{user.upn if user else _NOBODY}",
    ]
    value = escaped("\n".join(text.splitlines()))
    return b"\r\n".join(
        [*(line.encode() for line in lines), name.encode() + value, b"END:VEVENT", b"END:VCALENDAR", b""]
    )


def _text(content: bytes) -> str:
    """The text of a file as Outlook and editors save it: UTF-8, UTF-16 with its mark, or Windows-1252."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


# --- telling ------------------------------------------------------------------------------------------


def _record(explained: _Explained) -> dict[str, Any]:
    explanation = explained.explanation
    return {
        "File": explained.source.path,
        "Uid": explanation.uid,
        "Subject": explanation.subject,
        "IsBodyOnly": not explained.source.is_whole,
        "UserPrincipalName": explained.user.upn if explained.user else "",
        "IsNewBlockKnown": explanation.is_new_block_known,
        "Decision": explanation.decision.code,
        "What": explanation.decision.what,
        "Do": explanation.decision.do,
        "Findings": [
            {"Title": finding.title, "Points": [_point_record(point) for point in finding.points]}
            for finding in explanation.findings
        ],
        "Replaced": [_span_record(span) for span in explanation.decision.spans],
    }


def _point_record(point: Point) -> dict[str, str]:
    record = {"Label": point.label, "Text": point.text}
    return record | {"Verdict": point.verdict.value} if point.verdict else record


def _span_record(span: Span) -> dict[str, str]:
    rows = [row for change in compare([span]) for row in change.rows]
    return {
        "RecurrenceId": span.recurrence_id,
        "Property": span.property,
        "Before": "\n".join(row.before for row in rows if row.before is not None),
        "After": "\n".join(row.after for row in rows if row.after is not None),
    }


class _Page:
    """Explanations as lines for a terminal, as wide as it is, 80 to 120 columns. Links may run over."""

    def __init__(self) -> None:
        self._width = min(max(shutil.get_terminal_size().columns, 80), 120)

    def about(self, explained: _Explained, number: str) -> Iterator[str]:
        explanation = explained.explanation
        yield "=" * self._width
        yield from self._wrapped(explanation.subject or _("(no subject)"), number and f"{number}: ")
        yield "=" * self._width
        yield from self._labelled(self._source(explained), "")
        for finding in explanation.findings:
            yield ""
            yield from self._finding(finding)
        yield ""
        yield "-" * self._width
        heading, to_do = _("DECISION"), _("TO DO")
        width = max(len(heading), len(to_do)) + 2
        yield f"{heading:<{width}}{_(explanation.decision.outcome)} ({explanation.decision.code})"
        yield from self._wrapped(explanation.decision.what, " " * width)
        if explanation.decision.do:
            yield from self._wrapped(explanation.decision.do, f"{to_do:<{width}}")
        yield "-" * self._width
        if explanation.decision.code == MIGRATED:
            yield from self._replaced(explained)

    def _source(self, explained: _Explained) -> list[tuple[str, str]]:
        told = explained.about_user
        user = f"{explained.user.upn}, {told}" if explained.user else _("Not known: %(why)s") % {"why": told}
        file = _("standard input") if explained.source.path == "-" else explained.source.path
        if not explained.source.is_whole:
            return [
                (_("File"), file),
                (_("Taken as"), _("the body of an invitation; the meeting around it, with UID and dates, is made up")),
                (_("User"), user),
            ]
        return [(_("File"), file), ("UID", explained.source.uid), (_("User"), user)]

    def _finding(self, finding: Finding) -> Iterator[str]:
        yield from self._wrapped(finding.title, "")
        pairs = [
            (f"{_MARKS[point.verdict]} {point.label}" if point.verdict else point.label, point.text)
            for point in finding.points
        ]
        yield from self._labelled(pairs, "  ")

    def _labelled(self, pairs: list[tuple[str, str]], indent: str) -> Iterator[str]:
        spoken = [(str(label), text) for label, text in pairs]  # as long as it is in the reader's language
        width = max((len(label) for label, _ in spoken if len(label) <= _WIDEST_LABEL), default=0)
        for label, text in spoken:
            if len(label) > _WIDEST_LABEL:
                yield f"{indent}{label}"
                yield from self._wrapped(text, f"{indent}  ")
            else:
                yield from self._wrapped(text, f"{indent}{label:<{width}}  ")

    def _replaced(self, explained: _Explained) -> Iterator[str]:
        is_known = explained.explanation.is_new_block_known
        yield ""
        yield _("What would be replaced (- before, + after)") if is_known else _("What would be replaced (- before)")
        distinct: dict[Span, int] = {}
        for span in explained.explanation.decision.spans:
            of_series = span._replace(recurrence_id="")
            distinct[of_series] = distinct.get(of_series, 0) + 1
        for span, times in distinct.items():
            yield ""
            if times > 1:
                told = _("%(property)s, the same %(times)s times")
                yield "  " + told % {"property": span.property, "times": grouped(times)}
            else:
                yield f"  {span.property}"
            changed = [row for change in compare([span]) for row in change.rows if not row.is_same]
            yield from self._side("-", [row.before for row in changed if row.before is not None])
            yield from self._side("+", [row.after for row in changed if row.after is not None])

    def _side(self, mark: str, lines: list[str]) -> Iterator[str]:
        for line in lines[:_MOST_LINES]:
            yield f"    {mark} {self._shortened(printable(line))}"
        if len(lines) > _MOST_LINES:
            count = len(lines) - _MOST_LINES
            told = ngettext("… and %(count)s more line", "… and %(count)s more lines", count)
            yield f"    {mark} " + told % {"count": grouped(count)}

    def _shortened(self, line: str) -> str:
        """A line that fits, without its middle: links differ at their ends."""
        most = self._width - 6
        if len(line) <= most:
            return line
        tail = most // 2
        return f"{line[: most - tail - 1]}…{line[-tail:]}"

    def _wrapped(self, text: str, label: str) -> list[str]:
        return textwrap.wrap(
            printable(str(text)),
            self._width,
            initial_indent=label,
            subsequent_indent=" " * len(label),
            break_long_words=False,
            break_on_hyphens=False,
        ) or [label.rstrip()]
