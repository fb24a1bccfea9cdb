"""The dashboard: states of users, what failed, what runs, what waits, what could not be sent."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import Heartbeat, MailServer, Run, Sample, Update
from migrations_app.monitoring.health import workers
from migrations_app.screens import charts
from migrations_app.screens.charts import WIDTH, bars, stacked_bar
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import create_user
from tenants_app.models import ConferencingUser, MailboxConnection, Role, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.pages import announced, words

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
RETRY = "/contoso/users/selected/retry/?failed_by=any&amp;all=2"


def steps(page: HttpResponse) -> dict[str, bool]:
    """The first steps of the dashboard, each with whether it is ticked."""
    return {step.name: step.is_done for step, _ in page.context["steps"]}


def test_the_first_steps_lead_to_pages_and_are_ticked_as_they_are_done(alice: Client, tenant: Tenant) -> None:
    empty = alice.get("/contoso/")
    links = re.findall(r'<a class="who" href="([^"]+)">', empty.content.decode())
    bridge = set_bridge(tenant, "Europe", ACTOR)
    some = alice.get("/contoso/")
    register_number(bridge, "+442079460123", ServiceNumber.Kind.TOLL, ACTOR)
    user = create_user(tenant, ACTOR, upn="anna.rossi@contoso.com", bridge=bridge)
    invite(user)
    more = alice.get("/contoso/")

    assert [alice.get(link).status_code for link in links] == [200] * 6
    assert "manage.py" not in empty.content.decode()
    assert [name for name, is_done in steps(empty).items() if is_done] == ["Switch meeting migration on"]
    assert steps(some)["Add a bridge"]
    assert f'href="{bridge.get_absolute_url()}">Give it a toll number' in some.content.decode()
    assert [name for name, is_done in steps(more).items() if not is_done] == [
        "Choose how mail goes out",
        "Migrate a first user",
    ]
    assert "First steps 2 left" in words(more.content)


def test_the_first_steps_go_when_a_migration_has_succeeded(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, "Failed")
    failed = alice.get("/contoso/")
    make_run(anna, "Succeeded")
    succeeded = alice.get("/contoso/")

    assert steps(failed)["Migrate a first user"]
    assert 'id="first-steps"' in failed.content.decode()
    assert "steps" not in succeeded.context
    assert "first steps" not in succeeded.content.decode().lower()


@pytest.mark.parametrize("name", ["vera", "bob"])
def test_the_first_steps_say_who_can_do_what_one_may_not(
    request: pytest.FixtureRequest, alice: Client, name: str
) -> None:
    page = words(request.getfixturevalue(name).get("/contoso/").content)

    assert "This needs the role admin: alice can do it." in page
    assert ("This needs the role operator" in page) == (name == "vera")
    assert "This needs the role" not in words(alice.get("/contoso/").content)


def test_the_first_steps_say_where_nobody_can(vera: Client) -> None:
    Role.objects.exclude(account__username="vera").delete()
    assert "Nobody has the role admin yet: whoever runs MMS for you gives it." in words(vera.get("/contoso/").content)


def test_the_first_steps_are_put_away_in_one_browser_and_come_back(alice: Client, bob: Client) -> None:
    assert alice.post("/contoso/first-steps/").url == "/contoso/"
    away, others = alice.get("/contoso/"), bob.get("/contoso/")
    alice.post("/contoso/first-steps/", {"show": "1"})
    back = alice.get("/contoso/")

    assert 'id="first-steps"' not in away.content.decode()
    assert "Show the first steps" in words(away.content)
    assert 'id="first-steps"' in others.content.decode()
    assert 'id="first-steps"' in back.content.decode()


def test_it_says_what_starts_a_run_where_there_are_users(alice: Client, anna: ConferencingUser) -> None:
    alice.post("/contoso/first-steps/")
    page = words(alice.get("/contoso/").content)

    assert "No migration has succeeded yet" in page
    assert "open a user" in page


def test_r29_it_counts_users_by_the_state_of_their_latest_run(
    alice: Client, make_user: MakeUser, make_run: MakeRun
) -> None:
    anna, bruno = make_user("anna"), make_user("bruno")
    make_user("never")
    make_run(anna, "Failed", last_error_code="no-bridge")
    make_run(anna, "Succeeded")
    make_run(bruno, "Succeeded")
    page = words(alice.get("/contoso/").content)

    assert "0 Failed" in page
    assert "2 Succeeded" in page
    assert "Succeeded 2 100.0 %" in page
    assert "No run yet 1" in page
    assert "Nobody can dial in" not in page


def test_r31_it_says_of_a_failed_user_what_happened_and_what_to_do(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, "Failed", last_error_code="no-dial-in-number", last_error_detail="bridge Old bridge")
    page = words(alice.get("/contoso/").content)

    assert "1 user could not be migrated." in page
    assert "Nobody can dial in to the meetings that were not updated until it is put right" in page
    assert "no toll number to print: bridge Old bridge." in page
    assert "Register a toll number on the bridge" in page


@pytest.mark.parametrize("code", ["no-dial-in-number", "mailbox-unavailable"])
def test_it_asks_no_more_questions_for_more_failed_users(
    alice: Client, make_user: MakeUser, make_run: MakeRun, code: str
) -> None:
    asked = []
    for names in (["anna"], ["bruno", "clara", "david"]):
        for name in names:
            make_run(make_user(name), "Failed", last_error_code=code)
        alice.get("/contoso/")
        with CaptureQueriesContext(connection) as queries:
            alice.get("/contoso/")
        asked.append(len(queries))

    assert asked[0] == asked[1]


def test_it_retries_everyone_whose_latest_run_failed(
    bob: Client, make_user: MakeUser, make_run: MakeRun, wakes: list[Any]
) -> None:
    anna, bruno, clara = make_user("anna"), make_user("bruno"), make_user("clara")
    for user in (anna, bruno):
        make_run(user, "Failed", last_error_code="mailbox-sign-in-refused")
    make_run(clara, "Succeeded")
    assert f'href="{RETRY}"' in bob.get("/contoso/").content.decode()
    answer = bob.post(html.unescape(RETRY), {"seen": "2"}, follow=True)

    pending = Run.objects.filter(state="Pending")
    assert {run.user for run in pending} == {anna, bruno}
    assert all(run.due_at <= timezone.now() for run in pending)
    assert "Run, because it was started by hand. 2 users" in words(answer.content)


def test_it_retries_one_user_from_the_run_that_failed(
    bob: Client, anna: ConferencingUser, make_run: MakeRun, wakes: list[Any]
) -> None:
    run = make_run(anna, "Failed", last_error_code="no-bridge")
    answer = bob.post(f"/contoso/migrations/{run.correlation_id}/start-again/")
    started = Run.objects.get(state="Pending")

    assert answer.url == f"/contoso/migrations/{started.correlation_id}/"
    assert started.reasons == [{"rule": "R11", "sentence": "Started by hand by bob."}]


def test_it_shows_the_progress_of_what_is_running(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    make_run(anna, "InProgress", total_meetings=1200, succeeded_meetings=1000, skipped_meetings=34)
    page = alice.get("/contoso/").content

    assert b'max="1200" value="1034"' in page
    assert "1,034 of 1,200 meetings" in words(page)


def test_it_shows_when_a_pending_run_begins_and_lets_an_operator_begin_it_now(
    bob: Client, anna: ConferencingUser, make_run: MakeRun, wakes: list[Any]
) -> None:
    run = make_run(anna, "Pending", due_at=timezone.now() + timedelta(minutes=4, seconds=30))
    page = words(bob.get("/contoso/").content)
    answer = bob.post(f"/contoso/migrations/{run.correlation_id}/run-now/", follow=True)

    run.refresh_from_db()
    assert "Begins 4 minutes from now" in page
    assert run.due_at <= timezone.now()
    assert "begins as soon as a worker is free" in words(answer.content)


def test_it_refreshes_every_2_seconds_while_something_happens_else_every_15(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    quiet = alice.get("/contoso/").content
    make_run(anna, "InProgress")
    busy = alice.get("/contoso/").content

    assert b'hx-trigger="every 15s, shown"' in quiet
    assert b'hx-trigger="every 2s, shown"' in busy


def test_it_tells_a_screen_reader_what_changed(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    make_run(anna, "InProgress")
    fragment = alice.get("/contoso/", headers={"HX-Request": "true"}).content

    assert announced(fragment) == "1 in progress, 0 pending, 0 failed, 0 succeeded"


def test_it_counts_the_messages_that_wait_and_names_those_that_were_refused(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    run = make_run(anna, meetings=[("Weekly sync", "Succeeded", ""), ("Budget", "Succeeded", "")])
    Update.objects.filter(result__subject="Budget").update(state="Queued")
    Update.objects.filter(result__subject="Weekly sync").update(state="Failed", error_code="mail-refused")
    page = words(alice.get("/contoso/").content)

    assert "Waiting to be sent 1" in page
    assert "Could not be sent 1" in page
    assert "The mail server refused the message." in page
    assert str(run.correlation_id) in alice.get("/contoso/").content.decode()


@pytest.mark.skipif(
    "connection.vendor == 'postgresql'",
    reason="PostgreSQL plans by statistics, which the few rows of a test do not have",
)
def test_it_looks_for_messages_that_wait_or_failed_among_those_alone(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, meetings=[("Weekly sync", "Succeeded", ""), ("Budget", "Succeeded", "")])
    Update.objects.filter(result__subject="Budget").update(state="Failed", error_code="mail-refused")
    with CaptureQueriesContext(connection) as queries:
        alice.get("/contoso/")
    about_messages = [query["sql"] for query in queries if 'FROM "migrations_app_update"' in query["sql"]]
    about_messages = [sql for sql in about_messages if '"result_id" IN' not in sql]  # the three that are shown, by key
    plans = []
    with connection.cursor() as cursor:
        for query in about_messages:
            cursor.execute(f"{connection.ops.explain_query_prefix()} {query}")
            plans.append(str(cursor.fetchall()))

    assert len(plans) == 3
    for plan in plans:
        assert "waiting_updates" in plan or "failed_updates_by_due_time" in plan


def test_r12_it_says_what_it_means_that_the_service_is_off(
    alice: Client, anna: ConferencingUser, make_run: MakeRun, tenant: Tenant
) -> None:
    make_run(anna, "Pending")
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    page = words(alice.get("/contoso/").content)

    assert "The service is off for Contoso." in page
    assert "1 pending run waits until it is on again" in page
    assert "Waits until the service is on" in page


def test_it_warns_when_work_waits_and_the_workers_are_silent(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, "Pending")
    Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(minutes=7))
    silent = words(alice.get("/contoso/").content)
    Heartbeat.objects.update(at=timezone.now())
    alive = words(alice.get("/contoso/").content)

    assert "The background workers are silent." in silent
    assert "silent" not in alive


@pytest.mark.parametrize(("minutes", "is_silent"), [(None, True), (4, True), (2, False)])
def test_it_takes_workers_for_silent_when_the_checks_do(
    alice: Client, anna: ConferencingUser, make_run: MakeRun, minutes: int | None, is_silent: bool
) -> None:
    make_run(anna, "Pending")
    if minutes is not None:
        Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(minutes=minutes))
    page = words(alice.get("/contoso/").content)

    assert ("The background workers are silent." in page) is is_silent
    assert ("They have not given a sign of life yet" in page) is (minutes is None)
    assert workers().are_silent is is_silent


def test_it_says_when_the_mail_server_is_silent_how_many_wait_and_when_it_is_tried_again(
    alice: Client, anna: ConferencingUser, make_run: MakeRun, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "mail.contoso.com", 25
    Heartbeat.objects.create(name="worker", at=timezone.now())
    make_run(anna, "Succeeded", [("Weekly sync", "Succeeded", ""), ("Budget", "Succeeded", "")])
    Update.objects.update(state="Queued", sent_at=None)
    well = words(alice.get("/contoso/").content)
    server = MailServer.objects.create(
        name="mail.contoso.com:25",
        failures=5,
        failing_since=timezone.now() - timedelta(minutes=40),
        next_try_at=timezone.now() + timedelta(minutes=7, seconds=30),
    )
    answer = alice.get("/contoso/")
    silent = words(answer.content)
    Update.objects.update(state="Sent")
    idle = words(alice.get("/contoso/").content)

    assert "The mail server does not answer." in silent
    assert "2 messages wait; none is lost. MMS tries again 7 minutes from now" in silent
    assert f"{server.failing_since:%H:%M}" in silent
    assert answer.context["seconds_to_refresh"] == 15
    assert "mail server" not in well + idle


def test_it_draws_a_bar_in_which_one_failure_among_thousands_is_seen() -> None:
    segments = stacked_bar({"Failed": 1, "Pending": 0, "Succeeded": 99_999})

    assert [segment.width > 0 for segment in segments] == [True, False, True]
    assert segments[0].width > 5
    assert sum(segment.width for segment in segments) == WIDTH
    assert stacked_bar({"Failed": 0})[0].width == 0


def test_it_shows_how_far_all_is_and_why_the_remaining_time_is_not_known(
    alice: Client, make_user: MakeUser, make_run: MakeRun
) -> None:
    make_run(make_user("anna"), "InProgress", total_meetings=1200, succeeded_meetings=1000)
    make_run(make_user("bruno"), "Pending", planned_meetings=300)
    make_run(make_user("clara"), "Pending", due_at=timezone.now() + timedelta(hours=9), planned_meetings=40)
    page = words(alice.get("/contoso/").content)

    assert "1,000 of 1,500 meetings , 0 of 2 users" in page
    assert "MMS measures for 3 minutes first (0 so far)" in page
    assert "Waiting, apart and not in the remaining time: 1 for the time to begin" in page


def test_it_says_how_fast_it_goes_and_how_long_it_takes(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna, "InProgress", total_meetings=600)
    _measure(anna.tenant, 3, runs_ended=2, meetings=20)
    page = words(alice.get("/contoso/").content)

    assert "25 to 36 minutes left" in page
    assert "20 meetings and 2 users a minute" in page
    assert "what was really done for Contoso in the 3 minutes" in page


@pytest.mark.parametrize(
    ("is_on", "reason"), [(False, "the service is off"), (True, "the background workers are silent")]
)
def test_it_foretells_nothing_where_nobody_works(
    alice: Client, anna: ConferencingUser, make_run: MakeRun, is_on: bool, reason: str
) -> None:
    make_run(anna, "Pending", planned_meetings=600)
    _measure(anna.tenant, 3, runs_ended=2, meetings=20)
    change_tenant(anna.tenant, ACTOR, meeting_migration_enabled=is_on)
    page = words(alice.get("/contoso/").content)

    assert f"Remaining time not known: {reason}." in page
    assert "minutes left" not in page


def test_the_charts_show_gaps_and_their_table_says_the_same(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    make_run(anna)
    _measure(anna.tenant, 2, succeeded=1, sent=4, failures={"no-bridge": 1, "a-code-of-old": 1})
    answer = alice.get("/contoso/?over=hour").content
    page = words(answer)

    assert b'class="gap" x="0"' in answer.replace(b'x="0.0"', b'x="0"')
    assert "measured 2 minutes of it" in page
    assert "Updates sent 4 8" in page
    assert "a-code-of-old 1 2" in page
    assert page.count("not measured") > 5
    assert "style=" not in answer.decode()


@pytest.mark.parametrize(("asked", "shown"), [("month", "Last 30 days"), ("nonsense", "Last day"), ("", "Last day")])
def test_the_stretch_is_in_the_address(
    alice: Client, anna: ConferencingUser, make_run: MakeRun, asked: str, shown: str
) -> None:
    make_run(anna)
    answer = alice.get("/contoso/", {"over": asked}).content.decode()

    assert f'aria-current="true">{shown}</a>' in answer
    assert "Nothing was measured" in words(answer.encode())


def test_a_chart_breaks_where_nothing_was_measured() -> None:
    drawn = charts.steps([1, None, 2, 2])

    assert drawn.line.count("M") == 2
    assert [(gap.x, gap.width) for gap in drawn.gaps] == [(250, 250)]
    assert [bar.x for bar in bars([0, 3, None, 1]).bars] == [250, 750]
    assert charts.steps([]).line == charts.steps([None]).line == ""


def _measure(tenant: Tenant, minutes: int, **values: Any) -> None:
    end = timezone.now().replace(second=0, microsecond=0)
    Sample.objects.bulk_create(
        Sample(tenant=tenant, at=end - timedelta(minutes=back), **values) for back in range(minutes)
    )


def test_a_failure_that_an_undo_puts_right_offers_the_undo_and_no_retry(
    bob: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    run = make_run(
        anna, "Failed", [("Budget", "Failed", "join-link-changed")], last_error_code="join-link-changed", is_latest=True
    )
    for address in ("/contoso/", "/contoso/failures/"):
        page = bob.get(address).content.decode()
        assert "Retry 1 user" not in page
        assert f'id="retry-{run.pk}"' not in page
    undo = f'href="/contoso/migrations/{run.correlation_id}/undo/"'
    assert undo in bob.get("/contoso/").content.decode()
    Run.objects.update(last_error_code="no-bridge")
    assert f'id="retry-{run.pk}"' in bob.get("/contoso/").content.decode()
    assert "Retry 1 user" in bob.get("/contoso/failures/").content.decode()


@pytest.mark.parametrize(
    ("days", "told"),
    [
        (31, ""),
        (29, "What Exchange Online signs in to Microsoft with ends on"),
        (-1, "What Exchange Online signs in to Microsoft with ended on"),
    ],
)
def test_a_secret_that_ends_is_told_thirty_days_before(vera: Client, tenant: Tenant, days: int, told: str) -> None:
    connection = create_connection(
        tenant,
        ACTOR,
        "Exchange Online",
        kind="graph",
        directory_id="11111111-2222-3333-4444-555555555555",
        username="66666666-7777-8888-9999-000000000000",
        password="a secret of Microsoft's",
        secret_expires_at=timezone.now() + timedelta(days=60),
    )
    ends = timezone.now() + timedelta(days=days, minutes=5)
    MailboxConnection.objects.update(secret_expires_at=ends)  # as time goes by
    page = vera.get("/contoso/")
    said = words(page.content)
    assert told in said
    assert ("signs in to Microsoft" in said, str(connection.get_absolute_url()) in page.content.decode()) == (
        bool(told),
        bool(told),
    )
