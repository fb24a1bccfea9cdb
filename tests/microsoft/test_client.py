"""What MMS asks of Microsoft Graph, and what it makes of each answer, also of such as no good server gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from migrations_app.failures import Failure
from migrations_app.microsoft import sign_in
from migrations_app.microsoft.client import Graph, Refusal, Unsettled, segment
from tests.microsoft.conftest import CLIENT, DIRECTORY, LIMITS, SECRET, Microsoft, refused, told
from tests.support.scripted_server import Asked, Told, scripted

EVENTS = "/users/anna@contoso.com/events"


def failure_of(microsoft: Microsoft, work: Callable[[Graph], object]) -> Failure:
    with pytest.raises(Failure) as raised, microsoft.client() as graph:
        work(graph)
    assert SECRET not in raised.value.detail
    assert "token-" not in raised.value.detail
    return raised.value


def events(graph: Graph) -> object:
    return graph.get(EVENTS)


def test_one_sign_in_serves_all_requests_of_a_process(microsoft: Microsoft) -> None:
    microsoft.graph = lambda _: told({"value": [{"id": "1"}]})
    for _ in range(2):
        with microsoft.client() as graph:
            assert graph.get(EVENTS, {"$top": "50"}, ['outlook.body-content-type="html"']).body["value"] == [
                {"id": "1"}
            ]

    (form,) = microsoft.signed_in
    assert (form["client_id"], form["client_secret"]) == (CLIENT, SECRET)
    assert form["scope"] == "https://graph.microsoft.com/.default"
    asked = microsoft.asked[0]
    assert asked.path == f"/v1.0{EVENTS}?$top=50"
    assert asked.headers["prefer"] == 'IdType="ImmutableId", outlook.body-content-type="html"'
    assert asked.headers["authorization"] == "Bearer token-1"


def test_a_token_is_renewed_before_its_end_and_once_after_it_was_refused(microsoft: Microsoft) -> None:
    refused_tokens = {"Bearer token-1"}
    microsoft.graph = lambda asked: (
        refused(401, "InvalidAuthenticationToken") if asked.headers["authorization"] in refused_tokens else told({})
    )
    with microsoft.client() as graph:
        assert graph.patch(f"{EVENTS}/1", {"subject": "x"}, 'W/"1"').ok
        assert microsoft.tokens == 2
        refused_tokens |= {"Bearer token-2", "Bearer token-3"}
        with pytest.raises(Failure) as raised:
            graph.get(EVENTS)
    assert raised.value.code == "mailbox-sign-in-refused"
    assert microsoft.tokens == 3

    sign_in._tokens.clear()
    microsoft.token = lambda _: told({"access_token": "short", "expires_in": 200, "token_type": "Bearer"})
    microsoft.graph = lambda _: told({})
    microsoft.signed_in.clear()
    for _ in range(2):
        with microsoft.client() as graph:
            graph.get(EVENTS)
    assert len(microsoft.signed_in) == 2


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (90002, "directory-unknown"),
        (900023, "directory-unknown"),
        (700016, "application-unknown"),
        (7000215, "secret-refused"),
        (7000222, "secret-expired"),
        (700027, "certificate-refused"),
        (65001, "application-without-consent"),
        (53003, "mailbox-sign-in-refused"),
        (9999999, "mailbox-sign-in-refused"),
    ],
)
def test_what_the_sign_in_refuses_is_said_with_its_number(microsoft: Microsoft, number: int, code: str) -> None:
    body = {
        "error": "invalid_client",
        "error_description": f"AADSTS{number}: told with {SECRET}\r\nTrace ID: 1",
        "error_codes": [number],
    }
    microsoft.token = lambda _: told(body, 401)
    failure = failure_of(microsoft, events)
    assert failure.code == code
    assert f"AADSTS{number}" in failure.detail

    microsoft.token, microsoft.discovery = None, told(body, 400)
    assert failure_of(microsoft, events).code == code
    assert microsoft.asked == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Told(200, b"<html>"), "mailbox-answer"),
        (Told(200, b"[" * 100_000), "mailbox-answer"),
        (told({"access_token": "a\nb"}), "mailbox-sign-in-refused"),
        (told({}), "mailbox-sign-in-refused"),
        (told({}, 302, Location="https://evil.example.org/"), "mailbox-sign-in-refused"),
        (told({}, 503, Retry_After="120"), "mailbox-unavailable"),
        (Told(hangs_up=True), "mailbox-unavailable"),
        (Told(200, b"x" * 300_000), "mailbox-answer"),
        (told([]), "mailbox-answer"),
        (told({"access_token": "a", "expires_in": 3599, "id_token": "x"}), "mailbox-answer"),
        (Told(200, b'{"access_token": "a", "expires_in": 1e999}'), "mailbox-answer"),
    ],
)
def test_a_sign_in_that_gives_no_token_is_a_failure(microsoft: Microsoft, answer: Told, code: str) -> None:
    microsoft.token = lambda _: answer
    failure = failure_of(microsoft, events)
    assert failure.code == code
    if answer.status == 503:
        assert failure.retry_after == timedelta(minutes=2)


def test_a_secret_goes_to_no_other_server_than_the_sign_in(microsoft: Microsoft) -> None:
    with scripted(lambda _: told({"access_token": "stolen"})) as elsewhere:
        for other in (elsewhere.address, f"https://localhost:{elsewhere.port}/", "https://login.example.org/"):
            at = f"{other}{DIRECTORY}/oauth2/v2.0"
            microsoft.discovery = told({"token_endpoint": f"{at}/token", "authorization_endpoint": f"{at}/a"})
            assert failure_of(microsoft, events).code == "mailbox-answer"
    assert elsewhere.asked == []


@pytest.mark.parametrize(
    ("answer", "code", "is_of_one", "wait"),
    [
        (refused(429, "TooManyRequests", Retry_After="37"), "mailbox-throttled", True, 37),
        (refused(503, "ServiceUnavailable", Retry_After="60"), "mailbox-unavailable", False, 60),
        (refused(504), "mailbox-unavailable", True, None),
        (refused(403, "ErrorAccessDenied", "Access to OData is disabled."), "mailbox-outside-policy", True, None),
        (refused(403, "ErrorAccessDenied", "Access is denied."), "mailbox-forbidden", True, None),
        (refused(403, "Authorization_RequestDenied"), "application-without-consent", True, None),
        (refused(404, "ErrorInvalidUser"), "mailbox-not-found", True, None),
        (refused(404, "MailboxNotEnabledForRESTAPI"), "mailbox-not-found", True, None),
        (refused(400, "ErrorInvalidUrlQueryFilter", "no\x1b[31m such\r\nfilter"), "mailbox-answer", True, None),
        (told({}, 302, Location="https://evil.example.org/"), "mailbox-answer", True, None),
        (Told(200, b"<html>"), "mailbox-answer", True, None),
        (Told(200, b"[1]"), "mailbox-answer", True, None),
        (Told(200, b'"' + b"x" * 300_000 + b'"'), "mailbox-answer", True, None),
        (Told(200, b"{", length=50), "mailbox-unavailable", False, None),
    ],
)
def test_what_graph_refuses_has_a_code(
    microsoft: Microsoft, answer: Told, code: str, is_of_one: bool, wait: int | None
) -> None:
    microsoft.graph = lambda _: answer
    failure = failure_of(microsoft, events)
    assert (failure.code, failure.is_of_one_mailbox) == (code, is_of_one)
    assert failure.retry_after == (timedelta(seconds=wait) if wait else None)
    assert failure.detail.isprintable()


@pytest.mark.parametrize(("status", "code"), [(404, "ErrorItemNotFound"), (409, "x"), (412, "ErrorIrresolvable")])
def test_a_refusal_that_answers_the_question_is_an_answer(microsoft: Microsoft, status: int, code: str) -> None:
    microsoft.graph = lambda _: refused(status, code)
    with microsoft.client() as graph:
        answer = graph.patch(f"{EVENTS}/{segment('AAk/x+=')}", {"subject": "Prüfung \ud83d"}, 'W/"abc"')
    assert (answer.status, answer.error, answer.ok) == (status, code, False)
    (asked,) = microsoft.asked
    assert asked.path.endswith("/AAk%2Fx%2B=")
    assert asked.headers["if-match"] == 'W/"abc"'
    assert json.loads(asked.body) == {"subject": "Prüfung \ud83d"}


@pytest.mark.parametrize(
    "answer",
    [
        Told(hangs_up=True),
        Told(resets=True),
        Told(200, b"{", length=50),
        Told(200, b"<html>"),
        Told(200, b'"' + b"x" * 300_000 + b'"'),
        refused(500),
        refused(503),
        refused(504, Retry_After="10"),
    ],
)
def test_a_write_whose_answer_is_lost_is_unsettled_and_not_repeated(microsoft: Microsoft, answer: Told) -> None:
    for method in ("PATCH", "POST"):
        microsoft.graph = lambda asked, cut=method: answer if asked.method == cut else told({})
        microsoft.asked.clear()
        with microsoft.client() as graph:
            graph.get(EVENTS)  # so that the connection is one that was kept open
            with pytest.raises(Unsettled):
                graph.patch(EVENTS, {}) if method == "PATCH" else graph.post(EVENTS, {}, language="de-DE")
        assert [asked.method for asked in microsoft.asked] == ["GET", method]


def test_a_read_that_is_lost_on_a_kept_connection_is_repeated(microsoft: Microsoft) -> None:
    lost = iter([told({}), Told(hangs_up=True), told({"id": "1"})])
    microsoft.graph = lambda _: next(lost)
    with microsoft.client() as graph:
        graph.get(EVENTS)
        assert graph.get(EVENTS).body == {"id": "1"}


def test_a_list_is_read_page_by_page_from_the_same_server_only(microsoft: Microsoft) -> None:
    def paged(asked: Asked) -> Told:
        if "$skip=1" in asked.path:
            return told({"value": [{"id": "2"}]})
        return told({"value": [{"id": "1"}], "@odata.nextLink": f"{microsoft.server.address}v1.0{EVENTS}?$skip=1"})

    microsoft.graph = paged
    with microsoft.client() as graph:
        assert list(graph.pages(EVENTS, {"$top": "1"})) == [[{"id": "1"}], [{"id": "2"}]]
    assert all(asked.headers["prefer"] == 'IdType="ImmutableId"' for asked in microsoft.asked)


def test_a_list_that_leads_elsewhere_or_nowhere_is_a_failure(microsoft: Microsoft) -> None:
    with scripted(lambda _: told({"value": []})) as elsewhere:
        at = microsoft.server.address
        for body in (
            {"value": [], "@odata.nextLink": elsewhere.address},
            {"value": [], "@odata.nextLink": f"https://localhost:{microsoft.server.port}/"},
            {"value": [], "@odata.nextLink": f"{at}v1.0{EVENTS}"},
            {"value": [], "@odata.nextLink": 7},
            {"value": "none"},
            {"value": [1]},
            {},
        ):
            microsoft.graph = lambda _, body=body: told(body)
            assert failure_of(microsoft, lambda graph: list(graph.pages(EVENTS))).code == "mailbox-answer"
    assert elsewhere.asked == []
    microsoft.graph = lambda _: refused(404, "ErrorItemNotFound")
    assert failure_of(microsoft, lambda graph: list(graph.pages(EVENTS))).code == "mailbox-not-found"


def batched(asked: Asked) -> list[dict[str, Any]]:
    assert asked.path == "/v1.0/$batch"
    requests: list[dict[str, Any]] = json.loads(asked.body)["requests"]
    return requests


def responses(*answers: tuple[str, int, object, Mapping[str, str]]) -> Told:
    said = [{"id": id_, "status": status, "body": body, "headers": headers} for id_, status, body, headers in answers]
    return told({"responses": said})


def test_a_batch_answers_in_order_and_asks_again_what_was_put_off(microsoft: Microsoft) -> None:
    rounds = 0

    def graph_of(asked: Asked) -> Told:
        nonlocal rounds
        rounds += 1
        requests = batched(asked)
        assert all(request["headers"]["Prefer"] == 'IdType="ImmutableId"' for request in requests)
        if rounds == 1:
            busy = {"error": {"code": "ApplicationThrottled"}}
            return responses(("2", 429, busy, {"Retry-After": "3"}), ("1", 404, {}, {}), ("0", 200, {"id": "a"}, {}))
        assert [request["url"] for request in requests] == [f"{EVENTS}/c"]
        return responses(("2", 200, {"id": "c"}, {}))

    microsoft.graph = graph_of
    with microsoft.client() as graph:
        answers = graph.batch([f"{EVENTS}/{name}" for name in "abc"])
    assert [(answer.status, answer.body.get("id")) for answer in answers] == [(200, "a"), (404, None), (200, "c")]
    assert microsoft.waited == [3.0]


def test_a_batch_is_not_waited_for_for_ever(microsoft: Microsoft) -> None:
    microsoft.graph = lambda asked: responses(("0", 429, {}, {"Retry-After": "20"}))
    failure = failure_of(microsoft, lambda graph: graph.batch([EVENTS]))
    assert (failure.code, failure.retry_after) == ("mailbox-throttled", timedelta(seconds=20))
    assert microsoft.waited == [20.0]


def test_a_batch_that_is_put_off_again_and_again_without_a_time_ends(microsoft: Microsoft) -> None:
    microsoft.graph = lambda _: told({"responses": [{"id": "0", "status": 429, "headers": {"Retry-After": "0"}}]})
    assert failure_of(microsoft, lambda graph: graph.batch(["/x"])).code == "mailbox-throttled"
    assert len(microsoft.waited) == 30


@pytest.mark.parametrize(
    "answers",
    [
        [{"id": "0", "status": 200}, {"id": "0", "status": 404}],
        [{"id": "0", "status": 200}, {"id": "0", "status": 200}],
        [{"id": "0", "status": float("inf")}],
        [{"id": float("inf"), "status": 200}],
        [{"id": "1", "status": 200}],
        [None],
    ],
)
def test_a_batch_whose_answers_do_not_fit_its_questions_is_no_answer(microsoft: Microsoft, answers: Any) -> None:
    microsoft.graph = lambda _: told({"responses": answers})
    assert failure_of(microsoft, lambda graph: graph.batch(["/x"])).code == "mailbox-answer"


def test_a_time_to_wait_that_nobody_can_reckon_is_none(microsoft: Microsoft) -> None:
    microsoft.graph = lambda _: refused(429, Retry_After="Mon, 01 Jan 2036 00:00:00 +99999999999999")
    failure = failure_of(microsoft, events)
    assert (failure.code, failure.retry_after) == ("mailbox-throttled", None)


@pytest.mark.parametrize("discovery", [told([]), told({}, 302), told({"token_endpoint": 7}), told(None)])
def test_what_is_said_of_the_sign_in_in_another_shape_is_a_failure(microsoft: Microsoft, discovery: Told) -> None:
    microsoft.discovery = discovery
    assert failure_of(microsoft, events).code == "mailbox-answer"


def test_a_token_is_in_no_log_whatever_it_came_in(microsoft: Microsoft, caplog: pytest.LogCaptureFixture) -> None:
    microsoft.token = lambda _: Told(200, b'{"access_token": "token-of-contoso", "expires_in": 3599')
    caplog.set_level("DEBUG", logger="")
    assert failure_of(microsoft, events).code == "mailbox-answer"
    assert "token-of-contoso" not in caplog.text
    assert SECRET not in caplog.text


def test_a_token_is_used_no_longer_than_a_day(microsoft: Microsoft) -> None:
    microsoft.token = lambda _: Told(200, b'{"access_token": "long", "expires_in": ' + b"9" * 400 + b"}")
    with microsoft.client() as graph:
        assert graph.get(EVENTS).ok


def test_a_batch_holds_no_more_than_graph_takes(microsoft: Microsoft) -> None:
    with microsoft.client() as graph, pytest.raises(ValueError, match="at most 20"):
        graph.batch([EVENTS] * 21)


def test_graph_is_spoken_to_without_tls_only_where_the_operator_allows_it(microsoft: Microsoft) -> None:
    with pytest.raises(Failure) as raised, Graph(microsoft.application, LIMITS) as graph:
        graph.get(EVENTS)
    assert raised.value.code == "mailbox-address"
    assert microsoft.signed_in == []


def test_what_is_known_of_a_refusal_is_told_to_whoever_knows_better(microsoft: Microsoft) -> None:
    microsoft.graph = lambda _: refused(403, "Forbidden", "No application access policy found for this app")
    failure = failure_of(microsoft, lambda graph: graph.post("/users/1/onlineMeetings/createOrGet", {}))
    assert isinstance(failure, Refusal)
    assert (failure.answer.status, failure.answer.message[:9]) == (403, "No applic")
