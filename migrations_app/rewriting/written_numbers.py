"""Where a calendar object, or a text, shows a telephone number, however it is written (R35).

People dial what they see: in the subject, below the block, in a reminder, in a link. So whole objects are searched,
every property of every component, with folds, escapes, markup and encodings taken away. The answer errs towards
finding: a number that is found by chance is kept and can be released knowingly; one that is missed is dead.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from quopri import decodestring
from typing import NamedTuple
from unicodedata import category, digit, is_normalized, normalize
from urllib.parse import unquote

import phonenumbers

from migrations_app.calendars.content_lines import (
    events_of,
    parse,
    property_name,
    text_of,
    unescaped,
    unfold,
    value_start,
)
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import events_not_over
from migrations_app.rewriting.shown_html import characters

MACHINES_OWN = frozenset(
    [b"UID", b"RELATED-TO", b"RECURRENCE-ID", b"DTSTAMP", b"CREATED", b"LAST-MODIFIED", b"X-MICROSOFT-CDO-OWNERAPPTID"]
)
"""Properties that identify a meeting or a revision: nobody dials what stands there."""

_WITHOUT_TEXT = MACHINES_OWN | {b"BEGIN", b"END"}

SHORTEST_ROW = 4
"""Digits of a row that is worth being kept: hardly any number has fewer, and each time of day would be one."""

_BETWEEN = r"\s()\[\].\-/·•∙‧⋅●・~*_|\u2010-\u2015\u2212\u2500\u2501\u30fc\u301c"
_GAP = rf"[{_BETWEEN}]{{0,6}}"
_ROW = re.compile(rf"[0-9][0-9{_BETWEEN}]{{2,}}[0-9]")
_NO_DIGIT = re.compile(r"[^0-9]+")
_ABROAD = r"(?:\+|(?<![0-9])(?<![0-9][:.,])(?:0011|011|00|8 ?~? ?10))"
"""How a number from another country begins: a plus, or what is dialled in Australia, North America, most of the world,
and Russia. The 00 of a time or a price is none."""
_OTHER_COUNTRY = re.compile(rf"{_ABROAD}{_GAP}[1-9][0-9]{{0,2}}{_GAP}(?:0{_GAP})?\Z")
_LABEL = re.compile(
    r"(?<![A-Za-z0-9])(?:tel|telefono|telefon|teléfono|telefone|telephone|phone|ph|call|dial|fax|mobile|mob|cell|t|p|m|f)\Z",
    re.I,
)
_EXTENSION = re.compile(r"(?:ext|x)[ .:]*[0-9]|[pw][0-9]", re.I)
_GOES_ON = re.compile(r"[-._][0-9]")
_PIN = re.compile(r"[-._][0-9]{3,10}#")
_ID_BEFORE = re.compile(r"[0-9][-._]\Z")
_UUID = re.compile(r"(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z])", re.I)

_LINE_BREAK = re.compile(rb"\r?\n(?![ \t])")
_FOLD = re.compile(rb"\r?\n[ \t]")
_SOFT_BREAK = re.compile(rb"=\r?\n[ \t]?")
# What is not closed runs to the end, or reading would begin anew at every piece of broken markup.
_TAG = re.compile(r"<!--.*?(?:-->|\Z)|<[!?/A-Za-z][^<>]*>", re.DOTALL)
_BLANKS = re.compile(r"(?:\s|\\[nNrR]){2,}|[^\S ]|\\[nNrR]")
"""What one blank stands for; one that is alone stands for itself."""
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_QUOTED = re.compile(r"(?<!UNTIL)=(?:20[0-9]{2}|(?:2[BDE]|A0|91)[0-9])")
_QUOTED_OCTETS = re.compile(rb"(?<!UNTIL)=(?:20[0-9]{2}|(?:2[BDE]|A0|91)[0-9])")
_MARKED = re.compile(rb"[<&%]|QUOTED-PRINTABLE", re.I)
_PERCENT_DIGIT = re.compile(rb"%(?:25)*(?:3[0-9]|EF|D[9B]|E[01A]|F0)", re.I)
_NUMERIC_REFERENCE = re.compile(rb"&#[xX]?[0-9A-Fa-f]{1,8}")
_REFERENCE = re.compile(rb"&#?[0-9A-Za-z]{1,9};?|%(?:25)*[0-9A-Fa-f]{2}")
_TAG_OCTETS = re.compile(rb"<!--.*?(?:-->|\Z)|<[!?/A-Za-z][^<>]*>", re.DOTALL)
_WITHOUT_WIDTH = frozenset(["Cf", "Mn", "Me"])
"""Categories of what is not seen, or seen around another character: the key cap that makes an emoji of a digit."""
_DATA = re.compile(r"data:([^,;\s\"]{0,100})((?:;[^,;\s\"]{0,100}){0,9}),([^\s\"<>]*)", re.I)
_BASE64 = re.compile(rb";ENCODING=\"?(?:BASE64|B)\b", re.I)
_NOT_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_MOST_LAYERS = 3
"""So often is something that is percent-encoded decoded: a mail filter wraps links that were wrapped already."""


class Place(NamedTuple):
    """A property that shows a number, by their names in capital letters: ``VALARM``, ``DESCRIPTION``."""

    component: str
    property: str


def shown_numbers(body: bytes, numbers: Iterable[str], now: datetime | None = None) -> set[str]:
    """Return those of the E.164 ``numbers`` that the object shows; for ``now`` see :func:`where_shown`."""
    return set(_shown(body, numbers, now))


def where_shown(body: bytes, number: str, now: datetime | None = None) -> tuple[Place, ...]:
    """Return the properties of the object that show the E.164 ``number``, each once, in their order.

    The object may be damaged. With ``now``, occurrences that are over or cancelled do not count, where the object can
    be read: they stay as they are (R23).
    """
    return tuple(_shown(body, [number], now).get(number, ()))


def _shown(body: bytes, numbers: Iterable[str], now: datetime | None) -> dict[str, dict[Place, None]]:
    found: dict[str, dict[Place, None]] = {}
    possible = _possible(body, numbers)
    if possible:
        for place, text in _texts(_without_what_is_over(body, now) if now else body):
            for number in numbers_in(text, possible):
                found.setdefault(number, {})[place] = None
    return found


def numbers_in(text: str, numbers: Iterable[str]) -> set[str]:
    """Return those of the E.164 ``numbers`` that stand in a text, or piece of HTML, of a calendar."""
    found: set[str] = set()
    numbers = _possible(text.encode("utf-8", "surrogateescape"), numbers)
    if not numbers:
        return found
    for reading in _readings(text):
        digits = _digits_of(reading)
        found |= {n for n in numbers if _national(n).encode() in digits and _is_shown(_pattern(n), reading)}
    return found


def digit_rows(body: bytes) -> set[str]:
    """Return every row of digits in the object, with nothing between them but what people write within a number.

    Wherever :func:`where_shown` finds a number, now or later, its :func:`digits_of` stand in one of these rows; only
    reading the object again tells whether it really shows the number. Rows of fewer than ``SHORTEST_ROW`` are left out.
    """
    rows: set[str] = set()
    for _, text in _texts(body):
        for reading in _as_read(text):
            # Of others it only makes one blank of several.
            plain = reading if reading.isascii() and "\\" not in reading else _plain(reading)
            for found in _ROW.findall(plain):
                digits = found if found.isdecimal() else _NO_DIGIT.sub("", found)
                if len(digits) >= SHORTEST_ROW:
                    rows.add(digits)
    return rows


def readings_of(body: bytes, now: datetime | None = None) -> Iterator[str]:
    """Yield the ways in which what stands in the object's properties may be read, for who looks for something else."""
    for _, text in _texts(_without_what_is_over(body, now) if now else body):
        yield from _as_read(text)


