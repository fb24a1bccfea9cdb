"""What every list can do: columns, order, rows on a page, files of what is shown, and filters under a name."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app.models import Run
from tenants_app.bulk import BULK
from tenants_app.changes.bridges import remove_bridge, set_bridge
from tenants_app.changes.tenants import revoke_role
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ListLayout, Role, SavedFilter, Tenant
from tenants_app.screens.lists import LISTS
from tenants_app.screens.tables import AuditTable
from tests.screens.test_every_page import fill as fill
from tests.support.actors import ACTOR
from tests.support.meetings import invite, migrate
from tests.support.only_reads import only_reads
from tests.support.pages import words
from tests.support.visitors import sign_in

Fill = Callable[[str], str]
MakeUser = Callable[..., ConferencingUser]
HTMX = {"HX-Request": "true"}

PAGE_OF = {
    AuditTable.list_name: "/contoso/audit/",
    "bridge-users": "/contoso/bridges/{bridge}/",
    "bulk-action-users": "/contoso/users/actions/{action}/",
    "bulk-actions": "/contoso/users/actions/",
    "dependants": "/contoso/bridges/{bridge}/numbers/{number}/",
    "failures": "/contoso/failures/unreadable-calendar-object/",
    "found-meetings": "/contoso/meetings/?organizer=anna",
    "imports": "/contoso/users/import/",
    "left": "/contoso/left/",
    "notices": "/contoso/notices/{notices}/",
    "plans": "/contoso/users/planned/",
    "previewed-meetings": "/contoso/previews/{preview}/",
    "previews": "/contoso/previews/",
    "releases": "/contoso/releases/",
    "results": "/contoso/migrations/{run}/",
    "runs": "/contoso/migrations/",
    "user-meetings": "/contoso/users/anna.rossi@contoso.com/meetings/",
    "users": "/contoso/users/",
    "chat-rooms": "/contoso/chat/plans/{chat}/rooms/",
    "chat-findings": "/contoso/chat/plans/{ready}/findings/",
    "wave-members": "/contoso/rollouts/{rollout}/waves/1/members/",
    "wave-readiness": "/contoso/rollouts/{rollout}/waves/1/readiness/",
}
"""Where each list is shown."""
EMPTY = {"dependants"}
"""Lists that have no row there."""


def asked(address: str, **parameters: Any) -> str:
    return f"{address}{'&' if '?' in address else '?'}{urlencode(parameters)}"


def headings(page: bytes) -> list[str]:
    head = re.search(r"<thead.*?</thead>", page.decode(), re.DOTALL)
    assert head
    found = [words(cell.encode()).strip() for cell in re.findall(r"<th.*?</th>", head[0], re.DOTALL)]
    return [text for text in found if text not in {"Select", "Choose"}]


def as_csv(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"))))


def as_json(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    rows: list[dict[str, Any]] = json.loads(answer.getvalue())
    return rows


def in_csv(value: Any) -> str:
    """A value of the JSON file as the CSV file has it, but for the guard against formulas."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return " ".join(map(in_csv, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


# --- every list ---------------------------------------------------------------------------------------


def test_every_list_is_known() -> None:
    assert set(PAGE_OF) == set(LISTS), "Put the list with the address of its page into PAGE_OF."


def test_its_columns_are_those_of_the_address_in_that_order_on_the_page_and_in_files(
    alice: Client, fill: Fill, subtests: pytest.Subtests
) -> None:
    for name, page in PAGE_OF.items():
        table = LISTS[name]
        for columns in (table.usual_columns(), list(table.choosable())[::-1]):
            with subtests.test(name, columns=columns):
                address = asked(fill(page), columns=",".join(columns))
                answer = alice.get(address)
                fields = [field for column in columns for field in table.base_columns[column].files]
                rows, told = as_json(alice.get(f"{address}&format=json")), as_csv(alice.get(f"{address}&format=csv"))

                assert headings(answer.content) == [table.label_of(column) for column in columns]
                assert len(rows) == len(told) == answer.context["table"].paginator.count
                assert bool(rows) == (name not in EMPTY)
                for row, cells in zip(rows, told, strict=True):
                    assert list(row) == list(cells) == list(dict.fromkeys(fields))
                    assert [cell.removeprefix("'") for cell in cells.values()] == [
                        in_csv(value).removeprefix("'") for value in row.values()
                    ]
                if rows and columns == table.usual_columns():
                    first = str(next(value for value in rows[0].values() if value))
                    assert " ".join(first.split()) in words(answer.content) or "T" in first


