"""A file of users in the background: what its check foretells, what applying it does, and what a lost worker leaves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone, translation

from migrations_app import tasks
from migrations_app.models import Run, UserImport
from migrations_app.procedures import import_progress
from migrations_app.procedures import user_import as user_imports
from tenants_app.audit import Actor, Channel
from tenants_app.changes.bridges import remove_bridge, set_bridge
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.changes.users import create_users
from tenants_app.csv_files import users_in
from tenants_app.csv_files.user_columns import CellReader, Row
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, Tenant
from tenants_app.wording import sentences
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.together import together
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
ZOE = Actor("zoe", Channel.SCREEN)
HEADER = "UserPrincipalName,DisplayName,Bridge,ConferenceId\n"
FILE = f"""{HEADER}anna.rossi@contoso.com,Anna Bianchi,New bridge,
clara.sanz@contoso.com,Clara Sanz,,
nobody,,,
"""


def upload(tenant: Tenant, text: str = FILE) -> UserImport:
    return user_imports.submit(tenant, "users.csv", text, ACTOR)


def advance() -> bool:
    return user_imports.advance(timezone.now() + tasks.TIME_BUDGET)


def reload(user_import: UserImport) -> UserImport:
    return UserImport.objects.get(pk=user_import.pk)


def checked(tenant: Tenant, text: str = FILE) -> UserImport:
    user_import = upload(tenant, text)
    advance()
    user_import = reload(user_import)
    assert user_import.state == "Checked"
    return user_import


def apply(user_import: UserImport, *, leave_out: bool = True) -> UserImport:
    assert user_imports.request_apply(user_import, ZOE, leaves_out_bad_rows=leave_out)
    advance()
    return reload(user_import)


def stored_but_for_imports() -> dict[str, list[dict[str, Any]]]:
    return {name: rows for name, rows in everything_stored().items() if name != "UserImport"}


# --- checking -----------------------------------------------------------------------------------------


def test_the_check_foretells_what_would_change_and_leaves_no_trace(
    anna: ConferencingUser, new_bridge: Bridge, django_capture_on_commit_callbacks: Any
) -> None:
    invite(anna)
    before = stored_but_for_imports()
    with django_capture_on_commit_callbacks() as wakes:
        user_import = upload(anna.tenant)
    assert len(wakes) == 1
    with django_capture_on_commit_callbacks() as wakes:
        advance()
    assert wakes == []

    found = reload(user_import).findings
    assert (found["created"], found["changed"], found["unchanged"], found["bad"]) == (1, 1, 0, 1)
    assert (found["runs"], found["meetings"], found["invitations"]) == (1, 1, 7)
    assert found["by_column"] == [["DisplayName", 1], ["Bridge", 1]]
    assert found["by_sentence"] == [
        ["Run, because the user moved to the bridge New bridge.", True, 1],
        ["No run, because the user is new.", False, 1],
    ]
    assert found["differences"] == [
        [
            *(2, "anna.rossi@contoso.com", "DisplayName Anna Rossi → Anna Bianchi; Bridge Old bridge → New bridge"),
            *(True, "Run, because the user moved to the bridge New bridge."),
        ],
        [3, "clara.sanz@contoso.com", "create", False, "No run, because the user is new."],
    ]
    assert found["bad_rows"] == [[4, f"UserPrincipalName: {ADDRESS} SipAddress: {ADDRESS}"]]
    assert stored_but_for_imports() == before


ADDRESS = "Give an address such as anna@contoso.com, in ASCII letters."


def test_what_would_change_counts_whatever_comes_along_with_a_row(make_user: MakeUser, old_bridge: Bridge) -> None:
    """A licence brings the default bridge and a conference ID, though neither stands in the file."""
    make_user("bruno.costa", audio_conferencing_license=False, bridge=None)
    found = checked(old_bridge.tenant, "UserPrincipalName,AudioConferencingLicense\nbruno.costa@contoso.com,true\n")

    ((_, _, change, starts_run, _),) = found.findings["differences"]
    assert change.startswith("AudioConferencingLicense false → true; Bridge none → Old bridge; ConferenceId none → ")
    assert starts_run


def test_a_large_file_is_counted_whole_and_shown_in_part(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_imports, "SHOWN_DIFFERENCES", 2)
    monkeypatch.setattr(user_imports, "SHOWN_BAD_ROWS", 3)
    rows = [f"user{number}@contoso.com" for number in range(5)] + [f"bad{number}" for number in range(7)]
    found = checked(tenant, "UserPrincipalName\n" + "\n".join(rows)).findings

    assert (found["created"], found["bad"]) == (5, 7)
    assert [row[0] for row in found["differences"]] == [2, 3]
    assert [row[0] for row in found["bad_rows"]] == [7, 8, 9]


def test_a_file_that_cannot_be_used_as_a_whole_is_refused(tenant: Tenant) -> None:
    user_import = upload(tenant, "Shoesize\n44\n")
    advance()
    user_import = reload(user_import)

    assert (user_import.state, user_import.text) == ("Refused", "")
    assert user_import.problem == "The first line must name the column UserPrincipalName."


def test_columns_that_mms_does_not_know_are_ignored_and_named(tenant: Tenant, anna: ConferencingUser) -> None:
    row = "anna.rossi@contoso.com,Sales,Anna Bianchi,=1+1\n"
    found = checked(tenant, f"userPrincipalName,department,displayName,\n{row}").findings

    assert found["by_column"] == [["DisplayName", 1]]
    assert found["ignored"] == "Ignored, because MMS knows no such column: department, one without a name."


def test_it_can_be_checked_again_when_what_was_missing_is_there(tenant: Tenant) -> None:
    user_import = checked(tenant, f"{HEADER}clara.sanz@contoso.com,,Mars,\n")
    assert user_import.findings["bad"] == 1
    set_bridge(tenant, "Mars", ACTOR)
    assert user_imports.request_check(user_import, ZOE)
    advance()

    assert (reload(user_import).findings["bad"], reload(user_import).findings["created"]) == (0, 1)


def test_it_tells_how_far_it_is_while_it_works(anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    real = user_imports.foresee

    def look(*arguments: Any) -> Any:
        told.append(import_progress.progress_of(UserImport.objects.get()))
        return real(*arguments)

    monkeypatch.setattr(user_imports, "foresee", look)
    checked(anna.tenant, f"{HEADER}anna.rossi@contoso.com,Anna,,\n")

    assert [(said["happened"], said["done"], said["total"]) for said in told if said] == [("checked", 1, 1)]
    assert import_progress.progress_of(UserImport.objects.get()) is None


# --- applying -----------------------------------------------------------------------------------------


def test_applying_does_what_was_foretold_in_the_name_of_whoever_asked_for_it(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    user_import = checked(anna.tenant)
    foretold = user_import.findings
    earlier = set(AuditEntry.objects.values_list("pk", flat=True))
    user_import = apply(user_import)

    assert (user_import.state, user_import.text) == ("Applied", "")
    assert user_import.finished_at is not None
    assert {name: user_import.findings[name] for name in foretold} == foretold
    anna.refresh_from_db()
    assert (anna.display_name, anna.bridge) == ("Anna Bianchi", new_bridge)
    assert ConferencingUser.objects.filter(upn="clara.sanz@contoso.com").exists()
    assert Run.objects.get().requested_by == "zoe"
    written = AuditEntry.objects.exclude(pk__in=earlier)
    assert {(entry.actor, entry.channel) for entry in written} == {("zoe", "import")}
    assert sorted(written.values_list("action", "target")) == [
        ("change user", "anna.rossi@contoso.com"),
        ("create user", "clara.sanz@contoso.com"),
        ("import users", "users.csv"),
    ]
    assert written.get(action="import users").consequence == "1 run started."


def test_bad_rows_are_left_out_only_where_somebody_says_so(anna: ConferencingUser, new_bridge: Bridge) -> None:
    user_import = checked(anna.tenant)
    with pytest.raises(ValidationError, match=r"^\['1 row cannot be used: tick “Leave out the bad rows”"):
        user_imports.request_apply(user_import, ZOE, leaves_out_bad_rows=False)
    advance()

    assert reload(user_import).state == "Checked"
    assert not Run.objects.exists()


def test_where_other_rows_have_become_bad_nothing_is_written(make_user: MakeUser, anna: ConferencingUser) -> None:
    text = f"{HEADER}anna.rossi@contoso.com,Anna,,\nclara.sanz@contoso.com,,Old bridge,7654321\n"
    user_import = checked(anna.tenant, text)
    make_user("bruno.costa", conference_id="7654321")
    before = stored_but_for_imports()
    user_import = apply(user_import, leave_out=False)

    assert user_import.state == "Checked"
    assert user_import.text == text
    assert user_import.findings["overtaken"]
    assert user_import.findings["bad_rows"] == [
        [3, "ConferenceId: 7654321 is already in use on its bridge: choose another."]
    ]
    assert stored_but_for_imports() == before
    assert apply(user_import).state == "Applied"
    anna.refresh_from_db()
    assert anna.display_name == "Anna"


def test_leaving_out_the_bad_rows_that_were_seen_leaves_out_no_others(
    anna: ConferencingUser, new_bridge: Bridge
) -> None:
    user_import = checked(anna.tenant)
    remove_bridge(new_bridge, ACTOR)
    user_import = apply(user_import, leave_out=True)

    assert (user_import.state, user_import.findings["overtaken"], user_import.findings["bad"]) == ("Checked", True, 2)
    assert not ConferencingUser.objects.filter(upn="clara.sanz@contoso.com").exists()


def test_what_was_decided_once_is_decided(anna: ConferencingUser) -> None:
    user_import = checked(anna.tenant, f"{HEADER}anna.rossi@contoso.com,Anna,,\n")
    assert user_imports.discard(user_import)
    user_import = reload(user_import)

    assert (user_import.state, user_import.text) == ("Discarded", "")
    assert not user_imports.request_apply(user_import, ZOE, leaves_out_bad_rows=True)
    assert not user_imports.request_check(user_import, ZOE)
    assert not user_imports.discard(user_import)
    assert not advance()
    anna.refresh_from_db()
    assert anna.display_name == "Anna Rossi"


def test_applying_says_whether_there_are_runs_to_work(anna: ConferencingUser, new_bridge: Bridge) -> None:
    moved = checked(anna.tenant)
    assert user_imports.request_apply(moved, ZOE, leaves_out_bad_rows=True)
    assert advance() is True
    renamed = checked(anna.tenant, f"{HEADER}anna.rossi@contoso.com,Anna,,\n")
    assert user_imports.request_apply(renamed, ZOE, leaves_out_bad_rows=True)
    assert advance() is False


def test_the_cluster_takes_it_up_and_goes_on_with_the_runs(
    anna: ConferencingUser, new_bridge: Bridge, outbox: Any
) -> None:
    invite(anna)
    user_import = upload(anna.tenant)
    tasks.work_queue()
    assert user_imports.request_apply(reload(user_import), ZOE, leaves_out_bad_rows=True)
    tasks.work_queue()

    assert reload(user_import).state == "Applied"
    assert Run.objects.get().state == "Succeeded"


# --- what goes wrong ----------------------------------------------------------------------------------


class Killed(BaseException):
    """The worker is gone, in the middle of what it does."""


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Has the next step killed when its changes are all foreseen, or made but not committed."""
    real = {name: getattr(user_imports, name) for name in ("foresee", "carry_out")}

    def once() -> None:
        def killed(name: str, *arguments: Any) -> None:
            real[name](*arguments)
            for each, function in real.items():
                monkeypatch.setattr(user_imports, each, function)
            raise Killed

        for name in real:
            monkeypatch.setattr(user_imports, name, partial(killed, name))

    return once


