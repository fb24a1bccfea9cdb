"""Starting, working, watching and pruning runs, by command."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core.management.base import CommandError
from django.utils import timezone
from django_q.models import Task

from migrations_app import tasks
from migrations_app.failures import Failure
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.management.commands import start_meeting_migration
from migrations_app.models import CalendarObject, MailServer, MeetingResult, Run, Update
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tenants_app.wording import plain
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation

MakeUser = Callable[..., ConferencingUser]


@pytest.fixture
def with_meetings(anna: ConferencingUser, outbox: Path) -> ConferencingUser:
    """Anna with a meeting to migrate, one without block and one that is over."""
    EmbeddedMailbox(anna).store(
        [
            ("budget@contoso.com", invitation(anna)),
            ("lunch@contoso.com", invitation(anna, "lunch@contoso.com", days=8, text="Lunch.")),
            ("past@contoso.com", invitation(anna, "past@contoso.com", days=-8)),
        ]
    )
    return anna


def status(command: Command, *arguments: str) -> list[dict[str, object]]:
    return json.loads(command("get_meeting_migration_status", "--format", "json", *arguments))


# --- start, work, look --------------------------------------------------------------------------------


def test_r11_a_run_started_by_hand_ends_with_corrected_meetings_and_one_message_each(
    command: Command, with_meetings: ConferencingUser, outbox: Path
) -> None:
    anna = with_meetings
    assert command("start_meeting_migration", "--user", anna.upn).startswith("anna.rossi@contoso.com: Run, because")
    told = command("run_migrations")
    assert "anna.rossi@contoso.com: Succeeded; 3 meetings: 1 migrated, 2 skipped, 0 failed; 1 message\n" in told
    assert told.endswith("1 run worked.\n")
    assert len(list(outbox.iterdir())) == 1
    assert b"+14255550100" in bytes(CalendarObject.objects.get(uid="budget@contoso.com").body).replace(b"\r\n ", b"")
    command("start_meeting_migration", "--user", anna.upn)
    command("run_migrations", "--until-idle")
    assert len(list(outbox.iterdir())) == 1


def test_r27_a_runs_record_carries_the_names_of_the_specification(
    command: Command, with_meetings: ConferencingUser
) -> None:
    command("start_meeting_migration", "--user", with_meetings.upn)
    command("run_migrations")
    (run,) = status(command)
    assert run["UserPrincipalName"] == "anna.rossi@contoso.com"
    assert run["State"] == "Succeeded"
    assert run["Reasons"] == [f"Started by hand by {AuditEntry.objects.latest('pk').actor}."]
    counts = ("TotalMeeting", "SucceededMeeting", "SkippedMeeting", "FailedMeeting", "InvitesUpdate", "RetryCount")
    assert [run[name] for name in counts] == [3, 1, 2, 0, 1, 0]
    assert datetime.fromisoformat(str(run["CreateDate"])).tzinfo is not None
    rows = list(csv.DictReader(io.StringIO(command("get_meeting_migration_status", "--format", "csv"))))
    assert list(rows[0]) == list(run)


def test_r27_the_history_has_one_row_per_meeting_with_the_block_before_and_after(
    command: Command, with_meetings: ConferencingUser
) -> None:
    command("start_meeting_migration", "--user", with_meetings.upn)
    command("run_migrations")
    arguments = ["get_meeting_migration_history", "--user", with_meetings.upn]
    rows = {row["MeetingUid"]: row for row in json.loads(command(*arguments, "--format", "json"))}
    assert {uid: (row["Outcome"], row["Reason"]) for uid, row in rows.items()} == {
        "budget@contoso.com": ("Succeeded", ""),
        "lunch@contoso.com": ("Skipped", "no-block"),
        "past@contoso.com": ("Skipped", "past"),
    }
    before, after = rows["budget@contoso.com"]["BlockBefore"][0], rows["budget@contoso.com"]["BlockAfter"][0]
    assert (before["Property"], after["Property"]) == ("DESCRIPTION", "DESCRIPTION")
    assert "(206) 555-0111" in before["Text"]
    assert "+1 425-555-0100" in after["Text"]
    assert rows["past@contoso.com"]["BlockBefore"] == []
    correlation_id = rows["past@contoso.com"]["CorrelationId"]
    assert len(command(*arguments, "--correlation-id", correlation_id, "--format", "csv").splitlines()) == 4
    assert "Budget budget@contoso.com" in command(*arguments)
    with pytest.raises(CommandError, match="has no run"):
        command(*arguments, "--correlation-id", str(uuid4()))


def test_a_dry_run_lists_what_would_happen_and_writes_nothing(
    command: Command, with_meetings: ConferencingUser
) -> None:
    stored = bytes(CalendarObject.objects.get(uid="budget@contoso.com").body)
    arguments = ["start_meeting_migration", "--user", with_meetings.upn, "--dry-run"]
    rows = {row["Subject"]: row for row in json.loads(command(*arguments, "--format", "json"))}
    assert {row["MeetingUid"] for row in rows.values()} == {
        f"{name}@contoso.com" for name in ("budget", "lunch", "past")
    }
    assert rows["Budget budget@contoso.com"]["Outcome"] == "Succeeded"
    assert rows["Budget budget@contoso.com"]["Recipients"] == 1
    assert "+1 425-555-0100" in rows["Budget budget@contoso.com"]["BlockAfter"]
    assert rows["Budget past@contoso.com"]["Reason"] == "past"
    assert "no-block" in command(*arguments)
    assert not Run.objects.exists()
    assert bytes(CalendarObject.objects.get(uid="budget@contoso.com").body) == stored


def test_a_dry_run_says_what_would_make_the_run_fail(command: Command, make_user: MakeUser) -> None:
    user = make_user("bruno.costa", bridge=None)
    with pytest.raises(CommandError, match=r"^bruno\.costa@contoso\.com: .*Assign the user a bridge"):
        command("start_meeting_migration", "--user", user.upn, "--dry-run")


def test_it_starts_those_it_can_and_names_those_it_refuses(command: Command, make_user: MakeUser) -> None:
    make_user("anna.rossi")
    make_user("bruno.costa", mailbox_location="on-premises")
    make_user("clara.sanz", conferencing_provider="Intercall")
    errors = io.StringIO()
    with pytest.raises(CommandError, match=r"^2 of 3 users failed or refused"):
        command(
            *("start_meeting_migration", "--user", "anna.rossi@contoso.com", "bruno.costa@contoso.com"),
            *("--user", "clara.sanz@contoso.com"),
            errors=errors,
        )
    assert [run.user.upn for run in Run.objects.all()] == ["anna.rossi@contoso.com"]
    assert "bruno.costa@contoso.com: No run, because the mailbox is on Exchange on-premises" in errors.getvalue()
    assert "clara.sanz@contoso.com: No run, because Intercall" in errors.getvalue()


def test_r12_a_start_is_refused_with_the_reason_while_the_service_is_off(
    command: Command, anna: ConferencingUser, tenant: Tenant
) -> None:
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    for more in ([], ["--dry-run"]):
        with pytest.raises(CommandError, match="No run, because the service is switched off"):
            command("start_meeting_migration", "--user", anna.upn, *more)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "text",
    [
        "# those of the pilot\nanna.rossi@contoso.com\n\n  BRUNO.costa@contoso.com  # and he\nanna.rossi@contoso.com\n",
        "\ufeffDisplayName;UserPrincipalName\r\nAnna;anna.rossi@contoso.com\r\nBruno;bruno.costa@contoso.com\r\n",
        "UserPrincipalName\nanna.rossi@contoso.com\nbruno.costa@contoso.com\n",
    ],
)
def test_it_starts_a_list_of_users(command: Command, make_user: MakeUser, tmp_path: Path, text: str) -> None:
    make_user("anna.rossi")
    make_user("bruno.costa")
    (tmp_path / "list").write_text(text, encoding="utf-8")
    command("start_meeting_migration", "--users-from", str(tmp_path / "list"))
    assert {run.user.upn for run in Run.objects.all()} == {"anna.rossi@contoso.com", "bruno.costa@contoso.com"}


def test_an_unknown_user_in_a_list_starts_nothing(command: Command, anna: ConferencingUser, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("anna.rossi@contoso.com\nnobody@contoso.com\n")
    with pytest.raises(CommandError, match=r"There is no user nobody@contoso\.com in Contoso"):
        command("start_meeting_migration", "--users-from", str(tmp_path / "list"))
    (tmp_path / "list").write_text("# nobody yet\n")
    with pytest.raises(CommandError, match="names no user"):
        command("start_meeting_migration", "--users-from", str(tmp_path / "list"))
    assert not Run.objects.exists()


def test_r19_a_run_waits_for_the_settling_time_unless_started_now(
    command: Command, anna: ConferencingUser, tenant: Tenant
) -> None:
    change_tenant(tenant, ACTOR, settling_time=300)
    command("start_meeting_migration", "--user", anna.upn)
    told = command("run_migrations")
    assert "0 runs worked." in told
    assert "1 run due later, the next at " in told
    command("start_meeting_migration", "--user", anna.upn, "--now")
    assert "1 run worked." in command("run_migrations")


def test_it_waits_for_the_runs_it_started(
    command: Command, with_meetings: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start_meeting_migration.time, "sleep", lambda _: command("run_migrations"))
    errors = io.StringIO()
    told = command("start_meeting_migration", "--user", with_meetings.upn, "--wait", errors=errors)
    assert "Pending 1, InProgress 0, Failed 0, Succeeded 0" in told
    assert told.endswith("Pending 0, InProgress 0, Failed 0, Succeeded 1\n")
    assert "No worker has been seen lately" in errors.getvalue()


def test_waiting_ends_badly_where_a_run_failed(
    command: Command, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user("bruno.costa", bridge=None)
    monkeypatch.setattr(start_meeting_migration.time, "sleep", lambda _: command("run_migrations"))
    with pytest.raises(CommandError, match=r"^bruno\.costa@contoso\.com: .*Assign the user a bridge"):
        command("start_meeting_migration", "--user", user.upn, "--wait")


@pytest.mark.parametrize(
    "arguments",
    [["--dry-run", "--wait"], ["--format", "json"]],
)
def test_options_that_contradict_each_other_are_wrong_usage(
    command: Command, anna: ConferencingUser, arguments: list[str]
) -> None:
    with pytest.raises(CommandError) as caught:
        command("start_meeting_migration", "--user", anna.upn, *arguments)
    assert caught.value.returncode == 2


# --- status -------------------------------------------------------------------------------------------


@pytest.fixture
def three_runs(make_user: MakeUser) -> dict[str, Run]:
    """Anna: failed, then succeeded. Bruno: failed. On days of their own."""
    users = [make_user("anna.rossi"), make_user("bruno.costa")]
    made = {}
    for name, user, state, day in (
        ("first", users[0], Run.State.FAILED, 1),
        ("second", users[0], Run.State.SUCCEEDED, 2),
        ("third", users[1], Run.State.FAILED, 3),
    ):
        Run.objects.filter(user=user).update(is_latest=False)
        at = datetime(2016, 10, day, 15, 0, tzinfo=UTC)
        made[name] = Run.objects.create(
            tenant=user.tenant,
            user=user,
            state=state,
            requested_by="test",
            created=at,
            due_at=at,
            finished_at=at,
        )
    return made


def test_r29_the_summary_counts_users_by_their_latest_run(command: Command, three_runs: dict[str, Run]) -> None:
    counts = {row["State"]: row["UserCount"] for row in status(command, "--summary-only")}
    assert counts == {"Pending": 0, "InProgress": 0, "Failed": 1, "Succeeded": 1}
    assert command("get_meeting_migration_status", "--summary-only", "--format", "csv") == (
        "State,UserCount\nPending,0\nInProgress,0\nFailed,1\nSucceeded,1\n"
    )
    only_anna = {
        row["State"]: row["UserCount"] for row in status(command, "--summary-only", "--user", "anna.rossi@contoso.com")
    }
    assert only_anna == {"Pending": 0, "InProgress": 0, "Failed": 0, "Succeeded": 1}


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], ["third", "second", "first"]),
        (["--user", "ANNA.ROSSI@contoso.com"], ["second", "first"]),
        (["--state", "failed"], ["third", "first"]),
        (["--state", "SUCCEEDED"], ["second"]),
        (["--start-time", "10/2/2016"], ["third", "second"]),
        (["--end-time", "10/2/2016"], ["second", "first"]),
        (["--start-time", "10/2/2016 2:59 PM", "--end-time", "10/2/2016 15:01"], ["second"]),
        (["--start-time", "2016-10-02T17:30:00+02:00"], ["third"]),
        (["--start-time", "2016-10-02T15:00:00Z", "--end-time", "2016-10-02"], ["second"]),
        (["--state", "failed", "--end-time", "2016-10-02 14:00"], ["first"]),
    ],
)
def test_it_filters_runs_newest_first(
    command: Command, three_runs: dict[str, Run], arguments: list[str], found: list[str]
) -> None:
    ids = [row["CorrelationId"] for row in status(command, *arguments)]
    assert ids == [str(three_runs[name].correlation_id) for name in found]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--start-time", "yesterday"], "'yesterday' is not a time"),
        (["--start-time", "13/13/2016"], "is not a time"),
        (["--end-time", "0001-01-01T00:00:00+14:00"], "is not a time"),
        (["--state", "Done"], "'Done' is not a state: use Pending, InProgress, Failed, Succeeded"),
    ],
)
def test_a_filter_that_nobody_understands_is_named(
    command: Command, tenant: Tenant, arguments: list[str], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        status(command, *arguments)


def test_it_says_that_there_are_no_runs(command: Command, tenant: Tenant) -> None:
    assert command("get_meeting_migration_status") == "There are no such runs.\n"
    assert status(command) == []


# --- run_migrations -----------------------------------------------------------------------------------


class Stopwatch:
    """Stands for the event that the command waits for: nobody sets it, and waiting moves the clock at once."""

    def __init__(self, clock: time_machine.Traveller) -> None:
        self.wait = clock.shift

    def is_set(self) -> bool:
        return False

    def set(self) -> None:
        """Asked for only by a signal."""


def test_until_idle_waits_for_the_settling_time(
    command: Command, with_meetings: ConferencingUser, tenant: Tenant, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_tenant(tenant, ACTOR, settling_time=20)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        its_threading = SimpleNamespace(Event=lambda: Stopwatch(clock))
        monkeypatch.setattr("migrations_app.management.commands.run_migrations.threading", its_threading)
        monkeypatch.setattr("migrations_app.monitoring.clock.now", timezone.now)  # a database server does not travel
        began = timezone.now()
        command("start_meeting_migration", "--user", with_meetings.upn)
        told = command("run_migrations", "--until-idle")
        assert timezone.now() - began == timedelta(seconds=20)
    assert told.endswith("1 run worked.\n")
    assert len(list(outbox.iterdir())) == 1


def test_until_idle_does_not_wait_for_a_retry_but_says_when_it_is(
    command: Command, anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise Failure("mailbox-unavailable")

    monkeypatch.setattr(EmbeddedMailbox, "list_candidates", unreachable)
    command("start_meeting_migration", "--user", anna.upn)
    told = command("run_migrations", "--until-idle")
    assert "anna.rossi@contoso.com: Pending; 0 meetings" in told
    assert "The mailbox could not be reached." in told
    assert "1 run due later, the next at " in told


def test_until_idle_does_not_wait_for_a_mail_server_that_is_gone_but_says_when_it_is_tried_again(
    command: Command, with_meetings: ConferencingUser, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    command("start_meeting_migration", "--user", with_meetings.upn)
    told = command("run_migrations", "--until-idle")
    (server,) = MailServer.objects.all()
    assert f"1 message still to be sent, the next at {plain(server.next_try_at)}." in told
    assert "The mail server could not be reached" in told
    assert (Update.objects.get().attempts, Run.objects.get().state) == (0, "Succeeded")


def test_r12_it_leaves_the_runs_of_a_tenant_that_is_off(
    command: Command, anna: ConferencingUser, tenant: Tenant
) -> None:
    command("start_meeting_migration", "--user", anna.upn)
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    told = command("run_migrations", "--until-idle")
    assert "0 runs worked." in told
    assert "1 run of tenants whose service is switched off: waiting." in told
    assert Run.objects.get().state == "Pending"


def test_ctrl_c_stops_after_the_present_run(
    command: Command, make_user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_run = tasks.work_run
    before = signal.getsignal(signal.SIGINT)

    def interrupted(run: Run) -> None:
        signal.raise_signal(signal.SIGINT)
        work_run(run)

    monkeypatch.setattr(tasks, "work_run", interrupted)
    for name in ("anna.rossi", "bruno.costa"):
        command("start_meeting_migration", "--user", make_user(name).upn)
    with pytest.raises(CommandError, match=r"^Stopped before the queue was empty"):
        command("run_migrations", "--until-idle")
    assert sorted(Run.objects.values_list("state", flat=True)) == ["Pending", "Succeeded"]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_lost_lease_is_taken_up_again(command: Command, with_meetings: ConferencingUser) -> None:
    command("start_meeting_migration", "--user", with_meetings.upn)
    Run.objects.update(
        state=Run.State.IN_PROGRESS, lease_token=uuid4(), lease_until=timezone.now() - timedelta(seconds=1), attempts=1
    )
    assert "Succeeded" in command("run_migrations")


# --- prune_history ------------------------------------------------------------------------------------


def test_r30_it_prunes_old_runs_but_no_latest_run_and_nothing_unsent(
    command: Command, make_user: MakeUser, three_runs: dict[str, Run]
) -> None:
    user = three_runs["first"].user
    results = {
        name: MeetingResult.objects.create(run=run, uid="x", outcome="Succeeded") for name, run in three_runs.items()
    }
    Update.objects.create(result=results["first"], recipient_count=1, state=Update.State.SENT)
    unsent = Run.objects.create(
        tenant=user.tenant,
        user=user,
        state=Run.State.SUCCEEDED,
        is_latest=False,
        due_at=timezone.now(),
        finished_at=three_runs["first"].finished_at,
    )
    Update.objects.create(
        result=MeetingResult.objects.create(run=unsent, uid="x", outcome="Succeeded"), recipient_count=1
    )
    recent = Run.objects.create(
        tenant=user.tenant,
        user=user,
        state=Run.State.SUCCEEDED,
        is_latest=False,
        due_at=timezone.now(),
        finished_at=timezone.now() - timedelta(days=149),
    )
    for age in (1, 151):
        at = timezone.now() - timedelta(days=age)
        Task.objects.create(id=uuid4().hex, name="wake-up", func="f", started=at, stopped=at, success=True)
    audited = AuditEntry.objects.count()
    told = command("prune_history")
    assert (
        told == "Deleted 1 run with 1 meeting and 1 message, 0 user imports, and 1 wake-up, all older than 150 days.\n"
    )
    assert set(Run.objects.all()) == {three_runs["second"], three_runs["third"], unsent, recent}
    assert Task.objects.count() == 1
    assert AuditEntry.objects.count() == audited
    command("prune_history", "--days", "100")
    assert recent not in set(Run.objects.all())
