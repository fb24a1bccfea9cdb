"""What of meetings and messages keeps a number, in the words of pages and commands (R35)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When

from migrations_app.models import NumberRelease, ShownMeeting, UntoldNumber, Update
from migrations_app.procedures.number_release import holding_meetings, holding_updates
from tenants_app.sentences import sentence

_PROPERTIES = {
    "SUMMARY": sentence("subject"),
    "LOCATION": sentence("location"),
    "DESCRIPTION": sentence("text"),
    "X-ALT-DESC": sentence("HTML text"),
    "STYLED-DESCRIPTION": sentence("HTML text"),
    "COMMENT": sentence("comment"),
    "CONTACT": sentence("contact"),
    "ATTACH": sentence("attachment"),
    "URL": sentence("link"),
    "CONFERENCE": sentence("join link"),
    "ATTENDEE": sentence("an attendee's entry"),
    "ORGANIZER": sentence("the organizer's entry"),
    "CATEGORIES": sentence("category"),
    "": sentence("a damaged line"),
}
"""What people call the properties that they see in their calendars; others go by their own names."""


def where(places: Iterable[Sequence[str]]) -> str:
    """Where in a meeting the number stands, such as “location, reminder”."""
    words = {}
    for component, name in places:
        if component == "VALARM":
            words[str(sentence("reminder"))] = True
        else:
            words[str(_PROPERTIES.get(name, name))] = True
    return ", ".join(words)


def meetings(release: NumberRelease) -> QuerySet[ShownMeeting]:
    """The meetings to come that show the number, with their organizers, by time."""
    return holding_meetings(release).select_related("user").order_by("starts_at", "user__upn", "pk")


def updates(release: NumberRelease) -> QuerySet[Any]:
    """The messages that are not out and keep the number: those first about which a person must decide."""
    order = Case(
        When(update__state=Update.State.QUEUED, then=Value(3)),
        When(update__error_code__in=Update.FOR_A_PERSON, then=Value(2)),
        default=Value(1),
        output_field=IntegerField(),
    )
    rows = holding_updates(release).select_related("update__result__run__user")
    return rows.defer("update__result__spans").annotate(order=order).order_by("order", "pk")


def standing_of(row: UntoldNumber) -> str:
    """Why a message keeps the number, in a word."""
    if row.update.state == Update.State.QUEUED:
        return "Unsent"
    return "InDoubt" if row.update.error_code in Update.FOR_A_PERSON else "GivenUp"


MEETING_FIELDS: Mapping[str, Callable[[ShownMeeting], Any]] = {
    "Number": lambda row: row.release.e164,
    "HeldBy": lambda row: "Meeting",
    "UserPrincipalName": lambda row: row.user.upn,
    "MeetingUid": lambda row: row.uid,
    "Subject": lambda row: row.subject,
    "StartDate": lambda row: row.starts_at,
    "Where": lambda row: where(row.places),
    "Message": lambda row: "",
    "CorrelationId": lambda row: "",
}
"""The fields of a meeting that holds a number, and how each is read."""

UPDATE_FIELDS: Mapping[str, Callable[[UntoldNumber], Any]] = {
    "Number": lambda row: row.number.number,
    "HeldBy": standing_of,
    "UserPrincipalName": lambda row: row.update.result.run.user.upn,
    "MeetingUid": lambda row: row.update.result.uid,
    "Subject": lambda row: row.update.result.subject,
    "StartDate": lambda row: row.update.result.starts_at,
    "Where": lambda row: sentence("invitations that attendees hold"),
    "Message": lambda row: row.update.error_message,
    "CorrelationId": lambda row: str(row.update.result.run.correlation_id),
}
"""The same fields of a message that holds a number."""
