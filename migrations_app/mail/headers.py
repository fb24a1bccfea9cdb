"""The header fields of a message that hold what people wrote: names and subjects.

Whatever they are, a field comes out as ASCII and cannot begin another one. What is not plain ASCII becomes encoded
words (RFC 2047), several in Q encoding: some readers stop after a word in base64 that is padded and followed by
another, which a subject of any length can need. Where base64 needs a single word only, that is read by everybody.
"""

from __future__ import annotations

import re
import string
from binascii import b2a_base64
from email.utils import formataddr
from functools import lru_cache

from migrations_app.calendars.people import Person

LONGEST_NAME, LONGEST_TEXT = 128, 900
"""Characters of a name and of a text that are written; the rest is left out."""

_LONGEST_LINE, _LONGEST_WORD = 76, 75  # RFC 2047 section 2
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")
_SPACES = re.compile(" {2,}")
_WITH_SPACES_BEFORE, _WITH_SPACES_AFTER = re.compile(" +[^ ]+"), re.compile(" *[^ ]+ *")
_BEGIN, _BEGIN_BASE64, _END = "=?utf-8?q?", "=?utf-8?b?", "?="
_FOLD = "\r\n "
_PLAIN = frozenset(string.ascii_letters + string.digits + "!*+-/")  # anywhere in a header, RFC 2047 section 5
_LONGEST_LABEL = len("Reply-To: ")


def text_field(name: str, value: str) -> str:
    """Return a field of free text, such as the subject."""
    clean = _CONTROL.sub(" ", value)[:LONGEST_TEXT].strip()
    folded = _folded(name, clean) if clean.isascii() and "=?" not in clean else ""
    return folded or f"{name}: {_encoded(clean, len(name) + 2, _LONGEST_LINE)}"


def _folded(name: str, text: str) -> str:
    """Return a field of ASCII text, broken before spaces; "" where a word is too long for that."""
    lines = [f"{name}:"]
    for word in _WITH_SPACES_BEFORE.findall(f" {text}"):
        if len(lines[-1]) + len(word) <= _LONGEST_LINE:
            lines[-1] += word
        elif len(lines) == 1 and lines[0].endswith(":"):
            return ""
        else:
            lines.append(word)
    return "\r\n".join(lines) if max(map(len, lines)) <= _LONGEST_LINE else ""


def mailbox(person: Person) -> str:
    """Return a person's name and address for a line of From, Reply-To or To, with room for a comma. The address is
    ASCII."""
    return _mailbox(person.name[: 4 * LONGEST_NAME], person.address)  # so that nothing huge is kept in memory


@lru_cache(maxsize=4096)  # the same colleagues meet again and again
def _mailbox(name: str, address: str) -> str:
    name = _SPACES.sub(" ", _CONTROL.sub(" ", name)).strip()[:LONGEST_NAME].strip()
    address = _addr_spec(address)
    if not name:
        return address
    longest = _LONGEST_LINE - 1
    phrase = formataddr((name, "a@b")).removesuffix(" <a@b>") if name.isascii() and "=?" not in name else ""
    if not phrase or _LONGEST_LABEL + len(phrase) > longest:
        phrase = _encoded(name, _LONGEST_LABEL, longest)
    last = phrase.rpartition("\r\n")[2]
    column = len(last) if last is not phrase else len(phrase) + _LONGEST_LABEL
    fits = column + len(address) + 3 <= longest
    return f"{phrase}{' ' if fits else _FOLD}<{address}>"


def _addr_spec(address: str) -> str:
    """Return an address as a header has it: with quotes where dots stand beside dots or at an end (RFC 5322 3.4.1)."""
    local, _, domain = address.rpartition("@")
    return address if all(local.split(".")) else f'"{local}"@{domain}'


def _encoded(text: str, column: int, longest: int) -> str:
    """Return text as encoded words, each of whole characters, where the first one begins in a `column` and lines have
    at most `longest` characters."""
    around = len(_BEGIN) + len(_END)
    room = min(longest - column, _LONGEST_WORD) - around
    room_of_others = min(longest - 1, _LONGEST_WORD) - around
    whole = b2a_base64(text.encode("utf-8", "replace"), newline=False).decode("ascii")
    in_one_word = _BEGIN_BASE64 + whole + _END if len(whole) <= room else ""
    words = [""]
    for part in _WITH_SPACES_AFTER.findall(text):  # cut at spaces where possible, since some readers put one there
        pieces = [*map(_q, part)]
        if words[-1] and len(words[-1]) + sum(map(len, pieces)) > room:
            words, room = [*words, ""], room_of_others
        for piece in pieces:
            if len(words[-1]) + len(piece) > room:
                words, room = [*words, ""], room_of_others
            words[-1] += piece
    if len(words) > 1 and in_one_word:
        return in_one_word
    return _FOLD.join(_BEGIN + word + _END for word in words)


@lru_cache(maxsize=4096)
def _q(character: str) -> str:
    if character in _PLAIN:
        return character
    if character == " ":
        return "_"
    return "".join(f"={octet:02X}" for octet in character.encode("utf-8", "replace"))
