"""The page that explains what a run would do with a meeting as it stands in the mailbox now."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import CalendarObject, Run
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.users import change_user
from tenants_app.models import AuditEntry, Bridge, ConferenceId, ConferencingUser, Tenant
from tests.support import samples
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.explanations import LINK, decision, with_property
from tests.support.meetings import migrate
from tests.support.pages import unmarked, words
from tests.support.samples import calendar, event, skype_text, teams_text

MakeUser = Callable[..., ConferencingUser]
MakeRun = Callable[..., Run]
Explain = Callable[..., str]
UID = "meeting-0"
JOIN = "https://meet.contoso.com/anna.rossi/OLD1KEY2"


@pytest.fixture
def explain(vera: Client, anna: ConferencingUser, make_run: MakeRun) -> Explain:
    """The page about a calendar object in Anna's mailbox, as a viewer gets it; nothing is stored for None."""
    run = make_run(anna, meetings=[("Weekly sync", "Skipped", "past")])
    address = f"/contoso/migrations/{run.correlation_id}/meetings/{run.results.get().pk}/explain/"

    def explained(body: bytes | None) -> str:
        if body is not None:
            EmbeddedMailbox(anna).store([(UID, body)])
        answer = vera.get(address)
        assert answer.status_code == 200
        return answer.content.decode()

    return explained


def series(user: ConferencingUser, occurrences: int, links: list[str]) -> bytes:
    """A series with changed occurrences, whose blocks carry these links in turn."""
    first = datetime(2030, 3, 2, tzinfo=UTC)
    days = [f"{first + timedelta(days=number):%Y%m%d}" for number in range(occurrences)]
    changed = [
        event(
            f"RECURRENCE-ID:{day}T100000Z",
            text=f"Day {day}\n{skype_text(links[number % len(links)])}",
            uid=UID,
            start=f"DTSTART:{day}T120000Z",
            end=f"DTEND:{day}T130000Z",
        )
        for number, day in enumerate(days)
    ]
    master = event("RRULE:FREQ=DAILY;COUNT=300", text=skype_text(links[0]), uid=UID)
    return calendar(master, *changed).replace(b"anna@contoso.com", user.upn.encode())


def test_r20_it_says_what_would_be_replaced_and_why(explain: Explain, anna: ConferencingUser) -> None:
    page = explain(with_property(invitation(anna, UID), LINK + JOIN.encode()))

    assert decision(page).startswith("A run now Would be updated A run would replace")
    text = words(page.encode())
    assert "Row 137 dots, after “Please read the budget”" in text
    assert "For The join link names the organizer." in text
    assert "For The event's own join link is the one in its meeting block." in text
    assert f'<bdi class="verbatim">{JOIN}</bdi>' in page
    assert "<del>Toll number: +1 (206) 555-0111</del>" in unmarked(page)
    assert "+1 425-555-0100" in unmarked(page)


def test_r20_it_says_what_to_do_about_a_pasted_block(explain: Explain, anna: ConferencingUser) -> None:
    page = explain(with_property(invitation(anna, UID), LINK + b"https://meet.contoso.com/bruno/ELSE3KEY"))

    assert decision(page) == (
        "A run now Would be skipped The block was copied from another meeting: the event's own join link is not the "
        "one in its meeting block. Ask the organizer to schedule the meeting anew with the add-in."
    )
    assert "Against The event's own join link is not the one in its meeting block." in words(page.encode())
    assert 'class="compare"' not in page


def test_r39_what_leads_into_the_meeting_is_listed_once_by_its_name(explain: Explain, anna: ConferencingUser) -> None:
    shown = words(explain(invitation(anna, UID, text=teams_text())).encode())
    (told,) = re.findall(r"Plain-text description (.*)", shown)

    assert f"Meeting options {samples.TEAMS_OPTIONS}" in told
    assert told.count(samples.TEAMS_OPTIONS) == 1
    assert "Other link in it" in told


def test_it_says_whose_mailbox_when_and_what_the_run_did(explain: Explain, anna: ConferencingUser) -> None:
    page = explain(invitation(anna, UID))

    sentence = r"As it stands in the mailbox of anna\.rossi@contoso\.com now, \d+ \w+ \d{4}, \d\d:\d\d \w+ ?\."
    assert re.search(sentence + r" In this run: skipped\.", words(page.encode()))
    assert re.search(r'<a class="back" href="/contoso/migrations/[0-9a-f-]+/">', page)


