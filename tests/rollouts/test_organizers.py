"""Organizers among a wave's members are told before it, with its date, and after it, what changed (R82)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone

from migrations_app.demo.meetings import Attendee
from migrations_app.models import Notice, Rollout, RolloutCheck, Wave
from migrations_app.monitoring import clock as database_clock
from migrations_app.rollouts import organizers, steering
from migrations_app.tasks import work
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite, messages_in
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members


@pytest.fixture
def wave(tenant: Tenant, new_bridge: Bridge, make_users: Callable[..., list[ConferencingUser]]) -> Wave:
    """Anna has two meetings, Bruno has none; Clara is Italian and has one."""
    legacy = a_deployment(tenant)
    anna, bruno, clara = make_users({"anna": {}, "bruno": {}, "clara": {"language": "it-IT"}})
    for user, number in ((anna, 0), (anna, 1), (clara, 0)):
        invite(user, number, attendees=(Attendee("guest@example.org", "Guest"),))
    belong_to(legacy, [anna, bruno, clara])
    rollout = a_rollout(tenant, legacy)
    Rollout.objects.update(default_bridge=new_bridge)
    RolloutCheck.objects.all().delete()
    wave = a_wave(rollout, batches=[3], observe_days=0)
    members(wave, [anna, bruno, clara])
    return wave


def work_all() -> None:
    work(timezone.now() + timedelta(minutes=4))


def told(outbox: Path) -> dict[str, str]:
    """Who was mailed a letter, and its subject; no updates to attendees."""
    letters = [message for message in messages_in(outbox) if "guest" not in str(message["To"])]
    assert len({message["To"] for message in letters}) == len(letters), "each is told once"
    return {str(message["To"]).partition("<")[2].strip(">"): str(message["Subject"]) for message in letters}


def test_r82_organizers_are_told_once_what_changed(wave: Wave, outbox: Path) -> None:
    Wave.objects.filter(pk=wave.pk).update(tells_after=True)
    steering.start(wave, ACTOR)
    work_all()
    work_all()
    assert told(outbox) == {
        "anna@contoso.com": "Your online meetings have new joining details",
        "clara@contoso.com": "Le sue riunioni online hanno nuovi dati per partecipare",
    }
    body = next(
        m for m in messages_in(outbox) if "anna" in str(m["To"]) and "joining" in str(m["Subject"])
    ).get_content()
    assert "the joining details of 2 meetings that you have organized were renewed" in " ".join(body.split())
    wave.refresh_from_db()
    assert organizers.told(wave)["Changed"] == organizers.Told(sent=2, planned=2, failed=0)
    Wave.objects.filter(pk=wave.pk).update(told_after_at=None, cursor=0, next_look_at=timezone.now())
    work_all()
    assert Notice.objects.count() == 2, "a step that is repeated tells nobody twice"


def test_r82_nobody_is_told_where_nobody_asked_for_it(wave: Wave, outbox: Path) -> None:
    steering.start(wave, ACTOR)
    work_all()
    assert told(outbox) == {}
    assert not Notice.objects.exists()


def test_r82_organizers_are_told_before_with_the_date_of_the_wave(
    wave: Wave, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_clock, "now", timezone.now)  # a database server does not travel
    with time_machine.travel(datetime(2030, 3, 4, 12, 0, tzinfo=UTC), tick=False) as clock:
        for user in ConferencingUser.objects.exclude(upn="bruno@contoso.com"):
            invite(user, 5, attendees=(Attendee("guest@example.org", "Guest"),))
        Wave.objects.filter(pk=wave.pk).update(tells_before=True, not_before=datetime(2030, 3, 6, 21, 0, tzinfo=UTC))
        steering.start(Wave.objects.get(pk=wave.pk), ACTOR)
        work_all()
        found = told(outbox)
        assert set(found) == {"anna@contoso.com", "clara@contoso.com"}
        assert found["anna@contoso.com"] == "Your online meetings get new joining details on Wednesday, March 6, 2030"
        assert set(wave.members.values_list("state", flat=True)) == {"Waiting"}
        clock.move_to(datetime(2030, 3, 6, 21, 0, tzinfo=UTC))
        work_all()
        assert len(told(outbox)) == 2
        assert set(wave.members.values_list("state", flat=True)) == {"Done"}


def test_r82_a_wave_that_begins_at_once_tells_nobody_before(wave: Wave, outbox: Path) -> None:
    Wave.objects.filter(pk=wave.pk).update(tells_before=True)
    steering.start(wave, ACTOR)
    work_all()
    assert not Notice.objects.exists()
