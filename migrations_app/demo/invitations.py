"""The invitations in the demo's mailboxes, and one builder for each kind of them.

A builder takes a :class:`Meeting` and returns the calendar object as its program would have stored it.
Whatever the meeting's own fields say, the kind decides what makes it that kind: ``all_day`` makes it last a
day, ``past_meeting`` lies in the past. Every object but ``damaged_invitation`` parses, ends its lines with
CRLF and has no line of more than 75 octets.
"""

from __future__ import annotations

import base64
import hashlib
import random
import unicodedata
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from html import escape
from typing import Literal

from migrations_app.demo import old_blocks
from migrations_app.demo.agendas import COMPANIES, PROJECTS, topics
from migrations_app.demo.calendar_lines import (
    TIME_ZONES_OF,
    date_line,
    fold,
    text,
    trigger,
    utc,
    vtimezone,
    zone_info,
)
from migrations_app.demo.old_blocks import OldBlock, TeamsGeneration
from migrations_app.demo.people import LEGACY, DemoUser, number_for

Outcome = Literal[
    "migrated",
    "past",
    "not-organizer",
    "cancelled",
    "no-block",
    "pasted-block",
    "too-many-attendees",
    "needs-review",
]


@dataclass(frozen=True)
class Attendee:
    """A participant or a room."""

    address: str
    name: str
    role: Literal["REQ-PARTICIPANT", "OPT-PARTICIPANT", "NON-PARTICIPANT"] = "REQ-PARTICIPANT"
    partstat: Literal["NEEDS-ACTION", "ACCEPTED", "TENTATIVE", "DECLINED"] = "NEEDS-ACTION"
    cutype: Literal["INDIVIDUAL", "ROOM"] = "INDIVIDUAL"


@dataclass(frozen=True, kw_only=True)
class Meeting:
    """What a builder makes an invitation of.

    ``now`` and ``start`` are aware; ``key`` tells the organizer's meetings apart, and UID and join links
    follow from it. ``tzid`` "" writes times in UTC. ``rule`` is the value of RRULE. ``phone`` False leaves
    the phone part out of the block, as does an organizer without a licence. ``attachments`` are whole
    ATTACH lines.
    """

    organizer: DemoUser
    now: datetime
    start: datetime
    key: str
    subject: str
    agenda: str
    duration: timedelta = timedelta(hours=1)
    attendees: tuple[Attendee, ...] = ()
    tzid: str = ""
    rule: str = ""
    excluded: tuple[datetime, ...] = ()
    all_day: bool = False
    cancelled: bool = False
    phone: bool = True
    sequence: int = 0
    attachments: tuple[str, ...] = ()

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(f"{self.organizer.upn}/{self.key}".encode()).digest()

    @property
    def uid(self) -> str:
        """A UID as Outlook makes it (MS-OXOCAL, global object ID); one in four is a UUID, as others do."""
        if self.digest[0] % 4 == 0:
            return str(uuid.UUID(bytes=self.digest[:16], version=4))
        made, own = f"{self.digest[1:7].hex()}D501".upper(), self.digest[8:24].hex().upper()
        return f"040000008200E00074C5B7101A82E00800000000{made}000000000000000010000000{own}"

    @property
    def block(self) -> OldBlock:
        """The meeting's old block: with the organizer's conference ID or, where IDs are private, its own."""
        conference_id = self.organizer.conference_id
        if self.organizer.conference_id_type == "private":
            conference_id = str(1_000_000 + int.from_bytes(self.digest[24:28]) % 9_000_000)
        toll_number = toll_free_number = ""
        if self.phone and self.organizer.licensed:
            # Who has no number now had the old bridge's when the invitation was written.
            toll_number = self.organizer.toll_number or number_for(LEGACY, "", "toll")
            toll_free_number = self.organizer.toll_free_number
        return OldBlock(
            sip_address=self.organizer.sip_address,
            key=self.key,
            conference_id=conference_id,
            toll_number=toll_number,
            toll_free_number=toll_free_number,
        )

    def weeks_later(self, weeks: int) -> datetime:
        """The start so many weeks later (or, negative, earlier) at the same time on the clock."""
        return self.start.astimezone(zone_info(self.tzid)) + timedelta(weeks=weeks)


