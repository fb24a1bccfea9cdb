"""What a wave would lead to, before anything moves (R68)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.models import Preview, Rollout, Wave
from migrations_app.procedures import previews
from migrations_app.rollouts.readiness import (
    is_below,
    latest_look,
    look,
    meetings_of,
    minimum_of,
    numbers_of,
    plan_of,
    refusals,
)
from migrations_app.runs.actions import start_by_hand
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.rollouts import a_rollout, a_wave, belong_to, members

MakeUsers = Callable[..., list[ConferencingUser]]


@pytest.fixture
def rollout(tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge) -> Rollout:
    rollout = a_rollout(tenant)
    belong_to(rollout.legacy, [], old_bridge)
    belong_to(rollout.new, [], new_bridge)
    return rollout


def looked(wave: Wave) -> Preview:
    preview = look(wave, ACTOR)
    while previews.advance(timezone.now() + timedelta(minutes=1)):
        pass
    preview.refresh_from_db()
    assert preview.state == Preview.State.READY, preview.problem
    return preview


def test_members_are_counted_by_what_would_happen_r68(rollout: Rollout, make_users: MakeUsers, tenant: Tenant) -> None:
    users = make_users(
        {
            "runs": {},
            "busy": {},
            "elsewhere": {"conferencing_provider": "InterCall"},
            "exchange": {"mailbox_location": "on-premises"},
        }
    )
    runs, busy, elsewhere, exchange = users
    invite(runs, 0)
    invite(runs, 1)
    start_by_hand(tenant, [busy], ACTOR)
    belong_to(rollout.legacy, users)
    wave = a_wave(rollout, min_client_version="16.0")
    members(wave, [runs], client_version="16.0.1")
    members(wave, [busy], client_version="15.9")
    members(wave, [elsewhere, exchange])
    early = numbers_of(wave, latest_look(wave))
    assert (early.members, early.client_unknown, early.client_below, early.run_in_progress) == (4, 2, 1, 1)
    assert (early.foreseen, early.foreseen_at, early.run) == (0, "", 0)
    preview = looked(wave)
    numbers = numbers_of(wave, latest_look(wave))
    assert (numbers.members, numbers.run, numbers.no_run, numbers.refused) == (4, 2, 2, 2)
    assert (numbers.foreseen, numbers.meetings, numbers.run_in_progress) == (4, 2, 1)
    assert numbers.attendees > 2
    assert len(numbers.without_run) == 2
    assert sum(numbers.without_run.values()) == 2
    assert sorted(map(str, refusals(preview))) == sorted(numbers.without_run)
    assert meetings_of(preview, users)["runs@contoso.com"]["updated"] == 2
    planned = plan_of(wave, timezone.now())
    assert (planned["members"], planned["run"], planned["refused"]) == (4, 2, 2)


def test_a_look_writes_nothing_and_moves_nobody_r68(rollout: Rollout, make_users: MakeUsers) -> None:
    users = make_users({"anna": {}})
    invite(users[0])
    belong_to(rollout.legacy, users)
    wave = a_wave(rollout)
    members(wave, users)
    before = list(ConferencingUser.objects.values())
    looked(wave)
    assert list(ConferencingUser.objects.values()) == before
    assert not users[0].runs.exists()


def test_mailboxes_that_let_nobody_in_and_large_meetings_are_counted_r68(
    rollout: Rollout, make_users: MakeUsers, tenant: Tenant, new_bridge: Bridge
) -> None:
    (anna,) = users = make_users({"anna": {}})
    invite(anna)
    tenant.attendee_limit = 2
    tenant.save()
    belong_to(rollout.legacy, users)
    wave = a_wave(rollout)
    members(wave, users)
    looked(wave)
    numbers = numbers_of(wave, latest_look(wave))
    assert (numbers.run, numbers.meetings, numbers.over_limit) == (1, 0, 1)
    assert numbers.needs_review == 0


def test_users_of_the_filter_are_among_those_who_are_looked_at_r68(rollout: Rollout, make_users: MakeUsers) -> None:
    belong_to(rollout.legacy, make_users({"anna": {}, "bruno": {}}))
    wave = a_wave(rollout, 1, saved_query="q=anna")
    assert looked(wave).done_users == 1
    assert numbers_of(wave).members == 1
    assert looked(a_wave(rollout, 3)).done_users == 2


def test_nobody_is_looked_at_where_there_is_nobody_or_it_is_too_late_r68(
    rollout: Rollout, make_users: MakeUsers
) -> None:
    with pytest.raises(ValidationError, match="no members yet"):
        look(a_wave(rollout), ACTOR)
    members(a_wave(rollout), make_users({"anna": {}}))
    with pytest.raises(ValidationError, match="has started"):
        look(a_wave(rollout, state=Wave.State.RUNNING), ACTOR)


@pytest.mark.parametrize(
    ("version", "minimum", "below"),
    [
        ("16.0.4266", "16.0.4266", False),
        ("16.0.4265", "16.0.4266", True),
        ("16.0", "16.0.0", False),
        ("9.10", "16", True),
        ("16.0.10", "16.0.9", False),
        ("UCCAPI/16.0.4 OC/16", "16.0.5", True),
        ("", "16", False),
        ("unknown", "16", False),
        ("15", "", False),
        ("0", "1", True),
    ],
)
def test_client_versions_are_compared_number_by_number_r68(version: str, minimum: str, below: bool) -> None:
    assert is_below(version, minimum) == below


def test_the_minimum_is_that_of_the_wave_or_of_the_new_deployment_r68(rollout: Rollout) -> None:
    rollout.new.lowest_client_version = "16.0"
    rollout.new.save()
    assert minimum_of(a_wave(rollout)) == "16.0"
    assert minimum_of(a_wave(rollout, min_client_version="17")) == "17"
