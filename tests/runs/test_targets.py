"""Which targets a run gets: from what started it, from what joins it, and from a start by hand (R1, R11, R18, R40)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from migrations_app.meeting_services.of_user import service_of, services_of, why_no_target
from migrations_app.models import Run
from migrations_app.preview.many_users import foresee_start
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.movements import movements_of
from migrations_app.targets import ALL_CURRENT, SOURCES, Targets
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tenants_app.signals import Consequence
from tests.support.actors import ACTOR
from tests.support.together import together

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
STAY = dict.fromkeys(SOURCES, "Current")
MOVE = STAY | {"SkypeForBusiness": "Link"}
TO_LINK = Targets.of_types("All", "Link")


@pytest.fixture
def nora(make_user: MakeUser) -> ConferencingUser:
    return make_user("nora.berg", hosting="on-premises")


def change(user: ConferencingUser, **values: Any) -> Consequence:
    (consequence,) = change_user(ConferencingUser.objects.get(pk=user.pk), ACTOR, **values)
    return consequence


def start(user: ConferencingUser, targets: Targets | None = None) -> Consequence:
    (consequence,) = start_by_hand(user.tenant, [ConferencingUser.objects.get(pk=user.pk)], ACTOR, targets=targets)
    return consequence


def targets_of(user: ConferencingUser) -> tuple[dict[str, str], str]:
    run = Run.objects.get(user=user, is_latest=True)
    return run.targets, run.migration_type


# --- the user's meeting service -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_tenant", "of_user", "url", "service"),
    [
        ("link", "", "https://meet.contoso.com", "Link"),
        ("none", "", "https://meet.contoso.com", "none"),
        ("none", "link", "https://meet.contoso.com", "Link"),
        ("link", "none", "https://meet.contoso.com", "none"),
        ("link", "", "", "none"),
        ("link", "link", "", "none"),
    ],
)
def test_r39_a_users_meeting_service(
    tenant: Tenant, make_user: MakeUser, of_tenant: str, of_user: str, url: str, service: str
) -> None:
    Tenant.objects.update(meeting_service=of_tenant, meeting_url=url)
    anna = make_user("anna")
    anna.tenant.refresh_from_db()
    anna.meeting_service = of_user

    assert service_of(anna) == service


def test_r40_a_target_needs_somebody_whose_meetings_can_be_made_anew_there(tenant: Tenant, make_user: MakeUser) -> None:
    anna = make_user("anna")
    assert services_of(tenant) == ["Link"]
    assert why_no_target(tenant, "Link") == ""
    assert why_no_target(tenant, "Teams").startswith("Contoso has no connection to Teams, so no meeting can move there")
    tenant.meeting_service = "none"
    assert "make Link its meeting service" in why_no_target(tenant, "Link")
    ConferencingUser.objects.filter(pk=anna.pk).update(meeting_service="link")
    assert why_no_target(tenant, "Link") == ""
    tenant.meeting_url = ""
    assert "give it a meeting URL" in why_no_target(tenant, "Link")


# --- what starts it -------------------------------------------------------------------------------------


def test_r1_a_move_to_online_moves_skypes_meetings_to_the_users_service(nora: ConferencingUser) -> None:
    sentence = change(nora, hosting="online").sentence

    assert targets_of(nora) == (MOVE, "SkypeForBusinessToLink")
    assert sentence == (
        "Run, because the user moved from on-premises to online: Skype for Business meetings move to Link, and all "
        "others stay in their service."
    )
    assert [reason["rule"] for reason in Run.objects.get().reasons] == ["R1"]


@pytest.mark.parametrize("where", ["tenant", "user", "meeting URL"])
def test_r1_r39_a_move_without_a_meeting_service_still_runs_and_leaves_skypes_meetings(
    nora: ConferencingUser, where: str
) -> None:
    if where == "tenant":
        Tenant.objects.update(meeting_service="none")
    elif where == "user":
        ConferencingUser.objects.update(meeting_service="none")
    else:
        Tenant.objects.update(meeting_url="")
    told = change(nora, hosting="online")

    assert told.starts_run
    assert (
        "Skype for Business meetings stay as they are, because no meeting service can make them anew" in told.sentence
    )
    assert targets_of(nora) == (STAY | {"SkypeForBusiness": "none"}, "ToSameType")


def test_r5_every_other_change_leaves_meetings_where_they_are(anna: ConferencingUser, new_bridge: Bridge) -> None:
    assert change(anna, bridge=new_bridge).sentence == "Run, because the user moved to the bridge New bridge."
    assert targets_of(anna) == (STAY, "ToSameType")


@pytest.mark.parametrize("order", [1, -1])
def test_r18_r40_a_change_that_joins_a_pending_run_adds_to_its_targets(nora: ConferencingUser, order: int) -> None:
    for targets in [Targets.of_move("Link"), ALL_CURRENT][::order]:
        queue.request_runs(nora.tenant, [queue.RunRequest(nora, (), targets)], "alice")

    assert Run.objects.count() == 1
    assert targets_of(nora) == (MOVE, "SkypeForBusinessToLink")


def test_r28_r40_a_run_that_takes_over_from_a_retry_takes_its_targets(
    nora: ConferencingUser, new_bridge: Bridge
) -> None:
    change(nora, hosting="online")
    Run.objects.update(attempts=1, last_error_code="mailbox-unavailable")
    change(nora, bridge=new_bridge)

    assert Run.objects.count() == 2
    assert targets_of(nora) == (MOVE, "SkypeForBusinessToLink")


# --- started by hand ------------------------------------------------------------------------------------


def test_r11_r40_a_start_by_hand_leaves_meetings_where_they_are_or_says_what_it_moves(anna: ConferencingUser) -> None:
    assert start(anna).sentence == "Run, because it was started by hand."
    assert targets_of(anna) == (STAY, "ToSameType")
    told = start(anna, Targets.of_types("Teams", "Link")).sentence
    assert told == (
        "Run, because it was started by hand: Teams meetings move to Link, and meetings of other services are left "
        "alone."
    )
    assert targets_of(anna) == (STAY | {"Teams": "Link"}, "TeamsToLink")
    assert [reason["sentence"] for reason in Run.objects.get().reasons] == [
        f"Started by hand by {ACTOR.name}.",
        f"Started by hand by {ACTOR.name}: Teams meetings move to Link, and meetings of other services are left alone.",
    ]


def test_r40_a_start_that_selects_some_is_widened_by_what_joins_it(anna: ConferencingUser, new_bridge: Bridge) -> None:
    start(anna, Targets.of_types("Teams", "Current"))
    assert not Targets.of(Run.objects.get().targets).selects_all
    change(anna, bridge=new_bridge)

    assert Targets.of(Run.objects.get().targets).selects_all


def test_r40_a_start_that_names_another_service_than_the_pending_run_is_refused(anna: ConferencingUser) -> None:
    start(anna)
    Run.objects.update(targets=STAY | {"Teams": "Zoom"})
    told = start(anna, TO_LINK)

    assert told.sentence == (
        "No run, because the user's pending run moves meetings to Zoom: start it when that has ended, or choose the "
        "same target."
    )
    assert targets_of(anna)[0] == STAY | {"Teams": "Zoom"}
    assert start(anna).starts_run, "Current names no service"
    assert targets_of(anna)[0] == STAY | {"Teams": "Zoom"}


def test_r40_a_service_that_is_not_the_users_is_refused_before_and_when_it_is_started(
    anna: ConferencingUser, make_user: MakeUser, tenant: Tenant
) -> None:
    none = make_user("nina", meeting_service="none")
    users = ConferencingUser.objects.filter(pk__in=[anna.pk, none.pk])
    told = {each.upn: each for each in start_by_hand(tenant, users, ACTOR, targets=TO_LINK)}
    foreseen = foresee_start(tenant, users, TO_LINK)

    refused = told[none.upn]
    assert refused.sentence == (
        "No run, because Link is not the user's meeting service: make it theirs, or choose the target Current."
    )
    assert told[anna.upn].starts_run
    assert (foreseen.runs, foreseen.without_run) == (1, {refused.sentence: 1})


def test_r11_r40_to_start_after_a_failed_run_is_to_try_again_what_it_was_to_move(
    nora: ConferencingUser, alice: Client
) -> None:
    change(nora, hosting="online")
    Run.objects.update(state="Failed", last_error_code="mailbox-unavailable")
    assert "Skype for Business meetings move to Link" in start(nora).sentence
    assert targets_of(nora) == (MOVE, "SkypeForBusinessToLink")

    Run.objects.filter(is_latest=True).update(state="Failed", targets={"Teams": "Current"})
    failed = Run.objects.get(is_latest=True)
    alice.post(f"/contoso/migrations/{failed.correlation_id}/start-again/")
    assert targets_of(nora) == ({"Teams": "Current"}, "ToSameType")


def test_r40_a_service_that_is_there_no_more_does_not_keep_a_failed_run_from_being_tried_again(
    nora: ConferencingUser,
) -> None:
    change(nora, hosting="online")
    Run.objects.update(state="Failed", last_error_code="mailbox-unavailable")
    Tenant.objects.update(meeting_service="none")

    assert start(nora).sentence == "Run, because it was started by hand."


@pytest.mark.django_db(transaction=True)
def test_r18_r40_starts_that_name_types_at_one_moment_become_one_run_with_the_targets_of_all(
    anna: ConferencingUser,
) -> None:
    chosen = [
        Targets.of_types("Teams", "Link"),
        Targets.of_types("SkypeForBusiness", "Current"),
        Targets.of_types("Link", "Current"),
        ALL_CURRENT,
    ]

    assert all(together(lambda number: start(anna, chosen[number]).starts_run, len(chosen)))
    assert Run.objects.count() == 1
    assert targets_of(anna) == (STAY | {"Teams": "Link"}, "TeamsToLink")


@pytest.mark.django_db(transaction=True)
def test_r18_r40_a_start_and_a_move_that_join_at_one_moment_lose_nothing(
    nora: ConferencingUser, tenant: Tenant
) -> None:
    def ask(number: int) -> None:
        targets = (Targets.of_move("Link"), ALL_CURRENT)[number % 2]
        queue.request_runs(tenant, [queue.RunRequest(nora, (), targets)], f"admin {number}")

    together(ask)

    assert Run.objects.count() == 1
    assert targets_of(nora) == (MOVE, "SkypeForBusinessToLink")


# --- what it did ----------------------------------------------------------------------------------------


def test_r44_what_a_run_moved_is_counted_by_one_question(
    anna: ConferencingUser, make_run: MakeRun, django_assert_num_queries: Any
) -> None:
    run = make_run(anna, "Succeeded", [("A", "Succeeded", ""), ("B", "Succeeded", ""), ("C", "Skipped", "past")])
    first, second, _ = run.results.order_by("pk")
    run.targets = MOVE
    run.results.filter(pk=first.pk).update(
        meeting_service="SkypeForBusiness", join_url_before="https://lync/A", join_url_after="https://meet/A"
    )
    run.results.filter(pk=second.pk).update(
        meeting_service="Teams", join_url_before="https://teams/B", join_url_after="https://teams/B"
    )
    with django_assert_num_queries(1):
        found = movements_of(run)

    assert found.done == "1 moved from Skype for Business to Link and 1 stayed in its meeting service."
