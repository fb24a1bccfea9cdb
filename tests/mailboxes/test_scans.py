"""Scans in the background: they give way, take what is hostile, and nothing of them lasts because a clock was wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.models import MailboxScan
from migrations_app.procedures import mailbox_scans
from migrations_app.runs.actions import start_by_hand
from tenants_app.changes.mailboxes import create_connection, read_mailbox
from tenants_app.changes.users import change_user
from tenants_app.models import ConferencingUser, MailboxConnection
from tests.support.actors import ACTOR

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
