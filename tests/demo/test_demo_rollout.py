"""The rollout of the demo: half-way through its pilot, which stops by itself, with a gate that is closed."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.models import GateOpening, Rollout, RolloutCheck, RolloutEvent, Run, Wave, WaveMember
from migrations_app.rollouts import engine
from migrations_app.rollouts.gates import gate_of
from migrations_app.rollouts.report import report_of
from migrations_app.rollouts.report_files import as_json
from migrations_app.runs import queue
from migrations_app.runs.worker import work_run
from tenants_app.models import ConferencingUser
from tests.support.commands import Command

pytestmark = pytest.mark.usefixtures("wakes")


@pytest.fixture
def rollout(db: None, command: Command, settings: Any, tmp_path: Path) -> Rollout:
    """As the demo is loaded, and gone on with as far as it goes."""
    settings.MMS_DATA_DIR = tmp_path
    told = command("load_demo")
    assert "see Rollouts" in told
    Run.objects.filter(wave_members=None).update(due_at=timezone.now() + timedelta(days=1))  # the rest of the company
    until = timezone.now() + timedelta(minutes=5)
    while run := queue.claim():
        work_run(run)
        while engine.advance(until):
            pass
    return Rollout.objects.select_related("tenant", "legacy", "new").get()


def test_the_pilot_stops_by_itself_half_way_and_the_last_gate_is_closed(rollout: Rollout) -> None:
    test, pilot, everyone = rollout.waves.order_by("position")
    assert [wave.state for wave in (test, pilot, everyone)] == ["Completed", "Stopped", "Draft"]
    assert str(pilot.stop_reason) == "1 of 5 finished members have failed, which is more than 5 %."
    states = list(pilot.members.order_by("state").values_list("state", flat=True))
    assert states == ["Done"] * 4 + ["Failed"] + ["Waiting"] * 5
    failed = pilot.members.select_related("user").get(state=WaveMember.State.FAILED)
    assert failed.user.upn == "tobias.gruenewald@contoso.com"
    assert not gate_of(everyone).is_open
    stops = RolloutEvent.objects.filter(kind=RolloutEvent.Kind.STOPPED)
    assert stops.count() == 1


def test_who_waits_is_still_on_the_old_pool_and_everybody_who_moved_on_the_new_one(rollout: Rollout) -> None:
    moved = {member.user.upn for member in WaveMember.objects.filter(moved_at__isnull=False).select_related("user")}
    on_new = set(ConferencingUser.objects.filter(deployment=rollout.new).values_list("upn", flat=True))
    assert moved == on_new
    assert len(on_new) == 7
    assert ConferencingUser.objects.filter(deployment=rollout.legacy).count() == 17


def test_the_test_users_were_accepted_days_ago_and_a_gate_was_opened_by_hand(rollout: Rollout) -> None:
    test = rollout.waves.get(position=1)
    assert test.started_at
    assert test.started_at < timezone.now() - timedelta(days=3)
    opening = GateOpening.objects.get()
    assert (opening.wave.name if opening.wave else "", opening.by) == ("Pilot", "alice")


def test_nobody_outside_is_asked_by_its_checks(rollout: Rollout) -> None:
    """Its hosts are reserved names, and nothing is left that would look for them."""
    hosts = [*rollout.legacy.meeting_hosts, *rollout.new.meeting_hosts]
    assert all(host.endswith(".example") for host in hosts)
    kept = RolloutCheck.objects.filter(removed_at=None)
    assert set(kept.values_list("kind", flat=True)) == {"manual", "runs"}
    assert not RolloutCheck.objects.exclude(removed_at=None).filter(removal_reason="").exists()


def test_its_report_tells_what_was_planned_and_what_became_of_it(rollout: Rollout) -> None:
    pilot = Wave.objects.get(rollout=rollout, position=2)
    (wave,) = json.loads("".join(as_json(report_of(rollout, timezone.now(), pilot))))["waves"]
    assert (wave["members"]["total"], wave["members"]["Done"], wave["members"]["Failed"]) == (10, 4, 1)
    assert wave["planned"]["foreseen"] == 10
    assert wave["planned"]["meetings"] > wave["meetings"]["updated"] > 0
    assert [each["user"] for each in wave["lists"]["not_moved"]] == ["tobias.gruenewald@contoso.com"]
    assert wave["interruptions"][0]["kind"] == "stopped"


def test_too_few_users_make_no_rollout(db: None, command: Command, settings: Any, tmp_path: Path) -> None:
    settings.MMS_DATA_DIR = tmp_path
    command("load_demo", "--users", "10")
    assert not Rollout.objects.exists()
