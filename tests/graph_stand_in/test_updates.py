"""What becomes of a Teams meeting whose body is written, and who is told of an update."""

from __future__ import annotations

import html
from dataclasses import replace

import pytest

from migrations_app.mailboxes.exchange.events import Person
from tests.graph_stand_in.conftest import ANNA, BEN, EVENTS, STARTS, Asking, error, meeting, series
from tests.support.graph_stand_in import Behaviour
from tests.support.graph_stand_in.world import property_id

OTHER = "https://teams.microsoft.com/l/meetup-join/19%3ameeting_other%40thread.v2/0"


def body(content: str) -> dict[str, object]:
    return {"body": {"contentType": "html", "content": content}}


def link(answer: object) -> str:
    meeting = answer["onlineMeeting"]  # type: ignore[index]
    return meeting["joinUrl"] if meeting else ""


@pytest.mark.parametrize("behaviour", list(Behaviour))
def test_a_body_that_keeps_its_link_keeps_the_meeting(asks: Asking, behaviour: Behaviour) -> None:
    asks.stand_in.behaviour = behaviour
    key = asks.stand_in.teams_meeting(ANNA, meeting())
    before = asks.stand_in.event(ANNA, key)

    answer = asks.patch(key, body(before.body.replace("Agenda follows.", "Other."))).json()

    assert link(answer) == before.join_url
    assert answer["isOnlineMeeting"] is True
    assert answer["onlineMeetingProvider"] == "teamsForBusiness"


@pytest.mark.parametrize("behaviour", [Behaviour.DOCUMENTED, Behaviour.REWRITES])
def test_without_its_link_it_is_no_online_meeting(asks: Asking, behaviour: Behaviour) -> None:
    asks.stand_in.behaviour = behaviour
    key = asks.stand_in.teams_meeting(ANNA, meeting())

    answer = asks.patch(key, body("<p>Nothing</p>")).json()

    assert (answer["onlineMeeting"], answer["isOnlineMeeting"]) == (None, False)
    assert asks.get(f"{EVENTS}/{key}").json()["onlineMeetingProvider"] == "unknown"


def test_alternating(asks: Asking) -> None:
    asks.stand_in.behaviour = "alternating"
    key = asks.stand_in.teams_meeting(ANNA, meeting())
    url = asks.stand_in.event(ANNA, key).join_url
    seen = [asks.patch(key, body("<p>Nothing</p>")).json() for _ in range(4)]

    assert [link(each) for each in seen] == ["", url, "", url]
    assert [html.escape(url) in each["body"]["content"] for each in seen] == [False, True, False, True]


def test_a_new_link_at_every_update(asks: Asking) -> None:
    asks.stand_in.behaviour = "new-link"
    key = asks.stand_in.teams_meeting(ANNA, meeting())
    seen = {asks.stand_in.event(ANNA, key).join_url}
    seen |= {link(asks.patch(key, body("<p>Nothing</p>")).json()) for _ in range(3)}

    assert len(seen) == 4
    assert "" not in seen


def test_the_link_follows_the_body(asks: Asking) -> None:
    asks.stand_in.behaviour = "follows-body"
    key = asks.stand_in.teams_meeting(ANNA, meeting())

    assert link(asks.patch(key, body(f'<a href="{OTHER}">Join</a>')).json()) == OTHER
    assert link(asks.patch(key, body("<p>https://meet.example.org/x</p>")).json()) == ""


def test_html_is_stored_as_the_server_writes_it(asks: Asking) -> None:
    asks.stand_in.behaviour = "rewrites"
    key = asks.stand_in.add_event(ANNA, meeting())

    stored = asks.patch(key, body("<p style=color:red>Text<!-- no comment --></p>")).json()["body"]["content"]

    assert stored.startswith("<html><head>")
    assert "Text" in stored
    assert "comment" not in stored
    asks.stand_in.normalise_by(str.swapcase)
    assert asks.patch(key, body("<p>Text</p>")).json()["body"]["content"] == "<P>tEXT</P>"


def test_an_event_is_made_an_online_meeting_once(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())

    answer = asks.patch(key, {"isOnlineMeeting": True, "onlineMeetingProvider": "teamsForBusiness"}).json()

    assert html.escape(link(answer)) in answer["body"]["content"]
    assert error(asks.patch(key, {"isOnlineMeeting": False})) == (400, "ErrorInvalidPropertySet")
    assert link(asks.patch(key, {"isOnlineMeeting": True}).json()) == link(answer)


def test_a_skype_meeting_keeps_its_link_whatever_is_written(asks: Asking) -> None:
    join = "https://meet.contoso.com/anna/ABC123"
    key = asks.stand_in.add_event(ANNA, meeting(join_url=join, properties={"OnlineMeetingExternalLink": join}))

    answer = asks.patch(key, body("<p>Nothing</p>")).json()

    assert (link(answer), answer["onlineMeetingProvider"]) == (join, "skypeForBusiness")


