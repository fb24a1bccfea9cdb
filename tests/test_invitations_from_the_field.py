"""Invitations as mail systems and people write them, from a file to the attendees' mail: what becomes of each."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.management import call_command

from migrations_app.mail.delivery import deliver
from migrations_app.models import MeetingResult, Run
from migrations_app.runs import queue
from migrations_app.runs.worker import work_run
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser
from tests.support import samples
from tests.support.actors import ACTOR
from tests.support.meetings import STAY, addressees, body_of, calendar_of, messages_in, migrate
from tests.support.samples import calendar, event

OLD, NEW = "+1 425-555-0100", "+44 20 7946 0123"
ORGANIZER = "ORGANIZER;CN=Anna Rossi:mailto:anna.rossi@contoso.com"
BO, CY = "ATTENDEE;CN=Bo:mailto:bo@fabrikam.com", "ATTENDEE;CN=Cy:mailto:cy@fabrikam.com"
SKYPE = "https://meet.contoso.com/anna.rossi/F1ELD123"


@dataclass
class Became:
    """What became of a file: the result of its meeting, the messages, and the run."""

    result: MeetingResult
    messages: Sequence[EmailMessage]
    run: Run

    @property
    def told(self) -> Counter[str]:
        return Counter(address for message in self.messages for address in addressees(message))

    @property
    def decision(self) -> str:
        return self.result.code or self.result.outcome


Process = Callable[[bytes], Became]


@pytest.fixture
def process(anna: ConferencingUser, new_bridge: Bridge, outbox: Path, tmp_path: Path) -> Process:
    """Import a file into Anna's mailbox, move her to the bridge with other numbers, work the run, deliver."""

    def run(body: bytes) -> Became:
        (tmp_path / "meeting.ics").write_bytes(body)
        call_command("import_meetings", str(tmp_path / "meeting.ics"), "--user", anna.upn, stdout=io.StringIO())
        change_user(anna, ACTOR, bridge=new_bridge)
        claimed = queue.claim()
        assert claimed is not None
        work_run(claimed)
        deliver()
        claimed.refresh_from_db()
        return Became(claimed.results.get(), messages_in(outbox), claimed)

    return run


def meeting(
    text: str,
    *lines: str,
    organizer: str = ORGANIZER,
    attendees: Sequence[str] = (BO, CY),
) -> bytes:
    """A meeting of Anna's with Bo and Cy; ``{old}`` in the text stands for a Skype for Business block."""
    block = samples.skype_text(SKYPE, inside=f"{OLD} (Redmond)\n")
    made = event(
        *attendees,
        *lines,
        text=text.replace("{old}", block),
        start="DTSTART:20360301T100000Z",
        end="DTEND:20360301T110000Z",
    )
    return calendar([organizer if line.startswith("ORGANIZER") else line for line in made])


def assert_updated(became: Became, anna: ConferencingUser, *told: str) -> None:
    """The old number is gone, the new one is there, each was told once, and a second run is silent."""
    assert became.decision == "Succeeded", became.result.reason
    assert became.told == Counter(told or ("bo@fabrikam.com", "cy@fabrikam.com"))
    body = samples.unfolded(body_of(anna, became.result.uid)).decode()
    assert OLD not in body
    assert NEW in body
    assert migrate(anna, STAY).succeeded_meetings == 0
    assert deliver() == 0


# --- who is told ----------------------------------------------------------------------------------------


def test_r24_attendees_without_a_scheme_are_told(process: Process, anna: ConferencingUser) -> None:
    attendees = ["ATTENDEE;CN=Bo:bo@fabrikam.com", "ATTENDEE;CUTYPE=ROOM:room12@contoso.com", CY]
    became = process(meeting("{old}", attendees=attendees))
    assert_updated(became, anna, "bo@fabrikam.com", "room12@contoso.com", "cy@fabrikam.com")


def test_r24_attendees_known_by_their_email_parameter_are_told(process: Process, anna: ConferencingUser) -> None:
    attendees = ["ATTENDEE;CN=Bo;EMAIL=bo@fabrikam.com;PARTSTAT=ACCEPTED:urn:uuid:8a2f6f2e-0a5e-4b6e-9c7d-1111", CY]
    assert_updated(process(meeting("{old}", attendees=attendees)), anna)


