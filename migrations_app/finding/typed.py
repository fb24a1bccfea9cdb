"""What was typed or pasted into the search box, and what it may stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from uuid import UUID

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.translation import gettext as _

LONGEST = 2_000
"""Characters, as of the longest join link: nothing that MMS knows by name is longer."""
SHORTEST = 2
LEAST_DIGITS = 3
"""Of a number or a conference ID, a part of which is typed."""
ID_DIGITS = 7
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2028\u2029\u2060-\u2069\ufeff]+")
"""Controls, and marks of direction that come along when a number is copied from a chat; nobody types them."""
_ADDRESS = re.compile(r"<([^<>\s]+@[^<>\s]+)>\s*;?$")
_SCHEME = re.compile(r"^(?:sips?|mailto|tel|callto):", re.IGNORECASE)
_NUMBER = re.compile(r"[+(]?[0-9][0-9\s()./\u2010-\u2015-]*#?")
_HEX = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{0,4}){0,3}-?[0-9a-f]{0,12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed, without what only came along with it."""

    text: str

    @classmethod
    def of(cls, typed: str) -> Typed:
        """A person pasted with their name is their address; ``sip:`` and ``tel:`` say nothing more of what follows."""
        text = " ".join(_UNSEEN.sub(" ", typed).split())
        if address := _ADDRESS.search(text):
            text = address[1]
        return cls(_SCHEME.sub("", text).strip())

    @property
    def refusal(self) -> str:
        """Why nothing can be found by it, in a sentence; empty where it may be."""
        if not self.text:
            return _("Type a name, an address, a number, a conference ID, a subject or a correlation ID.")
        if len(self.text) < SHORTEST:
            return _("Type at least %(count)s characters.") % {"count": SHORTEST}
        if len(self.text) > LONGEST:
            return _(
                "That is longer than %(count)s characters, and nothing here is: type a part of what you look for."
            ) % {"count": intcomma(LONGEST)}
        return ""

    @property
    def digits(self) -> str:
        """The digits of a number or a conference ID, however it is written; empty where it is neither."""
        if len(self.text) > 40 or not _NUMBER.fullmatch(self.text):
            return ""
        digits = re.sub(r"[^0-9]", "", self.text.replace("(0)", ""))
        return digits if len(digits) >= LEAST_DIGITS else ""

    @property
    def end_of_number(self) -> str:
        """The digits that an E.164 number must contain: without what is dialled for abroad, or for another area."""
        end = self.digits.lstrip("0")
        return end if len(end) >= LEAST_DIGITS else ""

    @property
    def ids(self) -> tuple[str, str] | None:
        """The first and the last conference ID that begin with the digits; None where none can."""
        digits = self.digits
        if not digits or len(digits) > ID_DIGITS or "+" in self.text:
            return None
        return digits.ljust(ID_DIGITS, "0"), digits.ljust(ID_DIGITS, "9")

    @property
    def correlation_ids(self) -> tuple[UUID, UUID] | None:
        """The first and the last correlation ID that begin with it; None where it is no beginning of one."""
        if not _HEX.fullmatch(self.text):
            return None
        digits = self.text.replace("-", "").lower()
        return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))

    @property
    def room(self) -> str:
        """The last part of a join link, or of what may be one alone, as it is stored; empty where it is none."""
        if " " in self.text:
            return ""
        return re.split(r"[?#]", self.text)[0].rstrip("/").rpartition("/")[2].lower()[:300]

    @property
    def words(self) -> list[str]:
        return re.findall(r"[^\s,;]+", self.text)[:5]
