"""Teams meetings apart from events (onlinemeeting-createorget, onlinemeeting-get, resource onlinemeeting)."""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from tests.support.graph_stand_in.blob import new_meeting
from tests.support.graph_stand_in.errors import JSON, Refusal, Reply
from tests.support.graph_stand_in.world import Application, User, World

_FILTER = re.compile(r"\s*(?P<name>[\w/]+)\s+eq\s+'(?P<value>(?:[^']|'')*)'\s*", re.IGNORECASE)
_SAYS: Mapping[str, tuple[str, str, str, str]] = {
    "en": ("Join Microsoft Teams Meeting", "Toll", "Conference ID:", "Local numbers"),
    "de": ("An Microsoft Teams-Besprechung teilnehmen", "Gebührenpflichtig", "Konferenz-ID:", "Lokale Nummern"),
    "fr": ("Rejoindre la réunion Microsoft Teams", "Payant", "ID de conférence :", "Numéros locaux"),
    "es": ("Unirse a la reunión de Microsoft Teams", "De pago", "Id. de conferencia:", "Números locales"),
    "ja": ("Microsoft Teams 会議に参加", "有料", "会議 ID:", "最寄りの国の電話番号を検索"),
}


def invalid(message: str) -> Refusal:
    return Refusal(400, "InvalidArgument", message)


