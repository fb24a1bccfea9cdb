"""When a recurring meeting takes place: for the last time, and around a moment (RFC 5545 section 3.8.5.3)."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice

from dateutil.rrule import rrule, rrulestr
from icalendar import vDDDTypes

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.moments import LAST_YEAR, UNKNOWN_ZONE, Moment
from tenants_app.sentences import sentence

MOST_OCCURRENCES = 20_000
"""How many occurrences of a rule are counted out before its end is taken from UNTIL, or taken to be open."""
_LONGEST_SERIES = timedelta(days=366 * 30)
_LONGEST_RULE = 2_000
_MOST_OF_A_PART = 400  # BYYEARDAY has 366
_BY_PARTS = {f"BY{unit}" for unit in ("SECOND", "MINUTE", "HOUR", "DAY", "MONTHDAY", "YEARDAY", "WEEKNO", "MONTH")}
_RULE_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSETPOS", "BYEASTER", "RSCALE", "SKIP"} | _BY_PARTS
_FREQUENCIES = frozenset(["SECONDLY", "MINUTELY", "HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
_TOO_FAST = frozenset(["SECONDLY", "MINUTELY", "HOURLY"])
# A rule of every day that these thin out may never fire, which dateutil finds out in the year 9999.
_THINNED_OUT = frozenset(["BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER", "BYSETPOS"])


_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ONE_DAY_OF_MONTH = re.compile(r"-?\d{1,2}|[+-]?\d(?:MO|TU|WE|TH|FR|SA|SU)")


@dataclass(frozen=True, slots=True)
class Repetition:
    """How a series recurs, where a few words tell it; `frequency` is "" where they do not.

    `frequency` is DAILY, WEEKLY, MONTHLY or YEARLY, `weekdays` are numbers from Monday, 0, `until` is wall time.
    """

    frequency: str = ""
    interval: int = 1
    weekdays: tuple[int, ...] = ()
    count: int | None = None
    until: datetime | None = None


def repetition(value: bytes, start: Moment) -> Repetition:
    """Return how an RRULE recurs. Raises UnreadableCalendar."""
    parts = _rule_parts(value)
    until = _until(parts.pop("UNTIL", ""), start)
    count = parts.pop("COUNT", "")
    frequency, interval = parts.pop("FREQ"), int(parts.pop("INTERVAL", "1"))
    parts.pop("WKST", None)
    days = tuple(sorted(map(_DAYS.index, filter(_DAYS.__contains__, parts.get("BYDAY", "").split(",")))))
    if frequency == "DAILY" and interval == 1 and parts.keys() == {"BYDAY"}:
        frequency = "WEEKLY"
    if not _is_told_by_its_frequency(frequency, parts):
        return Repetition()
    return Repetition(
        frequency,
        interval,
        days if frequency == "WEEKLY" else (),
        int(count[:12]) if count.isdigit() else None,
        until if until is None or until.year <= LAST_YEAR else None,
    )


def _is_told_by_its_frequency(frequency: str, parts: dict[str, str]) -> bool:
    """Tell whether a rule fires once in each of its days, months or years, or on the named days of each week."""
    if frequency == "WEEKLY":
        return not parts.keys() - {"BYDAY"} and all(day in _DAYS for day in parts.get("BYDAY", "MO").split(","))
    if frequency == "DAILY":
        return not parts
    if frequency not in ("MONTHLY", "YEARLY"):
        return False
    if frequency == "YEARLY" and not parts.pop("BYMONTH", "1").isdigit():
        return False
    if parts.keys() == {"BYDAY", "BYSETPOS"}:
        return re.fullmatch(r"-?\d{1,3}", parts["BYSETPOS"]) is not None
    return len(parts) <= 1 and all(
        name in ("BYMONTHDAY", "BYDAY") and _ONE_DAY_OF_MONTH.fullmatch(text) for name, text in parts.items()
    )


_ENDS = re.compile(rb"(?:^|;)(?:COUNT|UNTIL)=[^;]*+", re.IGNORECASE)
_UNTIL_DAY = re.compile(rb"(?:^|;)UNTIL=(\d{8})", re.IGNORECASE)


def ended_before(value: bytes, end: datetime, form: str) -> bytes:
    """Return the value of an RRULE without the occurrences from `end` on; a rule that ends before stays as it is.

    `form` is how UNTIL is written, as DTSTART is (RFC 5545 section 3.3.10): a format of strftime. One of the
    occurrences is at `end`, which is aware, so whatever COUNT says ends later.
    """
    last = end - (timedelta(seconds=1) if "%H" in form else timedelta(days=1))
    until = last.astimezone(UTC).strftime(form).encode()
    ends_itself = _UNTIL_DAY.search(value)
    if ends_itself and ends_itself[1] < until[:8]:
        return value
    return _ENDS.sub(b"", value).strip(b"; ") + b";UNTIL=" + until


def last_of_rule(value: bytes, start: Moment, replaced: set[datetime], days_off: set[date]) -> Moment | None:
    """Return the last occurrence of an RRULE that still takes place; None when the rule has no end, or none known.

    Rules are counted out only so far: beyond that UNTIL is taken for the end, and COUNT for no end.
    """
    parts, until, count, is_countable = _bounds(value, start)
    horizon = start.wall + _LONGEST_SERIES
    latest = None if until is None else Moment(until, start.zone, start.is_day)
    if not is_countable or (until is not None and until > horizon):
        return latest
    if until is None and count > MOST_OCCURRENCES:
        _occurrences(parts, start, start.wall, 1)  # tells whether the rule can be read at all
        return None
    occurrences = _occurrences(parts, start, until or horizon, min(count, MOST_OCCURRENCES + 1))
    if len(occurrences) > MOST_OCCURRENCES or (until is None and len(occurrences) < count):
        return latest
    for wall in reversed(occurrences):
        moment = Moment(wall, start.zone, start.is_day)
        if moment.utc() not in replaced and wall.date() not in days_off:
            return moment
    return start


def occurrences_of_rule(value: bytes, start: Moment, earliest: datetime, latest: datetime) -> list[Moment]:
    """Return the occurrences of an RRULE whose wall time lies between `earliest` and `latest`.

    None are found of a rule that is not counted out (see `last_of_rule`), nor beyond as many as are counted out.
    """
    parts, until, count, is_countable = _bounds(value, start)
    if not is_countable:
        return []
    last = latest if until is None else min(until, latest)
    occurrences = _occurrences(parts, start, last, min(count, MOST_OCCURRENCES))
    return [Moment(wall, start.zone, start.is_day) for wall in occurrences if wall >= earliest]


def _bounds(value: bytes, start: Moment) -> tuple[dict[str, str], datetime | None, int, bool]:
    """Return the parts of a rule without those that end it, UNTIL, COUNT, and whether it can be counted out."""
    parts = _rule_parts(value)
    until = _until(parts.pop("UNTIL", ""), start)
    if until is not None and start.zone is None:
        until += UNKNOWN_ZONE
    if until is not None and until.year > LAST_YEAR:
        until = None  # how some calendars write "for ever"
    count_text = parts.pop("COUNT", "")
    if count_text and not (count_text.isdigit() and int(count_text[:12])):
        raise bad_rule()
    count = int(count_text[:12]) if count_text else MOST_OCCURRENCES + 1
    is_countable = (
        parts["FREQ"] not in _TOO_FAST
        and not (parts["FREQ"] in ("DAILY", "WEEKLY") and _THINNED_OUT & parts.keys())
        and parts.pop("RSCALE", "GREGORIAN") == "GREGORIAN"
    )
    parts.pop("SKIP", None)
    return parts, until, count, is_countable


def _rule_parts(value: bytes) -> dict[str, str]:
    if len(value) > _LONGEST_RULE:
        raise bad_rule()
    parts = {}
    for part in value.decode("ascii", "replace").split(";"):
        name, equals, content = part.partition("=")
        name = name.strip().upper()
        if name in _RULE_PARTS:
            if not equals:
                raise bad_rule()
            parts[name] = content.replace(" ", "").upper()
        if content.count(",") > _MOST_OF_A_PART:
            raise bad_rule()
    if parts.get("FREQ") not in _FREQUENCIES:
        raise bad_rule()
    interval = parts.get("INTERVAL", "1")
    if not interval.isdigit() or not 1 <= int(interval[:9]) <= 10_000:
        raise bad_rule()
    return parts


def _until(text: str, start: Moment) -> datetime | None:
    """Return UNTIL as wall time of the series."""
    if not text:
        return None
    try:
        until = vDDDTypes.from_ical(text)
        if isinstance(until, datetime):
            if until.tzinfo is None:
                return until
            near = until.year <= LAST_YEAR
            return (until.astimezone(start.zone or UTC) if near else until).replace(tzinfo=None)
        if isinstance(until, date):
            return datetime.combine(until, time.max)
    except (ValueError, TypeError, OverflowError) as error:
        raise bad_rule() from error
    raise bad_rule()


def _occurrences(parts: dict[str, str], start: Moment, until: datetime, most: int) -> list[datetime]:
    text = ";".join(f"{name}={value}" for name, value in parts.items())
    try:
        rule = rrulestr(text, dtstart=start.wall)
        if not isinstance(rule, rrule):
            raise bad_rule()
        return list(islice(rule.replace(until=until), most))
    except (ValueError, TypeError, OverflowError, KeyError, IndexError, AttributeError) as error:
        raise bad_rule() from error


def bad_rule() -> UnreadableCalendar:
    return UnreadableCalendar(sentence("The event's RRULE cannot be read, so nobody can tell when the series ends."))
