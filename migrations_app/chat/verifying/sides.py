"""One side of a comparison in numbers, and the messages of a sample (R123), all in bounded memory."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from migrations_app.chat.archive.records import MessageKind
from migrations_app.chat.conversion.outgoing import OutgoingMessage

FILES_IN_SAMPLE = 20
AT_RANDOM = 20


@dataclass(slots=True)
class Side:
    """The messages of a room on one side: those that are of the archive."""

    messages: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    months: Counter[str] = field(default_factory=Counter)
    first: datetime | None = None
    last: datetime | None = None
    files: int = 0
    file_bytes: int = 0
    sha256: str = ""
    """Over time, author and the SHA-256 of the text of all of them in order, as far as the target keeps it."""
    files_sha256: str = ""
    """Over the checksums of their files in order; empty where the side tells none."""

    def count(self, kind: MessageKind, at: datetime | None) -> None:
        self.messages += 1
        self.kinds[kind.value] += 1
        if at is None:
            return
        self.months[f"{at:%Y-%m}"] += 1
        self.first = at if self.first is None or at < self.first else self.first
        self.last = at if self.last is None or at > self.last else self.last

    def as_json(self) -> dict[str, Any]:
        return {
            "messages": self.messages,
            "kinds": dict(sorted(self.kinds.items())),
            "months": dict(sorted(self.months.items())),
            "first": _iso(self.first),
            "last": _iso(self.last),
            "files": self.files,
            "file_bytes": self.file_bytes,
            "sha256": self.sha256,
            "files_sha256": self.files_sha256,
        }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def fingerprint(at: datetime | None, author: str, text: bytes) -> bytes:
    """A line of time, author and SHA-256 of the text: what a message must have kept."""
    return f"{_iso(at) or ''}\t{author}\t{text.hex()}\n".encode("utf-8", "surrogatepass")


class Sample:
    """Which messages people look at in full: first, last, longest, some with files, some at random by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - which ones is to be the same each time
        self._first: int | None = None
        self._last: int | None = None
        self._longest: tuple[int, int] | None = None
        self._files: list[int] = []
        self._drawn: list[int] = []
        self._seen = 0

    def see(self, message: OutgoingMessage) -> None:
        if message.part != 1:
            return
        n, length = message.n, len(message.text)
        if self._first is None:
            self._first = n
        self._last = n
        if self._longest is None or length > self._longest[0]:
            self._longest = length, n
        if (message.file is not None or message.kind is MessageKind.FILE) and len(self._files) < FILES_IN_SAMPLE:
            self._files.append(n)
        self._seen += 1
        if len(self._drawn) < AT_RANDOM:
            self._drawn.append(n)
        elif (place := self._random.randrange(self._seen)) < AT_RANDOM:
            self._drawn[place] = n

    @property
    def chosen(self) -> dict[int, str]:
        """Why each is in the sample, by number: ``first``, ``last``, ``longest``, ``file`` or ``random``."""
        found: dict[int, str] = {}
        for n, why in (
            (self._first, "first"),
            (self._last, "last"),
            (self._longest[1] if self._longest else None, "longest"),
            *((n, "file") for n in self._files),
            *((n, "random") for n in self._drawn),
        ):
            if n is not None:
                found.setdefault(n, why)
        return dict(sorted(found.items()))
