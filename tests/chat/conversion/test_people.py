"""R114 to R116, R122: who belongs to a room at the target, and what the room is like there."""

from __future__ import annotations

import pytest

from migrations_app.chat.archive.records import (
    Category,
    Grant,
    Principal,
    PrincipalKind,
    PrincipalState,
    Privacy,
    RoleName,
    Room,
    RoomType,
)
from migrations_app.chat.conversion import settings as rooms
from migrations_app.chat.conversion.outgoing import Joining, Limits, Person
from migrations_app.chat.conversion.people import Rights, managers_of, named, people_of, rights_of, roots_of
from tests.support.chat_conversion import InMemory, group, person

MEMBER, MANAGER, PRESENTER, CREATOR = RoleName.MEMBER, RoleName.MANAGER, RoleName.PRESENTER, RoleName.CREATOR
EVERYBODY = [
    person("ann"),
    person("bob"),
    person("cleo"),
    person("noel", account=None),
    person("fred", is_federated=True),
    person("dora", state=PrincipalState.DISABLED),
    person("gone", state=PrincipalState.DELETED),
    group("team", ("bob", "cleo", "ring")),
    group("ring", ("team", "ann")),
    group("all", None),
    group("ou", None, PrincipalKind.FOLDER),
]
PEOPLE: dict[str, Person] = {each.principal.id: each for each in EVERYBODY}


def rights(*grants: tuple[str, RoleName], managers: tuple[str, ...] = ()) -> Rights:
    room = Room("r", "c", "Room", roles=tuple(Grant(*grant) for grant in grants))
    return rights_of(room, PEOPLE, managers=managers)


def told(rights: Rights) -> dict[str, int]:
    return {finding.code: finding.count for finding in rights.findings}


@pytest.mark.parametrize(
    ("grants", "members", "codes"),
    [
        ([("ann", MEMBER)], {"@ann"}, {}),
        ([("ann", MEMBER), ("fred", MEMBER)], {"@ann"}, {"federated": 1}),
        ([("ann", MEMBER), ("dora", MEMBER), ("gone", MANAGER)], {"@ann"}, {"inactive": 2}),
        ([("ann", MEMBER), ("noel", MEMBER)], {"@ann"}, {"no-account": 1}),
        ([("ann", MEMBER), ("all", MEMBER), ("ou", MEMBER)], {"@ann"}, {"group-to-be-granted": 2}),
        ([("team", MEMBER)], {"@ann", "@bob", "@cleo"}, {"group-expanded": 2}),
        ([("ann", MEMBER), ("nobody knows", MEMBER)], {"@ann"}, {"inactive": 1}),
        ([("fred", MEMBER)], set(), {"federated": 1, "no-members": 1}),
        ([], set(), {"no-members": 1}),
        ([("ann", CREATOR), ("bob", MEMBER)], {"@bob"}, {}),
    ],
)
def test_r116_who_becomes_a_member(
    grants: list[tuple[str, RoleName]], members: set[str], codes: dict[str, int]
) -> None:
    found = rights(*grants)
    assert found.members == members
    assert told(found) == codes


def test_r116_names_are_said() -> None:
    sentences = [finding.sentence for finding in rights(("ann", MEMBER), ("fred", MEMBER), ("gone", MEMBER)).findings]
    assert "Fred" in sentences[0]
    assert "Gone (deleted)" in sentences[1]


def test_r116_of_many_some_are_named() -> None:
    assert named(f"P{n:02}" for n in range(25)).endswith("P19 and 5 others")


def test_r114_managers_and_presenters_are_members_too() -> None:
    found = rights(("ann", MANAGER), ("bob", PRESENTER), ("cleo", MEMBER))
    assert (found.members, found.managers, found.presenters) == ({"@ann", "@bob", "@cleo"}, {"@ann"}, {"@bob"})


def test_r114_managers_of_the_root_become_managers_of_the_room() -> None:
    found = rights(("cleo", MEMBER), managers=("ann", "gone"))
    assert (found.managers, told(found)) == ({"@ann"}, {"inactive": 1})


def test_r114_the_root_is_the_one_that_the_source_marks_else_the_top_of_the_path() -> None:
    root = Category("root", "Root", roles=(Grant("ann", MANAGER), Grant("bob", MEMBER)), more={"root": True})
    top = Category("top", "Top", roles=(Grant("cleo", MANAGER),))
    below = Category("below", "Below", parent="top", roles=(Grant("bob", MANAGER),))
    path = [top, below]
    marked = {each.id: each for each in (root, top, below)}
    assert managers_of(roots_of(path, marked)) == ["ann"]
    assert managers_of(roots_of(path, {"top": top, "below": below})) == ["cleo"]


