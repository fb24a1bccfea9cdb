"""What Graph tells of events is read as it is meant, and what cannot be read is a failure that names it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from migrations_app.failures import Failure
from migrations_app.mailboxes.exchange.events import Kind, Person
from migrations_app.mailboxes.graph.events import entry_of, event_of
from migrations_app.mailboxes.graph.queries import PROPERTY_IDS, SEQUENCE_ID
from migrations_app.mailboxes.graph.recurrence import rule_of, starts_missing, zone_of

LINK = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_x%40thread.v2/0"


def graph_event(**changes: Any) -> dict[str, Any]:
    return {
        "@odata.etag": 'W/"key=="',
        "changeKey": "key==",
        "id": "AAMk-_=",
        "iCalUId": "040000008200E00074C5B7101A82E008",
        "type": "singleInstance",
        "subject": "Quarterly review",
        "body": {"contentType": "html", "content": "<p>Kø\r\n\x00&nbsp;</p>"},
        "start": {"dateTime": "2026-12-01T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-12-01T10:00:00.0000000", "timeZone": "UTC"},
        "isAllDay": False,
        "isCancelled": False,
        "isOrganizer": True,
        "organizer": {"emailAddress": {"name": "Anna Rossi", "address": "anna.rossi@contoso.com"}},
        "attendees": [],
        "location": {"displayName": "Room 1"},
        "onlineMeeting": {"joinUrl": LINK, "conferenceId": "123"},
        "onlineMeetingUrl": None,
        "originalStartTimeZone": "W. Europe Standard Time",
        "recurrence": None,
        "seriesMasterId": None,
        **changes,
    }


def recurring(pattern: dict[str, Any], range_: dict[str, Any] | None = None) -> dict[str, Any]:
    range_ = range_ or {"type": "noEnd", "startDate": "2026-12-01", "endDate": "0001-01-01"}
    return {
        "pattern": {
            "interval": 1,
            "month": 0,
            "dayOfMonth": 0,
            "firstDayOfWeek": "sunday",
            "index": "first",
            **pattern,
        },
        "range": {"recurrenceTimeZone": "W. Europe Standard Time", "numberOfOccurrences": 0, **range_},
    }


def attendee(address: str, response: str, type_: str = "required") -> dict[str, Any]:
    return {
        "type": type_,
        "status": {"response": response, "time": "0001-01-01T00:00:00Z"},
        "emailAddress": {"name": address.partition("@")[0], "address": address},
    }


def test_an_event_is_read_whole() -> None:
    event = event_of(
        graph_event(
            attendees=[
                attendee("bruno@contoso.com", "accepted"),
                attendee("carla@fabrikam.com", "tentativelyAccepted", "optional"),
                attendee("dora@example.org", "declined"),
                attendee("eva@example.org", "none"),
                attendee("room@contoso.com", "notResponded", "resource"),
                {"type": "required", "emailAddress": {"name": "Nobody", "address": None}},
            ],
            singleValueExtendedProperties=[
                # Graph may answer with the GUID in small letters.
                {"id": PROPERTY_IDS["SkypeTeamsMeetingUrl"].lower(), "value": LINK},
                {"id": PROPERTY_IDS["ConferenceTelURI"], "value": ""},
                {"id": SEQUENCE_ID, "value": "3"},
                {"id": "String {00020329-0000-0000-C000-000000000046} Name Other", "value": "x"},
            ],
        )
    )
    assert (event.id, event.change_key, event.kind) == ("AAMk-_=", 'W/"key=="', Kind.SINGLE)
    assert event.body == "<p>Kø\r\n\x00&nbsp;</p>"
    assert event.body_is_html
    assert event.starts_at == datetime(2026, 12, 1, 9, tzinfo=UTC)
    assert event.ends_at == datetime(2026, 12, 1, 10, tzinfo=UTC)
    assert event.organizer == Person("anna.rossi@contoso.com", "Anna Rossi")
    assert [(person.answer, person.role, person.is_room) for person in event.attendees] == [
        ("ACCEPTED", "REQ-PARTICIPANT", False),
        ("TENTATIVE", "OPT-PARTICIPANT", False),
        ("DECLINED", "REQ-PARTICIPANT", False),
        ("NEEDS-ACTION", "REQ-PARTICIPANT", False),
        ("NEEDS-ACTION", "NON-PARTICIPANT", True),
    ]
    assert (event.location, event.join_url, event.sequence) == ("Room 1", LINK, 3)
    assert event.properties == {"SkypeTeamsMeetingUrl": LINK}
    assert (event.rrule, event.recurrence_id, event.zone) == ("", None, "Europe/Berlin")


def test_an_exception_goes_by_the_uid_of_its_series() -> None:
    given = graph_event(type="exception", iCalUId="another", originalStart="2026-12-08T09:00:00Z")
    event = event_of(given, "the-series")
    assert (event.uid, event.kind) == ("the-series", Kind.EXCEPTION)
    assert event.recurrence_id == datetime(2026, 12, 8, 9, tzinfo=UTC)
    assert event_of(graph_event(body={"contentType": "text", "content": "x"})).body_is_html is False
    assert event_of(graph_event(onlineMeeting=None, onlineMeetingUrl="https://meet")).join_url == "https://meet"


MONDAYS = {"type": "weekly", "daysOfWeek": ["monday", "thursday"], "firstDayOfWeek": "monday"}
RULES: list[tuple[dict[str, Any], dict[str, Any] | None, str]] = [
    ({"type": "daily", "interval": 3}, None, "FREQ=DAILY;INTERVAL=3"),
    (MONDAYS, None, "FREQ=WEEKLY;BYDAY=MO,TH;WKST=MO"),
    (
        {**MONDAYS, "interval": 2},
        {"type": "numbered", "numberOfOccurrences": 10},
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH;WKST=MO;COUNT=10",
    ),
    (
        {"type": "absoluteMonthly", "dayOfMonth": 15},
        {"type": "endDate", "endDate": "2027-07-31"},
        "FREQ=MONTHLY;BYMONTHDAY=15;UNTIL=20270731T215959Z",
    ),
    # Exchange takes the last day of a shorter month.
    ({"type": "absoluteMonthly", "dayOfMonth": 30}, None, "FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1"),
    (
        {"type": "relativeMonthly", "daysOfWeek": ["tuesday"], "index": "second", "interval": 3},
        None,
        "FREQ=MONTHLY;INTERVAL=3;BYDAY=TU;BYSETPOS=2",
    ),
    (
        {"type": "relativeMonthly", "daysOfWeek": ["monday", "friday"], "index": "last"},
        None,
        "FREQ=MONTHLY;BYDAY=MO,FR;BYSETPOS=-1",
    ),
    ({"type": "absoluteYearly", "dayOfMonth": 3, "month": 4}, None, "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=3"),
    (
        {"type": "relativeYearly", "daysOfWeek": ["thursday"], "index": "fourth", "month": 11},
        None,
        "FREQ=YEARLY;BYMONTH=11;BYDAY=TH;BYSETPOS=4",
    ),
]


@pytest.mark.parametrize(("pattern", "range_", "rule"), RULES, ids=[rule for *_, rule in RULES])
def test_a_pattern_becomes_a_rule(pattern: dict[str, Any], range_: dict[str, Any] | None, rule: str) -> None:
    event = event_of(graph_event(type="seriesMaster", recurrence=recurring(pattern, range_)))
    assert event.rrule == rule
    assert rrulestr(rule, dtstart=event.starts_at)[0] >= event.starts_at


def test_the_days_of_a_series_of_whole_days_have_no_zone() -> None:
    recurrence = recurring({"type": "daily"}, {"type": "endDate", "endDate": "2027-01-31"})
    assert event_of(graph_event(type="seriesMaster", isAllDay=True, recurrence=recurrence)).rrule.endswith("=20270131")


def test_a_zone_that_nobody_knows_makes_a_series_longer_and_not_shorter() -> None:
    recurrence = recurring({"type": "daily"}, {"type": "endDate", "endDate": "2027-01-31"})
    recurrence["range"]["recurrenceTimeZone"] = "tzone://Microsoft/Custom"
    event = event_of(graph_event(type="seriesMaster", recurrence=recurrence, originalStartTimeZone="Our own"))
    assert (event.zone, event.rrule) == ("UTC", "FREQ=DAILY;UNTIL=20270201T235959Z")
    assert [zone_of(name) for name in ("UTC", "tzone://Microsoft/Utc", "Tokyo Standard Time", "Asia/Tokyo", "x")] == [
        *("UTC", "UTC"),
        *("Asia/Tokyo", "Asia/Tokyo"),
        "",
    ]


def test_what_was_deleted_of_a_series_shows_by_what_is_there() -> None:
    rule, zone, tz = "FREQ=WEEKLY;BYDAY=MO;WKST=MO", "Europe/Berlin", ZoneInfo("Europe/Berlin")
    # Over the change of the clock in spring.
    starts = [datetime(2027, 3, 1, 9, tzinfo=tz) + timedelta(weeks=week) for week in range(8)]
    starts = [start.astimezone(UTC) for start in starts]
    there = [start for number, start in enumerate(starts) if number not in (2, 5)]
    assert starts_missing(rule, zone, starts[0], there) == (starts[2], starts[5])
    assert starts_missing(rule, zone, starts[0], starts) == ()
    beside = [*there, starts[3] + timedelta(hours=1)]
    assert starts_missing(rule, zone, starts[0], beside) == ()
    assert starts_missing(rule, "", starts[0], there) == ()


WRONG: list[Any] = [None, 7, True, "x", "", [], [7], {}, {"x": 7}, [{"emailAddress": 7}], "0001-01-01T00:00:00", 1e400]


def _leaves(given: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    return [*([path] if path else []), *(leaf for key, value in inside for leaf in _leaves(value, (*path, key)))]


def _with(given: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = given.copy()
    copy[path[0]] = _with(given[path[0]], path[1:], value)
    return copy


def test_an_event_of_any_other_shape_is_a_failure_and_nothing_else() -> None:
    whole = graph_event(
        type="seriesMaster",
        attendees=[attendee("bruno@contoso.com", "accepted")],
        recurrence=recurring(MONDAYS, {"type": "endDate", "endDate": "2027-07-31"}),
        singleValueExtendedProperties=[{"id": SEQUENCE_ID, "value": "3"}],
    )
    places = _leaves(whole)
    failures = 0
    for place in places:
        for value in WRONG:
            for read in (entry_of, event_of):
                failures += _fails(read, _with(whole, place, value))
    assert failures > len(places)
    for missing in ("id", "iCalUId", "type", "start", "end", "recurrence"):
        assert _fails(event_of, {name: value for name, value in whole.items() if name != missing}), missing


def test_what_cannot_be_kept_or_sent_back_is_no_answer() -> None:
    for name, value in (
        ("id", "\ud800"),
        ("id", "x" * 1001),
        ("id", "a\r\nb"),
        ("@odata.etag", 'W/"1"\r\nX: y'),
        ("@odata.etag", 'W/"é"'),
        ("@odata.etag", "x" * 301),
        ("start", {"dateTime": "0001-01-01T00:00:00", "timeZone": "Pacific/Kiritimati"}),
        ("end", {"dateTime": "9999-12-31T23:59:59", "timeZone": "America/New_York"}),
    ):
        assert _fails(event_of, graph_event(**{name: value})), (name, value[:20])


def _fails(read: Callable[[Any], object], given: Any) -> bool:
    try:
        read(given)
    except Failure as failure:
        assert failure.code == "mailbox-answer"  # noqa: PT017 - anything else is the test's failure
        return True
    return False


def test_patterns_of_any_kind_begin_where_the_server_says() -> None:
    """The first occurrence by the rule is the day on which the pattern starts, whatever the pattern."""
    chance = random.Random(7)  # noqa: S311 - to be repeatable
    names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
    for _ in range(200):
        first = date(2026, 1, 1) + timedelta(days=chance.randrange(1000))
        pattern = {
            "interval": chance.randint(1, 4),
            "daysOfWeek": [names[first.weekday()]],
            "dayOfMonth": first.day,
            "month": first.month,
            "index": "last" if (first + timedelta(days=7)).month != first.month else _WHICH[(first.day - 1) // 7],
            "type": chance.choice(
                ["daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"]
            ),
        }
        rule = rule_of(recurring(pattern), "Europe/Berlin", False)
        start = datetime(first.year, first.month, first.day, 9, tzinfo=ZoneInfo("Europe/Berlin"))
        assert rrulestr(rule, dtstart=start)[0] == start, (pattern, rule)


_WHICH = ["first", "second", "third", "fourth", "last"]
