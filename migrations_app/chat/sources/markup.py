"""What the plain text of a message of Persistent Chat tells about its kind and its files (chat.md, section 1).

The text itself stays as it is: what becomes of links and stories at a target is decided there.
"""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote

from migrations_app.chat.archive.records import MessageKind

STORY = "[STORY]"
FILE_LINK = "ma-filelink:"
LONGEST_FILE_NAME = 255

_LINK = re.compile(r"ma-filelink:[^\s\"'<>]*", re.IGNORECASE)
_STORE_NAME = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:\.[\w-]{1,20}){0,3}", re.IGNORECASE
)
_ELEMENT = re.compile(r"<a\b[^<>]*ma-filelink:[^<>]*>([^<]*)</a>", re.IGNORECASE)
_TOLD = re.compile(r"[?&;](?:filename|name)=([^&;\"']+)", re.IGNORECASE)


def kind_of(text: str, *, is_alert: bool = False) -> MessageKind:
    """An alert is one whatever its text says; a story may show a file."""
    if is_alert:
        return MessageKind.ALERT
    if text.startswith(STORY):
        return MessageKind.STORY
    return MessageKind.FILE if FILE_LINK in text.lower() else MessageKind.MESSAGE


def files_in(text: str) -> list[tuple[str, str]]:
    """For each file link its name in the file store, which is a GUID with an extension, and the name that people see.

    The exact form of the link is not published: the GUID is taken wherever it stands in the link. A link without one
    is named by its last part.
    """
    if FILE_LINK not in text.lower():
        return []
    seen = {_store_name(match.group()): _shown(match.group(1)) for match in _ELEMENT.finditer(text)}
    found: dict[str, str] = {}
    for match in _LINK.finditer(text):
        link = unescape(match.group())
        name = _store_name(link)
        if name and name not in found:
            told = _TOLD.search(link)
            found[name] = seen.get(name) or (_shown(unquote(told.group(1))) if told else "") or name
    return list(found.items())


def store_name(text: str) -> str:
    """The name in the file store of a file that is named by it, such as ``<GUID>.txt``; empty where there is none."""
    return _store_name(f"{FILE_LINK}{text}")


def _store_name(link: str) -> str:
    guid = _STORE_NAME.search(link)
    if guid:
        return guid.group().lower()
    match = _LINK.search(link)
    path = unquote(unescape(match.group() if match else link)).split(":", 1)[-1].split("?", 1)[0]
    last = path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"[^\w.-]", "_", last).strip(".")[:LONGEST_FILE_NAME]


def _shown(name: str) -> str:
    return unescape(name).strip()[:LONGEST_FILE_NAME]
