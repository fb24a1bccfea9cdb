"""Test connection: what works and what does not, step by step, in words, and without changing anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from migrations_app.calendars.content_lines import all_events
from migrations_app.calendars.errors import UnreadableCalendar
from migrations_app.failures import Failure, describe
from migrations_app.mailboxes.caldav.client import Calendar, Changed, Client, Gone, Resource, Unsettled
from migrations_app.mailboxes.caldav.transport import Account, Limits

WARN_BEFORE = timedelta(days=30)
"""How long before its end a certificate is warned of."""
_NAMED = 10
"""Calendars that are named."""
SOMEBODY_WAITS = Limits(read=20, write=60, whole=60, session=120)
"""For a test that somebody waits for before a page, and that must not hold up the page of anybody else."""
_LOOKED_AT = 200
"""Objects among which one without attendees is looked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a step found. ``code`` is of the catalogue: of the failure where ``ok`` is false, of a warning where it is
    true, else empty.
    """

    step: str
    """``address``, ``certificate``, ``sign-in``, ``mailbox``, ``scheduling`` or ``write``."""
    ok: bool
    sentence: str
    code: str = ""


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
        yield _failed(_STEP_OF.get(failure.code, "address"), failure)
        return
    with client:
        principal = ""
        try:
            principal = client.discover()
        except Failure as failure:
            yield from _not_found(client, failure)
            return
        yield Finding("address", True, f"The server says who is signed in: {principal}.")
        yield _certificate(client)
        yield Finding("sign-in", True, f"The server accepts {account.username} and the password.")
        try:
            calendars = client.calendars(client.principal(template, upn) if template else principal)
        except Failure as failure:
            yield _failed("mailbox", failure)
            return
        calendar = next((calendar for calendar in calendars if calendar.is_default), None)
        if calendar is None:
            yield _failed("mailbox", Failure("mailbox-not-found", f"the mailbox of {upn} has no calendar for meetings"))
            return
        rights = _rights(upn, calendar, calendars)
        yield rights
        try:
            features = client.features(calendar.href)
        except Failure as failure:
            yield _failed("scheduling", failure)
            return
        is_own = calendar.owner == "" or principal.endswith(calendar.owner)
        yield Finding("scheduling", True, _WHO_TELLS[features.auto_schedule, is_own or not features.auto_schedule])
        if rights.ok:
            yield _conditional_write(client, calendar)


_WHO_TELLS = {
    (False, True): "The server tells nobody of changes, so MMS sends the attendees an update by mail.",
    (True, True): "The server tells attendees of changes itself (calendar-auto-schedule), so MMS sends them nothing.",
    (
        True,
        False,
    ): "The server tells attendees of changes itself (calendar-auto-schedule), but MMS signs in as somebody "
    "else than the organizer, and some servers, such as Cyrus 3.6, then tell nobody. Migrate one meeting with yourself "
    "as its only attendee, and say in the connection who tells the attendees.",
}
"""By whether the server says that it does, and whether it is the owner of the calendar who signs in."""
_STEP_OF = {"mailbox-certificate": "certificate", "mailbox-sign-in-refused": "sign-in"}


def _not_found(client: Client, failure: Failure) -> Iterator[Finding]:
    """The findings up to the step that failed, where no principal was found."""
    step = _STEP_OF.get(failure.code, "address")
    if step != "address":
        yield Finding("address", True, "A server answers at the address.")
    if step == "sign-in":
        yield _certificate(client)
    yield _failed(step, failure)


def _failed(step: str, failure: Failure) -> Finding:
    after = "" if step == "write" else " What comes after this could not be tried."
    return Finding(step, False, f"{describe(failure.code, failure.detail)}{after}", failure.code)


def _certificate(client: Client) -> Finding:
    certificate = client.certificate
    if certificate is None:
        return Finding(
            "certificate",
            True,
            "The connection is not encrypted: the operator has allowed plain http to this host.",
            "mailbox-certificate",
        )
    until = f"{certificate.valid_until:%-d %B %Y}"
    left = certificate.valid_until - datetime.now(UTC)
    if left < WARN_BEFORE:
        return Finding(
            "certificate",
            True,
            f"The certificate, issued by {certificate.issuer}, is good only until {until}, that is {left.days} days. "
            "Renew it in time.",
            "mailbox-certificate",
        )
    return Finding("certificate", True, f"The certificate, issued by {certificate.issuer}, is good until {until}.")


def _rights(upn: str, default: Calendar, calendars: Sequence[Calendar]) -> Finding:
    listed = sorted(calendars, key=lambda each: not each.is_default)
    named = ", ".join(f"“{calendar.name}”{_marks(calendar)}" for calendar in listed[:_NAMED])
    if len(listed) > _NAMED:
        named += f" and {len(listed) - _NAMED} more"
    if default.may_write:
        return Finding("mailbox", True, f"The mailbox of {upn} has {named}. MMS may write to “{default.name}”.")
    failure = Failure("mailbox-forbidden", f"MMS may only read the calendar “{default.name}” of {upn}")
    return Finding(
        "mailbox",
        False,
        f"The mailbox of {upn} has {named}. {describe(failure.code, failure.detail)} A write was not tried.",
        failure.code,
    )


def _marks(calendar: Calendar) -> str:
    marks = [
        *(["the default"] if calendar.is_default else []),
        *(["subscribed"] if calendar.subscribed else []),
        *([] if calendar.may_write or calendar.subscribed else ["only to be read"]),
    ]
    return f" ({', '.join(marks)})" if marks else ""


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
                f"The calendar “{calendar.name}” holds no meeting to try a write with. Put one without attendees into "
                "it and test again.",
            )
        if not _refuses_false_condition(client, stored):
            failure = Failure("mailbox-ignores-conditions", f"it took {stored.href} with an ETag that is not its own")
            return _failed("write", failure)
        if alone is None:
            return Finding(
                "write",
                True,
                "The server refuses a write whose condition is false. One with a true condition was not tried, because "
                "every meeting that was looked at has attendees.",
            )
        client.put(stored.href, stored.body, etag=stored.etag, schedule_tag=stored.schedule_tag)
        after = client.get(stored.href)
    except (Changed, Gone):
        return Finding("write", True, "The meeting to try it with was changed at this moment. Test again.")
    except Unsettled as unsettled:
        return _failed("write", Failure("mailbox-unavailable", unsettled.why))
    except Failure as failure:
        return _failed("write", failure)
    as_it_was = after is not None and after.body == stored.body
    return Finding(
        "write",
        True,
        "The server refuses a write whose condition is false, and takes one whose condition is true"
        + (
            " without altering a thing." if as_it_was else "; it stores meetings in its own form, which MMS allows for."
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
