"""Values of a JSON object that somebody else made: of the type they should have, or a ``Failure`` that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from migrations_app.failures import Failure
from migrations_app.mailboxes.exchange.events import FIRST_YEAR, LAST_YEAR
from tenants_app.sentences import sentence

JSON = Mapping[str, Any]
LONGEST_ID, LONGEST_ETAG = 1_000, 300
"""Characters, as they are kept."""
_LARGEST = 2**31 - 1


def unusable(name: str) -> Failure:
    """An answer in which this is missing, or is something else than it should be."""
    return Failure(
        "mailbox-answer", sentence("Graph named an event whose %(name)s is missing or cannot be read", name=name)
    )


def text(given: JSON, name: str) -> str:
    """Empty where it is missing or null."""
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise unusable(name)
    return value


def named(given: JSON, name: str) -> str:
    """A text that must be there."""
    value = text(given, name)
    if not value:
        raise unusable(name)
    return value


def key(given: JSON, name: str, most: int = LONGEST_ID) -> str:
    """A text that is sent back as it is, in a path or a header: an id, an ETag. Empty where it is missing or null."""
    value = text(given, name)
    if len(value) > most or not (value.isascii() and value.isprintable()):
        raise unusable(name)
    return value


def id_of(given: JSON) -> str:
    """Its id, which must be there."""
    if not given.get("id"):
        raise unusable("id")
    return key(given, "id")


def flag(given: JSON, name: str, missing: bool = False) -> bool:
    """``missing`` where it is missing or null."""
    value = given.get(name)
    if value is None:
        return missing
    if not isinstance(value, bool):
        raise unusable(name)
    return value


def number(given: JSON, name: str, missing: int = 0) -> int:
    """A whole number that is not negative; ``missing`` where it is missing or null."""
    value = given.get(name)
    if value is None:
        return missing
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
        raise unusable(name)
    return value


def objects(given: JSON, name: str) -> JSON:
    """An object; an empty one where it is missing or null."""
    value = given.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise unusable(name)
    return value


def listed(given: JSON, name: str) -> Sequence[JSON]:
    """A list of objects; an empty one where it is missing or null."""
    value = given.get(name)
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise unusable(name)
    return value


def moment(value: str, name: str, zone: str = "UTC") -> datetime:
    """A time as text, aware and in UTC; ``zone`` is where it is meant if it does not say so itself."""
    try:
        read = datetime.fromisoformat(value)
    except ValueError as error:
        raise unusable(name) from error
    if not FIRST_YEAR < read.year < LAST_YEAR:
        raise unusable(name)
    return (read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
