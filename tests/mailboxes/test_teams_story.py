"""Skype meetings that move to Teams, on a stand-in for Graph: in MMS's own mailboxes, in CalDAV, in Exchange Online."""

from __future__ import annotations

import html
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.exchange.events import Change
from migrations_app.mailboxes.graph.source import GraphSource
from migrations_app.models import MeetingResult, OnlineMeeting, Run, TeamsLook
from migrations_app.procedures import teams_looks
from migrations_app.runs import queue
from migrations_app.runs.undo_start import start_undo
from migrations_app.runs.worker import work_run
from migrations_app.targets import SKYPE, TEAMS, Targets
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import change_tenant
from tenants_app.models import ConferencingUser, MailboxConnection
from tests.mailboxes.conftest import Store
from tests.mailboxes.test_graph_story import store as put_into_exchange
from tests.support.actors import ACTOR
from tests.support.graph_stand_in import Behaviour, GraphStandIn
from tests.support.meetings import STAY, body_of, invite, join_links, logical_lines, migrate, plan
from tests.support.radicale_server import RadicaleServer
from tests.support.undoing import Killed, work

pytestmark = pytest.mark.django_db

ANNA = "anna.rossi@contoso.com"
MOVE = Targets.of_types(SKYPE, TEAMS)


@pytest.fixture
def teams(anna: ConferencingUser, graph_server: GraphStandIn, settings: Any) -> GraphStandIn:
    """Teams is Contoso's meeting service; the mailboxes are elsewhere."""
    settings.MMS_ALLOWED_MAIL_HOSTS = ["127.0.0.1", "localhost"]
    settings.MMS_MICROSOFT_ENDPOINTS = [graph_server.authority, graph_server.graph]
    connection = create_connection(
        anna.tenant,
        ACTOR,
        "Microsoft 365",
        kind=MailboxConnection.Kind.GRAPH,
        directory_id=graph_server.directory_id,
        username=graph_server.client_id,
        password=graph_server.secret,
    )
    change_tenant(anna.tenant, ACTOR, teams_connection=connection, meeting_service="teams")
    return graph_server


