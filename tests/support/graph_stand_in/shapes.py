"""Events as JSON (resource event), in the way that a request prefers."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migrations_app.mailboxes.exchange.events import Kind, Person
from tests.support.graph_stand_in.errors import JSON, words
from tests.support.graph_stand_in.odata import Fields
from tests.support.graph_stand_in.recurring import recurrence, told, windows
from tests.support.graph_stand_in.world import SEQUENCE_ID, Event, World, opaque

KNOWN = frozenset(
    words(
        "id createdDateTime lastModifiedDateTime changeKey categories transactionId originalStartTimeZone "
        "originalEndTimeZone iCalUId reminderMinutesBeforeStart isReminderOn hasAttachments subject bodyPreview "
        "importance sensitivity isAllDay isCancelled isOrganizer responseRequested seriesMasterId showAs type webLink "
        "onlineMeetingUrl isOnlineMeeting onlineMeetingProvider allowNewTimeProposals isDraft "
        "hideAttendees responseStatus body start end location locations recurrence attendees organizer onlineMeeting "
        "originalStart attachments calendar extensions instances "
        "singleValueExtendedProperties multiValueExtendedProperties"
    )
)
PREVIEW = frozenset({"occurrenceId", "cancelledOccurrences", "exceptionOccurrences", "uid"})
"""What only the beta's pages name of an event: v1.0 knows it where a test says so."""
_TYPES = {
    Kind.SINGLE: "singleInstance",
    Kind.SERIES: "seriesMaster",
    Kind.EXCEPTION: "exception",
}
_ANSWERS = {
    "ACCEPTED": "accepted",
    "DECLINED": "declined",
    "TENTATIVE": "tentativelyAccepted",
    "NEEDS-ACTION": "none",
}
_NEVER = "0001-01-01T00:00:00Z"
_STAMP = "2026-01-01T00:00:00.0000000Z"
EXCHANGE_UID = "040000008200E00074C5B7101A82E008"


@dataclass(frozen=True)
class Preferences:
    """What the header ``Prefer`` asks for."""

    immutable: bool = False
    zone: str = "UTC"
    text: bool = False
    page: int = 0
    applied: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, header: str) -> Preferences:
        found = {
            name.lower(): value.strip('"') for name, value in re.findall(r'([\w.-]+)\s*=\s*("[^"]*"|[^,;\s]+)', header)
        }
        size = found.get("odata.maxpagesize", "")
        applied = [
            f'{name}="{found[name]}"' for name in ("outlook.timezone", "outlook.body-content-type") if name in found
        ]
        return cls(
            immutable=found.get("idtype", "").lower() == "immutableid",
            zone=found.get("outlook.timezone", "UTC"),
            text=found.get("outlook.body-content-type", "").lower() == "text",
            page=int(size) if size.isdigit() else 0,
            applied=tuple(applied),
        )


def type_of(event: Event) -> str:
    return "occurrence" if event.other.get("occurrence") else _TYPES[event.kind]


def uid_of(event: Event) -> str:
    """iCalUId: "different for each occurrence in a recurring series" (resource event). Where Exchange made the UID, the
    day stands in it (MS-OXOCAL 2.2.1.27, PidLidGlobalObjectId)."""
    if event.recurrence_id is None or not event.uid.upper().startswith(EXCHANGE_UID):
        return event.uid
    day = event.recurrence_id
    return f"{event.uid[:32]}{day.year:04X}{day.month:02X}{day.day:02X}{event.uid[40:]}"


def as_text(content: str) -> str:
    """HTML as plain text."""
    content = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", "", content)
    content = re.sub(r"(?i)<(br|/p|/div|/tr)\b[^>]*>", "\r\n", content)
    return html.unescape(re.sub(r"(?s)<[^>]*>", "", content)).replace("\xa0", " ")


