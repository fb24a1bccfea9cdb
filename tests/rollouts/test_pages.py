"""Pages of rollouts, waves and members (R61, R64 to R68)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import BridgeMapping, Rollout, Wave, WaveMember
from migrations_app.procedures import previews
from migrations_app.rollouts.readiness import look
from tenants_app.models import Bridge, ConferencingUser, SavedFilter, Tenant
from tests.support.actors import ACTOR
from tests.support.meetings import invite
from tests.support.pages import words
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members

MakeUsers = Callable[..., list[ConferencingUser]]


@pytest.fixture
def rollout(tenant: Tenant, old_bridge: Bridge, new_bridge: Bridge) -> Rollout:
    rollout = a_rollout(tenant)
    belong_to(rollout.legacy, [], old_bridge)
    belong_to(rollout.new, [], new_bridge)
    return rollout


@pytest.fixture
def users(rollout: Rollout, make_users: MakeUsers) -> list[ConferencingUser]:
    made = make_users({name: {} for name in ("anna", "bruno", "carla")})
    belong_to(rollout.legacy, made)
    return made


def page_of(rollout: Rollout, rest: str = "") -> str:
    return f"/contoso/rollouts/{rollout.pk}/{rest}"


def text(answer: HttpResponse) -> str:
    assert answer.status_code == 200
    return words(answer.content)


def posted(client: Client, address: str, form: dict[str, Any]) -> str:
    """What the page says after a form was posted that was taken."""
    answer = client.post(address, form, follow=True)
    assert answer.redirect_chain, words(answer.content)
    return words(answer.content)


def test_a_rollout_is_defined_and_shown_as_a_line_of_waves_r64(alice: Client, tenant: Tenant) -> None:
    assert "record both first" in text(alice.get("/contoso/rollouts/"))
    old, new = a_deployment(tenant), a_deployment(tenant, "new")
    told = posted(alice, "/contoso/rollouts/", {"name": "Online", "legacy": old.pk, "new": new.pk})
    assert "The rollout Online is there" in told
    assert re.search(r"1 Test users.*2 Pilot.*3 Everyone", told, re.DOTALL)
    assert "Its gate is closed by" in told
    assert "Online" in text(alice.get("/contoso/rollouts/"))
    again = alice.post("/contoso/rollouts/", {"name": "online", "legacy": old.pk, "new": new.pk})
    assert "There is already a rollout online" in text(again)


def test_who_was_taken_back_is_not_counted_as_done_r87(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    wave = a_wave(rollout, 1)
    now = timezone.now()
    Wave.objects.filter(pk=wave.pk).update(state="RolledBack", started_at=now, offered_at=now)
    members(wave, users[:1], state="RolledBack", is_current=False)
    shown = text(alice.get(page_of(rollout)))
    assert "0 of 1 members done" in shown
    assert "Members 0 Done 0" in shown
    assert 'id="accept"' not in alice.get(page_of(rollout, "waves/1/")).content.decode()


def test_settings_are_saved_and_only_what_was_edited(alice: Client, rollout: Rollout) -> None:
    page = page_of(rollout, "settings/")
    shown = {"initial-max_failed_percent": "5", "initial-min_finished": "10", "initial-max_failed_in_a_row": "3"}
    shown |= {"initial-retire_after": "14", "initial-name": rollout.name, "initial-batches": ""}
    form = {name.removeprefix("initial-"): value for name, value in shown.items()}
    Rollout.objects.update(retire_after=30)  # by somebody else meanwhile
    posted(alice, page, {**shown, **form, "max_failed_percent": "0", "batches": "1, 5"})
    saved = Rollout.objects.get()
    assert (saved.max_failed_percent, saved.batches, saved.retire_after) == (0, [1, 5], 30)
    assert "“0” is no batch size" in text(alice.post(page, {**shown, **form, "batches": "0"}))
    assert "100" in text(alice.post(page, {**shown, **form, "max_failed_percent": "101"}))


def test_a_rollout_is_ended_with_a_reason(alice: Client, rollout: Rollout) -> None:
    assert "The rollout To the new service has ended." in posted(alice, page_of(rollout, "close/"), {"reason": "Later"})
    assert "“Later”" in text(alice.get(page_of(rollout)))


def test_the_mapping_is_chosen_of_the_bridges_of_either_side_r61(
    alice: Client, rollout: Rollout, old_bridge: Bridge, new_bridge: Bridge
) -> None:
    page = page_of(rollout, "mapping/")
    answer = alice.get(page)
    options = re.findall(rf'name="bridge_{old_bridge.pk}".*?</select>', answer.content.decode(), re.DOTALL)[0]
    assert "New bridge" in options
    assert "Old bridge" not in options
    number = old_bridge.numbers.get()
    other = new_bridge.numbers.get(kind="toll")
    posted(alice, page, {f"bridge_{old_bridge.pk}": new_bridge.pk, f"number_{number.pk}": other.pk})
    assert BridgeMapping.objects.get().new_bridge == new_bridge
    assert rollout.number_mappings.get().new_number == other
    shown = {f"initial-bridge_{old_bridge.pk}": new_bridge.pk, f"bridge_{old_bridge.pk}": ""}
    posted(alice, page, {**shown, f"initial-number_{number.pk}": other.pk, f"number_{number.pk}": other.pk})
    assert not BridgeMapping.objects.exists()
    assert rollout.number_mappings.exists()


def test_waves_are_added_set_split_put_and_removed_r64(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    told = posted(alice, page_of(rollout, "waves/add/"), {"name": "Sales", "purpose": "pilot", "observe_days": "2"})
    assert "The wave Sales is there" in told
    posted(alice, page_of(rollout, "waves/add/"), {"name": "Labs", "purpose": "test", "observe_days": ""})
    labs = rollout.waves.get(name="Labs")
    assert labs.observe_days == 1, "R81: where nothing is said, by what it is for"
    posted(alice, page_of(rollout, f"waves/{labs.position}/remove/"), {})
    SavedFilter.objects.create(tenant=rollout.tenant, of_list="users", name="Annas", is_shared=True, query="q=anna")
    form = {"name": "Sellers", "initial-name": "Sales", "observe_days": "2", "initial-observe_days": "2"}
    told = posted(alice, page_of(rollout, "waves/3/settings/"), {**form, "saved": "q=anna"})
    assert "User: anna" in told
    assert a_wave(rollout, 3).saved_query == "q=anna"
    posted(alice, page_of(rollout, "waves/3/put/"), {"position": "1"})
    assert a_wave(rollout, 1).name == "Sellers"
    members(a_wave(rollout, 1), users)
    posted(alice, page_of(rollout, "waves/1/split/"), {"keep": "1", "name": "Others"})
    assert [wave.members.count() for wave in rollout.waves.order_by("position")[:2]] == [1, 2]
    told = posted(alice, page_of(rollout, "waves/2/remove/"), {})
    assert "has members (2)" in told
    posted(alice, page_of(rollout, "waves/3/remove/"), {})
    assert list(rollout.waves.values_list("name", flat=True)) == ["Sellers", "Others", "Pilot", "Everyone"]


def test_members_are_added_by_name_and_taken_out_r65(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    page = page_of(rollout, "waves/1/members/")
    refused = alice.post(page + "add/", {"names": "anna@contoso.com, nobody@contoso.com"})
    assert "There is no user nobody@contoso.com" in text(refused)
    assert not WaveMember.objects.exists()
    told = posted(alice, page + "add/", {"names": "ANNA@contoso.com\nbruno@contoso.com", "reason": "First"})
    assert "2 users were added to Test users" in told
    keys = list(WaveMember.objects.values_list("pk", flat=True))
    assert "1 member was taken out" in posted(alice, page + "take-out/", {"member": keys[:1]})
    assert "Nobody is ticked" in posted(alice, page + "take-out/", {})
    rows = alice.get(page + "?format=csv").getvalue().decode()
    assert "bruno@contoso.com,Bruno,Waiting" in rows
    assert "anna@contoso.com" not in rows


def test_selected_users_of_the_list_go_to_a_wave_r65(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    assert "Add to a wave" in text(alice.get("/contoso/users/"))
    page = f"/contoso/users/to-wave/?users={users[0].pk}.{users[1].pk}"
    assert "Add 2 users to a wave?" in text(alice.get(page))
    told = posted(alice, page, {"wave": a_wave(rollout, 2).pk})
    assert "2 users were added to Pilot" in told
    told = posted(alice, page, {"wave": a_wave(rollout, 1).pk})
    assert "is in the wave Pilot of this rollout already" in told
    posted(alice, page, {"wave": a_wave(rollout, 1).pk, "may_leave": "on"})
    assert a_wave(rollout, 1).members.count() == 2


def test_a_file_is_checked_refused_by_line_and_imported_r65(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    page = page_of(rollout, "import/")

    def upload(lines: str, **form: str) -> HttpResponse:
        file = SimpleUploadedFile("members.csv", f"UserPrincipalName,Wave\n{lines}".encode())
        return alice.post(page, {"file": file, **form}, follow=True)

    good, bad = "anna@contoso.com,Pilot\n", "nobody@contoso.com,Pilot\n"
    assert "To be added: 1" in text(upload(good, check="1"))
    told = text(upload(good + bad))
    assert "1 bad row, so nothing was written" in told
    assert "There is no user nobody@contoso.com" in told
    assert not WaveMember.objects.exists()
    assert "Added: 1. There already: 0. Left out: 1." in text(upload(good + bad, skip_bad_rows="on"))
    assert "0 members were added, 1 were there already." in text(upload(good))
    assert "must name the column UserPrincipalName" in text(
        alice.post(page, {"file": SimpleUploadedFile("m.csv", b"Wave,B\n")})
    )


def test_a_member_of_a_started_wave_is_excluded_with_a_reason_r65(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    (member,) = members(a_wave(rollout, 1), users[:1])
    a_wave(rollout, 1, state=Wave.State.RUNNING)
    page = page_of(rollout, f"waves/1/members/{member.pk}/exclude/")
    assert page in alice.get(page_of(rollout, "waves/1/members/")).content.decode()
    assert "Exclude anna@contoso.com?" in text(alice.get(page))
    assert "is excluded from the wave" in posted(alice, page, {"reason": "On leave"})
    assert "Excluded: On leave" in text(alice.get(page_of(rollout, "waves/1/members/")))


def test_newcomers_are_named_and_added_to_a_following_wave_r66(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    a_wave(rollout, 1, state=Wave.State.RUNNING, saved_query="q=anna")
    page = page_of(rollout, "waves/1/members/")
    assert "1 newcomer matches the filter since the wave started. anna@contoso.com" in text(alice.get(page))
    told = posted(alice, page_of(rollout, "waves/1/newcomers/"), {"to": a_wave(rollout, 2).pk})
    assert "1 user was added to Pilot" in told
    assert "newcomer" not in told
    assert "Choose a wave behind" in posted(alice, page_of(rollout, "waves/1/newcomers/"), {"to": "x"})


def test_who_meets_the_wave_is_drawn_ranked_and_added_r67(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    anna, bruno, _ = users
    members(a_wave(rollout, 1), [anna])
    page = page_of(rollout, "waves/1/meetings/")
    assert "No meeting joins members" in text(alice.get(page))
    for number in range(6):
        invite(bruno, number)
    _, body = invite(anna, 0)
    uid = anna.calendar_objects.get().uid
    EmbeddedMailbox(bruno).store([(uid, body)])
    answer = alice.get(page)
    assert '<svg class="company"' in answer.content.decode()
    assert re.search(r"Bruno bruno@contoso.com Meetings with members: 1", text(answer))
    assert "1 user was added to Test users" in posted(alice, page, {"user": bruno.pk})


def test_readiness_is_looked_at_shown_and_exported_r68(
    alice: Client, rollout: Rollout, users: list[ConferencingUser]
) -> None:
    anna, bruno, _ = users
    invite(anna)
    ConferencingUser.objects.filter(pk=bruno.pk).update(conferencing_provider="InterCall")
    members(a_wave(rollout, 1), [anna, bruno], client_version="15.1")
    page = page_of(rollout, "waves/1/readiness/")
    assert "Nobody has looked yet" in text(alice.get(page))
    assert "Nothing is changed by looking" in posted(alice, page, {})
    while previews.advance(timezone.now() + timedelta(minutes=1)):
        pass
    told = text(alice.get(page))
    assert "Cannot be served 1" in told
    assert "use the Meeting Migration Tool instead" in told
    assert text(alice.get(page + "?show=refused")).count("bruno@contoso.com") == 1
    assert "anna@contoso.com" not in text(alice.get(page + "?show=refused"))
    rows = alice.get(page + "?format=csv").getvalue().decode().splitlines()
    assert len(rows) == 3
    assert "15.1" in rows[1]
    part = alice.get(page + "?show=run", headers={"HX-Request": "true", "HX-Target": "results"}).content.decode()
    assert part.count('id="results"') == 1
    assert 'id="live"' not in part


@pytest.mark.parametrize("show", ["run", "no-run", "unreachable", "busy", "over-limit", "review", "client-below"])
def test_the_members_are_filtered_by_what_would_happen_r68(
    alice: Client, rollout: Rollout, users: list[ConferencingUser], show: str
) -> None:
    members(a_wave(rollout, 1), users[:1], client_version="15.1")
    look(a_wave(rollout, 1), ACTOR)
    while previews.advance(timezone.now() + timedelta(minutes=1)):
        pass
    found = text(alice.get(page_of(rollout, f"waves/1/readiness/?show={show}")))
    assert ("anna@contoso.com" in found) == (show == "run")


def test_pages_ask_as_much_for_many_members_as_for_few(alice: Client, rollout: Rollout, make_users: MakeUsers) -> None:
    pages = [
        page_of(rollout),
        "/contoso/rollouts/",
        *(page_of(rollout, f"waves/1/{page}/") for page in ("members", "meetings", "readiness", "settings")),
    ]

    def count() -> list[int]:
        look(a_wave(rollout, 1), ACTOR)
        while previews.advance(timezone.now() + timedelta(minutes=1)):
            pass
        asked = []
        for page in pages:
            alice.get(page)
            with CaptureQueriesContext(connection) as queries:
                assert alice.get(page).status_code == 200
            asked.append(len(queries))
        return asked

    counts = []
    for amount in (2, 30):
        made = make_users({f"u{amount}-{number}": {} for number in range(amount)})
        belong_to(rollout.legacy, made)
        members(a_wave(rollout, 1), made)
        counts.append(count())
    assert counts[0] == counts[1]
