"""The catalogue of codes: why a meeting is skipped (R20) and what can fail (R31).

Screens, commands and ``docs/errors.md`` show what stands here. An entry says what happened and what the administrator
should do; ``cures_by_waiting`` tells the queue whether to try again by itself (R28).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: ``what`` happened, what to ``do``, whether waiting may cure it."""

    what: str
    do: str = ""
    cures_by_waiting: bool = False


SKIPPED = {
    "past": Entry("The meeting is over."),
    "not-organizer": Entry("This is not the organizer's copy of the meeting, and only that one is migrated."),
    "cancelled": Entry("The meeting is cancelled."),
    "no-block": Entry("The invitation carries no online-meeting block."),
    "pasted-block": Entry(
        "The block was copied from another meeting.",
        "Ask the organizer to schedule the meeting anew with the add-in.",
    ),
    "too-many-attendees": Entry(
        "The meeting has more attendees than the tenant's limit.",
        "Raise the limit, or ask the organizer to send the update.",
    ),
    "already-current": Entry("The invitation already says what it should."),
    "needs-review": Entry(
        "The block is damaged or ambiguous, and MMS does not guess.",
        "Open the meeting in the organizer's calendar and correct the block by hand.",
    ),
    "other-service": Entry(
        "The meeting is in a service whose invitations MMS leaves alone.",
        "Nothing, as long as the meeting stays there. If its dial-in details must change, its organizer changes them "
        "in that service.",
    ),
    "not-selected": Entry(
        "The run was started for meetings of other services.",
        "To include this meeting, start a run with the source meeting type All, or with the meeting's own service.",
    ),
    "no-meeting-service": Entry(
        "The user moved away from Skype for Business, and no meeting service can make the meeting anew, so its old "
        "join link is still there.",
        "Before the on-premises server is switched off, give the user or the tenant a meeting service; then start a "
        "run with the source meeting type SkypeForBusiness and that service as the target. Or have the organizer "
        "schedule the meeting anew.",
    ),
    "no-conference-id": Entry(
        "The meeting needs a conference ID to be dialled into, and neither its invitation nor its meeting service nor "
        "the user's bridge has one for it.",
        "Have the organizer add dial-in details in the meeting's own service, or start a run that moves the meeting to "
        "a service which has IDs. Until then people can join by the link alone.",
    ),
    "changed-since": Entry(
        "The meeting was changed after the run, so it is not put back.",
        "Nothing, if the change is right. Otherwise have the organizer correct the meeting, or start the user, which "
        "brings its dial-in details up to date.",
    ),
    "already-put-back": Entry("The meeting was put back before, or says again what it said before the run."),
    "meeting-deleted": Entry("The meeting is not in the mailbox any more, so there is nothing to put back."),
    "number-released": Entry(
        "Before the run the invitation showed a number that was released from its bridge since, so it is not put back.",
        "Nothing: nobody could dial in with the old invitation.",
    ),
    "conference-id-taken": Entry(
        "Before the run the invitation showed a conference ID that is another's by now, so it is not put back.",
        "Nothing: the old invitation would lead callers into somebody else's meeting.",
    ),
}
"""Why a run leaves a meeting as it is."""

LEFT_FOR_A_PERSON = (
    "needs-review",
    "pasted-block",
    "too-many-attendees",
    "no-conference-id",
    "no-meeting-service",
)
"""Of these, the reasons why a person must look at the meeting."""

