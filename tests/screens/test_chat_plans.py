"""Plans of chat in the browser: targets, what-if, deciding on rooms, importing, and no text on any page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from migrations_app.chat import plans
from migrations_app.chat.archives import store_export
from migrations_app.models import ChatArchive, ChatPlan, ChatRoom, ChatTarget
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_plans import worked
from tests.support.chat_rows import a_plan, a_room
from tests.support.chat_small import MARK, MESSAGES, write_small
from tests.support.pages import shown, words
from tests.support.visitors import sign_in

CHAT = "/contoso/chat/"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.MMS_DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def archive(tenant: Tenant) -> ChatArchive:
    return store_export(tenant, ACTOR, "Group Chat", write_small)


@pytest.fixture
def target(alice: Client, archive: ChatArchive) -> ChatTarget:
    """Made on the page, as an admin does."""
    answer = alice.post(f"{CHAT}targets/", {"kind": "archive", "name": "Pages to read", "option_title": ""})
    assert answer.status_code == 302
    return ChatTarget.objects.get()


@pytest.fixture
def plan(bob: Client, archive: ChatArchive, target: ChatTarget) -> ChatPlan:
    """Asked for on the page, and made."""
    chosen = {"archive": archive.pk, "target": target.pk, "on_conflict": "refuse", "keeps_root_managers": "on"}
    answer = bob.post(f"{CHAT}plans/new/", chosen)
    assert (answer.status_code, answer.url) == (302, f"{CHAT}plans/1/")
    assert "rooms looked at. Nothing is changed." in page(bob, f"{CHAT}plans/1/")
    return plans.plan_now(ChatPlan.objects.select_related("tenant", "archive", "target").get())


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return words(answer.content)


def pks(*names: str) -> list[int]:
    return [ChatRoom.objects.get(room_id=name).pk for name in names]


def choose(client: Client, do: str, *names: str, **more: str) -> Any:
    return client.post(f"{CHAT}plans/1/rooms/choose/", {"room": pks(*names), "do": do, **more}, follow=True)


def leave_out_the_long_one(client: Client, plan: ChatPlan) -> ChatPlan:
    choose(client, "deselect", "long", reason="Nobody uses it.")
    plan.refresh_from_db()
    return plans.plan_now(plan)


# --- targets ------------------------------------------------------------------------------------------


def test_a_target_has_the_settings_of_its_kind_and_no_others(alice: Client) -> None:
    fields = {kind: set(shown(alice.get(f"{CHAT}targets/?kind={kind}"))) for kind in ("archive", "matrix", "teams")}
    assert "option_title" in fields["archive"]
    assert not {"address", "account", "secret"} & fields["archive"]
    assert {"address", "account", "secret", "option_server_name"} <= fields["matrix"]
    assert {"account", "secret", "option_directory_id", "option_owner"} <= fields["teams"]
    assert "address" not in fields["teams"]


MATRIX = {
    "kind": "matrix",
    "name": "Synapse",
    "address": "https://matrix.contoso.com",
    "account": "mms",
    "secret": "as-token-that-nobody-sees",
    "option_server_name": "contoso.com",
}


def test_a_secret_is_written_and_never_shown_again(alice: Client) -> None:
    answer = alice.post(f"{CHAT}targets/", MATRIX)
    assert answer.status_code == 302
    target = ChatTarget.objects.get()
    asked = alice.get(f"{CHAT}targets/{target.pk}/")
    assert MATRIX["secret"] not in asked.content.decode()
    assert "the one that is stored stays" in words(asked.content)
    sealed = target.sealed_password
    saved = alice.post(f"{CHAT}targets/{target.pk}/", shown(asked) | {"name": "Synapse 2"})
    assert saved.status_code == 302
    target.refresh_from_db()
    assert (target.name, target.sealed_password, target.account) == ("Synapse 2", sealed, "mms")
    assert MATRIX["secret"] not in str(list(AuditEntry.objects.values_list("before", "after")))


def test_a_secret_does_not_follow_to_another_server(alice: Client) -> None:
    alice.post(f"{CHAT}targets/", MATRIX)
    target = ChatTarget.objects.get()
    form = shown(alice.get(f"{CHAT}targets/{target.pk}/")) | {"address": "https://matrix.example.org"}
    answer = alice.post(f"{CHAT}targets/{target.pk}/", form)
    assert answer.status_code == 200
    assert "it is not sent to another server" in words(answer.content)
    target.refresh_from_db()
    assert target.address == MATRIX["address"]


def test_a_second_target_of_the_same_name_is_refused_beside_the_field(alice: Client, target: ChatTarget) -> None:
    answer = alice.post(f"{CHAT}targets/", {"kind": "archive", "name": "PAGES TO READ"})
    assert answer.status_code == 200
    assert "There is a target of this name" in words(answer.content)


def test_a_target_is_tested_and_nothing_is_changed_there(alice: Client, target: ChatTarget) -> None:
    answer = alice.post(f"{CHAT}targets/{target.pk}/try/")
    assert "The target answers. Nothing was changed there." in words(answer.content)


def test_a_target_without_plans_is_removed_and_one_with_plans_is_not(alice: Client, target: ChatTarget) -> None:
    address = f"{CHAT}targets/{target.pk}/remove/"
    a_plan(ChatArchive.objects.get(), target)
    assert "so it stays" in page(alice, address)
    alice.post(address)
    assert ChatTarget.objects.exists()
    ChatPlan.objects.all().delete()
    assert alice.post(address).status_code == 302
    assert not ChatTarget.objects.exists()


# --- what-if ------------------------------------------------------------------------------------------


def test_r110_the_plan_says_what_becomes_of_each_room_and_what_is_in_the_way(vera: Client, plan: ChatPlan) -> None:
    told = page(vera, f"{CHAT}plans/1/")
    assert "It cannot be imported yet." in told
    assert "Name too long" in told
    rooms = page(vera, f"{CHAT}plans/1/rooms/")
    assert "Helpdesk" in rooms
    assert "1 error" in rooms
    assert "Helpdesk" not in page(vera, f"{CHAT}plans/1/rooms/?found=error")
    assert "Helpdesk" not in page(vera, f"{CHAT}plans/1/rooms/?code=name-too-long")
    assert "No room matches" in page(vera, f"{CHAT}plans/1/rooms/?state=Failed")
    findings = page(vera, f"{CHAT}plans/1/findings/?severity=error")
    assert "Name too long" in findings
    room = page(vera, f"{CHAT}plans/1/rooms/{pks('helpdesk')[0]}/")
    assert "Who may join Who is invited" in room
    assert "Members 2" in room


def test_r110_a_room_with_an_error_is_left_out_by_name_with_a_reason(bob: Client, vera: Client, plan: ChatPlan) -> None:
    without = choose(bob, "deselect", "long")
    assert "Say why these rooms are left out" in words(without.content)
    assert ChatRoom.objects.get(room_id="long").state == "Planned"
    leave_out_the_long_one(bob, plan)
    told = page(vera, f"{CHAT}plans/1/rooms/{pks('long')[0]}/")
    assert "bob left it out: Nobody uses it." in told
    assert "It cannot be imported yet." not in page(vera, f"{CHAT}plans/1/")
    choose(bob, "select", "long")
    assert ChatRoom.objects.get(room_id="long").state == "Planned"


def test_r113_another_name_that_fits_is_given_on_the_page_of_the_room(bob: Client, plan: ChatPlan) -> None:
    address = f"{CHAT}plans/1/rooms/{pks('long')[0]}/"
    form = shown(bob.get(address)) | {"room": "Short"}
    assert bob.post(f"{address}name/", form).status_code == 302
    plan.refresh_from_db()
    plans.plan_now(plan)
    room = ChatRoom.objects.get(room_id="long")
    assert ("Short" in room.becomes, room.error_count) == (True, 0)


def test_r113_the_category_of_a_room_is_named_for_all_its_rooms(bob: Client, plan: ChatPlan) -> None:
    address = f"{CHAT}plans/1/rooms/{pks('helpdesk')[0]}/"
    form = shown(bob.get(address)) | {"category": "Information technology"}
    assert bob.post(f"{address}name/", form).status_code == 302
    plan.refresh_from_db()
    plans.plan_now(plan)
    assert set(ChatRoom.objects.exclude(room_id="long").values_list("becomes_category", flat=True)) == {
        "Information technology"
    }


def test_r120_rooms_get_an_answer_of_their_own_to_a_name_that_exists(bob: Client, plan: ChatPlan) -> None:
    choose(bob, "conflict", "helpdesk", "board", on_conflict="rename")
    assert list(ChatRoom.objects.exclude(room_id="long").values_list("on_conflict", flat=True)) == ["rename"] * 2
    answer = choose(bob, "conflict", "helpdesk", on_conflict="overwrite")
    assert "Choose what happens where the name exists." in words(answer.content)


@pytest.mark.parametrize(
    ("posted", "told"),
    [
        ({"do": "deselect", "reason": "x"}, "Tick at least one room first."),
        ({"do": "burn"}, "Say what is to be done with these rooms."),
        ({}, "Say what is to be done with these rooms."),
    ],
)
def test_a_choice_that_means_nothing_is_refused_in_a_sentence(
    bob: Client, plan: ChatPlan, posted: dict[str, str], told: str
) -> None:
    answer = bob.post(f"{CHAT}plans/1/rooms/choose/", posted, follow=True)
    assert told in words(answer.content)


def test_rooms_of_another_plan_are_not_touched(bob: Client, plan: ChatPlan) -> None:
    other = a_room(a_plan(plan.archive, plan.target))
    answer = bob.post(
        f"{CHAT}plans/1/rooms/choose/", {"room": [other.pk], "do": "deselect", "reason": "x"}, follow=True
    )
    assert "Tick at least one room first." in words(answer.content)
    other.refresh_from_db()
    assert other.state == "Planned"


def test_without_an_archive_or_a_target_the_page_leads_to_where_one_is_made(bob: Client, tenant: Tenant) -> None:
    assert "Give MMS the history first." in page(bob, f"{CHAT}plans/new/")
    store_export(tenant, ACTOR, "Group Chat", write_small)
    assert "There is no target yet" in page(bob, f"{CHAT}plans/new/")


def test_a_plan_of_what_another_tenant_has_is_refused(bob: Client, cast: None, archive: ChatArchive) -> None:
    theirs = Tenant.objects.get(slug="fabrikam")
    elsewhere = ChatTarget.objects.create(tenant=theirs, name="Theirs", kind="archive", folder="f", created_by="x")
    answer = bob.post(f"{CHAT}plans/new/", {"archive": archive.pk, "target": elsewhere.pk, "on_conflict": "refuse"})
    assert answer.status_code == 200
    assert not ChatPlan.objects.exists()


# --- importing ----------------------------------------------------------------------------------------


@pytest.fixture
def ready(bob: Client, plan: ChatPlan) -> ChatPlan:
    return leave_out_the_long_one(bob, plan)


def test_r111_the_import_is_started_after_one_more_question_and_followed(
    alice: Client, bob: Client, vera: Client, ready: ChatPlan
) -> None:
    asked = page(bob, f"{CHAT}plans/1/start/")
    assert f"2 rooms with {2 * MESSAGES} messages are written from Group Chat to Pages to read." in asked
    assert "1 room is left out, as was decided." in asked
    assert ChatPlan.objects.get().state == "Ready"
    assert bob.post(f"{CHAT}plans/1/start/").status_code == 302
    assert "Importing" in page(vera, f"{CHAT}plans/1/")
    done = worked(ready)
    assert done.state == "Imported"
    told = page(vera, f"{CHAT}plans/1/")
    assert f"2 of 2 rooms imported, {2 * MESSAGES} of {2 * MESSAGES} messages written." in told
    room = page(vera, f"{CHAT}plans/1/rooms/{pks('board')[0]}/")
    assert f"{MESSAGES} of {MESSAGES} messages are at the target." in room
    assert AuditEntry.objects.get(action="start chat import").actor == "bob"
    products = page(alice, f"{CHAT}targets/{done.target_id}/")
    assert "What the import has made" in products


def test_r129_what_the_import_has_made_is_for_admins_and_audited(alice: Client, bob: Client, ready: ChatPlan) -> None:
    bob.post(f"{CHAT}plans/1/start/")
    worked(ready)
    place = f"{CHAT}targets/{ready.target_id}/"
    (name,) = set(re.findall(r'name="file" value="([^"]+)"', alice.get(place).content.decode())) or {""}
    assert name
    assert bob.post(f"{place}take/", {"file": name}).status_code == 403
    assert 'name="file"' not in bob.get(place).content.decode()
    answer = alice.post(f"{place}take/", {"file": name})
    assert answer.status_code == 200
    assert len(answer.getvalue()) > 100
    assert "no-store" in answer["Cache-Control"]
    assert AuditEntry.objects.get(action="download chat files").actor == "alice"
    answer = alice.post(f"{place}take/", {"file": "../../../etc/passwd"}, follow=True)
    assert "There is no such file any more" in words(answer.content)


def test_r111_it_is_paused_and_resumed_and_a_second_click_is_told(bob: Client, ready: ChatPlan) -> None:
    bob.post(f"{CHAT}plans/1/start/")
    assert "The import is paused." in words(bob.post(f"{CHAT}plans/1/pause/", follow=True).content)
    assert "nothing is written until it is resumed" in page(bob, f"{CHAT}plans/1/")
    assert "is not being imported" in words(bob.post(f"{CHAT}plans/1/pause/", follow=True).content)
    assert bob.post(f"{CHAT}plans/1/resume/").status_code == 302
    assert ChatPlan.objects.get().state == "Importing"
    again = bob.post(f"{CHAT}plans/1/resume/")
    assert again.status_code == 200
    assert "there is nothing to resume" in words(again.content)


def test_r111_one_that_has_stopped_by_itself_is_resumed_with_a_reason_only(bob: Client, ready: ChatPlan) -> None:
    ChatPlan.objects.update(state="Stopped", problem="Too many rooms have failed.")
    assert "Too many rooms have failed." in page(bob, f"{CHAT}plans/1/")
    answer = bob.post(f"{CHAT}plans/1/resume/", {"reason": ""})
    assert answer.status_code == 200
    assert ChatPlan.objects.get().state == "Stopped"
    assert bob.post(f"{CHAT}plans/1/resume/", {"reason": "The disk is larger."}).status_code == 302
    assert ChatPlan.objects.get().state == "Importing"


def test_r111_two_rooms_are_tried_first_and_the_others_follow(bob: Client, ready: ChatPlan) -> None:
    choose(bob, "import", "helpdesk")
    worked(ready)
    assert ChatRoom.objects.get(room_id="helpdesk").state == "Imported"
    assert ChatRoom.objects.get(room_id="board").state == "Planned"
    assert "Start the import?" in page(bob, f"{CHAT}plans/1/start/")
    assert 'id="start"' in bob.get(f"{CHAT}plans/1/").content.decode()
    bob.post(f"{CHAT}plans/1/start/")
    worked(ready)
    assert ChatRoom.objects.get(room_id="board").state == "Imported"


def test_a_start_that_comes_twice_is_told_and_starts_nothing(bob: Client, ready: ChatPlan) -> None:
    bob.post(f"{CHAT}plans/1/start/")
    again = bob.post(f"{CHAT}plans/1/start/")
    assert again.status_code == 200
    assert "It cannot be started now." in words(again.content)
    assert AuditEntry.objects.filter(action="start chat import").count() == 1


def test_a_form_of_before_the_start_changes_nothing_after_it(bob: Client, ready: ChatPlan) -> None:
    bob.post(f"{CHAT}plans/1/start/")
    answer = choose(bob, "deselect", "board", reason="Too late")
    assert "has begun" in words(answer.content)
    assert ChatRoom.objects.get(room_id="board").state == "Waiting"


# --- privacy and walls --------------------------------------------------------------------------------


def test_r129_no_page_shows_the_text_of_a_message_whoever_looks(
    alice: Client, bob: Client, vera: Client, ready: ChatPlan
) -> None:
    bob.post(f"{CHAT}plans/1/start/")
    worked(ready)
    room = pks("helpdesk")[0]
    below = ("", "rooms/", "findings/", f"rooms/{room}/", "people/", "gate/", "steps/", "report/", "report/html/")
    for client in (alice, bob, vera):
        for each in (*below, "report/csv/", "report/json/", "rooms/?format=csv", "findings/?format=json"):
            answer = client.get(f"{CHAT}plans/1/{each}")
            assert answer.status_code == 200, each
            assert MARK not in answer.getvalue().decode(), each
        assert MARK not in client.get(CHAT).content.decode()


def test_a_viewer_changes_nothing(vera: Client, ready: ChatPlan) -> None:
    for each in (
        "start/",
        "pause/",
        "resume/",
        "retry/",
        "verify/",
        "again/",
        "retention/",
        "rooms/choose/",
    ):
        assert vera.post(f"{CHAT}plans/1/{each}").status_code == 403, each
    assert vera.post(f"{CHAT}targets/", {"kind": "archive", "name": "x"}).status_code == 403
    told = vera.get(f"{CHAT}plans/1/").content.decode()
    assert 'id="start"' not in told


def test_retention_is_accepted_by_an_admin_alone(alice: Client, bob: Client, ready: ChatPlan) -> None:
    assert bob.post(f"{CHAT}plans/1/retention/", {"reason": "x"}).status_code == 403
    answer = alice.post(f"{CHAT}plans/1/retention/", {"reason": "Policy of 2026"})
    assert answer.status_code == 200
    assert "There is nothing to accept" in words(answer.content)


def test_plans_of_another_tenant_are_not_there(cast: None, ready: ChatPlan) -> None:
    charlie = sign_in("charlie")
    for place in ("/fabrikam/chat/", CHAT):
        for each in ("plans/1/", "plans/1/rooms/", f"plans/1/rooms/{pks('board')[0]}/", "plans/1/report/html/"):
            assert charlie.get(f"{place}{each}").status_code == 404
    assert charlie.get(f"/fabrikam/chat/targets/{ready.target_id}/").status_code == 404


def test_the_names_of_rooms_are_shown_as_text(alice: Client, archive: ChatArchive, target: ChatTarget) -> None:
    a_room(a_plan(archive, target), "<script>alert(1)</script>")
    for each in ("plans/1/rooms/", f"plans/1/rooms/{ChatRoom.objects.get().pk}/"):
        assert "<script>alert(1)" not in alice.get(f"{CHAT}{each}").content.decode()
