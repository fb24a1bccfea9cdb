"""The history and the pages of one run and one meeting."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from migrations_app.models import MeetingResult, Run, Update
from migrations_app.rewriting.comparison import compare
from migrations_app.rewriting.spans import Span
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import AuditEntry, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.pages import unmarked, words

MakeUser = Callable[..., ConferencingUser]
MakeUsers = Callable[..., list[ConferencingUser]]
MakeRun = Callable[..., Run]


@pytest.fixture
def runs(make_users: MakeUsers, make_run: MakeRun) -> list[Run]:
    """Anna's failed on 1 March, Bruno's succeeded on 2 March, Clara's is pending since 3 March."""
    day = datetime(2026, 3, 1, 12, tzinfo=UTC)
    anna, bruno, clara = make_users({"anna.rossi": {}, "bruno.bianchi": {}, "clara.verdi": {}})
    return [
        make_run(anna, "Failed", created=day, last_error_code="no-bridge"),
        make_run(bruno, "Succeeded", created=day + timedelta(days=1)),
        make_run(clara, "Pending", created=day + timedelta(days=2)),
    ]


def found(client: Client, query: str) -> list[str]:
    table = client.get(f"/contoso/migrations/{query}").context["table"]
    return [row.record.user.upn.partition(".")[0] for row in table.paginated_rows]


FOUND = {
    "": ["clara", "bruno", "anna"],
    "?user=ROSSI": ["anna"],
    "?user=Bianchi": ["bruno"],
    "?state=Pending": ["clara"],
    "?created_from=2026-03-02": ["clara", "bruno"],
    "?created_to=2026-03-02": ["bruno", "anna"],
    "?created_from=2026-03-02&created_to=2026-03-02": ["bruno"],
    "?sort=user": ["anna", "bruno", "clara"],
    "?sort=-user": ["clara", "bruno", "anna"],
    "?sort=nonsense": ["clara", "bruno", "anna"],
    "?page=nonsense": ["clara", "bruno", "anna"],
    "?page=999": ["clara", "bruno", "anna"],
    "?per_page=1": ["clara", "bruno", "anna"],
    "?user=100%25": [],
}
"""Whose runs a query of the list finds."""


def test_it_finds_runs_by_user_state_and_time(alice: Client, runs: list[Run]) -> None:
    assert {query: found(alice, query) for query in FOUND} == FOUND


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("created_from=yesterday", "Give a day such as 2026-11-30."),
        ("state=Broken", "“Broken” is not on offer: choose one of the list."),
        ("user=%00", "Leave out the invisible character (NUL) in it."),
    ],
)
def test_it_says_at_the_field_what_is_wrong_with_a_filter(
    alice: Client, runs: list[Run], query: str, sentence: str
) -> None:
    page = alice.get(f"/contoso/migrations/?{query}")
    fragment = alice.get(f"/contoso/migrations/?{query}", headers={"HX-Request": "true"})

    assert page.status_code == 200
    assert sentence in words(page.content)
    assert sentence in words(fragment.content)
    assert len(page.context["table"].data) == 3


@pytest.mark.parametrize("zone", ["Europe/Rome", "America/New_York", "Pacific/Kiritimati"])
def test_it_refuses_a_day_that_is_out_of_all_bounds_in_every_time_zone(
    alice: Client, runs: list[Run], settings: Any, zone: str, subtests: pytest.Subtests
) -> None:
    settings.TIME_ZONE = zone
    for field in ("created_from", "created_to"):
        for day in ("0001-01-01", "1969-12-31", "3000-01-01", "9999-12-31"):
            with subtests.test(f"{field}={day}"):
                page = alice.get(f"/contoso/migrations/?{field}={day}")

                assert "Give a date from 1970 to 2999." in words(page.content)
                assert len(page.context["table"].data) == 3


@pytest.mark.parametrize("query", ["created_from=1970-01-01", "created_to=2999-12-31"])
@pytest.mark.parametrize("zone", ["Europe/Rome", "America/New_York"])
def test_it_takes_the_first_and_the_last_day_that_it_names(
    alice: Client, runs: list[Run], settings: Any, zone: str, query: str
) -> None:
    settings.TIME_ZONE = zone
    page = alice.get(f"/contoso/migrations/?{query}")

    assert "Give a date" not in words(page.content)
    assert len(page.context["table"].data) == 3


