"""PATCH of an event (event-update), and the mails that the server sends for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from migrations_app.mailboxes.exchange.events import Kind, Person
from tests.support.exchange_html import by_exchange
from tests.support.graph_stand_in.blob import Behaviour, enable, settle
from tests.support.graph_stand_in.copies import Copies, deliver
from tests.support.graph_stand_in.errors import JSON, Refusal, bad_request, words
from tests.support.graph_stand_in.odata import canonical
from tests.support.graph_stand_in.recurring import recurrence, zone_of
from tests.support.graph_stand_in.shapes import EXCHANGE_UID, KNOWN, provider_of
from tests.support.graph_stand_in.world import Event, Mail, Mailbox, World, opaque

__all__ = ["Behaviour", "Updates"]

MOST_ATTENDEES = 500
_WRITABLE = frozenset(
    words(
        "attendees body categories end hideAttendees importance isAllDay isOnlineMeeting isReminderOn location "
        "locations onlineMeetingProvider recurrence reminderMinutesBeforeStart responseRequested sensitivity showAs "
        "start subject allowNewTimeProposals singleValueExtendedProperties multiValueExtendedProperties"
    )
)
_TELL = frozenset(
    words(
        "attendees body end importance isAllDay isOnlineMeeting location locations recurrence sensitivity start "
        "subject singleValueExtendedProperties"
    )
)
"""Whoever is told of which change is not documented line by line; only flags of the owner alone are silent here."""
_KEPT = frozenset(
    words(
        "categories hideAttendees importance isReminderOn reminderMinutesBeforeStart responseRequested showAs "
        "allowNewTimeProposals"
    )
)
_ANSWERS = {"accepted": "ACCEPTED", "declined": "DECLINED", "tentativelyAccepted": "TENTATIVE"}


class Updates:
    """Carries out PATCH. ``behaviour`` is that of Teams blocks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.behaviour = Behaviour.DOCUMENTED
        self.normalise: Callable[[str], str] = by_exchange
        """How HTML is stored under the behaviour "rewrites"."""
        self.properties_tell = True
        """Whether an update of extended properties alone mails attendees: nobody has documented it."""
        self.copies = Copies.NONE
        """What reaches the calendars of attendees."""

    def patch(self, mailbox: Mailbox, event: Event, etag: str, asked: Any) -> Event:
        """Change the event on condition of its ETag. Nothing is changed where anything is refused."""
        if etag and etag.strip() not in ("*", f'W/"{event.change_key}"'):
            # davmail#491 and others: 412 with this code, for a changed change key
            message = (
                "The send or update operation could not be performed because the change key passed in the request "
            )
            raise Refusal(
                412, "ErrorIrresolvableConflict", f"{message}does not match the current change key for the item."
            )
        if not isinstance(asked, dict):
            raise bad_request("Unable to read JSON request payload.", "BadRequest")
        asked = {name: value for name, value in asked.items() if "@odata" not in name}
        self._check(event, asked)
        tells = (
            bool(_TELL & set(asked))
            and event.series.is_organizer
            and (self.properties_tell or set(asked) & _TELL != {"singleValueExtendedProperties"})
        )
        attendees = people(asked["attendees"]) if "attendees" in asked else tuple(event.said("attendees") or ())
        if len(attendees) > MOST_ATTENDEES and tells:
            # resource event: 500 at most, of an event as of the messages that are sent for it
            raise bad_request(
                f"An event may have no more than {MOST_ATTENDEES} attendees.", "ErrorExceededRecipientLimit"
            )
        if event.other.pop("occurrence", None):  # an instance that is changed becomes an exception
            event.series.exceptions.append(event)
            event.series.exceptions.sort(key=lambda e: e.recurrence_id or e.starts_at)
            mailbox.register(event)
        before = {who.address.casefold(): who for who in event.said("attendees") or ()}
        self._write(mailbox, event, asked, attendees)
        event.series.version += 1
        event.series.other["modified"] = self.world.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
        if tells:
            event.is_unsent = False
            self._tell(mailbox, event, set(asked), before)
        return event

    def create(self, mailbox: Mailbox, calendar: str, asked: Any) -> Event:
        """A single event, as checks make one (user-post-events); the same once more for the same transactionId."""
        if not isinstance(asked, dict) or "start" not in asked or "end" not in asked:
            raise bad_request("An event needs a start and an end.", "ErrorPropertyValidationFailure")
        given = {name: value for name, value in asked.items() if name not in ("transactionId", "start", "end")}
        transaction = asked.get("transactionId")
        for known in mailbox.top() if transaction else ():
            if known.other.get("transactionId") == transaction:
                return known
        number = self.world.number("event")
        event = Event(
            key="AAkA" + opaque(f"{mailbox.user.id}:made:{number}"),
            calendar=calendar,
            uid=f"{EXCHANGE_UID}00000000{number:080X}",
            kind=Kind.SINGLE,
            starts_at=moment(asked["start"]),
            ends_at=moment(asked["end"]),
            organizer=Person(mailbox.user.mail, mailbox.user.name),
        )
        self._check(event, given)
        mailbox.register(event)
        event.other["transactionId"] = transaction
        self._write(mailbox, event, given, people(given.get("attendees")))
        self._tell(mailbox, event, set(given), {})
        return event

    def delete(self, mailbox: Mailbox, event: Event) -> None:
        """event-delete; attendees are sent a cancellation."""
        event.other.pop("occurrence", None)
        mailbox.remove(event)
        self._tell(mailbox, event, {"isCancelled"}, {})

    def _check(self, event: Event, asked: Mapping[str, Any]) -> None:
        for name in asked:
            if name not in KNOWN:
                message = f"The property '{name}' does not exist on type 'Microsoft.OutlookServices.Event'."
                raise bad_request(message, "RequestBodyRead")
            if name not in _WRITABLE:
                # resource event: onlineMeeting, onlineMeetingUrl and more are read-only
                raise bad_request(f"The property '{name}' is read-only and cannot be set.", "ErrorInvalidPropertySet")
        online = bool(event.said("join_url"))
        if "isOnlineMeeting" in asked and asked["isOnlineMeeting"] is not True and online:
            message = "An online meeting cannot be made an offline one."  # outlook-calendar-online-meetings
            raise bad_request(message, "ErrorInvalidPropertySet")
        if online and asked.get("onlineMeetingProvider", provider_of(event)) != provider_of(event):
            raise bad_request("The provider of an online meeting cannot be changed.", "ErrorInvalidPropertySet")
        body = asked.get("body", {})
        if not isinstance(body, dict) or not isinstance(body.get("content", ""), str):
            raise bad_request("A value of type 'itemBody' was expected.", "RequestBodyRead")
        if body.get("contentType", "html").lower() not in ("html", "text"):
            raise bad_request("Requested value of BodyType was not found.", "RequestBodyRead")
        if "multiValueExtendedProperties" in asked:
            raise bad_request("The stand-in keeps single values only.", "ErrorInvalidProperty")
        properties(asked.get("singleValueExtendedProperties", []))

    def _write(self, mailbox: Mailbox, event: Event, asked: JSON, attendees: tuple[Person, ...]) -> None:
        if "body" in asked:
            event.body = asked["body"].get("content", "")
            event.is_html = asked["body"].get("contentType", "text").lower() == "html"  # resource itemBody
            if event.body and event.is_html and self.behaviour is Behaviour.REWRITES:
                event.body = self.normalise(event.body)
        if "location" in asked or "locations" in asked:
            places = asked.get("locations") or [asked.get("location") or {}]
            event.location = (places[0] or {}).get("displayName", "")
        if "attendees" in asked:
            event.attendees = attendees
        if "subject" in asked:
            event.subject = asked["subject"] or ""
        if "recurrence" in asked and asked["recurrence"] != recurrence(event):
            raise bad_request("The stand-in changes no recurrence.", "ErrorInvalidRequest")
        if "sensitivity" in asked:
            event.sensitivity = asked["sensitivity"]
        if "isAllDay" in asked:
            event.is_all_day = bool(asked["isAllDay"])
        for name, attribute in (("start", "starts_at"), ("end", "ends_at")):
            if name in asked:
                setattr(event, attribute, moment(asked[name]))
        for name in _KEPT & set(asked):
            event.other[name] = asked[name]
        if "singleValueExtendedProperties" in asked:
            kept = dict(event.said("properties") or {})
            for name, value in properties(asked["singleValueExtendedProperties"]).items():
                kept.pop(name, None)
                if value is not None:
                    kept[name] = value
            event.properties = kept
        settle(self.world, mailbox, event, "body" in asked, self.behaviour)
        if asked.get("isOnlineMeeting") is True and not event.said("join_url"):
            enable(self.world, mailbox, event)

    def _tell(self, mailbox: Mailbox, event: Event, asked: set[str], before: Mapping[str, Person]) -> None:
        """One mail, and one for each modified instance of a series whose master changed (event-update). Where attendees
        alone were changed, only those that came, went or changed are told."""
        for told in [event, *event.exceptions] if event.kind == Kind.SERIES else [event]:
            told.sequence += 1
            now = {who.address.casefold(): who for who in told.said("attendees") or ()}
            if asked == {"attendees"}:
                names = [who for who in {**before, **now} if before.get(who) != now.get(who)]
            else:
                names = list(now)
            organizer = (event.said("organizer") or Person("")).address.casefold()
            recipients = tuple(name for name in names if name != organizer)
            if recipients:
                subject = str(told.said("subject") or "")
                self.world.mails.append(Mail(mailbox.user.upn, told.key, told.uid, subject, recipients))
                deliver(self.world, told, recipients, self.copies, is_gone=asked == {"isCancelled"})


