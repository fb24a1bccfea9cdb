"""Answers that no good server gives, and what the client makes of them: one clause of the catalogue, never a loss."""

from __future__ import annotations

import gzip
import threading
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from migrations_app.failures import Failure
from migrations_app.mailboxes.caldav.client import (
    Changed,
    Client,
    Gone,
    Limits,
    Refused,
    TokenExpired,
    Unsettled,
    Written,
)
from migrations_app.mailboxes.caldav.steps import check
from tests.support.calendar_objects import event
from tests.support.scripted_server import Asked, Script, ScriptedServer, Told, multistatus, response, scripted

HOSTS = ("localhost",)
CALENDAR = "/cal/work/"
HREF = "/cal/work/1.ics"
BODY = event("1@contoso.com")
BRIEF = Limits(connect=20, read=20, write=20, whole=60, answer=100_000)
"""Of these tests: small answers are large here, and a busy machine is waited for."""
SILENT = Limits(connect=20, read=0.2, write=0.2, whole=60)
"""So that nobody waits for a server that is silent on purpose."""


def failure_with(script: Script | Told, ask: Callable[[Client], object], limits: Limits = BRIEF) -> Failure:
    answer = script if callable(script) else lambda _: script
    with (
        scripted(answer) as server,
        connected(server, limits) as client,
        pytest.raises(Failure) as failure,
    ):
        ask(client)
    assert "secret" not in failure.value.what
    return failure.value


def connected(server: ScriptedServer, limits: Limits = BRIEF) -> Client:
    return Client(server.account(), HOSTS, limits)


def list_all(client: Client) -> object:
    return list(client.changes(CALENDAR))


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (Told(401), "mailbox-sign-in-refused"),
        (Told(403), "mailbox-forbidden"),
        (Told(404), "mailbox-not-found"),
        (Told(410), "mailbox-not-found"),
        (Told(405), "mailbox-address"),
        (Told(200, b"<html>Welcome</html>"), "mailbox-address"),
        (Told(418), "mailbox-answer"),
        (Told(423), "mailbox-unavailable"),
        (Told(429), "mailbox-unavailable"),
        (Told(500), "mailbox-unavailable"),
        (Told(503), "mailbox-unavailable"),
        (Told(507), "mailbox-unavailable"),
        (Told(207, b"<html>Sign in to the Wi-Fi</html>"), "mailbox-answer"),
        (Told(207, b"no XML at all"), "mailbox-answer"),
        (Told(207, b"\xff\xfea\x00"), "mailbox-answer"),
        (Told(207, b'<?xml version="1.0" encoding="klingon"?><a/>'), "mailbox-answer"),
        (Told(207, multistatus(response(HREF))[:-20]), "mailbox-unavailable"),
        (Told(207, b""), "mailbox-unavailable"),
        (Told(207, multistatus(response("https://fabrikam.com/cal/1.ics"))), "mailbox-answer"),
        (Told(207, multistatus(response("//fabrikam.com/cal/1.ics"))), "mailbox-answer"),
        (Told(207, multistatus(response("http://localhost/cal/1.ics"))), "mailbox-answer"),
        (Told(207, multistatus(response("javascript:alert(1)"))), "mailbox-answer"),
        (Told(207, multistatus(response("http://[broken/1.ics"))), "mailbox-answer"),
        (Told(207, multistatus(response("/" + "x" * 9_000))), "mailbox-answer"),
        (Told(207, multistatus(response(HREF)), length=10_000), "mailbox-unavailable"),
        (Told(207, b"x", {"Content-Encoding": "gzip"}), "mailbox-unavailable"),
        (Told(302, headers={"Location": "https://fabrikam.com/"}), "mailbox-address"),
        (Told(302, headers={"Location": "http://[broken/"}), "mailbox-address"),
        (Told(302), "mailbox-address"),
        (Told(301, headers={"Location": "/cal/work/"}), "mailbox-address"),
        (Told(hangs_up=True), "mailbox-unavailable"),
    ],
)
def test_every_bad_answer_is_a_code_of_the_catalogue(told: Told, code: str) -> None:
    assert failure_with(told, list_all).code == code


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY a "b">]><multistatus xmlns="DAV:">&a;</multistatus>',
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><multistatus xmlns="DAV:">&a;</multistatus>',
        '<!DOCTYPE a SYSTEM "http://localhost/x.dtd"><multistatus xmlns="DAV:"/>',
        '<multistatus xmlns="DAV:"><response>' + "<a>" * 20_000,
        '<multistatus xmlns="DAV:"><response>' + "<a/>" * 20_000,
    ],
)
def test_entities_document_types_and_endless_trees_are_refused(document: str) -> None:
    assert failure_with(Told(207, document.encode()), list_all).code == "mailbox-answer"


