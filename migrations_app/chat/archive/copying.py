"""An archive, copied octet for octet into a folder of its own: its manifest stays what it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from migrations_app.chat.archive.containers import BROKEN, open_container
from migrations_app.chat.archive.limits import GUARDS, MANIFEST, Guards
from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import Manifest
from tenants_app.sentences import sentence

_CHUNK = 256 * 1024


def copy(path: Path, folder: Path, guards: Guards = GUARDS) -> Manifest:
    """Check all of the archive at ``path``, then copy it into ``folder``, which is empty; the manifest comes last.

    Raises ``Unusable`` with all that is wrong.
    """
    with open_archive(path, guards=guards) as archive:
        manifest = archive.manifest
    container = open_container(path, guards)
    try:
        needed = sum(container.sizes.values())
        if needed > shutil.disk_usage(folder).free:
            raise Unusable(
                [Problem(path.name, None, sentence("There is no room on the disk for %(n)s octets.", n=needed))]
            )
        for entry in (*(entry.path for entry in manifest.entries), MANIFEST):
            into = folder / entry
            into.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                with (
                    container.open(entry) as stream,
                    open(os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file,
                ):
                    shutil.copyfileobj(stream, file, _CHUNK)
                    file.flush()
                    os.fsync(file.fileno())
            except BROKEN as error:
                if isinstance(error, OSError) and error.errno is not None:
                    raise  # of the disk, not of the ZIP
                raise Unusable([Problem(entry, None, sentence("The entry is damaged."))]) from None
    finally:
        container.close()
    return manifest