def reloaded(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


def codes(run: Run) -> Counter[str]:
    return Counter(MeetingResult.objects.filter(run=run).values_list("code", flat=True))


def text_of(body: bytes) -> str:
    return "\n".join(logical_lines(body))


def look_later() -> None:
    TeamsLook.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    teams_looks.advance(timezone.now() + timedelta(minutes=1))


def made(teams: GraphStandIn) -> set[str]:
    return {meeting["joinWebUrl"] for meeting in teams.meetings}


def test_in_an_embedded_mailbox_and_on_through_a_change_in_the_admin_center(
    anna: ConferencingUser, teams: GraphStandIn, outbox: Path
) -> None:
    uids = [invite(anna, number, build)[0] for number, build in enumerate([invitations.skype_html] * 3)]
    run = migrate(reloaded(anna), MOVE)
    assert (run.state, run.migration_type, codes(run)) == ("Succeeded", "SkypeForBusinessToTeams", Counter({"": 3}))
    texts = [text_of(body_of(anna, uid)) for uid in uids]
    assert {url for text in texts for url in join_links(text)} == made(teams)
    assert len(made(teams)) == 3
    assert all(teams.world.bridge["toll"][-4:] in text for text in texts)
    assert set(OnlineMeeting.objects.values_list("made_under", flat=True)) == {f"{teams.directory_id}@global"}
    deliver()
    assert len(list(outbox.iterdir())) > 0

    assert codes(migrate(reloaded(anna), STAY)) == Counter({"already-current": 3})
    assert not reloaded(anna).is_out_of_date

    teams.set_bridge("+49 30 5550142", "+49 800 5550142")
    look_later()
    assert reloaded(anna).is_out_of_date
    run = migrate(reloaded(anna), STAY)
    assert codes(run) == Counter({"": 3})
    for uid, before in zip(uids, texts, strict=True):
        after = text_of(body_of(anna, uid))
        assert join_links(after) == join_links(before)
        assert "tel:+49305550142" in after
        assert "tel:+498005550142" in after
    assert not reloaded(anna).is_out_of_date


def test_a_worker_killed_after_teams_has_made_a_meeting_finds_it_again(
    anna: ConferencingUser, teams: GraphStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid, before = invite(anna)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("migrations_app.meeting_services.remembered.insert", die)
        with pytest.raises(KeyboardInterrupt):
            migrate(reloaded(anna), MOVE)
    assert (body_of(anna, uid), len(made(teams)), OnlineMeeting.objects.count()) == (before, 1, 0)
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    Run.objects.update(due_at=timezone.now())
    run = queue.claim()
    assert run is not None
    work_run(run)
    assert set(join_links(text_of(body_of(anna, uid)))) == made(teams)
    assert len(made(teams)) == 1


@pytest.mark.parametrize("lost", ["cut-before", "cut-after", "garbage", "truncated", "503", "504-after", "429"])
def test_an_answer_that_is_lost_makes_no_second_meeting(anna: ConferencingUser, teams: GraphStandIn, lost: str) -> None:
    uid, _ = invite(anna)
    teams.fail_next(lost, method="POST", path="createOrGet")
    assert migrate(reloaded(anna), MOVE).state == "Pending"
    Run.objects.update(due_at=timezone.now())
    run = queue.claim()
    assert run is not None
    work_run(run)
    assert set(join_links(text_of(body_of(anna, uid)))) == made(teams)
    assert len(made(teams)) == 1


def test_without_an_application_access_policy_the_meeting_fails_and_stays(
    anna: ConferencingUser, teams: GraphStandIn
) -> None:
    uid, before = invite(anna)
    next(iter(teams.world.users.values())).teams_policy = False
    run = migrate(reloaded(anna), MOVE)
    assert (run.state, codes(run), body_of(anna, uid)) == ("Failed", Counter({"teams-no-policy": 1}), before)


def test_in_a_caldav_mailbox(
    anna: ConferencingUser,
    teams: GraphStandIn,
    connection: MailboxConnection,
    store: Store,
    server: RadicaleServer,
    calendar: str,
) -> None:
    stored = store(2, invitations.skype_exchange)
    run = migrate(reloaded(anna), MOVE)
    assert (run.state, codes(run)) == ("Succeeded", Counter({"": 2}))
    texts = [text_of(server.request("GET", f"{calendar}{number}.ics").content) for number in range(2)]
    assert {url for text in texts for url in join_links(text)} == made(teams)
    assert all("X-MICROSOFT-SKYPETEAMSMEETINGURL:" in text for text in texts)
    assert {line for text in texts for line in text.split("\n") if line.startswith("UID:")} == {
        f"UID:{uid}" for uid in stored
    }
    assert codes(migrate(reloaded(anna), STAY)) == Counter({"already-current": 2})


@pytest.mark.parametrize("behaviour", Behaviour)
def test_in_exchange_online_under_each_behaviour_of_the_server(
    behaviour: Behaviour, anna: ConferencingUser, exchange_online: MailboxConnection, graph_server: GraphStandIn
) -> None:
    graph_server.behaviour = behaviour
    change_tenant(anna.tenant, ACTOR, teams_connection=exchange_online, meeting_service="teams")
    id_ = put_into_exchange(graph_server, anna, invitations.skype_exchange)
    before = graph_server.event(ANNA, id_)
    run = migrate(reloaded(anna), MOVE)
    assert (run.state, codes(run)) == ("Succeeded", Counter({"": 1}))
    after = graph_server.event(ANNA, id_)
    (join_url,) = made(graph_server)
    assert (after.uid, set(join_links(after.body))) == (before.uid, {join_url})
    assert after.properties["SkypeTeamsMeetingUrl"] == join_url
    assert after.properties["SkypeTeamsProperties"].startswith('{"cid":"19:meeting_')
    assert not after.properties.get("OnlineMeetingConfLink")
    assert len(graph_server.mails) == 1

    assert codes(migrate(reloaded(anna), STAY)) == Counter({"already-current": 1})
    graph_server.set_bridge("+49 30 5550142")
    look_later()
    assert codes(migrate(reloaded(anna), STAY)) == Counter({"": 1})
    changed = graph_server.event(ANNA, id_)
    assert set(join_links(changed.body)) == {join_url}
    assert "tel:+49305550142" in html.unescape(changed.body)
    assert len(graph_server.mails) == 2

    if behaviour is Behaviour.DOCUMENTED:
        work(start_undo(run, ACTOR))
        assert codes(Run.objects.latest("pk")) == Counter({"changed-since": 1})


@pytest.mark.parametrize("behaviour", Behaviour)
def test_numbers_are_exchanged_in_the_block_that_teams_wrote_and_its_link_stays(
    behaviour: Behaviour, anna: ConferencingUser, exchange_online: MailboxConnection, graph_server: GraphStandIn
) -> None:
    graph_server.behaviour = behaviour
    change_tenant(anna.tenant, ACTOR, teams_connection=exchange_online, meeting_service="teams")
    id_ = put_into_exchange(graph_server, anna, invitations.teams_gen2)
    before = graph_server.event(ANNA, id_)
    has_toll_free = plan(anna).block.toll_free_number != ""
    graph_server.set_bridge("+49 30 5550142", "+49 800 5550142" if has_toll_free else None)
    run = migrate(reloaded(anna), STAY)
    assert (run.state, codes(run)) == ("Succeeded", Counter({"": 1}))
    after = graph_server.event(ANNA, id_)
    assert (after.join_url, join_links(after.body).keys()) == (before.join_url, join_links(before.body).keys())
    assert ("_" * 80 in before.body, "_" * 80 in after.body) == (True, True)
    assert "+49305550142" in html.unescape(after.body)
    (meeting,) = graph_server.meetings
    assert meeting["audio"]["conferenceId"] in "".join(html.unescape(after.body).split())
    assert len(graph_server.mails) == 1
    assert codes(migrate(reloaded(anna), STAY)) == Counter({"already-current": 1})


@pytest.mark.parametrize("seed", range(2))
def test_r41_whatever_fails_on_the_way_each_meeting_is_made_once(
    seed: int, anna: ConferencingUser, teams: GraphStandIn
) -> None:
    """`pytest -k whatever_fails` with more seeds is a campaign."""
    uids = [invite(anna, number)[0] for number in range(8)]
    teams.faults_at_random(0.3, seed=seed)
    run = migrate(reloaded(anna), MOVE)
    for _ in range(40):
        run.refresh_from_db()
        if run.state != "Pending":
            break
        Run.objects.update(due_at=timezone.now(), attempts=1)
        again = queue.claim()
        assert again is not None
        work_run(again)
    happened = teams.routes.faults.happened
    teams.no_faults()
    assert (run.state, happened > 0) == ("Succeeded", True)
    assert len(made(teams)) == len(uids) == OnlineMeeting.objects.count()
    assert {url for uid in uids for url in join_links(text_of(body_of(anna, uid)))} == made(teams)


@pytest.mark.parametrize("written", [1, 2])
@pytest.mark.parametrize("behaviour", [Behaviour.DOCUMENTED, Behaviour.FOLLOWS_BODY, Behaviour.REWRITES])
def test_a_series_of_which_a_part_has_moved_already_moves_whole(
    behaviour: Behaviour,
    written: int,
    anna: ConferencingUser,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph_server.behaviour = behaviour
    change_tenant(anna.tenant, ACTOR, teams_connection=exchange_online, meeting_service="teams")
    id_ = put_into_exchange(graph_server, anna, invitations.series_with_overrides)
    apply, calls = GraphSource.apply, list[Change]()

    def killed(self: GraphSource, change: Change) -> str:
        if len(calls) == written:
            raise Killed
        calls.append(change)
        return apply(self, change)

    with monkeypatch.context() as patched:
        patched.setattr(GraphSource, "apply", killed)
        with pytest.raises(Killed):
            migrate(reloaded(anna), MOVE)
    run = Run.objects.latest("pk")
    work(run)
    result = MeetingResult.objects.get(run=run)
    assert (result.outcome, result.code, result.detail) == ("Succeeded", "", "")
    event = graph_server.event(ANNA, id_)
    to_come = [event, *(each for each in event.exceptions if each.ends_at > timezone.now())]
    assert [set(join_links(each.body)) for each in to_come] == [made(graph_server)] * 3
    assert len([each for each in graph_server.requests if each.method == "PATCH"]) == 3


def test_r45_another_undo_goes_on_where_one_that_failed_had_put_a_part_back(
    anna: ConferencingUser,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change_tenant(anna.tenant, ACTOR, teams_connection=exchange_online, meeting_service="teams")
    id_ = put_into_exchange(graph_server, anna, invitations.series_with_overrides)
    before = graph_server.event(ANNA, id_)
    run = migrate(reloaded(anna), MOVE)
    apply, calls = GraphSource.apply, list[Change]()

    def killed(self: GraphSource, change: Change) -> str:
        if calls:
            raise Killed
        calls.append(change)
        return apply(self, change)

    failing = start_undo(run, ACTOR)
    with monkeypatch.context() as patched:
        patched.setattr(GraphSource, "apply", killed)
        with pytest.raises(Killed):
            work(failing)
    graph_server.fail_next(status=403, times=20)
    work(failing)
    failing.refresh_from_db()
    assert failing.state == "Failed"
    graph_server.no_faults()

    work(start_undo(run, ACTOR))
    assert codes(Run.objects.latest("pk")) == Counter({"": 1})
    after = graph_server.event(ANNA, id_)
    assert [each.body for each in (after, *after.exceptions)] == [each.body for each in (before, *before.exceptions)]
    assert len([each for each in graph_server.requests if each.method == "PATCH" and each.status < 300]) == 6
