"""How Outlook and Exchange write a meeting down: content lines, Word's HTML, join properties."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from migrations_app.demo import old_blocks
from migrations_app.demo.calendar_lines import (
    date_line,
    fold,
    text,
    trigger,
    utc,
    vtimezone,
)
from migrations_app.demo.meetings import Meeting
from migrations_app.demo.old_blocks import OldBlock


@dataclass(frozen=True)
class Program:
    """A program that wrote the object. Outlook folds with tabs and leaves the join properties out."""

    prodid: str
    indent: str
    head: tuple[str, ...]


OUTLOOK = Program(
    "-//Microsoft Corporation//Outlook 16.0 MIMEDIR//EN",
    "\t",
    ("METHOD:REQUEST", "X-MS-OLK-FORCEINSPECTOROPEN:TRUE"),
)
EXCHANGE = Program("Microsoft Exchange Server 2010", " ", ())


@dataclass(frozen=True)
class Body:
    """The description in one or both forms and the join properties, as content lines."""

    plain: str = ""
    html: str = ""
    properties: tuple[str, ...] = ()


def people_lines(meeting: Meeting) -> list[str]:
    lines = [f'ORGANIZER;CN="{meeting.organizer.display_name}":mailto:{meeting.organizer.upn}']
    lines += [
        f"ATTENDEE;CUTYPE={attendee.cutype};ROLE={attendee.role};PARTSTAT={attendee.partstat};RSVP=TRUE;"
        f'CN="{attendee.name}":mailto:{attendee.address}'
        for attendee in meeting.attendees
    ]
    return lines


def event_lines(meeting: Meeting, body: Body, location: str, recurrence_id: datetime | None = None) -> list[str]:
    """The VEVENT of the meeting, or of an override of the occurrence of ``recurrence_id``."""
    # Written before it began, or lately where it is still to come.
    day = min(meeting.now, meeting.start) - timedelta(days=1 + meeting.digest[2] % 20)
    written = day.replace(microsecond=0) - timedelta(minutes=meeting.digest[3])
    room = next((attendee.name for attendee in meeting.attendees if attendee.cutype == "ROOM"), "")
    end = meeting.start + (timedelta(days=1) if meeting.all_day else meeting.duration)
    kind = "3" if recurrence_id else "1" if meeting.rule else "0"
    lines = ["BEGIN:VEVENT", *people_lines(meeting), *meeting.attachments]
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


def calendar_of(meeting: Meeting, program: Program, *events: list[str]) -> bytes:
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


def is_right_to_left(paragraph: str) -> bool:
    directions = (unicodedata.bidirectional(letter) for letter in paragraph)
    return next((found in {"R", "AL"} for found in directions if found in {"L", "R", "AL"}), False)


def html_paragraphs(agenda: str) -> str:
    return "".join(
        f"<p class=MsoNormal{' dir=RTL' if is_right_to_left(paragraph) else ''}>"
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


def word_document(content: str, *, settings: str = "") -> str:
    return (
        '<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office" '
        'xmlns:w="urn:schemas-microsoft-com:office:word" xmlns="http://www.w3.org/TR/REC-html40">\n<head>\n'
        f'<meta name=Generator content="Microsoft Word 15 (filtered medium)">\n{settings}'
        f"<style>\n<!--{_WORD_STYLES}-->\n</style>\n</head>\n"
        '<body lang=EN-US link="#0563C1" vlink="#954F72" style="tab-interval:.5in">\n'
        f"<div class=WordSection1>\n{content}</div>\n</body>\n</html>\n"
    )


def web_document(content: str) -> str:
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


def latent_styles() -> str:
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


def skype_properties(block: OldBlock) -> tuple[str, ...]:
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


def teams_properties(block: OldBlock) -> tuple[str, ...]:
    properties = f'{{"cid":"19:{block.thread}","private":true,"type":0,"mid":0,"rid":0,"uid":null}}'
    information = '{"OnlineMeetingChannelId":null,"OnlineMeetingProvider":3}'
    return (
        f"X-MICROSOFT-SKYPETEAMSMEETINGURL:{text(block.teams_url)}",
        f"X-MICROSOFT-SKYPETEAMSPROPERTIES:{text(properties)}",
        f"X-MICROSOFT-ONLINEMEETINGINFORMATION:{text(information)}",
        f"X-MICROSOFT-SCHEDULINGSERVICEUPDATEURL:{text(block.scheduling_url)}",
    )


def skype_plain(meeting: Meeting, *, split_frame: bool = True) -> str:
    return f"{meeting.agenda}\n\n{old_blocks.skype_text(meeting.block, split_frame=split_frame)}\n"


def skype_exchange_body(meeting: Meeting) -> Body:
    return Body(
        skype_plain(meeting, split_frame=False),
        word_document(html_paragraphs(meeting.agenda) + old_blocks.skype_html(meeting.block)),
        skype_properties(meeting.block),
    )
