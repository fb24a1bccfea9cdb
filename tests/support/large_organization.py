"""An organization of any size whose users all move to another bridge, and whether each meeting was dealt with once.

Everything follows from the seed, so that what a mailbox held before can be made again to compare it.
"""

from __future__ import annotations

import email
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from django.db import connection, connections
from django.db.models import Sum

from migrations_app.calendars.objects import split_objects
from migrations_app.demo.invitations import text_4kb
from migrations_app.demo.mailbox import plan_meeting
from migrations_app.demo.people import DemoUser
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, MeetingResult, Run, Update
from migrations_app.procedures import bulk_actions, bulk_kinds
from tenants_app.audit import Actor, Channel
from tenants_app.bulk import batched
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import create_users
from tenants_app.models import ConferencingUser, Tenant
from tests.support.meetings import logical_lines, uid_of, untouched_lines

P = TypeVar("P")
R = TypeVar("R")

OLD, NEW = "+14255550171", "+14255550172"
ACTOR = Actor("large", Channel.COMMAND)
_TOGETHER = 100
"""Users whose mailboxes one process deals with at a time."""


@dataclass(frozen=True)
class LargeOrganization:
    """So many users with so many meetings each."""

    users: int
    meetings: int
    seed: int
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def furnish(self) -> None:
        """Users on the old bridge with their invitations in the mailboxes that MMS keeps itself."""
        tenant = create_tenant(
            ACTOR,
            slug="contoso",
            name="Contoso",
            domain="contoso.com",
            meeting_url="https://meet.contoso.com",
            settling_time=0,
        )
        old = set_bridge(tenant, "Old", ACTOR, make_default=True)
        register_number(old, OLD, "toll", ACTOR, country="United States", city="Seattle")
        register_number(set_bridge(tenant, "New", ACTOR), NEW, "toll", ACTOR, country="United States", city="Redmond")
        phone = {"audio_conferencing_license": True, "audio_conferencing_enabled": True, "bridge": old}
        rows = [
            {"upn": each.upn, "display_name": each.display_name, **phone}
            for each in _everyone(self.users)[: self.users]
        ]
        for some in batched(rows):
            create_users(tenant, some, ACTOR)
        sum(_by_all_cores(self._store, range(self.users), _TOGETHER))

    def move_everybody(self) -> None:
        """Leave it to the service to move all users to the new bridge."""
        tenant = Tenant.objects.get()
        new = tenant.bridges.get(name="New")
        options = {"bridge": new.pk, "bridge_name": new.name}
        users = ConferencingUser.objects.filter(tenant=tenant)
        bulk_actions.perform(tenant, bulk_kinds.KINDS["move"], users, ACTOR, options=options)

    def faults(self, outbox: Path) -> dict[str, int]:
        """What is not as it should be: how many meetings, or messages, by kind of fault. Empty where all is well."""
        expected = self.users * self.meetings
        twice = MeetingResult.objects.order_by().values("run__user", "uid")
        succeeded = MeetingResult.objects.filter(outcome=MeetingResult.Outcome.SUCCEEDED).count()
        found = Counter(
            {
                "runs not ended well": Run.objects.exclude(state=Run.State.SUCCEEDED).count(),
                "meetings without a good result": expected - succeeded,
                "results beside one for each meeting": MeetingResult.objects.count() - twice.distinct().count(),
                "messages not sent": Update.objects.exclude(state=Update.State.SENT).count(),
                "meetings lost": expected - CalendarObject.objects.count(),
            }
        )
        for some in _by_all_cores(self._look_at, range(self.users), _TOGETHER):
            found += some
        files = [entry.path for entry in os.scandir(outbox) if entry.name.endswith(".eml")]
        told = Counter[str]()
        for uids in _by_all_cores(_uids, files, 10 * _TOGETHER):
            told += uids
        found["meetings told more than once"] = sum(count > 1 for count in told.values())
        found["meetings not told"] = expected - len(told)
        return {kind: number for kind, number in found.items() if number}

    def _invitations(self, user: int) -> list[tuple[str, bytes]]:
        """(UID, text) of the user's meetings, which were never changed before."""
        everyone = _everyone(self.users)
        planned = [plan_meeting(everyone[user], everyone, self.now, self.seed, n) for n in range(self.meetings)]
        return [one for each in planned for one in split_objects(text_4kb(replace(each, sequence=0)))]

    def _store(self, users: Sequence[int]) -> int:
        upns = {_upn(number): number for number in users}
        rows = ConferencingUser.objects.filter(upn__in=upns)
        return sum(EmbeddedMailbox(row).store(self._invitations(upns[row.upn])) for row in rows)

    def _look_at(self, users: Sequence[int]) -> Counter[str]:
        """Faults in the mailboxes of these users; of every tenth user each line is compared."""
        found = Counter[str]()
        upns = {_upn(number): number for number in users}
        bodies: dict[int, dict[str, bytes]] = {number: {} for number in upns.values()}
        rows = CalendarObject.objects.filter(user__upn__in=upns).values_list("user__upn", "uid", "body")
        for upn, uid, body in rows.iterator(chunk_size=500):
            lines = logical_lines(bytes(body))
            text = "\n".join(lines)
            found["meetings not changed once"] += "SEQUENCE:1" not in lines
            found["meetings that show the old number"] += _shows(OLD, text)
            found["meetings that do not show the new number"] += not _shows(NEW, text)
            bodies[upns[upn]][uid] = bytes(body)
        for number, stored in bodies.items():
            if number % 10 == 0:
                for uid, body in self._invitations(number):
                    changed = uid not in stored or untouched_lines(body) != untouched_lines(stored[uid])
                    found["meetings changed beside their block"] += changed
        return found


