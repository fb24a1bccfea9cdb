"""What a check has found, and the report of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from migrations_app.failures import Failure


class Verdict(StrEnum):
    """How an answer is to be taken."""

    OK = "ok"
    NOTE = "note"
    """Something to think about before users are given the connection."""
    OPEN = "open"
    """It could not be told, and the sentence says how it can be."""
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question. ``seen`` is what it was concluded from, without secrets."""

    question: str
    verdict: Verdict
    sentence: str
    seen: Mapping[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        return f"{self.verdict:<6}  {self.question}: {self.sentence}"


def ok(question: str, sentence: str, **seen: Any) -> Finding:
    return Finding(question, Verdict.OK, sentence, seen)


def note(question: str, sentence: str, **seen: Any) -> Finding:
    return Finding(question, Verdict.NOTE, sentence, seen)


def unknown(question: str, sentence: str, **seen: Any) -> Finding:
    return Finding(question, Verdict.OPEN, sentence, seen)


def failed(question: str, sentence: str, **seen: Any) -> Finding:
    return Finding(question, Verdict.FAILED, sentence, seen)


def of_failure(question: str, failure: Failure) -> Finding:
    """What went wrong, and what to do."""
    return failed(question, failure.told, code=failure.code)


def report(title: str, about: Mapping[str, str], findings: Sequence[Finding], at: datetime, *, as_json: bool) -> str:
    """All of it, as a text or as JSON. ``about`` says what was checked: connection, user and so on."""
    if as_json:
        whole = {
            "check": str(title),
            "at": at.isoformat(timespec="seconds"),
            "about": dict(about),
            "findings": [
                {
                    "question": str(each.question),
                    "verdict": each.verdict.lower(),
                    "sentence": str(each.sentence),
                    "seen": each.seen,
                }
                for each in findings
            ],
        }
        return json.dumps(whole, indent=2, ensure_ascii=False, default=str) + "\n"
    head = [f"{title}, {at:%Y-%m-%d %H:%M:%S} UTC", *(f"{name}: {value}" for name, value in about.items())]
    return "\n".join([*head, "", *_lines(findings)]) + "\n"


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    for finding in findings:
        yield finding.line
        for name, value in finding.seen.items():
            yield f"          {name} = {value}"
