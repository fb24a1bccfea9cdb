"""``teams``: Microsoft Teams, asked through Microsoft Graph (R39 to R43)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, timedelta
from typing import TypeVar
from urllib.parse import quote

from django.utils import timezone

from migrations_app.failures import Failure
from migrations_app.graph_access import graph_for
from migrations_app.https.session import SOMEBODY_WAITS
from migrations_app.meeting_services.base import MeetingService, Request
from migrations_app.meeting_services.teams_answers import dial_in_of, is_meeting_of, meeting_of
from migrations_app.microsoft.client import Graph, Refusal, Unsettled
from migrations_app.rewriting import links
from migrations_app.rewriting.online_meeting import DialInFacts, OnlineMeeting
from migrations_app.rewriting.services import Service
from tenants_app.models import ConferencingUser
from tenants_app.sentences import sentence

Thing = TypeVar("Thing")
Found = TypeVar("Found")

_LONGEST_SUBJECT = 255
_WITHOUT_END = timedelta(days=365)
"""How long the meeting of a series without an end lasts for Teams; whenever it is held, Teams keeps it longer."""


def external_id(tenant_slug: str, uid: str, recurrence_id: str = "") -> str:
    """By what Teams finds a meeting again that MMS has asked for: the same for the same meeting, always (R41)."""
    named = "\n".join((tenant_slug, uid, recurrence_id))
    return f"mms-{hashlib.blake2b(named.encode(), digest_size=20).hexdigest()}"


class TeamsService(MeetingService):
    """Online meetings of one user in Teams. Asking twice for the same one finds the first."""

    name = Service.TEAMS
    says_dial_in = True
    at_once = 10

    def __init__(self, user: ConferencingUser) -> None:
        """``user.tenant`` should be loaded already; it has a connection to Teams."""
        self._user = user
        self._id = ""
        connection = user.tenant.teams_connection
        if connection is None:
            raise ValueError("There is no Teams without a connection to it.")
        self._connection = connection
        self._directory = connection.directory_id.lower()
        self.made_under = f"{self._directory}@{connection.cloud}"

    def make(self, requests: Sequence[Request]) -> Mapping[Request, OnlineMeeting | Failure]:
        return self._each(requests, self._made)

    def is_there_already(self, join_url: str) -> bool:
        """Also where nobody can tell: of a short link, and where the connection names the organization by a domain."""
        named = links.teams_directory(join_url)
        return not named or "." in self._directory or named == self._directory

    def dial_in(self, join_urls: Sequence[str]) -> Mapping[str, DialInFacts | Failure]:
        return self._each(join_urls, self._asked)

    def _each(
        self, things: Sequence[Thing], ask: Callable[[Graph, str, Thing], Found | Failure]
    ) -> dict[Thing, Found | Failure]:
        """What Teams answers for each. What it has answered before it went down is not lost."""
        answers: dict[Thing, Found | Failure] = {}
        with graph_for(self._connection, SOMEBODY_WAITS) as graph:
            try:
                user_id = self._user_id(graph)
                for each in things:
                    answers[each] = _unless_refused(ask, graph, user_id, each)
            except (Failure, Unsettled) as error:
                failure = _of_teams(error)
                if not answers and failure.code == "service-unavailable":
                    raise failure from error
                answers |= {each: failure for each in things if each not in answers}
        return answers

    def _user_id(self, graph: Graph) -> str:
        """The user's object ID: by another name Teams makes no meetings for an application. Asked for once."""
        if self._id:
            return self._id
        upn = self._user.upn
        answer = graph.get(f"/users/{quote(upn, safe='@')}", {"$select": "id"})
        found = answer.body.get("id")
        if not isinstance(found, str) or not found:
            raise Failure("service-refused", sentence("there is no user %(upn)s in Microsoft 365", upn=upn))
        self._id = quote(found, safe="")
        return self._id

    def _made(self, graph: Graph, user_id: str, request: Request) -> OnlineMeeting | Failure:
        body = {
            "externalId": external_id(self._user.tenant.slug, request.uid, request.recurrence_id),
            "subject": request.subject[:_LONGEST_SUBJECT],
            **_times(request),
        }
        path = f"/users/{user_id}/onlineMeetings/createOrGet"
        answer = graph.post(path, body, language=self._user.language)
        if answer.status not in {200, 201}:
            return Failure(
                "service-refused",
                sentence("Teams answered %(answer)s", answer=f"{answer.status} {answer.error}".rstrip()),
            )
        return meeting_of(answer.body) or Failure(
            "service-refused", sentence("Teams named no join link that can be used")
        )

    def _asked(self, graph: Graph, user_id: str, join_url: str) -> DialInFacts | Failure:
        number = links.teams_number(join_url)
        named = f"joinMeetingIdSettings/joinMeetingId eq '{number}'" if number else f"JoinWebUrl eq {_quoted(join_url)}"
        answer = graph.get(f"/users/{user_id}/onlineMeetings", {"$filter": named})
        if answer.status != 200 and not answer.error:  # Graph says what it does not find, others on the way do not
            raise Failure(
                "service-unavailable",
                sentence("Teams was asked for a meeting, and the answer was %(status)s", status=answer.status),
            )
        found = answer.body.get("value")
        if answer.status != 200 or not isinstance(found, list) or not found:
            return Failure("unknown-to-service")
        theirs = next((each for each in found if is_meeting_of(each, join_url)), None)
        return dial_in_of(theirs) if theirs is not None else Failure("unknown-to-service")


def _unless_refused(
    ask: Callable[[Graph, str, Thing], Found | Failure], graph: Graph, user_id: str, thing: Thing
) -> Found | Failure:
    try:
        return ask(graph, user_id, thing)
    except Failure as error:
        failure = _of_teams(error)
        if failure.code == "service-unavailable":
            raise failure from error
        return failure


def _of_teams(error: Failure | Unsettled) -> Failure:
    """What Graph's refusal means for somebody who wants a Teams meeting.

    What was perhaps made is found when it is asked for again.
    """
    if isinstance(error, Unsettled):
        return Failure("service-unavailable", error.why, error.retry_after)
    if error.code in _KEPT_OUT:
        return Failure("teams-no-policy", error.detail)
    is_broken = error.code == "mailbox-answer" and not isinstance(error, Refusal)  # as one that was cut off
    if error.code in _DOWN or is_broken:
        return Failure("service-unavailable", error.detail, error.retry_after)
    if error.code in _REFUSED:
        return Failure("service-refused", error.detail)
    return error


# As Graph's client calls it, which thinks of mailboxes.
_KEPT_OUT = {"mailbox-forbidden", "mailbox-outside-policy", "application-without-consent"}
_DOWN = {"mailbox-unavailable", "mailbox-throttled"}
_REFUSED = {"mailbox-not-found", "mailbox-answer", "meeting-refused-by-server"}


def _times(request: Request) -> Mapping[str, str]:
    """From when to when the meeting is: without its last end Teams takes an hour.

    Teams lets a meeting go some time after its end. Of a series that has none, and may have begun years ago, it would
    be over before anybody has joined.
    """
    starts_at, ends_at = request.starts_at, request.ends_at
    if starts_at is None:
        return {}
    if ends_at is None:
        ends_at = max(starts_at, timezone.now()) + _WITHOUT_END
    return {
        name: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, at in (("startDateTime", starts_at), ("endDateTime", ends_at if ends_at > starts_at else None))
        if at is not None
    }


def _quoted(text: str) -> str:
    """As a value of a filter (OData)."""
    return "'" + text.replace("'", "''") + "'"
