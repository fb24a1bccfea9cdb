"""Channels of Microsoft Teams, filled through Graph's migration mode (R121, R122).

A category becomes a team, a room a channel of it: an open room a standard channel, every other a private one. Channels
are made the ordinary way and then taken into migration mode (``startMigration``): one that is made *in* migration mode
is a standard channel whatever was asked for, and would show a private room to the whole team.

Facts: Graph's *Import messages into Microsoft Teams chats and channels* (2026-03-18), *channel: startMigration*,
*completeMigration*, *archive*, *Microsoft Graph service-specific throttling limits*; *Limits and specifications for
Microsoft Teams*; message center MC1134737 (private channels).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Self

from migrations_app.chat.archive.records import Principal, PrincipalKind, PrincipalState
from migrations_app.chat.conversion.findings import CODES, Finding
from migrations_app.chat.conversion.outgoing import (
    Found,
    Joining,
    OutgoingCategory,
    OutgoingMessage,
    OutgoingRoom,
)
from migrations_app.chat.targets import teams_messages as messages_of_teams
from migrations_app.chat.targets.base import (
    Octets,
    Option,
    ReadMessage,
    ReadRoom,
    TargetProblem,
    TargetSettings,
)
from migrations_app.chat.targets.teams_files import ChannelFiles
from migrations_app.chat.targets.teams_found import (
    GENERAL,
    found_of,
    is_marked,
    mark_of_category,
    mark_of_room,
    marked,
    without_mark,
)
from migrations_app.chat.targets.teams_graph import TeamsGraph, refused_with
from migrations_app.chat.targets.teams_order import in_order
from migrations_app.chat.targets.teams_people import People, add_to_channel, add_to_team
from migrations_app.chat.targets.teams_settings import LIMITS, OPTIONS, PERMISSIONS, application_of
from migrations_app.https.session import Limits as Bounds
from migrations_app.microsoft.client import JSON, Graph, segment
from tenants_app.sentences import sentence

_BOUNDS = Bounds(write=120, whole=300)
_BEFORE = timedelta(days=366)
"""How long before the first message of a room its channel begins: the source's clock may have been set back since."""
_ON_A_PAGE = "50"
_CREATING = 24
"""How often MMS asks whether a team is ready before it lets the queue wait."""


