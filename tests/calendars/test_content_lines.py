"""Reading calendar files octet by octet."""

import pytest

from migrations_app.calendars.content_lines import folded, raw_end, raw_start, unfold
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.objects import split_objects
from tests.support.samples import calendar, event

ZONE = (
    b"BEGIN:VTIMEZONE\r\nTZID:Contoso\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\n"
    b"TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
)


def with_zone(source: bytes) -> bytes:
    return source.replace(b"BEGIN:VEVENT", ZONE + b"BEGIN:VEVENT", 1)


def test_one_meeting_comes_back_as_it_is() -> None:
    source = b"\xef\xbb\xbf" + with_zone(calendar(event(), event("RECURRENCE-ID:20300308T100000Z")))
    assert split_objects(source) == [("meeting-1@contoso.com", source)]


def test_several_meetings_come_back_one_by_one() -> None:
    one, two = event("X-HALL;TZID=Contoso:1"), event("X-HALL;TZID=Contoso:1", uid="meeting-2@contoso.com")
    moved = event("RECURRENCE-ID:20300308T100000Z")
    source = with_zone(calendar(one, two, moved)) + calendar(event(uid="meeting-3@contoso.com"))
    assert split_objects(source) == [
        ("meeting-1@contoso.com", with_zone(calendar(one, moved))),
        ("meeting-2@contoso.com", with_zone(calendar(two))),
        ("meeting-3@contoso.com", calendar(event(uid="meeting-3@contoso.com"))),
    ]


def test_uids_are_unfolded() -> None:
    source = calendar(event(uid="å" * 80))
    assert split_objects(source)[0][0] == "å" * 80


GOOD = calendar(event())


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"Hello",
        b"\x89PNG\r\n\x1a\n",
        GOOD[:-30],
        GOOD[:60],
        GOOD.replace(b"END:VALARM\r\n", b""),
        GOOD.replace(b"BEGIN:VALARM", b"BEGIN:VCALENDAR").replace(b"END:VALARM", b"END:VCALENDAR"),
        GOOD.replace(b"END:VALARM", b"END:VTODO"),
        GOOD.replace(b"UID:meeting-1@contoso.com\r\n", b""),
        GOOD.replace(b"UID:meeting-1@contoso.com", b"UID:"),
        GOOD.replace(b"VEVENT", b"VTODO"),
        GOOD + b"trailing text\r\n",
        GOOD[GOOD.index(b"BEGIN:VEVENT") : GOOD.index(b"END:VCALENDAR")],
    ],
)
def test_what_is_no_calendar_is_refused_in_one_sentence(source: bytes) -> None:
    with pytest.raises(UnreadableCalendar, match=r"^[A-Z][^.]*\.$"):
        split_objects(source)


@pytest.mark.parametrize(
    "raw", [b"A\r\n B\n\tC\r\n \r\n D", b"A:\n  x\r\n \n y", b"A:" + b"\r\n x" * 50, b"A:\r\r\n b", b"A"]
)
def test_offsets_lead_back_to_the_same_octets(raw: bytes) -> None:
    text = unfold(raw)
    for at in range(len(text)):
        assert raw[raw_start(raw, at)] == text[at]
        assert raw[raw_end(raw, at + 1) - 1] == text[at]
        assert unfold(raw[: raw_end(raw, at + 1)]) == text[: at + 1]


@pytest.mark.parametrize("column", [0, 1, 40, 73, 74, 75, 90])
def test_folds_keep_to_75_octets_and_whole_characters(column: int) -> None:
    text = ("aå👋" * 100).encode()
    pieces = folded(text, b"\r\n ", column).split(b"\r\n ")
    assert b"".join(pieces) == text
    assert len(pieces[0]) <= max(75 - column, 0)
    assert all(len(piece) <= 74 for piece in pieces[1:])
    assert all(piece.decode() is not None for piece in pieces)
