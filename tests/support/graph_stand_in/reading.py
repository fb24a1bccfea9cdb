"""Reading calendars and events: lists, windows, instances, single ones, in pages."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from migrations_app.mailboxes.exchange.events import Kind
from tests.support.graph_stand_in.errors import JSON, Refusal, Reply, bad_request, not_found
from tests.support.graph_stand_in.odata import expanded, parse, selected
from tests.support.graph_stand_in.recurring import starts
from tests.support.graph_stand_in.shapes import FIELDS, KNOWN, PREVIEW, SORTS, Preferences, as_json
from tests.support.graph_stand_in.world import Calendar, Event, Mailbox, World, opaque

_MOST_DAYS = 1825
_NAVIGATION = ("attachments", "calendar", "extensions")


def occurrence_key(series: Event, start: datetime) -> str:
    """The immutable id of an instance: the same when it becomes an exception."""
    return "AAkA" + opaque(f"{series.key}@{start:%Y%m%dT%H%M%S}")


def occurrence(series: Event, start: datetime) -> Event:
    """An instance that nobody has changed."""
    return Event(
        key=occurrence_key(series, start),
        calendar=series.calendar,
        uid=series.uid,
        kind=Kind.EXCEPTION,
        starts_at=start,
        ends_at=start + (series.ends_at - series.starts_at),
        subject=None,
        attendees=None,
        body=None,
        location=None,
        properties=None,
        zone=series.zone,
        is_all_day=series.is_all_day,
        is_cancelled=series.is_cancelled,
        join_url=None,
        provider=None,
        recurrence_id=start,
        master=series,
        other={"occurrence": True},
    )


def instances(series: Event, after: datetime, before: datetime) -> Sequence[Event]:
    """Occurrences and exceptions in a window (event-list-instances)."""
    if series.kind != Kind.SERIES:
        return [series] if series.ends_at > after and series.starts_at < before else []
    changed = {exception.recurrence_id: exception for exception in series.exceptions}
    found = [e for e in series.exceptions if e.ends_at > after and e.starts_at < before]
    length = series.ends_at - series.starts_at
    found += [
        occurrence(series, start)
        for start in starts(series, after - length + timedelta(microseconds=1), before)
        if start not in changed and start not in series.excluded
    ]
    return sorted(found, key=lambda event: event.starts_at)


def given_out(mailbox: Mailbox, found: Sequence[Event]) -> Sequence[Event]:
    """The same; occurrences among them can be asked for from now on."""
    for event in found:
        if event.other.get("occurrence") and event.master is not None and event.recurrence_id is not None:
            where = (event.master.key, event.recurrence_id)
            mailbox.occurrences[event.key] = mailbox.occurrences[event.rest_id] = where
    return found


def find(mailbox: Mailbox, name: str, prefers: Preferences) -> Event:
    """The event of this id, an occurrence of a series among them.

    An id of either form is known by itself; an immutable one is understood only with its header (outlook-immutable-id:
    the header goes with every request)."""
    event = mailbox.events.get(name) or mailbox.events.get(mailbox.by_rest_id.get(name, ""))
    if event is None and name in mailbox.occurrences:
        key, start = mailbox.occurrences[name]
        series = mailbox.events.get(key)
        if series is not None and start not in series.excluded:
            event = occurrence(series, start)
    if event is None:
        if not name.startswith(("AAkA", "AAMk")):
            raise bad_request("Id is malformed.", "ErrorInvalidIdMalformed")
        raise not_found()
    if name == event.key and not prefers.immutable:
        raise bad_request("Id is malformed.", "ErrorInvalidIdMalformed")
    return event


def window(query: Mapping[str, str]) -> tuple[datetime, datetime]:
    """startDateTime and endDateTime, both required (user-list-calendarview, event-list-instances)."""
    given = {name.lower(): value for name, value in query.items()}
    if not given.get("startdatetime") or not given.get("enddatetime"):
        message = "This request requires a time window specified by the parameters StartDateTime and EndDateTime."
        raise bad_request(message, "ErrorInvalidParameter")
    bounds = []
    for name in ("startdatetime", "enddatetime"):
        try:
            text = given[name].replace(" ", "+")
            head, dot, fraction = text.partition(".")
            if dot:
                digits = "".join(c for c in fraction if c.isdigit() or c in "+-:Z")
                tail = next((digits[n:] for n, c in enumerate(digits) if c in "+-Z"), "")
                text = head + tail
            moment = datetime.fromisoformat(text)
        except ValueError as bad:
            raise bad_request(
                f"The value '{given[name]}' of parameter '{name}' is invalid.", "ErrorInvalidParameter"
            ) from bad
        bounds.append(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    after, before = bounds
    if before <= after:
        raise bad_request("The end date is earlier than the start date.", "ErrorCalendarEndDateIsEarlierThanStartDate")
    if before - after > timedelta(days=_MOST_DAYS):
        message = f"The range between the start and end dates is too large. Maximum number of days: {_MOST_DAYS}"
        raise bad_request(message, "ErrorInvalidRequest")
    return after, before


class Reading:
    """Answers GET of a mailbox's calendars and events."""

    def __init__(self, world: World, origin: str) -> None:
        self.world = world
        self.origin = origin
        self.previews = False
        """Whether v1.0 knows what the stored pages name of the beta alone."""

    def one(self, event: Event, query: Mapping[str, str], prefers: Preferences) -> Reply:
        only, expand = self._shape(query)
        self._options(query, {"$select", "$expand"})
        body = as_json(self.world, event, prefers, only, expand, one=True)
        return Reply(200, {"@odata.context": f"{self.origin}/v1.0/$metadata#events/$entity", **body}, _applied(prefers))

    def events(
        self, path: str, found: Sequence[Event], query: Mapping[str, str], prefers: Preferences, windowed: bool = False
    ) -> Reply:
        """A list of events, filtered, ordered, a page of it."""
        only, expand = self._shape(query)
        if windowed and only:
            only -= {"createdDateTime", "lastModifiedDateTime"}  # user-list-calendarview: they do not support $select
        extra = {"startdatetime", "enddatetime"} if windowed else set()
        self._options(
            query, {"$select", "$expand", "$filter", "$orderby", "$top", "$skip", "$skiptoken", "$count"} | extra
        )
        if "$filter" in query:
            test = parse(query["$filter"], FIELDS)
            found = [event for event in found if test(event)]
        if "$orderby" in query:
            found = _ordered(found, query["$orderby"])

        def shape(event: Event) -> JSON:
            return as_json(self.world, event, prefers, only, expand)

        return self.page(path, found, query, prefers.page, shape, _applied(prefers))

    def page(
        self,
        path: str,
        found: Sequence[Any],
        query: Mapping[str, str],
        size: int,
        shape: Callable[[Any], JSON],
        headers: Mapping[str, str] | None = None,
        usual: int = 10,
        most: int = 1000,
    ) -> Reply:
        """A page of a list, with the link to the next (paging: the link is opaque, headers go with each request)."""
        top = _number(query, "$top", 1, most) or min(size, most) or usual
        begin = _number(query, "$skip", 0, 10**9) or 0
        rest = {name: value for name, value in query.items() if name not in ("$skiptoken", "$skip")}
        seal = hashlib.sha256(f"{path}{sorted(rest.items())}".encode()).hexdigest()[:12]
        if "$skiptoken" in query:
            try:
                told, _, at = base64.urlsafe_b64decode(query["$skiptoken"]).decode().partition(".")
                begin = int(at)
            except ValueError as bad:
                raise bad_request("The skip token is not valid.", "BadRequest") from bad
            if told != seal:
                raise bad_request("The skip token is of another request.", "BadRequest")
        body: JSON = {"@odata.context": f"{self.origin}/v1.0/$metadata{path}"}
        if query.get("$count") == "true":
            body["@odata.count"] = len(found)
        body["value"] = [shape(row) for row in found[begin : begin + top]]
        if begin + top < len(found):
            token = base64.urlsafe_b64encode(f"{seal}.{begin + top}".encode()).decode()
            link = urlencode({**rest, "$skiptoken": token}, quote_via=quote, safe="$")
            body["@odata.nextLink"] = f"{self.origin}/v1.0{path}?{link}"
        return Reply(200, body, dict(headers or {}))

    def calendar(self, mailbox: Mailbox, calendar: Calendar) -> JSON:
        """Resource calendar."""
        return {
            "id": calendar.id,
            "name": calendar.name,
            "color": "auto",
            "hexColor": "",
            "isDefaultCalendar": calendar.is_default,
            "changeKey": opaque(calendar.id)[:40],
            "canShare": True,
            "canViewPrivateItems": True,
            "canEdit": calendar.can_edit,
            "allowedOnlineMeetingProviders": ["teamsForBusiness"],
            "defaultOnlineMeetingProvider": "teamsForBusiness",
            "isTallyingResponses": calendar.is_default,
            "isRemovable": not calendar.is_default,
            "owner": {"name": mailbox.user.name, "address": mailbox.user.mail},
        }

    def _shape(self, query: Mapping[str, str]) -> tuple[frozenset[str], Mapping[str, str]]:
        only = selected(query.get("$select", ""), KNOWN | PREVIEW if self.previews else KNOWN)
        return only, expanded(query["$expand"], _NAVIGATION) if "$expand" in query else {}

    @staticmethod
    def _options(query: Mapping[str, str], known: set[str]) -> None:
        for name in query:
            if name.startswith("$") and name not in known:
                raise bad_request(f"The query parameter '{name}' is not supported.", "ErrorInvalidUrlQuery")


def _applied(prefers: Preferences) -> dict[str, str]:
    return {"Preference-Applied": ", ".join(prefers.applied)} if prefers.applied else {}


def _number(query: Mapping[str, str], name: str, least: int, most: int) -> int | None:
    if name not in query:
        return None
    if not query[name].isdigit() or not least <= int(query[name]) <= most:
        raise bad_request(f"Invalid value '{query[name]}' for {name} query option found.", "ErrorInvalidUrlQuery")
    return int(query[name])


def _ordered(found: Sequence[Event], text: str) -> Sequence[Event]:
    for part in reversed(text.split(",")):
        name, _, way = part.strip().partition(" ")
        if name not in SORTS or way.strip() not in ("", "asc", "desc"):
            raise Refusal(400, "ErrorInvalidUrlQuery", f"The property '{name}' does not support sorting.")
        found = sorted(found, key=SORTS[name], reverse=way.strip() == "desc")
    return found
