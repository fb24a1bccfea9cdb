"""What a CSV says of rooms that the compliance service knows by their address only (R105)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from migrations_app.chat.archive.records import Privacy
from migrations_app.chat.sources.csv_rows import BadRow, opened
from migrations_app.chat.sources.reporting import Reported
from tenants_app.sentences import sentence

FILE_NAME = "rooms.csv"
COLUMNS = ("Uri", "Category", "Name", "Privacy", "Managers", "Members")

_PRIVACY = {"private": Privacy.PRIVATE, "scoped": Privacy.SCOPED, "open": Privacy.OPEN}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_ID = 100


@dataclass(frozen=True, slots=True)
class RoomSettings:
    """One row: what a room is called, where it is, and who belongs to it."""

    uri: str
    category: str
    name: str
    privacy: Privacy
    managers: tuple[str, ...]
    """SIP addresses without ``sip:``; likewise the members."""
    members: tuple[str, ...]


def read_settings(path: Path, beside: Path, reported: Reported) -> dict[str, RoomSettings]:
    """By address. What is wrong is reported."""
    found: dict[str, RoomSettings] = {}
    try:
        file = opened(path, beside, COLUMNS)
    except BadRow as bad:
        reported.add(path.name, bad.line, bad.reason)
        return found
    folded = [each.casefold() for each in file.columns]
    missing = [each for each in COLUMNS if each.casefold() not in folded]
    for column in missing:
        reported.add(path.name, 1, sentence("The column %(column)s is missing.", column=column))
    if missing:
        return found
    places = {column: folded.index(column.casefold()) for column in COLUMNS}
    for row in file.rows(lambda bad: reported.add(path.name, bad.line, bad.reason)):
        told = {column: row.fields[place].strip() for column, place in places.items()}
        privacy = _PRIVACY.get((told["Privacy"] or "private").casefold())
        if not told["Uri"]:
            reported.add(path.name, row.line, sentence("The row names no room: its Uri is empty."))
        elif told["Uri"] in found:
            reported.add(path.name, row.line, sentence("The room %(uri)s is there already.", uri=told["Uri"]))
        elif privacy is None:
            reported.add(
                path.name,
                row.line,
                sentence(
                    "The privacy %(value)s is not private, scoped or open.",
                    value=told["Privacy"],
                ),
            )
        else:
            found[told["Uri"]] = RoomSettings(
                told["Uri"],
                told["Category"],
                told["Name"],
                privacy,
                _people(told["Managers"]),
                _people(told["Members"]),
            )
    return found


def ids_of(uris: Iterable[str]) -> dict[str, str]:
    """For each address an id that may be the name of a file, the same each time: ``contoso.com-300``."""
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for uri in sorted(uris):
        plain = _UNSAFE.sub("-", uri.split("://", 1)[-1]).strip("-._")
        if not plain or len(plain) > _LONGEST_ID or plain.casefold() in taken:
            plain = f"{plain[:_LONGEST_ID]}-{hashlib.sha256(uri.encode()).hexdigest()[:12]}".lstrip("-")
        taken.add(plain.casefold())
        ids[uri] = plain
    return ids


def _people(listed: str) -> tuple[str, ...]:
    addresses = (each.strip() for each in re.split(r"[;\n]", listed))
    plain = (each[4:] if each.casefold().startswith("sip:") else each for each in addresses)
    return tuple(dict.fromkeys(each for each in plain if each))
