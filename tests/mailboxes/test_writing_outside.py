"""Writing into a mailbox outside, where no transaction covers it: nothing lost, nothing doubled, nobody told twice."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.caldav import client
from migrations_app.mailboxes.caldav.client import Client, Resource, Written
from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.models import IndexedMeeting, IntendedWrite, LeftMeeting, MeetingResult, Run, Update
from migrations_app.rewriting.errors import Declined
from migrations_app.rewriting.spans import unpack
from migrations_app.runs import queue, worker
from migrations_app.runs.commit import Committer
from tenants_app.changes.mailboxes import change_connection, create_connection, set_credentials
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection
from tests.mailboxes.conftest import Store
from tests.support.actors import ACTOR
from tests.support.by_day import some
from tests.support.fault_proxy import (
    FAULTS,
    RESET_AFTER,
    RESET_BEFORE,
    TRUNCATED,
    Fault,
    FaultProxy,
    in_turn,
    to,
)
from tests.support.meetings import STAY, calendar_of, logical_lines, messages_in, migrate
from tests.support.radicale_server import PASSWORD, RadicaleServer
from tests.support.scripted_server import Told, scripted

NEW = "+44 20 7946 0123"
"""The number of the bridge that Anna moves to; her invitations show another before."""

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """Stands in for ``kill -9``: nothing of the worker goes on."""


@pytest.fixture
def moved(anna: ConferencingUser, new_bridge: Bridge, connection: MailboxConnection, store: Store) -> ConferencingUser:
    """Anna, whose three invitations show the numbers of the bridge that she was on."""
    store(3)
    change_user(anna, ACTOR, bridge=new_bridge)
    Run.objects.all().delete()
    return ConferencingUser.objects.select_related("tenant__mailbox", "bridge").get(pk=anna.pk)


def texts(server: RadicaleServer, calendar: str) -> list[str]:
    return ["".join(logical_lines(server.request("GET", f"{calendar}{number}.ics").content)) for number in range(3)]


def assert_each_is_right_and_each_attendee_told_once(server: RadicaleServer, calendar: str, outbox: Path) -> None:
    for text in texts(server, calendar):
        assert NEW in text
    assert not IntendedWrite.objects.exists()
    deliver()
    assert set(Update.objects.values_list("state", flat=True)) <= {"Sent", "Superseded"}
    told: Counter[tuple[str, str]] = Counter()
    for message in messages_in(outbox):
        (uid,) = [line for line in logical_lines(calendar_of(message)) if line.startswith("UID:")]
        told.update((uid, address) for address in str(message["To"]).split(", "))
    assert len({uid for uid, _ in told}) == 3
    assert set(told.values()) == {1}


def work_until_done(run: Run, tries: int = 12) -> Run:
    """Work the run as often as it comes back, without waiting for the pauses in between."""
    for _ in range(tries):
        MailboxConnection.objects.update(paused_until=None)
        Run.objects.filter(pk=run.pk, state="Pending").update(due_at=timezone.now())
        claimed = queue.claim()
        if claimed is None:
            break
        worker.work_run(claimed)
    run.refresh_from_db()
    return run


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        *product(["PUT"], FAULTS),
        *some(product(["GET", "PROPFIND", "REPORT"], FAULTS), 4),
    ],
    ids=lambda part: part if isinstance(part, str) else part.name,
)
def test_a_fault_of_any_request_costs_nothing(
    method: str,
    fault: Fault,
    moved: ConferencingUser,
    faults: FaultProxy,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
) -> None:
    faults.plan = to(method, in_turn(fault, None, fault))
    run = migrate(moved, STAY)
    faults.plan = in_turn()
    run = work_until_done(run)
    if run.state == "Failed":  # an answer that waiting cannot cure, as 403; then the administrator starts it again
        run = work_until_done(migrate(moved, STAY))

    assert faults.faults()
    assert run.state == "Succeeded"
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def test_r28_a_fault_of_the_last_look_at_what_was_left_is_tried_again(
    moved: ConferencingUser, faults: FaultProxy, server: RadicaleServer, calendar: str, outbox: Path
) -> None:
    away = next(fault for fault in FAULTS if fault.name == "500")
    # The first attempt reads one, the second all three; then it reads them once more, for other old numbers.
    faults.plan = to("GET", in_turn(away, None, None, None, away))
    run = migrate(moved, STAY)
    MailboxConnection.objects.update(paused_until=None)
    Run.objects.update(due_at=timezone.now())
    second = queue.claim()
    assert second is not None
    worker.work_run(second)
    run.refresh_from_db()
    assert (run.state, run.last_error_code, run.succeeded_meetings) == ("Pending", "mailbox-unavailable", 3)

    run = work_until_done(run)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def kill_in(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool) -> None:
    """The first call of this method is the worker's last: before it does anything, or when it has done all."""
    original = getattr(owner, name)
    killed = iter([True])

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        is_last = next(killed, False)
        if is_last and not after:
            raise Killed
        answer = original(self, *args, **kwargs)
        if is_last:
            raise Killed
        return answer

    monkeypatch.setattr(owner, name, method)


