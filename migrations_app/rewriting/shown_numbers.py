"""Whether an invitation shows a telephone number, however it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable

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


def _pattern(number: str) -> re.Pattern[str]:
    national = phonenumbers.national_significant_number(phonenumbers.parse(number))
    return re.compile(_BETWEEN_DIGITS.join(national))
