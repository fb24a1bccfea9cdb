"""R113, R120: what categories and rooms are called, and what is done where a name is there already."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_app.chat.archive.records import Category, Room
from migrations_app.chat.conversion import names
from migrations_app.chat.conversion.conflicts import Choices, Named, Naming
from migrations_app.chat.conversion.outgoing import Found, Limits, OnConflict

A = Category("a", "A")
B = Category("b", "B", parent="a")
C = Category("c", "C", parent="b")
D = Category("d", "D")
NESTED = {each.id: each for each in (A, B, C, D)}


def named(
    *rooms: Room, limits: Limits | None = None, found: Found | None = None, **choices: object
) -> dict[str, tuple[str, str]]:
    """What each room and its category become."""
    naming = naming_of(*rooms, limits=limits, found=found, **choices)
    return {room.id: (naming.categories[room.category].name, naming.rooms[room.id].name) for room in rooms}


def naming_of(*rooms: Room, limits: Limits | None = None, found: Found | None = None, **choices: object) -> Naming:
    return Naming(NESTED, rooms, limits or Limits(), found or Found(), Choices(**choices))  # type: ignore[arg-type]


def codes(named: Named) -> list[str]:
    return [finding.code for finding in named.findings]


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("General", "GENERAL", True),
        ("Straße", "STRASSE", True),
        ("Caf\u00e9", "Cafe\u0301", True),
        ("CAFE\u0301", "caf\u00e9", True),
        ("Café", "Cafe", False),
        ("Общий", "ОБЩИЙ", True),
        ("Общий", "Общии", False),
        (" General ", "General", True),
        ("Gen eral", "General", False),
    ],
)
def test_r120_names_are_compared_without_case_and_accents_count(one: str, other: str, is_same: bool) -> None:
    assert (names.folded(one) == names.folded(other)) is is_same


@pytest.mark.parametrize(
    ("category", "limits", "choices", "expected"),
    [
        ("a", {}, {}, ("A", "R")),
        ("b", {}, {}, ("A - B", "R")),
        ("c", {}, {}, ("A - B - C", "R")),
        ("c", {"prefixes_rooms": True}, {}, ("A - B - C", "A - B - C - R")),
        ("a", {"prefixes_rooms": True}, {}, ("A", "R")),
        ("c", {}, {"prefixes_rooms": True}, ("A - B - C", "A - B - C - R")),
        ("c", {}, {"separator": " / ", "prefixes_rooms": True}, ("A / B / C", "A / B / C / R")),
        ("c", {}, {"names": {"r": "Chosen"}, "prefixes_rooms": True}, ("A - B - C", "Chosen")),
        ("c", {}, {"category_names": {"c": "Short"}}, ("Short", "R")),
    ],
)
def test_r113_a_nested_category_becomes_one(
    category: str, limits: dict[str, object], choices: dict[str, object], expected: tuple[str, str]
) -> None:
    assert named(Room("r", category, "R"), limits=Limits(**limits), **choices) == {"r": expected}  # type: ignore[arg-type]


def test_r113_what_is_flattened_and_prefixed_is_said() -> None:
    naming = naming_of(Room("r", "c", "R"), Room("s", "a", "S"), prefixes_rooms=True)
    assert codes(naming.categories["c"]) == ["flattened"]
    assert "A / B / C" in naming.categories["c"].findings[0].sentence
    assert codes(naming.rooms["r"]) == ["prefixed"]
    assert codes(naming.categories["a"]) == codes(naming.rooms["s"]) == []


def test_r113_rooms_that_would_collide_get_the_prefix() -> None:
    rooms = Room("r", "c", "General"), Room("s", "d", "GENERAL"), Room("t", "a", "Other")
    assert named(*rooms) == {"r": ("A - B - C", "A - B - C - General"), "s": ("D", "D - GENERAL"), "t": ("A", "Other")}


def test_r113_rooms_of_different_categories_may_share_a_name_where_the_target_has_it_so() -> None:
    rooms = Room("r", "c", "General"), Room("s", "d", "General")
    limits = Limits(room_names_within_category=True)
    assert named(*rooms, limits=limits) == {"r": ("A - B - C", "General"), "s": ("D", "General")}
    found = Found(rooms={"d/general": "!7"})
    naming = naming_of(*rooms, limits=limits, found=found)
    assert (codes(naming.rooms["r"]), codes(naming.rooms["s"])) == ([], ["name-taken"])


@pytest.mark.parametrize(
    ("length", "limit", "is_error"),
    [(256, None, False), (257, None, True), (50, 50, False), (51, 50, True), (256, 300, False), (257, 300, True)],
)
def test_r113_a_name_that_is_too_long_is_an_error_with_a_proposal(
    length: int, limit: int | None, is_error: bool
) -> None:
    name = "n" * length
    named = naming_of(Room("r", "a", name), limits=Limits(room_name=limit)).rooms["r"]
    assert named.name == name
    assert codes(named) == (["name-too-long"] if is_error else [])
    if is_error:
        assert str(length) in named.findings[0].sentence
        assert "…" in named.findings[0].sentence


def test_r113_the_prefix_counts_for_the_length() -> None:
    room = Room("r", "c", "n" * 250)
    assert codes(naming_of(room).rooms["r"]) == []
    assert codes(naming_of(room, prefixes_rooms=True).rooms["r"]) == ["prefixed", "name-too-long"]


def test_r113_the_name_of_a_category_may_be_too_long_too() -> None:
    named = naming_of(Room("r", "c", "R"), limits=Limits(category_name=8)).categories["c"]
    assert (named.name, codes(named)) == ("A - B - C", ["flattened", "name-too-long"])


@settings(max_examples=40, deadline=None)
@given(st.text(min_size=1, max_size=80), st.integers(8, 60))
def test_r113_a_proposed_name_fits_and_is_free(name: str, at_most: int) -> None:
    taken = {names.folded(names.shorter(name, at_most))}
    proposed = names.shorter(name, at_most, taken)
    assert len(proposed) <= at_most
    assert len(name) <= at_most or names.folded(proposed) not in taken


def test_r113_a_name_with_characters_that_cannot_be_is_an_error() -> None:
    limits = Limits(room_name_forbidden="[#%&]")
    assert codes(naming_of(Room("r", "a", "Q&A #1"), limits=limits).rooms["r"]) == ["name-not-allowed"]
    assert "Q-A -1" in naming_of(Room("r", "a", "Q&A #1"), limits=limits).rooms["r"].findings[0].sentence
    assert codes(naming_of(Room("r", "a", "two\nlines")).rooms["r"]) == ["name-not-allowed"]
    assert codes(naming_of(Room("r", "a", "  ")).rooms["r"]) == ["name-not-allowed"]


def test_r113_a_proposal_is_taken_where_somebody_says_rename_of_this_room() -> None:
    room, limits = Room("r", "a", "Q&A " + "n" * 60), Limits(room_name=20, room_name_forbidden="[&]")
    assert codes(naming_of(room, limits=limits, on_conflict=OnConflict.RENAME).rooms["r"]) == ["name-too-long"]
    named = naming_of(room, limits=limits, of_room={"r": OnConflict.RENAME}).rooms["r"]
    assert codes(named) == ["renamed"]
    assert len(named.name) <= 20
    assert "&" not in named.name


THERE = Found(rooms={"canteen": "!9"}, categories={"d": "*9"})
CANTEEN = Room("r", "a", "Canteen", guid="g")


@pytest.mark.parametrize(
    ("answer", "name", "merges_into", "is_skipped", "code"),
    [
        ("refuse", "Canteen", None, False, "name-taken"),
        ("merge", "Canteen", "!9", False, "merged"),
        ("rename", "Canteen (2)", None, False, "renamed"),
        ("skip", "Canteen", None, True, "skipped"),
    ],
)
@pytest.mark.parametrize("is_default", [True, False])
def test_r120_a_conflict_has_four_answers(
    answer: str, name: str, merges_into: str | None, is_skipped: bool, code: str, is_default: bool
) -> None:
    on_conflict = OnConflict(answer)
    choices = {"on_conflict": on_conflict} if is_default else {"of_room": {"r": on_conflict}}
    named = naming_of(CANTEEN, found=THERE, **choices).rooms["r"]
    assert (named.name, named.merges_into, named.is_skipped) == (name, merges_into, is_skipped)
    assert codes(named) == [code]


def test_r120_the_answer_for_a_room_goes_before_the_default() -> None:
    naming = naming_of(CANTEEN, found=THERE, on_conflict=OnConflict.SKIP, of_room={"r": OnConflict.MERGE})
    assert naming.rooms["r"].merges_into == "!9"


def test_r120_another_name_is_free_at_the_target_and_in_the_archive() -> None:
    found = Found(rooms={"canteen": "!1", "canteen (2)": "!2"})
    rooms = CANTEEN, Room("s", "a", "CANTEEN (3)")
    assert naming_of(*rooms, found=found, on_conflict=OnConflict.RENAME).rooms["r"].name == "Canteen (4)"


@pytest.mark.parametrize(
    ("answer", "name", "merges_into", "code"),
    [("refuse", "D", None, "name-taken"), ("merge", "D", "*9", "merged"), ("rename", "D (2)", None, "renamed")],
)
def test_r120_a_category_may_be_there_too(answer: str, name: str, merges_into: str | None, code: str) -> None:
    room = Room("r", "d", "New")
    for choices in ({"on_conflict": OnConflict(answer)}, {"of_room": {"r": OnConflict(answer)}}):
        named = naming_of(room, found=THERE, **choices).categories["d"]
        assert (named.name, named.merges_into, codes(named)) == (name, merges_into, [code])


def test_r120_two_rooms_of_an_archive_are_never_made_one() -> None:
    twins = Room("r", "a", "Twin"), Room("s", "a", "twin")
    for answer, expected in (
        ("refuse", ["collides"]),
        ("merge", ["collides"]),
        ("rename", ["renamed"]),
        ("skip", ["skipped"]),
    ):
        naming = naming_of(*twins, on_conflict=OnConflict(answer))
        assert codes(naming.rooms["r"]) == ["prefixed"]
        assert codes(naming.rooms["s"])[1:] == expected
    assert naming_of(*twins, on_conflict=OnConflict.RENAME).rooms["s"].name == "A - twin (2)"


def test_r120_a_room_that_is_left_out_takes_no_name() -> None:
    twins = Room("r", "a", "Twin"), Room("s", "a", "twin")
    assert codes(naming_of(*twins, deselected=frozenset({"r"})).rooms["s"]) == []
    disabled = Room("r", "a", "Twin", is_disabled=True), Room("s", "a", "twin")
    assert codes(naming_of(*disabled).rooms["s"]) == []
    assert codes(naming_of(*disabled, includes_disabled=True).rooms["s"]) == ["prefixed", "collides"]


def test_r111_what_an_earlier_import_made_is_no_conflict() -> None:
    found = Found(rooms={"canteen": "!9"}, ours={"g": "!9"}, categories={"a": "*1"}, our_categories={"a": "*1"})
    naming = naming_of(CANTEEN, found=found)
    assert (codes(naming.rooms["r"]), codes(naming.categories["a"])) == ([], [])
    # Made under another name, because there was one of that name: it keeps it.
    renamed = Found(rooms={"canteen": "!1", "canteen (2)": "!9"}, ours={"g": "!9"})
    assert naming_of(CANTEEN, found=renamed).rooms["r"].name == "Canteen (2)"


def test_r113_a_path_that_leads_to_itself_ends() -> None:
    loop = {"x": Category("x", "X", parent="y"), "y": Category("y", "Y", parent="x")}
    assert [each.id for each in names.path_of("x", loop)] == ["y", "x"]
    assert names.path_of("nowhere", loop) == []


def test_r120_thousands_of_one_name_get_numbers() -> None:
    rooms = [Room(f"r{n}", "a", "Same") for n in range(3_000)]
    made = named(*rooms, on_conflict=OnConflict.RENAME)
    assert len({name for _, name in made.values()}) == 3_000