@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        (CalDavMailbox, "refresh", True),
        (CalDavMailbox, "write", False),
        (CalDavMailbox, "write", True),
        (Committer, "_record", True),
    ],
    ids=["after the listing", "before the write", "after the write", "before the result is committed"],
)
def test_a_worker_that_is_killed_leaves_nothing_half_done(
    owner: Any,
    name: str,
    after: bool,
    moved: ConferencingUser,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kill_in(monkeypatch, owner, name, after=after)
    with pytest.raises(Killed):
        migrate(moved, STAY)
    run = Run.objects.get()
    assert run.state == "InProgress"
    Run.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    queue.sweep()
    run = work_until_done(run)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def test_what_was_written_before_a_kill_keeps_its_record(
    moved: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_in(monkeypatch, CalDavMailbox, "write", after=True)
    with pytest.raises(Killed):
        migrate(moved, STAY)
    intents = {intent.uid: intent for intent in IntendedWrite.objects.all()}
    Run.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    queue.sweep()
    work_until_done(Run.objects.get())

    for result in MeetingResult.objects.all():
        assert result.outcome == "Succeeded"
        assert result.sequence == intents[result.uid].result["sequence"]
        assert any(NEW in span.after and NEW not in span.before for span in unpack(bytes(result.spans or b"")))
    assert IndexedMeeting.objects.count() == 3


def test_r40_what_somebody_changes_at_this_moment_is_kept(
    moved: ConferencingUser,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, edits = CalDavMailbox.write, iter([True])

    def after_an_edit(self: CalDavMailbox, *args: Any) -> Any:
        if next(edits, False):
            body = server.request("GET", f"{calendar}0.ics").content
            edited = body.replace(b"\r\nEND:VEVENT", b"\r\nX-NOTE:Bring the figures\r\nEND:VEVENT", 1)
            assert server.request("PUT", f"{calendar}0.ics", edited).status_code in {201, 204}
        return write(self, *args)

    monkeypatch.setattr(CalDavMailbox, "write", after_an_edit)
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert "X-NOTE:Bring the figures" in texts(server, calendar)[0]
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def test_a_write_that_did_not_happen_is_none_though_the_settings_were_changed_back(
    moved: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_in(monkeypatch, CalDavMailbox, "write", after=False)
    with pytest.raises(Killed):
        migrate(moved, STAY)
    shown = set(IndexedMeeting.objects.values_list("etag", flat=True))
    monkeypatch.setattr("migrations_app.runs.outcomes.write", no_block_is_wrong)
    Run.objects.update(lease_until=timezone.now() - timedelta(hours=1))
    queue.sweep()
    run = work_until_done(Run.objects.get())

    assert (run.state, run.succeeded_meetings, run.skipped_meetings) == ("Succeeded", 0, 3)
    assert set(IndexedMeeting.objects.values_list("etag", flat=True)) == shown
    assert not IntendedWrite.objects.exists()
    assert not Update.objects.exists()


def no_block_is_wrong(*_: Any, **__: Any) -> Any:
    """As where the settings are what the invitations say."""
    raise Declined("already-current", "")


def test_a_meeting_that_the_server_will_not_take_fails_alone(
    moved: ConferencingUser, faults: FaultProxy, server: RadicaleServer, calendar: str
) -> None:
    full = next(fault for fault in FAULTS if fault.name == "507")
    faults.plan = to("PUT", in_turn(full))
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings, run.failed_meetings) == ("Failed", 2, 1)
    assert run.last_error_code == "meeting-refused-by-server"
    assert sum(NEW in text for text in texts(server, calendar)) == 2
    assert not IntendedWrite.objects.exists()
    (left,) = LeftMeeting.objects.all()
    etag = IndexedMeeting.objects.get(uid=left.uid).etag
    assert (left.code, left.state, left.etag) == ("meeting-refused-by-server", "Open", etag)
    assert migrate(moved, STAY).state == "Succeeded"
    assert not LeftMeeting.objects.exists(), "it needs nobody any more"


@pytest.mark.parametrize("fault", [RESET_BEFORE, RESET_AFTER, TRUNCATED], ids=lambda fault: fault.name)
def test_r28_a_server_that_goes_away_leaves_what_it_took_and_the_rest_is_done_later(
    fault: Fault,
    moved: ConferencingUser,
    faults: FaultProxy,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
) -> None:
    def gone_from_the_second_write_on() -> Iterator[Fault | None]:
        yield None
        while True:
            yield fault

    plan = gone_from_the_second_write_on()
    faults.plan = lambda asked: next(plan) if asked.method == "PUT" or fault_began(faults) else None
    run = migrate(moved, STAY)
    assert run.state == "Pending"
    assert run.last_error_code in {"mailbox-unavailable", "meeting-kept-changing"}
    faults.plan = in_turn()
    run = work_until_done(run)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def fault_began(faults: FaultProxy) -> bool:
    return bool(list(faults.faults()))


def test_r24_where_the_server_tells_attendees_mms_does_not(
    moved: ConferencingUser, connection: MailboxConnection, outbox: Path
) -> None:
    change_connection(connection, ACTOR, who_tells="server")
    run = migrate(ConferencingUser.objects.select_related("tenant").get(pk=moved.pk), STAY)
    deliver()

    assert (run.state, run.succeeded_meetings, run.invites_update) == ("Succeeded", 3, 0)
    assert set(Update.objects.values_list("state", flat=True)) == {"ByServer"}
    assert messages_in(outbox) == []


# --- servers that do otherwise than they say ------------------------------------------------------------


def test_r24_attendees_are_told_though_the_server_counts_the_revision_on(
    moved: ConferencingUser, server: RadicaleServer, calendar: str, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Client.put

    def counting_on(self: Client, href: str, body: bytes, **conditions: str) -> Written:
        counted = re.sub(rb"SEQUENCE:(\d+)", lambda found: b"SEQUENCE:%d" % (int(found[1]) + 1), body)
        put(self, href, counted, **conditions)
        return Written(None, "")

    monkeypatch.setattr(Client, "put", counting_on)
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def test_a_server_that_says_it_stored_and_did_not_fails_the_meeting(
    moved: ConferencingUser, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "put", lambda *_, **__: Written(None, ""))
    run = migrate(moved, STAY)

    assert (run.state, run.failed_meetings, run.last_error_code) == ("Failed", 3, "meeting-refused-by-server")
    assert run.results.first().detail == "it says that it took the meeting, and has the old one still"
    assert not Update.objects.exists()
    assert not IntendedWrite.objects.exists()


@pytest.mark.parametrize("gone", [Failure("mailbox-unavailable"), None])
def test_what_was_taken_and_cannot_be_read_back_is_written_all_the_same(
    gone: Failure | None,
    moved: ConferencingUser,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put, get, was_put = Client.put, Client.get, set[str]()

    def without_etag(self: Client, href: str, body: bytes, **conditions: str) -> Written:
        put(self, href, body, **conditions)
        was_put.add(href)
        return Written(None, "")

    def not_at_once(self: Client, href: str) -> Resource | None:
        if href not in was_put:
            return get(self, href)
        was_put.remove(href)
        if gone:
            raise gone
        return None

    monkeypatch.setattr(Client, "put", without_etag)
    monkeypatch.setattr(Client, "get", not_at_once)
    run = migrate(moved, STAY)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def test_a_server_that_dns_names_is_where_meetings_are_read_and_written_too(
    anna: ConferencingUser,
    new_bridge: Bridge,
    server: RadicaleServer,
    calendar: str,
    store: Store,
    outbox: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.MMS_ALLOWED_MAIL_HOSTS = ["localhost", "dav.localhost"]
    named = server.address.replace("127.0.0.1", "dav.localhost")
    monkeypatch.setattr(client, "service_addresses", lambda host: [named] if host == "localhost" else [])
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: look_up("127.0.0.1", *_, **__))
    store(3)
    with scripted(lambda _: Told(404)) as web:
        connection = create_connection(anna.tenant, ACTOR, "By DNS", address=web.address, make_default=True)
        set_credentials(connection, [(anna.upn, "", PASSWORD)], ACTOR)
        change_user(anna, ACTOR, bridge=new_bridge)
        Run.objects.all().delete()
        run = migrate(ConferencingUser.objects.select_related("tenant__mailbox", "bridge").get(pk=anna.pk), STAY)

        assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
        assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)
        assert {asked.path for asked in web.asked} == {"/", "/.well-known/caldav"}
    connection.refresh_from_db()
    assert connection.found_at == named
    change_connection(connection, ACTOR, most_requests=5)
    connection.refresh_from_db()
    assert connection.found_at == ""


def test_r24_what_was_written_before_the_run_failed_for_good_is_told(
    moved: ConferencingUser, faults: FaultProxy, server: RadicaleServer, calendar: str, outbox: Path
) -> None:
    forbidden = next(fault for fault in FAULTS if fault.name == "403")
    faults.plan = to("PUT", in_turn(None, forbidden))
    run = migrate(moved, STAY)
    faults.plan = in_turn()
    deliver()

    assert (run.state, run.last_error_code, run.succeeded_meetings) == ("Failed", "mailbox-forbidden", 1)
    assert sum(NEW in text for text in texts(server, calendar)) == 1
    assert len(messages_in(outbox)) == 1
    assert IntendedWrite.objects.count() == 2
    run = work_until_done(migrate(moved, STAY))
    assert (run.state, run.succeeded_meetings) == ("Succeeded", 2)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def test_a_meeting_is_not_given_up_because_the_server_says_once_that_it_is_not_there(
    moved: ConferencingUser, faults: FaultProxy, server: RadicaleServer, calendar: str, outbox: Path
) -> None:
    missing = next(fault for fault in FAULTS if fault.name == "404")
    faults.plan = to("GET", in_turn(missing, None, None, missing))
    run = migrate(moved, STAY)
    assert (run.state, run.last_error_code) == ("Pending", "mailbox-unavailable")
    faults.plan = in_turn()
    run = work_until_done(run)

    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)


def test_a_meeting_that_is_listed_and_not_given_out_is_not_lost_from_sight(
    moved: ConferencingUser, server: RadicaleServer, calendar: str, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Client, "read", lambda *_: iter(()))  # each of them is said not to be there
        run = migrate(moved, STAY)
    assert (run.state, run.failed_meetings) == ("Failed", 3)
    assert "did not give it out" in run.results.first().reason
    again = migrate(moved, STAY)

    assert (again.state, again.succeeded_meetings, again.failed_meetings) == ("Succeeded", 3, 0)
    assert_each_is_right_and_each_attendee_told_once(server, calendar, outbox)
