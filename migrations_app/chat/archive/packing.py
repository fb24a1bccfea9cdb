"""An archive's folder as a ZIP file, and as the octets of one by stream."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from migrations_app.chat.archive.limits import GUARDS, MANIFEST

_CHUNK = 256 * 1024
_LEVEL = 6
_DATED = (1980, 1, 1, 0, 0, 0)
"""The same folder becomes the same ZIP."""


def pack(folder: Path, path: Path) -> None:
    """Write the archive in ``folder`` as a ZIP file for its owner only: the whole of it, or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".unfinished")
    temporary = Path(name)
    try:
        with open(handle, "wb") as file:
            for chunk in packed(folder):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def packed(folder: Path) -> Iterator[bytes]:
    """The octets of the ZIP file, made while they are read."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as zipped:
        for name in _entries(folder):
            entry = zipfile.ZipInfo(name, _DATED)
            entry.external_attr = 0o100600 << 16
            entry.compress_type = zipfile.ZIP_STORED if _is_stored(folder / name) else zipfile.ZIP_DEFLATED
            entry.file_size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file, zipped.open(entry, "w", force_zip64=True) as into:
                while chunk := file.read(_CHUNK):
                    into.write(chunk)
                    yield from sink.taken()
            yield from sink.taken()
    yield from sink.taken()


def _entries(folder: Path) -> list[str]:
    """The manifest first: who opens the ZIP knows at once what it is."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(names, key=lambda name: (name != MANIFEST, "/" in name, name))


def _is_stored(path: Path) -> bool:
    """Whether it would be compressed so well that whoever reads it had to take it for an attack."""
    size = path.stat().st_size
    if size <= GUARDS.ratio_from:
        return False
    compressor, compressed = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            compressed += len(compressor.compress(chunk))
    compressed += len(compressor.flush())
    return size > GUARDS.ratio * compressed


class _Sink(io.RawIOBase):
    """Takes what is written to it until somebody fetches it."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, octets: object) -> int:
        chunk = bytes(octets)  # type: ignore[call-overload]
        self._waiting.append(chunk)
        return len(chunk)

    def taken(self) -> Iterator[bytes]:
        waiting, self._waiting = self._waiting, []
        yield from waiting
