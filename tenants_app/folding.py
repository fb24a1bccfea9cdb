"""Comparing what people type with names and texts without regard to case and accents, on both databases alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat
from django.db.models.lookups import Contains, Lookup

_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ı": "i"}
_PAIRS = {"ß": "ss", "æ": "ae", "œ": "oe"}
_ACCENTS = re.compile("[\u0300-\u036f]+")
"""Accents as characters of their own, which a decomposed text has (Unicode block Combining Diacritical Marks)."""
_TABLE = str.maketrans({**_LETTERS, **_PAIRS})


def fold(text: str) -> str:
    """The text in small letters without accents: ``Álvaro Grünewald`` is ``alvaro grunewald``."""
    if text.isascii():
        return text.lower()
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.lower()))
    return text if text.isascii() else text.translate(_TABLE)


class Folded(Func):
    """What :func:`fold` makes of a text, computed by the database."""

    function = "mms_fold"
    output_field = TextField()

    def as_postgresql(self, compiler: Any, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        text, given = compiler.compile(self.source_expressions[0])
        folded = f"translate(regexp_replace(normalize(lower({text}), NFKD), %s, '', 'g'), %s, %s)"
        values = [_ACCENTS.pattern, "".join(_LETTERS), "".join(_LETTERS.values())]
        for pair, plain in _PAIRS.items():
            folded = f"replace({folded}, %s, %s)"
            values += [pair, plain]
        # Most texts are ASCII, which takes a tenth of the time.
        is_plain = f"octet_length({text}) = char_length({text})"
        sql = f"CASE WHEN {is_plain} THEN lower({text}) ELSE {folded} END"
        return sql, (*given, *given, *given, *given, *values)


def any_contains(typed: str, *fields: str) -> Lookup[Any]:
    """Rows one of whose ``fields`` contains what was typed, whatever its case and accents; a condition to filter by.

    It looks at every row that the other conditions leave.
    """
    return Contains(_lines_of(fields), fold(typed))


def any_begins(typed: str, *fields: str) -> Lookup[Any]:
    """Rows one of whose ``fields`` begins with what was typed; otherwise like :func:`any_contains`."""
    return Contains(_lines_of(fields), "\n" + fold(typed))


def _lines_of(fields: Sequence[str]) -> Folded:
    """The fields one below another, folded, each between two line breaks."""
    parts: list[Combinable] = [Value("\n"), *(part for field in fields for part in (F(field), Value("\n")))]
    return Folded(Concat(*parts, output_field=TextField()))


def teach(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Give a new connection to SQLite the function that :class:`Folded` calls."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("mms_fold", 1, _fold_or_nothing, deterministic=True)


def _fold_or_nothing(text: str | None) -> str | None:
    return None if text is None else fold(text)
