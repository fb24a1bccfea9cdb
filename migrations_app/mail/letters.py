"""Messages of the service in plain text, to one person: an organizer, or an administrator."""

from __future__ import annotations

from base64 import encodebytes
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, make_msgid

from django.utils import timezone

from migrations_app.calendars.people import Person
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.headers import mailbox, text_field


@dataclass(frozen=True, slots=True)
class Letter:
    """What a message is made of. Addresses are ASCII; everything else may be any text."""

    sender: Person
    to: Person
    subject: str
    text: str
    language: str
    message_id: str
    date: datetime

    @classmethod
    def of_now(cls, service: str, to: str, subject: str, text: str, language: str) -> Letter:
        """One that the service's address sends to an address once; its Message-ID is its own."""
        message_id = make_msgid(domain=service.rpartition("@")[2])
        return cls(Person("", service), Person("", to), subject, text, language, message_id, timezone.now())

    def compose(self) -> ComposedMessage:
        """The message: CRLF line ends, pure ASCII. Nobody's absence is answered to it."""
        octets = f"{self.text}\n".replace("\r", "").replace("\n", "\r\n").encode("utf-8", "replace")
        lines = [
            f"From: {mailbox(self.sender)}",
            f"To: {mailbox(self.to)}",
            text_field("Subject", self.subject),
            f"Date: {format_datetime(self.date.astimezone(UTC))}",
            f"Message-ID: {self.message_id}",
            "Auto-Submitted: auto-generated",
            "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply",
            f"Content-Language: {self.language}",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: base64",
            "",
            encodebytes(octets).decode("ascii").replace("\n", "\r\n"),
        ]
        data = "\r\n".join(lines).encode("ascii")
        return ComposedMessage(self.sender.address, [self.to.address], self.message_id, data)
