"""What a what-if plan finds: errors, warnings and notes, each of a kind and with its sentence (R110)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    ERROR = "error"
    """The room cannot be imported."""
    WARNING = "warning"
    """The room changes: somebody should know before."""
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that whoever plans should know."""

    severity: Severity
    code: str
    """Stable, for filters and scripts, such as ``name-too-long``. All are in ``CODES``."""
    sentence: str
    """What is the case and, where something can be done, what to do; with names, never with the text of a message."""
    room: str | None = None
    """The id of the room that it is about; None where it is about the import as a whole."""
    count: int = 1
    """How many messages, files or people it stands for."""


CODES: dict[str, Severity] = {
    # R113, R120: names and places
    "flattened": Severity.WARNING,
    "prefixed": Severity.NOTE,
    "no-category": Severity.ERROR,
    "name-too-long": Severity.ERROR,
    "name-not-allowed": Severity.ERROR,
    "name-taken": Severity.ERROR,
    "merged": Severity.WARNING,
    "renamed": Severity.WARNING,
    "skipped": Severity.NOTE,
    "collides": Severity.ERROR,
    # R114 to R116: people
    "root-managers": Severity.WARNING,
    "category-roles": Severity.WARNING,
    "invitations-off": Severity.WARNING,
    "federated": Severity.WARNING,
    "inactive": Severity.NOTE,
    "group-to-be-granted": Severity.NOTE,
    "group-expanded": Severity.NOTE,
    "no-account": Severity.WARNING,
    "no-members": Severity.WARNING,
    "authors-made": Severity.NOTE,
    "speaks-for-nobody": Severity.WARNING,
    # R122: what rooms are like there
    "privacy-mapped": Severity.NOTE,
    "scope-narrowed": Severity.WARNING,
    "auditorium": Severity.NOTE,
    "read-only": Severity.NOTE,
    "setting-lost": Severity.WARNING,
    "add-in-lost": Severity.WARNING,
    # R117 to R119: content
    "author-in-text": Severity.WARNING,
    "time-in-text": Severity.WARNING,
    "times-shifted": Severity.NOTE,
    "time-not-kept": Severity.ERROR,
    "split": Severity.NOTE,
    "replaced-characters": Severity.WARNING,
    "formatting-lost": Severity.NOTE,
    "file-missing": Severity.WARNING,
    "file-too-large": Severity.ERROR,
    "unknown-author": Severity.WARNING,
    "empty-message": Severity.NOTE,
    "left-out-before": Severity.NOTE,
    # R110, R126: the target and the source
    "retention": Severity.ERROR,
    "retention-unknown": Severity.ERROR,
    "target-limit": Severity.ERROR,
    "target-not-seen": Severity.WARNING,
    "history-off": Severity.NOTE,
    "members-made-up": Severity.WARNING,
    "old-clients": Severity.WARNING,
    "fee": Severity.WARNING,
    "source-note": Severity.NOTE,
}
"""Every code with its severity; what a kind of target adds stands here too."""
