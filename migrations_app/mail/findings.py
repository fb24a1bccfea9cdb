"""What a look at a mail server, or at what DNS says of a domain, has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Tone(Enum):
    """How good it is, as commands print it."""

    GOOD = "ok"
    LOOK = "look"
    BAD = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found, in a sentence or two."""

    about: str
    sentence: str
    tone: Tone = Tone.GOOD

    @property
    def is_to_be_noted(self) -> bool:
        return self.tone is Tone.LOOK

    @property
    def is_bad(self) -> bool:
        return self.tone is Tone.BAD