def lease_ends() -> None:
    """As it does by itself a minute after the worker was killed."""
    UserImport.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_a_killed_worker_leaves_nothing_half_done_and_the_next_one_does_it(
    anna: ConferencingUser, new_bridge: Bridge, kill: Callable[[], None]
) -> None:
    before = stored_but_for_imports()
    user_import = upload(anna.tenant)
    kill()
    with pytest.raises(Killed):
        advance()
    assert reload(user_import).state == "Checking"
    lease_ends()
    advance()
    assert user_imports.request_apply(reload(user_import), ZOE, leaves_out_bad_rows=True)
    kill()
    with pytest.raises(Killed):
        advance()

    assert reload(user_import).state == "Applying"
    assert stored_but_for_imports() == before
    lease_ends()
    advance()
    assert reload(user_import).state == "Applied"
    assert Run.objects.count() == 1
    assert ConferencingUser.objects.count() == 2


def test_a_worker_that_is_killed_between_two_pieces_leaves_them_whole_and_the_next_one_goes_on(
    anna: ConferencingUser, new_bridge: Bridge, kill: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_in, "PIECE", 10)
    rows = "".join(f"user{number:02}@contoso.com,New,,\n" for number in range(35))
    user_import = checked(anna.tenant, f"{HEADER}{rows}anna.rossi@contoso.com,Anna,New bridge,\nnobody,,,\n")
    foretold = user_import.findings
    assert user_imports.request_apply(user_import, ZOE, leaves_out_bad_rows=True)
    monkeypatch.setattr(user_imports, "let_others_write", kill)
    with pytest.raises(Killed):
        advance()
    monkeypatch.setattr(user_imports, "let_others_write", lambda: None)

    assert (reload(user_import).state, ConferencingUser.objects.count()) == ("Applying", 11)
    assert not advance()  # the dead worker's lease is not over
    lease_ends()
    assert advance() is True
    user_import = reload(user_import)
    assert user_import.state == "Applied"
    assert {name: user_import.findings[name] for name in foretold} == foretold
    assert ConferencingUser.objects.count() == 36
    assert Run.objects.count() == 1
    entry = AuditEntry.objects.get(action="import users")
    assert (entry.after, entry.consequence) == ({"created": 35, "changed": 1}, "1 run started.")


