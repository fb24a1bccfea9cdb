"""Rooms compared in the background, accepted by name, and looked at by whom may (R123, R124, R129)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError

from migrations_app.chat import compare_engine, names, verification
from migrations_app.chat.conversion.findings import CODES
from migrations_app.chat.targets.base import TargetProblem
from migrations_app.chat.verifying.differences import DO
from migrations_app.models import ChatPlan, ChatRoom
from migrations_app.monitoring import clock
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer
from tests.support.chat_plans import a_plan, imported

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(tenant: Tenant, server: FakeServer) -> ChatPlan:
    """Two rooms, Alpha and Beta, with five messages each, imported."""
    plan = imported(a_plan(tenant))
    assert set(plan.rooms.values_list("state", flat=True)) == {ChatRoom.State.IMPORTED}
    plan.rooms.update(compare_asked_at=None)
    return plan


def verified(plan: ChatPlan) -> dict[str, str]:
    verification.ask(plan, ACTOR)
    verification.verify_now(plan)
    return dict(plan.rooms.values_list("name", "comparison"))


def room_named(plan: ChatPlan, name: str) -> ChatRoom:
    return plan.rooms.select_related("plan__tenant").get(name=name)


def damage(server: FakeServer, n: int = 2, text: str = "something else") -> None:
    there = server.there("Alpha")
    index = next(index for index, message in enumerate(there.messages) if message.n == n)
    there.messages[index] = replace(there.messages[index], text=text)


def test_r123_what_was_imported_is_verified(plan: ChatPlan) -> None:
    assert verified(plan) == {"Alpha": "Verified", "Beta": "Verified"}
    room = room_named(plan, "Alpha")
    assert room.difference_count == 0
    assert room.compared["archive"] == room.compared["there"]
    assert room.compared["archive"]["messages"] == 5
    assert room.compared["archive"]["files"] == 1
    assert verification.is_settled(room)


def test_r123_the_background_service_compares_what_is_asked_for(plan: ChatPlan) -> None:
    assert not compare_engine.is_due(clock.now())
    alpha = room_named(plan, "Alpha")
    assert verification.ask(plan, ACTOR, [alpha]) == 1
    assert compare_engine.is_due(clock.now())
    assert compare_engine.advance(clock.now() + timedelta(minutes=1)) is False
    assert dict(plan.rooms.values_list("name", "comparison")) == {"Alpha": "Verified", "Beta": ""}
    assert not compare_engine.is_due(clock.now())
    assert AuditEntry.objects.filter(action="compare chat rooms").count() == 1


def test_r123_nothing_to_compare_before_an_import(tenant: Tenant, server: FakeServer) -> None:
    with pytest.raises(ValidationError, match="import rooms first"):
        verification.ask(a_plan(tenant), ACTOR)


def test_r124_a_difference_is_listed_and_accepted_by_name(plan: ChatPlan, server: FakeServer) -> None:
    damage(server)
    assert verified(plan) == {"Alpha": "Differs", "Beta": "Verified"}
    room = room_named(plan, "Alpha")
    difference = room.differences.get()
    assert (difference.code, difference.n) == ("altered-text", 2)
    assert difference.do
    assert "something else" not in difference.sentence
    assert not verification.is_settled(room)
    with pytest.raises(ValidationError, match="Say why"):
        verification.accept([difference], ACTOR, " ")
    assert verification.accept([difference], ACTOR, "Corrected by its author.") == 1
    assert verification.accept([difference], ACTOR, "Once more.") == 0
    difference.refresh_from_db()
    assert (difference.accepted_by, difference.reason) == (ACTOR.name, "Corrected by its author.")
    assert verification.is_settled(room)
    assert AuditEntry.objects.filter(action="accept chat differences").count() == 1


def test_r124_what_was_accepted_stays_so_and_what_is_new_does_not(plan: ChatPlan, server: FakeServer) -> None:
    damage(server)
    verified(plan)
    room = room_named(plan, "Alpha")
    verification.accept(room.differences.all(), ACTOR, "Known.")
    damage(server, n=4)
    verified(plan)
    assert [(each.n, bool(each.accepted_at)) for each in room.differences.all()] == [(2, True), (4, False)]
    assert not verification.is_settled(room_named(plan, "Alpha"))


def test_r123_a_room_that_is_gone_is_no_verified_one(plan: ChatPlan, server: FakeServer) -> None:
    plan.rooms.filter(name="Alpha").update(target_id="")
    del server.rooms[server.there("Alpha").id]
    assert verified(plan)["Alpha"] == "Differs"
    assert room_named(plan, "Alpha").differences.get().code == "no-room"
    with pytest.raises(ValidationError, match="does not have this room"):
        verification.sampled(room_named(plan, "Alpha"), ACTOR)


def test_r124_a_target_that_refuses_is_not_readable(plan: ChatPlan, server: FakeServer) -> None:
    def refuse(step: str, about: str) -> None:
        if step == "read_messages" and about == server.there("Alpha").id:
            raise TargetProblem("chat-target-refused", "The target refuses to show this room.")

    server.at = refuse
    assert verified(plan) == {"Alpha": "NotReadable", "Beta": "Verified"}
    room = room_named(plan, "Alpha")
    assert room.compare_problem == "The target refuses to show this room."
    assert not verification.is_settled(room)


def test_r124_a_target_that_is_away_is_asked_again_later(plan: ChatPlan, server: FakeServer) -> None:
    def away(step: str, about: str) -> None:
        if step == "read_room":
            raise TargetProblem("chat-target-unavailable", "It is away.", is_of_room=False, waits=True)

    server.at = away
    verification.ask(plan, ACTOR)
    verification.verify_now(plan)
    assert plan.rooms.filter(compare_asked_at__gt=clock.now()).count() == 2
    server.at = lambda step, about: None
    plan.rooms.update(compare_asked_at=clock.now())
    verification.verify_now(plan)
    assert set(plan.rooms.values_list("comparison", flat=True)) == {"Verified"}


def test_r123_two_workers_compare_a_room_once(plan: ChatPlan) -> None:
    verification.ask(plan, ACTOR)
    rooms = plan.rooms.filter(compare_asked_at__isnull=False)
    first, second = compare_engine.claim(rooms), compare_engine.claim(rooms)
    assert {first.name, second.name} == {"Alpha", "Beta"}
    assert compare_engine.claim(rooms) is None
    # Killed: once the lease is over, somebody else takes it, and the first one writes nothing any more.
    ChatRoom.objects.filter(pk=first.pk).update(lease_until=clock.now() - timedelta(hours=1))
    again = compare_engine.claim(rooms)
    assert again.pk == first.pk
    with compare_engine.Session(plan) as session:
        session.compare(first)
        assert room_named(plan, first.name).comparison == ""
        session.compare(again)
    assert room_named(plan, first.name).comparison == "Verified"


def test_r129_text_is_shown_of_rooms_with_differences_only_and_each_look_is_audited(
    plan: ChatPlan, server: FakeServer
) -> None:
    damage(server)
    verified(plan)
    with pytest.raises(ValidationError, match="Only of rooms with differences"):
        verification.sampled(room_named(plan, "Beta"), ACTOR)
    assert not AuditEntry.objects.filter(action="look at chat messages").exists()
    rows = {row.n: row for row in verification.sampled(room_named(plan, "Alpha"), ACTOR)}
    assert AuditEntry.objects.filter(action="look at chat messages").count() == 1
    assert sorted(rows) == [1, 2, 3, 4, 5]
    assert rows[2].why == "It differs"
    assert (rows[2].ours.text, rows[2].there.text) == ("Alpha says 2", "something else")
    assert not rows[2].is_equal
    assert rows[4].is_equal
    assert rows[3].ours.file_name == "plan.txt"


def test_r123_a_message_that_is_lost_has_one_side(plan: ChatPlan, server: FakeServer) -> None:
    there = server.there("Alpha")
    there.messages = [message for message in there.messages if message.n != 4]
    verified(plan)
    row = next(row for row in verification.sampled(room_named(plan, "Alpha"), ACTOR) if row.n == 4)
    assert row.there is None
    assert row.ours.text == "Alpha says 4"


def test_r129_a_large_room_is_not_read_while_somebody_waits(plan: ChatPlan, server: FakeServer) -> None:
    damage(server)
    verified(plan)
    plan.rooms.update(message_count=verification.LARGEST_ON_A_PAGE + 1)
    with pytest.raises(ValidationError, match="too large to be read at once"):
        verification.sampled(room_named(plan, "Alpha"), ACTOR)
    assert len(verification.sampled(room_named(plan, "Alpha"), ACTOR, takes_long=True)) == 5


def test_every_code_has_a_name() -> None:
    assert set(names.FINDINGS) == set(CODES)
    assert set(names.DIFFERENCES) == set(DO)
