"""The test of a connection to an Exchange server, step by step, and Autodiscover."""

from __future__ import annotations

import pytest

from migrations_app.failures import Failure
from migrations_app.https.session import Account
from migrations_app.mailboxes.ews.discovery import discover
from migrations_app.mailboxes.ews.steps import check
from tests.mailboxes.ews.conftest import ANNA, Open
from tests.mailboxes.ews.test_source import a_meeting
from tests.support.ews_stand_in import PASSWORD, SERVICE, EwsStandIn

ALL = ("address", "certificate", "sign-in", "impersonation", "mailbox", "version", "filters", "scheduling")


def steps(opened: Open, **changes: object) -> list[tuple[str, bool]]:
    found = [*check(lambda: opened(**changes), ANNA, SERVICE, impersonates=True, discovers=False)]
    assert not any(PASSWORD in each.sentence for each in found)
    return [(each.step, each.ok) for each in found]


def test_what_works_is_told_step_by_step_and_nothing_is_written(exchange: EwsStandIn, opened: Open) -> None:
    a_meeting(exchange)
    found = [*check(opened, ANNA, SERVICE, impersonates=True, discovers=False)]
    assert [(each.step, each.ok) for each in found] == [(step, True) for step in ALL]
    told = " ".join(each.sentence for each in found)
    for part in (
        "trustme",
        "may act as anna@contoso.com",
        "“Calendar” (the default)",
        "version 15.2.1544.4",
        "one of them",
    ):
        assert part in told
    assert exchange.requests["UpdateItem"] == 0
    assert not exchange.mails


def test_what_does_not_work_is_told_at_its_step(exchange: EwsStandIn, opened: Open) -> None:
    assert steps(opened, allowed_hosts=set()) == [("address", False)]
    assert steps(opened, ca_certificates="") == [("address", True), ("certificate", False)]
    assert steps(opened, password="wrong") == [(step, True) for step in ALL[:2]] + [("sign-in", False)]
    exchange.may_impersonate = set()
    assert steps(opened) == [(step, True) for step in ALL[:3]] + [("impersonation", False)]
    exchange.reset()
    assert steps(opened) == [(step, True) for step in ALL[:4]] + [("mailbox", False)]
    exchange.mailbox(ANNA).calendar.may_write = False
    assert steps(opened) == [(step, True) for step in ALL[:4]] + [("mailbox", False), ("version", True)]


def found_by(exchange: EwsStandIn, upn: str = ANNA, how: str = "basic", **changes: str) -> str:
    what = {"username": SERVICE, "password": PASSWORD, "ca_certificates": exchange.ca} | changes
    places = ("https://nowhere.invalid/autodiscover.xml", f"{exchange.origin}/autodiscover/autodiscover.xml")
    account = Account("", **what)
    return discover(account, upn, sign_in_by=how, allowed_hosts={"localhost"}, places=places).address


@pytest.mark.parametrize(("how", "username"), [("basic", SERVICE), ("ntlm", "CONTOSO\\svc-mms")])
def test_autodiscover_tells_the_address(exchange: EwsStandIn, how: str, username: str) -> None:
    assert found_by(exchange, how=how, username=username) == exchange.address


@pytest.mark.parametrize("address", ["http://localhost/EWS/Exchange.asmx", "ftp://x", "https://u:p@localhost/"])
def test_what_autodiscover_tells_is_held_to_the_same_rules(exchange: EwsStandIn, address: str) -> None:
    exchange.discovered = address
    with pytest.raises(Failure, match="mailbox-address"):
        found_by(exchange)


def test_autodiscover_of_a_domain_that_has_none(exchange: EwsStandIn) -> None:
    with pytest.raises(Failure) as caught:
        discover(Account("", SERVICE, PASSWORD), "anna@nowhere.invalid")
    assert caught.value.code == "mailbox-address"
    with pytest.raises(Failure, match="mailbox-sign-in-refused"):
        found_by(exchange, password="wrong")


def test_autodiscover_leads_to_no_private_address(exchange: EwsStandIn, opened: Open) -> None:
    exchange.discovered = "https://127.0.0.2/EWS/Exchange.asmx"
    with pytest.raises(Failure, match="mailbox-address"), opened(address=found_by(exchange)) as source:
        source.calendars()
