"""Test connection: what works of an application's way into a mailbox, step by step, in words; nothing is written."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.findings import NAMED, WARN_BEFORE, Finding, failed, first_of, of_calendars, with_marks
from migrations_app.mailboxes.graph import queries
from migrations_app.mailboxes.graph.answers import JSON, named
from migrations_app.mailboxes.graph.calendars import Calendar, all_calendars, none_of_their_own, own_among
from migrations_app.microsoft.client import Graph
from tenants_app.sentences import sentence

WANTED = "Calendars.ReadWrite"
"""The permission that MMS needs of calendars, whether Entra gave it or a role of Exchange."""
_OF_THE_SIGN_IN = frozenset(
    {
        "application-unknown",
        "application-without-consent",
        "certificate-refused",
        "directory-unknown",
        "mailbox-sign-in-refused",
        "secret-expired",
        "secret-refused",
    }
)


def check(
    graph: Graph, upn: str, addresses: Collection[str], names: Collection[str], secret_ends: datetime | None
) -> Iterator[Finding]:
    """Try a connection on the mailbox of ``upn``, whose addresses these are; ``names`` of calendars, folded, where not
    all are meant, and when its certificate or client secret ends, where that is known.

    Ends after the first step without which the next makes no sense, and says so. Raises nothing of the network.
    """
    step = "address"
    try:
        graph.sign_in(anew=True)
        host = graph.application.cloud.graph.partition("://")[2]
        yield Finding(
            "address", True, sentence("The sign-in of this cloud answers; Graph is asked at %(host)s.", host=host)
        )
        application = graph.application
        how = sentence("certificate") if application.has_certificate else sentence("client secret")
        yield Finding(
            "sign-in",
            True,
            sentence(
                "Microsoft lets the application %(client_id)s in by its %(how)s.",
                client_id=application.client_id,
                how=how,
            ),
        )
        yield _ends(how, secret_ends)
        yield _permission(graph.roles)
        step = "mailbox"
        calendars = all_calendars(graph, upn)
        rights = _rights(upn, calendars, addresses, names)
        yield rights
        if not rights.ok:
            return
        step = "filters"
        paths = [
            queries.calendar_events_path(upn, calendar.id)
            for calendar in _meant(own_among(calendars, addresses), names)
        ]
        now = datetime.now(UTC)
        events = [event for path in paths for event in _first_page(graph, path, queries.to_come(now))]
        online = sum(len(_first_page(graph, path, queries.online(now))) for path in paths)
        yield Finding("filters", True, _found(len(events), online))
        step = "ids"
        yield _ids(graph, upn, events)
        yield Finding(
            "scheduling",
            True,
            sentence(
                "Exchange Online tells attendees of every change itself, one message for a series and one "
                "for each of its exceptions that is changed, so MMS sends them nothing. A test writes "
                "nothing: whether MMS may change the meetings shows at the first run, or by check_graph "
                "--write-to on a test mailbox. %(wanted)s is needed.",
                wanted=WANTED,
            ),
        )
    except Failure as failure:
        step = "sign-in" if step == "address" and failure.code in _OF_THE_SIGN_IN else step
        yield failed(step, failure)


def _ends(what: str, until: datetime | None) -> Finding:
    """Until when the application can sign in with what it has."""
    if until is None:
        return Finding(
            "secret",
            True,
            sentence("Nobody has said when the %(what)s ends: enter it, and MMS warns in time.", what=what),
        )
    day, left = until.date(), until - datetime.now(UTC)
    if left < WARN_BEFORE:
        return Finding(
            "secret",
            True,
            sentence(
                "The %(what)s is good only until %(day)s, that is %(days)s days. Give the application a new "
                "one in Microsoft Entra, and enter it here in time.",
                what=what,
                day=day,
                days=max(left.days, 0),
            ),
            "certificate-refused" if what == "certificate" else "secret-expired",
        )
    return Finding("secret", True, sentence("The %(what)s is good until %(day)s.", what=what, day=day))


def _permission(roles: Collection[str]) -> Finding:
    if WANTED in roles:
        return Finding(
            "permission",
            True,
            sentence(
                "Entra has given the application %(wanted)s for all mailboxes of the organization. Have the "
                "administrator of Exchange restrict it (RBAC for Applications) and take this consent away: "
                "both together open everything.",
                wanted=WANTED,
            ),
            "mailbox-forbidden",
        )
    return Finding(
        "permission",
        True,
        sentence(
            "Entra has given the application no %(wanted)s for all mailboxes, as is right where Exchange "
            "gives it for some of them (RBAC for Applications). The next step shows whether it does.",
            wanted=WANTED,
        ),
    )


def _meant(calendars: Sequence[Calendar], names: Collection[str]) -> Sequence[Calendar]:
    return [calendar for calendar in calendars if not names or calendar.name.casefold() in names]


def _rights(upn: str, calendars: Sequence[Calendar], addresses: Collection[str], names: Collection[str]) -> Finding:
    own = own_among(calendars, addresses)
    meant = _meant(own, names)
    listed = (
        first_of([with_marks(calendar.name, _marks(calendar, own)) for calendar in calendars], NAMED)
        if calendars
        else sentence("no calendar")
    )
    return of_calendars(upn, listed, [calendar.name for calendar in meant], lambda: none_of_their_own(upn, names))


def _marks(calendar: Calendar, own: Sequence[Calendar]) -> list[str]:
    of_others = sentence("of somebody else") if calendar.may_write else sentence("only to be read")
    return [*([sentence("the default")] if calendar.is_default else []), *([] if calendar in own else [of_others])]


def _first_page(graph: Graph, path: str, params: Mapping[str, str]) -> Sequence[JSON]:
    return next(graph.pages(path, params, queries.IN_UTC_AS_HTML), ())


def _found(events: int, online: int) -> str:
    if events >= queries.ON_A_PAGE:
        return sentence(
            "The server filters: at least %(count)s meetings to come and series were found, %(online)s of them with "
            "the link of an online meeting in their properties.",
            count=events,
            online=online,
        )
    return sentence(
        "The server filters: %(count)s meetings to come and series were found, %(online)s of them with the link of an "
        "online meeting in their properties.",
        count=events,
        online=online,
    )


def _ids(graph: Graph, upn: str, events: Sequence[JSON]) -> Finding:
    """Whether what is listed can be asked for by the same id, which an event keeps when it is moved."""
    if not events:
        return Finding(
            "ids", True, sentence("There is no meeting to try the ids with. Put one into the calendar and test again.")
        )
    id_ = named(events[0], "id")
    answer = graph.get(queries.event_path(upn, id_), queries.EVENT, queries.IN_UTC_AS_HTML)
    if answer.status == 404:
        return Finding("ids", True, sentence("The meeting to try the ids with was deleted at this moment. Test again."))
    if answer.body.get("id") != id_:
        failure = Failure("mailbox-answer", sentence("Graph gives a meeting another id than it lists it with"))
        return Finding("ids", False, describe(failure.code, failure.detail), failure.code)
    return Finding(
        "ids", True, sentence("Graph gives meetings ids that stay theirs when they are moved, and finds them by these.")
    )
