"""``link``: the address is the meeting. Right for Jitsi Meet, for rooms addressed by name, for redirectors (R39)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from migrations_app.failures import Failure
from migrations_app.meeting_services.base import MeetingService, Request
from migrations_app.rewriting.online_meeting import OnlineMeeting
from migrations_app.rewriting.services import Service
from tenants_app.models import ConferencingUser


def meeting_key(tenant_slug: str, uid: str, recurrence_id: str = "") -> str:
    """The 8 characters that end a meeting's join link: the same for the same meeting, always.

    They follow from the meeting's UID, so a block that was copied into another meeting gives itself away.
    """
    named = f"{tenant_slug}\n{uid}\n{recurrence_id}" if recurrence_id else f"{tenant_slug}\n{uid}"
    return base64.b32encode(hashlib.blake2b(named.encode(), digest_size=5).digest()).decode("ascii")


class LinkService(MeetingService):
    """Join links below the user's meeting URL, with the organizer's name and the meeting's key."""

    name = Service.LINK

    def __init__(self, user: ConferencingUser) -> None:
        """``user.tenant`` and ``user.deployment`` should be loaded already; one has a meeting URL."""
        tenant = user.tenant
        self.made_under = user.meeting_url.rstrip("/")
        name, _, domain = user.sip_address.partition("@")
        hosted = "" if domain.lower() == tenant.domain else f"{domain.lower()}/"
        self.place = f"{self.made_under}/{hosted}{quote(name.lower(), safe='')}/"
        """Where the user's join links begin."""
        self._slug = tenant.slug

    def make(self, requests: Sequence[Request]) -> Mapping[Request, OnlineMeeting | Failure]:
        return {
            each: OnlineMeeting(self.place + meeting_key(self._slug, each.uid, each.recurrence_id)) for each in requests
        }

    def is_there_already(self, join_url: str) -> bool:
        return join_url.startswith(f"{self.made_under}/")
