"""Recurrences, zones and dates of EWS as those of iCalendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from migrations_app.mailboxes.ews.events import Unreadable, event_of
from tests.support.ews_stand_in.operations import whole
from tests.support.ews_stand_in.shapes import NAMES
from tests.support.ews_stand_in.store import Item, Mailbox

START = datetime(2026, 9, 7, 8, tzinfo=UTC)


def item(rrule: str = "", zone: str = "W. Europe Standard Time", **more: object) -> Item:
    made = Item("Rounds", START, START + timedelta(hours=1), rrule=rrule, zone=zone, **more)  # type: ignore[arg-type]
    return Mailbox("anna@contoso.com", iter(range(99))).add(made)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("FREQ=DAILY;COUNT=5", "FREQ=DAILY;COUNT=5"),
        ("FREQ=DAILY;INTERVAL=3", "FREQ=DAILY;INTERVAL=3"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;WKST=SU", "FREQ=WEEKLY;BYDAY=MO,WE,FR;WKST=SU"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;WKST=MO"),
        ("FREQ=MONTHLY;BYMONTHDAY=15", "FREQ=MONTHLY;BYMONTHDAY=15"),
        ("FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1"),
        ("FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYDAY=-1FR"),
        ("FREQ=MONTHLY;BYDAY=2TU;INTERVAL=3", "FREQ=MONTHLY;INTERVAL=3;BYDAY=2TU"),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        ),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,29;BYSETPOS=-1"),
        ("FREQ=YEARLY;BYMONTH=9;BYDAY=1MO", "FREQ=YEARLY;BYMONTH=9;BYDAY=1MO"),
        # by then the clocks have been set back, and 10:00 in Berlin is 9:00 in UTC
        ("FREQ=WEEKLY;BYDAY=MO;UNTIL=20261214T090000Z", "FREQ=WEEKLY;BYDAY=MO;WKST=MO;UNTIL=20261214T090000Z"),
    ],
)
def test_recurrences(said: str, read: str) -> None:
    assert event_of(whole(item(said))).rrule == read


def test_whole_days_and_zones_that_nobody_knows() -> None:
    event = event_of(whole(item("FREQ=DAILY;UNTIL=20261001T000000Z", zone="Customized Time Zone", is_all_day=True)))
    assert (event.zone, event.is_all_day, event.rrule) == ("UTC", True, "FREQ=DAILY;UNTIL=20261001")


def test_a_zone_that_nobody_knows_makes_a_series_longer_and_not_shorter() -> None:
    event = event_of(whole(item("FREQ=DAILY;UNTIL=20261001T080000Z", zone="Customized Time Zone")))
    assert (event.zone, event.rrule) == ("UTC", "FREQ=DAILY;UNTIL=20261002T080000Z")


@pytest.mark.parametrize(
    ("my_response", "state", "is_organizer"),
    [
        ("Organizer", 1, True),
        ("Unknown", 0, True),
        ("Accept", 3, False),
        ("NoResponseReceived", 3, False),
        ("", 3, False),
    ],
)
def test_whose_meeting_it_is(my_response: str, state: int, is_organizer: bool) -> None:
    assert event_of(whole(item(my_response=my_response, state=state))).is_organizer == is_organizer


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("Start", "soon"),
        ("Start", "2026-09-07T08:00:00"),
        ("UID", ""),
        ("Recurrence", None),
        ("Recurrence/t:WeeklyRecurrence/t:DaysOfWeek", "Someday"),
        ("CalendarItemType", "Occurrence"),
        ("Start", "0001-01-01T00:00:00+14:00"),
        ("End", "9999-12-31T23:59:59-14:00"),
        ("AppointmentState", "busy"),
        ("AppointmentSequenceNumber", "9" * 5000),
        ("Recurrence/t:WeeklyRecurrence/t:Interval", "-1"),
        ("Recurrence/t:NumberedRecurrence/t:NumberOfOccurrences", "99999999999"),
        ("Recurrence/t:EndDateRecurrence/t:EndDate", "2026-13-45"),
        ("Recurrence/t:AbsoluteMonthlyRecurrence/t:DayOfMonth", "2000000000"),
    ],
)
def test_what_is_not_as_documented_is_not_guessed(path: str, text: str | None) -> None:
    ways = {
        "Numbered": "FREQ=WEEKLY;BYDAY=MO;COUNT=9",
        "EndDate": "FREQ=WEEKLY;BYDAY=MO;UNTIL=20261001T000000Z",
        "Monthly": "FREQ=MONTHLY;BYMONTHDAY=15",
    }
    rrule = next((rrule for way, rrule in ways.items() if way in path), "FREQ=WEEKLY;BYDAY=MO")
    element = etree.fromstring(etree.tostring(whole(item(rrule))))
    found = element.find(f"t:{path}", NAMES)
    assert found is not None
    if text is None:
        element.remove(found)
    else:
        found.text = text
    with pytest.raises(Unreadable):
        event_of(element)
