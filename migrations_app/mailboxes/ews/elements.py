"""Elements of EWS's answers, as exchangelib hands them on: each is one, or an exception."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from migrations_app.failures import Failure
from tenants_app.sentences import sentence

_MOST_AGAIN, _MOST_LISTED = 1_000, 1_000_000
"""How often something may be listed again, because pages move while they are read, and how much there may be."""
_TYPES = {"t": "http://schemas.microsoft.com/exchange/services/2006/types"}


def to_the_end(answers: Iterator[Any]) -> Iterator[Any]:
    """What is listed. Raises ``Failure`` where the list begins anew again and again, and never ends."""
    seen, again = set[str](), 0
    for each in answers:
        element = or_raise(each)
        id_ = next((found.get("Id") or "" for found in element.iter("{*}ItemId", "{*}FolderId")), "")
        again += id_ in seen
        seen.add(id_)
        if again > _MOST_AGAIN or len(seen) > _MOST_LISTED:
            raise Failure("mailbox-answer", sentence("it lists the calendar without an end"))
        yield element


def or_raise(answer: Any) -> Any:
    """The element."""
    if isinstance(answer, Exception):
        raise answer
    return answer


def id_of(item: Any) -> str:
    """The ItemId of an item; empty where it has none."""
    found = item.find("t:ItemId", _TYPES)
    return "" if found is None else found.get("Id") or ""


def folder_of(element: Any) -> dict[str, Any]:
    """What a folder says of itself."""

    def of(path: str) -> str:
        return element.findtext(path, default="", namespaces=_TYPES) or ""

    parent = element.find("t:ParentFolderId", _TYPES)
    return {
        "id": element.find("t:FolderId", _TYPES).get("Id"),
        "parent": "" if parent is None else parent.get("Id"),
        "kind": of("t:FolderClass"),
        "name": of("t:DisplayName"),
        "may_write": of("t:EffectiveRights/t:Modify") != "false",
    }
