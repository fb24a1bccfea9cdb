"""Names that are there already, and what is done about them (R113, R120). Nothing is ever overwritten.

All names of an archive are settled at once, before any message is read: a room's name depends on those of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from migrations_app.chat.archive.records import Category, Room
from migrations_app.chat.conversion import names
from migrations_app.chat.conversion.findings import CODES, Finding
from migrations_app.chat.conversion.names import SEPARATOR
from migrations_app.chat.conversion.outgoing import Found, Limits, OnConflict
from tenants_app.sentences import Sentence, sentence

Key = Callable[[str], str]
"""By what a name is compared with those that are taken."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What whoever plans has decided (R110, R113, R114, R120)."""

    on_conflict: OnConflict = OnConflict.REFUSE
    of_room: Mapping[str, OnConflict] = field(default_factory=dict)
    """Answers for single rooms, by id; they go before the default."""
    deselected: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    """Names that somebody chose for rooms, by id, such as a shorter one."""
    category_names: Mapping[str, str] = field(default_factory=dict)
    prefixes_rooms: bool = False
    keeps_root_managers: bool = True
    includes_disabled: bool = False
    separator: str = SEPARATOR

    def of(self, room: str) -> OnConflict:
        return self.of_room.get(room, self.on_conflict)


@dataclass(slots=True)
class Named:
    """What a category or a room is called at the target."""

    name: str
    merges_into: str | None = None
    is_skipped: bool = False
    findings: list[Finding] = field(default_factory=list)
    """Of a category they name no room yet: each of its rooms has them."""


