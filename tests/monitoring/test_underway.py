"""How far everything is that is at work, how fast it goes, and how long it takes: a range, or why nobody knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import BulkAction, Run, Sample
from migrations_app.monitoring.underway import Rate, Underway, left_of_queue, left_of_run, rate, underway
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.worker import work_run
from tenants_app.changes.mailboxes import create_connection
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import invitation

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def now_of(tenant: Tenant) -> Underway:
    return underway(tenant, timezone.now() + SECOND)


def test_the_total_is_planned_first_and_does_not_grow_while_it_runs(tenant: Tenant, make_user: MakeUser) -> None:
    users = [make_user(name) for name in ("anna", "bruno", "clara")]
    for user, meetings in zip(users, (1, 3, 2), strict=True):
        for number in range(meetings):
            EmbeddedMailbox(user).store([(f"meeting-{number}", invitation(user, f"meeting-{number}"))])
    start_by_hand(tenant, ConferencingUser.objects.all(), ACTOR, now_due=True)
    seen = [now_of(tenant)]
    while run := queue.claim():
        seen.append(now_of(tenant))
        work_run(run)
        seen.append(now_of(tenant))

    assert {(each.meetings_total, each.users_total) for each in seen[:-1]} == {(6, 3)}
    assert [each.users_done for each in seen[:-1]] == [0, 0, 1, 1, 2, 2]
    assert seen[0].is_total_known
    assert seen[-1].since is None


def test_what_waits_for_its_time_or_for_another_try_is_apart(
    tenant: Tenant, make_user: MakeUser, make_run: MakeRun
) -> None:
    later = timezone.now() + timedelta(hours=2)
    make_run(make_user("anna"), "Pending", planned_meetings=7)
    make_run(make_user("bruno"), "Pending", planned_meetings=50, due_at=later)
    make_run(make_user("clara"), "Pending", total_meetings=90, due_at=later, last_error_code="mailbox-unavailable")
    found = now_of(tenant)

    assert (found.users_ready, found.users_later, found.users_retrying) == (1, 1, 1)
    assert (found.users_total, found.meetings_total) == (1, 7)


def test_what_ended_before_all_of_it_was_asked_for_does_not_count(
    tenant: Tenant, make_user: MakeUser, make_run: MakeRun
) -> None:
    old, now = timezone.now() - timedelta(hours=2), timezone.now()
    make_run(make_user("anna"), finished_at=old, total_meetings=40)
    make_run(make_user("bruno"), "Failed", finished_at=now, last_error_code="newer-run")
    make_run(make_user("clara"), finished_at=now, total_meetings=5)
    make_run(make_user("dora"), "InProgress", created=now - MINUTE, total_meetings=8, succeeded_meetings=3)
    found = now_of(tenant)

    assert (found.users_done, found.users_total) == (1, 2)
    assert (found.meetings_done, found.meetings_total) == (8, 13)


def test_it_says_whose_meetings_nobody_has_counted_yet(tenant: Tenant, make_user: MakeUser) -> None:
    outside = create_connection(
        tenant,
        ACTOR,
        "Nextcloud",
        address="https://mail.example.org",
        username="mms",
        password="secret",
        path_template="/{upn}/",
    )
    make_user("anna", mailbox=outside)
    start_by_hand(tenant, ConferencingUser.objects.all(), ACTOR, now_due=True)
    found = now_of(tenant)

    assert found.users_unplanned == 1
    assert not found.is_total_known


def test_no_total_is_claimed_while_a_job_still_puts_users_in_the_queue(
    tenant: Tenant, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, "InProgress", total_meetings=4)
    BulkAction.objects.create(tenant=tenant, kind="start", requested_by="bob", user_count=500, done_count=40)
    found = now_of(tenant)

    assert (found.users_coming, found.users_total) == (460, 461)
    assert not found.is_total_known


def test_it_is_of_this_tenant_alone_and_asks_as_much_for_many_runs(
    tenant: Tenant, make_user: MakeUser, make_run: MakeRun
) -> None:
    other = Tenant.objects.create(slug="fabrikam", name="Fabrikam", domain="fabrikam.com")
    make_run(make_user("anna"), "InProgress", total_meetings=4)
    with CaptureQueriesContext(connection) as few:
        assert now_of(other) == Underway(None, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for number in range(5):
        make_run(make_user(f"user{number}"), "Pending", planned_meetings=1)
    with CaptureQueriesContext(connection) as many:
        assert now_of(tenant).meetings_total == 9

    assert len(few) == len(many) == 3


def measured(tenant: Tenant, *runs: int, meetings: int = 10, **values: Any) -> Rate:
    """The rate where so many runs ended in each of the last minutes, each with as many meetings."""
    now = timezone.now().replace(second=0, microsecond=0)
    Sample.objects.bulk_create(
        Sample(tenant=tenant, at=now - MINUTE * back, runs_ended=count, meetings=count * meetings, **values)
        for back, count in enumerate(reversed(runs))
    )
    return rate(tenant, now + SECOND)


def to_do(**values: Any) -> Underway:
    nothing = dict.fromkeys(Underway.__dataclass_fields__, 0) | {"since": timezone.now()}
    return Underway(**(nothing | values))


def test_a_rate_is_that_of_the_minutes_that_had_work_in_them(tenant: Tenant) -> None:
    found = measured(tenant, 0, 0, 4, 0, 2)

    assert (found.minutes, found.users, found.meetings) == (2, 3, 30)


def test_there_is_no_figure_before_enough_was_measured(tenant: Tenant) -> None:
    left = left_of_queue(to_do(users_ready=9, meetings_total=90), measured(tenant, 2, 2))

    assert left.least is None
    assert left.sentence == "Remaining time not known yet: MMS measures for 3 minutes first (2 so far)."


def test_what_is_left_is_a_range_from_the_slowest_to_the_fastest_that_was_measured(tenant: Tenant) -> None:
    found = measured(tenant, 1, 2, 4)

    assert left_of_queue(to_do(users_ready=9, meetings_total=200), found).sentence == "5 to 20 minutes left"
    assert left_of_queue(to_do(users_ready=40, users_unplanned=3), found).sentence == "10 to 40 minutes left"
    assert left_of_queue(to_do(meetings_total=90_000), found).sentence == "37 to 150 hours left"
    assert left_of_queue(to_do(meetings_total=5), found).sentence == "less than a minute left"


def test_a_steady_rate_is_not_taken_for_certain(tenant: Tenant) -> None:
    assert left_of_queue(to_do(meetings_total=600), measured(tenant, 2, 2, 2)).sentence == "25 to 36 minutes left"


def test_where_runs_come_to_a_halt_only_the_least_is_known(tenant: Tenant) -> None:
    found = measured(tenant, 4, 4, 0, in_progress=1)
    assert left_of_queue(to_do(meetings_total=400), found).sentence == "at least about 10 minutes left"

    Sample.objects.all().delete()
    halted = measured(tenant, 0, 0, 0, in_progress=1)
    assert "no run has ended in the 3 minutes measured" in left_of_queue(to_do(meetings_total=400), halted).sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"total_meetings": 0}, "time left not known yet"),
        ({"total_meetings": 100, "succeeded_meetings": 4}, "time left not known yet"),
        (
            {"total_meetings": 99, "succeeded_meetings": 50, "attempts": 2},
            "time left not known: it goes on after a failure",
        ),
        (
            {"total_meetings": 900, "succeeded_meetings": 5, "skipped_meetings": 500},
            "time left not known: most meetings so far needed no change",
        ),
        ({"total_meetings": 300, "succeeded_meetings": 60}, "8 to 10 minutes left"),
        ({"total_meetings": 300, "succeeded_meetings": 60, "skipped_meetings": 60}, "3 to 8 minutes left"),
    ],
)
def test_a_run_tells_by_its_own_pace(values: dict[str, int], sentence: str) -> None:
    now = timezone.now()
    run = Run(**({"attempts": 1, "started_at": now - 2 * MINUTE} | values))

    assert left_of_run(run, now).sentence == sentence
