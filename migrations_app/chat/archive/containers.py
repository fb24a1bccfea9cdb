"""A ZIP file or a folder, as entries that can be read; what is hostile in one is refused here (R101)."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Protocol, cast

from migrations_app.chat.archive.limits import GUARDS, MANIFEST, Guards
from migrations_app.chat.archive.limits import is_entry as is_entry_of_archive
from migrations_app.chat.archive.problems import Problem, Unusable
from tenants_app.sentences import sentence

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    OverflowError,
)
"""What ``zipfile`` raises at octets that are no ZIP."""

_CHUNK = 256 * 1024
_END = b"PK\x05\x06"
_END_LENGTH, _END_SEARCHED = 22, 22 + 65_535
_LARGE_END = b"PK\x06\x06"
_LARGE_END_LENGTH, _LARGE_LOCATOR_LENGTH = 56, 20
"""Of ZIP files of more than 4 GB or 65,535 entries; it stands right before the other end."""
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_LINK = stat.S_IFLNK


class Container(Protocol):
    """Entries by their names."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """The octets of each entry."""
        ...

    def open(self, entry: str) -> IO[bytes]: ...

    def close(self) -> None: ...


class Folder:
    """A folder of the archive's shape."""

    def __init__(self, path: Path, guards: Guards = GUARDS) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        problems = []
        for name, facts in _files_below(path):
            reason = _why_not(name, facts.st_size, guards)
            if not stat.S_ISREG(facts.st_mode):
                reason = sentence("This is a link or a device, not a file.")
            if reason:
                problems.append(Problem(name, None, reason))
            self.sizes[name] = facts.st_size
            if len(self.sizes) > guards.entries:
                raise Unusable([Problem(path.name, None, _too_many(guards))])
        problems += _of_all(self.sizes, path.name, guards)
        if problems:
            raise Unusable(problems)

    def open(self, entry: str) -> IO[bytes]:
        file = os.open(self.path / entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return open(file, "rb")

    def close(self) -> None:
        pass


class Zip:
    """A ZIP file, looked at in all its headers before anything of it is unpacked."""

    def __init__(
        self, path: Path, guards: Guards = GUARDS, *, is_entry: Callable[[str], bool] = is_entry_of_archive
    ) -> None:
        self.sizes: dict[str, int] = {}
        self._is_entry = is_entry
        self._entries: dict[str, zipfile.ZipInfo] = {}
        try:
            if _directory_bytes(path) > guards.entries * 200:
                raise Unusable([Problem(path.name, None, _too_many(guards))])
            self._zip = zipfile.ZipFile(path)
        except BROKEN:
            raise Unusable([Problem(path.name, None, sentence("This is not a ZIP file, or it is damaged."))]) from None
        try:
            problems = list(self._looked_at(path.name, guards))
            problems += _of_all(self.sizes, path.name, guards)
            if problems:
                raise Unusable(problems)
        except BaseException:
            self._zip.close()
            raise

    def _looked_at(self, name: str, guards: Guards) -> Iterator[Problem]:
        entries = self._zip.infolist()
        if len(entries) > guards.entries:
            yield Problem(name, None, _too_many(guards))
            return
        end = 0
        for entry in sorted(entries, key=lambda entry: entry.header_offset):
            called = entry.orig_filename
            if entry.header_offset < end:
                yield Problem(called, None, sentence("The entry overlaps another one."))
            end = entry.header_offset + entry.compress_size
            if called.endswith("/") and not entry.file_size and ".." not in called and not called.startswith("/"):
                continue
            if called in self._entries:
                yield Problem(called, None, sentence("The entry stands in the ZIP twice."))
                continue
            reason = self._why_not(entry, guards)
            if reason:
                yield Problem(called, None, reason)
            self._entries[called] = entry
            self.sizes[called] = entry.file_size

    def _why_not(self, entry: zipfile.ZipInfo, guards: Guards) -> str:
        if stat.S_IFMT(entry.external_attr >> 16) == _LINK:
            return sentence("This is a symbolic link, not a file.")
        reason = _why_not(entry.orig_filename, entry.file_size, guards, self._is_entry)
        if reason:
            return reason
        if entry.flag_bits & 0x1:
            return sentence("The entry is encrypted. Pack the archive without a password.")
        if entry.compress_type not in _READABLE:
            return sentence("The entry is compressed in a way that MMS does not read. Use Deflate.")
        if entry.file_size > guards.ratio_from and entry.file_size > guards.ratio * max(entry.compress_size, 1):
            return sentence(
                "The entry becomes more than %(ratio)s times as large when it is unpacked, which no real archive does.",
                ratio=guards.ratio,
            )
        return ""

    def open(self, entry: str) -> IO[bytes]:
        try:
            return io.BufferedReader(cast("io.RawIOBase", self._zip.open(self._entries[entry])), _CHUNK)
        except KeyError:
            raise FileNotFoundError(entry) from None
        except BROKEN:
            raise Unusable([Problem(entry, None, sentence("The entry is damaged."))]) from None

    def close(self) -> None:
        self._zip.close()


def open_container(path: Path, guards: Guards = GUARDS) -> Folder | Zip:
    """The entries of the ZIP file or folder at this path. Raises ``Unusable``."""
    if path.is_dir():
        return Folder(path, guards)
    if not path.is_file():
        raise Unusable([Problem(path.name, None, sentence("There is neither a file nor a folder of this name."))])
    return Zip(path, guards)


def _files_below(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        for folder, folders, files in os.walk(path, onerror=_raise):
            # A link to a folder is listed among folders, and not followed.
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for name in sorted(files + links):
                whole = Path(folder) / name
                yield whole.relative_to(path).as_posix(), whole.lstat()
    except OSError as error:
        raise Unusable(
            [Problem(path.name, None, sentence("The folder cannot be read: %(what)s.", what=error.strerror or ""))]
        ) from None


def _raise(error: OSError) -> None:
    raise error


def _directory_bytes(path: Path) -> int:
    """How long the ZIP says that its list of entries is: the list is read at once, into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _END_SEARCHED))
        end = file.read(_END_SEARCHED)
    at = end.rfind(_END)
    if at < 0 or at + _END_LENGTH > len(end):
        return 0  # zipfile says that this is no ZIP
    large = at - _LARGE_LOCATOR_LENGTH - _LARGE_END_LENGTH
    if large >= 0 and end[large:].startswith(_LARGE_END):
        of_large: int = struct.unpack_from("<Q", end, large + 40)[0]
        return of_large
    length: int = struct.unpack_from("<L", end, at + 12)[0]
    return length


def _why_not(name: str, size: int, guards: Guards, is_entry: Callable[[str], bool] = is_entry_of_archive) -> str:
    """Why no archive has an entry of this name and size; empty where one can."""
    parts = name.replace("\\", "/").split("/")
    if ".." in parts or name.startswith(("/", "\\")) or ":" in name or "\0" in name:
        return sentence("The name of the entry leads out of the archive.")
    if name == MANIFEST:
        if size > guards.manifest_bytes:
            return _too_large(guards.manifest_bytes)
        return ""
    if not is_entry(name):
        return sentence("A chat archive has no entry of this name. Remove it, and try again.")
    return _too_large(guards.entry_bytes) if size > guards.entry_bytes else ""


def _of_all(sizes: Mapping[str, int], name: str, guards: Guards) -> Iterator[Problem]:
    if sum(sizes.values()) > guards.total_bytes:
        yield Problem(name, None, sentence("Unpacked it is larger than %(n)s octets.", n=guards.total_bytes))
    seen: set[str] = set()
    for entry in sizes:
        if entry.casefold() in seen:
            yield Problem(entry, None, sentence("Another entry has this name but for capital letters."))
        seen.add(entry.casefold())


def _too_large(limit: int) -> str:
    return sentence("The entry is larger than %(limit)s octets.", limit=limit)


def _too_many(guards: Guards) -> str:
    return sentence("There are more than %(n)s entries.", n=guards.entries)
