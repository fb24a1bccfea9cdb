"""What a refusal of EWS means: for the catalogue, and in words."""

from __future__ import annotations

from datetime import timedelta

import requests
from exchangelib import errors

from migrations_app.failures import Failure
from migrations_app.https.session import Interrupted
from migrations_app.https.waiting import LONGEST_WAIT, wait_stated
from tenants_app.sentences import sentence


class NotImpersonated(Failure):
    """The service account may not act as the user."""


def _known(*names: str) -> tuple[type[Exception], ...]:
    return tuple(getattr(errors, name) for name in names)


_IMPERSONATION = _known("ErrorImpersonateUserDenied", "ErrorImpersonationDenied", "ErrorImpersonationFailed")
_NOT_FOUND = _known(
    *("ErrorNonExistentMailbox", "ErrorFolderNotFound", "ErrorMissingEmailAddress", "ErrorInvalidUserPrincipalName"),
    *("ErrorInvalidSmtpAddress", "ErrorNoRespondingCASInDestinationSite", "ErrorItemNotFound"),
)
_OF_ONE = _known(
    *("ErrorMailboxStoreUnavailable", "ErrorMailboxMoveInProgress", "ErrorMailboxFailover", "ErrorConnectionFailed")
)
_PASSES = _known(
    *("ErrorTimeoutExpired", "ErrorInternalServerTransientError", "ErrorTooManyObjectsOpened", "ErrorADUnavailable"),
    *("ErrorExceededConnectionCount", "ErrorInternalServerError", "ErrorInsufficientResources", "ErrorADOperation"),
)
_UNSETTLING = (*_known("ErrorMailboxStoreUnavailable", "ErrorConnectionFailed", "ErrorMailboxFailover"), *_PASSES)
"""Answers to a write after which nobody knows whether it was carried out: it may be that only the mail was not sent."""
_REFUSED = {
    "ErrorItemSave": sentence("it could not save the meeting"),
    "ErrorItemSavePropertyError": sentence("it could not save a property of the meeting"),
    "ErrorItemCorrupt": sentence("the meeting is broken"),
    "ErrorCorruptData": sentence("the meeting is broken"),
    "ErrorMessageSizeExceeded": sentence("the meeting is too large"),
    "ErrorQuotaExceeded": sentence("the mailbox is full"),
    "ErrorInvalidRecipients": sentence("an attendee has an address that it does not know"),
    "ErrorSendAsDenied": sentence("the service account may not send as the organizer"),
    "ErrorInvalidPropertySet": sentence("a property may not be changed"),
    "ErrorInvalidPropertyDelete": sentence("a property may not be taken away"),
    "ErrorPropertyUpdate": sentence("a property may not be changed"),
    "ErrorInvalidPropertyRequest": sentence("a property may not be changed"),
    "ErrorInvalidExtendedPropertyValue": sentence("a property has a value that it does not take"),
    "ErrorCalendarMeetingRequestIsOutOfDate": sentence("the meeting is out of date"),
    "ErrorCalendarIsNotOrganizerForAccept": sentence("the meeting is not the user's own"),
    "ErrorCalendarDurationIsTooLong": sentence("the meeting is too long"),
    "ErrorCalendarCannotUpdateDeletedItem": sentence("the meeting was deleted"),
    "ErrorUpdatePropertyMismatch": sentence("a property may not be changed"),
}


