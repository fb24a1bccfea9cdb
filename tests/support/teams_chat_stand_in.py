"""Teams as Graph's pages on migration describe it, part of ``tests/support/graph_stand_in``.

*Import messages into Microsoft Teams chats and channels*, *channel: startMigration*, *completeMigration*, *archive*,
*Create team*, *Create channel*, *List channel messages*, and the throttling limits: each rule below is one of theirs,
or of a maintainers' thread that is named at it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from migrations_app.chat.targets.base import TargetSettings
from migrations_app.chat.targets.teams import TeamsTarget
from tests.support.graph_stand_in.errors import Refusal, Reply, bad_request
from tests.support.graph_stand_in.world import Application, World

ROLES = (
    "Teamwork.Migrate.All",
    "Team.Create",
    "Team.ReadBasic.All",
    "TeamSettings.ReadWrite.All",
    "TeamMember.ReadWrite.All",
    "Channel.Create",
    "Channel.ReadBasic.All",
    "ChannelSettings.ReadWrite.All",
    "ChannelMember.ReadWrite.All",
    "ChannelMessage.Read.All",
    "Files.ReadWrite.All",
    "User.Read.All",
)
OWNER, STAND_IN = "teams.owner@contoso.com", "former.staff@contoso.com"
"""The accounts that the settings of a target name."""
MOST_IN_A_SECOND = 5
"""Messages that a channel takes (*Import third-party platform messages*)."""
MOST_OCTETS = 28 * 1024
_FORBIDDEN = re.compile(r"[~#%&*{}+/\\:<>?|'\",\x00-\x1f]|\.\.|^[_.]|\.$")


def settings_at(graph: Any, **options: str) -> TargetSettings:
    """The settings of a target at this stand-in."""
    return TargetSettings(
        "Teams",
        "teams",
        account=graph.client_id,
        secret=graph.secret,
        options={"directory_id": graph.directory_id, "owner": OWNER, "stand_in": STAND_IN, **options},
        allowed_hosts=("127.0.0.1",),
        microsoft_endpoints=(graph.authority, graph.graph),
    )


def opened(graph: Any, **options: str) -> TeamsTarget:
    """The target at this stand-in; its waiting moves the stand-in's clock and takes no time."""
    settings = settings_at(graph, **options)
    return TeamsTarget(settings, wait=graph.clock.advance, clock=lambda: graph.clock.now().timestamp())


@dataclass
class Message:
    at: datetime
    told: dict[str, Any]


@dataclass
class Channel:
    id: str
    name: str
    description: str
    kind: str
    created: datetime
    owner: str = ""
    """The application that started its migration; empty outside migration mode."""
    mode: str | None = None
    members: dict[str, list[str]] = field(default_factory=dict)
    """Of a private one: roles by object id."""
    messages: dict[str, Message] = field(default_factory=dict)
    """By id."""
    is_archived: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    sent: list[datetime] = field(default_factory=list)


@dataclass
class Team:
    id: str
    name: str
    description: str
    visibility: str
    members: dict[str, list[str]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)


