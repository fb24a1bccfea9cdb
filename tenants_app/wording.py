"""How values, counts and refusals read, on screens, in commands and in files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils import timezone
from django.utils.text import get_text_list

_STEERING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")

MICROSOFT = "Microsoft"
"""What people call the provider that is stored as an empty text."""


def provider_name(stored: str) -> str:
    return stored or MICROSOFT


def stored_provider(name: str) -> str:
    """A provider as it is stored: Microsoft, however it is spelled, as an empty text."""
    name = name.strip()
    return "" if name.lower() == MICROSOFT.lower() else name


def pascal_case(field: str) -> str:
    """The name that commands print and files carry for a field: ``toll_free_number`` is ``TollFreeNumber``."""
    return "".join(word.capitalize() for word in field.split("_"))


def read_truth(text: str) -> bool:
    """The switch value that ``true``, ``false``, ``on`` or ``off`` stands for; ``ValueError`` with a sentence."""
    word = text.strip().lower()
    if word in {"true", "on"}:
        return True
    if word in {"false", "off"}:
        return False
    raise ValueError(f"{text!r} is not a switch value: write true or false.")


def counted(number: int, noun: str) -> str:
    """A number of things, such as ``1 run`` and ``1,200 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def alternatives(words: Sequence[str]) -> str:
    """The words as a choice: ``link or none``."""
    return get_text_list(list(words), "or")


def escaped(text: str, keeps: str = "\n\t") -> str:
    """The text with what steers a terminal or turns its letters around written out, such as ``\\x1b``."""
    return _STEERING.sub(lambda found: found[0] if found[0] in keeps else ascii(found[0])[1:-1], text)


def plain(value: Any) -> str:
    """A value as text for people and files: times in ISO 8601 with zone, switches as true and false."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, list):
        return " ".join(map(plain, value))
    return str(value)


MEETINGS_STAY: Mapping[str, str] = MappingProxyType(
    {
        "meeting_url": "a changed meeting URL does not start one: existing meetings stay where they are hosted",
        "meeting_service": "a changed meeting service does not start one: existing meetings stay where they are hosted",
    }
)
"""Why a changed meeting URL or meeting service starts no run (R9), by the field of the tenant."""

FIELD_NAMES: Mapping[str, str] = MappingProxyType({"conference_id": "conference ID", "upn": "user principal name"})


def sentences(error: ValidationError, names: Mapping[str, str] = FIELD_NAMES) -> str:
    """What a change was refused for, on one line; ``names`` says what people call a field."""
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    return " ".join(
        message if field == NON_FIELD_ERRORS else f"{names.get(field, field.replace('_', ' '))}: {message}"
        for field, messages in error.message_dict.items()
        for message in messages
    )


FREE_ID = "0000000"
"""In a preview, stands for a conference ID that is chosen when the change is made: no real one begins with 0 (R4)."""
A_FREE_ONE = "a free one"


def id_in_words(value: Any) -> Any:
    """A value as it is, but for the stand-in of a conference ID that is not chosen yet."""
    return A_FREE_ONE if value == FREE_ID else value