def test_r116_disabled_and_deleted_people_are_marked() -> None:
    class Target:
        def account_of(self, principal: Principal) -> str | None:
            return f"@{principal.id}"

    archive = InMemory(
        principals_=[
            Principal("a", name="Ann"),
            Principal("d", name="Dora", state=PrincipalState.DISABLED),
            Principal("g", sip="gone@contoso.com", state=PrincipalState.DELETED),
            Principal("t", kind=PrincipalKind.GROUP, name="Team"),
        ]
    )
    found = people_of(archive, Target())
    assert [each.shown for each in found.values()] == ["Ann", "Dora (disabled)", "gone@contoso.com (deleted)", "Team"]
    assert found["t"].account is None
    assert people_of(archive, Target(), "es-MX")["g"].shown == "gone@contoso.com (eliminado)"


@pytest.mark.parametrize(
    ("of_category", "of_room", "allowed", "is_warned"),
    [
        (True, None, True, False),
        (True, True, True, False),
        (True, False, False, False),
        (False, None, False, False),
        (False, False, False, False),
        (False, True, False, True),
    ],
)
def test_r115_invitations(of_category: bool, of_room: bool | None, allowed: bool, is_warned: bool) -> None:
    category = Category("c", "C", invitations=of_category)
    room = Room("r", "c", "R", invitations=of_room)
    assert rooms.allows_invitations(room, category) is allowed
    codes = [finding.code for finding in rooms.findings_of(room, category, Limits(), {})]
    assert ("invitations-off" in codes) is is_warned


DOMAIN = Person(Principal("dom", kind=PrincipalKind.FOLDER, name="DC=contoso,DC=com"), None, "")
UNIT = Person(Principal("unit", kind=PrincipalKind.FOLDER, name="OU=Sales,DC=contoso,DC=com"), None, "")


@pytest.mark.parametrize(
    ("privacy", "allowed", "denied", "joining"),
    [
        (Privacy.PRIVATE, (), (), Joining.INVITED),
        (Privacy.SCOPED, (), (), Joining.INVITED),
        (Privacy.OPEN, (), (), Joining.ORGANIZATION),
        (Privacy.OPEN, ("dom",), (), Joining.ORGANIZATION),
        (Privacy.OPEN, ("unit", "dom"), (), Joining.ORGANIZATION),
        (Privacy.OPEN, ("unit",), (), Joining.INVITED),
        (Privacy.OPEN, ("ann",), (), Joining.INVITED),
        (Privacy.OPEN, ("dom",), ("ann",), Joining.INVITED),
        (Privacy.OPEN, ("nobody knows",), (), Joining.INVITED),
        (Privacy.PRIVATE, ("dom",), (), Joining.INVITED),
    ],
)
def test_r122_privacy_is_never_widened(
    privacy: Privacy, allowed: tuple[str, ...], denied: tuple[str, ...], joining: Joining
) -> None:
    category = Category("c", "C", allowed=allowed, denied=denied)
    room = Room("r", "c", "R", privacy=privacy)
    people = {**PEOPLE, "dom": DOMAIN, "unit": UNIT}
    assert rooms.joining_of(room, category, people) is joining
    codes = [finding.code for finding in rooms.findings_of(room, category, Limits(), people)]
    assert "privacy-mapped" in codes
    assert ("scope-narrowed" in codes) is (privacy is Privacy.OPEN and joining is Joining.INVITED)


@pytest.mark.parametrize(
    ("room", "category", "keeps_type", "codes"),
    [
        ({}, {}, True, set()),
        ({"type": RoomType.AUDITORIUM}, {}, True, {"auditorium"}),
        ({"type": RoomType.AUDITORIUM}, {}, False, {"setting-lost"}),
        ({"is_disabled": True}, {}, True, {"read-only"}),
        ({"add_in": "Translator"}, {}, True, {"add-in-lost"}),
        ({}, {"history": False}, True, {"history-off"}),
        ({}, {"files": False}, True, {"setting-lost"}),
    ],
)
def test_r122_each_setting_that_changes_is_said(
    room: dict[str, object], category: dict[str, object], keeps_type: bool, codes: set[str]
) -> None:
    found = rooms.findings_of(
        Room("r", "c", "R", **room),  # type: ignore[arg-type]
        Category("c", "C", **category),  # type: ignore[arg-type]
        Limits(keeps_type=keeps_type),
        PEOPLE,
    )
    assert {finding.code for finding in found} - {"privacy-mapped"} == codes
