"""The meeting blocks of Contoso's invitations before they are migrated, in English, as text and as HTML.

Two families: Skype for Business (frame of 137 dots) and Microsoft Teams in its three generations (rows of 80
underscores). Layout and wording follow what the meeting add-ins wrote; all links and numbers are invented.
"""

from __future__ import annotations

import base64
import hashlib
import string
import uuid
from dataclasses import dataclass
from html import escape
from typing import Literal
from urllib.parse import quote

from migrations_app.demo.people import CONTOSO, NUMBERS

TeamsGeneration = Literal[1, 2, 3]

_DOTS = "." * 137
_UNDERSCORES = "_" * 80
_TENANT_ID = uuid.uuid5(uuid.NAMESPACE_DNS, CONTOSO.domain)
_CODE_LETTERS = string.ascii_uppercase + string.digits
_PLACES = {number.e164: number for number in NUMBERS}

# How the digits after the country code (and city) are grouped when a number is printed.
_GROUPS = {
    "+44808": ("+44 808", 3, 4),
    "+4420": ("+44 20", 4, 4),
    "+34": ("+34", 3, 3, 3),
    "+3906": ("+39 06", 4, 4),
    "+39800": ("+39 800", 3, 3),
    "+4930": ("+49 30", 5, 3),
    "+49800": ("+49 800", 3, 4),
}


def printed(e164: str, *, brackets: bool = False) -> str:
    """A number of the tenant as people write it: +1 425-555-0101, with ``brackets`` +1 (425) 555-0101."""
    if e164.startswith("+1"):
        area, exchange, line = e164[2:5], e164[5:8], e164[8:]
        return f"+1 ({area}) {exchange}-{line}" if brackets else f"+1 {area}-{exchange}-{line}"
    prefix = next(prefix for prefix in _GROUPS if e164.startswith(prefix))
    start, *lengths = _GROUPS[prefix]
    parts, rest = [str(start)], e164.removeprefix(prefix)
    for length in map(int, lengths):
        parts.append(rest[:length])
        rest = rest[length:]
    return " ".join(parts)


def _in_threes(digits: str) -> str:
    return " ".join(digits[start : start + 3] for start in range(0, len(digits), 3))


@dataclass(frozen=True)
class OldBlock:
    """What one meeting's old block says.

    ``key`` tells the organizer's meetings apart and yields the join links. Numbers are E.164 and among
    ``people.NUMBERS``; without a toll number there is no phone part.
    """

    sip_address: str
    key: str
    conference_id: str
    toll_number: str
    toll_free_number: str

    def _digest(self, purpose: str) -> bytes:
        return hashlib.sha256(f"{purpose}/{self.sip_address}/{self.key}".encode()).digest()

    @property
    def join_code(self) -> str:
        """The last part of the Skype join link, which the focus id of the meeting repeats."""
        return "".join(_CODE_LETTERS[octet % len(_CODE_LETTERS)] for octet in self._digest("skype")[:8])

    @property
    def skype_url(self) -> str:
        return f"{CONTOSO.meeting_url}/{self.sip_address.partition('@')[0]}/{self.join_code}"

    @property
    def organizer_id(self) -> uuid.UUID:
        return uuid.uuid5(uuid.NAMESPACE_DNS, self.sip_address)

    @property
    def thread(self) -> str:
        """The Teams thread of the meeting, "meeting_…@thread.v2"."""
        thread_id = uuid.UUID(bytes=self._digest("teams")[:16], version=4)
        return f"meeting_{base64.b64encode(str(thread_id).encode()).decode()}@thread.v2"

    @property
    def teams_url(self) -> str:
        context = f"%7b%22Tid%22%3a%22{_TENANT_ID}%22%2c%22Oid%22%3a%22{self.organizer_id}%22%7d"
        thread = self.thread.replace("@", "%40")
        return f"https://teams.microsoft.com/l/meetup-join/19%3a{thread}/0?context={context}"

    @property
    def meeting_options_url(self) -> str:
        return (
            f"https://teams.microsoft.com/meetingOptions/?organizerId={self.organizer_id}"
            f"&tenantId={_TENANT_ID}&threadId=19_{self.thread}&messageId=0&language=en-US"
        )

    @property
    def scheduling_url(self) -> str:
        meeting = f"{_TENANT_ID}/{self.organizer_id}/19_{self.thread}/0"
        return f"https://api.scheduler.teams.microsoft.com/teams/{meeting}"

    @property
    def teams_local_numbers_url(self) -> str:
        return f"https://dialin.teams.microsoft.com/{_TENANT_ID}?id={self.conference_id}"

    @property
    def teams_meeting_id(self) -> str:
        return str(200_000_000_000 + int.from_bytes(self._digest("id")[:5]) % 99_999_999_999)

    @property
    def passcode(self) -> str:
        return base64.b32encode(self._digest("passcode"))[:6].decode()

    @property
    def numbers(self) -> list[tuple[str, str]]:
        """The numbers to print with their kind, "Toll" or "Toll-free"; none without a phone part."""
        if not self.toll_number:
            return []
        toll_free = [(self.toll_free_number, "Toll-free")] if self.toll_free_number else []
        return [*toll_free, (self.toll_number, "Toll")]


