"""Rooms become channels of Teams through Graph's migration mode (R111, R112, R118, R121, R122)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migrations_app.chat.archive.records import ChatFile, MessageKind, Principal, PrincipalState, Room
from migrations_app.chat.conversion.outgoing import Joining, OutgoingCategory, OutgoingMessage, OutgoingRoom, Person
from migrations_app.chat.targets.base import ReadMessage, TargetProblem, Unanswered
from migrations_app.chat.targets.teams import PERMISSIONS, TeamsTarget
from tests.support.graph_stand_in import GraphStandIn
from tests.support.teams_chat_stand_in import ROLES, STAND_IN, opened

FIRST = datetime(2015, 3, 2, 8, 30, 0, 123_000, UTC)
ANN = Principal("1", sip="ann.lee@contoso.com", upn="ann.lee@contoso.com", name="Ann Lee")
BOB = Principal("2", sip="bob.ray@contoso.com", upn="bob.ray@contoso.com", name="Bob Ray")
GONE = Principal("3", sip="ann.lee@contoso.com", name="Ann Lee", state=PrincipalState.DELETED)
CATEGORY = OutgoingCategory("7", "Sales - North")


def room(name: str = "Prices", **facts: Any) -> OutgoingRoom:
    source = Room(facts.pop("id", "17"), "7", name, guid=facts.pop("guid", "a-guid"), first=FIRST)
    people = frozenset({"ann.lee@contoso.com", "bob.ray@contoso.com"})
    whole = {"members": people, "managers": frozenset({"ann.lee@contoso.com"}), "category": CATEGORY, **facts}
    return OutgoingRoom(source, name=name, **whole)


def said(n: int, text: str = "", author: Principal = ANN, **facts: Any) -> OutgoingMessage:
    account = None if author.state is PrincipalState.DELETED else author.upn
    at = FIRST + timedelta(milliseconds=n)
    person = Person(author, account, author.name)
    return OutgoingMessage(f"17/{n}", n, facts.pop("at", at), person, text or f"Message {n}", **facts)


def no_file(file: ChatFile) -> io.BytesIO:
    raise AssertionError(file)


def imported(target: TeamsTarget, one: OutgoingRoom, messages: Sequence[OutgoingMessage]) -> str:
    """The whole of an import of one room."""
    id_ = target.begin_room(one, target.begin_category(one.category))
    target.write(id_, messages, no_file)
    target.finish_room(id_, one)
    return id_


def read(target: TeamsTarget, id_: str) -> list[ReadMessage]:
    return list(target.read_messages(id_))


def test_r118_messages_come_back_with_time_author_and_text(teams: GraphStandIn) -> None:
    messages = [
        said(1, "Grüße,\n  zwei Zeilen & <kein HTML>", BOB),
        said(2, "see the site", html='see <a href="https://contoso.com/?a=1&amp;b=2">the site</a>'),
        said(3, "Fire drill", kind=MessageKind.ALERT),
        said(4, "Title\nBody", html="<b>Title</b><br>Body", kind=MessageKind.STORY),
        said(5, "Ann Lee (deleted), 2015-03-02 08:30:\nold", GONE),
    ]
    with opened(teams) as target:
        id_ = imported(target, room(), messages)
        found = read(target, id_)
    assert [(each.at, each.text, each.kind) for each in found] == [(each.at, each.text, each.kind) for each in messages]
    assert [each.author for each in found] == [BOB.upn, ANN.upn, ANN.upn, ANN.upn, STAND_IN]


def test_r122_a_private_room_becomes_a_private_channel_with_its_people_only(teams: GraphStandIn) -> None:
    with opened(teams) as target:
        id_ = imported(target, room(), [said(1)])
        shown = target.read_room(id_)
    channel = teams.routes.chat.channel("Prices")
    assert channel.kind == "private"
    assert teams.routes.chat.team("Sales - North").visibility == "private"
    assert shown.joining is Joining.INVITED
    assert shown.members == {ANN.upn, BOB.upn}
    assert shown.managers == {ANN.upn}
    assert (shown.name, shown.category, shown.description) == ("Prices", "Sales - North", "")


def test_r122_an_open_room_may_be_joined_by_the_organization_once_it_is_whole(teams: GraphStandIn) -> None:
    one = room("Canteen", joining=Joining.ORGANIZATION, description="What is there today")
    with opened(teams) as target:
        id_ = target.begin_room(one, target.begin_category(CATEGORY))
        assert teams.routes.chat.team("Sales - North").visibility == "private"
        target.finish_room(id_, one)
        shown = target.read_room(id_)
        assert shown.joining is Joining.ORGANIZATION
        assert shown.description == "What is there today"
        assert shown.members is None
        teams.routes.chat.team("Sales - North").visibility = "private"
        imported(target, one, [])
    assert teams.routes.chat.team("Sales - North").visibility == "private"  # somebody closed it: once is enough


def test_r122_a_team_with_a_channel_of_others_is_not_opened(teams: GraphStandIn) -> None:
    one = room("Canteen", joining=Joining.ORGANIZATION)
    with opened(teams) as target:
        id_ = target.begin_room(one, target.begin_category(CATEGORY))
        team = teams.routes.chat.team("Sales - North")
        teams.routes.chat._channel(team, "Made by hand", "", "standard")
        target.finish_room(id_, one)
    assert team.visibility == "private"


def test_r122_a_room_that_was_disabled_is_archived_after_its_people_are_in(teams: GraphStandIn) -> None:
    with opened(teams) as target:
        id_ = imported(target, room(is_read_only=True), [said(1)])
        assert target.read_room(id_).is_read_only is True
        assert imported(target, room(is_read_only=True), []) == id_
    assert teams.routes.chat.channel("Prices").members


@pytest.mark.parametrize("asks_for", ["private", "shared"])
def test_r122_a_channel_of_another_kind_than_was_asked_for_is_removed_at_once(
    teams: GraphStandIn, asks_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = teams.routes.chat
    made = chat._make_channel
    monkeypatch.setattr(
        chat, "_make_channel", lambda team, body, app: made(team, {**body, "membershipType": "standard"}, app)
    )
    with opened(teams) as target, pytest.raises(TargetProblem, match="another kind"):
        target.begin_room(room(), target.begin_category(CATEGORY))
    assert [one.name for one in chat.team("Sales - North").channels.values()] == ["General"]


def test_r122_a_private_room_is_never_merged_into_a_channel_that_a_whole_team_reads(teams: GraphStandIn) -> None:
    chat = teams.routes.chat
    team = chat.add_team("Old", channels={"Prices": "standard", "Plans": "private"})
    ids = {one.name: f"{team.id}/{one.id}" for one in team.channels.values()}
    category = replace(CATEGORY, name="Old", merges_into=team.id)
    with opened(teams) as target:
        with pytest.raises(TargetProblem, match="to nobody who could not read it"):
            target.begin_room(room(category=category, merges_into=ids["Prices"]), team.id)
        id_ = target.begin_room(room("Plans", category=category, merges_into=ids["Plans"]), team.id)
        target.write(id_, [said(1)], no_file)
        with pytest.raises(TargetProblem, match="lets nobody into a team that it did not make"):
            target.finish_room(id_, room("Plans", category=category, merges_into=ids["Plans"]))
    assert not team.members


def test_r111_importing_again_adds_nothing_and_takes_nothing_into_migration_mode(teams: GraphStandIn) -> None:
    messages = [said(n) for n in range(1, 8)]
    with opened(teams) as target:
        id_ = imported(target, room(), messages)
        before = len(read(target, id_))
    with opened(teams) as target:
        found = target.look()
        assert found.ours == {"a-guid": id_}
        again = target.begin_room(room(), target.begin_category(CATEGORY))
        assert (again, target.written(again, messages)) == (id_, {each.key for each in messages})
        target.finish_room(again, room())
        assert teams.routes.chat.channel("Prices").mode == "completed"
        target.write(again, messages, no_file)  # whoever writes all the same: 409 for each, and each is there
        target.finish_room(again, room())
        assert len(read(target, id_)) == before


@pytest.mark.parametrize("ids_are_times", [True, False])
@pytest.mark.parametrize("kind", ["cut-before", "cut-after", "504-after"])
def test_r111_a_lost_answer_is_settled_by_reading(teams: GraphStandIn, kind: str, ids_are_times: bool) -> None:
    teams.routes.chat.ids_are_times = ids_are_times
    messages = [said(n) for n in range(1, 6)]
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        target.write(id_, messages[:2], no_file)
        teams.fail_next(kind, method="POST", path="/messages")
        with pytest.raises(Unanswered):
            target.write(id_, messages[2:], no_file)
        there = target.written(id_, messages)
        assert there == {each.key for each in messages[: 2 if kind == "cut-before" else 3]}
        target.write(id_, [each for each in messages if each.key not in there], no_file)
        assert [each.text for each in read(target, id_)] == [each.text for each in messages]


def test_r111_a_killed_import_goes_on_in_the_channel_that_it_made(teams: GraphStandIn) -> None:
    for shows_mode in (True, False):
        teams.routes.chat.teams.clear()
        teams.routes.chat.shows_mode = shows_mode
        with opened(teams) as target:
            first = target.begin_room(room(), target.begin_category(CATEGORY))
            target.write(first, [said(1)], no_file)
        with opened(teams) as target:
            second = target.begin_room(room(), target.begin_category(CATEGORY))
            assert second == first
            target.write(second, [said(2)], no_file)
        with opened(teams) as target:
            target.finish_room(target.begin_room(room(), target.begin_category(CATEGORY)), room())
            assert len(read(target, first)) == 2
        assert teams.routes.chat.channel("Prices").mode == "completed"


def test_r118_a_time_that_somebody_else_has_is_refused_and_nothing_is_overwritten(teams: GraphStandIn) -> None:
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        target.write(id_, [said(1, "mine")], no_file)
        with pytest.raises(TargetProblem, match="to the millisecond"):
            target.write(id_, [said(1, "another")], no_file)
        assert [each.text for each in read(target, id_)] == ["mine"]


def test_r121_no_message_is_dated_in_the_future_or_before_its_channel(teams: GraphStandIn) -> None:
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        for at in (teams.clock.now() + timedelta(days=1), FIRST - timedelta(days=400)):
            with pytest.raises(TargetProblem, match="createdDateTime"):
                target.write(id_, [said(1, at=at)], no_file)
        assert not read(target, id_)
        target.write(id_, [said(1, at=FIRST - timedelta(days=1))], no_file)  # the source's clock was set back


def test_r121_another_applications_migration_is_left_alone(teams: GraphStandIn) -> None:
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        teams.routes.chat.channel("Prices").owner = "another-application"
        with pytest.raises(TargetProblem, match="another application"):
            target.write(id_, [said(1)], no_file)
        with pytest.raises(TargetProblem, match="another application"):
            target.finish_room(id_, room())


def test_r121_a_channel_takes_no_more_than_it_may_and_mms_waits_as_long_as_it_is_asked(teams: GraphStandIn) -> None:
    teams.clock.stop()
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        begun = teams.clock.now()
        target.write(id_, [said(n) for n in range(1, 41)], no_file)
        assert teams.clock.now() - begun >= timedelta(seconds=9)
        assert not [one for one in teams.requests if one.status == 429]
        teams.fail_next("429", retry_after=12, method="POST", path="/messages")
        begun = teams.clock.now()
        target.write(id_, [said(41)], no_file)
        assert teams.clock.now() - begun >= timedelta(seconds=12)
        teams.fail_next("429", retry_after=300, method="POST", path="/messages")
        with pytest.raises(TargetProblem) as refused:
            target.write(id_, [said(42)], no_file)
    assert (refused.value.waits, refused.value.retry_after) == (True, 300)


def test_r121_the_queue_waits_where_a_team_takes_long_to_be_made(teams: GraphStandIn) -> None:
    teams.routes.chat.team_takes = 30
    with opened(teams) as target:
        with pytest.raises(TargetProblem) as slow:
            target.begin_category(CATEGORY)
        assert slow.value.waits
        assert target.begin_category(CATEGORY) == teams.routes.chat.team("Sales - North").id


@pytest.mark.parametrize("missing", PERMISSIONS)
def test_r121_each_missing_permission_is_named_before_anything_is_written(teams: GraphStandIn, missing: str) -> None:
    teams.application.roles = tuple(role for role in ROLES if role != missing)
    with opened(teams) as target, pytest.raises(TargetProblem, match=missing) as refused:
        target.look()
    assert not refused.value.is_of_room
    teams.application.roles = ROLES
    with opened(teams) as target:
        target.look()  # though the token that lacked it is still good
    assert not [one for one in teams.requests if one.method != "GET"]


def test_r121_only_the_global_cloud_imports(teams: GraphStandIn) -> None:
    with pytest.raises(TargetProblem, match="global cloud only"):
        opened(teams, cloud="us-gov")


@pytest.mark.parametrize("name", ["owner", "stand_in"])
def test_r121_accounts_of_the_settings_must_be_there(teams: GraphStandIn, name: str) -> None:
    with opened(teams, **{name: "nobody@contoso.com"}) as target, pytest.raises(TargetProblem, match="nobody@"):
        target.look()
    with pytest.raises(TargetProblem, match="directory ID"):
        opened(teams, **{name: ""})


def test_r110_look_tells_names_within_their_team_and_that_retention_must_be_asked(teams: GraphStandIn) -> None:
    team = teams.routes.chat.add_team("Old", channels={"Prices": "private"})
    ids = {one.name: f"{team.id}/{one.id}" for one in team.channels.values()}
    with opened(teams) as target:
        before = target.look()
        assert before.categories == {"old": team.id}
        assert before.rooms == {"old/general": ids["General"], "old/prices": ids["Prices"]}
        assert not before.retention_is_known
        imported(target, room(), [said(1)])
        assert target.look().digest == before.digest  # what MMS makes outdates no plan of its own
        teams.routes.chat.add_team("New")
        assert target.look().digest != before.digest
        assert "fee" in {finding.code for finding in target.findings()}


def test_r116_whoever_was_deleted_has_no_account_even_where_somebody_has_the_address_now(teams: GraphStandIn) -> None:
    guest = Principal("9", sip="eve@fabrikam.com", is_federated=True)
    with opened(teams) as target:
        accounts = [target.account_of(each) for each in (ANN, GONE, guest, Principal("8", sip="no@contoso.com"))]
        assert accounts == [ANN.upn, None, None, None]
        assert target.author_of(GONE, room()) == STAND_IN


def test_r119_files_lie_in_the_folder_of_their_channel(teams: GraphStandIn) -> None:
    octets = bytes(range(256)) * 4
    file = ChatFile("f1", "17", "Preise: 2015?.xlsx", bytes=len(octets), sha256="0" * 64)
    message = said(5, "Preise: 2015?.xlsx", kind=MessageKind.FILE, file=file)
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        for _ in range(2):
            target.write(id_, [message], lambda file: io.BytesIO(octets))
        (found,) = read(target, id_)
    assert teams.routes.chat.channel("Prices").files == {"5 Preise_ 2015_.xlsx": octets}
    assert (found.file_name, found.file_bytes, found.kind) == (file.name, len(octets), MessageKind.FILE)
    assert found.text == message.text
    assert len([one for one in teams.requests if one.method == "PUT"]) == 1


def test_r119_a_file_that_did_not_arrive_whole_is_not_shown(teams: GraphStandIn) -> None:
    file = ChatFile("f1", "17", "a.txt", bytes=10, sha256="0" * 64)
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        with pytest.raises(TargetProblem, match="did not arrive whole"):
            target.write(id_, [said(1, kind=MessageKind.FILE, file=file)], lambda file: io.BytesIO(b"short"))
        assert not read(target, id_)


def test_r112_whom_teams_does_not_let_in_is_told_and_the_rest_is_there(teams: GraphStandIn) -> None:
    teams.mailbox(BOB.upn).user.enabled = False
    with opened(teams) as target, pytest.raises(TargetProblem, match="did not let in 1 people"):
        imported(target, room(), [said(1)])
    assert teams.routes.chat.channel("Prices").mode == "completed"


def test_r121_a_channel_made_since_the_plan_is_no_room_of_ours(teams: GraphStandIn) -> None:
    with opened(teams) as target:
        team = target.begin_category(CATEGORY)
        teams.routes.chat._channel(teams.routes.chat.team("Sales - North"), "prices", "", "standard")
        with pytest.raises(TargetProblem, match="since the plan"):
            target.begin_room(room(), team)


def test_r123_fractions_of_a_second_are_in_order_however_graph_writes_them(teams: GraphStandIn) -> None:
    whole = FIRST.replace(microsecond=0)
    messages = [
        said(n, at=whole + timedelta(milliseconds=after)) for n, after in enumerate((0, 10, 100, 101, 1000, 1100), 1)
    ]
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        target.write(id_, messages, no_file)
        assert [(each.at, each.text) for each in read(target, id_)] == [(each.at, each.text) for each in messages]
        assert target.written(id_, messages) == {each.key for each in messages}


def test_r123_messages_are_read_oldest_first_over_many_pages(teams: GraphStandIn) -> None:
    with opened(teams) as target:
        id_ = target.begin_room(room(), target.begin_category(CATEGORY))
        target.write(id_, [said(n) for n in range(1, 121)], no_file)
        teams.fail_next("429", retry_after=2, method="GET", path="/messages")
        assert [each.text for each in read(target, id_)] == [f"Message {n}" for n in range(1, 121)]
