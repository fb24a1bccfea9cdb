"""What takes place around a moment: series, changed and cancelled occurrences, whole days, time zones."""

from datetime import UTC, datetime, timedelta

import pytest

from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import occurrences
from tests.support.samples import calendar, event

DAY = "DTSTART;VALUE=DATE:20300301"
OVERRIDE_AT = "RECURRENCE-ID:20300304T100000Z"


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


def starts(source: bytes, now: datetime, until: timedelta = timedelta(minutes=15)) -> list[datetime]:
    return [found.start for found in occurrences(source, now, now + until)]


SERIES = event("RRULE:FREQ=DAILY;COUNT=10")


@pytest.mark.parametrize(
    ("now", "is_on"),
    [
        (at(2030, 3, 1, 9, 44), False),
        (at(2030, 3, 1, 9, 45), True),
        (at(2030, 3, 1, 10, 30), True),
        (at(2030, 3, 1, 11), False),
    ],
)
def test_a_meeting_counts_from_its_notice_to_its_end(now: datetime, is_on: bool) -> None:
    assert bool(starts(calendar(event()), now)) is is_on


@pytest.mark.parametrize(
    ("lines", "now", "begins"),
    [
        (["RRULE:FREQ=DAILY"], at(2041, 7, 9, 10, 5), at(2041, 7, 9, 10)),
        (["RRULE:FREQ=DAILY;COUNT=10"], at(2030, 3, 10, 10, 5), at(2030, 3, 10, 10)),
        (["RRULE:FREQ=DAILY;COUNT=10"], at(2030, 3, 11, 10, 5), None),
        (["RRULE:FREQ=DAILY;UNTIL=20300304T100000Z"], at(2030, 3, 4, 10, 5), at(2030, 3, 4, 10)),
        (["RRULE:FREQ=DAILY;UNTIL=20300304T100000Z"], at(2030, 3, 5, 10, 5), None),
        (["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=FR"], at(2030, 3, 15, 10, 5), at(2030, 3, 15, 10)),
        (["RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=FR"], at(2030, 3, 8, 10, 5), None),
        (["RRULE:FREQ=MONTHLY;BYDAY=-1FR"], at(2030, 4, 26, 10, 5), at(2030, 4, 26, 10)),
        (["RRULE:FREQ=DAILY", "EXDATE:20300304T100000Z"], at(2030, 3, 4, 10, 5), None),
        (["RRULE:FREQ=DAILY", "EXDATE;VALUE=DATE:20300304"], at(2030, 3, 4, 10, 5), None),
        (["RDATE:20300309T140000Z"], at(2030, 3, 9, 14, 5), at(2030, 3, 9, 14)),
        (["RDATE:20300309T140000Z"], at(2030, 3, 1, 10, 5), at(2030, 3, 1, 10)),
    ],
)
def test_a_series_takes_place_as_its_rule_says(lines: list[str], now: datetime, begins: datetime | None) -> None:
    assert starts(calendar(event(*lines)), now) == ([] if begins is None else [begins])


def test_a_series_keeps_to_the_clock_of_its_time_zone() -> None:
    stockholm = calendar(
        event(
            "RRULE:FREQ=DAILY",
            start="DTSTART;TZID=Europe/Stockholm:20300301T100000",
            end="DTEND;TZID=Europe/Stockholm:20300301T110000",
        )
    )

    assert starts(stockholm, at(2030, 3, 29, 9, 30)) == [at(2030, 3, 29, 9)]
    assert starts(stockholm, at(2030, 4, 1, 8, 30)) == [at(2030, 4, 1, 8)]
    assert starts(stockholm, at(2030, 4, 1, 9, 30)) == []


