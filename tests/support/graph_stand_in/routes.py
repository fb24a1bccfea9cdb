"""Which request means what: paths, permissions, scope, limits, batches."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from migrations_app.mailboxes.exchange.events import Kind
from tests.support.graph_stand_in.errors import Refusal, Reply, bad_request
from tests.support.graph_stand_in.limits import Fault, Faults, Limits, refusal_of
from tests.support.graph_stand_in.meetings import Meetings
from tests.support.graph_stand_in.reading import Reading, find, given_out, instances, window
from tests.support.graph_stand_in.shapes import Preferences, identity
from tests.support.graph_stand_in.tokens import Tokens
from tests.support.graph_stand_in.updates import Updates
from tests.support.graph_stand_in.users import Users
from tests.support.graph_stand_in.world import Application, Mailbox, User, World
from tests.support.teams_chat_stand_in import TeamsChat

MOST_OCTETS = 4 * 1024 * 1024
MAILBOX = frozenset({"events", "calendar", "calendars", "calendarView", "translateExchangeIds"})


@dataclass(frozen=True)
class Request:
    """A request that came in, and what was answered."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Any
    status: int
    at: datetime
    mailbox: str = ""
    """User principal name."""
    trip: int = 0
    """Which exchange over HTTP it came with: the requests of a batch share one."""
    batched: bool = False


class Cut(Exception):
    """The connection ends here."""


