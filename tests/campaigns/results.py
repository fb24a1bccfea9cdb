"""What campaigns found, one JSON object a line, in a file outside the repository; what is in it is not done again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Results:
    def __init__(self, path: Path, name: dict[str, Any]) -> None:
        """``name`` is what makes this campaign another one than those that the file holds already."""
        self.path, self.name = path, name

    def rows(self) -> list[dict[str, Any]]:
        """The rows of this campaign."""
        if not self.path.exists():
            return []
        rows = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if self.name.items() <= row.items()]

    def has(self, **case: Any) -> bool:
        return any(case.items() <= row.items() for row in self.rows())

    def add(self, **row: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(self.name | row) + "\n")


def database_name(url: str) -> str:
    return "PostgreSQL" if url.startswith("postgres") else "SQLite"