def test_an_answer_is_measured_once_it_is_unpacked() -> None:
    packed = gzip.compress(multistatus(" " * 5_000_000))
    assert len(packed) < BRIEF.answer

    failure = failure_with(Told(207, packed, {"Content-Encoding": "gzip"}), list_all)

    assert (failure.code, failure.detail) == ("mailbox-answer", "the answer about /cal/work/ is too large")


def test_a_long_list_is_never_in_memory_as_a_whole() -> None:
    listed = multistatus(*(response(f"{CALENDAR}{n}.ics", f'<d:getetag>"{n}"</d:getetag>') for n in range(10_000)))
    with scripted(lambda _: Told(207, listed)) as server, connected(server, Limits()) as client:
        changes = client.changes(CALENDAR)
        tracemalloc.start()
        try:
            count = sum(1 for _ in changes)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert count == 10_000
    assert peak < 5_000_000


def test_a_redirect_on_the_same_host_is_followed_with_method_and_body() -> None:
    def script(asked: Asked) -> Told:
        if asked.path == CALENDAR:
            return Told(301, headers={"Location": "../moved/"})
        return Told(207, multistatus(response("1.ics", '<d:getetag>"a"</d:getetag>')))

    with scripted(script) as server, connected(server) as client:
        assert [entry.href for entry in client.changes(CALENDAR)] == ["/cal/moved/1.ics"]
        first, second = server.asked
        assert (second.method, second.path, second.body) == ("REPORT", "/cal/moved/", first.body)


def test_redirects_end_after_five() -> None:
    with scripted(lambda asked: Told(302, headers={"Location": f"{asked.path}x"})) as server:
        with connected(server) as client, pytest.raises(Failure) as failure:
            client.get("/")
        assert failure.value.code == "mailbox-address"
        assert len(server.asked) == 6


def test_the_password_goes_with_the_first_request_and_to_no_other_host() -> None:
    with scripted(lambda _: Told(200)) as other:
        elsewhere = other.address.replace("localhost", "127.0.0.1")
        with scripted(lambda _: Told(302, headers={"Location": elsewhere})) as server:
            with Client(server.account(), ("localhost", "127.0.0.1")) as client, pytest.raises(Failure):
                client.get(HREF)
            assert server.asked[0].headers["authorization"] == "Basic YW5uYS5yb3NzaUBjb250b3NvLmNvbTpzZWNyZXQ="
        assert other.asked == []


def test_the_connection_is_kept_open_and_no_cookie_is() -> None:
    with scripted(lambda _: Told(200, BODY, {"ETag": '"a"', "Set-Cookie": "session=1"})) as server:
        with connected(server) as client:
            for _ in range(3):
                client.get(HREF)
        assert server.connections == 1
        assert "cookie" not in server.asked[-1].headers


def test_a_kept_open_connection_that_is_lost_is_opened_anew_for_what_changes_nothing() -> None:
    answers = iter([Told(200, BODY), Told(hangs_up=True), Told(200, BODY)])
    with scripted(lambda _: next(answers)) as server, connected(server) as client:
        assert client.get(HREF) is not None
        assert client.get(HREF) is not None
        assert server.connections == 2


@pytest.mark.parametrize(
    ("stated", "wait"),
    [
        ("120", timedelta(seconds=120)),
        ("0", timedelta(0)),
        ("9" * 5_000, timedelta(days=1)),
        ("-5", None),
        ("soon", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", timedelta(0)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", timedelta(days=1)),
        ("", None),
    ],
)
def test_how_long_to_wait_is_what_the_server_says(stated: str, wait: timedelta | None) -> None:
    failure = failure_with(Told(429, headers={"Retry-After": stated}), lambda client: client.get(HREF))

    assert failure.retry_after == wait