class Routes:
    """Answers requests to Graph."""

    def __init__(self, world: World, origin: str, tokens: Tokens) -> None:
        self.world = world
        self.tokens = tokens
        self.limits = Limits(world.clock)
        self.faults = Faults()
        self.reading = Reading(world, origin)
        self.updates = Updates(world)
        self.meetings = Meetings(world)
        self.users = Users(world, self.reading)
        self.chat = TeamsChat(world, origin)
        self.latency = 0.0
        """Seconds that each request to a mailbox takes, while it holds its place."""
        self.requests: list[Request] = []
        self.most_kept = 200_000

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: Any, trip: int = 0, held: bool = False
    ) -> Reply:
        """Answer one request. ``body`` is JSON already; ``trip`` and ``held`` are a batch's: which it is, and whether
        it holds the place at the mailbox."""
        batched, trip = bool(trip), trip or self.world.number("trip")
        parts = urlsplit(target)
        path = parts.path
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        names = [unquote(part) for part in path.strip("/").split("/")]
        mailbox = ""
        try:
            application = self.tokens.who(headers.get("authorization", ""))
            if names[:1] == ["users"] and len(names) > 2 and names[2] in MAILBOX:
                user = self.world.user(names[1])
                mailbox = user.upn if user else ""
            reply = self._faulty(method, path, names, query, headers, body, application, mailbox, held)
        except Refusal as refusal:
            reply = refusal.reply
        asked = Request(
            method, path, query, headers, body, reply.status, self.world.clock.now(), mailbox, trip, batched
        )
        if len(self.requests) < self.most_kept:
            self.requests.append(asked)
        return reply

    def _faulty(
        self,
        method: str,
        path: str,
        names: Sequence[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Any,
        application: Application,
        mailbox: str,
        held: bool,
    ) -> Reply:
        fault = self.faults.of(method, path) or Fault()
        if fault.delay:
            time.sleep(fault.delay)
        if fault.cut == "before":
            raise Cut
        if fault.status and not fault.after:
            raise refusal_of(fault)
        if not mailbox:
            reply = self._served(method, names, query, headers, body, application)
        elif held:
            self.limits.count(application.client_id, mailbox, _size(body))
            reply = self._served(method, names, query, headers, body, application)
        else:
            with self.limits.place(application.client_id, mailbox):
                self.limits.count(application.client_id, mailbox, _size(body))
                if self.latency:
                    time.sleep(self.latency)
                reply = self._served(method, names, query, headers, body, application)
        if fault.cut == "after":
            raise Cut
        if fault.status:
            raise refusal_of(fault)
        if fault.broken:
            reply.headers["X-Stand-In"] = fault.broken
        return reply

    def _served(
        self,
        method: str,
        names: Sequence[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Any,
        application: Application,
    ) -> Reply:
        with self.world.lock:
            return self._answer(method, names, query, headers, body, application)

    def _answer(
        self,
        method: str,
        names: Sequence[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Any,
        application: Application,
    ) -> Reply:
        language = headers.get("accept-language", "")
        match (method, *names):
            case ("GET", "users"):
                self._may(application, "User.Read.All")
                return self.users.list(query)
            case ("GET", "groups", name, "transitiveMembers"):
                self._may(application, "GroupMember.Read.All", "Group.Read.All")
                return self.users.in_group(name, query)
            case ("GET", "subscribedSkus"):
                self._may(application, "Organization.Read.All")
                return self.users.skus()
            case ("GET", "organization"):
                self._may(application, "Organization.Read.All", "User.Read.All")
                return self.users.organization()
            case ("GET", "users", name):
                self._may(application, "User.Read.All")
                return self.users.one(self._user(name), query)
            case ("GET", "users", name, "licenseDetails"):
                self._may(application, "User.Read.All", "Organization.Read.All")
                return self.users.licences(self._user(name))
            case ("POST", "users", name, "onlineMeetings", ("createOrGet" | "microsoft.graph.createOrGet")):
                user = self.meetings.organizer(name, application)
                return self.meetings.create_or_get(user, application, body, language)
            case ("DELETE", "users", name, "onlineMeetings", meeting):
                return self.meetings.delete(self.meetings.organizer(name, application), application, meeting)
            case ("GET", "users", name, "onlineMeetings"):
                return self.meetings.find(self.meetings.organizer(name, application), query, language)
            case ("GET", "users", name, "onlineMeetings", meeting):
                return self.meetings.one(self.meetings.organizer(name, application), meeting, language)
            case (_, "users", name, first, *rest) if first in MAILBOX:
                mailbox = self._mailbox(name, application, writes=method != "GET" and first != "translateExchangeIds")
                prefers = Preferences.of(headers.get("prefer", ""))
                return self._in_mailbox(method, mailbox, name, [first, *rest], query, headers, body, prefers)
            case ("DELETE", "groups", _) | (_, "teams" | "drives", *_):
                return self.chat.answer(method, list(names), query, body, application)
            case (_, "me", *_):
                # a token of an application alone has no user
                raise bad_request("/me request is only valid with delegated authentication flow.")
            case (_, "users" | "subscribedSkus" | "organization", *_) if method not in ("GET", "POST", "PATCH"):
                raise Refusal(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
        raise bad_request(f"Resource not found for the segment '{names[-1]}'.", "BadRequest")

    def _in_mailbox(
        self,
        method: str,
        mailbox: Mailbox,
        name: str,
        rest: list[str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Any,
        prefers: Preferences,
    ) -> Reply:
        path = "/users/" + "/".join([name, *rest])
        calendar = ""
        default = next(iter(mailbox.calendars.values()))
        match rest:
            case ["calendars"] if method == "GET":
                shown = [self.reading.calendar(mailbox, one) for one in mailbox.calendars.values()]
                names = {part.strip() for part in query.get("$select", "").split(",") if part.strip()}
                for one in shown if names else []:
                    if names - set(one):
                        raise bad_request("Parsing OData Select and Expand failed.", "RequestBroker--ParseUri")
                shown = [{k: v for k, v in one.items() if not names or k in names | {"id"}} for one in shown]
                return self.reading.page(path, shown, query, 0, lambda row: row)
            case ["calendars", wanted, *further]:
                if wanted not in mailbox.calendars:
                    raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
                calendar, rest = wanted, further or ["calendar"]
            case ["calendar", *further] if further:
                calendar, rest = default.id, further
            case ["translateExchangeIds"] if method == "POST":
                return self._translate(mailbox, body)
        match rest:
            case ["calendar"] if method == "GET":
                found = mailbox.calendars[calendar] if calendar else default
                return Reply(200, self.reading.calendar(mailbox, found))
            case ["events"] if method == "GET":
                return self.reading.events(path, list(mailbox.top(calendar or default.id)), query, prefers)
            case ["calendarView"] if method == "GET":
                after, before = window(query)
                seen = [e for one in mailbox.top(calendar or default.id) for e in instances(one, after, before)]
                given_out(mailbox, seen)
                seen.sort(key=lambda event: event.starts_at)
                return self.reading.events(path, seen, query, prefers, windowed=True)
            case ["events"] if method == "POST":
                made = self.updates.create(mailbox, calendar or default.id, body)
                reply = self.reading.one(made, {}, prefers)
                reply.status = 201
                return reply
            case ["events", wanted]:
                event = find(mailbox, wanted, prefers)
                if calendar and event.calendar != calendar:
                    raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
                if method == "GET":
                    return self.reading.one(event, query, prefers)
                if method == "DELETE":
                    self.updates.delete(mailbox, event)
                    return Reply(204)
                if method == "PATCH":
                    if not mailbox.calendars[event.calendar].can_edit:
                        raise Refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
                    self.updates.patch(mailbox, event, headers.get("if-match", ""), body)
                    return self.reading.one(event, {}, prefers)
            case ["events", wanted, "instances"] if method == "GET":
                event = find(mailbox, wanted, prefers)
                after, before = window(query)
                found = given_out(mailbox, instances(event, after, before)) if event.kind == Kind.SERIES else []
                return self.reading.events(path, found, query, prefers, windowed=True)
        raise Refusal(405, "ErrorInvalidRequest", "The OData request is not supported.")

    def _translate(self, mailbox: Mailbox, body: Any) -> Reply:
        """user-translateexchangeids: 1,000 ids at most."""
        asked = body if isinstance(body, dict) else {}
        ids = asked.get("inputIds", asked.get("InputIds", []))
        forms = {"restId": False, "restImmutableEntryId": True}
        if len(ids) > 1000 or asked.get("targetIdType") not in forms or asked.get("sourceIdType") not in forms:
            raise bad_request("Up to 1000 ids can be translated, of known types.", "ErrorInvalidRequest")
        value = []
        for name in ids:
            event = mailbox.events.get(name) or mailbox.events.get(mailbox.by_rest_id.get(name, ""))
            if event is not None:
                value.append({"sourceId": name, "targetId": identity(event, forms[asked["targetIdType"]])})
        return Reply(200, {"value": value})

    @staticmethod
    def _may(application: Application, *roles: str) -> None:
        wider = {f"{role.removesuffix('.Read.All')}.ReadWrite.All" for role in roles} | {"Directory.Read.All"}
        if not (set(roles) | wider) & set(application.roles):
            message = "Insufficient privileges to complete the operation."
            raise Refusal(403, "Authorization_RequestDenied", message)

    def _user(self, name: str) -> User:
        user = self.world.user(name)
        if user is None:
            message = (
                f"Resource '{name}' does not exist or one of its queried reference-property objects are not present."
            )
            raise Refusal(404, "Request_ResourceNotFound", message)
        return user

    def _mailbox(self, name: str, application: Application, writes: bool) -> Mailbox:
        roles = {"Calendars.ReadWrite"} if writes else {"Calendars.Read", "Calendars.ReadWrite"}
        user = self.world.user(name)
        if user is None:
            raise Refusal(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")
        denied = "Access is denied. Check credentials and try again."
        if not roles & set(application.roles) or (application.scope is not None and user.id not in application.scope):
            raise Refusal(403, "ErrorAccessDenied", denied)
        if user.denied:
            # auth-limit-mailbox-access
            raise Refusal(403, "ErrorAccessDenied", "Access to OData is disabled.")
        if not user.has_mailbox:
            message = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise Refusal(404, "MailboxNotEnabledForRESTAPI", message)
        return self.world.mailboxes[user.id]


def _size(body: Any) -> int:
    return len(body) if isinstance(body, bytes) else 0 if body is None else len(json.dumps(body))
