"""A room of the archive and the same room at a target, read back and compared (R123).

What is expected is made anew from the archive, by the same conversion as at the import; nothing that MMS noted of the
import is asked.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from migrations_app.chat.archive.records import ChatFile, Message, Principal
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.names import folded
from migrations_app.chat.conversion.outgoing import Joining, Limits, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.conversion.people import named
from migrations_app.chat.targets.base import ReadMessage, ReadRoom
from migrations_app.chat.verifying.differences import LISTED, Difference, Differences
from migrations_app.chat.verifying.sides import Sample, Side, fingerprint
from migrations_app.chat.verifying.walking import (
    WINDOW,
    Expected,
    There,
    digest,
    place_of,
    walk_by_key,
    walk_by_time,
)
from tenants_app.sentences import sentence, sentence_plural


class Messages(Protocol):
    """Of an archive that is open: the messages of a room."""

    def messages(self, room: str) -> Iterator[Message]: ...


class ReadBack(Protocol):
    """Of a target that is open: what is read back."""

    def author_of(self, principal: Principal, room: OutgoingRoom) -> str: ...
    def read_room(self, room: str) -> ReadRoom: ...
    def read_messages(self, room: str) -> Iterator[ReadMessage]: ...


@dataclass(slots=True)
class Compared:
    """What a comparison found."""

    archive: Side = field(default_factory=Side)
    there: Side = field(default_factory=Side)
    foreign: int = 0
    """Messages at the target that are of nobody's archive: of other people in a merged room, or written since."""
    differences: list[Difference] = field(default_factory=list)
    """The first of them."""
    counts: dict[str, int] = field(default_factory=dict)
    """How many there are of each code."""
    sample: dict[int, str] = field(default_factory=dict)
    """Which messages people look at in full, by number, and why each."""
    not_told: tuple[str, ...] = ()
    """What the target does not tell, and nobody compared."""
    seed: int = 0

    @property
    def is_same(self) -> bool:
        return not self.counts

    @property
    def difference_count(self) -> int:
        return sum(self.counts.values())

    def as_json(self) -> dict[str, Any]:
        """Both sides in numbers, for the row and the report."""
        return {
            "archive": self.archive.as_json(),
            "there": self.there.as_json(),
            "foreign": self.foreign,
            "counts": dict(sorted(self.counts.items())),
            "sample": {str(n): why for n, why in self.sample.items()},
            "not_told": list(self.not_told),
            "seed": self.seed,
        }


def compare_room(
    archive: Messages,
    room: OutgoingRoom,
    people: Mapping[str, Person],
    limits: Limits,
    target: ReadBack,
    target_id: str,
    *,
    files: Mapping[str, ChatFile] | None = None,
    language: str = "en",
    at_most: int = LISTED,
    seed: int = 0,
    window: int = WINDOW,
    live: Callable[[], None] = lambda: None,
) -> Compared:
    """Compare all of the room, message by message, in memory that does not grow with it. ``live`` is called often.

    Raises ``TargetProblem`` where the target cannot be read, and what the archive raises where it is damaged.
    """
    walk = _Comparison(room, people, limits, target, at_most, seed)
    read = target.read_room(target_id)
    _compare_settings(room, read, walk.differences, walk.not_told)
    if limits.has_categories and folded(read.category) != folded(room.category.name):
        text = sentence(
            "The room is in %(there)s, not in %(category)s.", there=read.category or "?", category=room.category.name
        )
        walk.differences.add("category", text)
    converter = Converter(room, people, limits, files=files, language=language)
    expected = walk.expected(converter, archive.messages(room.room.id))
    there = walk.there(target.read_messages(target_id), live)
    if limits.keeps_keys:
        walk_by_key(expected, there, walk, keeps_time=limits.keeps_time, window=window)
    else:
        walk_by_time(expected, there, walk, window=window)
    return walk.end()


