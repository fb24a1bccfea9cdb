"""A meeting of the demo: who meets when about what, before any program has written it down."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from migrations_app.demo.calendar_lines import (
    zone_info,
)
from migrations_app.demo.old_blocks import OldBlock
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