def test_a_moved_occurrence_takes_place_when_it_was_moved_to() -> None:
    moved = event(OVERRIDE_AT, start="DTSTART:20300305T150000Z", end="DTEND:20300305T160000Z")
    source = calendar(SERIES, moved)

    (found,) = occurrences(source, at(2030, 3, 5, 15, 30), at(2030, 3, 5, 15, 45))
    assert (found.start, found.recurrence_id) == (at(2030, 3, 5, 15), "20300304T100000Z")
    assert starts(source, at(2030, 3, 4, 10, 30)) == []
    assert starts(source, at(2030, 3, 5, 10, 30)) == [at(2030, 3, 5, 10)]


@pytest.mark.parametrize("line", ["STATUS:CANCELLED", "STATUS:cancelled"])
def test_a_cancelled_occurrence_takes_place_no_more(line: str) -> None:
    off = event(OVERRIDE_AT, line, start="DTSTART:20300304T100000Z", end="DTEND:20300304T110000Z")

    assert starts(calendar(SERIES, off), at(2030, 3, 4, 10, 30)) == []


def test_a_withdrawn_occurrence_takes_place_no_more() -> None:
    off = event(OVERRIDE_AT, start="DTSTART:20300304T100000Z", end="DTEND:20300304T110000Z")
    withdrawn = calendar(off).replace(b"VERSION:2.0", b"VERSION:2.0\r\nMETHOD:CANCEL")

    assert starts(calendar(SERIES) + withdrawn, at(2030, 3, 4, 10, 30)) == []
    assert starts(calendar(SERIES) + withdrawn, at(2030, 3, 5, 10, 30)) == [at(2030, 3, 5, 10)]


def test_a_change_of_all_that_follow_moves_them_too() -> None:
    later = event(
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20300304T100000Z",
        start="DTSTART:20300304T130000Z",
        end="DTEND:20300304T133000Z",
    )
    source = calendar(SERIES, later)

    assert starts(source, at(2030, 3, 3, 10, 5)) == [at(2030, 3, 3, 10)]
    assert starts(source, at(2030, 3, 6, 10, 5)) == []
    assert starts(source, at(2030, 3, 6, 13, 5)) == [at(2030, 3, 6, 13)]
    assert starts(source, at(2030, 3, 6, 13, 30)) == []


def test_a_whole_day_lasts_as_long_as_it_is_that_day_anywhere() -> None:
    source = calendar(event(start=DAY, end="DTEND;VALUE=DATE:20300302"))

    (found,) = occurrences(source, at(2030, 3, 1, 12), at(2030, 3, 1, 12))
    assert found.vague
    assert (found.start, found.end) == (at(2030, 2, 28, 10), at(2030, 3, 2, 14))
    assert starts(source, at(2030, 3, 3)) == []


def test_a_time_without_a_zone_may_be_anybodys() -> None:
    (found,) = occurrences(
        calendar(event(start="DTSTART:20300301T100000", end="DTEND:20300301T110000")),
        at(2030, 3, 1, 3),
        at(2030, 3, 1, 3),
    )

    assert found.vague


def test_an_occurrence_that_came_without_its_series_takes_place() -> None:
    alone = event(OVERRIDE_AT, start="DTSTART:20300304T100000Z", end="DTEND:20300304T110000Z")

    assert starts(calendar(alone), at(2030, 3, 4, 10, 30)) == [at(2030, 3, 4, 10)]


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=DAILY;BYMONTHDAY=31;BYYEARDAY=1", "FREQ=WEEKLY;BYSETPOS=3;BYDAY=MO"]
)
def test_of_a_rule_that_might_never_fire_only_the_first_occurrence_is_known(rule: str) -> None:
    source = calendar(event(f"RRULE:{rule}"))

    assert starts(source, at(2030, 3, 1, 10, 30)) == [at(2030, 3, 1, 10)]
    assert starts(source, at(2035, 3, 1, 10, 30)) == []


def test_it_says_what_cannot_be_read() -> None:
    with pytest.raises(UnreadableCalendar):
        occurrences(calendar(event("RRULE:nonsense")), at(2030, 3, 1), at(2030, 3, 2))
