"""Messages in the order of their times, whatever order they come in: kept on disk, so that memory does not grow."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from migrations_app.chat.targets.teams_messages import id_of_time, time_of
from migrations_app.microsoft.client import JSON


def in_order(listed: Iterable[JSON]) -> Iterator[JSON]:
    """The same messages, the oldest first."""
    with tempfile.TemporaryDirectory() as folder:
        rows = sqlite3.connect(Path(folder) / "messages", isolation_level=None)
        try:
            rows.execute("PRAGMA journal_mode = OFF")
            rows.execute("PRAGMA synchronous = OFF")
            rows.execute("CREATE TABLE message (at INTEGER, id TEXT, told TEXT)")
            rows.execute("BEGIN")
            rows.executemany(
                "INSERT INTO message VALUES (?, ?, ?)",
                ((_milliseconds(each), str(each.get("id")), json.dumps(each)) for each in listed),
            )
            rows.execute("COMMIT")
            for (told,) in rows.execute("SELECT told FROM message ORDER BY at, id"):
                yield json.loads(told)
        finally:
            rows.close()


def _milliseconds(told: JSON) -> int:
    """Since 1970; Graph writes fractions of a second with as many digits as they need."""
    at = time_of(told)
    return 0 if at is None else int(id_of_time(at))
