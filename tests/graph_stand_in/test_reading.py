"""Lists, windows, series and shapes, as the pages describe them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.graph_stand_in.conftest import ANNA, EVENTS, STARTS, Asking, meeting, series
from tests.support.graph_stand_in.world import property_id

TEAMS = property_id("SkypeTeamsMeetingUrl")
WINDOW = {"startDateTime": "2030-01-01T00:00:00Z", "endDateTime": "2031-01-01T00:00:00Z"}


def test_a_list_has_single_events_and_masters_in_pages(asks: Asking) -> None:
    keys = [asks.stand_in.add_event(ANNA, meeting(f"{n}@contoso.com")) for n in range(24)]
    keys.append(asks.stand_in.add_event(ANNA, series()))
    found: list[str] = []
    pages = 0
    path = f"{EVENTS}?$select=id"
    while path:
        answer = asks("GET", path).json()
        assert all(set(each) == {"id", "@odata.etag"} for each in answer["value"])
        found += [each["id"] for each in answer["value"]]
        path = answer.get("@odata.nextLink", "").partition("/v1.0")[2]
        pages += 1

    assert (found, pages) == (keys, 3)
    assert len(asks.get(EVENTS, prefer="odata.maxpagesize=7").json()["value"]) == 7


def test_filters(asks: Asking) -> None:
    teams = asks.stand_in.teams_meeting(ANNA, meeting("teams@contoso.com"))
    past = asks.stand_in.add_event(ANNA, replace(meeting("past@contoso.com"), ends_at=STARTS - timedelta(days=9)))
    weekly = asks.stand_in.add_event(ANNA, series())

    def found(text: str) -> set[str]:
        return {each["id"] for each in asks.get(EVENTS, filter=text, select="id").json()["value"]}

    assert found("end/dateTime ge '2030-01-01T00:00:00Z' or type eq 'seriesMaster'") == {teams, weekly}
    assert found("not (end/dateTime ge '2030-01-01T00:00:00') and isCancelled eq false") == {past}
    assert found(f"singleValueExtendedProperties/Any(ep: ep/id eq '{TEAMS}' and startswith(ep/value,'HTTP'))") == {
        teams
    }
    assert found(f"singleValueExtendedProperties/any(ep: ep/id eq '{TEAMS}' and ep/value eq 'x')") == set()
    assert found(f"singleValueExtendedProperties/any(ep: ep/id eq '{TEAMS.replace('Url', 'URL')}')") == set()
    assert found("startswith(subject,'week') and iCalUId eq 'teams@contoso.com'") == {teams}
    assert found("subject eq 'It''s'") == set()


def test_extended_properties_are_given_when_asked_for(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting(properties={"ConferenceTelURI": "tel:+123"}))
    wanted = property_id("ConferenceTelURI").upper().replace("STRING", "String").replace("NAME", "Name")
    wanted = wanted.replace("CONFERENCETELURI", "ConferenceTelURI")

    def given(expand: str) -> object:
        return asks.get(f"{EVENTS}/{key}", expand=expand).json().get("singleValueExtendedProperties")

    one = {"id": property_id("ConferenceTelURI"), "value": "tel:+123"}
    assert given(f"singleValueExtendedProperties($filter=id eq '{wanted}')") == [one]
    assert given(f"singleValueExtendedProperties($filter=id eq '{TEAMS}' or id eq '{wanted}')") == [one]
    assert given(f"singleValueExtendedProperties($filter=id eq '{TEAMS}')") is None
    assert "singleValueExtendedProperties" not in asks.get(f"{EVENTS}/{key}").json()


def test_the_instances_of_a_series(asks: Asking) -> None:
    gone = STARTS + timedelta(days=14)
    key = asks.stand_in.add_event(ANNA, replace(series(), excluded=(gone,)))
    found = asks.get(f"{EVENTS}/{key}/instances", **WINDOW).json()["value"]

    assert [(each["type"], each["start"]["dateTime"][:13]) for each in found] == [
        ("occurrence", "2030-01-08T10"),
        ("exception", "2030-01-15T12"),
        ("occurrence", "2030-01-29T10"),
        ("occurrence", "2030-02-05T10"),
    ]
    assert found[1]["originalStart"] == "2030-01-15T10:00:00Z"
    assert {each["seriesMasterId"] for each in found} == {key}
    assert len({each["@odata.etag"] for each in found}) == 1
    whole = asks.get(f"{EVENTS}/{found[1]['id']}").json()
    assert whole["body"]["content"] == "<html><body>Moved.</body></html>"
    assert asks.get(f"{EVENTS}/{found[0]['id']}").json()["type"] == "occurrence"


def test_what_only_the_beta_names_can_be_switched_on(asks: Asking) -> None:
    gone = STARTS + timedelta(days=14)
    key = asks.stand_in.add_event(ANNA, replace(series(), excluded=(gone,)))
    asks.stand_in.put("routes.reading.previews", True)

    found = asks.get(f"{EVENTS}/{key}", select="cancelledOccurrences").json()

    assert found["cancelledOccurrences"] == [f"OID.{key}.2030-01-22"]
    exception = asks.stand_in.event(ANNA, key).exceptions[0].id
    assert asks.get(f"{EVENTS}/{exception}", select="occurrenceId").json()["occurrenceId"] == f"OID.{key}.2030-01-15"


def test_each_occurrence_has_an_icaluid_of_its_own(asks: Asking) -> None:
    uid = "040000008200E00074C5B7101A82E0080000000076B29D94B32CD6010000000000000000100000005F31C591C3C328459653D025BD27"
    key = asks.stand_in.add_event(ANNA, series(uid))
    found = asks.get(f"{EVENTS}/{key}/instances", **WINDOW, select="iCalUId").json()["value"]

    assert asks.get(f"{EVENTS}/{key}", select="iCalUId").json()["iCalUId"] == uid
    assert found[1]["iCalUId"] == uid[:32] + "07EE010F" + uid[40:]
    assert len({each["iCalUId"] for each in found}) == 5


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        ("FREQ=DAILY;INTERVAL=2", {"type": "daily", "interval": 2}),
        ("FREQ=WEEKLY;BYDAY=TU,TH", {"type": "weekly", "daysOfWeek": ["tuesday", "thursday"]}),
        ("FREQ=MONTHLY;BYMONTHDAY=31", {"type": "absoluteMonthly", "dayOfMonth": 31}),
        ("FREQ=MONTHLY;BYDAY=2TU", {"type": "relativeMonthly", "index": "second", "daysOfWeek": ["tuesday"]}),
        ("FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1", {"type": "relativeMonthly", "index": "last"}),
        ("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=8", {"type": "absoluteYearly", "month": 1, "dayOfMonth": 8}),
    ],
)
def test_recurrences(asks: Asking, rule: str, pattern: dict[str, object]) -> None:
    key = asks.stand_in.add_event(ANNA, meeting(rrule=f"{rule};COUNT=4", zone="Europe/Berlin", kind="series"))
    told = asks.get(f"{EVENTS}/{key}", select="recurrence").json()["recurrence"]

    assert pattern.items() <= told["pattern"].items()
    assert told["range"]["numberOfOccurrences"] == 4
    assert told["range"]["recurrenceTimeZone"] == "W. Europe Standard Time"


def test_a_series_keeps_its_hour_when_the_clocks_change(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting(rrule="FREQ=MONTHLY", zone="Europe/Berlin", kind="series"))
    prefer = 'IdType="ImmutableId", outlook.timezone="W. Europe Standard Time"'

    answer = asks.get(f"{EVENTS}/{key}/instances", prefer, **WINDOW, top="50")

    assert {each["start"]["dateTime"][11:16] for each in answer.json()["value"]} == {"11:00"}
    assert answer.headers["Preference-Applied"] == 'outlook.timezone="W. Europe Standard Time"'


def test_bodies_are_html_unless_text_is_preferred(asks: Asking) -> None:
    html = asks.stand_in.add_event(ANNA, meeting(body="<p>One &amp; two</p>"))
    text = asks.stand_in.add_event(ANNA, meeting("text@contoso.com", body="a < b\r\nc", body_is_html=False))
    prefer = 'IdType="ImmutableId", outlook.body-content-type="text"'

    assert asks.get(f"{EVENTS}/{html}").json()["body"] == {"contentType": "html", "content": "<p>One &amp; two</p>"}
    assert "a &lt; b<br>" in asks.get(f"{EVENTS}/{text}").json()["body"]["content"]
    assert asks.get(f"{EVENTS}/{html}", prefer).json()["body"]["content"].strip() == "One & two"
    assert asks.get(f"{EVENTS}/{text}", prefer).json()["body"] == {"contentType": "text", "content": "a < b\r\nc"}


def test_calendars(asks: Asking) -> None:
    asks.stand_in.add_calendar(ANNA, "Team", can_edit=False)
    found = asks.get(f"/users/{ANNA}/calendars").json()["value"]

    assert [(each["name"], each["isDefaultCalendar"], each["canEdit"]) for each in found] == [
        ("Calendar", True, True),
        ("Team", False, False),
    ]
    assert asks.get(f"/users/{ANNA}/calendar").json()["id"] == found[0]["id"]


def test_ids_are_translated(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    asked = {"inputIds": [key], "sourceIdType": "restImmutableEntryId", "targetIdType": "restId"}

    (told,) = asks("POST", f"/users/{ANNA}/translateExchangeIds", json=asked).json()["value"]

    assert asks.get(f"{EVENTS}/{told['targetId']}", prefer="").status_code == 200
    asked["inputIds"] *= 1001
    assert asks("POST", f"/users/{ANNA}/translateExchangeIds", json=asked).status_code == 400
