"""The CalDAV client against a real Cyrus, which tells attendees itself and stores octets of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from migrations_app.failures import Failure
from migrations_app.mailboxes.caldav.client import Changed, Client, Entry, Refused, Resource, TokenExpired
from migrations_app.mailboxes.caldav.steps import check
from tests.support.calendar_objects import event, meaning
from tests.support.cyrus_server import CyrusServer, cyrus

pytestmark = pytest.mark.servers
HOSTS = ("127.0.0.1",)
ANNA = "anna.rossi"
OUTSIDE = "ben.okafor@fabrikam.com"


@pytest.fixture(scope="module")
def server() -> Iterator[CyrusServer]:
    with cyrus((ANNA, "service", "empty")) as server:
        yield server


@pytest.fixture(scope="module")
def calendar(server: CyrusServer) -> str:
    return server.calendar(ANNA)


@pytest.fixture
def client(server: CyrusServer) -> Iterator[Client]:
    with Client(server.account(ANNA), HOSTS) as client:
        yield client


@pytest.fixture
def meeting(server: CyrusServer, calendar: str) -> str:
    """A meeting of Anna's with an attendee outside, who has been told of it."""
    href = f"{calendar}{uuid.uuid4().hex}.ics"
    server.put(href, event(href, attendees=["anna.rossi@contoso.com", OUTSIDE]), ANNA)
    server.inbox.envelopes.clear()
    return href


def stored_at(client: Client, href: str) -> Resource:
    stored = client.get(href)
    assert stored is not None
    return stored


def test_the_principal_and_the_default_calendar_are_found(server: CyrusServer, client: Client, calendar: str) -> None:
    principal = client.discover()
    assert principal == f"{server.address}dav/principals/user/anna.rossi/"

    (found,) = client.calendars(principal)

    assert (found.href, found.is_default, found.may_write) == (calendar, True, True)
    assert found.owner == "/dav/principals/user/anna.rossi/"


def test_cyrus_tells_attendees_itself(client: Client, calendar: str) -> None:
    features = client.features(calendar)

    assert (features.calendar_access, features.auto_schedule, features.sync_collection) == (True, True, True)
    assert features.server.startswith("Cyrus-HTTP/")


def test_a_changed_text_is_written_once_and_told_once(server: CyrusServer, client: Client, meeting: str) -> None:
    stored = stored_at(client, meeting)
    assert stored.schedule_tag

    body = stored.body.replace(b"Agenda follows.", b"A new number.")
    written = client.put(meeting, body, etag=stored.etag, schedule_tag=stored.schedule_tag)

    assert written.etag is None  # Cyrus has written its own octets, and says so in this way
    assert written.schedule_tag
    after = stored_at(client, meeting)
    assert after.etag != stored.etag
    assert dict(meaning(after.body))["DESCRIPTION"] == "A new number."
    assert server.told() == [(OUTSIDE, "Update: Weekly")]


def test_what_was_read_and_written_back_is_told_to_nobody(server: CyrusServer, client: Client, meeting: str) -> None:
    stored = stored_at(client, meeting)

    client.put(meeting, stored.body, etag=stored.etag, schedule_tag=stored.schedule_tag)

    assert server.told() == []


def test_r28_nothing_is_written_over_what_somebody_else_has_changed(
    server: CyrusServer, client: Client, meeting: str
) -> None:
    stored = stored_at(client, meeting)
    server.put(meeting, stored.body.replace(b"Weekly", b"Daily"), ANNA)
    server.inbox.envelopes.clear()

    with pytest.raises(Changed):
        client.put(meeting, stored.body, etag=stored.etag)
    with pytest.raises(Changed):
        client.put(meeting, stored.body, etag=stored_at(client, meeting).etag, schedule_tag='"another"')

    assert dict(meaning(stored_at(client, meeting).body))["SUMMARY"] == "Daily"
    assert server.told() == []


