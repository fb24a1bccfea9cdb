"""Files taken apart into objects of one meeting each; what small files may not stand for."""

from __future__ import annotations

import multiprocessing
import re
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from migrations_app.calendars import itip
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.calendars.facts import read_facts
from migrations_app.calendars.joining import join
from migrations_app.calendars.objects import LARGEST_FILE, split_objects
from migrations_app.rewriting.errors import Declined
from tests.support.rewriting import rewrite
from tests.support.samples import BLOCK, NOW

ROOM = 125_000_000
"""Octets that may be taken beside those that any command takes."""


def zone(name: str, rules: int = 1) -> str:
    rule = "BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD\n"
    return f"BEGIN:VTIMEZONE\nTZID:{name}\n{rule * rules}END:VTIMEZONE\n"


def event(uid: str, more: str = "", start: str = ":20360301T100000Z") -> str:
    return (
        f"BEGIN:VEVENT\nUID:{uid}@contoso.com\nDTSTART{start}\nSUMMARY:Budget\n"
        f"ORGANIZER:mailto:anna@contoso.com\nATTENDEE:mailto:bob@fabrikam.com\n{more}END:VEVENT\n"
    )


def calendar(*parts: str, more: str = "") -> bytes:
    text = "".join(["BEGIN:VCALENDAR\nVERSION:2.0\n", more, *parts, "END:VCALENDAR\n"])
    return text.replace("\n", "\r\n").encode()


def zones_in(body: bytes) -> list[str]:
    return re.findall(r"BEGIN:VTIMEZONE\r\nTZID:(\S+)", body.decode())


@pytest.mark.parametrize(
    "named",
    [
        event("one", start=";TZID=Contoso:20360301T100000"),
        event("one", start=';TZID="Contoso":20360301T100000'),
        event("one", start=";VALUE=DATE-TIME;TZID=Con\n toso:20360301T100000"),
        event("one", start=";T\n ZID=contoso:20360301T100000"),
        event("one", "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER;TZID=Contoso:20360301T090000\nEND:VALARM\n"),
        event("one", "EXDATE;TZID=Contoso:20360301T100000\n"),
    ],
)
def test_each_object_has_the_zones_that_it_names_and_no_others(named: str) -> None:
    source = calendar(zone("Fabrikam"), zone("Contoso"), named, event("two"))
    one, two = (body for _, body in split_objects(source))
    assert zones_in(one) == ["Contoso"]
    assert zones_in(two) == []
    assert one == calendar(zone("Contoso"), named)


DISPLAY_NAME = "(UTC+01:00) Amsterdam\\, Berlin"


@pytest.mark.parametrize(
    ("zone_id", "start"),
    [
        (DISPLAY_NAME, ';TZID="(UTC+01:00) Amsterdam, Berlin"'),  # as Windows shows it
        (DISPLAY_NAME, ';TZID="(UTC+01:00) Ams\n terdam, Berlin"'),
        (DISPLAY_NAME, ';VALUE=DATE-TIME;tzid="(UTC+01:00) Amsterdam, Berlin"'),
        ("Contoso: West", ';TZID="Contoso: West"'),
        ("Contoso\\; West", ';TZID="Contoso; West"'),
        ("Contoso", ";tzid=Contoso"),
        ("Contoso", ";Tzid=Contoso"),
    ],
)
def test_a_zone_is_found_however_its_name_is_written(zone_id: str, start: str) -> None:
    one = event("one", start=f"{start}:20360301T100000")
    source = calendar(zone("Fabrikam"), zone(zone_id), one, event("two"))
    assert dict(split_objects(source)) == {
        "one@contoso.com": calendar(zone(zone_id), one),
        "two@contoso.com": calendar(event("two")),
    }
    (request,) = itip.read(calendar(zone(zone_id), one), ["anna@contoso.com"], now=NOW).requests
    assert request.body.count(b"BEGIN:VTIMEZONE") == 1


def test_a_request_has_the_zones_that_its_events_name_and_no_others() -> None:
    guest = "RECURRENCE-ID;TZID=Contoso:20360302T100000\nATTENDEE:mailto:gus@example.org\n"
    source = calendar(
        zone("Contoso"),
        zone("Fabrikam"),
        event("one", "RRULE:FREQ=DAILY;COUNT=9\nX-HALL;TZID=Fabrikam:1\n", ";TZID=Contoso:20360301T100000"),
        event("one", guest, ";TZID=Contoso:20360302T110000"),
    )
    requests = itip.read(source, ["anna@contoso.com"], now=NOW).requests
    assert [zones_in(request.body) for request in requests] == [["Contoso", "Fabrikam"], ["Contoso"]]