class Meetings:
    def __init__(self, world: World) -> None:
        self.world = world

    def organizer(self, name: str, application: Application) -> User:
        """The user of the path: by object id alone, and with the Teams application access policy."""
        if not {"OnlineMeetings.ReadWrite.All", "OnlineMeetings.Read.All"} & set(application.roles):
            raise Refusal(403, "Forbidden", "Application is not authorized to perform this operation.")
        try:
            wanted = str(uuid.UUID(name))
        except ValueError as bad:
            # both pages: userId is the object ID of a user
            raise invalid("The user id in the path must be the object ID of a user.") from bad
        user = self.world.users.get(wanted)
        if user is None:
            raise Refusal(404, "NotFound", "The user was not found.")
        if not user.teams_policy:
            # cloud-communication-online-meeting-application-access-policy
            message = (
                f"No application access policy found for this app: {application.client_id} on the user: {user.id}."
            )
            raise Refusal(403, "Forbidden", message)
        return user

    def create_or_get(self, user: User, application: Application, asked: Any, language: str) -> Reply:
        """The meeting of this external id, made if there is none; the same answer each time."""
        if "OnlineMeetings.ReadWrite.All" not in application.roles:
            raise Refusal(403, "Forbidden", "Application is not authorized to perform this operation.")
        if not isinstance(asked, dict) or not isinstance(asked.get("externalId"), str) or not asked["externalId"]:
            raise invalid("The parameter externalId is required.")
        now = self.world.clock.now()
        starts = _time(asked["startDateTime"]) if asked.get("startDateTime") else None
        ends = _time(asked["endDateTime"]) if asked.get("endDateTime") else None
        if ends is not None and (starts is None or ends < starts):
            raise invalid("The endDateTime must come with a startDateTime, and after it.")
        found = self.world.meetings.get((user.id, asked["externalId"]))
        if found is not None:
            return Reply(200, self.shown(found, language))
        begin = starts or now
        meeting = new_meeting(
            self.world,
            user,
            asked["externalId"],
            subject=asked.get("subject"),
            starts=begin.strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
            ends=(ends or begin + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%f0Z"),
        )
        return Reply(201, self.shown(meeting, language))

    def delete(self, user: User, application: Application, name: str) -> Reply:
        """onlinemeeting-delete."""
        if "OnlineMeetings.ReadWrite.All" not in application.roles:
            raise Refusal(403, "Forbidden", "Application is not authorized to perform this operation.")
        for key, meeting in list(self.world.meetings.items()):
            if meeting["organizer"] == user.id and meeting["id"] == name:
                del self.world.meetings[key]
                return Reply(204)
        raise Refusal(404, "NotFound", "The meeting was not found.")

    def find(self, user: User, query: Mapping[str, str], language: str) -> Reply:
        """By JoinWebUrl or joinMeetingId; nothing else can be asked (msgraph-sdk-dotnet#2492)."""
        match = _FILTER.fullmatch(query.get("$filter", ""))
        name = match["name"].lower() if match else ""
        if match is None or name not in ("joinweburl", "joinmeetingidsettings/joinmeetingid"):
            raise invalid("Filter expression expected - /onlineMeetings?$filter={ParameterName} eq '{id}'.")
        key = "joinWebUrl" if name == "joinweburl" else "joinMeetingId"
        wanted = match["value"].replace("''", "'")
        mine = [m for m in self.world.meetings.values() if m["organizer"] == user.id and m[key] == wanted]
        return Reply(200, {"value": [self.shown(meeting, language) for meeting in mine[:1]]})

    def one(self, user: User, name: str, language: str) -> Reply:
        for meeting in self.world.meetings.values():
            if meeting["organizer"] == user.id and meeting["id"] == name:
                return Reply(200, self.shown(meeting, language))
        raise Refusal(404, "NotFound", "The meeting was not found.")

    def shown(self, meeting: Mapping[str, Any], language: str) -> JSON:
        user = self.world.users[meeting["organizer"]]
        audio = self._audio(meeting, user)
        return {
            "id": meeting["id"],
            "creationDateTime": "2026-01-01T00:00:00Z",
            "startDateTime": meeting.get("starts"),
            "endDateTime": meeting.get("ends"),
            "joinUrl": meeting["joinWebUrl"],
            "joinWebUrl": meeting["joinWebUrl"],
            "subject": meeting.get("subject"),
            "externalId": meeting["externalId"],
            "isBroadcast": False,
            "isEntryExitAnnounced": True,
            "allowedPresenters": "everyone",
            "videoTeleconferenceId": None,
            "participants": {
                "organizer": {"upn": user.upn, "role": "presenter", "identity": {"user": {"id": user.id}}},
                "attendees": [],
            },
            "lobbyBypassSettings": {"scope": "organization", "isDialInBypassEnabled": False},
            "audioConferencing": audio,
            "joinInformation": {
                "content": "data:text/html," + quote_plus(self._text(meeting, audio, language)),
                "contentType": "html",
            },
            "joinMeetingIdSettings": {
                "isPasscodeRequired": True,
                "joinMeetingId": meeting["joinMeetingId"],
                "passcode": meeting["passcode"],
            },
            "chatInfo": {"threadId": "19:meeting@thread.v2", "messageId": "0", "replyChainMessageId": None},
        }

    def _audio(self, meeting: Mapping[str, Any], user: User) -> JSON | None:
        """Resource audioconferencing: only where the organizer has a licence for it; the bridge's numbers of today."""
        if not user.licensed:
            return None
        if meeting["audio"] is None:
            meeting["audio"] = {"conferenceId": f"{400_000_000 + self.world.number('late')}"}  # type: ignore[index]
        digits = meeting["audio"]["conferenceId"]
        toll, free = self.world.bridge["toll"], self.world.bridge["tollFree"]
        return {
            "conferenceId": digits,
            "tollNumber": toll,
            "tollNumbers": [toll, *self.world.bridge.get("moreTolls", [])] if toll else [],
            "tollFreeNumber": free,
            "tollFreeNumbers": [free] if free else [],
            "dialinUrl": f"https://dialin.teams.microsoft.com/{self.world.tenant}?id={digits}",
        }

    def _text(self, meeting: Mapping[str, Any], audio: JSON | None, language: str) -> str:
        """The text that a client writes into an invitation, in the language asked for; English otherwise."""
        code = re.split(r"[-,;_]", language.strip().lower())[0]
        join, toll, conference, local = _SAYS.get(code, _SAYS["en"])
        url = html.escape(meeting["joinWebUrl"])
        rule = f'<div style="width:100%;height:20px;"><span style="white-space:nowrap;">{"_" * 80}</span></div>'
        rows = [rule, '<div class="me-email-text">', f'<div><a class="me-email-headline" href="{url}">{join}</a></div>']
        if audio:
            digits = audio["conferenceId"]
            shown = " ".join(digits[n : n + 3] for n in range(0, len(digits), 3))
            number = html.escape(audio["tollNumber"] or "")
            rows += [
                f'<div><a class="me-email-link" href="tel:{number},,{digits}#">{number}</a>'
                f"<span>&nbsp; ({toll})</span></div>",
                f"<div><span>{conference}</span> <span>{shown}#</span></div>",
                f'<div><a class="me-email-link" href="{audio["dialinUrl"]}">{local}</a></div>',
            ]
        return "\r\n".join([*rows, "</div>", rule])


def _time(text: Any) -> datetime:
    try:
        head = re.sub(r"(\.\d{6})\d+", r"\1", str(text))
        found = datetime.fromisoformat(head)
    except ValueError as bad:
        raise invalid(f"'{text}' is no date and time.") from bad
    return found if found.tzinfo else found.replace(tzinfo=UTC)
