"""What a check of some kind is given: names, shapes and help for forms, and one way to read them (R71).

A kind's parameters are a frozen dataclass and a tuple of :class:`Parameter`, one for each of its fields. What comes
from a form, a command or the database is read by the same function: :func:`read`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

from tenants_app.sentences import Sentence, sentence

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NOT_TEXT = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")
_LINES = re.compile("[\r\n\t]")
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0", ""}


class Unusable(ValueError):
    """Parameters that no check can have: for each that is wrong, by its name, a sentence that says what to give."""

    def __init__(self, errors: Mapping[str, Sentence]) -> None:
        super().__init__("; ".join(f"{name}: {why}" for name, why in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: a line of text. ``shape`` says which field of a form it needs."""

    shape: ClassVar[str] = "text"
    name: str
    label: Sentence
    help: Sentence
    is_required: bool = False
    default: Any = ""
    most: int = 200
    """Characters."""

    def read(self, value: object) -> Any:
        """The value as the dataclass keeps it. Raises ``ValueError`` with a sentence."""
        text = _text(value, self.most)
        if _LINES.search(text):
            raise ValueError(sentence("Give one line of text."))
        return text

    def shown(self, value: Any) -> Any:
        """The value as a form's field begins with it."""
        return value


class Host(Parameter):
    """A host name or an IP address, in the one form in which hosts are compared."""

    def read(self, value: object) -> str:
        text = _text(value, self.most)
        return host_name(text) if text else ""


@dataclass(frozen=True, slots=True)
class Number(Parameter):
    """A whole number from ``least`` to ``most``."""

    shape: ClassVar[str] = "number"
    least: int = 0

    def read(self, value: object) -> int:
        text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        is_number = text.isascii() and text.isdigit() and len(text) < 10
        if not is_number or not self.least <= int(text) <= self.most:
            raise ValueError(
                sentence("Give a whole number from %(least)s to %(most)s.", least=str(self.least), most=str(self.most))
            )
        return int(text)


class Switch(Parameter):
    """Yes or no."""

    shape = "switch"

    def read(self, value: object) -> bool:
        text = str(value).strip().lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        raise ValueError(sentence("Give true or false."))


@dataclass(frozen=True, slots=True)
class Choice(Parameter):
    """One of a few words, each with what a form calls it."""

    shape: ClassVar[str] = "choice"
    choices: Sequence[tuple[str, Sentence]] = ()

    def read(self, value: object) -> str:
        words = {word.lower(): word for word, _ in self.choices}
        text = str(value).strip().lower()
        if text not in words:
            raise ValueError(sentence("Give one of these: %(words)s.", words=", ".join(words.values())))
        return words[text]


@dataclass(frozen=True, slots=True)
class Lines(Parameter):
    """Several texts, one a line."""

    shape: ClassVar[str] = "lines"
    default: Any = ()
    most_lines: int = 50

    def read(self, value: object) -> tuple[str, ...]:
        each = value if isinstance(value, list | tuple) else _text(value, self.most * self.most_lines).splitlines()
        lines = tuple(filter(None, (_text(one, self.most) for one in each)))
        if len(lines) > self.most_lines:
            raise ValueError(sentence("Give no more than %(most)s lines.", most=self.most_lines))
        if any(_LINES.search(line) for line in lines):
            raise ValueError(sentence("Give one line of text for each."))
        return lines

    def shown(self, value: Any) -> str:
        return "\n".join(value)


class LongText(Parameter):
    """Text of several lines that stays as it is, such as certificates."""

    shape = "long"

    def read(self, value: object) -> str:
        return _text(value, self.most)


Read = TypeVar("Read")


def read(cls: type[Read], parameters: Sequence[Parameter], values: Mapping[str, object]) -> Read:
    """The parameters of a kind, from JSON, a form or a command. What is not given, or ``None``, is the default.

    Raises :class:`Unusable`.
    """
    known = {parameter.name: parameter for parameter in parameters}
    errors = {
        name: sentence("There is no such parameter: leave it out.") for name in map(str, values) if name not in known
    }
    found: dict[str, Any] = {}
    for name, parameter in known.items():
        value = values.get(name)
        if value is None or value == "":
            value = parameter.default
        try:
            found[name] = parameter.read(value)
        except ValueError as error:
            errors[name] = _why(error)
        else:
            if parameter.is_required and not found[name]:
                errors[name] = sentence("This must be given.")
    if errors:
        raise Unusable(errors)
    return cls(**found)


def as_json(parameters: Any) -> dict[str, Any]:
    """What :func:`read` reads back."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(parameters).items()}


def host_name(text: str) -> str:
    """A host in the one form in which hosts are compared: small, without a last dot, an IP address as short as it goes.

    Raises ``ValueError`` with a sentence.
    """
    host = text.strip().lower().removesuffix(".")
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]") if "%" not in host else ""))
    except ValueError:
        if len(host) > 253 or not _HOST.fullmatch(host):
            raise ValueError(
                sentence("Give a host name such as sip.contoso.com, or an IP address, and nothing before or after it.")
            ) from None
    return host


def _why(error: ValueError) -> Sentence:
    (why,) = error.args
    return why if isinstance(why, Sentence) else Sentence(str(why))


def _text(value: object, most: int) -> str:
    text = str(value).strip() if isinstance(value, str | int | float) else None
    if text is None or _NOT_TEXT.search(text):
        raise ValueError(sentence("Give text without control characters."))
    if len(text) > most:
        raise ValueError(sentence("Give no more than %(most)s characters.", most=most))
    return text
