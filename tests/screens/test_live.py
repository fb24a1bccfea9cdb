"""Pages that follow what happens: one cheap look at a time, anew only on a change, right after any time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import BulkAction, ChatRoom, NumberRelease, Run, Wave
from migrations_app.procedures import user_import
from tenants_app.models import Bridge, ConferencingUser, Role, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_rows import a_plan, a_room, a_target, an_archive
from tests.support.only_reads import only_reads
from tests.support.pages import words
from tests.support.previewed import preview_of
from tests.support.rollouts import a_rollout, a_wave, members

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
DASHBOARD = "/contoso/"


@pytest.fixture(autouse=True)
def within_a_minute() -> Any:
    """No minute ends while a test looks twice."""
    with time_machine.travel(timezone.now().replace(second=5), tick=False):
        yield


def look(client: Client, address: str, shown: str = "") -> HttpResponse:
    return client.get(address, headers={"HX-Request": "true", "MMS-Shown": shown})


def shown_by(client: Client, address: str) -> str:
    """What a browser says it shows, once it has the page."""
    return str(client.get(address).context["shown_version"])


@pytest.fixture
def addresses(alice: Client, anna: ConferencingUser, make_run: MakeRun, new_bridge: Bridge) -> dict[str, str]:
    tenant = anna.tenant
    run = make_run(anna, "InProgress", total_meetings=7)
    action = BulkAction.objects.create(tenant=tenant, kind="start", requested_by="bob", user_count=3)
    imported = user_import.submit(tenant, "users.csv", "UserPrincipalName\nanna.rossi@contoso.com\n", ACTOR)
    number = anna.bridge.numbers.get() if anna.bridge else None
    release = NumberRelease.objects.create(
        tenant=tenant,
        bridge=anna.bridge,
        number=number,
        e164="+14255550100",
        replacement=number,
        replacement_e164="+14255550101",
        requested_by="alice",
        due_at=timezone.now() + timedelta(hours=1),
    )
    return {
        "dashboard": DASHBOARD,
        "run": f"/contoso/migrations/{run.correlation_id}/",
        "user": f"/contoso/users/{anna.upn}/",
        "job": f"/contoso/users/actions/{action.pk}/",
        "import": f"/contoso/users/import/{imported.pk}/",
        "release": f"/contoso/releases/{release.pk}/",
        "preview": f"/contoso/previews/{preview_of(anna)['preview']}/",
        "chat": "/contoso/chat/",
        "chat plan": f"/contoso/chat/plans/{(moved := chat_room_of(tenant)).plan.number}/",
        "chat room": f"/contoso/chat/plans/{moved.plan.number}/rooms/{moved.pk}/",
        "wave": f"/contoso/rollouts/{wave_of(tenant).rollout_id}/waves/1/",
    }


def chat_room_of(tenant: Tenant) -> ChatRoom:
    plan = a_plan(an_archive(tenant), a_target(tenant), state="Importing", started_at=timezone.now())
    return a_room(plan, state="Writing", started_at=timezone.now())


def wave_of(tenant: Tenant) -> Wave:
    return a_wave(a_rollout(tenant), state="Running", started_at=timezone.now())


PAGES = ["dashboard", "run", "user", "job", "import", "release", "preview", "wave", "chat", "chat plan", "chat room"]


@pytest.mark.parametrize("page", PAGES)
def test_a_look_at_what_has_not_changed_is_one_statement_after_those_of_the_session(
    alice: Client, addresses: dict[str, str], page: str
) -> None:
    shown = shown_by(alice, addresses[page])
    with only_reads(), CaptureQueriesContext(connection) as queries:
        answer = look(alice, addresses[page], shown)
    tables = [query["sql"].partition(' FROM "')[2].partition('"')[0] for query in queries]

    assert (answer.status_code, answer.content) == (204, b"")
    assert tables == ["django_session", "auth_user", "tenants_app_role", "migrations_app_activity"]
    assert "nothingNew" in answer.headers["HX-Trigger"]
    assert "no-store" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("page", PAGES)
def test_it_is_made_anew_once_something_has_changed(
    alice: Client, addresses: dict[str, str], anna: ConferencingUser, page: str
) -> None:
    shown = shown_by(alice, addresses[page])
    Run.objects.filter(user=anna).update(succeeded_meetings=3)
    answer = look(alice, addresses[page], shown)

    assert answer.status_code == 200
    assert answer.context["shown_version"] != shown
    assert look(alice, addresses[page], answer.context["shown_version"]).status_code == 204


def test_r77_the_page_of_a_wave_is_made_anew_when_a_member_ends(
    alice: Client, tenant: Tenant, anna: ConferencingUser
) -> None:
    wave = wave_of(tenant)
    (member,) = members(wave, [anna], state="Updating", batch=1)
    address = f"/contoso/rollouts/{wave.rollout_id}/waves/1/"
    shown = shown_by(alice, address)
    type(member).objects.filter(pk=member.pk).update(state="Done")
    assert look(alice, address, shown).status_code == 200


def test_r111_pages_of_chat_are_made_anew_when_a_room_comes_further(alice: Client, tenant: Tenant) -> None:
    room = chat_room_of(tenant)
    for address in ("/contoso/chat/", f"/contoso/chat/plans/1/rooms/{room.pk}/", "/contoso/chat/plans/1/"):
        shown = shown_by(alice, address)
        assert look(alice, address, shown).status_code == 204
        ChatRoom.objects.filter(pk=room.pk).update(written=F("written") + 1)
        assert look(alice, address, shown).status_code == 200


def test_what_changes_while_a_page_is_made_shows_at_the_next_look(
    alice: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    run = make_run(anna, "InProgress", total_meetings=7)
    changed = []

    def change(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        if "migrations_app_activity" in sql and not changed:
            changed.append(sql)
            Run.objects.filter(pk=run.pk).update(succeeded_meetings=5)
        return answer

    with connection.execute_wrapper(change):
        shown = shown_by(alice, DASHBOARD)

    assert changed
    assert look(alice, DASHBOARD, shown).status_code == 200


def test_what_ages_by_itself_is_a_minute_old_at_most(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    make_run(anna, "InProgress")
    shown = shown_by(alice, DASHBOARD)
    with time_machine.travel(timezone.now() + timedelta(seconds=54), tick=False):
        assert look(alice, DASHBOARD, shown).status_code == 204
    with time_machine.travel(timezone.now() + timedelta(minutes=1), tick=False):
        assert look(alice, DASHBOARD, shown).status_code == 200


def test_what_one_shows_says_nothing_about_another_address_account_or_role(
    alice: Client, vera: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    address = f"/contoso/migrations/{make_run(anna, 'InProgress').correlation_id}/"
    shown = shown_by(alice, address)
    assert look(alice, f"{address}?outcome=Failed", shown).status_code == 200
    assert look(vera, address, shown).status_code == 200
    assert look(alice, address, shown).status_code == 204
    Role.objects.filter(account__username="alice").update(name=Role.Name.VIEWER)
    assert look(alice, address, shown).status_code == 200
    Role.objects.filter(account__username="alice").delete()
    assert look(alice, address, shown).status_code == 404


def test_a_whole_page_is_never_answered_with_nothing(alice: Client, anna: ConferencingUser) -> None:
    shown = shown_by(alice, DASHBOARD)

    assert alice.get(DASHBOARD, headers={"MMS-Shown": shown}).status_code == 200


def test_where_the_session_has_ended_a_page_that_asks_by_itself_is_told_to_stop(tenant: Tenant) -> None:
    answer = Client().get(DASHBOARD, headers={"HX-Request": "true", "MMS-Shown": "a"}, follow=True)

    assert answer.status_code == 286  # htmx: ask no more
    assert "signedOut" in answer.headers["HX-Trigger"]
    assert answer.headers["HX-Reswap"] == "none"
    assert b"Contoso" not in answer.content


def test_the_title_says_what_needs_somebody_also_after_a_refresh(
    alice: Client, make_user: MakeUser, make_run: MakeRun
) -> None:
    make_run(make_user("anna"), "Failed", last_error_code="no-bridge")
    make_run(make_user("bruno"), "Pending")
    title = "<title>(1 failed, 1 waiting) Dashboard · Contoso · MMS</title>"

    assert title in " ".join(alice.get(DASHBOARD).content.decode().split())
    assert title in " ".join(look(alice, DASHBOARD).content.decode().split())


def test_the_list_of_tenants_says_who_needs_somebody(
    alice: Client, make_user: MakeUser, make_run: MakeRun, tenant: Tenant
) -> None:
    alice_too = User.objects.get(username="alice")
    Role.objects.create(tenant=Tenant.objects.get(slug="fabrikam"), account=alice_too, name=Role.Name.VIEWER)
    make_run(make_user("anna"), "Failed", last_error_code="no-bridge")
    make_run(make_user("bruno"), "Failed", last_error_code="no-bridge", accepted_at=timezone.now())
    make_run(make_user("clara"), "Pending")
    with CaptureQueriesContext(connection) as queries:
        page = words(alice.get("/").content)

    contoso, fabrikam = page.split("Contoso", 1)[1].split("Fabrikam", 1)
    assert "1 failed" in contoso
    assert "1 waiting" in contoso
    assert "failed" not in fabrikam
    assert len(queries) <= 8


def test_the_list_of_tenants_follows_by_itself_and_its_title_says_it_too(
    alice: Client, make_user: MakeUser, make_run: MakeRun
) -> None:
    fabrikam = Role.objects.create(
        tenant=Tenant.objects.get(slug="fabrikam"), account=User.objects.get(username="alice"), name=Role.Name.VIEWER
    )
    page = alice.get("/")
    assert "<title>Tenants · MMS</title>" in " ".join(page.content.decode().split())
    assert 'data-live hx-get="/"' in page.content.decode()
    shown = str(page.context["shown_version"])
    with only_reads(), CaptureQueriesContext(connection) as queries:
        assert look(alice, "/", shown).status_code == 204
    assert len(queries) == 4

    make_run(make_user("anna"), "Failed", last_error_code="no-bridge")
    make_run(make_user("bruno"), "Pending")
    answer = look(alice, "/", shown)
    assert "<title>(1 failed, 1 waiting) Tenants · MMS</title>" in " ".join(answer.content.decode().split())
    fabrikam.delete()
    assert look(alice, "/", str(answer.context["shown_version"])).headers["HX-Redirect"] == "/contoso/"