def test_what_an_account_has_chosen_holds_until_it_is_taken_back(
    alice: Client, bob: Client, fill: Fill, subtests: pytest.Subtests
) -> None:
    for name, page in PAGE_OF.items():
        with subtests.test(name):
            address = fill(page)
            table = LISTS[name]
            last, first = list(table.choosable())[-1], next(iter(table.choosable()))
            usual = headings(bob.get(address).content) if name != "imports" else None
            form = {"next": address, "column": [first, last], f"at-{first}": "2", f"at-{last}": "1", "rows": "50"}
            if first == last:
                continue
            kept = alice.post(f"/contoso/lists/{name}/layout/", form)

            assert kept.status_code == 302
            assert f"columns={last},{first}" in kept["Location"].replace("%2C", ",")
            chosen = [table.label_of(last), table.label_of(first)]
            assert headings(alice.get(kept["Location"]).content) == chosen
            without = alice.get(address)
            assert headings(without.content) == chosen
            assert without.context["table"].paginator.per_page == 50
            if usual:
                assert headings(bob.get(address).content) == usual
            back = alice.post(f"/contoso/lists/{name}/layout/", {"next": kept["Location"], "reset": "yes"})
            assert back["Location"] == address
            assert headings(alice.get(address).content) == [table.label_of(each) for each in table.usual_columns()]
    assert not ListLayout.objects.exists()


def test_what_the_address_says_wrongly_is_passed_over_with_a_sentence(
    alice: Client, fill: Fill, subtests: pytest.Subtests
) -> None:
    for name, page in PAGE_OF.items():
        with subtests.test(name):
            first = next(iter(LISTS[name].choosable()))
            wrong = f"<script>alert('x')</script>,{first},{first},a\0b,{'long' * 500}"
            address = asked(fill(page), columns=wrong, rows="7", sort="-password", page="-1")
            answer = alice.get(address)
            told = words(answer.content)

            assert answer.status_code == 200
            assert "alert('x')</script>" not in answer.content.decode()
            assert headings(answer.content) == [LISTS[name].label_of(first)]
            assert "This list has no column “<script>alert('x')</script>”" in told
            assert "A page has 20, 50, 100 or 200 rows" in told
            assert "cannot be sorted as the address says" in told
            assert "no column" in words(alice.get(address, headers=HTMX).content)
            for kind in ("csv", "json"):
                refused = alice.get(f"{address}&format={kind}")
                assert refused.status_code == 400
                assert b"Nothing was exported." in refused.content
            assert alice.get(asked(fill(page), format="exe")).status_code == 400


def test_strangers_get_no_file(fill: Fill, cast: None, subtests: pytest.Subtests) -> None:
    charlie = sign_in("charlie")
    for name, page in PAGE_OF.items():
        for kind in ("csv", "json"):
            with subtests.test(name, kind=kind):
                assert charlie.get(asked(fill(page), format=kind)).status_code == 404


def test_a_file_is_named_for_its_list_and_day_and_is_only_read(
    vera: Client, alice: Client, fill: Fill, subtests: pytest.Subtests
) -> None:
    for name, page in PAGE_OF.items():
        with subtests.test(name), only_reads():
            answer: Any = alice.get(asked(fill(page), format="json"))
            assert re.search(r'filename="[a-z0-9-]+-contoso-\d{4}-\d\d-\d\d\.json"', answer["Content-Disposition"])
            assert answer.streaming
            assert answer.getvalue()
            assert "no-store" in answer["Cache-Control"]
            assert alice.head(asked(fill(page), format="csv")).getvalue() == b""


def test_it_sorts_by_every_column_that_says_so(alice: Client, fill: Fill, subtests: pytest.Subtests) -> None:
    for name, page in PAGE_OF.items():
        for column, declared in LISTS[name].choosable().items():
            if declared.orderable is False:
                continue
            with subtests.test(name, column=column):
                up, down = (
                    [
                        row.record
                        for row in alice.get(asked(fill(page), sort=sort), headers=HTMX).context["table"].paginated_rows
                    ]
                    for sort in (column, f"-{column}")
                )
                assert len(up) == len(down)
                assert (len(up) > 0) == (name not in EMPTY)


