"""The CalDAV client against a real Radicale: no scheduling, octets of its own, sync-collection and CTags."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import caldav
import pytest
import trustme

from migrations_app.failures import Failure
from migrations_app.mailboxes.caldav.client import Calendar, Changed, Client, Entry, TokenExpired
from migrations_app.mailboxes.caldav.steps import check
from migrations_app.mailboxes.caldav.transport import Account
from tests.support.calendar_objects import event, meaning
from tests.support.radicale_server import PASSWORD, SERVICE, RadicaleServer, radicale

ANNA = "anna.rossi@contoso.com"
HOSTS = ("127.0.0.1",)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadicaleServer]:
    with radicale(
        tmp_path_factory.mktemp("radicale"), (ANNA, "o/dd %name@contoso.com", "nobody@contoso.com")
    ) as server:
        yield server


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadicaleServer]:
    with radicale(tmp_path_factory.mktemp("radicale-tls"), (ANNA,), "localhost") as server:
        yield server


@pytest.fixture
def client(server: RadicaleServer) -> Iterator[Client]:
    with Client(server.account(), HOSTS) as client:
        yield client


@pytest.fixture
def calendar(server: RadicaleServer) -> str:
    return server.make_calendar(ANNA, uuid.uuid4().hex)


def fill(server: RadicaleServer, calendar: str, count: int) -> list[str]:
    hrefs = [f"{calendar}{number}.ics" for number in range(count)]
    for number, href in enumerate(hrefs):
        server.put(href, event(f"{href}@contoso.com", f"Number {number}"))
    return hrefs


def test_the_principal_who_is_signed_in_is_found(server: RadicaleServer) -> None:
    with Client(server.account(ANNA), HOSTS) as client:
        assert client.discover() == f"{server.address}anna.rossi@contoso.com/"


def test_a_wrong_address_on_the_right_host_is_put_right_by_the_well_known_one(server: RadicaleServer) -> None:
    account = replace(server.account(ANNA), address=f"{server.address}no/such/place")
    with Client(account, HOSTS) as client:
        assert client.discover().endswith("/anna.rossi@contoso.com/")


def test_a_service_account_reaches_another_persons_calendars_by_a_template(
    server: RadicaleServer, client: Client, calendar: str
) -> None:
    principal = client.principal("/{upn}/", ANNA)

    found = {found.href: found for found in client.calendars(principal)}

    assert found[calendar].may_write
    assert found[calendar].owner == "/anna.rossi@contoso.com/"
    assert not found[calendar].subscribed
    assert "VEVENT" in found[calendar].components
    assert sum(each.is_default for each in found.values()) == 1


def test_a_name_with_a_slash_and_a_blank_stays_one_part_of_the_path(client: Client) -> None:
    assert client.principal("/x/{local}/{domain}/", "o/dd %name@contoso.com").endswith(
        "/x/o%2Fdd%20%25name/contoso.com/"
    )


@pytest.mark.parametrize("upn", ["..@contoso.com", "anna@.."])
def test_no_name_climbs_out_of_the_template(client: Client, upn: str) -> None:
    with pytest.raises(Failure) as failure:
        client.principal("/users/{local}/{domain}/", upn)
    assert failure.value.code == "mailbox-not-found"


def test_collections_that_hold_no_meetings_are_no_calendars(server: RadicaleServer, client: Client) -> None:
    href = f"/{ANNA}/tasks/"
    body = (
        '<c:mkcalendar xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><d:set><d:prop>'
        '<c:supported-calendar-component-set><c:comp name="VTODO"/></c:supported-calendar-component-set>'
        "</d:prop></d:set></c:mkcalendar>"
    )
    assert server.request("MKCALENDAR", href, body.encode(), user=ANNA).status_code == 201

    assert href not in {calendar.href for calendar in client.calendars(client.principal("/{upn}/", ANNA))}


def test_calendars_that_may_only_be_read_are_marked(server: RadicaleServer, calendar: str) -> None:
    with Client(server.account("reader@contoso.com"), HOSTS) as client:
        assert not calendar_of(client, calendar).may_write


def calendar_of(client: Client, href: str) -> Calendar:
    return next(each for each in client.calendars(client.principal("/{upn}/", ANNA)) if each.href == href)


def test_radicale_tells_nobody(client: Client, calendar: str) -> None:
    features = client.features(calendar)

    assert (features.calendar_access, features.auto_schedule, features.sync_collection) == (True, False, True)


def test_changes_are_what_is_new_changed_and_gone(server: RadicaleServer, client: Client, calendar: str) -> None:
    first, second, third = fill(server, calendar, 3)
    changes = client.changes(calendar)
    assert {entry.href for entry in changes} == {first, second, third}
    assert changes.is_complete_list

    etag = server.request("PUT", second, event(f"{second}@contoso.com", "Changed")).headers["etag"]
    server.delete(third)
    later = client.changes(calendar, changes.next_token)

    assert sorted(later, key=lambda entry: entry.href) == [Entry(second, etag), Entry(third, None)]
    assert not later.is_complete_list
    again = client.changes(calendar, later.next_token)
    assert list(again) == []
    assert again.next_token == later.next_token


def test_a_token_that_the_server_does_not_know_has_expired(client: Client, calendar: str) -> None:
    with pytest.raises(TokenExpired):
        client.changes(calendar, f"http://radicale.org/ns/sync/{'0' * 64}")


def test_objects_are_read_in_batches_and_those_that_are_gone_are_missing(
    server: RadicaleServer, client: Client, calendar: str
) -> None:
    hrefs = fill(server, calendar, 55)
    server.delete(hrefs[7])

    read = {resource.href: resource for resource in client.read(calendar, hrefs)}

    assert read.keys() == set(hrefs) - {hrefs[7]}
    for href in (hrefs[0], hrefs[54]):
        exact = client.get(href)
        assert exact is not None
        assert (read[href].etag, read[href].body) == (exact.etag, exact.body)
    assert client.get(hrefs[7]) is None


def test_what_was_written_is_what_another_client_reads(server: RadicaleServer, client: Client, calendar: str) -> None:
    (href,) = fill(server, calendar, 1)
    stored = client.get(href)
    assert stored is not None
    body = stored.body.replace(b"Number 0", b"Zahl \xc3\x9c\\, \xe2\x82\xac\\nand two lines")

    written = client.put(href, body, etag=stored.etag)

    after = client.get(href)
    assert after is not None
    assert written.etag in {None, after.etag}
    assert meaning(after.body) == meaning(body)
    with caldav.DAVClient(url=server.address, username=SERVICE, password=PASSWORD) as other:
        read = other.calendar(url=server.address.rstrip("/") + calendar).events()
        assert [str(each.icalendar_component["DESCRIPTION"]) for each in read] == ["Zahl Ü, €\nand two lines"]


def test_r28_nothing_is_written_over_what_somebody_else_has_changed(
    server: RadicaleServer, client: Client, calendar: str
) -> None:
    (href,) = fill(server, calendar, 1)
    stored = client.get(href)
    assert stored is not None
    server.request("PUT", href, event(f"{href}@contoso.com", "By somebody else"))

    with pytest.raises(Changed):
        client.put(href, stored.body, etag=stored.etag)

    after = client.get(href)
    assert after is not None
    assert b"By somebody else" in after.body


def test_an_object_is_found_by_its_whole_uid(server: RadicaleServer, client: Client, calendar: str) -> None:
    server.put(f"{calendar}a.ics", event("1 < 2 & 3@contoso.com"))
    server.put(f"{calendar}b.ics", event("11 < 2 & 3@contoso.com"))

    assert client.find([calendar], "1 < 2 & 3@contoso.com") == [f"{calendar}a.ics"]
    assert client.find([calendar], "2 & 3@contoso.com") == []
    assert client.find([calendar], "\x01") == []


def test_a_uid_that_two_calendars_have_is_found_in_both(server: RadicaleServer, client: Client, calendar: str) -> None:
    other = server.make_calendar(ANNA, uuid.uuid4().hex)
    for each in (calendar, other):
        server.put(f"{each}same.ics", event("same@contoso.com"))

    assert client.find([calendar, other], "same@contoso.com") == [f"{calendar}same.ics", f"{other}same.ics"]


def test_a_wrong_password_is_said_to_be_one(server: RadicaleServer) -> None:
    with Client(server.account(ANNA, "wrong"), HOSTS) as client, pytest.raises(Failure) as failure:
        client.discover()
    assert failure.value.code == "mailbox-sign-in-refused"
    assert "wrong" not in failure.value.what


def test_what_is_not_there_and_what_is_forbidden_are_told_apart(server: RadicaleServer, client: Client) -> None:
    with pytest.raises(Failure) as failure:
        client.changes(f"/{ANNA}/vanished/")
    assert failure.value.code == "mailbox-not-found"
    with Client(server.account("nobody@contoso.com"), HOSTS) as stranger, pytest.raises(Failure) as failure:
        stranger.calendars(stranger.principal("/{upn}/", ANNA))
    assert failure.value.code == "mailbox-forbidden"


def test_a_reader_may_not_write(server: RadicaleServer, calendar: str) -> None:
    (href,) = fill(server, calendar, 1)
    with Client(server.account("reader@contoso.com"), HOSTS) as client:
        stored = client.get(href)
        assert stored is not None
        with pytest.raises(Failure) as failure:
            client.put(href, stored.body, etag=stored.etag)
    assert failure.value.code == "mailbox-forbidden"


def test_a_certificate_of_an_own_ca_is_trusted_only_with_it(behind_tls: RadicaleServer) -> None:
    with Client(behind_tls.account(ANNA), ("localhost",)) as client:
        client.discover()
        assert client.certificate is not None
        assert client.certificate.issuer.startswith("trustme")
    with (
        Client(replace(behind_tls.account(ANNA), ca_certificates=""), ("localhost",)) as client,
        pytest.raises(Failure) as failure,
    ):
        client.discover()
    assert failure.value.code == "mailbox-certificate"
    assert failure.value.detail == "the certificate of localhost is issued by a CA that is not known here"


def steps(server: RadicaleServer, account: Account, upn: str = ANNA) -> dict[str, tuple[bool, str, str]]:
    host = account.address.split("/")[2].split(":")[0]
    found = list(check(account, upn, template="/{upn}/", allowed_hosts=(host,)))
    assert len({finding.step for finding in found}) == len(found)
    return {finding.step: (finding.ok, finding.code, finding.sentence) for finding in found}


def test_the_check_says_step_by_step_what_works_and_changes_nothing(behind_tls: RadicaleServer) -> None:
    calendar = behind_tls.make_calendar(ANNA, "work")
    behind_tls.put(f"{calendar}a.ics", event("a@contoso.com", attendees=["ben.okafor@fabrikam.com"]))
    behind_tls.put(f"{calendar}b.ics", event("b@contoso.com"))
    before = {href: behind_tls.request("GET", f"{calendar}{href}").content for href in ("a.ics", "b.ics")}

    found = steps(behind_tls, behind_tls.account())

    assert list(found) == ["address", "certificate", "sign-in", "mailbox", "scheduling", "write"]
    assert all(ok for ok, _, _ in found.values()), found
    assert "MMS may write to" in found["mailbox"][2]
    assert "MMS sends the attendees an update" in found["scheduling"][2]
    assert found["write"][2] == (
        "The server refuses a write whose condition is false, and takes one whose condition is true without altering a "
        "thing."
    )
    assert before == {href: behind_tls.request("GET", f"{calendar}{href}").content for href in ("a.ics", "b.ics")}


def test_the_check_ends_where_nothing_more_makes_sense(server: RadicaleServer, behind_tls: RadicaleServer) -> None:
    no_ca = steps(behind_tls, replace(behind_tls.account(), ca_certificates=trustme.CA().cert_pem.bytes().decode()))
    assert {step: ok for step, (ok, _, _) in no_ca.items()} == {"address": True, "certificate": False}

    password = steps(behind_tls, behind_tls.account(password="wrong"))
    assert list(password) == ["address", "certificate", "sign-in"]
    assert password["sign-in"][:2] == (False, "mailbox-sign-in-refused")

    nobody = steps(server, server.account(), "no.such.user@contoso.com")
    assert list(nobody) == ["address", "certificate", "sign-in", "mailbox"]
    assert nobody["certificate"][:2] == (True, "mailbox-certificate")
    assert nobody["mailbox"][:2] == (False, "mailbox-not-found")


def test_the_check_of_an_empty_calendar_says_so(server: RadicaleServer) -> None:
    server.make_calendar("nobody@contoso.com", "empty")

    found = steps(server, server.account(), "nobody@contoso.com")

    assert "holds no meeting to try a write with" in found["write"][2]


def test_the_check_of_a_mailbox_that_may_only_be_read_tries_no_write(server: RadicaleServer, calendar: str) -> None:
    found = steps(server, server.account("reader@contoso.com"))

    assert found["mailbox"][:2] == (False, "mailbox-forbidden")
    assert "write" not in found
