"""R124: people of the rooms are asked once whether anything is missing, in their language, and answers are kept."""

from __future__ import annotations

import re
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.alerts import by_mail
from migrations_app.chat import asking, people
from migrations_app.chat.archive.records import Principal
from migrations_app.failures import Failure
from migrations_app.models import ChatPlan, ChatQuestion
from migrations_app.monitoring import clock
from tenants_app.models import AuditEntry, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_fake_target import FakeServer
from tests.support.chat_plans import a_plan, imported
from tests.support.meetings import messages_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def plan(tenant: Tenant, server: FakeServer, outbox: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> ChatPlan:
    """Two rooms, Alpha and Beta, of Ann, Bob and Cyd, imported."""
    settings.MMS_BASE_URL = "https://mms.contoso.com"
    return imported(a_plan(tenant))


def hand_over() -> None:
    asking.advance(timezone.now() + timedelta(minutes=1))


def to(outbox: Path, name: str) -> list[EmailMessage]:
    return [each for each in messages_in(outbox) if each["To"].addresses[0].addr_spec == f"{name}@contoso.com"]


def token_in(message: EmailMessage) -> str:
    found = re.search(r"https://mms\.contoso\.com\S*/chat-answer/([0-9a-f]{64})/", message.get_content())
    assert found is not None
    return found[1]


def test_r124_everybody_gets_one_mail_with_their_rooms(plan: ChatPlan, outbox: Path) -> None:
    assert people.ask_people(plan, ACTOR) == 3
    assert messages_in(outbox) == []
    hand_over()
    assert len(messages_in(outbox)) == 3
    (message,) = to(outbox, "ann")
    text = message.get_content().replace("\r\n", "\n")
    assert "Hello Ann," in text
    assert "- Alpha\n- Beta" in text
    question = ChatQuestion.objects.get(principal="ann")
    assert people.question_of(token_in(message)) == question
    assert people.rooms_of(question) == ["Alpha", "Beta"]
    assert (question.mails, question.due_at) == (1, None)
    assert question.asked_at is not None
    assert AuditEntry.objects.filter(action="ask chat people").count() == 1


def test_r124_asking_twice_sends_nothing_twice(plan: ChatPlan, outbox: Path) -> None:
    people.ask_people(plan, ACTOR)
    assert people.ask_people(plan, ACTOR) == 0
    hand_over()
    assert people.ask_people(plan, ACTOR) == 0
    hand_over()
    assert len(messages_in(outbox)) == 3
    assert AuditEntry.objects.filter(action="ask chat people").count() == 1


def test_r124_what_stands_in_the_link_is_not_kept(plan: ChatPlan, outbox: Path) -> None:
    people.ask_people(plan, ACTOR)
    hand_over()
    token = token_in(to(outbox, "bob")[0])
    question = ChatQuestion.objects.get(principal="bob")
    assert token not in {question.token, question.address, question.said}
    assert question.token == people.digest_of(token)
    assert people.question_of(question.token) is None
    assert people.question_of(token.replace(token[0], "0" if token[0] != "0" else "1", 1)) is None
    assert people.question_of("../../etc") is None


def test_r124_each_is_asked_in_a_language_of_their_own(plan: ChatPlan, outbox: Path) -> None:
    people.ask_people(plan, ACTOR)
    ChatQuestion.objects.filter(principal="ann").update(language="it")
    hand_over()
    assert to(outbox, "ann")[0]["Content-Language"] == "it"
    assert to(outbox, "bob")[0]["Content-Language"] == "en"


def test_r124_answers_are_kept_and_may_be_corrected(plan: ChatPlan, outbox: Path) -> None:
    people.ask_people(plan, ACTOR)
    hand_over()
    token = token_in(to(outbox, "ann")[0])
    with pytest.raises(ValidationError, match="what is missing"):
        people.answer(token, "missing", "  ")
    with pytest.raises(ValidationError, match="Say whether"):
        people.answer(token, "perhaps")
    with pytest.raises(ValidationError, match="at most"):
        people.answer(token, "missing", "x" * 2_001)
    with pytest.raises(ValidationError, match="leads to no question"):
        people.answer("0" * 64, "complete")
    people.answer(token, "missing", "The plan of March,\r\nin Alpha.")
    question = ChatQuestion.objects.get(principal="ann")
    assert (question.answer, question.said) == ("missing", "The plan of March,\nin Alpha.")
    people.answer(token, "complete")
    question.refresh_from_db()
    assert (question.answer, question.said) == ("complete", "")
    entries = AuditEntry.objects.filter(action="answer chat question").order_by("pk")
    assert [each.after["answer"] for each in entries] == ["missing", "complete"]
    assert not any("March" in str(each.after) for each in entries)


def test_r124_reminders_go_by_hand_to_those_who_are_silent(plan: ChatPlan, outbox: Path) -> None:
    people.ask_people(plan, ACTOR)
    with pytest.raises(ValidationError, match="nobody to remind"):
        people.remind(plan, ACTOR)
    hand_over()
    people.answer(token_in(to(outbox, "ann")[0]), "complete")
    assert people.remind(plan, ACTOR) == 2
    with pytest.raises(ValidationError, match="nobody to remind"):
        people.remind(plan, ACTOR)
    hand_over()
    assert [len(to(outbox, name)) for name in ("ann", "bob", "cyd")] == [1, 2, 2]
    first, second = to(outbox, "bob")
    assert token_in(first) == token_in(second)
    assert first["Message-ID"] != second["Message-ID"]


def test_r124_who_answers_meanwhile_gets_no_reminder(plan: ChatPlan, outbox: Path) -> None:
    people.ask_people(plan, ACTOR)
    hand_over()
    people.remind(plan, ACTOR)
    people.answer(token_in(to(outbox, "ann")[0]), "complete")
    hand_over()
    assert [len(to(outbox, name)) for name in ("ann", "bob", "cyd")] == [1, 2, 2]


def test_r124_nobody_is_asked_before_rooms_were_imported(tenant: Tenant, server: FakeServer) -> None:
    with pytest.raises(ValidationError, match="No room was imported"):
        people.ask_people(a_plan(tenant), ACTOR)


@pytest.mark.parametrize(
    ("code", "waits"), [("mail-server-unreachable", True), ("mail-put-off", True), ("alert-refused", False)]
)
def test_r124_a_mail_that_is_not_taken_is_tried_again_or_given_up(
    plan: ChatPlan, monkeypatch: pytest.MonkeyPatch, code: str, waits: bool
) -> None:
    def refuse(*args: Any) -> None:
        raise Failure(code)

    monkeypatch.setattr(asking, "hand_over", refuse)
    people.ask_people(plan, ACTOR)
    hand_over()
    for question in ChatQuestion.objects.all():
        assert question.asked_at is None
        assert question.error_code == (code if waits else "chat-question-refused")
        assert (question.due_at is not None and question.due_at > clock.now()) is waits
    ChatQuestion.objects.update(queued_at=clock.now() - timedelta(days=2), due_at=clock.now())
    if waits:
        hand_over()
        assert set(ChatQuestion.objects.values_list("error_code", "due_at")) == {("chat-question-given-up", None)}
    monkeypatch.undo()


def test_r124_a_server_that_is_left_alone_counts_no_try(plan: ChatPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    until = clock.now() + timedelta(minutes=5)

    def not_now(*args: Any) -> None:
        raise by_mail.NotNow(until, Failure("mail-limit"))

    monkeypatch.setattr(asking, "hand_over", not_now)
    people.ask_people(plan, ACTOR)
    hand_over()
    assert set(ChatQuestion.objects.values_list("attempts", "due_at")) == {(0, until)}


def test_r12_a_tenant_that_is_switched_off_asks_nobody(plan: ChatPlan, tenant: Tenant, outbox: Path) -> None:
    people.ask_people(plan, ACTOR)
    Tenant.objects.filter(pk=tenant.pk).update(meeting_migration_enabled=False)
    assert not asking.is_due(clock.now())
    hand_over()
    assert messages_in(outbox) == []


@pytest.mark.parametrize(
    ("principal", "address"),
    [
        (Principal("1", email="ann@contoso.com", upn="a@contoso.com"), "ann@contoso.com"),
        (Principal("1", upn="a@contoso.com", sip="b@contoso.com"), "a@contoso.com"),
        (Principal("1", sip="b@contoso.com"), "b@contoso.com"),
        (Principal("1", email="no address", sip="b@contoso.com"), "b@contoso.com"),
        (Principal("1", email="ann@contoso.com\nBcc: x@example.org"), ""),
        (Principal("1", name="Ann"), ""),
    ],
)
def test_r124_the_address_is_the_first_that_is_one(principal: Principal, address: str) -> None:
    assert people.address_of(principal) == address
