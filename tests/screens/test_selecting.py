"""Selecting users on a list, what is shown before anything is done for them, and what became of each (R11, R36)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.demo import invitations as demo
from migrations_app.models import BulkAction, Run
from migrations_app.procedures import bulk_actions
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.screens.selection import MOST_TICKED
from migrations_app.tasks import TIME_BUDGET
from tenants_app.changes.bridges import register_number
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tenants_app.screens import list_files
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.pages import announced, words
from tests.support.pages import shown as posted_by
from tests.support.two_tenants import everything_stored, furnish

MakeUsers = Callable[..., list[ConferencingUser]]
MakeRun = Callable[..., Run]
SELECTED = "/contoso/users/selected"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def three(make_users: MakeUsers) -> list[ConferencingUser]:
    return make_users({"anna": {}, "bruno": {}, "clara": {"mailbox_location": "on-premises"}})


def keys(*users: ConferencingUser) -> str:
    return ".".join(str(user.pk) for user in users)


def buttons(page: str) -> list[str]:
    return re.findall(r'id="selected-(\w+)"', page)


def go_on() -> None:
    while bulk_actions.advance(timezone.now() + TIME_BUDGET):
        pass


# --- on the lists -------------------------------------------------------------------------------------------


def test_rows_a_page_and_all_that_the_filter_finds_can_be_selected(
    alice: Client, bob: Client, vera: Client, make_users: MakeUsers
) -> None:
    users = make_users({f"user{number:02}": {} for number in range(30)})
    page = alice.get("/contoso/users/?sort=upn").content.decode()
    filtered = alice.get("/contoso/users/?q=user0", headers=HTMX).content.decode()

    ticks = re.findall(r'form="selection" name="users"\s+id="tick-(\d+)" value="(\d+)"', page)
    assert ticks == [(str(user.pk), str(user.pk)) for user in users[:20]]
    assert "Select user00@contoso.com" in words(page.encode())
    assert re.search(rf'name="users" id="all-of-page"\s+value="{re.escape(keys(*users[:20]))}"', page)
    assert 'name="all" id="all-found" value="30"' in page
    assert "All 30 users" in words(page.encode())
    assert "All 10 users that the filter finds" in words(filtered.encode())
    assert '<input type="hidden" name="q" value="user0">' in filtered
    assert "all-of-page" not in filtered  # it is the same as all
    assert buttons(page) == ["start", "retry", "move", "notify", "mark", "csv"]
    assert f'formaction="{SELECTED}/start/"' in page
    assert buttons(bob.get("/contoso/users/").content.decode()) == ["start", "retry", "notify", "csv"]
    assert buttons(vera.get("/contoso/users/").content.decode()) == ["csv"]
    assert "selection" not in alice.get("/contoso/users/?q=nobody", headers=HTMX).content.decode()


def test_what_was_ticked_is_still_ticked_when_one_comes_back(alice: Client, three: list[ConferencingUser]) -> None:
    chosen = keys(three[0], three[2])
    page = alice.get(f"{SELECTED}/start/?q=a&users={chosen}")
    back = html.unescape(re.findall(r'<a class="back" href="([^"]*)"', page.content.decode())[0])

    assert back == f"/contoso/users/?q=a&users={chosen}"
    shown = alice.get(back).content.decode()
    assert f'data-ticked="{chosen}"' in shown
    assert re.findall(r'value="(\d+)" checked', shown) == [str(three[0].pk), str(three[2].pk)]


def test_the_way_back_leads_to_the_list_as_it_was_arranged(alice: Client, three: list[ConferencingUser]) -> None:
    arranged = "sort=-upn&columns=upn,conference_id&rows=50"
    page = alice.get(f"/contoso/users/?{arranged}").content.decode()
    form = page[page.index('id="selection"') :]
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    asked = alice.get(f"{SELECTED}/start/", sent | {"all": "3"}).content.decode()
    back = html.unescape(re.findall(r'<a class="back" href="([^"]*)"', asked)[0])

    table = alice.get(back).context["table"]
    assert [str(row.record) for row in table.paginated_rows] == sorted((str(user) for user in three), reverse=True)
    assert (table.arrangement.columns, table.arrangement.rows) == ("upn,conference_id", 50)


def test_the_users_of_runs_are_selected_in_the_history(
    bob: Client, three: list[ConferencingUser], make_run: MakeRun
) -> None:
    anna, bruno, clara = three
    for user, state in ((anna, "Failed"), (anna, "Failed"), (bruno, "Succeeded"), (clara, "Failed")):
        make_run(user, state)
    history = bob.get("/contoso/migrations/?state=Failed").content.decode()
    page = bob.get(f"{SELECTED}/start/?of=runs&state=Failed&all=3")
    ticked = bob.get(f"{SELECTED}/start/?of=runs&users={anna.pk}")

    assert len(re.findall(rf'form="selection" name="users"\s+id="tick-\d+" value="{anna.pk}"', history)) == 2
    assert '<input type="hidden" name="of" value="runs">' in history
    assert "All 3 runs that the filter finds" in words(history.encode())
    assert "Start runs for 2 users? Of 3 runs that the filter finds (State: Failed)." in words(page.content)
    assert 'href="/contoso/migrations/?state=Failed"' in page.content.decode()
    assert "Start a run for 1 user? Those whom you ticked." in words(ticked.content)


# --- before it is done --------------------------------------------------------------------------------------


def test_r11_it_says_for_how_many_and_what_and_does_nothing_yet(
    bob: Client, three: list[ConferencingUser], tenant: Tenant
) -> None:
    before = everything_stored()
    page = words(bob.get(f"{SELECTED}/start/?users={three[0].pk}&users={three[2].pk}").content)

    assert "Start runs for 2 users? Those whom you ticked. Nothing is done yet." in page
    assert "Users 2 Runs that start 1" in page
    assert "1: No run, because the mailbox is on Exchange on-premises" in page
    assert "Afterwards they are" in page
    assert everything_stored() == before


def test_it_says_where_other_users_are_found_than_the_list_showed(
    bob: Client, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    every = f"{SELECTED}/start/?all=5"
    assert "The list showed 5 users; by now the filter finds 3." in words(bob.get(every).content)
    assert 'id="changed"' not in bob.get(f"{SELECTED}/start/?all=3").content.decode()
    three[1].delete()
    ticked = bob.get(f"{SELECTED}/start/?users={keys(*three[:1])}.{three[2].pk}.{three[2].pk + 1}")
    assert "1 user of those you ticked cannot be found any more." in words(ticked.content)

    more = bob.post(every, {"seen": "1"}, follow=True)
    assert "By now it would be 2 users and not 1 as shown, so nothing was done: look once more." in words(more.content)
    assert not Run.objects.exists()
    fewer = bob.post(every, {"seen": "3"}, follow=True)
    assert "1 fewer than were shown" in words(fewer.content)
    assert Run.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "Nobody is selected: tick users, or choose all that the filter finds."),
        ("users=", "Nobody is selected"),
        ("users=x", "A part of the selection is not understood, so nothing was done"),
        ("users=1..2", "A part of the selection is not understood"),
        ("users=%C2%B2", "A part of the selection is not understood"),
        ("users=" + "9" * 40, "A part of the selection is not understood"),
        ("users=999999999999999999", "None of the users that you ticked can be found any more"),
        ("users=" + ".".join(map(str, range(MOST_TICKED + 1))), f"{MOST_TICKED + 1} users are ticked, and at most"),
        ("all&state=Done", "A part of the filter is not understood, so nothing was done"),
        ("all=x&number=x", "A part of the filter is not understood"),
        ("of=runs&all&created_from=x", "A part of the filter is not understood"),
        ("all=3&q=nobody", "The filter finds nobody any more"),
    ],
)
def test_a_selection_that_cannot_be_meant_does_nothing(
    bob: Client, three: list[ConferencingUser], query: str, sentence: str
) -> None:
    before = everything_stored()
    for ask in (bob.get, bob.post):
        told = ask(f"{SELECTED}/start/?{query}", follow=True)
        assert told.redirect_chain
        assert sentence in words(told.content)
    assert everything_stored()["BulkAction"] == before["BulkAction"] == []


def test_what_is_asked_for_must_be_known_and_allowed(
    alice: Client, bob: Client, vera: Client, three: list[ConferencingUser]
) -> None:
    query = f"?users={three[0].pk}"
    assert alice.get(f"{SELECTED}/delete/{query}").status_code == 404
    for name, kind in KINDS.items():
        for client, role in ((vera, 0), (bob, 1), (alice, 2)):
            may = role >= {"operator": 1, "admin": 2}[kind.role]
            assert client.get(f"{SELECTED}/{name}/{query}").status_code == (200 if may else 403)
            if not may:
                assert client.post(f"{SELECTED}/{name}/{query}").status_code == 403
    assert not BulkAction.objects.exists()


def test_the_users_of_another_tenant_cannot_be_selected(
    alice: Client, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    fabrikam = furnish(Tenant.objects.get(slug="fabrikam"))
    chosen = keys(three[0], fabrikam.user)
    page = alice.get(f"{SELECTED}/start/?users={chosen}")
    alice.post(f"{SELECTED}/start/?users={chosen}", {"seen": "2"})
    file: Any = alice.get(f"/contoso/users/export.csv?users={chosen}")

    assert "Start a run for 1 user?" in words(page.content)
    assert "frank" not in page.content.decode()
    assert [run.user for run in Run.objects.all()] == [three[0]]
    assert b"frank" not in file.getvalue()


# --- doing it -----------------------------------------------------------------------------------------------


def test_r11_a_few_are_done_when_the_next_page_comes(
    bob: Client, vera: Client, three: list[ConferencingUser], wakes: list[Any]
) -> None:
    done = bob.post(f"{SELECTED}/start/?q=a&all=3", {"seen": "3", "target_meeting_type": "Link"}, follow=True)
    action = BulkAction.objects.get()
    page = words(done.content)

    assert done.redirect_chain == [(f"/contoso/users/actions/{action.pk}/", 302)]
    assert "Start runs for 2 users Done By bob" in page  # bruno has no a
    assert "Users 2 Run started 1 No run 1" in page
    assert "All whom the filter found when it was confirmed: User: a." in page
    assert "Run, because it was started by hand: all meetings move to Link. 1 user" in page
    assert "every 2s" not in done.content.decode()
    assert Run.objects.get().user == three[0]
    only = vera.get(f"/contoso/users/actions/{action.pk}/?state=NotDone", headers=HTMX)
    assert "clara@contoso.com" in words(only.content)
    assert "anna@contoso.com" not in words(only.content)
    assert announced(only.content) == "Done: 2 of 2 users"
    assert "Start runs for 2 users" in words(vera.get("/contoso/users/actions/").content)
    assert "All meetings move to Link" in page
    entry = AuditEntry.objects.get(action="start runs for many users")
    assert (entry.actor, entry.target) == ("bob", "2 users")
    assert entry.after == {"users": 2, "chosen by": "User: a", "how": "all meetings move to Link"}


def test_many_are_done_in_the_background_with_progress_and_can_be_stopped(
    alice: Client,
    bob: Client,
    vera: Client,
    three: list[ConferencingUser],
    wakes: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bulk_actions, "PIECE", 1)
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 1)
    monkeypatch.setattr(bulk_actions, "TURN", timedelta(0))
    page = bob.post(f"{SELECTED}/start/?all=3", {"seen": "3"}, follow=True).content.decode()
    action = BulkAction.objects.get()
    address = f"/contoso/users/actions/{action.pk}/"
    assert not Run.objects.exists()
    assert 'max="3" value="0"' in page
    assert "every 2s" in page
    assert "The background workers are silent, so this waits." in page
    assert f'action="{address}stop/"' in page
    assert f'action="{address}stop/"' not in vera.get(address).content.decode()

    bulk_actions.advance(timezone.now() + TIME_BUDGET)
    live = bob.get(address, headers=HTMX)
    assert "1 of 3 users." in words(live.content)
    assert announced(live.content) == "In progress: 1 of 3 users"
    assert "It is stopped. What was done stays done." in words(bob.post(f"{address}stop/", follow=True).content)
    assert "there was nothing to stop" in words(bob.post(f"{address}stop/", follow=True).content)
    go_on()
    stopped = words(bob.get(address).content)
    assert Run.objects.count() == 1
    assert "Stopped" in stopped
    assert "Left out 2" in stopped


def test_what_only_an_admin_may_begin_only_an_admin_may_stop(
    bob: Client, three: list[ConferencingUser], tenant: Tenant, monkeypatch: pytest.MonkeyPatch, wakes: list[Any]
) -> None:
    monkeypatch.setattr(bulk_actions, "PIECE", 1)
    monkeypatch.setattr(bulk_actions, "AT_ONCE", 1)
    monkeypatch.setattr(bulk_actions, "TURN", timedelta(0))
    action = bulk_actions.perform(tenant, KINDS["mark"], tenant.users.all(), ACTOR)

    assert bob.post(f"/contoso/users/actions/{action.pk}/stop/").status_code == 403
    assert 'id="stop"' not in bob.get(f"/contoso/users/actions/{action.pk}/").content.decode()


def test_it_tells_how_the_runs_ended_that_were_started(
    vera: Client, three: list[ConferencingUser], make_run: Callable[..., Run], wakes: list[Any]
) -> None:
    make_run(three[2], "Failed")  # of before: clara gets none now
    action = bulk_actions.perform(three[0].tenant, KINDS["start"], ConferencingUser.objects.all(), ACTOR)
    address = f"/contoso/users/actions/{action.pk}/"
    pending = vera.get(address)
    Run.objects.filter(user=three[0]).update(state="Succeeded")
    Run.objects.filter(user=three[1]).update(state="Failed", last_error_code="no-bridge")
    ended = vera.get(address)
    failed = vera.get(f"{address}?run=Failed")

    assert "Their runs: 2 pending" in words(pending.content)
    assert "every 15s" in pending.content.decode()
    assert "Their runs: 1 failed , 1 succeeded" in words(ended.content)
    assert "every 15s" not in ended.content.decode()
    assert f'href="/contoso/migrations/{Run.objects.get(user=three[1]).correlation_id}/"' in failed.content.decode()
    assert "Audio conferencing is on, but the user has no bridge." in words(failed.content)
    assert [row.record.upn for row in failed.context["table"].rows] == [three[1].upn]


def test_it_speaks_of_no_runs_where_it_starts_none(
    vera: Client, three: list[ConferencingUser], make_run: Callable[..., Run]
) -> None:
    action = bulk_actions.perform(three[0].tenant, KINDS["mark"], ConferencingUser.objects.all(), ACTOR)
    make_run(three[0], "Failed")

    assert "Their runs" not in words(vera.get(f"/contoso/users/actions/{action.pk}/").content)


def test_the_results_come_as_a_file_safe_for_spreadsheets(
    vera: Client, alice: Client, three: list[ConferencingUser], wakes: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_files, "BULK", 1)
    action = bulk_actions.perform(three[0].tenant, KINDS["start"], ConferencingUser.objects.all(), ACTOR)
    action.users.filter(user=three[1]).update(upn="=1+1@contoso.com", user=None)
    answer: Any = vera.get(f"/contoso/users/actions/{action.pk}/results.csv")
    rows = answer.getvalue().decode("utf-8-sig").splitlines()

    assert answer["Content-Disposition"].startswith(f'attachment; filename="start-{action.pk}-contoso-')
    run = Run.objects.get(user=three[0])
    assert rows[0] == "UserPrincipalName,State,Message,RunState,CorrelationId,DisplayName"
    told = "Run, because it was started by hand."
    assert rows[1] == f'anna@contoso.com,Done,"{told}",Pending,{run.correlation_id},{three[0].display_name}'
    assert rows[2].startswith("'=1+1@contoso.com,Done,")
    assert rows[3].startswith("clara@contoso.com,Not done,")


def test_r36_an_admin_marks_those_who_are_selected(alice: Client, three: list[ConferencingUser]) -> None:
    ConferencingUser.objects.filter(pk__in=[three[0].pk, three[2].pk]).update(invitations_fingerprint="")
    page = words(alice.get(f"{SELECTED}/mark/?all=3").content)
    done = words(alice.post(f"{SELECTED}/mark/?all=3", {"seen": "3"}, follow=True).content)

    assert "Mark 3 users as up to date? All users of Contoso." in page
    assert "Users 3 Out of date 2" in page
    assert "Users 3 Marked 2 Not marked 1" in done
    assert not ConferencingUser.objects.all().out_of_date().exists()


def test_r11_a_retry_names_how_many_failed(
    bob: Client, three: list[ConferencingUser], make_run: MakeRun, wakes: list[Any]
) -> None:
    make_run(three[0], "Failed")
    make_run(three[2], "Failed")
    page = words(bob.get(f"{SELECTED}/retry/?all=3").content)
    done = words(bob.post(f"{SELECTED}/retry/?all=3", {"seen": "3"}, follow=True).content)

    assert "Retry for 2 users?" in page
    assert "Users 3 Latest run failed 2 Runs that start 1" in page
    assert "Start 1 run" in page
    assert "Users 3 Run started 1 No run 2" in done


# --- moving to a bridge -------------------------------------------------------------------------------------


def test_the_mapping_by_country_is_shown_before_and_is_what_happens(
    alice: Client, old_bridge: Bridge, new_bridge: Bridge, make_users: MakeUsers, wakes: list[Any]
) -> None:
    rome = register_number(old_bridge, "+390612345678", "toll", ACTOR, country="Italy", city="Rome")
    free = register_number(old_bridge, "+448081570199", "toll-free", ACTOR, country="United Kingdom")
    dear = register_number(old_bridge, "+18005550100", "toll-free", ACTOR, country="United States")
    register_number(new_bridge, "+390212345678", "toll", ACTOR, country="Italy", city="Milan")
    make_users(
        {
            "anna": {"toll_number": rome},
            "bruno": {"toll_number": rome, "toll_free_number": free},
            "clara": {"toll_free_number": dear},
            "dario": {"bridge": new_bridge},
            "emma": {"bridge": None},
        }
    )
    address = f"{SELECTED}/move/?all=5"
    ask = words(alice.get(address).content)
    shown = alice.get(f"{address}&to={new_bridge.pk}").content
    page = words(shown)

    assert "Move 5 users to a bridge?" in ask
    assert "Choose a bridge" in ask
    assert "Move 5 users to New bridge?" in page
    assert "Users who move 4" in page
    assert "The others are on New bridge already" in page
    assert "+390612345678 Italy, Rome becomes +390212345678 Italy, Milan 2 users" in page
    assert "+14255550100 United States, Redmond (default) becomes +442079460123 United Kingdom (default)" in page
    assert "+448081570199 United Kingdom toll-free becomes +448081570123 United Kingdom 1 user" in page
    assert "+18005550100 United States toll-free becomes None (no number of this country) 1 user" in page
    assert "1 user gets the default number, because New bridge has none of their country." in page
    assert "1 user loses the toll-free number, because New bridge has none of that country." in page
    (key,) = re.findall(r'name="key" value="([^"]*)"', shown.decode())
    alice.post(address, {"seen": "5", "to": new_bridge.pk, "key": key})
    rows = ConferencingUser.objects.order_by("pk").values_list("toll_number__number", "toll_free_number__number")
    assert list(rows) == [
        ("+390212345678", None),
        ("+390212345678", "+448081570123"),
        (None, None),
        (None, None),
        (None, None),
    ]
    assert new_bridge.users.count() == 5


def test_where_other_numbers_would_be_chosen_by_now_one_looks_once_more(
    alice: Client, old_bridge: Bridge, new_bridge: Bridge, make_users: MakeUsers
) -> None:
    make_users({"anna": {}})
    address = f"{SELECTED}/move/?all=1&to={new_bridge.pk}"
    (key,) = re.findall(r'name="key" value="([^"]*)"', alice.get(address).content.decode())
    register_number(new_bridge, "+12065550123", "toll", ACTOR, country="United States")
    told = alice.post(address, {"seen": "1", "to": new_bridge.pk, "key": key}, follow=True)

    assert "Other numbers would be chosen by now, so nothing was done: look once more." in words(told.content)
    assert "becomes +12065550123 United States" in words(told.content)
    assert not new_bridge.users.exists()


def test_a_move_says_what_becomes_of_each_meeting_and_whether_that_has_changed_since(
    alice: Client, three: list[ConferencingUser], new_bridge: Bridge
) -> None:
    invite(three[0], build=demo.skype_text)
    address = f"{SELECTED}/move/?all=3&to={new_bridge.pk}&count=exactly"
    looked = alice.get(address)
    assert "Meetings that change 1" in words(looked.content)
    form = posted_by(looked)
    invite(three[1], build=demo.skype_text)
    told = alice.post(address, form, follow=True)
    assert "Settings or meetings have changed since you looked, so nothing was moved" in words(told.content)
    assert "Meetings that change 2" in words(told.content)
    assert not new_bridge.users.exists()
    alice.post(address, posted_by(told))
    assert new_bridge.users.count() == 3


# --- a file of exactly those --------------------------------------------------------------------------------


def test_exactly_those_who_are_selected_are_exported(
    vera: Client, three: list[ConferencingUser], make_run: MakeRun
) -> None:
    make_run(three[1], "Failed")

    def exported(query: str) -> list[str]:
        answer: Any = vera.get(f"/contoso/users/export.csv?{query}")
        return [line.split("@")[0] for line in answer.getvalue().decode().splitlines()[1:]]

    assert exported("") == ["anna", "bruno", "clara"]
    assert exported("q=bruno") == ["bruno"]
    assert exported(f"users={keys(three[0], three[2])}") == ["anna", "clara"]
    assert exported(f"users={keys(three[0], three[2])}&q=bruno&all=1") == ["bruno"]
    assert exported("of=runs&state=Failed") == ["bruno"]
    told = vera.get("/contoso/users/export.csv?state=Done", follow=True)
    assert "A part of the filter is not understood" in words(told.content)


# --- many ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["start", "retry", "mark", "move"])
def test_the_pages_ask_the_database_as_much_for_many_users_as_for_few(
    alice: Client, make_users: MakeUsers, make_run: MakeRun, new_bridge: Bridge, wakes: list[Any], name: str
) -> None:
    addresses = [f"{SELECTED}/{name}/?all&to={new_bridge.pk}", "/contoso/users/", "/contoso/migrations/"]
    asked = []
    for first, last in ((0, 3), (3, 30)):
        for user in make_users({f"user{number:02}": {} for number in range(first, last)}):
            make_run(user, "Failed")
        action = bulk_actions.perform(
            Tenant.objects.get(slug="contoso"), KINDS["retry"], ConferencingUser.objects.all(), ACTOR
        )
        counts = []
        for address in (*addresses, f"/contoso/users/actions/{action.pk}/", "/contoso/users/actions/"):
            with CaptureQueriesContext(connection) as queries:
                assert alice.get(address).status_code == 200
            counts.append(len(queries))
        asked.append(counts)

    assert asked[0] == asked[1]
