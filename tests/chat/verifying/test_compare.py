"""R123: a comparison finds exactly which message is lost, doubled, altered or out of its place, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_app.chat.archive.records import ChatFile, Message, MessageKind, Room
from migrations_app.chat.conversion.messages import Converter
from migrations_app.chat.conversion.outgoing import Joining, Limits, OutgoingRoom
from migrations_app.chat.targets.base import ReadMessage
from migrations_app.chat.verifying.compare import Compared, compare_room
from migrations_app.chat.verifying.differences import DO
from tests.support.chat_conversion import BEGIN, PEOPLE, Held, InMemory, as_planned, as_read, message, outgoing

KEYED = Limits()
KEYLESS = Limits(keeps_keys=False, times_are_unique=True)
BOTH = pytest.mark.parametrize("limits", [KEYED, KEYLESS], ids=["by key", "by time"])
AUTHORS = list(PEOPLE)


def some(count: int, *, gap: float = 60) -> list[Message]:
    return [
        message(n, f"text of {n}", seconds=gap * n, author=AUTHORS[n % 3], kind=list(MessageKind)[n % 3])
        for n in range(1, count + 1)
    ]


def room_of(messages: list[Message], **values: object) -> OutgoingRoom:
    last = max((each.at for each in messages), default=None)
    return outgoing(Room("r1", "c1", "Canteen", messages=len(messages), last=last), **values)


def written(messages: list[Message], room: OutgoingRoom, limits: Limits, files: dict[str, ChatFile] | None = None):
    converter = Converter(room, PEOPLE, limits, files=files)
    return [as_read(made, with_key=limits.keeps_keys) for each in messages for made in converter.convert(each)]


def compared(
    messages: list[Message],
    there: list[ReadMessage],
    limits: Limits = KEYED,
    *,
    room: OutgoingRoom | None = None,
    **values: object,
) -> Compared:
    room = room or room_of(messages)
    archive = InMemory(messages_={room.room.id: messages})
    return compare_room(archive, room, PEOPLE, limits, Held(room, there), "!1", **values)  # type: ignore[arg-type]


def found(result: Compared) -> list[tuple[str, int | None]]:
    return [(each.code, each.n) for each in result.differences]


@BOTH
def test_r123_what_was_written_is_found_the_same(limits: Limits) -> None:
    messages = some(100)
    room = room_of(messages)
    result = compared(messages, written(messages, room, limits), limits)
    assert result.is_same
    assert result.archive == result.there
    assert result.archive.messages == 100
    assert result.archive.kinds == {"message": 33, "story": 34, "alert": 33}
    assert result.archive.months == {"2014-03": 100}
    assert result.archive.first == BEGIN + timedelta(seconds=60)


@BOTH
def test_r123_an_empty_room_is_the_same(limits: Limits) -> None:
    assert compared([], [], limits).is_same


@BOTH
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_r123_each_kind_of_damage_is_found_where_it_was_done(limits: Limits, data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 40))
    messages = some(count)
    there = written(messages, room_of(messages), limits)
    at = data.draw(st.integers(0, count - 1))
    n = at + 1
    damage = data.draw(st.sampled_from(["lose", "double", "text", "author", "time"]))
    expected: list[tuple[str, int | None]]
    if damage == "lose":
        del there[at]
        expected = [("lost-message", n)]
    elif damage == "double":
        there.insert(at + 1, there[at])
        expected = [("doubled-message", n if limits.keeps_keys else None)]
    elif damage == "text":
        there[at] = replace(there[at], text=there[at].text + data.draw(st.sampled_from([" ", "x", "\u0301"])))
        expected = [("altered-text", n)]
    elif damage == "author":
        there[at] = replace(there[at], author="@mallory")
        expected = [("altered-author", n)]
    else:
        there[at] = replace(there[at], at=there[at].at + timedelta(milliseconds=data.draw(st.integers(1, 30_000))))
        expected = [("altered-time", n)]
    result = compared(messages, there, limits)
    assert found(result) == expected
    assert result.archive.sha256 != result.there.sha256 or damage == "double"


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_r123_any_number_of_lost_and_doubled_ones_is_exact(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    times = data.draw(st.lists(st.sampled_from([0, 1, 1, 1, 2, 3]), min_size=count, max_size=count))
    messages = some(count)
    room = room_of(messages)
    there = []
    for read, how_often in zip(written(messages, room, KEYED), times, strict=True):
        there += [read] * how_often
    # A window smaller than the damage: what is told must not depend on it as long as nothing is far from its place.
    result = compared(messages, there, window=data.draw(st.sampled_from([4, 16, 100_000])))
    lost = [n for n, how_often in enumerate(times, 1) if how_often == 0]
    doubled = [n for n, how_often in enumerate(times, 1) for _ in range(how_often - 1)]
    assert sorted(n for code, n in found(result) if code == "lost-message") == lost
    assert sorted(n for code, n in found(result) if code == "doubled-message") == doubled
    assert result.difference_count == len(lost) + len(doubled)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_r123_by_time_many_damages_are_told_apart(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 50))
    done = data.draw(st.lists(st.sampled_from(["keep", "keep", "lose", "double", "text", "author"]), min_size=count))
    messages = some(count)
    there: list[ReadMessage] = []
    for read, damage in zip(written(messages, room_of(messages), KEYLESS), done, strict=False):
        changed = {"text": {"text": "other"}, "author": {"author": "@mallory"}}.get(damage, {})
        there += [replace(read, **changed)] * {"lose": 0, "double": 2}.get(damage, 1)
    result = compared(messages, there, KEYLESS, window=data.draw(st.sampled_from([8, 100_000])))
    codes = {"lose": "lost-message", "text": "altered-text", "author": "altered-author"}
    expected = sorted((codes[damage], n) for n, damage in enumerate(done[:count], 1) if damage in codes)
    assert sorted((code, n) for code, n in found(result) if code != "doubled-message") == expected
    assert result.counts.get("doubled-message", 0) == done[:count].count("double")
    assert result.foreign == 0


def test_r123_a_message_out_of_its_order_is_named() -> None:
    messages = some(20)
    there = written(messages, room_of(messages), KEYED)
    there.insert(9, there.pop(4))
    assert found(compared(messages, there)) == [("wrong-order", 5)]
    by_time = written(messages, room_of(messages), KEYLESS)
    by_time.insert(9, by_time.pop(4))
    assert [code for code, _ in found(compared(messages, by_time, KEYLESS))] == ["wrong-order"]


def test_r123_a_target_that_sorts_by_time_is_no_disorder() -> None:
    messages = [message(1, seconds=10), message(2, seconds=5), message(3, seconds=20)]
    there = written(messages, room_of(messages), KEYED)
    assert compared(messages, there).is_same
    result = compared(messages, sorted(there, key=lambda read: read.at))
    assert result.is_same
    assert result.archive.sha256 == result.there.sha256


@BOTH
def test_r123_messages_of_others_are_counted_in_a_merged_room(limits: Limits) -> None:
    messages = some(50)
    room = room_of(messages, merges_into="!9")
    theirs = [ReadMessage("", BEGIN + timedelta(seconds=60 * n + 30), "@else", f"theirs {n}") for n in range(300)]
    there = sorted([*written(messages, room, limits), *theirs], key=lambda read: read.at)
    result = compared(messages, there, limits, room=room, window=20)
    assert result.is_same
    assert result.foreign == 300
    del there[there.index(next(read for read in there if read.text.endswith("text of 30")))]
    assert found(compared(messages, there, limits, room=room, window=20)) == [("lost-message", 30)]


@BOTH
def test_r123_what_people_wrote_since_is_no_difference_but_what_is_dated_before_is(limits: Limits) -> None:
    messages = some(10)
    there = written(messages, room_of(messages), limits)
    since = ReadMessage("", messages[-1].at + timedelta(days=900), "@ann", "hello from today")
    result = compared(messages, [*there, since], limits)
    assert result.is_same
    assert result.foreign == 1
    forged = ReadMessage("", messages[4].at + timedelta(seconds=7), "@mallory", "never said")
    result = compared(messages, [*there[:5], forged, *there[5:]], limits)
    assert [code for code, _ in found(result)] == ["foreign-message"]


def test_r123_a_key_that_the_archive_does_not_have_is_named_and_disturbs_no_other() -> None:
    messages = some(30)
    there = written(messages, room_of(messages), KEYED)
    strange = replace(there[3], key="r1/900000")
    assert found(compared(messages, [*there[:4], strange, *there[4:]])) == [("unknown-message", 900000)]
    part = replace(there[3], key="r1/4/2")
    assert found(compared(messages, [*there[:4], part, *there[4:]])) == [("unknown-message", 4)]
    elsewhere = replace(there[3], key="r2/4")
    assert [code for code, _ in found(compared(messages, [*there[:4], elsewhere, *there[4:]]))] == ["foreign-message"]


def test_r123_a_lost_part_of_a_split_message_is_named() -> None:
    limits = Limits(message_characters=60)
    messages = [message(1), message(2, "one line of words\n" * 12), message(3)]
    there = written(messages, room_of(messages), limits)
    result = compared(messages, there, limits)
    assert result.is_same
    assert result.archive.messages == 3
    gone = next(index for index, read in enumerate(there) if read.key == "r1/2/3")
    del there[gone]
    result = compared(messages, there, limits)
    assert found(result) == [("lost-message", 2)]
    assert result.differences[0].sentence.startswith("Part 3 of message 2")


def test_r123_shifted_times_are_expected_where_times_are_unique() -> None:
    messages = [message(n, seconds=1) for n in range(1, 50)]
    room = room_of(messages)
    there = written(messages, room, KEYLESS)
    assert len({read.at for read in there}) == 49
    assert compared(messages, there, KEYLESS).is_same


@BOTH
def test_r123_files_are_compared_by_bytes_and_checksum(limits: Limits) -> None:
    file = ChatFile("f1", "r1", "plan.pdf", bytes=10, sha256="ab" * 32)
    messages = [message(1), message(2, "ma-filelink:x/plan.pdf", file="f1", kind=MessageKind.FILE)]
    files = {"f1": file}
    there = written(messages, room_of(messages), limits, files)
    result = compared(messages, there, limits, files=files)
    assert result.is_same
    assert (result.there.files, result.there.file_bytes) == (1, 10)
    assert result.archive.files_sha256 == result.there.files_sha256
    for read, code in (
        (replace(there[1], file_sha256="cd" * 32), "altered-file"),
        (replace(there[1], file_bytes=9), "altered-file"),
        (replace(there[1], file_bytes=None, file_sha256="", file_name=""), "lost-file"),
    ):
        assert found(compared(messages, [there[0], read], limits, files=files)) == [(code, 2)]
    untold = compared(messages, [there[0], replace(there[1], file_sha256="")], limits, files=files)
    assert untold.is_same
    assert "files_sha256" in untold.not_told


def test_r123_settings_and_people_are_compared() -> None:
    messages = some(3)
    room = room_of(messages, members=frozenset({"@ann", "@bob"}), managers=frozenset({"@ann"}), is_read_only=True)
    there = written(messages, room, KEYED)
    planned = as_planned(room)

    def codes(**values: object) -> list[str]:
        held = Held(room, there, replace(planned, **values))  # type: ignore[arg-type]
        archive = InMemory(messages_={"r1": messages})
        return [each.code for each in compare_room(archive, room, PEOPLE, KEYED, held, "!1").differences]

    assert codes() == []
    assert codes(name="Kitchen") == ["name"]
    assert codes(category="Elsewhere") == ["category"]
    assert codes(description="another") == ["setting"]
    assert codes(joining=Joining.ORGANIZATION) == ["privacy-widened"]
    assert codes(is_read_only=False) == ["setting"]
    assert codes(is_auditorium=True) == ["setting"]
    assert codes(allows_invitations=False) == ["setting"]
    assert codes(members=frozenset({"@ann"})) == ["missing-people"]
    assert codes(members=frozenset({"@ann", "@bob", "@eve"})) == ["further-people"]
    assert codes(managers=frozenset()) == ["missing-people"]
    assert codes(presenters=frozenset({"@eve"})) == ["further-people"]
    assert codes(members=None, managers=None, presenters=None, description=None, joining=None) == []


def test_r123_no_more_than_so_many_are_listed_and_all_are_counted() -> None:
    messages = some(500)
    result = compared(messages, [], at_most=20)
    assert len(result.differences) == 20
    assert result.counts == {"lost-message": 500}
    assert result.there.messages == 0


def test_r123_no_sentence_has_the_text_of_a_message() -> None:
    secret = "the secret of the kitchen"
    messages = [message(n, secret) for n in range(1, 6)]
    there = written(messages, room_of(messages), KEYED)
    there[1] = replace(there[1], text=secret + "!")
    there += [there[2], replace(there[0], key="r1/77"), ReadMessage("", BEGIN, "@eve", secret)]
    del there[3]
    result = compared(messages, there)
    assert {each.code for each in result.differences} == {
        "altered-text",
        "doubled-message",
        "unknown-message",
        "foreign-message",
        "lost-message",
    }
    assert not any("secret" in each.sentence for each in result.differences)
    assert all(each.do == DO[each.code] for each in result.differences)


def test_r123_the_sample_is_the_first_last_longest_files_and_some_at_random() -> None:
    files = {f"f{n}": ChatFile(f"f{n}", "r1", f"{n}.txt", bytes=1, sha256="00" * 32) for n in range(100, 140)}
    messages = [
        message(n, "x" * (500 if n == 77 else 5), file=f"f{n}" if f"f{n}" in files else "") for n in range(1, 301)
    ]
    there = written(messages, room_of(messages), KEYED, files)
    sample = compared(messages, there, files=files, seed=7).sample
    assert (sample[1], sample[300], sample[77]) == ("first", "last", "longest")
    assert [n for n, why in sample.items() if why == "file"] == list(range(100, 120))
    assert 15 <= sum(why == "random" for why in sample.values()) <= 20
    assert compared(messages, there, files=files, seed=7).sample == sample
    assert compared(messages, there, files=files, seed=8).sample != sample


@BOTH
@pytest.mark.parametrize("damage", ["lose", "double", "alter"])
def test_r130_one_of_many_is_caught(limits: Limits, damage: str) -> None:
    """The short form of one in 100,000: the window is smaller than the room, as it is there."""
    messages = some(2_000, gap=1)
    there = written(messages, room_of(messages), limits)
    at = {"lose": 1_234, "double": 77, "alter": 1_999}[damage]
    if damage == "lose":
        del there[at]
    elif damage == "double":
        there.insert(at, there[at])
    else:
        there[at] = replace(there[at], text=there[at].text[:-1] + "?")
    result = compared(messages, there, limits, window=50)
    code = {"lose": "lost-message", "double": "doubled-message", "alter": "altered-text"}[damage]
    assert result.counts == {code: 1}
    assert result.differences[0].n in (at + 1, None if damage == "double" else at + 1)
