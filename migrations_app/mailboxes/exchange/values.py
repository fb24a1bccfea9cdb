"""Texts of an event as values of a calendar object, and back: nothing is lost, whatever characters they have.

RFC 5545 has one line break in a text, written with a small or a capital letter. A carriage return by itself stays in
the value as the octet that it is, which no reader takes for the end of a line unless a line feed follows. Halves of
surrogate pairs, which JSON can carry, are written as UTF-8 would write them.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def to_value(text: str) -> bytes:
    """The text as a value of type TEXT (RFC 5545 section 3.3.11)."""
    return _escaped(text).replace("\n", "\\n").encode("utf-8", "surrogatepass")


def from_value(value: bytes, line_break: str = "\n") -> str:
    """The text that :func:`to_value` wrote. Raises ``ValueError`` for octets that are no text."""
    meanings = {"n": line_break, "N": "\n"}
    text = value.decode("utf-8", "surrogatepass")
    return _ESCAPE.sub(lambda found: meanings.get(found[1], found[1]), text) if "\\" in text else text


def body_to_value(body: str, *, is_html: bool) -> bytes:
    """A body as a value. In plain text the usual line break stands for the one that the body has, so that it reads like
    any other text; a line feed among others has the capital letter."""
    line_break = _line_break(body, is_html=is_html)
    text = _escaped(body)
    if line_break != "\n":
        text = "\\n".join([piece.replace("\n", "\\N") for piece in text.split(line_break)])
    return text.replace("\n", "\\n").encode("utf-8", "surrogatepass")


def body_from_value(value: bytes, read: str, *, is_html: bool) -> str:
    """The body that a value stands for, changed or not, which was made of the body ``read``."""
    return from_value(value, _line_break(read, is_html=is_html))


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _line_break(body: str, *, is_html: bool) -> str:
    """What the usual line break of a body's value stands for.

    A rewrite must leave it as it is, or it could not be undone to the character. In plain text the new block has the
    same line breaks as the old one. In HTML they go with the block, and a carriage return is no more than a blank.
    """
    if is_html:
        return "\n"
    return next((each for each in ("\r\n", "\n", "\r") if each in body), "\n")
