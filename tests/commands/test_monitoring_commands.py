"""check_migrations and check_worker: one line and an exit status, as monitoring systems expect."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.management import call_command
from django.db import OperationalError, connection  # noqa: F401 - for the condition of a skipped test
from django.utils import timezone

from migrations_app.models import Heartbeat, MailServer, MeetingResult, Run, Update
from migrations_app.monitoring.health import beat
from tenants_app.changes.mail_servers import change_mail_server
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import Command

MakeUser = Callable[..., ConferencingUser]


def check(*arguments: str) -> tuple[int, str]:
    """The exit status and the line."""
    output = io.StringIO()
    with redirect_stdout(output), pytest.raises(SystemExit) as stopped:
        call_command(*arguments)
    (line,) = output.getvalue().splitlines()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, line


@pytest.fixture
def make_run(make_user: MakeUser) -> Callable[..., Run]:
    def make(number: int, state: str, minutes: int = 0, **values: Any) -> Run:
        user = make_user(f"user{number}")
        at = timezone.now() - timedelta(minutes=minutes)
        if state == Run.State.IN_PROGRESS:
            values = {"lease_token": uuid4(), "lease_until": timezone.now() + timedelta(seconds=30)} | values
        return Run.objects.create(tenant=user.tenant, user=user, state=state, due_at=at, created=at, **values)

    return make


def test_all_is_well_where_nothing_failed(tenant: Tenant) -> None:
    code, line = check("check_migrations")
    assert code == 0
    assert line.startswith("MMS OK - 0 users pending, 0 in progress, none failed | failed=0;1;10;0 pending=0;;;0 ")


@pytest.mark.parametrize(
    ("failed", "arguments", "code"),
    [
        (1, [], 1),
        (2, ["--warning", "3", "--critical", "4"], 0),
        (3, ["--warning", "3", "--critical", "4"], 1),
        (4, ["--warning", "3", "--critical", "4"], 2),
    ],
)
def test_it_counts_users_whose_latest_run_failed(
    make_run: Callable[..., Run], failed: int, arguments: list[str], code: int
) -> None:
    for number in range(failed):
        make_run(number, Run.State.FAILED)
    found, line = check("check_migrations", *arguments)
    assert found == code
    assert line.startswith(f"MMS {('OK', 'WARNING', 'CRITICAL')[code]} - ")
    assert f"failed={failed};" in line


def test_a_failure_that_somebody_has_accepted_does_not_alarm(make_run: Callable[..., Run]) -> None:
    make_run(1, Run.State.FAILED, accepted_at=timezone.now())
    code, line = check("check_migrations")
    assert code == 0
    assert "none failed beside 1 accepted | failed=0;1;10;0 " in line
    assert line.endswith(" accepted=1;;;0")
    make_run(2, Run.State.FAILED)
    assert check("check_migrations")[0] == 1


@pytest.mark.parametrize(("minutes", "code"), [(59, 0), (61, 1), (121, 2)])
def test_a_due_run_that_waits_too_long_alarms(make_run: Callable[..., Run], minutes: int, code: int) -> None:
    make_run(1, Run.State.PENDING, minutes)
    found, line = check("check_migrations")
    assert found == code
    assert re.search(rf"oldest_pending={minutes * 60}s;3600;7200;0", line)
    assert check("check_migrations", "--max-age", "1000")[0] == 0


def test_a_run_that_is_not_due_or_switched_off_does_not_alarm(make_run: Callable[..., Run], tenant: Tenant) -> None:
    make_run(1, Run.State.PENDING, -600)
    assert check("check_migrations")[0] == 0
    make_run(2, Run.State.PENDING, 600)
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    assert check("check_migrations")[0] == 0


def test_messages_that_wait_or_were_refused_alarm(make_run: Callable[..., Run]) -> None:
    result = MeetingResult.objects.create(run=make_run(1, Run.State.SUCCEEDED), uid="x", outcome="Succeeded")
    update = Update.objects.create(
        result=result, recipient_count=3, queued_at=timezone.now() - timedelta(minutes=61), attempts=4
    )
    code, line = check("check_migrations")
    assert (code, "a message has waited for 61 min" in line) == (1, True)
    update.state, update.error_code = Update.State.FAILED, "mail-refused"
    update.save()
    code, line = check("check_migrations")
    assert (code, "1 message refused by the mail server" in line) == (1, True)
    update.state, update.error_code = Update.State.SUPERSEDED, "meeting-gone"
    update.save()
    assert check("check_migrations")[0] == 0


def test_it_can_look_at_one_tenant(make_run: Callable[..., Run], tenant: Tenant) -> None:
    make_run(1, Run.State.FAILED)
    create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    assert check("check_migrations")[0] == 1
    assert check("check_migrations", "--tenant", "fabrikam")[0] == 0


def test_it_warns_of_a_service_that_is_off_and_of_users_out_of_date_where_that_is_asked_for(
    tenant: Tenant, make_user: MakeUser
) -> None:
    make_user("anna")
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False, local_numbers_url="https://contoso.com/numbers")
    asked = ["--service-on", "--out-of-date"]

    assert check("check_migrations")[0] == 0
    code, line = check("check_migrations", *asked, "0")
    assert code == 1
    assert "the invitations of 1 user are out of date (start_meeting_migration --out-of-date" in line
    assert "the service is switched off for contoso" in line
    assert "out_of_date=1;0;;0" in line
    assert "out of date" not in check("check_migrations", *asked, "1")[1].partition("|")[0]
    change_tenant(tenant, ACTOR, meeting_migration_enabled=True)
    assert check("check_migrations", *asked, "1", "--tenant", "contoso")[0] == 0


@pytest.mark.parametrize(
    "arguments",
    [["--warning", "5", "--critical", "2"], ["--warning", "many"], ["--tenant", "nowhere"], ["--nonsense"]],
)
def test_what_it_cannot_understand_is_unknown(tenant: Tenant, arguments: list[str]) -> None:
    code, line = check("check_migrations", *arguments)
    assert code == 3
    assert line.startswith("MMS UNKNOWN - ")


def test_a_database_that_does_not_answer_is_unknown(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("migrations_app.management.commands.check_migrations.queue_state", broken)
    assert check("check_migrations") == (
        3,
        "MMS UNKNOWN - The database cannot be used (connection refused): check DATABASE_URL and that its server runs.",
    )


@pytest.mark.parametrize(("minutes", "code"), [(1, 0), (4, 1), (11, 2), (None, 2)])
def test_a_cluster_that_gives_no_sign_of_life_alarms(tenant: Tenant, minutes: int | None, code: int) -> None:
    if minutes is not None:
        Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(minutes=minutes))
    assert check("check_worker")[0] == code


# --- clocks that are set (a cluster that was dead counted as alive, "0 s ago") ---------------------------


def test_a_heartbeat_in_the_future_is_no_heartbeat_and_the_clock_is_told(tenant: Tenant) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now() + timedelta(minutes=121))
    code, line = check("check_worker")
    assert code == 2
    assert "the cluster has given no sign of life" in line
    assert "the clock was set back: something bears a time that is 2 h ahead" in line
    assert "heartbeat=U" in line


def test_a_lease_from_before_the_clock_was_set_back_is_no_sign_of_life(make_run: Callable[..., Run]) -> None:
    make_run(1, Run.State.IN_PROGRESS, lease_until=timezone.now() + timedelta(hours=2))
    code, line = check("check_worker")
    assert (code, "no sign of life" in line) == (2, True)


def test_clocks_that_differ_by_seconds_are_nothing_to_tell(tenant: Tenant) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now() + timedelta(seconds=30))
    assert check("check_worker")[0] == 0


def test_runs_that_bear_a_time_to_come_are_told_though_the_cluster_lives(make_run: Callable[..., Run]) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())
    make_run(1, Run.State.PENDING, -121)
    code, line = check("check_worker")
    assert (code, "the clock was set back: something bears a time that is 2 h ahead" in line) == (1, True)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has no other clock than this machine's")
@pytest.mark.parametrize(("hours", "word"), [(2, "ahead of"), (-2, "behind")])
def test_a_machine_whose_clock_differs_from_the_database_servers_is_told(tenant: Tenant, hours: int, word: str) -> None:
    beat()
    with time_machine.travel(timezone.now() + timedelta(hours=hours, minutes=1 if hours > 0 else -1)):
        code, line = check("check_worker")
    assert (code, f"the clock of this machine is 2 h {word} the database server's" in line) == (1, True)
    assert "heartbeat=0s" in line


def test_a_queue_that_nobody_moves_alarms_though_the_cluster_lives(make_run: Callable[..., Run]) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())
    make_run(1, Run.State.PENDING, 6)
    code, line = check("check_worker")
    assert (code, "a due run has waited for 6 min and none is in progress" in line) == (2, True)
    make_run(2, Run.State.IN_PROGRESS)
    assert check("check_worker")[0] == 0


def test_whoever_works_the_queue_in_a_terminal_gives_a_sign_of_life(tenant: Tenant, command: Command) -> None:
    assert check("check_worker")[0] == 2
    command("run_migrations")
    assert check("check_worker")[0] == 0


def test_a_worker_that_is_long_at_work_on_a_run_is_not_silent(make_run: Callable[..., Run]) -> None:
    """It renews its lease on the run meanwhile; the heartbeat stands only before and after a run."""
    Heartbeat.objects.create(name="worker", at=timezone.now() - timedelta(minutes=30))
    run = make_run(1, Run.State.IN_PROGRESS, 30)
    assert check("check_worker")[0] == 0
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - timedelta(minutes=1))
    assert check("check_worker")[0] == 2


@pytest.fixture
def unsent(make_run: Callable[..., Run]) -> Update:
    result = MeetingResult.objects.create(run=make_run(1, Run.State.SUCCEEDED), uid="x", outcome="Succeeded")
    return Update.objects.create(result=result, recipient_count=3)


def silent_mail_server(settings: Any, minutes: int) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "mail.contoso.com", 25
    now = timezone.now()
    MailServer.objects.create(
        name="mail.contoso.com:25",
        failures=4,
        failing_since=now - timedelta(minutes=minutes),
        next_try_at=now + timedelta(minutes=2),
        last_error="no answer in time",
    )


@pytest.mark.parametrize(("minutes", "code"), [(3, 1), (14, 1), (16, 2)])
def test_a_mail_server_that_does_not_answer_alarms(settings: Any, unsent: Update, minutes: int, code: int) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())
    silent_mail_server(settings, minutes)
    found, line = check("check_worker")
    assert found == code
    assert (
        f"the mail server has not answered for {minutes} min (no answer in time), messages waiting: 1; "
        "check EMAIL_URL and the server" in line
    )
    assert f"mail_unanswered={minutes * 60}s;0;900;0 unsent=1;;;0" in line


def test_a_tenants_silent_mail_server_alarms_by_its_name(settings: Any, unsent: Update) -> None:
    tenant = unsent.result.run.tenant
    Update.objects.update(tenant=tenant)
    change_mail_server(tenant, ACTOR, host="smtp.contoso.com")
    MailServer.objects.create(
        name="smtp.contoso.com:587 of contoso",
        failures=3,
        failing_since=timezone.now() - timedelta(minutes=20),
        next_try_at=timezone.now(),
        last_error="no answer in time",
    )
    Heartbeat.objects.create(name="worker", at=timezone.now())
    code, line = check("check_worker")
    assert code == 2
    assert "the mail server smtp.contoso.com:587 of contoso has not answered for 20 min" in line
    assert "messages waiting: 1; check get_mail_server" in line


def test_a_silent_mail_server_for_which_nothing_waits_does_not_alarm(settings: Any, unsent: Update) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())
    silent_mail_server(settings, 100)
    unsent.delete()
    assert check("check_worker")[0] == 0


def test_a_mail_server_that_is_in_use_no_more_does_not_alarm(settings: Any, unsent: Update) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())
    silent_mail_server(settings, 100)
    settings.EMAIL_HOST = "mail2.contoso.com"
    code, line = check("check_worker")
    assert (code, "mail_unanswered=0s;0;900;0 unsent=1" in line) == (0, True)
