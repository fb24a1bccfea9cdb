"""What a source sorts by: tables of SQLite in a folder of its own that is removed afterwards.

Messages are sorted here and not in memory, which does not grow with them (R101).
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

BATCH = 5_000
_CACHE_KIB = 32 * 1024


class Scratch:
    """A folder and a database that live as long as a source is open. ``below``: where there is room for it."""

    def __init__(self, below: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mms-chat-", dir=below))  # 0700
        try:
            self._database = sqlite3.connect(self.folder / "sorted", isolation_level=None, check_same_thread=False)
            # Nothing here outlives the process, so nothing needs a journal or must reach the disk.
            for pragma in (
                "journal_mode = OFF",
                "synchronous = OFF",
                "locking_mode = EXCLUSIVE",
                f"cache_size = -{_CACHE_KIB}",
                "temp_store = FILE",
            ):
                self._database.execute(f"PRAGMA {pragma}").close()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        self._database.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, statement: str, values: Sequence[Any] = ()) -> None:
        self._database.execute(statement, values).close()

    def rows(self, question: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """The answer, by stream."""
        cursor = self._database.execute(question, values)
        try:
            yield from cursor
        finally:
            cursor.close()

    def one(self, question: str, values: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        return next(self.rows(question, values), None)

    def insert(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        self._database.execute("BEGIN").close()
        self._database.executemany(statement, rows).close()
        self._database.execute("COMMIT").close()


class Batched:
    """Rows for one statement, inserted so many at a time. ``flush`` at the end."""

    def __init__(self, scratch: Scratch, statement: str) -> None:
        self._scratch, self._statement = scratch, statement
        self._rows: list[Sequence[Any]] = []

    def add(self, *values: Any) -> None:
        self._rows.append(values)
        if len(self._rows) >= BATCH:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._scratch.insert(self._statement, self._rows)
            self._rows = []