def test_it_looks_at_the_meeting_as_it_is_now(
    vera: Client, anna: ConferencingUser, new_bridge: Bridge, wakes: list[object]
) -> None:
    EmbeddedMailbox(anna).store([(UID, invitation(anna, UID))])
    run = migrate(anna)
    address = f"/contoso/migrations/{run.correlation_id}/meetings/{run.results.get().pk}/explain/"
    current = decision(vera.get(address).content.decode())
    change_user(anna, ACTOR, bridge=new_bridge)
    moved = vera.get(address).content.decode()

    assert current == "A run now Would be skipped The invitation already says what it should."
    assert "A run now Would be updated" in decision(moved)
    assert "+44 20 7946 0123" in unmarked(moved)


def test_it_says_that_a_meeting_is_gone(explain: Explain) -> None:
    page = explain(None)

    assert "The meeting is not in the mailbox any more" in words(page.encode())
    assert "Weekly sync" in page
    assert 'class="decision"' not in page


def test_it_says_why_every_run_of_the_user_would_fail(
    explain: Explain, anna: ConferencingUser, tenant: Tenant, wakes: list[object]
) -> None:
    empty = set_bridge(tenant, "Empty bridge", ACTOR)
    change_user(anna, ACTOR, bridge=empty)
    page = explain(invitation(anna, UID))

    assert decision(page) == (
        "A run now Would fail A run fails before it looks at any meeting. Audio conferencing is on, but the user's "
        "bridge has no toll number to print: bridge Empty bridge. Register a toll number on the bridge or move the "
        "user to another bridge, then retry."
    )
    assert "Then Once that is put right: a run would bring the meeting block in DESCRIPTION up to date." in words(
        page.encode()
    )
    assert 'class="compare"' not in page


@pytest.mark.parametrize(
    ("body", "outcome", "detail"),
    [
        (b"", "Would fail", "The object is empty: it holds no calendar."),
        (b"no calendar", "Would fail", "The object has text outside BEGIN:VCALENDAR and END:VCALENDAR, in line 1."),
        (calendar(event(start="DTSTART:soon")), "Would fail", "DTSTART cannot be read"),
        (calendar(event("STATUS:CANCELLED", text="Hello")), "Would be skipped", "The meeting is cancelled."),
        (calendar(event(text="Hello")), "Would be skipped", "This is not the organizer's copy"),
    ],
)
def test_it_explains_every_object(explain: Explain, body: bytes, outcome: str, detail: str) -> None:
    told = decision(explain(body))

    assert told.startswith(f"A run now {outcome}")
    assert detail.lower() in told.lower()


def test_it_escapes_and_isolates_what_an_invitation_says(explain: Explain, anna: ConferencingUser) -> None:
    hostile = "<img src=x onerror=alert(1)> \u202edlog\n" + skype_text(
        JOIN, inside="<https://evil.example.org/&quot;onclick=alert(1)>\n"
    )
    body = invitation(anna, UID, text=hostile).replace(b"SUMMARY:", b"SUMMARY:\xff\x1b[31m<script>alert(1)</script>")
    page = explain(with_property(body, LINK + b"https://meet.contoso.com/\xc3<b>\x00\x9b/OLD1KEY2"))

    assert "<img src=x" not in page
    assert "<script>alert" not in page
    assert "https://evil.example.org/" in page
    assert 'href="https://evil' not in page
    assert 'href="https://meet' not in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", page)


