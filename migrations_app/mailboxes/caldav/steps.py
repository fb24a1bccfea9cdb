"""Test connection: what works and what does not, step by step, in words, and without changing anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.caldav.client import Calendar, Changed, Client, Gone, Resource, Unsettled
from migrations_app.mailboxes.caldav.transport import Account, Limits
from migrations_app.mailboxes.findings import NAMED, WARN_BEFORE, Finding, failed, first_of, with_marks
from tenants_app.sentences import one_after_the_other, sentence

_LOOKED_AT = 200
"""Objects among which one without attendees is looked for."""


def check(
    account: Account,
    upn: str,
    *,
    template: str = "",
    allowed_hosts: Collection[str] = (),
    limits: Limits | None = None,
) -> Iterator[Finding]:
    """Try a connection on the mailbox of ``upn``, which ``template`` leads to; without one, the account's own.

    Ends after the first step without which the next makes no sense, and says so. Raises nothing of the network.
    """
    try:
        client = Client(account, allowed_hosts, limits)
    except Failure as failure:
        yield failed(_STEP_OF.get(failure.code, "address"), failure)
        return
    with client:
        principal = ""
        try:
            principal = client.discover()
        except Failure as failure:
            yield from _not_found(client, failure)
            return
        yield Finding(
            "address", True, sentence("The server says who is signed in: %(principal)s.", principal=principal)
        )
        yield _certificate(client)
        yield Finding(
            "sign-in", True, sentence("The server accepts %(username)s and the password.", username=account.username)
        )
        try:
            calendars = client.calendars(client.principal(template, upn) if template else principal)
        except Failure as failure:
            yield failed("mailbox", failure)
            return
        calendar = next((calendar for calendar in calendars if calendar.is_default), None)
        if calendar is None:
            yield failed(
                "mailbox",
                Failure("mailbox-not-found", sentence("the mailbox of %(upn)s has no calendar for meetings", upn=upn)),
            )
            return
        rights = _rights(upn, calendar, calendars)
        yield rights
        try:
            features = client.features(calendar.href)
        except Failure as failure:
            yield failed("scheduling", failure)
            return
        is_own = calendar.owner == "" or principal.endswith(calendar.owner)
        yield Finding("scheduling", True, _WHO_TELLS[features.auto_schedule, is_own or not features.auto_schedule])
        if rights.ok:
            yield _conditional_write(client, calendar)


_WHO_TELLS = {
    (False, True): sentence("The server tells nobody of changes, so MMS sends the attendees an update by mail."),
    (True, True): sentence(
        "The server tells attendees of changes itself (calendar-auto-schedule), so MMS sends them nothing."
    ),
    (True, False): sentence(
        "The server tells attendees of changes itself (calendar-auto-schedule), but MMS signs in as somebody else than "
        "the organizer, and some servers, such as Cyrus 3.6, then tell nobody. Migrate one meeting with yourself as "
        "its only attendee, and say in the connection who tells the attendees."
    ),
}
"""By whether the server says that it does, and whether it is the owner of the calendar who signs in."""
_STEP_OF = {"mailbox-certificate": "certificate", "mailbox-sign-in-refused": "sign-in"}


def _not_found(client: Client, failure: Failure) -> Iterator[Finding]:
    """The findings up to the step that failed, where no principal was found."""
    step = _STEP_OF.get(failure.code, "address")
    if step != "address":
        yield Finding("address", True, sentence("A server answers at the address."))
    if step == "sign-in":
        yield _certificate(client)
    yield failed(step, failure)


def _certificate(client: Client) -> Finding:
    certificate = client.certificate
    if certificate is None:
        return Finding(
            "certificate",
            True,
            sentence("The connection is not encrypted: the operator has allowed plain http to this host."),
            "mailbox-certificate",
        )
    until = certificate.valid_until.date()
    left = certificate.valid_until - datetime.now(UTC)
    if left < WARN_BEFORE:
        return Finding(
            "certificate",
            True,
            sentence(
                "The certificate, issued by %(issuer)s, is good only until %(until)s, that is %(days)s days. "
                "Renew it in time.",
                issuer=certificate.issuer,
                until=until,
                days=left.days,
            ),
            "mailbox-certificate",
        )
    return Finding(
        "certificate",
        True,
        sentence(
            "The certificate, issued by %(issuer)s, is good until %(until)s.", issuer=certificate.issuer, until=until
        ),
    )


def _rights(upn: str, default: Calendar, calendars: Sequence[Calendar]) -> Finding:
    listed = sorted(calendars, key=lambda each: not each.is_default)
    there = first_of([with_marks(calendar.name, _marks(calendar)) for calendar in listed], NAMED)
    if default.may_write:
        return Finding(
            "mailbox",
            True,
            sentence(
                "The mailbox of %(upn)s has %(listed)s. MMS may write to “%(name)s”.",
                upn=upn,
                listed=there,
                name=default.name,
            ),
        )
    failure = Failure(
        "mailbox-forbidden",
        sentence("MMS may only read the calendar “%(name)s” of %(upn)s", name=default.name, upn=upn),
    )
    return Finding(
        "mailbox",
        False,
        one_after_the_other(
            sentence("The mailbox of %(upn)s has %(listed)s.", upn=upn, listed=there),
            describe(failure.code, failure.detail),
            sentence("A write was not tried."),
        ),
        failure.code,
    )


def _marks(calendar: Calendar) -> list[str]:
    return [
        *([sentence("the default")] if calendar.is_default else []),
        *([sentence("subscribed")] if calendar.subscribed else []),
        *([] if calendar.may_write or calendar.subscribed else [sentence("only to be read")]),
    ]


def _conditional_write(client: Client, calendar: Calendar) -> Finding:
    """Whether conditions are honoured, tried with octets that are there already.

    An object that names no attendees is written as it is, since nobody can be told of that. With others, only a write
    is tried whose condition is false.
    """
    try:
        entries = (entry.href for entry in client.changes(calendar.href) if entry.etag is not None)
        resources = client.read(calendar.href, list(islice(entries, _LOOKED_AT)))
        any_other, alone = _chosen(resources)
        chosen = alone or any_other
        stored = client.get(chosen.href) if chosen else None
        if stored is None or not stored.etag or not stored.body:
            return Finding(
                "write",
                True,
                sentence(
                    "The calendar “%(name)s” holds no meeting to try a write with. Put one without attendees "
                    "into it and test again.",
                    name=calendar.name,
                ),
            )
        if not _refuses_false_condition(client, stored):
            failure = Failure(
                "mailbox-ignores-conditions",
                sentence("it took %(href)s with an ETag that is not its own", href=stored.href),
            )
            return failed("write", failure)
        if alone is None:
            return Finding(
                "write",
                True,
                sentence(
                    "The server refuses a write whose condition is false. One with a true condition was not "
                    "tried, because every meeting that was looked at has attendees."
                ),
            )
        client.put(stored.href, stored.body, etag=stored.etag, schedule_tag=stored.schedule_tag)
        after = client.get(stored.href)
    except (Changed, Gone):
        return Finding("write", True, sentence("The meeting to try it with was changed at this moment. Test again."))
    except Unsettled as unsettled:
        return failed("write", Failure("mailbox-unavailable", unsettled.why))
    except Failure as failure:
        return failed("write", failure)
    as_it_was = after is not None and after.body == stored.body
    return Finding(
        "write",
        True,
        sentence(
            "The server refuses a write whose condition is false, and takes one whose condition is true without "
            "altering a thing."
        )
        if as_it_was
        else sentence(
            "The server refuses a write whose condition is false, and takes one whose condition is true; it stores "
            "meetings in its own form, which MMS allows for."
        ),
    )


def _refuses_false_condition(client: Client, stored: Resource) -> bool:
    try:
        client.put(stored.href, stored.body, etag='"mms-not-an-etag-of-this-object"')
    except Changed:
        return True
    return False


def _chosen(resources: Iterable[Resource]) -> tuple[Resource | None, Resource | None]:
    """The first object that can be read, and the first of these that names no attendees."""
    first: Resource | None = None
    for resource in resources:
        try:
            events = all_events(resource.body)
        except UnreadableCalendar:
            continue
        first = first or resource
        if not any(event.named(b"ATTENDEE") for event in events):
            return first, resource
    return first, None