# Each by its name: what it is, and the words of its refusal, or "" where it is read.
BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "zones that nobody names": (
        lambda: calendar(*[zone(f"Z{n}") for n in range(1500)], *[event(f"u{n}") for n in range(1500)]),
        "",
    ),
    "a large zone that all name": (
        lambda: calendar(zone("Z", 2500), *[event(f"u{n}", start=";TZID=Z:20360301T100000") for n in range(1500)]),
        "far more room one by one",
    ),
    "many zones that all name": (
        lambda: calendar(
            *[zone(f"Z{n}") for n in range(1000)],
            *[event(f"u{n}", "".join(f"X-A;TZID=Z{z}:1\n" for z in range(1000))) for n in range(200)],
        ),
        "far more room one by one",
    ),
    "a long head of the calendar": (
        lambda: calendar(*[event(f"u{n}") for n in range(3000)], more=f"X-A:{'a' * 70}\n" * 5000),
        "far more room one by one",
    ),
    "a zone of 25,000 rules": (
        lambda: calendar(zone("Z", 25_000), event("u", start=";TZID=Z:20360301T100000")),
        "",
    ),
    "every second": (lambda: calendar(event("u", "RRULE:FREQ=SECONDLY;COUNT=999999999\n")), ""),
    "never": (lambda: calendar(event("u", "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30\n")), ""),
    "100,000 rules": (lambda: calendar(event("u", "RRULE:FREQ=DAILY;COUNT=20000\n" * 100_000)), "RRULE"),
    "300,000 days off": (
        lambda: calendar(event("u", "RRULE:FREQ=DAILY\nEXDATE:" + "20360301T100000Z," * 300_000 + "\n")),
        "EXDATE has more than 20,000 dates",
    ),
    "100,000 further days": (
        lambda: calendar(event("u", "RDATE:20360301T100000Z\n" * 100_000)),
        "RDATE has more than 20,000 dates",
    ),
    "20,000 attendees": (
        lambda: calendar(event("u", "".join(f"ATTENDEE:mailto:a{n}@fabrikam.com\n" for n in range(20_000)))),
        "",
    ),
    "components in components": (
        lambda: calendar(event("u", "BEGIN:VALARM\n" * 40_000 + "END:VALARM\n" * 40_000)),
        "",
    ),
    "100,000 properties": (lambda: calendar(event("u", "X-P:1\n" * 100_000)), ""),
    "400,000 properties": (lambda: calendar(event("u", "X:1\n" * 400_000)), "more than 200,000 lines"),
    "3,000,000 folds": (
        lambda: calendar(event("u", "DESCRIPTION:" + "x\n " * 3_000_000 + "\n")),
        "more than 1,000,000 lines",
    ),
    "a line of 8 MB": (lambda: calendar(event("u", "DESCRIPTION:" + "x" * 8_000_000 + "\n")), ""),
    "200,000 parameters": (
        lambda: calendar(event("u", "ATTENDEE" + ";X=y" * 200_000 + ":mailto:cho@contoso.com\n")),
        "",
    ),
    "too large a file": (
        lambda: calendar(event("u", "ATTACH:" + "A" * LARGEST_FILE + "\n")),
        "16 MB are read",
    ),
}


def read_all(source: bytes) -> str:
    """Read and rewrite each object; the first refusal."""
    refused = ""
    try:
        for _, body in split_objects(source):
            read_facts(body)
            for request in itip.read(body, ["anna@contoso.com"], now=NOW).requests:
                request.body  # noqa: B018 - made when it is asked for
            with suppress(Declined):  # for there is no block
                rewrite(body, BLOCK, now=NOW)
    except UnreadableCalendar as error:
        refused = str(error)
    return refused


def read_in_little_room(name: str, end: multiprocessing.connection.Connection) -> None:
    taken = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert taken is not None
    make, _ = BOMBS[name]
    source = make()
    limit = int(taken[1]) * 1024 + len(source) + ROOM
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        end.send(read_all(source))
    except MemoryError:
        end.send("MemoryError")


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_stands_for_a_large_one_is_read_in_little_room_or_refused(name: str) -> None:
    processes = multiprocessing.get_context("fork")
    here, there = processes.Pipe(duplex=False)
    child = processes.Process(target=read_in_little_room, args=(name, there))
    child.start()
    there.close()
    refused = here.recv()
    child.join()
    _, words = BOMBS[name]
    assert words in refused
    assert bool(refused) == bool(words), refused


def test_what_comes_out_of_a_file_is_bounded() -> None:
    source = calendar(zone("Z", 1000), *[event(f"u{n}", start=";TZID=Z:20360301T100000") for n in range(100)])
    objects = split_objects(source)
    assert len(objects) == 100
    assert sum(len(body) for _, body in objects) <= len(source) + LARGEST_FILE


def test_many_occurrences_in_two_files_with_many_zones_are_joined() -> None:
    zones = "".join(zone(f"Z{n}") for n in range(1000))
    series = calendar(zones, event("u", "RRULE:FREQ=DAILY\n"))
    moved = [event("u", f"RECURRENCE-ID:2036{n // 28 + 3:02}{n % 28 + 1:02}T100000Z\n") for n in range(200)]
    assert join([series, calendar(zones.replace("Z9", "Y9"), *moved)]).count(b"BEGIN:VEVENT") == 201