def digits_of(number: str) -> str:
    """The digits of an E.164 number that everybody writes, with or without the country's."""
    return _national(number)


def digits_in(text: bytes, numbers: Collection[str]) -> set[str]:
    """Return those of the E.164 ``numbers`` whose digits stand in the text in a row, with whatever between them.

    Quick, for texts that programs wrote: it errs towards finding, but for digits behind encodings.
    """
    digits = text.translate(None, _NOT_DIGITS) if numbers else b""
    return {number for number in numbers if _national(number).encode() in digits}


class DialIn(NamedTuple):
    """How people dial into an organizer's meetings, now or formerly: numbers (E.164) and conference IDs (digits)."""

    numbers: frozenset[str]
    conference_ids: frozenset[str]

    def is_shown_in(self, text: str) -> bool:
        """Tell whether a text shows one of the numbers and one of the IDs."""
        has_id = any(_id_pattern(digits).search(text) for digits in self.conference_ids)
        return has_id and bool(numbers_in(text, self.numbers))


@lru_cache(maxsize=1024)
def _id_pattern(digits: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\d){'[ -]?'.join(map(re.escape, digits))}(?!\d)")


# --- whether it may be there at all: fast, and never a wrong no -----------------------------------------


def _possible(body: bytes, numbers: Iterable[str]) -> list[str]:
    """Return those of the numbers whose digits stand in a row in the octets, with whatever between them."""
    wanted = {number: _national(number).encode() for number in numbers}
    streams = [body.translate(None, _NOT_DIGITS)]
    if all(national in streams[0] for national in wanted.values()):
        return list(wanted)
    if _BASE64.search(body) or b"base64," in body:
        return list(wanted)
    if _MARKED.search(body) or _QUOTED_OCTETS.search(body) or not body.isascii():
        body = _FOLD.sub(b"", body)
        if _has_digits_in_disguise(body):
            text = _SOFT_BREAK.sub(b"", body)
            readings = [*_readings(text.decode("utf-8", "replace")), *_readings(_unquoted(text))]
            streams += map(_digits_of, readings)
        else:
            # Digits of character references, and those in tags, may stand between the digits of a number.
            plain = _REFERENCE.sub(b"", body)
            streams += [octets.translate(None, _NOT_DIGITS) for octets in (plain, _TAG_OCTETS.sub(b"", plain))]
    return [number for number, national in wanted.items() if any(national in stream for stream in streams)]


