"""Who is mailed about a changed meeting, and what exactly they get."""

import pytest

from migrations_app.calendars import itip
from migrations_app.calendars.content_lines import parse
from migrations_app.calendars.itip import ascii_address
from tests.support.samples import NOW, calendar, event

BO, CY, DI = (f"ATTENDEE:mailto:{name}@fabrikam.com" for name in ("bo", "cy", "di"))
ZONE = b"BEGIN:VTIMEZONE\r\nTZID:%s\r\nEND:VTIMEZONE\r\n"
HEADER = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Contoso//Tests//EN\r\n"
FOOTER = b"END:VCALENDAR\r\n"


def request(body: bytes) -> bytes:
    return itip.read(body, (), now=NOW).request


def recipients(body: bytes, *own: str) -> list[str]:
    return [person.address for person in itip.read(body, own, now=NOW).recipients]


def occurrence(day: str, *lines: str) -> list[str]:
    return event(f"RECURRENCE-ID:{day}T100000Z", *lines, start=f"DTSTART:{day}T100000Z", end=f"DTEND:{day}T110000Z")


def events_in(body: bytes) -> list[bytes]:
    return [body[each.start : each.end] for source in parse(body) for each in source.events]


def with_method(method: str, body: bytes) -> bytes:
    return body.replace(b"VERSION:2.0\r\n", f"VERSION:2.0\r\n{method}\r\n".encode(), 1)


