"""Times as the people of a tenant say them: time zones by name, “Saturday 22:00”, and daily windows.

A local time that the clocks skip, or show twice, when they change names no moment: what a person typed is refused then
(:func:`moment_of`), and a window that begins or ends there is made smaller, never larger (:class:`DailyWindow`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.core.exceptions import ValidationError
from django.utils.dateformat import format as formatted
from django.utils.dates import WEEKDAYS
from django.utils.translation import get_language, gettext, pgettext

from tenants_app.folding import fold
from tenants_app.sentences import sentence

FURTHEST = timedelta(days=366)
"""How far ahead a time to come may be."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_AMERICAN_TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%I %p")
_CLOCK = re.compile(r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d{2}))?(?::00)?\s*(?P<half>[ap]m)?", re.ASCII)
_DAY = "|".join(("today", "tonight", "tomorrow", *_DAYS, *(day[:3] for day in _DAYS)))
_SAID = re.compile(rf"(?:(?:on )?(?P<day>{_DAY})\b)?(?P<clock>.*)")


# --- time zones ---------------------------------------------------------------------------------------


@cache
def time_zone_names() -> tuple[str, ...]:
    """All names of time zones, in order. They do not change while the process runs."""
    return tuple(sorted(available_timezones() - {"Factory", "localtime"}))


