"""The XML of the compliance service, read by stream (R105; chat.md, F4): nothing of it is kept but the current message.

It is read by defusedxml: a DOCTYPE is refused, so that there are no entities and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from tenants_app.sentences import sentence

LONGEST_TOKEN = 8 * 2**20
"""Octets of one tag with its attributes: the text of a message is one."""
DEEPEST = 32

_PIECE = 2**16
_ROOT = "Conversations"


class BadXml(Exception):
    """The file cannot be read on from there."""

    def __init__(self, line: int | None, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(reason)


@dataclass(slots=True)
class Event:
    """A ``Message`` or ``FirstMessage`` as it stands there."""

    line: int
    attributes: Mapping[str, str]
    sender: Mapping[str, str] = field(default_factory=dict)
    time: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]:
        """All of it but its place, to tell whether two are the same."""
        return self.attributes, self.sender, self.time


Use = Callable[[Mapping[str, str], Event], None]
"""Is given the attributes of the ``Channel``, and the message."""


def read(path: Path, use: Use) -> None:
    """Give each message to ``use``; a ``FirstMessage`` only where it does not repeat the first of ``Messages``.

    Raises ``BadXml``.
    """
    conversations = _Conversations(use)
    parser = DefusedXMLParser(target=conversations, forbid_dtd=True)
    expat = parser.parser
    conversations.line = lambda: expat.CurrentLineNumber
    fed = 0
    try:
        with path.open("rb") as stream:
            while piece := stream.read(_PIECE):
                parser.feed(piece)
                fed += len(piece)
                if fed - expat.CurrentByteIndex > LONGEST_TOKEN:
                    raise BadXml(
                        expat.CurrentLineNumber,
                        sentence("Something here is longer than %(most)s MiB.", most=LONGEST_TOKEN // 2**20),
                    )
            parser.close()
    except DefusedXmlException as refused:
        raise BadXml(
            expat.CurrentLineNumber,
            sentence("The file has a DOCTYPE, which the compliance service never writes, so MMS does not read it."),
        ) from refused
    except ParseError as bad:
        line = bad.position[0] if hasattr(bad, "position") else None
        detail = str(bad).split(":", 1)[0]
        raise BadXml(
            line, sentence("The file is no complete XML: it was cut off or damaged (%(detail)s).", detail=detail)
        ) from bad
    except (LookupError, ValueError) as bad:
        raise BadXml(1, sentence("The file names an encoding that MMS does not know.")) from bad


class _Conversations:
    """What the parser reports to."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self.line: Callable[[], int] = lambda: 0
        self._path: list[str] = []
        self._channel: Mapping[str, str] = {}
        self._event: Event | None = None
        self._first: Event | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rsplit("}", 1)[-1]
        if not self._path and name != _ROOT:
            raise BadXml(
                self.line(),
                sentence("The file begins with %(element)s, and not with Conversations.", element=name),
            )
        if len(self._path) >= DEEPEST:
            raise BadXml(self.line(), sentence("Elements are nested deeper than %(most)s levels.", most=DEEPEST))
        self._path.append(name)
        if name == "Conversation":
            self._channel, self._first = {}, None
        elif name == "Channel":
            self._channel = attributes
        elif name in {"Message", "FirstMessage"}:
            self._event = Event(self.line(), attributes)
        elif self._event is not None and name == "Sender":
            self._event.sender = attributes
        elif self._event is not None and name == "DateTimeUTC":
            self._event.time = attributes

    def end(self, tag: str) -> None:
        name = self._path.pop()
        if name == "Conversation":
            self._use_first()
        elif name == "FirstMessage":
            self._first, self._event = self._event, None
        elif name == "Message" and self._event is not None:
            event, self._event = self._event, None
            if self._first is not None and self._first.content == event.content:
                self._first = None
            self._use_first()
            self._use(self._channel, event)

    def data(self, text: str) -> None:
        """Everything is in attributes."""

    def close(self) -> Any:
        return None

    def _use_first(self) -> None:
        first, self._first = self._first, None
        if first is not None:
            self._use(self._channel, first)