def skype_text(block: OldBlock, *, split_frame: bool) -> str:
    """The Skype for Business block. Outlook breaks its rows of dots after 71: ``split_frame``."""
    row = f"{_DOTS[:71]}\n{_DOTS[71:]}" if split_frame else _DOTS
    lines = [
        row,
        "--> Join Skype Meeting",
        f"<{block.skype_url}>       ",
        "Trouble Joining? Try Skype Web App",
        f"<{block.skype_url}?sl=1>  ",
    ]
    if block.numbers:
        lines += ["Join by phone", " "]
        for number, kind in block.numbers:
            dialled = quote(printed(number, brackets=True), safe="+()-")
            label = f"{kind} number:".ljust(17)
            lines += [
                f"{label} {printed(number, brackets=True)}",
                f"<tel:{dialled},{block.conference_id}%23>  (Dial-in Number)",
                f"English ({_PLACES[number].country})  ",
            ]
        lines += [
            " ",
            "Find a local number",
            f"<{CONTOSO.local_numbers_url}/?id={block.conference_id}",
            ">  ",
            " ",
            f"Conference ID: {block.conference_id}",
            "Forgot your dial-in PIN?",
            f"<{CONTOSO.local_numbers_url}>  |Help",
        ]
    else:
        lines += [" ", "Help"]
    lines += [
        "<https://go.microsoft.com/fwlink/?LinkId=389737>    ",
        " ",
        f"{CONTOSO.footer_text} ",
        "[!OC([1033])!]",
        row,
    ]
    return "\n".join(lines)


def _word_paragraph(content: str, style: str = "text-autospace:none") -> str:
    return f'<p class=MsoNormal style="{style}">{content}<o:p></o:p></p>\n'


def _word_run(content: str, size: str, extra: str = "") -> str:
    return f"<span lang=EN style='font-size:{size}pt{extra}'>{content}</span>"


def _word_link(url: str, label: str, size: str) -> str:
    return f'<a href="{escape(url)}">' + _word_run(label, size, ";color:#0066CC") + "</a>"


def skype_html(block: OldBlock) -> str:
    """The Skype for Business block as Word writes it: runs in spans, named anchors, a tiny white marker."""
    row = _word_paragraph(_word_run(_DOTS, "8.0", ";color:#404040"))
    nothing = _word_paragraph(_word_run("&nbsp;", "8.0"))
    arrow = "<a name=OutJoinLink>" + _word_run("à", "14.0", ";font-family:Wingdings;color:#0066CC") + "</a>"
    anchors = "<a name=OutSharedNoteBorder>&nbsp;</a>&nbsp;&nbsp;<a name=OutSharedNoteLink>&nbsp;</a>"
    parts = [
        '<p class=MsoNormal><a name="_InsertRtfSavedPosition"></a><o:p>&nbsp;</o:p></p>\n',
        row,
        _word_paragraph(arrow + " " + _word_link(block.skype_url, "Join Skype Meeting", "16.0") + "&nbsp; " + anchors),
        _word_paragraph(
            _word_run("Trouble Joining? ", "10.0")
            + f"<u>{_word_link(block.skype_url + '?sl=1', 'Try Skype Web App', '10.0')}</u>",
            "margin-bottom:12.0pt;margin-left:16.0pt;line-height:125%;text-autospace:none",
        ),
    ]
    if block.numbers:
        parts.append(_word_paragraph(_word_run("Join by phone", "16.0", ";color:#0066CC")))
        for number, kind in block.numbers:
            shown = printed(number, brackets=True)
            tel = f"tel:{quote(shown, safe='+()-')},{block.conference_id}%23"
            parts.append(
                _word_paragraph(
                    _word_run(f"{kind} number: ", "10.0")
                    + _word_link(tel, shown, "10.0")
                    + _word_run(f" (Dial-in Number) &nbsp; English ({_PLACES[number].country})", "10.0")
                )
            )
        local = f"{CONTOSO.local_numbers_url}/?id={block.conference_id}"
        parts += [
            nothing,
            _word_paragraph(_word_link(local, "Find a local number", "10.0")),
            nothing,
            _word_paragraph(_word_run("Conference ID: ", "10.0") + _word_run(block.conference_id, "10.0")),
            _word_paragraph(
                _word_link(CONTOSO.local_numbers_url, "Forgot your dial-in PIN?", "10.0")
                + _word_run(" |", "10.0")
                + _word_link("https://go.microsoft.com/fwlink/?LinkId=389737", "Help", "10.0")
            ),
        ]
    else:
        parts.append(_word_paragraph(_word_link("https://go.microsoft.com/fwlink/?LinkId=389737", "Help", "10.0")))
    parts += [
        nothing,
        _word_paragraph(_word_run(escape(CONTOSO.footer_text), "10.0")),
        _word_paragraph("<sub>" + _word_run("[!OC([1033])!]", "1.0", ";color:white") + "</sub>"),
        row,
        "<p class=MsoNormal><o:p>&nbsp;</o:p></p>\n",
    ]
    return "".join(parts)


