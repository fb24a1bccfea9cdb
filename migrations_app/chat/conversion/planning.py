"""What would become of every room of an archive at a target (R110): nothing is changed, everything is read.

Rooms, categories and people are held in memory; messages and files pass by, each once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from migrations_app.chat.archive.records import Category, ChatFile, Message, Principal, RoleName, Room
from migrations_app.chat.conversion import people as people_there
from migrations_app.chat.conversion import settings
from migrations_app.chat.conversion.conflicts import Choices, Named, Naming
from migrations_app.chat.conversion.findings import CODES, Finding, Severity
from migrations_app.chat.conversion.messages import Converter, Counts
from migrations_app.chat.conversion.names import shown_path
from migrations_app.chat.conversion.outgoing import Found, Limits, OutgoingCategory, OutgoingRoom, Person
from migrations_app.chat.conversion.unique_times import free_times
from tenants_app.sentences import sentence, sentence_plural


class Read(Protocol):
    """An archive that is open: what planning needs of it."""

    def principals(self) -> Iterator[Principal]: ...
    def categories(self) -> Iterator[Category]: ...
    def rooms(self) -> Iterator[Room]: ...
    def messages(self, room: str) -> Iterator[Message]: ...
    def files(self) -> Iterator[ChatFile]: ...


FilesOf = Callable[[str], Mapping[str, ChatFile]]
"""The files of a room, by id."""


@dataclass(slots=True)
class PlannedRoom:
    """What a room becomes, and all that was found about it."""

    room: Room
    category: str
    """Its path at the source, such as “A / B”."""
    outgoing: OutgoingRoom | None
    """None where it cannot be imported, or is not to be."""
    findings: list[Finding]
    name: str = ""
    """What it becomes, or would: there where ``outgoing`` is None, too; likewise that of its category."""
    category_name: str = ""
    is_skipped: bool = False
    """Not imported by an answer to a conflict, or because it is disabled at the source (R109, R120)."""
    counts: Counts = field(default_factory=Counts)
    first: datetime | None = None
    last: datetime | None = None
    estimate_seconds: float | None = None

    @property
    def has_error(self) -> bool:
        return any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def messages(self) -> int:
        return self.counts.messages

    @property
    def files(self) -> int:
        return self.counts.files

    @property
    def file_bytes(self) -> int:
        return self.counts.file_bytes


def plan_rooms(
    archive: Read,
    limits: Limits,
    found: Found,
    people: Mapping[str, Person],
    choices: Choices,
    *,
    begin: int = 0,
    files_of: FilesOf | None = None,
    language: str = "en",
    now: datetime | None = None,
) -> Iterator[PlannedRoom]:
    """Each room in the order of the archive, from the one at ``begin`` on; nothing is read of those before it.

    Whatever the archive says becomes a finding and raises nothing.
    """
    categories = {category.id: category for category in archive.categories()}
    rooms = list(archive.rooms())
    naming = Naming(categories, rooms, limits, found, choices)
    files_of = files_of or _FilesInOrder(archive)
    for room in rooms[begin:]:
        planned = _planned(room, categories, naming, limits, found, people, choices)
        if not planned.is_skipped:
            _read(planned, archive, limits, people, files_of(room.id), language)
            planned.findings += _content(planned, limits, found, now or datetime.now(UTC))
            if planned.has_error:
                planned.outgoing = None
        yield planned


class _FilesInOrder:
    """The files of a room where the archive gives them all at once: they are read anew for each room."""

    def __init__(self, archive: Read) -> None:
        self._archive = archive

    def __call__(self, room: str) -> Mapping[str, ChatFile]:
        of_room = getattr(self._archive, "files_of", None)
        files = self._archive.files() if of_room is None else of_room(room)
        return {file.id: file for file in files if file.room == room}


def outgoing_room(
    room: Room,
    category: OutgoingCategory,
    name: str,
    path: Sequence[Category],
    people: Mapping[str, Person],
    limits: Limits,
    *,
    managers: Sequence[str] = (),
    merges_into: str | None = None,
) -> tuple[OutgoingRoom, list[Finding]]:
    """The room with its settings and people as they are to be at the target; ``managers`` are those of the root."""
    at = path[-1]
    rights = people_there.rights_of(room, people, managers=managers)
    findings = [*rights.findings, *settings.findings_of(room, at, limits, people)]
    description = room.description
    if limits.description is not None and len(description) > limits.description:
        findings.append(
            _finding(
                room,
                "setting-lost",
                sentence(
                    "The description has %(length)s characters, and %(limit)s are possible: the room gets none.",
                    length=len(description),
                    limit=limits.description,
                ),
            )
        )
        description = ""
    is_auditorium = room.type == "auditorium"
    made = OutgoingRoom(
        room=room,
        category=category,
        name=name,
        description=description,
        joining=settings.joining_of(room, at, people),
        is_auditorium=is_auditorium and limits.keeps_type,
        is_read_only=room.is_disabled,
        allows_invitations=settings.allows_invitations(room, at),
        members=frozenset(rights.members),
        managers=frozenset(rights.managers),
        presenters=frozenset(rights.presenters) if is_auditorium else frozenset(),
        merges_into=merges_into,
    )
    return made, findings


def _planned(
    room: Room,
    categories: Mapping[str, Category],
    naming: Naming,
    limits: Limits,
    found: Found,
    people: Mapping[str, Person],
    choices: Choices,
) -> PlannedRoom:
    path = naming.paths[room.category]
    named = naming.rooms[room.id]
    of_category = naming.categories.get(room.category, Named(""))
    planned = PlannedRoom(room, shown_path(path), None, [], named.name, of_category.name)
    if room.is_disabled and not choices.includes_disabled:
        planned.is_skipped = True
        text = sentence("The room is disabled at the source and is left out. Include disabled rooms to import it.")
        planned.findings.append(_finding(room, "skipped", text))
        return planned
    if not path:
        text = sentence("The room's category is not in the archive: export it with its categories.")
        planned.findings.append(_finding(room, "no-category", text))
        return planned
    each = [*of_category.findings, *named.findings]
    planned.findings += [Finding(one.severity, one.code, one.sentence, room.id, one.count) for one in each]
    planned.is_skipped = of_category.is_skipped or named.is_skipped
    if planned.is_skipped:
        return planned
    category = OutgoingCategory(
        room.category,
        of_category.name,
        _category_description(path[-1], limits),
        of_category.merges_into,
        guid=path[-1].guid,
    )
    roots = people_there.roots_of(path, categories) if choices.keeps_root_managers else []
    managers = people_there.managers_of(roots)
    planned.outgoing, findings = outgoing_room(
        room, category, named.name, path, people, limits, managers=managers, merges_into=named.merges_into
    )
    planned.findings += findings
    return planned


def _category_description(category: Category, limits: Limits) -> str:
    is_too_long = limits.description is not None and len(category.description) > limits.description
    return "" if is_too_long else category.description


def _read(
    planned: PlannedRoom,
    archive: Read,
    limits: Limits,
    people: Mapping[str, Person],
    files: Mapping[str, ChatFile],
    language: str,
) -> None:
    """Convert all messages of the room, and keep only how many and how long."""
    room = planned.outgoing or OutgoingRoom(planned.room, OutgoingCategory("", ""), planned.name)
    converter = Converter(room, people, limits, files=files, language=language)
    for message in archive.messages(planned.room.id):
        converter.convert(message)
        if planned.first is None or message.at < planned.first:
            planned.first = message.at
        if planned.last is None or message.at > planned.last:
            planned.last = message.at
    if converter.left_behind:
        _move(planned, archive, Converter(room, people, limits, files=files, language=language), converter)
    planned.counts = converter.counts
    planned.estimate_seconds = estimate(converter.counts, limits)


def _move(planned: PlannedRoom, archive: Read, again: Converter, converter: Converter) -> None:
    """Find free times for messages from after the clock was set back (R118)."""
    moved = free_times(lambda: archive.messages(planned.room.id), again, converter.left_behind)
    converter.counts.not_kept -= len(moved)
    converter.counts.shifted += sum(by > 0 for by in moved.values())
    if planned.outgoing is not None:
        planned.outgoing = replace(planned.outgoing, moved=moved)


def estimate(counts: Counts, limits: Limits) -> float | None:
    """How long the import of so much takes, in seconds, by what is known of the target; None where nothing is."""
    if limits.messages_per_second is None:
        return None
    seconds = counts.outgoing / limits.messages_per_second
    if limits.files_per_second is not None:
        seconds += counts.files / limits.files_per_second
    return seconds


def _content(planned: PlannedRoom, limits: Limits, found: Found, now: datetime) -> Iterator[Finding]:
    """What becomes of the messages of a room, in one sentence of each kind (R117 to R119)."""
    room, counts = planned.room, planned.counts
    for code, count in (
        ("author-in-text", counts.author_in_text),
        ("time-in-text", counts.time_in_text),
        ("times-shifted", counts.shifted),
        ("time-not-kept", counts.not_kept),
        ("split", counts.split),
        ("replaced-characters", counts.replaced),
        ("formatting-lost", counts.formatting_lost),
        ("file-missing", counts.files_missing),
        ("file-too-large", counts.files_too_large),
        ("unknown-author", counts.unknown_authors),
        ("empty-message", counts.empty),
        ("left-out-before", room.left_out),
    ):
        if count:
            yield _finding(room, code, _CONTENT[code](count), count)
    if planned.first is not None and found.retention_days is not None:
        kept_from = now - timedelta(days=found.retention_days)
        if planned.first < kept_from:
            yield _finding(
                room,
                "retention",
                sentence(
                    "The target deletes messages after %(days)s days. This room has messages from %(first)s on, which"
                    " it would delete at once: exempt the room, or change the policy, and plan again.",
                    days=found.retention_days,
                    first=planned.first.date(),
                ),
            )


_CONTENT: Mapping[str, Callable[[int], str]] = {
    "author-in-text": lambda n: sentence_plural(
        "%(n)s message begins with a line that names its author, whom the target does not keep.",
        "%(n)s messages begin with a line that names their author, whom the target does not keep.",
        n,
    ),
    "time-in-text": lambda n: sentence_plural(
        "%(n)s message begins with a line that gives its time, which the target does not keep.",
        "%(n)s messages begin with a line that gives their time, which the target does not keep.",
        n,
    ),
    "times-shifted": lambda n: sentence_plural(
        "%(n)s message gets a time up to one second later, because times are unique at the target.",
        "%(n)s messages get a time up to one second later, because times are unique at the target.",
        n,
    ),
    "time-not-kept": lambda n: sentence_plural(
        "For %(n)s message there is no free time within a second, and times are unique at the target.",
        "For %(n)s messages there is no free time within a second, and times are unique at the target.",
        n,
    ),
    "split": lambda n: sentence_plural(
        "%(n)s message is longer than the target allows, and is split into parts.",
        "%(n)s messages are longer than the target allows, and are split into parts.",
        n,
    ),
    "replaced-characters": lambda n: sentence_plural(
        "%(n)s character that the target forbids is replaced by �.",
        "%(n)s characters that the target forbids are replaced by �.",
        n,
    ),
    "formatting-lost": lambda n: sentence_plural(
        "%(n)s message loses its formatting: the target has none, or the formatted text says something else.",
        "%(n)s messages lose their formatting: the target has none, or the formatted text says something else.",
        n,
    ),
    "file-missing": lambda n: sentence_plural(
        "%(n)s file was not found: its message says so. Export again with the folder of the file store.",
        "%(n)s files were not found: their messages say so. Export again with the folder of the file store.",
        n,
    ),
    "file-too-large": lambda n: sentence_plural(
        "%(n)s file is larger than the target takes: raise its limit and plan again, or deselect the room.",
        "%(n)s files are larger than the target takes: raise its limit and plan again, or deselect the room.",
        n,
    ),
    "unknown-author": lambda n: sentence_plural(
        "The author of %(n)s message is not in the archive: the message shows the number of the person.",
        "The authors of %(n)s messages are not in the archive: the messages show the numbers of the people.",
        n,
    ),
    "empty-message": lambda n: sentence_plural(
        "%(n)s message is empty at the source: it says so.",
        "%(n)s messages are empty at the source: they say so.",
        n,
    ),
    "left-out-before": lambda n: sentence_plural(
        "%(n)s message before the start date is not in the archive.",
        "%(n)s messages before the start date are not in the archive.",
        n,
    ),
}


def plan_as_a_whole(
    archive: Read,
    limits: Limits,
    found: Found,
    people: Mapping[str, Person],
    choices: Choices,
    of_target: Sequence[Finding] = (),
    notes: Sequence[str] = (),
) -> list[Finding]:
    """What is about the import, not about one room: the target's own findings, managers, limits, retention."""
    categories = {category.id: category for category in archive.categories()}
    rooms = list(archive.rooms())
    naming = Naming(categories, rooms, limits, found, choices)
    taking = [room for room in rooms if room.id not in naming.left_out]
    findings = list(of_target)
    if not any(each.code == "old-clients" for each in findings):
        findings.append(
            _finding(
                None,
                "old-clients",
                sentence(
                    "Clients of Group Chat and of Persistent Chat cannot go on with this target. Give people its own"
                    " client before the old system goes."
                ),
            )
        )
    if not found.retention_is_known and not any(each.code == "retention-unknown" for each in findings):
        findings.append(
            _finding(
                None,
                "retention-unknown",
                sentence(
                    "The target does not say whether it deletes old messages. Look at its retention policy, and confirm"
                    " that it keeps imported history."
                ),
            )
        )
    roots = {
        root.id: root
        for path in {room.category: naming.paths[room.category] for room in taking}.values()
        for root in people_there.roots_of(path, categories)
    }
    findings += _root_managers(taking, naming, roots, people, choices)
    findings += _category_roles(taking, naming, roots, people)
    findings += _too_many_rooms(taking, naming, limits)
    findings += [_finding(None, "source-note", note) for note in notes]
    return findings


