"""Writing a file that somebody asked for: it is there whole or, if something goes wrong, as it was."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from django.core.management.base import CommandError
from django.utils.translation import gettext as _


def replace(path: Path, pieces: Iterable[bytes], *, is_private: bool = False) -> None:
    """Write the file of these pieces; one that is private is read by its owner alone. Raises ``OSError`` where it
    cannot be written."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".export-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
        os.chmod(temporary, (0o600 if is_private else 0o666) & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def not_written(path: Path, error: OSError) -> CommandError:
    """What is told where it cannot be written."""
    return CommandError(
        _(
            "%(filename)s cannot be written (%(strerror)s): check the path, its permissions, and the free space on "
            "the disk."
        )
        % {"filename": error.filename or path, "strerror": error.strerror}
    )


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
