"""The target matrix over a stand-in that refuses what a homeserver refuses: rights, privacy, lost answers, limits."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest
import trustme

from migrations_app.chat.archive.records import Principal, PrincipalKind, PrincipalState, Room
from migrations_app.chat.conversion.outgoing import Joining
from migrations_app.chat.targets.base import TargetProblem, Unanswered
from migrations_app.chat.targets.matrix import MOST_OCTETS, MatrixTarget
from migrations_app.chat.targets.matrix_client import canonical_size
from migrations_app.chat.targets.matrix_names import ghost_of, localpart_of, registration, room_alias
from tests.support.chat_matrix import (
    ACCOUNTS,
    ANNA,
    BEGAN,
    BEN,
    CATEGORY,
    ENDED,
    FILE,
    GONE,
    LEFT,
    OCTETS,
    a_room,
    account,
    messages,
    octets,
)
from tests.support.matrix_stand_in import StandIn, matrix_stand_in, settings_for
from tests.support.scripted_server import Asked, scripted

Open = Callable[..., MatrixTarget]


@pytest.fixture
def server() -> StandIn:
    stand_in = StandIn()
    for local, name in ACCOUNTS.items():
        stand_in.add_account(local, name)
    return stand_in


@pytest.fixture
def opened(server: StandIn, tmp_path: Path) -> Iterator[Open]:
    """Opens the target, each time as a process of its own would."""
    targets: list[MatrixTarget] = []
    with matrix_stand_in(server) as (_, http):

        def opened(**options: str) -> MatrixTarget:
            targets.append(MatrixTarget(settings_for(http.address, tmp_path, **options)))
            return targets[-1]

        yield opened
        for target in targets:
            target.__exit__()


def begun(target: MatrixTarget, **values: object) -> str:
    return target.begin_room(a_room(**values), target.begin_category(CATEGORY))


def failing(what: str, times: int = 1, of: str = "/send/") -> Callable[[Asked], str]:
    """That fault at the first requests whose path has this in it."""
    left = [times]

    def fault(asked: Asked) -> str:
        if of not in asked.path or not left[0]:
            return ""
        left[0] -= 1
        return what

    return fault


# What becomes of lost answers (R111)


@pytest.mark.parametrize("fault", ["done", "gateway", "cut", "page", "lost"])
def test_r111_a_write_without_an_answer_is_settled_by_reading_back(server, opened, fault) -> None:
    target = opened()
    room = begun(target)
    sent = messages(target, 12)
    target.write(room, sent[:4], octets)
    server.faults = failing(fault)
    with pytest.raises(Unanswered):
        target.write(room, sent[4:], octets)
    server.transactions.clear()  # as homeservers forget them
    done = {sent[4].key} if fault != "lost" else set()
    assert target.written(room, sent[4:]) == done
    assert opened().written(room, sent) == {message.key for message in sent[:4]} | done
    target.write(room, sent[4:], octets)
    assert [message.key for message in target.read_messages(room)] == [message.key for message in sent]


def test_r111_an_uploaded_file_without_an_answer_is_sent_again(server, opened) -> None:
    target = opened()
    room = begun(target)
    server.faults = failing("done", of="/upload")
    with pytest.raises(Unanswered):
        target.write(room, messages(target, 1), octets)
    assert target.written(room, messages(target, 1)) == set()
    target.write(room, messages(target, 1), octets)
    [read] = target.read_messages(room)
    assert (read.file_name, read.file_bytes, read.file_sha256) == (FILE.name, FILE.bytes, FILE.sha256)


@pytest.mark.parametrize("fault", ["done", "gateway", "cut", "lost"])
@pytest.mark.parametrize("of", ["/createRoom", "/register", "/m.room.member/", "/displayname", "/m.room.power_levels"])
def test_r111_changes_that_may_be_made_twice_are_made_again_by_themselves(server, opened, fault, of) -> None:
    target = opened()
    server.faults = failing(fault, of=of)
    room = begun(target)
    target.write(room, messages(target, 5), octets)
    target.finish_room(room, a_room())
    assert len(server.rooms) == 2, "a space and a room"
    assert len(list(target.read_messages(room))) == 5
    assert target.read_room(room).members == a_room().members


def test_r111_a_room_that_came_to_be_by_half_is_made_anew(server, opened) -> None:
    first = begun(opened())
    name = server.rooms[first].state.pop(("m.room.name", ""))
    target, waited = opened(), []
    target._client.wait = waited.append
    second = begun(target)
    assert second != first
    assert sum(waited) == 5, "it could be another worker that makes it"
    assert begun(opened()) == second
    del server.rooms[second].state["m.room.name", ""]
    target._client.wait = lambda _: server.rooms[second].state.update({("m.room.name", ""): name})
    assert begun(target) == second


def test_two_workers_may_bring_the_same_person_into_a_space(server, opened) -> None:
    target = opened()
    room = begun(target)
    space = next(key for key, each in server.rooms.items() if each.content("m.room.create").get("type") == "m.space")
    place = server.rooms[space]

    def fault(asked: Asked) -> str:
        if asked.method == "PUT" and space in unquote(asked.path) and "ben" in asked.path and not joined:
            joined.append(True)
            for who, membership in ((account("mms"), "invite"), (account("ben"), "join")):
                server._put(place, "m.room.member", account("ben"), {"membership": membership}, who, None)
        return ""

    joined: list[bool] = []
    server.faults = fault
    target.finish_room(room, a_room())
    assert joined
    assert server.rooms[space].membership(account("ben")) == "join"


def test_r111_reading_back_ends_where_no_message_can_be_that_is_asked_for(server, opened) -> None:
    target = opened()
    room = begun(target)
    sent = messages(target, 450)
    target.write(room, sent, octets)
    target = opened()
    begun(target)
    before = server.asked
    assert target.written(room, sent[-20:]) == {message.key for message in sent[-20:]}
    assert server.asked - before == 1, "one page"
    assert target.written(room, sent[:20]) == {message.key for message in sent[:20]}
    assert server.asked - before == 7, "all of them"
    server.transactions.clear()
    target.write(room, sent, octets)
    assert len(server.messages(room)) == 450


def test_r111_rooms_of_two_sources_with_one_number_do_not_meet() -> None:
    first = Room("17", "9", "Sales")
    assert room_alias("mms_", first) != room_alias("mms_", replace(first, name="Support"))
    assert room_alias("mms_", first) != room_alias("mms_", replace(first, category="8"))
    guid = replace(first, guid="ABC")
    assert room_alias("mms_", guid) == room_alias("mms_", replace(guid, id="18", name="Sales renamed", guid="abc"))


def test_r111_the_alias_of_another_room_is_no_place_to_write_to(server, opened) -> None:
    room = begun(opened())
    server.rooms[room].state["mms.room", ""]["content"]["made_for"] = "another"
    with pytest.raises(TargetProblem, match="alias of another one"):
        begun(opened())


# Limits


def test_a_server_that_is_busy_is_waited_for(server, opened) -> None:
    target = opened()
    room = begun(target)
    server.faults = failing("busy", times=3)
    target.write(room, messages(target, 4), octets)
    server.retry_after = {}
    server.faults = failing("busy", times=3)
    target.write(room, messages(target, 8), octets)
    assert len(server.messages(room)) == 8


def test_a_server_that_is_busy_for_long_is_left_to_whoever_imports(server, opened) -> None:
    target = opened()
    room = begun(target)
    server.retry_after = {"Retry-After": "3600"}
    server.faults = failing("busy")
    with pytest.raises(TargetProblem) as caught:
        target.write(room, messages(target, 4), octets)
    problem = caught.value
    assert (problem.code, problem.waits, problem.is_of_room) == ("chat-target-busy", True, False)
    assert problem.retry_after == 3600
    assert "rate_limited: false" in problem.sentence


def test_r117_what_the_converter_may_make_fits_into_an_event(server, opened) -> None:
    target = opened()
    room = begun(target)
    most = target.limits.message_json_bytes
    assert most
    text = 'ä"\\\n' * (most // 16)
    html = "<strong>" + "x" * (most - len(json.dumps(text, ensure_ascii=False).encode()) - 25) + "</strong>"
    [message] = messages(target, 2)[:1]
    largest = replace(message, key=f"{'r' * 120}/999999999999/99", text=text, html=html)
    target.write(room, [largest], octets)
    [event] = server.messages(room)
    assert most < canonical_size(event["content"]) < MOST_OCTETS
    with pytest.raises(TargetProblem, match="larger than an event"):
        target.write(room, [replace(message, key="17/2", text="x" * 65_000)], octets)


# How time and author are kept (R118)


def test_r118_time_and_author_are_kept_and_joins_are_dated(server, opened) -> None:
    target = opened()
    room = begun(target)
    sent = messages(target, 9)
    target.write(room, sent, octets)
    target.finish_room(room, a_room())
    read = list(target.read_messages(room))
    assert [(each.at, each.text, each.kind) for each in read] == [(each.at, each.text, each.kind) for each in sent]
    assert {each.author for each in read} == {account("anna.rossi"), account("ben"), ghost(LEFT), ghost(GONE)}
    assert [each.author for each in read] == [target.author_of(each.author.principal, a_room()) for each in sent]
    joins = [event for event in server.rooms[room].events if event["type"] == "m.room.member"][1:]
    assert {event["origin_server_ts"] for event in joins} <= {
        round(at.timestamp() * 1000) for at in [*(each.at for each in sent), ENDED]
    }
    assert min(event["origin_server_ts"] for event in joins) == round(sent[0].at.timestamp() * 1000)
    assert sent[0].at > BEGAN


def ghost(principal: Principal) -> str:
    return account(ghost_of("mms_", principal, principal.name))


# Who sees and does what (R122)


def test_r122_nobody_is_brought_into_a_room_for_old_messages(server, opened) -> None:
    target = opened()
    room = begun(target)
    target.write(room, messages(target, 9), octets)
    target.finish_room(room, a_room())
    for place in server.rooms.values():
        inside = {event["state_key"] for event in place.events if event["type"] == "m.room.member"}
        assert account("left") not in inside
    assert server.accounts[ghost(LEFT)] == "Lena Left"
    assert server.accounts[ghost(GONE)] == "Greta Gone (deleted)"
    left = server.rooms[room].content("m.room.member", ghost(GONE))
    assert left == {"membership": "leave", "displayname": "Greta Gone (deleted)"}


@pytest.mark.parametrize(
    ("values", "join_rule", "events_default"),
    [
        ({}, "invite", 0),
        ({"joining": Joining.ORGANIZATION}, "public", 0),
        ({"is_auditorium": True}, "invite", 25),
        ({"is_read_only": True, "is_auditorium": True}, "invite", 100),
    ],
)
def test_r122_rights_are_mapped_and_never_widened(server, opened, values, join_rule, events_default) -> None:
    target = opened()
    room = begun(target, **values)
    target.write(room, messages(target, 4), octets)
    assert server.rooms[room].content("m.room.join_rules") == {"join_rule": "invite"}, "closed while it is written"
    target.finish_room(room, a_room(**values))
    there = server.rooms[room]
    assert there.content("m.room.create")["m.federate"] is False
    assert there.content("m.room.join_rules") == {"join_rule": join_rule}
    assert there.content("m.room.history_visibility") == {"history_visibility": "shared"}
    assert there.content("m.room.guest_access") == {"guest_access": "forbidden"}
    assert ("m.room.encryption", "") not in there.state
    levels = there.content("m.room.power_levels")
    assert levels["events_default"] == events_default
    assert levels["users"] == {account("anna.rossi"): 50, account("ben"): 25}
    for kind in ("m.room.encryption", "m.room.history_visibility", "m.room.join_rules", "m.room.tombstone"):
        assert levels["events"][kind] == 100
    space = next(each for each in server.rooms.values() if each.content("m.room.create").get("type") == "m.space")
    assert space.content("m.space.child", room) == {"via": ["example.org"]}
    assert space.content("m.room.join_rules") == {"join_rule": join_rule}
    assert space.content("m.room.history_visibility") == {"history_visibility": "joined"}
    assert {who for (kind, who) in space.state if kind == "m.room.member"} == {account("mms"), *a_room().members}
    read = target.read_room(room)
    assert (read.name, read.category, read.description) == ("Rack 7", "Operations", "About it")
    assert read.joining == values.get("joining", Joining.INVITED)
    assert (read.members, read.managers, read.presenters) == (
        a_room().members,
        a_room().managers,
        a_room().presenters,
    )


def test_r122_a_manager_who_is_presenter_too_is_read_back_as_both(opened) -> None:
    both = {"presenters": a_room().members}
    target = opened()
    room = begun(target, **both)
    target.finish_room(room, a_room(**both))
    read = target.read_room(room)
    assert (read.managers, read.presenters) == (a_room().managers, a_room().members)


def test_r122_a_finished_room_is_opened_only_for_messages_that_are_new(server, opened) -> None:
    closed = {"is_read_only": True}
    target = opened()
    room = begun(target, **closed)
    sent = messages(target, 6)
    target.write(room, sent[:4], octets)
    target.finish_room(room, a_room(**closed))
    target = opened()
    begun(target, **closed)
    before = len(server.rooms[room].events)
    target.write(room, sent[:4], octets)
    target.finish_room(room, a_room(**closed))
    assert len(server.rooms[room].events) == before, "nothing was added"
    target = opened()
    begun(target, **closed)
    target.write(room, sent, octets)
    target = opened()  # killed before it was closed again
    begun(target, **closed)
    target.finish_room(room, a_room(**closed))
    assert server.rooms[room].content("m.room.power_levels")["events_default"] == 100
    assert [message.key for message in target.read_messages(room)] == [message.key for message in sent]


def test_r122_a_server_that_encrypts_new_rooms_is_refused_and_the_name_stays_free(server, opened) -> None:
    server.encrypts = True
    with pytest.raises(TargetProblem, match="encryption_enabled_by_default_for_room_type"):
        begun(opened())
    server.encrypts = False
    assert begun(opened())


def test_members_hear_nothing_of_the_past(server, opened) -> None:
    target = opened()
    room = begun(target)
    target.write(room, messages(target, 9), octets)
    assert server.muted == {(who, room) for who in a_room().members}
    target.finish_room(room, a_room())
    assert not server.rules
    last = server.messages(room)[-1]["event_id"]
    assert server.receipts == {(room, who): last for who in a_room().members}


@pytest.mark.parametrize(("option", "allowed"), [("no", True), ("", False)])
def test_without_the_right_to_speak_for_accounts_people_are_invited(server, opened, option, allowed) -> None:
    server.speaks_for_accounts = allowed
    target = opened(speaks_for_accounts=option)
    room = begun(target)
    target.write(room, messages(target, 5), octets)
    target.finish_room(room, a_room())
    assert {message.author for message in target.read_messages(room)} == {
        ghost(each) for each in (ANNA, BEN, LEFT, GONE)
    }
    assert {server.rooms[room].membership(who) for who in a_room().members} == {"invite"}
    assert target.read_room(room).members == a_room().members
    assert ("speaks-for-nobody" in {finding.code for finding in target.findings()}) == (option == "no")


# Rooms that are there (R120)


def others_room(server: StandIn, *, events_default: int = 50) -> str:
    owner = server.add_account("owner")
    levels = {"users": {account("mms"): 100, account("ben"): 60}, "events_default": events_default, "invite": 50}
    body = {"name": "Rack 7", "preset": "private_chat", "power_level_content_override": levels}
    room = server._create(body, owner)
    server._put(room, "m.room.member", account("mms"), {"membership": "invite"}, owner, None)
    server._put(room, "m.room.member", account("mms"), {"membership": "join"}, account("mms"), None)
    return room.id


def test_r120_a_merge_unites_people_and_leaves_rights_as_they_were(server, opened) -> None:
    into = others_room(server)
    assert opened().look().rooms == {"rack 7": into}
    merges = {"merges_into": into}
    target = opened()
    assert begun(target, **merges) == into
    target.write(into, messages(target, 6)[:3], octets)
    assert server.rooms[into].content("m.room.power_levels")["events_default"] == 0
    target = opened()  # killed
    begun(target, **merges)
    target.write(into, messages(target, 6), octets)
    target.finish_room(into, a_room(**merges))
    levels = server.rooms[into].content("m.room.power_levels")
    assert levels["events_default"] == 50
    assert levels["users"] == {account("mms"): 100, account("ben"): 60, account("anna.rossi"): 50}
    assert server.rooms[into].content("m.room.join_rules") == {"join_rule": "invite"}
    assert target.read_room(into).members == a_room().members | {account("owner")}
    assert len(server.messages(into)) == 6


def test_r120_a_room_in_which_we_may_not_write_is_no_place_to_merge_into(server, opened) -> None:
    into = others_room(server)
    server.rooms[into].state["m.room.power_levels", ""]["content"]["users"] = {}
    with pytest.raises(TargetProblem, match="power level 100"):
        begun(opened(), merges_into=into)


def test_r110_looking_tells_ours_from_others_and_the_digest_follows_others_alone(server, opened) -> None:
    target = opened()
    before = target.look()
    room = begun(target)
    found = target.look()
    assert found.rooms == {"rack 7": room}
    assert found.ours == {a_room().room.guid: room}
    assert list(found.our_categories) == [CATEGORY.guid]
    assert found.digest == before.digest
    assert not found.retention_is_known
    server.public.append(others_room(server))
    assert target.look().digest != before.digest


# What is read back is what is there (R123)


def test_r123_what_was_lost_or_altered_at_the_target_is_seen(server, opened) -> None:
    target = opened()
    room = begun(target)
    target.write(room, messages(target, 5), octets)
    events = server.messages(room)
    events[0]["content"] = {}  # removed by somebody
    events[1]["content"]["body"] = "altered"
    server.media[events[4]["content"]["url"].rpartition("/")[2]] = OCTETS + b"!"
    owner = {"msgtype": "m.text", "body": "* new", "m.new_content": {"msgtype": "m.text", "body": "new"}}
    server._event(server.rooms[room], "m.room.message", None, owner, account("ben"), None)
    server._event(server.rooms[room], "m.room.message", None, {"msgtype": "m.text", "body": "hi"}, account("ben"), None)
    read = list(target.read_messages(room))
    assert [message.key for message in read] == ["17/2", "17/3", "17/4", "17/5", ""]
    assert read[0].text == "altered"
    assert (read[3].file_bytes, read[3].file_sha256 == FILE.sha256) == (len(OCTETS) + 1, False)
    server.media.clear()
    assert list(target.read_messages(room))[3].file_bytes is None


# Settings


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"secret": "wrong"}, "chat-target-sign-in", "get_chat_registration"),
        ({"account": "somebody"}, "chat-target-sign-in", "correct the account"),
        ({"allowed_hosts": ()}, "chat-target-address", "plain http"),
        ({"address": "https://user:word@example.org"}, "chat-target-address", "user name"),
        ({"address": "http://localhost:9"}, "chat-target-unavailable", "no connection"),
        ({"options": {"server_name": "no name"}}, "chat-target-address", "name of the homeserver"),
        ({"options": {"server_name": "example.org", "user_prefix": "MMS*"}}, "chat-target-address", "prefix"),
        ({"options": {"server_name": "example.org", "account_from": "shoe"}}, "chat-target-address", "sip, upn"),
        ({"account": "mms_bot"}, "chat-target-address", "does not begin"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said(server, tmp_path, change, code, words) -> None:
    with matrix_stand_in(server) as (_, http):
        settings = replace(settings_for(http.address, tmp_path), **change)
        with pytest.raises(TargetProblem) as caught, MatrixTarget(settings) as target:
            target.look()
    assert (caught.value.code, caught.value.is_of_room) == (code, False)
    assert words in caught.value.sentence


def test_the_certificate_is_checked_and_a_ca_may_be_given(server, tmp_path) -> None:
    authority, tls = trustme.CA(), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    with scripted(server, tls) as http:
        address = http.address.replace("http://", "https://")
        with MatrixTarget(settings_for(address, tmp_path)) as target, pytest.raises(TargetProblem) as caught:
            target.look()
        assert (caught.value.code, caught.value.is_of_room) == ("chat-target-certificate", False)
        trusted = authority.cert_pem.bytes().decode()
        with MatrixTarget(settings_for(address, tmp_path, ca_certificates=trusted)) as target:
            assert target.look().rooms == {}


def test_an_answer_of_something_else_is_no_homeserver(server, opened) -> None:
    server.faults = failing("page", times=99, of="/whoami")
    with pytest.raises(TargetProblem) as caught:
        opened().look()
    assert caught.value.code == "chat-target-unavailable"


@pytest.mark.parametrize(
    ("principal", "domains", "local"),
    [
        (ANNA, "contoso.com", "anna.rossi"),
        (BEN, "contoso.com fabrikam.com", "ben"),
        (ANNA, "fabrikam.com", None),
        (ANNA, "", None),
        (replace(ANNA, sip="anna@example.org"), "", "anna"),
        (replace(ANNA, sip="o'neil+x@contoso.com"), "contoso.com", "o=27neil=2bx"),
        (replace(ANNA, sip=""), "contoso.com", None),
        (replace(ANNA, state=PrincipalState.DISABLED), "contoso.com", "anna.rossi"),
        (GONE, "contoso.com", None),
        (replace(ANNA, is_federated=True), "contoso.com", None),
        (replace(ANNA, kind=PrincipalKind.GROUP), "contoso.com", None),
    ],
)
def test_r116_only_the_organizations_own_people_have_accounts(principal, domains, local) -> None:
    assert localpart_of(principal, "sip", frozenset(domains.split()), "matrix.example.org") == local


def test_ghosts_have_names_that_a_homeserver_takes_and_that_tell_people_apart() -> None:
    names = {ghost_of("mms_", each, each.name) for each in (ANNA, BEN, LEFT, GONE)}
    assert len(names) == 4
    assert ghost_of("mms_", Principal("8", name="נועה"), "נועה").startswith("mms_")
    assert ghost_of("mms_", replace(ANNA, sip="ann@contoso.com"), "") != ghost_of(
        "mms_", replace(ANNA, sip="ann@fabrikam.com"), ""
    )
    long = ghost_of("mms_", replace(ANNA, sip=f"{'x' * 200}@contoso.com"), "")
    assert len(long) < 60


def test_the_registration_names_what_belongs_to_mms_alone() -> None:
    text = registration('se"cret', "mms", "mms_", "contoso.com", speaks_for_accounts=False)
    assert 'as_token: "se\\"cret"' in text
    assert "rate_limited: false" in text
    assert r'regex: "@mms_.*:contoso\\.com"' in text
    assert "exclusive: false" not in text
    assert "exclusive: false" in registration("s", "mms", "mms_", "contoso.com", speaks_for_accounts=True)