_LEARN_MORE = "https://aka.ms/JoinTeamsMeeting"
_RESET_PIN = "https://mysettings.lync.com/pstnconferencing"
_RESET_DIAL_IN_PIN = "https://dialin.teams.microsoft.com/usp/pstnconferencing"


def _place(number: str) -> str:
    """Where a number is, as Teams prints it: "United States, Redmond"."""
    registered = _PLACES[number]
    return ", ".join(part for part in (registered.country, registered.city) if part)


def teams_text(block: OldBlock, generation: TeamsGeneration) -> str:
    """The Microsoft Teams block of 2019 (1), of 2021 (2) or of 2024 (3), which has an inner rule."""
    lines = {1: _teams_text_1, 2: _teams_text_2, 3: _teams_text_3}[generation](block)
    return "\n".join([_UNDERSCORES, *lines, _UNDERSCORES])


def _teams_text_1(block: OldBlock) -> list[str]:
    lines = [f"Join Microsoft Teams Meeting<{block.teams_url}>"]
    local = ""
    if block.numbers:
        lines += [
            f"{printed(number)}<tel:{printed(number)},,{block.conference_id}#>   {_place(number)} ({kind})"
            for number, kind in block.numbers
        ]
        lines.append(f"Conference ID: {_in_threes(block.conference_id)}#")
        local = f"Local numbers<{block.teams_local_numbers_url}> | Reset PIN<{_RESET_PIN}> | "
    lines.append(f"{local}Learn more about Teams<{_LEARN_MORE}> | Meeting options<{block.meeting_options_url}>")
    return lines


def _teams_text_2(block: OldBlock) -> list[str]:
    lines = [
        "Microsoft Teams meeting",
        "Join on your computer, mobile app or room device",
        f"Click here to join the meeting<{block.teams_url}>",
        "",
        f"Meeting ID: {_in_threes(block.teams_meeting_id)}",
        f"Passcode: {block.passcode}",
        "Download Teams<https://www.microsoft.com/en-us/microsoft-teams/download-app> | "
        "Join on the web<https://www.microsoft.com/microsoft-teams/join-a-meeting>",
    ]
    if block.numbers:
        dialled = f",,{block.conference_id}#"
        lines += ["", "Or call in (audio only)"]
        lines += [
            f"{printed(number)}{dialled}<tel:{number}{dialled}>   {_place(number)}" for number, _ in block.numbers
        ]
        lines += [
            f"Phone Conference ID: {_in_threes(block.conference_id)}#",
            f"Find a local number<{block.teams_local_numbers_url}> | Reset PIN<{_RESET_DIAL_IN_PIN}>",
        ]
    lines.append(f"Learn More<{_LEARN_MORE}> | Meeting options<{block.meeting_options_url}>")
    return lines


