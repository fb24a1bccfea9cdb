"""Settings that change, and others who ask for something, while a run works on Exchange Online."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from threading import Barrier, get_ident
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.mailboxes.exchange.events import Change
from migrations_app.mailboxes.exchange.source import Changed
from migrations_app.mailboxes.graph.source import GraphSource
from migrations_app.mailboxes.indexed import UNSEEN
from migrations_app.microsoft import sign_in
from migrations_app.microsoft.client import Graph
from migrations_app.models import IndexedMeeting, IntendedWrite, MeetingResult, OnlineMeeting, Run, Update
from migrations_app.runs import queue
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.undo_start import start_undo
from migrations_app.runs.worker import work_run
from migrations_app.targets import SKYPE, TEAMS, Targets
from tenants_app.changes.mailboxes import change_connection, create_connection, remove_connection
from tenants_app.changes.tenants import change_tenant
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection
from tests.mailboxes.test_graph_story import ANNA, NEW, OLD, codes, reloaded, store
from tests.support.actors import ACTOR
from tests.support.graph_stand_in import GraphStandIn
from tests.support.meetings import STAY, join_links, migrate
from tests.support.together import together
from tests.support.undoing import work

pytestmark = pytest.mark.django_db
MOVE = Targets.of_types(SKYPE, TEAMS)
COUNT = 3


def meanwhile(monkeypatch: pytest.MonkeyPatch, then: Callable[[], object], when: str = "before", at: int = 2) -> None:
    """Something happens once, before or after the write of this number."""
    apply, count = GraphSource.apply, iter(range(1, 10_000))

    def happens(self: GraphSource, change: Change) -> str:
        is_now = next(count) == at
        if is_now and when == "before":
            then()
        key = apply(self, change)
        if is_now and when == "after":
            then()
        return key

    monkeypatch.setattr(GraphSource, "apply", happens)


@pytest.fixture
def ids(
    anna: ConferencingUser, new_bridge: Bridge, exchange_online: MailboxConnection, graph_server: GraphStandIn
) -> list[str]:
    """Three meetings that show the numbers of the bridge that Anna was on."""
    found = [store(graph_server, anna, invitations.teams_gen2, number) for number in range(COUNT)]
    change_user(anna, ACTOR, bridge=new_bridge)
    return found


def another(connection: MailboxConnection, server: GraphStandIn, **values: Any) -> MailboxConnection:
    values = {"directory_id": server.directory_id, "username": server.client_id, "password": server.secret, **values}
    return create_connection(connection.tenant, ACTOR, "Another", kind=MailboxConnection.Kind.GRAPH, **values)


def until_done(run: Run, tries: int = 6) -> Run:
    """Work for the user until nothing is left to do, whatever waits for its time."""
    for _ in range(tries):
        Run.objects.filter(state="InProgress").update(lease_until=timezone.now() - timedelta(seconds=1))
        queue.sweep()
        MailboxConnection.objects.update(paused_until=None)
        Run.objects.filter(state="Pending").update(due_at=timezone.now())
        claimed = queue.claim()
        if claimed is None:
            break
        work_run(claimed)
    run.refresh_from_db()
    return run


def all_say(server: GraphStandIn, ids: list[str], number: str, other: str) -> None:
    for id_ in ids:
        shown = " ".join(unescape(server.event(ANNA, id_).body).split())
        assert (number in shown, other in shown) == (True, False)


def told_once(server: GraphStandIn, ids: list[str]) -> None:
    assert {id_: len(server.mails_of(id_)) for id_ in ids} == dict.fromkeys(ids, 1)


def test_r36_who_is_given_another_mailbox_meanwhile_is_not_said_to_be_up_to_date_in_it(
    anna: ConferencingUser,
    ids: list[str],
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = another(exchange_online, graph_server)
    meanwhile(monkeypatch, lambda: change_user(reloaded(anna), ACTOR, mailbox=other))
    run = migrate(reloaded(anna), STAY)
    assert (run.state, codes(run)) == ("Succeeded", Counter({"": COUNT}))
    told_once(graph_server, ids)
    assert reloaded(anna).invitations_fingerprint == ""

    again = migrate(reloaded(anna), STAY)
    assert codes(again) == Counter({"already-current": COUNT})
    assert IndexedMeeting.objects.count() == COUNT
    told_once(graph_server, ids)
    assert reloaded(anna).invitations_fingerprint != ""


def test_a_secret_that_is_wrong_meanwhile_ends_in_a_sentence_and_goes_on_where_it_was(
    anna: ConferencingUser,
    ids: list[str],
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def renew() -> None:
        change_connection(exchange_online, ACTOR, password="one that was mistyped")
        graph_server.application.secrets.clear()
        graph_server.application.secrets["renewed"] = None
        graph_server.tokens.revoke()
        sign_in._tokens.clear()

    meanwhile(monkeypatch, renew)
    run = migrate(reloaded(anna), STAY)
    assert (run.state, run.last_error_code) == ("Pending", "secret-refused")
    change_connection(MailboxConnection.objects.get(pk=exchange_online.pk), ACTOR, password="renewed")
    run = until_done(run)
    assert (run.state, run.succeeded_meetings) == ("Succeeded", COUNT)
    told_once(graph_server, ids)
    all_say(graph_server, ids, NEW, OLD)
    assert not IntendedWrite.objects.exists()


def test_another_directory_meanwhile_doubles_nothing(
    anna: ConferencingUser,
    ids: list[str],
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = "11111111-2222-3333-4444-555555555555"
    meanwhile(
        monkeypatch,
        lambda: change_connection(exchange_online, ACTOR, directory_id=elsewhere, password=graph_server.secret),
    )
    run = migrate(reloaded(anna), STAY)
    assert run.state == "Succeeded"
    told_once(graph_server, ids)
    assert reloaded(anna).invitations_fingerprint == "", "what is in the mailboxes of that directory nobody knows"
    sign_in._tokens.clear()
    run = migrate(reloaded(anna), STAY)
    assert run.state in {"Pending", "Failed"}
    assert run.last_error_code
    told_once(graph_server, ids)


def test_a_connection_that_a_run_works_by_is_removed_only_when_nobody_has_it(
    anna: ConferencingUser,
    ids: list[str],
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = another(exchange_online, graph_server)
    change_user(reloaded(anna), ACTOR, mailbox=other)

    def remove() -> None:
        with pytest.raises(ValidationError, match=r"cannot be removed, because 1 user"):
            remove_connection(other, ACTOR)
        change_user(reloaded(anna), ACTOR, mailbox=None)
        remove_connection(MailboxConnection.objects.get(pk=other.pk), ACTOR)

    meanwhile(monkeypatch, remove)
    run = until_done(migrate(reloaded(anna), STAY))
    assert not MailboxConnection.objects.filter(pk=other.pk).exists()
    told_once(graph_server, ids)
    all_say(graph_server, ids, NEW, OLD)
    assert run.state == "Succeeded"
    assert migrate(reloaded(anna), STAY).state == "Succeeded"
    told_once(graph_server, ids)


def test_an_undo_while_the_run_works_is_refused_and_a_run_while_the_undo_works_comes_after_it(
    anna: ConferencingUser,
    ids: list[str],
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = list[str]()

    def undo_now() -> None:
        with pytest.raises(ValidationError) as error:
            start_undo(Run.objects.latest("pk"), ACTOR)
        refused.extend(error.value.messages)

    with monkeypatch.context() as patch:
        meanwhile(patch, undo_now)
        run = migrate(reloaded(anna), STAY)
    assert refused == ["A run of the user is in progress: wait until it has ended, then undo."]
    assert (run.state, codes(run)) == ("Succeeded", Counter({"": COUNT}))

    undo = start_undo(run, ACTOR)
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda: start_by_hand(anna.tenant, [reloaded(anna)], ACTOR, targets=STAY))
        work(undo)
    undo.refresh_from_db()
    assert (undo.state, undo.succeeded_meetings) == ("Succeeded", COUNT)
    all_say(graph_server, ids, OLD, NEW)
    last = until_done(Run.objects.latest("pk"))
    assert (last.state, codes(last)) == ("Succeeded", Counter({"": COUNT}))
    all_say(graph_server, ids, NEW, OLD)
    assert {id_: len(graph_server.mails_of(id_)) for id_ in ids} == dict.fromkeys(ids, 3)


@pytest.mark.parametrize("how", ["removed", "another", "secret"])
def test_a_connection_to_teams_that_changes_meanwhile_makes_no_meeting_twice(
    how: str,
    anna: ConferencingUser,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = another(exchange_online, graph_server)
    change_tenant(anna.tenant, ACTOR, teams_connection=other, meeting_service="teams")
    ids = [store(graph_server, anna, invitations.skype_html, number) for number in range(COUNT)]

    def change() -> None:
        if how == "secret":
            change_connection(other, ACTOR, password="one that was mistyped")
            sign_in._tokens.clear()
            return
        values: dict[str, Any] = {"teams_connection": exchange_online}
        if how == "removed":
            values = {"teams_connection": None, "meeting_service": "link"}
        change_tenant(anna.tenant, ACTOR, **values)
        remove_connection(MailboxConnection.objects.get(pk=other.pk), ACTOR)

    meanwhile(monkeypatch, change)
    run = until_done(migrate(reloaded(anna), MOVE))
    assert (run.state, run.succeeded_meetings) == ("Succeeded", COUNT)
    made = {meeting["joinWebUrl"] for meeting in graph_server.meetings}
    assert len(made) == COUNT
    assert {url for id_ in ids for url in join_links(graph_server.event(ANNA, id_).body)} == made
    assert OnlineMeeting.objects.count() == COUNT
    told_once(graph_server, ids)
    assert set(MeetingResult.objects.values_list("outcome", flat=True)) == {"Succeeded"}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("build", "mails"), [(invitations.teams_gen2, 1), (invitations.series_with_overrides, 6)])
def test_of_two_workers_on_one_mailbox_one_writes(
    when: str,
    build: Any,
    mails: int,
    anna: ConferencingUser,
    new_bridge: Bridge,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first has lost its lease and does not know: its next write is sent all the same."""
    ids = [store(graph_server, anna, build, number) for number in range(COUNT)]
    change_user(anna, ACTOR, bridge=new_bridge)
    before = {id_: graph_server.event(ANNA, id_) for id_ in ids}

    def second() -> None:
        work(Run.objects.get())

    meanwhile(monkeypatch, second, when)
    run = until_done(migrate(reloaded(anna), STAY))
    assert (run.state, run.succeeded_meetings, codes(run)) == ("Succeeded", COUNT, Counter({"": COUNT}))
    for id_ in ids:
        event = graph_server.event(ANNA, id_)
        assert len(event.exceptions) == len(before[id_].exceptions)
        assert event.join_url == before[id_].join_url
        assert NEW in unescape(event.body)
    assert not IntendedWrite.objects.exists()
    told = len(graph_server.mails)
    assert told == mails * COUNT
    assert codes(migrate(reloaded(anna), STAY)) == Counter({"already-current": COUNT})
    assert len(graph_server.mails) == told