@dataclass(frozen=True)
class DemoInvitation:
    """A calendar object with its kind and what a run that may migrate its owner should make of it (R20)."""

    kind: str
    outcome: Outcome
    ics: bytes


# --- how the programs write -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Program:
    """A program that wrote the object. Outlook folds with tabs and leaves the join properties out."""

    prodid: str
    indent: str
    head: tuple[str, ...]


_OUTLOOK = _Program(
    "-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN",
    "\t",
    ("METHOD:REQUEST", "X-MS-OLK-FORCEINSPECTOROPEN:TRUE"),
)
_EXCHANGE = _Program("Microsoft Exchange Server 2010", " ", ())


@dataclass(frozen=True)
class _Body:
    """The description in one or both forms and the join properties, as content lines."""

    plain: str = ""
    html: str = ""
    properties: tuple[str, ...] = ()


def _people_lines(meeting: Meeting) -> list[str]:
    lines = [f'ORGANIZER;CN="{meeting.organizer.display_name}":mailto:{meeting.organizer.upn}']
    lines += [
        f"ATTENDEE;CUTYPE={attendee.cutype};ROLE={attendee.role};PARTSTAT={attendee.partstat};RSVP=TRUE;"
        f'CN="{attendee.name}":mailto:{attendee.address}'
        for attendee in meeting.attendees
    ]
    return lines


def _event(meeting: Meeting, body: _Body, location: str, recurrence_id: datetime | None = None) -> list[str]:
    """The VEVENT of the meeting, or of an override of the occurrence of ``recurrence_id``."""
    # Written before it began, or lately where it is still to come.
    day = min(meeting.now, meeting.start) - timedelta(days=1 + meeting.digest[2] % 20)
    written = day.replace(microsecond=0) - timedelta(minutes=meeting.digest[3])
    room = next((attendee.name for attendee in meeting.attendees if attendee.cutype == "ROOM"), "")
    end = meeting.start + (timedelta(days=1) if meeting.all_day else meeting.duration)
    kind = "3" if recurrence_id else "1" if meeting.rule else "0"
    lines = ["BEGIN:VEVENT", *_people_lines(meeting), *meeting.attachments]
    if body.plain:
        lines.append(f"DESCRIPTION;LANGUAGE={meeting.organizer.language}:{text(body.plain)}")
    if meeting.rule:
        lines.append(f"RRULE:{meeting.rule}")
    lines += [date_line("EXDATE", moment, meeting.tzid, all_day=meeting.all_day) for moment in meeting.excluded]
    lines.append(f"UID:{meeting.uid}")
    if recurrence_id:
        lines.append(date_line("RECURRENCE-ID", recurrence_id, meeting.tzid, all_day=meeting.all_day))
    lines += [
        f"SUMMARY;LANGUAGE={meeting.organizer.language}:{text(meeting.subject)}",
        date_line("DTSTART", meeting.start, meeting.tzid, all_day=meeting.all_day),
        date_line("DTEND", end, meeting.tzid, all_day=meeting.all_day),
        "CLASS:PUBLIC",
        "PRIORITY:5",
        f"CREATED:{utc(written - timedelta(hours=1))}",
        f"DTSTAMP:{utc(written)}",
        f"LAST-MODIFIED:{utc(written)}",
        "TRANSP:OPAQUE",
        f"STATUS:{'CANCELLED' if meeting.cancelled else 'CONFIRMED'}",
        f"SEQUENCE:{meeting.sequence}",
        f"LOCATION:{text('; '.join(part for part in (location, room) if part))}",
        f"X-MICROSOFT-CDO-APPT-SEQUENCE:{meeting.sequence}",
        f"X-MICROSOFT-CDO-OWNERAPPTID:{int.from_bytes(meeting.digest[4:8]) % 2_000_000_000}",
        f"X-MICROSOFT-CDO-BUSYSTATUS:{'FREE' if meeting.all_day or meeting.cancelled else 'BUSY'}",
        "X-MICROSOFT-CDO-INTENDEDSTATUS:BUSY",
        f"X-MICROSOFT-CDO-ALLDAYEVENT:{'TRUE' if meeting.all_day else 'FALSE'}",
        "X-MICROSOFT-CDO-IMPORTANCE:1",
        f"X-MICROSOFT-CDO-INSTTYPE:{kind}",
        *body.properties,
        "X-MICROSOFT-DISALLOW-COUNTER:FALSE",
    ]
    if body.html:
        lines.append(f"X-ALT-DESC;FMTTYPE=text/html:{text(body.html)}")
    return [*lines, *trigger(timedelta(minutes=15)), "END:VEVENT"]


