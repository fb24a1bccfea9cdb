"""Invitations for the tests: invented people and meetings in the shapes that Outlook, Exchange and Teams write."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from migrations_app.rewriting.block import MeetingBlock, PhoneNumber

NOW = datetime(2030, 1, 10, 12, 0, tzinfo=UTC)

BLOCK = MeetingBlock(
    join_url="https://meet.contoso.com/anna/NEW4KEY8",
    toll=PhoneNumber("+14255550100", "+1 (425) 555-0100", "Seattle"),
    toll_free=PhoneNumber("+18005550199", "+1 (800) 555-0199", "United States"),
    conference_id="7654321",
    local_numbers_url="https://meet.contoso.com/dialin",
    help_url="https://help.contoso.com/meetings",
)
NO_PHONE = replace(BLOCK, toll=None, toll_free=None, conference_id="", local_numbers_url="")

SKYPE_URL = "https://meet.contoso.com/anna/OLD1KEY2"
OTHER_SKYPE_URL = "https://meet.contoso.com/anna/ELSE3KEY"
THREAD = "19%3ameeting_QW5uYUNvbnRvc28x%40thread.v2"
ANNA = "11111111-2222-3333-4444-555555555555"
TENANT = "99999999-8888-7777-6666-555555555555"
TEAMS_URL = f"https://teams.microsoft.com/l/meetup-join/{THREAD}/0?context=%7b%22Tid%22%3a%22{TENANT}%22%2c%22Oid%22%3a%22{ANNA}%22%7d"
TEAMS_OPTIONS = (
    f"https://teams.microsoft.com/meetingOptions/?organizerId={ANNA}&tenantId={TENANT}"
    "&threadId=19_meeting_QW5uYUNvbnRvc28x@thread.v2&messageId=0&language=en-US"
)
DOTS = "." * 137
WRAPPED_DOTS = "." * 71 + "\n" + "." * 66
BAR = "_" * 80
OWN_ROW = "=" * 72


def skype_text(url: str = SKYPE_URL, row: str = WRAPPED_DOTS, inside: str = "") -> str:
    """A Skype for Business block as plain text."""
    return (
        f"{row}\n--> Join Skype Meeting\n<{url}>\nTrouble Joining? Try Skype Web App\n<{url}?sl=1>\n"
        "Join by phone\n \nToll number: +1 (206) 555-0111\n<tel:+1%20(206)%20555-0111,1234567%23>  (Dial-in Number)\n"
        "Find a local number\n<https://dialin.contoso.com/?id=1234567\n>\n \nConference ID: 1234567\n"
        f"{inside}[!OC([1033])!]\n{row}"
    )


def skype_html(url: str = SKYPE_URL, notes: str = "", row: str = DOTS, inside: str = "") -> str:
    """A Skype for Business block as Word writes it."""
    return (
        f"<p class=MsoNormal style='text-autospace:none'><span style='font-size:8.0pt;color:#404040'>{row}</span>"
        "<b><span style='font-size:14.0pt'><o:p></o:p></span></b></p>"
        "<p class=MsoNormal><a name=OutJoinLink><span style='font-family:Wingdings'>à</span></a>"
        f"<a href=\"{url}\"><span style='font-size:16.0pt'>Join Skype\nMeeting</span></a>"
        f"<a name=OutSharedNoteBorder>&nbsp;</a><a name=OutSharedNoteLink>&nbsp;</a>{notes}<o:p></o:p></p>"
        f'<p class=MsoNormal>Trouble Joining? <u><a href="{url}?sl=1">Try Skype Web App</a></u><o:p></o:p></p>'
        f"{inside}<p class=MsoNormal><sub><span style='color:white'>[!OC([1033])!]</span></sub></p>"
        f"<p class=MsoNormal><span style='font-size:8.0pt;color:#404040'>{row}</span><o:p></o:p></p>"
    )


def teams_text(url: str = TEAMS_URL, options: str = TEAMS_OPTIONS) -> str:
    """A Microsoft Teams block as plain text, with the inner rule of its third generation."""
    return (
        f"{BAR}\nMicrosoft Teams Need help?<https://aka.ms/JoinTeamsMeeting?omkt=en-US>\nJoin the meeting now<{url}>\n"
        f"Meeting ID: 300 000 000 149\nPasscode: aB3dE9\n{'_' * 32}\nDial in by phone\n"
        "+44 20 5555 0164,,200000087#<tel:+442055550164,,200000087> United Kingdom\n"
        "Find a local number<https://dialin.teams.microsoft.com/usp?id=200000087>\n"
        "Reset PIN<https://mysettings.lync.com/pstnconferencing>\n"
        f"For organizers: Meeting options<{options}>\n{BAR}"
    )


def teams_html(url: str = TEAMS_URL) -> str:
    """A Microsoft Teams block with its own wrapper, as Exchange keeps it."""
    row = f'<div aria-hidden="true" style="margin-bottom:24px; overflow:hidden">\n{BAR}</div>'
    return (
        f'<div class="me-email-text" lang="en-US" style="font-family:\'Segoe UI\',sans-serif">{row}'
        '<div><span class="me-email-text">Microsoft Teams</span></div>'
        f'<div><a href="{url}">Join\n the meeting now</a></div>'
        '<div style="margin-bottom:12px"><hr style="border:0"></div>'
        f'<div><a href="{TEAMS_OPTIONS.replace("&", "&amp;")}">Meeting options</a> </div>{row}</div>'
    )


def document(*pieces: str) -> str:
    """A Word document around pieces of HTML."""
    return (
        '<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><style><!-- p\n\t{margin:0in} --></style>'
        '<!--[if gte mso 9]><xml></xml><![endif]--></head><body lang=EN-US link="#0563C1"><div class=WordSection1>'
        f"{''.join(pieces)}</div></body></html>"
    )


def paragraph(text: str) -> str:
    return f"<p class=MsoNormal>{text}<o:p></o:p></p>"


def escape(text: str) -> str:
    """Text as the value of a TEXT property."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def event(
    *lines: str,
    text: str | None = None,
    html: str | None = None,
    uid: str = "meeting-1@contoso.com",
    start: str = "DTSTART:20300301T100000Z",
    end: str = "DTEND:20300301T110000Z",
    sequence: int | None = 3,
) -> list[str]:
    """The lines of a VEVENT, unfolded, with an alarm whose DESCRIPTION is none of anybody's business."""
    made = ["BEGIN:VEVENT", f"UID:{uid}", start, end, "SUMMARY:Budget\\, all teams", "LOCATION:Room 12"]
    made += ["DTSTAMP:20291201T080000Z", 'ORGANIZER;CN="Anna Lind":mailto:anna@contoso.com']
    made += [] if sequence is None else [f"SEQUENCE:{sequence}"]
    made += [*lines]
    made += [] if text is None else [f"DESCRIPTION:{escape(text)}"]
    made += [] if html is None else [f"X-ALT-DESC;FMTTYPE=text/html:{escape(html)}"]
    return [
        *made,
        "BEGIN:VALARM",
        "TRIGGER:-PT15M",
        "ACTION:DISPLAY",
        "DESCRIPTION:Reminder",
        "END:VALARM",
        "END:VEVENT",
    ]