def test_it_says_so_when_nothing_matches(alice: Client, runs: list[Run]) -> None:
    assert "No run matches." in words(alice.get("/contoso/migrations/?user=nobody").content)


def test_it_says_how_a_run_begins_where_none_ever_ran(alice: Client) -> None:
    assert "No migration has run yet" in words(alice.get("/contoso/migrations/").content)


def test_it_shows_20_runs_on_a_page(alice: Client, make_user: MakeUser, make_run: MakeRun) -> None:
    user = make_user("anna")
    for _ in range(30):
        make_run(user)

    assert "1–20 of 30" in words(alice.get("/contoso/migrations/").content)
    assert "21–30 of 30" in words(alice.get("/contoso/migrations/?page=2").content)


def test_it_sorts_by_every_column(alice: Client, runs: list[Run], make_run: MakeRun) -> None:
    run = make_run(runs[0].user, meetings=[("A", "Succeeded", ""), ("B", "Skipped", "past")])
    for address, rows in (("/contoso/migrations/", 4), (f"/contoso/migrations/{run.correlation_id}/", 2)):
        for column in alice.get(address).context["table"].columns:
            for sort in (column.name, f"-{column.name}"):
                assert len(list(alice.get(f"{address}?sort={sort}").context["table"].paginated_rows)) == rows