FAILED = {
    "unreadable-calendar-object": Entry(
        "A calendar object in the mailbox cannot be read.",
        "Open the meeting in the organizer's calendar, save it again or delete it, then retry.",
    ),
    "meeting-kept-changing": Entry(
        "The meeting was changed by somebody else while it was being migrated.",
        "Nothing: MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "mailbox-unavailable": Entry(
        "The mailbox could not be reached.",
        "Check the mailbox server; MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "mailbox-sign-in-refused": Entry(
        "The mailbox refused the sign-in.", "Renew the service's access to the mailbox, then retry."
    ),
    "mailbox-without-sign-in": Entry(
        "MMS has nothing to sign in to the mailbox with.",
        "Give the connection a service account, or the user a user name and password of their own; then retry.",
    ),
    "secret-unopenable": Entry(
        "A stored password cannot be opened with the keys that MMS has.",
        "Put the old key back into MMS_SECRETS_KEY, after the new one, or enter the password anew; then retry.",
    ),
    "mailbox-not-found": Entry(
        "The mailbox, or the calendar in it, is not there.",
        "Check the user's address and the path template of the connection, and that the mailbox has a calendar; then "
        "retry.",
    ),
    "mailbox-forbidden": Entry(
        "The mailbox's server does not allow what MMS must do there.",
        "Give the account that MMS signs in with the right to read the user's calendar and to change what is in it, "
        "then retry.",
    ),
    "mailbox-certificate": Entry(
        "The certificate of the mailbox's server cannot be trusted.",
        "Have the server show a certificate that is valid and made out to its name, or add the CA that issued it to "
        "the connection; then retry.",
    ),
    "mailbox-address": Entry(
        "The address of the mailbox leads to no server that MMS may use.",
        "Enter the https address of the CalDAV server in the connection. Only the installation's operator can allow "
        "private addresses and plain http, for one host at a time.",
    ),
    "mailbox-who-tells": Entry(
        "The mailbox's server says that it tells attendees of changes, but not whether it does where a service account "
        "makes them, so MMS has changed nothing.",
        "Change a test meeting with the service account and see whether its attendee gets a mail; then choose on the "
        "connection who tells attendees.",
    ),
    "mailbox-answer": Entry(
        "The mailbox's server gave an answer that MMS cannot use.",
        "Check that the address is that of the CalDAV server and not of a web page, and look in the server's log; "
        "then retry.",
    ),
    "mailbox-ignores-conditions": Entry(
        "The mailbox's server writes without looking whether somebody else has changed the meeting.",
        "Use a server, or a version of it, that honours If-Match; MMS could overwrite what others have changed.",
    ),
    "meeting-refused-by-server": Entry(
        "The mailbox's server refused to take the changed meeting, so it stays as it was.",
        "Put right what the server names, then start the run again.",
    ),
    "no-bridge": Entry(
        "Audio conferencing is on, but the user has no bridge.", "Assign the user a bridge, then retry."
    ),
    "no-dial-in-number": Entry(
        "Audio conferencing is on, but the user's bridge has no toll number to print.",
        "Register a toll number on the bridge or move the user to another bridge, then retry.",
    ),
    "user-without-conference-id": Entry(
        "Audio conferencing is on, but the user has no conference ID.",
        "Reset the user's conference ID, then retry.",
    ),
    "service-refused": Entry(
        "The meeting service refused to make the online meeting, so the invitation stays as it was.",
        "Put right what the service names, then start the run again.",
    ),
    "service-unavailable": Entry(
        "The meeting service could not be reached, so the invitation stays as it was.",
        "Check that the service runs and that MMS may connect to it; MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "cannot-be-served": Entry(
        "MMS cannot migrate this user.", "Use the Meeting Migration Tool: its page, or the command migrate_calendar."
    ),
    "worker-lost": Entry(
        "The worker stopped in the middle of the run.",
        "Nothing: MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "retries-used-up": Entry("All retries within a day failed.", "Correct the cause, then start the run again."),
    "undone-instead": Entry(
        "An undo of an earlier run took its place before it was done.",
        "Look at the undo. To bring the user's invitations up to date after all, start the user.",
    ),
    "plan-cancelled": Entry(
        "The planned start was cancelled before this run began.",
        "To bring the user's invitations up to date after all, start the user.",
    ),
    "run-pruned": Entry(
        "The run that was to be undone is not in the history any more, so nobody knows what it had changed.",
        "Nothing can be put back. To bring the user's invitations up to date, start the user.",
    ),
    "newer-run": Entry("A newer run of this user took over.", "Look at the newer run."),
    "internal-error": Entry(
        "Something unexpected went wrong in MMS.",
        "Look in the service's log for the reference and report it; MMS tries again by itself.",
        cures_by_waiting=True,
    ),
}
"""Why a meeting or a whole run fails."""

UNSENT = {
    "mail-server-unreachable": Entry(
        "The mail server could not be reached.",
        "Check the mail server, and what MMS knows of it: on the tenant's page Mail, or in EMAIL_URL. MMS tries again "
        "by itself.",
        cures_by_waiting=True,
    ),
    "mail-server-without-sign-in": Entry(
        "MMS has nothing to sign in to the mail server with.",
        "Enter the password anew on the tenant's page Mail; MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "mail-put-off": Entry(
        "The mail server asks to be given the message later, as it does with greylisting.",
        "Nothing: MMS tries again by itself. Where it lasts, read the server's answer and log.",
        cures_by_waiting=True,
    ),
    "mail-limit": Entry(
        "As many recipients of the domain as the limit allows were written to in this minute.",
        "Nothing: the message goes out when there is room. The limit stands on the tenant's page Mail, or in the "
        "installation's settings.",
        cures_by_waiting=True,
    ),
    "mail-refused": Entry(
        "The mail server refused the message.",
        "Read the server's answer and correct the cause, then choose “Send again” on the page of the run.",
    ),
    "recipients-refused": Entry(
        "The mail server took the message for some attendees and refused it for others.",
        "Tell these attendees yourself, or correct the cause and choose “Send again” on the page of the run.",
    ),
    "attendees-not-told-by-server": Entry(
        "The mailbox's server has taken the change, and could not tell some of the attendees.",
        "Tell these attendees yourself, or correct their addresses in the meeting, so that the server tells them.",
    ),
    "mail-unconfirmed": Entry(
        "The mail server got the message and did not say whether it took it.",
        "Look in the mail server's log for the Message-ID. Then say on the page of the run that it was delivered, or "
        "choose “Send again” if it was not. MMS does neither by itself, so that nobody is told twice.",
    ),
    "meeting-changed-while-cut-off": Entry(
        "MMS was cut off when it had changed the meeting, and somebody may have changed it again before MMS could note "
        "that. Such a change tells the attendees; without one they know nothing yet.",
        "Ask the organizer or an attendee which revision they have. Then say on the page of the run that it was "
        "delivered, or choose “Send again” if it was not.",
    ),
    "message-retries-used-up": Entry(
        "The message could not be sent in a day of tries.",
        "Correct the cause, then choose “Send again” on the page of the run.",
    ),
    "meeting-gone": Entry("The meeting is not in the mailbox any more, so there is nothing to tell."),
    "nobody-to-tell": Entry("The meeting names nobody any more who could be told by mail."),
    "request-withdrawn": Entry("The meeting does not need its organizer any more: it is in order, or was dealt with."),
    "no-meeting-changes": Entry("No meeting of the organizer would be changed, so there is nothing to tell of."),
    "notice-withdrawn": Entry("The runs were cancelled, or began without waiting for the notice."),
    "meeting-changed-since": Entry("The meeting was changed or cancelled again, and that change tells the attendees."),
}
"""Why a message to attendees is not sent, or not to all of them; beside these, ``internal-error``."""

ALERTS = {
    "webhook-address": Entry(
        "The address of the webhook leads to no server that MMS may use.",
        "Enter the https address of a public server, without user name. Only the installation's operator can allow "
        "private addresses and plain http, for one host at a time (MMS_ALLOWED_WEBHOOK_HOSTS).",
        cures_by_waiting=True,
    ),
    "webhook-unavailable": Entry(
        "The webhook's server could not be reached.",
        "Check that it runs and can be reached from MMS; MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "webhook-certificate": Entry(
        "The certificate of the webhook's server cannot be trusted.",
        "Have the server show a certificate of a public authority that is valid and made out to its name; MMS tries "
        "again by itself.",
        cures_by_waiting=True,
    ),
    "webhook-redirected": Entry(
        "The webhook's server sends MMS to another address, and alerts are not carried there.",
        "Enter the address that takes alerts itself.",
        cures_by_waiting=True,
    ),
    "webhook-refused": Entry(
        "The webhook's server did not take the alert.",
        "Look in its log what it made of the request; MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "webhook-gone": Entry(
        "The webhook's server says that nobody listens there any more, so MMS posts nothing more to it.",
        "Enter another address, or save the settings of the alerts to post to this one again.",
    ),
    "webhook-without-secret": Entry(
        "The secret that signs the webhook cannot be opened.",
        "Put the old key back into MMS_SECRETS_KEY, or make a new secret; MMS tries again by itself.",
        cures_by_waiting=True,
    ),
    "alert-refused": Entry(
        "The mail server refused the alert.",
        "Correct the addresses that alerts go to, or what the server names, then choose “Send again” beside the alert.",
    ),
    "alert-given-up": Entry(
        "The alert could not be delivered in a day of tries.",
        "Correct the cause, then choose “Send again” beside the alert.",
    ),
    "alert-not-wanted": Entry("Alerts do not go this way any more."),
}
"""Why an alert is not delivered; beside these, what keeps messages from a mail server for a while."""

NEEDS_A_PERSON = {
    "Left as they are": LEFT_FOR_A_PERSON,
    "Failed": (
        "unreadable-calendar-object",
        "meeting-kept-changing",
        "meeting-refused-by-server",
        "mailbox-ignores-conditions",
        "service-refused",
        "service-unavailable",
        "internal-error",
    ),
    "Attendees not told": (
        "mail-refused",
        "recipients-refused",
        "attendees-not-told-by-server",
        "mail-unconfirmed",
        "meeting-changed-while-cut-off",
        "message-retries-used-up",
    ),
}
"""Why a meeting may need a person, by what came of it."""

CATALOGUE = {**SKIPPED, **FAILED, **UNSENT, **ALERTS}


_AGAIN = re.compile(r"(?:Nothing: |; |\. )?MMS tries again by itself\.")


def do_when_given_up(code: str) -> str:
    """What to do about something that waiting might have cured, once MMS has given up trying again."""
    rest = _AGAIN.sub(".", entry_of(code).do).removeprefix(".").strip()
    return f"{rest} {FAILED['retries-used-up'].do}".strip()


class Failure(Exception):
    """Something of the catalogue happened; ``detail`` is one clause without secrets, shown after a colon."""

    def __init__(self, code: str, detail: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail[:500]
        self.retry_after = retry_after

    @property
    def cures_by_waiting(self) -> bool:
        return CATALOGUE[self.code].cures_by_waiting

    @property
    def told(self) -> str:
        """What happened, and what to do."""
        return describe(self.code, self.detail)

    @property
    def what(self) -> str:
        """What happened, without what to do."""
        return happened(self.code, self.detail)


def entry_of(code: str) -> Entry:
    """The entry of a code of any of the three tables."""
    return CATALOGUE[code]


def happened(code: str, detail: str = "") -> str:
    """What happened, with the detail of this case after a colon."""
    what = entry_of(code).what
    if not detail:
        return what
    # The detail follows a colon, so its first word is small, unless it is a name in capitals such as RRULE.
    if detail[:1].isupper() and not detail[1:2].isupper():
        detail = detail[0].lower() + detail[1:]
    return f"{what[:-1]}: {detail.rstrip('.')}."


def describe(code: str, detail: str = "") -> str:
    """What happened, the detail of this case, and what to do, as one text for people."""
    return f"{happened(code, detail)} {entry_of(code).do}".strip()
