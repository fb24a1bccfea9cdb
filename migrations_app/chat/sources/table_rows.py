"""Tables as files: which are there, whether they have their columns, and what the fields of a row mean (R104)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from migrations_app.chat.sources.csv_rows import BadRow, CsvFile, Row, opened
from migrations_app.chat.sources.reporting import Reported
from migrations_app.chat.sources.table_columns import TABLES
from tenants_app.sentences import sentence

NULL = "NULL"
"""How some tools write that there is no value; others write nothing. In columns that always have a value it is text."""
_BITS = {"1": True, "true": True, "0": False, "false": False}
_HARMLESS = re.compile(r"[-+.:/\d ]{1,40}")


def _shown(value: str) -> str:
    """A value where there is no word in it: in a row that lacks a field, it is the text of a message (R129)."""
    return value if _HARMLESS.fullmatch(value) else "…"


@dataclass(slots=True)
class Table:
    """One of the files, and where in its rows each published column is."""

    file: CsvFile
    places: Mapping[str, int]
    """By the published name of a column, however the file writes it. One that the file does not have is missing."""
    known: Collection[int | None]

    def each(self, reported: Reported, use: Callable[[Record], None]) -> None:
        """Give every row to ``use``; what cannot be read, or ``use`` refuses with ``BadRow``, is reported."""

        def report(bad: BadRow) -> None:
            reported.add(self.file.name, bad.line, bad.reason)

        for row in self.file.rows(report):
            try:
                use(Record(self, row))
            except BadRow as bad:
                report(bad)


@dataclass(slots=True, frozen=True)
class Record:
    """A row of a table."""

    table: Table
    row: Row

    def _raw(self, column: str) -> str | None:
        place = self.table.places.get(column)
        return None if place is None else self.row.fields[place]

    def bad(self, reason: str) -> BadRow:
        return BadRow(self.row.line, reason)

    def text(self, column: str) -> str:
        """As it is, also where it says NULL: of columns that always have a value."""
        return self._raw(column) or ""

    def text_or_nothing(self, column: str) -> str:
        raw = self._raw(column)
        return "" if raw is None or raw == NULL else raw

    def integer(self, column: str) -> int:
        number = self.integer_or_none(column)
        if number is None:
            raise self.bad(sentence("The column %(column)s has no value.", column=column))
        return number

    def integer_or_none(self, column: str) -> int | None:
        raw = (self._raw(column) or "").strip()
        if raw in {"", NULL}:
            return None
        digits = raw.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or not -(2**63) <= int(raw) < 2**63:
            raise self.bad(
                sentence("The column %(column)s has %(value)s, which is no number.", column=column, value=_shown(raw))
            )
        return int(raw)

    def bit(self, column: str) -> bool:
        bit = self.bit_or_none(column)
        if bit is None:
            raise self.bad(sentence("The column %(column)s has no value.", column=column))
        return bit

    def bit_or_none(self, column: str) -> bool | None:
        raw = (self._raw(column) or "").strip()
        if raw in {"", NULL}:
            return None
        try:
            return _BITS[raw.casefold()]
        except KeyError:
            raise self.bad(
                sentence(
                    "The column %(column)s has %(value)s, which is neither true nor false.",
                    column=column,
                    value=_shown(raw),
                )
            ) from None

    def more(self, *used: str) -> dict[str, str]:
        """What is in no field of a record of the archive, by the names that the file gives its columns."""
        return self._but({self.table.places.get(column) for column in used})

    def further(self) -> dict[str, str]:
        """The same of columns that nobody has published only."""
        return self._but(self.table.known) if len(self.table.known) < len(self.table.file.columns) else {}

    def _but(self, used: Collection[int | None]) -> dict[str, str]:
        fields = enumerate(zip(self.table.file.columns, self.row.fields, strict=True))
        return {name: value for place, (name, value) in fields if place not in used and value not in {"", NULL}}


def open_tables(folder: Path, beside: Path, reported: Reported) -> dict[str, Table]:
    """All tables of the folder; those that are missing, or miss a column, are reported."""
    there: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix.casefold() == ".csv":
            there.setdefault(path.stem.casefold().removeprefix("dbo."), []).append(path)
    tables = {}
    for name, columns in TABLES.items():
        paths = there.get(name.casefold(), [])
        if not paths:
            reported.add(
                f"{name}.csv", None, sentence("The file is not there. MMS's script writes one file for each table.")
            )
        elif len(paths) > 1:
            reported.add(f"{name}.csv", None, sentence("There is more than one file of this name: leave one."))
        else:
            table = _opened(paths[0], beside, columns.required, columns.optional, reported)
            if table is not None:
                tables[name] = table
    return tables


def _opened(
    path: Path, beside: Path, required: Sequence[str], optional: Sequence[str], reported: Reported
) -> Table | None:
    try:
        file = opened(path, beside, required)
    except BadRow as bad:
        reported.add(path.name, bad.line, bad.reason)
        return None
    folded = [each.casefold() for each in file.columns]
    places = {
        column: folded.index(column.casefold()) for column in (*required, *optional) if column.casefold() in folded
    }
    missing = [column for column in required if column not in places]
    for column in missing:
        reported.add(
            path.name, 1, sentence("The column %(column)s is missing: write the file with MMS's script.", column=column)
        )
    return None if missing else Table(file, places, frozenset(places.values()))
