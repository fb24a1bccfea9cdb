"""A wave by commands alone: how it is named, started, paused, resumed, confirmed, retried and accepted (R77 to R81)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from migrations_app.models import Rollout, RolloutCheck, Run, Wave
from migrations_app.rollouts import engine
from migrations_app.tasks import work
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Deployment, Tenant
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

Command = Callable[..., str]
WAVE = "To the new service/Test users"


@pytest.fixture
def wave(tenant: Tenant, new_bridge: Bridge, make_users: Callable[..., list[ConferencingUser]]) -> Wave:
    legacy = a_deployment(tenant)
    users = make_users({name: {} for name in ("anna", "bruno", "clara")})
    belong_to(legacy, users)
    rollout = a_rollout(tenant, legacy)
    Rollout.objects.update(default_bridge=new_bridge)
    RolloutCheck.objects.all().delete()
    wave = a_wave(rollout, batches=[3], observe_days=0)
    members(wave, users)
    return wave


def work_all() -> None:
    work(timezone.now() + timezone.timedelta(minutes=4))


def test_r77_a_wave_by_commands_from_its_start_to_its_acceptance(wave: Wave, command: Command) -> None:
    assert command("start_wave", WAVE) == "Wave Test users is started.\n"
    work_all()
    (record, *_) = json.loads(command("get_wave", "--rollout", "to the new service", "--format", "json"))
    assert (record["State"], record["Members"], record["Done"]) == ("Observing", 3, 3)
    assert "All is in order." in command("accept_wave", "Test users", "--dry-run")
    assert "Wave Test users is accepted, with 0 items." in command("accept_wave", WAVE)
    assert json.loads(command("get_wave", "--wave", WAVE, "--format", "json"))["State"] == "Completed"


@pytest.mark.parametrize("name", ["Test users", "test users", "1", "To the new service/1", WAVE])
def test_r77_a_wave_is_named_by_its_name_or_number(wave: Wave, command: Command, name: str) -> None:
    assert json.loads(command("get_wave", "--wave", name, "--format", "json"))["Position"] == 1


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Nobody", "There is no wave Nobody: name one of these: To the new service/Test users, To the new"),
        ("Nothing/1", "There is no wave Nothing/1: name one of these"),
        ("To the new service/9", "There is no wave To the new service/9"),
    ],
)
def test_r77_a_wave_that_is_not_there_is_told_with_those_that_are(
    wave: Wave, command: Command, name: str, why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        command("get_wave", "--wave", name)


def test_r77_where_two_rollouts_have_a_wave_of_that_name_its_rollout_is_asked_for(
    wave: Wave, command: Command, tenant: Tenant
) -> None:
    a_rollout(
        tenant,
        a_deployment(tenant, name="Pool 2"),
        a_deployment(tenant, "new", name="New service 2"),
        name="The second",
    )
    with pytest.raises(CommandError, match=r"Several rollouts have a wave Pilot: write .*/Pilot"):
        command("pause_wave", "Pilot")


def test_r79_pause_and_resume(wave: Wave, command: Command) -> None:
    command("start_wave", WAVE)
    assert command("pause_wave", WAVE, "--reason", "Lunch") == "Wave Test users is paused.\n"
    with pytest.raises(CommandError, match="nothing to pause"):
        command("pause_wave", WAVE)
    assert command("resume_wave", WAVE) == "Wave Test users goes on.\n"
    Wave.objects.update(state=Wave.State.STOPPED)
    with pytest.raises(CommandError, match="give the reason"):
        command("resume_wave", WAVE)
    command("resume_wave", WAVE, "--reason", "Put right.")


def test_r77_waiting_ends_with_the_wave_and_fails_where_it_stopped(wave: Wave, command: Command) -> None:
    Wave.objects.filter(pk=wave.pk).update(state=Wave.State.DRAFT)
    start = engine.events.note

    def then_stopped(*args: object, **options: object) -> object:
        noted = start(*args, **options)  # type: ignore[arg-type]
        Wave.objects.filter(pk=wave.pk).update(state=Wave.State.STOPPED, stop_reason="Too many failed.")
        return noted

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine.events, "note", then_stopped)
        with pytest.raises(CommandError, match=r"The wave has stopped: Too many failed. Then go on with resume_wave"):
            command("start_wave", WAVE, "--wait", errors=io.StringIO())


def test_r77_now_takes_the_earliest_start_and_the_window_off(wave: Wave, command: Command) -> None:
    later = timezone.now() + timezone.timedelta(days=3)
    Wave.objects.filter(pk=wave.pk).update(not_before=later, window_from="22:00", window_to="23:00")
    command("start_wave", WAVE, "--now")
    wave.refresh_from_db()
    assert (wave.not_before, wave.window) == (None, None)
    assert AuditEntry.objects.get(action="start wave").after == {"at once": True}


def test_r63_a_list_is_exported_confirmed_and_its_results_imported(
    wave: Wave, command: Command, tmp_path: Path
) -> None:
    Deployment.objects.filter(role="new").update(mover=Deployment.Mover.LIST)
    file = tmp_path / "list.txt"
    with pytest.raises(CommandError, match="Nobody of the wave waits"):
        command("export_move_list", WAVE, "--output", str(file))
    command("start_wave", WAVE)
    work_all()
    told = command("export_move_list", WAVE, "--output", str(file))
    assert "3 users in" in told
    assert "Move-CsUser -UserList" in told
    assert "-Force" not in told
    assert file.read_text().split() == ["anna@contoso.com", "bruno@contoso.com", "clara@contoso.com"]

    assert command("confirm_moves", WAVE, "--user", "anna@contoso.com") == "Noted for 1 user.\n"
    results = tmp_path / "results.csv"
    results.write_text("UserPrincipalName,Result,Message\nanna@contoso.com,moved,\n")
    with pytest.raises(CommandError, match=r"anna@contoso\.com does not wait for a move"):
        command("confirm_moves", WAVE, "--results", str(results))
    results.write_text("UserPrincipalName,Result,Message\nbruno@contoso.com,failed,No such pool\n")
    assert command("confirm_moves", WAVE, "--results", str(results)) == "Noted for 1 user.\n"
    assert command("confirm_moves", WAVE, "--all") == "Noted for 1 user.\n"
    assert command("confirm_moves", WAVE, "--all") == "Nobody waited for that.\n"
    states = wave.members.order_by("pk").values_list("state", flat=True)
    assert list(states) == ["Updating", "Failed", "Updating"]
    assert "No such pool" in wave.members.get(state="Failed").failure
    assert Run.objects.count() == 2


def test_r80_a_member_is_retried_by_command(wave: Wave, command: Command) -> None:
    command("start_wave", WAVE)
    engine.advance(timezone.now() + timezone.timedelta(minutes=4))
    with pytest.raises(CommandError, match="has not failed"):
        command("retry_wave_member", WAVE, "--user", "anna@contoso.com")
    engine.advance(timezone.now() + timezone.timedelta(minutes=4))
    engine.advance(timezone.now() + timezone.timedelta(minutes=4))
    Run.objects.update(state="Failed", finished_at=timezone.now(), last_error_code="mailbox-unavailable", attempts=9)
    work_all()
    assert command("retry_wave_member", WAVE, "--user", "anna@contoso.com") == "anna@contoso.com is tried again.\n"
    assert Run.objects.filter(user__upn="anna@contoso.com").count() == 2
