"""What an admin defines: a rollout, its thresholds and its waves (R61, R64)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.models import Rollout, RolloutEvent, Wave, WaveMember
from migrations_app.rollouts.defining import change_rollout, close_rollout, new_rollout
from migrations_app.rollouts.waves import add_wave, change_wave, put_wave, remove_wave, split_wave
from tenants_app.changes.tenants import create_tenant
from tenants_app.models import AuditEntry, ConferencingUser, Deployment, Tenant
from tests.support.actors import ACTOR
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members


@pytest.fixture
def rollout(tenant: Tenant) -> Rollout:
    return a_rollout(tenant)


def refused(call: Callable[..., Any], *args: Any, **values: Any) -> str:
    with pytest.raises(ValidationError) as error:
        call(*args, **values)
    return " ".join(error.value.messages)


def names(rollout: Rollout) -> list[str]:
    return list(rollout.waves.order_by("position").values_list("name", flat=True))


def test_a_new_rollout_proposes_three_waves_r64(rollout: Rollout) -> None:
    assert [(wave.name, wave.observe_days, wave.takes_rest) for wave in rollout.waves.all()] == [
        ("Test users", 1, False),
        ("Pilot", 7, False),
        ("Everyone", 0, True),
    ]
    assert rollout.checks.filter(wave__position=1).exists()
    assert rollout.events.get().kind == RolloutEvent.Kind.CREATED
    assert AuditEntry.objects.filter(action="create rollout", target=rollout.name).exists()


def test_a_rollout_joins_a_legacy_and_a_new_deployment_of_its_tenant_r61(tenant: Tenant) -> None:
    legacy, new = a_deployment(tenant), a_deployment(tenant, "new")
    other = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    theirs = a_deployment(other, "new")
    retired = a_deployment(tenant, "new", name="Gone", retired_at=timezone.now(), retired_by="anna")
    told = [
        refused(new_rollout, tenant, ACTOR, name="R", legacy=new, new=new),
        refused(new_rollout, tenant, ACTOR, name="R", legacy=legacy, new=legacy),
        refused(new_rollout, tenant, ACTOR, name="R", legacy=legacy, new=theirs),
        refused(new_rollout, tenant, ACTOR, name="R", legacy=legacy, new=retired),
    ]
    assert "is not a legacy deployment" in told[0]
    assert "is not a new deployment" in told[1]
    assert told[2] == "Contoso has no such deployment: choose one of its own."
    assert told[3].startswith("Gone has been retired on")
    assert not Rollout.objects.exists()


def test_a_name_is_given_once_in_a_tenant(rollout: Rollout) -> None:
    again = {"name": " TO THE NEW SERVICE ", "legacy": rollout.legacy, "new": rollout.new}
    told = refused(new_rollout, rollout.tenant, ACTOR, **again)
    assert told == "There is already a rollout TO THE NEW SERVICE: choose another name."


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"max_failed_percent": 101}, "100"),
        ({"max_failed_percent": -1}, "0"),
        ({"min_finished": 0}, "1"),
        ({"max_failed_in_a_row": 0}, "1"),
        ({"batches": "0"}, "“0” is no batch size"),
        ({"batches": "1, ,10"}, "“” is no batch size"),
        ({"batches": "1, x"}, "“x” is no batch size"),
        ({"batches": "1, -5"}, "“-5” is no batch size"),
        ({"batches": "100001"}, "“100001” is no batch size"),
        ({"batches": "9" * 5000}, "is no batch size"),
        ({"batches": ",".join(["1"] * 21)}, "at most 20 batch sizes"),
        ({"name": ""}, "Fill this in"),
        ({"name": "a\nb"}, "line"),
    ],
)
def test_thresholds_and_batches_that_cannot_be_are_refused_r78(
    rollout: Rollout, values: dict[str, Any], told: str
) -> None:
    assert told in refused(change_rollout, rollout, ACTOR, **values)
    assert Rollout.objects.get() == rollout
    assert Rollout.objects.get().max_failed_percent == 5


@pytest.mark.parametrize(
    ("given", "kept"), [("1, 10", [1, 10]), ("", []), (" 5 ", [5]), ([1, 100], [1, 100]), ("007", [7])]
)
def test_batches_are_kept_as_numbers_r77(rollout: Rollout, given: Any, kept: list[int]) -> None:
    change_rollout(rollout, ACTOR, batches=given)
    assert Rollout.objects.get().batches == kept


@pytest.mark.parametrize("percent", [0, 100])
def test_nought_and_a_hundred_percent_are_thresholds_r78(rollout: Rollout, percent: int) -> None:
    change_rollout(rollout, ACTOR, max_failed_percent=percent)
    assert Rollout.objects.get().max_failed_percent == percent
    entry = AuditEntry.objects.get(action="change rollout")
    assert (entry.before, entry.after) == ({"max_failed_percent": 5}, {"max_failed_percent": percent})


def test_what_changes_nothing_leaves_no_entry(rollout: Rollout) -> None:
    change_rollout(rollout, ACTOR, max_failed_percent=5, name=rollout.name)
    change_wave(a_wave(rollout), ACTOR, name="Test users")
    assert not AuditEntry.objects.filter(action__startswith="change").exists()


def test_an_added_wave_comes_before_the_one_that_takes_the_rest_r64(rollout: Rollout) -> None:
    wave = add_wave(rollout, ACTOR, name="Sales", observe_days=2)
    assert names(rollout) == ["Test users", "Pilot", "Sales", "Everyone"]
    assert wave.checks.exists(), "its gate has the checklist of its purpose (R74)"


@pytest.mark.parametrize(
    ("given", "days"),
    [({"purpose": "test"}, 1), ({"purpose": "pilot"}, 7), ({}, 0), ({"purpose": "pilot", "observe_days": 0}, 0)],
)
def test_an_added_wave_has_the_pilot_period_of_its_purpose_r81(
    tenant: Tenant, given: dict[str, Any], days: int
) -> None:
    assert add_wave(a_rollout(tenant), ACTOR, name="Sales", **given).observe_days == days


def test_waves_have_names_of_their_own(rollout: Rollout) -> None:
    assert "already a wave pilot" in refused(add_wave, rollout, ACTOR, name="pilot")
    assert "already a wave PILOT" in refused(change_wave, a_wave(rollout), ACTOR, name="PILOT")


def test_waves_are_put_into_another_order_r64(rollout: Rollout) -> None:
    put_wave(a_wave(rollout, 2), 1, ACTOR)
    assert names(rollout) == ["Pilot", "Test users", "Everyone"]
    assert list(rollout.waves.order_by("position").values_list("position", flat=True)) == [1, 2, 3]
    assert "places 1 to 3" in refused(put_wave, a_wave(rollout, 1), 4, ACTOR)
    assert "so it is the last wave" in refused(put_wave, a_wave(rollout, 3), 1, ACTOR)


def test_no_wave_is_put_before_one_that_has_started_r64(rollout: Rollout) -> None:
    a_wave(rollout, 1, state=Wave.State.COMPLETED)
    told = refused(put_wave, a_wave(rollout, 2), 1, ACTOR)
    assert told == "The wave Test users has started, so Pilot comes behind it."
    assert names(rollout) == ["Test users", "Pilot", "Everyone"]


def test_a_wave_that_has_started_stays_as_it_is_r64(rollout: Rollout) -> None:
    wave = a_wave(rollout, 1, state=Wave.State.PAUSED)
    for told in (
        refused(change_wave, wave, ACTOR, name="Others"),
        refused(put_wave, wave, 2, ACTOR),
        refused(split_wave, wave, ACTOR, name="Half", keep=1),
        refused(remove_wave, wave, ACTOR),
    ):
        assert told == "The wave Test users has started, so it is not changed any more."


def test_only_one_wave_takes_whoever_is_left_r64(rollout: Rollout) -> None:
    assert "the only one that does" in refused(change_wave, a_wave(rollout, 2), ACTOR, takes_rest=True)
    change_wave(a_wave(rollout, 3), ACTOR, takes_rest=False)
    change_wave(a_wave(rollout, 3), ACTOR, takes_rest=True)
    assert a_wave(rollout, 3).takes_rest


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"window_from": "20:00"}, "give both, or neither"),
        ({"window_from": "20:00", "window_to": "20:00"}, "ends at another time"),
        ({"time_zone": "Europe/Atlantis"}, "no time zone Europe/Atlantis"),
        ({"observe_days": 366}, "at most 365 days"),
        ({"saved_query": "?bridge=99999"}, "not there any more (bridge)"),
        ({"saved_query": "state=Sleeping"}, "not there any more (state)"),
        ({"saved_query": "sort=upn"}, "asks for nothing"),
        ({"batches": "0"}, "no batch size"),
    ],
)
def test_settings_of_a_wave_that_cannot_be_are_refused(rollout: Rollout, values: dict[str, Any], told: str) -> None:
    assert told in refused(change_wave, a_wave(rollout, 2), ACTOR, **values)


def test_a_filter_is_given_as_the_address_of_the_list_r65(rollout: Rollout) -> None:
    address = "https://mms.contoso.com/contoso/users/?q=rossi&sort=-upn&left=#top"
    assert change_wave(a_wave(rollout, 2), ACTOR, saved_query=address).saved_query == "q=rossi"


def test_a_wave_is_split_between_its_members_r64(
    rollout: Rollout, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    users = make_users({"a": {}, "b": {}, "c": {}})
    belong_to(rollout.legacy, users)
    pilot = a_wave(rollout, 2, saved_query="q=x")
    members(pilot, users)
    other = split_wave(pilot, ACTOR, name="Second half", keep=1)
    assert names(rollout) == ["Test users", "Pilot", "Second half", "Everyone"]
    assert [[member.user.upn[0] for member in wave.members.order_by("pk")] for wave in rollout.waves.all()] == [
        [],
        ["a"],
        ["b", "c"],
        [],
    ]
    assert (other.observe_days, other.saved_query, a_wave(rollout, 2).saved_query) == (7, "q=x", "")
    assert other.checks.count() == a_wave(rollout, 2).checks.count() > 0


def test_a_wave_with_members_is_not_removed_r64(
    rollout: Rollout, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    members(a_wave(rollout, 2), make_users({"a": {}}))
    assert "has members (1)" in refused(remove_wave, a_wave(rollout, 2), ACTOR)
    remove_wave(a_wave(rollout, 1), ACTOR)
    assert [(wave.position, wave.name) for wave in rollout.waves.all()] == [(1, "Pilot"), (2, "Everyone")]


def test_a_rollout_is_ended_with_a_reason_and_its_users_are_free_r61(
    rollout: Rollout, make_users: Callable[..., list[ConferencingUser]]
) -> None:
    members(a_wave(rollout, 2), make_users({"a": {}}))
    assert "Say why" in refused(close_rollout, rollout, ACTOR, reason=" ")
    a_wave(rollout, 1, state=Wave.State.RUNNING)
    assert "has started and not ended" in refused(close_rollout, rollout, ACTOR, reason="Not now")
    a_wave(rollout, 1, state=Wave.State.COMPLETED)
    close_rollout(rollout, ACTOR, reason="Not now")
    assert not WaveMember.objects.filter(is_current=True).exists()
    for told in (
        refused(change_rollout, rollout, ACTOR, name="Again"),
        refused(add_wave, rollout, ACTOR, name="More"),
        refused(change_wave, a_wave(rollout, 2), ACTOR, name="Again"),
    ):
        assert "nothing is changed of it any more" in told
    assert Deployment.objects.count() == 2