def test_r14_what_follows_from_a_row_is_not_taken_back_by_whoever_goes_on(
    tenant: Tenant, make_user: MakeUser, kill: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The licence moves the user from the provider that the row names, so once it is written it differs still."""
    change_tenant(tenant, ACTOR, automatically_replace_acp_provider=True)
    for number in range(4):
        make_user(f"user{number}", audio_conferencing_license=False, conferencing_provider="Example Conferencing")
    monkeypatch.setattr(users_in, "PIECE", 1)
    rows = "".join(f"user{number}@contoso.com,true,Example Conferencing\n" for number in range(4))
    user_import = checked(tenant, f"UserPrincipalName,AudioConferencingLicense,ConferencingProvider\n{rows}")
    foretold = user_import.findings
    assert user_imports.request_apply(user_import, ZOE, leaves_out_bad_rows=False)
    monkeypatch.setattr(user_imports, "let_others_write", kill)
    with pytest.raises(Killed):
        advance()
    monkeypatch.setattr(user_imports, "let_others_write", lambda: None)
    lease_ends()
    advance()

    user_import = reload(user_import)
    assert user_import.state == "Applied"
    assert {name: user_import.findings[name] for name in foretold} == foretold
    assert set(ConferencingUser.objects.values_list("conferencing_provider", "audio_conferencing_license")) == {
        ("", True)
    }
    assert AuditEntry.objects.filter(action="change user").count() == 4


def test_a_bad_row_that_is_bad_for_another_reason_by_then_does_not_stop_what_was_interrupted(
    tenant: Tenant, old_bridge: Bridge, kill: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first its ID stands on another line of the file; once that one is written, the ID is in use."""
    monkeypatch.setattr(users_in, "PIECE", 1)
    rows = "".join(f"user{number}@contoso.com,New,Old bridge,200000{number}\n" for number in range(3))
    user_import = checked(tenant, f"{HEADER}{rows}zoe@contoso.com,Zoe,Old bridge,2000000\n")
    assert [line for line, _ in user_import.findings["bad_rows"]] == [5]
    assert user_imports.request_apply(user_import, ZOE, leaves_out_bad_rows=True)
    monkeypatch.setattr(user_imports, "let_others_write", kill)
    with pytest.raises(Killed):
        advance()
    monkeypatch.setattr(user_imports, "let_others_write", lambda: None)
    lease_ends()
    advance()

    user_import = reload(user_import)
    assert user_import.state == "Applied"
    assert (user_import.findings["created"], user_import.findings["bad"]) == (3, 1)
    assert AuditEntry.objects.get(action="import users").after == {"created": 3, "changed": 0}


def test_a_worker_that_was_taken_for_lost_writes_nothing_more(
    anna: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users_in, "PIECE", 10)
    rows = "".join(f"user{number:02}@contoso.com,New,,\n" for number in range(35))
    user_import = checked(anna.tenant, f"{HEADER}{rows}")
    assert user_imports.request_apply(user_import, ZOE, leaves_out_bad_rows=False)

    def taken_over() -> None:
        monkeypatch.setattr(user_imports, "let_others_write", lambda: None)
        lease_ends()
        assert not advance()

    monkeypatch.setattr(user_imports, "let_others_write", taken_over)
    assert not advance()

    assert reload(user_import).state == "Applied"
    assert AuditEntry.objects.filter(action="create user", target__startswith="user").count() == 35
    assert AuditEntry.objects.get(action="import users").after == {"created": 35, "changed": 0}


@pytest.mark.django_db(transaction=True)
def test_others_can_write_while_a_large_file_is_imported(
    cast: None, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever no piece is being written: while the file is read, and between any two pieces of check and import."""
    monkeypatch.setattr(users_in, "PIECE", 200)
    answers = []

    def sign_in(*_: Any) -> None:
        credentials = {"username": "alice", "password": "a long pass phrase"}
        answers.extend(alone(lambda: Client().post("/accounts/login/", credentials).status_code))

    class Progress(import_progress.Progress):
        def __call__(self, happened: str, done: int, total: int) -> None:
            if happened == "checked":
                sign_in()

    monkeypatch.setattr(user_imports, "Progress", Progress)
    monkeypatch.setattr(user_imports, "let_others_write", sign_in)
    rows = "".join(f"user{number}@contoso.com\n" for number in range(600))
    user_import = upload(tenant, f"UserPrincipalName\n{rows}")
    advance()
    assert user_imports.request_apply(reload(user_import), ZOE, leaves_out_bad_rows=False)
    advance()

    assert reload(user_import).state == "Applied"
    assert answers == [302] * 10  # twice: two batches are read, and three pieces written


def alone(work: Callable[[], Any]) -> list[Any]:
    return together(lambda _: work(), threads=1)


def test_what_ends_every_worker_is_given_up(
    anna: ConferencingUser, new_bridge: Bridge, kill: Callable[[], None]
) -> None:
    user_import = upload(anna.tenant)
    for _ in range(user_imports.ATTEMPTS):
        kill()
        with pytest.raises(Killed):
            advance()
        lease_ends()
    assert reload(user_import).state == "Checking"
    advance()

    assert (reload(user_import).state, reload(user_import).text) == ("Refused", "")
    assert reload(user_import).problem.startswith("It was begun 5 times and never finished, so nothing was written")


def test_a_step_that_fails_keeps_nobody_else_waiting(
    anna: ConferencingUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fabrikam = create_tenant(
        ACTOR, slug="fabrikam", name="Fabrikam", domain="fabrikam.com", meeting_url="https://meet.fabrikam.com"
    )
    real = user_imports.plan

    def fail_for_contoso(tenant: Tenant, *arguments: Any) -> Any:
        if tenant == anna.tenant:
            raise RuntimeError("the database is full")
        return real(tenant, *arguments)

    monkeypatch.setattr(user_imports, "plan", fail_for_contoso)
    ours, theirs = upload(anna.tenant), upload(fabrikam)
    advance()

    assert (reload(ours).state, reload(theirs).state) == ("Checking", "Checked")
    assert f"import {ours.pk} could not be finished" in caplog.text


def test_no_step_is_begun_that_the_clusters_timeout_could_end(anna: ConferencingUser) -> None:
    user_import = upload(anna.tenant)
    user_imports.advance(timezone.now() + timedelta(seconds=90))

    assert reload(user_import).state == "Checking"
    assert reload(user_import).findings == {}


def test_imports_of_a_tenant_go_one_after_the_other(anna: ConferencingUser) -> None:
    first = upload(anna.tenant, f"{HEADER}bruno.costa@contoso.com,Bruno,,\n")
    second = upload(anna.tenant, f"{HEADER}clara.sanz@contoso.com,Clara,,\n")
    advance()

    assert {reload(first).state, reload(second).state} == {"Checked"}


@pytest.mark.django_db(transaction=True)
def test_several_workers_at_once_apply_it_once(tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge) -> None:
    rows = [{"upn": f"user{number:04}@contoso.com", "bridge": old_bridge} for number in range(600)]
    users = create_users(tenant, rows, ACTOR)
    text = "UserPrincipalName,Bridge\n" + "".join(f"{user.upn},New bridge\n" for user in users)
    user_import = upload(tenant, text)
    together(lambda _: advance())
    assert reload(user_import).state == "Checked"
    assert user_imports.request_apply(reload(user_import), ZOE, leaves_out_bad_rows=False)
    together(lambda _: advance())

    assert reload(user_import).state == "Applied"
    assert Run.objects.count() == 600
    assert AuditEntry.objects.filter(action="change user").count() == 600
    assert AuditEntry.objects.filter(action="import users").count() == 1
    assert ConferenceId.objects.filter(bridge=new_bridge).count() == 600


@pytest.mark.django_db(transaction=True)
def test_two_who_decide_at_once_decide_once(tenant: Tenant, old_bridge: Bridge) -> None:
    user_import = checked(tenant, f"{HEADER}clara.sanz@contoso.com,Clara,,\n")
    decided = together(lambda _: user_imports.discard(user_import))

    assert decided.count(True) == 1


def test_why_a_row_is_bad_is_read_in_any_language(tenant: Tenant) -> None:
    with pytest.raises(ValidationError) as refused:
        CellReader(tenant).check(Row(2, "anna@contoso.com", {"Bridge": "Seattle"}), None, None)
    why = sentences(refused.value)
    assert why == "Bridge: Contoso has no bridge Seattle: add it first, or correct the name."
    with translation.override("it"):
        assert f"{why}" == "Bridge: Contoso non ha un bridge Seattle: aggiungerlo prima oppure correggere il nome."
