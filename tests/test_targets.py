"""The targets of a run: what becomes of the meetings of each service, and what that is called (R18, R40, R44)."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.models import MeetingResult, Run
from migrations_app.runs.movements import Movements, movement_of
from migrations_app.targets import ALL_CURRENT, MIGRATION_TYPES, SOURCES, Targets

LINK = {"SkypeForBusiness": "Link", "Teams": "Current", "Link": "Current"}


@pytest.mark.parametrize(
    ("source", "target", "stored", "name"),
    [
        ("All", "Current", dict.fromkeys(SOURCES, "Current"), "ToSameType"),
        ("All", "Link", dict.fromkeys(SOURCES, "Link"), "AllToLink"),
        ("SkypeForBusiness", "Link", {"SkypeForBusiness": "Link"}, "SkypeForBusinessToLink"),
        ("Teams", "Link", {"Teams": "Link"}, "TeamsToLink"),
        ("Link", "Link", {"Link": "Link"}, "LinkToLink"),
        ("Teams", "Current", {"Teams": "Current"}, "ToSameType"),
    ],
)
def test_r40_r44_the_types_of_a_start_by_hand(source: str, target: str, stored: dict[str, str], name: str) -> None:
    targets = Targets.of_types(source, target)

    assert targets.stored == stored
    assert targets.migration_type == name
    assert targets.selects_all is (source == "All")
    assert [targets.target_of(each) for each in (*SOURCES, "Zoom")] == [*map(stored.get, SOURCES), None]


def test_r1_r39_a_move_names_the_service_for_skypes_meetings_or_that_there_is_none() -> None:
    assert Targets.of_move("Link").stored == LINK
    assert Targets.of_move("Link").migration_type == "SkypeForBusinessToLink"
    assert Targets.of_move("none").stored == LINK | {"SkypeForBusiness": "none"}
    assert Targets.of_move("none").migration_type == "ToSameType", "the meetings stay as they are"
    assert Targets.of_move("none").services == frozenset()


TARGETS = st.dictionaries(st.sampled_from(SOURCES), st.sampled_from(["Current", "none", "Link"]), min_size=1).map(
    Targets.of
)


@given(st.lists(TARGETS, min_size=1, max_size=4))
def test_r18_r40_what_joins_adds_and_a_service_goes_before_current_in_any_order(changes: list[Targets]) -> None:
    joined = set()
    for order in permutations(changes):
        together = order[0]
        for later in order[1:]:
            together = together.joined(later)
        joined.add(together)
    (targets,) = joined
    for source in SOURCES:
        asked = {change.target_of(source) for change in changes} - {None}
        best = next((each for each in ("Link", "none", "Current") if each in asked), None)
        assert targets.target_of(source) == best


def test_r40_of_two_services_that_changes_name_the_later_one_counts() -> None:
    first, then = Targets.of_move("Teams"), Targets.of_move("Link")

    assert first.joined(then) == then
    assert first.joined(ALL_CURRENT) == first


@given(TARGETS)
def test_r44_every_name_is_one_that_the_filters_offer_and_fits_its_column(targets: Targets) -> None:
    length = Run._meta.get_field("migration_type").max_length

    assert targets.migration_type in MIGRATION_TYPES
    assert length
    assert all(len(name) <= length for name in MIGRATION_TYPES)


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (ALL_CURRENT, "all meetings stay in their service"),
        (Targets.of_types("All", "Link"), "all meetings move to Link"),
        (Targets.of_move("Link"), "Skype for Business meetings move to Link, and all others stay in their service"),
        (
            Targets.of_types("Teams", "Current"),
            "Teams meetings stay in their service, and meetings of other services are left alone",
        ),
        (
            Targets.of_types("Link", "Link"),
            "Link meetings whose link does not begin with the meeting URL get a new one, and meetings of other "
            "services are left alone",
        ),
        (
            Targets.of_move("none"),
            "Skype for Business meetings stay as they are, because no meeting service can make them anew, and all "
            "others stay in their service",
        ),
    ],
)
def test_it_reads_as_the_end_of_a_sentence(targets: Targets, words: str) -> None:
    assert targets.words == words


# --- what becomes of one meeting ------------------------------------------------------------------------


def result(
    service: str, outcome: str = "Succeeded", before: str = "a", after: str = "a", **targets: str
) -> MeetingResult:
    return MeetingResult(
        run=Run(targets=targets or dict.fromkeys(SOURCES, "Current")),
        outcome=outcome,
        meeting_service=service,
        join_url_before=before,
        join_url_after=after,
    )


@pytest.mark.parametrize(
    ("meeting", "ahead", "done"),
    [
        (result("Teams"), "stays in Teams", "stayed in Teams"),
        (result("Zoom", "Skipped"), "stays in Zoom", "stayed in Zoom"),
        (
            result("SkypeForBusiness", after="b", **LINK),
            "moves from Skype for Business to Link",
            "moved from Skype for Business to Link",
        ),
        (
            result("SkypeForBusiness", "Failed", **LINK),
            "stays in Skype for Business",
            "stayed in Skype for Business",
        ),
        (
            result("SkypeForBusiness", "Skipped", SkypeForBusiness="none"),
            "stays in Skype for Business",
            "stayed in Skype for Business",
        ),
        (result("Teams", "Skipped", Link="Link"), "stays in Teams", "stayed in Teams"),
        (result("Link", Link="Link"), "stays in Link", "stayed in Link"),
        (result("Link", after="b", Link="Link"), "gets a new Link link", "got a new Link link"),
    ],
)
def test_r40_a_meeting_moves_only_where_it_was_made_anew_in_another_service(
    meeting: MeetingResult, ahead: str, done: str
) -> None:
    movement = movement_of(meeting)

    assert movement
    assert (movement.ahead, movement.done) == (ahead, done)


def test_r40_what_moves_and_what_stays_is_counted() -> None:
    counted = Movements()
    for meeting in [result("SkypeForBusiness", after="b", **LINK)] * 2 + [result("Teams", **LINK), result("")]:
        counted.note(meeting)

    assert counted.ahead == ("2 would move from Skype for Business to Link and 1 would stay in its meeting service.")
    assert counted.done == "2 moved from Skype for Business to Link and 1 stayed in its meeting service."
    assert Movements().ahead == ""
