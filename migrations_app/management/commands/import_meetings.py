from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from migrations_app.calendars.content_lines import split_objects
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.runs.imported import note_imported
from tenants_app.management.arguments import read_bytes
from tenants_app.management.base import AdministratorCommand
from tenants_app.wording import counted

LONGEST_UID = 500


class Command(AdministratorCommand):
    help = (
        "Put calendar files into a user's embedded mailbox, replacing meetings of the same UID. "
        "All files are checked first; if one is bad, none is stored."
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
        objects: dict[str, bytes] = {}
        sources: dict[str, str] = {}
        bad = 0
        for path in dict.fromkeys(path for given in options["paths"] for path in _files(given)):
            try:
                found = _checked(read_bytes(path))
                for uid in found:
                    if uid in sources:
                        raise UnreadableCalendar(f"It has the same UID as {sources[uid]} ({uid}): keep one of them.")
            except UnreadableCalendar as error:
                bad += 1
                self.stderr.write(f"{path}: {error}")
            else:
                objects |= found
                sources |= dict.fromkeys(found, path)
        if bad:
            raise CommandError(
                f"{counted(bad, 'bad file')}, so nothing was stored: correct or remove what is named above and repeat."
            )
        with transaction.atomic():
            new = EmbeddedMailbox(user).store(objects.items())
            is_wrong = note_imported(user, list(objects))
        self.stdout.write(f"{user.upn}: {counted(len(objects), 'meeting')} stored, {new:,} of them new.")
        if is_wrong:
            self.stdout.write(
                f"{user.upn} is out of date: some of these invitations do not say what the settings ask for. "
                "Start a run with start_meeting_migration."
            )


def _files(path: str) -> Iterator[str]:
    """The file itself, or all .ics files below a folder, in the order of their names."""
    if not os.path.isdir(path):
        yield path
        return
    found = []
    for folder, _, names in os.walk(path, onerror=_refuse):
        found += [str(Path(folder, name)) for name in names if name.lower().endswith(".ics")]
    if not found:
        raise CommandError(f"There is no .ics file in {path}: check the path.")
    yield from sorted(found)


def _refuse(error: OSError) -> None:
    raise CommandError(f"{error.filename} cannot be read ({error.strerror}): check its permissions.") from error


def _checked(source: bytes) -> dict[str, bytes]:
    """The objects of a file by UID; raises ``UnreadableCalendar`` unless every one of them can be read."""
    objects = dict(split_objects(source))
    for uid, body in objects.items():
        if len(uid) > LONGEST_UID:
            raise UnreadableCalendar(f"A UID has more than {LONGEST_UID} characters.")
        read_facts(body)
    return objects
