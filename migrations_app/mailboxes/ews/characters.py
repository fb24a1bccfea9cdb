"""What XML carries of a text. Neither a forgiving parser nor a careful writer may change a character unnoticed."""

from __future__ import annotations

import re

from lxml import etree

from migrations_app.failures import Failure
from tenants_app.sentences import sentence

_MARK = 0x100000
"""Where characters that XML cannot carry stand meanwhile: as those of the last plane, for private use."""
_CANNOT_BE_CARRIED = re.compile(rb"&#(x[0-9a-fA-F]{1,100}|[0-9]{1,100});|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_MARKED = re.compile("[\U00100000-\U0010001f\U0010d800-\U0010dfff\U0010fffe\U0010ffff]")
_CANNOT_BE_SENT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufddf\ufffe\uffff]")
"""Some because XML forbids them, the others because exchangelib 5.6 sends a question mark instead."""


def strict(content: bytes, host: str) -> bytes:
    """An answer of EWS, whole and well-formed, so that nothing of it is lost on a parser that forgives.

    Exchange refers to characters that XML forbids, such as ``&#x1;``, where a text has them: they are marked, and
    :func:`unmarked` brings them back. Raises ``Failure`` with ``mailbox-answer``.
    """
    marked = _CANNOT_BE_CARRIED.sub(_mark, content)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    try:
        root = etree.fromstring(marked, parser)
    except etree.XMLSyntaxError:
        raise Failure(
            "mailbox-answer", sentence("what %(host)s answered is no XML, or not all of it", host=host)
        ) from None
    if root.getroottree().docinfo.doctype or etree.QName(root).localname != "Envelope":
        raise Failure(
            "mailbox-answer", sentence("what %(host)s answered is nothing of Exchange's web services", host=host)
        )
    return marked


def _mark(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        return chr(_MARK + found[0][0]).encode()
    digits = found[1]
    number = int(digits[1:], 16) if digits[:1] == b"x" else int(digits)
    is_allowed = number in {9, 10, 13} or 0x20 <= number <= 0xD7FF or 0xE000 <= number <= 0xFFFD or number > 0xFFFF
    return found[0] if is_allowed else chr(_MARK + number).encode()


def unmarked(text: str) -> str:
    """A text as it stands in the mailbox. One that has a character of the last plane itself, which nobody uses, is read
    wrongly, and never written: :func:`why_not_sent` finds what came of it."""
    return _MARKED.sub(lambda found: chr(ord(found[0]) - _MARK), text)


def why_not_sent(text: str) -> str:
    """Why a text cannot be sent character for character; empty where it can."""
    found = _CANNOT_BE_SENT.search(text)
    if not found:
        return ""
    return sentence(
        "its text has the character %(character)s, which cannot be written unchanged",
        character=f"U+{ord(found[0]):04X}",
    )
