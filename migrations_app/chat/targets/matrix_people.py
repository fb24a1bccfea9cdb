"""Accounts of a homeserver: whose they are, for whom we speak, those made for authors, and their ways into rooms."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from migrations_app.chat.conversion.outgoing import Person
from migrations_app.chat.targets.matrix_client import MatrixClient, Refused, segment
from migrations_app.chat.targets.matrix_names import shown
from migrations_app.chat.targets.matrix_rooms import Rooms

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class People:
    """What is known of accounts is asked once."""

    def __init__(self, client: MatrixClient, rooms: Rooms, *, speaks: bool) -> None:
        self._client = client
        self._rooms = rooms
        self._speaks = speaks
        self._accounts: dict[str, bool] = {}
        self._spoken_for: dict[str, bool] = {}
        self._ghosts: set[str] = set()

    def exists(self, account: str) -> bool:
        """Whether there is such an account."""
        if account not in self._accounts:
            # A homeserver may show profiles only to those who share a room.
            found = self._client.find(f"profile/{segment(account)}") is not None
            self._accounts[account] = found or self.speaks_for(account)
        return self._accounts[account]

    def speaks_for(self, account: str) -> bool:
        """Whether the homeserver lets us write in the name of an account."""
        if not self._speaks:
            return False
        if account not in self._spoken_for:
            answer = self._client.find("account/whoami", user=account)
            self._spoken_for[account] = answer is not None and answer.get("user_id") == account
        return self._spoken_for[account]

    def make_ghost(self, author: str, person: Person) -> None:
        """Make the account of an author who writes under none of their own, with their name."""
        if author in self._ghosts:
            return
        local = author[1:].partition(":")[0]
        try:
            self._client.settle(
                "POST",
                "register",
                {"type": "m.login.application_service", "username": local, "inhibit_login": True},
            )
        except Refused as refused:
            if refused.errcode != "M_USER_IN_USE":
                raise
        name = shown(person.shown, local)
        self._client.settle("PUT", f"profile/{segment(author)}/displayname", {"displayname": name}, user=author)
        self._ghosts.add(author)

    def let_in(self, room: str, account: str, at: datetime | None, name: str = "") -> None:
        """Have an account that we speak for join, dated by its state: ``/join`` would date it today."""
        ts = {"ts": milliseconds(at)} if at else {}
        joins = {"membership": "join", **({"displayname": shown(name, account)} if name else {})}
        try:
            if self._membership(room, account) != "invite":
                self._client.settle("PUT", _member(room, account), {"membership": "invite"}, ts)
            self._client.settle("PUT", _member(room, account), joins, ts, user=account)
        except Refused:
            if self._membership(room, account) != "join":  # another worker may have let them into the space
                raise

    def _membership(self, room: str, account: str) -> str:
        return str((self._client.find(_member(room, account)) or {}).get("membership", ""))

    def mute(self, room: str, account: str) -> None:
        """Spare somebody a notification for each message of the past."""
        rule = {"conditions": [{"kind": "event_match", "key": "room_id", "pattern": room}], "actions": []}
        self._client.settle("PUT", _rule_of(room), rule, user=account)

    def make_member(self, room: str, account: str, membership: str, at: datetime | None) -> None:
        """Have somebody join, or invite them where we may not speak for them."""
        if membership == "join" or account == self._rooms.me:
            return
        if self.speaks_for(account):
            try:
                self.let_in(room, account, at)
            except Refused as refused:
                if refused.errcode != "M_USER_SUSPENDED":  # they stay invited, until they may join again
                    raise
        elif membership != "invite":
            ts = {"ts": milliseconds(at)} if at else {}
            try:
                self._client.settle("PUT", _member(room, account), {"membership": "invite"}, ts)
            except Refused:
                if self._membership(room, account) not in {"invite", "join"}:
                    raise

    def leave(self, room: str, account: str, at: datetime | None) -> None:
        """Take out an account that was made for an author; the name stays with what it wrote."""
        before = self._client.find(_member(room, account)) or {}
        leaves = {key: value for key, value in before.items() if key == "displayname"} | {"membership": "leave"}
        ts = {"ts": milliseconds(at)} if at else {}
        self._client.settle("PUT", _member(room, account), leaves, ts, user=account)

    def unmute(self, room: str, account: str, last: str) -> None:
        """Give back the notifications, once all of the past counts as read."""
        if not self.speaks_for(account):
            return
        rule = _rule_of(room)
        if self._client.find(rule, user=account) is None:
            return
        if last:
            path = f"rooms/{segment(room)}/receipt/m.read/{segment(last)}"
            self._client.settle("POST", path, {}, user=account)
        try:
            self._client.settle("DELETE", rule, {}, user=account)
        except Refused as refused:
            if refused.status != 404:
                raise


def milliseconds(at: datetime) -> str:
    """A time as homeservers want it."""
    return str((at - EPOCH) // MILLISECOND)


def _member(room: str, account: str) -> str:
    return f"rooms/{segment(room)}/state/m.room.member/{segment(account)}"


def _rule_of(room: str) -> str:
    return f"pushrules/global/override/mms.{hashlib.sha256(room.encode()).hexdigest()[:16]}"
