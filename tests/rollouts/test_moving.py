"""Moving users to another deployment: what it sets, what it starts, and what it is refused for (R62)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from migrations_app.meeting_services.of_user import service_of
from migrations_app.models import MeetingResult, Run
from migrations_app.runs.starts import decide_starts
from migrations_app.runs.undo_start import start_undo
from migrations_app.tasks import work_queue
from migrations_app.triggers.rules import why_not_served
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.deployments import change_deployment, foresee_moves, move_users, retire_deployment
from tenants_app.changes.moves import MoveMapping
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Deployment, Tenant
from tenants_app.signals import Consequence
from tenants_app.user_settings import UserSettings
from tests.support.actors import ACTOR
from tests.support.meetings import body_of, invite, migrate
from tests.support.rollouts import a_deployment, belong_to

MakeUser = Callable[..., ConferencingUser]
STAY = "No run, because the invitations stay as they are."


@pytest.fixture
def pool_a(tenant: Tenant, old_bridge: Bridge, anna: ConferencingUser) -> Deployment:
    """A pool on-premises with Anna and the old bridge."""
    pool = a_deployment(tenant, name="Pool A")
    belong_to(pool, [anna], old_bridge)
    old_bridge.refresh_from_db()
    anna.refresh_from_db()
    return pool


@pytest.fixture
def pool_b(tenant: Tenant) -> Deployment:
    """Another one, to which users move; no bridge belongs to it."""
    return a_deployment(tenant, "new", name="Pool B", kind="on-premises")


@pytest.fixture
def cloud(tenant: Tenant, new_bridge: Bridge) -> Deployment:
    """A deployment online with the new bridge."""
    made = a_deployment(tenant, "new", name="Cloud")
    belong_to(made, [], new_bridge)
    return made


def with_new_bridge(deployment: Deployment, bridge: Bridge) -> Deployment:
    belong_to(deployment, [], bridge)
    return deployment


def moved(user: ConferencingUser, to: Deployment, **mapping: Any) -> Consequence:
    (told,) = move_users(user.tenant, [user.pk], to, ACTOR, mapping=MoveMapping(**mapping))
    user.refresh_from_db()
    return told


def rules_of(user: ConferencingUser) -> list[list[str]]:
    """The rules of each run of the user."""
    return [[reason["rule"] for reason in run.reasons] for run in Run.objects.filter(user=user).order_by("pk")]


# --- what it sets --------------------------------------------------------------------------------------


def test_r62_one_change_sets_deployment_hosting_bridge_and_numbers(
    anna: ConferencingUser, pool_a: Deployment, cloud: Deployment, new_bridge: Bridge
) -> None:
    told = moved(anna, cloud)
    entry = AuditEntry.objects.latest("pk")

    assert (anna.deployment, anna.hosting, anna.bridge) == (cloud, "online", new_bridge)
    assert told.chosen.startswith("The user comes to the bridge New bridge. The user is hosted online there.")
    assert entry.action == "change user"
    assert entry.before["deployment"] == "Pool A"
    assert entry.after.items() >= {"deployment": "Cloud", "hosting": "online", "bridge": "New bridge"}.items()
    assert AuditEntry.objects.filter(action="change user", target=anna.upn).count() == 1
    assert len(rules_of(anna)) == 1


def test_r62_what_was_foreseen_is_what_happens(anna: ConferencingUser, pool_a: Deployment, cloud: Deployment) -> None:
    ((foreseen,),) = foresee_moves(anna.tenant, [anna.pk], cloud)
    before = AuditEntry.objects.count()
    told = moved(anna, cloud)

    assert AuditEntry.objects.count() == before + 1
    assert (foreseen.consequence.sentence, foreseen.consequence.starts_run) == (told.sentence, told.starts_run)
    assert (foreseen.change.user.bridge, foreseen.change.user.hosting) == (anna.bridge, anna.hosting)
    assert foreseen.change.user.settings_fingerprint == anna.settings_fingerprint


THIRD = {"default_bridge": "Third bridge"}


def second_bridge(tenant: Tenant, deployment: Deployment) -> Bridge:
    bridge = set_bridge(tenant, "Third bridge", ACTOR, deployment=deployment)
    register_number(bridge, "+390212345670", "toll", ACTOR, country="Italy")
    register_number(bridge, "+390212345671", "toll", ACTOR, country="Italy")
    return bridge


@pytest.mark.parametrize(
    ("mapping", "bridge", "toll"),
    [
        ({}, "New bridge", None),
        ({"bridges": {"Old bridge": "Third bridge"}}, "Third bridge", None),
        ({"default_bridge": "Third bridge"}, "Third bridge", None),
        ({"bridges": {"Old bridge": "New bridge"}, "default_bridge": "Third bridge"}, "New bridge", None),
        (
            {"default_bridge": "Third bridge", "numbers": {"+14255550100": "+390212345671"}},
            "Third bridge",
            "+390212345671",
        ),
        ({"default_bridge": "Third bridge", "numbers": {"+14255550100": "+390212345670"}}, "Third bridge", None),
        ({"default_bridge": "Third bridge", "default_toll_number": "+390212345671"}, "Third bridge", "+390212345671"),
        ({"default_toll_number": "+390212345671"}, "New bridge", None),
    ],
)
def test_r61_the_mapping_says_which_bridge_and_number(
    anna: ConferencingUser,
    pool_a: Deployment,
    cloud: Deployment,
    mapping: Mapping[str, Any],
    bridge: str,
    toll: str | None,
) -> None:
    second_bridge(anna.tenant, cloud)
    keys = dict(Bridge.objects.values_list("name", "pk"))
    given = dict(mapping)
    if "bridges" in given:
        given["bridges"] = {keys[old]: keys[new] for old, new in given["bridges"].items()}
    if "default_bridge" in given:
        given["default_bridge"] = keys[given["default_bridge"]]
    wanted = MoveMapping(**given)
    move_users(anna.tenant, [anna.pk], cloud, ACTOR, mapping=MoveMapping.of(wanted.stored))
    anna.refresh_from_db()

    assert anna.bridge is not None
    assert anna.bridge.name == bridge
    assert (anna.toll_number and anna.toll_number.number) == toll


def test_r62_a_bridge_that_belongs_to_no_deployment_stays(
    make_user: MakeUser, tenant: Tenant, old_bridge: Bridge, cloud: Deployment
) -> None:
    user = make_user("bruno", hosting="on-premises")
    belong_to(a_deployment(tenant), [user])
    moved(user, cloud)

    assert (user.bridge, user.deployment) == (old_bridge, cloud)


def test_r84_the_mapping_reversed_leads_back(
    anna: ConferencingUser, pool_a: Deployment, cloud: Deployment, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    mapping = MoveMapping(bridges={old_bridge.pk: new_bridge.pk}, numbers={"+14255550100": "+442079460123"})
    moved(anna, cloud, bridges=mapping.bridges, numbers=mapping.numbers)
    Run.objects.all().delete()
    (told,) = move_users(anna.tenant, [anna.pk], pool_a, ACTOR, mapping=mapping.reversed())
    anna.refresh_from_db()

    assert (anna.deployment, anna.hosting, anna.bridge, anna.toll_number) == (pool_a, "on-premises", old_bridge, None)
    assert "MMS does not migrate meetings from online to on-premises" in told.sentence  # R17
    assert not Run.objects.exists()


def test_moving_many_asks_the_database_as_often_as_moving_few(
    make_users: Callable[..., list[ConferencingUser]], tenant: Tenant, old_bridge: Bridge, cloud: Deployment
) -> None:
    counts = []
    pool = a_deployment(tenant)
    belong_to(pool, [], old_bridge)
    for number in (2, 40):
        users = make_users({f"user{number}.{each}": {"hosting": "on-premises"} for each in range(number)})
        belong_to(pool, users)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            told = move_users(tenant, [user.pk for user in users], cloud, ACTOR)
        assert sum(each.starts_run for each in told) == number
        counts.append(len(asked))

    assert counts[0] == counts[1]


# --- what it starts ------------------------------------------------------------------------------------


def test_r62_from_pool_to_pool_the_invitations_stay_and_no_run_starts(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment
) -> None:
    told = moved(anna, pool_b)

    assert (told.sentence, told.starts_run) == (STAY, False)
    assert (anna.deployment, anna.hosting) == (pool_b, "on-premises")
    assert not Run.objects.exists()
    assert not anna.is_out_of_date


def test_r62_from_pool_to_pool_other_numbers_start_a_run_for_a_user_hosted_on_premises(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment, new_bridge: Bridge, wakes: object
) -> None:
    uid, before = invite(anna, 1)
    with_new_bridge(pool_b, new_bridge)
    told = moved(anna, pool_b)
    assert told.sentence == "Run, because the user moved to the deployment Pool B."
    assert rules_of(anna) == [["R62"]], "the bridge and the numbers that come along are no reasons of their own"
    assert why_not_served(UserSettings.of(anna)) is None
    work_queue()

    (run,) = Run.objects.all()
    assert (run.state, run.migration_type) == ("Succeeded", "ToSameType")
    (result,) = run.results.all()
    assert result.outcome == MeetingResult.Outcome.SUCCEEDED
    assert result.join_url_before == result.join_url_after, "a link that works is never taken away"
    assert body_of(anna, uid) != before
    assert b"+44 20 7946 0123" in body_of(anna, uid)
    anna.refresh_from_db()
    assert not anna.is_out_of_date


def test_r62_without_a_phone_part_another_bridge_changes_no_invitation(
    make_user: MakeUser, tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge, pool_b: Deployment
) -> None:
    user = make_user("bruno", audio_conferencing_license=False, hosting="on-premises")
    belong_to(a_deployment(tenant), [user], old_bridge)
    told = moved(user, with_new_bridge(pool_b, new_bridge))

    assert (told.sentence, user.bridge) == (STAY, new_bridge)
    assert not Run.objects.exists()


def test_r1_a_move_from_on_premises_to_online_is_one_run_to_the_service_of_the_deployment(
    anna: ConferencingUser, pool_a: Deployment, cloud: Deployment
) -> None:
    change_tenant(anna.tenant, ACTOR, meeting_service="none")
    change_deployment(cloud, ACTOR, meeting_service="link", meeting_url="https://rooms.contoso.com")
    told = moved(anna, cloud)
    (run,) = Run.objects.all()

    assert rules_of(anna) == [["R1", "R62"]]
    assert run.targets == {"SkypeForBusiness": "Link", "Teams": "Current", "Link": "Current"}
    assert told.sentence.startswith(
        "Run, because the user moved from on-premises to online and the user moved to the deployment Cloud: "
    )


@pytest.mark.parametrize(
    ("legacy", "new", "targets"),
    [
        ({}, {}, None),
        ({}, {"meeting_service": "none"}, None),
        ({}, {"meeting_service": "link"}, {"SkypeForBusiness": "Link", "Teams": "Current", "Link": "Current"}),
        (
            {"meeting_service": "link"},
            {"meeting_service": "link"},
            {"SkypeForBusiness": "Link", "Teams": "Current", "Link": "Current"},
        ),
        ({"meeting_service": "link"}, {}, None),
        ({"kind": "online"}, {"kind": "online", "meeting_service": "link"}, None),
        ({"kind": "online", "meeting_service": "link"}, {"kind": "online"}, None),
        (
            {"kind": "online", "meeting_service": "teams"},
            {"kind": "online", "meeting_service": "link"},
            {"SkypeForBusiness": "Current", "Teams": "Link", "Link": "Current"},
        ),
    ],
)
def test_r62_another_meeting_service_of_the_new_deployment_is_the_target(
    anna: ConferencingUser,
    legacy: Mapping[str, Any],
    new: Mapping[str, Any],
    targets: Mapping[str, str] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tenant, "reaches_teams", True)
    old = a_deployment(anna.tenant, **legacy)
    belong_to(old, [anna])
    anna.refresh_from_db()
    told = moved(anna, a_deployment(anna.tenant, "new", **{"kind": "on-premises", **new}))

    assert told.starts_run is (targets is not None)
    assert [run.targets for run in Run.objects.all()] == ([targets] if targets else [])
    if targets is None:
        assert told.sentence == STAY


def test_r15_whose_mailbox_cannot_be_reached_is_moved_without_a_run(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment, new_bridge: Bridge
) -> None:
    change_user(anna, ACTOR, mailbox_location="on-premises")
    told = moved(anna, with_new_bridge(pool_b, new_bridge))

    assert told.sentence.startswith("No run, because the mailbox is on Exchange on-premises: connect that Exchange")
    assert anna.deployment == pool_b
    assert anna.is_out_of_date


def test_r16_who_is_on_a_third_party_is_moved_without_a_run(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment, new_bridge: Bridge
) -> None:
    change_user(anna, ACTOR, conferencing_provider="Intercall")
    change_deployment(pool_b, ACTOR, meeting_service="link")
    told = moved(anna, with_new_bridge(pool_b, new_bridge))

    assert told.sentence.startswith("No run, because Intercall provides the user's conferencing")
    assert anna.deployment == pool_b


def test_r17_back_to_a_legacy_pool_no_run_starts(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment, new_bridge: Bridge
) -> None:
    moved(anna, with_new_bridge(pool_b, new_bridge))
    Run.objects.all().delete()
    told = moved(anna, pool_a)

    assert told.sentence.startswith("No run, because the user is hosted on-premises")
    assert not Run.objects.exists()
    assert why_not_served(UserSettings.of(anna)) is not None


@pytest.mark.parametrize(
    ("switch", "runs"), [("meeting_migration_enabled", 0), ("automatically_migrate_user_meetings", 1)]
)
def test_r12_and_r13_hold_back_what_they_say(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment, new_bridge: Bridge, switch: str, runs: int
) -> None:
    change_tenant(anna.tenant, ACTOR, **{switch: False})
    anna.tenant.refresh_from_db()
    moved(anna, with_new_bridge(pool_b, new_bridge))

    assert Run.objects.count() == runs
    assert anna.is_out_of_date


def test_r18_moving_and_licensing_in_either_order_are_one_run(
    make_user: MakeUser, tenant: Tenant, old_bridge: Bridge, cloud: Deployment
) -> None:
    pool = a_deployment(tenant)
    users = [
        make_user(name, audio_conferencing_license=False, audio_conferencing_enabled=False, hosting="on-premises")
        for name in ("bruno", "clara")
    ]
    belong_to(pool, users, old_bridge)
    licence = {"audio_conferencing_license": True, "audio_conferencing_enabled": True}
    moved(users[0], cloud)
    change_user(users[0], ACTOR, **licence)
    change_user(users[1], ACTOR, **licence)
    users[1].refresh_from_db()
    moved(users[1], cloud)

    assert [Run.objects.filter(user=user).count() for user in users] == [1, 1]


def test_r87_a_move_brings_meetings_up_to_date_again_that_an_undo_has_put_back(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment, new_bridge: Bridge, wakes: object
) -> None:
    invite(anna, 1)
    moved(anna, with_new_bridge(pool_b, new_bridge))
    work_queue()
    (run,) = Run.objects.all()
    moved(anna, pool_a)
    start_undo(run, ACTOR, now_due=True)
    work_queue()
    anna.refresh_from_db()
    assert anna.undo_holds
    told = moved(anna, pool_b)

    assert told.starts_run
    assert Run.objects.filter(user=anna).order_by("-pk")[0].reasons[0]["rule"] == "R62"


def test_a_member_of_a_new_deployment_on_premises_can_be_started_again_by_hand(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment
) -> None:
    (start,) = decide_starts(anna.tenant, [anna], ACTOR)
    assert "hosted on-premises" in start.decision.sentence
    moved(anna, pool_b)
    anna.refresh_from_db()
    (start,) = decide_starts(anna.tenant, [anna], ACTOR)

    assert start.decision.starts_run


def test_joining_a_first_deployment_changes_nothing_that_invitations_say(
    anna: ConferencingUser, tenant: Tenant, old_bridge: Bridge
) -> None:
    told = moved(anna, a_deployment(tenant, kind="online"))

    assert (told.sentence, anna.bridge, anna.is_out_of_date) == (STAY, old_bridge, False)
    (left,) = change_user(anna, ACTOR, deployment=None)
    assert left.sentence == "No run, because nothing changed that the invitations show."


# --- what it is refused for ----------------------------------------------------------------------------


def refusal(user: ConferencingUser, to: Deployment, **mapping: Any) -> str:
    before = AuditEntry.objects.count()
    with pytest.raises(ValidationError) as refused:
        move_users(user.tenant, [user.pk], to, ACTOR, mapping=MoveMapping(**mapping))
    with pytest.raises(ValidationError):
        list(foresee_moves(user.tenant, [user.pk], to, mapping=MoveMapping(**mapping)))
    assert AuditEntry.objects.count() == before
    return str(refused.value.messages[0])


def test_r89_nobody_is_moved_to_a_retired_deployment(
    anna: ConferencingUser, pool_a: Deployment, pool_b: Deployment
) -> None:
    retired = retire_deployment(pool_b, ACTOR)
    assert retired.retired_at is not None
    told = refusal(anna, Deployment.objects.get(pk=pool_b.pk))

    assert told.startswith("Nobody can be moved to Pool B: it has been retired since ")
    assert str(retired.retired_at.year) in told


def test_r89_who_belongs_to_a_deployment_already_can_still_be_changed_in_other_ways(
    anna: ConferencingUser, pool_a: Deployment
) -> None:
    Deployment.objects.filter(pk=pool_a.pk).update(retired_at="2026-01-01T00:00:00Z", retired_by="alice")
    change_user(anna, ACTOR, deployment=Deployment.objects.get(pk=pool_a.pk), display_name="Anna Bianchi")
    anna.refresh_from_db()

    assert anna.display_name == "Anna Bianchi"


def test_a_deployment_of_another_tenant_is_refused(anna: ConferencingUser) -> None:
    other = create_tenant(ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_service="none")

    assert refusal(anna, a_deployment(other)) == "Contoso has no deployment Old pool: choose one of its own."


def test_a_deployment_that_has_gone_is_refused(anna: ConferencingUser, pool_b: Deployment) -> None:
    Deployment.objects.filter(pk=pool_b.pk).delete()

    assert refusal(anna, pool_b) == "Pool B is not there any more: choose another."


def test_r62_a_mapping_to_what_users_cannot_have_there_is_refused(
    anna: ConferencingUser,
    pool_a: Deployment,
    cloud: Deployment,
    old_bridge: Bridge,
    new_bridge: Bridge,
) -> None:
    third = second_bridge(anna.tenant, cloud)
    of_other = set_bridge(anna.tenant, "Fourth bridge", ACTOR, deployment=pool_a)
    told = {
        "another bridge's number": refusal(anna, cloud, numbers={"+14255550100": "+390212345670"}),
        "another kind": refusal(anna, cloud, numbers={"+14255550100": "+448081570123"}),
        "no number": refusal(anna, cloud, numbers={"+14255550100": "+442079460199"}),
        "another deployment's bridge": refusal(anna, cloud, bridges={old_bridge.pk: of_other.pk}),
        "no bridge": refusal(anna, cloud, bridges={old_bridge.pk: 987_654}),
        "default of no kind": refusal(anna, cloud, default_toll_number="+448081570123"),
    }

    assert told == {
        "another bridge's number": "+390212345670 is not a number of New bridge, where users with +14255550100 come "
        "to: map it to one that is.",
        "another kind": "+448081570123 is not of the kind of +14255550100: map toll to toll, and toll-free to "
        "toll-free.",
        "no number": "+442079460199 is not a service number: correct the mapping.",
        "another deployment's bridge": "Fourth bridge belongs to another deployment than Cloud: map to a bridge of its "
        "own.",
        "no bridge": "A bridge of the mapping is not there any more: correct the mapping.",
        "default of no kind": "+448081570123 is not of the kind that it is the default for: choose another.",
    }
    assert third.pk != new_bridge.pk


def test_who_is_hosted_otherwise_than_their_deployment_is_refused(anna: ConferencingUser, pool_a: Deployment) -> None:
    with pytest.raises(ValidationError) as refused:
        change_user(anna, ACTOR, hosting="online")

    assert refused.value.message_dict == {
        "hosting": [
            "anna.rossi@contoso.com belongs to Pool A, which is on-premises: move them to another deployment instead."
        ]
    }


# --- new links -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_tenant", "of_user", "of_deployment", "service"),
    [
        ("link", "", "", "Link"),
        ("none", "", "", "none"),
        ("none", "", "link", "Link"),
        ("link", "none", "", "none"),
        ("link", "none", "link", "Link"),
        ("link", "", "none", "none"),
    ],
)
def test_r39_the_deployment_names_the_meeting_service_else_user_and_tenant(
    anna: ConferencingUser, of_tenant: str, of_user: str, of_deployment: str, service: str
) -> None:
    change_tenant(anna.tenant, ACTOR, meeting_service=of_tenant)
    change_user(anna, ACTOR, meeting_service=of_user)
    belong_to(a_deployment(anna.tenant, kind="online", meeting_service=of_deployment), [anna])

    assert service_of(ConferencingUser.objects.get(pk=anna.pk)) == service


def test_r60_new_links_begin_with_the_meeting_url_of_the_deployment(
    make_user: MakeUser, tenant: Tenant, cloud: Deployment, wakes: object
) -> None:
    user = make_user("bruno", hosting="on-premises")
    belong_to(a_deployment(tenant), [user])
    change_deployment(cloud, ACTOR, meeting_service="link", meeting_url="https://rooms.contoso.com/b/")
    invite(user, 1)
    moved(user, cloud)
    work_queue()
    (result,) = MeetingResult.objects.filter(run__user=user)

    assert result.join_url_after.startswith("https://rooms.contoso.com/b/bruno/")
    run = migrate(user)
    assert [each.code for each in run.results.all()] == ["already-current"], "a second run changes nothing"
