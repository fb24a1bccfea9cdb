"""Whether an invitation shows telephone numbers and conference IDs, however they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import phonenumbers

_FOLD = re.compile(rb"\r?\n[ \t]")
_MARKUP = re.compile(r"<[^<>]*>|&(?:nbsp|#\d+|#x[0-9a-f]+);|\\[nN]", re.IGNORECASE)
_BETWEEN_DIGITS = r"[\s().\-/\u2010-\u2015]{0,4}"


def shown_numbers(body: bytes, numbers: Iterable[str]) -> set[str]:
    """Those of the E.164 ``numbers`` whose digits stand in the calendar object, with or without the country code.

    Errs towards finding: a number that is found by chance is kept, one that is missed could be released (R35).
    """
    text = _MARKUP.sub(" ", _FOLD.sub(b"", body).decode("utf-8", "replace"))
    return {number for number in numbers if _pattern(number).search(text)}


class DialIn(NamedTuple):
    """How people dial into an organizer's meetings, now or formerly: numbers (E.164) and conference IDs (digits)."""

    numbers: frozenset[str]
    conference_ids: frozenset[str]

    def is_shown_in(self, text: str) -> bool:
        """Tell whether a text shows one of the numbers and one of the IDs."""
        has_id = any(_id_pattern(digits).search(text) for digits in self.conference_ids)
        return has_id and any(_pattern(number).search(text) for number in self.numbers)


@lru_cache(maxsize=1024)
def _id_pattern(digits: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\d){'[ -]?'.join(map(re.escape, digits))}(?!\d)")


@lru_cache(maxsize=1024)
def _pattern(number: str) -> re.Pattern[str]:
    national = phonenumbers.national_significant_number(phonenumbers.parse(number))
    return re.compile(_BETWEEN_DIGITS.join(national))
