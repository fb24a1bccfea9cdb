"""Pages of lists that grow without end: counted up to a bound, sorted by time beyond it, and found by indexes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app.models import Run
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tenants_app.screens import paging
from tests.support.pages import words

HISTORY, AUDIT = "/contoso/migrations/", "/contoso/audit/"


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch, anna: ConferencingUser, make_run: Callable[..., Run]) -> None:
    """More runs and audit entries than are counted."""
    monkeypatch.setattr(paging, "MOST", 40)
    for _ in range(45):
        make_run(anna)
    AuditEntry.objects.bulk_create(
        AuditEntry(tenant=anna.tenant, actor=f"Zoë {number}", action="change user", target=anna.upn)
        for number in range(60)
    )


@pytest.mark.parametrize("address", [HISTORY, AUDIT])
def test_it_says_that_there_are_more_than_are_counted(alice: Client, many: None, address: str) -> None:
    first = words(alice.get(f"{address}?rows=20").content)
    last = words(alice.get(f"{address}?rows=20&page=99").content)

    assert "1–20 of more than 40" in first
    assert "Pages show the first 40." in first
    assert "21–40 of more than 40" in last
    assert "More than 40 found" in words(alice.get(address, headers={"HX-Request": "true"}).content)


def test_a_filter_that_finds_fewer_is_counted_to_the_last(alice: Client, many: None) -> None:
    page = words(alice.get(f"{AUDIT}?q=Zo%C3%AB+1&rows=20").content)

    assert "more than" not in page
    assert alice.get(f"{AUDIT}?q=Zo%C3%AB+1&rows=20").context["table"].paginator.count == 11


@pytest.mark.parametrize(("address", "time", "other"), [(HISTORY, "created", "state"), (AUDIT, "at", "actor")])
def test_of_so_many_pages_are_sorted_by_time_alone(
    alice: Client, many: None, address: str, time: str, other: str
) -> None:
    refused = alice.get(f"{address}?sort={other}")
    by_time = alice.get(f"{address}?sort={time}")

    assert "More than 40 rows are found" in words(refused.content)
    assert f'id="sort-{other}"' not in refused.content.decode()
    assert f'id="sort-{time}"' in by_time.content.decode()
    assert "rows are found" not in words(by_time.content)


def test_files_have_all_of_them_in_any_order(alice: Client, many: None) -> None:
    rows = alice.get(f"{HISTORY}?sort=state&format=json")

    assert rows.status_code == 200
    assert len(json.loads(rows.getvalue())) == 45


def test_all_of_them_are_selected_without_a_count(bob: Client, many: None) -> None:
    page = words(bob.get(HISTORY).content)
    confirmed = bob.get("/contoso/users/selected/start/?of=runs&all=uncounted")

    assert "All runs, more than 40" in page
    assert confirmed.status_code == 200


@pytest.mark.skipif(
    "connection.vendor == 'postgresql'",
    reason="PostgreSQL plans by statistics, which the few rows of a test do not have",
)
@pytest.mark.parametrize(
    ("address", "index"),
    [
        (f"{HISTORY}?state=Failed", "runs_by_state_and_time"),
        (f"{HISTORY}?migration_type=Undo", "runs_by_type_and_time"),
        (f"{AUDIT}?action=change+user", "audit_by_action_and_time"),
        (f"{AUDIT}?channel=import", "audit_by_channel_and_time"),
        (f"{AUDIT}?who=alice", "audit_by_actor_and_time"),
    ],
)
def test_filters_are_answered_by_an_index(alice: Client, tenant: Tenant, address: str, index: str) -> None:
    table = "migrations_app_run" if address.startswith(HISTORY) else "tenants_app_auditentry"
    with CaptureQueriesContext(connection) as queries:
        page = alice.get(address)
    (counted,) = [
        query["sql"] for query in queries if "LIMIT 10001" in query["sql"] and f'FROM "{table}"' in query["sql"]
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"{connection.ops.explain_query_prefix()} {counted}")
        plan = str(cursor.fetchall())

    assert "is-invalid" not in page.content.decode()
    assert index in plan
