"""Answers in XML, read piece by piece: a list of 20,000 objects is never in memory as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any
from xml.etree.ElementTree import Element, ParseError
from xml.parsers.expat import errors

import defusedxml.ElementTree as Defused
from defusedxml import DefusedXmlException

from migrations_app.failures import Failure
from migrations_app.https.addresses import resolve
from migrations_app.mailboxes.caldav.bodies import dav
from migrations_app.mailboxes.caldav.transport import Answer
from tenants_app.sentences import sentence

_MOST_ELEMENTS = 10_000
"""Elements of one response; some hundreds is what servers need for all that is asked here."""
_PIECE = 256 * 1024
_CUT_OFF = {
    errors.codes[reason]
    for reason in (
        errors.XML_ERROR_NO_ELEMENTS,
        errors.XML_ERROR_UNCLOSED_TOKEN,
        errors.XML_ERROR_PARTIAL_CHAR,
        errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}
"""What the parser says of a document that ends too early."""
_STATUS = re.compile(r"HTTP/\S+\s+(\d{3})")


@dataclass(frozen=True, slots=True)
class Response:
    """What an answer says of one path (RFC 4918 section 14.24).

    ``status`` is that of the whole, 200 where only properties have one. ``properties`` are those that were found, by
    their tags; they are good until the next response is asked for.
    """

    href: str
    status: int
    properties: Mapping[str, Element]

    def text(self, tag: str) -> str:
        """The text of a property; empty where there is none."""
        element = self.properties.get(tag)
        return (element.text or "").strip() if element is not None else ""

    def has(self, tag: str, *inner: str) -> bool:
        """Whether a property holds any of these elements, at any depth."""
        element = self.properties.get(tag)
        return element is not None and any(element.find(f".//{name}") is not None for name in inner)


class Multistatus:
    """The responses of an answer, to be gone through once. ``sync_token`` is known after the last.

    Raises ``Failure``: ``mailbox-answer`` for what is no such answer or names objects on another server,
    ``mailbox-unavailable`` for one that breaks off. Entities and document types are refused.
    """

    def __init__(self, answer: Answer) -> None:
        self.sync_token = ""
        self._answer = answer

    def __iter__(self) -> Iterator[Response]:
        with self._answer:
            for element in _children(self._answer, dav("multistatus")):
                if element.tag == dav("response"):
                    yield from self._responses(element)
                elif element.tag == dav("sync-token"):
                    self.sync_token = (element.text or "").strip()

    def _responses(self, element: Element) -> Iterator[Response]:
        found: dict[str, Element] = {}
        for propstat in element.findall(dav("propstat")):
            if _status(propstat) // 100 == 2:
                for prop in propstat.findall(dav("prop")):
                    found.update((inner.tag, inner) for inner in prop)
        status = _status(element)
        for href in element.findall(dav("href")):
            yield Response(self.resolve(href.text or ""), status, found)

    def resolve(self, href: str) -> str:
        """The path that an address in this answer means."""
        answer = self._answer
        try:
            return resolve(href, answer.origin, answer.base)
        except ValueError as error:
            raise Failure(
                "mailbox-answer",
                sentence("the answer about %(base)s names %(error)s", base=answer.base, error=error.args[0]),
            ) from None

    def resolved(self, element: Element | None) -> list[str]:
        """The paths of all addresses in a property; those that are none of this server are left out."""
        paths = []
        for href in element.iter(dav("href")) if element is not None else ():
            try:
                paths.append(resolve(href.text or "", self._answer.origin, self._answer.base))
            except ValueError:
                continue
        return paths


def preconditions(body: IO[bytes]) -> list[str]:
    """The names of the conditions that an error names (RFC 4918 section 16); none where it is no such XML."""
    try:
        return [
            str(element.tag).partition("}")[2]
            for element in _parsed(body, dav("error"))
            if element.tag != dav("responsedescription")
        ]
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return []


class _Pieces:
    """A file that is read in larger pieces than are asked for. An old expat begins anew with each piece of an attribute
    that does not end (CVE-2023-52425), so there must not be many.
    """

    def __init__(self, body: IO[bytes]) -> None:
        self._body = body

    def read(self, _: int) -> bytes:
        return self._body.read(_PIECE)


def _children(answer: Answer, root: str) -> Iterator[Element]:
    try:
        yield from _parsed(answer.body, root)
    except ParseError as error:
        if error.code in _CUT_OFF:
            raise Failure(
                "mailbox-unavailable", sentence("the answer about %(base)s breaks off", base=answer.base)
            ) from None
        raise Failure("mailbox-answer", sentence("the answer about %(base)s is not XML", base=answer.base)) from None
    except (DefusedXmlException, ValueError, LookupError):
        raise Failure(
            "mailbox-answer", sentence("the answer about %(base)s is not the XML of a CalDAV server", base=answer.base)
        ) from None


def _parsed(body: IO[bytes], root: str) -> Iterator[Element]:
    """The children of the root, each emptied once the next is asked for. Raises ``ValueError`` for another root."""
    events: Iterator[tuple[str, Any]] = Defused.iterparse(_Pieces(body), ("start", "end"), forbid_dtd=True)
    top: Element | None = None
    depth = elements = 0
    for event, element in events:
        if event == "start":
            depth += 1
            elements += 1
            if top is None:
                top = element
                if element.tag != root:
                    raise ValueError("another root")
            if elements > _MOST_ELEMENTS:
                raise ValueError("too many elements")
            continue
        depth -= 1
        if depth == 1 and top is not None:
            yield element
            top.clear()
            elements = 0


def _status(element: Element) -> int:
    """The status that an element states; 200 where it states none, 0 where that cannot be read."""
    stated = element.findtext(dav("status"))
    if stated is None:
        return 200
    found = _STATUS.match(stated.strip())
    return int(found[1]) if found else 0