def failure_of(error: Exception, upn: str, wait: timedelta | None = None) -> Failure:
    """What an answer means for whatever was asked of the mailbox of ``upn``; ``wait`` is how long it asks to wait."""
    name = type(error).__name__
    if isinstance(error, errors.ErrorServerBusy):
        wait = min(wait or timedelta(seconds=min(error.back_off or 0, LONGEST_WAIT.total_seconds())), LONGEST_WAIT)
        return Failure("mailbox-unavailable", sentence("the server is busy and asks to wait"), retry_after=wait or None)
    if isinstance(error, _IMPERSONATION):
        return NotImpersonated(
            "mailbox-forbidden",
            sentence(
                "the service account may not act as %(upn)s: it lacks ApplicationImpersonation (%(name)s)",
                upn=upn,
                name=name,
            ),
        )
    if isinstance(error, errors.ErrorAccessDenied):
        return Failure(
            "mailbox-forbidden", sentence("access to the calendar of %(upn)s is denied (%(name)s)", upn=upn, name=name)
        )
    if isinstance(error, _NOT_FOUND):
        return Failure(
            "mailbox-not-found",
            sentence("the server has no mailbox with a calendar for %(upn)s (%(name)s)", upn=upn, name=name),
        )
    if isinstance(error, _OF_ONE):
        failure = Failure(
            "mailbox-unavailable",
            sentence("the server cannot reach the mailbox of %(upn)s at the moment (%(name)s)", upn=upn, name=name),
        )
        failure.is_of_one_mailbox = True
        return failure
    if isinstance(error, _PASSES):
        return Failure("mailbox-unavailable", sentence("the server has a problem at the moment (%(name)s)", name=name))
    if isinstance(error, errors.UnauthorizedError):
        return Failure("mailbox-sign-in-refused", sentence("the server does not accept the user name or the password"))
    return Failure("mailbox-answer", sentence("it answered %(name)s about %(upn)s", name=name, upn=upn))


def is_unsettling(error: Exception) -> bool:
    """Whether nobody knows, after this answer to a write, if it was carried out. Of a few of these exchangelib makes an
    ``ErrorServerBusy``, which says so."""
    return isinstance(error, _UNSETTLING) or str(error).startswith("Reraised from")


def refusal_of(error: Exception) -> str:
    """Why a change was refused for good, in words; empty where it was not, or nobody knows."""
    name = type(error).__name__
    return f"{_REFUSED[name]} ({name})" if name in _REFUSED else ""


def failure_of_status(response: requests.Response, host: str, sign_in_by: str, *, writing: bool) -> Exception:
    """What a status of the web server means."""
    status = response.status_code
    if status == 401:
        return _sign_in_refused(response, host, sign_in_by)
    if status == 403:
        return Failure(
            "mailbox-forbidden", sentence("%(host)s lets nobody use its web services who signs in like this", host=host)
        )
    if status in {301, 302, 303, 307, 308}:
        return Failure(
            "mailbox-address",
            sentence("%(host)s redirects, which MMS does not follow: enter the address of EWS itself", host=host),
        )
    if status in {404, 405, 410}:
        return Failure("mailbox-address", sentence("%(host)s has no Exchange web services at this address", host=host))
    if status == 429 or status >= 500:
        if writing and status not in {429}:
            return Interrupted(sentence("%(host)s answered %(status)s", host=host, status=status))
        return Failure(
            "mailbox-unavailable",
            sentence("%(host)s answered %(status)s", host=host, status=status),
            retry_after=_retry_after(response),
        )
    return Failure("mailbox-answer", sentence("%(host)s answered %(status)s", host=host, status=status))


def _sign_in_refused(response: requests.Response, host: str, sign_in_by: str) -> Failure:
    offered = {part.strip().split(" ")[0].lower() for part in response.headers.get("WWW-Authenticate", "").split(",")}
    offered &= {"basic", "ntlm", "negotiate"}
    if offered and sign_in_by not in offered:
        first, *others = sorted(name.upper() if name == "ntlm" else name.title() for name in offered)
        names: str = first
        for other in others:
            names = sentence("%(one)s or %(other)s", one=names, other=other)
        return Failure(
            "mailbox-sign-in-refused",
            sentence(
                "%(host)s takes no sign-in by %(sign_in_by)s, but %(names)s",
                host=host,
                sign_in_by=sign_in_by,
                names=names,
            ),
        )
    return Failure(
        "mailbox-sign-in-refused", sentence("%(host)s does not accept the user name or the password", host=host)
    )


def _retry_after(response: requests.Response) -> timedelta | None:
    return wait_stated(response.headers.get("Retry-After", ""))
