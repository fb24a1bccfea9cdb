"""Test connection: what works of the way into a mailbox of Exchange Online, and what does not, in a sentence each."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from migrations_app.failures import CATALOGUE
from migrations_app.mailboxes.caldav.steps import Finding
from migrations_app.mailboxes.graph.steps import check
from migrations_app.microsoft.client import Graph
from migrations_app.microsoft.sign_in import Application
from tests.mailboxes.graph.conftest import ANNA, Meeting
from tests.support.graph_stand_in import GraphStandIn

IN_A_YEAR = datetime.now(UTC) + timedelta(days=365)
STEPS = ["address", "sign-in", "secret", "permission", "mailbox", "filters", "ids", "scheduling"]


def found(
    application: Application, upn: str = ANNA, names: set[str] | None = None, ends: datetime | None = IN_A_YEAR
) -> list[Finding]:
    with Graph(application, allowed_hosts=["127.0.0.1"], wait=lambda _: None) as graph:
        return [*check(graph, upn, {ANNA}, names or set(), ends)]


def step(findings: list[Finding], name: str) -> Finding:
    (finding,) = [finding for finding in findings if finding.step == name]
    return finding


def test_all_that_works_is_said_and_nothing_is_written(
    exchange: GraphStandIn, application: Application, meeting: Meeting
) -> None:
    exchange.application.roles = ("Calendars.ReadWrite",)
    exchange.add_calendar(ANNA, "Holidays", can_edit=False)
    exchange.add_event(ANNA, meeting())
    exchange.add_event(ANNA, meeting("online", properties={"SkypeTeamsMeetingUrl": "https://teams.microsoft.com/x"}))
    findings = found(application)
    assert [finding.step for finding in findings] == STEPS
    assert all(finding.ok for finding in findings)
    assert all(finding.sentence.endswith(".") for finding in findings)
    assert "“Calendar” (the default), “Holidays” (only to be read)" in step(findings, "mailbox").sentence
    assert "2 meetings to come and series were found, 1 of them" in step(findings, "filters").sentence
    assert {each.method for each in exchange.requests} == {"GET"}
    assert exchange.mails == []


def test_a_permission_for_all_mailboxes_is_warned_of(exchange: GraphStandIn, application: Application) -> None:
    warned = step(found(application), "permission")
    assert warned.ok
    assert warned.code in CATALOGUE
    assert "for all mailboxes" in warned.sentence


@pytest.mark.parametrize(
    ("days", "code", "words"),
    [(365, "", "is good until"), (29, "secret-expired", "only until"), (None, "", "Nobody has said")],
)
def test_the_end_of_a_secret_is_told_in_time(
    days: int | None, code: str, words: str, exchange: GraphStandIn, application: Application
) -> None:
    ends = datetime.now(UTC) + timedelta(days=days) if days else None
    told = step(found(application, ends=ends), "secret")
    assert (told.ok, told.code) == (True, code)
    assert words in told.sentence


Spoil = Callable[[GraphStandIn], object]


@pytest.mark.parametrize(
    ("spoil", "failed", "code"),
    [
        (lambda exchange: exchange.application.secrets.clear(), "sign-in", "secret-refused"),
        (
            lambda exchange: exchange.application.secrets.update({exchange.secret: datetime(2026, 1, 1, tzinfo=UTC)}),
            "sign-in",
            "secret-expired",
        ),
        (lambda exchange: exchange.world.applications.clear(), "sign-in", "application-unknown"),
        (lambda exchange: exchange.world.domains.clear() or setattr(exchange.world, "tenant", "x"), "sign-in",
         "directory-unknown"),
        (lambda exchange: exchange.restrict(), "mailbox", "mailbox-forbidden"),
        (lambda exchange: setattr(exchange.mailbox(ANNA).user, "denied", True), "mailbox", "mailbox-outside-policy"),
        (lambda exchange: setattr(exchange.mailbox(ANNA).user, "has_mailbox", False), "mailbox", "mailbox-not-found"),
        (lambda exchange: setattr(exchange.mailbox(ANNA).user, "upn", "a@contoso.com"), "mailbox", "mailbox-not-found"),
        (lambda exchange: exchange.fail_next(status=503, path="/calendars"), "mailbox", "mailbox-unavailable"),
        (lambda exchange: exchange.fail_next(status=400, path="/events"), "filters", "mailbox-answer"),
        (lambda exchange: exchange.fail_next("garbage", path="/events"), "filters", "mailbox-answer"),
    ],
)  # fmt: skip
def test_the_step_that_fails_says_what_to_do_and_is_the_last(
    spoil: Spoil, failed: str, code: str, exchange: GraphStandIn, application: Application
) -> None:
    spoil(exchange)
    findings = found(application)
    last = findings[-1]
    assert (last.step, last.ok, last.code) == (failed, False, code)
    assert "could not be tried" in last.sentence
    assert all(finding.ok for finding in findings[:-1])
    assert exchange.secret not in "".join(finding.sentence for finding in findings)


def test_calendars_that_are_named_and_are_not_there(exchange: GraphStandIn, application: Application) -> None:
    last = found(application, names={"project"})[-1]
    assert (last.step, last.ok, last.code) == ("mailbox", False, "mailbox-not-found")
    assert "named project" in last.sentence