def _calendar(meeting: Meeting, program: _Program, *events: list[str]) -> bytes:
    lines = [
        "BEGIN:VCALENDAR",
        f"PRODID:{program.prodid}",
        "VERSION:2.0",
        *program.head,
        *vtimezone(meeting.tzid),
    ]
    for event in events:
        lines += event
    lines.append("END:VCALENDAR")
    return b"".join(fold(line, program.indent) for line in lines)


# --- bodies ---------------------------------------------------------------------------------------------


def _is_right_to_left(paragraph: str) -> bool:
    directions = (unicodedata.bidirectional(letter) for letter in paragraph)
    return next((found in {"R", "AL"} for found in directions if found in {"L", "R", "AL"}), False)


def _html_paragraphs(agenda: str) -> str:
    return "".join(
        f"<p class=MsoNormal{' dir=RTL' if _is_right_to_left(paragraph) else ''}>"
        f"{escape(paragraph, quote=False) or '&nbsp;'}<o:p></o:p></p>\n"
        for paragraph in agenda.split("\n")
    )


_WORD_STYLES = """
p.MsoNormal, li.MsoNormal, div.MsoNormal
\t{margin:0in;
\tfont-size:11.0pt;
\tfont-family:"Calibri",sans-serif;}
a:link, span.MsoHyperlink
\t{mso-style-priority:99;
\tcolor:#0563C1;
\ttext-decoration:underline;}
@page WordSection1
\t{size:8.5in 11.0in;
\tmargin:1.0in 1.0in 1.0in 1.0in;}
div.WordSection1
\t{page:WordSection1;}
"""


def _word_document(content: str, *, settings: str = "") -> str:
    return (
        '<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
        'xmlns:w="urn:schemas-microsoft-com:office:word" xmlns="http://www.w3.org/TR/REC-html40">\n<head>\n'
        f'<meta name=Generator content="Microsoft Word 15 (filtered medium)">\n{settings}'
        f"<style>\n<!--{_WORD_STYLES}-->\n</style>\n</head>\n"
        '<body lang=EN-US link="#0563C1" vlink="#954F72" style="tab-interval:.5in">\n'
        f"<div class=WordSection1>\n{content}</div>\n</body>\n</html>\n"
    )


def _web_document(content: str) -> str:
    return (
        '<html>\n<head>\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\n</head>\n'
        f'<body dir="ltr">\n{content}</body>\n</html>\n'
    )


_STYLE_FAMILIES = (
    *("Light Shading", "Light List", "Light Grid", "Medium Shading 1", "Medium Shading 2", "Medium List 1"),
    *("Medium List 2", "Medium Grid 1", "Medium Grid 2", "Dark List", "Colorful Shading", "Colorful Grid"),
    *(f"{family} {number}" for family in ("Grid Table", "List Table") for number in range(1, 8)),
)
_TABLE_STYLES = ("Simple", "Classic", "Colorful", "Columns", "Grid", "List", "3D effects", "Contemporary", "Web")


