"""check_exchange --write-to against the stand-in: what is seen of each behaviour, and that nothing stays behind."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from migrations_app.https.session import Account
from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.tenant_checks import tidying, trying_exchange
from migrations_app.tenant_checks.findings import Finding, Verdict
from tenants_app.models import MailboxConnection
from tests.support import exchange_html
from tests.support.commands import Command
from tests.support.ews_stand_in import ONE_BY_ONE, PASSWORD, SERVICE, TOGETHER, EwsStandIn
from tests.support.ews_stand_in.store import Item
from tests.tenant_checks.conftest import ANNA, ATTENDEE, OUTSIDE

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
TOLD = ("--write-to", ANNA, "--attendee", ATTENDEE)


def questions(exchange: EwsStandIn, waits: list[float] | None = None) -> Iterator[Finding]:
    account = Account(exchange.address, SERVICE, PASSWORD, exchange.ca)
    with EwsSource(account, ANNA, sign_in_by="basic", allowed_hosts={"localhost"}) as source:
        yield from trying_exchange.check(
            source, attendee=ATTENDEE, now=NOW, wait=([] if waits is None else waits).append
        )


def tried(exchange: EwsStandIn) -> dict[str, Finding]:
    """The last finding of each question."""
    return {each.question: each for each in questions(exchange)}


def verdicts(found: dict[str, Finding]) -> dict[str, Verdict]:
    return {question: finding.verdict for question, finding in found.items() if finding.verdict != "open"}


def items(exchange: EwsStandIn) -> list[Item]:
    return exchange.mailbox(ANNA).calendar.items


ALL_IS_WELL = dict.fromkeys(
    (
        *("test event", "impersonation", "conditions", "HTML", "second run", "sequence", "properties", "test series"),
        *("series", "keys", "texts of exceptions", "tidying up"),
    ),
    Verdict.OK,
)


@pytest.mark.parametrize("keys", [ONE_BY_ONE, TOGETHER])
@pytest.mark.parametrize("normalise", [str, exchange_html.by_exchange, exchange_html.by_word])
def test_a_server_in_order_is_said_to_be(exchange: EwsStandIn, keys: str, normalise: Callable[[str], str]) -> None:
    exchange.change_keys, exchange.normalise = keys, normalise
    found = tried(exchange)

    assert verdicts(found) == ALL_IS_WELL
    assert ("of its series too" in found["keys"].sentence) is (keys == TOGETHER)
    assert ("rewrites the HTML" in found["HTML"].sentence) is (normalise is not str)


def test_the_mails_that_are_to_be_counted_are_those_that_were_sent(exchange: EwsStandIn) -> None:
    found = tried(exchange)

    seen = {"updates": found["mails"].seen["updates"], "of a series": found["mails of a series"].seen["updates"]}
    uids = list(dict.fromkeys(mail.uid for mail in exchange.mails))
    sent = [Counter(mail.kind for mail in exchange.mails if mail.uid == uid) for uid in uids]
    assert sent == [
        {"invitation": 1, "update": seen["updates"], "cancellation": 1},
        {"invitation": 1, "update": seen["of a series"], "cancellation": 1},
    ]
    assert {address for mail in exchange.mails for address in mail.recipients} == {ATTENDEE}
    assert sum(seen.values()) == 8  # as it is announced


@pytest.mark.parametrize(
    ("behaviour", "value", "expected"),
    [
        ("keeps_conditions", False, {"conditions": "FAILED", "keys": "FAILED"}),
        ("raises_sequence", True, {"sequence": "note"}),
        ("keeps_named", False, {"properties": "FAILED"}),
        ("overwrites_exceptions", True, {"texts of exceptions": "FAILED"}),
        ("normalise", lambda html: html.replace("323-555", "323-556"), {"second run": "FAILED"}),
    ],
)
def test_what_a_server_does_otherwise_is_told(
    exchange: EwsStandIn, behaviour: str, value: Any, expected: dict[str, str]
) -> None:
    setattr(exchange, behaviour, value)

    assert verdicts(tried(exchange)) == {**ALL_IS_WELL, **expected}
    assert items(exchange) == []


def test_html_in_which_the_block_is_lost_is_a_failure(exchange: EwsStandIn) -> None:
    exchange.normalise = lambda html: "<html><body><p>Agenda</p></body></html>"

    found = tried(exchange)["HTML"]
    assert found.verdict == "FAILED"
    assert "Agenda" in found.seen["stored"]


def test_a_meeting_that_the_account_has_made_for_itself_is_told(exchange: EwsStandIn, monkeypatch: Any) -> None:
    box = exchange.mailbox(ANNA)
    kept = box.add

    def add(item: Item, folder: Any = None) -> Item:
        item.organizer = (SERVICE, "MMS")
        return kept(item, folder)

    monkeypatch.setattr(box, "add", add)
    found = tried(exchange)["impersonation"]

    assert (found.verdict, found.seen["organizer"]) == ("note", SERVICE)


def test_nothing_else_is_touched_and_nothing_stays(exchange: EwsStandIn) -> None:
    own = exchange.mailbox(ANNA).add(
        Item(
            "Budget",
            NOW + timedelta(days=30),
            NOW + timedelta(days=31),
            "<p>Budget</p>",
            required=((ATTENDEE, "", ""),),
        )
    )
    version = own.version
    tried(exchange)

    assert items(exchange) == [own]
    assert own.version == version
    assert own.uid not in {mail.uid for mail in exchange.mails}
    assert exchange.mailbox(ANNA).trash.items == []


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        *((operation, "cut-after") for operation in ("CreateItem", "GetItem", "UpdateItem", "FindItem", "DeleteItem")),
        *((operation, "busy") for operation in ("CreateItem", "UpdateItem", "DeleteItem")),
        ("CreateItem", "store"),
        ("UpdateItem", "cut-before"),
        ("DeleteItem", "503"),
    ],
)
def test_whatever_goes_wrong_once_all_of_it_is_deleted(exchange: EwsStandIn, operation: str, fault: str) -> None:
    exchange.faults.append((operation, fault))
    waits: list[float] = []
    found = list(questions(exchange, waits))

    assert items(exchange) == []
    assert [each for each in found if each.question == "tidying up" and each.verdict != "ok"] == []
    assert all(0 < pause <= tidying.LONGEST_PAUSE for pause in waits)
    wrong = {each.question for each in found if each.verdict == "FAILED"}
    assert wrong <= {"test event"}  # a fault says nothing of how the server behaves


def test_what_cannot_be_deleted_is_named(exchange: EwsStandIn) -> None:
    exchange.faults.extend([("DeleteItem", "busy")] * 20)
    waits: list[float] = []
    found = [each for each in questions(exchange, waits) if each.question == "tidying up"]

    left = [item.subject for item in items(exchange)]
    assert len(left) == 2
    for each, subject in zip(found, left, strict=True):
        assert each.verdict == "FAILED"
        assert f"“{subject}” is still there" in each.sentence
        assert f"look in the calendar of {ANNA}, and delete it there" in each.sentence
        assert "busy" in each.sentence
    assert waits == [60.0] * 6  # two minutes were asked for


def test_whoever_cuts_it_off_leaves_nothing_behind(exchange: EwsStandIn) -> None:
    running = questions(exchange)
    while "sequence" not in next(running).question:
        assert len(items(exchange)) == 1
    running.close()  # type: ignore[attr-defined]

    assert items(exchange) == []


# --- the command --------------------------------------------------------------------------------------


def test_the_command_says_before_what_it_will_do_and_keeps_a_report(
    command: Command, exchange: EwsStandIn, connected: MailboxConnection, tmp_path: Path
) -> None:
    path = tmp_path / "written.json"
    told = command("check_exchange", *TOLD, "--outside", OUTSIDE, "--report", str(path))

    said = told.index(f"MMS will make a meeting and a daily series of three in the calendar of {ANNA}")
    assert told.index("scope: ") < told.index("version: ") < said < told.index("was made in the calendar")
    assert "“MMS check …: please ignore” from the calendar of" in told
    kept = json.loads(path.read_text())
    assert kept["about"]["Written to"] == ANNA
    assert {found["question"] for found in kept["findings"]} >= {*ALL_IS_WELL, "answers", "mails", "Join button"}
    assert PASSWORD not in told + path.read_text()
    assert items(exchange) == []


def test_nothing_is_written_where_reading_has_failed(exchange: EwsStandIn, connected: MailboxConnection) -> None:
    exchange.mailbox(ANNA).calendar.may_write = False
    output = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_exchange", *TOLD, stdout=output)

    assert ended.value.code == 1
    assert "MMS will make" not in output.getvalue()
    assert exchange.requests["CreateItem"] == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--write-to", ANNA), "--write-to and --attendee go together"),
        (("--attendee", ATTENDEE, "--user", ANNA), "--write-to and --attendee go together"),
        (("--write-to", ANNA, "--attendee", ANNA.upper()), "can be neither the attendee nor the mailbox outside"),
        ((*TOLD, "--outside", ANNA), "can be neither the attendee nor the mailbox outside"),
        (("--write-to", "anna", "--attendee", ATTENDEE), "anna: Give an address such as anna@contoso.com"),
        ((*TOLD, "--report", "/nowhere/to/be/found.json"), "The report cannot be written to /nowhere/to/be/found.json"),
        (("Nobody", *TOLD), "Nobody"),
        (("embedded", *TOLD), "embedded is of kind embedded: name a connection of kind exchange."),
    ],
)
def test_nothing_is_asked_where_it_is_not_clear_who_is_meant(
    command: Command, exchange: EwsStandIn, connected: MailboxConnection, arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        command("check_exchange", *arguments)

    assert exchange.bodies == []
