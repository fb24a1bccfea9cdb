"""The target matrix against a real Synapse (R130): ``make test-matrix``."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from migrations_app.chat.archive.reading import open_archive
from migrations_app.chat.archive.records import ChatFile
from migrations_app.chat.conversion.outgoing import Joining
from migrations_app.chat.conversion.people import people_of
from migrations_app.chat.targets.base import TargetProblem
from migrations_app.chat.targets.matrix import MOST_OCTETS, MatrixTarget
from migrations_app.chat.targets.matrix_client import Refused, canonical_size
from migrations_app.chat.verifying.compare import compare_room
from tests.support.chat_matrix import (
    ACCOUNTS,
    ANNA,
    CATEGORY,
    FILE,
    GONE,
    a_room,
    account,
    messages,
    octets,
    person,
)
from tests.support.chat_organization import write_organization
from tests.support.matrix_importer import messages_of, rooms_of
from tests.support.matrix_stand_in import TOKEN, settings_for
from tests.support.processes import ROOT
from tests.support.synapse_server import SynapseServer, synapse

pytestmark = pytest.mark.matrix
PEOPLE = ("root", "off", "noa", "o=27neil=2bchat", *(f"user{number}" for number in range(511, 525)))
"""Everybody of ``write_organization`` who can have an account."""


class Homeserver:
    """A running Synapse with people who can sign in."""

    def __init__(self, server: SynapseServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.tokens = {local: server.register(local, name) for local, name in ACCOUNTS.items()}
        self.tokens["owner"] = server.register("owner", "Olga Owner", is_admin=True)

    def open(self, **options: str) -> MatrixTarget:
        return MatrixTarget(settings_for(self.server.address, self.folder, **options))

    def ask(self, who: str, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        answer = self.server.ask(self.tokens.get(who, TOKEN), method, path, body)
        return answer.status_code, answer.json()

    def say(self, who: str, room: str, transaction: str) -> int:
        body = {"msgtype": "m.text", "body": "now"}
        return self.ask(who, "PUT", f"rooms/{room}/send/m.room.message/{transaction}", body)[0]

    def history(self, who: str, room: str) -> list[dict[str, Any]] | int:
        status, page = self.ask(who, "GET", f"rooms/{room}/messages?dir=f&limit=1000")
        if status != 200:
            return status
        return [event for event in page["chunk"] if event["type"] == "m.room.message"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Homeserver]:
    folder = tmp_path_factory.mktemp("synapse")
    with synapse(folder) as server:
        yield Homeserver(server, tmp_path_factory.mktemp("target"))


def imported(home: Homeserver, guid: str, count: int = 9, waited: list[float] | None = None, **values: Any) -> str:
    """A room that is imported whole."""
    planned = a_room(guid, **values)
    with home.open() as target:
        if waited is not None:
            target._client.wait = lambda seconds: (waited.append(seconds), time.sleep(seconds))
        room = target.begin_room(planned, target.begin_category(CATEGORY))
        target.write(room, messages(target, count), octets)
        target.finish_room(room, planned)
    return room


def test_r130_a_thousand_messages_survive_every_kill(tmp_path: Path) -> None:
    """The importing process is killed five times, Synapse once and stopped once; nothing is lost, nothing is there
    twice, and all rooms compare as the same."""
    organization = write_organization(tmp_path / "archive", seed=1, messages=1_000)
    chance = random.Random(1)  # noqa: S311 - repeatable, not secret
    (tmp_path / "synapse").mkdir()
    with synapse(tmp_path / "synapse") as server:
        for local in PEOPLE:
            server.register(local, local)
        ends = sorted(chance.sample(range(20, 900), 7))
        for turn, end in enumerate(ends):
            process = importing(organization.folder, server)
            assert process.stdout
            for line in process.stdout:
                if int(line) >= end:
                    break
            if turn in (2, 4):  # the server goes away under a process that lives on
                (server.kill if turn == 2 else server.stop)()
                server.start()
                assert int(next(process.stdout)) >= 0, "it goes on"
            process.kill()
            process.wait()
            process.stdout.close()
        process = importing(organization.folder, server)
        assert process.stdout
        counts = [int(line) for line in process.stdout]
        assert process.wait() == 0
        process.stdout.close()
        with (
            open_archive(organization.folder) as archive,
            MatrixTarget(settings_for(server.address, tmp_path)) as target,
        ):
            rooms = rooms_of(archive, target)
            people = people_of(archive, target)
            assert len(rooms) == len(organization.rooms) - len(organization.too_long)
            written = 0
            for room, planned in rooms.items():
                files = {file.id: file for file in archive.files_of(planned.room.id)}
                compared = compare_room(archive, planned, people, target.limits, target, room, files=files)
                assert compared.is_same, (planned.name, compared.differences)
                assert not compared.foreign
                keys = [message.key for message in messages_of(archive, target, planned, people)]
                assert [message.key for message in target.read_messages(room)] == keys
                written += len(keys)
            assert written == counts[-1] >= 950
            before = {room: list(target.read_messages(room)) for room in rooms}
        again = importing(organization.folder, server)
        again.communicate()
        assert again.returncode == 0
        with MatrixTarget(settings_for(server.address, tmp_path)) as target:
            assert {room: list(target.read_messages(room)) for room in rooms} == before, "importing again adds nothing"


def importing(folder: Path, server: SynapseServer) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.matrix_importer", folder, server.address],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_r118_time_and_author_are_kept_as_people_see_them(home: Homeserver) -> None:
    room = imported(home, "11")
    seen = home.history("ben", room)
    assert isinstance(seen, list)
    with home.open() as target:
        sent = messages(target, 9)
        assert [event["origin_server_ts"] for event in seen] == [round(each.at.timestamp() * 1000) for each in sent]
        assert [event["sender"] for event in seen] == [
            target.author_of(each.author.principal, a_room("11")) for each in sent
        ]
        ghost = target.author_of(GONE, a_room("11"))
    assert home.ask("ben", "GET", f"profile/{ghost}")[1] == {"displayname": "Greta Gone (deleted)"}


def test_r122_a_closed_room_is_read_by_its_members_alone(home: Homeserver) -> None:
    room = imported(home, "21")
    assert len(home.history("anna.rossi", room)) == 9  # type: ignore[arg-type]
    assert home.history("left", room) == 403, "she wrote there once"
    assert home.ask("left", "POST", f"join/{room}", {})[0] == 403
    assert home.history("owner", room) == 403
    assert home.say("ben", room, "hello") == 200
    assert home.ask("ben", "POST", f"rooms/{room}/invite", {"user_id": account("left")})[0] == 403
    assert home.ask("anna.rossi", "POST", f"rooms/{room}/invite", {"user_id": account("left")})[0] == 200


def test_r122_an_open_room_is_joined_and_read_by_everybody_of_the_organization(home: Homeserver) -> None:
    room = imported(home, "31", joining=Joining.ORGANIZATION)
    assert home.history("left", room) == 403, "who has not joined does not read"
    assert home.ask("left", "POST", f"join/{room}", {})[0] == 200
    assert len(home.history("left", room)) == 9  # type: ignore[arg-type]
    status, created = home.ask("left", "GET", f"rooms/{room}/state/m.room.create")
    assert (status, created["m.federate"]) == (200, False)
    assert home.ask("left", "PUT", f"directory/list/room/{room}", {"visibility": "public"})[0] == 403


def test_r122_in_an_auditorium_only_presenters_and_managers_write(home: Homeserver) -> None:
    members = a_room().members | {account("left")}
    room = imported(home, "41", is_auditorium=True, members=members)
    assert [home.say(who, room, "a") for who in ("anna.rossi", "ben", "left")] == [200, 200, 403]


def test_r122_a_disabled_room_stays_read_only_and_nobody_makes_a_room_wider(home: Homeserver) -> None:
    room = imported(home, "51", is_read_only=True)
    assert [home.say(who, room, "a") for who in ("anna.rossi", "ben")] == [403, 403]
    _, levels = home.ask("anna.rossi", "GET", f"rooms/{room}/state/m.room.power_levels")
    assert account("mms") not in levels["users"], "current room versions forbid to list the creator"
    for kind, content in (
        ("m.room.power_levels", {**levels, "events_default": 0}),
        ("m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"}),
        ("m.room.history_visibility", {"history_visibility": "world_readable"}),
        ("m.room.join_rules", {"join_rule": "public"}),
    ):
        assert home.ask("anna.rossi", "PUT", f"rooms/{room}/state/{kind}", content)[0] == 403, kind
    assert home.ask("anna.rossi", "PUT", f"rooms/{room}/state/m.room.topic", {"topic": "new"})[0] == 200


def test_members_find_no_notification_of_the_past(home: Homeserver) -> None:
    room = imported(home, "61")
    for who in ("anna.rossi", "ben"):
        status, synced = home.ask(who, "GET", "sync?timeout=0")
        assert status == 200
        assert synced["rooms"]["join"][room]["unread_notifications"] == {
            "notification_count": 0,
            "highlight_count": 0,
        }
        rules = home.ask(who, "GET", "pushrules/")[1]["global"]["override"]
        assert not [rule for rule in rules if rule["rule_id"].startswith("mms.")]


def test_r119_files_are_there_octet_by_octet(home: Homeserver) -> None:
    large = bytes(range(256)) * 40_000
    file = ChatFile("f2", "17", "a/b:c? – פרוטוקול.bin", len(large), hashlib.sha256(large).hexdigest())
    planned = a_room("71")
    with home.open() as target:
        room = target.begin_room(planned, target.begin_category(CATEGORY))
        posted = replace(messages(target, 1)[0], file=file, text="with words")
        (home.folder / "large").write_bytes(large)
        target.write(room, [posted], lambda _: (home.folder / "large").open("rb"))
        [read] = target.read_messages(room)
    assert (read.text, read.file_name, read.file_bytes) == ("with words", file.name, 10_240_000)
    assert read.file_sha256 == file.sha256
    assert FILE.sha256 != file.sha256


def test_r117_events_and_names_at_their_limits(home: Homeserver) -> None:
    name = "ñ" * 256
    planned = a_room("81", name=name, description="d" * 256)
    with home.open() as target:
        room = target.begin_room(planned, target.begin_category(replace(CATEGORY, guid="82", name="c" * 256)))
        [one] = messages(target, 2)[:1]
        known = canonical_size(target._content(replace(one, text="", html=None), octets))
        at_most = replace(one, text="x" * (MOST_OCTETS - known), html=None)
        assert canonical_size(target._content(at_most, octets)) == MOST_OCTETS
        target.write(room, [at_most], octets)
        strange = replace(one, key="17/2", text="\x00\x01\x1b\u2028\ufffe 👨‍👩‍👧‍👦 \t\n", html=None)
        target.write(room, [strange], octets)
        with pytest.raises(TargetProblem, match="larger than an event"):
            target.write(room, [replace(one, key="17/3", text="x" * 65_000, html=None)], octets)
        path = f"rooms/{room}/send/m.room.message/raw"
        target._client.once("PUT", f"{path}1", {"msgtype": "m.text", "body": "x" * 64_000}, {"ts": "1"})
        with pytest.raises(Refused, match="M_TOO_LARGE"):
            target._client.once("PUT", f"{path}2", {"msgtype": "m.text", "body": "x" * 65_000}, {"ts": "1"})
        long = replace(GONE, id="x", sip=f"{'y' * 200}@contoso.com", name="Z" * 256)
        target.write(room, [replace(one, key="17/4", author=person(target, long))], octets)
        read = list(target.read_messages(room))
        assert [message.text for message in read[:2]] == [at_most.text, strange.text]
        assert target.read_room(room).name == name


def test_r120_a_merge_needs_an_invitation_and_keeps_what_is_there(home: Homeserver) -> None:
    body = {"preset": "private_chat", "name": "Rack 9"}
    into = str(home.ask("owner", "POST", "createRoom", body)[1]["room_id"])
    planned = a_room("91", merges_into=into)
    with home.open() as target, pytest.raises(TargetProblem, match="power level 100"):
        target.begin_room(planned, "")
    assert home.ask("owner", "POST", f"rooms/{into}/invite", {"user_id": account("mms")})[0] == 200
    _, levels = home.ask("owner", "GET", f"rooms/{into}/state/m.room.power_levels")
    levels |= {"users": {**levels["users"], account("mms"): 100}, "events_default": 25}
    assert home.ask("owner", "PUT", f"rooms/{into}/state/m.room.power_levels", levels)[0] == 200
    assert home.say("owner", into, "before") == 200
    with home.open() as target:
        assert target.begin_room(planned, "") == into
        assert target.look().rooms["rack 9"] == into
        target.write(into, messages(target, 9), octets)
        target.finish_room(into, planned)
        assert [bool(message.key) for message in target.read_messages(into)] == [False, *[True] * 9]
        assert target.read_room(into).members == a_room().members | {account("owner")}
    assert home.ask("owner", "GET", f"rooms/{into}/state/m.room.power_levels")[1]["events_default"] == 25
    assert len(home.history("owner", into)) == 10  # type: ignore[arg-type]


def test_a_closed_namespace_has_people_invited_and_rates_are_kept_to(tmp_path: Path) -> None:
    (tmp_path / "synapse").mkdir()
    slow = {"rc_message": {"per_second": 0.5, "burst_count": 2}}
    with synapse(tmp_path / "synapse", speaks_for_accounts=False, is_rate_limited=True, settings=slow) as server:
        home = Homeserver(server, tmp_path)
        waited: list[float] = []
        room = imported(home, "1", count=25, waited=waited)
        assert waited, "the server has asked to wait"
        with home.open() as target:
            assert len(list(target.read_messages(room))) == 25
            assert target.author_of(ANNA, a_room("1")).startswith("@mms_anna.rossi_")
            assert target.read_room(room).members == a_room().members
        log = (tmp_path / "synapse" / "synapse.log").read_text(encoding="utf-8")
        assert home.history("anna.rossi", room) == 403, "she is invited, and has not accepted"
        assert home.ask("anna.rossi", "POST", f"join/{room}", {})[0] == 200
        assert len(home.history("anna.rossi", room)) == 25  # type: ignore[arg-type]
        assert "Traceback" not in log


def test_r122_a_homeserver_that_encrypts_by_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "synapse").mkdir()
    settings = {"encryption_enabled_by_default_for_room_type": "invite"}
    with synapse(tmp_path / "synapse", settings=settings) as server:
        home = Homeserver(server, tmp_path)
        with home.open() as target, pytest.raises(TargetProblem, match="encryption_enabled_by_default_for_room_type"):
            target.begin_room(a_room("1"), target.begin_category(CATEGORY))
        server.stop()
        server.change(encryption_enabled_by_default_for_room_type="off")
        server.start()
        assert imported(home, "1")


def test_r116_accounts_that_were_deactivated_or_suspended_make_no_room_fail(home: Homeserver) -> None:
    for local in ("old", "held"):
        home.server.register(local, local)
    admin = f"{home.server.address}/_synapse/admin/v1"
    headers = {"Authorization": f"Bearer {home.tokens['owner']}"}
    with httpx.Client(headers=headers, trust_env=False) as http:
        assert http.post(f"{admin}/deactivate/{account('old')}", json={}).status_code == 200
        assert http.put(f"{admin}/suspend/{account('held')}", json={"suspend": True}).status_code == 200
    members = a_room().members | {account("old"), account("held")}
    room = imported(home, "a1", members=members)
    with home.open() as target:
        assert target.read_room(room).members == members
