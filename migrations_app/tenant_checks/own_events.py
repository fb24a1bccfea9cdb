"""Events that a check makes in a mailbox of Exchange Online that was named for it, and takes away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from migrations_app.failures import Failure
from migrations_app.microsoft.client import JSON, Answer, Graph, Unsettled, segment
from migrations_app.tenant_checks import tidying
from migrations_app.tenant_checks.findings import Finding
from tenants_app.sentences import sentence

HTML = ('outlook.body-content-type="html"',)
_SHOWN = "id,iCalUId,subject,body,changeKey,isOnlineMeeting,onlineMeeting,onlineMeetingProvider,attendees"
_TRIES = 3
"""How often something is written whose answer is lost."""


def listed(answer: Answer) -> Sequence[JSON]:
    """What an answer lists. Raises ``Failure`` where it is no list of objects: then nobody knows what there is."""
    values = answer.body.get("value")
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise Failure("mailbox-answer", sentence("Graph listed something that is no event"))
    return values


@dataclass(frozen=True, slots=True)
class Mailbox:
    """The test mailbox, and who is invited to what is made in it."""

    graph: Graph
    user: str
    attendee: str
    now: datetime
    subjects: list[str] = field(default_factory=list)
    """Of all that may have been made."""

    @property
    def path(self) -> str:
        return f"/users/{segment(self.user)}"

    def make(self, html: str, *, is_online: bool = False) -> OwnEvent:
        """A new event in 30 days, for half an hour. Raises ``Failure``."""
        subject = tidying.SUBJECT.format(name=uuid4().hex[:8])
        begins = (self.now + timedelta(days=30)).replace(minute=0, second=0, microsecond=0)
        event: dict[str, Any] = {
            "subject": subject,
            "body": {"contentType": "html", "content": html},
            "start": {"dateTime": f"{begins:%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"},
            "end": {"dateTime": f"{begins + timedelta(minutes=30):%Y-%m-%dT%H:%M:%S}", "timeZone": "UTC"},
            "attendees": [{"emailAddress": {"address": self.attendee}, "type": "required"}],
            "transactionId": str(uuid4()),
            "showAs": "free",
        }
        if is_online:
            event |= {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}
        self.subjects.append(subject)
        try:
            answer = self.graph.post(f"{self.path}/events", event, HTML)
            body: JSON | None = answer.body if answer.ok else None
        except Unsettled:
            body = self._named(subject)
        if not body or not body.get("id"):
            raise Failure(
                "mailbox-answer", sentence("Graph has made no test event in the calendar of %(user)s", user=self.user)
            )
        return OwnEvent(self, str(body["id"]), subject, str(body.get("iCalUId", "")))

    def delete(self, subject: str, wait: Callable[[float], object]) -> Finding:
        """Delete what has this subject, and say what came of it."""

        def find() -> str:
            found = self._named(subject)
            if found is not None and not (isinstance(found.get("id"), str) and found["id"]):
                raise Failure("mailbox-answer", sentence("Graph gives “%(subject)s” no id", subject=subject))
            return str(found["id"]) if found is not None else ""

        def delete(event_id: str) -> None:
            try:
                self.graph.delete(f"{self.path}/events/{segment(event_id)}")
            except Unsettled:
                return  # what is left is found

        return tidying.deleted(subject, self.user, find, delete, wait)

    def _named(self, subject: str) -> JSON | None:
        wanted = subject.replace("'", "''")
        answer = self.graph.get(f"{self.path}/events", {"$filter": f"subject eq '{wanted}'", "$select": _SHOWN})
        if not answer.ok:
            raise Failure(
                "mailbox-answer",
                sentence(
                    "Graph answered %(status)s %(error)s about %(user)s",
                    status=answer.status,
                    error=answer.error,
                    user=self.user,
                ),
            )
        return next(iter(listed(answer)), None)


@dataclass(slots=True)
class OwnEvent:
    """An event that a check has made. ``told`` is how many of the changes may have told the attendee."""

    mailbox: Mailbox
    id: str
    subject: str
    uid: str
    told: int = 1

    @property
    def path(self) -> str:
        return f"{self.mailbox.path}/events/{segment(self.id)}"

    def read(self, expand: str = "") -> JSON:
        """What is there now. Raises ``Failure``."""
        params = {"$select": _SHOWN} | ({"$expand": expand} if expand else {})
        answer = self.mailbox.graph.get(self.path, params, HTML)
        if not answer.ok:
            raise Failure(
                "mailbox-answer", sentence("the test event “%(subject)s” is not there any more", subject=self.subject)
            )
        return answer.body

    def write(self, body: Mapping[str, Any], etag: str = "") -> Answer | None:
        """Change it; None where it was, and the answer was lost. Raises ``Failure``."""
        for _ in range(_TRIES):
            before = self.read().get("changeKey")
            answer = self.try_to_write(body, etag)
            if answer is not None or self.read().get("changeKey") != before:
                return answer
        raise Failure(
            "mailbox-answer",
            sentence("no answer comes to a change of the test event “%(subject)s”", subject=self.subject),
        )

    def try_to_write(self, body: Mapping[str, Any], etag: str) -> Answer | None:
        """The same, sent once; None where the answer was lost, and nobody knows. Raises ``Failure``."""
        try:
            answer = self.mailbox.graph.patch(self.path, body, etag, HTML)
        except Unsettled:
            self.told += 1
            return None
        self.told += answer.ok
        return answer

    def write_body(self, html: str) -> Answer | None:
        return self.write({"body": {"contentType": "html", "content": html}})