# --- some lists ---------------------------------------------------------------------------------------


def test_what_is_empty_comes_before_what_is_small_on_every_database(
    alice: Client, make_user: MakeUser, make_run: Callable[..., Run]
) -> None:
    for name, state in (("anna", "Pending"), ("bruno", "Failed"), ("clara", "Pending"), ("dario", "Succeeded")):
        make_run(make_user(name), state)

    def order(sort: str) -> list[str]:
        rows = as_json(alice.get(f"/contoso/migrations/?sort={sort}&format=json"))
        return [row["UserPrincipalName"].partition("@")[0] for row in rows]

    ended = [run.user.upn.partition("@")[0] for run in Run.objects.exclude(finished_at=None).order_by("finished_at")]
    assert order("finished_at") == ["anna", "clara", *ended]
    assert order("-finished_at") == [*reversed(ended), "clara", "anna"]


def test_a_file_has_what_the_filter_finds_in_the_order_of_the_page(alice: Client, make_user: MakeUser) -> None:
    for name in ("anna", "bruno", "clara", "annika"):
        make_user(name, display_name="=HYPERLINK(0)" if name == "anna" else "")
    address = "/contoso/users/?q=ann&sort=-upn&columns=upn&rows=20"

    assert [row["UserPrincipalName"] for row in as_csv(alice.get(f"{address}&format=csv"))] == [
        "annika@contoso.com",
        "anna@contoso.com",
    ]
    assert as_csv(alice.get(f"{address}&format=csv"))[1]["DisplayName"] == "'=HYPERLINK(0)"
    assert as_json(alice.get(f"{address}&format=json"))[1]["DisplayName"] == "=HYPERLINK(0)"
    refused = alice.get("/contoso/users/?state=Perhaps&format=csv")
    assert refused.status_code == 400
    assert b"Latest run" in refused.content


def test_times_of_a_file_are_in_utc(alice: Client, settings: Any, anna: ConferencingUser) -> None:
    settings.TIME_ZONE = "America/New_York"
    (row,) = as_json(alice.get("/contoso/users/?columns=created&format=json"))
    assert row["CreateDate"].endswith("+00:00")
    assert as_csv(alice.get("/contoso/users/?columns=created&format=csv")) == [row]


def test_extra_columns_of_users_and_runs_tell_what_commands_tell(
    alice: Client, anna: ConferencingUser, make_run: Callable[..., Run]
) -> None:
    run = make_run(anna, "Failed", last_error_code="no-bridge", attempts=3)
    columns = "conference_id,toll_number,language,sip_address,mailbox,latest_state"
    (user,) = as_json(alice.get(f"/contoso/users/?columns={columns}&format=json"))
    (told,) = as_json(
        alice.get("/contoso/migrations/?columns=correlation_id,attempts,duration,last_error_code&format=json")
    )

    assert user["ConferenceId"] == ConferencingUser.objects.get().conference_id != ""
    assert user["Language"] == anna.language
    assert user["LastErrorCode"] == "no-bridge"
    assert told == {
        "CorrelationId": str(run.correlation_id),
        "RetryCount": 2,
        "Duration": 83,
        "LastErrorCode": "no-bridge",
    }
    shown = words(alice.get(f"/contoso/users/?columns={columns}").content)
    assert user["ConferenceId"] in shown
    assert user["SipAddress"] in shown


def test_a_file_asks_the_database_as_much_for_each_lot_of_rows_however_many_there_are(
    alice: Client, anna: ConferencingUser
) -> None:
    def add(first: int, last: int) -> None:
        ConferencingUser.objects.bulk_create(
            ConferencingUser(tenant=anna.tenant, upn=f"u{i}@contoso.com", sip_address=f"u{i}@contoso.com")
            for i in range(first, last)
        )

    def questions() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            answer = alice.get("/contoso/users/?columns=upn,conference_id,toll_number,mailbox,latest_state&format=csv")
            rows = len(as_csv(answer))
        return rows, len(queries)

    add(0, 9)
    few, asked_for_few = questions()
    add(9, 2 * BULK + 9)
    many, asked_for_many = questions()

    assert (few, many) == (10, 2 * BULK + 10)
    assert asked_for_many - asked_for_few == 2 * 2  # two lots more, with rows and conference IDs


