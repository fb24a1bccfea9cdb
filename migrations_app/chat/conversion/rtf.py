"""The formatting of a message's RTF: bold, italic, underlined, and links (R117).

Strict: whatever is not known to be harmless makes the whole of it unusable, and the message keeps its plain text. What
is read is used only where it says the same words as the plain text, so a mistake here can cost formatting, never text.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace

from migrations_app.chat.conversion.markup import Span, may_be_linked

LONGEST = 1 << 20
"""Characters that are looked at."""
_DEEPEST = 64
_MOST_SPANS = 10_000

_TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]{1,32})(?P<number>-?[0-9]{1,9})?\x20?"
    r"|\\'(?P<octet>[0-9A-Fa-f]{2})"
    r"|\\(?P<symbol>[^A-Za-z0-9])"
    r"|(?P<brace>[{}])"
    r"|(?P<ends>[\r\n]+)"
    r"|(?P<text>[^\\{}\r\n]+)"
)
_SIGNS = {
    "par": "\n", "line": "\n", "tab": "\t", "emdash": "—", "endash": "–", "bullet": "•",
    "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "emspace": "\u2003", "enspace": "\u2002",
}  # fmt: skip
_SYMBOLS = {"~": "\xa0", "_": "\u2011", "-": "", "\\": "\\", "{": "{", "}": "}", "\n": "\n", "\r": "\n"}
_PASSED_OVER = frozenset(
    {"fonttbl", "colortbl", "stylesheet", "info", "listtable", "listoverridetable", "rsidtbl", "generator"}
    | {"themedata", "latentstyles", "datastore", "xmlnstbl", "wgrffmtfilter", "mmathPr"}
)
"""Destinations whose content is no text of the message."""
_REFUSED = frozenset(
    {"bin", "pict", "object", "objdata", "shppict", "nonshppict", "header", "footer", "footnote", "annotation"}
    | {"v", "deleted"}
)
"""What is more than text, or hides some."""
_INSTRUCTION = re.compile(r'\s*HYPERLINK\s+(?:\\[a-z]\s+)*"([^"]{1,4096})"\s*', re.IGNORECASE)


class _Unusable(Exception):
    pass


@dataclass(slots=True)
class _Group:
    bold: bool = False
    italic: bool = False
    underline: bool = False
    href: str = ""
    skipped_after_u: int = 1
    is_passed_over: bool = False
    is_instruction: bool = False
    begins: bool = True
    """Whether nothing was read of it yet: a destination stands first."""
    optional: bool = False
    """After ``\\*``: an unknown destination is passed over."""


@dataclass(slots=True)
class _Reader:
    groups: list[_Group] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    fields: list[list[str]] = field(default_factory=list)
    """The instruction of each field that is open, with the depth of its group."""
    depths: list[int] = field(default_factory=list)
    codepage: str = "cp1252"
    octets: bytearray = field(default_factory=bytearray)
    high: int = 0
    """The first half of a character beyond the basic plane."""
    to_skip: int = 0


def read(rtf: str) -> list[Span] | None:
    """The formatted text, with ``\\n`` at the ends of lines; None where it is no RTF, or more than this reads."""
    if not rtf.startswith("{\\rtf") or len(rtf) > LONGEST:
        return None
    reader = _Reader()
    at = 0
    try:
        while at < len(rtf):
            token = _TOKEN.match(rtf, at)
            if token is None:
                return None
            at = token.end()
            _take(reader, token)
            if not reader.groups:
                return None if rtf[at:].strip("\r\n\0 ") else _finished(reader)
    except (_Unusable, UnicodeDecodeError):
        return None
    return None


def _finished(reader: _Reader) -> list[Span]:
    """The spans without the end of line that ends the last paragraph."""
    while reader.spans and not reader.spans[-1].text.rstrip("\n"):
        reader.spans.pop()
    if reader.spans:
        reader.spans[-1] = replace(reader.spans[-1], text=reader.spans[-1].text.rstrip("\n"))
    return reader.spans


def _take(reader: _Reader, token: re.Match[str]) -> None:
    if token["octet"] is not None:
        if reader.to_skip:
            reader.to_skip -= 1
        else:
            reader.octets.append(int(token["octet"], 16))
        return
    if token["brace"]:
        _flush(reader)
        _brace(reader, token["brace"])
    elif not reader.groups:
        raise _Unusable
    elif token["word"]:
        _flush(reader)
        _word(reader, token["word"], None if token["number"] is None else int(token["number"]))
    elif token["symbol"]:
        _flush(reader)
        _symbol(reader, token["symbol"])
    elif token["text"]:
        _flush(reader)
        text = token["text"]
        skipped = min(reader.to_skip, len(text))
        reader.to_skip -= skipped
        _put(reader, text[skipped:])


def _brace(reader: _Reader, brace: str) -> None:
    reader.to_skip = 0
    if brace == "{":
        if len(reader.groups) >= _DEEPEST:
            raise _Unusable
        parent = reader.groups[-1] if reader.groups else _Group()
        reader.groups.append(replace(parent, begins=True, optional=False))
        return
    if not reader.groups:
        raise _Unusable
    if reader.depths and reader.depths[-1] == len(reader.groups):
        reader.depths.pop()
        reader.fields.pop()
    reader.groups.pop()


def _symbol(reader: _Reader, symbol: str) -> None:
    if reader.to_skip:
        reader.to_skip -= 1
    elif symbol == "*":
        reader.groups[-1].optional = True
    elif symbol in _SYMBOLS:
        _put(reader, _SYMBOLS[symbol])
    else:
        raise _Unusable


def _word(reader: _Reader, word: str, number: int | None) -> None:
    group = reader.groups[-1]
    begins, group.begins = group.begins, False
    if word in _REFUSED:
        raise _Unusable
    if reader.to_skip and word != "u":
        reader.to_skip -= 1
        return
    if word in _SIGNS:
        _put(reader, _SIGNS[word])
    elif word == "u":
        _unicode(reader, number)
    elif word in ("b", "i", "ul"):
        setattr(group, {"b": "bold", "i": "italic", "ul": "underline"}[word], number != 0)
    elif word == "ulnone":
        group.underline = False
    elif word == "plain":
        group.bold = group.italic = group.underline = False
    elif word == "uc":
        if number is None or not 0 <= number <= 10:
            raise _Unusable
        group.skipped_after_u = number
    elif word == "ansicpg":
        reader.codepage = _codec(number)
    elif begins or group.optional:
        _destination(reader, group, word)


def _destination(reader: _Reader, group: _Group, word: str) -> None:
    if word in _PASSED_OVER:
        group.is_passed_over = True
    elif word == "field":
        reader.fields.append([])
        reader.depths.append(len(reader.groups))
    elif word == "fldinst" and reader.fields:
        group.is_instruction = True
    elif word == "fldrslt" and reader.fields:
        found = _INSTRUCTION.fullmatch("".join(reader.fields[-1]))
        group.href = found[1] if found and may_be_linked(found[1]) else ""
    elif group.optional:
        group.is_passed_over = True


def _unicode(reader: _Reader, number: int | None) -> None:
    if number is None or not -32768 <= number <= 65535:
        raise _Unusable
    code = number % 65536
    reader.to_skip = reader.groups[-1].skipped_after_u
    if 0xD800 <= code < 0xDC00:
        if reader.high:
            raise _Unusable
        reader.high = code
    elif 0xDC00 <= code < 0xE000:
        if not reader.high:
            raise _Unusable
        high, reader.high = reader.high, 0
        _put(reader, chr(0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00)))
    else:
        _put(reader, chr(code))


def _codec(number: int | None) -> str:
    try:
        return codecs.lookup(f"cp{number}").name
    except LookupError:
        raise _Unusable from None


def _flush(reader: _Reader) -> None:
    if reader.octets:
        octets = bytes(reader.octets)
        reader.octets.clear()
        _put(reader, octets.decode(reader.codepage))


def _put(reader: _Reader, text: str) -> None:
    if not text:
        return
    group = reader.groups[-1]
    group.begins = False
    if reader.high:
        raise _Unusable
    if group.is_passed_over:
        return
    if group.is_instruction:
        reader.fields[-1].append(text)
        return
    looks = (group.bold, group.italic, group.underline, group.href)
    last = reader.spans[-1] if reader.spans else None
    if last is not None and (last.bold, last.italic, last.underline, last.href) == looks and len(last.text) < 4096:
        reader.spans[-1] = replace(last, text=last.text + text)
    elif len(reader.spans) >= _MOST_SPANS:
        raise _Unusable
    else:
        reader.spans.append(Span(text, *looks))