def _teams_text_3(block: OldBlock) -> list[str]:
    lines = [
        f"Microsoft Teams Need help?<{_LEARN_MORE}?omkt=en-US>",
        f"Join the meeting now<{block.teams_url}>",
        f"Meeting ID: {_in_threes(block.teams_meeting_id)}",
        f"Passcode: {block.passcode}",
        "_" * 32,
    ]
    reset = ""
    if block.numbers:
        lines.append("Dial in by phone")
        lines += [
            f"{printed(number)},,{block.conference_id}#<tel:{number},,{block.conference_id}> {_place(number)}"
            for number, _kind in block.numbers
        ]
        lines += [
            f"Find a local number<{block.teams_local_numbers_url}>",
            f"Phone conference ID: {_in_threes(block.conference_id)}#",
        ]
        reset = f" | Reset dial-in PIN<{_RESET_DIAL_IN_PIN}>"
    lines.append(f"For organizers: Meeting options<{block.meeting_options_url}>{reset}")
    lines.append(f"Privacy and security<{CONTOSO.legal_url}>")
    return lines


def teams_html(block: OldBlock, generation: TeamsGeneration) -> str:
    """The Microsoft Teams block as the add-in writes it, with its classes; the twin of ``teams_text``."""
    return {1: _teams_html_1, 2: _teams_html_2, 3: _teams_html_3}[generation](block)


def _link(
    url: str, label: str, css_class: str, *, size: int = 14, colour: str = "#6264a7", attributes: str = ""
) -> str:
    return (
        f'<a class="{css_class}" href="{escape(url)}" target="_blank" rel="noreferrer noopener"{attributes} '
        f'style="font-size:{size}px; text-decoration:underline; color:{colour}">{label}</a>'
    )


def _small(content: str, size: int = 12) -> str:
    return f'<span style="font-size:{size}px">{content}</span>'


def _outer_row(colour: str) -> str:
    return (
        '<div style="width:100%; height:20px">'
        f'<span style="white-space:nowrap; color:{colour}; opacity:.36">{_UNDERSCORES}</span></div>\n'
    )


_TEAMS_FONT = "font-family:'Segoe UI','Helvetica Neue',Helvetica,Arial,sans-serif"


def _teams_html_1(block: OldBlock) -> str:
    tail = [
        _link(_LEARN_MORE, "Learn more about Teams", "me-email-link", size=12),
        _link(block.meeting_options_url, "Meeting options", "me-email-link", size=12),
    ]
    phone = ""
    if block.numbers:
        for number, kind in block.numbers:
            dialled = _link(f"tel:{printed(number)},,{block.conference_id}# ", printed(number), "me-email-link")
            phone += f"<div>{dialled} {_small(f'&nbsp; {_place(number)} ({kind})')}</div>\n"
        conference_id = _small(f"{_in_threes(block.conference_id)}# ", 14)
        phone += f'<div style="margin-top:10px; margin-bottom:20px">{_small("Conference ID: ")}{conference_id}</div>\n'
        tail = [
            _link(block.teams_local_numbers_url, "Local numbers", "me-email-link", size=12),
            _link(_RESET_PIN, "Reset PIN", "me-email-link", size=12),
            *tail,
        ]
    join = _link(block.teams_url, "Join Microsoft Teams Meeting", "me-email-headline", size=18)
    return (
        f"{_outer_row('gray')}"
        f'<div class="me-email-text" style="color:#252424; {_TEAMS_FONT}">\n'
        f'<div style="margin-top:24px; margin-bottom:10px">{join}</div>\n'
        f"{phone}"
        f'<div style="margin-bottom:24px">{" | ".join(tail)}</div>\n'
        "</div>\n"
        f"{_outer_row('gray')}"
    )


