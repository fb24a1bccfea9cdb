"""The bodies of requests: PROPFIND (RFC 4918), sync-collection (RFC 6578), calendar-multiget and -query (RFC 4791)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

DAV = "DAV:"
CALDAV = "urn:ietf:params:xml:ns:caldav"
CALENDARSERVER = "http://calendarserver.org/ns/"

_PREFIXES = {DAV: "d", CALDAV: "c", CALENDARSERVER: "s"}
_DECLARED = " ".join(f'xmlns:{prefix}="{namespace}"' for namespace, prefix in _PREFIXES.items())
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def dav(name: str) -> str:
    """The tag of an element of WebDAV, as ElementTree writes it."""
    return f"{{{DAV}}}{name}"


def caldav(name: str) -> str:
    """The tag of an element of CalDAV."""
    return f"{{{CALDAV}}}{name}"


def calendarserver(name: str) -> str:
    """The tag of an element of Apple's extensions, which nearly every server has."""
    return f"{{{CALENDARSERVER}}}{name}"


def propfind(properties: Iterable[str]) -> bytes:
    """Ask for properties, given by their tags."""
    return _document("d:propfind", _prop(properties))


def sync_collection(token: str) -> bytes:
    """Ask what has changed since the token was given; an empty one asks for everything."""
    inner = f"<d:sync-token>{escape(token)}</d:sync-token><d:sync-level>1</d:sync-level>{_prop([dav('getetag')])}"
    return _document("d:sync-collection", inner)


def calendar_multiget(hrefs: Iterable[str]) -> bytes:
    """Ask for the calendar objects at these paths."""
    asked = _prop([dav("getetag"), caldav("schedule-tag"), caldav("calendar-data")])
    return _document("c:calendar-multiget", asked + "".join(f"<d:href>{escape(href)}</d:href>" for href in hrefs))


def calendar_query(uid: str) -> bytes:
    """Ask for the events with a UID. Servers may find more: a text is matched by a part of it (RFC 4791 section 9.7.5).

    Raises ``ValueError`` for a UID that XML cannot express.
    """
    if _NO_XML.search(uid):
        raise ValueError("not to be expressed in XML")
    wanted = (
        '<c:calendar-data><c:comp name="VCALENDAR"><c:comp name="VEVENT"><c:prop name="UID"/>'
        "</c:comp></c:comp></c:calendar-data>"
    )
    condition = (
        f'<c:filter><c:comp-filter name="VCALENDAR"><c:comp-filter name="VEVENT"><c:prop-filter name="UID">'
        f'<c:text-match collation="i;octet">{escape(uid)}</c:text-match>'
        f"</c:prop-filter></c:comp-filter></c:comp-filter></c:filter>"
    )
    return _document("c:calendar-query", f"<d:prop><d:getetag/>{wanted}</d:prop>{condition}")


def _prop(tags: Iterable[str]) -> str:
    names = []
    for tag in tags:
        namespace, _, name = tag[1:].partition("}")
        names.append(f"<{_PREFIXES[namespace]}:{name}/>")
    return f"<d:prop>{''.join(names)}</d:prop>"


def _document(name: str, inner: str) -> bytes:
    return f'<?xml version="1.0" encoding="utf-8"?><{name} {_DECLARED}>{inner}</{name}>'.encode()
