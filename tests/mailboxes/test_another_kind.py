"""A mailbox of another kind than the embedded one serves every part of MMS alike: no other part knows the kinds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest
from django.db.models import QuerySet
from django.test import Client

from migrations_app.calendars.facts import read_facts
from migrations_app.failures import Failure
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes import of_user, upcoming
from migrations_app.mailboxes.base import FutureMeetings, Listed, Mailbox, Stored, Write
from migrations_app.models import CalendarObject
from migrations_app.preview.many_users import foresee_start
from migrations_app.runs.imported import note_imported
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.meetings import calendar_of, logical_lines, messages_in, migrate
from tests.support.pages import key_of, words

NEW_NUMBER = "+44 20 7946 0123"


class Shelf:
    """Meetings in a dictionary, as a calendar server holds them: nothing of them is in the database."""

    is_outside: ClassVar[bool] = True
    tries: ClassVar[int] = 3
    writes_in_parts: ClassVar[bool] = False
    tells_of_series_and_occurrences: ClassVar[bool] = False
    tells_attendees = False
    as_of = None
    left_alone_until = None
    bodies: ClassVar[dict[tuple[int, str], bytes]] = {}

    def __init__(self, user: ConferencingUser) -> None:
        self.user = user

    def refresh(self, keep: Callable[[], object]) -> None:
        """What is listed is always what is there."""

    def note_failure(self, failure: Failure) -> None:
        """Each shelf stands for itself."""

    def _all(self) -> list[Listed]:
        return [
            Listed.of(read_facts(body), recipient_count=1)
            for (owner, _), body in sorted(self.bodies.items())
            if owner == self.user.pk
        ]

    def list_candidates(self, organizers: Collection[str], now: datetime) -> Sequence[Listed]:
        return [each for each in self.list_upcoming(now) if each.organizer in organizers and not each.cancelled]

    def list_others(self, organizers: Collection[str], now: datetime) -> Iterator[Listed]:
        candidates = self.list_candidates(organizers, now)
        return (each for each in self._all() if each not in candidates)

    def list_upcoming(self, now: datetime) -> Sequence[Listed]:
        return [each for each in self._all() if each.last_end > now]

    def read(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        return {
            each.uid: Stored(each, body, hashlib.sha256(body).hexdigest())
            for each in self._all()
            if each.uid in uids and (body := self.bodies[self.user.pk, each.uid])
        }

    def look_at(self, uids: Sequence[str]) -> Mapping[str, Stored]:
        return self.read(uids)

    def write(self, writes: Sequence[Write], keep: Callable[[], object] = lambda: None) -> Mapping[str, None]:
        now = self.read([each.uid for each in writes])
        written = [each for each in writes if each.uid in now and now[each.uid].etag == each.etag]
        self.bodies.update({(self.user.pk, each.uid): each.body for each in written})
        return dict.fromkeys(each.uid for each in written)

    @staticmethod
    def count_stored(users: QuerySet[ConferencingUser]) -> dict[int, int]:
        return {user.pk: len(Shelf(user)._all()) for user in users}

    @staticmethod
    def count_upcoming(users: QuerySet[ConferencingUser], now: datetime) -> FutureMeetings:
        found = [each for user in users for each in Shelf(user).list_candidates(user.addresses, now)]
        return FutureMeetings(len(found), sum(each.attendee_count - 1 for each in found))


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, anna: ConferencingUser) -> Shelf:
    """Anna's mailbox is of this kind, and holds a meeting with an old block and one without any."""
    kind: type[Mailbox] = Shelf
    monkeypatch.setattr(of_user, "EmbeddedMailbox", kind)
    monkeypatch.setattr(upcoming, "KINDS", (kind,))
    monkeypatch.setattr(
        Shelf,
        "bodies",
        {
            (anna.pk, "budget"): invitation(anna, "budget"),
            (anna.pk, "lunch"): invitation(anna, "lunch", text="Call +1 (425) 555-0100 when late"),
        },
    )
    return Shelf(anna)


def test_a_run_rewrites_what_is_there_and_mails_it(
    shelf: Shelf, anna: ConferencingUser, new_bridge: Bridge, outbox: Path, wakes: list[Any]
) -> None:
    before = dict(shelf.bodies)
    change_user(anna, ACTOR, bridge=new_bridge)
    anna.refresh_from_db()
    run = migrate(anna)
    deliver()

    assert (run.state, run.succeeded_meetings, run.skipped_meetings) == ("Succeeded", 1, 1)
    assert NEW_NUMBER.encode() in b"".join(shelf.bodies[anna.pk, "budget"].split(b"\r\n "))
    assert shelf.bodies[anna.pk, "lunch"] == before[anna.pk, "lunch"]
    (message,) = messages_in(outbox)
    assert "UID:budget" in logical_lines(calendar_of(message))
    assert not CalendarObject.objects.exists()


def test_pages_counts_and_explanations_show_what_is_there(
    shelf: Shelf, anna: ConferencingUser, alice: Client, new_bridge: Bridge
) -> None:
    meetings = words(alice.get(f"/contoso/users/{anna.upn}/meetings/").content)
    explained = words(alice.get(f"/contoso/users/{anna.upn}/meetings/{key_of('lunch')}/").content)
    users = ConferencingUser.objects.filter(pk=anna.pk)
    foreseen = foresee_start(anna.tenant, users)
    posted = {field.name: field.value() for field in alice.get(f"/contoso/users/{anna.upn}/").context["form"]}
    edited = {name: value for name, value in posted.items() if value not in (None, False)}
    preview = alice.post(f"/contoso/users/{anna.upn}/", edited | {"bridge": new_bridge.pk, "preview": "1"})

    assert "Budget budget" in meetings
    assert "Would be updated" in meetings
    assert "The invitation carries no online-meeting block." in explained
    assert foreseen.future == FutureMeetings(2, 2)
    assert "1 of 2 future meetings would be updated and 1 invitation sent." in words(preview.content)


def test_the_search_for_numbers_looks_at_what_is_there(shelf: Shelf, anna: ConferencingUser) -> None:
    anna.invited_numbers.all().delete()
    note_imported(anna, ["budget", "lunch"])

    shown = set(anna.invited_numbers.values_list("number__number", flat=True))
    assert shown == {"+14255550100"}
