"""The target ``matrix``: a Matrix homeserver, written to as an application service (chat.md, section 8; R118, R122).

A room and a space are found again by an alias that follows from the archive, a message by our key in its content, and
time and author are kept by *timestamp massaging*. Whoever does not belong to a room is never brought into it: what they
wrote before stands under an account made for authors, which leaves the room at the end.
"""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from migrations_app.chat.archive.records import Principal
from migrations_app.chat.conversion.findings import CODES, Finding
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Found, Limits, OutgoingCategory, OutgoingMessage, OutgoingRoom
from migrations_app.chat.targets import matrix_power as power
from migrations_app.chat.targets.base import (
    Octets,
    Option,
    ReadMessage,
    ReadRoom,
    TargetProblem,
    TargetSettings,
    Unanswered,
)
from migrations_app.chat.targets.matrix_client import JSON, MatrixClient, Unknown, canonical_size, segment
from migrations_app.chat.targets.matrix_finishing import Finishing, digest_of
from migrations_app.chat.targets.matrix_index import WrittenKeys
from migrations_app.chat.targets.matrix_names import (
    PREFIX,
    SERVER_NAME,
    ghost_of,
    identity_of,
    localpart_of,
    registration,
    room_alias,
    space_alias,
    transaction_of,
)
from migrations_app.chat.targets.matrix_people import People, milliseconds
from migrations_app.chat.targets.matrix_reading import OURS, Reading, ours_of
from migrations_app.chat.targets.matrix_rooms import OF_ROOM, OPENED, Rooms, states
from tenants_app.sentences import sentence

MOST_OCTETS = 62_500
"""Of an event's content in canonical JSON. An event has 65,536, of which the homeserver's part takes up to 3,000."""

LIMITS = Limits(
    room_name=256,
    category_name=256,
    message_json_bytes=60_000,
    file_bytes=50 * 1024 * 1024,
    forbidden="[\ud800-\udfff]",
    messages_per_second=15,
    files_per_second=5,
    category_is="space",
)


@dataclass(slots=True)
class _Open:
    """A room that is being written in this process."""

    planned: OutgoingRoom
    inside: set[str]
    is_open: bool
    """Whether everybody inside may write, as it is while a room is imported."""


_OPTION_NAMES = ("server_name", "user_prefix", "domains", "account_from", "speaks_for_accounts")


@dataclass(frozen=True, slots=True)
class _Names:
    """What the settings say of names, each where it was left empty as it is then."""

    server: str
    sender: str
    prefix: str
    domains: frozenset[str]
    account_from: str
    speaks: bool

    @classmethod
    def of(cls, settings: TargetSettings) -> Self:
        """``TargetProblem`` where they cannot be."""
        given = {name: settings.options.get(name, "").strip() for name in _OPTION_NAMES}
        names = cls(
            server=given["server_name"],
            sender=settings.account.strip().removeprefix("@").partition(":")[0].lower() or "mms",
            prefix=given["user_prefix"] or "mms_",
            domains=frozenset(given["domains"].lower().split()),
            account_from=given["account_from"].lower() or "sip",
            speaks=given["speaks_for_accounts"].lower() != "no",
        )
        _check(names.server, names.prefix, names.account_from, names.sender)
        return names


