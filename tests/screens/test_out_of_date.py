"""Who is out of date, on the dashboard and the settings page, and starting them all (R12, R36)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import Run
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.fingerprints import note_own_blocks
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.pages import settings_form, words

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
ADDRESS = "/contoso/users/selected/start/?out_of_date=yes&all"
NOT_REACHED = (
    "No run, because the mailbox is on Exchange on-premises: connect that Exchange, "
    "or use the Meeting Migration Tool instead."
)
BUTTON = 'id="start-out-of-date"'


@pytest.fixture
def outdated(make_user: MakeUser, tenant: Tenant) -> list[ConferencingUser]:
    """Anna, Bruno, and Clara whom MMS cannot serve: their invitations lack a link."""
    users = [make_user("anna"), make_user("bruno"), make_user("clara", mailbox_location="on-premises")]
    change_tenant(tenant, ACTOR, local_numbers_url="https://contoso.com/numbers")
    return users


def page(client: Client, address: str = "/contoso/") -> str:
    return client.get(address).content.decode()


# --- the notice ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/contoso/", "/contoso/settings/"])
def test_r36_it_says_how_many_are_out_of_date_and_where_to_start_them(
    bob: Client, outdated: list[ConferencingUser], address: str
) -> None:
    shown = page(bob, address)
    sentence = "3 users are out of date: their invitations do not say what their settings ask for."

    assert sentence in words(shown.encode())
    assert 'href="/contoso/users/?out_of_date=yes"' in shown
    assert f'{BUTTON} href="{ADDRESS.replace("&", "&amp;")}=3"' in shown
    assert "Start 2 runs" in words(shown.encode())
    assert "1 of them MMS cannot serve, so no run can be started for this one. Why not" in words(shown.encode())


@pytest.mark.parametrize("address", ["/contoso/", "/contoso/settings/"])
def test_r36_it_is_silent_where_nobody_is_out_of_date(bob: Client, anna: ConferencingUser, address: str) -> None:
    assert 'id="out-of-date"' not in page(bob, address)


def test_r36_a_viewer_reads_it_and_gets_no_button(vera: Client, outdated: list[ConferencingUser]) -> None:
    shown = page(vera)

    assert "3 users are out of date" in shown
    assert BUTTON not in shown


def test_r36_one_user_is_spoken_of_as_one(bob: Client, anna: ConferencingUser, tenant: Tenant) -> None:
    note_own_blocks(anna)
    change_user(anna, ACTOR, language="it-IT")
    shown = words(page(bob).encode())

    assert "1 user is out of date" in shown
    assert "Start the run" in shown
    assert "Start a run for 1 user? All that the filter finds (Invitations: Out of date)." in words(
        page(bob, ADDRESS).encode()
    )


def test_r36_there_is_no_button_where_everybodys_run_is_under_way(
    bob: Client, outdated: list[ConferencingUser], make_run: MakeRun
) -> None:
    make_run(outdated[0], "Pending")
    some = page(bob)
    make_run(outdated[1], "InProgress")
    all_who_can = page(bob)
    make_run(outdated[2], "Pending")
    everybody = page(bob)

    assert "1 of them has a run pending or in progress." in some
    assert "Start 1 run " in words(some.encode())
    assert "2 of them have a run pending or in progress. 1 of them MMS cannot serve" in words(all_who_can.encode())
    assert BUTTON not in all_who_can
    assert "All of them have a run pending or in progress." in everybody
    assert BUTTON not in everybody


def test_r36_the_dashboard_offers_failures_a_retry_and_no_second_button(
    bob: Client, outdated: list[ConferencingUser], make_run: MakeRun
) -> None:
    make_run(outdated[0], "Pending")
    failed = make_run(outdated[1], "Failed", last_error_code="no-bridge")
    shown, settings = page(bob), page(bob, "/contoso/settings/")
    Run.objects.filter(pk=failed.pk).update(accepted_at=timezone.now())
    accepted = page(bob)

    assert "1 of them has a failed run. 1 of them MMS cannot serve" in words(shown.encode())
    assert 'id="retry-all"' in shown
    assert BUTTON not in shown
    assert BUTTON in settings
    assert "failed run" not in accepted
    assert BUTTON in accepted


def test_r36_where_mms_can_serve_nobody_it_says_so_instead_of_a_button(
    bob: Client, outdated: list[ConferencingUser]
) -> None:
    ConferencingUser.objects.filter(upn__startswith="clara").update(bridge=outdated[0].bridge)
    ConferencingUser.objects.exclude(upn__startswith="clara").delete()
    shown = page(bob)

    assert "MMS cannot serve this user, so no run can be started. Why not" in words(shown.encode())
    assert BUTTON not in shown
    assert "on Exchange on-premises: connect that Exchange, or use" in words(page(bob, ADDRESS).encode())


def test_r36_the_page_of_a_bridge_counts_its_own(bob: Client, outdated: list[ConferencingUser]) -> None:
    shown = words(page(bob, outdated[0].bridge.get_absolute_url()).encode())

    assert "3 users of this bridge are out of date." in shown
    assert "Start 2 runs" in shown
    assert "1 of them MMS cannot serve" in shown


@pytest.mark.parametrize("address", ["/contoso/", "/contoso/settings/"])
def test_r12_while_the_service_is_off_they_can_be_started_once_it_is_on(
    bob: Client, tenant: Tenant, outdated: list[ConferencingUser], address: str
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    shown = page(bob, address)

    assert "3 users are out of date" in shown
    assert "Runs can be started once the service is on." in shown
    assert BUTTON not in shown


# --- what makes it visible ----------------------------------------------------------------------------


def test_r12_switching_on_says_what_goes_on_and_offers_to_start_the_rest(
    alice: Client, tenant: Tenant, make_user: MakeUser, make_run: MakeRun, new_bridge: Bridge, wakes: list[Any]
) -> None:
    make_run(make_user("anna"), "Pending")
    bruno = make_user("bruno")
    alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "false"})
    change_user(bruno, ACTOR, bridge=new_bridge)
    on = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "true", "next": "/contoso/"}, follow=True)

    assert "The service is on: 1 pending run goes on, each when it is due. 1 user is out of date." in words(on.content)
    assert "You can start their runs below." in words(on.content)
    assert BUTTON in on.content.decode()


def test_r12_switching_on_says_where_nobody_is_left_to_start(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge, wakes: list[Any]
) -> None:
    change_user(anna, ACTOR, bridge=new_bridge)
    on = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "true"}, follow=True)

    assert "1 user is out of date. Their run is pending or in progress." in words(on.content)
    assert BUTTON not in on.content.decode()


def test_r36_saving_what_invitations_show_says_how_many_are_out_of_date_now(alice: Client, make_user: MakeUser) -> None:
    make_user("anna")
    make_user("bruno")
    quiet = alice.post("/contoso/settings/", settings_form(alice, attendee_limit="300"), follow=True)
    edited = settings_form(alice, local_numbers_url="https://contoso.com/all") | {"confirmed": "2"}
    told = alice.post("/contoso/settings/", edited, follow=True)

    assert "The settings are saved." in words(quiet.content)
    assert "out of date now" not in words(quiet.content)
    sentence = "Invitations show them after each user's next run: 2 users are out of date now."
    assert f"The settings are saved. {sentence}" in words(told.content)


def test_saving_what_invitations_show_says_nothing_of_users_where_there_are_none(alice: Client) -> None:
    told = alice.post(
        "/contoso/settings/", settings_form(alice, local_numbers_url="https://contoso.com/all"), follow=True
    )

    assert "Invitations show them after each user's next run." in words(told.content)


# --- starting them all --------------------------------------------------------------------------------


def test_r36_it_shows_first_what_starting_them_all_leads_to(
    bob: Client, tenant: Tenant, outdated: list[ConferencingUser], make_run: MakeRun
) -> None:
    for user in outdated:
        invite(user)
    change_tenant(tenant, ACTOR, settling_time=300)
    make_run(outdated[0], "Pending")
    answer = bob.get(ADDRESS)
    shown, start = words(answer.content), answer.context["foreseen"]

    assert "Start runs for 3 users?" in shown
    assert "Users 3 Runs that start 2 Their future meetings 2" in shown
    served = [user.calendar_objects.get().attendee_count - 1 for user in outdated[:2]]
    assert (start.future.meetings, start.future.invitations) == (2, sum(served))
    assert "The runs begin after the settling time of 300 seconds." in shown
    assert "1 of the users has a pending run already" in shown
    assert "1 user without a run" in shown
    assert f"1: {NOT_REACHED}" in shown
    assert "Start 2 runs" in shown
    assert Run.objects.count() == 1


def test_r36_it_starts_them_all_and_says_of_whom_it_did_not(
    bob: Client, outdated: list[ConferencingUser], make_user: MakeUser, wakes: list[Any]
) -> None:
    make_user("up.to.date")
    answer = bob.post(ADDRESS, follow=True)
    told = words(answer.content)

    assert set(Run.objects.values_list("user__upn", "state")) == {
        ("anna@contoso.com", "Pending"),
        ("bruno@contoso.com", "Pending"),
    }
    assert "Run, because it was started by hand. 2 users" in told
    assert f"{NOT_REACHED} 1 user" in told
    assert AuditEntry.objects.filter(action="start migration", actor="bob").count() == 2


@pytest.mark.parametrize(("form", "seconds"), [({}, 300), ({"now": "on"}, 0)])
def test_r19_the_runs_wait_for_the_settling_time_unless_they_are_to_begin_at_once(
    bob: Client, tenant: Tenant, outdated: list[ConferencingUser], wakes: list[Any], form: dict[str, str], seconds: int
) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    offered = page(bob, ADDRESS)
    bob.post(ADDRESS, form)

    assert "Begin at once, without the settling time" in offered
    for run in Run.objects.all():
        assert run.due_at - run.created == timedelta(seconds=seconds)


def test_r19_where_nothing_settles_there_is_nothing_to_choose(bob: Client, outdated: list[ConferencingUser]) -> None:
    shown = page(bob, ADDRESS)

    assert "The runs begin at once." in words(shown.encode())
    assert 'name="now"' not in shown


def test_r18_a_start_joins_the_run_that_is_pending_and_follows_the_one_in_progress(
    bob: Client, outdated: list[ConferencingUser], make_run: MakeRun, wakes: list[Any]
) -> None:
    waiting = make_run(outdated[0], "Pending", due_at=timezone.now() + timedelta(hours=1))
    make_run(outdated[1], "InProgress")
    shown = words(page(bob, ADDRESS).encode())
    bob.post(ADDRESS)

    waiting.refresh_from_db()
    assert "1 has a run in progress: another follows when it has ended." in shown
    assert [reason["rule"] for reason in waiting.reasons] == ["R5", "R11"]
    assert waiting.due_at <= timezone.now()
    assert sorted(outdated[1].runs.values_list("state", flat=True)) == ["InProgress", "Pending"]


def test_it_says_where_nobody_is_out_of_date_any_more(bob: Client, anna: ConferencingUser) -> None:
    for ask in (bob.get, bob.post):
        told = words(ask(ADDRESS, follow=True).content)
        assert "The filter finds nobody any more, so there is nothing to do." in told
    assert not Run.objects.exists()


def test_r12_it_starts_nothing_while_the_service_is_off(
    bob: Client, tenant: Tenant, outdated: list[ConferencingUser]
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    shown = bob.get(ADDRESS).content
    told = words(bob.post(ADDRESS, follow=True).content)

    reason = "No run, because the service is switched off for this tenant: switch MeetingMigrationEnabled on first."
    assert f"2: {reason}" in words(shown)
    assert b'type="submit">' not in shown.partition(b"<main")[2]
    assert f"{reason} 2 users" in told
    assert not Run.objects.exists()


def test_r12_a_start_of_one_user_is_refused_while_the_service_is_off(
    bob: Client, tenant: Tenant, anna: ConferencingUser
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    told = words(bob.post(f"/contoso/users/{anna.upn}/start/", follow=True).content)

    assert "No run, because the service is switched off for this tenant" in told
    assert not Run.objects.exists()


def test_it_takes_as_many_questions_for_many_users_as_for_few(
    bob: Client, tenant: Tenant, make_user: MakeUser, django_assert_num_queries: Any
) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            make_user(f"user{number:02}", mailbox_location="on-premises" if number % 3 == 0 else "online")
        change_tenant(tenant, ACTOR, local_numbers_url=f"https://contoso.com/{last}")

    add(0, 3)
    with CaptureQueriesContext(connection) as few:
        bob.get(ADDRESS)
    add(3, 30)
    with django_assert_num_queries(len(few)):
        bob.get(ADDRESS)


# --- one bridge's users -------------------------------------------------------------------------------


def test_it_can_be_narrowed_to_the_users_of_a_bridge(
    bob: Client, tenant: Tenant, make_user: MakeUser, new_bridge: Bridge, wakes: list[Any]
) -> None:
    make_user("anna")
    bruno = make_user("bruno", bridge=new_bridge)
    change_tenant(tenant, ACTOR, local_numbers_url="https://contoso.com/numbers")
    offered = page(bob, f"/contoso/bridges/{new_bridge.pk}/")
    address = f"/contoso/users/selected/start/?out_of_date=yes&bridge={new_bridge.pk}&all=1"
    shown = page(bob, address)
    bob.post(address)

    assert f'href="{address.replace("&", "&amp;")}"' in offered
    assert "(Invitations: Out of date; Bridge: New bridge)" in words(shown.encode())
    assert f"/contoso/users/?out_of_date=yes&amp;bridge={new_bridge.pk}" in shown
    assert [run.user for run in Run.objects.all()] == [bruno]


@pytest.mark.parametrize("key", ["0", "987654", "x", "-1", "1.5", "²", "9" * 30])
def test_a_bridge_that_is_not_there_starts_nobody(bob: Client, outdated: list[ConferencingUser], key: str) -> None:
    for method in (bob.get, bob.post):
        told = method(f"{ADDRESS}&bridge={key}", follow=True)
        assert "A part of the filter is not understood, so nothing was done" in words(told.content)
    assert not Run.objects.exists()
