"""Teams meetings in events: their links, their block in the body, and what becomes of them when the body is written."""

from __future__ import annotations

import base64
import html
import re
import uuid
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from tests.support.graph_stand_in.world import Event, Mailbox, User, World

_TEAMS = re.compile(
    r"https://(?:teams\.microsoft\.com|teams\.microsoft\.us|teams\.live\.com)/(?:l/meetup-join|meet)/[^\s\"'<>]+"
)


class Behaviour(StrEnum):
    """What becomes of a Teams meeting whose join link is missing in a body that is written."""

    DOCUMENTED = "documented"
    """It is no online meeting any more (event-update)."""
    ALTERNATING = "alternating"
    """Link and block are away, and come back with the next update (microsoft-graph-docs#9743, #16336)."""
    NEW_LINK = "new-link"
    """The server makes a new meeting at every update (microsoft-graph-docs#18896)."""
    FOLLOWS_BODY = "follows-body"
    """The link is whichever Teams link stands in the body; none where none does (contrib#1895)."""
    REWRITES = "rewrites"
    """As documented, and HTML is stored as Exchange would write it."""


def links(body: str) -> list[str]:
    """Teams links in a body."""
    return _TEAMS.findall(html.unescape(body))


def has(body: str, url: str) -> bool:
    return url in html.unescape(body) or unquote(url) in unquote(html.unescape(body))


def new_meeting(world: World, user: User, external: str = "", **facts: Any) -> dict[str, Any]:
    """A Teams meeting of this user, with a link, a conference ID and a passcode of its own."""
    number = world.number("meeting")
    thread = base64.urlsafe_b64encode(uuid.uuid5(uuid.UUID(user.id), str(number)).hex.encode()).decode()
    context = f"%7b%22Tid%22%3a%22{world.tenant}%22%2c%22Oid%22%3a%22{user.id}%22%7d"
    url = f"https://teams.microsoft.com/l/meetup-join/19%3ameeting_{thread}%40thread.v2/0?context={context}"
    return register(world, user, url, external, **facts)


def register(world: World, user: User, url: str, external: str = "", **facts: Any) -> dict[str, Any]:
    """Remember a meeting with this link."""
    number = world.number("conference")
    digits = f"{300_000_000 + number * 7919}"
    meeting = {
        "id": base64.urlsafe_b64encode(f"1*{user.id}*0**{url}".encode()).decode(),
        "joinWebUrl": url,
        "externalId": external or None,
        "organizer": user.id,
        "joinMeetingId": f"2{number:012d}",
        "passcode": f"Pa{number:04d}",
        "audio": {"conferenceId": digits} if user.licensed else None,
        **facts,
    }
    world.meetings[user.id, external or url] = meeting
    return meeting


def block(world: World, meeting: dict[str, Any]) -> str:
    """The block that the server writes into an event (outlook-calendar-online-meetings shows one)."""
    url = html.escape(meeting["joinWebUrl"])
    lines = [f'<div><a class="me-email-headline" href="{url}">Join Microsoft Teams Meeting</a></div>']
    if meeting["audio"]:
        digits = meeting["audio"]["conferenceId"]
        shown = " ".join(digits[n : n + 3] for n in range(0, len(digits), 3))
        toll = html.escape(world.bridge["toll"])
        lines += [
            f'<div><a class="me-email-link" href="tel:{toll},,{digits}# ">{toll}</a> <span>(Toll)</span></div>',
            f"<div><span>Conference ID: </span><span>{shown}# </span></div>",
        ]
    rule = f'<div style="width:100%; height:20px"><span style="white-space:nowrap; color:gray">{"_" * 80}</span></div>'
    inner = "\r\n".join(lines)
    return f'\r\n{rule}\r\n<div class="me-email-text">\r\n{inner}\r\n</div>\r\n{rule}\r\n'


def with_block(body: str, text: str) -> str:
    """The body with this block at its end."""
    at = body.lower().rfind("</body>")
    return body[:at] + text + body[at:] if at >= 0 else body + text


def enable(world: World, mailbox: Mailbox, event: Event) -> None:
    """Make the event a Teams meeting: link and block are the server's (outlook-calendar-online-meetings)."""
    meeting = new_meeting(world, mailbox.user, subject=event.said("subject"))
    event.join_url, event.provider = meeting["joinWebUrl"], "teamsForBusiness"
    event.body = with_block(event.said("body") or "", block(world, meeting))


def settle(world: World, mailbox: Mailbox, event: Event, wrote_body: bool, behaviour: Behaviour) -> None:
    """After a write: what becomes of the event's meeting. A Skype meeting is left as it is."""
    url = event.said("join_url") or ""
    if event.lost_url:
        if behaviour is Behaviour.ALTERNATING:
            event.join_url, event.lost_url = event.lost_url, ""
            event.provider = "teamsForBusiness"
            if not has(event.said("body") or "", event.join_url):
                meeting = next((m for m in world.meetings.values() if m["joinWebUrl"] == event.join_url), None)
                meeting = meeting or register(world, mailbox.user, event.join_url)
                event.body = with_block(event.said("body") or "", block(world, meeting))
        return
    if not wrote_body:
        return
    body = event.said("body") or ""
    if behaviour is Behaviour.FOLLOWS_BODY:
        if event.said("provider") == "skypeForBusiness" and not links(body):
            return
        event.join_url = next(iter(links(body)), "")
        event.provider = "teamsForBusiness" if event.join_url else "unknown"
        return
    if not url or event.said("provider") != "teamsForBusiness" or has(body, url):
        return
    if behaviour is Behaviour.NEW_LINK:
        enable(world, mailbox, event)
        return
    event.join_url, event.provider = "", "unknown"
    if behaviour is Behaviour.ALTERNATING:
        event.lost_url = url