# --- the request ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("component", ["VTODO", "VJOURNAL", "VFREEBUSY", "X-PRIVATE"])
@pytest.mark.parametrize("anchor", [b"BEGIN:VEVENT", b"END:VCALENDAR", b"PRODID"])
def test_only_events_and_their_time_zones_are_mailed(component: str, anchor: bytes) -> None:
    body = calendar(event(BO, text="Hello"), occurrence("20300308", CY)).replace(
        b"BEGIN:VEVENT", ZONE % b"Here" + b"BEGIN:VEVENT", 1
    )
    private = (
        f"BEGIN:{component}\r\nSUMMARY:See the doctor\r\nBEGIN:VALARM\r\nEND:VALARM\r\nEND:{component}\r\n".encode()
    )
    assert request(body.replace(anchor, private + anchor, 1)) == request(body)
    assert request(body) == body.replace(b"BEGIN:VCALENDAR\r\n", b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n")


def test_events_are_mailed_octet_for_octet() -> None:
    body = calendar(event(BO, text="Grüße 👋 " * 40), occurrence("20300308", CY), width=31, space=b"\t")
    assert events_in(request(body)) == events_in(body)


@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_it_gets_a_method_in_the_files_own_line_ending(eol: bytes) -> None:
    body = calendar(event(BO), eol=eol)
    begin = b"BEGIN:VCALENDAR" + eol
    assert request(body) == body.replace(begin, begin + b"METHOD:REQUEST" + eol)


@pytest.mark.parametrize(
    "method", ["METHOD:PUBLISH", "method:request", 'METHOD;X-WHY="a:b":PUBLISH', "METH\r\n OD:PUB\r\n LISH"]
)
def test_a_stored_method_is_replaced_where_it_stands(method: str) -> None:
    body = with_method(method, calendar(event(BO)))
    assert request(body) == with_method("METHOD:REQUEST", calendar(event(BO)))


def test_a_second_method_does_not_stay() -> None:
    body = with_method("METHOD:PUBLISH\r\nMETHOD:CANCEL", calendar(event(BO)))
    assert request(body) == with_method("METHOD:REQUEST", calendar(event(BO)))


def test_concatenated_calendars_of_one_meeting_become_one_request() -> None:
    first, second = calendar(event(BO)), calendar(occurrence("20300308", CY)).replace(b"Contoso", b"Fabrikam")
    first = first.replace(b"BEGIN:VEVENT", ZONE % b"Here" + b"BEGIN:VEVENT", 1)
    second = second.replace(b"BEGIN:VEVENT", ZONE % b"Here" + ZONE % b"There" + b"BEGIN:VEVENT", 1)
    body = b"\xef\xbb\xbf" + first + with_method("METHOD:PUBLISH", second)
    made = request(body)
    header = HEADER.replace(b"VERSION", b"METHOD:REQUEST\r\nVERSION")
    assert made == b"".join([header, ZONE % b"Here", ZONE % b"There", *events_in(body), FOOTER])
    assert recipients(body) == ["bo@fabrikam.com", "cy@fabrikam.com"]


# --- whom it goes to ------------------------------------------------------------------------------------


def test_r24_who_was_invited_only_to_an_occurrence_that_is_over_is_not_mailed() -> None:
    master = event("RRULE:FREQ=WEEKLY", BO)
    assert recipients(calendar(master, occurrence("20300103", CY), occurrence("20300117", DI))) == [
        "bo@fabrikam.com",
        "di@fabrikam.com",
    ]
    assert recipients(calendar(master, occurrence("20300103", BO, CY))) == ["bo@fabrikam.com"]
    assert recipients(calendar(occurrence("20300103", CY))) == []
    assert recipients(calendar(occurrence("20300103", CY), occurrence("20300117", DI))) == ["di@fabrikam.com"]


def test_r24_a_master_in_the_past_still_names_whom_to_tell() -> None:
    past = event("RRULE:FREQ=WEEKLY", BO, start="DTSTART:20290301T100000Z", end="DTEND:20290301T110000Z")
    assert recipients(calendar(past)) == ["bo@fabrikam.com"]


def test_an_occurrence_whose_time_cannot_be_read_is_taken_to_come() -> None:
    odd = event("RECURRENCE-ID:20300103T100000Z", CY, start="DTSTART:soon")
    assert recipients(calendar(event("RRULE:FREQ=WEEKLY", BO), odd)) == ["bo@fabrikam.com", "cy@fabrikam.com"]


def test_r24_the_organizer_is_never_mailed() -> None:
    body = calendar(event(BO, CY, "ATTENDEE:mailto:ANNA@contoso.com"))
    assert recipients(body, "cy@fabrikam.com") == ["bo@fabrikam.com"]


@pytest.mark.parametrize("method", ["REPLY", "COUNTER", "REFRESH", "DECLINECOUNTER", "reply"])
def test_an_answer_is_mailed_to_nobody(method: str) -> None:
    assert recipients(with_method(f"METHOD:{method}", calendar(event(BO)))) == []
    assert recipients(with_method("METHOD:PUBLISH", calendar(event(BO)))) == ["bo@fabrikam.com"]


# --- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "mailable"),
    [
        ("zoe@fabrikam.com", "zoe@fabrikam.com"),
        ("Bo.O'Brien+x@Fabrikam.com", "Bo.O'Brien+x@Fabrikam.com"),
        ("bo..berg.@fabrikam.com", "bo..berg.@fabrikam.com"),
        ("di@exämple.org", "di@xn--exmple-cua.org"),
        ("b" * 64 + "@fabrikam.com", "b" * 64 + "@fabrikam.com"),
        ("b" * 65 + "@fabrikam.com", ""),
        ("用户@example.org", ""),
        ("a@example..org", ""),
        ("a@.example.org", ""),
        ("a@example.org.", ""),
        (f"a@{'x' * 64}.org", ""),
        (f"a@{'ü' * 62}.org", ""),  # short enough only before it is encoded
        ("a@" + ".".join(["x" * 60] * 4) + ".example", "a@" + ".".join(["x" * 60] * 4) + ".example"),
        ("a@" + ".".join(["x" * 60] * 4) + ".example.org", ""),
        ("a@" + ".".join(["üüüü"] * 24) + ".org", ""),  # too long only after encoding
        ("a@⒈", ""),  # becomes "1."
        ("a@⒈.org", ""),  # becomes "1..org"
        ("=?utf-8?q?bo=2C_evil?=@fabrikam.com", ""),  # which mail libraries take for another address
    ],
)
def test_only_addresses_that_mail_servers_take_are_mailed(address: str, mailable: str) -> None:
    assert ascii_address(address) == mailable
    assert recipients(calendar(event(f"ATTENDEE:mailto:{address}", BO))) == [
        *([mailable] if mailable else []),
        "bo@fabrikam.com",
    ]