def fold(line: str, eol: bytes = b"\r\n", space: bytes = b" ", width: int = 75) -> bytes:
    """A line folded after so many octets, in the middle of characters too, as real producers do."""
    raw = line.encode()
    pieces = [raw[:width]]
    pieces += [raw[at : at + width - 1] for at in range(width, len(raw), width - 1)]
    return (eol + space).join(pieces) + eol


def calendar(*events: Iterable[str], eol: bytes = b"\r\n", space: bytes = b" ", width: int = 75) -> bytes:
    """A calendar object of events."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Contoso//Tests//EN"]
    for each in events:
        lines += each
    return b"".join(fold(line, eol, space, width) for line in [*lines, "END:VCALENDAR"])


def unfolded(source: bytes) -> bytes:
    """The object without folds and with one kind of line ending."""
    return source.replace(b"\r\n", b"\n").replace(b"\n ", b"").replace(b"\n\t", b"")


def without_stamps(source: bytes) -> list[bytes]:
    """The unfolded lines but those that every update changes."""
    stamps = (b"SEQUENCE", b"DTSTAMP", b"LAST-MODIFIED", b"X-MICROSOFT-CDO-APPT-SEQUENCE", b"X-MS-OLK-APPT")
    return [line for line in unfolded(source).split(b"\n") if not line.upper().startswith(stamps)]


def value(source: bytes, name: str, nth: int = 0) -> str:
    """The unescaped value of the nth property of that name outside alarms."""
    lines = unfolded(source).decode("utf-8", "surrogateescape").split("\n")
    found = [
        line for line in lines if line.upper().startswith((f"{name}:", f"{name};")) and not line.endswith(":Reminder")
    ]
    content = found[nth].partition(":")[2] if "text/html:" not in found[nth] else found[nth].partition("text/html:")[2]
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] in "nN" else escaped[1], content)


def values(source: bytes, name: str) -> list[str]:
    lines = unfolded(source).decode("utf-8", "surrogateescape").split("\n")
    return [line.partition(":")[2] for line in lines if line.upper().startswith((f"{name}:", f"{name};"))]
