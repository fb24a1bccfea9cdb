"""Contoso's Teams as its connection reaches it, scripted: for tests of what MMS makes of the answers.

The answers have the shape that Graph's documentation shows. How they come over the wire is for the stand-in.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

import pytest

from migrations_app.failures import Failure
from migrations_app.meeting_services import teams
from migrations_app.microsoft.client import Answer
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import ConferencingUser, MailboxConnection, Tenant
from tests.support.actors import ACTOR

DIRECTORY = "11111111-2222-3333-4444-555555555555"
OTHERS = "99999999-8888-7777-6666-555555555555"


def teams_connection(tenant: Tenant, **values: Any) -> MailboxConnection:
    """The tenant's app registration in Microsoft 365."""
    kind = MailboxConnection.Kind.GRAPH
    settings = {"name": "Microsoft 365", "directory_id": DIRECTORY, "username": "an-application", **values}
    return MailboxConnection.objects.create(tenant=tenant, kind=kind, **settings)


def connect_teams(tenant: Tenant, **values: Any) -> Tenant:
    """Make Teams the tenant's meeting service."""
    return change_tenant(tenant, ACTOR, teams_connection=teams_connection(tenant, **values), meeting_service="teams")


def served_by_teams(user: ConferencingUser) -> ConferencingUser:
    """The user, once their tenant's meeting service is Teams."""
    connect_teams(user.tenant)
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


@dataclass
class Teams:
    """Teams with its meetings. ``asked`` are the requests, each by its method and what it was about."""

    toll: str | None = "+1 206-555-0142"
    toll_free: str | None = None
    is_licensed: bool = True
    down_after: int | None = None
    """After so many requests it is not available."""
    refusal: Failure | None = None
    stray: int = 0
    """What somebody on the way answers to the next question for a meeting, who is not Teams."""
    meetings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By external ID."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    languages: set[str] = field(default_factory=set)

    def made(self) -> list[str]:
        """The join links of all meetings that were ever made."""
        return [meeting["joinWebUrl"] for meeting in self.meetings.values()]

    def knows(self, join_url: str, conference_id: str) -> None:
        """A meeting that somebody made in Teams itself."""
        self.meetings[f"own-{len(self.meetings)}"] = {
            "joinWebUrl": join_url,
            "joinMeetingIdSettings": {"joinMeetingId": "20000000001", "passcode": "aB3dE6"},
            "conferenceId": conference_id,
        }

    # As migrations_app.microsoft.client.Graph

    def __enter__(self) -> Teams:
        return self

    def __exit__(self, *_: object) -> None: ...

    def get(self, path: str, params: Mapping[str, str] | None = None, prefer: Sequence[str] = ()) -> Answer:
        params = params or {}
        if path.endswith("/onlineMeetings"):
            self._note("ask", unquote(params["$filter"]))
            if self.stray:
                status, self.stray = self.stray, 0
                return Answer(status, {}, {})
            name, _, value = params["$filter"].partition(" eq ")
            found = [
                self._shown(meeting)
                for meeting in self.meetings.values()
                if value == f"'{meeting['joinWebUrl']}'"
                or (name.startswith("join") and value == f"'{meeting['joinMeetingIdSettings']['joinMeetingId']}'")
            ]
            return Answer(200, {"value": found}, {})
        upn = unquote(path.removeprefix("/users/"))
        self._note("user", upn)
        if "nobody" in upn:
            return Answer(404, {}, {}, "Request_ResourceNotFound")
        return Answer(200, {"id": object_id(upn)}, {})

    def post(self, path: str, body: Mapping[str, Any], prefer: Sequence[str] = (), language: str = "") -> Answer:
        user, _, action = path.removeprefix("/users/").partition("/")
        assert action == "onlineMeetings/createOrGet"
        uuid.UUID(user)
        self._note("make", body["externalId"])
        if self.refusal is not None:
            raise self.refusal
        self.languages.add(language)
        status = 200 if body["externalId"] in self.meetings else 201
        if status == 201:
            number = len(self.meetings)
            context = quote(f'{{"Tid":"{DIRECTORY}","Oid":"{user}"}}', safe="").lower()
            self.meetings[body["externalId"]] = {
                "joinWebUrl": f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_Made{number:04}%40thread.v2/0"
                f"?context={context}",
                "joinMeetingIdSettings": {"joinMeetingId": f"2{number:011}", "passcode": "aB3dE6"},
                "conferenceId": f"{400_000_000 + number}",
                **{name: body[name] for name in ("subject", "startDateTime", "endDateTime") if name in body},
            }
        return Answer(status, self._shown(self.meetings[body["externalId"]]), {})

    def _note(self, method: str, about: str) -> None:
        if self.down_after is not None and len(self.asked) >= self.down_after:
            raise Failure("mailbox-unavailable", "Graph answered 503")
        self.asked.append((method, about))

    def _shown(self, meeting: Mapping[str, Any]) -> dict[str, Any]:
        digits = meeting["conferenceId"]
        audio = {
            "conferenceId": digits,
            "tollNumber": self.toll,
            "tollFreeNumber": self.toll_free,
            "dialinUrl": f"https://dialin.teams.microsoft.com/{DIRECTORY}?id={digits}",
        }
        shown = {name: value for name, value in meeting.items() if name != "conferenceId"}
        return {**shown, "audioConferencing": audio if self.is_licensed else None}


def object_id(upn: str) -> str:
    """The object ID of a user in Microsoft Entra."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, upn))


@contextmanager
def scripted() -> Iterator[Teams]:
    """Whoever asks for Teams gets this one."""
    found = Teams()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(teams, "graph_for", lambda connection, limits: found)
        yield found
