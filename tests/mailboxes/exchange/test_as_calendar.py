"""An event of Exchange as a calendar object, and what a new text of that changes of the event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migrations_app.calendars.facts import occurrences, read_facts
from migrations_app.calendars.people import attendees
from migrations_app.mailboxes.exchange.as_calendar import changes, etag_of, to_calendar
from migrations_app.mailboxes.exchange.events import Change, ExchangeEvent, Kind, Person
from migrations_app.rewriting.block import render_html, render_text
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.rewrite import Rewrite
from migrations_app.rewriting.spans import pack, unpack
from migrations_app.rewriting.undo import undo
from tests.support import samples
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NOW

ANNA = Person("anna@contoso.com", "Anna Lind", "ACCEPTED")
PROPERTIES = {
    "SkypeTeamsMeetingUrl": samples.TEAMS_URL,
    "SkypeTeamsProperties": '{"cid":"19:meeting_QW5uYUNvbnRvc28x@thread.v2","private":true,"type":0}',
}
BEFORE, AFTER = (
    "<html>\r\n<body>\r\n<p>Agenda\0\t\u2028\ud800 C:\\new; a, b</p>\r",
    "<p>Bye</p>\n\r\n</body></html>\r\n",
)
SINGLE = ExchangeEvent(
    id="AAMkAGI1",
    change_key="CQAAABYAAAB1",
    uid="040000008200E00074C5B7101A82E00800000000F0",
    kind=Kind.SINGLE,
    subject="Budget; all teams, C:\\plans",
    organizer=ANNA,
    starts_at=datetime(2030, 3, 1, 9, tzinfo=UTC),
    ends_at=datetime(2030, 3, 1, 10, tzinfo=UTC),
    body=f"{BEFORE}{samples.teams_html()}{AFTER}",
    attendees=(Person("bo@fabrikam.com", 'Bo "B" ^ Berg', "TENTATIVE"), Person("o'hara@fabrikam.com")),
    location="Microsoft Teams Meeting",
    properties=PROPERTIES,
)
SERIES = replace(
    SINGLE,
    kind=Kind.SERIES,
    zone="Europe/Rome",
    rrule="FREQ=WEEKLY;BYDAY=FR;UNTIL=20300426T080000Z",
    excluded=(datetime(2030, 3, 8, 9, tzinfo=UTC),),
)


def exception(on: datetime, body: str = SINGLE.body, number: int = 1) -> ExchangeEvent:
    """An occurrence of the series that is an hour later than it was."""
    return replace(
        SINGLE,
        id=f"AAMkAGI1-{number}",
        change_key=f"CQ-{number}",
        kind=Kind.EXCEPTION,
        body=body,
        recurrence_id=on,
        starts_at=on + timedelta(hours=1),
        ends_at=on + timedelta(hours=2),
    )


# In April clocks are an hour ahead.
APRIL = datetime(2030, 4, 12, 8, tzinfo=UTC)
MARCH = datetime(2030, 3, 15, 9, tzinfo=UTC)


def written(event: ExchangeEvent) -> tuple[Rewrite, dict[str, Change]]:
    made = rewrite(to_calendar(event), BLOCK, now=NOW)
    return made, {each.event_id: each for each in changes(event, made.body)}


def test_the_object_says_what_the_event_does() -> None:
    facts = read_facts(to_calendar(SINGLE))
    assert facts.uid == SINGLE.uid
    assert facts.subject == SINGLE.subject
    assert facts.organizer == "anna@contoso.com"
    assert (facts.starts_at, facts.ends_at) == (SINGLE.starts_at, SINGLE.ends_at)
    assert facts.attendee_count == 3
    assert not facts.cancelled
    assert read_facts(to_calendar(replace(SINGLE, is_cancelled=True))).cancelled
    invited = attendees(to_calendar(SINGLE))
    assert [(each.name, each.address) for each in invited] == [
        ('Bo "B" ^ Berg', "bo@fabrikam.com"),
        ("", "o'hara@fabrikam.com"),
    ]


def test_a_series_recurs_in_its_own_zone() -> None:
    event = replace(SERIES, exceptions=(exception(APRIL),))
    found = occurrences(to_calendar(event), NOW, datetime(2030, 5, 1, tzinfo=UTC))
    starts = sorted(each.start for each in found)
    fridays = [SERIES.starts_at + timedelta(days=7 * week) for week in range(9)]
    expected = [each - timedelta(hours=1) if each.month == 4 else each for each in fridays]
    expected.remove(datetime(2030, 3, 8, 9, tzinfo=UTC))
    assert starts == [each + timedelta(hours=1) if each == APRIL else each for each in expected]
    assert read_facts(to_calendar(event)).ends_at == datetime(2030, 4, 26, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "midnight", [datetime(2030, 3, 1, tzinfo=UTC), datetime(2030, 2, 28, 23, tzinfo=UTC)], ids=["UTC", "zone"]
)
def test_whole_days_are_days_however_the_server_tells_their_midnight(midnight: datetime) -> None:
    day = timedelta(days=1)
    event = replace(
        SERIES,
        is_all_day=True,
        starts_at=midnight,
        ends_at=midnight + day,
        rrule="FREQ=DAILY;COUNT=4",
        excluded=(midnight + day,),
        exceptions=(replace(exception(midnight + 2 * day), is_all_day=True, starts_at=midnight + 5 * day),),
    )
    text = to_calendar(event)
    assert b"DTSTART;VALUE=DATE:20300301\r\n" in text
    assert b"EXDATE;VALUE=DATE:20300302\r\n" in text
    assert b"RECURRENCE-ID;VALUE=DATE:20300303\r\n" in text
    found = occurrences(text, NOW, datetime(2030, 5, 1, tzinfo=UTC))
    assert [each.start.date().day + 1 for each in sorted(found)[1:]] == [4, 6]


def test_an_hour_that_comes_twice_and_a_zone_that_nobody_knows_are_told_in_utc() -> None:
    twice = datetime(2030, 10, 27, 1, 30, tzinfo=UTC)
    event = replace(SINGLE, zone="Europe/Rome", starts_at=twice, ends_at=twice + timedelta(hours=1))
    assert read_facts(to_calendar(event)).starts_at == twice
    assert read_facts(to_calendar(replace(SINGLE, zone='Nowhere";X:'))).starts_at == SINGLE.starts_at


def test_nothing_that_somebody_typed_begins_a_line_of_its_own() -> None:
    lines = "a\r\nBEGIN:VEVENT\nX:1\u2028\x85\ud800"
    event = replace(
        SINGLE,
        uid=f"uid{lines}",
        subject=lines,
        location=lines,
        organizer=Person(f"anna@contoso.com{lines}", lines),
        attendees=(Person("bo@fabrikam.com", f'"{lines}', lines, lines),),
        properties={"OnlineMeetingConfLink": lines},
    )
    facts = read_facts(to_calendar(event))
    assert facts.attendee_count == 2
    assert changes(event, to_calendar(event)) == []


def test_what_is_read_again_of_an_unchanged_object_changes_nothing() -> None:
    event = replace(SERIES, exceptions=(exception(MARCH), exception(APRIL, "", 2)))
    assert to_calendar(event) == to_calendar(replace(event, exceptions=event.exceptions[::-1]))
    assert changes(event, to_calendar(event)) == []


def test_r21_a_rewrite_changes_the_block_its_properties_and_the_label_alone() -> None:
    _, found = written(SINGLE)
    (change,) = found.values()
    assert change == Change(
        SINGLE.id,
        SINGLE.change_key,
        Kind.SINGLE,
        f"{BEFORE}{render_html(BLOCK)}{AFTER}",
        True,
        "Online Meeting",
        {"SkypeTeamsMeetingUrl": BLOCK.join_url, "SkypeTeamsProperties": ""},
    )


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r"])
def test_a_plain_text_keeps_its_kind_of_line_break_in_the_block_too(line_break: str) -> None:
    def body(block: str) -> str:
        return f"Agenda\n\n{block}\nBye\n".replace("\n", line_break)

    event = replace(SINGLE, body=body(samples.teams_text()), body_is_html=False)
    made, found = written(event)
    assert found[SINGLE.id].body == body(render_text(BLOCK))
    assert not found[SINGLE.id].body_is_html
    now = replace(event, body=body(render_text(BLOCK)), properties={}, location="")
    back = undo(to_calendar(now), [each for each in made.spans if each.property == "DESCRIPTION"], now=NOW)
    assert changes(now, back.body)[0].body == event.body


def test_each_event_is_written_by_itself_exceptions_first() -> None:
    own = f"<p>Room 12</p>\r\n{samples.teams_html()}"
    event = replace(SERIES, exceptions=(exception(APRIL, own, 2), exception(MARCH)))
    made = rewrite(to_calendar(event), BLOCK, now=NOW)
    found = changes(event, made.body)
    assert [each.event_id for each in found] == ["AAMkAGI1-1", "AAMkAGI1-2", "AAMkAGI1"]
    assert [each.change_key for each in found] == ["CQ-1", "CQ-2", SERIES.change_key]
    assert [each.kind for each in found] == [Kind.EXCEPTION, Kind.EXCEPTION, Kind.SERIES]
    assert [each.body for each in found] == [
        f"{BEFORE}{render_html(BLOCK)}{AFTER}",
        f"<p>Room 12</p>\r\n{render_html(BLOCK)}",
        f"{BEFORE}{render_html(BLOCK)}{AFTER}",
    ]


def test_an_exception_without_text_gets_none_and_keeps_no_button_for_the_old_meeting() -> None:
    event = replace(SERIES, exceptions=(exception(APRIL, ""),))
    _, found = written(event)
    change = found["AAMkAGI1-1"]
    assert change.body is None
    assert change.properties == {"SkypeTeamsMeetingUrl": BLOCK.join_url, "SkypeTeamsProperties": ""}


def test_an_exception_that_is_over_or_cancelled_is_left() -> None:
    over = replace(exception(NOW - timedelta(days=5)), ends_at=NOW - timedelta(days=5))
    off = replace(exception(APRIL, number=2), is_cancelled=True)
    _, found = written(replace(SERIES, exceptions=(over, off)))
    assert list(found) == [SERIES.id]


def test_undo_gives_back_what_was_read() -> None:
    event = replace(SERIES, exceptions=(exception(APRIL),))
    made, found = written(event)

    def after(each: ExchangeEvent) -> ExchangeEvent:
        change = found[each.id]
        body, location = change.body or each.body, change.location or each.location
        return replace(each, body=body, location=location, properties={**each.properties, **change.properties})

    now = replace(after(event), sequence=7, exceptions=tuple(map(after, event.exceptions)))
    back = undo(to_calendar(now), unpack(pack(made.spans)), now=NOW)
    for change in changes(now, back.body):
        was = event if change.event_id == event.id else event.exceptions[0]
        assert (change.body, change.location) == (was.body, was.location)
        assert change.properties == was.properties
    with pytest.raises(Declined):
        undo(to_calendar(replace(now, body=now.body.replace("7654321", "7654322"))), made.spans, now=NOW)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"SUMMARY:Budget", b"SUMMARY:Fudget"),
        (b"DTSTART:20300301T090000Z", b"DTSTART:20300301T091500Z"),
        (b"bo@fabrikam.com", b"bx@fabrikam.com"),
        (b"\r\nLOCATION:", b"\r\nLOCATION;LANGUAGE=en:"),
        (b"\r\nLOCATION:", b"\r\nLOCATION:Here\r\nLOCATION:"),
        (b"X-ALT-DESC;FMTTYPE=text/html:", b"DESCRIPTION:"),
        (b"BEGIN:VEVENT", b"BEGIN:VEVENT\r\nX-MICROSOFT-CDO-BUSYSTATUS:FREE"),
        (b"BEGIN:VEVENT", b"BEGIN:VEVENT\r\nRECURRENCE-ID:20300412T080000Z"),
        (b"VERSION:2.0", b"VERSION:2.0\r\nMETHOD:CANCEL"),
        (b"END:VEVENT\r\n", b"END:VEVENT\r\nBEGIN:VEVENT\r\nEND:VEVENT\r\n"),
        (b"END:VEVENT", b"BEGIN:VALARM\r\nEND:VALARM\r\nEND:VEVENT"),
        (b"END:VCALENDAR", b""),
    ],
)
def test_what_no_block_may_change_is_refused(old: bytes, new: bytes) -> None:
    text = to_calendar(SINGLE)
    assert old in text
    with pytest.raises(ValueError, match="The text"):
        changes(SINGLE, text.replace(old, new))


def test_what_the_server_counts_is_no_change() -> None:
    text = to_calendar(SINGLE).replace(b"SEQUENCE:0", b"SEQUENCE:9\r\nLAST-MODIFIED:20300101T000000Z")
    assert changes(SINGLE, text.replace(b"19700101T000000Z", b"20300101T000000Z")) == []


def test_an_answer_is_no_other_state_and_everything_else_is() -> None:
    event = replace(SERIES, exceptions=(exception(APRIL),))
    answered = replace(
        event,
        change_key="next",
        attendees=tuple(replace(each, answer="ACCEPTED") for each in event.attendees),
        exceptions=tuple(replace(each, change_key="next") for each in event.exceptions),
    )
    assert etag_of(answered) == etag_of(event)
    others = [
        replace(event, body=event.body.replace("\r\n", "\n")),
        replace(event, body=event.body + " "),
        replace(event, body_is_html=False),
        replace(event, subject="Budget"),
        replace(event, join_url=samples.TEAMS_URL),
        replace(event, location=""),
        replace(event, properties={}),
        replace(event, attendees=event.attendees[:1]),
        replace(event, exceptions=()),
        replace(event, exceptions=(exception(APRIL, "<p></p>"),)),
        replace(event, ends_at=event.ends_at + timedelta(hours=1)),
    ]
    assert len({etag_of(each) for each in (event, *others)}) == len(others) + 1
