"""The audit as CSV for spreadsheets, however long it is."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from tenants_app.models import AuditEntry
from tenants_app.records import plain

BATCH = 1_000
"""Entries that are in memory at a time."""
COLUMNS = ("At", "Who", "Channel", "Action", "Target", "Before", "After", "Consequence")

_JSON = json.JSONEncoder(ensure_ascii=False)
_BYTE_ORDER_MARK = "\ufeff"
_RUN_BY_SPREADSHEETS = re.compile(r"[=@\t\r]|[+-](?![0-9]+(?:\.[0-9]+)?\Z)")


def audit_lines(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """The lines of the file, newest entry first, some at a time; begins with the mark by which Excel knows UTF-8."""
    yield _BYTE_ORDER_MARK + _lines([COLUMNS])
    found = entries.order_by("-at", "-pk").iterator(chunk_size=BATCH)
    while batch := [_cells(entry) for entry in islice(found, BATCH)]:
        yield _lines(batch)


def defused(cell: str) -> str:
    """The cell with an apostrophe before it where a spreadsheet would take it for a formula and run it.

    Numbers with a sign, and so telephone numbers in E.164 form, stay as they are.
    """
    return f"'{cell}" if _RUN_BY_SPREADSHEETS.match(cell) else cell


def _cells(entry: AuditEntry) -> list[str]:
    before, after = _JSON.encode(entry.before), _JSON.encode(entry.after)
    cells = [plain(entry.at), entry.actor, entry.channel, entry.action, entry.target, before, after, entry.consequence]
    return [defused(cell) for cell in cells]


def _lines(rows: Sequence[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()
