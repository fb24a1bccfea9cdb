"""check_graph against the stand-in: what reading tells, and what trying tells of each documented behaviour."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from migrations_app.graph_access import graph_for
from migrations_app.mailboxes.exchange.events import ExchangeEvent
from migrations_app.microsoft.client import Answer, Graph
from migrations_app.tenant_checks import mailbox, trying
from migrations_app.tenant_checks.findings import Finding
from tenants_app.models import MailboxConnection
from tests.support.commands import Command
from tests.support.graph_stand_in import Behaviour, Copies, GraphStandIn
from tests.support.graph_stand_in.adding import simple
from tests.tenant_checks.conftest import ANNA, ATTENDEE, OUTSIDE

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)


def event(uid: str = "weekly") -> ExchangeEvent:
    begins = timezone.now() + timedelta(days=3)
    return simple(uid, ANNA, begins, begins + timedelta(hours=1))


def read(connection: MailboxConnection, **options: Any) -> dict[str, Finding]:
    """The last finding of each question."""
    options = {"user": ANNA, "outside": OUTSIDE, "now": NOW, **options}
    with graph_for(connection) as graph:
        return {found.question: found for found in mailbox.check(graph, **options)}


def tried(connection: MailboxConnection) -> dict[str, Finding]:
    waits: list[float] = []
    with graph_for(connection) as graph:
        found = trying.check(graph, user=ANNA, attendee=ATTENDEE, now=NOW, wait=waits.append)
        return {each.question: each for each in found}


# --- reading ------------------------------------------------------------------------------------------


def test_a_tenant_in_order_is_said_to_be(online: GraphStandIn, connection: MailboxConnection) -> None:
    online.teams_meeting(ANNA, event())
    online.add_event(ANNA, event("plain"))
    found = read(connection, expires_at=NOW + timedelta(days=200))

    assert {question: finding.verdict for question, finding in found.items()} == {
        "sign-in": "ok",
        "permissions": "note",
        "expiry": "ok",
        "mailbox": "ok",
        "events": "ok",
        "filters": "ok",
        "immutable ids": "ok",
        "ETags": "ok",
        "conditions": "open",
        "scope": "ok",
    }
    assert found["filters"].sentence == (
        "The filters that runs use work: 2 meetings to come and series, 1 of them with the link of an online meeting "
        "in their properties."
    )
    assert {request.method for request in online.requests} == {"GET", "POST"}
    assert [request.path for request in online.requests if request.method == "POST"] == [
        f"/users/{ANNA}/translateExchangeIds"
    ]


def test_a_consent_that_opens_every_mailbox_is_warned_of(online: GraphStandIn, connection: MailboxConnection) -> None:
    told = [found.sentence for found in sentences_of(connection)]

    assert any("Calendars.ReadWrite is consented to in Microsoft Entra, which opens every mailbox" in s for s in told)
    online.application.roles = ("Calendars.ReadWrite", "Mail.ReadWrite")
    told = [found.sentence for found in sentences_of(connection)]
    assert "MMS has no use for Mail.ReadWrite: take away what nothing else needs." in told
    assert any("Without User.Read.All MMS cannot bring in users" in sentence for sentence in told)


def sentences_of(connection: MailboxConnection) -> list[Finding]:
    with graph_for(connection) as graph:
        return list(mailbox.check(graph, now=NOW))


def test_a_mailbox_outside_the_scope_that_can_be_read_is_warned_of(
    online: GraphStandIn, connection: MailboxConnection
) -> None:
    online.application.scope = None
    found = read(connection)["scope"]

    assert found.verdict == "note"
    assert "The mailbox of ceo@contoso.com can be read, although it should be out of reach" in found.sentence


def test_a_policy_that_closes_the_mailbox_counts_as_closed(online: GraphStandIn, connection: MailboxConnection) -> None:
    online.application.scope = None
    online.mailbox(OUTSIDE).user.denied = True

    assert (read(connection)["scope"].verdict, read(connection)["scope"].seen["code"]) == (
        "ok",
        "mailbox-outside-policy",
    )
    assert read(connection, outside="nobody@contoso.com")["scope"].verdict == "open"


def test_a_mailbox_that_is_not_reached_ends_it_with_what_to_do(
    online: GraphStandIn, connection: MailboxConnection
) -> None:
    online.restrict(ATTENDEE)
    found = read(connection)

    assert found["mailbox"].verdict == "FAILED"
    assert "events" not in found
    assert found["scope"].verdict == "ok"


def test_a_refused_sign_in_ends_it(online: GraphStandIn, connection: MailboxConnection) -> None:
    online.application.secrets.clear()
    found = read(connection)

    assert list(found) == ["sign-in"]
    assert (found["sign-in"].verdict, found["sign-in"].seen["code"]) == ("FAILED", "secret-refused")


@pytest.mark.parametrize(("days", "verdict"), [(-1, "FAILED"), (29, "note"), (31, "ok")])
def test_a_secret_is_warned_of_30_days_before_its_end(days: int, verdict: str) -> None:
    assert mailbox.ends("certificate", NOW + timedelta(days=days), NOW).verdict == verdict


# --- trying -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", list(Behaviour))
def test_the_report_says_which_behaviour_was_seen(
    online: GraphStandIn, connection: MailboxConnection, behaviour: Behaviour
) -> None:
    online.behaviour = behaviour
    online.normalise_by(lambda html: html.replace("<div", "<div class=x"))
    found = tried(connection)

    seen = "documented" if behaviour == Behaviour.REWRITES else behaviour
    assert found["Teams link lost"].seen["behaviour"] == seen
    assert found["Teams link kept"].verdict == "ok"
    assert found["conditions"].verdict == "ok"
    assert found["HTML"].verdict == "ok"
    rewrites = "Exchange rewrites the HTML" in found["HTML"].sentence
    assert rewrites is (behaviour == Behaviour.REWRITES)
    assert found["properties"].verdict == "ok"


def test_what_was_made_is_deleted_and_nothing_else_is_touched(
    online: GraphStandIn, connection: MailboxConnection
) -> None:
    key = online.teams_meeting(ANNA, event())
    before = online.event(ANNA, key)
    found = tried(connection)

    assert online.events(ANNA) == [before]
    assert found["tidying up"].verdict == "ok"
    assert {request.mailbox for request in online.requests if request.method in {"PATCH", "DELETE"}} == {ANNA}
    assert {mail.subject[:9] for mail in online.mails} == {"MMS check"}
    assert {address for mail in online.mails for address in mail.recipients} == {ATTENDEE}


def test_what_could_not_be_deleted_is_named(online: GraphStandIn, connection: MailboxConnection) -> None:
    for _ in range(20):
        online.fail_next(method="DELETE", status=403, code="ErrorAccessDenied")
    with graph_for(connection) as graph:
        found = list(trying.check(graph, user=ANNA, attendee=ATTENDEE, now=NOW, wait=lambda seconds: None))

    told = [each for each in found if each.question == "tidying up"]
    left = online.events(ANNA)
    assert len(left) == len(told) == 2
    for each, event in zip(told, left, strict=True):
        assert each.verdict == "FAILED"
        assert f"“{event.subject}” is still there" in each.sentence
        assert f"look in the calendar of {ANNA}, and delete it there" in each.sentence


@pytest.mark.parametrize(
    ("method", "facts"),
    [
        ("POST", {"cut": "after"}),
        ("PATCH", {"cut": "before"}),
        ("PATCH", {"cut": "after"}),
        ("DELETE", {"cut": "before"}),
        ("DELETE", {"status": 503}),
        ("GET", {"status": 503}),
    ],
)
def test_whatever_goes_wrong_once_all_of_it_is_deleted(
    online: GraphStandIn, connection: MailboxConnection, method: str, facts: dict[str, Any]
) -> None:
    online.copies = Copies.WHOLE
    online.fail_next(method=method, **facts, path="/events")
    found = tried(connection)

    assert online.events(ANNA) == []
    assert {each.question for each in found.values() if each.verdict == "FAILED"} <= {"test event"}


def test_whoever_cuts_it_off_leaves_nothing_behind(online: GraphStandIn, connection: MailboxConnection) -> None:
    with graph_for(connection) as graph:
        running = trying.check(graph, user=ANNA, attendee=ATTENDEE, now=NOW, wait=lambda seconds: None)
        while next(running).question != "HTML":
            assert len(online.events(ANNA)) == 1
        running.close()  # type: ignore[attr-defined]

    assert online.events(ANNA) == []


@pytest.mark.parametrize(
    ("copies", "properties_tell", "text", "copy", "sentence"),
    [
        (Copies.WHOLE, True, "ok", "ok", "a Join button can follow it"),
        (Copies.TEXT, True, "ok", "note", "an update was sent all the same: Join buttons may keep the old link"),
        (Copies.TEXT, False, "ok", "note", "nothing shows there that an update was sent for it at all"),
        (Copies.STALE, True, "note", "note", "Join buttons may keep the old link"),
        (Copies.NONE, True, "open", "open", "Without a copy of"),
    ],
)
def test_what_reaches_the_attendee_is_told(
    online: GraphStandIn,
    connection: MailboxConnection,
    copies: Copies,
    properties_tell: bool,
    text: str,
    copy: str,
    sentence: str,
) -> None:
    online.copies = copies
    online.routes.updates.properties_tell = properties_tell
    found = tried(connection)

    assert (found["attendee's text"].verdict, found["attendee's copy"].verdict) == (text, copy)
    assert sentence in found["attendee's copy"].sentence


def test_a_mailbox_of_the_attendee_that_is_closed_is_no_failure(
    online: GraphStandIn, connection: MailboxConnection
) -> None:
    online.copies = Copies.WHOLE
    online.restrict(ANNA)
    found = tried(connection)

    assert (found["attendee's text"].verdict, found["attendee's copy"].verdict) == ("open", "open")
    assert "put it into the scope for the test" in found["attendee's text"].sentence


def test_the_mails_that_are_to_be_counted_are_those_that_were_sent(
    online: GraphStandIn, connection: MailboxConnection
) -> None:
    found = tried(connection)

    sent = list(Counter(mail.of for mail in online.mails).values())
    told = [found[question].seen["updates"] + 2 for question in ("mails", "mails of a Teams meeting")]
    assert sent == told


def test_html_in_which_the_block_is_lost_is_a_failure(online: GraphStandIn, connection: MailboxConnection) -> None:
    online.behaviour = Behaviour.REWRITES
    online.normalise_by(lambda html: "<html><body><p>Agenda</p></body></html>")

    assert tried(connection)["HTML"].verdict == "FAILED"


def test_a_server_that_ignores_conditions_is_a_failure(
    online: GraphStandIn, connection: MailboxConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = online.routes.updates.patch
    monkeypatch.setattr(
        online.routes.updates, "patch", lambda mailbox, event, etag, asked: kept(mailbox, event, "", asked)
    )

    assert tried(connection)["conditions"].verdict == "FAILED"


# --- the command --------------------------------------------------------------------------------------


def test_the_command_keeps_a_report(
    command: Command, online: GraphStandIn, connection: MailboxConnection, tmp_path: Path
) -> None:
    online.teams_meeting(ANNA, event())
    path = tmp_path / "check.json"
    told = command("check_graph", "--user", ANNA, "--outside", OUTSIDE, "--report", str(path))

    assert told.startswith("ok      sign-in: Microsoft Entra lets the application")
    kept = json.loads(path.read_text())
    assert kept["about"] == {
        "Tenant": "Contoso",
        "Connection": "Exchange Online",
        "Mailbox": ANNA,
        "Outside": OUTSIDE,
        "Written to": "nothing",
    }
    assert kept["findings"][0]["verdict"] == "ok"
    assert online.secret not in path.read_text() + told
    path = tmp_path / "check.txt"
    command("check_graph", "--report", str(path))
    assert path.read_text().startswith("Check of Exchange Online, ")


def test_the_command_says_before_what_it_will_do(
    command: Command, online: GraphStandIn, connection: MailboxConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "LOOKS", 1)
    told = command("check_graph", "--write-to", ANNA, "--attendee", ATTENDEE)

    said = told.index(f"MMS will make two events in the calendar of {ANNA}")
    assert told.index("scope: ") < said < told.index("was made in the calendar")
    assert online.events(ANNA) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--write-to", ANNA), "--write-to and --attendee go together"),
        (("--attendee", ATTENDEE), "--write-to and --attendee go together"),
        (("--write-to", ANNA, "--attendee", ANNA.upper()), "can be neither the attendee nor the mailbox outside"),
        (("--write-to", "anna", "--attendee", ATTENDEE), "anna: Give an address such as anna@contoso.com"),
        (("embedded",), "embedded is of kind embedded: name a connection of kind graph."),
    ],
)
def test_nothing_is_asked_where_it_is_not_clear_who_is_meant(
    command: Command, online: GraphStandIn, connection: MailboxConnection, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        command("check_graph", *arguments)

    assert online.requests == []


def test_nothing_is_written_where_reading_has_failed(
    command: Command, online: GraphStandIn, connection: MailboxConnection
) -> None:
    online.restrict(ATTENDEE)
    with pytest.raises(SystemExit) as ended:
        command("check_graph", "--write-to", ANNA, "--attendee", ATTENDEE)

    assert ended.value.code == 1
    assert {request.method for request in online.requests} == {"GET"}


def test_without_a_connection_the_command_says_how_to_make_one(command: Command, tenant: Any) -> None:
    with pytest.raises(CommandError, match="Contoso has no connection of kind graph: make one with"):
        command("check_graph")


# --- answers of strange shapes ------------------------------------------------------------------------


STRANGE: list[Any] = [None, 7, "x", {}, [7], ["x"], [None], [[]], [{"id": 7}], [{"targetId": 7, "subject": []}]]


@pytest.mark.parametrize("strange", STRANGE, ids=repr)
def test_what_lists_something_else_is_a_finding(
    online: GraphStandIn, connection: MailboxConnection, monkeypatch: pytest.MonkeyPatch, strange: Any
) -> None:
    online.copies = Copies.WHOLE
    online.add_event(ANNA, event())
    get, post = Graph.get, Graph.post

    def bent(answer: Answer) -> Answer:
        return replace(answer, body={**answer.body, "value": strange}) if "value" in answer.body else answer

    monkeypatch.setattr(Graph, "get", lambda *args, **named: bent(get(*args, **named)))
    monkeypatch.setattr(Graph, "post", lambda *args, **named: bent(post(*args, **named)))
    assert read(connection)["sign-in"].verdict == "ok"
    found = tried(connection)
    # Whether it is gone nobody knows, so nobody says so.
    assert found["tidying up"].verdict == "FAILED" or online.events(ANNA)[1:] == []


@pytest.mark.parametrize("strange", [None, 7, "x", [7], {"content": 7}, {"joinUrl": 7}, [[]]], ids=repr)
def test_an_event_of_a_strange_shape_is_a_finding(
    online: GraphStandIn, connection: MailboxConnection, monkeypatch: pytest.MonkeyPatch, strange: Any
) -> None:
    online.copies = Copies.WHOLE
    get = Graph.get
    bent = dict.fromkeys(
        ("body", "onlineMeeting", "singleValueExtendedProperties", "changeKey", "@odata.etag"), strange
    )

    def answered(graph: Graph, path: str, *args: Any, **named: Any) -> Answer:
        answer = get(graph, path, *args, **named)
        values = [each | bent for each in answer.body.get("value", ())] if "/events" in path else None
        body = {**answer.body, "value": values} if "value" in answer.body and values else answer.body
        return replace(answer, body={**body, **bent} if "/events/" in path else body)

    monkeypatch.setattr(Graph, "get", answered)
    found = tried(connection)
    assert {each.verdict for each in found.values()} & {"FAILED", "open"}
    assert online.events(ANNA) == []
