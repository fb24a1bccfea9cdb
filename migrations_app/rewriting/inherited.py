"""The meeting block of a series as an occurrence without a description of its own inherits it (R23)."""

from datetime import datetime

from migrations_app.calendars.content_lines import parse
from migrations_app.rewriting.components import components_of


def lines_of_block(source: bytes, now: datetime) -> list[bytes]:
    """Return description lines that hold the meeting block of the series and nothing else of it, unfolded.

    Empty where the series has no intact block. `now` is aware. Raises UnreadableCalendar.
    """
    series = (each for each in components_of(source, parse(source), now) if not each.recurrence_id)
    return [
        each.unfolded[: each.value_start] + each.value[found.cut.start : found.cut.end]
        for component in series
        for each in component.descriptions
        if (found := each.sight.found) is not None
    ]
