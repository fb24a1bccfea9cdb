"""Whether two pieces of HTML say the same, as far as a server that stores them in a form of its own leaves it."""

from __future__ import annotations

from typing import NamedTuple

from migrations_app.rewriting import links
from migrations_app.rewriting.shown_html import targets, visible_text


class Said(NamedTuple):
    """What a piece of HTML says: its text without white space, and where its links lead, each on a line."""

    text: str
    targets: str

    def is_in(self, other: Said) -> bool:
        """Tell whether another piece says this too, and not in bits."""
        return self.text in other.text and self.targets in other.targets


def said(piece: bytes) -> Said:
    """Return what a piece of escaped HTML says, whatever its markup; links without what mail filters wrap around."""
    addresses = "".join(f"{links.unwrapped(target)}\n" for target in targets(piece))
    return Said("".join(visible_text(piece).split()), f"\n{addresses}")
