"""Who asks the dial-in directory: Jitsi Meet's page, and a telephone bridge in front of a SIP gateway.

Written after what Jitsi publishes: ``getDialInNumbers`` and ``getDialInConferenceID`` of its page
(react/features/invite/_utils.ts), how its config.js and web server make a room's address of a link
(doc/debian/jitsi-meet), and resources/cloud-api.swagger. Nothing here is shared with the directory itself.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.test import Client


class Fetched(NamedTuple):
    """What came back, with the names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


Fetch = Callable[[str, Mapping[str, str]], Fetched]
"""Gets an address with headers."""


def over_http(address: str, headers: Mapping[str, str]) -> Fetched:
    """From a server that runs."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=dict(headers)), timeout=30) as answer:  # noqa: S310
            return _fetched(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return _fetched(error.code, error.headers, error.read())


def in_process(client: Client | None = None) -> Fetch:
    """From the views themselves."""
    client = client or Client()

    def fetch(address: str, headers: Mapping[str, str]) -> Fetched:
        answer = client.get(address, headers=headers)
        return _fetched(answer.status_code, answer.headers, answer.content)

    return fetch


def _fetched(status: int, headers: Any, body: bytes) -> Fetched:
    return Fetched(status, {name.lower(): value for name, value in headers.items()}, body.decode())


class Invitation(NamedTuple):
    """What Jitsi shows of how to dial in."""

    number: str
    conference_id: str


@dataclass(frozen=True, slots=True)
class JitsiMeet:
    """The page behind a join link, whose config.js names the two addresses of the directory."""

    dial_in_numbers_url: str
    dial_in_conf_code_url: str
    fetch: Fetch = field(default_factory=in_process)

    def numbers(self, join_url: str) -> list[dict[str, Any]]:
        """The numbers that it lists; empty where dialling in is not supported."""
        room, muc = _room_and_muc(join_url)
        separator = "&" if "?" in self.dial_in_numbers_url else "?"
        asked = self.fetch(f"{self.dial_in_numbers_url}{separator}conference={room}@{muc}", _origin(join_url))
        return list(asked.json) if asked.status == 200 else []

    def conference_id(self, join_url: str) -> int | None:
        """The ID that it shows for the meeting; None where it shows none."""
        room, muc = _room_and_muc(join_url)
        separator = "&" if "?" in self.dial_in_conf_code_url else "?"
        address = f"{self.dial_in_conf_code_url}{separator}conference={room}@{muc}&url={join_url.partition('?')[0]}"
        asked = self.fetch(address, _origin(join_url))
        if asked.status != 200 or not asked.json["conference"] or not asked.json["id"]:
            return None
        return int(asked.json["id"])

    def default_number(self, join_url: str) -> str | None:
        """The number of its invitation text: the one marked as default, else the first."""
        numbers = self.numbers(join_url)
        marked = [number for number in numbers if number.get("default")]
        return next((number["formattedNumber"] for number in [*marked, *numbers]), None)


@dataclass(frozen=True, slots=True)
class TelephoneBridge:
    """Answers calls: asks the caller for an ID, the directory for its room, and has the SIP gateway join that."""

    conference_mapper_url: str
    key: str
    fetch: Fetch = field(default_factory=in_process)

    def room(self, conference_id: str, dialled: str = "") -> str | None:
        """The address of the room that the caller is put through to; None where the ID leads nowhere."""
        number = f"&number={dialled.replace('+', '%2B')}" if dialled else ""
        address = f"{self.conference_mapper_url}?id={conference_id}{number}"
        asked = self.fetch(address, {"Authorization": f"Bearer {self.key}"})
        assert asked.status == 200, asked.text
        found = asked.json
        assert set(found) == {"message", "id", "conference"}
        if found["conference"] is False:
            return None
        assert str(found["id"]) == conference_id
        return str(found["conference"])


def room_address(join_url: str) -> str:
    """The room that Jitsi opens at a link."""
    room, muc = _room_and_muc(join_url)
    return f"{room}@{muc}"


def _room_and_muc(join_url: str) -> tuple[str, str]:
    address = urlsplit(join_url)
    *path, room = address.path.strip("/").split("/")
    subdomain = path[-1].replace(".", "_").lower() + "." if path else ""
    return room.lower(), f"conference.{subdomain}{address.hostname}"


def _origin(join_url: str) -> dict[str, str]:
    address = urlsplit(join_url)
    return {"Origin": f"{address.scheme}://{address.netloc}"}
