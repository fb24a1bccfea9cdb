"""The switches, the limits and texts, and the audit of their changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from migrations_app.models import Run
from tenants_app.models import ConferencingUser, Tenant
from tests.support.pages import settings_form, words

MakeRun = Callable[..., Run]


def test_r12_it_turns_the_service_off_and_on_and_says_what_happens(
    alice: Client, tenant: Tenant, anna: ConferencingUser, make_run: MakeRun, wakes: list[Any]
) -> None:
    make_run(anna, "Pending")
    off = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "false"}, follow=True)
    tenant.refresh_from_db()
    was_off = not tenant.meeting_migration_enabled
    on = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "true"}, follow=True)
    tenant.refresh_from_db()

    assert was_off
    assert "The service is off: 1 pending run waits, runs in progress finish" in words(off.content)
    assert tenant.meeting_migration_enabled
    assert "The service is on: 1 pending run goes on, each when it is due." in words(on.content)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("AutomaticallyMigrateUserMeetings", "automatically_migrate_user_meetings", False),
        ("AutomaticallyReplaceAcpProvider", "automatically_replace_acp_provider", True),
    ],
)
def test_r13_r14_it_turns_each_switch(alice: Client, tenant: Tenant, name: str, field: str, value: bool) -> None:
    alice.post(f"/contoso/settings/{name}/", {"on": str(value).lower()})

    tenant.refresh_from_db()
    assert getattr(tenant, field) is value
    assert "alice" in words(alice.get("/contoso/audit/").content)


def test_it_goes_back_to_the_page_where_the_switch_was_turned(alice: Client) -> None:
    answer = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "true", "next": "/contoso/"})

    assert answer.url == "/contoso/"


@pytest.mark.parametrize("wanted", ["x", "dashboard", "/nowhere/at/all/", "//evil.example.org/", "http://[", "\x00"])
def test_it_goes_back_to_pages_only(alice: Client, wanted: str) -> None:
    answer = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "false", "next": wanted})
    theme = alice.post("/accounts/theme/", {"theme": "dark", "next": wanted})

    assert answer.url == "/contoso/settings/"
    assert theme.url == "/"


@pytest.mark.parametrize("value", ["", "maybe", "True"])
def test_it_changes_nothing_where_a_switch_value_is_wrong(alice: Client, tenant: Tenant, value: str) -> None:
    answer = alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": value}, follow=True)

    tenant.refresh_from_db()
    assert tenant.meeting_migration_enabled
    assert "MeetingMigrationEnabled is either on or off: nothing was changed." in words(answer.content)
    assert alice.post("/contoso/settings/Nonsense/", {"on": "true"}).status_code == 404


def test_it_says_what_each_switch_does(alice: Client) -> None:
    page = words(alice.get("/contoso/settings/").content)

    for name in ("MeetingMigrationEnabled", "AutomaticallyMigrateUserMeetings", "AutomaticallyReplaceAcpProvider"):
        assert name in page
    assert "pending runs wait" in page


def test_it_saves_limits_and_texts_and_audits_them(alice: Client, tenant: Tenant) -> None:
    posted = settings_form(alice, attendee_limit="300", footer_text="Contoso\r\nLtd")
    answer = alice.post("/contoso/settings/", posted, follow=True)

    tenant.refresh_from_db()
    assert tenant.attendee_limit == 300
    assert "The settings are saved." in words(answer.content)
    assert "Attendee limit: 250 → 300" in words(alice.get("/contoso/audit/").content)


@pytest.mark.parametrize(
    ("edited", "sentence"),
    [
        ({"attendee_limit": "-1"}, "Give at least 0."),
        ({"settling_time": "a while"}, "Give a whole number, in digits alone."),
        ({"settling_time": "90000"}, "Give at most 86400."),
        ({"meeting_url": "javascript:alert(1)"}, "Give a web address that begins with https://"),
    ],
)
def test_it_saves_nothing_where_one_value_is_wrong(
    alice: Client, tenant: Tenant, edited: dict[str, str], sentence: str
) -> None:
    answer = alice.post("/contoso/settings/", settings_form(alice, name="Changed", **edited))

    tenant.refresh_from_db()
    assert tenant.name == "Contoso"
    assert sentence in words(answer.content)


@pytest.mark.parametrize(("query", "shown"), [("?q=alice", True), ("?q=nobody", False), ("?q=%00", True)])
def test_it_searches_the_audit(alice: Client, query: str, shown: bool) -> None:
    alice.post("/contoso/settings/MeetingMigrationEnabled/", {"on": "false"})
    page = words(alice.get(f"/contoso/audit/{query}").content)

    assert ("Meeting migration enabled: on → off" in page) is shown