def _latent_styles() -> str:
    """What Word puts at the head of the HTML it saves: settings and a list of all its built-in styles."""
    names = ["Normal", "Title", "Subtitle", "Strong", "Emphasis", "Table Grid", "Quote", "Bibliography"]
    names += [f"{name} {level}" for name in ("heading", "index", "toc") for level in range(1, 10)]
    names += [f"List{kind} {level}" for kind in ("", " Bullet", " Number", " Continue") for level in range(2, 6)]
    names += [f"Table {kind} {level}" for kind in _TABLE_STYLES for level in range(1, 9)]
    accents = ["", *(f" Accent {accent}" for accent in range(1, 7))]
    names += [f"{family}{accent}" for family in _STYLE_FAMILIES for accent in accents]
    exceptions = "\n".join(
        f'<w:LsdException Locked="false" Priority="{1 + number % 99}" SemiHidden="true" '
        f'UnhideWhenUsed="true" QFormat="true" Name="{name}"/>'
        for number, name in enumerate(names)
    )
    return (
        "<!--[if gte mso 9]><xml>\n<w:WordDocument>\n<w:TrackMoves/>\n<w:PunctuationKerning/>\n"
        "<w:LidThemeOther>EN-US</w:LidThemeOther>\n</w:WordDocument>\n</xml><![endif]-->"
        '<!--[if gte mso 9]><xml>\n<w:LatentStyles DefLockedState="false" DefPriority="99" '
        f'LatentStyleCount="{len(names)}">\n{exceptions}\n</w:LatentStyles>\n</xml><![endif]-->\n'
    )


def _skype_properties(block: OldBlock) -> tuple[str, ...]:
    conference = f"conf:sip:{block.sip_address};gruu;opaque=app:conf:focus:id:{block.join_code}"
    lines = [
        f"X-MICROSOFT-ONLINEMEETINGEXTERNALLINK:{text(block.skype_url)}",
        f"X-MICROSOFT-ONLINEMEETINGCONFLINK:{text(conference)}",
    ]
    if block.toll_number:
        lines += [
            f"X-MICROSOFT-CONFERENCETELURI:{text(f'tel:{block.toll_number},,{block.conference_id}')}",
            f"X-MICROSOFT-ONLINEMEETINGCONFERENCEID:{block.conference_id}",
            f"X-MICROSOFT-ONLINEMEETINGTOLLNUMBER:{block.toll_number}",
        ]
    return tuple(lines)


def _teams_properties(block: OldBlock) -> tuple[str, ...]:
    properties = f'{{"cid":"19:{block.thread}","private":true,"type":0,"mid":0,"rid":0,"uid":null}}'
    information = '{"OnlineMeetingChannelId":null,"OnlineMeetingProvider":3}'
    return (
        f"X-MICROSOFT-SKYPETEAMSMEETINGURL:{text(block.teams_url)}",
        f"X-MICROSOFT-SKYPETEAMSPROPERTIES:{text(properties)}",
        f"X-MICROSOFT-ONLINEMEETINGINFORMATION:{text(information)}",
        f"X-MICROSOFT-SCHEDULINGSERVICEUPDATEURL:{text(block.scheduling_url)}",
    )


def _skype_plain(meeting: Meeting, *, split_frame: bool = True) -> str:
    return f"{meeting.agenda}\n\n{old_blocks.skype_text(meeting.block, split_frame=split_frame)}\n"


def _skype_exchange_body(meeting: Meeting) -> _Body:
    return _Body(
        _skype_plain(meeting, split_frame=False),
        _word_document(_html_paragraphs(meeting.agenda) + old_blocks.skype_html(meeting.block)),
        _skype_properties(meeting.block),
    )


# --- Skype for Business ---------------------------------------------------------------------------------


def skype_text(meeting: Meeting, *, split_frame: bool = True) -> bytes:
    """Text only, as Outlook saves it. ``split_frame`` breaks the rows of 137 dots after 71."""
    body = _Body(_skype_plain(meeting, split_frame=split_frame))
    return _calendar(meeting, _OUTLOOK, _event(meeting, body, "Skype Meeting"))


def skype_html(meeting: Meeting) -> bytes:
    """Text with an HTML twin made by Word, as Outlook saves it: no join properties."""
    html = _word_document(_html_paragraphs(meeting.agenda) + old_blocks.skype_html(meeting.block))
    return _calendar(meeting, _OUTLOOK, _event(meeting, _Body(_skype_plain(meeting), html), "Skype Meeting"))


