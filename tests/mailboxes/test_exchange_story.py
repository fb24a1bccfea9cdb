"""The story of an Exchange on-premises, told on a stand-in: from the test of the connection to corrected meetings."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from lxml import html as markup

from migrations_app.demo import invitations
from migrations_app.failures import Failure
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes import throttling
from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.mailboxes.exchange.events import Change
from migrations_app.mailboxes.of_user import mailbox_of, try_connection
from migrations_app.models import IndexedMeeting, IntendedWrite, MeetingResult, Run, Update
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection
from tests.support.actors import ACTOR
from tests.support.ews_stand_in import ONE_BY_ONE, PASSWORD, SERVICE, TOGETHER, EwsStandIn, ews_stand_in
from tests.support.ews_stand_in.invitations import item_of
from tests.support.ews_stand_in.store import Item
from tests.support.exchange_html import by_exchange, by_rtf, by_word, for_the_web
from tests.support.meetings import STAY, migrate, plan
from tests.support.undoing import undo, work

pytestmark = pytest.mark.django_db
OLD, NEW = "(425) 555-0101", "+44 20 7946 0123"


@pytest.fixture(scope="module")
def running() -> Iterator[EwsStandIn]:
    with ews_stand_in() as stand_in:
        yield stand_in


@pytest.fixture
def exchange(running: EwsStandIn, anna: ConferencingUser) -> EwsStandIn:
    running.reset()
    running.mailbox(anna.upn)
    return running


@pytest.fixture
def connection(anna: ConferencingUser, exchange: EwsStandIn, settings: Any) -> MailboxConnection:
    settings.MMS_ALLOWED_MAIL_HOSTS = ["localhost"]
    return create_connection(
        anna.tenant,
        ACTOR,
        "Exchange",
        kind="exchange",
        address=exchange.address,
        username=SERVICE,
        password=PASSWORD,
        sign_in_by="basic",
        ca_certificates=exchange.ca,
        make_default=True,
    )


@pytest.fixture
def anna_there(anna: ConferencingUser, connection: MailboxConnection) -> ConferencingUser:
    return reloaded(anna)


def reloaded(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant__mailbox", "bridge").get(pk=user.pk)


def put(
    exchange: EwsStandIn, user: ConferencingUser, number: int = 0, build: Callable[..., bytes] = invitations.skype_html
) -> Item:
    return exchange.mailbox(user.upn).add(item_of(build(plan(user, number))))


def moved(user: ConferencingUser, bridge: Bridge) -> Run:
    """The user moves to another bridge, and their run is worked."""
    change_user(user, ACTOR, bridge=bridge)
    return migrate(reloaded(user), STAY)


def seen(item: Item) -> str:
    """What a reader sees of the body."""
    return " ".join(markup.fromstring(item.body).text_content().split())


def codes_of(run: Run) -> Counter[str]:
    return Counter(MeetingResult.objects.filter(run=run).values_list("code", flat=True))


def test_from_the_test_of_the_connection_to_the_corrected_meeting(
    anna_there: ConferencingUser, new_bridge: Bridge, connection: MailboxConnection, exchange: EwsStandIn, outbox: Path
) -> None:
    items = [put(exchange, anna_there, number) for number in range(3)]
    before = [item.body for item in items]
    findings = [*try_connection(connection, anna_there)]
    assert all(finding.ok for finding in findings), findings
    mailbox = mailbox_of(reloaded(anna_there))
    mailbox.refresh(lambda: None)
    assert set(IndexedMeeting.objects.values_list("uid", flat=True)) == {item.uid for item in items}
    assert mailbox.tells_attendees

    run = moved(anna_there, new_bridge)
    assert (run.state, run.succeeded_meetings) == ("Succeeded", 3)
    assert not IntendedWrite.objects.exists()
    deliver()
    assert not [*outbox.glob("*.eml")]  # MMS tells nobody
    assert set(Update.objects.values_list("state", flat=True)) == {"ByServer"}
    assert len(exchange.mails) == 3
    for item, old in zip(items, before, strict=True):
        assert NEW in item.body
        assert OLD not in item.body
        assert item.body[:200] == old[:200]

    again = migrate(reloaded(anna_there), STAY)
    assert (again.state, codes_of(again), again.invites_update) == ("Succeeded", Counter({"already-current": 3}), 0)
    assert len(exchange.mails) == 3
    assert not reloaded(anna_there).is_out_of_date


@pytest.mark.parametrize("change_keys", [TOGETHER, ONE_BY_ONE])
def test_a_series_is_written_part_by_part_and_each_part_is_told_once(
    anna_there: ConferencingUser, new_bridge: Bridge, exchange: EwsStandIn, change_keys: str
) -> None:
    exchange.change_keys = change_keys
    series = put(exchange, anna_there, build=invitations.series_with_overrides)
    run = moved(anna_there, new_bridge)
    assert (run.state, codes_of(run)) == ("Succeeded", Counter({"": 1}))
    written = [mail.original_start for mail in exchange.mails]
    assert len(written) == len(set(written)) == exchange.requests["UpdateItem"]
    assert written[-1] is None  # the series itself last
    for part in (series, *series.exceptions):
        if part.ends_at > timezone.now() or part is series:
            assert NEW in part.body
            assert OLD not in part.body
    again = migrate(reloaded(anna_there), STAY)
    assert codes_of(again) == Counter({"already-current": 1})
    assert len(exchange.mails) == len(written)


@pytest.mark.parametrize(
    ("build", "stored"),
    [
        (invitations.skype_html, for_the_web),
        (invitations.skype_html, by_rtf),
        (invitations.series_with_overrides, by_exchange),
        (invitations.series_with_overrides, by_word),
    ],
)
def test_the_server_writes_html_in_its_own_way_and_an_undo_puts_back_what_was_there(
    anna_there: ConferencingUser,
    new_bridge: Bridge,
    exchange: EwsStandIn,
    build: Callable[..., bytes],
    stored: Callable[[str], str],
) -> None:
    exchange.normalise = stored
    item = put(exchange, anna_there, build=build)
    parts = (item, *item.exceptions)
    for part in parts:
        part.body = stored(part.body)
    before = [(seen(part), dict(part.named)) for part in parts]
    run = moved(anna_there, new_bridge)
    assert (run.state, codes_of(run)) == ("Succeeded", Counter({"": 1}))
    assert NEW in seen(item)
    assert codes_of(migrate(reloaded(anna_there), STAY)) == Counter({"already-current": 1})
    mails = len(exchange.mails)
    undone = undo(run)
    assert (undone.state, undone.succeeded_meetings) == ("Succeeded", 1)
    assert [(seen(part), part.named) for part in parts] == before
    assert len(exchange.mails) == 2 * mails


def test_a_busy_server_is_left_alone_as_long_as_it_asks(
    anna_there: ConferencingUser, new_bridge: Bridge, connection: MailboxConnection, exchange: EwsStandIn
) -> None:
    items = [put(exchange, anna_there, number) for number in range(2)]
    mailbox_of(anna_there).refresh(lambda: None)
    exchange.back_off = 600_000
    exchange.faults = [("UpdateItem", "busy")]
    run = moved(anna_there, new_bridge)
    assert (run.state, run.last_error_code) == ("Pending", "mailbox-unavailable")
    until = throttling.left_alone_until(connection)
    assert until is not None
    assert timedelta(minutes=9) < until - timezone.now() <= timedelta(minutes=10)
    assert not exchange.mails
    MailboxConnection.objects.update(paused_until=None)
    run = migrate(reloaded(anna_there), STAY)
    assert run.state == "Succeeded"
    assert all(NEW in item.body for item in items)
    assert len(exchange.mails) == 2


def test_what_somebody_else_changes_meanwhile_is_decided_anew(
    anna_there: ConferencingUser, new_bridge: Bridge, exchange: EwsStandIn
) -> None:
    item = put(exchange, anna_there)
    mailbox_of(anna_there).refresh(lambda: None)
    exchange.before_write = lambda written: (
        setattr(written, "body", written.body.replace("</body>", "<p>and cake</p></body>")),
        setattr(written, "version", written.version + 1),
    )
    run = moved(anna_there, new_bridge)
    assert (run.state, codes_of(run)) == ("Succeeded", Counter({"": 1}))
    assert "and cake" in item.body
    assert NEW in item.body
    assert len(exchange.mails) == 1


@pytest.mark.parametrize("fault", ["cut-before", "cut-after", "short", "503", "store"])
def test_a_write_of_which_nobody_knows_is_settled_by_reading_it_back(
    anna_there: ConferencingUser, new_bridge: Bridge, exchange: EwsStandIn, fault: str
) -> None:
    item = put(exchange, anna_there)
    mailbox_of(anna_there).refresh(lambda: None)
    exchange.faults = [("UpdateItem", fault)]
    run = moved(anna_there, new_bridge)
    assert (run.state, run.succeeded_meetings) == ("Succeeded", 1)
    assert NEW in item.body
    assert len(exchange.mails) == 1
    assert not IntendedWrite.objects.exists()


def test_an_invitation_that_was_never_sent_is_left_to_its_organizer(
    anna_there: ConferencingUser, new_bridge: Bridge, exchange: EwsStandIn
) -> None:
    item = put(exchange, anna_there)
    item.was_sent = False
    run = moved(anna_there, new_bridge)
    assert codes_of(run) == Counter({"needs-review": 1})
    assert "not sent" in MeetingResult.objects.get(run=run).detail
    assert OLD in item.body
    assert not exchange.mails


def test_the_service_starts_without_the_client_and_explains_itself(
    anna_there: ConferencingUser, connection: MailboxConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(("exchangelib", "migrations_app.mailboxes.ews"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "exchangelib", None)
    mailbox = mailbox_of(anna_there)
    with pytest.raises(Failure) as caught:
        mailbox.refresh(lambda: None)
    assert caught.value.code == "exchange-not-installed"
    (finding,) = try_connection(connection, anna_there)
    assert "pip install .[exchange]" in finding.sentence


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("build", "parts"), [(invitations.skype_html, 1), (invitations.series_with_overrides, 3)])
def test_of_two_workers_on_one_mailbox_one_writes(
    when: str,
    build: Callable[..., bytes],
    parts: int,
    anna_there: ConferencingUser,
    new_bridge: Bridge,
    exchange: EwsStandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first has lost its lease and does not know: what it writes next is sent all the same."""
    items = [put(exchange, anna_there, number, build) for number in range(2)]
    apply, count = EwsSource.apply, iter(range(10_000))

    def happens(self: EwsSource, change: Change) -> str:
        is_now = next(count) == 1
        if is_now and when == "before":
            work(Run.objects.get())
        key = apply(self, change)
        if is_now and when == "after":
            work(Run.objects.get())
        return key

    monkeypatch.setattr(EwsSource, "apply", happens)
    run = moved(anna_there, new_bridge)
    assert (run.state, codes_of(run)) == ("Succeeded", Counter({"": 2}))
    assert all(NEW in seen(item) for item in items)
    assert len(exchange.mails) == 2 * parts
    assert not IntendedWrite.objects.exists()
    assert codes_of(migrate(reloaded(anna_there), STAY)) == Counter({"already-current": 2})
    assert len(exchange.mails) == 2 * parts