def _digits_of(reading: str) -> bytes:
    return reading.encode("ascii", "ignore").translate(None, _NOT_DIGITS)


def _has_digits_in_disguise(body: bytes) -> bool:
    """Tell whether digits may stand there as anything but ASCII digits."""
    if _PERCENT_DIGIT.search(body) or _QUOTED_OCTETS.search(body) or b"QUOTED-PRINTABLE" in body.upper():
        return True
    if not body.isascii() and any(map(_is_other_digit, set(body.decode("utf-8", "replace")))):
        return True
    references = set(_NUMERIC_REFERENCE.findall(body))
    return any(_is_digit(characters(reference.decode("ascii") + ";")) for reference in references)


@lru_cache(maxsize=4096)
def _is_other_digit(character: str) -> bool:
    return character > "\x7f" and _is_digit(character)


def _is_digit(character: str) -> bool:
    return any(map(str.isdecimal, normalize("NFKC", character)))


def _unquoted(octets: bytes) -> str:
    return decodestring(octets).decode("utf-8", "replace")


# --- an object as texts ---------------------------------------------------------------------------------


def _without_what_is_over(body: bytes, now: datetime) -> bytes:
    """Return the object without the occurrences that are over or cancelled; as it is where it cannot be read."""
    try:
        calendars = parse(body)
        to_come = {event.start for event in events_not_over(body, calendars, now)}
        gone = [
            event
            for event in events_of(calendars)
            if event.start not in to_come
            or (event.named(b"RECURRENCE-ID") and text_of(body, event, b"STATUS").upper() == "CANCELLED")
        ]
    except UnreadableCalendar:
        return body
    pieces, start = [], 0
    for event in gone:
        pieces.append(body[start : event.start])
        start = event.end
    return b"".join([*pieces, body[start:]])


def _texts(body: bytes) -> Iterator[tuple[Place, str]]:
    """Yield what stands in the properties, their parameters included, unfolded and unescaped, as far as it is text."""
    components: list[str] = []
    for name, line in _lines(body):
        head = value_start(line)
        if name == b"BEGIN":
            components.append(_word(line[head:]))
        elif name == b"END":
            del components[-1:]
        elif name not in MACHINES_OWN:
            place = Place(components[-1] if components else "", name.decode("ascii", "replace"))
            yield place, unescaped(line[:head])
            yield from ((place, text) for text in _values(line[:head], line[head:]))


