"""What becomes of rows when what they name is deleted, where Django has no rule of its own for it."""

from __future__ import annotations

from typing import Any

from django.db.models import CASCADE, SET_NULL


def own_go_shared_stay(collector: Any, field: Any, rows: Any, using: str) -> None:
    """What an account that is deleted takes along: its own; what it has shared stays, without owner."""
    CASCADE(collector, field, rows.filter(is_shared=False), using)
    SET_NULL(collector, field, rows.filter(is_shared=True), using)