def skype_exchange(meeting: Meeting) -> bytes:
    """Text, HTML and the X-MICROSOFT-ONLINEMEETING properties of the same meeting, as Exchange keeps them."""
    return _calendar(meeting, _EXCHANGE, _event(meeting, _skype_exchange_body(meeting), "Skype Meeting"))


# --- Microsoft Teams ------------------------------------------------------------------------------------


def _teams(meeting: Meeting, generation: TeamsGeneration, *, html: bool) -> bytes:
    plain = f"{meeting.agenda}\n{old_blocks.teams_text(meeting.block, generation)}\n"
    if not html:
        return _calendar(meeting, _OUTLOOK, _event(meeting, _Body(plain), "Microsoft Teams Meeting"))
    document = _web_document(_html_paragraphs(meeting.agenda) + old_blocks.teams_html(meeting.block, generation))
    body = _Body(plain, document, _teams_properties(meeting.block))
    return _calendar(meeting, _EXCHANGE, _event(meeting, body, "Microsoft Teams Meeting"))


def teams_gen1(meeting: Meeting, *, html: bool = True) -> bytes:
    """The block of 2019: with ``html`` as Exchange keeps it, with properties; without, as Outlook."""
    return _teams(meeting, 1, html=html)


def teams_gen2(meeting: Meeting, *, html: bool = True) -> bytes:
    """The block of 2021; ``html`` as for ``teams_gen1``."""
    return _teams(meeting, 2, html=html)


def teams_gen3(meeting: Meeting, *, html: bool = True) -> bytes:
    """The block of 2024, in text with its inner rule of 32 underscores; ``html`` as for ``teams_gen1``."""
    return _teams(meeting, 3, html=html)


# --- series ---------------------------------------------------------------------------------------------

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _weekly(meeting: Meeting, first: datetime, more: str) -> str:
    return f"FREQ=WEEKLY;{more}BYDAY={_DAYS[first.weekday()]}"