def test_r20_an_organizer_without_a_scheme_is_the_organizer(process: Process, anna: ConferencingUser) -> None:
    assert_updated(process(meeting("{old}", organizer="ORGANIZER;CN=Anna Rossi:Anna.Rossi@contoso.com")), anna)


@pytest.mark.parametrize(
    ("method", "organizer", "reason"),
    [
        ("REPLY", ORGANIZER, "it is an answer about a meeting (METHOD:REPLY), not the meeting itself."),
        (
            "DECLINECOUNTER",
            ORGANIZER,
            "it is an answer about a meeting (METHOD:DECLINECOUNTER), not the meeting itself.",
        ),
        ("REQUEST", "ORGANIZER;CN=Anna Rossi:invalid:nomail", "its organizer is named without a mail address."),
        ("REQUEST", "COMMENT:Nobody", "nobody is named as organizer."),
        (
            "REQUEST",
            "ORGANIZER:mailto:bo@fabrikam.com",
            "and only that one is migrated: its organizer is bo@fabrikam.com.",
        ),
    ],
)
def test_r20_the_reason_why_a_meeting_is_not_the_organizers_is_true(
    process: Process, method: str, organizer: str, reason: str
) -> None:
    body = meeting("{old}", organizer=organizer).replace(
        b"VERSION:2.0\r\n", f"VERSION:2.0\r\nMETHOD:{method}\r\n".encode()
    )
    became = process(body)
    assert became.decision == "not-organizer"
    assert became.result.reason.endswith(reason)
    assert not became.told


def test_r24_a_guest_of_one_occurrence_gets_that_occurrence_only(process: Process, anna: ConferencingUser) -> None:
    block = samples.skype_text(SKYPE, inside=f"{OLD} (Redmond)\n")
    first = {"start": "DTSTART:20360301T100000Z", "end": "DTEND:20360301T110000Z"}
    second = {"start": "DTSTART:20360308T140000Z", "end": "DTEND:20360308T150000Z"}
    of_guests = ["RECURRENCE-ID:20360308T100000Z", BO, "ATTENDEE;CN=Gus:mailto:gus@example.org"]
    series = event("RRULE:FREQ=WEEKLY;COUNT=8", BO, text=f"Board only: salaries\n{block}", **first)
    guests = event(*of_guests, text=f"Guest: Gus\n{block}", **second)
    became = process(calendar(series, guests).replace(b"anna@contoso.com", anna.upn.encode()))
    assert_updated(became, anna, "bo@fabrikam.com", "gus@example.org")
    (to_gus,) = [message for message in became.messages if addressees(message) == {"gus@example.org"}]
    body = to_gus.get_body(("plain",))
    assert body is not None
    seen = samples.unfolded(calendar_of(to_gus)).decode()
    assert seen.count("BEGIN:VEVENT") == 1
    assert "RECURRENCE-ID:20360308T100000Z" in seen
    assert "Guest: Gus" in body.get_content()
    for secret in ("FREQ=WEEKLY", "salaries", "20360301"):
        assert secret not in seen + body.get_content()


# --- what stands above the block ------------------------------------------------------------------------


def test_r20_the_header_and_stars_of_exchange_are_no_quotation(process: Process, anna: ConferencingUser) -> None:
    header = "When: Saturday, March 1, 2036 10:00 AM-11:00 AM (UTC)\nWhere: Skype Meeting\n\n*~*~*~*~*~*~*~*~*~*\n\n"
    assert_updated(process(meeting(f"{header}Read the plan.\n\n{{old}}")), anna)


def test_r20_the_header_and_stars_of_zimbra_are_no_quotation(process: Process, anna: ConferencingUser) -> None:
    header = (
        'The following is a new meeting request:\n\nSubject: Budget \nOrganizer: "Anna Rossi" <anna.rossi@contoso.com> '
        "\n\nTime: Saturday, March 1, 2036, 10:00:00 AM - 11:00:00 AM GMT +00:00\n \nInvitees: bo@fabrikam.com \n\n\n"
        "*~*~*~*~*~*~*~*~*~*\n\n"
    )
    assert_updated(process(meeting(f"{header}{{old}}")), anna)