def test_one_entry_of_a_strange_shape_fails_alone(
    anna: ConferencingUser, ids: list[str], graph_server: GraphStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, batch = Graph.pages, Graph.batch

    def bent(event: Any) -> Any:
        return {**event, "type": "sparkling"} if event.get("id") == ids[1] else event

    def listed(self: Graph, *args: Any, **named: Any) -> Iterator[Any]:
        for page in pages(self, *args, **named):
            yield [bent(each) for each in page]

    def answered(self: Graph, *args: Any, **named: Any) -> Any:
        return [replace(answer, body=bent(answer.body)) for answer in batch(self, *args, **named)]

    before = graph_server.event(ANNA, ids[1])
    with monkeypatch.context() as patch:
        patch.setattr(Graph, "pages", listed)
        patch.setattr(Graph, "batch", answered)
        run = until_done(migrate(reloaded(anna), STAY))
        failed = MeetingResult.objects.get(run=run, outcome="Failed")
        assert (run.state, run.succeeded_meetings, run.failed_meetings) == ("Failed", COUNT - 1, 1)
        assert UNSEEN[1:] in failed.reason
    told_once(graph_server, [ids[0], ids[2]])
    assert graph_server.event(ANNA, ids[1]) == before

    again = until_done(migrate(reloaded(anna), STAY))
    assert (again.state, again.failed_meetings) == ("Succeeded", 0)
    told_once(graph_server, ids)
    all_say(graph_server, ids, NEW, OLD)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("build", "mails"), [(invitations.teams_gen2, 1), (invitations.series_with_overrides, 6)])
