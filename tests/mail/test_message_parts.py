"""What a message says in each of its parts, and how they are written."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from migrations_app.calendars import itip
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.demo import invitations as demo
from migrations_app.mail.delivery import deliver
from migrations_app.mail.imip import Content, compose, message_id
from migrations_app.mail.when_and_where import when_and_where
from migrations_app.rewriting.block import render_html, render_text
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import ConferencingUser
from tests.support.actors import ACTOR
from tests.support.meetings import body_of, calendar_of, invite, messages_in, migrate
from tests.support.samples import BLOCK, NOW, calendar, document, event, paragraph

NOTE = {
    "en": "The joining details of this meeting have changed",
    "es": "Han cambiado los datos para unirse",
    "it": "Sono cambiati i dati per partecipare",
}
BO = "ATTENDEE:mailto:bo@fabrikam.com"


def octets_of(*lines: str, language: str = "en", replacing: tuple[bytes, bytes] = (b"", b""), **options: str) -> bytes:
    """The message about a meeting with these lines, to Bo."""
    body = calendar(event(BO, *lines, **options)).replace(*replacing)
    (request,) = itip.read(body, (), now=NOW).requests
    assert request.recipients
    return compose(
        Content(
            organizer=request.recipients[0],
            sender="mms@contoso.com",
            recipients=request.recipients,
            message_id=message_id("run", "meeting", 1, "contoso.com"),
            date=datetime(2030, 1, 1, tzinfo=UTC),
            subject=request.subject,
            description=request.description,
            html=request.html,
            calendar=request.body,
            language=language,
            appointments=request.appointments,
        )
    )


def message_of(*lines: str, **options: object) -> EmailMessage:
    return message_from_bytes(octets_of(*lines, **options), policy=policy.default)  # type: ignore[arg-type, return-value]


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return found.get_content().replace("\r\n", "\n")


def read_html(message: EmailMessage) -> str:
    """What is seen of the HTML part, in its order."""
    text = re.sub(r"<[^>]*>", " ", part(message, "html"))
    for reference, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#x27;", "'"), ("&amp;", "&")):
        text = text.replace(reference, character)
    return " ".join(text.split())


# --- note, when and where -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", sorted(NOTE))
@pytest.mark.parametrize("html", [None, "<p>Agenda</p>", document(paragraph("Agenda"))])
def test_both_parts_say_what_changed_and_when_and_where_it_is(language: str, html: str | None) -> None:
    message = message_of(language=language, text="Agenda", html=html)
    when, where = {"en": ("When", "Where"), "es": ("Cuándo", "Dónde"), "it": ("Quando", "Dove")}[language]
    for text in (part(message, "plain"), read_html(message)):
        places = [text.index(each) for each in (NOTE[language], f"{when}: ", f"{where}: Room 12", "Agenda")]
        assert places == sorted(places)
        assert text.count(NOTE[language]) == 1


@pytest.mark.parametrize(
    ("lines", "language", "said"),
    [
        (
            ["DTSTART;TZID=Europe/Berlin:20360304T100000", "DTEND;TZID=Europe/Berlin:20360304T110000"],
            "en",
            "Tuesday, March 4, 2036, 10:00 AM – 11:00 AM (Europe/Berlin)",
        ),
        (
            ["DTSTART;TZID=W. Europe Standard Time:20360304T220000", "DURATION:PT3H"],
            "it",
            "martedì 4 marzo 2036, 22:00 – mercoledì 5 marzo 2036, 01:00 (Europe/Berlin)",
        ),
        (
            ["DTSTART;TZID=Europe/Rome:20360304T090000", "DTEND:20360304T083000Z"],
            "es",
            "martes, 4 de marzo de 2036, 9:00 – 9:30 (Europe/Rome)",
        ),
        (["DTSTART:20360304T000000Z", "DTEND:20360304T120000Z"], "en", "12:00 AM – 12:00 PM (UTC)"),
        (["DTSTART:20360304T100000"], "en", "Tuesday, March 4, 2036, 10:00 AM"),
        (["DTSTART;TZID=Nowhere:20360304T100000"], "en", "Tuesday, March 4, 2036, 10:00 AM (Nowhere)"),
        (["DTSTART;VALUE=DATE:20360304", "DTEND;VALUE=DATE:20360305"], "en", "Tuesday, March 4, 2036 (all day)"),
        (["DTSTART;VALUE=DATE:20360304"], "it", "martedì 4 marzo 2036 (tutto il giorno)"),
        (
            ["DTSTART;VALUE=DATE:20360304", "DTEND;VALUE=DATE:20360307"],
            "es",
            "martes, 4 de marzo de 2036 – jueves, 6 de marzo de 2036 (todo el día)",
        ),
    ],
)
def test_times_are_those_of_the_meetings_own_zone(lines: list[str], language: str, said: str) -> None:
    message = message_of(*lines, language=language, start="X-START:none", end="X-END:none", text="Agenda")
    for text in (part(message, "plain"), read_html(message)):
        assert said in text
    (line,) = [line for line in part(message, "plain").splitlines() if said in line]
    assert line.endswith(said)


def test_a_zone_that_the_calendar_defines_is_told_by_its_distance_from_utc() -> None:
    zone = (
        b"BEGIN:VTIMEZONE\r\nTZID:Customized Time Zone\r\nBEGIN:STANDARD\r\nDTSTART:16010101T000000\r\n"
        b"TZOFFSETFROM:-0330\r\nTZOFFSETTO:-0330\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT"
    )
    start = "DTSTART;TZID=Customized Time Zone:20360304T100000"
    message = message_of(start=start, end="X-END:none", text="Agenda", replacing=(b"BEGIN:VEVENT", zone))
    assert "10:00 AM (Customized Time Zone, UTC-03:30)" in part(message, "plain")


@pytest.mark.parametrize(
    ("rule", "language", "said"),
    [
        ("FREQ=WEEKLY;COUNT=8", "en", "; repeats every week, 8 times"),
        ("FREQ=WEEKLY;COUNT=1", "en", "; repeats every week, once"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TH,TU;WKST=MO", "it", "; si ripete ogni 2 settimane (martedì, giovedì)"),
        ("FREQ=DAILY;BYDAY=MO,TU", "es", "; se repite cada semana (lunes, martes)"),
        ("FREQ=DAILY;UNTIL=20360401T100000Z", "en", "; repeats every day until Tuesday, April 1, 2036"),
        ("FREQ=DAILY;UNTIL=99991231T000000Z", "en", "; repeats every day"),
        ("FREQ=MONTHLY;BYDAY=2TU", "en", "; repeats every month"),
        ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=-1;INTERVAL=3", "en", "; repeats every 3 months"),
        ("FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=4", "es", "; se repite cada año"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15", "en", "; repeats"),  # twice a month: more than these words can tell
        ("FREQ=MONTHLY;BYDAY=TU", "en", "; repeats"),
        ("FREQ=YEARLY;BYMONTH=3,9", "it", "; si ripete"),
        ("FREQ=HOURLY", "en", "; repeats"),
    ],
)
def test_a_series_is_told_by_its_first_occurrence_and_how_it_recurs(rule: str, language: str, said: str) -> None:
    start, end = "DTSTART:20360304T100000Z", "DTEND:20360304T110000Z"
    message = message_of(f"RRULE:{rule}", language=language, start=start, end=end, text="Agenda")
    (line,) = [line for line in part(message, "plain").splitlines() if "2036" in line]
    assert line.endswith(f"(UTC){said}")
    assert said in read_html(message)


@pytest.mark.parametrize("rule", ["FREQ=NEVER", "X", "FREQ=DAILY;UNTIL=soon", "FREQ=DAILY;INTERVAL=0"])
def test_a_series_whose_rule_cannot_be_read_recurs_somehow(rule: str) -> None:
    (line,) = [
        line for line in part(message_of(f"RRULE:{rule}", text="Agenda"), "plain").splitlines() if "2030" in line
    ]
    assert line.endswith("(UTC); repeats")


@pytest.mark.parametrize(
    "start", ["DTSTART:soon", "DTSTART;VALUE=DATE:99991231", "DTSTART:20300301T100000Z\r\nDURATION:x"]
)
def test_times_that_cannot_be_read_are_left_out_and_the_message_goes(start: str) -> None:
    message = message_of(start=start, end="X-END:none", text="Agenda")
    assert part(message, "plain").replace("\n", " ").endswith("Please use the details below.  Agenda")


def test_a_meeting_without_a_place_is_online() -> None:
    message = message_of(text="Agenda", language="it", replacing=(b"LOCATION:Room 12\r\n", b""))
    assert "Dove: Riunione online\n" in part(message, "plain")
    assert "Dove: Riunione online" in read_html(message)


def test_guests_of_occurrences_are_told_when_each_is() -> None:
    series = event("RRULE:FREQ=WEEKLY", "ATTENDEE:mailto:cy@fabrikam.com", text="Agenda")
    occurrences = [
        event(f"RECURRENCE-ID:{day}T100000Z", BO, start=f"DTSTART:{day}T120000Z", end=f"DTEND:{day}T130000Z", text=day)
        for day in ("20300308", "20300315", "20300322")
    ]
    places = iter([b"LOCATION:Home", b"LOCATION:Hall", b"LOCATION:Yard", b"LOCATION:Hall"])
    body = re.sub(b"LOCATION:Room 12", lambda _: next(places), calendar(series, *occurrences))
    (guests,) = [each for each in itip.read(body, (), now=NOW).requests if not each.has_series]
    facts = when_and_where(guests.appointments, "en")
    assert [value for _, value in facts] == [
        "Friday, March 8, 2030, 12:00 PM – 1:00 PM (UTC)",
        "Hall",
        "Friday, March 15, 2030, 12:00 PM – 1:00 PM (UTC)",
        "Yard",
        "Friday, March 22, 2030, 12:00 PM – 1:00 PM (UTC)",
        "Hall",
    ]


def test_guests_of_all_that_follows_are_told_that_it_recurs() -> None:
    series = event("RRULE:FREQ=WEEKLY", "ATTENDEE:mailto:cy@fabrikam.com", text="Agenda")
    follows = "RECURRENCE-ID;RANGE=THISANDFUTURE:20300308T100000Z"
    following = event(follows, BO, start="DTSTART:20300308T120000Z", end="DTEND:20300308T130000Z", text="Agenda")
    (guests,) = [each for each in itip.read(calendar(series, following), (), now=NOW).requests if not each.has_series]
    assert when_and_where(guests.appointments, "en")[0] == (
        "When",
        "Friday, March 8, 2030, 12:00 PM – 1:00 PM (UTC); repeats",
    )


# --- text from outside ----------------------------------------------------------------------------------


def test_nothing_from_outside_is_markup() -> None:
    hostile = "<script>alert(1)</script>"
    message = message_of(
        "RRULE:FREQ=DAILY;COUNT=2",
        text=f'{hostile}\nJoin <https://x.org/"onclick="a()>\n<javascript:alert(1)>\nhttps://x.org/?a=1&b=<i>',
        start=f"DTSTART;TZID={hostile}:20360304T100000",
        end="X-END:none",
        replacing=(b"LOCATION:Room 12", f'LOCATION:{hostile}" onload="x'.encode()),
    )
    html = part(message, "html")
    assert "<script" not in html
    assert "<i>" not in html
    assert re.findall(r'href="([^"]*)"', html) == ["https://x.org/", "https://x.org/?a=1&amp;b="]
    assert not re.search(r"<[^>]*\bon\w+=", html)
    assert hostile in read_html(message)


def test_a_meeting_without_html_is_told_in_html_too() -> None:
    message = message_of(text=f"Agenda & more\n\n{render_text(BLOCK)}")
    html = part(message, "html")
    assert "Agenda &amp; more" in html
    assert re.findall(r'<a href="([^"]*)">([^<]*)</a>', html)[0] == (BLOCK.join_url, "Join the online meeting")
    assert f"{BLOCK.conference_id}#" in html


@pytest.mark.parametrize(
    ("html", "before"),
    [
        ("<p>Agenda</p>", ""),
        ("<html><head><title>T</title></head><p>Agenda</p></html>", "<html><head><title>T</title></head>"),
        (
            "<!DOCTYPE html>\n<HTML><BODY bgcolor=white>Agenda</BODY></HTML>",
            "<!DOCTYPE html>\n<HTML><BODY bgcolor=white>",
        ),
        ("<html><head><!-- <body> --></head><Body>Agenda", "<html><head><!-- <body> --></head><Body>"),
        ("<html><!-- <body> Agenda", "<html>"),
        ("<html><body Agenda", ""),
        ("<html><body title=\"a > b\" onload='x>y'>Agenda", "<html><body title=\"a > b\" onload='x>y'>"),
        ('<html><body title="never closed>Agenda', '<html><body title="never closed>'),
    ],
)
def test_the_note_begins_the_body_of_whatever_html(html: str, before: str) -> None:
    found = part(message_of(text="Agenda", html=html), "html")
    assert found.partition('<div lang="en"')[0] == before
    assert found.startswith(before)
    assert NOTE["en"] in found


# --- how it is written ----------------------------------------------------------------------------------


@pytest.mark.parametrize("html", [None, "<p>One</p>\n<p>Two</p>\r\n<p>Three</p>\r"])
@pytest.mark.parametrize("eol", [b"\r\n", b"\n"])
def test_lines_of_all_texts_end_in_crlf(html: str | None, eol: bytes) -> None:
    """RFC 2045 section 6.8; also in the attached file (RFC 5545 section 3.1)."""
    octets = octets_of(text="One\nTwo\r\nThree", html=html, replacing=(b"\r\n", eol))
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", octets)
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    parts = re.findall(rb"Content-Transfer-Encoding: base64\r\n\r\n(.*?)\r\n--", octets, re.DOTALL)
    assert len(parts) == 4
    for each in parts:
        text = base64.b64decode(each)
        assert b"\n" in text
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", text)


def test_headers_are_those_of_a_meeting_request() -> None:
    message = message_of(text="Agenda")
    assert message["Content-Class"] == "urn:content-classes:calendarmessage"
    assert message["X-Auto-Response-Suppress"] == "DR, RN, NRN, OOF, AutoReply"
    assert message["Thread-Topic"] == "Budget, all teams"
    assert message["Subject"] == "Updated: Budget, all teams"
    assert message["Auto-Submitted"] == "auto-generated"


def test_no_message_shows_the_logo_from_elsewhere(anna: ConferencingUser, outbox: Path) -> None:
    """Mail filters count a remote picture against a message; the organizer's copy and the calendar keep it."""
    change_tenant(anna.tenant, ACTOR, logo_url="https://www.contoso.com/logo.png", name='Contoso "Ltd"')
    uid, _ = invite(anna, build=demo.skype_html)
    migrate(ConferencingUser.objects.get(pk=anna.pk))
    assert deliver() == 1
    (message,) = messages_in(outbox)
    assert "logo.png" not in part(message, "html")
    assert "mms-meeting-block" in part(message, "html")
    for body in (body_of(anna, uid), calendar_of(message)):
        html = re.sub(rb"\r\n[ \t]", b"", body)
        assert b"https://www.contoso.com/logo.png" in html
        assert b'alt="Contoso &quot\\;Ltd&quot\\;"' in html


