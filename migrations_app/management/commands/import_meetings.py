from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.calendars.content_lines import all_events, text_of
from migrations_app.calendars.errors import NoMeeting, UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.calendars.joining import Clash, join, join_stored
from migrations_app.calendars.objects import split_objects
from migrations_app.mailboxes.base import Mailbox
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.mailboxes.listing import LONGEST_UID
from migrations_app.runs.imported import note_imported
from migrations_app.runs.outcomes import BATCH
from tenants_app.bulk import batched
from tenants_app.changes.locking import wait_for_others
from tenants_app.management.arguments import read_bytes
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.listing import printable
from tenants_app.wording import grouped


class Command(AdministratorCommand):
    help = (
        "Put calendar files into a user's embedded mailbox, replacing meetings of the same UID; changed occurrences "
        "join their series. All files are checked first; if one is bad, none is stored."
    )
    example = "anna.ics more/ --user anna@contoso.com"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "paths", nargs="+", metavar="PATH", help=".ics files, folders of them, or - for standard input"
        )
        parser.add_argument("--user", required=True, metavar="UPN")

    def handle(self, *args: Any, **options: Any) -> None:
        user = self.user(self.tenant(options), options["user"])
        if user.mailbox_connection:
            raise CommandError(
                _(
                    "The mailbox of %(upn)s is in %(mailbox_connection)s: import there, or have MMS keep it with "
                    "set_dial_in_conferencing_user --mailbox embedded."
                )
                % {"upn": user.upn, "mailbox_connection": user.mailbox_connection}
            )
        mailbox = EmbeddedMailbox(user)
        paths = dict.fromkeys(path for given in options["paths"] for path in _files(given))
        files = _Files()
        for path in paths:
            files.add(path, read_bytes(path))
        objects = files.joined()
        with transaction.atomic():
            wait_for_others(user.tenant)
            files.join_stored(mailbox, objects)
            for problem in files.problems:
                self.stderr.write(printable(problem))
            if files.problems:
                raise CommandError(
                    ngettext(
                        "%(count)s bad file, so nothing was stored: correct or remove what is named above and repeat.",
                        "%(count)s bad files, so nothing was stored: correct or remove what is named above and repeat.",
                        len(files.problems),
                    )
                    % {"count": grouped(len(files.problems))}
                )
            new = mailbox.store(objects.items())
            is_wrong = note_imported(user, list(objects))
        self.stdout.write(
            ngettext(
                "%(user)s: %(count)s meeting stored, %(new)s of them new.",
                "%(user)s: %(count)s meetings stored, %(new)s of them new.",
                len(objects),
            )
            % {"user": user.upn, "count": grouped(len(objects)), "new": grouped(new)}
        )
        if files.without_meeting:
            self.stdout.write(passed_over(files.without_meeting))
        if is_wrong:
            self.stdout.write(
                _(
                    "%(upn)s is out of date: some of these invitations do not say what the settings ask for. "
                    "Start a run with start_meeting_migration."
                )
                % {"upn": user.upn}
            )


class _Files:
    """The files that come in: their objects, what is wrong with them, how many hold no meeting."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.without_meeting = 0
        self._objects: dict[str, dict[str, bytes]] = {}  # by UID and file

    def add(self, path: str, source: bytes) -> None:
        try:
            for uid, body in _checked(source).items():
                self._objects.setdefault(uid, {})[path] = body
        except NoMeeting:
            self.without_meeting += 1
        except UnreadableCalendar as error:
            self.problems.append(f"{path}: {error}")

    def joined(self) -> dict[str, bytes]:
        """One object for each UID: a series and its changed occurrences may have come in several files."""
        objects = {}
        for uid, bodies in self._objects.items():
            try:
                objects[uid] = join(list(bodies.values()))
            except Clash as clash:
                first, second = (list(bodies)[place] for place in (clash.first, clash.second))
                self.problems.append(
                    _("%(file)s: It has the same UID as %(other)s (%(uid)s), but %(why)s: keep one of them.")
                    % {"file": second, "other": first, "uid": uid, "why": clash.why}
                )
        return objects

    def join_stored(self, mailbox: Mailbox, objects: dict[str, bytes]) -> None:
        """Join each of the objects with what the mailbox holds of its meeting."""
        for uids in batched(list(objects), BATCH):
            for uid, stored in mailbox.read(uids).items():
                if stored.listed.unreadable:
                    continue  # what comes in takes its place
                try:
                    objects[uid] = join_stored(stored.body, objects[uid])
                except Clash as clash:
                    path = next(iter(self._objects[uid]))
                    self.problems.append(
                        _("%(file)s: It has the UID of a meeting in the mailbox (%(uid)s), but %(why)s: leave it out.")
                        % {"file": path, "uid": uid, "why": clash.why}
                    )


def _files(path: str) -> Iterator[str]:
    """The file itself, or all .ics files below a folder, in the order of their names."""
    if not os.path.isdir(path):
        yield path
        return
    found = []
    for folder, _folders, names in os.walk(path, onerror=_refuse):
        found += [str(Path(folder, name)) for name in names if name.lower().endswith(".ics")]
    if not found:
        raise CommandError(_("There is no .ics file in %(path)s: check the path.") % {"path": path})
    yield from sorted(found)


def _refuse(error: OSError) -> None:
    raise CommandError(
        _("%(filename)s cannot be read (%(strerror)s): check its permissions.")
        % {"filename": error.filename, "strerror": error.strerror}
    ) from error


def passed_over(count: int) -> str:
    """What is said of files that hold no meeting."""
    return ngettext(
        "%(count)s file without any meeting (to-dos, journals, free/busy times) passed over.",
        "%(count)s files without any meeting (to-dos, journals, free/busy times) passed over.",
        count,
    ) % {"count": grouped(count)}


def _checked(source: bytes) -> dict[str, bytes]:
    """The objects of a file by UID; raises ``UnreadableCalendar`` unless every one of them can be read."""
    objects = dict(split_objects(source))
    for uid, body in objects.items():
        try:
            check_uid(uid)
            read_facts(body)
        except UnreadableCalendar as error:
            # Among thousands of meetings in a file one must be told which.
            raise UnreadableCalendar(f"{error} {_named(uid, body)}") if len(objects) > 1 else error from error
    return objects


def check_uid(uid: str) -> None:
    """Raises ``UnreadableCalendar`` where the mailbox cannot keep the UID."""
    if len(uid) > LONGEST_UID:
        raise UnreadableCalendar(_("A UID has more than %(longest_uid)s characters.") % {"longest_uid": LONGEST_UID})


def _named(uid: str, body: bytes) -> str:
    """Which meeting of its file it is, as a sentence."""
    subject = text_of(body, all_events(body)[0], b"SUMMARY")[:100]
    told = {"subject": subject, "uid": uid[:100]}
    if subject:
        return _("It is the meeting “%(subject)s” with UID %(uid)s.") % told
    return _("It is the meeting with UID %(uid)s.") % told