def test_r27_it_shows_the_record_of_a_run(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(
        anna,
        "Failed",
        [("Weekly sync", "Succeeded", ""), ("Old", "Skipped", "past"), ("Odd", "Failed", "unreadable-calendar-object")],
        reasons=[
            {"rule": "R2", "sentence": "The licence was assigned."},
            {"rule": "R1", "sentence": "The user moved."},
        ],
        last_error_code="unreadable-calendar-object",
        attempts=4,
        invites_update=1,
    )
    page = words(alice.get(f"/contoso/migrations/{run.correlation_id}/").content)

    for text in (
        str(run.correlation_id),
        str(anna.user_id),
        "anna.rossi@contoso.com",
        "ToSameType",
        "The licence was assigned.",
        "The user moved.",
        "after 1 min 23 s",
        "Retries 3",
        "Messages 1",
        "All 3",
        "Updated 1",
        "Skipped 1",
        "Failed 1",
        "The meeting is over.",
        "to 3 people",
        "A calendar object in the mailbox cannot be read.",
    ):
        assert text in page, text


def test_it_shows_meetings_by_outcome(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(anna, meetings=[("Kept", "Skipped", "past"), ("Changed", "Succeeded", "")])
    address = f"/contoso/migrations/{run.correlation_id}/"
    skipped = words(alice.get(f"{address}?outcome=Skipped").content)
    wrong = words(alice.get(f"{address}?outcome=Nonsense").content)

    assert "Kept" in skipped
    assert "Changed" not in skipped
    assert "“Nonsense” is not on offer: choose one of the list." in wrong
    assert "Changed" in wrong


def test_it_refreshes_a_run_until_it_has_ended(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(anna, "InProgress", total_meetings=9)
    address = f"/contoso/migrations/{run.correlation_id}/?page=1"
    going = alice.get(address).content
    Run.objects.update(state="Succeeded", lease_token=None, lease_until=None)
    ended = alice.get(address).content

    assert f'hx-get="{address}" hx-trigger="every 2s, shown"'.encode() in going
    assert b"every 2s" in going
    assert b"every " not in ended


def test_it_offers_what_fits_the_state_of_the_run(bob: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    old = make_run(anna, "Failed", last_error_code="no-bridge")
    new = make_run(anna, "Pending")

    first = words(bob.get(f"/contoso/migrations/{old.correlation_id}/").content)
    second = words(bob.get(f"/contoso/migrations/{new.correlation_id}/").content)
    assert "a newer run of this user: pending" in first
    assert "Start again" not in first
    assert "Run now" in second


def test_r12_it_does_not_bring_a_run_forward_while_the_service_is_off(
    bob: Client, anna: ConferencingUser, make_run: MakeRun, tenant: Tenant
) -> None:
    run = make_run(anna, "Pending")
    change_tenant(tenant, ACTOR, meeting_migration_enabled=False)
    answer = bob.post(f"/contoso/migrations/{run.correlation_id}/run-now/", follow=True)

    assert "The service is switched off, so pending runs wait." in words(answer.content)


def test_it_says_that_a_run_is_not_pending_any_more(bob: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(anna, "Succeeded")
    answer = bob.post(f"/contoso/migrations/{run.correlation_id}/run-now/", follow=True)

    assert "is not pending any more" in words(answer.content)


def test_it_shows_the_block_before_and_after(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(anna, meetings=[("Weekly sync", "Succeeded", "")])
    page = alice.get(f"/contoso/migrations/{run.correlation_id}/meetings/{run.results.get().pk}/").content.decode()
    page = unmarked(page)

    assert "<del>Toll number: +1 425-555-0100, Redmond</del>" in page
    assert "<ins>Toll number: +44 20 7946 0123</ins>" in page
    assert "<del>Join &lt;https://meet.old.example.org/x&gt;</del>" in page
    assert "<ins>Join &lt;here&gt;</ins>" in page
    assert "steal" not in page
    assert "occurrence 20261224T090000Z" in page


@pytest.mark.parametrize("pk", [0, 10**30])
def test_it_finds_no_meeting_that_is_not_of_the_run(
    alice: Client, anna: ConferencingUser, make_run: MakeRun, pk: int
) -> None:
    first = make_run(anna, meetings=[("Weekly sync", "Succeeded", "")])
    second = make_run(anna, meetings=[("Budget", "Succeeded", "")])
    other = MeetingResult.objects.get(run=second).pk

    assert alice.get(f"/contoso/migrations/{first.correlation_id}/meetings/{other}/").status_code == 404
    assert alice.get(f"/contoso/migrations/{first.correlation_id}/meetings/{pk}/").status_code == 404


def test_it_compares_text_that_is_not_utf8_and_text_that_is_gone() -> None:
    (changed, removed) = compare(
        (
            Span("", "DESCRIPTION", "caf\udce9\\nsame", "café\\nsame"),
            Span(
                "", "X-MICROSOFT-SKYPETEAMSMEETINGURL", "X-MICROSOFT-SKYPETEAMSMEETINGURL:https://old.example.org", ""
            ),
        )
    )

    assert [(row.before, row.after) for row in changed.rows] == [("caf\ufffd", "café"), ("same", "same")]
    assert [(row.before, row.after) for row in removed.rows] == [
        ("X-MICROSOFT-SKYPETEAMSMEETINGURL:https://old.example.org", None)
    ]


def test_it_shows_texts_too_long_to_compare_as_they_are() -> None:
    long = "\\n".join(f"line {i}" for i in range(2000))
    (change,) = compare((Span("", "DESCRIPTION", long, long + "\\nlast"),))

    assert len(change.rows) == 2001
    assert change.rows[-1].after == "last"


def test_it_isolates_and_escapes_what_a_calendar_says(alice: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(anna, meetings=[("\u202e<img src=x onerror=alert(1)>", "Succeeded", "")])
    page = alice.get(f"/contoso/migrations/{run.correlation_id}/").content.decode()

    assert "<bdi>\u202e&lt;img src=x onerror=alert(1)&gt;</bdi>" in page
    assert "<img src=x" not in page


def test_it_starts_again_only_what_may_be_served(
    bob: Client, make_user: MakeUser, make_run: MakeRun, wakes: list[Any]
) -> None:
    run = make_run(make_user("anna", mailbox_location="on-premises"), "Failed", last_error_code="cannot-be-served")
    answer = bob.post(f"/contoso/migrations/{run.correlation_id}/start-again/", follow=True)

    because = "the mailbox is on Exchange on-premises: connect that Exchange, or use the Meeting Migration Tool instead"
    assert because in words(answer.content)
    assert Run.objects.filter(state="Pending").count() == 0


def test_a_start_after_a_failure_is_audited_as_a_retry(
    bob: Client, anna: ConferencingUser, make_user: Callable[..., ConferencingUser], make_run: Callable[..., Run]
) -> None:
    failed, other = make_run(anna, "Failed"), make_run(make_user("bruno.costa"), "Succeeded")
    for run in (failed, other):
        bob.post(f"/contoso/migrations/{run.correlation_id}/start-again/")

    entries = AuditEntry.objects.filter(actor="bob").order_by("pk").values_list("action", "target", "channel")
    assert list(entries) == [
        ("retry migration", anna.upn, "screen"),
        ("start migration", "bruno.costa@contoso.com", "screen"),
    ]


NOT_TOLD = ["zoe@fabrikam.com", "yan@fabrikam.com"]


@pytest.fixture
def in_doubt(anna: ConferencingUser, make_run: MakeRun) -> Run:
    """A run with one message that was refused, and one that the mail server got and did not answer."""
    run = make_run(anna, "Succeeded", [("Weekly sync", "Succeeded", ""), ("Budget", "Succeeded", "")])
    updates = Update.objects.filter(result__run=run)
    updates.update(state="Failed", error_code="mail-refused", sent_at=None)
    updates.filter(result__subject="Budget").update(
        error_code="mail-unconfirmed",
        error_detail="message-ID <1a2b@contoso.com> for zoe@fabrikam.com",
        recipients_left=NOT_TOLD,
        recipients_in_doubt={"zoe@fabrikam.com": "<1a2b@contoso.com>"},
    )
    return run


def test_it_leaves_the_decision_about_a_message_in_doubt_to_a_person(bob: Client, vera: Client, in_doubt: Run) -> None:
    page = words(bob.get(f"/contoso/migrations/{in_doubt.correlation_id}/").content)
    looked_at = words(vera.get(f"/contoso/migrations/{in_doubt.correlation_id}/").content)

    assert "1 message could not be sent" in page
    assert "1 message may have been delivered or not." in page
    assert "message-ID <1a2b@contoso.com> for zoe@fabrikam.com" in page
    assert "It was delivered" in page
    assert "Not delivered: send again" in page
    assert "may have been delivered or not" in looked_at
    assert "It was delivered" not in looked_at


@pytest.mark.parametrize(
    ("address", "told", "queued", "left"),
    [
        ("send-again", "1 message goes out again.", "Weekly sync", None),
        ("send-in-doubt-again", "1 message goes out again.", "Budget", NOT_TOLD),
        ("confirm-delivered", "1 message counts as delivered.", "Budget", ["yan@fabrikam.com"]),
    ],
)
def test_each_decision_is_about_its_own_messages(
    bob: Client, in_doubt: Run, address: str, told: str, queued: str, left: list[str] | None
) -> None:
    answer = bob.post(f"/contoso/migrations/{in_doubt.correlation_id}/{address}/", follow=True)

    assert told in words(answer.content)
    update = Update.objects.get(state="Queued")
    assert (update.result.subject, update.recipients_left, update.recipients_in_doubt) == (queued, left, {})
    assert AuditEntry.objects.latest("pk").after == {"messages": 1}


def test_a_decision_that_somebody_else_has_made_already_is_not_made_twice(bob: Client, in_doubt: Run) -> None:
    address = f"/contoso/migrations/{in_doubt.correlation_id}/confirm-delivered/"
    bob.post(address)
    audited = AuditEntry.objects.count()

    assert "No message of this run is in doubt any more" in words(bob.post(address, follow=True).content)
    assert AuditEntry.objects.count() == audited


def test_run_now_of_a_run_that_is_not_pending_any_more_changes_nothing(
    bob: Client, anna: ConferencingUser, make_run: Callable[..., Run]
) -> None:
    run = make_run(anna, "Succeeded")
    answer = bob.post(f"/contoso/migrations/{run.correlation_id}/run-now/", follow=True)

    assert "is not pending any more, so there is nothing to bring forward." in words(answer.content)
    assert not AuditEntry.objects.filter(actor="bob").exists()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("InProgress", "In progress: 11 of 12 meetings looked at"),
        ("Failed", "Failed: 1 of 12 meetings failed"),
        ("Succeeded", "Succeeded: 10 of 12 meetings updated"),
    ],
)
def test_a_screen_reader_hears_how_many_failed_and_not_how_many_were_looked_at(
    vera: Client, anna: ConferencingUser, make_run: MakeRun, state: str, told: str
) -> None:
    run = make_run(anna, state)
    Run.objects.update(total_meetings=12, succeeded_meetings=10, failed_meetings=1)
    page = vera.get(f"/contoso/migrations/{run.correlation_id}/", headers={"HX-Request": "true"})
    announced = page.content.decode().partition('<div id="announcer"')[2].partition(">")[2]

    assert words(announced.encode()).strip() == told
