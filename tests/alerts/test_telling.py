"""What is told, when, and as how many messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.alerts.actions import change_alerts
from migrations_app.alerts.quiet import is_quiet
from migrations_app.mailboxes.base import NO_END
from migrations_app.models import (
    Alert,
    AlertDelivery,
    AlertEvent,
    AlertSettings,
    BulkAction,
    ChatArchive,
    ChatPlan,
    ChatTarget,
    Heartbeat,
    LeftMeeting,
    NumberRelease,
    Preview,
    RolloutEvent,
    Run,
    UserImport,
)
from migrations_app.monitoring.health import beat
from migrations_app.rollouts.events import note
from tenants_app.changes.mailboxes import change_connection, create_connection, remove_connection
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tenants_app.sentences import sentence
from tests.alerts.conftest import NOW, work
from tests.support.actors import ACTOR
from tests.support.meetings import messages_in
from tests.support.rollouts import a_rollout, a_wave

pytestmark = pytest.mark.usefixtures("outbox", "wakes")
Minutes = Callable[[int], None]
MakeRun = Callable[..., Run]


def titles() -> list[str]:
    return [str(alert) for alert in Alert.objects.order_by("pk")]


def fail(user: ConferencingUser, make_run: MakeRun, code: str = "no-bridge") -> Run:
    user.runs.update(is_latest=False)
    run = make_run(user, "Failed", last_error_code=code)
    Run.objects.filter(pk=run.pk).update(finished_at=timezone.now(), is_latest=True)
    return run


def refuse(connection: MailboxConnection, code: str = "mailbox-sign-in-refused") -> None:
    MailboxConnection.objects.filter(pk=connection.pk).update(problem_code=code, problem_since=timezone.now())


def let_in(connection: MailboxConnection) -> None:
    MailboxConnection.objects.filter(pk=connection.pk).update(problem_code="", problem_since=None)


@pytest.fixture
def connection(tenant: Tenant) -> MailboxConnection:
    return create_connection(tenant, ACTOR, "Nextcloud", address="https://dav.contoso.com/")


def test_a_thousand_failures_are_one_message(
    wanted: AlertSettings, make_users: Any, make_run: MakeRun, outbox: Path, hands: Any
) -> None:
    users = make_users({f"user{number}": {} for number in range(1000)})
    failed = {"state": "Failed", "requested_by": "test", "due_at": timezone.now(), "finished_at": timezone.now()}
    Run.objects.bulk_create(
        Run(tenant=user.tenant, user=user, last_error_code="no-bridge" if i < 900 else "mailbox-not-found", **failed)
        for i, user in enumerate(users)
    )
    for _ in range(5):
        work()
        hands.shift(timedelta(minutes=1))
    (message,) = messages_in(outbox)
    assert message["Subject"] == "[MMS Contoso] 1,000 runs failed"
    text = message.get_content()
    assert "900 × Audio conferencing is on, but the user has no bridge." in text
    assert "100 × The mailbox, or the calendar in it, is not there." in text
    assert "Assign the user a bridge, then retry." in text
    assert "user0@contoso.com, user100@contoso.com" in text
    assert "user999@contoso.com" not in text
    assert "https://mms.contoso.com/contoso/failures/no-bridge/" in text


def test_what_goes_on_happening_is_gathered_for_no_longer_than_the_pause(
    wanted: AlertSettings, make_user: Any, make_run: MakeRun, hands: Any
) -> None:
    for number in range(25):
        fail(make_user(f"user{number}"), make_run)
        work()
        hands.shift(timedelta(seconds=35))
    hands.shift(timedelta(minutes=11))
    work()
    counts = [alert.content["failed_runs"]["count"] for alert in Alert.objects.order_by("pk")]
    assert sum(counts) == 25
    assert len(counts) == 2


def test_two_messages_are_no_closer_than_the_pause(
    wanted: AlertSettings, make_user: Any, make_run: MakeRun, minutes: Minutes
) -> None:
    fail(make_user("anna"), make_run)
    minutes(2)
    fail(make_user("bruno"), make_run)
    minutes(5)
    assert titles() == ["1 run failed"]
    minutes(6)
    first, second = Alert.objects.order_by("pk")
    assert second.created - first.created >= timedelta(minutes=10)


def test_nothing_is_told_twice_and_nothing_that_was_committed_late_is_lost(
    wanted: AlertSettings, make_user: Any, make_run: MakeRun, minutes: Minutes
) -> None:
    fail(make_user("anna"), make_run)
    minutes(15)
    late = fail(make_user("bruno"), make_run)
    Run.objects.filter(pk=late.pk).update(finished_at=timezone.now() - timedelta(minutes=10))
    minutes(90)
    assert titles() == ["1 run failed", "1 run failed"]
    assert AlertEvent.objects.count() == 2


def test_what_was_put_right_meanwhile_is_only_counted(
    wanted: AlertSettings, make_user: Any, make_run: MakeRun, minutes: Minutes
) -> None:
    anna, bruno = make_user("anna"), make_user("bruno")
    fail(anna, make_run), fail(bruno, make_run)
    work()
    make_run(anna, "Succeeded")
    Run.objects.filter(user=anna, state="Failed").update(is_latest=False)
    minutes(2)
    (alert,) = Alert.objects.all()
    told = alert.content["failed_runs"]
    assert (told["count"], told["put_right_meanwhile"]) == (1, 1)


def test_what_was_put_right_altogether_is_told_to_nobody(
    wanted: AlertSettings, anna: ConferencingUser, make_run: MakeRun, minutes: Minutes
) -> None:
    run = fail(anna, make_run)
    work()
    Run.objects.filter(pk=run.pk).update(accepted_at=timezone.now())
    minutes(30)
    assert titles() == []


def test_what_happened_before_somebody_wanted_to_be_told_is_not_told(
    hands: Any, tenant: Tenant, anna: ConferencingUser, make_run: MakeRun, minutes: Minutes
) -> None:
    fail(anna, make_run)
    hands.shift(timedelta(minutes=1))
    change_alerts(tenant, ACTOR, recipients="ops@contoso.com")
    minutes(5)
    change_alerts(tenant, ACTOR, recipients="")
    fail(anna, make_run)
    minutes(2)
    change_alerts(tenant, ACTOR, recipients="ops@contoso.com")
    minutes(5)
    assert titles() == []


def test_only_what_is_wanted_is_told(
    wanted: AlertSettings, anna: ConferencingUser, make_run: MakeRun, connection: MailboxConnection, minutes: Minutes
) -> None:
    change_alerts(wanted.tenant, ACTOR, kinds=["paused-connections"])
    fail(anna, make_run)
    refuse(connection)
    minutes(3)
    assert titles() == ["Connection Nextcloud is paused"]


def test_of_meetings_left_for_a_person_the_reason_is_told_and_no_subject(
    wanted: AlertSettings, anna: ConferencingUser, minutes: Minutes, outbox: Path
) -> None:
    for number in range(12):
        LeftMeeting.objects.create(
            tenant=anna.tenant,
            user=anna,
            uid=str(number),
            subject="Merger with Fabrikam",
            code="needs-review" if number else "pasted-block",
            last_end=NO_END,
        )
    minutes(2)
    (message,) = messages_in(outbox)
    assert message["Subject"] == "[MMS Contoso] 12 meetings left for you"
    assert "11 × The block is damaged or ambiguous, and MMS does not guess." in message.get_content()
    assert "https://mms.contoso.com/contoso/left/?state=Open&reason=needs-review" in message.get_content()
    assert "Merger" not in str(Alert.objects.get().content)


def test_a_paused_connection_is_told_and_that_it_works_again(
    wanted: AlertSettings, connection: MailboxConnection, minutes: Minutes, outbox: Path
) -> None:
    refuse(connection)
    minutes(3)
    let_in(connection)
    minutes(12)
    assert titles() == ["Connection Nextcloud is paused", "Connection Nextcloud works again"]
    paused, works = sorted((each.get_content() for each in messages_in(outbox)), key=len, reverse=True)
    assert "Renew the service's access to the mailbox" in " ".join(paused.split())
    assert "runs of its users go on" in works


def test_a_connection_that_was_paused_before_somebody_wanted_to_be_told_is_told_once_since_it_lasts(
    tenant: Tenant, connection: MailboxConnection, minutes: Minutes
) -> None:
    refuse(connection)
    minutes(5)
    change_alerts(tenant, ACTOR, recipients="ops@contoso.com")
    minutes(30)
    assert titles() == ["Connection Nextcloud is paused"]
    let_in(connection)
    minutes(15)
    assert titles() == ["Connection Nextcloud is paused", "Connection Nextcloud works again"]


def test_a_connection_that_comes_and_goes_is_one_message_in_a_pause(
    wanted: AlertSettings, connection: MailboxConnection, minutes: Minutes
) -> None:
    for _ in range(3):
        refuse(connection)
        minutes(1)
        let_in(connection)
        minutes(1)
    minutes(15)
    alerts = Alert.objects.order_by("pk")
    assert titles() == ["Connection Nextcloud is paused", "Connection Nextcloud works again"]
    assert alerts[1].content["connections"][0]["times"] == 3


def test_a_connection_that_was_removed_is_told_without_a_link(
    wanted: AlertSettings, connection: MailboxConnection, minutes: Minutes
) -> None:
    refuse(connection)
    work()
    remove_connection(connection, ACTOR)
    minutes(3)
    (alert,) = Alert.objects.all()
    assert alert.content["connections"][0]["url"] == ""


def test_a_silence_is_told_when_it_is_over(wanted: AlertSettings, hands: Any, minutes: Minutes, outbox: Path) -> None:
    beat()
    hands.shift(timedelta(minutes=25))
    beat(), beat()
    minutes(2)
    (message,) = messages_in(outbox)
    assert message["Subject"] == "[MMS Contoso] The background service was silent"
    assert "From 1 Dec 2026, 09:01 UTC to 1 Dec 2026, 09:26 UTC: 25 minutes." in message.get_content()


def test_a_short_silence_a_long_run_and_the_first_sign_are_no_silence(
    wanted: AlertSettings, hands: Any, anna: ConferencingUser, make_run: MakeRun, minutes: Minutes
) -> None:
    beat()
    hands.shift(timedelta(minutes=9))
    beat()
    run = make_run(anna, "InProgress")
    Run.objects.filter(pk=run.pk).update(started_at=timezone.now())
    hands.shift(timedelta(minutes=20))
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() + timedelta(minutes=1))
    beat()
    minutes(3)
    assert titles() == []
    Run.objects.filter(pk=run.pk).update(lease_until=timezone.now())
    hands.shift(timedelta(minutes=20))
    beat()
    minutes(3)
    assert titles() == ["The background service was silent"], "the worker of that run has died"


def test_r79_a_stop_of_a_wave_is_told_once(wanted: AlertSettings, minutes: Minutes, outbox: Path) -> None:
    wave = a_wave(a_rollout(wanted.tenant), state="Stopped")
    why = sentence("The only member of the batch has failed.")
    note(wave.rollout, RolloutEvent.Kind.STOPPED, why, wave=wave)
    note(wave.rollout, RolloutEvent.Kind.RESUMED, sentence("It was resumed."), wave=wave)
    minutes(2)
    minutes(15)
    assert titles() == ["Wave Test users has stopped"]
    (stop,) = Alert.objects.get().content["stopped_waves"]
    assert (stop["rollout"], stop["wave"], stop["why"]) == ("To the new service", "Test users", why)
    assert f"/contoso/rollouts/{wave.rollout_id}/waves/1/" in messages_in(outbox)[0].get_content()
    note(wave.rollout, RolloutEvent.Kind.STOPPED, why, wave=wave)
    minutes(15)
    assert titles() == ["Wave Test users has stopped"] * 2


def test_r111_an_import_of_chat_that_stopped_is_told_once_and_one_that_goes_on_is_not(
    wanted: AlertSettings, minutes: Minutes, outbox: Path
) -> None:
    why = sentence("3 rooms in a row have failed.")
    archive = ChatArchive.objects.create(
        tenant=wanted.tenant, name="Chat of 2016", folder="a", level="All", exported_at=timezone.now()
    )
    target = ChatTarget.objects.create(tenant=wanted.tenant, name="To read", kind="archive", folder="t")
    of = {"tenant": wanted.tenant, "archive": archive, "target": target, "stopped_at": timezone.now()}
    ChatPlan.objects.create(number=1, state="Stopped", problem=why, **of)
    ChatPlan.objects.create(number=2, state="Importing", problem=why, **of)
    minutes(2)
    minutes(15)
    assert titles() == ["Import 1 of chat has stopped"]
    (stop,) = Alert.objects.get().content["stopped_chat_imports"]
    assert (stop["plan"], stop["archive"], stop["target"], stop["why"]) == (1, "Chat of 2016", "To read", why)
    assert "/contoso/chat/plans/1/" in messages_in(outbox)[0].get_content()
    ChatPlan.objects.filter(number=2).update(state="Imported", finished_at=timezone.now(), started_by="alice")
    minutes(15)
    assert titles()[-1] == "Import 2 of chat is finished"


def test_jobs_that_have_ended_by_themselves_are_told(wanted: AlertSettings, minutes: Minutes, old_bridge: Any) -> None:
    of = {"tenant": wanted.tenant, "requested_by": "alice", "finished_at": timezone.now()}
    number = old_bridge.numbers.get()
    BulkAction.objects.create(kind="start", state="Done", channel="screen", done_count=2, refused_count=1, **of)
    BulkAction.objects.create(kind="start", state="Stopped", channel="screen", **of)
    UserImport.objects.create(file_name="users.csv", text="", state="Applied", **of)
    UserImport.objects.create(file_name="other.csv", text="", state="Discarded", **of)
    NumberRelease.objects.create(
        bridge=old_bridge, number=number, e164=number.number, state="Released", due_at=timezone.now(), **of
    )
    Preview.objects.create(kind="start", title="a start of 300 users", state="Ready", **of)
    minutes(2)
    (alert,) = Alert.objects.all()
    assert str(alert) == "4 jobs are finished"
    told = {(job["kind"], job["what"], job["result"]) for job in alert.content["finished_jobs"]["jobs"]}
    assert told == {
        ("bulk-action", "“Start runs”", "is finished: done for 2 users, not done for 1"),
        ("import", "import of users.csv", "is applied"),
        ("number-release", "+14255550100", "is released"),
        ("preview", "preview of a start of 300 users", "is ready"),
    }
    assert {job["requested_by"] for job in alert.content["finished_jobs"]["jobs"]} == {"alice"}


# --- quiet hours ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "quiet", "moment", "is_told"),
    [
        ("Europe/Rome", ("22:00", "07:00"), datetime(2026, 12, 1, 20, 59, tzinfo=UTC), True),
        ("Europe/Rome", ("22:00", "07:00"), datetime(2026, 12, 1, 21, 0, tzinfo=UTC), False),
        ("Europe/Rome", ("22:00", "07:00"), datetime(2026, 12, 2, 5, 59, tzinfo=UTC), False),
        ("Europe/Rome", ("22:00", "07:00"), datetime(2026, 12, 2, 6, 0, tzinfo=UTC), True),
        ("Europe/Rome", ("12:00", "14:00"), datetime(2026, 12, 2, 11, 30, tzinfo=UTC), False),
        ("America/Los_Angeles", ("22:00", "07:00"), datetime(2026, 12, 2, 6, 0, tzinfo=UTC), False),
        # the night of 28 March 2027 in Rome is an hour shorter, that of 31 October an hour longer
        ("Europe/Rome", ("22:00", "07:00"), datetime(2027, 3, 28, 4, 59, tzinfo=UTC), False),
        ("Europe/Rome", ("22:00", "07:00"), datetime(2027, 3, 28, 5, 0, tzinfo=UTC), True),
        ("Europe/Rome", ("22:00", "07:00"), datetime(2027, 10, 31, 5, 59, tzinfo=UTC), False),
        ("Europe/Rome", ("22:00", "07:00"), datetime(2027, 10, 31, 6, 0, tzinfo=UTC), True),
        # the end is left out by the clocks, or shown twice
        ("Europe/Rome", ("22:00", "02:30"), datetime(2027, 3, 28, 0, 59, tzinfo=UTC), False),
        ("Europe/Rome", ("22:00", "02:30"), datetime(2027, 3, 28, 1, 0, tzinfo=UTC), True),
        ("Europe/Rome", ("22:00", "02:30"), datetime(2027, 10, 31, 0, 31, tzinfo=UTC), True),
        ("Europe/Rome", ("22:00", "02:30"), datetime(2027, 10, 31, 1, 10, tzinfo=UTC), True),
    ],
)
def test_quiet_hours_are_those_of_the_tenants_clock(
    zone: str, quiet: tuple[str, str], moment: datetime, is_told: bool
) -> None:
    begin, end = map(time.fromisoformat, quiet)
    settings = AlertSettings(tenant=Tenant(time_zone=zone), quiet_from=begin, quiet_until=end)
    assert is_quiet(settings, moment) is not is_told


def test_what_quiet_hours_hold_back_is_one_message_at_their_end(
    wanted: AlertSettings, hands: Any, make_user: Any, make_run: MakeRun, minutes: Minutes
) -> None:
    change_alerts(wanted.tenant, ACTOR, quiet_from=time(22), quiet_until=time(7))
    hands.move_to(NOW.replace(hour=22, minute=30))
    for number in range(5):
        fail(make_user(f"user{number}"), make_run)
        minutes(3)
    hands.move_to((NOW + timedelta(days=1)).replace(hour=6, minute=58))
    minutes(1)
    assert titles() == []
    minutes(1)
    assert titles() == ["5 runs failed"]


def test_weekends_are_quiet_where_that_is_wanted(
    wanted: AlertSettings, hands: Any, anna: ConferencingUser, make_run: MakeRun, minutes: Minutes
) -> None:
    change_tenant(wanted.tenant, ACTOR, time_zone="Pacific/Auckland")
    change_alerts(wanted.tenant, ACTOR, quiet_weekends=True)
    hands.move_to(datetime(2026, 12, 4, 11, 30, tzinfo=UTC))  # Saturday, half past midnight in Auckland
    fail(anna, make_run)
    minutes(3)
    assert titles() == []
    hands.move_to(datetime(2026, 12, 6, 11, 0, tzinfo=UTC))
    minutes(1)
    assert titles() == ["1 run failed"]


def test_only_a_silence_breaks_the_quiet_and_only_where_that_is_wanted(
    wanted: AlertSettings, hands: Any, anna: ConferencingUser, make_run: MakeRun, minutes: Minutes
) -> None:
    change_alerts(wanted.tenant, ACTOR, quiet_from=time(22), quiet_until=time(7), breaks_quiet="silent-cluster")
    hands.move_to(NOW.replace(hour=23))
    Heartbeat.objects.update_or_create(name="worker", defaults={"at": timezone.now() - timedelta(minutes=11)})
    beat()
    fail(anna, make_run)
    minutes(2)
    assert titles() == ["The background service was silent"]
    hands.move_to((NOW + timedelta(days=1)).replace(hour=7))
    minutes(1)
    assert titles()[1:] == ["1 run failed"]


# --- tenants and clocks -----------------------------------------------------------------------------------------------


def test_nobody_is_told_of_another_tenant(
    wanted: AlertSettings, cast: None, make_user: Any, make_run: MakeRun, minutes: Minutes
) -> None:
    fabrikam = Tenant.objects.get(slug="fabrikam")
    change_alerts(fabrikam, ACTOR, recipients="ops@fabrikam.com")
    fail(make_user("anna"), make_run)
    minutes(3)
    assert [(alert.tenant, str(alert)) for alert in Alert.objects.all()] == [(wanted.tenant, "1 run failed")]
    assert [each.recipient for each in AlertDelivery.objects.all()] == ["ops@contoso.com"]


def test_a_clock_that_was_set_back_loses_nothing(
    wanted: AlertSettings, hands: Any, anna: ConferencingUser, make_run: MakeRun, minutes: Minutes
) -> None:
    work()
    AlertSettings.objects.update(looked_at=NOW + timedelta(days=3), last_alert_at=NOW + timedelta(days=3))
    fail(anna, make_run)
    minutes(3)
    assert titles() == ["1 run failed"]


def test_who_reaches_nobody_is_not_looked_for(
    wanted: AlertSettings, anna: ConferencingUser, make_run: MakeRun, minutes: Minutes
) -> None:
    change_alerts(wanted.tenant, ACTOR, recipients="")
    fail(anna, make_run)
    minutes(3)
    assert not AlertEvent.objects.exists()


def test_a_secret_that_ends_is_told_once_for_each_end_and_not_where_it_was_renewed(
    wanted: AlertSettings, minutes: Minutes, outbox: Path
) -> None:
    ends_at = timezone.now() + timedelta(days=40)
    values = {"kind": "graph", "directory_id": "contoso.com", "username": "5f6a0613-55e2-4074-a8b4-060000000001"}
    made = create_connection(
        wanted.tenant, ACTOR, "Microsoft 365", password="first~secret", secret_expires_at=ends_at, **values
    )
    minutes(3)
    assert titles() == []
    sooner = ends_at - timedelta(days=20)
    change_connection(made, ACTOR, secret_expires_at=sooner)
    minutes(30)
    assert titles() == ["The client secret of connection Microsoft 365 ends"]
    (mail,) = (each.get_content() for each in messages_in(outbox))
    assert "Make a new one in Microsoft Entra" in mail
    assert f"/settings/mailboxes/{made.pk}/" in mail
    assert "first~secret" not in mail

    change_connection(made, ACTOR, secret_expires_at=sooner - timedelta(days=1))
    minutes(1)
    change_connection(made, ACTOR, password="second~secret", secret_expires_at=ends_at + timedelta(days=300))
    minutes(30)
    assert titles() == ["The client secret of connection Microsoft 365 ends"]
