"""How values, counts and refusals read, on screens, in commands and in files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext

from tenants_app.sentences import Parts, Sentence, one_after_the_other, sentence, sentence_plural

_STEERING = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")

MICROSOFT = "Microsoft"
"""What people call the provider that is stored as an empty text."""


def provider_name(stored: str) -> str:
    return stored or MICROSOFT


def stored_provider(name: str) -> str:
    """A provider as it is stored: Microsoft, however it is spelled, as an empty text."""
    name = name.strip()
    return "" if name.lower() == MICROSOFT.lower() else name


def pascal_case(field: str) -> str:
    """The name that commands print and files carry for a field: ``toll_free_number`` is ``TollFreeNumber``."""
    return "".join(word.capitalize() for word in field.split("_"))


def read_truth(text: str) -> bool:
    """The switch value that ``true``, ``false``, ``on`` or ``off`` stands for; ``ValueError`` with a sentence."""
    word = text.strip().lower()
    if word in {"true", "on"}:
        return True
    if word in {"false", "off"}:
        return False
    raise ValueError(sentence("%(word)r is not a switch value: write true or false.", word=text))


_COUNTED: Mapping[str, Callable[[int], Sentence]] = MappingProxyType(
    {
        "bad row": lambda n: sentence_plural("%(n)s bad row", "%(n)s bad rows", n),
        "calendar": lambda n: sentence_plural("%(n)s calendar", "%(n)s calendars", n),
        "category": lambda n: sentence_plural("%(n)s category", "%(n)s categories", n),
        "day": lambda n: sentence_plural("%(n)s day", "%(n)s days", n),
        "file": lambda n: sentence_plural("%(n)s file", "%(n)s files", n),
        "future meeting": lambda n: sentence_plural("%(n)s future meeting", "%(n)s future meetings", n),
        "item": lambda n: sentence_plural("%(n)s item", "%(n)s items", n),
        "invitation": lambda n: sentence_plural("%(n)s invitation", "%(n)s invitations", n),
        "meeting": lambda n: sentence_plural("%(n)s meeting", "%(n)s meetings", n),
        "member": lambda n: sentence_plural("%(n)s member", "%(n)s members", n),
        "job": lambda n: sentence_plural("%(n)s job", "%(n)s jobs", n),
        "key": lambda n: sentence_plural("%(n)s key", "%(n)s keys", n),
        "message": lambda n: sentence_plural("%(n)s message", "%(n)s messages", n),
        "notice": lambda n: sentence_plural("%(n)s notice", "%(n)s notices", n),
        "organizer": lambda n: sentence_plural("%(n)s organizer", "%(n)s organizers", n),
        "password": lambda n: sentence_plural("%(n)s password", "%(n)s passwords", n),
        "pending run": lambda n: sentence_plural("%(n)s pending run", "%(n)s pending runs", n),
        "room": lambda n: sentence_plural("%(n)s room", "%(n)s rooms", n),
        "row": lambda n: sentence_plural("%(n)s row", "%(n)s rows", n),
        "run": lambda n: sentence_plural("%(n)s run", "%(n)s runs", n),
        "undelivered message": lambda n: sentence_plural("%(n)s undelivered message", "%(n)s undelivered messages", n),
        "user": lambda n: sentence_plural("%(n)s user", "%(n)s users", n),
        "user import": lambda n: sentence_plural("%(n)s user import", "%(n)s user imports", n),
        "wake-up": lambda n: sentence_plural("%(n)s wake-up", "%(n)s wake-ups", n),
    }
)


def counted(number: int, noun: str) -> Sentence:
    """A number of things, such as ``1 run`` and ``1,200 runs``."""
    return _COUNTED[noun](number)


def runs_started(number: int) -> Sentence:
    """How many runs a change has started, as the audit has it."""
    return sentence_plural("%(n)s run started.", "%(n)s runs started.", number)


def grouped(number: int) -> str:
    """A whole number as people of the language at hand write it: ``1,200``."""
    return number_format(number, force_grouping=True)


def alternatives(words: Sequence[str]) -> str:
    """The words as a choice: ``link or none``."""
    *others, last = words
    return f"{', '.join(others)}{gettext(' or ')}{last}" if others else last


def all_of(words: Sequence[str]) -> Sentence:
    """The words, of which all hold: ``one, another and a third``."""
    *others, last = words
    if not others:
        return last if isinstance(last, Sentence) else verbatim(last)
    first = others[0]
    for word in others[1:]:
        first = sentence("%(first)s, %(second)s", first=first, second=word)
    return sentence("%(first)s and %(second)s", first=first, second=last)


def verbatim(words: str) -> Sentence:
    """Words that are no sentence of ours, such as a name, as they are in every language."""
    return Sentence(words, Parts("%(words)s", values={"words": words}))


def escaped(text: str, keeps: str = "\n\t") -> str:
    """The text with what steers a terminal or turns its letters around written out, such as ``\\x1b``."""
    return _STEERING.sub(lambda found: found[0] if found[0] in keeps else ascii(found[0])[1:-1], text)


def plain(value: Any) -> str:
    """A value as text for people and files: times in ISO 8601 with zone, switches as true and false."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(timespec="seconds")
    if isinstance(value, list):
        return " ".join(map(plain, value))
    return str(value)


MEETINGS_STAY: Mapping[str, Sentence] = MappingProxyType(
    {
        "meeting_url": sentence(
            "a changed meeting URL does not start one: existing meetings stay where they are hosted"
        ),
        "meeting_service": sentence(
            "a changed meeting service does not start one: existing meetings stay where they are hosted"
        ),
    }
)
"""Why a changed meeting URL or meeting service starts no run (R9), by the field of the tenant."""

FIELD_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "conference_id": sentence("conference ID"),
        "not_before": sentence("earliest start"),
        "upn": sentence("user principal name"),
    }
)


def sentences(error: ValidationError, names: Mapping[str, str] = FIELD_NAMES) -> Sentence:
    """What a change was refused for, on one line; ``names`` says what people call a field."""
    if not hasattr(error, "error_dict"):
        return one_after_the_other(*_messages(error))
    return one_after_the_other(
        *(
            message
            if field == NON_FIELD_ERRORS
            else sentence(
                "%(field)s: %(message)s", field=Sentence(names.get(field, field.replace("_", " "))), message=message
            )
            for field, errors in error.error_dict.items()
            for each in errors
            for message in _messages(each)
        )
    )


def first_sentence(error: ValidationError) -> Sentence:
    """The first that something was refused for, without the field that it is about."""
    one = next(iter(error.error_dict.values()))[0] if hasattr(error, "error_dict") else error
    return next(_messages(one))


def _messages(error: ValidationError) -> Iterator[Sentence]:
    """The messages as they were written, to be read in any language."""
    for each in error.error_list:
        message = each.message
        if not isinstance(message, Sentence):
            message = Sentence(str(message % each.params if each.params else message))
        yield message


FREE_ID = "0000000"
"""In a preview, stands for a conference ID that is chosen when the change is made: no real one begins with 0 (R4)."""
A_FREE_ONE = sentence("a free one")


def id_in_words(value: Any) -> Any:
    """A value as it is, but for the stand-in of a conference ID that is not chosen yet."""
    return A_FREE_ONE if value == FREE_ID else value