def _weeks_until(meeting: Meeting) -> int:
    """Whole weeks, rounded up, from now to the start; 0 when it is past."""
    return max(0, -((meeting.now - meeting.start) // timedelta(weeks=1)))


def series_with_overrides(meeting: Meeting) -> bytes:
    """A weekly series that began two weeks or more ago, with three overrides.

    One is past and one to come with a description of their own, each with its block; the third, to come as
    well, was only moved by an hour and has no description. The meeting's start is the second's.
    """
    ahead = _weeks_until(meeting) + 2
    first = meeting.weeks_later(-ahead)
    series = replace(meeting, start=first, rule=_weekly(meeting, first, f"COUNT={ahead + 10};"))
    single = replace(meeting, rule="", excluded=())
    past = replace(
        single,
        start=meeting.weeks_later(1 - ahead),
        agenda=f"{meeting.agenda}\n\nPlus: minutes of last time.",
    )
    own = replace(
        single, subject=f"{meeting.subject} (+ guests)", agenda=f"{meeting.agenda}\n\nGuests join for item 2."
    )
    moved_from = meeting.weeks_later(1)
    moved = replace(single, start=moved_from + timedelta(hours=1))
    location = "Skype Meeting"
    return _calendar(
        series,
        _EXCHANGE,
        _event(series, _skype_exchange_body(series), location),
        _event(past, _skype_exchange_body(past), location, past.start),
        _event(own, _skype_exchange_body(own), location, own.start),
        _event(moved, _Body(), location, moved_from),
    )


def infinite_series(meeting: Meeting) -> bytes:
    """Every other week without end, from before now; one occurrence is left out."""
    first = meeting.weeks_later(-2 * (_weeks_until(meeting) // 2 + 1))
    excluded = (first + timedelta(weeks=2),)
    return teams_gen2(replace(meeting, start=first, rule=_weekly(meeting, first, "INTERVAL=2;"), excluded=excluded))


def past_series(meeting: Meeting) -> bytes:
    """A weekly series whose last occurrence was weeks ago."""
    first = meeting.weeks_later(-_weeks_until(meeting) - 20)
    until = utc(first + timedelta(weeks=10))
    return skype_exchange(replace(meeting, start=first, rule=_weekly(meeting, first, f"UNTIL={until};")))


# --- particular meetings --------------------------------------------------------------------------------


def all_day(meeting: Meeting) -> bytes:
    """A whole day, with dates instead of times."""
    return skype_exchange(replace(meeting, all_day=True))


def no_attendees(meeting: Meeting) -> bytes:
    """The organizer alone: an update has nobody to go to (R24)."""
    return teams_gen3(replace(meeting, attendees=()))


def with_attachments(meeting: Meeting) -> bytes:
    """A link to a document and a small file inside the object."""
    note = base64.b64encode(f"Notes for {meeting.key}\r\nBring: figures, plan, ideas.\r\n".encode() * 4).decode()
    lines = (
        f"ATTACH;FMTTYPE=application/pdf:https://files.contoso.com/shared/{meeting.key}/agenda.pdf",
        f"ATTACH;FMTTYPE=text/plain;ENCODING=BASE64;VALUE=BINARY;X-FILENAME=notes.txt:{note}",
    )
    return skype_exchange(replace(meeting, attachments=lines))


def past_meeting(meeting: Meeting) -> bytes:
    """A single meeting that was a week ago or earlier."""
    return skype_html(replace(meeting, start=meeting.weeks_later(-_weeks_until(meeting) - 1)))


def cancelled(meeting: Meeting) -> bytes:
    """Called off by the organizer; its block is still there."""
    subject = f"Canceled: {meeting.subject}"
    return skype_exchange(replace(meeting, cancelled=True, subject=subject, sequence=meeting.sequence + 1))


def foreign_organizer(meeting: Meeting, *, attendee: DemoUser) -> bytes:
    """A colleague's meeting in the mailbox of ``attendee``, who has only accepted it."""
    guest = Attendee(attendee.upn, attendee.display_name, partstat="ACCEPTED")
    others = tuple(other for other in meeting.attendees if other.address != attendee.upn)
    return skype_exchange(replace(meeting, attendees=(guest, *others)))


def no_block(meeting: Meeting) -> bytes:
    """A meeting in a room: an agenda and nothing to join online."""
    body = _Body(f"{meeting.agenda}\n", _word_document(_html_paragraphs(meeting.agenda)))
    return _calendar(meeting, _EXCHANGE, _event(meeting, body, ""))


def pasted_block(meeting: Meeting) -> bytes:
    """The text carries the block of another meeting; the join properties are this one's."""
    other = replace(meeting, key=f"{meeting.key} copied from")
    body = replace(_skype_exchange_body(other), properties=_skype_properties(meeting.block))
    return _calendar(meeting, _EXCHANGE, _event(meeting, body, "Skype Meeting"))


def damaged_frame(meeting: Meeting) -> bytes:
    """The closing row is gone and the organizer wrote on below: where the block ends is anybody's guess."""
    opened = old_blocks.skype_text(meeting.block, split_frame=False).removesuffix("\n" + "." * 137)
    opened = opened.removesuffix("\n[!OC([1033])!]")
    body = _Body(f"{meeting.agenda}\n\n{opened}\n\nPS: the code of the front door is on the team site.\n")
    return _calendar(meeting, _OUTLOOK, _event(meeting, body, "Skype Meeting"))


def too_large(meeting: Meeting) -> bytes:
    """A meeting of 264 attendees and more, above the limit of 250 (R22)."""
    guests = tuple(
        Attendee(f"guest{number:03}@fabrikam.com", f"Fabrikam Guest {number:03}", role="OPT-PARTICIPANT")
        for number in range(264)
    )
    return skype_text(replace(meeting, attendees=(*meeting.attendees, *guests)), split_frame=False)


def damaged_invitation(user: DemoUser, now: datetime) -> bytes:
    """A calendar object of the user's without start and end and with half a recurrence rule: unreadable."""
    meeting = Meeting(
        organizer=user,
        now=now,
        start=now + timedelta(days=9),
        key="damaged",
        subject="Jour fixe Übergabe",
        agenda="Wöchentlich, bis die Übergabe geschafft ist.",
        attendees=(Attendee("kim.larsen@fabrikam.com", "Kim Larsen"),),
        rule="FREQ=WEEKLY;BYDAY=",
    )
    lines = _event(meeting, _skype_exchange_body(meeting), "Skype Meeting")
    kept = [line for line in lines if not line.startswith(("DTSTART", "DTEND"))]
    return _calendar(meeting, _EXCHANGE, kept)


# --- for measuring --------------------------------------------------------------------------------------


def text_4kb(meeting: Meeting) -> bytes:
    """A text-only Skype invitation of about 4 KB."""
    missing = 4000 - len(skype_text(meeting))
    line = "Please bring the figures of the last month and what follows from them.\n"
    return skype_text(replace(meeting, agenda=meeting.agenda + "\n\n" + line * max(0, missing // len(line))))


_LATENT_STYLES = _latent_styles()


def large_html(meeting: Meeting) -> bytes:
    """A Skype invitation of about 50 KB, most of it the head that Word gives every HTML document."""
    html = _word_document(
        _html_paragraphs(meeting.agenda) + old_blocks.skype_html(meeting.block), settings=_LATENT_STYLES
    )
    body = _Body(_skype_plain(meeting), html, _skype_properties(meeting.block))
    return _calendar(meeting, _EXCHANGE, _event(meeting, body, "Skype Meeting"))


# --- who meets whom, and a mailbox of it ----------------------------------------------------------------

_EXTERNAL = (
    Attendee("kim.larsen@fabrikam.com", "Kim Larsen", partstat="ACCEPTED"),
    Attendee("renee.dubois@fabrikam.com", "Renée Dubois"),
    Attendee("jorge.paz@fabrikam.com", "Paz, Jorge (Fabrikam)", partstat="TENTATIVE"),
    Attendee("office@example.org", "Example Foundation, office", role="OPT-PARTICIPANT"),
    Attendee("m.osei@example.org", "Mabel Osei; Example", partstat="DECLINED"),
    Attendee("oyku.yildiz@example.org", "Öykü Yıldız"),
)
_ROOMS = (
    Attendee("room.rainier@contoso.com", "Conf Room Rainier", "NON-PARTICIPANT", "ACCEPTED", "ROOM"),
    Attendee("room.alhambra@contoso.com", "Sala Alhambra (8)", "NON-PARTICIPANT", "ACCEPTED", "ROOM"),
    Attendee("room.zugspitze@contoso.com", "Raum Zugspitze, 3. OG", "NON-PARTICIPANT", "ACCEPTED", "ROOM"),
)


def plan_meeting(user: DemoUser, everyone: Sequence[DemoUser], now: datetime, seed: int, number: int) -> Meeting:
    """The user's meeting of that number, 2 to 80 days ahead of ``now`` (aware), with attendees.

    The same arguments give the same meeting. ``everyone`` holds at least 8 people.
    """
    chance = random.Random(f"{seed}/{user.upn}/{number}")  # noqa: S311 - it picks topics and guards nothing
    tzid = chance.choice(TIME_ZONES_OF.get(user.language, ("",)))
    day = now.astimezone(zone_info(tzid)).date() + timedelta(days=chance.randint(2, 78))
    day += timedelta(days=2 if day.weekday() >= 5 else 0)
    start = datetime(
        day.year, day.month, day.day, chance.randint(8, 17), chance.choice((0, 30)), tzinfo=zone_info(tzid)
    )
    colleagues = [colleague for colleague in chance.sample(everyone, 8) if colleague != user][: chance.randint(3, 7)]
    attendees = [
        Attendee(
            colleague.upn,
            colleague.display_name,
            role=chance.choice(("REQ-PARTICIPANT", "REQ-PARTICIPANT", "OPT-PARTICIPANT")),
            partstat=chance.choice(("NEEDS-ACTION", "ACCEPTED", "ACCEPTED", "TENTATIVE", "DECLINED")),
        )
        for colleague in colleagues
    ]
    attendees += chance.sample(_EXTERNAL, chance.choice((0, 0, 1, 2, 4)))
    attendees += chance.sample(_ROOMS, chance.choice((0, 1)))
    # International companies meet in English now and then.
    topic = chance.choice(topics("en" if number % 3 == 2 else user.language))
    words = {
        "name": colleagues[0].display_name.split()[0],
        "project": chance.choice(PROJECTS),
        "company": chance.choice(COMPANIES),
    }
    return Meeting(
        organizer=user,
        now=now,
        start=start,
        key=f"{seed}-{number}",
        subject=topic.subject.format(**words),
        agenda=topic.agenda.format(**words),
        duration=timedelta(minutes=chance.choice((30, 45, 60, 60, 90))),
        attendees=tuple(attendees),
        tzid=tzid,
        phone=chance.random() < 0.85,
        sequence=chance.choice((0, 0, 0, 1, 3)),
    )


_MIGRATED: tuple[tuple[str, Callable[[Meeting], bytes]], ...] = (
    ("skype_text", skype_text),
    ("teams_gen2", teams_gen2),
    ("skype_exchange", skype_exchange),
    ("series_with_overrides", series_with_overrides),
    ("skype_text in unbroken frame", partial(skype_text, split_frame=False)),
    ("teams_gen3", teams_gen3),
    ("infinite_series", infinite_series),
    ("skype_html", skype_html),
    ("teams_gen1", teams_gen1),
    ("all_day", all_day),
    ("teams_gen3 as text", partial(teams_gen3, html=False)),
    ("with_attachments", with_attachments),
    ("teams_gen2 as text", partial(teams_gen2, html=False)),
    ("no_attendees", no_attendees),
    ("teams_gen1 as text", partial(teams_gen1, html=False)),
)
_SKIPPED: tuple[tuple[str, Outcome, Callable[[Meeting], bytes]], ...] = (
    ("past_meeting", "past", past_meeting),
    ("no_block", "no-block", no_block),
    ("cancelled", "cancelled", cancelled),
    ("past_series", "past", past_series),
    ("pasted_block", "pasted-block", pasted_block),
    ("damaged_frame", "needs-review", damaged_frame),
)


def labelled_invitations(
    user: DemoUser, everyone: Sequence[DemoUser], now: datetime, seed: int
) -> list[DemoInvitation]:
    """The user's mailbox with what each object is: 7 to 9 meetings to migrate and 2 or 3 to leave alone."""
    position = everyone.index(user)
    planned = partial(plan_meeting, user, everyone, now, seed)
    found = []
    for number in range(7 + position % 3):
        kind, build = _MIGRATED[(position * 4 + number) % len(_MIGRATED)]
        found.append(DemoInvitation(kind, "migrated", build(planned(number))))
    skipped = [_SKIPPED[(position + number) % len(_SKIPPED)] for number in range(1 + (position // 3) % 2)]
    # A handful of the tenant's users have a meeting above the limit instead.
    if position % 40 == 7:
        skipped = [("too_large", "too-many-attendees", too_large)]
    for number, (kind, outcome, build) in enumerate(skipped, start=100):
        found.append(DemoInvitation(kind, outcome, build(planned(number))))
    host = everyone[(position + 1 + seed) % len(everyone)]
    if host != user:
        theirs = replace(plan_meeting(host, everyone, now, seed, 200 + position), key=f"{seed}-with-{user.upn}")
        foreign = foreign_organizer(theirs, attendee=user)
        found.append(DemoInvitation("foreign_organizer", "not-organizer", foreign))
    return found


def invitations(user: DemoUser, everyone: Sequence[DemoUser], now: datetime, seed: int) -> list[bytes]:
    """The calendar objects in the user's mailbox, 9 to 12 of them; ``user`` is one of ``everyone``.

    ``now`` is aware. The same arguments give the same octets.
    """
    return [invitation.ics for invitation in labelled_invitations(user, everyone, now, seed)]
