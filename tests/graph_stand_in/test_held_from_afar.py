"""The stand-in as a process of its own, and events of it that are given as invitations."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from migrations_app.mailboxes.exchange.events import Kind
from tests.graph_stand_in.conftest import ANNA, meeting
from tests.support.graph_stand_in import Behaviour
from tests.support.graph_stand_in.invitations import of_invitation
from tests.support.graph_stand_in.remote import Remote

SERIES = b"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Contoso//EN
BEGIN:VEVENT
UID:weekly@contoso.com
DTSTART;TZID=W. Europe Standard Time:20300108T100000
DTEND;TZID=W. Europe Standard Time:20300108T110000
RRULE:FREQ=WEEKLY;COUNT=3
EXDATE;TZID=W. Europe Standard Time:20300122T100000
SUMMARY:Weekly
ORGANIZER;CN=Anna Rossi:mailto:anna.rossi@contoso.com
ATTENDEE;CN=Ben;PARTSTAT=ACCEPTED:mailto:ben@fabrikam.com
X-ALT-DESC;FMTTYPE=text/html:<p>Join</p>
X-MICROSOFT-SKYPETEAMSMEETINGURL:https://teams.microsoft.com/l/meetup-join/19%3ax/0
END:VEVENT
BEGIN:VEVENT
UID:weekly@contoso.com
RECURRENCE-ID;TZID=W. Europe Standard Time:20300115T100000
DTSTART;TZID=W. Europe Standard Time:20300115T120000
DTEND;TZID=W. Europe Standard Time:20300115T130000
SUMMARY:Moved
END:VEVENT
END:VCALENDAR
""".replace(b"\n", b"\r\n")


def test_a_process_of_its_own() -> None:
    with Remote() as afar:
        afar.call("add_mailbox", ANNA)
        afar.put("behaviour", Behaviour.NEW_LINK)
        key = afar.call("add_event", ANNA, meeting())

        assert afar.call("event", ANNA, key).subject == "Weekly"
        assert afar.call("behaviour") is Behaviour.NEW_LINK
        assert httpx2.get(f"{afar.graph}/v1.0/users").status_code == 401
        with pytest.raises(RuntimeError, match="KeyError"):
            afar.call("event", ANNA, "none")


def test_an_invitation_becomes_an_event() -> None:
    event = of_invitation(SERIES)

    assert (event.kind, event.zone, event.rrule) == (Kind.SERIES, "Europe/Berlin", "FREQ=WEEKLY;COUNT=3")
    assert (event.body, event.body_is_html, event.join_url) == (
        "<p>Join</p>",
        True,
        "https://teams.microsoft.com/l/meetup-join/19%3ax/0",
    )
    assert [(person.address, person.answer) for person in event.attendees] == [("ben@fabrikam.com", "ACCEPTED")]
    assert [f"{start:%d %H}" for start in event.excluded] == ["22 09"]
    (moved,) = event.exceptions
    assert (moved.subject, moved.body, moved.attendees) == ("Moved", "<p>Join</p>", ())
    assert (f"{moved.recurrence_id:%d %H}", f"{moved.starts_at:%d %H}") == ("15 09", "15 11")


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(ValueError, match="no event"):
        of_invitation(b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_invitations_of_the_catalogue_become_events() -> None:
    files = sorted((Path(__file__).parent.parent / "catalogue" / "teams").rglob("*.ics"))

    assert files
    assert {of_invitation(path.read_bytes()).kind for path in files} >= {Kind.SINGLE}