class MatrixTarget:
    """A homeserver. Its ``account`` is the local part of the application service's own user, its secret the token."""

    KIND: ClassVar[str] = "matrix"
    WRITES: ClassVar[bool] = True
    OPTIONS: ClassVar[Sequence[Option]] = (
        Option(
            "server_name",
            sentence("Name of the homeserver"),
            sentence("What stands after the colon of its accounts, such as contoso.com in @ann:contoso.com."),
            is_required=True,
        ),
        Option(
            "domains",
            sentence("Domains of its people"),
            sentence(
                "Whose people have accounts there, divided by spaces: ann@contoso.com is @ann, so the names before the "
                "@ must be unique among them. Empty: the domain of the homeserver's name, or of which it is a part."
            ),
        ),
        Option(
            "account_from",
            sentence("Accounts are named by"),
            sentence("From which address of a person the name of their account comes: sip, upn or email. Empty: sip."),
        ),
        Option(
            "user_prefix",
            sentence("Prefix of what MMS makes"),
            sentence(
                "Accounts that are made for authors, and aliases of rooms, begin with it. Each organization that "
                "imports to the same homeserver needs its own. Empty: mms_."
            ),
        ),
        Option(
            "speaks_for_accounts",
            sentence("Whether MMS may write in the name of existing accounts"),
            sentence(
                "“no” has all messages stand under accounts made for authors; members are invited, and join "
                "themselves. Empty: yes."
            ),
        ),
        Option(
            "ca_certificates",
            sentence("CA certificates"),
            sentence("In PEM, trusted beside the system's, where the homeserver's certificate needs them."),
        ),
    )

    def __init__(self, settings: TargetSettings) -> None:
        names = _Names.of(settings)
        self._prefix, self._speaks = names.prefix, names.speaks
        self._domains, self._account_from = names.domains, names.account_from
        self._client = MatrixClient(
            settings.address,
            settings.secret,
            allowed_hosts=settings.allowed_hosts,
            ca_certificates=settings.options.get("ca_certificates", ""),
        )
        self._rooms = Rooms(self._client, names.server, names.prefix, names.sender)
        self._people = People(self._client, self._rooms, speaks=names.speaks)
        self._finishing = Finishing(self._rooms, self._people)
        self._reading = Reading(self._client, self._rooms)
        self._index = WrittenKeys()
        self._limits: Limits | None = None
        self._open_rooms: dict[str, _Open] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        self._index.close()

    @property
    def limits(self) -> Limits:
        """With the size of files that the homeserver takes, which is asked once."""
        if self._limits is None:
            try:
                most = self._client.media_limit()
            except TargetProblem:
                return LIMITS  # whoever goes on is told when they ask for something
            self._limits = replace(LIMITS, file_bytes=most or LIMITS.file_bytes)
        return self._limits

    # Looking

    def look(self) -> Found:
        said = self._client.get("account/whoami").get("user_id")
        if said != self._rooms.me:
            raise TargetProblem(
                "chat-target-sign-in",
                sentence(
                    "The token is that of %(said)s, not of %(me)s: correct the account and the name of the homeserver.",
                    said=str(said),
                    me=self._rooms.me,
                ),
                is_of_room=False,
            )
        self._limits = None
        rooms: dict[str, str] = {}
        categories: dict[str, str] = {}
        ours: dict[str, str] = {}
        our_categories: dict[str, str] = {}
        of_others: list[tuple[str, str]] = []
        for room, name, is_space, made_for in self._rooms.known():
            into = categories if is_space else rooms
            into.setdefault(folded(name), room)
            if made_for:
                (our_categories if is_space else ours)[made_for] = room
                into[folded(name)] = room
            else:
                of_others.append((folded(name), room))
        limits = self.limits
        depends_on = json.dumps([sorted(of_others), limits.file_bytes])
        return Found(
            rooms=rooms,
            categories=categories,
            ours=ours,
            our_categories=our_categories,
            retention_is_known=False,  # it is a setting of the server that is shown to nobody
            digest=hashlib.sha256(depends_on.encode()).hexdigest(),
        )

    def findings(self) -> Sequence[Finding]:
        found = [
            Finding(
                CODES["authors-made"],
                "authors-made",
                sentence(
                    "Authors who belong to a room no more, and those without an account, are shown under accounts "
                    "made for them, such as %(example)s, with their names; nobody can sign in with these.",
                    example=self._rooms.id(f"{self._prefix}ann.lee_0a1b2c3d4e"),
                ),
            )
        ]
        if not self._speaks:
            found.append(
                Finding(
                    CODES["speaks-for-nobody"],
                    "speaks-for-nobody",
                    sentence(
                        "MMS may not write in the name of existing accounts: all messages stand under accounts made "
                        "for authors, and members are invited and must accept."
                    ),
                )
            )
        return found

    def account_of(self, principal: Principal) -> str | None:
        local = localpart_of(principal, self._account_from, self._domains, self._rooms.server)
        if local is None:
            return None
        account = self._rooms.id(local)
        return account if self._people.exists(account) else None

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str:
        account = self.account_of(principal)
        if account and account in room.members and self._people.speaks_for(account):
            return account
        return self._rooms.id(ghost_of(self._prefix, principal, principal.name))

    # Categories and rooms

    def begin_category(self, category: OutgoingCategory) -> str:
        if category.merges_into:
            return category.merges_into
        alias = space_alias(self._prefix, category)
        made_for = category.guid or category.id
        body = {
            "creation_content": {"type": "m.space", "m.federate": False},
            "preset": "private_chat",
            "name": category.name,
            "topic": category.description,
            "power_level_content_override": power.of_space(),
            "initial_state": states("joined", {"made_for": made_for}),
        }
        return self._rooms.made(alias, body, made_for)

    def begin_room(self, room: OutgoingRoom, category: str) -> str:
        if room.merges_into:
            found = room.merges_into
            self._rooms.check_merge(found)
        else:
            identity = identity_of(room.room)
            body = {
                "creation_content": {"m.federate": False},
                "preset": "private_chat",
                "name": room.name,
                "topic": room.description,
                "power_level_content_override": power.at_first(),
                "initial_state": states("shared", {"made_for": identity, "category": category}),
            }
            found = self._rooms.made(room_alias(self._prefix, room.room), body, identity)
        if self._rooms.state(found, "m.room.encryption") is not None:
            if not room.merges_into:
                self._rooms.give_up_alias(room_alias(self._prefix, room.room))
            raise TargetProblem(
                "chat-target-encrypts",
                sentence(
                    "The room “%(name)s” is encrypted end to end, so no history can be written to it. Set "
                    "encryption_enabled_by_default_for_room_type to “off” at the homeserver while rooms are imported, "
                    "or merge into another room.",
                    name=room.name,
                ),
            )
        levels = self._rooms.levels(found)
        inside = self._rooms.inside(found)
        is_open = power.level_of(levels, "events_default", power.EVERYBODY) == power.EVERYBODY
        self._open_rooms[found] = _Open(room, inside, is_open)
        return found

    # Writing

    def write(self, room: str, messages: Sequence[OutgoingMessage], octets: Octets) -> None:
        if messages and not self._index.covers(room, messages[0].key):
            self.written(room, messages)
        for message in messages:
            if self._index.has(room, message.key):
                continue
            author = self._brought_in(room, message)
            try:
                self._send(room, author, message, octets)
            except Unknown as unknown:
                raise Unanswered(unknown.why) from None
            self._index.add(room, message.key)

    def _send(self, room: str, author: str, message: OutgoingMessage, octets: Octets) -> None:
        content = self._content(message, octets)
        if canonical_size(content) > MOST_OCTETS:
            raise TargetProblem(
                "chat-target-refused",
                sentence(
                    "A message of %(octets)s octets is larger than an event of Matrix can be (number %(n)s).",
                    octets=str(canonical_size(content)),
                    n=str(message.n),
                ),
            )
        path = f"rooms/{segment(room)}/send/m.room.message/{transaction_of(message.key)}"
        answer = self._client.once("PUT", path, content, {"ts": milliseconds(message.at)}, user=author)
        if not isinstance(answer.get("event_id"), str):
            raise Unknown(sentence("the homeserver does not say what it wrote"))

    def _content(self, message: OutgoingMessage, octets: Octets) -> JSON:
        ours: JSON = {"key": message.key, "kind": message.kind.value}
        content: JSON = {"msgtype": "m.text", "body": message.text, OURS: ours}
        if message.html is not None:
            content |= {"format": "org.matrix.custom.html", "formatted_body": message.html}
        if message.file is None or message.file.is_missing:
            return content
        name = message.file.name or "file"
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        with octets(message.file) as file:
            uri = self._client.upload(file, message.file.bytes, name, kind)
        ours |= {"sha256": message.file.sha256, "has_text": bool(message.text)}
        return content | {
            "msgtype": "m.file",
            "body": message.text or name,
            "filename": name,
            "url": uri,
            "info": {"mimetype": kind, "size": message.file.bytes},
        }

    def _brought_in(self, room: str, message: OutgoingMessage) -> str:
        """The account under which a message is written, inside the room and able to write."""
        state = self._open_rooms[room]
        author = self.author_of(message.author.principal, state.planned)
        if not state.is_open:
            self._open(room, state)
        if author not in state.inside:
            if self._rooms.is_ghost(author):
                self._people.make_ghost(author, message.author)
            else:
                self._people.mute(room, author)
            self._people.let_in(room, author, message.at, message.author.shown if self._rooms.is_ghost(author) else "")
            state.inside.add(author)
        return author

    def _open(self, room: str, state: _Open) -> None:
        """Let those inside write in a room that is finished, or is of others, until it is finished again."""
        levels = self._rooms.levels(room)
        if state.planned.merges_into:
            before = {"events_default": power.level_of(levels, "events_default", power.EVERYBODY)}
            if not self._rooms.state(room, OPENED):
                self._rooms.put(room, OPENED, before)
        else:
            self._rooms.put(room, OF_ROOM, {**(self._rooms.state(room, OF_ROOM) or {}), "finished": ""})
        self._rooms.put(room, "m.room.power_levels", {**levels, "events_default": power.EVERYBODY})
        state.is_open = True

    def written(self, room: str, messages: Sequence[OutgoingMessage]) -> set[str]:
        if not messages:
            return set()
        self._index.read(room, messages[0].key, lambda: self._backwards(room))
        return {message.key for message in messages if self._index.has(room, message.key)}

    def _backwards(self, room: str) -> Iterator[list[tuple[str, str]]]:
        for page in self._rooms.pages(room, "b"):
            yield [(str(event.get("event_id", "")), str(ours_of(event).get("key", ""))) for event in page]

    # Finishing

    def finish_room(self, room: str, as_planned: OutgoingRoom) -> None:
        of_room = self._rooms.state(room, OF_ROOM) or {}
        done = digest_of(as_planned)
        if as_planned.merges_into or of_room.get("finished") != done:
            self._finishing.finish(room, as_planned)
            if not as_planned.merges_into:
                self._rooms.put(room, OF_ROOM, {**of_room, "finished": done})
        self._open_rooms.pop(room, None)
        self._index.forget(room)

    def finish(self) -> None:
        """Nothing is made of all rooms together."""

    # Reading back

    def read_room(self, room: str) -> ReadRoom:
        return self._reading.room(room)

    def read_messages(self, room: str) -> Iterator[ReadMessage]:
        return self._reading.messages(room)


def registration_of(settings: TargetSettings) -> str:
    """What the homeserver's administrator adds to its ``app_service_config_files``. ``TargetProblem`` where the
    settings cannot be."""
    names = _Names.of(settings)
    return registration(settings.secret, names.sender, names.prefix, names.server, speaks_for_accounts=names.speaks)


def _check(server: str, prefix: str, account_from: str, sender: str) -> None:
    """``TargetProblem`` where the settings cannot be."""
    why = ""
    if not SERVER_NAME.match(server):
        why = sentence("Enter the name of the homeserver, such as contoso.com, as it stands in its accounts.")
    elif not PREFIX.match(prefix):
        why = sentence(
            "The prefix can have small letters, digits, dots, hyphens and underscores, and at most 30 of them."
        )
    elif account_from not in {"sip", "upn", "email"}:
        why = sentence("Accounts can be named by sip, upn or email.")
    elif not PREFIX.match(sender) or sender.startswith(prefix):
        why = sentence(
            "The account is the local part of the application service's own user, such as mms, and does not begin with "
            "the prefix."
        )
    if why:
        raise TargetProblem("chat-target-address", why, is_of_room=False)
