"""What is known of past runs: the blocks that a run replaced, and how long all of it is kept (R27, R30)."""

from __future__ import annotations

from collections.abc import Iterable

from migrations_app.calendars.content_lines import unescaped
from migrations_app.models import MeetingResult
from migrations_app.rewriting.spans import Span, unpack

_TEXTS = {"DESCRIPTION", "X-ALT-DESC", "STYLED-DESCRIPTION"}


def block_record(result: MeetingResult) -> dict[str, list[dict[str, str]]]:
    """The block before and after, per occurrence and property; raises ``ValueError`` where the record is damaged."""
    spans = unpack(bytes(result.spans)) if result.spans else ()
    return {
        "BlockBefore": _texts((span, span.before) for span in spans),
        "BlockAfter": _texts((span, span.after) for span in spans),
    }


def _texts(pieces: Iterable[tuple[Span, str]]) -> list[dict[str, str]]:
    return [
        {"RecurrenceId": span.recurrence_id, "Property": span.property, "Text": _readable(span.property, text)}
        for span, text in pieces
    ]


def _readable(name: str, text: str) -> str:
    if name in _TEXTS:
        text = unescaped(text.encode("utf-8", "surrogateescape"))
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # octets that are not UTF-8