def properties(asked: Any) -> dict[str, str | None]:
    """Extended properties to write; each with id and value (singlevaluelegacyextendedproperty-post-singlevalueextended
    properties; msgraph-sdk-dotnet#1807: without the id ErrorInvalidProperty). None: it goes away."""
    if not isinstance(asked, list):
        raise bad_request("A collection of singleValueLegacyExtendedProperty was expected.", "RequestBodyRead")
    wanted: dict[str, str | None] = {}
    for one in asked:
        if not isinstance(one, dict) or not isinstance(one.get("id"), str) or "value" not in one:
            raise bad_request("An extended property must have an Id and a Value.", "ErrorInvalidProperty")
        if one["value"] is not None and not isinstance(one["value"], str):
            raise bad_request("The value of an extended property must be a string.", "RequestBodyRead")
        name = canonical(one["id"])
        if name in wanted:
            raise bad_request(f"The property '{name}' is given twice.", "ErrorInvalidProperty")
        wanted[name] = one["value"]
    return wanted


def people(asked: Any) -> tuple[Person, ...]:
    found = []
    for one in asked if isinstance(asked, list) else []:
        mail = one.get("emailAddress") or {}
        if not mail.get("address"):
            raise bad_request("At least one recipient is not valid.", "ErrorInvalidRecipients")
        answer = _ANSWERS.get((one.get("status") or {}).get("response", ""), "NEEDS-ACTION")
        kind = one.get("type", "required")
        role = "OPT-PARTICIPANT" if kind == "optional" else "REQ-PARTICIPANT"
        found.append(Person(mail["address"], mail.get("name", ""), answer, role, kind == "resource"))
    return tuple(found)


def moment(asked: Any) -> datetime:
    """A dateTimeTimeZone."""
    try:
        local = datetime.fromisoformat(asked["dateTime"][:19])
        return local.replace(tzinfo=zone_of(asked.get("timeZone", "UTC"))).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as bad:
        raise bad_request("A value of type 'dateTimeTimeZone' was expected.", "RequestBodyRead") from bad
