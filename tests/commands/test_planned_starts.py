"""Planning by command: an earliest start, a daily window, what is planned, and taking it back (R37)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import time_machine
from django.core.management.base import CommandError
from django.utils import timezone

from migrations_app.models import NumberRelease, Plan, Run
from migrations_app.monitoring import clock
from tenants_app.changes.bridges import register_number
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.two_tenants import everything_stored


@pytest.fixture(autouse=True)
def monday(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """30 November 2026, 10:00 in Rome."""
    monkeypatch.setattr(clock, "now", timezone.now)
    with time_machine.travel(datetime(2026, 11, 30, 9, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def rome(tenant: Tenant) -> Tenant:
    return change_tenant(tenant, ACTOR, time_zone="Europe/Rome")


def test_r37_runs_are_planned_listed_and_taken_back(
    command: Command, rome: Tenant, anna: ConferencingUser, make_user: Callable[..., ConferencingUser]
) -> None:
    make_user("clara", mailbox_location="on-premises")
    start = ("start_meeting_migration", "--user", anna.upn)
    told = command(*start, "--not-before", "Saturday 22:00", "--between", "22:00-6:00")
    plan = Plan.objects.get()

    assert "Planned for Saturday 5 December 2026, 22:00, Rome time; only between 22:00 and 06:00. get_pl" in told
    assert f"remove_planned_start {plan.pk} cancels it." in told
    assert not Run.objects.exists()
    (row,) = json.loads(command("get_planned_start", "--format", "json"))
    assert {name: row[name] for name in ("PlanId", "What", "UserCount", "State", "Window", "OpensDate")} == {
        "PlanId": plan.pk,
        "What": "Start runs for 1 user",
        "UserCount": 1,
        "State": "Planned",
        "Window": "22:00–06:00",
        "OpensDate": "2026-12-05T21:00:00+00:00",
    }
    assert "Cancelled" in command("remove_planned_start", str(plan.pk))
    assert command("get_planned_start") == "Nothing is planned.\n"
    assert "Cancelled" in command("get_planned_start", "--all")
    with pytest.raises(CommandError, match="Nothing of it can be cancelled any more"):
        command("remove_planned_start", str(plan.pk))


def test_r37_who_cannot_be_served_is_named_and_left_out(
    command: Command, rome: Tenant, anna: ConferencingUser, make_user: Callable[..., ConferencingUser]
) -> None:
    clara = make_user("clara", mailbox_location="on-premises")
    with pytest.raises(CommandError, match="No run, because the mailbox is on Exchange on-premises"):
        command("start_meeting_migration", "--user", anna.upn, clara.upn, "--not-before", "tonight 22:00")

    (action,) = Plan.objects.get().bulk_actions.all()
    assert [row.user for row in action.users.all()] == [anna]


def test_r37_a_number_procedure_is_planned(command: Command, rome: Tenant, old_bridge: Bridge) -> None:
    for number in ("+14255550111", "+14255550122"):
        register_number(old_bridge, number, "toll", ACTOR)
    off = ("unassign_service_number", "--number", "+14255550111", "--replace-with", "+14255550122")
    told = command(*off, "--not-before", "2026-12-05T22:00")
    replace = ("replace_service_number", "--from", "+14255550100", "--to", "+14255550133")
    replaced = command(*replace, "--between", "1:00-5 am")

    assert "Planned for Saturday 5 December 2026, 22:00, Rome time. get_planned_start" in told
    assert "only between 01:00 and 05:00" in replaced
    assert set(NumberRelease.objects.values_list("state", flat=True)) == {"Waiting"}
    listed = json.loads(command("get_planned_start", "--format", "json"))
    assert [row["What"] for row in listed] == ["Take +14255550100 off its bridge", "Take +14255550111 off its bridge"]


@pytest.mark.parametrize(
    ("options", "sentence", "status"),
    [
        (["--not-before", "2026-11-29T22:00"], "Sunday 29 November 2026, 22:00, Rome time, is past", 1),
        (["--not-before", "2027-03-28T02:30"], "There is no 02:30 on Sunday 28 March 2027 in Rome time", 1),
        (["--not-before", "soon"], "“soon” is not a time", 1),
        (["--not-before", " "], "--not-before needs a time", 2),
        (["--between", "22:00"], "'22:00' is no daily window: write it as 22:00-6:00.", 2),
        (["--between", ""], "--between needs two times", 2),
        (["--between", "22:00-22:00"], "From 22:00 to 22:00 no time passes", 1),
        (["--between", "22:00-soon"], "“soon” is not a time of the day", 1),
        (["--not-before", "tonight 22:00", "--now"], "--now begins at once", 2),
        (["--not-before", "tonight 22:00", "--wait"], "What is planned is not waited for", 2),
    ],
)
def test_r37_what_cannot_be_is_refused_and_nothing_is_planned(
    command: Command, rome: Tenant, anna: ConferencingUser, options: list[str], sentence: str, status: int
) -> None:
    before = everything_stored()
    with pytest.raises(CommandError) as refused:
        command("start_meeting_migration", "--user", anna.upn, *options)

    assert sentence in str(refused.value)
    assert (refused.value.returncode, "\n" in str(refused.value)) == (status, False)
    assert everything_stored() == before


def test_r37_a_dry_run_plans_nothing(command: Command, rome: Tenant, anna: ConferencingUser) -> None:
    before = everything_stored()
    command("start_meeting_migration", "--user", anna.upn, "--not-before", "tonight 22:00", "--dry-run")
    assert everything_stored() == before


def test_a_tenants_time_zone_is_set_by_command(command: Command, tenant: Tenant) -> None:
    told = command("set_tenant", "--time-zone", "Europe/Rome")
    assert "TimeZone UTC → Europe/Rome" in told
    with pytest.raises(CommandError, match="There is no time zone “Europe/Rom”: did you mean “Europe/Rome”"):
        command("set_tenant", "--time-zone", "Europe/Rom")
    command("new_tenant", "harbour", "--name", "Harbour", "--domain", "example.org", "--time-zone", "Asia/Tokyo")
    assert Tenant.objects.get(slug="harbour").time_zone == "Asia/Tokyo"
    assert "Asia/Tokyo" in command("get_tenant", "--tenant", "harbour", "--format", "json")


def test_r37_organizers_are_told_before_where_that_is_asked_for(
    command: Command, rome: Tenant, anna: ConferencingUser
) -> None:
    start = ("start_meeting_migration", "--user", anna.upn)
    told = command(*start, "--not-before", "Saturday 22:00", "--notify", "--notify-cancelled")
    plan = Plan.objects.get()
    assert "The organizers are told before." in told
    assert (plan.wants_notice, plan.tells_cancellation, plan.waits_for_notices) == (True, True, True)
    assert plan.notice_round.notices.get().user == anna


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--notify"], "--notify tells the organizers when it begins: give --not-before or --between too"),
        (["--not-before", "22:00", "--notify-cancelled"], "--notify-cancelled is for those who were told before"),
    ],
)
def test_who_is_told_of_no_time_is_refused(
    command: Command, rome: Tenant, anna: ConferencingUser, options: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        command("start_meeting_migration", "--user", anna.upn, *options)
    assert not Plan.objects.exists()


def test_r37_whether_cancelled_runs_are_told_is_as_the_tenant_wants_unless_the_command_says_otherwise(
    command: Command, rome: Tenant, anna: ConferencingUser
) -> None:
    start = ("start_meeting_migration", "--user", anna.upn, "--not-before", "Saturday 22:00", "--notify")
    command(*start)
    command("set_tenant", "--notify-cancelled", "true")
    command(*start)
    command(*start, "--no-notify-cancelled")
    assert list(Plan.objects.order_by("pk").values_list("tells_cancellation", flat=True)) == [False, True, False]
