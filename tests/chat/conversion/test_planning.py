"""R110: a plan reads everything, changes nothing, and says of each room what becomes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import (
    Category,
    ChatFile,
    Grant,
    Message,
    MessageKind,
    Principal,
    RoleName,
    Room,
)
from migrations_app.chat.conversion.findings import CODES, Severity
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import Found, Limits
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.conversion.planned import as_json, outgoing_of
from migrations_app.chat.conversion.planning import Choices, PlannedRoom, plan_as_a_whole, plan_rooms
from tests.support.chat_conversion import InMemory, message
from tests.support.chat_organization import Organization

ROOM = Room("r1", "c1", "Canteen", roles=(Grant("ann", RoleName.MANAGER),))
PRINCIPALS = [Principal("ann", name="Ann"), Principal("bob", name="Bob")]
SMALL = InMemory(
    categories_=[Category("c1", "House")], rooms_=[ROOM], messages_={"r1": [message(1)]}, principals_=PRINCIPALS
)


class Target:
    def account_of(self, principal: Principal) -> str | None:
        return f"@{principal.id}" if not principal.is_federated else None


def plan(archive: InMemory, limits: Limits | None = None, found: Found | None = None, **choices: object) -> PlannedRoom:
    return next(
        plan_rooms(
            archive,
            limits or Limits(),
            found or Found(),
            people_of(archive, Target()),
            Choices(**choices),  # type: ignore[arg-type]
            now=datetime(2026, 11, 30, tzinfo=UTC),
        )
    )


def counts(planned: PlannedRoom) -> dict[str, int]:
    return {finding.code: finding.count for finding in planned.findings if finding.code != "privacy-mapped"}


def with_messages(*messages: Message, **values: object) -> InMemory:
    return replace(SMALL, messages_={"r1": messages}, **values)  # type: ignore[arg-type]


LOST = ChatFile("f", "r1", "lost.txt", is_missing=True)
LARGE = ChatFile("f", "r1", "large.iso", bytes=10**9, sha256="ab" * 32)


@pytest.mark.parametrize(
    ("archive", "limits", "found", "expected"),
    [
        (SMALL, {}, {}, {}),
        (SMALL, {"keeps_author": False}, {}, {"author-in-text": 1}),
        (SMALL, {"keeps_time": False}, {}, {"time-in-text": 1}),
        (
            with_messages(message(1, seconds=1), message(2, seconds=1)),
            {"times_are_unique": True},
            {},
            {"times-shifted": 1},
        ),
        (
            with_messages(*(message(n, seconds=1) for n in range(1, 1_003))),
            {"times_are_unique": True},
            {},
            {"times-shifted": 1_000, "time-not-kept": 1},
        ),
        (
            with_messages(message(1, seconds=1), message(2, seconds=100), message(3, seconds=1)),
            {"times_are_unique": True},
            {},
            {"times-shifted": 1},
        ),
        (with_messages(message(1, "line\n" * 50)), {"message_bytes": 100}, {}, {"split": 1}),
        (with_messages(message(1, "a\x01b\x02")), {"forbidden": "[\x00-\x08]"}, {}, {"replaced-characters": 2}),
        (with_messages(message(1, "x", rtf="{\\rtf1 y}"), message(2, "x", rtf="none")), {}, {}, {"formatting-lost": 1}),
        (with_messages(message(1, "x", file="f"), files_=[LOST]), {}, {}, {"file-missing": 1}),
        (with_messages(message(1, "x", file="f"), files_=[LARGE]), {"file_bytes": 10**6}, {}, {"file-too-large": 1}),
        (with_messages(message(1, "x", author="4711")), {}, {}, {"unknown-author": 1}),
        (with_messages(message(1, " ")), {}, {}, {"empty-message": 1}),
        (replace(SMALL, rooms_=[replace(ROOM, left_out=12)]), {}, {}, {"left-out-before": 12}),
        (SMALL, {}, {"retention_days": 90}, {"retention": 1}),
        (SMALL, {}, {"retention_days": 90_000}, {}),
        (replace(SMALL, categories_=[]), {}, {}, {"no-category": 1}),
        (replace(SMALL, rooms_=[replace(ROOM, description="long" * 9)]), {"description": 20}, {}, {"setting-lost": 1}),
    ],
)
def test_r110_what_becomes_of_messages_is_counted(
    archive: InMemory, limits: dict[str, object], found: dict[str, object], expected: dict[str, int]
) -> None:
    planned = plan(archive, Limits(**limits), Found(**found))  # type: ignore[arg-type]
    assert counts(planned) == expected
    assert planned.has_error == any(CODES[code] is Severity.ERROR for code in expected)
    assert (planned.outgoing is None) == planned.has_error
    assert all(finding.severity is CODES[finding.code] and finding.room == "r1" for finding in planned.findings)


def test_r110_the_estimate_follows_from_the_limits() -> None:
    file = ChatFile("f", "r1", "plan.pdf", bytes=10, sha256="ab" * 32)
    archive = with_messages(message(1), message(2), message(3, file="f", kind=MessageKind.FILE), files_=[file])
    assert plan(archive).estimate_seconds is None
    assert plan(archive, Limits(messages_per_second=0.5)).estimate_seconds == 6
    assert plan(archive, Limits(messages_per_second=0.5, files_per_second=2)).estimate_seconds == 6.5


def test_r109_disabled_rooms_are_left_out_unless_they_are_included() -> None:
    archive = replace(SMALL, rooms_=[replace(ROOM, is_disabled=True)])
    planned = plan(archive)
    assert (planned.outgoing, planned.is_skipped, counts(planned)) == (None, True, {"skipped": 1})
    planned = plan(archive, includes_disabled=True)
    assert planned.outgoing is not None
    assert planned.outgoing.is_read_only
    assert counts(planned) == {"read-only": 1}


def test_r110_a_plan_goes_on_where_it_stopped_without_reading_again() -> None:
    read: list[str] = []

    class Counting(InMemory):
        def messages(self, room: str) -> Iterator[Message]:
            read.append(room)
            return super().messages(room)

    rooms = [Room(f"r{n}", "c1", f"Room {n}") for n in range(6)]
    archive = Counting(SMALL.categories_, rooms, {}, (), PRINCIPALS)
    people = people_of(archive, Target())
    whole = list(plan_rooms(archive, Limits(), Found(), people, Choices()))
    read.clear()
    rest = list(plan_rooms(archive, Limits(), Found(), people, Choices(), begin=4))
    assert read == ["r4", "r5"]
    assert [each.outgoing for each in rest] == [each.outgoing for each in whole[4:]]


def whole(archive: InMemory, limits: Limits | None = None, found: Found | None = None, **choices: object) -> list[str]:
    people = people_of(archive, Target())
    found_of = found or Found()
    findings = plan_as_a_whole(archive, limits or Limits(), found_of, people, Choices(**choices))  # type: ignore[arg-type]
    # That clients of the old system end is said of most targets (R126), and tested with them.
    return [f"{finding.code}: {finding.sentence}" for finding in findings if finding.code != "old-clients"]


def test_r114_the_root_managers_are_said_with_the_number_of_rooms() -> None:
    root = Category("c1", "House", roles=(Grant("bob", RoleName.MANAGER),))
    archive = replace(SMALL, categories_=[root], rooms_=[ROOM, replace(ROOM, id="r2", name="Other")])
    (said,) = whole(archive)
    assert said == "root-managers: The managers of the root category House become managers of all 2 rooms: Bob."
    (said,) = whole(archive, keeps_root_managers=False)
    assert "left out" in said
    assert plan(archive).outgoing.managers == {"@ann", "@bob"}
    assert plan(archive, keeps_root_managers=False).outgoing.managers == {"@ann"}


def test_r110_what_is_about_the_import_as_a_whole() -> None:
    below = Category("c2", "Below", parent="c1", roles=(Grant("bob", RoleName.MANAGER), Grant("ann", RoleName.MEMBER)))
    archive = replace(SMALL, categories_=[*SMALL.categories_, below], rooms_=[replace(ROOM, category="c2")])
    (said,) = whole(archive)
    assert said.startswith("category-roles: 2 rights on the category Below")
    (said,) = whole(SMALL, found=Found(retention_is_known=False))
    assert said.startswith("retention-unknown:")
    (said,) = whole(SMALL, Limits(rooms_of_a_category=0))
    assert said.startswith("target-limit:")


def test_r110_a_generated_organization_is_planned_without_failing(organization: Organization) -> None:
    limits = Limits(times_are_unique=True, message_bytes=2_000, room_name=256, messages_per_second=5)
    with open_archive(organization.folder, check=False) as archive:
        people = people_of(archive, Target())
        choices = Choices(includes_disabled=True)
        planned = {each.room.id: each for each in plan_rooms(archive, limits, Found(), people, choices)}
    assert set(planned) == set(organization.rooms)
    assert sum(each.messages for each in planned.values()) == organization.manifest.counts["messages"]
    failed = {room for room, each in planned.items() if each.has_error}
    assert failed == set(organization.too_long)
    codes = {finding.code for each in planned.values() for finding in each.findings}
    assert {"flattened", "prefixed", "federated", "inactive", "group-to-be-granted", "split", "file-missing"} <= codes


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 4)), min_size=1, max_size=60))
def test_r118_times_are_unique_and_near_wherever_the_clock_goes(clock: list[tuple[int, int]]) -> None:
    messages = [
        message(n, "line\n" * 40 if n % 7 == 0 else "x", seconds=5 * second + ms / 1000)
        for n, (second, ms) in enumerate(clock, 1)
    ]
    limits = Limits(times_are_unique=True, message_bytes=100)
    planned = plan(with_messages(*messages), limits)
    assert planned.outgoing is not None
    again = outgoing_of(json.loads(json.dumps(as_json(planned.outgoing))), ROOM)
    assert again == planned.outgoing
    converter = Converter(again, people_of(SMALL, Target()), limits)
    made = [each for one in messages for each in converter.convert(one)]
    assert len({each.at for each in made}) == len(made)
    assert all(
        timedelta(0) <= each.shifted <= timedelta(seconds=1) + each.part * timedelta(milliseconds=1) for each in made
    )
    assert sum(bool(each.shifted) and each.part == 1 for each in made) == planned.counts.shifted
    assert planned.counts.not_kept == converter.counts.not_kept == 0
