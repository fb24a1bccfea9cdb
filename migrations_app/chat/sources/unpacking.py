"""A ZIP file with tables or compliance files, unpacked for whoever reads these from a folder (R101: guards)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from migrations_app.chat.archive.containers import BROKEN, Zip
from migrations_app.chat.archive.limits import GUARDS, Guards
from migrations_app.chat.archive.problems import Problem, Unusable
from tenants_app.sentences import sentence

_CHUNK = 256 * 1024


def unpack(path: Path, folder: Path, suffixes: Collection[str], guards: Guards = GUARDS) -> None:
    """Unpack the files with these suffixes (``.csv``) into a folder, without the folders in which they lie in the ZIP.

    What is hostile in the ZIP raises ``Unusable``, and so does a name that would stand in the folder twice.
    """
    zipped = Zip(path, guards, is_entry=lambda _: True)
    try:
        taken: dict[str, str] = {}
        problems = []
        for entry in zipped.sizes:
            name = entry.replace("\\", "/").rsplit("/", 1)[-1]
            if Path(name).suffix.lower() not in suffixes or name.startswith("."):
                continue
            if name.casefold() in taken:
                problems.append(Problem(entry, None, sentence("There is another file of this name in the ZIP.")))
                continue
            taken[name.casefold()] = entry
        if problems:
            raise Unusable(problems)
        needed = sum(zipped.sizes[entry] for entry in taken.values())
        if needed > shutil.disk_usage(folder).free:
            raise Unusable(
                [Problem(path.name, None, sentence("There is no room on the disk for %(n)s octets.", n=needed))]
            )
        for entry in taken.values():
            _unpack_one(zipped, entry, folder / entry.replace("\\", "/").rsplit("/", 1)[-1])
    finally:
        zipped.close()


def _unpack_one(zipped: Zip, entry: str, into: Path) -> None:
    try:
        with (
            zipped.open(entry) as stream,
            open(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file,
        ):
            shutil.copyfileobj(stream, file, _CHUNK)
    except BROKEN:
        raise Unusable([Problem(entry, None, sentence("The entry is damaged."))]) from None