def as_html(content: str) -> str:
    """Plain text as Exchange shows it in HTML (event-get: bodies are returned in HTML unless text is preferred)."""
    lines = html.escape(content, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
    return (
        '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>\r\n'
        f'<div class="PlainText">{lines}</div>\r\n</body></html>'
    )


def body_of(event: Event, text: bool) -> JSON:
    content = event.said("body") or ""
    is_html = event.is_html if event.body is not None or event.master is None else event.master.is_html
    if text:
        return {"contentType": "text", "content": as_text(content) if is_html else content}
    return {"contentType": "html", "content": content if is_html else as_html(content)}


def person(who: Person | None) -> JSON:
    return {"emailAddress": {"name": who.name or who.address, "address": who.address}} if who else {}


def attendee(who: Person) -> JSON:
    kind = "resource" if who.is_room else "optional" if who.role == "OPT-PARTICIPANT" else "required"
    response = "organizer" if who.role == "CHAIR" else _ANSWERS.get(who.answer, "none")
    return {"type": kind, "status": {"response": response, "time": _NEVER}, **person(who)}


def place(name: str) -> JSON:
    return {"displayName": name, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"}


def identity(event: Event, immutable: bool) -> str:
    return event.key if immutable else event.rest_id


def utc(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f0")


def as_json(
    world: World, event: Event, prefers: Preferences, only: frozenset[str], expand: Mapping[str, str], one: bool = False
) -> JSON:
    """The event. ``only`` what is selected (all where empty); ``one`` where it was asked for by its id."""
    answer: JSON = {"@odata.etag": f'W/"{event.change_key}"', "id": identity(event, prefers.immutable)}
    for name, value in _PARTS.items():
        if (name in only) if only else (name not in PREVIEW):
            answer[name] = value(world, event, prefers)
    if one and event.kind == Kind.SERIES and "cancelledOccurrences" in only:
        # resource event: given only when selected, of a master asked for by its id
        answer["cancelledOccurrences"] = [_occurrence_id(event, start, prefers) for start in event.excluded]
    if expand:
        have = {**(event.said("properties") or {}), SEQUENCE_ID: str(event.sequence)}
        found = [{"id": name, "value": have[name]} for name in expand if name in have]
        if found:
            answer["singleValueExtendedProperties"] = found
    return answer


def _occurrence_id(event: Event, start: datetime, prefers: Preferences) -> str:
    return f"OID.{identity(event.series, prefers.immutable)}.{start:%Y-%m-%d}"


def _meeting(world: World, event: Event) -> JSON | None:
    url = event.said("join_url")
    if not url:
        return None
    known = next((m for m in world.meetings.values() if m["joinWebUrl"] == url), None)
    audio = (known or {}).get("audio") or {}
    shown = {"joinUrl": url}
    if audio:
        shown |= {"conferenceId": audio["conferenceId"], "tollNumber": world.bridge["toll"]}
    return shown


def provider_of(event: Event) -> str:
    return event.said("provider") if event.said("join_url") else "unknown"


_PARTS: Mapping[str, Any] = {
    "createdDateTime": lambda w, e, p: _STAMP,
    "lastModifiedDateTime": lambda w, e, p: e.series.other.get("modified", _STAMP),
    "changeKey": lambda w, e, p: e.change_key,
    "categories": lambda w, e, p: e.other.get("categories", []),
    "transactionId": lambda w, e, p: None,
    "originalStartTimeZone": lambda w, e, p: windows(e.series.zone),
    "originalEndTimeZone": lambda w, e, p: windows(e.series.zone),
    "iCalUId": lambda w, e, p: uid_of(e),
    "uid": lambda w, e, p: e.uid,
    "reminderMinutesBeforeStart": lambda w, e, p: e.other.get("reminderMinutesBeforeStart", 15),
    "isReminderOn": lambda w, e, p: e.other.get("isReminderOn", True),
    "hasAttachments": lambda w, e, p: False,
    "subject": lambda w, e, p: e.said("subject"),
    "bodyPreview": lambda w, e, p: as_text(body_of(e, True)["content"]).strip()[:255],
    "importance": lambda w, e, p: e.other.get("importance", "normal"),
    "sensitivity": lambda w, e, p: e.sensitivity,
    "isAllDay": lambda w, e, p: e.is_all_day,
    "isCancelled": lambda w, e, p: e.is_cancelled,
    "isOrganizer": lambda w, e, p: e.series.is_organizer,
    "responseRequested": lambda w, e, p: True,
    "seriesMasterId": lambda w, e, p: identity(e.master, p.immutable) if e.master else None,
    "showAs": lambda w, e, p: e.other.get("showAs", "busy"),
    "type": lambda w, e, p: type_of(e),
    "webLink": lambda w, e, p: f"https://outlook.office365.com/owa/?itemid={opaque(e.key)}&exvsurl=1&path=/calendar/item",
    "onlineMeetingUrl": lambda w, e, p: None,
    "isOnlineMeeting": lambda w, e, p: bool(e.said("join_url")),
    "onlineMeetingProvider": lambda w, e, p: provider_of(e),
    "allowNewTimeProposals": lambda w, e, p: e.other.get("allowNewTimeProposals", True),
    "occurrenceId": lambda w, e, p: _occurrence_id(e, e.recurrence_id, p) if e.recurrence_id else None,
    "isDraft": lambda w, e, p: e.is_unsent,
    "hideAttendees": lambda w, e, p: e.other.get("hideAttendees", False),
    "responseStatus": lambda w, e, p: {
        "response": "organizer" if e.series.is_organizer else "notResponded", "time": _NEVER,
    },
    "body": lambda w, e, p: body_of(e, p.text),
    "start": lambda w, e, p: told(e.starts_at, p.zone),
    "end": lambda w, e, p: told(e.ends_at, p.zone),
    "location": lambda w, e, p: place(e.said("location") or ""),
    "locations": lambda w, e, p: [place(e.said("location"))] if e.said("location") else [],
    "recurrence": lambda w, e, p: recurrence(e),
    "attendees": lambda w, e, p: [attendee(who) for who in e.said("attendees") or ()],
    "organizer": lambda w, e, p: person(e.said("organizer")),
    "onlineMeeting": lambda w, e, p: _meeting(w, e),
    "originalStart": lambda w, e, p: e.recurrence_id.strftime("%Y-%m-%dT%H:%M:%SZ") if e.recurrence_id else None,
}  # fmt: skip

FIELDS = Fields(
    {
        "subject": ("String", lambda e: e.said("subject")),
        "start/dateTime": ("String", lambda e: utc(e.starts_at)),
        "end/dateTime": ("String", lambda e: utc(e.ends_at)),
        "createdDateTime": ("DateTimeOffset", lambda e: _STAMP),
        "lastModifiedDateTime": ("DateTimeOffset", lambda e: e.series.other.get("modified", _STAMP)),
        "isAllDay": ("Boolean", lambda e: e.is_all_day),
        "isCancelled": ("Boolean", lambda e: e.is_cancelled),
        "isOrganizer": ("Boolean", lambda e: e.series.is_organizer),
        "hasAttachments": ("Boolean", lambda e: False),
        "type": ("Enum", type_of),
        "importance": ("Enum", lambda e: e.other.get("importance", "normal")),
        "sensitivity": ("Enum", lambda e: e.sensitivity),
        "showAs": ("Enum", lambda e: e.other.get("showAs", "busy")),
        "iCalUId": ("String", uid_of),
        "organizer/emailAddress/address": ("String", lambda e: (e.said("organizer") or Person("")).address),
    },
    KNOWN,
    extended=lambda e: e.said("properties") or {},
)
"""What of events can be filtered. ``isOnlineMeeting``, ``recurrence``, ``attendees`` and others cannot
(microsoft-graph-docs#19106, #1771, #292, #16038)."""
SORTS: Mapping[str, Any] = {
    "start/dateTime": lambda e: e.starts_at,
    "end/dateTime": lambda e: e.ends_at,
    "subject": lambda e: e.said("subject") or "",
    "createdDateTime": lambda e: 0,
    "lastModifiedDateTime": lambda e: e.series.other.get("modified", _STAMP),
}