class Naming:
    """The names of all categories and rooms of an archive at one target."""

    def __init__(
        self, categories: Mapping[str, Category], rooms: Sequence[Room], limits: Limits, found: Found, choices: Choices
    ) -> None:
        self._categories, self._limits, self._found, self._choices = categories, limits, found, choices
        self.paths: dict[str, list[Category]] = {
            room.category: names.path_of(room.category, categories) for room in rooms
        }
        self.left_out = {
            room.id
            for room in rooms
            if room.id in choices.deselected or (room.is_disabled and not choices.includes_disabled)
        }
        """Rooms that are not imported, and so take no name from others."""
        taking = [room for room in rooms if room.id not in self.left_out]
        self._answers: dict[str, set[OnConflict]] = {}
        self._numbers: dict[str, int] = {}
        for room in taking:
            if room.id in choices.of_room:
                self._answers.setdefault(room.category, set()).add(choices.of_room[room.id])
        self.categories = self._name_categories(taking, rooms)
        self.rooms = self._name_rooms(taking, rooms)

    # --- categories -----------------------------------------------------------------------------------

    def _name_categories(self, taking: Sequence[Room], rooms: Sequence[Room]) -> dict[str, Named]:
        used = dict.fromkeys(room.category for room in [*taking, *rooms] if self.paths[room.category])
        flat = {id_: self._flat(id_) for id_ in used}
        taken = set(self._found.categories) | {names.folded(name) for name in flat.values()}
        made: dict[str, Named] = {}
        holders: dict[str, str] = {}
        in_use = {room.category for room in taking}
        for id_, name in flat.items():
            named = Named(name)
            made[id_] = named
            if len(self.paths[id_]) > 1 and id_ not in self._choices.category_names:
                named.findings.append(
                    _finding(
                        "flattened",
                        sentence(
                            "The category %(path)s becomes %(name)s: there is one level only.",
                            path=names.shown_path(self.paths[id_]),
                            name=name,
                        ),
                    )
                )
            if id_ in in_use:
                self._settle_category(id_, named, taken, holders)
            self._check(named, self._limits.category_name, taken, names.folded, is_room=False)
        return made

    def _flat(self, id_: str) -> str:
        return self._choices.category_names.get(id_) or names.flat(self.paths[id_], self._choices.separator)

    def _settle_category(self, id_: str, named: Named, taken: set[str], holders: dict[str, str]) -> None:
        key = names.folded(named.name)
        answer = self._of_category(id_)
        if key in holders:  # two categories of the archive
            other = holders[key]
            if answer is OnConflict.RENAME:
                self._rename(named, taken, names.folded, is_room=False)
                holders[names.folded(named.name)] = named.name
            elif answer is OnConflict.SKIP:
                self._skip(named, is_room=False)
            else:
                named.findings.append(
                    _finding(
                        "collides",
                        sentence(
                            "Two categories of the archive would be called %(name)s. Answer with another name for one"
                            " of them, or deselect its rooms.",
                            name=other,
                        ),
                    )
                )
            return
        holders[key] = named.name
        category = self._categories[id_]
        there = self._found.categories.get(key)
        if there is not None and there != self._found.our_categories.get(category.guid or category.id):
            self._answer(named, answer, there, taken, names.folded, is_room=False)

    def _of_category(self, id_: str) -> OnConflict:
        """The default, or where that is to refuse, what was answered for one of its rooms: merging before renaming."""
        if self._choices.on_conflict is not OnConflict.REFUSE:
            return self._choices.on_conflict
        of_rooms = self._answers.get(id_, set())
        for answer in (OnConflict.MERGE, OnConflict.RENAME):
            if answer in of_rooms:
                return answer
        return OnConflict.REFUSE

    # --- rooms ----------------------------------------------------------------------------------------

    def _name_rooms(self, taking: Sequence[Room], rooms: Sequence[Room]) -> dict[str, Named]:
        made = {room.id: self._base(room) for room in rooms}
        shared = Counter(self._key(room, made[room.id].name) for room in taking)
        for room in taking:
            path = self.paths[room.category]
            is_shared = shared[self._key(room, made[room.id].name)] > 1
            if is_shared and path and room.id not in self._choices.names and made[room.id].name == room.name:
                self._prefix(made[room.id], path)
        taken = set(self._found.rooms) | {self._key(room, made[room.id].name) for room in taking}
        holders: set[str] = set()
        for room in taking:
            self._settle_room(room, made[room.id], taken, holders)
        for room in rooms:
            is_told_to_rename = self._choices.of_room.get(room.id) is OnConflict.RENAME
            key = partial(self._key, room)
            self._check(made[room.id], self._limits.room_name, taken, key, is_room=True, takes=is_told_to_rename)
        return made

    def _key(self, room: Room, name: str) -> str:
        """By what a room's name is compared: within its category where the target has it so."""
        if not self._limits.room_names_within_category:
            return names.folded(name)
        category = self.categories.get(room.category)
        return f"{names.folded(category.name) if category else ''}/{names.folded(name)}"

    def _base(self, room: Room) -> Named:
        if chosen := self._choices.names.get(room.id):
            return Named(chosen)
        named = Named(room.name)
        path = self.paths[room.category]
        if len(path) > 1 and (self._limits.prefixes_rooms or self._choices.prefixes_rooms):
            self._prefix(named, path)
        return named

    def _prefix(self, named: Named, path: Sequence[Category]) -> None:
        named.name = names.prefixed(named.name, path, self._choices.separator)
        named.findings.append(
            _finding(
                "prefixed", sentence("The room gets the names of its categories before it: %(name)s.", name=named.name)
            )
        )

    def _settle_room(self, room: Room, named: Named, taken: set[str], holders: set[str]) -> None:
        key = partial(self._key, room)
        answer = self._choices.of(room.id)
        ours = self._found.ours.get(room.guid or room.id)
        if ours is not None:  # an earlier import has made it, perhaps under another name (R111)
            named.name = self._name_of_ours(named.name, ours, key)
            holders.add(key(named.name))
            return
        if key(named.name) in holders:  # another room of the archive has it
            if answer is OnConflict.RENAME:
                self._rename(named, taken, key, is_room=True)
            elif answer is OnConflict.SKIP:
                self._skip(named, is_room=True)
            else:
                named.findings.append(
                    _finding(
                        "collides",
                        sentence(
                            "Another room of the archive would be called %(name)s, too, and two rooms of an archive are"
                            " never made one. Answer “rename” for one of them, or deselect it.",
                            name=named.name,
                        ),
                    )
                )
        elif key(named.name) in self._found.rooms:
            self._answer(named, answer, self._found.rooms[key(named.name)], taken, key, is_room=True)
        if not named.is_skipped:
            holders.add(key(named.name))

    def _name_of_ours(self, name: str, ours: str, key: Key) -> str:
        there = self._found.rooms
        candidate, number = name, 2
        while key(candidate) in there:
            if there[key(candidate)] == ours:
                return candidate
            candidate, number = f"{name} ({number})", number + 1
        return name

    # --- what is done about one -----------------------------------------------------------------------

    def _answer(
        self, named: Named, answer: OnConflict, there: str, taken: set[str], key: Key, *, is_room: bool
    ) -> None:
        if answer is OnConflict.MERGE:
            named.merges_into = there
            named.findings.append(_finding("merged", _merged(named.name, is_room)))
        elif answer is OnConflict.RENAME:
            self._rename(named, taken, key, is_room=is_room)
        elif answer is OnConflict.SKIP:
            self._skip(named, is_room=is_room)
        else:
            named.findings.append(_finding("name-taken", _taken(named.name, is_room)))

    def _rename(self, named: Named, taken: set[str], key: Key, *, is_room: bool) -> None:
        before, named.name = named.name, self._another(named.name, taken, key)
        taken.add(key(named.name))
        text = (
            sentence("There is a room %(name)s already: this one becomes %(new)s.", name=before, new=named.name)
            if is_room
            else sentence("There is a category %(name)s already: this becomes %(new)s.", name=before, new=named.name)
        )
        named.findings.append(_finding("renamed", text))

    def _another(self, name: str, taken: set[str], key: Key) -> str:
        """With a number behind it. Of many of one name, none begins to count at the beginning."""
        made, number = names.another(name, taken, key, first=self._numbers.get(key(name), 2))
        self._numbers[key(name)] = number
        return made

    def _skip(self, named: Named, *, is_room: bool) -> None:
        named.is_skipped = True
        text = (
            sentence("There is a room %(name)s already: this one is not imported.", name=named.name)
            if is_room
            else sentence("There is a category %(name)s already: its rooms are not imported.", name=named.name)
        )
        named.findings.append(_finding("skipped", text))

    def _check(
        self, named: Named, limit: int | None, taken: set[str], key: Key, *, is_room: bool, takes: bool = False
    ) -> None:
        """Whether the name can be one there (R113). What is proposed instead is taken only where somebody has answered
        for this very room that it gets another name."""
        at_most = names.longest(limit)
        forbidden = self._limits.room_name_forbidden if is_room else ""
        refused = names.refused_characters(named.name, forbidden)
        is_too_long = len(named.name) > at_most
        if not is_too_long and not refused and named.name.strip():
            return
        proposed = names.shorter(names.without_refused(named.name, forbidden), at_most, taken, key)
        if takes and proposed:
            before, named.name = named.name, proposed if key(proposed) not in taken else ""
            if not named.name:
                named.name = names.shorter(self._another(proposed, taken, key), at_most, taken, key)
            taken.add(key(named.name))
            text = sentence("The room %(name)s becomes %(new)s.", name=before, new=named.name)
            named.findings.append(_finding("renamed", text))
        elif is_too_long:
            named.findings.append(_finding("name-too-long", _too_long(named.name, at_most, proposed, is_room)))
        else:
            named.findings.append(_finding("name-not-allowed", _not_allowed(named.name, refused, proposed, is_room)))