def _teams_html_2(block: OldBlock) -> str:
    phone = ""
    if block.numbers:
        phone = '<div style="margin-bottom:24px">\n<div style="margin-bottom:4px">'
        phone += '<span style="font-weight:bold; font-size:14px">Or call in (audio only)</span></div>\n'
        for number, _ in block.numbers:
            dialled = f",,{block.conference_id}#"
            link = _link(f"tel:{number}{dialled}", f"{printed(number)}{dialled}", "me-email-link")
            phone += f"<div>{link}{_small(f'&nbsp; {_place(number)}', 14)}</div>\n"
        conference_id = _small(f"{_in_threes(block.conference_id)}#", 16)
        local_numbers = _link(block.teams_local_numbers_url, "Find a local number", "me-email-link")
        reset_pin = _link(_RESET_DIAL_IN_PIN, "Reset PIN", "me-email-link")
        phone += f"<div>{_small('Phone Conference ID: ', 14)}{conference_id}</div>\n"
        phone += f"<div>{local_numbers} | {reset_pin}</div>\n</div>\n"
    join = _link(block.teams_url, "Click here to join the meeting", "me-email-headline")
    learn_more = _link(_LEARN_MORE, "Learn More", "me-email-link")
    options = _link(block.meeting_options_url, "Meeting options", "me-email-link")
    return (
        f"{_outer_row('#5F5F5F')}"
        f'<div class="me-email-text" lang="en-US" style="color:#252424; {_TEAMS_FONT}">\n'
        '<div style="margin-top:24px; margin-bottom:20px">'
        '<span style="font-size:24px">Microsoft Teams meeting</span></div>\n'
        '<div style="margin-bottom:20px">\n<div><span style="font-size:14px; font-weight:600">'
        f"Join on your computer, mobile app or room device</span></div>\n{join}</div>\n"
        f"<div>{_small('Meeting ID: ', 14)}{_small(_in_threes(block.teams_meeting_id), 16)}</div>\n"
        f'<div style="margin-bottom:20px">{_small("Passcode: ", 14)}{_small(block.passcode, 16)}</div>\n'
        f"{phone}"
        f'<div style="margin-bottom:24px">{learn_more} | {options}</div>\n'
        "</div>\n"
        f"{_outer_row('#5F5F5F')}"
    )


def _newer_link(url: str, label: str, action: str = "", *, size: int = 14, css_class: str = "me-email-link") -> str:
    identity = f' id="meet_invite_block.action.{action}"' if action else ""
    return _link(url, label, css_class, size=size, colour="#5B5FC7", attributes=identity)


def _secondary(label: str, value: str = "") -> str:
    shown = f'<span class="me-email-text" style="font-size:14px; color:#242424">{value}</span>' if value else ""
    return f'<span class="me-email-text-secondary" style="font-size:14px; color:#616161">{label} </span>{shown}'


def _teams_html_3(block: OldBlock) -> str:
    row = (
        '<div aria-hidden="true" style="margin-bottom:24px; overflow:hidden; white-space:nowrap">'
        f"{_UNDERSCORES}</div>\n"
    )
    for_organizers = [_newer_link(block.meeting_options_url, "Meeting options", "organizer_meet_options")]
    phone = ""
    if block.numbers:
        phone = (
            '<div style="margin-bottom:4px"><span class="me-email-text" '
            'style="font-size:14px; font-weight:600">Dial in by phone</span></div>\n'
        )
        for number, _ in block.numbers:
            dialled = f",,{block.conference_id}"
            link = _newer_link(f"tel:{number}{dialled}", f"{printed(number)}{dialled}#")
            place = f'<span class="me-email-text" style="font-size:14px">{_place(number)}</span>'
            phone += f"<div>{link} {place}</div>\n"
        conference_id = _secondary("Phone conference ID:", f"{_in_threes(block.conference_id)}#")
        phone += f"<div>{_newer_link(block.teams_local_numbers_url, 'Find a local number')}</div>\n"
        phone += f'<div style="margin-bottom:32px">{conference_id}</div>\n'
        for_organizers.append(_newer_link(_RESET_DIAL_IN_PIN, "Reset dial-in PIN"))
    help_link = _newer_link(f"{_LEARN_MORE}?omkt=en-US", "Need help?", "help")
    join = _newer_link(block.teams_url, "Join the meeting now", "join_link", size=20, css_class="me-email-headline")
    meeting_id = _secondary("Meeting ID:", _in_threes(block.teams_meeting_id))
    return (
        f'<div class="me-email-text" lang="en-US" style="max-width:1024px; color:#242424; {_TEAMS_FONT}">\n'
        f"{row}"
        '<div style="margin-bottom:12px"><span class="me-email-text" '
        f'style="font-size:24px; font-weight:700">Microsoft Teams</span> {help_link}</div>\n'
        f'<div style="margin-bottom:6px">{join}</div>\n'
        f'<div style="margin-bottom:6px">{meeting_id}</div>\n'
        f'<div style="margin-bottom:32px">{_secondary("Passcode:", block.passcode)}</div>\n'
        '<div style="margin-bottom:12px; max-width:1024px">\n'
        '<hr style="border:0; background:#616161; height:1px">\n</div>\n'
        f"{phone}"
        f"<div>{_secondary('For organizers:')}{' | '.join(for_organizers)}</div>\n"
        f'<div style="margin-top:24px">{_newer_link(CONTOSO.legal_url, "Privacy and security")}</div>\n'
        f"{row}"
        "</div>\n"
    )
