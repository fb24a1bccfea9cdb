"""What of a meeting reaches the calendars of its attendees, under each selectable behaviour."""

from __future__ import annotations

import pytest

from migrations_app.mailboxes.exchange.events import ExchangeEvent, Person
from tests.graph_stand_in.conftest import ANNA, BEN, EVENTS, Asking, meeting, series
from tests.support.graph_stand_in import Copies
from tests.support.graph_stand_in.world import property_id

CLEO = Person("cleo@contoso.com", "Cleo")
URL = "SkypeTeamsMeetingUrl"


@pytest.fixture
def invited(asks: Asking) -> Asking:
    """Ben is outside, and Cleo has a mailbox."""
    asks.stand_in.add_mailbox(CLEO.address)
    return asks


def copies(asks: Asking) -> list[ExchangeEvent]:
    return asks.stand_in.events(CLEO.address)


def body(text: str) -> dict[str, object]:
    return {"body": {"contentType": "html", "content": text}}


def written(asks: Asking) -> str:
    """A meeting of which first the text and then a property was written."""
    key = asks.stand_in.add_event(ANNA, meeting(attendees=(BEN, CLEO), properties={URL: "https://old"}))
    assert asks.patch(key, body("<p>first</p>")).status_code == 200
    assert asks.patch(key, body("<p>second</p>")).status_code == 200
    properties = [{"id": property_id(URL), "value": "https://new"}]
    assert asks.patch(key, {"singleValueExtendedProperties": properties}).status_code == 200
    return key


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Copies.NONE, []),
        (Copies.STALE, [("<p>first</p>", "https://old")]),
        (Copies.TEXT, [("<p>second</p>", "https://old")]),
        (Copies.WHOLE, [("<p>second</p>", "https://new")]),
    ],
)
def test_what_a_copy_has(invited: Asking, how: Copies, expected: list[tuple[str, str]]) -> None:
    invited.stand_in.copies = how
    key = written(invited)

    assert [(copy.body, copy.properties[URL]) for copy in copies(invited)] == expected
    assert all(not copy.is_organizer and copy.id != key for copy in copies(invited))
    assert invited.stand_in.event(ANNA, key).properties[URL] == "https://new"
    assert len(invited.stand_in.mails) == 3


def test_an_exception_comes_with_its_series(invited: Asking) -> None:
    invited.stand_in.copies = Copies.WHOLE
    event = series(attendees=(CLEO,))
    key = invited.stand_in.add_event(ANNA, event)
    (exception,) = invited.stand_in.event(ANNA, key).exceptions
    invited.patch(exception.id, body("<p>of one day</p>"))

    (copy,) = copies(invited)
    assert copy.rrule == event.rrule
    assert [each.body for each in copy.exceptions] == ["<p>of one day</p>"]
    assert [each.recurrence_id for each in copy.exceptions] == [exception.recurrence_id]


def test_a_meeting_that_is_deleted_is_cancelled_there(invited: Asking) -> None:
    invited.stand_in.copies = Copies.TEXT
    key = written(invited)
    subject = copies(invited)[0].subject
    assert invited("DELETE", f"{EVENTS}/{key}").status_code == 204

    assert [(copy.is_cancelled, copy.subject) for copy in copies(invited)] == [(True, f"Canceled: {subject}")]