def _merged(name: str, is_room: bool) -> Sentence:
    if is_room:
        return sentence(
            "There is a room %(name)s already: the messages are added to it, where all its members read them.",
            name=name,
        )
    return sentence("There is a category %(name)s already: the rooms are put into it.", name=name)


def _taken(name: str, is_room: bool) -> Sentence:
    if is_room:
        return sentence(
            "There is a room %(name)s at the target already. Answer “merge”, “rename” or “skip”, or deselect the room.",
            name=name,
        )
    return sentence(
        "There is a category %(name)s at the target already. Answer “merge” or “rename”, or deselect its rooms.",
        name=name,
    )


def _too_long(name: str, at_most: int, proposed: str, is_room: bool) -> Sentence:
    if is_room:
        return sentence(
            "The name of the room has %(length)s characters, and %(limit)s are possible: %(name)s. A shorter one could"
            " be %(proposed)s.",
            length=len(name),
            limit=at_most,
            name=name,
            proposed=proposed,
        )
    return sentence(
        "The name of the category has %(length)s characters, and %(limit)s are possible: %(name)s. A shorter one"
        " could be %(proposed)s.",
        length=len(name),
        limit=at_most,
        name=name,
        proposed=proposed,
    )


def _not_allowed(name: str, refused: str, proposed: str, is_room: bool) -> Sentence:
    if not name.strip():
        return sentence("The room has no name.") if is_room else sentence("The category has no name.")
    shown = " ".join(character if character.isprintable() else f"U+{ord(character):04X}" for character in refused)
    if is_room:
        return sentence(
            "The name of the room has characters that it cannot have at the target: %(characters)s. It could be"
            " %(proposed)s.",
            characters=shown,
            proposed=proposed,
        )
    return sentence(
        "The name of the category has characters that it cannot have at the target: %(characters)s. It could be"
        " %(proposed)s.",
        characters=shown,
        proposed=proposed,
    )


def _finding(code: str, text: str) -> Finding:
    return Finding(CODES[code], code, text)
