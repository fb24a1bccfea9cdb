"""What becomes of answers that no good server gives: a Failure, or an event that is left out, and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from migrations_app.failures import Failure
from migrations_app.mailboxes.exchange.events import Change, Kind
from migrations_app.mailboxes.exchange.source import Changed, Gone, Refused, Unsettled
from migrations_app.mailboxes.graph.queries import PROPERTY_IDS
from migrations_app.mailboxes.graph.source import LONGEST_REQUEST, GraphSource
from migrations_app.microsoft import client
from migrations_app.microsoft.client import Answer, Graph, Refusal

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
Said = Callable[[str], Answer]


def gave(body: Any) -> Answer:
    return Answer(200, body, {})


def refused(status: int, code: str = "") -> Answer:
    return Answer(status, {}, {}, code, "the server says")


class SaysAnything(Graph):
    """Graph without a network: ``says`` answers each path."""

    def __init__(self, says: Said) -> None:
        self.says = says
        self.sent: list[tuple[str, Any, str]] = []
        self.batches: list[int] = []

    def close(self) -> None: ...

    def get(self, path: str, params: Mapping[str, str] | None = None, prefer: Sequence[str] = ()) -> Answer:
        return self.says(path)

    def pages(
        self, path: str, params: Mapping[str, str] | None = None, prefer: Sequence[str] = ()
    ) -> Iterator[Sequence[Any]]:
        values = self.says(path).body["value"]
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise Failure("mailbox-answer", "no list")  # as the client does
        yield values

    def patch(self, path: str, body: Any, etag: str = "", prefer: Sequence[str] = ()) -> Answer:
        self.sent.append((path, body, etag))
        return self.says(path)

    def batch(self, paths: Sequence[str], prefer: Sequence[str] = ()) -> Sequence[Answer]:
        self.batches.append(len(paths))
        return [self.says(path) for path in paths]


def given(id_: str, **changes: Any) -> dict[str, Any]:
    return {
        "@odata.etag": 'W/"1"',
        "id": id_,
        "iCalUId": f"uid-{id_}",
        "type": "singleInstance",
        "body": {"contentType": "html", "content": "<p>x</p>"},
        "start": {"dateTime": "2026-12-01T09:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2026-12-01T10:00:00.0000000", "timeZone": "UTC"},
        **changes,
    }


def id_in(path: str) -> str:
    return path.partition("/events/")[2].partition("?")[0].partition("/")[0]


def source(says: Said) -> tuple[GraphSource, SaysAnything]:
    graph = SaysAnything(says)
    return GraphSource(graph, "anna.rossi@contoso.com", now=lambda: NOW), graph


def test_what_cannot_be_read_keeps_nobody_from_the_others() -> None:
    def says(path: str) -> Answer:
        id_ = id_in(path)
        if id_ == "damaged":
            raise Refusal("mailbox-answer", "", refused(400, "ErrorCorruptData"))
        return gave({"another": given("b"), "bent": given("bent", start="tomorrow")}.get(id_, given(id_)))

    reading, graph = source(says)
    ids = ["a", "damaged", "another", "bent", *map(str, range(30))]
    assert set(reading.read(ids)) == {"a", *map(str, range(30))}
    assert max(graph.batches) == 20


@pytest.mark.parametrize("code", ["mailbox-unavailable", "mailbox-throttled", "mailbox-forbidden"])
def test_what_is_wrong_with_all_of_the_mailbox_is_no_missing_event(code: str) -> None:
    def says(path: str) -> Answer:
        raise Failure(code, "")

    reading, graph = source(says)
    with pytest.raises(Failure, match=code):
        reading.read(["a", "b"])
    assert graph.batches == [2]


def test_html_instead_of_json_is_not_taken_for_empty_mailboxes() -> None:
    def says(path: str) -> Answer:
        raise Failure("mailbox-answer", "no JSON object")

    reading, _ = source(says)
    with pytest.raises(Failure, match="mailbox-answer"):
        reading.read([*map(str, range(20))])


def test_a_404_of_something_else_than_the_event_is_not_an_event_that_is_gone() -> None:
    reading, _ = source(lambda path: refused(404, "ErrorItemNotFound" if id_in(path) == "a" else "ErrorUnknown"))
    assert reading.read(["a"]) == {}
    with pytest.raises(Failure, match="mailbox-answer"):
        reading.read(["b"])


RECURRENCE = {
    "pattern": {"type": "daily", "interval": 1},
    "range": {"type": "noEnd", "startDate": "2026-12-01", "recurrenceTimeZone": "UTC"},
}
SERIES = given("series", type="seriesMaster", recurrence=RECURRENCE)


def exception(**changes: Any) -> dict[str, Any]:
    return given("x", type="exception", iCalUId="other", originalStart="2026-12-03T09:00:00Z", **changes)


def occurrence(day: int) -> dict[str, Any]:
    return {"id": f"o{day}", "type": "occurrence", "originalStart": f"2026-12-{day:02}T09:00:00Z"}


def series_that(members: Any, exception_: Answer) -> GraphSource:
    def says(path: str) -> Answer:
        if "/instances" in path:
            return gave({"value": members})
        return exception_ if id_in(path) == "x" else gave(SERIES)

    return source(says)[0]


def test_a_series_comes_with_its_exceptions_and_with_what_was_deleted() -> None:
    reading = series_that([occurrence(1), occurrence(2), exception(), occurrence(5)], gave(exception()))
    series = reading.read(["series"])["series"]
    assert (series.kind, series.rrule) == (Kind.SERIES, "FREQ=DAILY")
    assert [each.uid for each in series.exceptions] == ["uid-series"]
    assert series.exceptions[0].recurrence_id == datetime(2026, 12, 3, 9, tzinfo=UTC)
    assert series.excluded == (datetime(2026, 12, 4, 9, tzinfo=UTC),)


@pytest.mark.parametrize(
    "exception_", [refused(404, "ErrorItemNotFound"), gave(exception(start=7)), gave(given("y"))], ids=str
)
def test_a_series_of_which_a_part_cannot_be_read_is_not_read(exception_: Answer) -> None:
    assert series_that([occurrence(1), exception()], exception_).read(["series"]) == {}


@pytest.mark.parametrize("members", [7, [7], [{**exception(), "id": 7}], [{**exception(), "id": "\ud800"}]], ids=repr)
def test_a_series_whose_parts_are_of_a_strange_shape_keeps_nobody_from_the_others(members: Any) -> None:
    def says(path: str) -> Answer:
        return (
            gave({"value": members})
            if "/instances" in path
            else gave(SERIES if id_in(path) == "series" else given("a"))
        )

    assert set(source(says)[0].read(["series", "a"])) == {"a"}


STRANGE: list[Any] = [None, 7, "x", [], {}, [7], {"value": 7}, {"value": [{}]}, {"value": [{"id": 7}]}]


def test_any_strange_answer_is_a_failure_or_nothing() -> None:
    def fails(read: Callable[[], object]) -> None:
        with suppress(Failure):
            read()

    for strange in STRANGE:
        members = strange["value"] if isinstance(strange, dict) and "value" in strange else strange
        reading = series_that(members, gave(exception()))
        fails(lambda reading=reading: reading.read(["series"]))
        body = strange if isinstance(strange, dict) else {"value": strange}
        listing, _ = source(lambda path, body=body: gave({"value": body.get("value") or []}))
        fails(lambda listing=listing: [*listing.list(NOW, lambda: None)])


def change(**changes: Any) -> Change:
    return Change(**{"event_id": "a/b=", "change_key": 'W/"1"', "kind": Kind.SINGLE, "body": "<p>ø</p>", **changes})


def test_one_patch_carries_what_changed_and_nothing_else() -> None:
    writing, graph = source(lambda _: gave(given("a", **{"@odata.etag": 'W/"2"'})))
    properties = {"SkypeTeamsMeetingUrl": "https://x", "ConferenceTelURI": ""}
    assert writing.apply(change(location="Here", properties=properties)) == 'W/"2"'
    assert writing.apply(change(body=None, properties={"ConferenceTelURI": "tel:+1"})) == 'W/"2"'
    assert writing.apply(change(body="plain", body_is_html=False)) == 'W/"2"'
    path = "/users/anna.rossi@contoso.com/events/a%2Fb="
    assert graph.sent == [
        (
            path,
            {
                "body": {"contentType": "html", "content": "<p>ø</p>"},
                "location": {"displayName": "Here"},
                "singleValueExtendedProperties": [
                    {"id": PROPERTY_IDS["ConferenceTelURI"], "value": ""},
                    {"id": PROPERTY_IDS["SkypeTeamsMeetingUrl"], "value": "https://x"},
                ],
            },
            'W/"1"',
        ),
        (
            path,
            {"singleValueExtendedProperties": [{"id": PROPERTY_IDS["ConferenceTelURI"], "value": "tel:+1"}]},
            'W/"1"',
        ),
        (path, {"body": {"contentType": "text", "content": "plain"}}, 'W/"1"'),
    ]


def raising(error: Exception) -> Said:
    def says(path: str) -> Answer:
        raise error

    return says


def refusal(code: str, status: int, error: str) -> Said:
    return raising(Refusal(code, "", refused(status, error)))


@pytest.mark.parametrize(
    ("says", "outcome"),
    [
        (lambda _: refused(412, "ErrorIrresolvableConflict"), Changed),
        (lambda _: refused(409, "ErrorIrresolvableConflict"), Changed),
        (lambda _: refused(404, "ErrorItemNotFound"), Gone),
        (raising(client.Unsettled("cut off")), Unsettled),
        (refusal("meeting-refused-by-server", 400, "ErrorInvalidRequest"), Refused),
        (refusal("meeting-refused-by-server", 413, "RequestEntityTooLarge"), Refused),
        (refusal("mailbox-forbidden", 403, "ErrorCannotUpdateThisItem"), Refused),
        (refusal("mailbox-forbidden", 403, "ErrorAccessDenied"), Refusal),
        (refusal("mailbox-outside-policy", 403, "ErrorAccessDenied"), Refusal),
        (raising(Failure("mailbox-unavailable", "")), Failure),
    ],
)
def test_what_becomes_of_a_write_is_told_apart(says: Said, outcome: type[Exception]) -> None:
    writing, graph = source(says)
    with pytest.raises(outcome) as caught:
        writing.apply(change())
    assert caught.type is outcome
    assert len(graph.sent) == 1


def test_half_a_character_is_written_as_it_was_read() -> None:
    writing, graph = source(lambda _: gave(given("a", **{"@odata.etag": 'W/"2"'})))
    body = "<p>\ud83d and \ude00\ud83d</p>"  # halves that are not a pair, as a text cut off in the middle has them

    assert writing.apply(change(body=body)) == 'W/"2"'
    assert json.loads(client.encoded(graph.sent[0][1]))["body"]["content"] == body
    with pytest.raises(Refused, match="meeting-refused-by-server"):
        writing.apply(change(body="\ud83d" * (LONGEST_REQUEST // 6)))


def test_what_must_not_be_sent_is_not() -> None:
    writing, graph = source(lambda _: gave({}))
    with pytest.raises(Refused, match="mailbox-ignores-conditions"):
        writing.apply(change(change_key=""))
    with pytest.raises(Refused, match="meeting-refused-by-server"):
        writing.apply(change(body="ø" * (LONGEST_REQUEST // 2)))
    with pytest.raises(ValueError, match="mail attendees"):
        writing.apply(change(body=None))
    assert graph.sent == []


@pytest.mark.parametrize(
    "bent", [{"type": 7}, {"type": "sparkling"}, {"type": None}, {"recurrence": 7}, {"@odata.etag": 7}], ids=repr
)
def test_an_entry_of_a_strange_shape_keeps_nobody_from_the_others(bent: Any) -> None:
    calendar = {"id": "c", "name": "Calendar", "canEdit": True, "isDefaultCalendar": True}

    def listed(event: Any) -> list[str]:
        def says(path: str) -> Answer:
            return gave({"value": [calendar] if path.endswith("/calendars") else [given("a"), event]})

        return [entry.id for page in source(says)[0].list(NOW, lambda: None) for entry in page]

    assert listed(given("bent", **bent)) == ["a", "bent"]
    with pytest.raises(Failure, match="mailbox-answer"):  # nobody could tell which one cannot be read
        listed(given("bent", **bent) | {"id": 7})