def test_other_pictures_of_the_organizer_stay() -> None:
    html = f'<img src="https://x.org/a.png">{render_html(BLOCK)}<img src="https://x.org/b.png">'
    found = part(message_of(text="Agenda", html=html), "html")
    assert re.findall(r'src="([^"]*)"', found) == ["https://x.org/a.png", "https://x.org/b.png"]


@pytest.mark.parametrize("wrapped", ["mailto:<bo@fabrikam.com>", "mailto:'bo@fabrikam.com'"])
def test_attendees_whose_address_is_wrapped_are_mailed(anna: ConferencingUser, outbox: Path, wrapped: str) -> None:
    def build(meeting: object) -> bytes:
        line = f"\r\nATTENDEE;CN=Bo:{wrapped}\r\nATTENDEE".encode()
        return demo.skype_text(meeting).replace(b"\r\nATTENDEE", line, 1)  # type: ignore[arg-type]

    invite(anna, build=build)
    migrate(anna)
    assert deliver() == 1
    (message,) = messages_in(outbox)
    assert "bo@fabrikam.com" in [each.addr_spec for each in message["To"].addresses]
    assert b"ATTENDEE;CN=Bo:mailto:bo@fabrikam.com\r\n" in calendar_of(message)


CATALOGUE = sorted((Path(__file__).parents[1] / "catalogue").rglob("*.ics"))