def test_a_time_to_come_back_is_a_wait() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)

    failure = failure_with(Told(503, headers={"Retry-After": at}), lambda client: client.get(HREF))

    assert failure.retry_after is not None
    assert timedelta(minutes=50) < failure.retry_after <= timedelta(hours=1)


# Writing


def put(client: Client) -> Written:
    return client.put(HREF, BODY, etag='"a"', schedule_tag='"s"')


def what_becomes_of_a_write(told: Told) -> Written | Exception:
    with scripted(lambda _: told) as server, connected(server) as client:
        try:
            return put(client)
        except (Changed, Gone, Unsettled, Failure) as error:
            return error
        finally:
            assert [asked.method for asked in server.asked] == ["PUT"], "sent once, whatever happens"
            assert server.asked[0].headers["if-match"] == '"a"'
            assert server.asked[0].headers["if-schedule-tag-match"] == '"s"'
            assert server.asked[0].body == BODY


@pytest.mark.parametrize(
    "told",
    [
        Told(hangs_up=True),
        Told(200, length=50),
        Told(500),
        Told(502),
        Told(503),
        Told(504, headers={"Retry-After": "60"}),
        Told(202),
        Told(207, multistatus()),
        Told(408),
        Told(200, b"x" * 200_000),
    ],
)
def test_r28_where_nobody_knows_whether_it_was_written_it_says_so(told: Told) -> None:
    assert isinstance(what_becomes_of_a_write(told), Unsettled)


def test_r28_a_server_that_does_not_answer_in_time_leaves_a_write_unsettled() -> None:
    ended = threading.Event()

    def script(_: Asked) -> Told:
        ended.wait(30)
        return Told(204)

    with scripted(script) as server, connected(server, SILENT) as client:
        try:
            with pytest.raises(Unsettled):
                put(client)
        finally:
            ended.set()


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (Told(401), "mailbox-sign-in-refused"),
        (Told(403), "mailbox-forbidden"),
        (Told(405), "mailbox-address"),
        (Told(423), "mailbox-unavailable"),
        (Told(429), "mailbox-unavailable"),
        (Told(503, headers={"Retry-After": "60"}), "mailbox-unavailable"),
        (Told(301, headers={"Location": "/cal/moved/1.ics"}), "mailbox-address"),
        (Told(303, headers={"Location": "/cal/moved/1.ics"}), "mailbox-address"),
        (Told(409), "meeting-refused-by-server"),
        (Told(413), "meeting-refused-by-server"),
        (Told(415), "meeting-refused-by-server"),
        (Told(422), "meeting-refused-by-server"),
        (Told(507), "meeting-refused-by-server"),
    ],
)
def test_what_was_certainly_not_written_has_a_code(told: Told, code: str) -> None:
    error = what_becomes_of_a_write(told)

    assert isinstance(error, Failure)
    assert error.code == code


def test_changed_and_gone_are_told_apart() -> None:
    assert isinstance(what_becomes_of_a_write(Told(412)), Changed)
    assert isinstance(what_becomes_of_a_write(Told(404)), Gone)
    assert isinstance(what_becomes_of_a_write(Told(410)), Gone)


@pytest.mark.parametrize(
    ("headers", "written"),
    [
        ({"ETag": '"b"', "Schedule-Tag": '"t"'}, Written('"b"', '"t"')),
        ({"ETag": 'W/"b"'}, Written(None, "")),
        ({"Schedule-Tag": '"t"'}, Written(None, '"t"')),
        ({}, Written(None, "")),
    ],
)
def test_only_a_strong_etag_is_one(headers: dict[str, str], written: Written) -> None:
    assert what_becomes_of_a_write(Told(204, headers=headers)) == written


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ("<c:no-uid-conflict/>", "another object in the mailbox has the same UID"),
        ("<c:max-resource-size/><d:x-unknown/>", "the meeting is too large"),
        ("<d:x-unknown/>", "it answered 403 without saying why"),
    ],
)
def test_what_the_server_names_is_said_in_words(conditions: str, words: str) -> None:
    namespaces = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"'

    error = what_becomes_of_a_write(Told(403, f"<d:error {namespaces}>{conditions}</d:error>".encode()))

    assert isinstance(error, Refused)
    assert error.detail == words