@cache
def place_names() -> tuple[str, ...]:
    """The names that are proposed: UTC, and those of places."""
    places = ("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
    return ("UTC", *(name for name in time_zone_names() if name.partition("/")[0] in places))


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that name, which :func:`validate_time_zone` has let pass."""
    return ZoneInfo(name)


def in_words(zone: tzinfo) -> str:
    """What the people there call it: ``Rome time``, or the name of what is no place, such as ``UTC``."""
    region, _, place = str(zone).rpartition("/")
    return sentence("%(place)s time", place=place.replace("_", " ")) if region and region != "Etc" else place


def told(moment: datetime, zone: tzinfo) -> str:
    """``Saturday 5 December 2026, 22:00, Rome time``. Where the clocks show it twice, with its offset."""
    local = moment.astimezone(zone)
    offset = f" ({local.isoformat()[-6:]})" if is_shown_twice(local) else ""
    when = formatted(local, pgettext("format of a date with its time", "l j F Y, H:i"))
    return f"{when}{offset}, {in_words(zone)}"


def is_shown_twice(local: datetime) -> bool:
    """Whether the clocks show the time of that moment twice, so that it needs its offset to be told."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def moment_of(local: datetime, zone: tzinfo) -> datetime:
    """The moment of a local time without zone, in UTC. Raises ``ValidationError`` where the clocks never show it, or
    show it twice."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    when = sentence(
        "%(time)s on %(day)s",
        time=formatted(local, "H:i"),
        day=formatted(local, pgettext("format of a date", "l j F Y")),
    )
    if second < first:
        raise ValidationError(
            sentence(
                "There is no %(when)s in %(zone)s, because the clocks go forward then: choose another time.",
                when=when,
                zone=in_words(zone),
            )
        )
    if first < second:
        ways = gettext(" or ").join(each.astimezone(zone).isoformat(timespec="minutes") for each in (first, second))
        raise ValidationError(
            sentence(
                "The clocks show %(when)s twice in %(zone)s, because they go back then: choose another time, "
                "or write %(ways)s.",
                when=when,
                zone=in_words(zone),
                ways=ways,
            )
        )
    return first


# --- what a person types ------------------------------------------------------------------------------


def read_moment(text: str, zone: tzinfo, now: datetime) -> datetime:
    """A moment to come, in UTC, as a person types it: ``Saturday 22:00``, ``tonight 22:00``, ``tomorrow 6:00``,
    ``22:00``, ``2026-12-05T22:00`` or, in English, ``12/5/2026 22:00``, in that time zone where it names no offset.

    Raises ``ValidationError`` with a sentence where it is none, is past, or more than a year away.
    """
    said = " ".join(text.split())[:100]
    moment = _as_written(said, zone) or _as_said(said.lower(), zone, now) or _as_said(_in_english(said), zone, now)
    if moment is None:
        raise ValidationError(
            sentence(
                "“%(said)s” is not a time: write it as Saturday 22:00, tomorrow 6:00 or 2026-12-05T22:00.", said=said
            )
        )
    if moment <= now:
        raise ValidationError(sentence("%(moment)s, is past: choose a time to come.", moment=told(moment, zone)))
    if moment - now > FURTHEST:
        raise ValidationError(
            sentence("%(moment)s, is more than a year away: choose an earlier time.", moment=told(moment, zone))
        )
    return moment


def _as_written(text: str, zone: tzinfo) -> datetime | None:
    """A date with its time, as it is written in figures.

    The month comes first in English alone, as it does for Microsoft's cmdlets: where others read the page, 12/5/2026
    is a day in May to them, and none is better than the wrong one.
    """
    if "/" in text and not (get_language() or "en").startswith("en"):
        return None
    found = written_time(text, None)
    if found is None:
        return None
    try:
        return found.astimezone(UTC) if found.tzinfo else moment_of(found.replace(fold=0), zone)
    except OverflowError:
        return None


def _in_english(text: str) -> str:
    """The text with the words for days in English that are those of the active language, whatever their accents."""
    days = zip(map(str, WEEKDAYS.values()), _DAYS, strict=True)
    words = {**dict(days), gettext("today"): "today", gettext("tonight"): "tonight", gettext("tomorrow"): "tomorrow"}
    clock = {pgettext("before a time of the day", "at"): "at", pgettext("before a day", "on"): "on"}
    known = {fold(word): english for word, english in (words | clock).items()}
    found = "|".join(map(re.escape, sorted(known, key=len, reverse=True)))
    return re.sub(rf"\b(?:{found})\b", lambda word: known[word[0]], fold(text))


def _as_said(text: str, zone: tzinfo, now: datetime) -> datetime | None:
    """A time of one of the next days."""
    parts = _SAID.fullmatch(text)
    clock = _time(re.sub(r"^(,|at|in)\b\s*|^,\s*", "", parts["clock"].strip())) if parts else None
    if parts is None or clock is None:
        return None
    today, day = now.astimezone(zone).date(), parts["day"]
    if day in {"today", "tonight"}:
        return moment_of(datetime.combine(today, clock), zone)
    if day == "tomorrow":
        return moment_of(datetime.combine(today + timedelta(days=1), clock), zone)
    ahead = 0 if day is None else (next(i for i, d in enumerate(_DAYS) if d.startswith(day)) - today.weekday()) % 7
    if datetime.combine(today + timedelta(days=ahead), clock) <= now.astimezone(zone).replace(tzinfo=None):
        ahead += 1 if day is None else 7
    return moment_of(datetime.combine(today + timedelta(days=ahead), clock), zone)


def read_time(text: str) -> time:
    """A time of the day, such as ``22:00`` or ``6 am``. Raises ``ValidationError``."""
    found = _time(" ".join(text.lower().split()))
    if found is None:
        raise ValidationError(
            sentence("“%(said)s” is not a time of the day: write it as 22:00.", said=text.strip()[:50])
        )
    return found


def _time(text: str) -> time | None:
    parts = _CLOCK.fullmatch(text)
    if parts is None or not (parts["minute"] or parts["half"]):
        return None
    hour, half = int(parts["hour"]), parts["half"]
    if half and not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "pm" else 0) if half else hour
    try:
        return time(hour, int(parts["minute"] or 0))
    except ValueError:
        return None


def written_time(text: str, time_of_a_date: time | None) -> datetime | None:
    """A date with its time in ISO 8601, or with the month first as in ``10/1/2016 3:00 PM``; None where it is none.

    A date alone is taken for ``time_of_a_date``, and for none without. It has a zone where the text has one.
    """
    day, _, clock = text.partition(" ")
    if re.fullmatch(r"\d{1,2}/\d{1,2}/\d{4}", day):
        for pattern in _AMERICAN_TIMES if clock else ():
            try:
                return datetime.strptime(text, f"%m/%d/%Y {pattern}")  # noqa: DTZ007 - the caller adds the zone
            except ValueError:
                continue
        if clock:
            return None
        month, day_of_month, year = map(int, day.split("/"))
        text = f"{year:04}-{month:02}-{day_of_month:02}"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{8}", text):
        return moment
    return datetime.combine(moment.date(), time_of_a_date) if time_of_a_date is not None else None


# --- daily windows ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """From one local time to another, each day, across midnight where it ends no later than it begins."""

    begin: time
    end: time

    def next_opening(self, zone: tzinfo, after: datetime) -> tuple[datetime, datetime]:
        """When it is open next, or now: from when to when, in UTC, with the end after ``after``.

        On a day whose clocks skip the whole of it, it does not open.
        """
        day = after.astimezone(zone).date() - timedelta(days=1)
        while True:
            opens, closes = self._on(day, zone)
            if opens < closes and after < closes:
                return opens, closes
            day += timedelta(days=1)

    def _on(self, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        last = day + timedelta(days=1) if self.end <= self.begin else day
        closes = _first_reached(datetime.combine(last, self.end), zone, fold=0)
        opens = _first_reached(datetime.combine(day, self.begin), zone, fold=1)
        if closes <= opens:  # both in the hour that comes twice
            opens = _first_reached(datetime.combine(day, self.begin), zone, fold=0)
        return opens, closes

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}–{self.end:%H:%M}"


def _first_reached(local: datetime, zone: tzinfo, *, fold: int) -> datetime:
    """When the clocks show that time, or go past it; of two such moments the first or the second, by ``fold``."""
    first, second = (local.replace(tzinfo=zone, fold=each).astimezone(UTC) for each in (0, 1))
    if first <= second:
        return second if fold else first
    # The clocks skip it: the moment when they do lies between the two.
    before, after = second, first
    offset = after.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)
