"""Time zones by name, times as people type them, and daily windows on days when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import translation

from tenants_app.local_times import DailyWindow, in_words, read_moment, read_time, told
from tenants_app.models import Tenant
from tenants_app.validators import validate_time_zone

ROME = ZoneInfo("Europe/Rome")
MONDAY = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
"""10:00 in Rome, where the clocks go back on 25 October 2026 and forward on 28 March 2027, both at 01:00 UTC."""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Europe/Rom", "did you mean “Europe/Rome”?"),
        ("europe/rome", "did you mean “Europe/Rome”?"),
        ("Rome", "did you mean “Europe/Rome”?"),
        ("new york", "did you mean “America/New_York”?"),
        ("", "give a name such as Europe/Rome or UTC."),
        ("../../etc/passwd", "give a name such as Europe/Rome or UTC."),
        ("/Europe/Rome", "did you mean “Europe/Rome”?"),
        ("Europe/Rome\x00", "did you mean “Europe/Rome”?"),
        ("localtime", "give a name such as Europe/Rome or UTC."),
        ("x" * 100_000, "give a name such as Europe/Rome or UTC."),
    ],
)
def test_a_time_zone_that_does_not_exist_is_named_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_time_zone(name)

    assert refused.value.messages[0].startswith("There is no time zone “")
    assert refused.value.messages[0].endswith(meant)
    assert len(refused.value.messages[0]) < 250


@pytest.mark.parametrize("name", ["UTC", "Europe/Rome", "America/Argentina/Buenos_Aires", "Etc/GMT+5"])
def test_time_zones_that_exist_are_taken(name: str) -> None:
    validate_time_zone(name)


def test_zones_are_called_what_people_call_them() -> None:
    assert [in_words(ZoneInfo(name)) for name in ("Europe/Rome", "UTC", "America/New_York", "Etc/GMT+5")] == [
        "Rome time",
        "UTC",
        "New York time",
        "GMT+5",
    ]


def test_a_tenant_has_utc_until_it_has_its_own(tenant: Tenant) -> None:
    assert tenant.time_zone == "UTC"
    assert str(tenant.zone) == "UTC"


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("Saturday 22:00", "2026-12-05T21:00"),
        ("sat 22:00", "2026-12-05T21:00"),
        ("on Saturday, 10 pm", "2026-12-05T21:00"),
        ("  SATURDAY   at 22.00 ", "2026-12-05T21:00"),
        ("tonight 22:00", "2026-11-30T21:00"),
        ("today 10:01", "2026-11-30T09:01"),
        ("tomorrow 6:00", "2026-12-01T05:00"),
        ("Monday 22:00", "2026-11-30T21:00"),
        ("Monday 9:00", "2026-12-07T08:00"),
        ("22:00", "2026-11-30T21:00"),
        ("9:00", "2026-12-01T08:00"),
        ("12 am", "2026-11-30T23:00"),
        ("2026-12-05T22:00", "2026-12-05T21:00"),
        ("2026-12-05 22:00", "2026-12-05T21:00"),
        ("2026-12-05T22:00Z", "2026-12-05T22:00"),
        ("2026-12-05T22:00-05:00", "2026-12-06T03:00"),
        ("12/5/2026 10:00 PM", "2026-12-05T21:00"),
        ("2026-07-05T22:00+02:00", None),
    ],
)
def test_it_reads_times_as_people_say_them(typed: str, moment: str | None) -> None:
    if moment is None:
        with pytest.raises(ValidationError, match="is past: choose a time to come"):
            read_moment(typed, ROME, MONDAY)
    else:
        assert read_moment(typed, ROME, MONDAY) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "typed"),
    [("es", "sábado 22:00"), ("es", "Sabado 22:00"), ("it", "sabato 22:00"), ("es", "Saturday 22:00")],
)
def test_a_day_may_be_named_in_the_language_of_the_page(language: str, typed: str) -> None:
    with translation.override(language):
        said = read_moment(typed, ROME, MONDAY)

    assert said == read_moment("Saturday 22:00", ROME, MONDAY)


@pytest.mark.parametrize("language", ["es", "it"])
def test_where_the_day_comes_first_a_date_with_slashes_is_not_guessed(language: str) -> None:
    with translation.override(language), pytest.raises(ValidationError, match="2026-12-05T22:00"):
        read_moment("5/1/2027 22:00", ROME, MONDAY)


@pytest.mark.parametrize(
    "typed",
    [
        "soon",
        "Saturday",
        "2026-12-05",
        "25:00",
        "Saturday 24:00",
        "13 pm",
        "0 am",
        "22",
        "Someday 22:00",
        "22:00\x00",
        "٢٢:٠٠",
        "9999-99-99T00:00",
        "Saturday 22:00:99",
        "<b>22:00</b>",
        "-1:00",
        "tomorrow",
        "1e3:00",
        "x" * 100_000,
    ],
)
def test_what_is_no_time_is_refused_in_a_sentence(typed: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read_moment(typed, ROME, MONDAY)

    assert "is not a time: write it as Saturday 22:00, tomorrow 6:00 or 2026-12-05T22:00." in refused.value.messages[0]
    assert len(refused.value.messages[0]) < 220


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("today 10:00", "Monday 30 November 2026, 10:00, Rome time, is past: choose a time to come."),
        ("2025-01-01T00:00", "Wednesday 1 January 2025, 00:00, Rome time, is past: choose a time to come."),
        ("2028-01-01T00:00", "Saturday 1 January 2028, 00:00, Rome time, is more than a year away"),
        ("0001-01-01T00:00+10:00", "is not a time"),
        ("9999-12-31T23:59-10:00", "is not a time"),
        ("2027-03-28T02:30", "There is no 02:30 on Sunday 28 March 2027 in Rome time, because the clocks go forward"),
    ],
)
def test_times_that_cannot_be_are_refused_in_a_sentence(typed: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as refused:
        read_moment(typed, ROME, MONDAY)

    assert sentence in refused.value.messages[0]


def test_a_time_that_the_clocks_show_twice_is_asked_for_more_exactly() -> None:
    day_before = datetime(2026, 10, 24, 9, 0, tzinfo=UTC)
    with pytest.raises(ValidationError) as refused:
        read_moment("tomorrow 2:30", ROME, day_before)

    assert refused.value.messages == [
        "The clocks show 02:30 on Sunday 25 October 2026 twice in Rome time, because they go back then: choose another "
        "time, or write 2026-10-25T02:30+02:00 or 2026-10-25T02:30+01:00."
    ]
    second = read_moment("2026-10-25T02:30+01:00", ROME, day_before)
    assert second == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert told(second, ROME) == "Sunday 25 October 2026, 02:30 (+01:00), Rome time"


@pytest.mark.parametrize(("typed", "read"), [("22:00", time(22)), ("6 am", time(6)), (" 0:30 ", time(0, 30))])
def test_it_reads_times_of_the_day(typed: str, read: time) -> None:
    assert read_time(typed) == read


@pytest.mark.parametrize(
    ("begin", "end", "after", "opens", "closes"),
    [
        # by day; at the very end it is over
        ("09:00", "17:00", "2026-11-30T07:00", "2026-11-30T08:00", "2026-11-30T16:00"),
        ("09:00", "17:00", "2026-11-30T15:59", "2026-11-30T08:00", "2026-11-30T16:00"),
        ("09:00", "17:00", "2026-11-30T16:00", "2026-12-01T08:00", "2026-12-01T16:00"),
        # across midnight
        ("22:00", "06:00", "2026-11-30T09:00", "2026-11-30T21:00", "2026-12-01T05:00"),
        ("22:00", "06:00", "2026-12-01T04:59", "2026-11-30T21:00", "2026-12-01T05:00"),
        ("22:00", "00:00", "2026-11-30T09:00", "2026-11-30T21:00", "2026-11-30T23:00"),
        # the night is an hour longer, or shorter, on a day when the clocks change
        ("22:00", "06:00", "2026-10-24T20:00", "2026-10-24T20:00", "2026-10-25T05:00"),
        ("22:00", "06:00", "2027-03-27T21:00", "2027-03-27T21:00", "2027-03-28T04:00"),
        # from or to a time that the clocks show twice: smaller, and where that leaves nothing, the first time
        ("02:30", "05:00", "2026-10-25T00:00", "2026-10-25T01:30", "2026-10-25T04:00"),
        ("22:00", "02:30", "2026-10-24T20:00", "2026-10-24T20:00", "2026-10-25T00:30"),
        ("02:10", "02:50", "2026-10-24T23:00", "2026-10-25T00:10", "2026-10-25T00:50"),
        # from or to a time that the clocks skip; the whole of it skipped
        ("02:30", "05:00", "2027-03-28T00:00", "2027-03-28T01:00", "2027-03-28T03:00"),
        ("22:00", "02:30", "2027-03-27T21:00", "2027-03-27T21:00", "2027-03-28T01:00"),
        ("02:10", "02:50", "2027-03-27T23:00", "2027-03-29T00:10", "2027-03-29T00:50"),
    ],
)
def test_a_daily_window_opens_when_the_clocks_there_say_so(
    begin: str, end: str, after: str, opens: str, closes: str
) -> None:
    window = DailyWindow(time.fromisoformat(begin), time.fromisoformat(end))
    found = window.next_opening(ROME, datetime.fromisoformat(after).replace(tzinfo=UTC))

    assert [each.isoformat()[:16] for each in found] == [opens, closes]


def test_a_window_is_never_open_when_the_clocks_there_show_a_time_outside() -> None:
    for begin, end in (
        (time(22), time(6)),
        (time(2, 30), time(5)),
        (time(21), time(2, 30)),
        (time(2, 10), time(2, 50)),
    ):
        for first in (datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2027, 3, 27, 12, tzinfo=UTC)):
            for minutes in range(0, 36 * 60, 10):
                now = first + timedelta(minutes=minutes)
                opens, closes = DailyWindow(begin, end).next_opening(ROME, now)
                shown = now.astimezone(ROME).time()
                is_inside = begin <= shown < end if begin < end else shown >= begin or shown < end
                assert closes > now
                if opens <= now:
                    assert is_inside, (begin, end, now)
