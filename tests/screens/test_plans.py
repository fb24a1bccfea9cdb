"""Planning on pages: where it is asked for, what is said where it cannot be, the list, and what one does about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from migrations_app.models import BulkAction, NumberRelease, Plan, Run
from migrations_app.monitoring import clock
from migrations_app.procedures import bulk_actions
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.only_reads import only_reads
from tests.support.pages import words
from tests.support.planned import plan_for
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
SATURDAY = "Saturday 5 December 2026, 22:00, Rome time"
TYPED = {"not_before": "Saturday 22:00", "window_from": "22:00", "window_to": "6:00"}


@pytest.fixture(autouse=True)
def monday(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Coordinates]:
    """30 November 2026, 10:00 in Rome."""
    monkeypatch.setattr(clock, "now", timezone.now)
    with time_machine.travel(datetime(2026, 11, 30, 9, tzinfo=UTC), tick=False) as wall:
        yield wall


@pytest.fixture
def rome(tenant: Tenant) -> Tenant:
    return change_tenant(tenant, ACTOR, time_zone="Europe/Rome")


def page(client: Client, address: str, **form: Any) -> str:
    answer = client.post(address, form, follow=True) if form else client.get(address)
    assert answer.status_code == 200
    return words(answer.content)


@pytest.mark.parametrize(
    ("address", "more"),
    [
        ("/contoso/users/selected/start/?all", {}),
        ("/contoso/users/selected/retry/?all", {}),
        ("/contoso/users/selected/move/?all&to={new}", {"to": "{new}"}),
        ("/contoso/users/anna.rossi@contoso.com/start/", {}),
        ("/contoso/bridges/{old}/numbers/{number}/replace/?by=%2B14255550133", {"by": "+14255550133"}),
    ],
)
def test_r37_everything_that_starts_runs_can_be_planned_and_says_when(
    alice: Client,
    rome: Tenant,
    anna: ConferencingUser,
    new_bridge: Bridge,
    make_run: Callable[..., Run],
    address: str,
    more: dict[str, str],
) -> None:
    make_run(anna, "Failed", last_error_code="no-bridge")
    assert anna.bridge
    keys = {"new": new_bridge.pk, "old": anna.bridge_id, "number": anna.bridge.numbers.get().pk}
    form = {name: value.format(**keys) for name, value in more.items()} | TYPED
    told = page(alice, address.format(**keys), **form)

    assert f"Planned for {SATURDAY}; only between 22:00 and 06:00." in told
    assert Run.objects.filter(state="Pending").count() == 0
    assert Plan.objects.get().opens_at == datetime(2026, 12, 5, 21, tzinfo=UTC)
    anna.refresh_from_db()
    assert anna.bridge_id != new_bridge.pk


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"not_before": "2026-11-29T22:00"}, "Sunday 29 November 2026, 22:00, Rome time, is past"),
        ({"not_before": "<script>"}, "“<script>” is not a time"),
        ({"not_before": "2027-03-28T02:30"}, "because the clocks go forward then: choose another time."),
        ({"not_before": "x" * 5000}, "is not a time"),
        ({"window_from": "22:00"}, "A daily window needs two times"),
        ({"window_from": "22:00", "window_to": "22:00"}, "From 22:00 to 22:00 no time passes"),
    ],
)
def test_r37_what_cannot_be_is_said_at_the_field_with_what_was_typed_and_nothing_is_planned(
    alice: Client, rome: Tenant, anna: ConferencingUser, typed: dict[str, str], sentence: str
) -> None:
    assert anna.bridge
    number = f"/contoso/bridges/{anna.bridge_id}/numbers/{anna.bridge.numbers.get().pk}/replace/?by=%2B14255550133"
    before = everything_stored()
    for address, more in (
        ("/contoso/users/selected/start/?all", {}),
        ("/contoso/users/anna.rossi@contoso.com/start/", {}),
        (number, {"by": "+14255550133"}),
    ):
        answer = alice.post(address, {**more, **typed}, follow=True)
        assert sentence in words(answer.content)
        assert 'is-invalid"' in answer.content.decode()
        assert "<script>alert" not in answer.content.decode()
    assert everything_stored() == before


def test_r37_what_is_planned_is_listed_changed_and_cancelled(
    alice: Client, rome: Tenant, anna: ConferencingUser, make_run: Callable[..., Run]
) -> None:
    make_run(anna)
    page(alice, "/contoso/users/selected/start/?all", **TYPED)
    plan, action = Plan.objects.get(), BulkAction.objects.get()
    address = f"/contoso/users/planned/{plan.pk}/"
    with only_reads():
        listed, shown, job = (
            page(alice, each) for each in ("/contoso/users/planned/", address, f"/contoso/users/actions/{action.pk}/")
        )
    assert f"Start runs for 1 user Planned {SATURDAY}; only between 22:00 and 06:00" in listed
    assert f"Begins {SATURDAY}" in shown
    assert "Nothing is changed and no run starts before." in job
    assert "A run is planned for Saturday 5 December 2026" in page(alice, "/contoso/users/anna.rossi@contoso.com/")
    assert f"Start runs for 1 user Planned for {SATURDAY}" in page(alice, "/contoso/")
    assert "It begins at the new time." in page(alice, address, not_before="Sunday 23:00")
    assert "Sunday 6 December 2026, 23:00, Rome time" in page(alice, address)
    assert "is past" in page(alice, address, not_before="2020-01-01T00:00")
    assert "Say when it is to begin" in page(alice, address, not_before="")
    asked = page(alice, f"{address}cancel/")
    plan.refresh_from_db()
    assert ("Cancel this?" in asked, plan.state) == (True, "Planned")
    assert "It is cancelled." in page(alice, f"{address}cancel/", really="yes")
    plan.refresh_from_db()
    action.refresh_from_db()
    assert (plan.state, plan.cancelled_by, action.state) == ("Cancelled", "alice", "Stopped")
    assert "Nothing of it can be cancelled any more" in page(alice, f"{address}cancel/", really="yes")


def test_r19_what_is_planned_is_brought_forward_after_it_was_asked_for_once_more(
    bob: Client, rome: Tenant, anna: ConferencingUser, wakes: list[Any]
) -> None:
    plan = plan_for(anna)
    address = f"/contoso/users/planned/{plan.pk}/begin/"
    assert "Begin now?" in page(bob, address)
    assert "It begins as soon as a worker is free." in page(bob, address, really="yes")
    plan.refresh_from_db()
    assert plan.is_open(clock.now())
    bulk_actions.advance(timezone.now() + timedelta(minutes=1))
    assert Run.objects.get().plan == plan


def test_r19_a_planned_run_is_brought_forward_after_it_was_asked_for_once_more(
    bob: Client, rome: Tenant, anna: ConferencingUser, make_run: Callable[..., Run], wakes: list[Any]
) -> None:
    plan = plan_for(anna)
    run = make_run(anna, "Pending", plan=plan, due_at=plan.opens_at)
    address = f"/contoso/migrations/{run.correlation_id}/run-now/"
    asked = bob.post(address, follow=True)
    run.refresh_from_db()
    assert ("Run now?" in words(asked.content), run.plan) == (True, plan)
    assert "begins as soon as a worker is free" in page(bob, address, confirmed="yes")
    run.refresh_from_db()
    assert (run.plan, run.due_at) == (None, clock.now())


def test_a_plan_whose_time_has_passed_or_is_shown_twice_can_be_changed_as_it_is_shown(
    alice: Client, rome: Tenant, anna: ConferencingUser, monday: time_machine.Coordinates
) -> None:
    over = plan_for(anna, not_before=datetime(2026, 11, 29, 21, tzinfo=UTC))
    assert "is past" not in page(alice, f"/contoso/users/planned/{over.pk}/")
    monday.move_to(datetime(2026, 10, 1, tzinfo=UTC))
    twice = plan_for(anna, not_before=datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    shown = alice.get(f"/contoso/users/planned/{twice.pk}/").content.decode()
    assert 'value="2026-10-25T02:30+01:00"' in shown
    assert "is-invalid" not in shown


def test_r12_it_says_that_it_waits_for_the_service_too(alice: Client, rome: Tenant, anna: ConferencingUser) -> None:
    plan = plan_for(anna)
    change_tenant(rome, ACTOR, meeting_migration_enabled=False)
    assert "The service is off, so this waits until it is on again" in page(alice, f"/contoso/users/planned/{plan.pk}/")
    begun = page(alice, f"/contoso/users/planned/{plan.pk}/begin/", really="yes")
    assert "The service is switched off, so it waits all the same." in begun


def test_a_planned_number_procedure_needs_an_admin_and_asks_before_it_begins(
    alice: Client, bob: Client, rome: Tenant, anna: ConferencingUser
) -> None:
    assert anna.bridge
    spare = register_number(anna.bridge, "+14255550122", "toll", ACTOR)
    number = f"/contoso/bridges/{anna.bridge_id}/numbers/{spare.pk}/replace/?by=%2B14255550133"
    page(alice, number, by="+14255550133", **TYPED)
    release, plan = NumberRelease.objects.get(), Plan.objects.get()

    for action in ("", "cancel/", "begin/"):
        answer = bob.post(f"/contoso/users/planned/{plan.pk}/{action}", {"not_before": "Sunday 22:00"})
        assert answer.status_code == 403
    assert "Begin now?" in words(alice.post(f"/contoso/releases/{release.pk}/begin/", follow=True).content)
    assert "Take +14255550122 off its bridge" in page(alice, "/contoso/users/planned/")
    release.refresh_from_db()
    assert release.state == "Waiting"


def test_pages_show_times_in_the_zone_of_their_tenant_and_name_it(
    alice: Client, rome: Tenant, anna: ConferencingUser, make_run: Callable[..., Run]
) -> None:
    run = make_run(anna)
    Run.objects.update(created=datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    shown = page(alice, f"/contoso/migrations/{run.correlation_id}/")
    assert "25 Oct 2026, 02:30 CET" in shown  # in the hour that the clocks show twice
    assert "30 Nov 2026, 10:00 CET" in shown
    change_tenant(rome, ACTOR, time_zone="UTC")
    assert "30 Nov 2026, 09:00 UTC" in page(alice, f"/contoso/migrations/{run.correlation_id}/")
    assert timezone.get_current_timezone_name() == "UTC"


def test_a_day_is_the_tenants_day_where_lists_are_filtered(
    alice: Client, rome: Tenant, anna: ConferencingUser, make_run: Callable[..., Run]
) -> None:
    make_run(anna)
    Run.objects.update(created=datetime(2026, 11, 29, 23, 30, tzinfo=UTC), modified=datetime(2026, 11, 30, tzinfo=UTC))
    today = "/contoso/migrations/?created_from=2026-11-30&created_to=2026-11-30"
    yesterday = "/contoso/migrations/?created_from=2026-11-29&created_to=2026-11-29"
    assert anna.upn in page(alice, today)
    assert anna.upn not in page(alice, yesterday)


def test_the_settings_page_refuses_a_time_zone_that_does_not_exist(alice: Client, tenant: Tenant) -> None:
    told = page(alice, "/contoso/settings/", time_zone="Europe/Rom", name="Contoso")
    assert "There is no time zone “Europe/Rom”: did you mean “Europe/Rome”?" in told
    tenant.refresh_from_db()
    assert tenant.time_zone == "UTC"