@pytest.mark.parametrize("name", ["users", "runs", "bridge-users"])
def test_a_page_asks_the_database_as_often_for_12_rows_as_for_3_whatever_its_columns(
    alice: Client, make_user: MakeUser, make_run: Callable[..., Run], old_bridge: Bridge, name: str
) -> None:
    def add(first: int, last: int) -> None:
        for number in range(first, last):
            make_run(make_user(f"user{number}", toll_number=old_bridge.numbers.get()), "Failed")

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert alice.get(address).status_code == 200
        return len(queries)

    address = asked(PAGE_OF[name].format(bridge=old_bridge.pk), columns=",".join(LISTS[name].choosable()))
    add(0, 3)
    count()  # what is cached on first use is asked before the counting
    few = count()
    add(3, 12)

    assert count() == few


def test_a_list_shows_as_many_rows_as_one_likes(alice: Client, make_user: MakeUser) -> None:
    for number in range(30):
        make_user(f"user{number:02}")

    assert "1–20 of 30" in words(alice.get("/contoso/users/").content)
    assert len(list(alice.get("/contoso/users/?rows=50").context["table"].paginated_rows)) == 30
    page = alice.get("/contoso/users/?columns=upn&rows=20&sort=-upn&page=2").content.decode()
    assert "columns=upn&amp;rows=20&amp;sort=-upn&amp;page=1" in page


def test_at_least_one_column_is_shown(alice: Client) -> None:
    answer = alice.post("/contoso/lists/users/layout/", {"next": "/contoso/users/?q=anna"}, follow=True)

    assert "at least one column" in words(answer.content)
    assert answer.redirect_chain == [("/contoso/users/?q=anna", 302)]
    assert not ListLayout.objects.exists()


@pytest.mark.parametrize(
    "back", ["https://example.org/contoso/", "//example.org/contoso/users/", "/fabrikam/users/", ""]
)
def test_a_choice_leads_back_to_a_list_of_the_tenant_only(alice: Client, back: str) -> None:
    answer = alice.post("/contoso/lists/users/layout/", {"next": back, "column": "upn", "at-upn": "a\0b"})
    assert answer["Location"] == "/contoso/users/?columns=upn"


def test_there_is_no_other_list(alice: Client) -> None:
    assert alice.post("/contoso/lists/secrets/layout/", {"column": "upn"}).status_code == 404
    assert alice.get("/contoso/lists/secrets/filters/").status_code == 404
    assert alice.get("/contoso/lists/releases/filters/").status_code == 404


def test_typing_on_is_one_step_of_the_browsers_history(alice: Client, anna: ConferencingUser) -> None:
    empty = "&".join(
        f"{name}=" for name in ("state", "failed_by", "out_of_date", "bridge", "number", "provider", "left")
    )

    def typed(text: str, at: str) -> Any:
        headers = {**HTMX, "HX-Trigger": "filter", "HX-Current-URL": f"http://testserver{at}"}
        return alice.get(f"/contoso/users/?q={text}&{empty}", headers=headers)

    assert "HX-Replace-Url" not in typed("a", "/contoso/users/")  # the list without filter stays to go back to
    assert "HX-Replace-Url" not in typed("a", "/contoso/users/?state=Failed")
    after = typed("an", f"/contoso/users/?q=a&{empty}")
    assert after["HX-Replace-Url"] == f"/contoso/users/?q=an&{empty}"
    assert typed("an", after["HX-Replace-Url"])["HX-Replace-Url"]
    sorted_by = {**HTMX, "HX-Current-URL": f"http://testserver/contoso/users/?q=a&{empty}"}
    assert "HX-Replace-Url" not in alice.get(f"/contoso/users/?q=a&{empty}&sort=upn", headers=sorted_by)


def test_filtering_leaves_sorting_columns_and_rows_as_they_are(alice: Client, anna: ConferencingUser) -> None:
    for headers in ({}, HTMX):
        page = alice.get("/contoso/users/?q=a&sort=-upn&columns=upn,bridge&rows=50", headers=headers).content.decode()
        for name, value in (("sort", "-upn"), ("columns", "upn,bridge"), ("rows", "50")):
            assert f'<input type="hidden" name="{name}" value="{value}">' in page


# --- filters under a name -----------------------------------------------------------------------------

FILTERS = "/contoso/lists/users/filters/"


