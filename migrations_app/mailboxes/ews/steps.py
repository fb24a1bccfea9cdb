"""Test connection: what works of a service account's way into a mailbox, step by step, in words; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from migrations_app.failures import Failure
from migrations_app.mailboxes.ews.client import Calendar
from migrations_app.mailboxes.ews.refusals import NotImpersonated
from migrations_app.mailboxes.ews.source import EwsSource
from migrations_app.mailboxes.findings import NAMED, WARN_BEFORE, Finding, failed, first_of, of_calendars, with_marks
from tenants_app.sentences import one_after_the_other, sentence

_STEP_OF = {
    "mailbox-address": "address",
    "mailbox-certificate": "certificate",
    "mailbox-sign-in-refused": "sign-in",
    "mailbox-without-sign-in": "sign-in",
    "secret-unopenable": "sign-in",
    "mailbox-not-found": "mailbox",
    "mailbox-forbidden": "mailbox",
}
_ORDER = ("address", "certificate", "sign-in", "impersonation", "mailbox", "version", "scheduling")


def check(
    opened: Callable[[], EwsSource], upn: str, username: str, *, impersonates: bool, discovers: bool
) -> Iterator[Finding]:
    """Try a connection on the mailbox of ``upn``; ``opened`` gives a session with it.

    Ends after the first step without which the next makes no sense, and says so. Raises nothing of the network.
    """
    try:
        source = opened()
    except Failure as failure:
        yield failed(_STEP_OF.get(failure.code, "address"), failure)
        return
    with source:
        client = source.client
        calendars: Sequence[Calendar] = []
        wrong, reached = None, "mailbox"
        try:
            calendars = client.calendars()
        except Failure as failure:
            wrong, reached = failure, _step_of(failure)
        done = _ORDER[: _ORDER.index(reached)]
        if "address" in done:
            told = sentence("A server answers at %(url)s.", url=client.adapter.url)
            if discovers:
                told = one_after_the_other(told, sentence("Autodiscover has named this server."))
            yield Finding("address", True, told)
        if "certificate" in done:
            yield _certificate(source)
        if "sign-in" in done:
            yield Finding(
                "sign-in", True, sentence("The server accepts %(username)s and the password.", username=username)
            )
        if "impersonation" in done and impersonates:
            yield Finding(
                "impersonation",
                True,
                sentence("The service account may act as %(upn)s (ApplicationImpersonation).", upn=upn),
            )
        if wrong is not None:
            yield failed(reached, wrong)
            return
        rights = _rights(source, upn, calendars)
        yield rights
        yield Finding(
            "version",
            True,
            sentence("The server is Exchange, version %(server_version)s.", server_version=client.server_version),
        )
        if not rights.ok:
            return
        try:
            first = next(iter(source.list(datetime.now(UTC), lambda: None)), ())
            read = source.read([entry.id for entry in first[:1]])
        except Failure as failure:
            yield failed("filters", failure)
            return
        yield Finding("filters", True, _found(len(first), was_read=bool(read)))
        yield Finding(
            "scheduling",
            True,
            sentence(
                "Exchange tells attendees of every change itself, one message for a series and one for each "
                "of its exceptions that is changed, so MMS sends them nothing. A test writes nothing: "
                "whether MMS may change the meetings, and what Exchange makes of their text, shows at a "
                "first run on a test mailbox."
            ),
        )


def _found(count: int, *, was_read: bool) -> str:
    if count >= 100:
        return sentence(
            "The server filters: at least %(count)s meetings to come and series were found, and one of them was read.",
            count=count,
        )
    if was_read:
        return sentence(
            "The server filters: %(count)s meetings to come and series were found, and one of them was read.",
            count=count,
        )
    return sentence("The server filters: %(count)s meetings to come and series were found.", count=count)


def _step_of(failure: Failure) -> str:
    if isinstance(failure, NotImpersonated):
        return "impersonation"
    return "mailbox" if failure.is_of_one_mailbox else _STEP_OF.get(failure.code, "address")


def _certificate(source: EwsSource) -> Finding:
    certificate = source.client.adapter.certificate
    if certificate is None:
        told = sentence("The connection is not encrypted: the operator has allowed plain http to this host.")
        return Finding("certificate", True, told, "mailbox-certificate")
    until = certificate.valid_until.date()
    left = certificate.valid_until - datetime.now(UTC)
    if left < WARN_BEFORE:
        told = sentence(
            "The certificate, issued by %(issuer)s, is good only until %(until)s, that is %(days)s days. Renew it in "
            "time.",
            issuer=certificate.issuer,
            until=until,
            days=left.days,
        )
        return Finding("certificate", True, told, "mailbox-certificate")
    return Finding(
        "certificate",
        True,
        sentence(
            "The certificate, issued by %(issuer)s, is good until %(until)s.", issuer=certificate.issuer, until=until
        ),
    )


def _rights(source: EwsSource, upn: str, calendars: Sequence[Calendar]) -> Finding:
    meant = [
        each for each in calendars if each.may_write and (not source.names or each.name.casefold() in source.names)
    ]
    listed = first_of([with_marks(each.name, _marks(each)) for each in calendars], NAMED) if calendars else ""
    return of_calendars(upn, listed, [each.name for each in meant], source.none_to_change)


def _marks(calendar: Calendar) -> list[str]:
    return [
        *([sentence("the default")] if calendar.is_default else []),
        *([] if calendar.may_write else [sentence("only to be read")]),
    ]