@pytest.mark.parametrize(
    "lines",
    [
        "-----Details-----\nTopic: Budget\nDate: 1 March 2036 10:00\nContact: bo@fabrikam.com",
        "Von: Zürich HB\nNach: Basel SBB\nAbfahrt: 01.03.2036 07:30\nFragen an: bo@fabrikam.com",
    ],
)
def test_r20_an_organizers_own_list_is_no_quotation(process: Process, anna: ConferencingUser, lines: str) -> None:
    assert_updated(process(meeting(f"{lines}\n\n{{old}}\n\nAnna")), anna)


# --- what the block is made of --------------------------------------------------------------------------


def teams(*lines: str, url: str = samples.TEAMS_URL) -> str:
    phone = f"{OLD},,7654321#<tel:+14255550100,,7654321#>\nPhone conference ID: 765 432 1#"
    return "\n".join([samples.BAR, "Microsoft Teams meeting", f"Join: {url}", *lines, phone, samples.BAR])


def test_r20_teams_newest_block_names_its_meeting_twice(process: Process, anna: ConferencingUser) -> None:
    block = teams(
        f"System reference<{samples.TEAMS_URL}>", url="https://teams.microsoft.com/meet/2191372326122?p=aB3dE9"
    )
    became = process(meeting(block, f"URL:{samples.TEAMS_URL}"))
    assert_updated(became, anna)
    assert samples.value(body_of(anna, became.result.uid), "URL") == samples.TEAMS_URL


@pytest.mark.parametrize(
    "url",
    [
        f"https://secure-web.cisco.com/1aB/{quote(samples.TEAMS_URL, safe='')}",
        f"https://eu.protection.sophos.com/?d=x&u={base64.b64encode(samples.TEAMS_URL.encode()).decode()}&i=1",
    ],
    ids=["cisco", "sophos"],
)
def test_r20_links_that_a_filter_contains_are_read(process: Process, anna: ConferencingUser, url: str) -> None:
    assert_updated(process(meeting(teams(url=url))), anna)


def test_r20_a_block_whose_links_a_filter_keeps_to_itself_is_not_said_to_be_none(process: Process) -> None:
    became = process(
        meeting(teams("Meeting ID: 254 120 335 78", "Passcode: 4tBzGN", url="https://filter.example/s/x1"))
    )
    assert became.decision == "needs-review"
    assert "a mail filter may have rewritten or removed the links" in became.result.reason
    assert not became.told


def test_r20_line_breaks_as_r_and_n_are_line_breaks(process: Process, anna: ConferencingUser) -> None:
    body = samples.unfolded(meeting("Agenda\n\n{old}\n\nAnna"))
    start = body.index(b"DESCRIPTION:Agenda")
    end = body.index(b"\n", start)
    assert_updated(process(body[:start] + body[start:end].replace(b"\\n", b"\\r\\n") + body[end:]), anna)


def test_r20_a_block_that_a_damaged_fold_cuts_off_is_not_said_to_be_none(process: Process) -> None:
    body = meeting("Agenda\n\n{old}")
    fold = body.index(b"\r\n ", body.index(b"DESCRIPTION:Agenda")) + 2
    became = process(body[:fold] + body[fold + 1 :])
    assert became.decision == "needs-review"
    assert "is cut off" in became.result.reason
    assert not became.told


def test_r20_a_third_row_below_the_block_is_somebodys_own(process: Process, anna: ConferencingUser) -> None:
    assert_updated(process(meeting(f"{{old}}\n\nConfidential.\n{samples.WRAPPED_DOTS}\n")), anna)


def test_r20_the_block_of_another_company_gets_none_of_our_numbers(process: Process) -> None:
    block = samples.skype_text("https://meet.fabrikam.com/bo.novak/F1ELD123", inside=f"{OLD} (Redmond)\n")
    became = process(meeting(f"Bo's team hosts.\n\n{block}"))
    assert became.decision == "needs-review"
    assert "neither the server nor the name in the join link is the organizer's" in became.result.reason
    assert not became.told


def test_r20_number_and_id_without_a_block_are_not_said_to_be_nothing(process: Process, anna: ConferencingUser) -> None:
    became = process(meeting(f"Dial {OLD}, conference ID {anna.conference_id}."))
    assert became.decision == "needs-review"
    assert "shows a dial-in number and the conference ID of the organizer" in became.result.reason
