"""Text for a terminal: nothing from outside may steer it or break a table."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from tenants_app.wording import plain

MEASURED = 500
"""Rows that decide how wide the columns of a table are; what comes after them is printed as it comes."""


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON in which everything that could steer the terminal is escaped."""
    text = json.dumps(_said(value), ensure_ascii=False, default=plain, indent=indent)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character == "\n" else json.dumps(character)[1:-1] for character in text
    )


def _said(value: Any) -> Any:
    """The same with sentences in the language of the installation, as tables have them."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _said(each) for name, each in value.items()}
    return [_said(each) for each in value] if isinstance(value, list | tuple) else value


def shown(value: Any) -> str:
    return printable(plain(value)) or _("none")


def printable(text: str) -> str:
    """Text from outside must not steer the terminal or break the table."""
    return "".join(character if character.isprintable() else " " for character in text)


def terminal_width(text: str) -> int:
    """Columns that a terminal needs for the text."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) != 0 for character in text)
