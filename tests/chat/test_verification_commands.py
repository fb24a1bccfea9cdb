"""verify_chat, accept_chat_difference, ask_chat_people and get_chat_answer, as an administrator gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError

from migrations_app.chat import people
from migrations_app.models import ChatPlan, ChatQuestion
from tenants_app.models import AuditEntry, Tenant
from tests.chat.test_verification import damage
from tests.support.chat_fake_target import FakeServer
from tests.support.chat_plans import a_plan, imported
from tests.support.commands import Command

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(tenant: Tenant, server: FakeServer, outbox: Path) -> ChatPlan:
    return imported(a_plan(tenant))


def test_r128_verify_chat_compares_rooms(plan: ChatPlan, command: Command) -> None:
    rows = json.loads(command("verify_chat", "--format", "json"))
    assert [(row["Room"], row["Comparison"], row["Messages"], row["MessagesThere"]) for row in rows] == [
        ("Alpha", "Verified", 5, 5),
        ("Beta", "Verified", 5, 5),
    ]
    (row,) = json.loads(command("verify_chat", "--room", "beta", "--plan", str(plan.number), "--format", "json"))
    assert row["Room"] == "Beta"
    assert "Both sides are the same." in command("verify_chat", "--differences")


def test_r124_what_differs_fails_until_it_is_accepted(plan: ChatPlan, server: FakeServer, command: Command) -> None:
    damage(server)
    with pytest.raises(CommandError, match="1 room is not the same on both sides"):
        command("verify_chat", "--differences")
    with pytest.raises(CommandError, match="no such difference"):
        command("accept_chat_difference", "--room", "Alpha", "--code", "lost-message", "--reason", "Known.")
    with pytest.raises(CommandError, match="Say why"):
        command("accept_chat_difference", "--room", "Alpha", "--reason", "  ")
    assert "1 difference is accepted." in command("accept_chat_difference", "--room", "Alpha", "--reason", "Known.")
    assert "Known." in command("verify_chat", "--differences")


def test_r129_texts_are_shown_of_one_room_that_differs(plan: ChatPlan, server: FakeServer, command: Command) -> None:
    damage(server)
    with pytest.raises(CommandError):
        command("verify_chat")
    with pytest.raises(CommandError, match="Name one room"):
        command("verify_chat", "--texts")
    with pytest.raises(CommandError, match="Only of rooms with differences"):
        command("verify_chat", "--texts", "--room", "Beta")
    told = command("verify_chat", "--texts", "--room", "Alpha", "--format", "json")
    rows = {row["Number"]: row for row in json.loads(told)}
    assert (rows[2]["Text"], rows[2]["TextThere"], rows[2]["Equal"]) == ("Alpha says 2", "something else", False)
    assert AuditEntry.objects.filter(action="look at chat messages").count() == 1


def test_r123_without_rooms_there_is_nothing_to_compare(tenant: Tenant, server: FakeServer, command: Command) -> None:
    with pytest.raises(CommandError, match="no plans"):
        command("verify_chat")
    a_plan(tenant)
    with pytest.raises(CommandError, match="import rooms first"):
        command("verify_chat")


def test_r124_people_are_asked_and_listed_with_what_they_said(plan: ChatPlan, command: Command) -> None:
    assert "3 people get a mail." in command("ask_chat_people")
    with pytest.raises(CommandError, match="asked before"):
        command("ask_chat_people")
    ChatQuestion.objects.update(due_at=None)
    assert "3 people get a mail." in command("ask_chat_people", "--remind")
    people.answer(people.token_of(ChatQuestion.objects.get(principal="ann")), "missing", "March in Alpha.")
    rows = json.loads(command("get_chat_answer", "--format", "json"))
    assert [(row["Name"], row["Rooms"], row["Answer"]) for row in rows] == [
        ("Ann", "Alpha; Beta", "missing"),
        ("Bob", "Alpha; Beta", ""),
        ("Cyd", "Alpha; Beta", ""),
    ]
    (row,) = json.loads(command("get_chat_answer", "--missing", "--format", "json"))
    assert row["Said"] == "March in Alpha."