def keep(client: Client, name: str, query: str = "state=Failed", **more: str) -> Any:
    form = {"name": name, "query": query, "next": f"/contoso/users/?{query}", **more}
    return client.post(FILTERS, form, follow=True)


def do(client: Client, saved: SavedFilter, what: str) -> Any:
    return client.post(f"{FILTERS}{saved.pk}/", {"do": what}, follow=True)


def menu(client: Client, address: str = "/contoso/users/?q=") -> str:
    page = client.get(address).content.decode()
    return words(page[page.index('id="list-filters"') : page.index('id="list-columns"')].encode())


def test_a_filter_holds_filter_sorting_and_columns_and_nothing_else(alice: Client, anna: ConferencingUser) -> None:
    kept = keep(alice, " Mine  today ", "q=anna&state=&sort=-upn&columns=upn,bridge&page=3&rows=50&evil=1&users=7")
    (saved,) = SavedFilter.objects.all()

    assert saved.name == "Mine today"
    assert saved.query == "q=anna&sort=-upn&columns=upn,bridge"
    assert kept.redirect_chain[-1][0] == f"/contoso/users/?{saved.query}"
    assert "Mine today" in menu(alice, f"/contoso/users/?{saved.query}")
    assert headings(kept.content) == ["User", "Bridge"]
    assert not AuditEntry.objects.filter(action="share filter").exists()


def test_what_pills_choose_is_kept_too(alice: Client, anna: ConferencingUser) -> None:
    invite(anna)
    address = f"/contoso/migrations/{migrate(anna).correlation_id}/"
    query = re.findall(r'name="query" value="([^"]*)"', alice.get(f"{address}?outcome=Skipped").content.decode())[0]
    form = {"next": address, "name": "What was skipped", "query": unescape(query), "is_default": "on"}
    kept = alice.post("/contoso/lists/results/filters/", form, follow=True)

    (saved,) = SavedFilter.objects.all()
    assert saved.query.startswith("outcome=Skipped&")
    assert kept.redirect_chain[-1][0] == f"{address}?{saved.query}"
    assert alice.get(address)["Location"] == f"{address}?{saved.query}"
    shown = alice.get(f"{address}?outcome=Skipped").content.decode()
    everything = re.findall(r'<a id="all" href="([^"]*)"', shown)[0]
    assert alice.get(f"{address}{unescape(everything)}").status_code == 200
    assert "What was skipped" in menu(alice, f"{address}?outcome=Succeeded")


def test_own_filters_are_seen_by_their_owner_alone(alice: Client, bob: Client, anna: ConferencingUser) -> None:
    keep(alice, "Mine")
    saved = SavedFilter.objects.get()

    assert "Mine" in menu(alice)
    assert "Mine" not in menu(bob)
    assert "Mine" not in words(bob.get(FILTERS).content)
    assert do(bob, saved, "delete").status_code == 404
    assert do(sign_in("charlie"), saved, "default").status_code == 404
    do(alice, saved, "delete")
    assert not SavedFilter.objects.exists()


def test_a_shared_filter_is_everybodys_and_audited(
    alice: Client, bob: Client, vera: Client, anna: ConferencingUser
) -> None:
    assert keep(vera, "Everybody's", is_shared="on").status_code == 403
    assert not SavedFilter.objects.exists()
    keep(bob, "Everybody's", is_shared="on")
    saved = SavedFilter.objects.get()

    assert "Everybody's by bob" in menu(vera)
    assert do(vera, saved, "delete").status_code == 403
    assert "“Everybody's”: choose another name" in words(keep(alice, "Everybody's", is_shared="on").content)
    keep(bob, "Everybody's", "state=Pending", is_shared="on", replaces="on")
    do(bob, saved, "unshare")
    assert "Everybody's" not in menu(vera)
    do(bob, saved, "share")
    do(alice, saved, "delete")
    told = [
        (entry.actor, entry.action, entry.target)
        for entry in AuditEntry.objects.filter(target="Everybody's (users)").order_by("pk")
    ]
    assert told == [
        ("bob", "share filter", "Everybody's (users)"),
        ("bob", "change shared filter", "Everybody's (users)"),
        ("bob", "unshare filter", "Everybody's (users)"),
        ("bob", "share filter", "Everybody's (users)"),
        ("alice", "delete shared filter", "Everybody's (users)"),
    ]


