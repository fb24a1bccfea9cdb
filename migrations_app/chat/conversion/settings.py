"""What a room is like at the target: invitations (R115), privacy, auditoriums and read-only rooms (R122)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from migrations_app.chat.archive.records import Category, PrincipalKind, Privacy, Room, RoomType
from migrations_app.chat.conversion.findings import CODES, Finding
from migrations_app.chat.conversion.outgoing import Joining, Limits, Person
from tenants_app.sentences import sentence

_DOMAIN = re.compile(r"(?:DC=[^,=]+,?)+|[\w-]+(?:\.[\w-]+)+/?", re.IGNORECASE)
"""A container that is a whole domain, by its distinguished or canonical name."""


def allows_invitations(room: Room, category: Category) -> bool:
    """R115: what the room says, where the category allows it; nothing where the category does not."""
    return category.invitations and room.invitations is not False


def joining_of(room: Room, category: Category, people: Mapping[str, Person]) -> Joining:
    """Who may come in: never more than at the source (R122). An open room whose category is limited to some people is
    open to these only, which no target has: it becomes one for the invited."""
    if room.privacy is not Privacy.OPEN or is_limited(category, people):
        return Joining.INVITED
    return Joining.ORGANIZATION


def is_limited(category: Category, people: Mapping[str, Person]) -> bool:
    """Whether the category's scope is less than the organization: somebody is denied, or only some are allowed."""
    if category.denied:
        return True
    return bool(category.allowed) and not any(_is_everybody(people.get(each)) for each in category.allowed)


def _is_everybody(person: Person | None) -> bool:
    if person is None or person.principal.kind is not PrincipalKind.FOLDER:
        return False
    return any(_DOMAIN.fullmatch(name.strip()) for name in (person.principal.name, person.principal.upn) if name)


def findings_of(room: Room, category: Category, limits: Limits, people: Mapping[str, Person]) -> Iterator[Finding]:
    """What of the room's settings becomes something else there, or is lost."""

    def finding(code: str, text: str) -> Finding:
        return Finding(CODES[code], code, text, room.id)

    if room.invitations is True and not category.invitations:
        yield finding(
            "invitations-off",
            sentence("The category allows no invitations, though the room does: they are off at the target."),
        )
    yield finding("privacy-mapped", _privacy(room, category, people))
    if room.privacy is Privacy.OPEN and is_limited(category, people):
        yield finding(
            "scope-narrowed",
            sentence(
                "The room is open to those whom its category allows, and no others. The target has no such rooms: only"
                " its members have access, and a manager must invite the others."
            ),
        )
    if room.type is RoomType.AUDITORIUM:
        if limits.keeps_type:
            yield finding("auditorium", sentence("Only presenters and managers may write, as at the source."))
        else:
            yield finding(
                "setting-lost",
                sentence("It is an auditorium, which the target does not have: all members may write there."),
            )
    if room.is_disabled:
        yield finding("read-only", sentence("The room is disabled at the source: nobody can write at the target."))
    if room.add_in:
        yield finding(
            "add-in-lost",
            sentence("The room's add-in is not taken along: %(add_in)s. Add it at the target.", add_in=room.add_in),
        )
    if not category.history:
        yield finding(
            "history-off",
            sentence("The category keeps no history: what is written from now on is kept at the target nevertheless."),
        )
    if not category.files:
        yield finding(
            "setting-lost",
            sentence("Nobody can post files in this room. The target has no such setting, and allows it."),
        )


def _privacy(room: Room, category: Category, people: Mapping[str, Person]) -> str:
    if joining_of(room, category, people) is Joining.ORGANIZATION:
        return sentence("Open: everybody of the organization may join, and reads after joining.")
    if room.privacy is Privacy.PRIVATE:
        return sentence("Private: only those who are invited have access.")
    if room.privacy is Privacy.SCOPED:
        return sentence("Scoped: only those who are invited have access, and others do not find it.")
    return sentence("Open to some: only those who are invited have access.")