def test_what_cyrus_does_not_take_is_refused_with_its_reason(client: Client, meeting: str) -> None:
    stored = stored_at(client, meeting)

    with pytest.raises(Refused) as refused:
        client.put(meeting, b"no calendar", etag=stored.etag)

    assert refused.value.conditions == ["valid-calendar-data"]
    assert refused.value.what.endswith("so it stays as it was: the text is not valid to it.")


def test_changes_are_what_is_new_changed_and_gone(
    server: CyrusServer, client: Client, calendar: str, meeting: str
) -> None:
    changes = client.changes(calendar)
    assert meeting in {entry.href for entry in changes}

    server.put(meeting, stored_at(client, meeting).body.replace(b"Weekly", b"Daily"), ANNA)
    later = client.changes(calendar, changes.next_token)
    assert list(later) == [Entry(meeting, stored_at(client, meeting).etag)]

    server.request("DELETE", meeting, user=ANNA)
    assert list(client.changes(calendar, later.next_token)) == [Entry(meeting, None)]
    assert client.get(meeting) is None
    with pytest.raises(TokenExpired):
        client.changes(calendar, "data:,1-1")


def test_objects_are_read_in_batches(server: CyrusServer, client: Client, calendar: str) -> None:
    hrefs = [f"{calendar}batch-{number}.ics" for number in range(60)]
    for href in hrefs:
        server.put(href, event(href), ANNA)

    read = {each.href: each for each in client.read(calendar, [*hrefs, f"{calendar}gone.ics"])}

    assert read.keys() == set(hrefs)
    assert read[hrefs[3]] == stored_at(client, hrefs[3])
    assert client.find([calendar], hrefs[3]) == [hrefs[3]]


def test_a_service_account_reaches_a_calendar_that_is_shared_with_it_and_then_cyrus_tells_nobody(
    server: CyrusServer, meeting: str
) -> None:
    shared = server.share(ANNA, "service")
    with Client(server.account("service"), HOSTS) as client:
        (calendar,) = client.calendars(client.principal("/dav/calendars/user/service/{local}.Default/", ANNA))
        assert (calendar.href, calendar.may_write) == (shared, True)
        assert calendar.owner == "/dav/principals/user/anna.rossi/"

        href = shared + meeting.rpartition("/")[2]
        stored = stored_at(client, href)
        body = stored.body.replace(b"Agenda follows.", b"A new number.")
        client.put(href, body, etag=stored.etag, schedule_tag=stored.schedule_tag)

        assert b"A new number." in stored_at(client, href).body
    assert server.told() == []


def test_somebody_elses_calendar_is_not_to_be_had(server: CyrusServer, calendar: str) -> None:
    with Client(server.account("empty"), HOSTS) as client, pytest.raises(Failure) as failure:
        list(client.changes(calendar))
    assert failure.value.code in {"mailbox-not-found", "mailbox-forbidden"}


def test_the_check_says_step_by_step_what_works_and_tells_nobody(server: CyrusServer, meeting: str) -> None:
    found = {
        finding.step: finding for finding in check(server.account(ANNA), "anna.rossi@contoso.com", allowed_hosts=HOSTS)
    }

    assert list(found) == ["address", "certificate", "sign-in", "mailbox", "scheduling", "write"]
    assert all(finding.ok for finding in found.values()), found
    assert "MMS sends them nothing" in found["scheduling"].sentence
    assert "refuses a write whose condition is false" in found["write"].sentence
    assert server.told() == []


def test_the_check_warns_where_somebody_else_than_the_organizer_signs_in(server: CyrusServer, calendar: str) -> None:
    server.share(ANNA, "service")

    found = check(
        server.account("service"),
        "anna.rossi@contoso.com",
        template="/dav/calendars/user/service/{local}.Default/",
        allowed_hosts=HOSTS,
    )

    assert "then tell nobody" in next(finding for finding in found if finding.step == "scheduling").sentence
