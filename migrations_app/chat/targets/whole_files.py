"""Files of targets that are there whole or not at all, after a kill or a power cut, too (R129: for nobody else)."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PIECE = 1 << 20


def private_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for the service's account only (R129)."""
    for each in reversed((folder, *folder.parents)):
        each.mkdir(mode=0o700, exist_ok=True)


def keep_octets(stream: IO[bytes], folder: Path, path_of: Callable[[str], Path]) -> tuple[str, int]:
    """Write a stream to the path that its SHA-256 (in hexadecimal) gives, whole or not at all; its SHA-256 and size."""
    private_folder(folder)
    digest, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=folder, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            while piece := stream.read(PIECE):
                digest.update(piece)
                size += len(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        path = path_of(digest.hexdigest())
        private_folder(path.parent)
        os.replace(name, path)
        for each in path.parents:  # so that it is there after a power cut, too
            keep_names(each)
            if each == folder:
                break
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    return digest.hexdigest(), size


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there with all that was written, or as it was before."""
    private_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    os.close(handle)
    try:
        with open(name, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
        keep_names(path.parent)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def keep_names(folder: Path) -> None:
    """Have the disk keep which files a folder has, as it keeps what is in them."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed has left of files that it wrote."""
    for path in list(folder.rglob(".new-*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
