"""R46: what the two public addresses answer to whom: off, on, cached, throttled, and to whatever is sent there."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from gunicorn.config import Config
from gunicorn.glogging import Logger

from migrations_app.dial_in_directory import throttle
from mms_site.logs import OneLine
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.models import ConferencingUser, Tenant
from tests.support.actors import ACTOR
from tests.support.directory import MAPPER, NUMBERS, Hold, at
from tests.support.jitsi_client import JitsiMeet, TelephoneBridge, over_http, room_address
from tests.support.two_tenants import everything_stored
from tests.support.visitors import sign_in

BOTH = pytest.mark.parametrize("address", [NUMBERS, MAPPER + "?conference=aaaa2222@conference.meet.contoso.com"])
ORIGINS = {
    "https://meet.contoso.com": True,
    "https://meet.contoso.com:443": True,
    "http://meet.contoso.com": False,
    "https://meet.contoso.com:8443": False,
    "https://contoso.com": False,
    "https://meet.contoso.com.evil.example.org": False,
    "https://evil.example.org": False,
    "null": False,
    "https://[": False,
    "": False,
}
ROOM = "aaaa2222@conference.meet.contoso.com"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# --- off and on ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "vera", "alice", "charlie"])
def test_while_it_is_off_there_is_no_such_tenant(cast: None, name: str) -> None:
    client = sign_in(name) if name else Client()

    def ask(method: str, address: str) -> tuple[int, str, dict[str, str], list[str]]:
        with CaptureQueriesContext(connection) as queries:
            answer = getattr(client, method)(address)
        page = re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", answer.content.decode())
        return answer.status_code, page, {**answer.headers, "Expires": ""}, [query["sql"] for query in queries]

    for address in (NUMBERS, MAPPER, f"{MAPPER}?id=1234567"):
        for method in ("get", "head", "options", "post", "put", "delete"):
            status, *there = ask(method, address)
            nowhere_status, *nowhere = ask(method, address.replace("contoso", "nowhere"))
            assert status == nowhere_status == (405 if method in {"post", "put", "delete"} else 404)
            assert repr(there).replace("contoso", "nowhere") == repr(nowhere).replace("contoso", "nowhere")


def test_it_is_off_until_it_is_switched_on_and_when_it_is_switched_off(tenant: Tenant) -> None:
    assert Client().get(NUMBERS).status_code == 404
    change_tenant(tenant, ACTOR, dial_in_directory=True)
    assert Client().get(NUMBERS).status_code == 200
    change_tenant(tenant, ACTOR, dial_in_directory=False)
    assert Client().get(NUMBERS).status_code == 404


@BOTH
def test_nobody_has_to_sign_in(key: str, address: str) -> None:
    answer = Client().get(address)

    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert not answer.cookies


@BOTH
def test_it_takes_no_other_method(key: str, address: str) -> None:
    before = everything_stored()
    for method in ("post", "put", "patch", "delete"):
        answer = getattr(Client(enforce_csrf_checks=True), method)(address)
        assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert answer.json()["conference"] is False
    assert everything_stored() == before


@BOTH
def test_head_says_the_same_without_the_text(key: str, address: str) -> None:
    got, head = Client().get(address), Client().head(address)

    assert (head.status_code, head.content) == (200, b"")
    assert dict(head.headers) == dict(got.headers)


# --- the key ------------------------------------------------------------------------------------------


def test_by_id_only_who_has_the_key_is_told(key: str, anna: ConferencingUser, hold: Hold) -> None:
    hold(anna, "AAAA2222", "budget@contoso.com", at("1000", "1100"))
    address = f"{MAPPER}?id={anna.conference_id}"

    for answer in (Client().get(address, headers=bearer(key)), Client().get(f"{address}&key={key}")):
        assert answer.json()["conference"] == "aaaa2222@conference.anna_rossi.meet.contoso.com"
        assert answer["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("wrong"),
        bearer("schlüssel"),
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"Authorization": "\x00"},
    ],
)
def test_a_wrong_key_is_refused_the_same_whether_the_id_is_there_or_not(
    key: str, anna: ConferencingUser, hold: Hold, headers: dict[str, str]
) -> None:
    hold(anna, "AAAA2222", "budget@contoso.com", at("1000", "1100"))
    answers = [
        Client().get(f"{MAPPER}?id={digits}&key={wrong}", headers=headers)
        for digits in (anna.conference_id, "9999999", "nonsense")
        for wrong in ("", "wrong", key[:-1], key.swapcase())
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json().keys() == {"message", "id", "conference"}
    assert answers[0]["WWW-Authenticate"].startswith("Bearer")
    assert answers[0]["Cache-Control"] == "no-store"


def test_where_there_is_no_key_nobody_has_it(tenant: Tenant) -> None:
    change_tenant(tenant, ACTOR, dial_in_directory=True)

    for headers in ({}, bearer(""), bearer("e3b0c44298fc1c14")):
        assert Client().get(f"{MAPPER}?id=1234567", headers=headers).status_code == 401


@pytest.mark.parametrize("where", ["header", "query", "encoded", "both"])
@pytest.mark.parametrize("digits", ["1234567", "nonsense"])
def test_the_key_and_what_was_asked_stand_in_no_log(
    key: str, caplog: pytest.LogCaptureFixture, settings: Any, where: str, digits: str
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.DEBUG = True  # the database's queries too
    query = {"header": "", "query": f"&key={key}", "encoded": f"&%6bey={key}", "both": f"&key={key}"}[where]
    headers = bearer(key) if where in {"header", "both"} else {}
    seen = []
    for address in (f"{MAPPER}?id={digits}{query}", f"{MAPPER}?id={digits}{query}x", f"{NUMBERS}?id={digits}{query}"):
        answer = Client().get(address, headers=headers, RAW_URI=address, SERVER_PROTOCOL="HTTP/1.1")
        environ = answer.wsgi_request.environ
        response = type("Response", (), {"status": "200 OK", "sent": 1, "headers": list(answer.items())})()
        request = type("Request", (), {"headers": []})()
        atoms = Logger(Config()).atoms(response, request, environ, timedelta(seconds=1))
        seen.append({name: atoms[name] for name in "rmUqHs"})
        assert atoms["r"] == f"GET {address.partition('?')[0]} HTTP/1.1"
    logged = caplog.text + repr([vars(record) for record in caplog.records if record.name != "request"]) + repr(seen)

    assert key not in logged.replace(repr(headers), "")
    assert "1234567" not in repr(seen)


def test_the_line_of_the_development_server_leaves_out_what_was_asked() -> None:
    formatter = OneLine("{message}", style="{")
    line = f'"GET {MAPPER}?id=1234567&key=secret HTTP/1.1" 200 98'
    record = logging.LogRecord("django.server", logging.INFO, "", 0, line, None, None)

    assert formatter.format(record) == f'"GET {MAPPER} HTTP/1.1" 200 98'


# --- caches and other sites ---------------------------------------------------------------------------


@BOTH
def test_an_answer_is_kept_for_a_minute_and_asked_for_again_by_its_etag(
    key: str, anna: ConferencingUser, hold: Hold, address: str
) -> None:
    hold(anna, "AAAA2222")
    answer = Client().get(address)
    again = Client().get(address, headers={"If-None-Match": answer["ETag"], "Origin": "https://meet.contoso.com"})

    assert answer["Cache-Control"] == "public, max-age=60"
    assert (again.status_code, again.content) == (304, b"")
    assert (again["ETag"], again["Cache-Control"]) == (answer["ETag"], answer["Cache-Control"])
    assert again["Access-Control-Allow-Origin"] == "https://meet.contoso.com"
    assert Client().get(address, headers={"If-None-Match": '"other"'}).status_code == 200


def test_another_answer_has_another_etag(key: str, anna: ConferencingUser, hold: Hold) -> None:
    asked = f"{MAPPER}?conference={ROOM}"
    before = Client().get(asked)["ETag"]
    hold(anna, "AAAA2222")

    assert Client().get(asked, headers={"If-None-Match": before}).status_code == 200


def test_what_an_id_leads_to_is_asked_anew_each_time(key: str, anna: ConferencingUser, hold: Hold, clock: Any) -> None:
    hold(anna, "AAAA2222", "budget@contoso.com", at("1000", "1100"))
    asked = f"{MAPPER}?id={anna.conference_id}"
    answer = Client().get(asked, headers=bearer(key))
    same = {**bearer(key), "If-None-Match": answer["ETag"]}

    assert Client().get(asked, headers=same).status_code == 304
    clock.shift(timedelta(hours=1))
    assert Client().get(asked, headers=same).json()["conference"] is False


@BOTH
@pytest.mark.parametrize("method", ["get", "options"])
def test_only_pages_of_the_meeting_host_may_read_it(key: str, address: str, method: str) -> None:
    for origin, may_read in ORIGINS.items():
        answer = getattr(Client(), method)(address, headers={"Origin": origin} if origin else {})

        assert answer.headers.get("Access-Control-Allow-Origin") == (origin if may_read else None)
        assert "Origin" in answer["Vary"]
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_a_tenant_without_a_meeting_url_lets_no_other_page_read(db: None) -> None:
    tenant = create_tenant(
        ACTOR, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="", meeting_service="none"
    )
    change_tenant(tenant, ACTOR, dial_in_directory=True)

    for origin in ("null", "https://", "https://meet.contoso.com"):
        assert "Access-Control-Allow-Origin" not in Client().get(NUMBERS, headers={"Origin": origin}).headers


def test_options_says_what_may_be_asked(key: str) -> None:
    answer = Client().options(MAPPER, headers={"Origin": "https://meet.contoso.com"})

    assert (answer.status_code, answer.content, answer["Allow"]) == (204, b"", "GET, HEAD, OPTIONS")
    assert answer["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert "Access-Control-Allow-Headers" not in answer.headers, "so that no page can send a key"


# --- guessing -----------------------------------------------------------------------------------------

Ask = Callable[..., int]


@pytest.fixture
def ask(key: str) -> Ask:
    """Asks as somebody; the status of the answer."""

    def status(query: str, address: str = "192.0.2.1", **headers: str) -> int:
        answer = Client().get(f"{MAPPER}?{query}", REMOTE_ADDR=address, headers=headers)
        if answer.status_code == 429:
            assert answer.json().keys() == {"message", "id", "conference"}
            assert 0 < int(answer["Retry-After"]) <= 60
            assert answer["Cache-Control"] == "no-store"
        return answer.status_code

    return status


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (
        ("REQUESTS_OF_AN_ADDRESS", 20),
        ("MISSES_OF_AN_ADDRESS", 4),
        ("MISSES_IN_A_TENANT", 8),
        ("MISSES_OF_A_BRIDGE", 6),
        ("MISSES_OF_ALL_BRIDGES", 10),
    ):
        assert getattr(throttle, name) > most
        monkeypatch.setattr(throttle, name, most)


@pytest.mark.parametrize(
    ("query", "answered"), [("conference=guess@conference.meet.contoso.com", 200), ("id=1234567&key=guess", 401)]
)
def test_who_guesses_is_stopped_for_a_minute(
    few: None, ask: Ask, clock: time_machine.Coordinates, query: str, answered: int
) -> None:
    assert [ask(query) for _ in range(6)] == [answered] * 4 + [429] * 2
    assert ask(query, "192.0.2.2") == answered
    clock.shift(timedelta(seconds=61))
    assert ask(query) == answered


def test_who_guesses_from_many_addresses_is_stopped_in_this_tenant(few: None, ask: Ask, tenant: Tenant) -> None:
    guesses = [ask(f"conference=guess{number}@conference.x", f"192.0.2.{number}") for number in range(10)]
    other = create_tenant(ACTOR, slug="fabrikam", name="F", domain="fabrikam.com", meeting_url="https://x.example.org")
    change_tenant(other, ACTOR, dial_in_directory=True)

    assert guesses == [200] * 8 + [429] * 2
    assert Client().get(MAPPER.replace("contoso", "fabrikam") + "?conference=a@conference.x").status_code == 200


def test_an_address_of_ipv6_does_not_begin_anew_within_its_network(few: None, ask: Ask) -> None:
    guesses = [ask("conference=guess@conference.x", f"2001:db8::{number}") for number in range(1, 7)]

    assert guesses == [200] * 4 + [429] * 2


def test_behind_a_trusted_proxy_the_client_counts(few: None, ask: Ask) -> None:
    guess = "conference=guess@conference.x"

    assert [ask(guess, "127.0.0.1", **{"X-Forwarded-For": "198.51.100.7"}) for _ in range(5)][-1] == 429
    assert ask(guess, "127.0.0.1", **{"X-Forwarded-For": "198.51.100.8"}) == 200
    assert [ask(guess, "192.0.2.1", **{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(5)][-1] == 429


def test_strangers_who_guess_keep_no_bridge_out(few: None, ask: Ask, key: str) -> None:
    for number in range(9):
        ask("id=1234567&key=guess", f"192.0.2.{number}")

    assert ask("id=1234567&key=guess") == 429
    assert ask("id=1234567", **bearer(key)) == 200


def test_a_bridge_whose_callers_guess_is_stopped_too(few: None, ask: Ask, key: str) -> None:
    assert [ask(f"id=123456{n}", **bearer(key)) for n in range(8)] == [200] * 6 + [429] * 2
    assert [ask(f"id=123456{n}", "192.0.2.2", **bearer(key)) for n in range(6)] == [200] * 4 + [429] * 2


def test_who_finds_what_they_ask_for_is_not_taken_for_guessing(
    few: None, ask: Ask, key: str, anna: ConferencingUser, hold: Hold
) -> None:
    hold(anna, "AAAA2222", "budget@contoso.com", at("1000", "1100"))

    assert {ask(f"conference={ROOM}") for _ in range(10)} == {200}
    assert {ask(f"id={anna.conference_id}", **bearer(key)) for _ in range(30)} == {200}


def test_all_that_an_address_asks_has_a_limit(few: None, key: str) -> None:
    answers = [Client().get(NUMBERS).status_code for _ in range(22)]

    assert answers == [200] * 20 + [429] * 2


def test_who_is_stopped_costs_the_database_no_more_than_finding_the_tenant(few: None, ask: Ask) -> None:
    for _ in range(4):
        ask("conference=guess@conference.x")
    with CaptureQueriesContext(connection) as queries:
        assert ask(f"conference={ROOM}") == 429

    assert len(queries) == 1


# --- whatever is sent ---------------------------------------------------------------------------------

ABSURD = [
    "",
    "0",
    "-1",
    "123456",
    "12345678",
    "0123456",
    "1234567.0",
    "١٢٣٤٥٦٧",
    "1e6",
    "9" * 3_000,
    "\x00",
    "1234567\x00",
]
ROOMS = [
    "\x00",
    "aaaa2222\x00@conference.meet.contoso.com",
    "@",
    "@@@",
    "a" * 3_000 + "@conference.meet.contoso.com",
    "aaaa2222@conference." + "x." * 1_000 + "meet.contoso.com",
    "aaaa2222@conference.meet.contoso.com@conference.meet.contoso.com",
    "';DROP TABLE tenants_app_tenant;--@conference.x",
    "\u202ea\ud7ff@conference.meet.contoso.com",
    "%ff%fe@conference.meet.contoso.com",
]


def test_whatever_is_asked_the_answer_has_its_form_and_nothing_is_written(
    key: str, anna: ConferencingUser, hold: Hold, subtests: pytest.Subtests
) -> None:
    hold(anna, "AAAA2222", "budget@contoso.com", at("1000", "1100"))
    before = everything_stored()
    for query in [f"id={quote(each)}" for each in ABSURD] + [f"conference={quote(each)}" for each in ROOMS]:
        with subtests.test(query[:60]):
            with CaptureQueriesContext(connection) as queries:
                answer = Client().get(f"{MAPPER}?{query}", headers=bearer(key))

            assert answer.status_code == (400 if query == "id=" else 200)
            assert answer.json().keys() == {"message", "id", "conference"}
            assert answer.json()["conference"] is False
            assert len(queries) <= 2
    assert everything_stored() == before


@pytest.mark.parametrize(
    "query",
    [
        "",
        "room=aaaa2222",
        "key=x",
        "id=1234567&id=1234568",
        f"conference={ROOM}&conference={ROOM}",
        "id=1234567&number=1&number=2",
        "id=1234567&" + "&".join(f"id={number}" for number in range(1_000_000, 1_010_000)),
        "&".join(f"x{number}=1" for number in range(10_000)),
        "&" * 5_000,
    ],
)
def test_what_is_not_one_question_is_refused_in_the_same_form(key: str, query: str) -> None:
    answer = Client().get(f"{MAPPER}?{query}", headers=bearer(key))

    assert answer.status_code == 400
    assert answer.json() == {"message": answer.json()["message"], "id": False, "conference": False}


def test_where_both_are_asked_the_room_counts_and_needs_no_key(key: str, anna: ConferencingUser, hold: Hold) -> None:
    hold(anna, "AAAA2222")

    assert Client().get(f"{MAPPER}?id=9999999&conference={ROOM}").json()["id"] == int(anna.conference_id)


def test_the_dialled_number_may_be_written_in_any_way(key: str, anna: ConferencingUser, hold: Hold) -> None:
    hold(anna, "AAAA2222", "budget@contoso.com", at("1000", "1100"))
    for number in ("%2B14255550100", "+14255550100", "14255550100", "+1 (425) 555-0100"):
        answer = Client().get(f"{MAPPER}?id={anna.conference_id}&number={number}", headers=bearer(key))
        assert answer.json()["conference"], number


@pytest.mark.parametrize("query", ["conference=" + "x@" * 400, "\x00=\x00", "a" * 8_000])
def test_the_list_is_the_same_whatever_is_asked_with_it(key: str, anna: ConferencingUser, query: str) -> None:
    assert Client().get(f"{NUMBERS}?{query}").content == Client().get(NUMBERS).content
    assert json.loads(Client().get(NUMBERS).content)


# --- a server that runs -------------------------------------------------------------------------------


def test_r46_over_http_jitsi_and_a_bridge_find_the_meeting_of_an_invitation(
    live_server: Any, key: str, anna: ConferencingUser, hold: Hold
) -> None:
    meeting = hold(anna, "AAAA2222", "budget@contoso.com", at("1000", "1100"))
    jitsi = JitsiMeet(live_server.url + NUMBERS, live_server.url + MAPPER, over_http)
    bridge = TelephoneBridge(live_server.url + MAPPER, key, over_http)

    assert str(jitsi.conference_id(meeting.join_url)) == anna.conference_id
    assert jitsi.default_number(meeting.join_url) == "+1 425-555-0100"
    assert bridge.room(anna.conference_id, "+14255550100") == room_address(meeting.join_url)
    assert over_http(live_server.url + MAPPER, {}).status == 400
