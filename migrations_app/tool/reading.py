"""What the tool is given: calendar files one by one, in folders or in a ZIP file, and messages with an invitation.

All of it is untrusted. Nothing is unpacked to a disk, and nothing larger than :class:`Limits` says is read.
"""

from __future__ import annotations

import email
import email.policy
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from django.utils.translation import gettext as _

from migrations_app.calendars.objects import LARGEST_FILE
from migrations_app.tool.errors import Refused
from tenants_app.wording import grouped

_PIECE = 1 << 16
_ENCRYPTED = 0x1
_DRIVE = re.compile(r"[A-Za-z]:")
_END_MARK, _END = b"PK\x05\x06", 22
"""How the end of a ZIP file begins, and its octets without a comment."""
_LARGEST_ENTRY = 600
"""Octets of a file's entry in the list of a ZIP file: its name, its times and more."""
_LARGEST_RATIO = 200
"""Calendars with long HTML shrink to a fiftieth; what shrinks further is made to fill a memory."""
_NO_INVITATIONS = {"REPLY", "CANCEL", "COUNTER", "DECLINECOUNTER", "REFRESH"}
_MESSAGE_ROOM = 2
"""An invitation in a message is Base64, and stands there twice."""


class Source(NamedTuple):
    """One file that was given."""

    name: str
    """Its path below what was given, with slashes; never absolute, and never above it."""
    octets: bytes
    """A calendar: of a message its invitation."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is taken at once."""

    files: int
    octets: int
    """Of all files together, unpacked."""

    def check(self, files: int, octets: int) -> None:
        """Raise ``Refused`` where it is too much."""
        if files > self.files:
            raise Refused(
                _("There are more than %(files)s files, and no more go at once: divide them.")
                % {"files": grouped(self.files)}
            )
        if octets > self.octets:
            raise Refused(
                _("The files have more than %(octets)s MB together, and no more go at once: divide them.")
                % {"octets": f"{self.octets / 1000000.0:,.0f}"}
            )


@dataclass(slots=True)
class Given:
    """The calendars that were given, and how many other files were beside them."""

    sources: list[Source]
    passed_over: int = 0


def read_path(path: Path, limits: Limits) -> Given:
    """A file, or everything below a folder. Links are followed nowhere. Raises ``Refused``."""
    try:
        if not path.is_dir():
            with path.open("rb") as file:
                return read_files([(path.name, file)], limits)
        given = Given([])
        octets = 0
        for each in _below(path):
            name = each.relative_to(path).as_posix()
            if not _is_calendar(name):
                given.passed_over += 1
                continue
            octets += each.stat().st_size
            limits.check(len(given.sources) + 1, octets)
            given.sources.append(_source(name, each.read_bytes()))
    except OSError as error:
        where = error.filename or path
        raise Refused(
            _("%(where)s cannot be read (%(strerror)s): check the path and its permissions.")
            % {"where": where, "strerror": error.strerror}
        ) from error
    return _not_empty(given, _("There is no .ics or .eml file in %(path)s: check the path.") % {"path": path})


def read_files(files: Sequence[tuple[str, IO[bytes]]], limits: Limits) -> Given:
    """Files by their names; a ZIP file stands for what is in it. Raises ``Refused``."""
    given = Given([])
    octets = 0
    for given_name, file in files:
        name = _plain(given_name)
        if zipfile.is_zipfile(file):
            if len(files) > 1:
                raise Refused(
                    _("%(name)s is a ZIP file among other files: give it alone, or put all files into one.")
                    % {"name": name}
                )
            return _unzipped(name, file, limits)
        file.seek(0)
        text = file.read(limits.octets + 1 - octets)
        octets += len(text)
        limits.check(len(files), octets)
        if any(name == source.name for source in given.sources):
            raise Refused(_("There are two files %(name)s: give one of them another name.") % {"name": name})
        given.sources.append(_source(name, text))
    return _not_empty(given, _("No file was given: choose an .ics file, an .eml file or a ZIP file of them."))


def _not_empty(given: Given, sentence: str) -> Given:
    if not given.sources:
        raise Refused(sentence)
    given.sources.sort()
    # The calendar of a message comes back beside it, under a name that another file may have.
    for one, other in pairwise(given.sources):
        if one.name == other.name:
            raise Refused(
                _("Two calendars would come back as %(name)s: give one of the files another name.") % {"name": one.name}
            )
    return given


def _is_calendar(name: str) -> bool:
    return name.lower().endswith((".ics", ".eml"))


def _plain(name: str) -> str:
    """The last part of a name, as browsers and shells should send it anyway."""
    name = re.split(r"[/\\]", name)[-1]
    return "calendar.ics" if name in {"", ".", ".."} else name.replace("\0", "")


