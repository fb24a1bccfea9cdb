"""After an import, in the browser: both sides compared, a look at text, accepting, people, steps and the gate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from migrations_app.chat import importing, plans
from migrations_app.chat.archives import store_export
from migrations_app.chat.target_rows import set_target
from migrations_app.chat.verification import verify_now
from migrations_app.models import ChatDifference, ChatEvidence, ChatFinding, ChatPlan, ChatQuestion, ChatRoom, ChatStep
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_plans import worked
from tests.support.chat_rows import a_plan, a_room, a_target, an_archive
from tests.support.chat_small import MARK, MESSAGES, write_small
from tests.support.pages import words

PLAN = "/contoso/chat/plans/1/"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Any) -> Path:
    settings.MMS_DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def done(tenant: Tenant) -> ChatPlan:
    """A plan whose two good rooms are imported and verified."""
    archive = store_export(tenant, ACTOR, "Group Chat", write_small)
    target = set_target(tenant, ACTOR, "Pages to read", kind="archive")
    plan = plans.plan_now(plans.make_plan(tenant, ACTOR, archive, target))
    plans.decide(plan, ACTOR, plan.rooms.filter(room_id="long"), deselect=True, reason="Nobody uses it.")
    plan.refresh_from_db()
    plans.plan_now(plan)
    importing.start(plan, ACTOR)
    done = worked(plan)
    verify_now(done)
    return done


@pytest.fixture
def differing(done: ChatPlan) -> ChatRoom:
    """One of its rooms, as if somebody had been taken out and a message changed since."""
    room = ChatRoom.objects.get(room_id="helpdesk")
    ChatRoom.objects.filter(pk=room.pk).update(comparison="Differs", difference_count=2)
    ChatDifference.objects.create(room=room, code="missing-people", sentence="Bruno Costa is missing.")
    ChatDifference.objects.create(room=room, code="altered-text", n=3, sentence="Message 3 has another text.")
    return room


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, address
    return words(answer.content)


# --- both sides ---------------------------------------------------------------------------------------


def test_r123_a_verified_room_shows_both_sides_in_numbers(vera: Client, done: ChatPlan) -> None:
    assert "Every room is verified" in page(vera, PLAN)
    answer = vera.get(f"{PLAN}rooms/{ChatRoom.objects.get(room_id='board').pk}/")
    told = words(answer.content)
    assert "The target has what the archive has." in told
    assert re.search(rf"Messages In the archive: {MESSAGES} At the target: {MESSAGES} Yes", told)
    assert "Checksum of all messages" in told
    assert MARK not in answer.content.decode()


def test_r123_an_operator_asks_for_another_comparison_and_a_viewer_does_not(
    bob: Client, vera: Client, done: ChatPlan
) -> None:
    assert vera.post(f"{PLAN}verify/").status_code == 403
    answer = bob.post(f"{PLAN}verify/", follow=True)
    assert "The rooms are compared now." in words(answer.content)
    assert ChatRoom.objects.filter(compare_asked_at__isnull=False).count() == 2


# --- looking at text ----------------------------------------------------------------------------------


def test_r129_an_operator_looks_at_a_sample_and_the_audit_has_it_before(bob: Client, differing: ChatRoom) -> None:
    place = f"{PLAN}rooms/{differing.pk}/"
    assert MARK not in bob.get(place).content.decode()
    answer = bob.post(f"{place}sample/")
    assert answer.status_code == 200
    assert MARK in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    look = AuditEntry.objects.get(action="look at chat messages")
    assert (look.actor, look.after["room"]) == ("bob", "Helpdesk")
    assert MARK not in str((look.before, look.after, look.target))


def test_r129_who_only_views_sees_no_text_and_no_button_for_it(vera: Client, differing: ChatRoom) -> None:
    place = f"{PLAN}rooms/{differing.pk}/"
    assert 'id="sample"' not in vera.get(place).content.decode()
    answer = vera.post(f"{place}sample/")
    assert answer.status_code == 403
    assert MARK not in answer.content.decode()
    assert not AuditEntry.objects.filter(action="look at chat messages").exists()


def test_r129_an_address_alone_shows_no_text(alice: Client, differing: ChatRoom) -> None:
    answer = alice.get(f"{PLAN}rooms/{differing.pk}/sample/")
    assert answer.status_code == 405
    assert MARK not in answer.content.decode()


def test_r129_rooms_that_do_not_differ_show_no_text_to_anybody(alice: Client, differing: ChatRoom) -> None:
    board = ChatRoom.objects.get(room_id="board").pk
    answer = alice.post(f"{PLAN}rooms/{board}/sample/", follow=True)
    assert "Only of rooms with differences" in words(answer.content)
    assert MARK not in answer.content.decode()
    assert not AuditEntry.objects.filter(action="look at chat messages").exists()


# --- accepting ----------------------------------------------------------------------------------------


def test_r124_an_admin_accepts_by_name_with_a_reason(alice: Client, bob: Client, differing: ChatRoom) -> None:
    place = f"{PLAN}rooms/{differing.pk}/accept/"
    first, second = ChatDifference.objects.order_by("pk")
    assert bob.post(place, {"difference": first.pk, "reason": "x"}).status_code == 403
    without = alice.post(place, {"difference": first.pk, "reason": ""})
    assert "Nothing was saved." in words(without.content)
    nothing = alice.post(place, {"reason": "x"})
    assert "Tick at least one difference" in words(nothing.content)
    assert alice.post(place, {"difference": [first.pk], "reason": "He has left."}).status_code == 302
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.accepted_by, first.reason, second.accepted_at) == ("alice", "He has left.", None)
    assert "Accepted by alice" in page(bob, f"{PLAN}rooms/{differing.pk}/")
    stale = alice.post(place, {"difference": [first.pk], "reason": "Once more."})
    assert "Tick at least one difference that nobody has accepted yet." in words(stale.content)
    first.refresh_from_db()
    assert first.reason == "He has left."


def test_r124_differences_of_another_room_are_not_accepted_by_its_key(alice: Client, differing: ChatRoom) -> None:
    board = ChatRoom.objects.get(room_id="board").pk
    difference = ChatDifference.objects.first()
    assert difference
    answer = alice.post(f"{PLAN}rooms/{board}/accept/", {"difference": difference.pk, "reason": "x"})
    assert answer.status_code == 200
    assert not ChatDifference.objects.exclude(accepted_at=None).exists()


# --- people -------------------------------------------------------------------------------------------


def test_r124_people_are_asked_once_and_their_answers_are_shown(bob: Client, vera: Client, done: ChatPlan) -> None:
    place = f"{PLAN}people/"
    assert vera.post(place).status_code == 403
    assert "Nobody was asked yet" in page(vera, place)
    assert "2 people are asked by mail." in words(bob.post(place, follow=True).content)
    assert "0 people are asked by mail." in words(bob.post(place, follow=True).content)
    ChatQuestion.objects.filter(name="Anna Rossi").update(answer="missing", said="<i>March</i>")
    answer = vera.get(place)
    assert "Something is missing" in words(answer.content)
    assert "<i>March</i>" not in answer.content.decode()
    assert MARK not in answer.content.decode()


def test_r124_before_an_import_there_is_nobody_to_ask_and_the_page_says_why(bob: Client, tenant: Tenant) -> None:
    a_plan(an_archive(tenant), a_target(tenant))
    told = page(bob, f"{PLAN}people/")
    assert "No room was imported yet" in told
    assert "No room was imported yet" in words(bob.post(f"{PLAN}people/", follow=True).content)


# --- steps and gate -----------------------------------------------------------------------------------


@pytest.fixture
def guided(tenant: Tenant) -> ChatPlan:
    return a_plan(an_archive(tenant), a_target(tenant, "Persistent Chat", "pchat"))


def test_r127_a_step_is_ticked_with_a_file_in_its_turn_alone_and_taken_back(
    bob: Client, vera: Client, guided: ChatPlan
) -> None:
    place = f"{PLAN}steps/"
    assert vera.post(f"{place}stop-source/", {"evidence": "x"}).status_code == 403
    early = bob.post(f"{place}export/", {"evidence": "x"}, follow=True)
    assert "First comes" in words(early.content)
    seen = SimpleUploadedFile("services.txt", b"Stopped")
    assert bob.post(f"{place}stop-source/", {"evidence": "", "file": seen}).status_code == 302
    step = ChatStep.objects.get()
    assert (step.key, step.done_by, step.file and step.file.file_name) == ("stop-source", "bob", "services.txt")
    told = page(vera, place)
    assert "Done by bob" in told
    assert step.file
    assert step.file.sha256 in told
    bob.post(f"{place}stop-source/take-back/")
    step.refresh_from_db()
    assert step.taken_back_by == "bob"


def test_r127_a_step_that_is_refused_keeps_no_file(bob: Client, guided: ChatPlan) -> None:
    seen = SimpleUploadedFile("export.txt", b"Done")
    bob.post(f"{PLAN}steps/export/", {"evidence": "x", "file": seen})
    assert not ChatEvidence.objects.exists()
    nothing = bob.post(f"{PLAN}steps/stop-source/", {"evidence": ""}, follow=True)
    assert "Say how you know" in words(nothing.content)
    assert not ChatStep.objects.exists()


def test_r125_the_consent_of_the_retention_officer_takes_two_accounts(
    alice: Client, bob: Client, vera: Client, done: ChatPlan
) -> None:
    place = f"{PLAN}gate/"
    assert "The gate is closed" in page(vera, place)
    assert vera.post(f"{place}retention-officer/", {"evidence": "x"}).status_code == 403
    bob.post(f"{place}retention-officer/", {"evidence": "Mail of 3 May."})
    own = bob.post(f"{place}retention-officer/confirm/", follow=True)
    assert "a second account must confirm it" in words(own.content)
    assert 'gate/retention-officer/confirm/"' not in bob.get(place).content.decode()
    assert 'gate/retention-officer/confirm/"' in alice.get(place).content.decode()
    alice.post(f"{place}retention-officer/confirm/")
    assert ChatStep.objects.get(key="retention-officer").confirmed_by == "alice"
    assert "alice has confirmed it" in page(vera, place)


def test_r126_addresses_that_differ_by_one_character_are_refused(bob: Client, guided: ChatPlan) -> None:
    place = f"{PLAN}endpoint/"
    old, new = "sip:ocschat@contoso.com", "sip:ocschat@contoso.co"
    answer = bob.post(f"{place}compare/", {"before": old, "after": new}, follow=True)
    assert "The addresses differ at character" in words(answer.content)
    bob.post(f"{place}compare/", {"before": old, "after": old})
    assert "identical character by character" in page(bob, place)


# --- many rooms ---------------------------------------------------------------------------------------


def test_pages_of_a_plan_ask_as_much_for_30_rooms_as_for_3(alice: Client, tenant: Tenant) -> None:
    plan = a_plan(an_archive(tenant), a_target(tenant), state="Imported")
    places = ("/contoso/chat/", PLAN, *(f"{PLAN}{each}/" for each in ("rooms", "findings", "people", "gate", "report")))

    def add(count: int) -> None:
        for _ in range(count):
            room = a_room(plan, state="Imported")
            ChatFinding.objects.create(plan=plan, room=room, severity="warning", code="federated", sentence="x")

    def count() -> dict[str, int]:
        counts = {}
        for place in places:
            with CaptureQueriesContext(connection) as queries:
                assert alice.get(place).status_code == 200
            counts[place] = len(queries)
        return counts

    add(3)
    count()  # what is cached on first use is asked before the counting
    few = count()
    add(27)
    assert count() == few
