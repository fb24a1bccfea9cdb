"""A user's calendars in Exchange Online, by Graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

from migrations_app.failures import Failure
from migrations_app.mailboxes.exchange.events import Change, Entry, ExchangeEvent, Kind
from migrations_app.mailboxes.exchange.source import Changed, Gone, Refused, Unsettled
from migrations_app.mailboxes.graph import queries
from migrations_app.mailboxes.graph.answers import JSON, id_of, listed, objects, text
from migrations_app.mailboxes.graph.calendars import own_calendars
from migrations_app.mailboxes.graph.events import change_key_of, entry_of, event_of, original_start
from migrations_app.mailboxes.graph.queries import IN_UTC_AS_HTML
from migrations_app.mailboxes.graph.recurrence import last_day, starts_missing
from migrations_app.microsoft import client
from migrations_app.microsoft.client import MOST_IN_A_BATCH, Answer, Graph, Refusal, encoded
from tenants_app.sentences import sentence

LONGEST_REQUEST = 4 * 1024 * 1024
"""Graph takes no larger one."""
MOVED_AT_MOST = timedelta(days=366)
"""How long after the last day of a series one of its occurrences may have been put off to."""
_GONE = frozenset({"ErrorItemNotFound"})
_OF_THE_MAILBOX = frozenset({"", "ErrorAccessDenied", "Authorization_RequestDenied"})
"""A write that is forbidden for these reasons is forbidden for all events."""


class GraphSource:
    """Implements :class:`migrations_app.mailboxes.exchange.source.Source`.

    What is listed is everything to come in the user's own calendars, and not only what a filter by named properties
    finds: an invitation without them may show a number all the same, and must not keep one that is released. The filter
    would not save requests either. A listing without texts takes one request for 500 events, and a text is read again
    only when its event has changed.
    """

    def __init__(
        self,
        graph: Graph,
        upn: str,
        addresses: Collection[str] = (),
        names: Collection[str] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``addresses`` are the user's, in lower case; ``names``, of calendars, folded, where not all are meant."""
        self._graph, self._upn, self._now = graph, upn, now
        self._addresses, self._names = frozenset({upn.lower(), *addresses}), names

    def __enter__(self) -> Self:
        self._graph.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._graph.__exit__(*error)

    def list(self, now: datetime, keep: Callable[[], object]) -> Iterator[Sequence[Entry]]:
        keep()
        for calendar in own_calendars(self._graph, self._upn, self._addresses, self._names):
            keep()
            path = queries.calendar_events_path(self._upn, calendar.id)
            for page in self._graph.pages(path, queries.to_come(now), IN_UTC_AS_HTML):
                yield [entry for given in page if (entry := _entry(given, now))]
                keep()

    def read(self, ids: Sequence[str]) -> Mapping[str, ExchangeEvent]:
        """A batch for the events, one for what their series consist of, and one for the exceptions among that.

        What is given out in a shape that no event has is left out like what is gone: it is listed still, by which it
        shows that it cannot be read, and it keeps nobody from the others.
        """
        given = self._read([*dict.fromkeys(ids)])
        events = {id_: event for id_, each in given.items() if (event := _event(each))}
        members = self._members([event for event in events.values() if event.kind is Kind.SERIES])
        texts = self._read([id_ for theirs in members.values() for each in theirs if (id_ := _exception_id(each))])
        found = {}
        for id_, event in events.items():
            whole = _with_members(event, members.get(id_), texts) if event.kind is Kind.SERIES else event
            if whole:
                found[id_] = whole
        return found

    def apply(self, change: Change) -> str:
        """One PATCH with body, properties and place together, and nothing else: above all not ``isOnlineMeeting`` or
        its provider, by which the server would make another online meeting.

        Graph documents no way to delete a named property, so one that goes away becomes empty, which reads the same.
        """
        body = _patch(change)
        if not change.change_key:
            raise Refused("mailbox-ignores-conditions", sentence("it gives the meeting no ETag"))
        if len(encoded(body)) > LONGEST_REQUEST:
            raise Refused(
                "meeting-refused-by-server", sentence("with its text it is larger than the 4 MB that Graph takes")
            )
        try:
            path = queries.event_path(self._upn, change.event_id)
            answer = self._graph.patch(path, body, change.change_key, IN_UTC_AS_HTML)
        except client.Unsettled as unsettled:
            raise Unsettled(str(unsettled)) from unsettled
        except Refusal as refusal:
            if not _is_of_the_event(refusal):
                raise
            raise Refused("meeting-refused-by-server", refusal.detail) from refusal
        if answer.status in (409, 412):
            raise Changed
        if not _is_there(answer, self._upn):
            raise Gone
        return change_key_of(answer.body)

    def _read(self, ids: Sequence[str]) -> Mapping[str, JSON]:
        """These events as Graph gives them; those that are gone are missing."""
        paths = [queries.with_query(queries.event_path(self._upn, id_), queries.EVENT) for id_ in ids]
        answers = zip(ids, self._batches(paths), strict=True)
        return {id_: answer.body for id_, answer in answers if _is_there(answer, self._upn) and _has(answer.body, id_)}

    def _members(self, series: Sequence[ExchangeEvent]) -> Mapping[str, Sequence[JSON]]:
        """Occurrences and exceptions of each of these, without their texts; missing where they are gone, or of a shape
        that none has."""
        now = self._now()
        asked = [
            (each.id, queries.instances_path(self._upn, each.id), queries.instances(*window))
            for each in series
            for window in queries.windows(each.starts_at, now)
        ]
        found: dict[str, dict[str, JSON]] = {each.id: {} for each in series}
        answers = self._batches([queries.with_query(path, params) for _, path, params in asked])
        for (id_, path, params), answer in zip(asked, answers, strict=True):
            values = _values(answer.body) if _is_there(answer, self._upn) else None
            if values is not None and answer.body.get("@odata.nextLink"):
                values = [each for page in self._graph.pages(path, params, IN_UTC_AS_HTML) for each in page]
            if values is None or not _are_named(values):
                found.pop(id_, None)
            elif id_ in found:  # what goes on from one window into the next is in both
                found[id_] |= {str(each.get("id", each)): each for each in values}
        return {id_: [*members.values()] for id_, members in found.items()}

    def _batches(self, paths: Sequence[str]) -> Iterator[Answer]:
        for start in range(0, len(paths), MOST_IN_A_BATCH):
            yield from self._answers(paths[start : start + MOST_IN_A_BATCH])

    def _answers(self, paths: Sequence[str]) -> Sequence[Answer]:
        """Of one batch. Where its answer is too large, or one of the questions has none, it is asked in halves, so that
        one event keeps nobody from the others."""
        try:
            return self._graph.batch(paths, IN_UTC_AS_HTML)
        except Failure as failure:
            if failure.code != "mailbox-answer":
                raise
            if len(paths) > 1:
                middle = len(paths) // 2
                return [*self._answers(paths[:middle]), *self._answers(paths[middle:])]
            if isinstance(failure, Refusal):
                # Such as an id of the mailbox that this one was before it was made anew, or an event that is damaged.
                return [Answer(404, {}, {}, "ErrorItemNotFound")]
            raise


