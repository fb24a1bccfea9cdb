"""Large waves: a start, and every page, ask the database as much for many members as for few, and stay as long.

``MMS_LARGE_WAVE=100000`` has it shown with so many members, and says how long each takes; the suite takes fewer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import Rollout, RolloutCheck, Wave, WaveMember
from migrations_app.rollouts import steering
from tenants_app.models import ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.rollouts import a_rollout, a_wave

MANY = int(os.environ.get("MMS_LARGE_WAVE", "2500"))
FEW = 3
PAGES = (
    "",
    "report/",
    "people/",
    "checks/",
    "waves/1/",
    "waves/1/members/",
    "waves/1/readiness/",
    "waves/1/report/",
    "waves/2/",
    "waves/2/members/",
    "waves/2/start/",
    "waves/2/settings/",
)


@pytest.fixture
def rollout(tenant: Tenant, alice: Client) -> Rollout:
    """Its first wave has ended, its second has not begun; no checks are in the way."""
    made = a_rollout(tenant)
    RolloutCheck.objects.all().delete()
    now = timezone.now()
    a_wave(
        made, 1, state="Completed", started_at=now, frozen_at=now, moved_at=now, accepted_at=now, accepted_by="alice"
    )
    return Rollout.objects.select_related("tenant", "legacy", "new").get(pk=made.pk)


def fill(rollout: Rollout, count: int) -> None:
    """So many members in each of the two waves, half of the first failed."""
    there = ConferencingUser.objects.count()
    for number, state in ((1, "Done"), (2, "Waiting")):
        wave = Wave.objects.get(rollout=rollout, position=number)
        deployment: Deployment = rollout.new if number == 1 else rollout.legacy
        users = ConferencingUser.objects.bulk_create(
            (
                ConferencingUser(
                    tenant=rollout.tenant,
                    upn=f"user{there}.{number}.{each}@contoso.com",
                    deployment=deployment,
                    hosting=deployment.kind,
                )
                for each in range(count)
            ),
            batch_size=2000,
        )
        WaveMember.objects.bulk_create(
            (
                WaveMember(
                    wave=wave,
                    user=user,
                    source="hand",
                    added_by="alice",
                    state="Failed" if state == "Done" and each % 2 else state,
                    failure="The account could not be moved." if state == "Done" and each % 2 else "",
                    batch=1 if state == "Done" else None,
                    finished_at=timezone.now() if state == "Done" else None,
                )
                for each, user in enumerate(users)
            ),
            batch_size=2000,
        )


def measured(work: Callable[[], Any]) -> tuple[int, float, Any]:
    """How many questions it asks, how many seconds it takes, and what it says."""
    began = time.perf_counter()
    with CaptureQueriesContext(connection) as queries:
        said = work()
    return len(queries), time.perf_counter() - began, said


def test_pages_ask_as_much_for_many_members_as_for_few(rollout: Rollout, alice: Client) -> None:
    addresses = [f"/contoso/rollouts/{rollout.pk}/{page}" for page in PAGES] + ["/contoso/rollouts/"]
    fill(rollout, 60)  # more than a page of a list
    few = {}
    for address in addresses:
        alice.get(address)  # what is cached on first use is asked before the counting
        questions, _, answer = measured(lambda address=address: alice.get(address))
        assert answer.status_code == 200, address
        few[address] = (questions, len(answer.content))
    fill(rollout, MANY)
    for address in addresses:
        questions, seconds, answer = measured(lambda address=address: alice.get(address))
        print(f"{address}: {questions} questions, {seconds:.2f} s, {len(answer.content)} octets")  # noqa: T201
        assert questions == few[address][0], address
        # A list on the report ends after a number of rows; everything else is as long as before, but for digits.
        longest = few[address][1] + (100_000 if "report" in address else 4_000)
        assert len(answer.content) < longest, address


def test_r77_a_start_asks_as_much_for_many_members_as_for_few(rollout: Rollout) -> None:
    fill(rollout, FEW)
    questions = []
    for count in (0, MANY):
        if count:
            fill(rollout, count)
        Wave.objects.filter(rollout=rollout, position=2).update(state="Draft", started_at=None)
        wave = Wave.objects.select_related("rollout__tenant").get(rollout=rollout, position=2)
        asked, seconds, started = measured(lambda wave=wave: steering.start(wave, ACTOR))
        print(f"start of {wave.members.count()} members: {asked} questions, {seconds:.3f} s")  # noqa: T201
        assert started.state == "Running"
        questions.append(asked)
    assert questions[0] == questions[1]
