"""One story on Exchange Online's stand-in: from the connection test to the corrected meeting, and back again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from migrations_app.demo import invitations
from migrations_app.demo.meetings import Meeting
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.exchange.events import ExchangeEvent
from migrations_app.mailboxes.indexed import begin_scan
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import IndexedMeeting, IntendedWrite, MailboxScan, MeetingResult, Run, Update
from migrations_app.preview.meetings import ServerMails
from migrations_app.procedures import mailbox_scans
from migrations_app.rewriting import links
from migrations_app.runs.actions import start_by_hand
from migrations_app.runs.outcomes import Outcomes
from migrations_app.runs.undo_start import start_undo
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection
from tests.support.actors import ACTOR
from tests.support.commands import Command
from tests.support.exchange_events import event_of
from tests.support.graph_stand_in import Behaviour, GraphStandIn
from tests.support.graph_stand_in.blob import enable
from tests.support.graph_stand_in.world import Event, Mailbox
from tests.support.meetings import ANEW, STAY, join_links, migrate, plan
from tests.support.undoing import work

pytestmark = pytest.mark.django_db

ANNA = "anna.rossi@contoso.com"
OLD, NEW = "555-0101", "+44 20 7946 0123"
Build = Callable[[Meeting], bytes]


def reloaded(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant", "bridge").get(pk=user.pk)


def store(server: GraphStandIn, user: ConferencingUser, build: Build, number: int = 0) -> str:
    """Keep an invitation as Exchange would, whose server knows the link of a Teams meeting; its id."""
    return server.add_event(ANNA, _known_to_server(event_of(build(plan(user, number)))))


def _known_to_server(event: ExchangeEvent) -> ExchangeEvent:
    link = next((link for link in join_links(event.body) if links.is_teams(link)), "")
    # An exception that somebody has only moved has the text of its series.
    exceptions = [replace(each, body=each.body or event.body) for each in event.exceptions]
    return replace(event, join_url=link, exceptions=tuple(map(_known_to_server, exceptions)))


def codes(run: Run) -> Counter[str]:
    return Counter(MeetingResult.objects.filter(run=run).values_list("code", flat=True))


def shown(event: ExchangeEvent) -> str:
    """The body as people see it, however the server has written it."""
    return " ".join(unescape(event.body).split())


def parts(event: ExchangeEvent) -> list[ExchangeEvent]:
    return [event, *event.exceptions]


@pytest.mark.parametrize("behaviour", Behaviour)
def test_numbers_change_and_nothing_else_under_each_behaviour_of_the_server(
    behaviour: Behaviour,
    anna: ConferencingUser,
    new_bridge: Bridge,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    outbox: Path,
) -> None:
    graph_server.behaviour = behaviour
    builds: list[Build] = [invitations.skype_html, invitations.teams_gen1, invitations.teams_gen2]
    ids = [store(graph_server, anna, build, number) for number, build in enumerate(builds)]
    before = [graph_server.event(ANNA, id_) for id_ in ids]
    assert all(OLD in event.body for event in before)
    mailbox = mailbox_of(reloaded(anna))
    mailbox.refresh(lambda: None)
    assert set(IndexedMeeting.objects.values_list("href", flat=True)) == set(ids)

    change_user(anna, ACTOR, bridge=new_bridge)
    run = migrate(reloaded(anna), STAY)
    assert (run.state, run.succeeded_meetings, codes(run)) == ("Succeeded", 3, Counter({"": 3}))
    after = [graph_server.event(ANNA, id_) for id_ in ids]
    for was, event in zip(before, after, strict=True):
        assert NEW in shown(event)
        assert OLD not in shown(event)
        assert join_links(event.body).keys() == join_links(was.body).keys()
        assert event.join_url == was.join_url
        unchanged = {"id", "uid", "subject", "attendees", "organizer", "starts_at", "ends_at", "location"}
        assert {name: getattr(event, name) for name in unchanged} == {name: getattr(was, name) for name in unchanged}
    assert len(graph_server.mails) == 3
    assert {"isOnlineMeeting", "onlineMeetingProvider"}.isdisjoint(
        name for each in graph_server.requests if each.method == "PATCH" for name in each.body
    )

    # The server has told them: MMS must not.
    deliver()
    assert list(outbox.iterdir()) == []
    assert set(Update.objects.values_list("state", flat=True)) == {"ByServer"}
    assert not IntendedWrite.objects.exists()

    again = migrate(reloaded(anna), STAY)
    assert (again.state, codes(again)) == ("Succeeded", Counter({"already-current": 3}))
    assert len(graph_server.mails) == 3
    assert not reloaded(anna).is_out_of_date


def test_a_skype_meeting_is_made_anew_elsewhere_and_put_back(
    anna: ConferencingUser, exchange_online: MailboxConnection, graph_server: GraphStandIn, outbox: Path
) -> None:
    id_ = store(graph_server, anna, invitations.skype_exchange)
    before = graph_server.event(ANNA, id_)
    assert before.properties["OnlineMeetingExternalLink"] in join_links(before.body)
    run = migrate(reloaded(anna), ANEW)
    assert (run.state, codes(run)) == ("Succeeded", Counter({"": 1}))
    after = graph_server.event(ANNA, id_)
    assert "https://meet.contoso.com/" in after.body
    assert join_links(before.body).keys().isdisjoint(join_links(after.body))
    assert after.properties.get("OnlineMeetingExternalLink", "") != before.properties["OnlineMeetingExternalLink"]
    assert len(graph_server.mails) == 1

    work(start_undo(run, ACTOR))
    back = graph_server.event(ANNA, id_)
    assert (back.body, back.properties, back.location) == (before.body, before.properties, before.location)
    assert len(graph_server.mails) == 2
    assert list(outbox.iterdir()) == []


def test_what_its_organizer_has_not_sent_yet_is_not_sent_along(
    anna: ConferencingUser, new_bridge: Bridge, exchange_online: MailboxConnection, graph_server: GraphStandIn
) -> None:
    given = _known_to_server(event_of(invitations.teams_gen2(plan(anna, 0))))
    id_ = graph_server.add_event(ANNA, replace(given, is_unsent=True))
    before = graph_server.event(ANNA, id_)
    change_user(anna, ACTOR, bridge=new_bridge)
    run = migrate(reloaded(anna), STAY)
    assert codes(run) == Counter({"needs-review": 1})
    assert "not sent" in MeetingResult.objects.get(run=run).detail
    assert graph_server.event(ANNA, id_) == before
    assert not graph_server.mails


@pytest.mark.parametrize("behaviour", Behaviour)
def test_a_series_with_exceptions_is_written_whole(
    behaviour: Behaviour,
    anna: ConferencingUser,
    new_bridge: Bridge,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
) -> None:
    graph_server.behaviour = behaviour
    id_ = store(graph_server, anna, invitations.series_with_overrides)
    before = graph_server.event(ANNA, id_)
    assert before.exceptions
    change_user(anna, ACTOR, bridge=new_bridge)
    foreseen = ServerMails()
    mailbox_of(reloaded(anna)).refresh(lambda: None)
    for outcome in Outcomes(Run(user=reloaded(anna), tenant=anna.tenant)).foreseen():
        foreseen.note(outcome.mailed_parts)
    run = migrate(reloaded(anna), STAY)
    assert (run.state, codes(run)) == ("Succeeded", Counter({"": 1}))
    after = graph_server.event(ANNA, id_)
    assert len(after.exceptions) == len(before.exceptions)
    for was, is_now in zip(parts(before), parts(after), strict=True):
        assert OLD in was.body
        if was.ends_at < datetime.now(UTC) and was is not before:
            assert is_now.body == was.body
        else:
            assert NEW in shown(is_now)
            assert OLD not in shown(is_now)
    # Each exception that was written is told of; and the series, for itself and for each of its exceptions.
    sent = len(graph_server.mails)
    assert sent == foreseen.whole + foreseen.occurrences == 6
    again = migrate(reloaded(anna), STAY)
    assert codes(again) == Counter({"already-current": 1})
    assert len(graph_server.mails) == sent


def test_a_join_link_that_the_server_exchanged_is_a_failure_that_can_be_undone(
    anna: ConferencingUser,
    new_bridge: Bridge,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    id_ = store(graph_server, anna, invitations.teams_gen2)
    before = graph_server.event(ANNA, id_)
    patch = graph_server.routes.updates.patch

    def patched(mailbox: Mailbox, event: Event, etag: str, asked: Any) -> Event:
        """Makes another meeting of every one that is written, whatever the body says."""
        written = patch(mailbox, event, etag, asked)
        enable(graph_server.world, mailbox, written)
        return written

    change_user(anna, ACTOR, bridge=new_bridge)
    with monkeypatch.context() as strange:
        strange.setattr(graph_server.routes.updates, "patch", patched)
        run = migrate(reloaded(anna), STAY)
    assert codes(run) == Counter({"join-link-changed": 1})
    assert graph_server.event(ANNA, id_).join_url != before.join_url

    work(start_undo(run, ACTOR))
    after = graph_server.event(ANNA, id_)
    assert before.join_url in unescape(after.body)
    assert OLD in after.body
    assert len(graph_server.mails) == 2


def test_from_the_connection_test_to_the_corrected_meeting_by_commands(
    anna: ConferencingUser,
    new_bridge: Bridge,
    exchange_online: MailboxConnection,
    graph_server: GraphStandIn,
    command: Command,
) -> None:
    id_ = store(graph_server, anna, invitations.teams_gen2)
    said = command("test_mailbox_connection", "Exchange Online", "--tenant", "contoso", "--user", ANNA)
    steps = [line.split(":")[0].split()[-1] for line in said.splitlines()]
    assert steps == ["address", "sign-in", "secret", "permission", "mailbox", "filters", "ids", "scheduling"]
    assert "FAILED" not in said
    assert graph_server.mails == []
    assert all(each.method == "GET" or each.path.endswith("/$batch") for each in graph_server.requests)
    start = ("start_meeting_migration", "--tenant", "contoso", "--user", ANNA)
    with pytest.raises(CommandError, match=f"{ANNA}: MMS has not looked into this mailbox yet"):
        command(*start, "--dry-run")
    command("set_dial_in_conferencing_user", "--tenant", "contoso", "--user", ANNA, "--bridge", new_bridge.name)
    command(*start)
    command("run_migrations", "--until-idle")
    assert NEW in graph_server.event(ANNA, id_).body
    history = command("get_meeting_migration_history", "--tenant", "contoso", "--user", ANNA)
    assert "Succeeded" in history
    assert len(graph_server.mails) == 1


def test_whoever_learns_that_a_mailbox_is_to_be_left_alone_tells_all(
    anna: ConferencingUser, exchange_online: MailboxConnection, graph_server: GraphStandIn
) -> None:
    store(graph_server, anna, invitations.teams_gen2)
    start_by_hand(anna.tenant, [reloaded(anna)], ACTOR, targets=STAY)
    Run.objects.update(due_at=timezone.now() + timedelta(minutes=2))
    begin_scan(reloaded(anna), exchange_online)
    waits = timezone.now() + timedelta(minutes=9)

    graph_server.fail_next("429", retry_after=600)
    mailbox_scans.advance(timezone.now() + timedelta(minutes=1))
    assert Run.objects.get().due_at > waits, "the look was told, and the run waits"

    MailboxScan.objects.update(due_at=timezone.now())
    graph_server.fail_next("429", retry_after=600)
    work(Run.objects.get())
    assert MailboxScan.objects.get().due_at > waits, "the run was told, and the look waits"
    exchange_online.refresh_from_db()
    assert exchange_online.paused_until is None, "others go on"
