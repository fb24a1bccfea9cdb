"""Wrapping an iTIP request as mail (iMIP, RFC 6047).

The shape is the one that common clients show as a meeting update: multipart/mixed of an alternative (plain text,
HTML where the meeting has it, text/calendar last) and the same calendar as an attached file. The skeleton is
written out here instead of through ``email.message``, whose generator takes ten times as long for it.
"""

from __future__ import annotations

import binascii
import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from migrations_app.calendars.appointments import Appointment
from migrations_app.calendars.people import Person
from migrations_app.mail.headers import mailbox, text_field
from migrations_app.mail.html_part import html_part
from migrations_app.mail.when_and_where import when_and_where
from migrations_app.rewriting.labels import LABELS, language_of

_MANY_LINES = struct.Struct("76s" * 128)  # a fifth faster than one slice for each line
_LONGEST_NAME = 100
"""Characters of an organizer's name that leave room for on whose behalf it is."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a message is made of. Addresses are ASCII; everything else that comes from a calendar is untrusted."""

    organizer: Person
    sender: str
    recipients: Sequence[Person]
    message_id: str
    date: datetime
    subject: str
    description: str
    html: str
    calendar: bytes
    language: str = "en"
    appointments: Sequence[Appointment] = ()
    is_from_service: bool = False
    """Whether the service is the author, on the organizer's behalf, instead of the organizer by the service."""


def message_id(correlation_id: object, uid: str, sequence: int, domain: str, part: str = "") -> str:
    """The Message-ID of the update of one meeting by one run: the same however often it is sent. ``part`` says which
    occurrences it is about, where it is not about the whole meeting."""
    of = "\n".join([str(correlation_id), uid, str(sequence), *([part] if part else [])])
    digest = hashlib.blake2b(of.encode(), digest_size=16).hexdigest()
    return f"<{digest}@{domain}>"


def compose(content: Content) -> bytes:
    """The whole message, CRLF line ends, pure ASCII. Text in it is UTF-8 with CRLF (RFC 2045 section 6.8)."""
    language = language_of(content.language)
    labels = LABELS[language]
    note, facts = labels["mail_note"], when_and_where(content.appointments, language)
    boundary = content.message_id.strip("<>").partition("@")[0]
    headers = [
        *_authors(content, labels["mail_via"]),
        f"Reply-To: {mailbox(content.organizer)}",
        "To: " + ",\r\n ".join(map(mailbox, content.recipients)),
        text_field("Subject", labels["mail_subject"].format(subject=content.subject)),
        text_field("Thread-Topic", content.subject),
        f"Date: {format_datetime(content.date)}",
        f"Message-ID: {content.message_id}",
        "Auto-Submitted: auto-generated",
        # As Exchange marks its own requests: nobody's out-of-office note answers them, but failures are reported.
        "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply",
        "Content-Class: urn:content-classes:calendarmessage",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed;\r\n boundary="m{boundary}"',
    ]
    told = "".join(f"{label}: {value}\n" for label, value in facts)
    plain = "\n".join([f"{note}\n", *([told] if told else []), content.description])
    html = html_part(content.html, content.description, note, facts, language)
    calendar = _base64(content.calendar)
    alternatives = [
        ("text/plain; charset=utf-8", _base64(_octets(plain))),
        ("text/html; charset=utf-8", _base64(_octets(html))),
        ("text/calendar; charset=utf-8; method=REQUEST; component=VEVENT", calendar),
    ]
    lines = [
        *headers,
        "",
        f"--m{boundary}",
        f'Content-Type: multipart/alternative;\r\n boundary="a{boundary}"',
        "",
    ]
    for content_type, payload in alternatives:
        lines += [
            f"--a{boundary}",
            f"Content-Type: {content_type}",
            "Content-Transfer-Encoding: base64",
            "",
            payload,
        ]
    lines += [
        f"--a{boundary}--",
        "",
        f"--m{boundary}",
        'Content-Type: application/ics; name="invite.ics"',
        'Content-Disposition: attachment; filename="invite.ics"',
        "Content-Transfer-Encoding: base64",
        "",
        calendar,
        f"--m{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii")


def _authors(content: Content, via: str) -> list[str]:
    """The fields that say who wrote and who sent the message; an author is no Sender too (RFC 5322 section 3.6.2).

    ORGANIZER in the calendar is the organizer either way, and that is whom replies go to (RFC 6047 section 2.3).
    """
    organizer = content.organizer
    if not content.is_from_service:
        return [f"From: {mailbox(organizer)}", f"Sender: {content.sender}"]
    name = via.format(name=(organizer.name or organizer.address)[:_LONGEST_NAME].strip())
    return [f"From: {mailbox(Person(name, content.sender))}"]


def _octets(text: str) -> bytes:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.replace("\n", "\r\n").encode("utf-8", "replace")


def _base64(data: bytes) -> str:
    encoded = binascii.b2a_base64(data, newline=False)
    many = len(encoded) - len(encoded) % _MANY_LINES.size
    lines = [line for some in _MANY_LINES.iter_unpack(encoded[:many]) for line in some]
    lines += [encoded[i : i + 76] for i in range(many, len(encoded), 76)]
    return b"\r\n".join(lines).decode("ascii")
