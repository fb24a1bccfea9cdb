"""A user's future meetings: what a run now would do to each, how many people it would mail, and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app.failures import Failure
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import Run
from migrations_app.runs import outcomes
from tenants_app.changes.bridges import set_bridge
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.explanations import LINK, decision, with_property
from tests.support.meetings import migrate, preview
from tests.support.pages import key_of, words
from tests.support.samples import skype_text
from tests.support.two_tenants import everything_stored

MakeUser = Callable[..., ConferencingUser]
HTMX = {"HX-Request": "true"}


def meetings_of(user: ConferencingUser) -> str:
    return f"/contoso/users/{user.upn}/meetings/"


def rows(client: Client, address: str) -> dict[str, str]:
    """The text of each row by the last word of its meeting's subject, which is the UID."""
    body = client.get(address).content.decode().partition("<tbody>")[2].partition("</tbody>")[0]
    texts = [words(row.encode()).strip() for row in body.split("</tr>")[:-1]]
    return {text.partition("Budget ")[2].split()[0] if "Budget " in text else text.split()[0]: text for text in texts}


@pytest.fixture
def mailbox(anna: ConferencingUser, tenant: Tenant) -> ConferencingUser:
    """Anna with a meeting of each kind, named by its UID."""
    store = EmbeddedMailbox(anna).store
    store([("current", invitation(anna, "current"))])
    migrate(anna)
    change_tenant(tenant, ACTOR, attendee_limit=4)
    crowd = b"".join(b"ATTENDEE:mailto:guest%d@example.org\r\n" % number for number in range(4))
    described = {
        "updated": invitation(anna, "updated", days=3),
        "lonely": re.sub(rb"ATTENDEE;[^\r]*\r\n", b"", invitation(anna, "lonely")),
        "no-block": invitation(anna, "no-block", text="Hello"),
        "pasted": with_property(invitation(anna, "pasted"), LINK + b"https://meet.contoso.com/bruno/ELSE3KEY"),
        "damaged": invitation(anna, "damaged", text=skype_text(row="." * 137).removesuffix("." * 137)),
        "cancelled": invitation(anna, "cancelled").replace(b"SEQUENCE:1", b"SEQUENCE:1\r\nSTATUS:CANCELLED"),
        "foreign": invitation(anna, "foreign").replace(b":mailto:anna.rossi@", b":mailto:carla@"),
        "crowded": invitation(anna, "crowded").replace(b"ATTENDEE;", crowd + b"ATTENDEE;"),
        "past": invitation(anna, "past", days=-7),
        "unreadable": b"no calendar",
    }
    store(described.items())
    return anna


OUTCOMES = {
    "updated": "Would be updated",
    "lonely": "Would be updated",
    "current": "Would be skipped The invitation already says what it should.",
    "no-block": "Would be skipped The invitation carries no online-meeting block.",
    "pasted": "Would be skipped The block was copied from another meeting: the event's own join link is not the one",
    "damaged": "Would be skipped The block is damaged or ambiguous, and MMS does not guess:",
    "cancelled": "Would be skipped The meeting is cancelled.",
    "foreign": "Would be skipped This is not the organizer's copy of the meeting, and only that one is migrated: "
    "its organizer is",
    "crowded": "Would be skipped The meeting has more attendees than the tenant's limit: 6 with the organizer;",
}


def test_r20_it_says_of_every_future_meeting_what_a_run_would_do(vera: Client, mailbox: ConferencingUser) -> None:
    shown = rows(vera, meetings_of(mailbox))

    assert shown.keys() == {*OUTCOMES, "(no"}
    for uid, text in OUTCOMES.items():
        assert f"Budget {uid} {text}" in shown[uid]
    assert "Would fail A calendar object in the mailbox cannot be read" in shown["(no"]


def test_r24_it_says_how_many_people_would_be_mailed(vera: Client, mailbox: ConferencingUser) -> None:
    shown = rows(vera, meetings_of(mailbox))

    assert "2 attendees 1 would be mailed Explain" in shown["updated"]
    assert "nobody would be mailed Explain" in shown["lonely"]
    assert all("nobody would be mailed Explain" in text for uid, text in shown.items() if uid != "updated")


def test_it_says_the_same_as_a_preview_of_the_whole_run(vera: Client, mailbox: ConferencingUser) -> None:
    table = vera.get(meetings_of(mailbox)).context["table"]
    shown = {
        row.record.meeting.uid: (row.record.foreseen.outcome, row.record.foreseen.code, row.record.recipients)
        for row in table.paginated_rows
    }
    whole = {result.uid: (result.outcome, result.code, told) for result, told in preview(mailbox)}

    assert whole.pop("past")[1] == "past"
    assert shown == whole