@pytest.mark.parametrize("path", CATALOGUE, ids=lambda path: path.stem)
def test_whatever_is_stored_the_mail_is_one_that_readers_take(path: Path) -> None:
    try:
        requests = itip.read(path.read_bytes(), (), now=NOW).requests
    except UnreadableCalendar:
        return  # nothing is mailed of it
    for request in requests:
        lines = re.sub(r"\r\n[ \t]", "", request.body.decode("utf-8")).split("\r\n")
        assert not re.search(r"[\r\n]", "".join(lines))
        assert "BEGIN:VALARM" not in map(str.upper, lines)
        assert len({line for line in lines if line.upper().startswith("DTSTAMP")}) <= 1
        assert not any(line.startswith("X-MS-OLK-FORCEINSPECTOROPEN") for line in lines)
        assert len(itip.read(request.body, (), now=NOW).requests) == 1
        assert not any(re.search("[\ud800-\udfff]", text) for text in (request.description, request.html))
        for event_lines in re.findall(r"BEGIN:VEVENT\n.*?END:VEVENT", "\n".join(lines), re.DOTALL):
            assert not ("\nRECURRENCE-ID" in event_lines and "\nSTATUS:CANCELLED" in event_lines)
        assert request.appointments
        assert when_and_where(request.appointments, "en")