def _is_there(answer: Answer, upn: str) -> bool:
    """Whether what was asked about is there. Raises ``Failure`` where it is more than the event that is missing."""
    if answer.ok:
        return True
    if answer.status == 404 and answer.error in _GONE:
        return False
    raise Failure(
        "mailbox-answer",
        sentence(
            "Graph answered %(status)s %(error)s about a meeting of %(upn)s",
            status=answer.status,
            error=answer.error,
            upn=upn,
        ),
    )


def _is_of_the_event(refusal: Refusal) -> bool:
    """Whether a write was refused because of what was written, or of the event."""
    if refusal.answer.status == 403:
        return refusal.answer.error not in _OF_THE_MAILBOX and refusal.code == "mailbox-forbidden"
    return refusal.code == "meeting-refused-by-server"


def _event(given: JSON, uid: str = "") -> ExchangeEvent | None:
    try:
        return event_of(given, uid)
    except Failure:
        return None


def _has(given: JSON, id_: str) -> bool:
    """Whether this is the event that was asked for."""
    return given.get("id") == id_


def _values(given: JSON) -> Sequence[JSON] | None:
    try:
        return listed(given, "value")
    except Failure:
        return None


def _are_named(members: Sequence[JSON]) -> bool:
    """Whether each exception among these has an id."""
    try:
        return all(_exception_id(each) is not None for each in members)
    except Failure:
        return False


def _exception_id(given: JSON) -> str:
    """The id of an exception; empty for what is none. Raises ``Failure``."""
    return id_of(given) if text(given, "type").casefold() == "exception" else ""


def _with_members(
    series: ExchangeEvent, members: Sequence[JSON] | None, texts: Mapping[str, JSON]
) -> ExchangeEvent | None:
    """A series with its exceptions, and with what was deleted of it; None where one of them cannot be read, because
    what is written of a series must go with all of it."""
    if members is None:
        return None
    try:
        exceptions = [event_of(texts[id_], series.uid) for each in members if (id_ := _exception_id(each))]
        starts = [original_start(each) for each in members]
    except (Failure, KeyError):
        return None
    return replace(
        series,
        exceptions=tuple(sorted(exceptions, key=lambda each: each.recurrence_id or each.starts_at)),
        excluded=starts_missing(series.rrule, series.zone, series.starts_at, starts),
    )


def _patch(change: Change) -> JSON:
    body: dict[str, Any] = {}
    if change.body is not None:
        body["body"] = {"contentType": "html" if change.body_is_html else "text", "content": change.body}
    if change.location is not None:
        body["location"] = {"displayName": change.location}
    if change.properties:
        body["singleValueExtendedProperties"] = [
            {"id": queries.PROPERTY_IDS[name], "value": value} for name, value in sorted(change.properties.items())
        ]
    if not body:
        raise ValueError("A change that changes nothing would mail attendees.")
    return body


def _entry(given: JSON, now: datetime) -> Entry | None:
    """What is listed; None where it is over. What is of a shape that no event has keeps nobody from the others: it has
    an id, by which it is read, or shows that it cannot be. Raises ``Failure`` where it has none."""
    try:
        return None if _is_over(given, now) else entry_of(given)
    except Failure:
        return Entry(id_of(given), "", Kind.SINGLE)


def _is_over(given: JSON, now: datetime) -> bool:
    """Whether a series ended so long ago that nothing of it can be to come."""
    recurrence = objects(given, "recurrence")
    last: date | None = last_day(recurrence) if recurrence else None
    return last is not None and last < (now - MOVED_AT_MOST).date()
