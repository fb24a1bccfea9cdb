"""Who is invited, in a form that is safe to put into mail headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.calendars.facts import read_facts
from migrations_app.calendars.people import Person, attendees, organizer
from tests.support.samples import calendar, event


def test_it_reads_names_and_addresses_as_written() -> None:
    lines = [
        "ATTENDEE;ROLE=REQ-PARTICIPANT;CN=\"Berg, Bo: the ^'second^'\";X-NUM=1:mailto:Bo.Berg@Fabrikam.com",
        "attendee;cn=Cy:MAILTO:cy%2Bx@fabrikam.com",
        "ATTENDEE:mailto:di@exämple.org?subject=x",
        'ATTENDEE;DELEGATED-TO="mailto:x@example.org";CN=Ed;SENT-BY="mailto:y@example.org":mailto:ed@example.org',
    ]
    assert attendees(calendar(event(*lines))) == [
        Person('Berg, Bo: the "second"', "Bo.Berg@Fabrikam.com"),
        Person("Cy", "cy+x@fabrikam.com"),
        Person("", "di@exämple.org"),
        Person("Ed", "ed@example.org"),
    ]
    assert organizer(calendar(event(*lines))) == Person("Anna Lind", "anna@contoso.com")


def test_it_names_everyone_once_over_master_and_overrides() -> None:
    bo, also_bo = "ATTENDEE;CN=Bo:mailto:bo@fabrikam.com", "ATTENDEE:mailto:BO@FABRIKAM.COM"
    moved = event(also_bo, "ATTENDEE:mailto:cy@fabrikam.com", "RECURRENCE-ID:20300308T100000Z")
    assert attendees(calendar(event(bo), moved)) == [Person("Bo", "bo@fabrikam.com"), Person("", "cy@fabrikam.com")]


@pytest.mark.parametrize(
    "value",
    [
        "invalid:nomail",
        "urn:uuid:1234",
        "/o=Contoso/ou=Exchange/cn=bo",
        "mailto:",
        "mailto:bo",
        "mailto:bo@",
        "mailto:@fabrikam.com",
        "mailto:bo@fabrikam.com@example.org",
        "mailto:bo@fabrikam.com%0D%0ABcc:evil@example.org",
        "mailto:bo%0a@fabrikam.com",
        "mailto:bo@fabrikam.com,evil@example.org",
        "mailto:bo berg@fabrikam.com",
        "mailto:bo%20berg@fabrikam.com",
        "bo",
        "bo berg@fabrikam.com",
        "/principals/users/bo@fabrikam.com",
        "https://cal.contoso.com/principals/bo@fabrikam.com",
        "sip:bo@fabrikam.com",
        "mailto:<>",
        "mailto:<bo@fabrikam.com>, <evil@example.org>",
        "mailto:%3Cbo@fabrikam.com%0D%0ABcc:evil@example.org%3E",
        "mailto:mailto:mailto:mailto:mailto:bo@fabrikam.com",
        "mailto:bo@fabrikam\u2028.com",
        "mailto:bo@-",
        "mailto:bo@[127.0.0.1]",
        'mailto:"bo"@fabrikam.com',
        "mailto:bo%00@fabrikam.com",
        "mailto:%ff%fe@fabrikam.com",
        f"mailto:{'b' * 400}@fabrikam.com",
        "mailto:bo@fabrikam..com",
        "mailto:bo@.fabrikam.com",
        "mailto:bo@fabrikam.com.",
        "mailto:bo@-.-",
        "mailto:bo@-fabrikam.com",
        f"mailto:bo@{'f' * 64}.com",
        "mailto:=?utf-8?q?bo=2C_evil?=@fabrikam.com",
    ],
)
def test_nobody_without_a_proper_address_comes_out(value: str) -> None:
    source = calendar(event(f"ATTENDEE:{value}"))
    assert attendees(source) == []
    assert organizer(
        source.replace(b'ORGANIZER;CN="Anna Lind":mailto:anna@contoso.com', f"ORGANIZER:{value}".encode())
    ) == Person("", "")


@pytest.mark.parametrize(
    "line",
    [
        ":bo@fabrikam.com",
        ";CUTYPE=ROOM: bo@fabrikam.com ",
        ":MAILTO:bo@fabrikam.com",
        ":Mailto: bo@fabrikam.com",
        ":mailto://bo@fabrikam.com",
        ":mailto:mailto:bo@fabrikam.com",
        ":SMTP:bo@fabrikam.com",
        ":mailto:<bo@fabrikam.com>",
        ":<mailto:bo@fabrikam.com>",
        ":mailto:'bo@fabrikam.com'",
        ':"mailto:bo@fabrikam.com"',
        ":mailto:%27bo@fabrikam.com%27",
        ":mailto:%3Cbo%40fabrikam.com%3E",
        ":bo%40fabrikam.com",
        ":Bo Berg <bo@fabrikam.com>",
        ':mailto:"Berg, Bo" <bo@fabrikam.com>',
        ";EMAIL=bo@fabrikam.com:urn:uuid:8a2f6f2e-0a5e-4b6e-9c7d-1111",
        ';EMAIL="bo@fabrikam.com":/principals/__uids__/1111/',
        ';email="mailto:bo@fabrikam.com":https://cal.contoso.com/principals/1111',
        ";EMAIL=bo@fabrikam.com:invalid:nomail",
        ';X-NUM-GUESTS=0;EMAIL="bo@fabrikam.com";CN=Bo:/o=Contoso/ou=Exchange/cn=bo',
        ";EMAIL=other@example.org:mailto:bo@fabrikam.com",
    ],
)
def test_r24_an_address_is_understood_however_a_program_writes_it(line: str) -> None:
    source = calendar(event(f"ATTENDEE{line}"))
    assert [person.address for person in attendees(source)] == ["bo@fabrikam.com"]
    named = source.replace(b'ORGANIZER;CN="Anna Lind":mailto:anna@contoso.com', f"ORGANIZER{line}".encode())
    assert named != source
    found = organizer(named)
    assert found is not None
    assert found.address == "bo@fabrikam.com"


def test_r24_the_same_person_written_in_two_ways_is_named_once() -> None:
    lines = [
        "ATTENDEE;CN=Bo:bo@fabrikam.com",
        "ATTENDEE;EMAIL=BO@fabrikam.com:urn:uuid:1",
        "ATTENDEE:mailto:<bo@fabrikam.com>",
    ]
    assert attendees(calendar(event(*lines))) == [Person("Bo", "bo@fabrikam.com")]
    assert read_facts(calendar(event(*lines))).attendee_count == 2


def test_unusual_but_valid_addresses_come_out() -> None:
    addresses = [
        "o'brien+x=y@fabrikam.com",
        "bo..berg.@fabrikam.com",
        "bo@localhost",
        "bo@a-b.x_y.xn--exmple-cua.org",
        f"bo@{'f' * 63}.com",
    ]
    source = calendar(event(*[f"ATTENDEE:mailto:{address}" for address in addresses]))
    assert [person.address for person in attendees(source)] == addresses


def test_a_meeting_may_have_no_organizer() -> None:
    assert organizer(calendar([line for line in event() if not line.startswith("ORGANIZER")])) is None


@given(st.text(), st.text())
def test_nothing_can_forge_a_mail_header(name: str, address: str) -> None:
    lines = [f'ATTENDEE;CN="{name}":mailto:{address}'.replace("\n", "^n").replace("\r", "^n")]
    source = calendar(event(), event(*lines)).replace("\udc80".encode("utf-8", "surrogatepass"), b"")
    for person in attendees(source):
        assert person.address.count("@") == 1
        assert (person.name + person.address).isprintable() or not any(
            ord(c) < 32 or c in "\x7f\x85\u2028\u2029" for c in person.name + person.address
        )
        assert not set(person.address) & set(' ,;:<>()[]"\\')
