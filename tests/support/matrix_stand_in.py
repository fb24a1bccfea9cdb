"""A stand-in for a Matrix homeserver: the rules of the client-server specification that an import depends on.

It refuses what Synapse 1.163 refuses, in the same words: unknown tokens, accounts outside the namespaces, aliases that
are taken, events over 64 KiB, whoever is not in a room or has not the power, a creator in ``power_levels``. ``/join``
and ``/createRoom`` ignore ``ts``; a transaction is written once, as long as it is remembered.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from migrations_app.chat.targets.base import TargetSettings
from tests.support.scripted_server import Asked, ScriptedServer, Told, scripted

JSON = dict[str, Any]
SERVER_NAME = "example.org"
TOKEN = "as-token-of-the-tests"
_MOST_OCTETS = 65_536
_ENVELOPE = 900
"""Octets of an event besides its content: hashes, signatures, where it follows."""

Fault = Callable[["Asked"], str]
"""What goes wrong with a request: nothing (empty), ``busy``, ``lost`` (not done, no answer), ``done`` (done, no
answer), ``gateway`` (done, 502), ``cut`` (done, half an answer), ``page`` (done, HTML)."""


class Refusal(Exception):
    def __init__(self, status: int, errcode: str, error: str) -> None:
        super().__init__(error)
        self.status, self.errcode, self.error = status, errcode, error


@dataclass
class Room:
    id: str
    creator: str
    events: list[JSON] = field(default_factory=list)
    state: dict[tuple[str, str], JSON] = field(default_factory=dict)

    def content(self, kind: str, key: str = "") -> JSON:
        return dict(self.state.get((kind, key), {}).get("content", {}))

    def membership(self, user: str) -> str:
        return str(self.content("m.room.member", user).get("membership", "leave"))

    def level(self, user: str) -> float:
        levels = self.content("m.room.power_levels")
        return (
            float("inf") if user == self.creator else levels.get("users", {}).get(user, levels.get("users_default", 0))
        )


class StandIn:
    """The homeserver itself; ``faults`` is asked before each request."""

    def __init__(self, *, speaks_for_accounts: bool = True, upload_size: int = 50 * 1024 * 1024) -> None:
        self.speaks_for_accounts = speaks_for_accounts
        self.upload_size = upload_size
        self.accounts: dict[str, str] = {"@mms:" + SERVER_NAME: "mms"}
        """Names by account."""
        self.rooms: dict[str, Room] = {}
        self.aliases: dict[str, str] = {}
        self.public: list[str] = []
        self.media: dict[str, bytes] = {}
        self.rules: dict[tuple[str, str], JSON] = {}
        self.muted: set[tuple[str, str]] = set()
        """Who had a rule against notifications once, and for which room."""
        self.receipts: dict[tuple[str, str], str] = {}
        self.transactions: dict[tuple[str, str, str], str] = {}
        self.encrypts = False
        self.faults: Fault = lambda asked: ""
        self.retry_after: dict[str, str] = {"Retry-After": "0"}
        self.asked = 0
        self._lock = threading.RLock()
        self._count = 0

    # Requests

    def __call__(self, asked: Asked) -> Told:
        with self._lock:
            self.asked += 1
            fault = self.faults(asked)
            if fault == "lost":
                return Told(hangs_up=True)
            if fault == "busy":
                body = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 1}
                return Told(429, json.dumps(body).encode(), self.retry_after)
            try:
                answer = self._answer(asked)
            except Refusal as refusal:
                body = {"errcode": refusal.errcode, "error": refusal.error}
                return Told(refusal.status, json.dumps(body).encode())
            if isinstance(answer, bytes):
                return Told(200, answer)
            body_of = json.dumps(answer).encode()
            if fault == "done":
                return Told(hangs_up=True)
            if fault == "gateway":
                return Told(502, b"<html>Bad Gateway</html>")
            if fault == "cut":
                return Told(200, body_of[: len(body_of) // 2], length=len(body_of))
            if fault == "page":
                return Told(200, b"<html>Welcome</html>")
            return Told(200, body_of)

    def _answer(self, asked: Asked) -> JSON | bytes:
        url = urlsplit(asked.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, "M_UNKNOWN_TOKEN", "Invalid access token passed.")
        user = self._user(query.get("user_id"))
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts[:2] == ["_matrix", "media"] and parts[-1] == "upload":
            return self._upload(asked.body)
        if parts[:3] == ["_matrix", "client", "v1"]:
            if parts[3:] == ["media", "config"]:
                return {"m.upload.size": self.upload_size}
            if parts[5] != SERVER_NAME or parts[6] not in self.media:
                raise Refusal(404, "M_NOT_FOUND", "Not found")
            return self.media[parts[6]]
        if parts[:3] != ["_matrix", "client", "v3"]:
            raise Refusal(403, "M_FORBIDDEN", "You are not a server admin")
        body = json.loads(asked.body) if asked.body else {}
        return self._client(asked.method, parts[3:], query, body, user)

    def _user(self, user: str | None) -> str:
        me = "@mms:" + SERVER_NAME
        if user is None or user == me:
            return me
        if not self.speaks_for_accounts and not user.startswith("@mms_"):
            raise Refusal(403, "M_FORBIDDEN", f"Application service cannot masquerade as this user ({user}).")
        if user not in self.accounts:
            raise Refusal(403, "M_FORBIDDEN", f"Application service has not registered this user ({user})")
        return user

    def _client(self, method: str, parts: list[str], query: Mapping[str, str], body: JSON, user: str) -> JSON:
        match [method, *parts]:
            case ["GET", "account", "whoami"]:
                return {"user_id": user, "is_guest": False}
            case ["GET", "profile", who]:
                if who not in self.accounts:
                    raise Refusal(404, "M_UNKNOWN", "No row found (profiles)")
                return {"displayname": self.accounts[who]}
            case ["PUT", "profile", who, "displayname"]:
                if len(body["displayname"]) > 256:
                    raise Refusal(400, "M_UNKNOWN", "Displayname is too long (max 256)")
                self.accounts[who] = body["displayname"]
                return {}
            case ["POST", "register"]:
                return self._register(body)
            case ["GET", "joined_rooms"]:
                return {"joined_rooms": [room.id for room in self.rooms.values() if room.membership(user) == "join"]}
            case ["GET", "publicRooms"]:
                return {"chunk": [{"room_id": room, **self.rooms[room].content("m.room.name")} for room in self.public]}
            case [("GET" | "DELETE"), "directory", "room", alias]:
                if alias not in self.aliases:
                    raise Refusal(404, "M_NOT_FOUND", f"Room alias {alias} not found")
                return {"room_id": self.aliases.pop(alias) if method == "DELETE" else self.aliases[alias]}
            case ["POST", "createRoom"]:
                return {"room_id": self._create(body, user).id}
            case ["POST", "join", room]:
                self._put(self.rooms[room], "m.room.member", user, {"membership": "join"}, user, None)
                return {"room_id": room}
            case [_, "pushrules", "global", "override", rule]:
                return self._rule(method, (user, rule), body)
            case ["POST", "rooms", room, "receipt", "m.read", event]:
                self.receipts[room, user] = event
                return {}
            case [_, "rooms", room, *rest]:
                if room not in self.rooms:
                    raise Refusal(404, "M_NOT_FOUND", "Unknown room")
                return self._in_room(method, self.rooms[room], rest, query, body, user)
        raise Refusal(404, "M_UNRECOGNIZED", "Unrecognized request")

    def _in_room(
        self, method: str, room: Room, rest: list[str], query: Mapping[str, str], body: JSON, user: str
    ) -> JSON:
        ts = int(query["ts"]) if "ts" in query else None
        match [method, *rest]:
            case ["PUT", "send", kind, transaction]:
                done = (room.id, user, transaction)
                if done not in self.transactions:
                    self._allow(room, user, kind, is_state=False)
                    self.transactions[done] = self._event(room, kind, None, body, user, ts)["event_id"]
                return {"event_id": self.transactions[done]}
            case ["PUT", "state", kind, *key]:
                return {"event_id": self._put(room, kind, key[0] if key else "", body, user, ts)["event_id"]}
        if room.membership(user) != "join":
            raise Refusal(403, "M_FORBIDDEN", f"User {user} not in room {room.id}")
        match [method, *rest]:
            case ["GET", "state", kind, *key]:
                event = room.state.get((kind, key[0] if key else ""))
                if event is None:
                    raise Refusal(404, "M_NOT_FOUND", "Event not found.")
                return event if query.get("format") == "event" else dict(event["content"])
            case ["GET", "members"]:
                people = [event for (kind, _), event in room.state.items() if kind == "m.room.member"]
                but = query.get("not_membership")
                return {"chunk": [event for event in people if event["content"]["membership"] != but]}
            case ["GET", "messages"]:
                return self._messages(room, query)
        raise Refusal(404, "M_UNRECOGNIZED", "Unrecognized request")

    # What they do

    def _register(self, body: JSON) -> JSON:
        local = body["username"]
        if not local.startswith("mms_"):
            raise Refusal(400, "M_EXCLUSIVE", "Invalid user localpart for this application service.")
        account = f"@{local}:{SERVER_NAME}"
        if not re.fullmatch(r"[a-z0-9._=/+-]+", local) or len(account) > 255:
            raise Refusal(400, "M_INVALID_USERNAME", "User ID can only contain characters a-z, 0-9, or '=_-./+'")
        if account in self.accounts:
            raise Refusal(400, "M_USER_IN_USE", "User ID already taken.")
        self.accounts[account] = local
        return {"user_id": account}

    def _create(self, body: JSON, user: str) -> Room:
        alias = f"#{body['room_alias_name']}:{SERVER_NAME}" if "room_alias_name" in body else ""
        if alias in self.aliases:
            raise Refusal(400, "M_ROOM_IN_USE", "Room alias already taken")
        if alias and not alias.startswith("#mms_"):
            raise Refusal(400, "M_EXCLUSIVE", "This application service has not reserved this kind of alias.")
        levels: JSON = {
            "users": {},
            "users_default": 0,
            "events_default": 0,
            "state_default": 50,
            "invite": 0,
            "events": {},
        }
        levels |= body.get("power_level_content_override", {})
        if user in levels["users"]:
            raise Refusal(400, "M_BAD_JSON", "Creator user must not appear in content.users")
        self._count += 1
        room = Room("!" + hashlib.sha256(str(self._count).encode()).hexdigest()[:43], user)
        self.rooms[room.id] = room
        created = {**body.get("creation_content", {}), "room_version": "12"}
        self._event(room, "m.room.create", "", created, user, None)
        self._event(room, "m.room.member", user, {"membership": "join"}, user, None)
        self._event(room, "m.room.power_levels", "", levels, user, None)
        if alias:
            self.aliases[alias] = room.id
        private = body.get("preset") == "private_chat"
        states = [
            {"type": "m.room.join_rules", "content": {"join_rule": "invite" if private else "public"}},
            {"type": "m.room.history_visibility", "content": {"history_visibility": "shared"}},
            *body.get("initial_state", []),
            *([{"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1"}}] if self.encrypts else []),
            {"type": "m.room.name", "content": {"name": body.get("name", "")}},
            {"type": "m.room.topic", "content": {"topic": body.get("topic", "")}},
        ]
        for state in states:
            self._event(room, state["type"], state.get("state_key", ""), state["content"], user, None)
        return room

    def _allow(self, room: Room, user: str, kind: str, *, is_state: bool) -> None:
        if room.membership(user) != "join":
            raise Refusal(403, "M_FORBIDDEN", f"User {user} not in room {room.id}")
        levels = room.content("m.room.power_levels")
        default = levels.get("state_default", 50) if is_state else levels.get("events_default", 0)
        if room.level(user) < levels.get("events", {}).get(kind, default):
            raise Refusal(403, "M_FORBIDDEN", "You don't have permission to post that to the room.")

    def _put(self, room: Room, kind: str, key: str, content: JSON, user: str, ts: int | None) -> JSON:
        before = room.state.get((kind, key))
        if kind == "m.room.member":
            self._allow_membership(room, key, content["membership"], user)
        else:
            self._allow(room, user, kind, is_state=True)
        if kind == "m.room.power_levels" and room.creator in content.get("users", {}):
            raise Refusal(400, "M_BAD_JSON", "Creator user must not appear in content.users")
        if before and before["content"] == content and before["sender"] == user:
            return before
        return self._event(room, kind, key, content, user, ts)

    def _allow_membership(self, room: Room, account: str, membership: str, user: str) -> None:
        now = room.membership(account)
        if membership == "invite":
            levels = room.content("m.room.power_levels")
            if room.membership(user) != "join" or room.level(user) < levels.get("invite", 0):
                raise Refusal(403, "M_FORBIDDEN", "You don't have permission to invite users")
            if now == "join":
                raise Refusal(403, "M_FORBIDDEN", f"{account} is already in the room.")
            if account not in self.accounts:
                raise Refusal(404, "M_NOT_FOUND", "No such user")
        elif user != account:
            raise Refusal(403, "M_FORBIDDEN", f"Cannot change the membership of {account}")
        elif membership == "join" and now == "leave" and room.content("m.room.join_rules")["join_rule"] != "public":
            raise Refusal(403, "M_FORBIDDEN", "You are not invited to this room.")

    def _event(self, room: Room, kind: str, key: str | None, content: JSON, user: str, ts: int | None) -> JSON:
        if len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()) + _ENVELOPE > _MOST_OCTETS:
            raise Refusal(413, "M_TOO_LARGE", "event too large")
        self._count += 1
        event: JSON = {
            "type": kind,
            "sender": user,
            "content": content,
            "origin_server_ts": int(time.time() * 1000) if ts is None else ts,
            "event_id": f"${self._count}",
        }
        if key is not None:
            event["state_key"] = key
            room.state[kind, key] = event
        room.events.append(event)
        return event

    def _messages(self, room: Room, query: Mapping[str, str]) -> JSON:
        types = json.loads(query.get("filter", "{}")).get("types")
        events = [event for event in room.events if types is None or event["type"] in types]
        limit = min(int(query.get("limit", "10")), 1000)
        if query["dir"] == "f":
            begin = int(query.get("from", "0"))
            chunk, end = events[begin : begin + limit], begin + limit
            return {"chunk": chunk, "start": str(begin), **({"end": str(end)} if chunk else {})}
        stop = int(query.get("from", str(len(events))))
        chunk = events[max(stop - limit, 0) : stop][::-1]
        return {"chunk": chunk, "start": str(stop), **({"end": str(max(stop - limit, 0))} if chunk else {})}

    def _rule(self, method: str, rule: tuple[str, str], body: JSON) -> JSON:
        if method == "PUT":
            self.rules[rule] = body
            self.muted.add((rule[0], body["conditions"][0]["pattern"]))
            return {}
        if rule not in self.rules:
            raise Refusal(404, "M_NOT_FOUND", "")
        return self.rules.pop(rule) if method == "DELETE" else self.rules[rule]

    def _upload(self, octets: bytes) -> JSON:
        if len(octets) > self.upload_size:
            raise Refusal(413, "M_TOO_LARGE", "Upload request body is too large")
        self._count += 1
        self.media[f"m{self._count}"] = octets
        return {"content_uri": f"mxc://{SERVER_NAME}/m{self._count}"}

    # For tests

    def add_account(self, local: str, name: str = "") -> str:
        account = f"@{local}:{SERVER_NAME}"
        self.accounts[account] = name or local
        return account

    def messages(self, room: str) -> list[JSON]:
        return [event for event in self.rooms[room].events if event["type"] == "m.room.message"]


def settings_for(address: str, folder: Path, **options: str) -> TargetSettings:
    """The settings of a target that is the stand-in, or a real homeserver of the tests."""
    return TargetSettings(
        name="Homeserver",
        kind="matrix",
        address=address,
        account="mms",
        secret=TOKEN,
        options={"server_name": SERVER_NAME, "domains": "contoso.com", **options},
        folder=folder,
        allowed_hosts=("127.0.0.1", "localhost"),
    )


def of_organization() -> StandIn:
    """One where everybody of ``write_organization`` has an account who can have one."""
    stand_in = StandIn()
    for local in ("root", "off", "noa", "o=27neil=2bchat", *(f"user{number}" for number in range(511, 700))):
        stand_in.add_account(local)
    return stand_in


@contextmanager
def in_matrix(folder: Path) -> Iterator[TargetSettings]:
    """Contoso's homeserver, for as long as it lasts."""
    with matrix_stand_in(of_organization()) as (_, server):
        yield settings_for(server.address, folder)


@contextmanager
def matrix_stand_in(stand_in: StandIn | None = None) -> Iterator[tuple[StandIn, ScriptedServer]]:
    """One that serves on this machine."""
    stand_in = stand_in or StandIn()
    with scripted(stand_in) as server:
        yield stand_in, server
