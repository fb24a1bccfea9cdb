"""What holds of Exchange Online for one mailbox. Only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from migrations_app.failures import Failure
from migrations_app.mailboxes.findings import WARN_BEFORE
from migrations_app.mailboxes.graph import queries
from migrations_app.microsoft.client import JSON, Graph, segment
from migrations_app.tenant_checks.findings import Finding, failed, note, of_failure, ok, unknown
from tenants_app.sentences import sentence, sentence_plural

EVERY_CALENDAR = "Calendars.ReadWrite"
USED = {
    EVERY_CALENDAR: sentence("write into calendars"),
    "OnlineMeetings.ReadWrite.All": sentence("make Teams meetings and ask for their dial-in details"),
    "User.Read.All": sentence("bring in users and find their object IDs"),
    "GroupMember.Read.All": sentence("bring in the users of a group"),
}
"""Application permissions that MMS has a use for."""
_ALSO_USED = {"Organization.Read.All", "Calendars.Read", "OnlineMeetings.Read.All", "User.ReadBasic.All"}
JOIN_LINK = queries.PROPERTY_IDS["SkypeTeamsMeetingUrl"]
"""The named property of a Teams join link, as Graph calls it."""
_SHOWN = "id,iCalUId,subject,type,isOrganizer,isOnlineMeeting,changeKey"
_OUTSIDE_CODES = {"mailbox-forbidden", "mailbox-outside-policy"}


def check(
    graph: Graph,
    *,
    user: str = "",
    outside: str = "",
    expires_at: datetime | None = None,
    now: datetime,
) -> Iterator[Finding]:
    """All questions that reading answers. Ends after the first without whose answer the next make no sense."""
    found = signed_in(graph)
    yield found
    if found.verdict == "FAILED":
        return
    yield from permissions(graph)
    if expires_at is not None:
        what = sentence("certificate") if graph.application.has_certificate else sentence("client secret")
        yield ends(what, expires_at, now)
    if user:
        reached = mailbox(graph, user)
        yield reached
        if reached.verdict != "FAILED":
            yield from events(graph, user)
    else:
        yield unknown(
            sentence("mailbox"), sentence("Name a mailbox that MMS should reach with --user: only trying tells.")
        )
    if outside:
        yield scope(graph, outside)
    else:
        yield unknown(
            sentence("scope"),
            sentence(
                "Name a mailbox that MMS must not reach with --outside: whether the scope holds can only be "
                "told by trying."
            ),
        )


def signed_in(graph: Graph) -> Finding:
    """Does Microsoft Entra let the application in?"""
    try:
        graph.sign_in(anew=True)
    except Failure as failure:
        return of_failure(sentence("sign-in"), failure)
    by = sentence("its certificate") if graph.application.has_certificate else sentence("its client secret")
    return ok(
        sentence("sign-in"),
        sentence(
            "Microsoft Entra lets the application %(client_id)s in by %(by)s.",
            client_id=graph.application.client_id,
            by=by,
        ),
    )


def permissions(graph: Graph) -> Iterator[Finding]:
    """What may the application do by its consent in Entra?"""
    roles = graph.roles
    told = ", ".join(sorted(roles)) or "none"
    yield ok(
        sentence("permissions"), sentence("Consented to in Microsoft Entra: %(told)s.", told=told), roles=sorted(roles)
    )
    for role, purpose in USED.items():
        if role not in roles and role != EVERY_CALENDAR:
            yield note(
                sentence("permissions"),
                sentence("Without %(role)s MMS cannot %(purpose)s; nothing else needs it.", role=role, purpose=purpose),
            )
    if EVERY_CALENDAR in roles:
        yield note(
            sentence("permissions"),
            sentence(
                "%(every_calendar)s is consented to in Microsoft Entra, which opens every mailbox: a scope "
                "in Exchange Online is added to it and takes nothing away. Withdraw the consent once the "
                "scoped role is assigned.",
                every_calendar=EVERY_CALENDAR,
            ),
        )
    else:
        yield ok(
            sentence("permissions"),
            sentence(
                "%(every_calendar)s is not consented to in Microsoft Entra, so only a role in Exchange "
                "Online opens mailboxes.",
                every_calendar=EVERY_CALENDAR,
            ),
        )
    more = sorted(roles - set(USED) - _ALSO_USED)
    if more:
        yield note(
            sentence("permissions"),
            sentence("MMS has no use for %(more)s: take away what nothing else needs.", more=", ".join(more)),
        )


def ends(what: str, expires_at: datetime, now: datetime) -> Finding:
    """How long is the client secret or the certificate good?"""
    day = expires_at.date()
    if expires_at <= now:
        return failed(
            sentence("expiry"),
            sentence(
                "The %(what)s ended on %(day)s: make a new one and enter it in the connection.", what=what, day=day
            ),
        )
    if expires_at - now < WARN_BEFORE:
        return note(
            sentence("expiry"),
            sentence(
                "The %(what)s ends on %(day)s: make a new one and enter it in the connection before.",
                what=what,
                day=day,
            ),
        )
    return ok(sentence("expiry"), sentence("The %(what)s is good until %(day)s.", what=what, day=day))


def mailbox(graph: Graph, user: str) -> Finding:
    """Is the user's calendar reached, and may it be changed?"""
    try:
        answer = graph.get(f"/users/{segment(user)}/calendar", {"$select": "id,name,canEdit"})
    except Failure as failure:
        return of_failure(sentence("mailbox"), failure)
    if not answer.ok:
        return failed(
            sentence("mailbox"),
            sentence("Graph has no calendar of %(user)s: check the name and that the mailbox is online.", user=user),
        )
    name = answer.body.get("name") or "Calendar"
    if answer.body.get("canEdit") is False:
        return failed(
            sentence("mailbox"),
            sentence(
                "“%(name)s” of %(user)s can be read, but not changed: give the application the right.",
                name=name,
                user=user,
            ),
        )
    return ok(
        sentence("mailbox"),
        sentence(
            "The calendar “%(name)s” of %(user)s can be read, and Graph says that it may be changed.",
            name=name,
            user=user,
        ),
    )