@pytest.mark.parametrize("piece", [b"\x00", b"\xff\xfe", b'"', b"\\", b"\r\n ", b"<a href=", b"&#xd800;", b"%ff%00"])
@pytest.mark.parametrize("make", [skype_text, teams_text])
def test_it_answers_whatever_octets_stand_in_an_invitation(
    explain: Explain, anna: ConferencingUser, make: Callable[[], str], piece: bytes
) -> None:
    body = with_property(
        calendar(event(text=make(), html=samples.document(samples.skype_html()), uid=UID)),
        LINK + b"https://meet.contoso.com/" + piece,
    ).replace(b"anna@contoso.com", anna.upn.encode())
    for at in range(0, len(body), max(len(body) // 8, 1)):
        assert "A run now" in explain(body[:at] + piece + body[at:])


def test_it_asks_the_database_as_often_for_a_meeting_as_for_a_series(
    vera: Client, anna: ConferencingUser, make_run: MakeRun
) -> None:
    run = make_run(anna, meetings=[("Weekly sync", "Skipped", "past")])
    address = f"/contoso/migrations/{run.correlation_id}/meetings/{run.results.get().pk}/explain/"

    def count(occurrences: int, people: int) -> int:
        links = [f"https://meet.contoso.com/somebody{number}/OLD1KEY2" for number in range(people)]
        EmbeddedMailbox(anna).store([(UID, series(anna, occurrences, links))])
        with CaptureQueriesContext(connection) as queries:
            assert vera.get(address).status_code == 200
        return len(queries)

    count(1, 1)  # what is cached on first use is asked before the counting
    few = count(1, 1)
    assert few <= 22
    assert count(200, 1) == few
    # Each person whom a link names is looked up, but not endlessly.
    assert count(150, 150) == count(200, 200) <= few + 40


def test_it_tells_a_long_series_in_short(explain: Explain, anna: ConferencingUser) -> None:
    page = words(explain(series(anna, 200, [JOIN])).encode())

    assert "Plain-text description (occurrence 2030-03-02 10:00 UTC)" in page
    assert "Further occurrences Not shown 162 more, each with its own text" in page
    assert "Is the block this meeting's own? (the same in 38 changed occurrences)" in page


def test_it_writes_nothing(vera: Client, make_user: MakeUser, make_run: MakeRun) -> None:
    user = make_user("anna.rossi", conference_id_type="private")
    EmbeddedMailbox(user).store([(UID, invitation(user, UID))])
    run = make_run(user, meetings=[("Weekly sync", "Skipped", "past")])

    def rows() -> list[object]:
        return [
            list(model.objects.order_by("pk").values()) for model in (ConferenceId, CalendarObject, AuditEntry, Run)
        ]

    before = rows()
    page = vera.get(f"/contoso/migrations/{run.correlation_id}/meetings/{run.results.get().pk}/explain/").content

    assert b"Conference ID" in page
    assert rows() == before


def test_every_meeting_of_a_run_can_be_explained(vera: Client, anna: ConferencingUser, make_run: MakeRun) -> None:
    run = make_run(
        anna, meetings=[("A", "Succeeded", ""), ("B", "Skipped", "past"), ("C", "Failed", "unreadable-calendar-object")]
    )
    address = f"/contoso/migrations/{run.correlation_id}/"
    page = vera.get(address).content.decode()
    changed = run.results.get(subject="A")

    for result in run.results.all():
        explanation = f"{address}meetings/{result.pk}/explain/"
        assert f'href="{explanation}" hx-get="{explanation}" hx-target="#sheet-body"' in page
    compared = vera.get(f"{address}meetings/{changed.pk}/").content.decode()
    assert f'<a href="{address}meetings/{changed.pk}/explain/">Explain' in compared
    in_sheet = vera.get(f"{address}meetings/{changed.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert f'hx-get="{address}meetings/{changed.pk}/explain/" hx-target="#sheet-body"' in in_sheet


@pytest.mark.parametrize("pk", [0, 10**30])
def test_it_explains_no_meeting_that_is_not_of_the_run(
    vera: Client, anna: ConferencingUser, make_run: MakeRun, pk: int
) -> None:
    run = make_run(anna, meetings=[("Weekly sync", "Succeeded", "")])
    other = make_run(anna, meetings=[("Budget", "Succeeded", "")]).results.get().pk

    for wrong in (pk, other):
        assert vera.get(f"/contoso/migrations/{run.correlation_id}/meetings/{wrong}/explain/").status_code == 404


def test_the_plain_words_come_first_and_the_technical_finding_is_folded_away(
    explain: Explain, anna: ConferencingUser
) -> None:
    page = explain(with_property(invitation(anna, UID), LINK + b"https://meet.contoso.com/bruno/ELSE3KEY"))
    plain, opened, technical = page.partition('<details class="finding" id="technical">')
    shown = words(plain.encode())

    assert opened
    assert "What its invitation says Online meeting Skype for Business" in shown
    assert "Dial-in number" in shown
    assert "Conference ID 1234567" in shown
    assert "Against The event's own join link" in shown
    assert not re.search(r"octets|137 dots|equals signs|X-MICROSOFT", shown)
    assert "137 dots" in words(technical.encode())
    assert "X-MICROSOFT-ONLINEMEETINGEXTERNALLINK" in technical
