"""What Graph is documented to refuse, the stand-in refuses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph_stand_in.conftest import ANNA, BEN, EVENTS, IMMUTABLE, Asking, error, meeting, series
from tests.support.graph_stand_in.world import property_id

SKYPE = property_id("OnlineMeetingExternalLink")
A_YEAR = {"startDateTime": "2030-01-01T00:00:00Z", "endDateTime": "2031-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("isOnlineMeeting eq true", "ErrorInvalidProperty"),
        ("recurrence ne null", "ErrorInvalidProperty"),
        ("onlineMeeting/joinUrl eq 'x'", "ErrorInvalidProperty"),
        ("colour eq 'red'", "RequestBroker--ParseUri"),
        ("attendees/any(a: a/emailAddress/address eq 'ben@fabrikam.com')", "UnsupportedEntityExpression"),
        ("subject", "BadRequest"),
        ("subject eq", "BadRequest"),
        ("subject eq 'a' and", "BadRequest"),
        ("(subject eq 'a'", "BadRequest"),
        ("subject eq 1", "BadRequest"),
        ("end/dateTime ge 2030-01-01T00:00:00Z", "BadRequest"),
        ("length(subject) gt 3", "BadRequest"),
        ("singleValueExtendedProperties/Any(ep: ep/id eq 'Nonsense' and ep/value ne null)", "ErrorInvalidProperty"),
        ("singleValueExtendedProperties/Any(ep: ep/value eq 'x')", "ErrorInvalidUrlQueryFilter"),
        (f"singleValueExtendedProperties/Any(ep: ep/id eq '{SKYPE}' and length(ep/value) gt 3)", "BadRequest"),
    ],
)
def test_a_filter_that_graph_does_not_take(asks: Asking, text: str, code: str) -> None:
    assert error(asks.get(EVENTS, filter=text)) == (400, code)


@pytest.mark.parametrize(
    "params",
    [
        {"select": "id,colour"},
        {"select": "id,occurrenceId"},
        {"select": "cancelledOccurrences"},
        {"expand": "singleValueExtendedProperties"},
        {"expand": f"singleValueExtendedProperties($filter=id ne '{SKYPE}')"},
        {"expand": "singleValueExtendedProperties($filter=id eq 'String Name X')"},
        {"top": "0"},
        {"top": "1001"},
        {"top": "ten"},
        {"orderby": "body"},
        {"search": "weekly"},
    ],
)
def test_options_that_graph_does_not_take(asks: Asking, params: dict[str, str]) -> None:
    assert asks.get(EVENTS, **params).status_code == 400


@pytest.mark.parametrize("where", ["calendarView", "instances"])
def test_a_window_is_needed(asks: Asking, where: str) -> None:
    key = asks.stand_in.add_event(ANNA, series())
    path = f"{EVENTS}/{key}/instances" if where == "instances" else f"/users/{ANNA}/calendarView"

    assert error(asks.get(path)) == (400, "ErrorInvalidParameter")
    assert error(asks.get(path, startDateTime="2030-01-01T00:00:00Z")) == (400, "ErrorInvalidParameter")
    assert error(asks.get(path, startDateTime="soon", endDateTime="later")) == (400, "ErrorInvalidParameter")
    assert asks.get(path, startDateTime="2030-01-01T00:00:00Z", endDateTime="2036-01-01T00:00:00Z").status_code == 400
    assert asks.get(path, startDateTime="2030-01-02T00:00:00Z", endDateTime="2030-01-01T00:00:00Z").status_code == 400
    assert len(asks.get(path, **A_YEAR).json()["value"]) == 5


def test_an_immutable_id_needs_its_header(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    (plain,) = asks.get(EVENTS, prefer="").json()["value"]

    assert plain["id"] != key
    assert error(asks.get(f"{EVENTS}/{key}", prefer="")) == (400, "ErrorInvalidIdMalformed")
    assert error(asks.get(f"{EVENTS}/{key.swapcase()}")) == (400, "ErrorInvalidIdMalformed")
    assert asks.get(f"{EVENTS}/{plain['id']}", prefer="").json()["id"] == plain["id"]
    assert asks.get(f"{EVENTS}/{plain['id']}").json()["id"] == key
    asks.stand_in.delete(ANNA, key)
    assert error(asks.get(f"{EVENTS}/{key}")) == (404, "ErrorItemNotFound")


def test_a_move_changes_ids_but_not_the_immutable_one(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    before = asks.get(f"{EVENTS}/{key}", prefer=IMMUTABLE)
    plain = asks.get(EVENTS, prefer="").json()["value"][0]["id"]
    other = asks.stand_in.add_calendar(ANNA, "Projects")

    asks.stand_in.move(ANNA, key, other)

    assert asks.get(f"{EVENTS}/{key}").json()["id"] == before.json()["id"]
    assert error(asks.get(f"{EVENTS}/{plain}", prefer="")) == (404, "ErrorItemNotFound")
    assert asks.get(EVENTS).json()["value"] == []
    assert [e["id"] for e in asks.get(f"/users/{ANNA}/calendars/{other}/events").json()["value"]] == [key]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"onlineMeeting": None}, "ErrorInvalidPropertySet"),
        ({"onlineMeetingUrl": "https://x.example.org"}, "ErrorInvalidPropertySet"),
        ({"iCalUId": "other"}, "ErrorInvalidPropertySet"),
        ({"organizer": {"emailAddress": {"address": "ben@fabrikam.com"}}}, "ErrorInvalidPropertySet"),
        ({"isOnlineMeeting": False}, "ErrorInvalidPropertySet"),
        ({"onlineMeetingProvider": "skypeForBusiness"}, "ErrorInvalidPropertySet"),
        ({"colour": "red"}, "RequestBodyRead"),
        ({"body": "text"}, "RequestBodyRead"),
        ({"body": {"contentType": "markdown", "content": ""}}, "RequestBodyRead"),
        ({"singleValueExtendedProperties": [{"value": "x"}]}, "ErrorInvalidProperty"),
        ({"singleValueExtendedProperties": [{"id": SKYPE}]}, "ErrorInvalidProperty"),
        ({"singleValueExtendedProperties": [{"id": "SkypeLink", "value": "x"}]}, "ErrorInvalidProperty"),
        ({"singleValueExtendedProperties": [{"id": SKYPE, "value": "x"}] * 2}, "ErrorInvalidProperty"),
        ({"singleValueExtendedProperties": [{"id": SKYPE, "value": 1}]}, "RequestBodyRead"),
        ({"singleValueExtendedProperties": {"id": SKYPE, "value": "x"}}, "RequestBodyRead"),
        ({"attendees": [{"emailAddress": {"name": "Ben"}}]}, "ErrorInvalidRecipients"),
        ({"start": {"dateTime": "2030-01-01T00:00:00", "timeZone": "Nowhere"}}, "TimeZoneNotSupportedException"),
        ([], "BadRequest"),
    ],
)
def test_a_write_that_is_refused_changes_nothing(asks: Asking, body: Any, code: str) -> None:
    key = asks.stand_in.teams_meeting(ANNA, meeting())
    before = asks.stand_in.event(ANNA, key)

    assert error(asks.patch(key, body)) == (400, code)
    assert asks.stand_in.event(ANNA, key) == before
    assert asks.stand_in.mails == []


def test_an_etag_that_is_not_the_newest(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    etag = asks.get(f"{EVENTS}/{key}").json()["@odata.etag"]

    first = asks.patch(key, {"subject": "First"}, **{"If-Match": etag})
    second = asks.patch(key, {"subject": "Second"}, **{"If-Match": etag})

    assert first.status_code == 200
    assert first.json()["@odata.etag"] != etag
    assert error(second) == (412, "ErrorIrresolvableConflict")
    assert asks.stand_in.event(ANNA, key).subject == "First"
    assert asks.patch(key, {"subject": "Third"}, **{"If-Match": "*"}).status_code == 200


def test_a_write_of_an_exception_moves_the_key_of_its_series(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, series())
    before = asks.stand_in.event(ANNA, key)
    exception = before.exceptions[0]
    assert exception.change_key == before.change_key

    etag = {"If-Match": before.change_key}
    assert asks.patch(exception.id, {"subject": "Own"}, **etag).status_code == 200
    assert error(asks.patch(key, {"subject": "All"}, **etag)) == (412, "ErrorIrresolvableConflict")


def test_attendees_and_sizes_have_an_end(asks: Asking) -> None:
    crowd = [{"emailAddress": {"address": f"a{n}@fabrikam.com"}} for n in range(501)]
    key = asks.stand_in.add_event(ANNA, meeting())
    large = {"body": {"contentType": "html", "content": "x" * (4 * 1024 * 1024)}}

    assert error(asks.patch(key, {"attendees": crowd})) == (400, "ErrorExceededRecipientLimit")
    assert asks.patch(key, {"attendees": crowd[:500]}).status_code == 200
    assert error(asks.patch(key, large)) == (413, "RequestEntityTooLarge")
    assert asks.stand_in.event(ANNA, key).body == meeting().body


def test_a_calendar_that_is_only_to_be_read(asks: Asking) -> None:
    calendar = asks.stand_in.add_calendar(ANNA, "Holidays", can_edit=False)
    key = asks.stand_in.add_event(ANNA, meeting(), calendar)

    assert error(asks.patch(key, {"subject": "Other"})) == (403, "ErrorAccessDenied")


def test_requests_that_are_none(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())

    assert error(asks.get("/me/events")) == (400, "BadRequest")
    assert error(asks("PUT", f"{EVENTS}/{key}", json={})) == (405, "ErrorInvalidRequest")
    assert error(asks.get("/nothing")) == (400, "BadRequest")
    assert error(asks("PATCH", f"{EVENTS}/{key}", content=b"{", headers={"Content-Type": "application/json"})) == (
        400,
        "BadRequest",
    )
    assert error(asks("PATCH", f"{EVENTS}/{key}", content=b"{}", headers={"Content-Type": "text/plain"}))[0] == 415


def test_a_skip_token_is_good_for_its_list_alone(asks: Asking) -> None:
    for n in range(3):
        asks.stand_in.add_event(ANNA, meeting(f"{n}@contoso.com"))
    link = asks.get(EVENTS, top="2", select="subject").json()["@odata.nextLink"]
    token = link.rpartition("skiptoken=")[2]

    assert len(asks("GET", link.partition("/v1.0")[2]).json()["value"]) == 1
    assert asks("GET", EVENTS, params={"$top": "1", "$skiptoken": token}).status_code == 400
    assert asks("GET", EVENTS, params={"$top": "2", "$select": "subject", "$skiptoken": "2"}).status_code == 400


def test_one_who_is_no_organizer_mails_nobody(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting(is_organizer=False, attendees=(BEN,)))

    assert asks.patch(key, {"subject": "Mine"}).status_code == 200
    assert asks.stand_in.mails == []
