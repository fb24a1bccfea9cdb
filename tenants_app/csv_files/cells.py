"""Cells of CSV files: safe in a spreadsheet, and read back as they were."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import ValidationError

from tenants_app.sentences import sentence
from tenants_app.wording import plain

BYTE_ORDER_MARK = "\ufeff"
_RUN_BY_SPREADSHEETS = re.compile(r"[=@\t\r]|[+-](?![0-9]+(?:\.[0-9]+)?\Z)")


def defused(cell: str) -> str:
    """The cell with an apostrophe before it where a spreadsheet would take it for a formula and run it.

    Numbers with a sign, and so telephone numbers in E.164 form, stay as they are.
    """
    return f"'{cell}" if _RUN_BY_SPREADSHEETS.match(cell) else cell


def lines(rows: Iterable[Sequence[Any]], line_end: str = "\r\n") -> str:
    """The rows as lines of a CSV file (RFC 4180), each cell :func:`guarded`; all CSV that goes out comes from here."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator=line_end).writerows([guarded(plain(cell)) for cell in row] for row in rows)
    return buffer.getvalue()


def decoded(octets: bytes) -> str:
    """The text of a UTF-8 file; raises ``ValidationError`` where it is not text."""
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValidationError(
            sentence(
                "The file is not UTF-8 text (byte %(byte)s): save it as “CSV UTF-8” and repeat.", byte=error.start + 1
            )
        ) from error
    if "\0" in text:
        raise ValidationError(sentence("The file is not a text file: save it as “CSV UTF-8” and repeat."))
    return text


def guarded(cell: str) -> str:
    """The cell as :func:`defused` gives it, but so that :func:`restored` brings back what it was.

    That takes one more apostrophe where the cell begins with some already.
    """
    bare = cell.lstrip("'")
    return cell if defused(bare) == bare else f"'{cell}"


def restored(cell: str) -> str:
    """The cell without space around it and without the apostrophe that :func:`guarded` puts before some."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and guarded(cell[1:]) == cell else cell
