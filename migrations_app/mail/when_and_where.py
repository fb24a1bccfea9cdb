"""When and where a meeting takes place, in the language of the invitation and by the clock of the meeting's zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

from migrations_app.calendars.appointments import Appointment
from migrations_app.calendars.recurrence import Repetition
from migrations_app.rewriting.labels import LABELS

Facts = list[tuple[str, str]]
"""Lines of a label and what it says, such as ("Where", "Room 7")."""


def when_and_where(appointments: Sequence[Appointment], language: str) -> Facts:
    """Return when and where each takes place, in a language of ``language_of``; what is said already is not repeated.

    A meeting without a place is an online meeting, since it carries a meeting block.
    """
    labels = LABELS[language]
    told = dict.fromkeys((each.location or labels["location"], _when(each, labels)) for each in appointments)
    facts: Facts = []
    for place, several in groupby(told, key=itemgetter(0)):
        facts += [(labels["when"], when) for _, when in several]
        facts.append((labels["where"], place))
    return facts


def _when(appointment: Appointment, labels: Mapping[str, str]) -> str:
    start, end = appointment.start, appointment.end
    first = date_in_words(start, labels)
    if appointment.is_day:
        dates = first if end.date() <= start.date() else f"{first} – {date_in_words(end, labels)}"
        text = labels["all_day"].format(dates=dates)
    else:
        text = f"{first}, {time_in_words(start, labels)}"
        if end.date() != start.date():
            text += f" – {date_in_words(end, labels)}, {time_in_words(end, labels)}"
        elif end > start:
            text += f" – {time_in_words(end, labels)}"
        if appointment.zone:
            text += f" ({appointment.zone})"
    return f"{text}; {_recurs(appointment.repetition, labels)}" if appointment.repetition else text


def _recurs(repetition: Repetition, labels: Mapping[str, str]) -> str:
    if not repetition.frequency:
        return labels["repeats"]
    unit = repetition.frequency.lower()
    text = labels[unit if repetition.interval == 1 else f"{unit}_n"].format(number=repetition.interval)
    if repetition.weekdays:
        names = _names(labels["weekdays"])
        text += f" ({', '.join(names[day] for day in repetition.weekdays)})"
    if repetition.count:
        once = repetition.count == 1
        text += f", {labels['once' if once else 'times'].format(number=repetition.count)}"
    if repetition.until:
        text += f" {labels['until'].format(date=date_in_words(repetition.until, labels))}"
    return text


def date_in_words(moment: datetime, labels: Mapping[str, str]) -> str:
    """The day of a local time, in the language of the labels."""
    return labels["date"].format(
        weekday=_names(labels["weekdays"])[moment.weekday()],
        day=moment.day,
        month=_names(labels["months"])[moment.month - 1],
        year=moment.year,
    )


def time_in_words(moment: datetime, labels: Mapping[str, str]) -> str:
    """The time of the day, in the language of the labels."""
    half = "AM" if moment.hour < 12 else "PM"
    hour_of_half = (moment.hour - 1) % 12 + 1
    return labels["time"].format(hour=moment.hour, minute=moment.minute, hour_of_half=hour_of_half, half=half)


@lru_cache(maxsize=64)
def _names(text: str) -> list[str]:
    return text.split()
