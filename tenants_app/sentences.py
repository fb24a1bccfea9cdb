"""Sentences that are written now and read later, each time in the language of who reads them.

Plain Python, so that clients of mail systems and the rewriting of blocks can say what happened: how a language is
spoken is told by :func:`speak_with`, as the app does when it is loaded (``tenants_app.speech``).

A :class:`Sentence` is text, and as text it is English: it is compared, cut, searched and logged as such. It remembers
of what it was made, and whoever prints it (a template, ``str()``, an f-string, ``%s``) gets it in the language that is
active then. ``tenants_app.sentence_fields`` keeps it in the database.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple, SupportsIndex

Value = str | int | float | date | datetime
"""What a sentence names: words as they are, other sentences, and numbers and times, which each language writes in its
own way. A number that is a name, such as a port or an answer's code, is given as words."""

LONGEST_VALUE = 400
"""Characters of one value: what a server answers may be a book."""

_BEHIND = "\x1f"
"""Between a sentence as it is stored and what it was made of; in no text that people write."""
_NOT_STORED = re.compile("[\0\ud800-\udfff]")
"""What no database takes, though a server may answer with it: NUL, and half characters."""
_CANNOT_BE_SAID = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What becomes of a row that is damaged, or by a version to come, and of a translation that names what is not there."""
_DATE, _DATETIME, _SENTENCE = "d", "t", "s"
_COLON, _STOP = ":", "."


@dataclass(frozen=True, slots=True)
class Speech:
    """How a language is spoken: the one that is active, and English."""

    gettext: Callable[[str], str]
    ngettext: Callable[[str, str, int], str]
    shown: Callable[[Any], str]
    """A number or a time, in the active language."""
    shown_in_english: Callable[[Any], str]


_speech = Speech(lambda text: text, lambda one, many, n: one if n == 1 else many, str, str)


def speak_with(speech: Speech) -> None:
    """Say from now on how languages are spoken; until then it is English."""
    global _speech  # noqa: PLW0603 - one way to speak for the whole process
    _speech = speech


class Parts(NamedTuple):
    """Of what a sentence is made: the text that is looked up, that for many, of how many, and what it names.

    Of several sentences, one after the other, ``each`` has them and the rest is empty, but for ``text`` where they are
    put together in another way: a colon where the second is a detail of the first, a full stop where it is one clause.
    """

    text: str
    many: str = ""
    n: int = 0
    values: Mapping[str, Value] = {}
    each: tuple[str, ...] = ()


class Sentence(str):
    """Text in English that knows how to be said in other languages."""

    parts: Parts

    def __new__(cls, english: str, parts: Parts | None = None) -> Sentence:
        made = super().__new__(cls, english)
        made.parts = parts or Parts(english)
        return made

    def __str__(self) -> str:
        if not self:
            return ""
        try:
            return _said(self.parts)
        except _CANNOT_BE_SAID:
            return english(self)

    def __format__(self, how: str) -> str:
        return format(str(self), how)

    def __add__(self, other: str) -> str:
        return str(self) + str(other)

    def __radd__(self, other: str) -> str:
        return str(other) + str(self)

    def __mod__(self, other: Any) -> str:
        return str(str(self) % other)

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        """A part is of the language that is active, as whoever prints it wants it; all of it stays what it is."""
        if isinstance(key, slice) and key.indices(len(self)) == (0, len(self), 1):
            return self
        return str(self)[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return Sentence, (english(self), self.parts)


def _said(parts: Parts) -> str:
    text, many, n, values, each = parts
    if each:
        return _TOGETHER[text](*map(str, each))
    said = _speech.ngettext(text, many, n) if many else _speech.gettext(text)
    return said % {name: _told(value, _speech.shown) for name, value in values.items()} if values else said


def english(text: str) -> str:
    """The text as it is stored, logged and compared: a sentence in English, anything else as it is."""
    return str.__str__(text)


def at_most(longest: int, text: str) -> str:
    """Text of somebody else cut to so many characters. A sentence stays whole, so that it stays one: its values are
    bounded, and a part of it would be of the language of whoever wrote it."""
    return text if isinstance(text, Sentence) else text[:longest]


def sentence(text: str, /, **values: Value) -> Sentence:
    """What a sentence with placeholders such as ``%(host)s`` says of these values.

    Without values the text is taken as it is, percent signs and all. ``makemessages`` finds the text only where it is
    written out here, in quotation marks.
    """
    return _made(text, Parts(text, values=_bounded(values)))


def sentence_plural(one: str, many: str, n: int, /, **values: Value) -> Sentence:
    """The same of something that is counted: ``one`` where ``n`` is 1, else ``many``. Both may name ``%(n)s``."""
    return _made(one if n == 1 else many, Parts(one, many, n, _bounded({"n": n, **values})))


def one_after_the_other(*sentences: str) -> Sentence:
    """Whole sentences with a space between them; those that are empty are left out."""
    each = tuple(each for each in sentences if each)
    return Sentence(" ".join(map(english, each)), Parts("", each=each))


def with_detail(what: str, detail: str) -> Sentence:
    """A sentence with the detail of this case after a colon: its full stop goes, and the detail begins small."""
    return Sentence(_detailed(english(what), english(detail)), Parts(_COLON, each=(what, detail)))


def whole(clause: str) -> Sentence:
    """A clause as a sentence: with a capital and a full stop."""
    return Sentence(_whole(english(clause)), Parts(_STOP, each=(clause,)))


def _whole(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}{_STOP}"


def _detailed(what: str, detail: str) -> str:
    # The first word of the detail is small, unless it is a name in capitals such as RRULE.
    if detail[:1].isupper() and not detail[1:2].isupper():
        detail = detail[0].lower() + detail[1:]
    return f"{what[:-1]}{_COLON} {detail.rstrip('.')}."


_TOGETHER: Mapping[str, Callable[..., str]] = {
    "": lambda *sentences: " ".join(sentences),
    _COLON: _detailed,
    _STOP: _whole,
}
"""How the sentences of one that has several are put together, by its text."""


def _made(text: str, parts: Parts) -> Sentence:
    if not parts.values:
        return Sentence(text, parts)
    return Sentence(text % {name: _in_english(value) for name, value in parts.values.items()}, parts)


def _bounded(values: Mapping[str, Value]) -> dict[str, Value]:
    return {
        name: f"{value[: LONGEST_VALUE - 1]}…"
        if isinstance(value, str) and not isinstance(value, Sentence) and len(value) > LONGEST_VALUE
        else value
        for name, value in values.items()
    }


def _told(value: Value, shown: Callable[[Any], str]) -> str:
    return str(value) if isinstance(value, str) else shown(value)


def _in_english(value: Value) -> str:
    return english(value) if isinstance(value, str) else _speech.shown_in_english(value)


# --- as it is stored ----------------------------------------------------------------------------------


def stored(text: str) -> str:
    """The sentence in English, and behind it what it is made of; other text as it is."""
    plain = _storable(text)
    if not isinstance(text, Sentence) or text.parts == Parts(plain):
        return plain
    return f"{plain}{_BEHIND}{json.dumps(_packed(text.parts), ensure_ascii=False, separators=(',', ':'))}"


def read(text: str) -> Sentence:
    """What :func:`stored` has made of a sentence; other text is one that may be known to the catalogue as it is."""
    plain, _, behind = text.partition(_BEHIND)
    if not behind:
        return Sentence(plain)
    try:
        return Sentence(plain, _unpacked(json.loads(behind)))
    except _CANNOT_BE_SAID:
        return Sentence(plain)


def _storable(text: str) -> str:
    """In English, and as text of which nothing is taken for what stands behind a sentence."""
    return _NOT_STORED.sub("\ufffd", english(text)).replace(_BEHIND, " ")


def in_json(value: Any) -> Any:
    """The same of all sentences in what becomes JSON."""
    if isinstance(value, Sentence):
        text = stored(value)
        return text if _BEHIND in text else text + _BEHIND  # told apart from text of somebody else
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, dict):
        return {in_json(key): in_json(each) for key, each in value.items()}
    return [in_json(each) for each in value] if isinstance(value, (list, tuple)) else value


def from_json(value: Any) -> Any:
    """What :func:`in_json` has made; text without more behind it stays text."""
    if isinstance(value, str):
        return read(value) if _BEHIND in value else value
    if isinstance(value, dict):
        return {from_json(key): from_json(each) for key, each in value.items()}
    return [from_json(each) for each in value] if isinstance(value, list) else value


def _packed(parts: Parts) -> list[Any]:
    if parts.each:
        return [[_packed_value(each) for each in parts.each], *([parts.text] if parts.text else [])]
    values = {name: _packed_value(value) for name, value in parts.values.items()}
    return [parts.text, values, parts.many, parts.n] if parts.many else [parts.text, values]


def _unpacked(packed: list[Any]) -> Parts:
    if isinstance(packed[0], list):
        return Parts("".join(packed[1:]), each=tuple(map(_unpacked_value, packed[0])))
    text, values, many, n = (*packed, "", 0)[:4]
    return Parts(text, many, n, {name: _unpacked_value(value) for name, value in values.items()})


def _packed_value(value: Value) -> Any:
    if isinstance(value, Sentence):
        return {_SENTENCE: _storable(value), "p": _packed(value.parts)}
    if isinstance(value, str):
        return _NOT_STORED.sub("\ufffd", value)
    if isinstance(value, datetime):
        return {_DATETIME: value.isoformat()}
    return {_DATE: value.isoformat()} if isinstance(value, date) else value


def _unpacked_value(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if _SENTENCE in value:
        return Sentence(value[_SENTENCE], _unpacked(value["p"]))
    return datetime.fromisoformat(value[_DATETIME]) if _DATETIME in value else date.fromisoformat(value[_DATE])
