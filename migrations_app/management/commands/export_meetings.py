from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.management.whole_file import not_written, replace
from migrations_app.models import CalendarObject
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import ConferencingUser
from tenants_app.wording import grouped

LONGEST_NAME = 150


class Command(AdministratorCommand):
    help = (
        "Write a user's embedded mailbox out, byte for byte as it is stored: one file per meeting into a folder, "
        "or all meetings into one .ics file."
    )
    example = "--user anna@contoso.com --output anna/"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--user", required=True, metavar="UPN")
        parser.add_argument("--output", required=True, metavar="DIR|FILE.ics", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        user = self.user(self.tenant(options), options["user"])
        output: Path = options["output"]
        if user.mailbox_connection:
            raise CommandError(
                _("The mailbox of %(upn)s is in %(mailbox_connection)s: export it there.")
                % {"upn": user.upn, "mailbox_connection": user.mailbox_connection}
            )
        try:
            if output.name.lower().endswith(".ics") and not output.is_dir():
                count = _write_one(user, output)
            else:
                count = _write_each(user, output)
        except OSError as error:
            raise not_written(output, error) from error
        self.stdout.write(
            ngettext(
                "%(user)s: %(count)s meeting written to %(path)s.",
                "%(user)s: %(count)s meetings written to %(path)s.",
                count,
            )
            % {"user": user.upn, "count": grouped(count), "path": output}
        )


def _objects(user: ConferencingUser) -> Iterator[tuple[str, bytes]]:
    rows = CalendarObject.objects.filter(user=user).order_by("uid").values_list("uid", "body")
    return ((uid, bytes(body)) for uid, body in rows.iterator(chunk_size=200))


def _write_one(user: ConferencingUser, path: Path) -> int:
    """All objects one after another, which is a calendar stream (RFC 5545, 3.4)."""
    count = 0

    def pieces() -> Iterator[bytes]:
        nonlocal count
        for _uid, body in _objects(user):
            count += 1
            yield body
            if not body.endswith(b"\n"):
                yield b"\r\n"  # or the next object would not begin on a line of its own

    replace(path, pieces())
    return count


def _write_each(user: ConferencingUser, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for uid, body in _objects(user):
        replace(folder / _file_name(uid, taken), [body])
    return len(taken)


def _file_name(uid: str, taken: set[str]) -> str:
    """A name that every file system takes; each UID has its own, and always the same."""
    name = re.sub(r"[^A-Za-z0-9@._{}-]", "_", uid).lstrip(".-")[:LONGEST_NAME] or "meeting"
    if name != uid or name.lower() in taken:
        name += "-" + hashlib.blake2b(uid.encode(), digest_size=6).hexdigest()
    taken.add(name.lower())
    return f"{name}.ics"
