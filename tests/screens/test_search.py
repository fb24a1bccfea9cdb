"""One search box: whatever is typed finds what goes by it, in any way of writing, in this tenant alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from migrations_app.finding.typed import Typed
from migrations_app.mailboxes.base import NO_END
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import (
    BulkAction,
    ChatArchive,
    ChatPlan,
    ChatRoom,
    ChatTarget,
    IndexedMeeting,
    OnlineMeeting,
    Preview,
    Run,
    UserImport,
)
from migrations_app.stories import search as meeting_search
from mms_site.navigation import GO_KEYS
from tenants_app.changes.bridges import register_number
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.commands import invitation
from tests.support.only_reads import only_reads
from tests.support.pages import announced, key_of, words
from tests.support.two_tenants import furnish

HTMX = {"HX-Request": "true"}
KEY = "OLD1KEY2"
RUN = "0123abcd-4567-4abc-8def-0123456789ab"


def furnish_chat(tenant: Tenant, name: str) -> None:
    """A plan of chat with one room, of an archive and for a target with this name, too."""
    archive = ChatArchive.objects.create(
        tenant=tenant, name=f"Archive {name}", folder=f"a{tenant.pk}", level="All", exported_at=timezone.now()
    )
    target = ChatTarget.objects.create(tenant=tenant, name=f"Target {name}", kind="archive", folder=f"t{tenant.pk}")
    plan = ChatPlan.objects.create(tenant=tenant, number=1, archive=archive, target=target, state="Ready")
    ChatRoom.objects.create(plan=plan, position=1, room_id="1", name=f"Room {name}", becomes="Moved", category="Old")


@pytest.fixture
def alvaro(
    make_user: Callable[..., ConferencingUser], make_run: Callable[..., Run], new_bridge: Bridge
) -> ConferencingUser:
    """Álvaro, of whom there is one of everything; and Zoë, so that he is not the only one."""
    make_user("zoe.lind", display_name="Zoë Lind", bridge=new_bridge)
    alvaro = make_user("alvaro", display_name="Álvaro Grünewald", sip_address="ag@voice.contoso.com")
    make_run(
        alvaro, "Failed", [("Budget", "Failed", "no-bridge")], correlation_id="0123abcd-4567-4abc-8def-0123456789ab"
    )
    uid = "one-of-alvaro@contoso.com"
    text = invitation(alvaro, uid).replace(f"SUMMARY:Budget {uid}".encode(), "SUMMARY:Überblick Ärzte".encode())
    EmbeddedMailbox(alvaro).store([(uid, text)])
    OnlineMeeting.objects.create(
        tenant=alvaro.tenant,
        user=alvaro,
        uid=uid,
        service="Link",
        join_url=f"https://meet.contoso.com/alvaro/{KEY}",
        room=KEY.lower(),
    )
    UserImport.objects.create(tenant=alvaro.tenant, file_name="November leavers.csv", text="")
    BulkAction.objects.create(tenant=alvaro.tenant, kind="start", chosen_by="Provider: Third", state="Done")
    Preview.objects.create(tenant=alvaro.tenant, kind="start", title="Starting runs for 3 users", state="Ready")
    furnish_chat(alvaro.tenant, "Überstunden")
    return alvaro


def sections(answer: HttpResponse) -> dict[str, list[str]]:
    """The titles of what a page or a fragment shows, by the heading of their kind."""
    return {section.label: [hit.title for hit in section.hits] for section in answer.context["sections"]}


def found(client: Client, typed: str, **headers: Any) -> dict[str, list[str]]:
    return sections(client.get("/contoso/search/", {"q": typed}, headers=headers or None))


def test_everything_is_found_by_whatever_goes_by_it(alice: Client, alvaro: ConferencingUser) -> None:
    anna_id = alvaro.conference_id
    name, number = "Álvaro Grünewald", "+14255550100"
    for typed, kind, title in (
        ("GRUNEWALD", "Users", name),
        ("grünewald, alvaro", "Users", name),
        ("ag@voice", "Users", name),
        ("(425) 555 0100", "Numbers", number),
        ("001 425-555-0100", "Numbers", number),
        ("5550100", "Numbers", number),
        ("+44 (0)20 7946 0123", "Numbers", "+442079460123"),
        ("redmond", "Numbers", number),
        (anna_id[:4], "Conference IDs", anna_id),
        (f"{anna_id[:3]} {anna_id[3:]}#", "Conference IDs", anna_id),
        ("old bridge", "Bridges", "Old bridge"),
        ("uberblick arzte", "Meetings", "Überblick Ärzte"),
        ("one-of-alvaro@contoso.com", "Meetings", "Überblick Ärzte"),
        (f"https://MEET.contoso.com/alvaro/{KEY}", "Meetings", "Überblick Ärzte"),
        (KEY, "Meetings", "Überblick Ärzte"),
        ("0123abcd", "Runs", RUN),
        (RUN.upper(), "Runs", RUN),
        ("leavers", "Jobs", "Import of November leavers.csv"),
        ("provider: third", "Jobs", "Start runs: Provider: Third"),
        ("starting runs", "Jobs", "Starting runs for 3 users"),
        ("room uberst", "Rooms of chat", "Room Überstunden"),
        ("moved", "Rooms of chat", "Room Überstunden"),
        ("target uber", "Plans of chat", "Plan 1: Archive Überstunden to Target Überstunden"),
    ):
        told = found(alice, typed)
        assert title in [*told.get(kind, []), *told.get("Go to", [])], typed


def test_what_is_meant_exactly_stands_first(alice: Client, alvaro: ConferencingUser) -> None:
    for typed, title in (
        ("ALVARO@contoso.com", "Álvaro Grünewald"),
        ("Álvaro Grünewald <alvaro@contoso.com>", "Álvaro Grünewald"),
        ("sip:ag@voice.contoso.com", "Álvaro Grünewald"),
        ("\u202a+1 425 555 0100\u202c", "+14255550100"),
        (alvaro.conference_id, alvaro.conference_id),
        ("0123abcd", RUN),
    ):
        for headers in ({}, HTMX):
            told = found(alice, typed, **headers)
            assert next(iter(told.items())) == ("Go to", [title]), typed
            assert sum(hits.count(title) for hits in told.values()) == 1, typed
    assert "Go to" not in found(alice, "contoso.com")
    assert "Go to" not in found(alice, "+1 425 555")


def test_those_that_begin_with_it_come_before_those_that_contain_it(
    alice: Client, make_user: Callable[..., ConferencingUser]
) -> None:
    for name, shown in (("a1", "Joanna Berg"), ("a2", "Berg Anna"), ("z1", "Anna Zorn")):
        make_user(name, display_name=shown)

    assert found(alice, "anna")["Users"] == ["Anna Zorn", "Berg Anna", "Joanna Berg"]


def test_a_former_conference_id_says_whose_it_was(alice: Client, alvaro: ConferencingUser) -> None:
    former = alvaro.conference_id
    change_user(alvaro, ACTOR, is_data_fix=True, conference_id="7654321")

    page = alice.get("/contoso/search/", {"q": former})
    assert "Once of Álvaro Grünewald" in words(page.content)
    assert "Go to" not in sections(page)
    assert f"/contoso/meetings/?conference_id={former}" in page.content.decode()


def test_a_long_list_leads_to_the_whole_of_it(alice: Client, make_user: Callable[..., ConferencingUser]) -> None:
    for number in range(12):
        make_user(f"berg{number}", display_name=f"Berg {number}")
    page, fragment = (alice.get("/contoso/search/", {"q": "berg"}, headers=headers) for headers in ({}, HTMX))

    assert (len(sections(page)["Users"]), len(sections(fragment)["Users"])) == (10, 3)
    assert 'href="/contoso/users/?q=berg"' in page.content.decode()
    assert announced(fragment.content) == "3 suggestions: choose with the arrow keys"
    assert fragment.content.decode().count('role="option"') == 4  # and one that leads to the page
    assert announced(alice.get("/contoso/search/", {"q": "nobody"}, headers=HTMX).content) == "Nothing found"


@pytest.mark.parametrize("are_few", [True, False])
def test_meetings_are_found_by_subject_without_looking_at_all(
    alice: Client, make_user: Callable[..., ConferencingUser], monkeypatch: pytest.MonkeyPatch, are_few: bool
) -> None:
    monkeypatch.setattr(meeting_search, "MOST_NEAR", 2)
    monkeypatch.setattr(meeting_search, "FEW_USERS", 5 if are_few else 0)
    user, now = make_user("clara.sanz"), timezone.now()
    for days, ends in ((-40, NO_END), (-2, NO_END), (-1, now - timedelta(hours=20)), (1, NO_END), (3, NO_END)):
        IndexedMeeting.objects.create(
            user=user,
            uid=f"day {days}",
            href=f"/{days}.ics",
            calendar="/",
            subject=f"Plan {days}",
            organizer=user.upn,
            starts_at=now + timedelta(days=days),
            last_end=ends,
        )
    page = alice.get("/contoso/search/", {"q": "plan"})

    told = ["Plan -40", "Plan -2", "Plan 1", "Plan 3"] if are_few else ["Plan -2", "Plan 1", "Plan 3"]
    assert sections(page)["Meetings"] == told
    assert ("only meetings that begin near to today were looked at" in words(page.content)) is True
    assert 'href="/contoso/meetings/?subject=plan"' in page.content.decode()


def test_no_tenant_finds_what_is_another_ones(alice: Client, alvaro: ConferencingUser, cast: None) -> None:
    other = furnish(Tenant.objects.get(slug="fabrikam"))
    run = Run.objects.create(tenant=other.tenant, user=other.user, due_at=timezone.now())
    EmbeddedMailbox(other.user).store([("harbour-uid", invitation(other.user, "harbour-uid"))])
    OnlineMeeting.objects.create(
        tenant=other.tenant,
        user=other.user,
        uid="harbour-uid",
        service="Link",
        join_url="https://x/SECRET",
        room="secret",
    )
    was = other.user.conference_id
    change_user(other.user, ACTOR, is_data_fix=True, conference_id="7654321")
    UserImport.objects.create(tenant=other.tenant, file_name="harbour.csv", text="")
    furnish_chat(other.tenant, "harbour")

    for typed in (
        *("frank", "frank.moor@fabrikam.com", "harbour", other.toll.number, "seattle", "harbour-uid", "secret"),
        *("Budget harbour", str(run.correlation_id), run.correlation_id.hex[:8], was),
        "7654321",
    ):
        assert all(hits == [] for hits in found(alice, typed).values()), typed
    assert found(alice, "budget harbour") == {}


def test_jobs_are_told_to_whom_their_pages_open(
    vera: Client, alice: Client, alvaro: ConferencingUser, bob: Client
) -> None:
    for client, titles in ((vera, 0), (bob, 1), (alice, 1)):
        assert len(found(client, "starting runs").get("Jobs", [])) == titles
    for client, titles in ((vera, 0), (bob, 0), (alice, 1)):
        assert len(found(client, "leavers").get("Jobs", [])) == titles


@pytest.mark.parametrize(
    "typed",
    [
        *(
            "%",
            "_",
            "%%",
            "__",
            "\\",
            "'",
            '"',
            "\0\0",
            "a\0b",
            "👩‍👩‍👧‍👦",
            "\u202egnitirw",
            "\u200f\u200f",
            "((((((((",
        ),
        *(
            "9" * 5000,
            "a" * 10_000,
            "+" + "1" * 39,
            "0" * 39,
            "--------",
            "deadbeef" * 4,
            "<b>&amp;",
            "a@b@c",
            "/" * 100,
        ),
        *(
            "(((((((",
            "/" * 100,
            "https://[::1",
            "http://x/%00?#",
            "e" * 2_000,
            "a b c d e f g h i",
            "\ud7ff\uffff",
            "²²²",
            "٠١٢٣٤٥٦",
        ),
    ],
)
def test_whatever_is_typed_there_is_an_answer_and_nothing_is_written(
    alice: Client, alvaro: ConferencingUser, typed: str
) -> None:
    for headers in ({}, HTMX):
        with only_reads():
            answer = alice.get("/contoso/search/", {"q": typed}, headers=headers)
        assert answer.status_code == 200
        assert all(hits == [] for hits in sections(answer).values())
    for raw in ("%ED%A0%80", "%FF", "%00", "&q=a&q=b"):
        assert alice.get(f"/contoso/search/?q={raw}").status_code == 200


def test_it_says_why_nothing_is_looked_for(alice: Client, tenant: Tenant) -> None:
    for typed, sentence in (
        ("", "Type a name, an address, a number, a conference ID, a subject or a correlation ID."),
        ("a", "Type at least 2 characters."),
        ("a" * 2001, "That is longer than 2,000 characters, and nothing here is: type a part of what you look for."),
    ):
        assert Typed.of(typed).refusal == sentence
        assert sentence in words(alice.get("/contoso/search/", {"q": typed}).content)


def test_every_page_has_the_box_and_the_keys(vera: Client, alvaro: ConferencingUser) -> None:
    upn_page = f"/contoso/users/{alvaro.upn}/"
    for address in ("/contoso/", upn_page, "/contoso/search/", "/contoso/settings/"):
        page = vera.get(address).content.decode()
        assert page.count('id="search-box"') == 1
        (keys,) = re.findall(r'data-go="([^"]*)"', page)
        told = dict(zip(*[iter(keys.split())] * 2, strict=True))
        assert list(told) == [key.key for key in GO_KEYS] == list("duhblfsa")
        assert {vera.get(each).status_code for each in told.values()} == {200}
    listed = vera.get("/accounts/keyboard/")
    assert all(key.label in words(listed.content) for key in GO_KEYS)


def test_single_keys_can_be_switched_off_and_stay_so(alice: Client, tenant: Tenant) -> None:
    assert "data-keys" not in alice.get("/contoso/").content.decode()
    fragment = alice.get(
        "/accounts/keyboard/", headers=HTMX | {"HX-Current-URL": "http://testserver/contoso/users/?q=a"}
    )
    assert 'name="next" value="/contoso/users/?q=a"' in fragment.content.decode()

    answer = alice.post("/accounts/keyboard/keys/", {"keys": "off", "next": "/contoso/users/?q=a"})
    assert answer.url == "/contoso/users/?q=a"
    assert 'data-keys="off"' in alice.get("/contoso/").content.decode()
    assert "Single keys are switched off in this browser." in words(alice.get("/accounts/keyboard/").content)
    for hostile in ("https://evil.example.org/", "//evil.example.org"):
        assert alice.post("/accounts/keyboard/keys/", {"keys": "on\r\nSet-Cookie: x", "next": hostile}).url == "/"
    assert 'data-keys="off"' in alice.get("/contoso/").content.decode()
    alice.post("/accounts/keyboard/keys/", {"keys": "on"})
    assert "data-keys" not in alice.get("/contoso/").content.decode()


def test_a_meeting_and_a_private_id_lead_to_the_story(alice: Client, alvaro: ConferencingUser) -> None:
    alvaro.conference_ids.create(bridge=alvaro.bridge, digits="7654321", meeting_uid="one-of-alvaro@contoso.com")
    story = f"/contoso/users/{alvaro.upn}/meetings/{key_of('one-of-alvaro@contoso.com')}/story/"

    for typed in ("7654321", "Überblick"):
        assert f'href="{story}"' in alice.get("/contoso/search/", {"q": typed}).content.decode()


def test_a_number_of_a_tenant_with_many_is_found_by_its_end(alice: Client, old_bridge: Bridge) -> None:
    for number in range(20):
        register_number(old_bridge, f"+14255559{number:03}", "toll", ACTOR)

    numbers = found(alice, "425 555 9")["Numbers"]
    assert len(numbers) == 10
    assert next(iter(found(alice, "+1 (425) 555-9007").items())) == ("Go to", ["+14255559007"])
