"""The name of a run, as commands take it."""

from __future__ import annotations

from argparse import ArgumentTypeError
from uuid import UUID

from django.utils.translation import gettext as _


def correlation_id(text: str) -> UUID:
    """Raises ``ArgumentTypeError`` where it is none."""
    try:
        return UUID(text)
    except ValueError:
        raise ArgumentTypeError(
            _("%(text)s is not a correlation ID: get_meeting_migration_status lists them.") % {"text": repr(text)}
        ) from None
