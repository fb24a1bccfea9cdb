"""A document as JSON, written piece by piece: whatever is an iterator in it is read while it is written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any


def pieces(value: Any) -> Iterator[str]:
    """The value as JSON; dates and times in ISO 8601."""
    if isinstance(value, Mapping):
        separator = "{"
        for name, each in value.items():
            yield f"{separator}{json.dumps(str(name))}:"
            yield from pieces(each)
            separator = ","
        yield "}" if separator == "," else "{}"
    elif isinstance(value, (list, tuple, Iterator)):
        separator = "["
        for each in value:
            yield separator
            yield from pieces(each)
            separator = ","
        yield "]" if separator == "," else "[]"
    elif isinstance(value, date):
        yield json.dumps(value.isoformat())
    else:
        yield json.dumps(value if value is None or isinstance(value, (bool, int, float)) else str(value))
