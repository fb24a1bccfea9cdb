"""Taking a number off its bridge: nobody is left with a number that does not answer (R32 to R35)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import ProtectedError
from django.utils import timezone

from migrations_app import number_release, tasks
from migrations_app.models import NumberRelease, Run
from migrations_app.number_release import (
    cancel_release,
    dependants,
    foresee_release,
    holders,
    start_release,
    start_replacement,
)
from migrations_app.reactions import start_by_hand
from tenants_app import changes
from tenants_app.audit import Channel
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.mailboxes import body_of, invite, migrate

from ..conftest import ACTOR

MakeUser = Callable[..., ConferencingUser]
OLD, NEW, DEFAULT = "+14255550111", "+14255550122", "+14255550100"


@pytest.fixture
def old(old_bridge: Bridge) -> ServiceNumber:
    return changes.register_number(old_bridge, OLD, "toll", ACTOR, country="United States", city="Seattle")


@pytest.fixture
def new(old_bridge: Bridge) -> ServiceNumber:
    return changes.register_number(old_bridge, NEW, "toll", ACTOR, country="United States", city="Tacoma")


@pytest.fixture
def dora(make_user: MakeUser, old: ServiceNumber) -> ConferencingUser:
    """Somebody with the number in the settings and in an invitation."""
    user = make_user("dora.lind", toll_number=old)
    invite(user)
    migrate(user)
    return user


def go_on() -> None:
    tasks.work_queue()


def state(release: NumberRelease) -> str:
    return NumberRelease.objects.get(pk=release.pk).state


def is_there(number: str) -> bool:
    return ServiceNumber.objects.filter(number=number).exists()


def shows(user: ConferencingUser, number: str) -> bool:
    return any(
        number[2:] in bytes(row.body).decode().replace("-", "").replace(" ", "").replace("\r\n", "")
        for row in user.calendar_objects.all()
    )


def test_r34_it_moves_the_users_migrates_their_meetings_and_releases_the_number(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber, outbox: Any
) -> None:
    assert shows(dora, OLD)
    release = start_release(old, new, ACTOR)
    go_on()
    dora.refresh_from_db()

    assert dora.toll_number == new
    assert shows(dora, NEW)
    assert not shows(dora, OLD)
    assert state(release) == "Released"
    assert not is_there(OLD)
    assert [reason["sentence"] for reason in dora.runs.first().reasons] == [
        f"The number {OLD} was taken off the bridge."
    ]


def test_r35_it_stays_assigned_while_a_run_is_pending_or_in_progress(
    dora: ConferencingUser, old: ServiceNumber, new: ServiceNumber
) -> None:
    release = start_release(old, new, ACTOR)
    number_release.advance(timezone.now() + timedelta(minutes=1))
    assert (state(release), is_there(OLD)) == ("Updating", True)
    assert list(holders(release)) == [dora]
    Run.objects.filter(user=dora, state="Pending").update(
        state="InProgress", lease_token=dora.user_id, lease_until=timezone.now()
    )
    number_release.advance(timezone.now() + timedelta(minutes=1))
    assert (state(release), is_there(OLD)) == ("Updating", True)
