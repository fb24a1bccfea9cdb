"""Which codes of an answer are expected: ``200-299, 401``, or ``any``."""

from __future__ import annotations

import re

from migrations_app.rollouts.probes.parameters import Parameter
from tenants_app.sentences import sentence

ANY = "any"
_RANGE = re.compile(r"([1-9][0-9]{2})(?:\s*-\s*([1-9][0-9]{2}))?")


class Codes(Parameter):
    """Codes of three digits and ranges of them, separated by commas, in one form."""

    def read(self, value: object) -> str:
        text = str(Parameter.read(self, value)).lower()
        if text == ANY:
            return ANY
        ranges = [_RANGE.fullmatch(part.strip()) for part in text.split(",")]
        if not all(found and int(found[1]) <= int(found[2] or found[1]) for found in ranges):
            raise ValueError(sentence("Give codes and ranges such as 200-299, 401, or the word any."))
        return ", ".join(f"{found[1]}-{found[2]}" if found[2] else found[1] for found in ranges if found)


def is_among(code: int, expected: str) -> bool:
    """Whether a code is one of those expected, in the form that :class:`Codes` reads."""
    if expected == ANY:
        return True
    ranges = (part.partition("-") for part in expected.split(", "))
    return any(int(first) <= code <= int(last or first) for first, _, last in ranges)
