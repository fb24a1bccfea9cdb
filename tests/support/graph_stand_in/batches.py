"""``$batch`` (json-batching, throttling-and-batching)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from tests.support.graph_stand_in.errors import Refusal, Reply, bad_request
from tests.support.graph_stand_in.limits import AT_ONCE, Fault, refusal_of
from tests.support.graph_stand_in.routes import MAILBOX, MOST_OCTETS, Cut, Routes
from tests.support.graph_stand_in.world import Application

MOST_IN_A_BATCH = 20


class Batches:
    """Answers requests that come together, by the routes of single ones."""

    def __init__(self, routes: Routes) -> None:
        self.routes = routes

    def answer(self, headers: Mapping[str, str], asked: Any) -> Reply:
        """``$batch`` (json-batching): 20 at most, ids differ, four at a time to Outlook, 424 after a failed one."""
        try:
            application = self.routes.tokens.who(headers.get("authorization", ""))
            steps = _steps(asked)
        except Refusal as refusal:
            return refusal.reply
        fault = self.routes.faults.of("POST", "/$batch") or Fault()
        if fault.cut == "before":
            raise Cut
        if fault.status and not fault.after:
            return refusal_of(fault).reply
        trip = self.routes.world.number("trip")
        ordered = any(step.get("dependsOn") for step in steps)
        answers = self._in_order(headers, steps, trip) if ordered else self._by_four(headers, steps, trip, application)
        if fault.cut == "after":
            raise Cut
        if fault.status:
            return refusal_of(fault).reply
        reply = Reply(200, {"responses": answers})
        if fault.broken:
            reply.headers["X-Stand-In"] = fault.broken
        return reply

    def _in_order(self, headers: Mapping[str, str], steps: Sequence[Mapping[str, Any]], trip: int) -> list[Any]:
        answers: dict[str, Any] = {}
        for step in steps:
            before = [answers[str(name).lower()] for name in step.get("dependsOn") or []]
            if any(answer["status"] >= 400 for answer in before):
                reply = Refusal(424, "FailedDependency", "A request that this one depends on has failed.").reply
            else:
                reply = self._step(headers, step, trip, held=False)
            answers[step["id"].lower()] = _told(step, reply)
        return list(answers.values())

    def _by_four(
        self, headers: Mapping[str, str], steps: Sequence[Mapping[str, Any]], trip: int, application: Application
    ) -> list[Any]:
        """Four go at once, so that they hold as many places of their mailboxes; what finds none is 429."""
        answers = []
        for begin in range(0, len(steps), AT_ONCE):
            four = steps[begin : begin + AT_ONCE]
            if self.routes.latency:
                time.sleep(self.routes.latency)
            for mailbox in dict.fromkeys(self._mailbox_of(step) for step in four):
                mine = [step for step in four if self._mailbox_of(step) == mailbox]
                if not mailbox:
                    answers += [_told(step, self._step(headers, step, trip, held=False)) for step in mine]
                    continue
                places = 0
                try:
                    with self.routes.limits.place(application.client_id, mailbox, len(mine)) as places:
                        answers += [_told(step, self._step(headers, step, trip, held=True)) for step in mine[:places]]
                except Refusal as refusal:
                    answers += [_told(step, refusal.reply) for step in mine]
                    continue
                over = Refusal(
                    429,
                    "ApplicationThrottled",
                    "Application is over its MailboxConcurrency limit.",
                    {"Retry-After": str(self.routes.limits.retry_after)},
                )
                answers += [_told(step, over.reply) for step in mine[places:]]
        return answers

    def _mailbox_of(self, step: Mapping[str, Any]) -> str:
        match = re.match(r"/?users/([^/?]+)/(\w+)", step["url"])
        user = self.routes.world.user(unquote(match[1])) if match and match[2] in MAILBOX else None
        return user.upn if user else ""

    def _step(self, headers: Mapping[str, str], step: Mapping[str, Any], trip: int, held: bool) -> Reply:
        own = {str(name).lower(): str(value) for name, value in (step.get("headers") or {}).items()}
        if "body" in step and "content-type" not in own:
            return bad_request("A request with a body needs a header Content-Type.", "BadRequest").reply
        if "body" in step and len(json.dumps(step["body"])) > MOST_OCTETS:
            return Refusal(413, "RequestEntityTooLarge", "The request is too large.").reply
        own["authorization"] = own.get("authorization", headers.get("authorization", ""))
        url = "/" + step["url"].lstrip("/")
        return self.routes.answer(step["method"].upper(), url, own, step.get("body"), trip, held)


def _steps(asked: Any) -> Sequence[Mapping[str, Any]]:
    """The requests of a batch. 400 for the whole where it is malformed."""
    steps = asked.get("requests") if isinstance(asked, dict) else None
    if not isinstance(steps, list) or not steps:
        raise bad_request("Invalid batch payload format.")
    if len(steps) > MOST_IN_A_BATCH:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {MOST_IN_A_BATCH}.")
    seen: list[str] = []
    for step in steps:
        if not isinstance(step, dict) or not all(
            isinstance(step.get(k), str) and step[k] for k in ("id", "method", "url")
        ):
            raise bad_request("Each request of a batch needs id, method and url.")
        if step["url"].startswith("http"):
            raise bad_request("The url of a request in a batch is relative.")
        if step["id"].lower() in seen:
            raise bad_request(f"The id '{step['id']}' is not unique.")
        for name in step.get("dependsOn") or []:
            if str(name).lower() not in seen:
                raise bad_request(f"dependsOn names '{name}', which does not stand before.")
        seen.append(step["id"].lower())
    with_dependency = sum(1 for step in steps if step.get("dependsOn"))
    if with_dependency not in (0, len(steps) - 1):
        raise bad_request("A batch is either fully sequential or fully parallel.")
    return steps


def _told(step: Mapping[str, Any], reply: Reply) -> Mapping[str, Any]:
    answer = {
        "id": step["id"],
        "status": reply.status,
        "headers": {"Content-Type": "application/json", **reply.headers},
    }
    return answer if reply.body is None else {**answer, "body": reply.body}
