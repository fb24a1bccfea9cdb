"""Messages as Teams takes them and gives them back.

Graph keeps no key of ours with a message. It is known again by its time, which is unique to the millisecond in a
channel, its author, and its text.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

from migrations_app.chat.archive.records import MessageKind
from migrations_app.chat.conversion.outgoing import OutgoingMessage

STORY = "Story"
"""The subject of a story; its title stands in the text. Not translated, as it is read back."""
_BREAKS = frozenset({"p", "div", "blockquote", "li"})


def payload(message: OutgoingMessage, user: str, attachment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The body of the request that imports a message. ``user`` is the object id of its author; ``attachment`` the file
    as it is in the channel's folder."""
    if message.html is None and attachment is None:
        body = {"contentType": "text", "content": message.text}
    else:
        shown = message.html if message.html is not None else html.escape(message.text).replace("\n", "<br>")
        mark = "" if attachment is None else f'<attachment id="{attachment["id"]}"></attachment>'
        body = {"contentType": "html", "content": shown + mark}
    sent: dict[str, Any] = {
        "createdDateTime": written_time(message.at),
        "from": {"user": {"id": user, "userIdentityType": "aadUser"}},
        "body": body,
    }
    if message.kind is MessageKind.ALERT:
        sent["importance"] = "high"
    if message.kind is MessageKind.STORY:
        sent["subject"] = STORY
    if attachment is not None:
        sent["attachments"] = [dict(attachment)]
    return sent


def text_of(told: Mapping[str, Any]) -> str:
    """The plain text of a message as Graph gives it."""
    body = told.get("body")
    content = str(body.get("content") or "") if isinstance(body, Mapping) else ""
    if not isinstance(body, Mapping) or body.get("contentType") == "text":
        return content
    reader = _Text()
    reader.feed(content)
    reader.close()
    return "".join(reader.parts)


def kind_of(told: Mapping[str, Any]) -> MessageKind:
    """What it is, by what :func:`payload` made of it."""
    if attachments_of(told):
        return MessageKind.FILE
    if told.get("importance") == "high":
        return MessageKind.ALERT
    return MessageKind.STORY if told.get("subject") == STORY else MessageKind.MESSAGE


def attachments_of(told: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The files that it shows."""
    found = told.get("attachments")
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def author_of(told: Mapping[str, Any]) -> str:
    """The object id of its author; empty where it is no user."""
    sender = told.get("from")
    user = sender.get("user") if isinstance(sender, Mapping) else None
    return str(user.get("id") or "") if isinstance(user, Mapping) else ""


def time_of(told: Mapping[str, Any]) -> datetime | None:
    """When it was written; None where that cannot be read."""
    try:
        found = datetime.fromisoformat(str(told.get("createdDateTime")))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def is_message(told: Mapping[str, Any]) -> bool:
    """Whether somebody wrote it, and it was not deleted: channels have events of their own, too."""
    return told.get("messageType") == "message" and not told.get("deletedDateTime")


def is_same(told: Mapping[str, Any], message: OutgoingMessage, user: str) -> bool:
    """Whether what is there is this message: time, author, and words."""
    return (
        time_of(told) == message.at
        and author_of(told).casefold() == user.casefold()
        and _compared(text_of(told)) == _compared(message.text)
    )


def written_time(at: datetime) -> str:
    """A time as Graph writes it, to the millisecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def id_of_time(at: datetime) -> str:
    """The id that Teams gives the message of this time: milliseconds since 1970, as all published examples show."""
    return str(int(at.timestamp()) * 1000 + at.microsecond // 1000)


def _compared(text: str) -> str:
    """Without what Teams may change when it stores HTML: the width of spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "br" or (tag in _BREAKS and self.parts and not self.parts[-1].endswith("\n")):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
