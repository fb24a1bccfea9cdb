"""Answers, and the form in which Graph tells errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = dict[str, Any]


def words(text: str) -> tuple[str, ...]:
    """Names, written one after the other."""
    return tuple(text.split())


@dataclass(slots=True)
class Reply:
    """What is answered."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def octets(self) -> bytes:
        return b"" if self.body is None else json.dumps(self.body, ensure_ascii=False).encode()


class Refusal(Exception):
    """A request that is answered with an error (resource "error responses": code, message, innerError)."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    @property
    def reply(self) -> Reply:
        inner = {"date": "2026-01-01T00:00:00", "request-id": "00000000-0000-0000-0000-000000000000"}
        error = {"code": self.code, "message": self.message, "innerError": inner}
        return Reply(self.status, {"error": error}, dict(self.headers))


def bad_request(message: str, code: str = "BadRequest") -> Refusal:
    return Refusal(400, code, message)


def not_found(message: str = "The specified object was not found in the store.") -> Refusal:
    return Refusal(404, "ErrorItemNotFound", message)
