"""Importing users in the browser: the file, what it would change, the decision; and all users as a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from migrations_app.models import Heartbeat, Run, UserImport
from migrations_app.monitoring.health import beat
from migrations_app.procedures import user_import
from migrations_app.tasks import TIME_BUDGET
from tenants_app.changes.bridges import remove_bridge
from tenants_app.changes.users import create_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.pages import words

MakeUser = Callable[..., ConferencingUser]
PLACE = "/contoso/users/import/"
FILE = """\
UserPrincipalName,DisplayName,Bridge
anna.rossi@contoso.com,Anna Bianchi,New bridge
clara.sanz@contoso.com,<b>Clara</b>,
"""
WITH_A_BAD_ROW = f"{FILE}dora,,\n"


def upload(client: Client, content: str | bytes = FILE, name: str = "users.csv") -> Any:
    octets = content.encode() if isinstance(content, str) else content
    return client.post(PLACE, {"file": SimpleUploadedFile(name, octets, "text/csv")})


def work() -> None:
    user_import.advance(timezone.now() + TIME_BUDGET)


def page(client: Client, address: str) -> str:
    return words(client.get(address).content)


@pytest.fixture
def checked(alice: Client, anna: ConferencingUser, new_bridge: Bridge) -> str:
    """The address of an import that was checked; its last row is bad."""
    invite(anna)
    address: str = upload(alice, WITH_A_BAD_ROW).url
    work()
    return address


# --- the file -----------------------------------------------------------------------------------------


def test_a_file_is_taken_in_and_checked_in_the_background(
    alice: Client, anna: ConferencingUser, new_bridge: Bridge, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks() as wakes:
        answer = upload(alice, name="from the directory.csv")
    user_import = UserImport.objects.get()

    assert len(wakes) == 1
    assert answer.url == f"{PLACE}{user_import.pk}/"
    assert (user_import.requested_by, user_import.state, user_import.text) == ("alice", "Checking", FILE)
    shown = page(alice, answer.url)
    assert "from the directory.csv" in shown
    assert "The file waits to be checked. Nothing is changed." in shown
    assert 'hx-trigger="every 2s, shown"' in alice.get(answer.url).content.decode()
    assert "without JavaScript, reload" in shown
    work()
    assert "Nothing is changed yet." in page(alice, answer.url)
    assert "hx-trigger" not in alice.get(answer.url).content.decode().partition('id="live"')[2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The file is empty: the first line names the columns"),
        ("UserPrincipalName\n\n", "The file has no rows below its first line"),
        ("UserPrincipalName,Langauge\na@contoso.com,it\n", "There is no column 'Langauge': did you mean Language?"),
        ("Shoesize\n44\n", "The first line must name the column UserPrincipalName."),
        ("DisplayName\nAnna\n", "The first line must name the column UserPrincipalName."),
        ('UserPrincipalName,DisplayName\na@contoso.com,"Anna\n', "cannot be read as CSV from line 2 on"),
        ("UserPrincipalName\nZoë\n".encode("latin-1"), "is not UTF-8 text (byte 21): save it as “CSV UTF-8”"),
        (b"PK\x03\x04\0\0", "The file is not a text file: save it as “CSV UTF-8” and repeat."),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_on_its_field(
    alice: Client, tenant: Tenant, content: str | bytes, sentence: str
) -> None:
    answer = upload(alice, content)

    assert answer.status_code == 200
    assert [sentence in error for error in answer.context["form"].errors["file"]] == [True]
    assert 'id="id_file_error"' in answer.content.decode()
    assert not UserImport.objects.exists()


def test_a_file_that_is_too_large_is_refused(alice: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_import, "MAX_ROWS", 1)
    assert "The file has 2 rows, and at most 1 go at once" in words(upload(alice).content)
    monkeypatch.setattr(user_import, "MAX_OCTETS", 20)
    assert "MB go at once: divide it, or use import_users." in words(upload(alice).content)
    assert "Fill this in: it must not be empty." in words(alice.post(PLACE).content)
    assert not UserImport.objects.exists()


def test_the_template_has_all_columns_and_may_be_filled_in(alice: Client, tenant: Tenant, anna: Any) -> None:
    answer = alice.get(f"{PLACE}template.csv")
    header = answer.content.decode()

    assert answer["Content-Disposition"] == 'attachment; filename="users.csv"'
    assert header.startswith("\ufeffUserPrincipalName,SipAddress,DisplayName,")
    assert upload(alice, header + "bruno.costa@contoso.com" + "," * 13).status_code == 302


# --- what it would change -----------------------------------------------------------------------------


def test_it_shows_what_would_change_and_what_that_leads_to(alice: Client, checked: str) -> None:
    shown = page(alice, checked)

    for words_there in (
        "Users created 1",
        "Users changed 1",
        "Unchanged 0",
        "Bad rows 1",
        "Runs that start 1",
        "Their future meetings 1",
        "Run, because the user moved to the bridge New bridge. 1 user",
        "No run, because the user is new. 1 user",
        "DisplayName 1",
        "Line 4 UserPrincipalName: Give an address such as anna@contoso.com",
        "DisplayName Anna Rossi → Anna Bianchi; Bridge Old bridge → New bridge",
        "Line 3 clara.sanz@contoso.com create",
        "Apply to 2 users",
    ):
        assert words_there in shown
    assert not Run.objects.exists()


def test_it_asks_in_a_constant_number_of_questions(
    alice: Client, checked: str, django_assert_max_num_queries: Any
) -> None:
    rows = "".join(f"user{number}@contoso.com,,\n" for number in range(300))
    many = upload(alice, f"{FILE}{rows}").url
    work()
    for address in (PLACE, checked, many):
        with django_assert_max_num_queries(8):
            alice.get(address)
    assert "The first 200 of 302 are shown." in page(alice, many)


def test_it_says_that_there_is_nothing_to_apply(alice: Client, anna: ConferencingUser) -> None:
    address = upload(alice, "UserPrincipalName,DisplayName\nanna.rossi@contoso.com,Anna Rossi\n").url
    work()

    assert "There is nothing to apply. Every user is as the file says already." in page(alice, address)
    assert "apply/" not in alice.get(address).content.decode()


def test_it_says_why_a_file_was_refused_in_the_end(alice: Client, anna: ConferencingUser) -> None:
    address = upload(alice).url
    UserImport.objects.update(findings={"attempts": user_import.ATTEMPTS})
    work()

    assert "The file cannot be used, and nothing was written. It was begun 5 times" in page(alice, address)


@pytest.mark.parametrize(("minutes", "is_silent"), [(None, True), (10, True), (1, False)])
def test_it_says_when_nobody_is_there_to_check_it(
    alice: Client, anna: ConferencingUser, minutes: int | None, is_silent: bool
) -> None:
    if minutes is not None:
        beat()
        Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=minutes))
    address = upload(alice).url

    assert ("The background workers are silent, so this waits." in page(alice, address)) is is_silent
    work()
    assert "The background workers are silent" not in page(alice, address)


def test_it_shows_how_far_the_worker_is(alice: Client, anna: ConferencingUser) -> None:
    address = upload(alice).url
    said = {"done": 30_000, "total": 100_000, "at": timezone.now()}
    key = f"user-import-{UserImport.objects.get().pk}"
    cache.set(key, {**said, "happened": "checked"})
    assert "The file is being checked. Nothing is changed. 30,000 of 100,000 rows checked" in page(alice, address)
    assert "The background workers are silent" not in page(alice, address)
    cache.set(key, {**said, "happened": "changed"})
    assert "Trying it out: 30,000 of 100,000 users changed" in page(alice, address)
    UserImport.objects.update(state="Applying")
    fragment = alice.get(address, headers={"HX-Request": "true"}).content
    assert "The changes are being made. 30,000 of 100,000 users changed" in words(fragment)
    assert "Applying: 30,000 of 100,000 changed" in words(fragment)
    cache.set(key, {**said, "happened": "changed", "at": timezone.now() - timedelta(minutes=2)})
    assert "30,000" not in page(alice, address)
    cache.delete(key)


# --- the decision -------------------------------------------------------------------------------------


def test_it_is_applied_without_its_bad_rows_where_that_is_ticked(
    alice: Client, checked: str, anna: ConferencingUser
) -> None:
    alice.post(f"{checked}apply/")
    assert "1 row cannot be used: tick “Leave out the bad rows”" in page(alice, checked)
    alice.post(f"{checked}apply/", {"leave_out": "on"})
    assert "The changes wait to be made." in page(alice, checked)
    work()
    shown = page(alice, checked)

    assert "Applied by alice," in shown
    assert "1 run started: see the history" in shown
    assert "Rows left out 1" in shown
    assert 'href="/contoso/migrations/"' in alice.get(checked).content.decode()
    anna.refresh_from_db()
    assert anna.display_name == "Anna Bianchi"
    assert "<b>Clara" not in alice.get(checked).content.decode()


def test_it_comes_back_where_something_else_has_changed(
    alice: Client, checked: str, anna: ConferencingUser, new_bridge: Bridge
) -> None:
    alice.post(f"{checked}apply/", {"leave_out": "on"})
    remove_bridge(new_bridge, ACTOR)
    work()

    assert "Nothing was written: since it was checked, something changed" in page(alice, checked)
    anna.refresh_from_db()
    assert anna.display_name == "Anna Rossi"


def test_it_can_be_checked_again(alice: Client, checked: str) -> None:
    alice.post(f"{checked}check/")
    assert "The file waits to be checked." in page(alice, checked)
    work()
    assert "Apply to 2 users" in page(alice, checked)


def test_it_can_be_discarded_before_and_after_the_check(alice: Client, checked: str) -> None:
    alice.post(f"{checked}discard/")
    assert "It was discarded" in page(alice, checked)
    alice.post(f"{checked}apply/", {"leave_out": "on"})
    assert "It does not wait for a decision now" in page(alice, checked)
    other = upload(alice).url
    alice.post(f"{other}discard/")
    work()
    assert not Run.objects.exists()
    assert "Discarded" in page(alice, PLACE)


def test_the_users_page_leads_there(alice: Client, vera: Client, anna: ConferencingUser) -> None:
    for client, may_import in ((alice, True), (vera, False)):
        shown = client.get("/contoso/users/").content.decode()
        assert (f'href="{PLACE}"' in shown) is may_import
        assert 'action="/contoso/users/export.csv"' in shown
    ConferencingUser.objects.all().delete()
    assert "Import them from a CSV file" in page(alice, "/contoso/users/")
    assert "An admin of the tenant can import them" in page(vera, "/contoso/users/")


# --- all users as a file ------------------------------------------------------------------------------


def test_what_was_downloaded_changes_nothing_when_it_is_uploaded(
    alice: Client, vera: Client, make_user: MakeUser, new_bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenants_app.bulk.BULK", 2)
    make_user("anna.rossi", toll_number=None)
    make_user("bruno.costa", bridge=None, audio_conferencing_license=False)
    for number in range(3):
        make_user(f"user{number}", bridge=new_bridge, toll_free_number=new_bridge.numbers.get(kind="toll-free"))
    answer: Any = vera.get("/contoso/users/export.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].startswith('attachment; filename="users-contoso-')
    content = answer.getvalue()
    assert content.count(b"\r\n") == 6
    address = upload(alice, content).url
    work()

    assert "There is nothing to apply. Every user is as the file says already." in page(alice, address)
    assert "Unchanged 5" in page(alice, address)


def test_the_file_has_the_users_of_one_tenant_only(alice: Client, anna: ConferencingUser) -> None:
    fabrikam = Tenant.objects.get(slug="fabrikam")
    create_user(fabrikam, ACTOR, upn="frank.moor@fabrikam.com")
    answer: Any = alice.get("/contoso/users/export.csv")

    content = answer.getvalue().decode()
    assert "anna.rossi@contoso.com" in content
    assert "fabrikam" not in content


def test_the_page_of_an_import_takes_no_text_of_the_file_along(alice: Client, checked: str) -> None:
    """It may be 50 MB."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UserImport, "refresh_from_db", lambda *_, **__: pytest.fail("it reads what it had put off"))
        assert alice.get(checked).status_code == 200
        assert alice.get(PLACE).status_code == 200
