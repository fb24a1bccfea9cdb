"""The file for Mattermost's bulk import: its order, its limits, and that what is in it is what is compared."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import ChatFile, Principal, PrincipalState, Room
from migrations_app.chat.conversion.outgoing import Joining, OutgoingCategory, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.targets.base import MakesFiles, TargetProblem, TargetSettings
from migrations_app.chat.targets.mattermost import MattermostTarget, username
from tests.support.chat_carrying import carry
from tests.support.chat_organization import Organization

BEGAN = datetime(2013, 4, 5, 9, 30, tzinfo=UTC)


@pytest.fixture
def target(tmp_path: Path) -> Iterator[MattermostTarget]:
    with MattermostTarget(TargetSettings("Import", "mattermost", folder=tmp_path)) as target:
        yield target


def lines(target: MattermostTarget) -> list[dict[str, Any]]:
    (made,) = target.products()
    with zipfile.ZipFile(made) as packed:
        return [json.loads(line) for line in packed.read("import.jsonl").splitlines()]


def of_kind(target: MattermostTarget, kind: str) -> list[dict[str, Any]]:
    return [line[kind] for line in lines(target) if line["type"] == kind]


def person(address: str, name: str, state: PrincipalState = PrincipalState.ACTIVE) -> Principal:
    return Principal(address or name, sip=address, name=name, state=state)


def put(target: MattermostTarget, *authors: Principal, **room: Any) -> str:
    """A room in which each of these people says their name."""
    category = OutgoingCategory("3", "Operations & Networks", "What runs")
    outgoing = OutgoingRoom(Room("17", "3", "Planning"), category, "Пла́н: Planning / 2013", **room)
    key = target.begin_room(outgoing, target.begin_category(category))
    people = [Person(each, target.account_of(each), each.name) for each in authors]
    texts = [
        OutgoingMessage(f"17/{n}", n, BEGAN + timedelta(minutes=n), each, each.principal.name)
        for n, each in enumerate(people, 1)
    ]
    target.write(key, texts, lambda file: io.BytesIO(b"octets"))
    target.finish_room(key, outgoing)
    target.finish()
    return key


def test_r121_the_lines_are_in_the_documented_order(target: MattermostTarget, organization: Organization) -> None:
    with open_archive(organization.folder, check=False) as archive:
        carried = carry(archive, target)
    made = lines(target)

    assert [kind for kind, _ in groupby(made, key=lambda line: line["type"])] == [
        *("version", "team", "channel", "user", "post")
    ]
    assert made[0] == {"type": "version", "version": 1}
    assert len(of_kind(target, "channel")) == len(carried)
    teams = {team["name"] for team in of_kind(target, "team")}
    channels = {(channel["team"], channel["name"]) for channel in of_kind(target, "channel")}
    users = {user["username"] for user in of_kind(target, "user")}
    for post in of_kind(target, "post"):
        assert (post["team"], post["channel"]) in channels
        assert post["user"] in users
    assert {team for team, _ in channels} == teams


def test_r122_names_types_and_lengths_are_as_mattermost_wants_them(
    target: MattermostTarget, organization: Organization
) -> None:
    with open_archive(organization.folder, check=False) as archive:
        carried = carry(archive, target)
    channels = of_kind(target, "channel")
    assert len({(channel["team"], channel["name"]) for channel in channels}) == len(channels)
    for channel in channels:
        assert re.fullmatch("[a-z0-9][a-z0-9_-]{1,63}", channel["name"])
        assert 0 < len(channel["display_name"]) <= 64
        assert len(channel["purpose"]) <= 250
    for team in of_kind(target, "team"):
        assert re.fullmatch("[a-z0-9][a-z0-9-]{0,62}[a-z0-9]", team["name"])
        assert (team["type"], team["allow_open_invite"]) == ("I", False)
    for user in of_kind(target, "user"):
        assert re.fullmatch("[a-z][a-z0-9._-]{2,63}", user["username"])
        assert re.fullmatch(r"\S+@\S+", user["email"])
    posts = of_kind(target, "post")
    assert max(len(post["message"]) for post in posts) <= 16_383
    times = [(post["team"], post["channel"], post["create_at"]) for post in posts]
    assert len(set(times)) == len(times)  # two at one time that say the same would become one
    types = {channel["display_name"]: channel["type"] for channel in channels}
    for each in carried.values():
        is_open = each.outgoing.joining is Joining.ORGANIZATION
        assert types[each.outgoing.name] == ("O" if is_open else "P")
    assert set(types.values()) == {"O", "P"}


def test_r119_files_lie_in_the_zip_where_posts_say(target: MattermostTarget, organization: Organization) -> None:
    with open_archive(organization.folder, check=False) as archive:
        carry(archive, target)
    (made,) = target.products()
    with zipfile.ZipFile(made) as packed:
        there = {name for name in packed.namelist() if name.startswith("data/")}
    said = {f"data/{each['path']}" for post in of_kind(target, "post") for each in post.get("attachments", ())}
    assert said == there
    assert not [name for name in there if ".." in name.split("/")]
    assert isinstance(target, MakesFiles)


def test_r122_two_people_never_become_one(target: MattermostTarget) -> None:
    put(
        target,
        person("ann@contoso.com", "Ann"),
        person("ann@fabrikam.com", "Another Ann"),
        person("Ann@contoso.com ".strip(), "Capital Ann"),
        person("", "No Address"),
        person("", "No-Address"),
        members=frozenset({"ann"}),
    )
    users = {user["username"]: user for user in of_kind(target, "user")}
    assert len(users) == 5
    assert users["ann"]["email"] == "ann@contoso.com"
    assert [len(user["teams"]) for name, user in users.items() if name != "ann"] == [0, 0, 0, 0]
    assert len({user["email"] for user in users.values()}) == 5
    said = {post["message"]: post["user"] for post in of_kind(target, "post")}
    assert len(set(said.values())) == 5


def test_r116_nobody_signs_in_as_somebody_who_has_left(target: MattermostTarget) -> None:
    put(
        target,
        person("gone@contoso.com", "Gone", PrincipalState.DELETED),
        person("off@contoso.com", "Off", PrincipalState.DISABLED),
        person("here@contoso.com", "Here"),
    )
    users = {user["username"]: user for user in of_kind(target, "user")}
    assert {name for name, user in users.items() if user.get("delete_at")} == {"gone", "off"}


@pytest.mark.parametrize("address", ["", "@", "7@x", "ÄÖ@x", "a@x", "../../x@y", "A" * 300 + "@x", "bad name\n@x"])
def test_every_address_makes_a_user_name(address: str) -> None:
    assert re.fullmatch("[a-z][a-z0-9._-]{2,63}", username(address))


def test_r123_a_file_that_was_changed_is_noticed(target: MattermostTarget, tmp_path: Path) -> None:
    key = put(target, person("ann@contoso.com", "Ann"), person("bob@contoso.com", "Bob"))
    assert [message.text for message in target.read_messages(key)] == ["Ann", "Bob"]
    (made,) = target.products()
    changed = "\n".join(json.dumps(line) for line in lines(target) if line.get("post", {}).get("message") != "Bob")
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("import.jsonl", changed)
    assert [message.text for message in target.read_messages(key)] == ["Ann"]

    made.write_bytes(b"no ZIP any more")
    with pytest.raises(TargetProblem) as problem:
        list(target.read_messages(key))
    assert problem.value.code == "chat-made-unreadable"


def test_r119_a_long_name_of_a_file_is_made_shorter(target: MattermostTarget) -> None:
    category = OutgoingCategory("3", "Operations")
    room = OutgoingRoom(Room("17", "3", "Planning"), category, "Planning")
    key = target.begin_room(room, target.begin_category(category))
    ann = Person(person("ann@contoso.com", "Ann"), "ann", "Ann")
    names = ["ä" * 300 + ".docx", "..", "a\\b/c\x00.txt", "notes.html"]
    texts = [
        OutgoingMessage(f"17/{n}", n, BEGAN + timedelta(minutes=n), ann, "see", file=ChatFile(str(n), "17", name))
        for n, name in enumerate(names, 1)
    ]
    target.write(key, texts, lambda file: io.BytesIO(b"octets"))
    target.finish_room(key, room)
    target.finish()
    read = [message.file_name for message in target.read_messages(key)]
    assert read[2:] == ["a_b_c_.txt", "notes.html"]
    assert read[0].endswith(".docx")
    assert len(read[0].encode()) <= 200
    assert ".." not in read
