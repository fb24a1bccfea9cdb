"""What people of the rooms say by a link, without an account: no leak for wrong links, and only a POST changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from migrations_app.chat.people import digest_of, token_of
from migrations_app.models import ChatQuestion
from migrations_app.screens.chat.answers import MISSES
from tenants_app.models import Tenant
from tests.support.chat_rows import a_plan, a_room, a_target, an_archive
from tests.support.pages import words


@pytest.fixture(autouse=True)
def no_misses_yet() -> Any:
    caches["throttle"].clear()
    yield
    caches["throttle"].clear()


@pytest.fixture
def question(tenant: Tenant) -> ChatQuestion:
    plan = a_plan(an_archive(tenant), a_target(tenant), state="Imported")
    room = a_room(plan, state="Imported")
    made = ChatQuestion(
        plan=plan,
        principal="1",
        name="Anna Rossi",
        address="anna.rossi@contoso.com",
        rooms=[room.pk],
        asked_by="bob",
    )
    made.token = digest_of(token_of(made))
    made.save()
    return made


@pytest.fixture
def place(question: ChatQuestion) -> str:
    """Where the link in the mail leads."""
    return f"/chat-answer/{token_of(question)}/"


def test_r124_a_person_says_that_everything_is_there(client: Client, question: ChatQuestion, place: str) -> None:
    told = words(client.get(place).content)
    assert "Dear Anna Rossi" in told
    assert "Helpdesk" in told
    assert client.post(place, {"answer": "complete"})["Location"] == place
    question.refresh_from_db()
    assert question.answer == "complete"
    assert "Thank you. Your answer is kept." in words(client.get(place).content)


def test_r124_who_misses_something_says_what(client: Client, question: ChatQuestion, place: str) -> None:
    answer = client.post(place, {"answer": "missing", "said": ""})
    assert answer.status_code == 200
    assert "Say what is missing" in words(answer.content)
    client.post(place, {"answer": "missing", "said": "All of March <b>2014</b>"})
    question.refresh_from_db()
    assert (question.answer, question.said) == ("missing", "All of March <b>2014</b>")


def test_a_look_changes_nothing_and_other_methods_are_refused(
    client: Client, question: ChatQuestion, place: str
) -> None:
    client.get(f"{place}?answer=complete&said=x")
    client.head(place)
    assert client.put(place).status_code == 405
    question.refresh_from_db()
    assert (question.answer, question.answered_at) == ("", None)


def test_a_wrong_link_tells_nothing_and_is_answered_alike_whatever_is_wrong(
    client: Client, question: ChatQuestion, place: str
) -> None:
    answers = [
        client.get(f"/chat-answer/{token}/")
        for token in ("wrong", question.token, token_of(question).upper(), str(question.pk))
    ]
    assert {answer.status_code for answer in answers} == {200}
    assert len({words(answer.content) for answer in answers}) == 1
    told = words(answers[0].content)
    for word in ("Anna", "Helpdesk", "Contoso", "contoso"):
        assert word not in told


def test_whoever_tries_many_links_is_answered_no_more(client: Client, question: ChatQuestion, place: str) -> None:
    for number in range(MISSES):
        assert "This link is not valid" in words(client.get(f"/chat-answer/wrong-{number}/").content)
    refused = client.get(place)
    assert refused.status_code == 429
    assert "Too many wrong links" in words(refused.content)
    assert client.post(place, {"answer": "complete"}).status_code == 429
    question.refresh_from_db()
    assert question.answer == ""
    assert client.get(place, REMOTE_ADDR="192.0.2.77").status_code == 200


def test_the_page_is_kept_nowhere_and_its_link_goes_to_no_other_site(
    client: Client, question: ChatQuestion, place: str
) -> None:
    answer = client.get(place)
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in answer["Content-Security-Policy"]


def test_a_post_from_another_site_is_refused(question: ChatQuestion, place: str) -> None:
    assert Client(enforce_csrf_checks=True).post(place, {"answer": "complete"}).status_code == 403
    question.refresh_from_db()
    assert question.answer == ""
