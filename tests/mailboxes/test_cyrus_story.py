"""One story on a real Cyrus, which tells attendees itself: MMS corrects the meetings, and nobody is told twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import caldav
import pytest
from django.utils import timezone

from migrations_app.calendars.objects import split_objects
from migrations_app.demo import invitations
from migrations_app.demo.meetings import Attendee
from migrations_app.mail.delivery import deliver
from migrations_app.mailboxes.of_user import try_connection
from migrations_app.models import (
    CalendarObject,
    IndexedMeeting,
    IntendedWrite,
    MailboxScan,
    MeetingResult,
    Run,
    Update,
)
from migrations_app.procedures import mailbox_scans
from migrations_app.rewriting.spans import unpack
from tenants_app.changes.mailboxes import change_connection, create_connection, set_credentials
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, MailboxConnection, Tenant
from tests.support.actors import ACTOR
from tests.support.cyrus_server import PASSWORD, CyrusServer, cyrus
from tests.support.meetings import STAY, logical_lines, messages_in, migrate, plan, told

pytestmark = [pytest.mark.servers, pytest.mark.django_db]
NAME = "anna.rossi"
OUTSIDE = (Attendee("ben.okafor@fabrikam.com", "Ben Okafor"), Attendee("kim.larsen@example.org", "Kim Larsen"))
OLD, NEW = "(425) 555-0101", "+44 20 7946 0123"


@pytest.fixture(scope="module")
def server() -> Iterator[CyrusServer]:
    with cyrus((NAME, "service")) as server:
        yield server


@pytest.fixture
def connect(tenant: Tenant, server: CyrusServer, settings: Any) -> Any:
    """Makes the connection of all users of Contoso."""
    settings.MMS_ALLOWED_MAIL_HOSTS = ["127.0.0.1"]

    def make(**values: Any) -> MailboxConnection:
        return create_connection(tenant, ACTOR, "Cyrus", address=server.address, make_default=True, **values)

    return make


@pytest.fixture
def by_own_sign_in(anna: ConferencingUser, connect: Any) -> MailboxConnection:
    connection: MailboxConnection = connect()
    set_credentials(connection, [(anna.upn, NAME, PASSWORD)], ACTOR)
    return connection


@pytest.fixture
def by_service_account(anna: ConferencingUser, connect: Any, server: CyrusServer) -> MailboxConnection:
    server.calendar(NAME)
    server.share(NAME, "service")
    connection: MailboxConnection = connect(
        username="service", password=PASSWORD, path_template="/dav/calendars/user/service/{local}.Default/"
    )
    return connection


def each_attendee_once(hrefs: dict[str, str]) -> Counter[tuple[str, str]]:
    return Counter((uid, attendee.address) for uid in hrefs for attendee in OUTSIDE)


@pytest.fixture
def stored(anna: ConferencingUser, server: CyrusServer) -> Iterator[dict[str, str]]:
    """The hrefs of three meetings of Anna's with attendees outside, who have been told of them; by UID."""
    calendar, hrefs = server.calendar(NAME), dict[str, str]()
    for number in range(3):
        ((uid, body),) = split_objects(invitations.skype_html(plan(anna, number, attendees=OUTSIDE)))
        hrefs[uid] = f"{calendar}{number}.ics"
        server.put(hrefs[uid], body, NAME)
    assert server.told_of() == each_attendee_once(hrefs)
    server.inbox.envelopes.clear()
    yield hrefs
    for href in hrefs.values():
        server.request("DELETE", href, user=NAME)
    server.inbox.envelopes.clear()


def reloaded(user: ConferencingUser) -> ConferencingUser:
    return ConferencingUser.objects.select_related("tenant__mailbox", "bridge").get(pk=user.pk)


def texts(server: CyrusServer, hrefs: dict[str, str]) -> dict[str, str]:
    return {
        uid: "\n".join(logical_lines(server.request("GET", href, user=NAME).content)) for uid, href in hrefs.items()
    }


def move(user: ConferencingUser, bridge: Bridge) -> None:
    """Change the user's bridge, and leave the run that follows from it to the test."""
    change_user(user, ACTOR, bridge=bridge)
    Run.objects.all().delete()