def test_properties_are_written_beside_the_others(asks: Asking) -> None:
    key = asks.stand_in.add_event(
        ANNA, meeting(properties={"ConferenceTelURI": "tel:+1", "SkypeTeamsProperties": "{}"})
    )
    names = ("ConferenceTelURI", "SkypeTeamsProperties", "OnlineMeetingConfLink")
    tel, teams, conf = (property_id(name) for name in names)
    written = [{"id": tel, "value": "tel:+2"}, {"id": teams, "value": None}, {"id": conf, "value": ""}]

    assert asks.patch(key, {"singleValueExtendedProperties": written}).status_code == 200

    assert asks.stand_in.event(ANNA, key).properties == {"ConferenceTelURI": "tel:+2", "OnlineMeetingConfLink": ""}


def test_a_body_without_its_kind_is_text(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())

    asks.patch(key, {"body": {"content": "a < b"}})

    assert asks.stand_in.event(ANNA, key).body_is_html is False


def test_one_mail_for_a_meeting(asks: Asking) -> None:
    cleo = Person("cleo@example.org")
    key = asks.stand_in.add_event(ANNA, meeting(attendees=(Person(ANNA), BEN, cleo)))

    asks.patch(key, {"location": {"displayName": "Room 1"}})

    assert [mail.recipients for mail in asks.stand_in.mails_of(key)] == [(BEN.address, cleo.address)]
    assert asks.stand_in.event(ANNA, key).sequence == 1
    asks.patch(key, {"categories": ["Red"], "isReminderOn": False})
    assert len(asks.stand_in.mails) == 1


def test_one_mail_for_a_series_and_one_for_each_exception(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, series())
    exception = asks.stand_in.event(ANNA, key).exceptions[0].id

    asks.patch(key, body("<p>All</p>"))
    assert [mail.of for mail in asks.stand_in.mails] == [key, exception]
    asks.patch(exception, body("<p>One</p>"))
    assert [mail.of for mail in asks.stand_in.mails[2:]] == [exception]
    assert asks.stand_in.event(ANNA, key).body == "<p>All</p>"


def test_whoever_alone_was_changed_is_told_alone(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, meeting())
    both = [
        {"emailAddress": {"address": a, "name": n}} for a, n in ((BEN.address, "Ben"), ("cleo@example.org", "Cleo"))
    ]

    asks.patch(key, {"attendees": both})

    assert asks.stand_in.mails[-1].recipients == ("cleo@example.org",)
    asks.patch(key, {"attendees": both[1:], "subject": "Other"})
    assert asks.stand_in.mails[-1].recipients == ("cleo@example.org",)


def test_an_exception_without_a_text_of_its_own_changes_with_its_series(asks: Asking) -> None:
    event = series()
    inherits = replace(event.exceptions[0], body=event.body)
    key = asks.stand_in.add_event(ANNA, replace(event, exceptions=(inherits,)))

    asks.patch(key, body("<p>All</p>"))
    assert asks.stand_in.event(ANNA, key).exceptions[0].body == "<p>All</p>"
    asks.patch(inherited_id(asks, key), body("<p>One</p>"))
    asks.patch(key, body("<p>All again</p>"))
    assert asks.stand_in.event(ANNA, key).exceptions[0].body == "<p>One</p>"


def inherited_id(asks: Asking, key: str) -> str:
    return asks.stand_in.event(ANNA, key).exceptions[0].id


def test_an_occurrence_that_is_written_becomes_an_exception(asks: Asking) -> None:
    key = asks.stand_in.add_event(ANNA, series())
    window = {"startDateTime": STARTS.isoformat(), "endDateTime": "2030-01-09T00:00:00Z"}
    (first,) = asks.get(f"{EVENTS}/{key}/instances", **window).json()["value"]

    answer = asks.patch(first["id"], {"subject": "Kick-off"}).json()

    assert (answer["type"], answer["id"]) == ("exception", first["id"])
    assert [each.subject for each in asks.stand_in.event(ANNA, key).exceptions] == ["Kick-off", "Weekly"]
    assert asks.stand_in.mails[-1].of == first["id"]


def test_events_are_made_and_deleted(asks: Asking) -> None:
    when = {"dateTime": "2030-03-01T09:00:00", "timeZone": "W. Europe Standard Time"}
    asked = {"subject": "Try", "start": when, "end": {**when, "dateTime": "2030-03-01T10:00:00"}, "transactionId": "1"}
    made = [asks("POST", EVENTS, json={**asked, "isOnlineMeeting": True}) for _ in range(2)]

    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]
    assert made[0].json()["start"]["dateTime"] == "2030-03-01T08:00:00.0000000"
    assert link(made[0].json())
    assert asks("DELETE", f"{EVENTS}/{made[0].json()['id']}").status_code == 204
    assert asks.stand_in.events(ANNA) == []
