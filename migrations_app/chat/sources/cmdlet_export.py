"""A ZIP of ``Export-CsPersistentChatData``: kept as evidence of what was exported, never read (R106).

What is inside such a ZIP is not published, so nothing tells it apart for certain. MMS says so: it takes as one a ZIP
that is none of those that MMS reads, and looks at nothing in it but the list of its entries.
"""

from __future__ import annotations

import hashlib
import struct
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from migrations_app.chat.archive.problems import Problem, Unusable
from migrations_app.chat.sources.table_columns import TABLES
from tenants_app.sentences import one_after_the_other, sentence

MOST_ENTRIES = 100_000

_SIGNATURE = b"PK\x05\x06"
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
"""Stands before the end where ZIP64 is needed, and says where the larger record is, with its number of entries."""
_COUNT_AT = 32
_MANY = 0xFFFF
_LONGEST_COMMENT = 0xFFFF
_PIECE = 2**20
_READ_BY_MMS = {"manifest.json", *(f"{table.casefold()}.csv" for table in TABLES)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What can be said of a ZIP without knowing what is inside."""

    file_name: str
    bytes: int
    sha256: str
    dated: datetime | None
    """The newest date among its entries, in the local time of the server that wrote it, taken as UTC: a ZIP does not
    say which; None where there is no plausible one."""
    entries: int
    what: str
    """What it is, that its inside is not published, and the two ways that work."""


def recognise(path: Path) -> Evidence | None:
    """None where it is no ZIP, or one that MMS reads. Raises ``Unusable`` for a ZIP that is damaged or a bomb of
    entries."""
    entries = _entries_told(path)
    if entries is None:
        return None
    if entries > MOST_ENTRIES:
        raise Unusable(
            [Problem(path.name, None, sentence("The ZIP has more than %(most)s entries.", most=MOST_ENTRIES))]
        )
    try:
        with zipfile.ZipFile(path) as opened:
            infos = opened.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as bad:
        raise Unusable([Problem(path.name, None, sentence("The ZIP is damaged: copy it again."))]) from bad
    names = {PurePosixPath(info.filename.replace("\\", "/")).name.casefold() for info in infos}
    if names & _READ_BY_MMS or (names and all(name.endswith(".xml") for name in names)):
        return None
    dates = [date for info in infos if (date := _date_of(info)) is not None]
    return Evidence(
        file_name=path.name,
        bytes=path.stat().st_size,
        sha256=_sha256(path),
        dated=max(dates, default=None),
        entries=len(infos),
        what=one_after_the_other(
            sentence("This is a ZIP whose inside MMS does not know, as Export-CsPersistentChatData writes it."),
            sentence(
                "What that cmdlet writes is not published, so MMS does not guess at it: it keeps the file as evidence "
                "of what was exported, and reads nothing of it."
            ),
            sentence(
                "Two ways work: the tables of the database, written by MMS's script, or the files of the compliance "
                "service."
            ),
        ),
    )


def _entries_told(path: Path) -> int | None:
    """How many entries the end of the file says there are, before anything is made of the list; None: no ZIP."""
    with path.open("rb") as stream:
        if stream.read(2) != b"PK":
            return None
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _END.size - _LONGEST_COMMENT))
        tail = stream.read()
        begin = tail.rfind(_SIGNATURE)
        if begin < 0 or len(tail) - begin < _END.size:
            return None
        told = int(_END.unpack_from(tail, begin)[4])
        if told < _MANY:
            return told
        if begin < _LOCATOR.size:
            return MOST_ENTRIES + 1
        signature, _, offset, _ = _LOCATOR.unpack_from(tail, begin - _LOCATOR.size)
        if signature != b"PK\x06\x07" or offset > size:
            return told  # that many, and no more
        stream.seek(offset + _COUNT_AT)
        count = stream.read(8)
    return int.from_bytes(count, "little")


def _date_of(info: zipfile.ZipInfo) -> datetime | None:
    try:
        date = datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        return None
    return date if date.year > 1980 else None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
