"""Who meets whom: meetings to come that join members with people who stay behind (R67)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.demo.meetings import Attendee
from migrations_app.models import IndexedMeeting, Rollout, Wave
from migrations_app.rollouts import company
from migrations_app.rollouts.company import look_around
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import create_users
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.only_reads import only_reads
from tests.support.rollouts import a_rollout, a_wave, belong_to, members

MakeUsers = Callable[..., list[ConferencingUser]]


@pytest.fixture
def rollout(tenant: Tenant) -> Rollout:
    return a_rollout(tenant)


@pytest.fixture
def users(rollout: Rollout, make_users: MakeUsers) -> list[ConferencingUser]:
    made = make_users({name: {} for name in ("anna", "bruno", "carla", "dino", "eva")})
    belong_to(rollout.legacy, made)
    return made


def index(uid: str, *users: ConferencingUser, organizer: str = "", ends_in: int = 5, **values: object) -> None:
    """The meeting as it stands in the calendars of these users, outside."""
    end = timezone.now() + timedelta(days=ends_in)
    IndexedMeeting.objects.bulk_create(
        IndexedMeeting(user=user, uid=uid, href=f"/{user.pk}/{uid}", organizer=organizer, last_end=end, **values)
        for user in users
    )


def ranked(wave: Wave) -> list[tuple[str, int]]:
    return [(each.user.upn.partition("@")[0], each.meetings) for each in look_around(wave).outsiders]


def test_people_who_share_meetings_with_members_are_ranked_r67(rollout: Rollout, users: list[ConferencingUser]) -> None:
    anna, bruno, carla, dino, eva = users
    wave = a_wave(rollout)
    members(wave, [anna, bruno])
    index("all", anna, bruno, carla, dino, organizer=anna.upn)
    index("two", bruno, carla, organizer=carla.upn)
    index("organized outside of what MMS reads", anna, organizer=eva.upn)
    index("inside", anna, bruno, organizer=bruno.upn)
    index("over", anna, dino, organizer=anna.upn, ends_in=-1)
    index("cancelled", anna, dino, organizer=anna.upn, cancelled=True)
    index("without members", carla, dino, eva, organizer=eva.upn)
    with only_reads():
        found = look_around(wave)
    assert [(each.user, each.meetings) for each in found.outsiders] == [(carla, 2), (dino, 1), (eva, 1)]
    assert (found.members, found.members_seen, found.meetings, found.joining, found.people) == (2, 2, 4, 3, 3)
    assert not found.is_cut


def test_attendees_of_calendars_that_mms_keeps_are_read_r67(rollout: Rollout, users: list[ConferencingUser]) -> None:
    anna, _, _carla, *_ = users
    wave = a_wave(rollout)
    members(wave, [anna])
    invited = (Attendee("CARLA@contoso.com", "Carla"), Attendee("x@fabrikam.com", "X"))
    invite(anna, 0, attendees=invited)
    invite(anna, 1, attendees=invited[1:])
    assert ranked(wave) == [("carla", 1)]


def test_who_moves_before_or_has_moved_does_not_stay_behind_r67(
    rollout: Rollout, users: list[ConferencingUser]
) -> None:
    anna, bruno, carla, dino, eva = users
    members(a_wave(rollout, 1), [bruno])
    members(a_wave(rollout, 3), [dino])
    wave = a_wave(rollout, 2)
    members(wave, [anna])
    belong_to(rollout.new, [carla])
    index("all", anna, bruno, carla, dino, eva, organizer=anna.upn)
    found = look_around(wave)
    assert [(each.user, each.wave_name, each.may_join) for each in found.outsiders] == [
        (dino, "Everyone", True),
        (eva, "", True),
    ]


def test_who_would_join_by_the_filter_counts_as_a_member_r67(rollout: Rollout, users: list[ConferencingUser]) -> None:
    anna, bruno, *_ = users
    index("both", anna, bruno, organizer=anna.upn)
    assert ranked(a_wave(rollout, 1, saved_query="q=anna")) == [("bruno", 1)]
    assert ranked(a_wave(rollout, 1, saved_query="q=contoso")) == []


def test_a_meeting_that_stands_in_calendars_of_another_tenant_names_nobody_there_r67(
    rollout: Rollout, users: list[ConferencingUser], make_users: MakeUsers
) -> None:
    other = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    (theirs,) = create_users(other, [{"upn": "anna@fabrikam.com"}], ACTOR)
    wave = a_wave(rollout)
    members(wave, users[:1])
    index("joint", users[0], users[1], theirs, organizer=theirs.upn)
    assert ranked(wave) == [("bruno", 1)]


def test_the_twenty_with_the_most_are_shown_and_the_work_is_bounded_r67(
    rollout: Rollout, users: list[ConferencingUser], make_users: MakeUsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = users[0]
    others = make_users({f"o{number:02}": {} for number in range(25)})
    belong_to(rollout.legacy, others)
    wave = a_wave(rollout)
    members(wave, [anna])
    for number, other in enumerate(others):
        for each in range(number + 1):
            index(f"{number}-{each}", anna, other, organizer=anna.upn)
    found = look_around(wave)
    assert (len(found.outsiders), found.people, found.most) == (20, 25, 25)
    assert found.outsiders[0].user.upn == "o24@contoso.com"
    monkeypatch.setattr(company, "MOST_MEETINGS", 10)
    cut = look_around(wave)
    assert (cut.meetings, cut.is_cut) == (10, True)
    monkeypatch.undo()
    monkeypatch.setattr(company, "MOST_COPIES", 10)
    assert look_around(wave).is_cut


def test_a_look_asks_as_much_for_many_meetings_as_for_few_r67(rollout: Rollout, users: list[ConferencingUser]) -> None:
    wave = a_wave(rollout)
    members(wave, users[:1])
    asked = []
    for number in (1, 200):
        for each in range(number):
            index(f"{number}-{each}", *users, organizer=users[1].upn)
        with CaptureQueriesContext(connection) as queries:
            look_around(wave)
        asked.append(len(queries))
    assert asked[0] == asked[1]