def test_it_shows_what_cannot_be_read_first_and_then_by_date(vera: Client, mailbox: ConferencingUser) -> None:
    table = vera.get(meetings_of(mailbox)).context["table"]

    assert [row.record.meeting.uid for row in table.paginated_rows][:2] == ["unreadable", "updated"]


def test_r20_it_says_why_a_run_would_fail_as_a_whole(vera: Client, mailbox: ConferencingUser, tenant: Tenant) -> None:
    change_user(mailbox, ACTOR, bridge=set_bridge(tenant, "Bare", ACTOR))
    page = words(vera.get(meetings_of(mailbox)).content)

    assert "A run would fail before it looks at any meeting. Audio conferencing is on, but the user's bridge" in page
    assert "Budget updated" in page
    assert "Would be" not in page


def test_r15_it_says_that_mms_changes_none_of_the_meetings(vera: Client, make_user: MakeUser) -> None:
    anna = make_user("anna", mailbox_location="on-premises")
    EmbeddedMailbox(anna).store([("budget", invitation(anna, "budget"))])
    page = words(vera.get(meetings_of(anna)).content)

    assert "MMS cannot migrate this user, so it changes none of these meetings." in page
    assert "Budget budget" in page


def test_an_empty_mailbox_is_told(vera: Client, anna: ConferencingUser) -> None:
    assert "The mailbox has no future meetings." in words(vera.get(meetings_of(anna)).content)


def test_it_tells_how_long_a_series_goes_on(vera: Client, anna: ConferencingUser) -> None:
    for uid, rule in (("endless", b"RRULE:FREQ=DAILY"), ("ending", b"RRULE:FREQ=DAILY;COUNT=30")):
        EmbeddedMailbox(anna).store([(uid, with_property(invitation(anna, uid, days=-9), rule))])
    shown = rows(vera, meetings_of(anna))

    assert "series without end" in shown["endless"]
    assert re.search(r"until \d+ \w+ \d{4}, ", shown["ending"])


# --- pages --------------------------------------------------------------------------------------------


