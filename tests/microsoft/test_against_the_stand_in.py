"""The client against a server that enforces what Microsoft documents, so that none of it rests on our own reading."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migrations_app.failures import Failure
from migrations_app.microsoft import sign_in
from migrations_app.microsoft.client import Graph
from migrations_app.microsoft.clouds import CLOUDS
from migrations_app.microsoft.sign_in import Application
from tests.support.graph_stand_in import GraphStandIn, graph_stand_in

ANNA, BRUNO = "anna.rossi@contoso.com", "bruno.costa@contoso.com"


@pytest.fixture(scope="module")
def running() -> Iterator[GraphStandIn]:
    with graph_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def entra(running: GraphStandIn) -> Iterator[GraphStandIn]:
    sign_in._tokens.clear()
    running.reset()
    running.add_mailbox(ANNA)
    running.add_mailbox(BRUNO)
    yield running
    sign_in._tokens.clear()


def application(entra: GraphStandIn, **other: str) -> Application:
    cloud = CLOUDS["global"].reached_at(entra.authority, entra.graph)
    return replace(Application(cloud, entra.directory_id, entra.client_id, entra.secret), **other)


def client(of: Application, waited: list[float] | None = None) -> Graph:
    return Graph(of, allowed_hosts=["127.0.0.1"], wait=(waited if waited is not None else []).append)


def calendars(graph: Graph, upn: str = ANNA) -> list[str]:
    return [str(each["name"]) for page in graph.pages(f"/users/{upn}/calendars") for each in page]


def test_it_signs_in_by_secret_and_by_certificate(entra: GraphStandIn) -> None:
    for credential in (entra.secret, entra.add_certificate()):
        with client(application(entra, credential=credential)) as graph:
            assert calendars(graph) == ["Calendar"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"directory_id": "00000000-0000-4000-8000-00000000ffff"}, "directory-unknown"),
        ({"client_id": "00000000-0000-4000-8000-00000000ffff"}, "application-unknown"),
        ({"credential": "not the secret"}, "secret-refused"),
    ],
)
def test_a_wrong_application_is_told_apart(entra: GraphStandIn, wrong: dict[str, str], code: str) -> None:
    with pytest.raises(Failure) as refused, client(application(entra, **wrong)) as graph:
        calendars(graph)
    assert refused.value.code == code
    if "credential" not in wrong:
        assert all(each in refused.value.detail for each in wrong.values()), "what has to be corrected is named"


def test_what_has_ended_or_is_not_registered_is_told_apart(entra: GraphStandIn) -> None:
    entra.add_application("over", "old", datetime.now(UTC) - timedelta(days=1))
    ended = entra.add_certificate(days=10, begins=datetime.now(UTC) - timedelta(days=20))
    unknown = entra.add_certificate()
    entra.application.certificates.pop()
    for wrong, code in (
        ({"client_id": "over", "credential": "old"}, "secret-expired"),
        ({"credential": ended}, "certificate-refused"),
        ({"credential": unknown}, "certificate-refused"),
    ):
        with pytest.raises(Failure) as refused, client(application(entra, **wrong)) as graph:
            calendars(graph)
        assert refused.value.code == code


def test_a_token_that_was_withdrawn_is_renewed_once(entra: GraphStandIn) -> None:
    with client(application(entra)) as graph:
        calendars(graph)
        entra.tokens.revoke()
        entra.clock.advance(1)
        assert calendars(graph) == ["Calendar"]
    assert entra.tokens.issued == 2


def test_a_mailbox_outside_the_scope_is_told_and_others_go_on(entra: GraphStandIn) -> None:
    entra.restrict(ANNA)
    with client(application(entra)) as graph:
        assert calendars(graph) == ["Calendar"]
        with pytest.raises(Failure) as refused:
            calendars(graph, BRUNO)
        assert refused.value.code in {"mailbox-outside-policy", "mailbox-forbidden"}
        assert refused.value.is_of_one_mailbox
        with pytest.raises(Failure) as missing:
            calendars(graph, "nobody@contoso.com")
        assert missing.value.code == "mailbox-not-found"
        assert calendars(graph) == ["Calendar"]


def test_a_batch_to_two_mailboxes_is_answered_in_order(entra: GraphStandIn) -> None:
    paths = [f"/users/{upn}/calendars" for upn in [ANNA, BRUNO] * 10]
    waited: list[float] = []
    with client(application(entra), waited) as graph:
        answers = graph.batch(paths)
    assert [answer.status for answer in answers] == [200] * 20
    assert waited == []
