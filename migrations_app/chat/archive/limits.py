"""How large an archive, an entry and a line may be, and what entries are called (R101)."""

from __future__ import annotations

import re
from dataclasses import dataclass

MANIFEST = "manifest.json"
USERS = "users.jsonl"
CATEGORIES = "categories.jsonl"
ROOMS = "rooms.jsonl"
FILES = "files.jsonl"
OF_LIST = {USERS: "users", CATEGORIES: "categories", ROOMS: "rooms", FILES: "files"}
"""What the counts of a manifest call the lines of each list, in the order of R100."""
LISTS = tuple(OF_LIST)

MOST_LINES = {USERS: 2_000_000, CATEGORIES: 100_000, ROOMS: 200_000}
"""Of lists that are held in memory while an archive is used."""
DEEPEST_CATEGORY = 32
"""Categories within one another."""
LONGEST_LINE = 1024 * 1024
"""Octets of a line, without its end."""
DEEPEST = 20
"""Objects and lists within one another in a line."""
LONGEST_ID = 200
"""Characters of an id."""

_ROOM_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_MESSAGES = re.compile(rf"messages/({_ROOM_ID.pattern})\.jsonl")
_OCTETS = re.compile(r"files/([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Guards:
    """What is refused before it does harm: more than any real archive has, less than a machine can bear."""

    entries: int = 300_000
    entry_bytes: int = 64 * 1024**3
    total_bytes: int = 1024**4
    manifest_bytes: int = 64 * 1024**2
    ratio: int = 200
    """How many octets one octet of a ZIP may become, in entries of more than ``ratio_from`` octets."""
    ratio_from: int = 10 * 1024**2


GUARDS = Guards()


def is_room_id(text: str) -> bool:
    """Whether a room can have this id: it is the name of a file in every file system, and never a path."""
    return _ROOM_ID.fullmatch(text) is not None


def messages_entry(room: str) -> str:
    """Where the messages of this room are."""
    return f"messages/{room}.jsonl"


def room_of(entry: str) -> str | None:
    """Of which room an entry has the messages; None where it has something else."""
    found = _MESSAGES.fullmatch(entry)
    return found[1] if found else None


def octets_entry(sha256: str) -> str:
    """Where the octets with this checksum are."""
    return f"files/{sha256}"


def sha256_of(entry: str) -> str | None:
    """Which checksum the name of an entry promises; None where it is no posted file."""
    found = _OCTETS.fullmatch(entry)
    return found[1] if found else None


def is_entry(path: str) -> bool:
    """Whether an archive can have an entry of this name, beside its manifest."""
    return path in LISTS or room_of(path) is not None or sha256_of(path) is not None
