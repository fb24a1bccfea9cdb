"""The audit as CSV for spreadsheets, however long it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from tenants_app.bulk import batched
from tenants_app.csv_files.cells import BYTE_ORDER_MARK, lines
from tenants_app.models import AuditEntry

BATCH = 1_000
"""Entries that are in memory at a time."""
COLUMNS = ("At", "Who", "Channel", "Action", "Target", "Before", "After", "Consequence")

_JSON = json.JSONEncoder(ensure_ascii=False)


def audit_lines(entries: QuerySet[AuditEntry]) -> Iterator[str]:
    """The lines of the file, newest entry first, some at a time; begins with the mark by which Excel knows UTF-8."""
    yield BYTE_ORDER_MARK + lines([COLUMNS])
    for batch in batched(entries.order_by("-at", "-pk").iterator(chunk_size=BATCH), BATCH):
        yield lines(map(_cells, batch))


def _cells(entry: AuditEntry) -> list[Any]:
    before, after = _JSON.encode(entry.before), _JSON.encode(entry.after)
    return [entry.at, entry.actor, entry.channel, entry.action, entry.target, before, after, entry.consequence]
