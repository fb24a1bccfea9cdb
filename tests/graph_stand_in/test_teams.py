"""Users with their licences, and Teams meetings apart from events."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

import httpx2
import pytest

from tests.graph_stand_in.conftest import ANNA, Asking, error, meeting
from tests.support.graph_stand_in.world import AUDIO_CONFERENCING_PLAN, object_id

TEAMS = f"/users/{object_id(ANNA)}/onlineMeetings"
ASKED = {
    "externalId": "contoso|one",
    "subject": "Weekly",
    "startDateTime": "2030-01-08T10:00:00Z",
    "endDateTime": "2030-01-08T11:00:00Z",
}


def make(asks: Asking, path: str = TEAMS, language: str = "en-US", **changed: Any) -> httpx2.Response:
    asked = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
    return asks("POST", f"{path}/createOrGet", json=asked, headers={"Accept-Language": language})


def test_a_meeting_is_made_once(asks: Asking) -> None:
    first, again, other = make(asks), make(asks, subject="Other"), make(asks, externalId="contoso|two")

    assert [answer.status_code for answer in (first, again, other)] == [201, 200, 201]
    assert again.json() == first.json()
    assert other.json()["joinWebUrl"] != first.json()["joinWebUrl"]
    assert first.json()["audioConferencing"]["tollNumber"] == "+1 323-555-0166"
    assert first.json()["joinMeetingIdSettings"]["joinMeetingId"]


@pytest.mark.parametrize(
    "changed",
    [
        {"externalId": None},
        {"externalId": ""},
        {"startDateTime": None},
        {"endDateTime": "2030-01-08T09:00:00Z"},
        {"startDateTime": "soon"},
    ],
)
def test_a_meeting_that_is_refused(asks: Asking, changed: dict[str, Any]) -> None:
    assert error(make(asks, **changed)) == (400, "InvalidArgument")
    assert asks.stand_in.meetings == []


def test_who_may_make_meetings(asks: Asking) -> None:
    cleo = asks.stand_in.add_mailbox("cleo@contoso.com", teams_policy=False)

    assert error(make(asks, f"/users/{ANNA}/onlineMeetings")) == (400, "InvalidArgument")
    assert error(make(asks, f"/users/{cleo.id}/onlineMeetings")) == (403, "Forbidden")
    assert error(make(asks, f"/users/{object_id('eve@contoso.com')}/onlineMeetings")) == (404, "NotFound")
    asks.stand_in.application.roles = ("OnlineMeetings.Read.All",)
    assert error(make(asks)) == (403, "Forbidden")
    asks.stand_in.application.roles = ("Calendars.ReadWrite",)
    assert error(asks.get(TEAMS, filter="JoinWebUrl eq 'x'")) == (403, "Forbidden")


def test_a_meeting_is_found_by_its_link(asks: Asking) -> None:
    made = make(asks).json()
    number = made["joinMeetingIdSettings"]["joinMeetingId"]

    for text in (f"JoinWebUrl eq '{made['joinWebUrl']}'", f"joinMeetingIdSettings/joinMeetingId eq '{number}'"):
        assert [each["id"] for each in asks.get(TEAMS, filter=text).json()["value"]] == [made["id"]]
    assert asks.get(f"{TEAMS}/{made['id']}").json() == made
    assert asks.get(TEAMS, filter="JoinWebUrl eq 'https://other.example.org'").json()["value"] == []
    for params in ({}, {"filter": "subject eq 'Weekly'"}, {"filter": "JoinWebUrl ne 'x'"}):
        assert error(asks.get(TEAMS, **params)) == (400, "InvalidArgument")


def test_an_events_meeting_is_found_too(asks: Asking) -> None:
    key = asks.stand_in.teams_meeting(ANNA, meeting())
    url = asks.stand_in.event(ANNA, key).join_url

    assert len(asks.get(TEAMS, filter=f"JoinWebUrl eq '{url}'").json()["value"]) == 1


def test_numbers_are_those_of_the_bridge_today(asks: Asking) -> None:
    url = make(asks).json()["joinWebUrl"]
    asks.stand_in.set_bridge("+49 69 5550100", more=["+43 1 5550100"])

    audio = asks.get(TEAMS, filter=f"JoinWebUrl eq '{url}'").json()["value"][0]["audioConferencing"]

    assert (audio["tollNumber"], audio["tollFreeNumber"]) == ("+49 69 5550100", None)
    assert audio["tollNumbers"] == ["+49 69 5550100", "+43 1 5550100"]


def test_numbers_only_with_a_licence(asks: Asking) -> None:
    ben = asks.stand_in.add_mailbox("ben@contoso.com", licensed=False)

    made = make(asks, f"/users/{ben.id}/onlineMeetings").json()

    assert made["audioConferencing"] is None
    assert "Conference ID" not in unquote_plus(made["joinInformation"]["content"])


def test_the_text_is_in_the_language_asked_for(asks: Asking) -> None:
    told = {
        language: unquote_plus(make(asks, language=language).json()["joinInformation"]["content"])
        for language in ("de-DE,de;q=0.9", "ja", "xx")
    }

    assert "Konferenz-ID:" in told["de-DE,de;q=0.9"]
    assert "会議 ID:" in told["ja"]
    assert told["xx"].startswith("data:text/html,")
    assert "Conference ID:" in told["xx"]


def test_users(asks: Asking) -> None:
    for n in range(150):
        asks.stand_in.add_mailbox(f"user{n}@contoso.com", licensed=n % 2 == 0)
    names = "id,userPrincipalName,mail,preferredLanguage,assignedPlans,assignedLicenses,proxyAddresses,accountEnabled"
    first = asks.get("/users", select=names)
    link = first.json()["@odata.nextLink"]

    assert (len(first.json()["value"]), len(asks("GET", link.partition("/v1.0")[2]).json()["value"])) == (100, 51)
    anna = first.json()["value"][0]
    assert (anna["userPrincipalName"], anna["preferredLanguage"]) == (ANNA, "de")
    assert AUDIO_CONFERENCING_PLAN in {plan["servicePlanId"] for plan in anna["assignedPlans"]}
    assert len(asks.get("/users", top="999").json()["value"]) == 151
    assert "assignedPlans" not in asks.get(f"/users/{ANNA}").json()
    assert asks.get(f"/users/{object_id(ANNA)}", select="mail").json() == {"mail": ANNA}


def test_questions_about_users_that_are_refused(asks: Asking) -> None:
    assert error(asks.get("/users", top="1000")) == (400, "Request_UnsupportedQuery")
    assert error(asks.get("/users", select="colour")) == (400, "Request_BadRequest")
    assert error(asks.get("/users", filter="assignedPlans/any(p: p/servicePlanId eq 'x')"))[0] == 400
    assert error(asks.get("/users/eve@contoso.com")) == (404, "Request_ResourceNotFound")


def test_licences(asks: Asking) -> None:
    asks.stand_in.add_mailbox("ben@contoso.com", licensed=False)

    def skus(upn: str) -> set[str]:
        return {each["skuPartNumber"] for each in asks.get(f"/users/{upn}/licenseDetails").json()["value"]}

    assert skus(ANNA) == {"SPE_E3", "MCOMEETADV"}
    assert skus("ben@contoso.com") == {"SPE_E3"}
    assert len(asks.get("/subscribedSkus").json()["value"]) == 2
    assert asks.get("/organization").json()["value"][0]["id"] == asks.stand_in.directory_id
