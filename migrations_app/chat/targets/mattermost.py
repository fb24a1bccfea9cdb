"""Kind ``mattermost``: a file for Mattermost's own bulk import (``mmctl import process``), with the files beside it.

Its documentation (*Bulk loading data*, *Data format*): one JSON object a line, in the order version, team, channel,
user, post; the import may be repeated, as a post is known by channel, message and ``create_at``. For this reason times
are unique in a channel: two messages that say the same at the same time would become one. In the ZIP, attachments lie
below ``data/`` and are named relative to it. What is written here is read back from that ZIP.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

from migrations_app.chat.archive.records import Principal, PrincipalState
from migrations_app.chat.conversion.findings import Finding, Severity
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import (
    Found,
    Joining,
    Limits,
    OutgoingCategory,
    OutgoingMessage,
    OutgoingRoom,
)
from migrations_app.chat.targets.archive_files import FOLDER, safe_name
from migrations_app.chat.targets.base import (
    Octets,
    Option,
    ReadMessage,
    ReadRoom,
    Target,
    TargetProblem,
    TargetSettings,
)
from migrations_app.chat.targets.in_files import address_of, as_read, everybody_in, found_in, room_in
from migrations_app.chat.targets.mattermost_reading import DATA, LINES, OUR_KEY, MadeFile
from migrations_app.chat.targets.spool import Prepared, Spool, SpooledCategory, SpooledPerson, SpooledRoom, milliseconds
from migrations_app.chat.targets.whole_files import PIECE, keep_octets, remove_unfinished, written_whole
from tenants_app.sentences import sentence

PRODUCT = "mattermost-import.zip"
LONGEST_MESSAGE = 16_383
LONGEST_NAME = 64
LONGEST_PURPOSE = 250
LONGEST_USERNAME = 64
LONGEST_FILE_NAME = 200
NO_DOMAIN = "invalid.example"
_ADDRESS = re.compile(r"[^\s@\[\]<>]{1,64}@[^\s@\[\]<>]{1,63}")


class MattermostTarget(Target):
    """A bulk-import file: teams for categories, channels for rooms."""

    KIND: ClassVar[str] = "mattermost"
    OPTIONS: ClassVar[Sequence[Option]] = (
        Option(
            "domain",
            sentence("Mail domain of people without an address"),
            sentence("Mattermost wants an address of everybody. Empty: invalid.example, to which no mail goes."),
        ),
    )
    WRITES: ClassVar[bool] = True
    limits = Limits(
        category_is="team",
        formats=False,
        times_are_unique=True,
        room_name=LONGEST_NAME,
        category_name=LONGEST_NAME,
        description=LONGEST_PURPOSE,
        room_names_within_category=True,
        message_characters=LONGEST_MESSAGE,
        forbidden="[\x00]",
        keeps_type=False,
        rooms_at_once=1,
        messages_per_second=5_000,
        files_per_second=100,
    )

    def __init__(self, settings: TargetSettings) -> None:
        self._settings = settings
        self._folder = settings.folder
        self._people: dict[str, SpooledPerson] = {}
        self._accounts: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._spool = Spool(self._folder, folded)
        self._read: MadeFile | None = None
        return self

    def __exit__(self, *exception: object) -> None:
        self._close_read()
        self._spool.close()

    # --- planning ---------------------------------------------------------------------------------------

    def look(self) -> Found:
        return found_in(self._spool)

    def findings(self) -> Sequence[Finding]:
        return (
            Finding(
                Severity.NOTE,
                "source-note",
                sentence(
                    "A file is made, which an administrator of Mattermost imports with its own tool. MMS compares what"
                    " is in the file, not what is in Mattermost; what exists there is not known to the plan."
                ),
            ),
            Finding(
                Severity.WARNING,
                "setting-lost",
                sentence(
                    "The file cannot say that only some may write: channels of auditoriums and of disabled rooms are"
                    " open to all of their members. Archive or restrict them in Mattermost after the import."
                ),
            ),
        )

    def account_of(self, principal: Principal) -> str | None:
        return self._account(principal)

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        return self._account(principal)

    def _account(self, principal: Principal) -> str:
        """The first part of the address; where two people have the same one, the later gets a mark behind it."""
        address = address_of(principal)
        if address not in self._accounts:
            account = username(address)
            if self._is_of_another(account, address):
                mark = hashlib.sha256(address.encode()).hexdigest()[:8]
                account = f"{account[: LONGEST_USERNAME - 9]}-{mark}"
            self._accounts[address] = account
            self._people[account] = SpooledPerson(
                account, principal.name or account, address, principal.state is PrincipalState.ACTIVE
            )
        return self._accounts[address]

    def _is_of_another(self, account: str, address: str) -> bool:
        known = self._people.get(account) or self._spool.person(account)
        return known is not None and known.address != address

    # --- writing ----------------------------------------------------------------------------------------

    def begin_category(self, category: OutgoingCategory) -> str:
        return str(self._spool.category(category))

    def begin_room(self, room: OutgoingRoom, category: str) -> str:
        return str(self._spool.room(room, int(category)))

    def write(self, room: str, messages: Sequence[OutgoingMessage], octets: Octets) -> None:
        key = int(room)
        self._spool.add(key, [self._prepared(key, each, octets) for each in messages])

    def _prepared(self, room: int, message: OutgoingMessage, octets: Octets) -> Prepared:
        author = self._people[self._account(message.author.principal)]
        file = message.file
        if file is None or file.is_missing or self._spool.has(room, message):
            return Prepared(message, author)
        with octets(file) as stream:
            sha256, size = keep_octets(
                stream, self._folder / FOLDER, lambda sha256: self._folder / path_of(sha256, file.name)
            )
        return Prepared(message, author, sha256, size)

    def written(self, room: str, messages: Sequence[OutgoingMessage]) -> set[str]:
        return {each.key for each in messages if self._spool.has(int(room), each)}

    def finish_room(self, room: str, as_planned: OutgoingRoom) -> None:
        self._spool.keep_people(self._people[each] for each in sorted(everybody_in(as_planned) & self._people.keys()))
        self._spool.finish_room(int(room), as_planned)

    def finish(self) -> None:
        remove_unfinished(self._folder)
        with (
            written_whole(self._folder / PRODUCT) as file,
            ZipFile(file, "w", compression=ZIP_DEFLATED, allowZip64=True) as made,
        ):
            for path in sorted((self._folder / FOLDER).rglob("*")):
                if path.is_file():
                    _pack(made, path, f"{DATA}/{path.relative_to(self._folder).as_posix()}")
            with made.open(_lines_entry(), "w", force_zip64=True) as lines:
                for line in self._lines():
                    lines.write((json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n").encode())

    # --- the lines of the file --------------------------------------------------------------------------

    def _lines(self) -> Iterator[dict[str, Any]]:
        yield {"type": "version", "version": 1}
        categories = list(self._spool.categories())
        for category in categories:
            yield {"type": "team", "team": self._team(category)}
        rooms = [room for category in categories for room in self._spool.rooms(category.id) if room.is_finished]
        for room in rooms:
            yield {"type": "channel", "channel": self._channel(room)}
        yield from self._users(rooms)
        for room in rooms:
            yield from self._posts(room)

    def _team(self, category: SpooledCategory) -> dict[str, Any]:
        return {
            "name": team_name(category),
            "display_name": category.name,
            "type": "I",
            "description": category.description[:255],
            "allow_open_invite": False,
        }

    def _channel(self, room: SpooledRoom) -> dict[str, Any]:
        return {
            "team": team_name(room.category),
            "name": channel_name(room),
            "display_name": room.name,
            "type": "O" if room.settings["joining"] == Joining.ORGANIZATION.value else "P",
            "purpose": room.settings["description"],
        }

    def _users(self, rooms: Sequence[SpooledRoom]) -> Iterator[dict[str, Any]]:
        """Everybody who belongs to a room or wrote in one; who only wrote belongs to no channel."""
        teams: dict[str, dict[str, list[dict[str, str]]]] = {}
        for room in rooms:
            managers = set(room.settings["managers"])
            for account in sorted({*room.settings["members"], *managers, *room.settings["presenters"]}):
                roles = "channel_user channel_admin" if account in managers else "channel_user"
                of_team = teams.setdefault(account, {}).setdefault(team_name(room.category), [])
                of_team.append({"name": channel_name(room), "roles": roles})
        accounts = {account for account, _, _ in self._spool.writers()}
        for account in sorted(accounts | teams.keys()):
            person = self._spool.person(account) or SpooledPerson(account, account)
            yield {"type": "user", "user": self._user(person, teams.get(account, {}))}

    def _user(self, person: SpooledPerson, teams: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
        domain = self._settings.options.get("domain", "").strip() or NO_DOMAIN
        user: dict[str, Any] = {
            "username": person.account,
            "email": person.address if _ADDRESS.fullmatch(person.address) else f"{person.account}@{domain}",
            "nickname": person.shown[:LONGEST_NAME],
            "teams": [
                {"name": team, "roles": "team_user", "channels": channels} for team, channels in sorted(teams.items())
            ],
        }
        if not person.is_active:
            user["delete_at"] = 1  # nobody may sign in as somebody who has left
        return user

    def _posts(self, room: SpooledRoom) -> Iterator[dict[str, Any]]:
        team, channel = team_name(room.category), channel_name(room)
        for message in self._spool.messages(room.id):
            post: dict[str, Any] = {
                "team": team,
                "channel": channel,
                "user": message.account,
                "message": message.text,
                "props": {OUR_KEY: message.key},
                "create_at": milliseconds(message.at),
            }
            if message.file_sha256:
                post["attachments"] = [{"path": path_of(message.file_sha256, message.file_name)}]
            yield {"type": "post", "post": post}

    # --- what people get, and reading it back -----------------------------------------------------------

    def products(self) -> Sequence[Path]:
        path = self._folder / PRODUCT
        return [path] if path.is_file() else []

    def read_room(self, room: str) -> ReadRoom:
        spooled = room_in(self._spool, room)
        if not spooled.is_finished or not self.products():
            return ReadRoom(id=room, name=spooled.name, category=spooled.category.name)
        made = self._made()
        place = (team_name(spooled.category), channel_name(spooled))
        channel = made.channels.get(place)
        if channel is None:
            raise _not_in_file(spooled)
        return ReadRoom(
            id=room,
            name=channel["display_name"],
            category=made.teams.get(place[0], ""),
            description=channel["purpose"],
            joining=Joining.ORGANIZATION if channel["type"] == "O" else Joining.INVITED,
            members=frozenset(made.members.get(place, ())),
            managers=frozenset(made.managers.get(place, ())),
        )

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        """From the ZIP; while it is not made yet, from what it will be made of."""
        spooled = room_in(self._spool, room)
        if not spooled.is_finished or not self.products():
            yield from map(as_read, self._spool.messages(int(room)))
            return
        made = self._made()
        place = (team_name(spooled.category), channel_name(spooled))
        if place not in made.channels:
            raise _not_in_file(spooled)
        yield from made.posts(place)

    def _made(self) -> MadeFile:
        stat = (self._folder / PRODUCT).stat()
        version = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if self._read is None or self._read.version != version:
            self._close_read()
            self._read = MadeFile(self._folder / PRODUCT, version)
        return self._read

    def _close_read(self) -> None:
        if self._read is not None:
            self._read.close()
            self._read = None


def _not_in_file(room: SpooledRoom) -> TargetProblem:
    return TargetProblem(
        "chat-room-gone",
        sentence("The file that was made does not have the room “%(room)s”. Import the room again.", room=room.name),
    )


# --- names -----------------------------------------------------------------------------------------------


def username(address: str) -> str:
    """Letters, digits, dots, hyphens and underscores, the first a letter, 3 to 64 of them."""
    name = _slug(address.partition("@")[0], "._-")
    name = name if name[:1].isalpha() else f"u{name}"
    return (name if len(name) >= 3 else f"{name}-user")[:LONGEST_USERNAME]


def team_name(category: SpooledCategory) -> str:
    """Its number makes it one of its kind, and none of the names that Mattermost keeps for itself."""
    return f"{_slug(category.name, '-')[:40].strip('-') or 'team'}-{category.id}"


def channel_name(room: SpooledRoom) -> str:
    return f"{_slug(room.name, '-_')[:40].strip('-_') or 'channel'}-{room.id}"


def _slug(text: str, also: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(rf"[^a-z0-9{re.escape(also)}]+", "-", plain).strip("-._")


def path_of(sha256: str, name: str) -> str:
    """Below ``data/`` of the ZIP. Its last part is the name that Mattermost shows."""
    last = re.sub(r"[/\\\\\x00-\x1f\x7f\ud800-\udfff]", "_", name)
    if last.strip(". ") != last or not last or len(last.encode()) > LONGEST_FILE_NAME:
        last = safe_name(name)
    return f"{FOLDER}/{sha256[:2]}/{sha256}/{last}"


def _lines_entry() -> ZipInfo:
    info = ZipInfo(LINES)
    info.compress_type = ZIP_DEFLATED
    return info


def _pack(made: ZipFile, path: Path, name: str) -> None:
    info = ZipInfo(name)
    info.file_size, info.compress_type = path.stat().st_size, ZIP_STORED
    with path.open("rb") as source, made.open(info, "w") as entry:
        while piece := source.read(PIECE):
            entry.write(piece)