def events(graph: Graph, user: str) -> Iterator[Finding]:
    """Do listing, filters, ids and ETags work as MMS relies on them?"""
    try:
        listed = _listed(graph, user, {"$top": "5", "$select": _SHOWN})
    except Failure as failure:
        yield of_failure(sentence("events"), failure)
        return
    yield ok(
        sentence("events"),
        sentence_plural(
            "%(n)s event of %(user)s read for a look.",
            "%(n)s events of %(user)s read for a look.",
            len(listed),
            user=user,
        ),
    )
    yield _filters(graph, user)
    if not listed:
        yield unknown(
            sentence("ids and ETags"),
            sentence("%(user)s has no event to tell it by: make one, or name another user.", user=user),
        )
        return
    yield _immutable(graph, user, str(listed[0].get("id", "")))
    yield _etags(listed)
    yield unknown(
        sentence("conditions"),
        sentence(
            "Whether Exchange refuses a write whose If-Match is old shows only when something is "
            "written: --write-to tries it on a test mailbox."
        ),
    )


def scope(graph: Graph, outside: str) -> Finding:
    """Is a mailbox that is none of MMS's business closed?"""
    try:
        answer = graph.get(f"/users/{segment(outside)}/calendar", {"$select": "id"})
    except Failure as failure:
        if failure.code in _OUTSIDE_CODES:
            return ok(
                sentence("scope"),
                sentence("The mailbox of %(outside)s is closed to MMS, as it should be.", outside=outside),
                code=failure.code,
            )
        if failure.code == "mailbox-not-found":
            return unknown(
                sentence("scope"),
                sentence("%(outside)s has no mailbox that Graph knows: name one that exists.", outside=outside),
            )
        return of_failure(sentence("scope"), failure)
    if answer.ok:
        return note(
            sentence("scope"),
            sentence(
                "The mailbox of %(outside)s can be read, although it should be out of reach: narrow the "
                "scope of the role in Exchange Online, withdraw Calendars.ReadWrite in Microsoft Entra, wait "
                "two hours, and try again.",
                outside=outside,
            ),
        )
    return unknown(
        sentence("scope"),
        sentence("%(outside)s has no mailbox that Graph knows: name one that exists.", outside=outside),
    )


def _listed(graph: Graph, user: str, params: dict[str, str]) -> Sequence[JSON]:
    answer = graph.get(f"/users/{segment(user)}/events", params)
    values = answer.body.get("value") if answer.ok else None
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _filters(graph: Graph, user: str) -> Finding:
    """Graph filters as runs ask it to: what is to come, and every series; and of these what has a join link."""
    path, now = f"/users/{segment(user)}/events", datetime.now(UTC)
    found = []
    for asked in (queries.to_come(now), queries.online(now)):
        try:
            found.append(len(next(graph.pages(path, asked, queries.IN_UTC_AS_HTML), ())))
        except Failure as failure:
            return of_failure(sentence("filters"), failure)
    to_come, online = found
    return ok(
        sentence("filters"),
        sentence(
            "The filters that runs use work: at least %(to_come)s meetings to come and series, %(online)s of them with "
            "the link of an online meeting in their properties.",
            to_come=to_come,
            online=online,
        )
        if to_come >= queries.ON_A_PAGE
        else sentence(
            "The filters that runs use work: %(to_come)s meetings to come and series, %(online)s of them with the link "
            "of an online meeting in their properties.",
            to_come=to_come,
            online=online,
        ),
        filter=queries.to_come(now)["$filter"],
    )


def _immutable(graph: Graph, user: str, event_id: str) -> Finding:
    asked = {"inputIds": [event_id], "sourceIdType": "restImmutableEntryId", "targetIdType": "restId"}
    try:
        answer = graph.post(f"/users/{segment(user)}/translateExchangeIds", asked)
    except Failure as failure:
        return of_failure(sentence("immutable ids"), failure)
    values = answer.body.get("value")
    first = values[0] if isinstance(values, list) and values else None
    target = str(first.get("targetId") or "") if isinstance(first, dict) else ""
    if not target:
        return failed(
            sentence("immutable ids"),
            sentence("Graph does not know the id that it gave as an immutable one."),
            id=event_id,
        )
    if target == event_id:
        return failed(
            sentence("immutable ids"), sentence("Graph gives ids that change when an event is moved."), id=event_id
        )
    return ok(sentence("immutable ids"), sentence("Graph gives ids that stay when an event is moved."))


def _etags(listed: Sequence[JSON]) -> Finding:
    without = sum(not event.get("@odata.etag") for event in listed)
    if without:
        return failed(
            sentence("ETags"),
            sentence(
                "%(without)s of %(count)s events have no ETag, so MMS could not write on a condition.",
                without=without,
                count=len(listed),
            ),
        )
    return ok(sentence("ETags"), sentence("Every event has an ETag to make a write conditional on."))