class TeamsTarget:
    """One organization's Teams, as the app registration of the target sees it."""

    KIND: ClassVar[str] = "teams"
    OPTIONS: ClassVar[Sequence[Option]] = OPTIONS
    WRITES: ClassVar[bool] = True
    limits = LIMITS

    def __init__(
        self,
        settings: TargetSettings,
        *,
        wait: Callable[[float], object] | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._settings = settings
        self.teams = TeamsGraph(
            Graph(application_of(settings), _BOUNDS, allowed_hosts=settings.allowed_hosts), wait=wait, clock=clock
        )
        """Graph, as the checks of a real organization ask it, too."""
        self._files: dict[str, ChannelFiles] = {}
        self._first: dict[str, datetime] = {}
        self._in_migration: set[str] = set()
        self._operations: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.teams.close()

    # --- before -------------------------------------------------------------------------------------------------------

    def look(self) -> Found:
        """All teams and their channels. Retention policies are told by no interface of Graph."""
        missing = set(PERMISSIONS) - self.teams.sign_in()
        if missing:  # a token is kept for an hour: what was granted since is in a new one
            missing -= self.teams.sign_in(anew=True)
        if missing:
            raise TargetProblem(
                "chat-target-refused",
                sentence(
                    "The application lacks permissions that the import needs: %(permissions)s. Add them in Microsoft "
                    "Entra as application permissions, and grant admin consent.",
                    permissions=", ".join(each for each in PERMISSIONS if each in missing),
                ),
                is_of_room=False,
            )
        for name in ("owner", "stand_in"):
            self._account(name)
        return found_of(self.teams)

    def findings(self) -> Sequence[Finding]:
        said = {
            "fee": sentence(
                "Microsoft reserves the right to take a fee for imported data, by its amount. Ask Microsoft before you "
                "start."
            ),
            "setting-lost": sentence(
                "A standard channel of Teams has no members and no owners of its own: everybody in the team reads it, "
                "and managers of open rooms become members of the team. Managers of other rooms own their channel."
            ),
        }
        return [Finding(CODES[code], code, text) for code, text in said.items()]

    def account_of(self, principal: Principal) -> str | None:
        """Their user principal name. Whoever was deleted has no account, even where their address has a new owner."""
        if (
            principal.kind is not PrincipalKind.USER
            or principal.is_federated
            or principal.state is PrincipalState.DELETED
        ):
            return None
        return self._people.known_as(principal.upn, principal.sip, principal.email)

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        return self.account_of(principal) or self._account("stand_in")

    # --- writing ------------------------------------------------------------------------------------------------------

    def begin_category(self, category: OutgoingCategory) -> str:
        if category.merges_into:
            return category.merges_into
        mark = mark_of_category(category)
        name = category.name.replace("'", "''")
        asked = {"$filter": f"displayName eq '{name}'", "$select": "id,displayName,description"}
        for team in self.teams.list("/teams", asked):
            if mark in str(team.get("description") or ""):
                return str(team["id"])
        wanted = {
            "template@odata.bind": "https://graph.microsoft.com/v1.0/teamsTemplates('standard')",
            "displayName": category.name,
            "description": marked(category.description, mark),
            "visibility": "Private",
            "members": [self._people.member(self._account("owner"), owns=True)],
        }
        if category.id not in self._operations:
            answer = self.teams.post("/teams", wanted)
            self._operations[category.id] = re.sub(r"\('([^']*)'\)", r"/\1", answer.headers.get("location", ""))
        return self._team_of(self._operations[category.id], category.name)

    def begin_room(self, room: OutgoingRoom, category: str) -> str:
        channel = self._merged(room) if room.merges_into else self._made_before(room, category)
        team = category
        if room.merges_into:
            team, _, _ = room.merges_into.partition("/")
        known = channel is not None
        if channel is None:
            channel = self._made(room, team)
        id_ = f"{team}/{channel['id']}"
        if room.room.first is not None:
            self._first[id_] = room.room.first
        if not known:
            self._start(id_, room.room.first or room.room.created or datetime.now(UTC))
        return id_

    def write(self, room: str, messages: Sequence[OutgoingMessage], octets: Octets) -> None:
        if messages and room not in self._in_migration:
            self._start(room, messages[0].at)
        for message in messages:
            self._import(room, message, octets)

    def written(self, room: str, messages: Sequence[OutgoingMessage]) -> set[str]:
        """Each is asked for by the id that its time gives. Where this organization's Teams gives other ids, all
        messages of the channel are read."""
        newest = self.teams.get(f"{_path(room)}/messages", {"$top": "1"})
        listed = newest.get("value") if newest else None
        if not isinstance(listed, list) or not listed:
            return set()
        at = messages_of_teams.time_of(listed[0])
        if at is not None and listed[0].get("id") == messages_of_teams.id_of_time(at):
            paths = [f"{_path(room)}/messages/{messages_of_teams.id_of_time(each.at)}" for each in messages]
            told = zip(messages, self.teams.get_many(paths), strict=True)
            return {each.key for each, found in told if found is not None and self._is_there(found, each)}
        wanted = {each.at: each for each in messages}
        keys: set[str] = set()
        for found in self._listed(room):
            message = wanted.get(messages_of_teams.time_of(found) or datetime.min.replace(tzinfo=UTC))
            if message is not None and self._is_there(found, message):
                keys.add(message.key)
                if len(keys) == len(wanted):
                    break
        return keys

    def finish_room(self, room: str, as_planned: OutgoingRoom) -> None:
        """Complete the migration, which opens the channel; only then does Teams let people in."""
        team, _, _ = room.partition("/")
        channel = self._channel(room)
        is_private = channel.get("membershipType") == "private"
        opens = as_planned.joining is Joining.ORGANIZATION and not is_private and not as_planned.category.merges_into
        mode = channel.get("migrationMode")
        if mode == "inProgress" and opens:
            self._open(team)
        was_completed = self._complete(room, mode)
        if mode is None and was_completed and opens:
            self._open(team)
        people = {self._people.id_of(account): account in as_planned.managers for account in as_planned.members}
        add_to_team(self.teams, team, people, is_foreign=as_planned.category.merges_into is not None)
        if is_private:
            add_to_channel(self.teams, _path(room), people, self._people.id_of(self._account("owner")))
        if as_planned.is_read_only and not channel.get("isArchived"):
            self.teams.post(f"{_path(room)}/archive", {})

    def finish(self) -> None:
        """Nothing is made of all rooms together."""

    # --- reading back -------------------------------------------------------------------------------------------------

    def read_room(self, room: str) -> ReadRoom:
        team = self.teams.get(f"/teams/{segment(room.partition('/')[0])}") or {}
        channel = self._channel(room)
        is_private = channel.get("membershipType") == "private"
        is_open = not is_private and str(team.get("visibility") or "").casefold() == "public"
        members = managers = None
        if is_private:
            owner = self._people.id_of(self._account("owner"))
            listed = [each for each in self.teams.list(f"{_path(room)}/members") if each.get("userId") != owner]
            members = frozenset(self._people.name_of(str(each.get("userId"))) for each in listed)
            managers = frozenset(
                self._people.name_of(str(each.get("userId"))) for each in listed if "owner" in (each.get("roles") or [])
            )
        return ReadRoom(
            id=room,
            name=str(channel.get("displayName") or ""),
            category=str(team.get("displayName") or ""),
            description=without_mark(str(channel.get("description") or "")),
            joining=Joining.ORGANIZATION if is_open else Joining.INVITED,
            is_read_only=channel.get("isArchived") is True,
            members=members,
            managers=managers,
        )

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        """Graph lists the newest first: they are put in order on disk. Replies are left out, as MMS writes none."""
        for told in in_order(self._listed(room)):
            shown = messages_of_teams.attachments_of(told)
            yield ReadMessage(
                key="",
                at=messages_of_teams.time_of(told),
                author=self._people.name_of(messages_of_teams.author_of(told)),
                text=messages_of_teams.text_of(told),
                kind=messages_of_teams.kind_of(told),
                file_name=str(shown[0].get("name") or "") if shown else "",
                file_bytes=self._files_of(room).bytes_of(str(shown[0].get("contentUrl"))) if shown else None,
            )

    # --- how ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _people(self) -> People:
        return People.read(self.teams)

    def _account(self, name: str) -> str:
        """The account that a setting names. It must be a user of the organization."""
        stated = self._settings.options.get(name, "")
        found = self._people.known_as(stated)
        if found is None:
            raise TargetProblem(
                "chat-target-settings",
                sentence("The organization has no user “%(name)s”: correct the settings of the target.", name=stated),
                is_of_room=False,
            )
        return found

    def _team_of(self, operation: str, name: str) -> str:
        """The team that Teams makes by this operation, once it is ready."""
        for _ in range(_CREATING if operation else 0):
            told = self.teams.get(operation) or {}
            if told.get("status") == "succeeded" and told.get("targetResourceId"):
                return str(told["targetResourceId"])
            if told.get("status") == "failed":
                raise TargetProblem(
                    "chat-target-refused", sentence("Teams could not make the team “%(name)s”.", name=name)
                )
            self.teams.wait(5)
        raise TargetProblem(
            "chat-target-busy",
            sentence("Teams is still making the team “%(name)s”.", name=name),
            waits=True,
            retry_after=60,
        )

    def _made_before(self, room: OutgoingRoom, team: str) -> JSON | None:
        mark = mark_of_room(room)
        for channel in self.teams.list(f"/teams/{segment(team)}/channels"):
            if mark in str(channel.get("description") or ""):
                return channel
            if str(channel.get("displayName") or "").casefold() == room.name.casefold():
                raise TargetProblem(
                    "chat-target-refused",
                    sentence(
                        "A channel “%(name)s” was made in the team since the plan. Plan again, and say what is to be "
                        "done with it.",
                        name=room.name,
                    ),
                )
        return None

    def _merged(self, room: OutgoingRoom) -> JSON:
        channel = self._channel(room.merges_into or "")
        if room.joining is Joining.INVITED and channel.get("membershipType") != "private":
            raise TargetProblem(
                "chat-target-refused",
                sentence(
                    "“%(name)s” is for those who were invited, and the channel of that name is open to its whole team. "
                    "MMS shows a room to nobody who could not read it: rename or skip it.",
                    name=room.name,
                ),
            )
        if channel.get("isArchived"):
            raise TargetProblem(
                "chat-target-refused",
                sentence("The channel “%(name)s” is archived in Teams: restore it there first.", name=room.name),
            )
        return channel

    def _made(self, room: OutgoingRoom, team: str) -> JSON:
        kind = "standard" if room.joining is Joining.ORGANIZATION else "private"
        wanted: dict[str, Any] = {
            "displayName": room.name,
            "description": marked(room.description, mark_of_room(room)),
            "membershipType": kind,
        }
        if kind == "private":
            wanted["members"] = [self._people.member(self._account("owner"), owns=True)]
        answer = self.teams.post(f"/teams/{segment(team)}/channels", wanted)
        if not answer.ok or not answer.body.get("id"):
            raise TargetProblem(
                "chat-target-refused",
                sentence(
                    "Teams did not make the channel “%(name)s”: %(why)s.",
                    name=room.name,
                    why=answer.message or str(answer.status),
                ),
            )
        path = _path(f"{team}/{answer.body['id']}")
        made = self.teams.get(path) or answer.body
        if made.get("membershipType", kind) != kind:
            self.teams.delete(path)
            raise TargetProblem(
                "chat-target-refused",
                sentence(
                    "Teams made the channel “%(name)s” as another kind than it was asked for. MMS has removed it, "
                    "before anything was in it.",
                    name=room.name,
                ),
            )
        return {**made, "id": answer.body["id"]}

    def _start(self, room: str, first: datetime) -> None:
        """Take the channel into migration mode, from before its first message on."""
        channel = self._channel(room)
        if channel.get("migrationMode") != "inProgress":
            since = min(self._first.get(room, first), first) - _BEFORE
            created = messages_of_teams.time_of(channel)
            if created is not None:
                since = min(since, created - timedelta(milliseconds=1))
            try:
                self.teams.post(
                    f"{_path(room)}/startMigration",
                    {"conversationCreationDateTime": messages_of_teams.written_time(since)},
                )
            except TargetProblem as problem:
                if not refused_with(problem, 400):
                    raise  # 400: it is in migration mode already, as far as Teams shows; the first message tells
        self._in_migration.add(room)

    def _complete(self, room: str, mode: object) -> bool:
        """End migration mode; whether it was on. Graph does not show everywhere whether it is (``mode`` None)."""
        self._in_migration.discard(room)
        if mode not in (None, "inProgress"):
            return False
        try:
            self.teams.post(f"{_path(room)}/completeMigration", {})
        except TargetProblem as problem:
            if mode is None and refused_with(problem, 400):
                return False
            raise
        return True

    def _import(self, room: str, message: OutgoingMessage, octets: Octets) -> None:
        user = self._people.id_of(message.author.account or self._account("stand_in"))
        attachment = None
        if message.file is not None and not message.file.is_missing:
            attachment = self._files_of(room).keep(message.file, message.n, octets)
        sent = messages_of_teams.payload(message, user, attachment)
        answer = self.teams.post(f"{_path(room)}/messages", sent)
        if answer.ok:
            return
        if answer.status == 409:
            if self.written(room, [message]):
                return
            raise TargetProblem(
                "chat-target-refused",
                sentence(
                    "Another message of %(time)s is in the channel already, to the millisecond. Import the room under "
                    "a name of its own.",
                    time=messages_of_teams.written_time(message.at),
                ),
            )
        raise TargetProblem(
            "chat-target-refused",
            sentence(
                "Teams did not take message %(n)s: %(why)s.", n=message.n, why=answer.message or str(answer.status)
            ),
        )

    def _is_there(self, found: JSON, message: OutgoingMessage) -> bool:
        user = self._people.id_of(message.author.account or self._account("stand_in"))
        return messages_of_teams.is_message(found) and messages_of_teams.is_same(found, message, user)

    def _listed(self, room: str) -> Iterator[JSON]:
        listed = self.teams.list(f"{_path(room)}/messages", {"$top": _ON_A_PAGE})
        return (each for each in listed if messages_of_teams.is_message(each))

    def _open(self, team: str) -> None:
        """Let anybody of the organization join the team, which shows them its standard channels and no private one. Not
        where the team has a channel that MMS did not make: that one was not meant for everybody."""
        channels = self.teams.list(f"/teams/{segment(team)}/channels")
        foreign = [
            each
            for each in channels
            if not is_marked(each) and str(each.get("displayName") or "").casefold() != GENERAL
        ]
        told = self.teams.get(f"/teams/{segment(team)}") or {}
        if not foreign and str(told.get("visibility") or "").casefold() == "private":
            self.teams.patch(f"/teams/{segment(team)}", {"visibility": "public"})

    def _files_of(self, room: str) -> ChannelFiles:
        if room not in self._files:
            self._files = {room: ChannelFiles(self.teams, _path(room))}
        return self._files[room]

    def _channel(self, room: str) -> JSON:
        found = self.teams.get(_path(room))
        if found is None:
            raise TargetProblem(
                "chat-target-refused", sentence("The channel is not in Teams any more: somebody deleted it.")
            )
        return found


def _path(room: str) -> str:
    team, _, channel = room.partition("/")
    return f"/teams/{segment(team)}/channels/{segment(channel)}"
