"""JSON as archives have it: one object a line, strict, by stream (R100, R101)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from migrations_app.chat.archive.limits import DEEPEST, LONGEST_LINE
from tenants_app.sentences import sentence

_HALF_CHARACTERS = re.compile("[\ud800-\udfff]")
_ESCAPED_HALF = b"\\ud"


class BadLine(ValueError):
    """Why a line cannot be used, in a sentence."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Line(NamedTuple):
    """A line of a stream."""

    number: int
    """From 1."""
    end: int
    """Where the next line begins, in octets from the beginning of the stream."""
    octets: bytes | None
    """Without its end; None where it is longer than any line may be."""


def lines(stream: IO[bytes], *, offset: int = 0, number: int = 0, longest: int = LONGEST_LINE) -> Iterator[Line]:
    """The lines of a stream that stands at ``offset``, before line ``number`` + 1."""
    while first := stream.readline(longest + 1):
        number += 1
        offset += len(first)
        if len(first) <= longest or first.endswith(b"\n"):
            yield Line(number, offset, first[:-1] if first.endswith(b"\n") else first)
            continue
        rest = first
        while rest and not rest.endswith(b"\n"):
            rest = stream.readline(longest)
            offset += len(rest)
        yield Line(number, offset, None)


def object_of(line: bytes | None, *, longest: int = LONGEST_LINE) -> dict[str, Any]:
    """The JSON object of one line. Raises ``BadLine``."""
    if line is None or len(line) > longest:
        raise BadLine(sentence("The line is longer than %(longest)s octets.", longest=LONGEST_LINE))
    if not line.strip():
        raise BadLine(sentence("The line is empty."))
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise BadLine(sentence("The line is not UTF-8.")) from None
    try:
        read = _DECODER.decode(text)
    except BadLine:
        raise
    except RecursionError:
        raise BadLine(_too_deep()) from None
    except json.JSONDecodeError as error:
        # Python's own wording of where it stopped: it names a position, never what stands there.
        raise BadLine(sentence("The line is not JSON: %(what)s.", what=str(error))) from None
    except ValueError:  # of whole numbers with thousands of digits
        raise BadLine(sentence("The line has a number that is too large.")) from None
    if not isinstance(read, dict):
        raise BadLine(sentence("The line is not a JSON object."))
    if line.count(b"[") + line.count(b"{") > DEEPEST and _is_too_deep(read):
        raise BadLine(_too_deep())
    if _ESCAPED_HALF in line.lower() and _has_half_characters(read):
        raise BadLine(sentence("The line has half of a character (a lone surrogate), which no text can have."))
    return read


def line_of(fields: dict[str, Any]) -> bytes:
    """An object as a line, with its end. Raises ``BadLine`` where no archive can have such a line."""
    try:
        octets = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except UnicodeEncodeError:
        raise BadLine(
            sentence("The line has half of a character (a lone surrogate), which no text can have.")
        ) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise BadLine(sentence("This cannot be written as JSON: %(what)s.", what=str(error))) from None
    if len(octets) > LONGEST_LINE:
        raise BadLine(sentence("The line is longer than %(longest)s octets.", longest=LONGEST_LINE))
    return octets + b"\n"


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise BadLine(sentence("The field “%(name)s” stands there twice.", name=double[:100]))
    return made


def _no_constant(name: str) -> None:
    raise BadLine(sentence("%(name)s is not a number that JSON knows.", name=name))


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # which could be read, and never be written again
        raise BadLine(sentence("The line has a number that is too large."))
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_without_doubles, parse_constant=_no_constant, parse_float=_finite)


def _too_deep() -> str:
    return sentence("The line has more than %(n)s objects and lists within one another.", n=DEEPEST)


def _is_too_deep(read: Any) -> bool:
    level = [read]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _has_half_characters(read: Any) -> bool:
    """Escapes of pairs make whole characters; only what is left over is half of one."""
    return _HALF_CHARACTERS.search(json.dumps(read, ensure_ascii=False)) is not None
