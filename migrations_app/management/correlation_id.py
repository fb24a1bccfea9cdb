"""The name of a run, as commands take it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from uuid import UUID


def correlation_id(text: str) -> UUID:
    """Raises ``ArgumentTypeError`` where it is none."""
    try:
        return UUID(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a correlation ID: get_meeting_migration_status lists them.") from None
