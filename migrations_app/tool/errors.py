"""What the tool refuses."""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Refused(Exception):
    """Nothing was done, for a reason that is one sentence for people: what is wrong, and what to do.

    Names of files stand in it, so whatever would break its line becomes a blank.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(_CONTROL.sub(" ", sentence))
