"""The audit: found by who, what and when, told in words, and downloaded as CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.models import Run
from migrations_app.runs.undo_start import start_undo
from migrations_app.tasks import TIME_BUDGET, work
from tenants_app.audit import Actor, Channel
from tenants_app.changes.bridges import register_number, remove_bridge, set_bridge
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.users import change_user
from tenants_app.csv_files.cells import defused
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, Tenant
from tenants_app.screens import list_files
from tests.support.actors import ACTOR
from tests.support.meetings import invite, migrate
from tests.support.pages import words

AUDIT, EXPORT = "/contoso/audit/", "/contoso/audit/export.csv"
MakeUser = Callable[..., ConferencingUser]


def write(tenant: Tenant, day: int, **values: Any) -> AuditEntry:
    """An entry of noon of that day of March 2026."""
    row = AuditEntry.objects.create(tenant=tenant, **values)
    AuditEntry.objects.filter(pk=row.pk).update(at=datetime(2026, 3, day, 12, tzinfo=UTC))
    return row


@pytest.fixture
def entries(alice: Client, tenant: Tenant) -> None:
    """Four entries of March 2026, and none else."""
    AuditEntry.objects.all().delete()
    write(
        tenant,
        1,
        actor="alice",
        channel=Channel.SCREEN,
        action="change user",
        target="anna.rossi@contoso.com",
        before={"language": "en-US"},
        after={"language": "it-IT"},
        consequence="No run, because nothing that starts one was changed.",
    )
    write(tenant, 2, actor="command:root", channel=Channel.COMMAND, action="create bridge", target="Europe")
    write(tenant, 3, actor="alice", channel=Channel.IMPORT, action="create user", target="bruno.costa@contoso.com")
    write(
        tenant, 4, actor="alice.b", channel=Channel.ADMIN, action="grant role", target="vera", after={"role": "admin"}
    )


def days(client: Client, query: str) -> list[int]:
    """The days of the entries that the page lists."""
    return [row.record.at.day for row in client.get(f"{AUDIT}{query}").context["table"].paginated_rows]


def table(client: Client, query: str = "") -> list[dict[str, str]]:
    """The rows of the file, by column."""
    answer: Any = client.get(f"{EXPORT}{query}")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


FILTERS = [
    ("", [4, 3, 2, 1]),
    ("?q=ALICE", [4, 3, 1]),
    ("?q=rossi", [1]),
    ("?q=role", [4]),
    ("?q=100%25", []),
    ("?who=alice", [3, 1]),
    ("?who=ALICE", [3, 1]),
    ("?who=ali", []),
    ("?who=command:root", [2]),
    ("?channel=command", [2]),
    ("?channel=admin", [4]),
    ("?action=create+user", [3]),
    ("?action=release+number", []),
    ("?at_from=2026-03-02", [4, 3, 2]),
    ("?at_to=2026-03-02", [2, 1]),
    ("?at_from=2026-03-02&at_to=2026-03-03", [3, 2]),
    ("?who=alice&channel=screen&action=change+user&at_from=2026-03-01", [1]),
]


@pytest.mark.parametrize(("query", "expected"), FILTERS)
def test_it_finds_entries_by_who_what_and_when(alice: Client, entries: None, query: str, expected: list[int]) -> None:
    assert days(alice, query) == expected


@pytest.mark.parametrize(("query", "expected"), FILTERS)
def test_the_file_has_what_the_page_finds(alice: Client, entries: None, query: str, expected: list[int]) -> None:
    assert [datetime.fromisoformat(row["At"]).day for row in table(alice, query)] == expected


@pytest.mark.parametrize(
    ("query", "expected"), [("?sort=at", [1, 2, 3, 4]), ("?sort=-actor", [2, 4]), ("?page=99", [4])]
)
def test_it_is_sorted_as_asked_and_newest_first_otherwise(
    alice: Client, entries: None, query: str, expected: list[int]
) -> None:
    assert days(alice, query)[: len(expected)] == expected


BAD = [
    ("channel=telepathy", "Through what: “telepathy” is not on offer: choose one of the list."),
    ("action=dance", "What: “dance” is not on offer: choose one of the list."),
    ("at_from=yesterday", "From: Give a day such as 2026-11-30."),
    ("at_to=9999-01-01", "Until: Give a date from 1970 to 2999."),
    ("q=%00", "Search: Leave out the invisible character (NUL) in it."),
    (f"who={'x' * 201}", "Who: Shorten it to 200 characters: it has 201."),
]


@pytest.mark.parametrize(("query", "sentence"), BAD)
def test_a_filter_that_is_not_understood_is_reported_at_its_field_and_filters_nothing(
    alice: Client, entries: None, query: str, sentence: str
) -> None:
    page = alice.get(f"{AUDIT}?{query}")
    fragment = alice.get(f"{AUDIT}?{query}", headers={"HX-Request": "true"})
    label, _, reason = sentence.partition(": ")

    assert days(alice, f"?{query}") == [4, 3, 2, 1]
    other, found = ("at_to", [2, 1]) if "at_from" in query else ("at_from", [4, 3, 2])
    assert days(alice, f"?{other}=2026-03-02&{query}") == found
    (field,) = [div for div in re.findall(r"<div.*?</div>", page.content.decode(), re.DOTALL) if "_error" in div]
    assert f">{label}</label>" in field
    assert reason in unescape(field)
    assert reason in words(fragment.content)


@pytest.mark.parametrize(("query", "sentence"), BAD)
def test_nothing_is_exported_where_a_filter_is_not_understood(
    alice: Client, entries: None, query: str, sentence: str
) -> None:
    answer = alice.get(f"{EXPORT}?who=alice&{query}")

    assert answer.status_code == 400
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode() == (f"Nothing was exported. {sentence} Correct that and download it again.\n")


# --- in words -----------------------------------------------------------------------------------------


def rows(client: Client, query: str = "") -> list[list[str]]:
    """The cells of the table as people read them, row by row."""
    body = client.get(f"{AUDIT}{query}").content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [words(cell.encode()).strip() for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)
    ]


def test_an_entry_says_who_through_what_what_from_to_and_what_it_led_to(alice: Client, entries: None) -> None:
    assert rows(alice, "?channel=screen") == [
        [
            "1 Mar 2026, 12:00 UTC",
            "alice Screen",
            "Change user anna.rossi@contoso.com",
            "Language: en-US → it-IT",
            "No run, because nothing that starts one was changed.",
        ]
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({"audio_conferencing_license": False}, {"audio_conferencing_license": True},
         "Audio conferencing licence: off → on"),
        ({"conferencing_provider": "Fabrikam"}, {"conferencing_provider": ""},
         "Conferencing provider: Fabrikam → Microsoft"),
        ({"provider": ""}, {"provider": "Fabrikam"}, "Provider: Microsoft → Fabrikam"),
        ({"toll_number": None}, {"toll_number": "+14255550100"}, "Toll number: nothing → +14255550100"),
        ({"sip_address": "a@contoso.com"}, {"sip_address": "b@contoso.com"},
         "SIP address: a@contoso.com → b@contoso.com"),
        ({"conference_id": "1234567"}, {"conference_id": ""}, "Conference ID: 1234567 → nothing"),
        ({"conference_id_type": "public"}, {"conference_id_type": "private"},
         "Conference id type: Public (one for all meetings) → Private (one per meeting)"),
        ({"attendee_limit": 250}, {"attendee_limit": 1000}, "Attendee limit: 250 → 1,000"),
        ({"meeting_url": "https://a.contoso.com"}, {"meeting_url": "https://b.contoso.com"},
         "Meeting URL: https://a.contoso.com → https://b.contoso.com"),
        ({"default number": None}, {"default number": "+14255550100"}, "Default number: nothing → +14255550100"),
        ({"role": "viewer"}, {}, "Role: Viewer → nothing"),
        ({}, {"role": "viewer"}, "Role: Viewer"),
        ({"State": "Open"}, {"State": "DealtWith"}, "State: Open → Dealt with"),
        ({}, {"messages": 3}, "Messages: 3"),
        ({"bridge": "Europe", "number": "+14255550100"}, {"number": "+14255550199"},
         "Bridge: Europe Number: +14255550100 → +14255550199"),
        ({}, {"named": ["The pilot period is over", "It works"]}, "Named: The pilot period is over, It works"),
        ({"closed by": []}, {"closed by": ["It works"]}, "Closed by: nothing → It works"),
        ({}, {}, "–"),
    ],
)  # fmt: skip
def test_what_changed_is_told_in_words(
    alice: Client, tenant: Tenant, before: dict[str, Any], after: dict[str, Any], told: str
) -> None:
    write(tenant, 1, actor="zoe", action="change user", target="x", before=before, after=after)

    assert rows(alice, "?who=zoe")[0][3] == told


def test_a_long_text_is_cut_on_the_page_and_whole_in_the_file(alice: Client, tenant: Tenant) -> None:
    text = "Meetings may be recorded. " * 40
    write(
        tenant,
        1,
        actor="zoe",
        action="change tenant",
        target="x",
        before={"footer_text": ""},
        after={"footer_text": text},
    )

    assert len(rows(alice, "?who=zoe")[0][3]) < 260
    assert json.loads(table(alice, "?who=zoe")[0]["After"]) == {"footer_text": text}


def test_the_name_of_who_it_was_leads_to_the_other_entries_of_the_same(alice: Client, entries: None) -> None:
    page = alice.get(f"{AUDIT}?channel=import&page=1").content.decode()
    (link,) = re.findall(r'<a class="name" href="([^"]+)"', page)

    assert set(unescape(link).removeprefix("?").split("&")) == {"channel=import", "who=alice"}


# --- the file -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{}, {"HX-Request": "true"}, {"HX-Request": "true", "HX-History-Restore-Request": "true"}]
)
def test_the_link_to_the_file_keeps_what_is_shown_and_nothing_else(
    alice: Client, entries: None, headers: dict[str, str]
) -> None:
    query = "?q=a%26b&who=&action=change+user&at_from=2026-03-01&sort=actor&page=1&x=y"
    page = alice.get(AUDIT + query, headers=headers).content.decode()
    (link,) = [unescape(link) for link in re.findall(r'id="export-csv" href="([^"]*)"', page)]

    shown = "q=a%26b&action=change%20user&at_from=2026-03-01&sort=actor&columns=at,actor,action,change,consequence"
    assert link.replace("+", "%20") == f"{AUDIT}?{shown}&format=csv"


def test_the_file_has_the_columns_and_values_that_scripts_rely_on(alice: Client, entries: None) -> None:
    answer: Any = alice.get(f"{EXPORT}?action=change+user")
    text = answer.getvalue().decode()

    assert text == (
        "\ufeffAt,Who,Channel,Action,Target,Before,After,Consequence\r\n"
        '2026-03-01T12:00:00+00:00,alice,screen,change user,anna.rossi@contoso.com,"{""language"": ""en-US""}",'
        '"{""language"": ""it-IT""}","No run, because nothing that starts one was changed."\r\n'
    )
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="audit-contoso-\d{4}-\d\d-\d\d\.csv"', answer["Content-Disposition"])
    assert "no-store" in answer["Cache-Control"]


def test_the_file_has_no_rows_where_nothing_is_found(alice: Client, entries: None) -> None:
    assert table(alice, "?who=nobody") == []


def test_head_tells_of_the_file_without_reading_an_entry(alice: Client, entries: None) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer: Any = alice.head(EXPORT)

    assert (answer.status_code, answer.getvalue()) == (200, b"")
    assert "attachment" in answer["Content-Disposition"]
    assert not any("auditentry" in query["sql"] for query in queries)


@pytest.mark.parametrize(
    ("cell", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("=HYPERLINK(\"https://example.org\")", "'=HYPERLINK(\"https://example.org\")"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'\t=1+1"),
        ("\r=1+1", "'\r=1+1"),
        ("+1+1", "'+1+1"),
        ("-1-1", "'-1-1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-", "'-"),
        ("+", "'+"),
        ("+14255550100\n=1", "'+14255550100\n=1"),
        ("+1.5.2", "'+1.5.2"),
        ("+٣٤", "'+٣٤"),
        ("+14255550100", "+14255550100"),
        ("-5", "-5"),
        ("+1.5", "+1.5"),
        ("a=b", "a=b"),
        ("anna@contoso.com", "anna@contoso.com"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_cell_that_a_spreadsheet_would_run_is_defused(cell: str, safe: str) -> None:
    assert defused(cell) == safe


def test_no_column_of_the_file_can_hold_a_formula(alice: Client, tenant: Tenant) -> None:
    formula = "=1+1"
    write(
        tenant,
        1,
        actor=formula,
        channel=Channel.COMMAND,
        action="change bridge",
        target=formula,
        before={formula: formula},
        after={formula: formula},
        consequence=formula,
    )
    write(tenant, 2, actor="zoe", action="register number", target="+14255550100")
    newest, *_, oldest = sorted(table(alice, "?at_to=2026-03-02"), key=lambda row: row["At"], reverse=True)

    assert newest["Target"] == "+14255550100"
    assert [oldest[name] for name in ("Who", "Target", "Consequence")] == ["'=1+1"] * 3
    assert not any(cell.startswith(("=", "@", "\t", "\r")) for cell in oldest.values())
    assert json.loads(oldest["Before"]) == {formula: formula}


# --- many entries -------------------------------------------------------------------------------------


def add(tenant: Tenant, count: int) -> None:
    AuditEntry.objects.bulk_create(
        [AuditEntry(tenant=tenant, actor="zoe", action="change user", target=f"user{n}") for n in range(count)]
    )


def test_it_asks_the_database_the_same_number_of_questions_for_10_and_300_entries(
    alice: Client, tenant: Tenant
) -> None:
    def count(address: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            answer: Any = alice.get(address)
            answer.getvalue()
        return len(queries)

    addresses = [f"{AUDIT}?who=zoe", f"{AUDIT}?who=zoe&q=user&sort=actor&page=2", f"{EXPORT}?who=zoe"]
    add(tenant, 10)
    few = [count(address) for address in addresses]
    add(tenant, 290)

    assert [count(address) for address in addresses] == few


def test_the_file_is_sent_while_it_is_read(alice: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many entries as are sent at a time are in memory, however many there are."""
    monkeypatch.setattr(list_files, "BULK", 10)
    add(tenant, 95)
    read: list[Any] = []

    make = AuditEntry.from_db
    monkeypatch.setattr(AuditEntry, "from_db", lambda *args: read.append(args) or make(*args))
    answer: Any = alice.get(f"{EXPORT}?who=zoe")
    assert answer.streaming
    sent = iter(answer)
    first = next(sent).decode()
    assert first.endswith("Consequence\r\n")
    assert not read
    assert [next(sent).decode().count("\r\n") for _ in range(3)] == [10, 10, 10]
    assert len(read) <= 40
    text = "".join(some.decode() for some in sent)
    assert text.count("\r\n") == 65
    assert [row["Target"] for row in csv.DictReader(io.StringIO(first.lstrip("\ufeff") + text))] == [
        f"user{n}" for n in reversed(range(65))
    ]


