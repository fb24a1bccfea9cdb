"""Undo in a mailbox outside (R45): a real Radicale, workers that are killed, and answers that are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.revision import highest_sequence
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.base import Write
from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.models import IntendedWrite
from migrations_app.runs.commit import Committer
from migrations_app.runs.undo_start import start_undo
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection
from tests.mailboxes.conftest import Store
from tests.support.actors import ACTOR
from tests.support.content_lines import without_stamps
from tests.support.meetings import STAY, migrate, told
from tests.support.radicale_server import RadicaleServer
from tests.support.undoing import Killed, work

pytestmark = pytest.mark.django_db


def bodies(server: RadicaleServer, calendar: str) -> list[bytes]:
    return [server.request("GET", f"{calendar}{number}.ics").content for number in range(3)]


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, when: str) -> Iterator[None]:
    """The worker dies after its intents are committed, after one meeting was written, or before the results are."""
    write, record = CalDavMailbox.write, Committer._record

    def written(self: CalDavMailbox, writes: Sequence[Write], keep: Callable[[], object] = lambda: None) -> Any:
        if when == "announced":
            raise Killed
        if when == "one written":
            write(self, writes[:1], keep)
            raise Killed
        return write(self, writes, keep)

    def recorded(self: Committer, *arguments: Any, **named: Any) -> Any:
        if when == "all written":
            raise Killed
        return record(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(CalDavMailbox, "write", written)
        patch.setattr(Committer, "_record", recorded)
        with suppress(Killed):
            yield


@pytest.mark.parametrize("when", ["", "announced", "one written", "all written"])
def test_r45_meetings_outside_go_back_once_and_attendees_are_told_once_whenever_the_worker_dies(
    anna: ConferencingUser,
    new_bridge: Bridge,
    connection: MailboxConnection,
    store: Store,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    store(3)
    before = bodies(server, calendar)
    change_user(anna, ACTOR, is_data_fix=True, bridge=new_bridge)
    run = migrate(ConferencingUser.objects.select_related("tenant", "bridge").get(pk=anna.pk), STAY)
    deliver()
    first = told(outbox)
    changed = [highest_sequence(body, all_events(body)) for body in bodies(server, calendar)]
    undone = start_undo(run, ACTOR)
    if when:
        with killed(monkeypatch, when):
            work(undone)
        assert IntendedWrite.objects.exists()
    work(undone)
    undone.refresh_from_db()
    deliver()

    assert (undone.state, undone.succeeded_meetings, undone.invites_update) == ("Succeeded", 3, 3)
    now = bodies(server, calendar)
    assert [sorted(without_stamps(body)) for body in now] == [sorted(without_stamps(body)) for body in before]
    assert [highest_sequence(body, all_events(body)) for body in now] == [sequence + 1 for sequence in changed]
    assert told(outbox) == dict.fromkeys(first, 2)
    assert not IntendedWrite.objects.exists()


def test_r45_what_another_program_changed_since_is_left_and_what_another_run_announced_is_not_forgotten(
    anna: ConferencingUser,
    new_bridge: Bridge,
    connection: MailboxConnection,
    store: Store,
    server: RadicaleServer,
    calendar: str,
    outbox: Path,
) -> None:
    store(3)
    change_user(anna, ACTOR, is_data_fix=True, bridge=new_bridge)
    run = migrate(ConferencingUser.objects.select_related("tenant", "bridge").get(pk=anna.pk), STAY)
    changed = server.request("GET", f"{calendar}0.ics").content
    server.request("PUT", f"{calendar}0.ics", changed.replace(b"\r\nSUMMARY", b"\r\nCATEGORIES:Moved\r\nSUMMARY"))
    server.delete(f"{calendar}1.ics")
    IntendedWrite.objects.create(run=run, user=anna, uid="of a run before", etag="x", result={})
    undone = start_undo(run, ACTOR)
    work(undone)

    codes = sorted(undone.results.values_list("code", flat=True))
    assert codes == ["", "changed-since", "meeting-deleted"]
    assert b"CATEGORIES:Moved" in server.request("GET", f"{calendar}0.ics").content
    assert IntendedWrite.objects.get().uid == "of a run before"