def test_a_missing_privilege_is_a_matter_of_rights() -> None:
    body = b'<error xmlns="DAV:"><need-privileges/></error>'

    error = what_becomes_of_a_write(Told(403, body))

    assert isinstance(error, Failure)
    assert error.code == "mailbox-forbidden"


@pytest.mark.parametrize("etag", ["", " ", "a\r\nX-Other: 1", "é"])
def test_nothing_is_written_without_a_condition(etag: str) -> None:
    with scripted(lambda _: Told(204)) as server, connected(server) as client:
        with pytest.raises(ValueError, match="without an ETag"):
            client.put(HREF, BODY, etag=etag)
        assert server.asked == []


def test_a_write_is_sent_to_no_second_address_unless_the_server_keeps_its_method() -> None:
    def script(asked: Asked) -> Told:
        return Told(204) if asked.path == "/new" else Told(307, headers={"Location": "/new"})

    with scripted(script) as server, connected(server) as client:
        put(client)
        assert [(asked.method, asked.path, asked.body) for asked in server.asked] == [
            ("PUT", HREF, BODY),
            ("PUT", "/new", BODY),
        ]


# Lists and objects


def test_a_cut_list_is_continued() -> None:
    def script(asked: Asked) -> Told:
        if b"<d:sync-token>half</d:sync-token>" in asked.body:
            new = response("/cal/work/2.ics", '<d:getetag>"2"</d:getetag>')
            created = new.replace("</d:href>", "</d:href><d:status>HTTP/1.1 201 Created</d:status>")  # as SOGo has it
            return Told(207, multistatus(created, token="end"))
        cut = response(CALENDAR, status=507)
        return Told(207, multistatus(response(HREF, '<d:getetag>"1"</d:getetag>'), cut, token="half"))

    with scripted(script) as server, connected(server) as client:
        changes = client.changes(CALENDAR)
        assert [entry.href for entry in changes] == [HREF, "/cal/work/2.ics"]
        assert changes.next_token == "end"


def test_a_list_that_never_ends_is_given_up() -> None:
    cut = multistatus(response(CALENDAR, status=507), token="same")

    assert failure_with(Told(207, cut), list_all).code == "mailbox-answer"


@pytest.mark.parametrize("status", [403, 409, 410, 412])
def test_an_expired_token_is_told(status: int) -> None:
    body = b'<error xmlns="DAV:"><valid-sync-token/></error>'
    with scripted(lambda _: Told(status, body)) as server, connected(server) as client, pytest.raises(TokenExpired):
        client.changes(CALENDAR, "old")


@pytest.mark.parametrize("status", [400, 403, 405, 501])
def test_a_server_without_sync_collection_is_compared_by_ctag_and_etags(status: int) -> None:
    state = {"ctag": "1"}

    def script(asked: Asked) -> Told:
        if asked.method == "REPORT":
            return Told(status, b'<error xmlns="DAV:"><supported-report/></error>')
        if asked.headers["depth"] == "0":
            return Told(207, multistatus(response(CALENDAR, f"<s:getctag>{state['ctag']}</s:getctag>")))
        itself = response(CALENDAR, "<d:resourcetype><d:collection/></d:resourcetype>")
        return Told(207, multistatus(itself, response("/cal/work/%31.ics", '<d:getetag>"1"</d:getetag>')))

    with scripted(script) as server, connected(server) as client:
        changes = client.changes(CALENDAR)
        assert [entry.href for entry in changes] == [HREF]
        assert changes.is_complete_list

        server.asked.clear()
        unchanged = client.changes(CALENDAR, changes.next_token)
        assert list(unchanged) == []
        assert not unchanged.is_complete_list
        assert len(server.asked) == 1

        state["ctag"] = "2"
        changed = client.changes(CALENDAR, changes.next_token)
        assert [entry.href for entry in changed] == [HREF]
        assert changed.is_complete_list
        assert changed.next_token != changes.next_token