# --- tenants ------------------------------------------------------------------------------------------


def test_it_has_the_entries_of_its_own_tenant_only(alice: Client, anna: ConferencingUser, new_bridge: Bridge) -> None:
    fabrikam = Tenant.objects.get(slug="fabrikam")
    bridge = set_bridge(fabrikam, "Harbour bridge", Actor("charlie", Channel.ADMIN), make_default=True)
    register_number(bridge, "+12065550147", "toll", ACTOR)

    assert days(alice, "?who=charlie") == []
    assert table(alice, "?who=charlie") == []
    for text in (words(alice.get(f"{AUDIT}?q=bridge").content), str(table(alice)), str(table(alice, "?q=harbour"))):
        assert not re.search(r"fabrikam|harbour|2065550147|charlie", text, re.IGNORECASE)
    assert {row["Target"] for row in table(alice, "?action=create+bridge")} == {"Old bridge", "New bridge"}


def test_entries_lead_to_what_they_are_about_as_long_as_it_is_there(
    vera: Client, anna: ConferencingUser, old_bridge: Bridge
) -> None:
    outside = create_connection(anna.tenant, ACTOR, "Nextcloud", address="https://dav.contoso.com/")
    number = register_number(old_bridge, "+14255550122", "toll", ACTOR)
    gone = set_bridge(anna.tenant, "Gone", ACTOR)
    remove_bridge(gone, ACTOR)
    page = vera.get("/contoso/audit/").content.decode()

    for address in (
        f"/contoso/users/{anna.upn}/",
        f"/contoso/bridges/{old_bridge.pk}/",
        f"/contoso/bridges/{old_bridge.pk}/numbers/{number.pk}/",
        f"/contoso/settings/mailboxes/{outside.pk}/",
    ):
        assert f'href="{address}"' in page
        assert vera.get(address).status_code == 200
    assert "<bdi>Gone</bdi></a>" not in page
    assert "<bdi>Gone</bdi>" in page