@pytest.fixture
def rewritten(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The meetings that were rewritten."""
    rewrite, seen = outcomes.examine, []

    def noted(source: bytes, *args: Any, **kwargs: Any) -> Any:
        seen.append(source)
        return rewrite(source, *args, **kwargs)

    monkeypatch.setattr(outcomes, "examine", noted)
    return seen


def fill(user: ConferencingUser, first: int, last: int) -> None:
    EmbeddedMailbox(user).store(
        [(f"m{number:02}", invitation(user, f"m{number:02}", days=number + 1)) for number in range(first, last)]
    )


def test_only_the_meetings_of_the_page_are_rewritten(
    vera: Client, anna: ConferencingUser, rewritten: list[bytes]
) -> None:
    fill(anna, 0, 30)
    first = rows(vera, meetings_of(anna))
    of_first = len(rewritten)
    second = rows(vera, f"{meetings_of(anna)}?page=2")

    assert (next(iter(first)), len(first), of_first) == ("m00", 20, 20)
    assert (list(second), len(rewritten) - of_first) == ([f"m{number}" for number in range(20, 30)], 10)
    for beyond in ("99", "-1", "x"):
        assert vera.get(f"{meetings_of(anna)}?page={beyond}").status_code == 200


def test_it_asks_as_often_for_20_meetings_as_for_3(vera: Client, anna: ConferencingUser) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert vera.get(meetings_of(anna)).status_code == 200
        return len(asked)

    fill(anna, 0, 3)
    count()  # what is cached on first use is asked before the counting
    few = count()
    fill(anna, 3, 60)

    assert count() == few <= 20


def test_looking_writes_nothing(vera: Client, make_user: MakeUser) -> None:
    anna = make_user("anna.rossi", conference_id_type="private")
    fill(anna, 0, 3)
    before = everything_stored()

    for headers in ({}, HTMX):
        assert "Would be updated" in words(vera.get(meetings_of(anna), headers=headers).content)
    assert everything_stored() == before


def test_the_users_page_loads_them_and_links_to_them_without_javascript(
    vera: Client, anna: ConferencingUser, rewritten: list[bytes]
) -> None:
    fill(anna, 0, 30)
    page = vera.get(f"/contoso/users/{anna.upn}/").content.decode()

    assert rewritten == []
    assert f'<div id="results" hx-get="{meetings_of(anna)}" hx-trigger="load" hx-swap="outerHTML">' in page
    assert f'<a href="{meetings_of(anna)}">Show them</a>' in page
    assert '<dialog class="sheet"' in page


def test_the_part_for_htmx_leads_to_its_own_pages(vera: Client, anna: ConferencingUser) -> None:
    fill(anna, 0, 30)
    part = vera.get(meetings_of(anna), headers=HTMX).content.decode()
    page = vera.get(meetings_of(anna)).content.decode()

    assert "<html" not in part
    assert part.count('id="results"') == page.count('id="results"') == 1
    assert f'href="{meetings_of(anna)}?page=2"' in part
    assert "announcer" not in part
    assert "Page 2 of 2" in vera.get(f"{meetings_of(anna)}?page=2", headers=HTMX).content.decode()
    assert f'<a class="back" href="/contoso/users/{anna.upn}/">' in page


# --- the explanation of one ---------------------------------------------------------------------------


def test_each_row_leads_to_its_explanation(vera: Client, mailbox: ConferencingUser) -> None:
    page = vera.get(meetings_of(mailbox)).content.decode()

    for row in mailbox.calendar_objects.exclude(uid="past"):
        address = f"{meetings_of(mailbox)}{key_of(row.uid)}/"
        assert f'href="{address}" hx-get="{address}" hx-target="#sheet-body"' in page
        whole, part = vera.get(address), vera.get(address, headers=HTMX)
        assert (whole.status_code, part.status_code) == (200, 200)
        assert decision(whole.content.decode()) == decision(part.content.decode())
        assert f'<a class="back" href="/contoso/users/{mailbox.upn}/">' in whole.content.decode()
        assert "<html" not in part.content.decode()


def test_it_explains_as_the_page_of_a_run_does(
    vera: Client, mailbox: ConferencingUser, new_bridge: Bridge, wakes: list[Any]
) -> None:
    run = migrate(mailbox)
    change_user(mailbox, ACTOR, bridge=new_bridge)
    assert Run.objects.count() == 3

    for result in run.results.all():
        of_run, of_user = (
            words(vera.get(address, headers=HTMX).content)
            for address in (
                f"/contoso/migrations/{run.correlation_id}/meetings/{result.pk}/explain/",
                f"{meetings_of(mailbox)}{key_of(result.uid)}/",
            )
        )
        only_of_run = re.compile(r"In this run: [^.]+\.|Compare before and after|, \d\d:\d\d")
        assert "A run now" in of_user
        assert only_of_run.sub("", of_run).split() == only_of_run.sub("", of_user).split()


@pytest.mark.parametrize("key", ["0", "A" * 3000, "_-_-", "w7ww", key_of("past away")])
def test_it_explains_no_meeting_that_is_not_in_the_mailbox(
    vera: Client, mailbox: ConferencingUser, make_user: MakeUser, key: str
) -> None:
    bruno = make_user("bruno")
    EmbeddedMailbox(bruno).store([("his", invitation(bruno, "his"))])

    for wrong in (key, key_of("his")):
        assert vera.get(f"{meetings_of(mailbox)}{wrong}/").status_code == 404


def test_an_explanation_writes_nothing(vera: Client, make_user: MakeUser) -> None:
    anna = make_user("anna.rossi", conference_id_type="private")
    fill(anna, 0, 1)
    before = everything_stored()

    assert (
        "Conference ID" in vera.get(f"{meetings_of(anna)}{key_of(anna.calendar_objects.get().uid)}/").content.decode()
    )
    assert everything_stored() == before


@pytest.mark.parametrize("uid", ["a/b?c=d&e#f", "Besprechung {ÄÖ} 会議", "040000008200E00074C5B7101A82E008" * 15])
def test_any_uid_has_an_address(vera: Client, anna: ConferencingUser, uid: str) -> None:
    body = invitation(anna, "as-is").replace(b"UID:as-is", b"UID:" + uid.encode())
    EmbeddedMailbox(anna).store([(uid, body)])

    page = vera.get(meetings_of(anna)).content.decode()
    address, story = sorted(set(re.findall(r'href="(/contoso/users/[^"]+/meetings/[^"]+/)"', page)))
    assert 'class="decision"' in vera.get(address).content.decode()
    assert story == f"{address}story/"
    assert vera.get(story).status_code == 200


def test_a_mailbox_that_cannot_be_reached_is_said_to_be(
    vera: Client, mailbox: ConferencingUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Failure("mailbox-unavailable")

    monkeypatch.setattr(EmbeddedMailbox, "list_upcoming", refuse)
    monkeypatch.setattr(EmbeddedMailbox, "read", refuse)

    for address in (meetings_of(mailbox), f"{meetings_of(mailbox)}{key_of('updated')}/"):
        answer = vera.get(address)
        assert answer.status_code == 200
        assert "The mailbox could not be reached. Check the mailbox server" in words(answer.content)
