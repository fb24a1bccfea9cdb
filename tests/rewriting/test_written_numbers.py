"""A telephone number is found in a calendar object however and wherever it is written, and nowhere else (R35)."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import event as event_of_test
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.rewriting.written_numbers import Place, digit_rows, digits_of, shown_numbers, where_shown
from tests.support.strategies import NASTY

US, UK, DE, IT = "+14255550100", "+442079460000", "+493012345678", "+390612345678"
NOW = datetime(2035, 1, 1, tzinfo=UTC)


def event(*lines: str, between: str = "\r\n") -> bytes:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:a", "DTSTART:20360115T100000Z"]
    return "".join(line + between for line in (*head, *lines, "END:VEVENT", "END:VCALENDAR")).encode()


def may_show(body: bytes, number: str) -> bool:
    """Whether the number is looked for in the text, by what an index keeps of it."""
    return any(digits_of(number) in row for row in digit_rows(body))


@pytest.mark.parametrize(
    ("number", "written"),
    [
        *(
            (US, written)
            for written in (
                "+1 425 555 0100",
                "(425) 555-0100",
                "1-425-555-0100",
                "425.555.0100",
                "4255550100",
                "14255550100",
                "001 425 555 0100",
                "011 1 425 555 0100",
                "+1 (425) 555 - 0100",
                "[425] 555 0100",
                "+1\u00a0425\u202f555\u00a00100",
                "425\u2011555\u20110100",
                "425\u200b555\u00ad0100",
                "\uff0b\uff11 \uff14\uff12\uff15 \uff15\uff15\uff15 \uff10\uff11\uff10\uff10",
                "\u0664\u0662\u0665 \u0665\u0665\u0665 \u0660\u0661\u0660\u0660",
                "tel:+14255550100\\,\\,7654321#",
                "tel:+1-425-555-0100\\;ext=12",
                "4255550100x12",
                "425-555-0100 ext. 5",
                "425-555-0100-7654321#",
                "7654321 425 555 0100",
                "425 555 0100 7654321#",
                "+1 425 555 0100/0101",
                "425-555-0101/425-555-0100",
                "Call 425\\n555 0100",
                "Tel4255550100.",
                "\u7535\u8bdd4255550100\u8f6c12",
                "tel:%2B1%20425%20555%200100",
                "https://mail.example.org/?url=tel%253A%252B14255550100&d=1",
                "https://phone.example.org/?q=call+4255550100",
                "<b>425</b>&#160\\;555<span style='font-size:12pt'>0100</span>",
                "&#52\\;255550100",
                "<a href='tel:%2B1425&#53\\;550100'>call</a>",
                "=2B1=20425=20555=200100",
                "4\ufe0f\u20e32\ufe0f\u20e35\ufe0f\u20e3 5\u20e35\u20e35\u20e3 0\u20e31\u20e30\u20e30\u20e3",
                "425\u034f5550100",
                "**425**-555-0100",
                "425_555_0100",
                "425 ~ 555 ~ 0100",
                "| 425 | 555 | 0100 |",
                "425\u22c5555\u22c50100",
                "425\u30fc555\u30fc0100",
                "425\u30fb555\u30fb0100",
                "425-555-0100Conference ID: 7654321",
                "Dial-in425-555-0100",
                "Telephone4255550100",
                "Daily at 9:00 12 people dial 425-555-0100",
                "9:00 12 425-555-0100",
                "10.00-11 (425) 555-0100",
            )
        ),
        *(
            (UK, written)
            for written in (
                "+44 (0)20 7946 0000",
                "020 7946 0000",
                "(020) 7946 0000",
                "0044 20 7946 0000",
                "0044 (0) 20 79 46 00 00",
                "011 44 20 7946 0000",
                "20 7946 0000",
            )
        ),
        (DE, "030/12345678"),
        (DE, "+49-30-1234 5678-0"),
        (IT, "06 1234 5678"),
        (IT, "+39 06 12345678"),
    ],
)
def test_r35_a_number_is_found_however_it_is_written(number: str, written: str) -> None:
    body = event(f"X-NOTE:{written}")
    assert where_shown(body, number) == (Place("VEVENT", "X-NOTE"),)
    assert may_show(body, number)


@pytest.mark.parametrize(
    ("number", "written"),
    [
        *(
            (US, written)
            for written in (
                "425 555 010",
                "425 555 0101",
                "14255550100123",
                "94255550100",
                "42555501001",
                "1234567842555501001",
                "4255 5501 0012 3456",
                "12-425-555-0100",
                "4255550100-1234",
                "4255550100.5",
                "425\\,555\\,0100",
                "AB4255550100",
                "4255550100ab",
                "sid_4255550100_1",
                "NjQ4255550100zZ",
                "sid_4255550100",
                "4255550100_1",
                "00 44 425 555 0100",
                "dial 00 44-425-555-0100",
                "0f8fad5b-d9cb-469f-a165-14255550100a",
                "42555501-00ab-4000-8000-123456789012",
                "+52 425 555 0100",
                "0052 425 555 0100",
                "+44 1425 555 0100",
                "01425 555 0100",
            )
        ),
        (UK, "a165ffff-0000-4000-8000-442079460000"),
        (UK, "442079460000123"),
        (UK, "+49 20 7946 0000"),
    ],
)
def test_r35_longer_digit_strings_ids_and_numbers_of_other_countries_are_not_it(number: str, written: str) -> None:
    assert where_shown(event(f"X-NOTE:{written}"), number) == ()


ENCODED = base64.b64encode("Wählen Sie 425 555 0100".encode()).decode()


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["SUMMARY:Budget (425 555 0100)"], Place("VEVENT", "SUMMARY")),
        (["LOCATION;LANGUAGE=en:Skype Meeting 425-555-0100"], Place("VEVENT", "LOCATION")),
        (["DESCRIPTION:call 425 5", " 55 0100"], Place("VEVENT", "DESCRIPTION")),
        (["COMMENT:4255550100"], Place("VEVENT", "COMMENT")),
        (["CONTACT:Ann\\, 4255550100"], Place("VEVENT", "CONTACT")),
        (["X-ALT-DESC;FMTTYPE=text/html:<p>425<br>555 0100</p>"], Place("VEVENT", "X-ALT-DESC")),
        (['DESCRIPTION;ALTREP="tel:+14255550100":call'], Place("VEVENT", "DESCRIPTION")),
        (['SUMMARY;ALTREP="data:text/html,425%20555%200100":call'], Place("VEVENT", "SUMMARY")),
        (['ATTENDEE;CN="Ann 425 555 0100":mailto:ann@contoso.com'], Place("VEVENT", "ATTENDEE")),
        (['X-MICROSOFT-ONLINEMEETING:{"tollNumber":"+14255550100"}'], Place("VEVENT", "X-MICROSOFT-ONLINEMEETING")),
        (["CONFERENCE;VALUE=URI:tel:+1-425-555-0100\\,\\,7654321"], Place("VEVENT", "CONFERENCE")),
        ([f"ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY:{ENCODED}"], Place("VEVENT", "ATTACH")),
        ([f"ATTACH:data:text/plain;base64,{ENCODED}"], Place("VEVENT", "ATTACH")),
        (["DESCRIPTION;ENCODING=QUOTED-PRINTABLE:call =34255=", "550100"], Place("VEVENT", "DESCRIPTION")),
        (["BEGIN:VALARM", "DESCRIPTION:dial 425 555 0100", "END:VALARM"], Place("VALARM", "DESCRIPTION")),
        (["DESCRIPTION:the fold lost its blank: 425", "555 0100"], Place("VEVENT", "DESCRIPTION")),
    ],
)
@pytest.mark.parametrize("between", ["\r\n", "\n"], ids=["crlf", "lf"])
def test_r35_every_property_of_every_component_is_searched(lines: list[str], place: Place, between: str) -> None:
    body = event(*lines, between=between)
    assert where_shown(body, US) == (place,)
    assert may_show(body, US)


def test_r35_what_only_machines_read_is_not_shown_to_anybody() -> None:
    assert where_shown(event("X-MICROSOFT-CDO-OWNERAPPTID:4255550100", "RELATED-TO:4255550100"), US) == ()


def test_r35_an_object_that_cannot_be_read_is_searched_too() -> None:
    assert may_show(b"BEGIN:VCALENDAR\r\ncall 425 555 0100", US)
    assert where_shown(b"BEGIN:VCALENDAR\r\ncall 425 555 0100", US) == (Place("VCALENDAR", ""),)
    assert where_shown(b"END:VEVENT\r\nDESCRIPTION:call 425 555 0100\r\nBEGIN:", US) == (Place("", "DESCRIPTION"),)


def test_r23_r35_occurrences_that_are_over_or_cancelled_do_not_hold_a_number() -> None:
    def series(day: str, *lines: str) -> bytes:
        override = ["UID:a", f"RECURRENCE-ID:{day}T100000Z", f"DTSTART:{day}T100000Z", "DURATION:PT1H", *lines]
        return event(
            "RRULE:FREQ=WEEKLY",
            "SUMMARY:Sync",
            "END:VEVENT",
            "BEGIN:VEVENT",
            *override,
            "LOCATION:425 555 0100",
        ).replace(b"DTSTART:20360115", b"DTSTART:20340105", 1)

    assert where_shown(series("20340112"), US, NOW) == ()
    assert where_shown(series("20350111"), US, NOW) == (Place("VEVENT", "LOCATION"),)
    assert where_shown(series("20350111", "STATUS:CANCELLED"), US, NOW) == ()


@given(
    st.sampled_from([US, UK, DE, IT]),
    st.lists(st.sampled_from([" ", "-", ".", "&nbsp\\;", "<br>", "%20", "\u00a0", "", "\r\n "]), min_size=13),
    st.sampled_from(["DESCRIPTION", "X-ALT-DESC", "LOCATION", "X-WHATEVER"]),
)
def test_r35_the_quick_look_never_hides_a_number(number: str, gaps: list[str], name: str) -> None:
    """Digits behind a plus, with anything between them that people and programs put there."""
    written = "".join(digit + gap for digit, gap in zip(number[1:-1], gaps, strict=False)) + number[-1]

    body = event(f"{name}:Dial +{written} <soon>")
    assert shown_numbers(body, [US, UK, DE, IT]) == {number}
    assert may_show(body, number)


_NOISE = st.sampled_from(
    [
        *(" ", "-", ".", "  ", "(", ")", "/", "_", "+", "011 ", "+44 ", "1", "x", "7654321", "tel:", ", ", "\r\n"),
        *("\\n", "\\\\n", "\\N", "\r\n ", "=\r\n", ":", "\\,", "&nbsp;", "&#160;", "&", "&amp;", "<br>", "<b 5>", "<"),
        *(">", "<!--", "-->", '"', ";", "%20", "%2B", "%2520", "%34", "=20", "=34", "=2B", "=", "https://", "\u00a0"),
        *("\u200b", "\uff14", "\u0664", *NASTY),
    ]
)
_GAPS = st.one_of(*[st.sampled_from(["", "", " ", "-", "&nbsp;", "<b>", "\r\n ", "%20", "=20", "\\n"])] * 5, _NOISE)
_SPELLED = st.builds(
    lambda number, start, gaps: start + "".join(map("".join, zip(number, gaps, strict=True))),
    st.just(US[2:]),
    st.sampled_from(["", "", "+1", "1-", "+1 (", "tel:+1", "%2B1", "=2B1"]),
    st.one_of(
        st.lists(st.just(""), min_size=10, max_size=10),
        st.sampled_from([" ", "-", "&nbsp;", "<br>", "%20", "%2520", "=20"]).map(lambda gap: [gap] * 9 + [""]),
        st.lists(_GAPS, min_size=10, max_size=10),
    ),
)
_VALUE = st.lists(st.one_of(_NOISE, _SPELLED), max_size=5).map("".join)
_HEADS = st.sampled_from(
    [
        "DESCRIPTION:",
        "X-ALT-DESC;FMTTYPE=text/html:",
        "LOCATION;ENCODING=QUOTED-PRINTABLE:",
        'ATTENDEE;CN="',
        "URL:https://a.example.org/?q=",
        "END:VEVENT\r\nBEGIN:VEVENT\r\nRECURRENCE-ID:20360116T100000Z\r\nDTSTART:20360116T100000Z\r\nSUMMARY:",
        "END:VEVENT\r\nBEGIN:VEVENT\r\nRECURRENCE-ID:20340116T100000Z\r\nDTSTART:20340116T100000Z\r\nSUMMARY:",
        "",
        "ATTACH:data:text/plain,",
    ]
)


@given(st.lists(st.tuples(_HEADS, _VALUE), max_size=4))
def test_r35_a_number_that_is_shown_stands_in_the_rows_of_digits(lines: list[tuple[str, str]]) -> None:
    """Nothing that the search of a text finds, now or with all occurrences, is missed by what an index keeps of it."""
    text = "".join(f"{head}{value}\r\n" for head, value in lines)
    body = event("RRULE:FREQ=DAILY", "").replace(b"\r\nEND:", b"\r\n" + text.encode("utf-8", "replace") + b"END:", 1)
    is_shown = where_shown(body, US) or where_shown(body, US, NOW)
    event_of_test(f"shown: {bool(is_shown)}")
    assert may_show(body, US) or not is_shown


def test_r35_rows_of_digits_are_few() -> None:
    """Of what people write a number stands in one row; times of day and figures of a text are none."""
    text = "Room 17 at 9:30, 12 people. Dial +1 (425) 555-0100, then 7654321#. Costs 1,250 or 40%"
    assert digit_rows(event(f"DESCRIPTION:{text}")) == {"14255550100", "7654321", "20360115", "100000"}


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<a ",
        "data:",
        "data:;",
        "data:,",
        "%25",
        "&#",
        "&#x",
        "+1 ",
        "425-",
        "425 555 010 ",
        "=20",
        "\\n<",
        "0 ",
        "\r\nx ",
    ],
)
@pytest.mark.parametrize("name", ["DESCRIPTION", "X-ALT-DESC;ENCODING=QUOTED-PRINTABLE"])
def test_what_was_made_to_take_long_does_not(piece: str, name: str) -> None:
    """Each would take very long where reading begins anew at every piece."""
    body = event(f"{name}:{piece * (200_000 // len(piece))}")
    assert where_shown(body, US) == ()
    assert where_shown(body + event("COMMENT:425 555 0100"), US) == (Place("VEVENT", "COMMENT"),)
    assert may_show(body + event("COMMENT:425 555 0100"), US)
