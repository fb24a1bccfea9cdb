"""A user's calendars by Graph, against the stand-in that refuses what the real one is documented to refuse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from migrations_app.failures import Failure
from migrations_app.mailboxes.exchange.as_calendar import to_calendar
from migrations_app.mailboxes.exchange.events import Change, ExchangeEvent, Kind, Person
from migrations_app.mailboxes.exchange.source import Changed, Gone, Refused, Unsettled
from migrations_app.mailboxes.graph.calendars import Calendar, own_among
from migrations_app.mailboxes.graph.source import GraphSource
from migrations_app.microsoft.client import Graph
from tests.mailboxes.graph.conftest import ANNA, NOW, Meeting
from tests.support.graph_stand_in import GraphStandIn

WEEKLY = {"kind": Kind.SERIES, "rrule": "FREQ=WEEKLY;COUNT=6", "zone": "Europe/Berlin"}


def listed(source: GraphSource) -> set[str]:
    return {entry.id for entries in source.list(datetime.now(UTC), lambda: None) for entry in entries}


def test_what_is_to_come_is_listed_and_nothing_of_others(
    exchange: GraphStandIn, graph: Graph, meeting: Meeting
) -> None:
    second = exchange.add_calendar(ANNA, "Project")
    holidays = exchange.add_calendar(ANNA, "Holidays", can_edit=False)
    to_come = exchange.add_event(ANNA, meeting())
    project = exchange.add_event(ANNA, meeting("project"), calendar=second)
    under_way = exchange.add_event(ANNA, meeting("now", days=0, starts_at=NOW - timedelta(hours=5)))
    foreign = exchange.add_event(ANNA, meeting("foreign", is_organizer=False))
    endless = exchange.add_event(ANNA, meeting("old", days=-900, kind=Kind.SERIES, rrule="FREQ=WEEKLY"))
    exchange.add_event(ANNA, meeting("over", days=-3))
    exchange.add_event(ANNA, meeting("ended", days=-900, kind=Kind.SERIES, rrule=ended(-800)))
    exchange.add_event(ANNA, meeting("holiday"), calendar=holidays)

    asked = len(exchange.requests)
    keeps: list[int] = []
    entries = [*GraphSource(graph, ANNA).list(datetime.now(UTC), lambda: keeps.append(len(exchange.requests)))]
    assert {entry.id for some in entries for entry in some} == {to_come, project, under_way, foreign, endless}
    assert len(exchange.requests) - asked == 3
    assert {asked, asked + 1, asked + 2} <= set(keeps)
    assert listed(GraphSource(graph, ANNA, names={"project"})) == {project}
    with pytest.raises(Failure, match="mailbox-not-found"):
        listed(GraphSource(graph, ANNA, names={"holidays"}))


def test_calendars_of_others_are_left_alone() -> None:
    def calendar(name: str, owner: str, *, may_write: bool = True, is_default: bool = False) -> Calendar:
        return Calendar(name, name, owner, may_write, is_default)

    own = calendar("own", "rossi@contoso.com", is_default=True)
    second = calendar("second", "rossi@contoso.com")
    nobodys = calendar("nobody's", "")
    theirs = [calendar("of Bruno", "bruno.costa@contoso.com"), calendar("holidays", "", may_write=False)]
    assert own_among([*theirs, own, second, nobodys], {ANNA}) == [own, second, nobodys]


def ended(days: int) -> str:
    return f"FREQ=WEEKLY;UNTIL={NOW + timedelta(days=days):%Y%m%dT000000Z}"


def test_a_long_list_is_read_page_by_page(exchange: GraphStandIn, source: GraphSource, meeting: Meeting) -> None:
    ids = {exchange.add_event(ANNA, meeting(f"m{number}")) for number in range(503)}
    assert listed(source) == ids


def test_events_are_read_as_they_are(exchange: GraphStandIn, source: GraphSource, meeting: Meeting) -> None:
    events = [meeting(f"m{number}", body=f"<p>{number} ø\r\n&nbsp;</p>", location="Hall") for number in range(23)]
    keys = [exchange.add_event(ANNA, event) for event in events]
    asked = len([each for each in exchange.requests if not each.batched])
    found = source.read([*keys, "AAkAnone="])
    assert [found[key].body for key in keys] == [event.body for event in events]
    assert [found[key].uid for key in keys] == [event.uid for event in events]
    assert {found[key].location for key in keys} == {"Hall"}
    assert found.keys() == set(keys)
    assert len([each for each in exchange.requests if not each.batched]) - asked == 0
    assert len(exchange.requests) - asked == 24


def test_an_id_stays_an_event_s_own_when_it_is_moved(
    exchange: GraphStandIn, source: GraphSource, meeting: Meeting
) -> None:
    key = exchange.add_event(ANNA, meeting())
    exchange.move(ANNA, key, exchange.add_calendar(ANNA, "Project"))
    assert listed(source) == {key}
    assert source.read([key])[key].id == key


def series_of(exchange: GraphStandIn, meeting: Meeting) -> tuple[str, ExchangeEvent]:
    """A weekly series, from last week on, with an exception in two weeks and one occurrence deleted after that."""
    master = meeting("weekly", days=-7, **WEEKLY)
    weeks = [master.starts_at + timedelta(weeks=week) for week in range(6)]
    moved = meeting(
        "weekly",
        kind=Kind.EXCEPTION,
        recurrence_id=weeks[3],
        starts_at=weeks[3] + timedelta(hours=2),
        ends_at=weeks[3] + timedelta(hours=3),
        body="<p>Another text</p>",
    )
    series = meeting("weekly", days=-7, **WEEKLY, exceptions=(moved,), excluded=(weeks[4],))
    return exchange.add_event(ANNA, series), series


def test_a_series_is_read_with_its_exceptions(exchange: GraphStandIn, source: GraphSource, meeting: Meeting) -> None:
    key, series = series_of(exchange, meeting)
    read = source.read([key])[key]
    (moved,) = read.exceptions
    assert (read.rrule, read.zone) == (
        "FREQ=WEEKLY;BYDAY=" + f"{series.starts_at:%a}"[:2].upper() + ";WKST=MO;COUNT=6",
        "Europe/Berlin",
    )
    assert read.excluded == series.excluded
    assert (moved.uid, moved.recurrence_id) == (read.uid, series.exceptions[0].recurrence_id)
    assert moved.starts_at == series.exceptions[0].starts_at
    assert moved.body == "<p>Another text</p>"
    assert moved.id != key


def test_a_series_says_the_same_when_a_part_of_it_is_over(
    exchange: GraphStandIn, graph: Graph, source: GraphSource, meeting: Meeting
) -> None:
    key, _ = series_of(exchange, meeting)
    said = to_calendar(source.read([key])[key])
    for days in (30, 5 * 365):
        later = GraphSource(graph, ANNA, now=lambda days=days: NOW + timedelta(days=days))
        assert to_calendar(later.read([key])[key]) == said


def test_a_long_series_comes_page_by_page_too(exchange: GraphStandIn, source: GraphSource, meeting: Meeting) -> None:
    rule = "FREQ=DAILY"
    late = meeting().starts_at + timedelta(days=1500)
    moved = meeting("daily", kind=Kind.EXCEPTION, recurrence_id=late, starts_at=late, ends_at=late, body="<p>x</p>")
    key = exchange.add_event(ANNA, meeting("daily", kind=Kind.SERIES, rrule=rule, exceptions=(moved,)))
    assert [each.recurrence_id for each in source.read([key])[key].exceptions] == [late]


def change(event: ExchangeEvent, **values: object) -> Change:
    return Change(**{"event_id": event.id, "change_key": event.change_key, "kind": event.kind, **values})


def test_a_change_is_written_once_and_attendees_are_told_by_the_server(
    exchange: GraphStandIn, source: GraphSource, meeting: Meeting
) -> None:
    key = exchange.add_event(ANNA, meeting(location="Hall", properties={"OnlineMeetingExternalLink": "https://old"}))
    properties = {"OnlineMeetingExternalLink": "", "SkypeTeamsMeetingUrl": "https://x"}
    before = source.read([key])[key]
    renewed = source.apply(change(before, body="<p>Nëw</p>", location="There", properties=properties))
    after = source.read([key])[key]
    assert (after.body, after.location) == ("<p>Nëw</p>", "There")
    assert after.properties == {"SkypeTeamsMeetingUrl": "https://x"}
    assert after.change_key == renewed != before.change_key
    assert len(exchange.mails) == 1
    (patch,) = [each for each in exchange.requests if each.method == "PATCH"]
    assert patch.headers["if-match"] == before.change_key
    assert patch.body.keys() == {"body", "location", "singleValueExtendedProperties"}


def test_master_and_exceptions_are_written_one_by_one(
    exchange: GraphStandIn, source: GraphSource, meeting: Meeting
) -> None:
    key, _ = series_of(exchange, meeting)
    series = source.read([key])[key]
    source.apply(change(series.exceptions[0], body="<p>1</p>"))
    # All of a series has one change key, so the series has another one now, too.
    with pytest.raises(Changed):
        source.apply(change(series, body="<p>2</p>"))
    source.apply(change(source.read([key])[key], body="<p>2</p>"))
    read = source.read([key])[key]
    assert (read.body, read.exceptions[0].body) == ("<p>2</p>", "<p>1</p>")
    # One of the exception; then, of the series, one for itself and one for each exception.
    assert len(exchange.mails) == 1 + 2


def test_what_somebody_else_did_meanwhile_is_told_apart(
    exchange: GraphStandIn, source: GraphSource, meeting: Meeting
) -> None:
    key = exchange.add_event(ANNA, meeting())
    before = source.read([key])[key]
    exchange.change(ANNA, key, subject="Renamed")
    with pytest.raises(Changed):
        source.apply(change(before, body="<p>x</p>"))
    exchange.delete(ANNA, key)
    with pytest.raises(Gone):
        source.apply(change(before, body="<p>x</p>"))
    assert source.read([key]) == {}
    assert exchange.mails == []


@pytest.mark.parametrize("fault", ["cut-after", "504-after", "garbage", "truncated"])
def test_a_write_whose_answer_is_lost_is_in_doubt_and_was_sent_once(
    fault: str, exchange: GraphStandIn, source: GraphSource, meeting: Meeting
) -> None:
    key = exchange.add_event(ANNA, meeting())
    before = source.read([key])[key]
    exchange.fail_next(fault, method="PATCH")
    with pytest.raises(Unsettled):
        source.apply(change(before, body="<p>x</p>"))
    assert source.read([key])[key].body == "<p>x</p>"
    assert len(exchange.mails) == 1


def test_more_attendees_than_exchange_tells_is_a_refusal_of_this_meeting(
    exchange: GraphStandIn, source: GraphSource, meeting: Meeting
) -> None:
    crowd = tuple(Person(f"guest{number}@example.org") for number in range(501))
    key = exchange.add_event(ANNA, meeting(attendees=crowd))
    with pytest.raises(Refused, match="meeting-refused-by-server"):
        source.apply(change(source.read([key])[key], body="<p>x</p>"))
    assert exchange.mails == []


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"denied": True}, "mailbox-outside-policy"),
        ({"has_mailbox": False}, "mailbox-not-found"),
    ],
)
def test_a_mailbox_that_cannot_be_reached_says_why(
    facts: dict[str, bool], code: str, exchange: GraphStandIn, graph: Graph
) -> None:
    exchange.add_mailbox("bruno.costa@contoso.com", **facts)
    for read in (
        lambda: listed(GraphSource(graph, "bruno.costa@contoso.com")),
        lambda: GraphSource(graph, "bruno.costa@contoso.com").read(["AAkAx="]),
    ):
        with pytest.raises(Failure, match=code):
            read()
    with pytest.raises(Failure, match="mailbox-not-found"):
        listed(GraphSource(graph, "nobody@contoso.com"))
    exchange.restrict("bruno.costa@contoso.com")
    with pytest.raises(Failure, match="mailbox-forbidden"):
        listed(GraphSource(graph, ANNA))