def resource(href: str, body: bytes = BODY, etag: str = '"1"') -> str:
    data = body.decode().replace("&", "&amp;").replace("<", "&lt;")
    return response(href, f"<d:getetag>{etag}</d:getetag><c:calendar-data>{data}</c:calendar-data>")


HREFS = [f"/cal/work/{number}.ics" for number in range(8)]


def test_line_endings_that_xml_loses_are_put_back() -> None:
    listed = multistatus(*(resource(href) for href in HREFS))
    with scripted(lambda _: Told(207, listed)) as server, connected(server) as client:
        assert [each.body for each in client.read(CALENDAR, HREFS)] == [BODY] * 8


@pytest.mark.parametrize("too_much", [Told(413), Told(507), Told(207, b" " * 200_000)])
def test_a_batch_that_is_too_large_is_halved(too_much: Told) -> None:
    def script(asked: Asked) -> Told:
        if asked.method == "GET":
            return Told(200, BODY, {"ETag": '"1"'})
        asked_for = [href for href in HREFS if href.encode() in asked.body]
        return too_much if len(asked_for) > 2 else Told(207, multistatus(*(resource(href) for href in asked_for)))

    with scripted(script) as server, connected(server) as client:
        assert [each.href for each in client.read(CALENDAR, HREFS)] == HREFS


def test_one_object_that_xml_cannot_hold_spoils_no_other() -> None:
    control = BODY.replace(b"Weekly", b"Week\x0bly")
    listed = multistatus(resource(HREFS[0]), resource(HREFS[1]).replace("Weekly", "Week\x0bly"), resource(HREFS[2]))

    def script(asked: Asked) -> Told:
        if asked.method == "REPORT":
            return Told(207, listed)
        return Told(200, control if asked.path == HREFS[1] else BODY, {"ETag": '"1"'})

    with scripted(script) as server, connected(server) as client:
        read = {each.href: each.body for each in client.read(CALENDAR, HREFS[:3])}
    assert read == {HREFS[0]: BODY, HREFS[1]: control, HREFS[2]: BODY}


def test_objects_that_were_not_asked_for_are_left_out_and_those_left_out_are_asked_for_again() -> None:
    def script(asked: Asked) -> Told:
        if asked.method == "REPORT":
            return Told(207, multistatus(resource("/cal/other/9.ics"), response(HREFS[0], status=404)))
        return Told(200, BODY, {"ETag": '"1"'}) if asked.path == HREFS[1] else Told(404)

    with scripted(script) as server, connected(server) as client:
        assert [each.href for each in client.read(CALENDAR, HREFS[:3])] == [HREFS[1]]


def test_an_object_that_is_too_large_comes_without_its_text() -> None:
    with scripted(lambda _: Told(200, b"x" * 200_000, {"ETag": '"1"'})) as server, connected(server) as client:
        (read,) = client.read(CALENDAR, [HREF])
    assert read.body == b""


def test_an_etag_that_could_not_be_sent_back_is_none() -> None:
    with scripted(lambda _: Told(200, BODY, {"ETag": '"\xe9 \x7f"'})) as server, connected(server) as client:
        read = client.get(HREF)
    assert read is not None
    assert read.etag == ""


def test_the_check_finds_a_server_that_writes_whatever_the_condition_says() -> None:
    def script(asked: Asked) -> Told:
        if asked.method == "GET":
            return Told(200, BODY, {"ETag": '"1"'})
        if asked.method == "PUT":
            return Told(204)
        if asked.method == "OPTIONS":
            return Told(200, headers={"DAV": "1, calendar-access"})
        if b"current-user-principal" in asked.body:
            found = "<d:current-user-principal><d:href>/cal/</d:href></d:current-user-principal>"
            return Told(207, multistatus(response("/", found)))
        if asked.method == "REPORT":
            return Told(207, multistatus(response(HREF, '<d:getetag>"1"</d:getetag>'), token="t"))
        kind = "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype>"
        return Told(207, multistatus(response(CALENDAR, kind)))

    with scripted(script) as server:
        *_, last = check(server.account(), "anna.rossi@contoso.com", allowed_hosts=HOSTS)
        assert [asked.headers["if-match"] for asked in server.asked if asked.method == "PUT"] != ['"1"']
    assert (last.step, last.ok, last.code) == ("write", False, "mailbox-ignores-conditions")
