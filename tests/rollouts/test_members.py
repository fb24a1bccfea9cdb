"""Who is in a wave: by hand, by its filter when it starts, left out, and taken out (R65, R66)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import Rollout, Wave, WaveMember
from migrations_app.rollouts.defining import close_rollout
from migrations_app.rollouts.members import add_members, exclude, following, freeze, has_somebody, newcomers, take_out
from migrations_app.rollouts.waves import change_wave
from migrations_app.runs.taking_back import members_to_go_back
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

MakeUsers = Callable[..., list[ConferencingUser]]


@pytest.fixture
def rollout(tenant: Tenant) -> Rollout:
    return a_rollout(tenant)


@pytest.fixture
def users(rollout: Rollout, make_users: MakeUsers) -> list[ConferencingUser]:
    made = make_users({name: {} for name in ("anna", "bruno", "carla", "dino")})
    belong_to(rollout.legacy, made)
    return made


def upns(wave: Wave) -> list[str]:
    return [member.user.upn.partition("@")[0] for member in wave.members.select_related("user").order_by("user__upn")]


def test_users_are_added_by_hand_with_a_reason_r65(rollout: Rollout, users: list[ConferencingUser]) -> None:
    wave = a_wave(rollout)
    answer = add_members(wave, [user.pk for user in users[:2]], ACTOR, reason="They asked")
    assert (answer.added, answer.unchanged, answer.refused) == (2, 0, 0)
    answer = add_members(wave, [user.pk for user in users[:3]], ACTOR)
    assert (answer.added, answer.unchanged, answer.refused) == (1, 2, 0)
    assert upns(wave) == ["anna", "bruno", "carla"]
    member = wave.members.get(user=users[0])
    assert (member.source, member.reason, member.added_by) == ("hand", "They asked", "test")
    entry = AuditEntry.objects.filter(action="add wave members").order_by("pk")[0]
    assert entry.after == {"members": 2, "reason": "They asked"}


def test_who_cannot_join_is_told_and_left_out_r61(
    rollout: Rollout, users: list[ConferencingUser], make_users: MakeUsers, tenant: Tenant
) -> None:
    anna, bruno, carla, dino = users
    other = a_rollout(tenant, a_deployment(tenant, name="Pool 2"), rollout.new, name="Second")
    members(a_wave(other), [anna])
    members(a_wave(rollout, 2), [bruno])
    members(a_wave(rollout, 1), [carla], state="Excluded", is_current=False)
    (elsewhere,) = make_users({"elsewhere": {}})
    answer = add_members(a_wave(rollout), [user.pk for user in (anna, bruno, carla, dino, elsewhere)], ACTOR)
    assert (answer.added, answer.refused) == (1, 4)
    assert list(map(str, answer.sentences)) == [
        "anna@contoso.com is in the wave Test users of the rollout Second, which has not ended: a user is in one "
        "rollout at a time.",
        "bruno@contoso.com is in the wave Pilot of this rollout already: take them out there first.",
        "carla@contoso.com was in the wave Test users already, and was excluded or rolled back: choose a later wave.",
        "elsewhere@contoso.com does not belong to Old pool, from where this rollout moves users.",
    ]
    assert add_members(a_wave(rollout, 2), [carla.pk], ACTOR).added == 1, "a later wave takes who was excluded (R87)"


def test_a_member_may_come_from_another_wave_that_has_not_started(
    rollout: Rollout, users: list[ConferencingUser]
) -> None:
    members(a_wave(rollout, 2), users[:2])
    members(a_wave(rollout, 3, state=Wave.State.RUNNING), users[2:3])
    answer = add_members(a_wave(rollout), [user.pk for user in users[:3]], ACTOR, may_leave=True)
    assert (answer.added, answer.refused, dict(answer.came_from)) == (2, 1, {"Pilot": 2})
    assert upns(a_wave(rollout, 2)) == []


def test_nobody_joins_or_leaves_a_wave_that_has_started_r65(rollout: Rollout, users: list[ConferencingUser]) -> None:
    members(a_wave(rollout), users[:1])
    wave = a_wave(rollout, state=Wave.State.OBSERVING)
    with pytest.raises(ValidationError, match="has started"):
        add_members(wave, [users[1].pk], ACTOR)
    with pytest.raises(ValidationError, match="excluded with a reason"):
        take_out(wave, None, ACTOR)
    assert upns(wave) == ["anna"]


def test_members_are_taken_out_until_the_wave_starts_r65(rollout: Rollout, users: list[ConferencingUser]) -> None:
    wave = a_wave(rollout)
    made = members(wave, users)
    assert take_out(wave, [made[0].pk, 10**9], ACTOR) == 1
    assert take_out(wave, None, ACTOR) == 3
    assert take_out(wave, None, ACTOR) == 0
    assert [entry.before for entry in AuditEntry.objects.filter(action="take out wave members").order_by("pk")] == [
        {"members": 1},
        {"members": 3},
    ]


@pytest.mark.parametrize("state", ["Waiting", "Failed"])
def test_a_member_is_excluded_with_a_reason_r65(rollout: Rollout, users: list[ConferencingUser], state: str) -> None:
    wave = a_wave(rollout, state=Wave.State.RUNNING)
    (member,) = members(wave, users[:1], state=state)
    with pytest.raises(ValidationError, match="Say why"):
        exclude(member, ACTOR, reason=" ")
    exclude(member, ACTOR, reason="On leave")
    member.refresh_from_db()
    assert (member.state, member.is_current, member.excluded_by) == ("Excluded", False, "test")
    assert str(member.failure) == "Excluded: On leave"
    assert a_wave(rollout).next_look_at is not None, "the service looks whether the batch has ended"
    assert AuditEntry.objects.get(action="exclude wave member").after["reason"] == "On leave"


@pytest.mark.parametrize("state", ["Moving", "Updating", "Done", "Excluded", "RolledBack"])
def test_who_moves_or_has_moved_is_not_excluded(rollout: Rollout, users: list[ConferencingUser], state: str) -> None:
    (member,) = members(a_wave(rollout, state=Wave.State.RUNNING), users[:1], state=state)
    with pytest.raises(ValidationError, match="not excluded any more"):
        exclude(member, ACTOR, reason="On leave")


def test_whose_run_failed_after_the_move_is_not_excluded_r65(rollout: Rollout, users: list[ConferencingUser]) -> None:
    wave = a_wave(rollout, state=Wave.State.STOPPED)
    (member,) = members(wave, users[:1], state="Failed", moved_at=timezone.now())
    with pytest.raises(ValidationError, match="roll it back instead"):
        exclude(member, ACTOR, reason="On leave")
    assert members_to_go_back(wave).get() == member, "who was excluded could not go back any more"


def test_nobody_leaves_a_rollout_that_has_ended(rollout: Rollout, users: list[ConferencingUser]) -> None:
    made = members(a_wave(rollout), users)
    close_rollout(rollout, ACTOR, reason="Not now")
    with pytest.raises(ValidationError, match="ended on"):
        take_out(a_wave(rollout), None, ACTOR)
    with pytest.raises(ValidationError, match="ended on"):
        exclude(made[0], ACTOR, reason="On leave")
    assert a_wave(rollout).members.count() == len(users)


def test_before_the_start_a_member_is_taken_out_instead(rollout: Rollout, users: list[ConferencingUser]) -> None:
    (member,) = members(a_wave(rollout), users[:1])
    with pytest.raises(ValidationError, match="take the member out instead"):
        exclude(member, ACTOR, reason="On leave")


def freeze_all(wave: Wave, limit: int) -> int:
    steps, key = 0, 0
    while key is not None:
        key = freeze(wave, key, limit)  # type: ignore[assignment]
        steps += 1
    return steps


def test_the_filter_is_asked_when_the_wave_starts_r66(
    rollout: Rollout, users: list[ConferencingUser], make_users: MakeUsers
) -> None:
    change_wave(a_wave(rollout, 2), ACTOR, saved_query="q=a")
    wave = a_wave(rollout, 2)
    members(a_wave(rollout, 1), users[:1])  # anna, who matches too
    members(wave, users[1:2])  # bruno, by hand, who does not
    assert has_somebody(wave)
    make_users({"ada": {}})  # of no deployment
    assert freeze_all(wave, 1) == 2
    assert upns(wave) == ["bruno", "carla"]
    assert wave.members.get(user=users[2]).source == WaveMember.Source.FILTER
    freeze(wave, 0, 100)
    assert wave.members.count() == 2, "a step that is repeated adds nobody twice"


def test_whoever_is_left_joins_the_last_wave_r64(rollout: Rollout, users: list[ConferencingUser]) -> None:
    members(a_wave(rollout, 1), users[:1], state="Done")
    members(a_wave(rollout, 2), users[1:2], state="Excluded", is_current=False)
    wave = a_wave(rollout, 3)
    assert freeze_all(wave, 2) == 2
    assert upns(wave) == ["bruno", "carla", "dino"]
    assert {member.source for member in wave.members.all()} == {WaveMember.Source.REST}


def test_a_wave_of_nobody_has_nobody(rollout: Rollout, users: list[ConferencingUser]) -> None:
    assert not has_somebody(a_wave(rollout, 1))
    assert has_somebody(a_wave(rollout, 3))
    assert freeze(a_wave(rollout, 1), 0, 10) is None


def test_newcomers_match_later_and_join_a_following_wave_r66(
    rollout: Rollout, users: list[ConferencingUser], make_users: MakeUsers
) -> None:
    wave = a_wave(rollout, 1, saved_query="q=a")
    freeze_all(wave, 10)
    assert not newcomers(wave).exists(), "before the start nobody is late"
    wave = a_wave(rollout, 1, state=Wave.State.RUNNING)
    assert not newcomers(wave).exists()
    late = make_users({"ada": {}, "bob": {}})
    belong_to(rollout.legacy, late)
    assert [user.upn for user in newcomers(wave)] == ["ada@contoso.com"]
    assert upns(wave) == ["anna", "carla"], "what was frozen stays"
    (pilot, everyone) = following(wave)
    assert (pilot.name, everyone.name) == ("Pilot", "Everyone")
    add_members(pilot, newcomers(wave).values_list("pk", flat=True), ACTOR)
    assert not newcomers(wave).exists()


def test_a_filter_whose_bridge_is_gone_takes_in_nobody(rollout: Rollout, users: list[ConferencingUser]) -> None:
    wave = a_wave(rollout, 1, saved_query="bridge=123456")
    for ask in (lambda: freeze(wave, 0, 10), lambda: has_somebody(wave)):
        with pytest.raises(ValidationError, match="not there any more"):
            ask()
    assert not newcomers(a_wave(rollout, 1, state=Wave.State.RUNNING)).exists()


def test_many_users_take_as_many_statements_as_few_r65(rollout: Rollout, make_users: MakeUsers) -> None:
    asked = []
    for wave, amount in ((a_wave(rollout, 1), 2), (a_wave(rollout, 2), 200)):
        users = make_users({f"u{amount}-{number}": {} for number in range(amount)})
        belong_to(rollout.legacy, users)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            add_members(wave, [user.pk for user in users], ACTOR)
        asked.append(len(queries))
    assert asked[0] == asked[1]
