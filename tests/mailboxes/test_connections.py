"""Mailbox connections: who has which, what a change of one leads to, trying one, and when one is left alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db.models import Count
from django.test import Client
from django.utils import timezone

from migrations_app.failures import FAILED, Failure
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.caldav_mailbox import CalDavMailbox
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.mailboxes.of_user import mailbox_of, try_connection
from migrations_app.models import IndexedMeeting, MailboxScan, Run, Update
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.worker import work_run
from migrations_app.tasks import work_queue
from tenants_app.audit import Channel
from tenants_app.changes.mailboxes import (
    change_connection,
    create_connection,
    read_mailbox,
    remove_connection,
    set_credentials,
    use_embedded_by_default,
)
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import change_user, create_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection, MailboxCredential, Tenant
from tests.mailboxes.conftest import Store
from tests.support.actors import ACTOR
from tests.support.commands import Command, invitation
from tests.support.fault_proxy import FAULTS, RESET_BEFORE, FaultProxy, in_turn
from tests.support.meetings import STAY, messages_in, migrate
from tests.support.pages import words
from tests.support.radicale_server import PASSWORD, SERVICE

pytestmark = pytest.mark.django_db

ADDRESS = "https://dav.contoso.com/"


def reloaded(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant__mailbox", "mailbox", "bridge").get(pk=user.pk)


# --- who has which ------------------------------------------------------------------------------------


def test_a_user_has_the_tenants_mailbox_or_their_own(anna: ConferencingUser) -> None:
    kinds = [type(mailbox_of(reloaded(anna)))]
    create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS, make_default=True)
    kinds.append(type(mailbox_of(reloaded(anna))))
    change_user(anna, ACTOR, mailbox=read_mailbox(anna.tenant, "embedded"))
    kinds.append(type(mailbox_of(reloaded(anna))))
    use_embedded_by_default(anna.tenant, ACTOR)
    change_user(anna, ACTOR, mailbox=read_mailbox(anna.tenant, "dav"))
    kinds.append(type(mailbox_of(reloaded(anna))))
    change_user(anna, ACTOR, mailbox=None)
    kinds.append(type(mailbox_of(reloaded(anna))))

    assert kinds == [EmbeddedMailbox, CalDavMailbox, EmbeddedMailbox, CalDavMailbox, EmbeddedMailbox]


def test_r36_what_invitations_of_another_mailbox_say_is_not_known(
    anna: ConferencingUser, make_user: Callable[..., ConferencingUser]
) -> None:
    bruno = make_user("bruno.costa")
    dav = create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS)
    assert not ConferencingUser.objects.out_of_date().exists()
    change_user(bruno, ACTOR, mailbox=dav)
    assert [user.upn for user in ConferencingUser.objects.out_of_date()] == [bruno.upn]
    change_connection(dav, ACTOR, make_default=True)
    carla = create_user(Tenant.objects.get(), ACTOR, upn="carla.lind@contoso.com")

    assert reloaded(anna).is_out_of_date
    assert reloaded(carla).is_out_of_date
    assert set(MailboxScan.objects.values_list("user__upn", flat=True)) == {anna.upn, bruno.upn, carla.upn}


def test_r15_a_connection_serves_a_mailbox_wherever_exchange_is(anna: ConferencingUser) -> None:
    change_user(anna, ACTOR, mailbox_location="on-premises")
    (refused,) = start_by_hand(anna.tenant, [reloaded(anna)], ACTOR)
    create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS, make_default=True)
    (served,) = start_by_hand(anna.tenant, [reloaded(anna)], ACTOR)
    change_user(anna, ACTOR, mailbox=read_mailbox(anna.tenant, "embedded"))
    Run.objects.all().delete()
    (refused_again,) = start_by_hand(anna.tenant, [reloaded(anna)], ACTOR)

    assert (refused.starts_run, served.starts_run, refused_again.starts_run) == (False, True, False)


def test_what_mms_keeps_itself_is_not_counted_for_who_has_a_connection(anna: ConferencingUser) -> None:
    EmbeddedMailbox(anna).store([("budget", invitation(anna, "budget"))])
    users = ConferencingUser.objects.all()
    now = timezone.now()
    before = EmbeddedMailbox.count_upcoming(users, now)
    create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS, make_default=True)

    assert before.meetings == 1
    assert EmbeddedMailbox.count_upcoming(users, now).meetings == 0
    assert list(EmbeddedMailbox.read_upcoming(users, now)) == []


def test_a_connection_that_somebody_has_is_not_removed(anna: ConferencingUser) -> None:
    dav = create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS, make_default=True)
    for held in ("it is the default", "1 user has it"):
        with pytest.raises(ValidationError, match=held):
            remove_connection(dav, ACTOR)
        change_user(anna, ACTOR, mailbox=dav)
        use_embedded_by_default(anna.tenant, ACTOR)
    change_user(anna, ACTOR, mailbox=None)
    remove_connection(dav, ACTOR)

    assert [row.name for row in MailboxConnection.objects.all()] == ["embedded"]
    assert not MailboxScan.objects.exists()


def test_another_tenants_connection_cannot_be_chosen(anna: ConferencingUser) -> None:
    other = create_tenant(ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_service="none")
    theirs = create_connection(other, ACTOR, "Theirs", address="https://dav.fabrikam.com/")

    with pytest.raises(ValidationError, match="has no connection Theirs"):
        change_user(anna, ACTOR, mailbox=theirs)
    with pytest.raises(ValueError, match="has no mailbox connection Theirs"):
        read_mailbox(anna.tenant, "Theirs")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"address": "dav.contoso.com"}, "Give the server's web address"),
        ({"address": "ftp://dav.contoso.com/"}, "Give the server's web address"),
        ({"address": "https://mms:secret@dav.contoso.com/"}, "without user name"),
        ({"address": ""}, "Give the server's web address"),
        ({"name": "Embedded"}, "has a meaning of its own"),
        ({"name": "tenant"}, "has a meaning of its own"),
        ({"username": "mms"}, "both a user name and a password"),
        ({"password": "secret"}, "both a user name and a password"),
        ({"path_template": "calendars/{upn}/"}, "begins with /"),
        ({"path_template": "/calendars/{user}/"}, "begins with /"),
        ({"path_template": "/calendars/../{upn}/"}, "begins with /"),
        ({"ca_certificates": "no certificate"}, "in PEM form"),
        ({"most_requests": 0}, "Give at least 1."),
    ],
)
def test_a_connection_that_cannot_work_is_refused_in_a_sentence(
    tenant: Tenant, values: dict[str, Any], sentence: str
) -> None:
    given: dict[str, Any] = {"name": "DAV", "address": ADDRESS, **values}
    with pytest.raises(ValidationError, match=sentence):
        create_connection(tenant, ACTOR, **given)
    assert [row.name for row in MailboxConnection.objects.all()] == ["embedded"]


# --- by command ---------------------------------------------------------------------------------------


def test_connections_are_made_listed_changed_and_removed_by_command(
    command: Command, anna: ConferencingUser, tmp_path: Path
) -> None:
    secret, sign_ins = tmp_path / "secret", tmp_path / "sign-ins.csv"
    secret.write_text("first\n")
    sign_ins.write_text(f"UserPrincipalName,Username,Password\n{anna.upn},anna,hers\n")
    made = command(
        *("new_mailbox_connection", "DAV", "--kind", "caldav", "--address", ADDRESS),
        *("--username", "mms", "--secret-file", str(secret), "--path-template", "/dav/{local}/"),
    )
    given = command("set_dial_in_conferencing_user", "--user", anna.upn, "--mailbox", "dav")
    changed = command("set_mailbox_connection", "dav", "--who-tells", "mms", "--default")
    kept = command("set_mailbox_connection", "dav", "--sign-ins", str(sign_ins))
    listed = command("get_mailbox_connection", "--format", "json")
    command("set_dial_in_conferencing_user", "--user", anna.upn, "--mailbox", "tenant")
    command("set_mailbox_connection", "embedded", "--default")
    removed = command("remove_mailbox_connection", "DAV")

    assert made.startswith("DAV: new connection. Try it with test_mailbox_connection")
    assert "Mailbox tenant → DAV" in given
    assert "DAV: WhoTells detect → mms" in changed
    assert kept == "DAV: the sign-ins of 1 user are kept.\n"
    assert '"PathTemplate": "/dav/{local}/"' in listed
    assert "first" not in listed + changed + made
    assert MailboxCredential.objects.get(user=anna).password == "hers"
    assert removed == "DAV: removed.\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must begin with the line UserPrincipalName,Username,Password"),
        ("upn,name,password\n", "must begin with the line"),
        ("UserPrincipalName,Username,Password\nnobody@contoso.com,x,y\n", "has no user nobody@contoso.com"),
        ("UserPrincipalName,Username,Password\n,x,y\n", "Line 2: expected UserPrincipalName"),
        ("UserPrincipalName,Username,Password\na,b\n", "Line 2: expected UserPrincipalName"),
        ("UserPrincipalName,Username,Password\na,b,c,d\n", "Line 2: expected UserPrincipalName"),
        ('UserPrincipalName,Username,Password\nanna,b,"c\nd,e,f\n', "Line 3: this is no CSV"),
        (f"UserPrincipalName,Username,Password\n{'a' * 200_000},b,c\n", "Line 2: this is no CSV"),
    ],
)
def test_a_file_of_sign_ins_with_a_fault_writes_nothing(
    tenant: Tenant, tmp_path: Path, text: str, sentence: str
) -> None:
    create_connection(tenant, ACTOR, "DAV", address=ADDRESS)
    (tmp_path / "file.csv").write_text(text)
    with pytest.raises(CommandError, match=sentence):
        call_command("set_mailbox_connection", "DAV", "--sign-ins", str(tmp_path / "file.csv"), stdout=io.StringIO())
    assert not MailboxCredential.objects.exists()


@pytest.mark.parametrize("username", ["x" * 400, "two\nlines", "with\0nul"])
def test_a_user_name_that_cannot_be_kept_is_refused_in_a_sentence(anna: ConferencingUser, username: str) -> None:
    connection = create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS)
    with pytest.raises(ValidationError):
        set_credentials(connection, [(anna.upn, username, "hers")], ACTOR)
    assert not MailboxCredential.objects.exists()


def test_a_file_of_users_gives_them_mailboxes(command: Command, anna: ConferencingUser, tmp_path: Path) -> None:
    create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS)
    (tmp_path / "users.csv").write_text(f"UserPrincipalName,Mailbox\n{anna.upn},dav\nbruno@contoso.com,embedded\n")
    command("import_users", str(tmp_path / "users.csv"))
    (tmp_path / "bad.csv").write_text(f"UserPrincipalName,Mailbox\n{anna.upn},nowhere\n")
    with pytest.raises(CommandError):
        command("import_users", str(tmp_path / "bad.csv"))

    mailboxes = dict(ConferencingUser.objects.values_list("upn", "mailbox__name"))
    assert mailboxes == {anna.upn: "DAV", "bruno@contoso.com": "embedded"}


# --- on the page --------------------------------------------------------------------------------------


def test_a_new_connection_has_the_certificates_of_its_server(tenant: Tenant, alice: Client) -> None:
    certificate = trustme.CA().cert_pem.bytes().decode()
    form = {"name": "DAV", "address": ADDRESS, "who_tells": "detect"}
    refused = alice.post("/contoso/settings/mailboxes/", form | {"ca_certificates": "none"})
    made = alice.post("/contoso/settings/mailboxes/", form | {"ca_certificates": certificate})

    assert "in PEM form" in words(refused.content)
    assert made.status_code == 302
    assert MailboxConnection.objects.get(tenant=tenant, name="DAV").ca_certificates.strip() == certificate.strip()


# --- trying one ---------------------------------------------------------------------------------------


def test_a_connection_is_tried_step_by_step_in_words(
    command: Command, connection: MailboxConnection, store: Store, anna: ConferencingUser, alice: Client
) -> None:
    store(1)
    told = command("test_mailbox_connection", "radicale", "--user", anna.upn, "--tenant", "contoso")
    page = alice.get(f"/contoso/settings/mailboxes/{connection.pk}/")

    assert [line.split()[0] for line in told.splitlines()] == ["ok", "note", *["ok"] * 4]
    assert "so MMS sends the attendees an update by mail" in told
    assert "The server accepts service@contoso.com and the password." in words(page.content)
    assert "Tested on the mailbox of anna.rossi@contoso.com" in words(page.content)


def test_a_wrong_password_is_told_with_what_to_do_and_ends_the_test(
    command: Command, connection: MailboxConnection, anna: ConferencingUser, capsys: pytest.CaptureFixture[str]
) -> None:
    change_connection(connection, ACTOR, password="wrong")
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("test_mailbox_connection", "Radicale", "--user", anna.upn, stdout=output)

    assert ended.value.code == 1
    last = output.getvalue().splitlines()[-1]
    assert last.startswith("FAILED  sign-in: The mailbox refused the sign-in")
    assert FAILED["mailbox-sign-in-refused"].do in last


def test_a_server_at_a_private_address_is_reached_only_where_the_operator_names_it(
    connection: MailboxConnection, anna: ConferencingUser, settings: Any
) -> None:
    settings.MMS_ALLOWED_MAIL_HOSTS = []
    run = migrate(reloaded(anna), STAY)

    assert (run.state, run.last_error_code) == ("Pending", "mailbox-address")
    connection.refresh_from_db()
    assert connection.problem_code == "mailbox-address"


# --- scans --------------------------------------------------------------------------------------------


def test_the_background_service_looks_and_looks_again_when_asked(
    connection: MailboxConnection, store: Store, anna: ConferencingUser, faults: FaultProxy, alice: Client
) -> None:
    store(2)
    work_queue()
    assert IndexedMeeting.objects.filter(user=anna).count() == 2
    scan = MailboxScan.objects.get(user=anna)
    assert scan.due_at > timezone.now() + timedelta(minutes=50)
    faults.done.clear()
    work_queue()
    assert faults.done == []
    assert "In Radicale, as of" in words(alice.get(f"/contoso/users/{anna.upn}/").content)
    alice.post(f"/contoso/users/{anna.upn}/scan-now/")
    work_queue()

    # Nothing has changed since: neither the list nor any meeting is asked for again.
    assert Counted(faults).of("GET") == 0
    assert Counted(faults).of("REPORT") == 1


class Counted:
    def __init__(self, faults: FaultProxy) -> None:
        self.done = faults.done

    def of(self, method: str) -> int:
        return sum(done.method == method for done in self.done)


def test_what_is_deleted_moved_or_new_in_the_mailbox_is_followed(
    connection: MailboxConnection, store: Store, server: Any, calendar: str, anna: ConferencingUser
) -> None:
    uids = list(store(3))
    other = server.make_calendar(anna.upn, "other")
    mailbox = mailbox_of(reloaded(anna))
    mailbox.refresh(lambda: None)
    server.delete(f"{calendar}0.ics")
    body = server.request("GET", f"{calendar}1.ics").content
    server.delete(f"{calendar}1.ics")
    server.put(f"{other}moved.ics", body)
    assert set(mailbox.read([uids[1]])) == {uids[1]}  # also before the next look
    mailbox.refresh(lambda: None)
    listed = {row.uid: row.href for row in IndexedMeeting.objects.all()}
    server.delete(other)
    mailbox.refresh(lambda: None)

    assert listed == {uids[1]: f"{other}moved.ics", uids[2]: f"{calendar}2.ics"}
    assert set(IndexedMeeting.objects.values_list("uid", flat=True)) == {uids[2]}


def test_the_same_meeting_in_two_calendars_fails_alone_until_one_is_gone(
    connection: MailboxConnection,
    store: Store,
    server: Any,
    calendar: str,
    anna: ConferencingUser,
    new_bridge: Bridge,
    outbox: Path,
) -> None:
    store(2)
    other = server.make_calendar(anna.upn, "second")
    server.put(f"{other}copy.ics", server.request("GET", f"{calendar}0.ics").content)
    change_user(anna, ACTOR, bridge=new_bridge)
    run = migrate(reloaded(anna), STAY)
    failed = run.results.get(outcome="Failed")
    server.delete(other)
    again = migrate(reloaded(anna), STAY)

    assert (run.state, run.succeeded_meetings, run.failed_meetings) == ("Failed", 1, 1)
    assert "stands twice in the mailbox" in failed.detail
    assert (again.state, again.failed_meetings, again.succeeded_meetings) == ("Succeeded", 0, 1)


# --- left alone ---------------------------------------------------------------------------------------


def start_all() -> None:
    users = ConferencingUser.objects.select_related("tenant", "bridge").order_by("pk")
    for tenant in Tenant.objects.all():
        start_by_hand(tenant, users.filter(tenant=tenant), ACTOR, now_due=True)


def work_all(most: int = 20) -> list[str]:
    """Work what can be claimed; whose runs, in order."""
    worked = []
    while len(worked) < most and (run := queue.claim()):
        worked.append(run.user.upn)
        work_run(run)
    return worked


def test_a_refused_service_account_pauses_the_tenants_runs_with_one_alert(
    connection: MailboxConnection,
    make_user: Callable[..., ConferencingUser],
    alice: Client,
    faults: FaultProxy,
    command: Command,
) -> None:
    make_user("bruno.costa")
    MailboxScan.objects.all().delete()
    refused = next(fault for fault in FAULTS if fault.name == "401")
    faults.plan = lambda asked: refused
    start_all()
    worked = work_all()

    assert len(worked) == 1
    assert set(Run.objects.values_list("state", flat=True)) == {"Pending"}
    assert Run.objects.exclude(last_error_code="").get().retry_count == 0
    dashboard = words(alice.get("/contoso/").content)
    assert dashboard.count("Runs of users in Radicale wait.") == 1
    assert "The mailbox refused the sign-in: 127.0.0.1 does not accept the user name or the password." in dashboard
    with pytest.raises(SystemExit) as ended:
        command("check_migrations")
    assert ended.value.code == 2

    faults.plan = in_turn()
    change_connection(connection, ACTOR, password=PASSWORD, username=SERVICE)
    assert len(work_all()) == 2  # neither has a calendar there, which is about each of them alone
    assert set(Run.objects.values_list("last_error_code", flat=True)) == {"mailbox-not-found"}
    connection.refresh_from_db()
    assert (connection.problem_code, connection.paused_until) == ("", None)


def test_what_a_test_found_is_gone_when_the_connection_changes(
    connection: MailboxConnection, anna: ConferencingUser, calendar: str
) -> None:
    assert all(finding.ok for finding in try_connection(connection, anna))
    connection.refresh_from_db()
    assert len(connection.findings) == 6
    changed = change_connection(connection, ACTOR, password="another")
    assert (changed.findings, changed.tested_at, changed.tested_on) == ([], None, "")


def test_a_test_that_finds_all_well_takes_up_again_what_was_left_alone(
    connection: MailboxConnection, anna: ConferencingUser, calendar: str, faults: FaultProxy
) -> None:
    throttling.note_failure(connection, Failure("mailbox-sign-in-refused"))
    refused = next(fault for fault in FAULTS if fault.name == "401")
    faults.plan = lambda asked: refused
    connection.refresh_from_db()
    assert not all(finding.ok for finding in try_connection(connection, anna))
    connection.refresh_from_db()
    assert connection.paused_until
    faults.plan = in_turn()
    assert all(finding.ok for finding in try_connection(connection, anna))
    connection.refresh_from_db()
    assert (connection.problem_code, connection.paused_until) == ("", None)


def test_a_refused_sign_in_of_one_user_fails_that_user_alone(
    connection: MailboxConnection, make_user: Callable[..., ConferencingUser], faults: FaultProxy
) -> None:
    bruno = make_user("bruno.costa")
    change_connection(connection, ACTOR, username="", password="", path_template="")
    set_credentials(
        connection,
        [("anna.rossi@contoso.com", "", "wrong"), (bruno.upn, "", PASSWORD)],
        ACTOR.through(Channel.COMMAND),
    )
    start_all()
    work_all()

    codes = dict(Run.objects.values_list("user__upn", "last_error_code"))
    assert codes["anna.rossi@contoso.com"] == "mailbox-sign-in-refused"
    assert codes[bruno.upn] != "mailbox-sign-in-refused"
    connection.refresh_from_db()
    assert connection.problem_code == ""


def test_a_server_that_asks_to_wait_is_left_alone_by_all_workers(
    connection: MailboxConnection, make_user: Callable[..., ConferencingUser], faults: FaultProxy
) -> None:
    make_user("bruno.costa")
    wait = next(fault for fault in FAULTS if fault.name == "429 Retry-After")
    faults.plan = in_turn(wait)
    start_all()
    worked = work_all()
    connection.refresh_from_db()

    assert len(worked) == 1
    assert connection.paused_until is not None
    assert connection.problem_code == ""
    MailboxConnection.objects.update(paused_until=timezone.now() - timedelta(seconds=1))
    Run.objects.update(due_at=timezone.now())
    assert len(work_all()) == 2


@pytest.mark.parametrize("name", ["500", "423", "507"])
def test_what_is_wrong_with_one_mailbox_keeps_no_other_waiting(
    name: str, connection: MailboxConnection, make_user: Callable[..., ConferencingUser], faults: FaultProxy
) -> None:
    make_user("bruno.costa")
    broken = next(fault for fault in FAULTS if fault.name == name)
    faults.plan = lambda asked: broken if asked.path.startswith("/anna") else None
    start_all()
    assert len(work_all()) == 2
    assert Run.objects.get(user__upn="anna.rossi@contoso.com").last_error_code == "mailbox-unavailable"
    connection.refresh_from_db()
    assert connection.paused_until is None


def test_no_more_workers_than_the_connection_takes_are_at_it_at_once(
    connection: MailboxConnection, make_user: Callable[..., ConferencingUser]
) -> None:
    make_user("bruno.costa")
    carla = make_user("carla.lind")
    change_user(carla, ACTOR, mailbox=read_mailbox(carla.tenant, "embedded"))
    change_connection(connection, ACTOR, most_requests=1)
    start_all()
    claimed = [queue.claim() for _ in range(3)]

    assert [run.user.upn if run else "" for run in claimed] == ["anna.rossi@contoso.com", carla.upn, ""]


def test_tenants_take_turns_so_that_a_large_one_does_not_keep_a_small_one_waiting(
    make_user: Callable[..., ConferencingUser],
) -> None:
    for number in range(6):
        make_user(f"user{number}")
    small = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_service="none", settling_time=0
    )
    for name in ("frank", "gina"):
        create_user(small, ACTOR, upn=f"{name}@fabrikam.com")
    start_all()
    Run.objects.filter(tenant=small).update(due_at=timezone.now())  # after all of the large one's
    worked = [upn.partition("@")[2] for upn in work_all()]

    assert worked[:4] in (
        ["contoso.com", "fabrikam.com", "contoso.com", "fabrikam.com"],
        ["fabrikam.com", "contoso.com", "fabrikam.com", "contoso.com"],
    )
    assert len(worked) == 8


def test_a_message_waits_for_a_mailbox_that_cannot_be_reached_and_keeps_no_other_waiting(
    connection: MailboxConnection,
    store: Store,
    anna: ConferencingUser,
    make_user: Callable[..., ConferencingUser],
    new_bridge: Bridge,
    faults: FaultProxy,
    outbox: Path,
) -> None:
    store(2)
    carla = make_user("carla.lind")
    change_user(carla, ACTOR, mailbox=read_mailbox(carla.tenant, "embedded"))
    EmbeddedMailbox(carla).store([("budget", invitation(carla, "budget"))])
    for user in (anna, carla):
        change_user(user, ACTOR, bridge=new_bridge)
    work_all()
    faults.plan = lambda asked: RESET_BEFORE
    deliver()
    waiting = Update.objects.filter(state="Queued")
    assert dict(waiting.values_list("result__run__user__upn").annotate(Count("pk")).order_by()) == {anna.upn: 2}
    assert set(waiting.values_list("error_code", flat=True)) == {"mailbox-unavailable"}
    assert len(messages_in(outbox)) == 1

    faults.done.clear()
    Update.objects.update(due_at=timezone.now())
    deliver()
    assert faults.done == []  # left alone for a moment
    faults.plan = in_turn()
    MailboxConnection.objects.update(paused_until=None)
    Update.objects.update(due_at=timezone.now())
    deliver()
    assert set(Update.objects.values_list("state", flat=True)) == {"Sent"}
    assert len(messages_in(outbox)) == 3


def test_a_slow_server_never_has_all_workers_where_others_wait_too(
    connection: MailboxConnection, make_user: Callable[..., ConferencingUser], settings: Any
) -> None:
    settings.MMS_WORKERS = 2
    bruno = make_user("bruno.costa")
    other = create_connection(bruno.tenant, ACTOR, "Other", address=ADDRESS)
    start_all()
    claimed = [queue.claim() for _ in range(2)]
    assert [run.user.upn if run else "" for run in claimed] == ["anna.rossi@contoso.com", ""]
    change_user(bruno, ACTOR, mailbox=other)
    Run.objects.filter(user=bruno).update(due_at=timezone.now())
    last = queue.claim()
    assert last is not None
    assert last.user == bruno


@pytest.mark.parametrize("name", ["import_meetings", "export_meetings"])
def test_what_is_outside_is_neither_imported_nor_exported(name: str, anna: ConferencingUser, tmp_path: Path) -> None:
    create_connection(anna.tenant, ACTOR, "DAV", address=ADDRESS, make_default=True)
    arguments = {"import_meetings": [str(tmp_path)], "export_meetings": ["--output", str(tmp_path)]}[name]
    with pytest.raises(CommandError, match=r"The mailbox of anna\.rossi@contoso\.com is in DAV"):
        call_command(name, *arguments, "--user", anna.upn)
