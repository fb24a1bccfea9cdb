"""Batches, limits and faults."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest

from tests.graph_stand_in.conftest import ANNA, EVENTS, IMMUTABLE, Asking, error, meeting


def step(number: int, path: str = EVENTS, **rest: Any) -> dict[str, Any]:
    return {"id": str(number), "method": "GET", "url": path, "headers": {"Prefer": IMMUTABLE}, **rest}


def batch(asks: Asking, steps: Sequence[Any]) -> httpx2.Response:
    return asks("POST", "/$batch", json={"requests": list(steps)})


def statuses(answer: httpx2.Response) -> dict[str, int]:
    return {each["id"]: each["status"] for each in answer.json()["responses"]}


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [step(n) for n in range(21)],
        [step(1), step(1)],
        [{"id": "1", "method": "GET"}],
        [step(1, "https://graph.microsoft.com/v1.0/users")],
        [step(1, dependsOn=["2"]), step(2)],
        [step(1), step(2), step(3, dependsOn=["1"])],
    ],
)
def test_a_batch_that_is_none(asks: Asking, steps: Sequence[Any]) -> None:
    assert error(batch(asks, steps)) == (400, "BadRequest")


def test_each_request_of_a_batch_has_its_own_status(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    write = step(3, f"{EVENTS}/{key}", method="PATCH", body={"subject": "Other"})
    with_type = {**write, "id": "4", "headers": {"Content-Type": "application/json", "Prefer": IMMUTABLE}}

    answer = batch(asks, [step(1), step(2, "/users/eve@contoso.com/events"), write, with_type])

    assert answer.status_code == 200
    assert statuses(answer) == {"1": 200, "2": 404, "3": 400, "4": 200}
    assert len(asks.stand_in.requests) == 3


def test_what_depends_on_a_failed_one_is_not_done(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    headers = {"Content-Type": "application/json", "Prefer": IMMUTABLE}
    writes = [
        step(1, f"{EVENTS}/{key}", method="PATCH", headers=headers, body={"subject": "One"}),
        step(2, f"{EVENTS}/{key}", method="PATCH", headers=headers, body={"colour": 1}, dependsOn=["1"]),
        step(3, f"{EVENTS}/{key}", method="PATCH", headers=headers, body={"subject": "Three"}, dependsOn=["2"]),
    ]

    assert statuses(batch(asks, writes)) == {"1": 200, "2": 400, "3": 424}
    assert asks.stand_in.event(ANNA, key).subject == "One"


def test_a_batch_needs_a_token(asks: Asking) -> None:
    asks.token = "none"

    assert error(batch(asks, [step(1)])) == (401, "InvalidAuthenticationToken")


def test_a_batch_takes_the_four_places_of_a_mailbox(asks: Asking) -> None:
    asks.stand_in.add_mailbox("ben@contoso.com")
    limits = asks.stand_in.routes.limits
    theirs = [step(n, "/users/ben@contoso.com/events") for n in (5, 6)]
    with limits.place(asks.stand_in.client_id, ANNA, 2):
        answer = batch(asks, [*(step(n) for n in range(1, 5)), *theirs])

    assert statuses(answer) == {"1": 200, "2": 200, "3": 429, "4": 429, "5": 200, "6": 200}
    late = next(each for each in answer.json()["responses"] if each["id"] == "3")
    assert late["headers"]["Retry-After"] == "10"
    assert set(statuses(batch(asks, [step(n) for n in range(20)])).values()) == {200}


def test_four_at_once_for_an_application_and_a_mailbox(asks: Asking) -> None:
    asks.stand_in.add_mailbox("ben@contoso.com")
    other = asks.stand_in.add_application("7d1f3c52-0000-4000-8000-000000000002")
    limits = asks.stand_in.routes.limits
    with limits.place(asks.stand_in.client_id, ANNA, 4):
        answer = asks.get(EVENTS)
        assert error(answer) == (429, "ApplicationThrottled")
        assert answer.headers["Retry-After"] == "10"
        assert asks.get("/users/ben@contoso.com/events").status_code == 200
        asks.token = asks.stand_in.tokens.issue(other, asks.stand_in.graph)
        assert asks.get(EVENTS).status_code == 200
    assert limits.most_at_once == 4


def test_requests_that_overlap_are_counted(asks: Asking) -> None:
    asks.stand_in.put("routes.latency", 0.2)
    seen: list[int] = []

    def ask() -> None:
        with httpx2.Client(base_url=asks.stand_in.graph) as http:
            seen.append(Asking(asks.stand_in, http, asks.token).get(EVENTS).status_code)

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(seen) == 12
    assert set(seen) <= {200, 429}
    assert 1 <= asks.stand_in.routes.limits.most_at_once <= 4


def test_ten_thousand_in_ten_minutes(asks: Asking) -> None:
    clock, limits = asks.stand_in.clock, asks.stand_in.routes.limits
    clock.stop()
    for _ in range(9_999):
        limits.count(asks.stand_in.client_id, ANNA)

    assert asks.get(EVENTS).status_code == 200
    clock.advance(540)
    answer = asks.get(EVENTS)
    assert error(answer) == (429, "ApplicationThrottled")
    assert int(answer.headers["Retry-After"]) in (60, 61)
    clock.advance(60)
    assert asks.get(EVENTS).status_code == 200


def test_what_is_sent_in_five_minutes_has_an_end(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    asks.stand_in.clock.stop()
    asks.stand_in.routes.limits.count(asks.stand_in.client_id, ANNA, 149_999_000)
    write = {"body": {"contentType": "html", "content": "x" * 2_000}}

    answer = asks.patch(key, write)

    assert error(answer) == (429, "ApplicationThrottled")
    assert asks.get(EVENTS).status_code == 200
    asks.stand_in.clock.advance(int(answer.headers["Retry-After"]))
    assert asks.patch(key, write).status_code == 200


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_errors_that_are_ordered(asks: Asking, status: int) -> None:
    asks.stand_in.fail_next(status=status, retry_after=7, path="/events")

    answer = asks.get(EVENTS)

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert asks.get(EVENTS).status_code == 200


@pytest.mark.parametrize(("kind", "done"), [("cut-before", False), ("cut-after", True), ("504-after", True)])
def test_a_write_whose_answer_is_lost(asks: Asking, kind: str, done: bool) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    asks.stand_in.fail_next(kind, method="PATCH")

    if kind == "504-after":
        assert asks.patch(key, {"subject": "Other"}).status_code == 504
    else:
        with pytest.raises(httpx2.RemoteProtocolError):
            asks.patch(key, {"subject": "Other"})

    assert asks.stand_in.event(ANNA, key).subject == ("Other" if done else "Weekly")
    assert len(asks.stand_in.mails) == int(done)


@pytest.mark.parametrize("kind", ["garbage", "truncated"])
def test_answers_that_are_no_json(asks: Asking, kind: str) -> None:
    asks.stand_in.fail_next(kind)

    with pytest.raises(ValueError):  # noqa: PT011 - whichever the decoder names
        asks.get(EVENTS).json()


def test_faults_at_random_can_be_repeated(asks: Asking) -> None:
    def seen() -> list[int]:
        asks.stand_in.faults_at_random(0.5, ("429", "503"), seed=3)
        return [asks.get(EVENTS).status_code for _ in range(20)]

    first = seen()
    assert set(first) == {200, 429, 503}
    assert seen() == first
    asks.stand_in.no_faults()
    assert asks.get(EVENTS).status_code == 200
