"""Small calendar objects for tests of calendar servers, and how two of them are compared by meaning."""

from __future__ import annotations

from collections.abc import Sequence

from icalendar import Calendar


def event(
    uid: str,
    description: str = "Agenda follows.",
    organizer: str = "anna.rossi@contoso.com",
    attendees: Sequence[str] = (),
    summary: str = "Weekly",
) -> bytes:
    """A meeting in 2030. Its organizer stands in it only with attendees, as clients write it."""
    people = [f"ORGANIZER:mailto:{organizer}"] if attendees else []
    people += [f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{attendee}" for attendee in attendees]
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Contoso//Calendar//EN",
        "BEGIN:VEVENT",
        f"UID:{uid}",
        "DTSTAMP:20260101T000000Z",
        "DTSTART:20300107T100000Z",
        "DTEND:20300107T110000Z",
        f"SUMMARY:{summary}",
        f"DESCRIPTION:{description}",
        *people,
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def meaning(body: bytes) -> list[tuple[str, str]]:
    """The properties of the first event, in a form that does not depend on how a server writes them."""
    (first,) = Calendar.from_ical(body).walk("VEVENT")[:1]
    return sorted((name, str(value)) for name, value in first.property_items() if name not in {"BEGIN", "END"})
