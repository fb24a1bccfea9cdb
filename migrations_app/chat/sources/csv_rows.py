"""CSV files as databases and their tools write them, row by row, with where each row begins (R101, R104).

UTF-8 with or without a byte order mark, or UTF-16; commas, semicolons or tabs; CR LF or LF; quotation marks by RFC
4180. The module ``csv`` of Python is not used: its limit for the length of a field holds for the whole process, and
it does not tell at which octet a row begins.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from tenants_app.sentences import sentence, sentence_plural

LONGEST_ROW = 4 * 2**20
"""Octets of one row in UTF-8. A message may have 1 MiB in the archive (R101)."""
MOST_COLUMNS = 500

_PIECE = 2**20
_DELIMITERS = ",;\t"
_FIELDS = {
    each: re.compile(rf'(?:"([^"]*+(?:""[^"]*+)*+)"|([^"\r\n{re.escape(each)}]*))({re.escape(each)}|\Z)')
    for each in _DELIMITERS
}


class BadRow(Exception):
    """A row, or the file, cannot be read. ``line`` is None where it is about the file."""

    def __init__(self, line: int | None, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(reason)


class Row(NamedTuple):
    """One row of a file."""

    line: int
    """Where it begins, from 1."""
    offset: int
    """Octets before it."""
    fields: Sequence[str]


@dataclass(slots=True)
class CsvFile:
    """A file whose head was read. ``columns`` has the names as they are written there."""

    path: Path
    """Of the file in UTF-8: the one that was given, or a copy of it beside."""
    name: str
    """What it is called where a problem is reported."""
    columns: Sequence[str]
    delimiter: str
    begin: int
    """Octets before the first row, and the number of its line."""
    first_line: int
    stamp: tuple[int, int]

    def rows(self, report: Callable[[BadRow], None] | None = None) -> Iterator[Row]:
        """All rows. Bad ones are reported and passed over; without ``report`` the first of them is raised."""
        self.is_unchanged()
        with self.path.open("rb") as stream:
            stream.seek(self.begin)
            records = _Records(stream, self.begin, self.first_line)
            while True:
                try:
                    line, offset, record = next(records)
                    yield Row(line, offset, self._split(record, line))
                except StopIteration:
                    return
                except BadRow as bad:
                    if report is None:
                        raise
                    report(bad)

    def row_at(self, stream: IO[bytes], offset: int, line: int) -> Row:
        """The row that begins at that octet."""
        stream.seek(offset)
        _, _, record = next(_Records(stream, offset, line))
        return Row(line, offset, self._split(record, line))

    def is_unchanged(self) -> None:
        """Raise ``BadRow`` where the file is not what it was when it was opened."""
        if stamp_of(self.path) != self.stamp:
            raise BadRow(None, sentence("The file was changed while it was read: begin again."))

    def _split(self, record: bytes, line: int) -> Sequence[str]:
        fields = split(_decoded(record, line), self.delimiter, line)
        if len(fields) != len(self.columns):
            raise BadRow(
                line,
                sentence_plural(
                    "The row has %(n)s field, and the head of the file names %(columns)s.",
                    "The row has %(n)s fields, and the head of the file names %(columns)s.",
                    len(fields),
                    columns=len(self.columns),
                ),
            )
        return fields


def opened(path: Path, beside: Path, names: Sequence[str]) -> CsvFile:
    """Read the head of the file. One in UTF-16 is copied to ``beside`` in UTF-8; of possible delimiters that one holds
    which gives most of these names. Raises ``BadRow``."""
    name = path.name
    encoding, mark = _encoding_of(path)
    if encoding != "utf-8":
        path, mark = _in_utf8(path, beside, encoding), 0
    stamp = stamp_of(path)
    with path.open("rb") as stream:
        stream.seek(mark)
        records = _Records(stream, mark, 1)
        try:
            line, _, record = next(records)
        except StopIteration:
            raise BadRow(None, sentence("The file is empty: it does not even name its columns.")) from None
        begin = stream.tell()
    head = _decoded(record, line)
    wanted = {each.casefold() for each in names}

    def fitting(delimiter: str) -> int:
        try:
            return len(wanted & {each.strip().casefold() for each in split(head, delimiter, line)})
        except BadRow:
            return -1

    delimiter = max(_DELIMITERS, key=fitting)
    columns = [each.strip() for each in split(head, delimiter, line)]
    folded = [each.casefold() for each in columns]
    if len(columns) > MOST_COLUMNS:
        raise BadRow(line, sentence("The head of the file names more than %(most)s columns.", most=MOST_COLUMNS))
    for each in columns:
        if not each:
            raise BadRow(line, sentence("The head of the file has a column without a name."))
        if folded.count(each.casefold()) > 1:
            raise BadRow(line, sentence("The head of the file names the column %(column)s twice.", column=each))
    return CsvFile(path, name, columns, delimiter, begin, line + record.count(b"\n") + 1, stamp)


def split(record: str, delimiter: str, line: int) -> Sequence[str]:
    """The fields of one row, without its end. Raises ``BadRow`` where quotation marks are not as in RFC 4180."""
    fields: list[str] = []
    pattern, position = _FIELDS[delimiter], 0
    while True:
        match = pattern.match(record, position)
        if match is None:
            raise BadRow(
                line, sentence("A quotation mark stands where none may be, in field %(n)s.", n=len(fields) + 1)
            )
        quoted, plain, end = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        if not end:
            return fields
        position = match.end()


def stamp_of(path: Path) -> tuple[int, int]:
    """What changes when a file is written."""
    told = path.stat()
    return told.st_size, told.st_mtime_ns


class _Records:
    """Line, offset and octets of each row without its end. One that is bad is raised, and the next ones follow: a
    generator would have ended there."""

    def __init__(self, stream: IO[bytes], offset: int, line: int) -> None:
        self.stream, self.offset, self.line = stream, offset, line

    def __iter__(self) -> _Records:
        return self

    def __next__(self) -> tuple[int, int, bytes]:
        while True:
            begin, first = self.offset, self.line
            record = self._record(first)
            if record.strip(b"\r\n"):
                break
            if not record:
                raise StopIteration
        if b"\0" in record:
            raise BadRow(first, sentence("The row has a NUL character, so the file is damaged or is no text."))
        return first, begin, record.removesuffix(b"\n").removesuffix(b"\r")

    def _record(self, first: int) -> bytes:
        piece = self._line()
        if piece.count(b'"') % 2 == 0 and len(piece) <= LONGEST_ROW:
            return piece
        pieces, length, marks = [piece], len(piece), piece.count(b'"')
        while marks % 2 and length <= LONGEST_ROW:
            piece = self._line()
            if not piece:
                raise BadRow(first, sentence("A quotation mark is opened here and never closed."))
            pieces.append(piece)
            length += len(piece)
            marks += piece.count(b'"')
        if length > LONGEST_ROW:
            self._skip(pieces[-1])
            raise BadRow(
                first,
                sentence(
                    "The row is longer than %(most)s MiB. Look for a quotation mark that is not closed.",
                    most=LONGEST_ROW // 2**20,
                ),
            )
        return b"".join(pieces)

    def _line(self) -> bytes:
        piece = self.stream.readline(LONGEST_ROW + 1)
        self.offset += len(piece)
        self.line += piece.endswith(b"\n")
        return piece

    def _skip(self, last: bytes) -> None:
        """Go to the end of a line whose beginning was read, without keeping it."""
        while last and not last.endswith(b"\n"):
            last = self.stream.readline(_PIECE)
            self.offset += len(last)
            self.line += last.endswith(b"\n")


def _decoded(record: bytes, line: int) -> str:
    try:
        return record.decode()
    except UnicodeDecodeError:
        raise BadRow(
            line, sentence("The row is not UTF-8: save the file as UTF-8, or have MMS's script write it.")
        ) from None


def _encoding_of(path: Path) -> tuple[str, int]:
    with path.open("rb") as stream:
        begin = stream.read(8)
    if begin.startswith(codecs.BOM_UTF8):
        return "utf-8", len(codecs.BOM_UTF8)
    if begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", 0
    # Without a mark: the first column has a name in ASCII, so that every second octet is zero.
    if len(begin) > 3 and not any(begin[1::2]):
        return "utf-16-le", 0
    if len(begin) > 3 and not any(begin[0::2]):
        return "utf-16-be", 0
    return "utf-8", 0


def _in_utf8(path: Path, beside: Path, encoding: str) -> Path:
    copy = beside / f"{path.name}.utf-8"
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as given, copy.open("wb") as written:
        try:
            while piece := given.read(_PIECE):
                written.write(decoder.decode(piece).encode())
            written.write(decoder.decode(b"", final=True).encode())
        except UnicodeError:
            raise BadRow(None, sentence("The file begins as UTF-16 and is not all of it: write it again.")) from None
    return copy
