"""One builder for each kind of invitation in the demo's mailboxes.

A builder takes a :class:`Meeting` and returns the calendar object as its program would have stored it.
Whatever the meeting's own fields say, the kind decides what makes it that kind: ``all_day`` makes it last a
day, ``past_meeting`` lies in the past. Every object but ``damaged_invitation`` parses, ends its lines with
CRLF and has no line of more than 75 octets.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime, timedelta

from migrations_app.demo import old_blocks
from migrations_app.demo.calendar_lines import (
    utc,
)
from migrations_app.demo.meetings import Attendee, Meeting
from migrations_app.demo.old_blocks import TeamsGeneration
from migrations_app.demo.people import DemoUser
from migrations_app.demo.programs import (
    EXCHANGE,
    OUTLOOK,
    Body,
    calendar_of,
    event_lines,
    html_paragraphs,
    latent_styles,
    skype_exchange_body,
    skype_plain,
    skype_properties,
    teams_properties,
    web_document,
    word_document,
)

# --- Skype for Business ---------------------------------------------------------------------------------


def skype_text(meeting: Meeting, *, split_frame: bool = True) -> bytes:
    """Text only, as Outlook saves it. ``split_frame`` breaks the rows of 137 dots after 71."""
    body = Body(skype_plain(meeting, split_frame=split_frame))
    return calendar_of(meeting, OUTLOOK, event_lines(meeting, body, "Skype Meeting"))


def skype_html(meeting: Meeting) -> bytes:
    """Text with an HTML twin made by Word, as Outlook saves it: no join properties."""
    html = word_document(html_paragraphs(meeting.agenda) + old_blocks.skype_html(meeting.block))
    return calendar_of(meeting, OUTLOOK, event_lines(meeting, Body(skype_plain(meeting), html), "Skype Meeting"))


def skype_exchange(meeting: Meeting) -> bytes:
    """Text, HTML and the X-MICROSOFT-ONLINEMEETING properties of the same meeting, as Exchange keeps them."""
    return calendar_of(meeting, EXCHANGE, event_lines(meeting, skype_exchange_body(meeting), "Skype Meeting"))


# --- Microsoft Teams ------------------------------------------------------------------------------------


def _teams(meeting: Meeting, generation: TeamsGeneration, *, html: bool) -> bytes:
    plain = f"{meeting.agenda}\n{old_blocks.teams_text(meeting.block, generation)}\n"
    if not html:
        return calendar_of(meeting, OUTLOOK, event_lines(meeting, Body(plain), "Microsoft Teams Meeting"))
    document = web_document(html_paragraphs(meeting.agenda) + old_blocks.teams_html(meeting.block, generation))
    body = Body(plain, document, teams_properties(meeting.block))
    return calendar_of(meeting, EXCHANGE, event_lines(meeting, body, "Microsoft Teams Meeting"))


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
    return calendar_of(
        series,
        EXCHANGE,
        event_lines(series, skype_exchange_body(series), location),
        event_lines(past, skype_exchange_body(past), location, past.start),
        event_lines(own, skype_exchange_body(own), location, own.start),
        event_lines(moved, Body(), location, moved_from),
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
    body = Body(f"{meeting.agenda}\n", word_document(html_paragraphs(meeting.agenda)))
    return calendar_of(meeting, EXCHANGE, event_lines(meeting, body, ""))


def pasted_block(meeting: Meeting) -> bytes:
    """The text carries the block of another meeting; the join properties are this one's."""
    other = replace(meeting, key=f"{meeting.key} copied from")
    body = replace(skype_exchange_body(other), properties=skype_properties(meeting.block))
    return calendar_of(meeting, EXCHANGE, event_lines(meeting, body, "Skype Meeting"))


def damaged_frame(meeting: Meeting) -> bytes:
    """The closing row is gone and the organizer wrote on below: where the block ends is anybody's guess."""
    opened = old_blocks.skype_text(meeting.block, split_frame=False).removesuffix("\n" + "." * 137)
    opened = opened.removesuffix("\n[!OC([1033])!]")
    body = Body(f"{meeting.agenda}\n\n{opened}\n\nPS: the code of the front door is on the team site.\n")
    return calendar_of(meeting, OUTLOOK, event_lines(meeting, body, "Skype Meeting"))


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
    lines = event_lines(meeting, skype_exchange_body(meeting), "Skype Meeting")
    kept = [line for line in lines if not line.startswith(("DTSTART", "DTEND"))]
    return calendar_of(meeting, EXCHANGE, kept)


# --- for measuring --------------------------------------------------------------------------------------


def text_4kb(meeting: Meeting) -> bytes:
    """A text-only Skype invitation of about 4 KB."""
    missing = 4000 - len(skype_text(meeting))
    line = "Please bring the figures of the last month and what follows from them.\n"
    return skype_text(replace(meeting, agenda=meeting.agenda + "\n\n" + line * max(0, missing // len(line))))


_LATENT_STYLES = latent_styles()


def large_html(meeting: Meeting) -> bytes:
    """A Skype invitation of about 50 KB, most of it the head that Word gives every HTML document."""
    html = word_document(
        html_paragraphs(meeting.agenda) + old_blocks.skype_html(meeting.block), settings=_LATENT_STYLES
    )
    body = Body(skype_plain(meeting), html, skype_properties(meeting.block))
    return calendar_of(meeting, EXCHANGE, event_lines(meeting, body, "Skype Meeting"))