class _Comparison:
    """Counts both sides and writes down what differs, as it is told by a walk."""

    def __init__(
        self,
        room: OutgoingRoom,
        people: Mapping[str, Person],
        limits: Limits,
        target: ReadBack,
        at_most: int,
        seed: int,
    ) -> None:
        self.differences = Differences(at_most)
        self.not_told: list[str] = []
        self._room, self._limits, self._target = room, limits, target
        self._sample = Sample(seed)
        self._compared = Compared(seed=seed)
        self._authors: dict[str, str] = {}
        self._unresolved: deque[Expected] = deque()
        self._ours, self._theirs = hashlib.sha256(), hashlib.sha256()
        self._our_files, self._their_files = hashlib.sha256(), hashlib.sha256()
        self._tells_files = True

    # --- the two streams ------------------------------------------------------------------------------

    def expected(self, converter: Converter, messages: Iterator[Message]) -> Iterator[Expected]:
        side = self._compared.archive
        for message in messages:
            for outgoing in converter.convert(message):
                self._sample.see(outgoing)
                one = self._one(outgoing, message)
                if outgoing.part == 1:
                    side.count(outgoing.kind, outgoing.at)
                if outgoing.file is not None:
                    side.files += 1
                    side.file_bytes += outgoing.file.bytes
                    self._our_files.update(outgoing.file.sha256.encode())
                self._ours.update(fingerprint(one.at, one.author or "", one.text))
                self._unresolved.append(one)
                yield one

    def _one(self, outgoing: OutgoingMessage, message: Message) -> Expected:
        file = outgoing.file
        return Expected(
            place=(outgoing.n, outgoing.part if outgoing.parts > 1 else 0),
            at=outgoing.at if self._limits.keeps_time else None,
            author=self._author(outgoing.author),
            text=digest(outgoing.text),
            kind=outgoing.kind,
            name=outgoing.author.shown,
            sent=message.at,
            file_name=file.name if file else "",
            file_bytes=file.bytes if file else None,
            file_sha256=file.sha256 if file else "",
            has_file=file is not None,
        )

    def _author(self, person: Person) -> str | None:
        if not self._limits.keeps_author or (self._limits.authors_need_accounts and person.account is None):
            return None
        if person.principal.id not in self._authors:
            self._authors[person.principal.id] = self._target.author_of(person.principal, self._room)
        return self._authors[person.principal.id]

    def there(self, messages: Iterator[ReadMessage], live: Callable[[], None]) -> Iterator[There]:
        for read in messages:
            live()
            at = None if read.at is None else read.at.replace(microsecond=read.at.microsecond // 1000 * 1000)
            text = digest(read.text.replace("\r\n", "\n"))
            place = place_of(read.key, self._room.room.id) if read.key else None
            yield There(read.key, place, at, read.author, text, read.file_name, read.file_bytes, read.file_sha256)

    # --- what a walk finds ----------------------------------------------------------------------------

    def paired(self, expected: Expected, there: There) -> None:
        n = expected.place[0]
        if there.text != expected.text:
            self._add("altered-text", n, sentence("Message %(n)s (%(at)s, %(who)s) has another text.", **_of(expected)))
        if expected.author is not None and there.author != expected.author:
            text = sentence(
                "Message %(n)s (%(at)s, %(who)s) is by %(there)s at the target.", there=there.author, **_of(expected)
            )
            self._add("altered-author", n, text)
        if expected.at is not None and there.at != expected.at:
            text = sentence(
                "Message %(n)s (%(at)s, %(who)s) has another time at the target: %(there)s.",
                there=_told(there.at),
                **_of(expected),
            )
            self._add("altered-time", n, text)
        if expected.has_file:
            self._compare_file(expected, there)
        side = self._compared.there
        if expected.place[1] <= 1:
            side.count(expected.kind, there.at if expected.at is not None else expected.sent)
        author = there.author if expected.author is not None else ""
        at = there.at if expected.at is not None else None
        self._resolve(expected, fingerprint(at, author, there.text))

    def _compare_file(self, expected: Expected, there: There) -> None:
        side = self._compared.there
        n = expected.place[0]
        if there.file_bytes is None and not there.file_sha256 and not there.file_name:
            self._add(
                "lost-file",
                n,
                sentence(
                    "The file %(file)s of message %(n)s (%(at)s, %(who)s) is not at the target.",
                    file=expected.file_name,
                    **_of(expected),
                ),
            )
            return
        side.files += 1
        side.file_bytes += there.file_bytes or 0
        self._tells_files = self._tells_files and bool(there.file_sha256)
        expected.found_file = there.file_sha256
        is_other = there.file_sha256 and there.file_sha256.lower() != expected.file_sha256.lower()
        if is_other or (there.file_bytes is not None and there.file_bytes != expected.file_bytes):
            text = sentence(
                "The file %(file)s of message %(n)s (%(at)s, %(who)s) is another one at the target.",
                file=expected.file_name,
                **_of(expected),
            )
            self._add("altered-file", n, text)

    def lost(self, expected: Expected) -> None:
        text = (
            sentence("Message %(n)s (%(at)s, %(who)s) is not at the target.", **_of(expected))
            if expected.place[1] == 0
            else sentence(
                "Part %(part)s of message %(n)s (%(at)s, %(who)s) is not at the target.",
                part=expected.place[1],
                **_of(expected),
            )
        )
        self._add("lost-message", expected.place[0], text)
        self._resolve(expected, None)

    def doubled(self, there: There) -> None:
        text = (
            sentence("A message of %(who)s (%(at)s) is there more than once.", who=there.author, at=_told(there.at))
            if there.place is None
            else sentence(
                "Message %(n)s (%(at)s, %(who)s) is there more than once.",
                n=str(there.place[0]),
                who=there.author,
                at=_told(there.at),
            )
        )
        self._add("doubled-message", there.place[0] if there.place else None, text)

    def unknown(self, there: There) -> None:
        text = sentence(
            "A message by %(who)s (%(at)s) bears the key %(key)s, which the archive does not have.",
            who=there.author,
            at=_told(there.at),
            key=there.key,
        )
        self._add("unknown-message", there.place[0] if there.place else None, text)

    def foreign(self, there: There) -> None:
        self._compared.foreign += 1
        last = self._room.room.last
        is_dated_within = there.at is not None and last is not None and there.at <= last
        if self._room.merges_into is None and (is_dated_within or there.key):
            text = sentence(
                "A message by %(who)s (%(at)s) is dated before the end of the archive, which does not have it.",
                who=there.author,
                at=_told(there.at),
            )
            self._add("foreign-message", None, text)

    def out_of_order(self, there: There) -> None:
        text = sentence("A message by %(who)s (%(at)s) is out of its order.", who=there.author, at=_told(there.at))
        self._add("wrong-order", there.place[0] if there.place else None, text)

    def _add(self, code: str, n: int | None, text: str) -> None:
        self.differences.add(code, text, n)

    def _resolve(self, expected: Expected, found: bytes | None) -> None:
        """What was found of a message; the checksum of the other side is over messages in the archive's order."""
        expected.is_resolved, expected.fingerprint = True, found
        while self._unresolved and self._unresolved[0].is_resolved:
            one = self._unresolved.popleft()
            if one.fingerprint is not None:
                self._theirs.update(one.fingerprint)
            if one.has_file:
                self._their_files.update(one.found_file.lower().encode())

    def end(self) -> Compared:
        compared = self._compared
        compared.archive.sha256, compared.there.sha256 = self._ours.hexdigest(), self._theirs.hexdigest()
        compared.archive.files_sha256 = self._our_files.hexdigest()
        if self._tells_files:
            compared.there.files_sha256 = self._their_files.hexdigest()
        else:
            self.not_told.append("files_sha256")
        compared.differences = self.differences.listed
        compared.counts = dict(self.differences.counts)
        compared.sample = self._sample.chosen
        compared.not_told = tuple(self.not_told)
        return compared


def _of(expected: Expected) -> dict[str, str]:
    return {"n": str(expected.place[0]), "at": _told(expected.sent), "who": expected.name}


def _told(at: datetime | None) -> str:
    """A time in a sentence: to the millisecond, which tells messages apart."""
    if at is None:
        return "?"
    return at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")


def _compare_settings(room: OutgoingRoom, read: ReadRoom, differences: Differences, not_told: list[str]) -> None:
    """Settings and people (R122). What the target does not tell is not compared."""
    merged = room.merges_into is not None
    if read.name != room.name and not merged:
        differences.add(
            "name", sentence("The room is called %(there)s, not %(name)s.", there=read.name, name=room.name)
        )
    if read.joining is Joining.ORGANIZATION and room.joining is Joining.INVITED:
        differences.add("privacy-widened", sentence("Everybody may join the room, which is for the invited only."))
    elif read.joining is not None and read.joining is not room.joining and not merged:
        differences.add("setting", sentence("Only those who are invited may join the room, which is open."))
    if read.joining is None:
        not_told.append("joining")
    for name, ours, theirs, text in (
        ("description", room.description, read.description, sentence("The description of the room is another one.")),
        (
            "is_auditorium",
            room.is_auditorium,
            read.is_auditorium,
            sentence("Who may write is another setting: the room is an auditorium on one side only."),
        ),
        ("is_read_only", room.is_read_only, read.is_read_only, sentence("The room is read-only on one side only.")),
        (
            "allows_invitations",
            room.allows_invitations,
            read.allows_invitations,
            sentence("Whether members may invite others is another setting."),
        ),
    ):
        if theirs is None:
            not_told.append(name)
        elif theirs != ours and not merged:
            differences.add("setting", text)
    for role, ours_, theirs_ in (
        ("members", room.members, read.members),
        ("managers", room.managers, read.managers),
        ("presenters", room.presenters, read.presenters),
    ):
        if theirs_ is None:
            not_told.append(role)
            continue
        if missing := ours_ - theirs_:
            differences.add("missing-people", _missing(role, sorted(missing)))
        # In an open room people come and go; a merged one had people of its own.
        may_join = role == "members" and room.joining is Joining.ORGANIZATION
        if (further := theirs_ - ours_) and not merged and not may_join:
            differences.add("further-people", _further(role, sorted(further)))


def _missing(role: str, accounts: list[str]) -> str:
    n, names = len(accounts), named(accounts)
    if role == "managers":
        return sentence_plural(
            "%(n)s manager is missing: %(names)s.", "%(n)s managers are missing: %(names)s.", n, names=names
        )
    if role == "presenters":
        return sentence_plural(
            "%(n)s presenter is missing: %(names)s.", "%(n)s presenters are missing: %(names)s.", n, names=names
        )
    return sentence_plural(
        "%(n)s member is missing: %(names)s.", "%(n)s members are missing: %(names)s.", n, names=names
    )


def _further(role: str, accounts: list[str]) -> str:
    n, names = len(accounts), named(accounts)
    if role == "managers":
        return sentence_plural(
            "%(n)s manager is not in the archive: %(names)s.",
            "%(n)s managers are not in the archive: %(names)s.",
            n,
            names=names,
        )
    if role == "presenters":
        return sentence_plural(
            "%(n)s presenter is not in the archive: %(names)s.",
            "%(n)s presenters are not in the archive: %(names)s.",
            n,
            names=names,
        )
    return sentence_plural(
        "%(n)s member is not in the archive: %(names)s.",
        "%(n)s members are not in the archive: %(names)s.",
        n,
        names=names,
    )
