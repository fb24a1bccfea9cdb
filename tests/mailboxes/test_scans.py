"""Scans in the background: they give way, take what is hostile, and nothing of them lasts because a clock was wrong."""

from __future__ import annotations

import socket
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mail import smtp
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.caldav import client
from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.models import IndexedMeeting, MailboxScan, Turn
from migrations_app.procedures import mailbox_scans
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from tenants_app.changes.mailboxes import change_connection, create_connection, read_mailbox
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import ConferencingUser, MailboxConnection
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.scripted_server import Asked, Told, multistatus, response, scripted

pytestmark = pytest.mark.django_db

ADDRESS = "https://dav.contoso.com/"
LATER = timedelta(minutes=4)


@pytest.fixture
def connection(anna: ConferencingUser) -> MailboxConnection:
    return create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS, make_default=True)


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Whose mailboxes were looked at; each look is over at once."""
    seen: list[str] = []

    def refresh(self: CalDavMailbox, keep: Callable[[], object]) -> None:
        seen.append(self.user.upn)
        MailboxScan.objects.filter(user=self.user).update(due_at=timezone.now() + timedelta(hours=1))

    monkeypatch.setattr(CalDavMailbox, "refresh", refresh)
    return seen


@pytest.mark.usefixtures("connection")
def test_a_run_waits_for_one_short_look_and_not_for_all(
    make_user: Callable[..., ConferencingUser], looked_at: list[str]
) -> None:
    inside = make_user("bruno.costa")
    change_user(inside, ACTOR, mailbox=read_mailbox(inside.tenant, "embedded"))
    make_user("carla.lind")
    start_by_hand(inside.tenant, [inside], ACTOR, now_due=True)

    assert mailbox_scans.advance(timezone.now() + LATER), "the main loop goes on with the run"
    assert len(looked_at) == 1


@pytest.mark.usefixtures("connection")
def test_messages_wait_for_some_looks_and_not_for_all(
    make_user: Callable[..., ConferencingUser], looked_at: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user("carla.lind")
    monkeypatch.setattr(mailbox_scans, "TURN", timedelta(0))

    assert mailbox_scans.advance(timezone.now() + LATER)
    assert len(looked_at) == 1
    assert mailbox_scans.advance(timezone.now() + LATER)
    assert not mailbox_scans.advance(timezone.now() + LATER)
    assert len(looked_at) == 2


# --- clocks that are set back, and workers who know what was --------------------------------------------


def test_a_pause_that_was_begun_by_a_clock_ahead_is_over(connection: MailboxConnection, anna: ConferencingUser) -> None:
    mailbox = CalDavMailbox(ConferencingUser.objects.select_related("tenant__mailbox").get(pk=anna.pk))
    MailboxConnection.objects.update(paused_until=timezone.now() + timedelta(days=1))
    assert throttling.unavailable_connections() == []
    assert mailbox.left_alone_until is None

    mailbox.note_failure(Failure("mailbox-unavailable", "", timedelta(minutes=5)))
    assert throttling.unavailable_connections() == [connection.pk]
    until = mailbox.left_alone_until
    assert until is not None
    assert until < timezone.now() + timedelta(minutes=6)
    mailbox.note_failure(Failure("mailbox-unavailable"))
    assert mailbox.left_alone_until == until, "a shorter pause ends no longer one"


def test_a_scan_that_was_begun_by_a_clock_ahead_keeps_nobody_out(connection: MailboxConnection) -> None:
    change_connection(connection, ACTOR, most_requests=1)
    MailboxScan.objects.update(lease_token=uuid.uuid4(), lease_until=timezone.now() + timedelta(minutes=1))
    assert throttling.unavailable_connections() == [connection.pk]
    MailboxScan.objects.update(lease_until=timezone.now() + timedelta(days=1))
    assert throttling.unavailable_connections() == []


def test_who_was_let_in_before_ends_no_pause_that_began_since(connection: MailboxConnection) -> None:
    MailboxConnection.objects.update(paused_until=timezone.now() - timedelta(hours=1))
    known = MailboxConnection.objects.get(pk=connection.pk)
    throttling.note_failure(connection, Failure("mailbox-unavailable", "", timedelta(minutes=5)))
    throttling.note_success(known)
    assert throttling.left_alone_until(connection)

    throttling.note_success(MailboxConnection.objects.get(pk=connection.pk))
    assert throttling.left_alone_until(connection) is None


def test_tenants_take_turns_though_the_clock_was_set_back(make_user: Callable[..., ConferencingUser]) -> None:
    other = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_service="none", settling_time=0
    )
    for number in range(3):
        user = make_user(f"user{number}")
        start_by_hand(user.tenant, [user], ACTOR, now_due=True)
        start_by_hand(other, [create_user(other, ACTOR, upn=f"user{number}@fabrikam.com")], ACTOR, now_due=True)
    ahead = timezone.now() + timedelta(days=1)
    Turn.objects.create(tenant=user.tenant, at=ahead)
    Turn.objects.create(tenant=other, at=ahead + timedelta(hours=1))
    claimed = [queue.claim() for _ in range(4)]

    assert [run and run.tenant.slug for run in claimed] == ["contoso", "fabrikam", "contoso", "fabrikam"]


# --- what is hostile ------------------------------------------------------------------------------------


def test_a_connection_that_leads_to_another_server_is_listed_from_the_beginning(
    connection: MailboxConnection,
) -> None:
    MailboxScan.objects.update(calendars={"/anna/": "http://sabre.io/ns/sync/7"}, due_at=timezone.now() + LATER)
    change_connection(connection, ACTOR, calendars="Work")
    assert MailboxScan.objects.get().calendars
    change_connection(connection, ACTOR, address="https://new.contoso.com/")
    scan = MailboxScan.objects.get()
    assert scan.calendars == {}
    assert scan.due_at <= timezone.now()


LONG_UID, LONG_TAG = "u" * 600, f'"{"e" * 400}"'


@pytest.mark.usefixtures("connection")
def test_a_uid_that_is_too_long_fails_that_meeting_alone(anna: ConferencingUser) -> None:
    mailbox = CalDavMailbox(ConferencingUser.objects.select_related("tenant__mailbox").get(pk=anna.pk))
    bodies = {uid: invitation(anna, "budget").replace(b"UID:budget", b"UID:" + uid.encode()) for uid in ("a", LONG_UID)}
    mailbox.note("/c/", [(f"/c/{uid[:9]}.ics", '"1"', "", body) for uid, body in bodies.items()])

    assert dict(IndexedMeeting.objects.values_list("uid", "unreadable")) == {
        "a": "",
        "/c/uuuuuuuuu.ics": "Its UID has more than 500 characters.",
    }


def test_an_etag_that_is_too_long_to_be_kept_is_none_and_so_is_an_address() -> None:
    def script(asked: Asked) -> Told:
        if asked.method == "GET":
            return Told(200, b"x", {"ETag": LONG_TAG, "Schedule-Tag": LONG_TAG})
        return Told(207, multistatus(response(f"/c/{'%41' * 1001}.ics", "<d:getetag>1</d:getetag>")))

    with scripted(script) as server, client.Client(server.account(), ["localhost"]) as asking:
        assert asking.get("/c/1.ics") == client.Resource("/c/1.ics", "", "", b"x")
        with pytest.raises(Failure) as failure:
            list(asking.changes("/c/"))
    assert failure.value.code == "mailbox-answer"
    assert failure.value.detail == "the answer about /c/ names paths that are too long"


def test_the_error_says_that_a_host_is_inside_and_not_at_which_address(
    connection: MailboxConnection, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.MMS_ALLOWED_MAIL_HOSTS = []
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.20.30.40", 443))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with client.Client(client.Account(ADDRESS, "mms", "secret")) as asking, pytest.raises(Failure) as failure:
        asking.get("/x")
    assert failure.value.detail == "dav.contoso.com is in a private network, or MMS itself"
    with pytest.raises(smtp.NotAllowed, match=r"^mail.contoso.com is in a private network, or MMS itself$"):
        smtp.EmailBackend(host="mail.contoso.com", port=25, allowed_hosts=[]).session()


@contextmanager
def few_variables() -> Iterator[None]:
    """As where SQLite was built to take few variables in a statement; another database stays as it is."""
    if database.vendor != "sqlite":
        yield
        return
    before = database.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 2_000)
    try:
        yield
    finally:
        database.connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, before)


@pytest.mark.usefixtures("connection")
def test_a_calendar_of_any_size_can_vanish(anna: ConferencingUser) -> None:
    mailbox = CalDavMailbox(ConferencingUser.objects.select_related("tenant__mailbox").get(pk=anna.pk))
    end = timezone.now() + LATER
    IndexedMeeting.objects.bulk_create(
        IndexedMeeting(user=anna, uid=f"{number}", calendar="/c/", href=f"/c/{number}", last_end=end)
        for number in range(3_000)
    )
    with few_variables():
        mailbox.forget(mailbox.index.filter(calendar="/c/"))
    assert not IndexedMeeting.objects.exists()