def _root_managers(
    taking: Sequence[Room],
    naming: Naming,
    roots: Mapping[str, Category],
    people: Mapping[str, Person],
    choices: Choices,
) -> Iterator[Finding]:
    """R114: a sentence for each root category that has managers."""
    for category in roots.values():
        managers = people_there.managers_of([category])
        if not managers:
            continue
        is_marked = category.more.get("root") is True
        rooms = sum(is_marked or category in naming.paths[room.category][:1] for room in taking)
        names = people_there.named(people[each].shown if each in people else each for each in managers)
        if choices.keeps_root_managers:
            text = sentence_plural(
                "The managers of the root category %(category)s become managers of %(n)s room: %(names)s.",
                "The managers of the root category %(category)s become managers of all %(n)s rooms: %(names)s.",
                rooms,
                category=category.name,
                names=names,
            )
        else:
            text = sentence(
                "The managers of the root category %(category)s are left out of its rooms: %(names)s.",
                category=category.name,
                names=names,
            )
        yield _finding(None, "root-managers", text, len(managers))


def _category_roles(
    taking: Sequence[Room], naming: Naming, roots: Mapping[str, Category], people: Mapping[str, Person]
) -> Iterator[Finding]:
    """Roles on categories that go to no room: only those of managers at the top do (R114)."""
    used = {each.id: each for room in taking for each in naming.paths[room.category]} | dict(roots)
    for category in used.values():
        roles = [
            grant.principal
            for grant in category.roles
            if grant.role in (RoleName.MEMBER, RoleName.PRESENTER)
            or (grant.role is RoleName.MANAGER and category.id not in roots)
        ]
        if roles:
            each = list(dict.fromkeys(roles))
            text = sentence_plural(
                "%(n)s right on the category %(category)s, and not on its rooms, is not taken along: %(names)s. Grant"
                " it at the target where it is wanted.",
                "%(n)s rights on the category %(category)s, and not on its rooms, are not taken along: %(names)s. Grant"
                " them at the target where they are wanted.",
                len(roles),
                category=category.name,
                names=people_there.named(people[id_].shown if id_ in people else id_ for id_ in each),
            )
            yield _finding(None, "category-roles", text, len(roles))


def _too_many_rooms(taking: Sequence[Room], naming: Naming, limits: Limits) -> Iterator[Finding]:
    if limits.rooms_of_a_category is None:
        return
    number: dict[str, int] = defaultdict(int)
    for room in taking:
        number[room.category] += not naming.rooms[room.id].is_skipped
    for id_, count in number.items():
        if count > limits.rooms_of_a_category and id_ in naming.categories:
            text = sentence(
                "The category %(category)s has %(n)s rooms, and the target takes %(limit)s in one: deselect some.",
                category=naming.categories[id_].name,
                n=count,
                limit=limits.rooms_of_a_category,
            )
            yield _finding(None, "target-limit", text, count)


def _finding(room: Room | None, code: str, text: str, count: int = 1) -> Finding:
    return Finding(CODES[code], code, text, None if room is None else room.id, count)
