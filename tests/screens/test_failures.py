"""Failures grouped by what has to be put right: the ways to the cure, trying again, accepting; the catalogue (R31)."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.template import Context, Template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.cures import CURES, Place
from migrations_app.failures import CATALOGUE, Failure
from migrations_app.models import LeftMeeting, Run
from migrations_app.monitoring.health import queue_state
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.failed import failed_runs, groups
from tenants_app.changes.mailboxes import change_connection, create_connection
from tenants_app.changes.users import change_user
from tenants_app.dependants import dependants
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.pages import users_found, words
from tests.support.visitors import sign_in

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
PAGE = "/contoso/failures/"
NUMBERS = f"{PAGE}no-dial-in-number/"
NOTE = {"note": "Their bridge goes on Friday"}


@pytest.fixture
def failing(make_user: MakeUser, make_run: MakeRun, new_bridge: Bridge) -> dict[str, ConferencingUser]:
    """Anna and Bruno fail for the old bridge, Clara for the new one, Dora for having none; Emil is well by now."""
    users = {
        name: make_user(name, **values)
        for name, values in (
            ("anna", {"display_name": "Anna Álvarez"}),
            ("bruno", {}),
            ("clara", {"bridge": new_bridge}),
            ("dora", {}),
            ("emil", {}),
        )
    }
    for name in ("anna", "bruno", "clara"):
        detail = f"bridge {users[name].bridge}"
        make_run(users[name], "Failed", last_error_code="no-dial-in-number", last_error_detail=detail)
    make_run(users["dora"], "Failed", [("Sync", "Failed", "no-bridge")], last_error_code="no-bridge")
    make_run(users["emil"], "Failed", last_error_code="no-bridge")
    make_run(users["emil"], "Succeeded")
    return users


def address_of(code: str, user: ConferencingUser, run: Run) -> str:
    """Where the cure of a code leads to."""
    drawn = Template("{% load cures %}{% cure 'contoso' code user run as found %}{{ found.address }}")
    return drawn.render(Context({"code": code, "user": user, "run": run})).strip()


def test_r31_failures_are_grouped_with_what_to_do_and_the_way_to_the_cure(
    vera: Client, failing: dict[str, ConferencingUser]
) -> None:
    answer = vera.get(PAGE)
    page, text = answer.content.decode(), words(answer.content)

    assert [(group.code, group.users, group.failed_meetings, group.blind) for group in answer.context["groups"]] == [
        ("no-dial-in-number", 3, 0, 3),
        ("no-bridge", 1, 1, 0),
    ]
    assert "Register a toll number on the bridge or move the user to another bridge" in text
    for name in ("anna", "clara"):
        assert f'href="/contoso/bridges/{failing[name].bridge_id}/"' in page
    assert "Open the bridge Old bridge 2 users Open the bridge New bridge 1 user" in text
    assert 'href="/contoso/errors/#no-dial-in-number"' in page
    assert "Retry" not in text
    assert f'href="{PAGE}"' in vera.get("/contoso/").content.decode()
    assert 'id="no-dial-in-number"' in vera.get("/contoso/errors/").content.decode()


def test_the_group_lists_its_users_and_finds_and_exports_them(
    vera: Client, failing: dict[str, ConferencingUser]
) -> None:
    def found(query: str) -> list[str]:
        return [row.record.user.upn.partition("@")[0] for row in vera.get(NUMBERS + query).context["table"].page]

    assert sorted(found("")) == ["anna", "bruno", "clara"]
    assert found("?q=ALVAREZ") == ["anna"]
    assert found("?accepted=yes") == []
    exported: Any = vera.get(f"{NUMBERS}export.csv?q=clara")
    rows = list(csv.DictReader(io.StringIO(exported.getvalue().decode("utf-8-sig"))))
    assert [(row["UserPrincipalName"], row["Reason"]) for row in rows] == [("clara@contoso.com", "no-dial-in-number")]
    assert "bridge New bridge. Register a toll number" in rows[0]["Message"]
    assert vera.get(f"{NUMBERS}export.csv?accepted=perhaps").status_code == 400
    assert vera.get(f"{PAGE}no-such-code/").status_code == 404
    assert "Nobody's latest run has failed for this reason." in words(vera.get(f"{PAGE}mailbox-answer/").content)


def test_what_needs_a_person_though_its_run_succeeded_is_grouped_too(vera: Client, anna: ConferencingUser) -> None:
    to_come, over = timezone.now() + timedelta(days=1), timezone.now()
    codes = ("mail-refused", "needs-review", "needs-review", "attendees-not-told-by-server")
    LeftMeeting.objects.bulk_create(
        LeftMeeting(tenant=anna.tenant, user=anna, uid=f"{number}-{end}", code=code, last_end=end)
        for end in (to_come, over)
        for number, code in enumerate(codes)
    )
    LeftMeeting.objects.filter(code="mail-refused").update(state="DealtWith")
    answer = vera.get(PAGE)

    assert answer.context["left"] == [("needs-review", 2), ("attendees-not-told-by-server", 1)]
    assert "Nothing has failed" in words(answer.content)
    for code, count in answer.context["left"]:
        address = f"/contoso/left/?reason={code}&state=Open"
        assert f'href="{address.replace("&", "&amp;")}"' in answer.content.decode()
        assert len(vera.get(address).context["table"].page) == count


def test_an_operator_tries_a_group_again(bob: Client, failing: dict[str, ConferencingUser], wakes: list[Any]) -> None:
    bob.post(f"{NUMBERS}accept/", NOTE | {"seen": "3"})
    bob.post(f"/contoso/users/{failing['anna'].upn}/take-back-acceptance/")
    address = "/contoso/users/selected/retry/?failed_by=no-dial-in-number&amp;all=1"
    assert address in bob.get(NUMBERS).content.decode()
    answer = bob.post(html.unescape(address), {"seen": "1"}, follow=True)

    assert [run.user for run in Run.objects.filter(state="Pending")] == [failing["anna"]]
    assert "Run, because it was started by hand." in words(answer.content)
    nobody = bob.get("/contoso/users/selected/retry/?failed_by=cannot-be-served&all=1", follow=True)
    assert "No user" in words(nobody.content)


def test_an_accepted_failure_alarms_nobody_until_the_next_run(
    bob: Client, failing: dict[str, ConferencingUser], tenant: Tenant, make_run: MakeRun
) -> None:
    assert "Say why it is accepted" in words(bob.post(f"{NUMBERS}accept/", {"note": " ", "seen": "3"}).content)
    overtaken = bob.post(f"{NUMBERS}accept/", NOTE | {"seen": "2"}, follow=True)
    assert "the group has 3 to accept now, and the page showed 2" in words(overtaken.content)
    assert queue_state(tenant).failed == 4

    done = bob.post(f"{NUMBERS}accept/", NOTE | {"seen": "3"}, follow=True)
    assert "The failures of 3 users are accepted until the next run." in words(done.content)
    assert (queue_state(tenant).failed, queue_state().accepted) == (1, 3)
    entries = AuditEntry.objects.filter(action="accept failure")
    assert {entry.target.partition("@")[0] for entry in entries} == {"anna", "bruno", "clara"}
    assert {(entry.actor, entry.after["note"]) for entry in entries} == {("bob", NOTE["note"])}

    dashboard = words(bob.get("/contoso/").content)
    assert "1 user could not be migrated." in dashboard
    assert "4 Failed 3 accepted" in dashboard
    assert "Anna Álvarez" not in dashboard
    assert users_found(bob, "?state=Failed") == ["anna", "bruno", "clara", "dora"]
    page = words(bob.get(f"/contoso/users/{failing['anna'].upn}/").content)
    assert "The latest run failed, and that is accepted until the next one. By bob" in page
    assert NOTE["note"] in page

    make_run(failing["bruno"], "Failed", last_error_code="no-dial-in-number")
    assert (queue_state().failed, queue_state().accepted) == (2, 2)
    bob.post(f"{NUMBERS}take-back/")
    assert (queue_state().failed, queue_state().accepted) == (4, 0)
    assert AuditEntry.objects.filter(action="take back accepted failure").count() == 2
    assert "nothing was changed" in words(bob.post(f"{NUMBERS}take-back/", follow=True).content)


def test_one_user_is_accepted_and_taken_back(
    bob: Client, vera: Client, failing: dict[str, ConferencingUser], wakes: list[Any], tenant: Tenant
) -> None:
    address = f"/contoso/users/{failing['dora'].upn}/"
    first = words(bob.get(address).content)
    assert first.index("The latest run failed") < first.index("Audio conferencing is on") < first.index("Latest runs")
    assert "Assign the user a bridge, then retry. About no-bridge" in first
    assert "Nothing was accepted." in words(bob.post(f"{address}accept-failure/", follow=True).content)
    bob.post(f"{address}accept-failure/", NOTE)
    bob.post(f"{address}accept-failure/", {"note": "Once more"})
    run = failed_runs(tenant).get(user=failing["dora"])
    assert (run.accepted_by, run.accepted_note) == ("bob", NOTE["note"])
    assert "Accept this failure" not in words(vera.get(address).content)
    assert "Accepted" in words(vera.get(f"/contoso/migrations/{run.correlation_id}/").content)
    bob.post(f"{address}take-back-acceptance/")
    assert "Accept this failure" in words(bob.get(address).content)
    start_by_hand(tenant, [failing["dora"]], ACTOR)
    answer = bob.post(f"{address}accept-failure/", NOTE, follow=True)
    assert "There is no failure to accept any more" in words(answer.content)


def test_users_whose_runs_failed_stand_with_the_reason(vera: Client, failing: dict[str, ConferencingUser]) -> None:
    page = words(vera.get("/contoso/users/?state=Failed").content)

    assert page.count("no toll number to print: bridge Old bridge. Register a toll number on the bridge") == 2
    assert "but the user has no bridge. Assign the user a bridge" in page


def test_users_are_found_whatever_the_case_and_accents_and_by_conference_id(
    vera: Client, failing: dict[str, ConferencingUser]
) -> None:
    for typed in ("ÁLVAREZ", "alvarez", failing["anna"].conference_id):
        assert users_found(vera, f"?q={typed}") == ["anna"]
    assert [run.user.upn for run in vera.get("/contoso/migrations/?user=ALVAREZ").context["filter"].qs] == [
        failing["anna"].upn
    ]
    # A number as somebody reads it from an invitation, and the ID of a run as it stands in a log.
    number = ServiceNumber.objects.get(number="+14255550100")
    having = [user.upn.partition("@")[0] for user in dependants(number)]
    for typed in ("+1 (425) 555-0100", "0014255550100"):
        assert sorted(users_found(vera, f"?{urlencode({'q': typed})}")) == sorted(having) != []
    assert users_found(vera, "?q=%2B14255550199") == []
    run = Run.objects.filter(user=failing["emil"]).first()
    found = vera.get(f"/contoso/migrations/?user={run}").context["filter"].qs
    assert list(found) == [run]


def test_retries_that_are_used_up_are_cured_where_each_of_them_failed(
    bob: Client, anna: ConferencingUser, make_run: MakeRun, tenant: Tenant
) -> None:
    outside = create_connection(tenant, ACTOR, "Nextcloud", address="https://dav.contoso.com/")
    change_connection(outside, ACTOR, make_default=True)
    run = make_run(anna, "InProgress", attempts=99)
    queue.fail(run, Failure("mailbox-unavailable", "the server does not answer"))
    tenant.refresh_from_db()

    (group,) = groups(tenant)
    assert (group.code, [thing.name for thing in group.things]) == ("mailbox-unavailable", ["Nextcloud"])
    page = bob.get(f"/contoso/users/{anna.upn}/")
    assert "All retries within a day failed: the mailbox could not be reached" in words(page.content)
    assert f'class="cure" href="/contoso/settings/mailboxes/{outside.pk}/"' in page.content.decode()


def test_each_cure_leads_to_a_page_that_is_there(
    alice: Client, anna: ConferencingUser, make_run: MakeRun, tenant: Tenant
) -> None:
    run = make_run(anna, "Failed", [("Sync", "Failed", "needs-review")], last_error_code="needs-review")
    user = ConferencingUser.objects.select_related("tenant", "bridge", "mailbox").get()
    places = {code: address_of(code, user, run) for code in CATALOGUE}

    assert {code for code, address in places.items() if not address} == {
        code for code, found in CURES.items() if not isinstance(found, Place)
    }
    for address in set(places.values()) - {""}:
        assert alice.get(address).status_code == 200
    assert places["no-dial-in-number"] == f"/contoso/bridges/{anna.bridge_id}/"
    assert places["service-refused"] == "/contoso/settings/"
    assert places["mail-refused"] == f"/contoso/migrations/{run.correlation_id}/"
    user.meeting_service = "none"
    assert address_of("service-refused", user, run) == f"/contoso/users/{anna.upn}/"


def test_r36_the_promise_that_a_run_helps_stands_only_where_it_does(
    vera: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    def promise() -> str:
        page = words(vera.get(f"/contoso/users/{anna.upn}/").content)
        return page.partition("do not say what the settings ask for. ")[2].partition(".")[0].strip()

    change_user(anna, ACTOR, is_data_fix=True, conference_id="7654321")
    assert promise() == "A run puts them right"
    LeftMeeting.objects.create(
        tenant=anna.tenant, user=anna, uid="old", code="needs-review", last_end=timezone.now() + timedelta(days=1)
    )
    assert promise() == "A run puts them right, but for 1 meeting that needs a person"
    make_run(anna, "Pending", last_error_code="mailbox-unavailable", due_at=timezone.now() + timedelta(hours=1))
    assert promise() == "A run puts them right once what failed is put right"
    make_run(anna, "Failed", last_error_code="unreadable-calendar-object")
    assert promise() == "A run puts them right once what failed is put right"
    anna.runs.all().delete()
    change_user(anna, ACTOR, is_data_fix=True, conferencing_provider="InterCall")
    assert "puts them right" not in words(vera.get(f"/contoso/users/{anna.upn}/").content)


def test_the_wall_between_tenants(vera: Client, failing: dict[str, ConferencingUser], bob: Client) -> None:
    charlie = sign_in("charlie")
    for address in (PAGE, NUMBERS, f"{NUMBERS}export.csv", "/contoso/errors/"):
        assert charlie.get(address).status_code == 404
    assert charlie.get(address.replace("/contoso/", "/fabrikam/")).status_code == 200
    assert "Nothing has failed" in words(charlie.get(PAGE.replace("contoso", "fabrikam")).content)
    charlie.post("/fabrikam/failures/no-dial-in-number/accept/", NOTE)
    assert not Run.objects.exclude(accepted_at=None).exists()
    assert vera.post(f"{NUMBERS}accept/", NOTE).status_code == 403


def test_as_many_questions_for_many_groups_as_for_one(
    bob: Client, make_user: MakeUser, make_run: MakeRun, failing: dict[str, ConferencingUser]
) -> None:
    def count() -> list[int]:
        counts = []
        for address in (PAGE, NUMBERS, f"/contoso/users/{failing['anna'].upn}/"):
            with CaptureQueriesContext(connection) as queries:
                assert bob.get(address).status_code == 200
            counts.append(len(queries))
        return counts

    count()  # what is cached on first use is asked before the counting
    few = count()
    for number, code in enumerate(code for code in CATALOGUE if code not in {"past"}):
        make_run(make_user(f"user{number}"), "Failed", last_error_code=code)
    assert count() == few
    assert max(few[:2]) <= 10


def test_a_meeting_that_cannot_be_read_leads_to_the_failed_meetings(
    bob: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    run = make_run(anna, "Failed", [("Sync", "Failed", "unreadable-calendar-object")])
    Run.objects.update(last_error_code="unreadable-calendar-object")

    address = f"/contoso/migrations/{run.correlation_id}/?outcome=Failed"
    assert f'href="{address}"' in bob.get(f"/contoso/users/{anna.upn}/").content.decode()
    assert "Sync" in words(bob.get(address).content)
