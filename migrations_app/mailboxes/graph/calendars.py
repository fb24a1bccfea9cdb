"""Which calendars of a mailbox MMS looks at: the user's own, and of these only what may be changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from migrations_app.failures import Failure
from migrations_app.mailboxes.graph import queries
from migrations_app.mailboxes.graph.answers import JSON, flag, id_of, objects, text
from migrations_app.microsoft.client import Graph
from tenants_app.sentences import sentence


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar that the mailbox shows."""

    id: str
    name: str
    owner: str
    """Address in lower case; empty where nobody is named."""
    may_write: bool
    is_default: bool


def all_calendars(graph: Graph, upn: str) -> Sequence[Calendar]:
    """All that the user sees, those of others among them. Raises ``Failure``."""
    pages = graph.pages(f"{queries.user_path(upn)}/calendars", queries.CALENDARS)
    return [_calendar(given) for page in pages for given in page]


def own_calendars(
    graph: Graph, upn: str, addresses: Collection[str], names: Collection[str] = ()
) -> Sequence[Calendar]:
    """Those that are the user's own and may be changed, of these names (folded) where some are given.

    The user's addresses in Exchange need not all be known to MMS: whoever owns the default calendar is the user.
    Raises ``Failure``, also where there is none.
    """
    found = own_among(all_calendars(graph, upn), addresses)
    if names:
        found = [calendar for calendar in found if calendar.name.casefold() in names]
    if not found:
        raise none_of_their_own(upn, names)
    return found


def none_of_their_own(upn: str, names: Collection[str]) -> Failure:
    """That no calendar is there that MMS may change, of these names where some are meant."""
    told = (
        sentence(
            "%(upn)s has no calendar named %(names)s of their own that MMS may change",
            upn=upn,
            names=", ".join(sorted(names)),
        )
        if names
        else sentence("%(upn)s has no calendar of their own that MMS may change", upn=upn)
    )
    return Failure("mailbox-not-found", told)


def own_among(calendars: Sequence[Calendar], addresses: Collection[str]) -> Sequence[Calendar]:
    """Those that are the user's own and may be changed."""
    own = {*addresses, "", *(calendar.owner for calendar in calendars if calendar.is_default)}
    return [calendar for calendar in calendars if calendar.may_write and calendar.owner in own]


def _calendar(given: JSON) -> Calendar:
    return Calendar(
        id_of(given),
        text(given, "name"),
        text(objects(given, "owner"), "address").lower(),
        flag(given, "canEdit"),
        flag(given, "isDefaultCalendar"),
    )
