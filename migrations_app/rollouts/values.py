"""What an admin types of a rollout or a wave, as it is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.core.exceptions import ValidationError

from migrations_app.models import Wave
from tenants_app.sentences import sentence

PERIODS = {Wave.Purpose.TEST.value: 1, Wave.Purpose.PILOT.value: 7}
"""Days of the pilot period that a wave starts with, by its purpose; of others none (R81)."""
MOST_BATCHES = 20
LARGEST_BATCH = 100_000


def settable(values: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """The values, with a name without spaces around it. Raises ``TypeError`` for what is none of these fields."""
    if unknown := values.keys() - set(fields):
        raise TypeError(f"not to be set here: {', '.join(sorted(unknown))}")
    return {name: value.strip() if name == "name" else value for name, value in values.items()}


def checked_batches(given: str | Iterable[int] | None) -> list[int]:
    """Batch sizes such as ``1, 10, 100``, as text or as numbers; none at all where nothing is given (R77)."""
    if given is None:
        return []
    parts = [part.strip() for part in given.split(",")] if isinstance(given, str) else [str(part) for part in given]
    if parts == [""]:
        return []
    sizes = []
    for part in parts:
        if not (part.isascii() and part.isdigit()) or not 1 <= int(part[:9]) <= LARGEST_BATCH or len(part) > 9:
            raise ValidationError(
                {
                    "batches": sentence(
                        "“%(part)s” is no batch size: write numbers from 1 to %(most)s with commas between them, "
                        "such as 1, 10, 100.",
                        part=part[:50],
                        most=LARGEST_BATCH,
                    )
                }
            )
        sizes.append(int(part))
    if len(sizes) > MOST_BATCHES:
        raise ValidationError(
            {
                "batches": sentence(
                    "Give at most %(most)s batch sizes: the last one repeats by itself.", most=MOST_BATCHES
                )
            }
        )
    return sizes