def test_of_two_workers_that_write_at_the_same_moment_one_wins(
    build: Any,
    mails: int,
    anna: ConferencingUser,
    new_bridge: Bridge,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Two workers read a series with up to four requests each: who is refused with 429 would not come to its write.
    graph_server.routes.limits.at_once *= 2
    ids = [store(graph_server, anna, build, number) for number in range(COUNT)]
    change_user(anna, ACTOR, bridge=new_bridge)
    start_by_hand(anna.tenant, [reloaded(anna)], ACTOR, targets=STAY)
    Run.objects.update(due_at=timezone.now())
    slow = queue.claim()
    assert slow is not None
    both, begun = Barrier(2), set[int]()
    apply, answers = GraphSource.apply, list[str]()

    def at_once(self: GraphSource, change: Change) -> str:
        if get_ident() not in begun:  # nothing was written before, so that both come here with the same meeting
            begun.add(get_ident())
            both.wait(60)
        try:
            key = apply(self, change)
        except Changed:
            answers.append("changed")
            raise
        answers.append("written")
        return key

    def loses_its_lease(run: Run, *arguments: Any) -> None:
        """The slow one has not looked at its lease before it writes; then it has no time to."""
        if run.lease_token != slow_token:
            keep(run, *arguments)

    keep, slow_token = queue.keep, slow.lease_token
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    queue.sweep()
    Run.objects.update(due_at=timezone.now())
    with monkeypatch.context() as patch:
        patch.setattr(GraphSource, "apply", at_once)
        patch.setattr(queue, "keep", loses_its_lease)
        patch.setattr(queue, "hold", holding(queue.hold, slow_token))
        other = queue.claim()
        assert other is not None
        together(lambda number: work_run((slow, other)[number]), 2)
    run = until_done(Run.objects.get())
    assert (run.state, run.succeeded_meetings, codes(run)) == ("Succeeded", COUNT, Counter({"": COUNT}))
    assert "changed" in answers
    assert len(graph_server.mails) == mails * COUNT
    assert answers.count("written") == sum(1 + written(graph_server, id_) for id_ in ids)
    for id_ in ids:
        assert NEW in unescape(graph_server.event(ANNA, id_).body)
    assert not IntendedWrite.objects.exists()
    assert Update.objects.filter(state="ByServer").count() == COUNT


def holding(hold: Callable[..., Any], slow_token: object) -> Callable[..., Any]:
    """Lets the slow worker announce its first writes, as it did before it lost its lease."""

    def held(run: Run, **values: Any) -> Any:
        if run.lease_token == slow_token and not values:
            return None
        return hold(run, **values)

    return held


def written(server: GraphStandIn, id_: str) -> int:
    """How many exceptions of the event bear the new numbers."""
    return sum(NEW in unescape(each.body) for each in server.event(ANNA, id_).exceptions)