class TeamsChat:
    """Teams and channels of the stand-in's organization."""

    def __init__(self, world: World, origin: str) -> None:
        self.world = world
        self.origin = origin
        self.teams: dict[str, Team] = {}
        self.shows_mode = True
        """Whether a channel tells its migrationMode (msteams-docs#13988: not everywhere)."""
        self.ids_are_times = True
        self.rewrites = False
        """Whether texts are stored otherwise than they were sent."""
        self.stays_private = False
        """Whether a team cannot be made public."""
        self.team_takes = 1
        """How often an operation is asked for before its team is ready."""
        self._pending: dict[str, int] = {}

    # --- what tests look at -------------------------------------------------------------------------------------------

    def team(self, name: str) -> Team:
        (found,) = (team for team in self.teams.values() if team.name == name)
        return found

    def channel(self, name: str) -> Channel:
        (found,) = (one for team in self.teams.values() for one in team.channels.values() if one.name == name)
        return found

    def add_team(self, name: str, visibility: str = "private", channels: Mapping[str, str] | None = None) -> Team:
        """A team that people made, with the kinds of its channels by name."""
        team = Team(str(uuid.uuid5(uuid.NAMESPACE_DNS, name)), name, "", visibility)
        self.teams[team.id] = team
        for one, kind in {"General": "standard", **(channels or {})}.items():
            self._channel(team, one, "", kind)
        return team

    # --- requests -----------------------------------------------------------------------------------------------------

    def answer(
        self, method: str, names: list[str], query: Mapping[str, str], body: Any, application: Application
    ) -> Reply:
        def may(*roles: str) -> None:
            if not set(roles) & set(application.roles):
                raise Refusal(403, "Forbidden", "Missing role permissions on the request: " + ", ".join(roles))

        match (method, *names):
            case ("GET", "teams"):
                may("Team.ReadBasic.All", "TeamSettings.ReadWrite.All")
                return self._list_teams(query)
            case ("POST", "teams"):
                may("Team.Create")
                return self._make_team(body)
            case ("GET", "teams", id_, "operations", operation):
                self._pending[operation] = self._pending.get(operation, 0) + 1
                is_ready = self._pending[operation] >= self.team_takes
                return Reply(
                    200, {"status": "succeeded" if is_ready else "inProgress", "targetResourceId": self._team(id_).id}
                )
            case ("GET", "teams", id_):
                may("Team.ReadBasic.All", "TeamSettings.ReadWrite.All")
                team = self._team(id_)
                told = {"id": team.id, "displayName": team.name, "description": team.description}
                return Reply(200, told | {"visibility": team.visibility})
            case ("PATCH", "teams", id_):
                may("TeamSettings.ReadWrite.All")
                if not self.stays_private:
                    self._team(id_).visibility = body["visibility"]
                return Reply(204)
            case ("GET", "teams", id_, "members"):
                may("TeamMember.ReadWrite.All")
                return _members(self._team(id_).members)
            case ("POST", "teams", id_, "members", "add"):
                may("TeamMember.ReadWrite.All")
                return self._add_many(self._team(id_), body)
            case ("GET", "teams", id_, "channels"):
                may("Channel.ReadBasic.All")
                return Reply(200, {"value": [self._told(one) for one in self._team(id_).channels.values()]})
            case ("POST", "teams", id_, "channels"):
                may("Channel.Create", "Teamwork.Migrate.All")
                return self._make_channel(self._team(id_), body, application)
            case (_, "teams", id_, "channels", channel, *rest):
                return self._in_channel(
                    method, self._team(id_), self._found(id_, channel), rest, query, body, application, may
                )
            case ("DELETE", "groups", id_):
                may("Group.ReadWrite.All")
                del self.teams[self._team(id_).id]
                return Reply(204)
            case (_, "drives", drive, "items", *rest):
                may("Files.ReadWrite.All")
                return self._file(method, drive, "/".join(rest), body)
        raise bad_request(f"Resource not found for the segment '{names[-1]}'.")

    def _in_channel(
        self,
        method: str,
        team: Team,
        channel: Channel,
        rest: list[str],
        query: Mapping[str, str],
        body: Any,
        application: Application,
        may: Any,
    ) -> Reply:
        match (method, *rest):
            case ("GET",):
                may("Channel.ReadBasic.All")
                return Reply(200, self._told(channel))
            case ("DELETE",):
                del team.channels[channel.id]
                return Reply(204)
            case ("POST", "startMigration"):
                may("Teamwork.Migrate.All")
                return self._start(channel, body or {}, application)
            case ("POST", "completeMigration"):
                may("Teamwork.Migrate.All")
                if channel.mode != "inProgress":
                    raise bad_request("The channel is not in migration mode.")
                self._own(channel, application)
                channel.mode, channel.owner = "completed", ""
                return Reply(204)
            case ("POST", "messages"):
                may("Teamwork.Migrate.All")
                return self._import(channel, body, application)
            case ("GET", "messages"):
                may("ChannelMessage.Read.All")
                return self._listed(team, channel, query)
            case ("GET", "messages", id_):
                may("ChannelMessage.Read.All")
                if id_ not in channel.messages:
                    raise Refusal(404, "NotFound", "The message does not exist.")
                return Reply(200, channel.messages[id_].told)
            case ("GET", "members"):
                may("ChannelMember.ReadWrite.All")
                return _members(channel.members if channel.kind == "private" else team.members)
            case ("POST", "members"):
                may("ChannelMember.ReadWrite.All")
                return self._let_in(team, channel, body)
            case ("PATCH", "members", id_):
                may("ChannelMember.ReadWrite.All")
                channel.members[id_] = list(body["roles"])
                return Reply(200, {})
            case ("DELETE", "members", id_):
                may("ChannelMember.ReadWrite.All")
                others = [roles for one, roles in channel.members.items() if one != id_]
                if not any("owner" in roles for roles in others):
                    raise bad_request("The last owner of a channel cannot be removed.")
                del channel.members[id_]
                return Reply(204)
            case ("POST", "archive"):
                may("ChannelSettings.ReadWrite.All")
                if channel.mode == "inProgress":
                    raise bad_request("The channel is in migration mode.")
                channel.is_archived = True
                return Reply(202)
            case ("GET", "filesFolder"):
                may("Files.ReadWrite.All")
                return Reply(200, {"id": f"root-{channel.id}", "parentReference": {"driveId": "b!drive"}})
        raise bad_request("The OData request is not supported.")

    # --- teams and channels -------------------------------------------------------------------------------------------

    def _list_teams(self, query: Mapping[str, str]) -> Reply:
        wanted = re.fullmatch(r"displayName eq '(.*)'", query.get("$filter", ""))
        name = wanted[1].replace("''", "'") if wanted else None
        found = [
            {"id": team.id, "displayName": team.name, "description": team.description}
            for team in self.teams.values()
            if name is None or team.name == name
        ]
        return Reply(200, {"value": found})

    def _make_team(self, body: Any) -> Reply:
        if "members" not in body:
            raise bad_request("A team owner must be provided when creating a team in application context.")
        team = Team(str(uuid.uuid4()), body["displayName"], body.get("description", ""), body["visibility"].lower())
        team.members = {self._user(member): list(member["roles"]) for member in body["members"]}
        self.teams[team.id] = team
        self._channel(team, "General", "", "standard")
        operation = str(uuid.uuid4())
        return Reply(202, None, {"Location": f"/teams('{team.id}')/operations('{operation}')"})

    def _make_channel(self, team: Team, body: Any, application: Application) -> Reply:
        name = body["displayName"]
        if len(name) > 50 or _FORBIDDEN.search(name):
            raise bad_request("Channel name has invalid characters or is too long.")
        if any(one.name.casefold() == name.casefold() for one in team.channels.values()):
            raise bad_request("Channel name already existed, please use other name.", "NameAlreadyExists")
        kind = body.get("membershipType", "standard")
        migrates = body.get("@microsoft.graph.channelCreationMode") == "migration"
        if migrates:
            kind = "standard"  # whatever was asked for: msteams-docs#14011
        channel = self._channel(team, name, body.get("description", ""), kind)
        if migrates:
            channel.mode, channel.owner = "inProgress", application.client_id
            channel.created = datetime.fromisoformat(body["createdDateTime"])
        if kind == "private":
            owners = {self._user(member): list(member["roles"]) for member in body.get("members", [])}
            if not owners or not owners.keys() <= team.members.keys():
                del team.channels[channel.id]
                raise bad_request("A private channel needs an owner who is in the team.")
            channel.members = owners
        return Reply(201, self._told(channel))

    def _channel(self, team: Team, name: str, description: str, kind: str) -> Channel:
        id_ = f"19:{uuid.uuid4().hex}@thread.tacv2"
        team.channels[id_] = Channel(id_, name, description, kind, self.world.clock.now())
        return team.channels[id_]

    def _start(self, channel: Channel, body: Any, application: Application) -> Reply:
        if channel.mode == "inProgress":
            raise bad_request("The channel is already in migration mode.")
        since = body.get("conversationCreationDateTime")
        at = datetime.fromisoformat(since) if since else self.world.clock.now()
        if at >= channel.created and since:
            raise bad_request("The timestamp must be older than the current createdDateTime of the channel.")
        channel.mode, channel.owner, channel.created = "inProgress", application.client_id, min(at, channel.created)
        return Reply(204)

    # --- messages -----------------------------------------------------------------------------------------------------

    def _import(self, channel: Channel, body: Any, application: Application) -> Reply:
        now = self.world.clock.now()
        channel.sent = [at for at in channel.sent if now - at < timedelta(seconds=1)]
        if len(channel.sent) >= MOST_IN_A_SECOND:
            raise Refusal(429, "TooManyRequests", "Too many messages for this channel.", {"Retry-After": "1"})
        channel.sent.append(now)
        if channel.mode != "inProgress":
            message = "Message POST is allowed in application-only context only for import purposes."
            raise Refusal(403, "Forbidden", message)
        self._own(channel, application)
        at = datetime.fromisoformat(body["createdDateTime"])
        user = self.world.user(str(body["from"]["user"]["id"]))
        if user is None:
            raise Refusal(404, "NotFound", "The user in the from property does not exist in the tenant.")
        if at <= channel.created or at > now:
            raise bad_request("createdDateTime is not later than the channel's, or in the future.")
        if len(body["body"]["content"].encode()) > MOST_OCTETS:
            raise Refusal(413, "RequestEntityTooLarge", "The message is too large.")
        if any(one.at == at for one in channel.messages.values()):
            raise Refusal(409, "Conflict", "A message with the same createdDateTime exists.")
        for file in body.get("attachments", []):
            if file["contentType"] != "reference" or file["contentUrl"] not in map(self._url, channel.files):
                raise bad_request("The attachment is not a file of the channel.")
            if f'<attachment id="{file["id"]}">' not in body["body"]["content"]:
                raise bad_request("The attachment is not shown in the body.")
        id_ = str(round(at.timestamp() * 1000)) if self.ids_are_times else uuid.uuid4().hex
        told = {
            "id": id_,
            "messageType": "message",
            "createdDateTime": re.sub(r"\.?0*Z$", "Z", body["createdDateTime"]),
            "deletedDateTime": None,
            "importance": body.get("importance", "normal"),
            "subject": body.get("subject"),
            "from": {"user": {"id": user.id, "displayName": user.name, "userIdentityType": "aadUser"}},
            "body": {**body["body"], "content": body["body"]["content"] + (" " if self.rewrites else "")},
            "attachments": list(body.get("attachments", [])),
        }
        channel.messages[id_] = Message(at, told)
        return Reply(201, told)

    def _listed(self, team: Team, channel: Channel, query: Mapping[str, str]) -> Reply:
        top = min(int(query.get("$top", 20)), 50)
        begin = int(query.get("$skiptoken", 0))
        rows = sorted(channel.messages.values(), key=lambda one: one.at, reverse=True)
        reply: dict[str, Any] = {"value": [one.told for one in rows[begin : begin + top]]}
        if begin + top < len(rows):
            path = f"/v1.0/teams/{team.id}/channels/{quote(channel.id)}/messages"
            reply["@odata.nextLink"] = f"{self.origin}{path}?$top={top}&$skiptoken={begin + top}"
        return Reply(200, reply)

    @staticmethod
    def _own(channel: Channel, application: Application) -> None:
        if channel.owner != application.client_id:
            message = "Only 1 application is allowed to operate within an import session."  # msteams-docs#14151
            raise Refusal(403, "Forbidden", message)

    # --- people and files ---------------------------------------------------------------------------------------------

    def _add_many(self, team: Team, body: Any) -> Reply:
        told = []
        for member in body["values"][:200]:
            name = re.search(r"users\('([^']+)'\)", member["user@odata.bind"])
            user = self.world.user(name[1]) if name else None
            error = None if user is not None and user.enabled else {"code": "NotFound", "message": ""}
            told.append({"userId": name[1] if name else "", "error": error})
            if user is not None and error is None:
                team.members.setdefault(user.id, list(member["roles"]))
        return Reply(207 if any(one["error"] for one in told) else 200, {"value": told})

    def _let_in(self, team: Team, channel: Channel, body: Any) -> Reply:
        if channel.kind != "private" or channel.mode == "inProgress":
            raise bad_request("Members are added to private channels that are not in migration mode.")
        user = self._user(body)
        if user not in team.members:
            raise bad_request("The user is not in the team.")
        channel.members[user] = list(body["roles"])
        return Reply(201, {"id": user, "userId": user})

    def _user(self, member: Mapping[str, Any]) -> str:
        name = re.search(r"users\('([^']+)'\)", member["user@odata.bind"])
        user = self.world.user(name[1]) if name else None
        if user is None:
            raise Refusal(404, "NotFound", "The user does not exist in the tenant.")
        return user.id

    def _file(self, method: str, drive: str, path: str, body: Any) -> Reply:
        root, _, rest = path.partition(":/")
        root, _, listing = root.partition("/")
        channel = next(
            one for team in self.teams.values() for one in team.channels.values() if f"root-{one.id}" == root
        )
        name = rest.removesuffix(":/content")
        if method == "PUT":
            channel.files[name] = body
            return Reply(201, self._item(channel, name))
        if listing == "children":
            return Reply(200, {"value": [self._item(channel, each) for each in channel.files]})
        if name not in channel.files:
            raise Refusal(404, "itemNotFound", "The resource could not be found.")
        return Reply(200, self._item(channel, name))

    def _item(self, channel: Channel, name: str) -> dict[str, Any]:
        guid = uuid.uuid5(uuid.NAMESPACE_URL, channel.id + name)
        told = {"id": f"01{guid.hex.upper()}", "name": name, "size": len(channel.files[name])}
        return told | {"eTag": f'"{{{str(guid).upper()}}},1"', "webUrl": self._url(name), "webDavUrl": self._url(name)}

    @staticmethod
    def _url(name: str) -> str:
        return "https://contoso.sharepoint.com/sites/chat/Shared%20Documents/" + quote(name)

    # --- what is told -------------------------------------------------------------------------------------------------

    def _told(self, channel: Channel) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": channel.id,
            "displayName": channel.name,
            "description": channel.description,
            "membershipType": channel.kind,
            "createdDateTime": channel.created.astimezone(UTC).isoformat(timespec="milliseconds"),
            "isArchived": channel.is_archived,
        }
        return told | ({"migrationMode": channel.mode} if self.shows_mode else {})

    def _team(self, id_: str) -> Team:
        if id_ not in self.teams:
            raise Refusal(404, "NotFound", "No team found.")
        return self.teams[id_]

    def _found(self, team: str, channel: str) -> Channel:
        found = self._team(team).channels.get(channel)
        if found is None:
            raise Refusal(404, "NotFound", "No channel found.")
        return found


def _members(members: Mapping[str, list[str]]) -> Reply:
    return Reply(200, {"value": [{"id": id_, "userId": id_, "roles": roles} for id_, roles in members.items()]})