def _below(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise error

    for where, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


# --- ZIP files ------------------------------------------------------------------------------------------------


def _unzipped(name: str, file: IO[bytes], limits: Limits) -> Given:
    if _directory_size(file) > limits.files * _LARGEST_ENTRY:  # reading it takes ten times the room
        limits.check(limits.files + 1, 0)
    try:
        with zipfile.ZipFile(file) as archive:
            return _members(archive, name, limits)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, OSError, ValueError) as error:
        raise Refused(
            _("%(name)s is damaged or packed in a way that is not read here: pack it anew as ZIP.") % {"name": name}
        ) from error


def _directory_size(file: IO[bytes]) -> int:
    """Octets of the list of files of a ZIP file, as its end says: no more of it is read."""
    file.seek(0, os.SEEK_END)
    file.seek(max(0, file.tell() - _END - 0xFFFF))
    tail = file.read()
    has_comment = not (tail[-_END:].startswith(_END_MARK) and tail.endswith(b"\0\0"))
    at = tail.rfind(_END_MARK) if has_comment else len(tail) - _END
    record = tail[at : at + _END] if at >= 0 else b""
    return int.from_bytes(record[12:16], "little")


def _members(archive: zipfile.ZipFile, name: str, limits: Limits) -> Given:
    members = [member for member in archive.infolist() if not member.is_dir()]
    limits.check(len(members), sum(member.file_size for member in members))
    for member in members:
        _check_member(member, name)
    given = Given([])
    octets = 0
    names: set[str] = set()
    for member in members:
        path = str(PurePosixPath(member.filename))
        if not _is_calendar(path) or path.startswith("__MACOSX/"):
            given.passed_over += 1
            continue
        if path.casefold() in names:
            raise Refused(
                _("%(name)s holds two files %(path)s: give one of them another name.") % {"name": name, "path": path}
            )
        names.add(path.casefold())
        text = b""
        with archive.open(member) as packed:
            pieces = []
            # What a ZIP file says of its sizes need not be true.
            while piece := packed.read(_PIECE):
                octets += len(piece)
                limits.check(len(members), octets)
                pieces.append(piece)
            text = b"".join(pieces)
        given.sources.append(_source(path, text))
    return _not_empty(given, _("There is no .ics or .eml file in %(name)s: check what was packed.") % {"name": name})


def _check_member(member: zipfile.ZipInfo, name: str) -> None:
    path = member.filename
    shown = path[:100]
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or ".." in parts or _DRIVE.match(path) or "\0" in member.orig_filename:
        raise Refused(
            _("%(name)s holds a file whose path leads out of it (%(shown)s): pack the files anew.")
            % {"name": name, "shown": shown}
        )
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise Refused(
            _("%(name)s holds a link or a device (%(shown)s), and only files are read: pack the files themselves.")
            % {"name": name, "shown": shown}
        )
    if member.flag_bits & _ENCRYPTED:
        raise Refused(_("%(name)s is encrypted: pack it without a password.") % {"name": name})
    if path.lower().endswith((".zip", ".gz", ".7z", ".rar")):
        raise Refused(
            _("%(name)s holds another packed file (%(shown)s): unpack that first.") % {"name": name, "shown": shown}
        )
    if member.file_size > _PIECE and member.file_size > _LARGEST_RATIO * max(member.compress_size, 1):
        raise Refused(
            _("%(name)s holds a file that is packed suspiciously small (%(shown)s): give it unpacked.")
            % {"name": name, "shown": shown}
        )


# --- messages -------------------------------------------------------------------------------------------------


def _source(name: str, text: bytes) -> Source:
    if not text.strip():
        raise Refused(_("%(name)s is empty: leave it out.") % {"name": name})
    if not name.lower().endswith(".eml"):
        return Source(name, text)
    return Source(f"{name}.ics", _invitation(name, text))


def _invitation(name: str, text: bytes) -> bytes:
    """The calendar of a message, in UTF-8. Raises ``Refused``."""
    if len(text) > _MESSAGE_ROOM * LARGEST_FILE:
        raise Refused(
            _("%(name)s has %(count)s MB, which no invitation has: give the calendar itself.")
            % {"name": name, "count": f"{len(text) / 1000000.0:,.0f}"}
        )
    try:
        message = email.message_from_bytes(text, policy=email.policy.default)
        for wanted in ("text/calendar", "application/ics"):
            for part in message.walk():
                is_answer = str(part.get_param("method") or "").upper() in _NO_INVITATIONS
                if part.get_content_type() == wanted and not is_answer and (found := _calendar(part)):
                    return found
    except (LookupError, ValueError, AttributeError, TypeError, RecursionError) as error:
        raise Refused(
            _("%(name)s cannot be read as a message: give the calendar itself as .ics.") % {"name": name}
        ) from error
    raise Refused(
        _("%(name)s holds no invitation: give a message that invites to a meeting, or leave it out.") % {"name": name}
    )


def _calendar(part: EmailMessage) -> bytes:
    octets = part.get_payload(decode=True)
    if not isinstance(octets, bytes) or not octets.strip():
        return b""
    charset = str(part.get_content_charset() or "utf-8")
    if charset.lower() in {"utf-8", "utf8", "us-ascii"}:
        return octets
    return octets.decode(charset).encode("utf-8")