def test_an_undo_leads_to_the_run_that_is_undone(vera: Client, anna: ConferencingUser) -> None:
    invite(anna)
    run = migrate(anna)
    start_undo(run, ACTOR)
    page = vera.get("/contoso/audit/?action=undo+migration").content.decode()
    (address,) = re.findall(r'href="(/contoso/migrations/[^"]+)">The run</a>', page)

    assert address == f"/contoso/migrations/{run.correlation_id}/"


def test_a_change_leads_to_the_run_that_it_started_or_joined(
    vera: Client, anna: ConferencingUser, make_user: MakeUser, new_bridge: Bridge
) -> None:
    bruno = make_user("bruno")
    invite(anna)
    change_user(anna, ACTOR, bridge=new_bridge)
    change_user(anna, ACTOR, audio_conferencing_enabled=False)
    joined = Run.objects.get()
    work(timezone.now() + TIME_BUDGET)
    change_user(anna, ACTOR, audio_conferencing_enabled=True)
    later = Run.objects.exclude(pk=joined.pk).get()
    change_user(bruno, ACTOR, language="it-IT")
    page = vera.get("/contoso/audit/?action=change+user&sort=at")
    pages = [page.context["table"].pages.get(row.record.pk) for row in page.context["table"].paginated_rows]

    runs = [f"/contoso/migrations/{run.correlation_id}/" for run in (joined, joined, later)]
    assert [each.address if each else None for each in pages] == [*runs, None]