def _lines(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the unfolded lines with their names. One without any goes on with the text before it: a broken fold."""
    if b"QUOTED-PRINTABLE" in body.upper():
        body = _SOFT_BREAK.sub(b"", body)
    name, pieces = b"", list[bytes]()
    for raw in _LINE_BREAK.split(body):
        unfolded = unfold(raw)
        found = property_name(unfolded) if b":" in unfolded else b""
        if found or name in _WITHOUT_TEXT:
            if pieces:
                yield name, b"\\n".join(pieces)
            name, pieces = found, []
        pieces.append(unfolded)
    yield name, b"\\n".join(pieces)


def _word(value: bytes) -> str:
    return value.strip().upper().decode("ascii", "replace")[:40]


def _values(head: bytes, value: bytes) -> Iterator[str]:
    if _BASE64.search(head):
        yield _decoded(value)
        return
    if b"QUOTED-PRINTABLE" in head.upper():
        yield _unquoted(value)
    text = unescaped(value)
    yield text
    for kind, options, content in _DATA.findall(text + " " + head.decode("utf-8", "replace")):
        del kind
        yield _decoded(content.encode("utf-8", "replace")) if "base64" in options.lower() else unquote(content)


def _decoded(value: bytes) -> str:
    """Return an attachment that is text; "" for any other."""
    try:
        octets = b64decode(re.sub(rb"\s|\\n", b"", value) + b"===")
    except NotBase64:
        return ""
    for encoding in ("utf-16",) if octets[:2] in {b"\xff\xfe", b"\xfe\xff"} else ("utf-8", "cp1252"):
        try:
            text = octets.decode(encoding)
        except UnicodeDecodeError:
            continue
        return "" if "\0" in text else text
    return ""


def _readings(text: str) -> Sequence[str]:
    """Return the ways in which the text may be read, with ASCII digits in all."""
    return [_plain(reading) for reading in _as_read(text)]


def _as_read(text: str) -> Iterable[str]:
    """Return the ways in which the text may be read: as it is, as HTML, and decoded."""
    readings = {text: True}
    if "&" in text or "<" in text:
        readings[characters(text)] = True
        readings[characters(_TAG.sub(" ", text))] = True
    if _QUOTED.search(text):
        for reading in tuple(readings):
            octets = decodestring(reading.encode("utf-8", "surrogateescape"))
            readings[octets.decode("utf-8", "replace")] = True
    if "+" in text and "://" in text:  # where a plus in a link stands for a blank
        readings[text.replace("+", " ")] = True
    for reading in tuple(readings):
        for _ in range(_MOST_LAYERS):
            if not _PERCENT.search(reading):
                break
            reading = unquote(reading)  # noqa: PLW2901 - each layer is one more reading
            readings[reading] = True
    return readings


def _plain(text: str) -> str:
    """Return the text with ASCII digits, one blank for white space, and nothing invisible."""
    if not text.isascii():
        if not is_normalized("NFKC", text):
            text = normalize("NFKC", text)
        other: dict[str, str | int | None] = {
            sign: str(digit(sign)) if sign.isdecimal() else ""
            for sign in set(text)
            if sign > "\x7f" and (sign.isdecimal() or category(sign) in _WITHOUT_WIDTH)
        }
        if other:
            text = text.translate(str.maketrans(other))
    return _BLANKS.sub(" ", text)


# --- the number in a text -------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _national(number: str) -> str:
    """The digits that everybody writes, with or without the country's."""
    return phonenumbers.national_significant_number(phonenumbers.parse(number))


@lru_cache(maxsize=1024)
def _pattern(number: str) -> re.Pattern[str]:
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    prefixes = {"0", (metadata.national_prefix if metadata else None) or "0"}
    trunk = "|".join(sorted(map(re.escape, prefixes)))
    country = _GAP.join(str(parsed.country_code))
    before = rf"(?:(?P<abroad>{_ABROAD}{_GAP})?{country}{_GAP}(?:(?:{trunk}){_GAP})?|(?:{trunk}){_GAP})?"
    return re.compile(before + _GAP.join(_national(number)))


def _is_shown(pattern: re.Pattern[str], text: str) -> bool:
    position = 0
    while found := pattern.search(text, position):
        if _stands_alone(text, found) and not _is_in_uuid(text, found):
            return True
        position = found.start() + 1
    return False


def _stands_alone(text: str, found: re.Match[str]) -> bool:
    """Tell whether it is a number of its own, and no piece of a longer one, an ID or a word."""
    before, after = text[max(found.start() - 40, 0) : found.start()], text[found.end() : found.end() + 20]
    if after[:1].isdecimal() or before[-1:].isdecimal():
        return False
    if found["abroad"]:
        return True
    if before[-1:] == "+" or _OTHER_COUNTRY.search(before):
        return False  # the same digits behind another country's
    if _ID_BEFORE.search(before):
        return False
    has_gaps = not found[0].isdecimal()  # as people write numbers: a word may have lost the blank between them
    if not has_gaps and _is_of_word(before[-1:]) and not _LABEL.search(before):
        return False
    if _is_of_word(after[:1]):
        return has_gaps or _EXTENSION.match(after) is not None
    return _GOES_ON.match(after) is None or _PIN.match(after) is not None


def _is_of_word(character: str) -> bool:
    return character.isascii() and (character.isalpha() or character == "_")


def _is_in_uuid(text: str, found: re.Match[str]) -> bool:
    around = text[max(found.start() - 36, 0) : found.end() + 36]
    at = found.start() - max(found.start() - 36, 0)
    return any(uuid.start() <= at < uuid.end() for uuid in _UUID.finditer(around))
