from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from migrations_app.models import CalendarObject
from tenants_app.management.base import AdministratorCommand
from tenants_app.models import ConferencingUser
from tenants_app.wording import counted

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
            raise CommandError(f"The mailbox of {user.upn} is in {user.mailbox_connection}: export it there.")
        try:
            if output.name.lower().endswith(".ics") and not output.is_dir():
                count = _write_one(user, output)
            else:
                count = _write_each(user, output)
        except OSError as error:
            raise CommandError(
                f"{error.filename or output} cannot be written ({error.strerror}): check the path and its permissions."
            ) from error
        self.stdout.write(f"{user.upn}: {counted(count, 'meeting')} written to {output}.")


def _objects(user: ConferencingUser) -> Iterator[tuple[str, bytes]]:
    rows = CalendarObject.objects.filter(user=user).order_by("uid").values_list("uid", "body")
    return ((uid, bytes(body)) for uid, body in rows.iterator(chunk_size=200))


def _write_one(user: ConferencingUser, path: Path) -> int:
    """All objects one after another, which is a calendar stream (RFC 5545, 3.4)."""
    count = 0

    def pieces() -> Iterator[bytes]:
        nonlocal count
        for _, body in _objects(user):
            count += 1
            yield body
            if not body.endswith(b"\n"):
                yield b"\r\n"  # or the next object would not begin on a line of its own

    _replace(path, pieces())
    return count


def _write_each(user: ConferencingUser, folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for uid, body in _objects(user):
        _replace(folder / _file_name(uid, taken), [body])
    return len(taken)


def _file_name(uid: str, taken: set[str]) -> str:
    """A name that every file system takes; each UID has its own, and always the same."""
    name = re.sub(r"[^A-Za-z0-9@._{}-]", "_", uid).lstrip(".-")[:LONGEST_NAME] or "meeting"
    if name != uid or name.lower() in taken:
        name += "-" + hashlib.blake2b(uid.encode(), digest_size=6).hexdigest()
    taken.add(name.lower())
    return f"{name}.ics"


def _replace(path: Path, pieces: Iterable[bytes]) -> None:
    """Write the file so that it is there whole or, if something goes wrong, as it was."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".export-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
