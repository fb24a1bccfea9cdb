"""Wrapping an iTIP request as mail (iMIP, RFC 6047).

The shape is the one that common clients show as a meeting update: multipart/mixed of an alternative (plain text,
HTML where the meeting has it, text/calendar last) and the same calendar as an attached file. The skeleton is
written out here instead of through ``email.message``, whose generator takes ten times as long for it; names
and subjects are still encoded by ``email``.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.charset import BASE64, Charset
from email.header import Header
from email.utils import format_datetime, formataddr
from functools import lru_cache

from migrations_app.calendars.people import Person
from migrations_app.rewriting.labels import LABELS, language_of

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x80-\x9f\u2028\u2029]+")

_LINE_END = "\r\n"
_UTF_8 = Charset("utf-8")
_UTF_8.header_encoding = BASE64  # instead of trying which of the two encodings is the shorter


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


def message_id(correlation_id: object, uid: str, sequence: int, domain: str, part: str = "") -> str:
    """The Message-ID of the update of one meeting by one run: the same however often it is sent. ``part`` says which
    occurrences it is about, where it is not about the whole meeting."""
    of = "\n".join([str(correlation_id), uid, str(sequence), *([part] if part else [])])
    digest = hashlib.blake2b(of.encode(), digest_size=16).hexdigest()
    return f"<{digest}@{domain}>"


def compose(content: Content) -> bytes:
    """The whole message, CRLF line ends, pure ASCII."""
    labels = LABELS[language_of(content.language)]
    boundary = content.message_id.strip("<>").partition("@")[0]
    headers = [
        f"From: {_address(content.organizer)}",
        f"Sender: {content.sender}",
        f"Reply-To: {_address(content.organizer)}",
        "To: " + ",\r\n ".join(map(_address, content.recipients)),
        f"Subject: {_text(labels['mail_subject'].format(subject=content.subject), 'Subject')}",
        f"Date: {format_datetime(content.date)}",
        f"Message-ID: {content.message_id}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="m{boundary}"',
    ]
    plain = f"{labels['mail_note']}\n\n{content.description}".replace("\r\n", "\n").replace("\n", "\r\n")
    calendar = _base64(content.calendar)
    alternatives = [("text/plain; charset=utf-8", _base64(plain.encode("utf-8", "replace")))]
    if content.html:
        alternatives.append(("text/html; charset=utf-8", _base64(content.html.encode("utf-8", "replace"))))
    alternatives.append(("text/calendar; charset=utf-8; method=REQUEST; component=VEVENT", calendar))
    lines = [
        *headers,
        "",
        f"--m{boundary}",
        f'Content-Type: multipart/alternative; boundary="a{boundary}"',
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


def _text(value: str, header: str) -> str:
    """A header's text on one line, encoded where it is not ASCII: nothing in it can begin another header."""
    clean = _CONTROL.sub(" ", value).strip()
    if clean.isascii() and len(clean) < 900 and "=?" not in clean:
        return clean
    clean = clean.encode("utf-8", "replace").decode("utf-8")
    return Header(clean[:400], _UTF_8, header_name=header).encode(linesep=_LINE_END)


def _address(person: Person) -> str:
    phrase = _phrase(person.name)
    return f"{phrase} <{person.address}>" if phrase else person.address


@lru_cache(maxsize=4096)  # the same colleagues meet again and again
def _phrase(name: str) -> str:
    """A person's name as it stands before the address, quoted or encoded where it must be."""
    clean = _CONTROL.sub(" ", name).strip()[:200]
    if clean.isascii() and "=?" not in clean:
        return formataddr((clean, "a@b")).removesuffix("<a@b>" if clean else "a@b").strip()
    words = Header(clean[:80].encode("utf-8", "replace").decode("utf-8"), _UTF_8, header_name="Reply-To")
    return words.encode(linesep=_LINE_END)


def _base64(data: bytes) -> str:
    encoded = binascii.b2a_base64(data, newline=False).decode("ascii")
    return "\r\n".join([encoded[i : i + 76] for i in range(0, len(encoded), 76)])