@cache
def _everyone(users: int) -> Sequence[DemoUser]:
    """At least as many as a meeting is planned with."""
    return [
        DemoUser(
            upn=_upn(number),
            sip_address=_upn(number),
            display_name=f"Anna Rossi {number}",
            language="en-US",
            hosting="online",
            mailbox_location="online",
            licensed=True,
            enabled=True,
            provider="",
            bridge="Old",
            conference_id_type="public",
            conference_id=str(1_000_000 + number),
            toll_number=OLD,
            toll_free_number="",
        )
        for number in range(max(users, 8))
    ]


def _upn(number: int) -> str:
    return f"user{number}@contoso.com"


def _by_all_cores(work: Callable[[Sequence[P]], R], whole: Iterable[P], size: int) -> Iterator[R]:
    """Some at a time in as many processes as there are cores; none of them shares this one's connection."""
    connections.close_all()
    with get_context("fork").Pool(os.cpu_count()) as pool:
        yield from pool.imap_unordered(work, list(batched(whole, size)))


def _shows(number: str, text: str) -> bool:
    """Whether the digits of the number's end stand there as people write them."""
    return f"{number[5:8]}-{number[8:]}" in text or f"{number[5:8]} {number[8:]}" in text or number in text


def _uids(files: Sequence[str]) -> Counter[str]:
    """Of which meetings these messages tell."""
    read = (email.message_from_bytes(Path(file).read_bytes(), policy=email.policy.default) for file in files)
    return Counter(uid_of(message) for message in read)  # type: ignore[arg-type]


def database_octets() -> int:
    """What the database takes on the disk; 0 where there is no way to ask."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def backends() -> list[int]:
    """The database server's processes for this database, but for the one that is asked; none where there is no way."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in cursor.fetchall()]


def progress() -> dict[str, Any]:
    """How far it is, from a few thousand rows and one index."""
    done = Run.objects.aggregate(done=Sum("succeeded_meetings"))["done"] or 0
    return {"meetings": done, "messages": Update.objects.filter(sent_at__isnull=False).count()}