def test_a_name_is_taken_only_once_and_exchanged_only_on_request(alice: Client) -> None:
    keep(alice, "Mine")
    assert "You have a filter “Mine” already" in words(keep(alice, "Mine", "state=Pending").content)
    assert SavedFilter.objects.get().query == "state=Failed"
    keep(alice, "Mine", "state=Pending", replaces="on")
    assert SavedFilter.objects.get().query == "state=Pending"


@pytest.mark.parametrize(
    ("name", "query", "told"),
    [
        ("", "q=a", "Give the filter a name."),
        ("x" * 81, "q=a", "at most 80 characters"),
        ("one\ntwo\x07", "q=a", "Write it on one line"),
        ("long", f"q={'a' * 2000}", "too long to be kept"),
    ],
)
def test_a_filter_that_cannot_be_kept_says_why(alice: Client, name: str, query: str, told: str) -> None:
    assert told in words(keep(alice, name, query).content)
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize("leaves", ["deleted", "deactivated", "without role"])
def test_of_an_owner_who_left_the_shared_filters_stay(
    alice: Client, bob: Client, vera: Client, anna: ConferencingUser, leaves: str
) -> None:
    keep(bob, "Shared", is_shared="on", is_default="on")
    keep(bob, "Own", "state=Pending")
    account = User.objects.get(username="bob")
    if leaves == "deleted":
        account.delete()
    elif leaves == "deactivated":
        User.objects.filter(username="bob").update(is_active=False)
    else:
        revoke_role(Role.objects.get(account=account), ACTOR)
    saved = SavedFilter.objects.get(name="Shared")

    assert "Shared by bob, who is not here any more" in menu(vera)
    assert "Own" not in menu(alice)
    assert SavedFilter.objects.filter(name="Own").exists() == (leaves != "deleted")
    assert do(vera, saved, "take-over").status_code == 403
    do(alice, saved, "take-over")
    assert "Shared by alice" in menu(vera)
    assert "not here any more" not in menu(vera)
    assert AuditEntry.objects.latest("pk").action == "take over shared filter"
    do(alice, saved, "delete")
    assert "Shared" not in menu(vera)


def test_a_list_opens_with_its_default_filter_and_without_it_on_request(
    alice: Client, vera: Client, anna: ConferencingUser
) -> None:
    keep(alice, "Failed", is_default="on", is_shared="on")
    saved = SavedFilter.objects.get()

    assert alice.get("/contoso/users/")["Location"] == "/contoso/users/?state=Failed"
    assert vera.get("/contoso/users/").status_code == 200
    assert alice.get("/contoso/users/", headers=HTMX).status_code == 200
    assert alice.get("/contoso/users/?without=filter").context["table"].paginator.count == 1
    assert 'href="/contoso/users/?without=filter">Clear' in alice.get("/contoso/users/?state=Failed").content.decode()
    do(alice, saved, "no-default")
    assert alice.get("/contoso/users/").status_code == 200
    do(vera, saved, "default")
    assert vera.get("/contoso/users/").status_code == 302
    do(alice, saved, "unshare")
    assert vera.get("/contoso/users/").status_code == 200


def test_a_filter_whose_bridge_and_column_are_gone_says_what_is_passed_over(
    alice: Client, tenant: Tenant, anna: ConferencingUser
) -> None:
    bridge = set_bridge(tenant, "Old times", ACTOR)
    keep(alice, "Old times", f"bridge={bridge.pk}&columns=upn,shoe_size")
    remove_bridge(bridge, ACTOR)
    page = alice.get(f"/contoso/users/?{SavedFilter.objects.get().query}")

    assert "“Bridge”: that part of the filter is passed over." in words(page.content)
    assert "This list has no column “shoe_size”, so it is passed over." in words(page.content)
    assert page.context["table"].paginator.count == 1


def test_a_filter_of_nothing_opens_as_default_like_no_filter(alice: Client, tenant: Tenant) -> None:
    keep(alice, "All", query="", is_default="on")
    assert alice.get("/contoso/users/").status_code == 200


def test_typing_on_from_what_is_no_address_filters_all_the_same(alice: Client, tenant: Tenant) -> None:
    headers = {**HTMX, "HX-Trigger": "filter", "HX-Current-URL": "http://["}
    assert alice.get("/contoso/users/?q=anna", headers=headers).status_code == 200