def test_from_the_test_of_the_connection_to_the_update_that_the_server_sends(
    anna: ConferencingUser,
    new_bridge: Bridge,
    by_own_sign_in: MailboxConnection,
    server: CyrusServer,
    stored: dict[str, str],
    outbox: Path,
) -> None:
    findings = {finding.step: finding for finding in try_connection(by_own_sign_in, reloaded(anna))}
    assert list(findings) == ["address", "certificate", "sign-in", "mailbox", "scheduling", "write"]
    assert all(finding.ok for finding in findings.values()), findings

    mailbox_scans.advance(timezone.now() + timedelta(hours=1))
    assert set(IndexedMeeting.objects.values_list("uid", flat=True)) == set(stored)
    assert MailboxScan.objects.get().code == ""
    assert not CalendarObject.objects.exists()
    by_own_sign_in.refresh_from_db()
    assert by_own_sign_in.server_tells is True
    assert server.told() == []

    move(anna, new_bridge)
    run = migrate(reloaded(anna), STAY)
    assert (run.state, run.succeeded_meetings, run.invites_update) == ("Succeeded", 3, 0)
    assert not IntendedWrite.objects.exists()
    deliver()
    assert messages_in(outbox) == []
    assert set(Update.objects.values_list("state", "recipient_count")) == {("ByServer", len(OUTSIDE))}
    assert set(Update.objects.values_list("error_code", flat=True)) == {""}
    assert server.told_of() == each_attendee_once(stored)

    with caldav.DAVClient(server.address, username=NAME, password=PASSWORD) as client:
        read = client.calendar(url=server.address.rstrip("/") + server.calendar(NAME)).events()
        components = [each.icalendar_component for each in read]
    assert {str(component["UID"]) for component in components} == set(stored)
    for component in components:
        text = str(component["DESCRIPTION"])
        assert NEW in text
        assert OLD not in text
    assert not [text for text in texts(server, stored).values() if "SCHEDULE-AGENT" in text]

    for result in MeetingResult.objects.filter(run=run):
        spans = unpack(bytes(result.spans or b""))
        assert any(OLD in span.before and NEW in span.after and OLD not in span.after for span in spans)

    after, sent = texts(server, stored), len(server.inbox.envelopes)
    again = migrate(reloaded(anna), STAY)
    codes = Counter(MeetingResult.objects.filter(run=again).values_list("code", flat=True))
    assert (again.state, codes, again.invites_update) == ("Succeeded", Counter({"already-current": 3}), 0)
    deliver()
    assert texts(server, stored) == after
    assert len(server.inbox.envelopes) == sent
    assert messages_in(outbox) == []


def test_r24_a_service_account_changes_nothing_while_it_is_not_known_who_tells(
    anna: ConferencingUser,
    new_bridge: Bridge,
    by_service_account: MailboxConnection,
    server: CyrusServer,
    stored: dict[str, str],
    outbox: Path,
) -> None:
    before = texts(server, stored)
    move(anna, new_bridge)

    run = migrate(reloaded(anna), STAY)

    by_service_account.refresh_from_db()
    assert (run.state, run.last_error_code) == ("Pending", "mailbox-who-tells")
    assert by_service_account.problem_code == "mailbox-who-tells"
    assert texts(server, stored) == before
    assert not MeetingResult.objects.exists()
    assert server.told() == []
    deliver()
    assert messages_in(outbox) == []


def test_r24_where_mms_is_to_tell_what_a_service_account_changed_it_does_so_once(
    anna: ConferencingUser,
    new_bridge: Bridge,
    by_service_account: MailboxConnection,
    server: CyrusServer,
    stored: dict[str, str],
    outbox: Path,
) -> None:
    change_connection(by_service_account, ACTOR, who_tells="mms")
    move(anna, new_bridge)

    for _ in range(2):
        run = migrate(reloaded(anna), STAY)
        deliver()
        assert (run.state, run.succeeded_meetings + run.skipped_meetings) == ("Succeeded", 3)

    assert told(outbox) == each_attendee_once(stored)
    assert server.told() == []
    for text in texts(server, stored).values():
        assert NEW in text
        assert "SCHEDULE-AGENT" not in text
