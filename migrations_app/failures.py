"""The catalogue of codes: why a meeting is skipped (R20) and what can fail (R31).

Screens, commands and ``docs/errors.md`` show what stands here. An entry says what happened and what the administrator
should do; ``cures_by_waiting`` tells the queue whether to try again by itself (R28).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tenants_app.sentences import Sentence, at_most, one_after_the_other, sentence, with_detail

NOTHING = Sentence("")
"""What is to be done where nothing is."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: ``what`` happened, what to ``do``, whether waiting may cure it."""

    what: Sentence
    do: Sentence = NOTHING
    cures_by_waiting: bool = False
    do_when_given_up: Sentence | None = None
    """What to do once MMS has stopped trying by itself, where ``do`` says that it tries again."""


SKIPPED = {
    "past": Entry(sentence("The meeting is over.")),
    "not-organizer": Entry(sentence("This is not the organizer's copy of the meeting, and only that one is migrated.")),
    "cancelled": Entry(sentence("The meeting is cancelled.")),
    "no-block": Entry(sentence("The invitation carries no online-meeting block.")),
    "pasted-block": Entry(
        sentence("The block was copied from another meeting."),
        sentence("Ask the organizer to schedule the meeting anew with the add-in."),
    ),
    "too-many-attendees": Entry(
        sentence("The meeting has more attendees than the tenant's limit."),
        sentence("Raise the limit, or ask the organizer to send the update."),
    ),
    "already-current": Entry(sentence("The invitation already says what it should.")),
    "needs-review": Entry(
        sentence("The block is damaged or ambiguous, and MMS does not guess."),
        sentence("Open the meeting in the organizer's calendar and correct the block by hand."),
    ),
    "other-service": Entry(
        sentence("The meeting is in a service whose invitations MMS leaves alone."),
        sentence(
            "Nothing, as long as the meeting stays there. If its dial-in details must change, its "
            "organizer changes them in that service."
        ),
    ),
    "not-selected": Entry(
        sentence("The run was started for meetings of other services."),
        sentence(
            "To include this meeting, start a run with the source meeting type All, or with the meeting's own service."
        ),
    ),
    "no-meeting-service": Entry(
        sentence(
            "The user moved away from Skype for Business, and no meeting service can make the meeting "
            "anew, so its old join link is still there."
        ),
        sentence(
            "Before the on-premises server is switched off, give the user or the tenant a meeting service; "
            "then start a run with the source meeting type SkypeForBusiness and that service as the "
            "target. Or have the organizer schedule the meeting anew."
        ),
    ),
    "no-conference-id": Entry(
        sentence(
            "The meeting needs a conference ID to be dialled into, and neither its invitation nor its "
            "meeting service nor the user's bridge has one for it."
        ),
        sentence(
            "Have the organizer add dial-in details in the meeting's own service, or start a run that "
            "moves the meeting to a service which has IDs. Until then people can join by the link alone."
        ),
    ),
    "unknown-to-service": Entry(
        sentence(
            "The meeting's service does not know the meeting, so nobody can say how people dial into it "
            "now: it may be another organizer's, or another organization's."
        ),
        sentence(
            "Have the organizer schedule the meeting anew, or start a run that makes it anew in the user's own service."
        ),
    ),
    "changed-since": Entry(
        sentence("The meeting was changed after the run, so it is not put back."),
        sentence(
            "Nothing, if the change is right. Otherwise have the organizer correct the meeting, or start "
            "the user, which brings its dial-in details up to date."
        ),
    ),
    "already-put-back": Entry(sentence("The meeting was put back before, or says again what it said before the run.")),
    "meeting-deleted": Entry(sentence("The meeting is not in the mailbox any more, so there is nothing to put back.")),
    "number-released": Entry(
        sentence(
            "Before the run the invitation showed a number that was released from its bridge since, so it "
            "is not put back."
        ),
        sentence("Nothing: nobody could dial in with the old invitation."),
    ),
    "conference-id-taken": Entry(
        sentence(
            "Before the run the invitation showed a conference ID that is another's by now, so it is not put back."
        ),
        sentence("Nothing: the old invitation would lead callers into somebody else's meeting."),
    ),
}
"""Why a run leaves a meeting as it is."""

LEFT_FOR_A_PERSON = (
    "needs-review",
    "pasted-block",
    "too-many-attendees",
    "no-conference-id",
    "no-meeting-service",
    "unknown-to-service",
)
"""Of these, the reasons why a person must look at the meeting."""

FAILED = {
    "unreadable-calendar-object": Entry(
        sentence("A calendar object in the mailbox cannot be read."),
        sentence("Open the meeting in the organizer's calendar, save it again or delete it, then retry."),
    ),
    "meeting-kept-changing": Entry(
        sentence("The meeting was changed by somebody else while it was being migrated."),
        sentence("Nothing: MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=NOTHING,
    ),
    "mailbox-unavailable": Entry(
        sentence("The mailbox could not be reached."),
        sentence("Check the mailbox server; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Check the mailbox server."),
    ),
    "mailbox-sign-in-refused": Entry(
        sentence("The mailbox refused the sign-in."), sentence("Renew the service's access to the mailbox, then retry.")
    ),
    "mailbox-without-sign-in": Entry(
        sentence("MMS has nothing to sign in to the mailbox with."),
        sentence(
            "Give the connection a service account, or the user a user name and password of their own; then retry."
        ),
    ),
    "directory-unknown": Entry(
        sentence("Microsoft does not know the directory that the connection names."),
        sentence("Correct the directory (tenant) ID of the connection, and the cloud that it is in; then retry."),
    ),
    "application-unknown": Entry(
        sentence("The directory does not know the application that the connection names."),
        sentence(
            "Correct the application (client) ID of the connection, or register the application in that "
            "directory and have an administrator there consent to it; then retry."
        ),
    ),
    "secret-refused": Entry(
        sentence("Microsoft does not accept the client secret."),
        sentence(
            "Make a new client secret in Microsoft Entra and enter its value in the connection, not its ID; then retry."
        ),
    ),
    "secret-expired": Entry(
        sentence("The client secret has expired."),
        sentence(
            "Make a new client secret, or better a certificate, in Microsoft Entra and enter it in the "
            "connection; then retry."
        ),
    ),
    "certificate-refused": Entry(
        sentence("Microsoft does not accept the certificate that MMS signs in with."),
        sentence(
            "Upload the certificate whose fingerprint the page of the connection shows to the app "
            "registration in Microsoft Entra, or enter another that is registered there and valid, with "
            "its key; then retry."
        ),
    ),
    "application-without-consent": Entry(
        sentence("The application lacks a permission in Microsoft 365."),
        sentence(
            "Add the application permission in Microsoft Entra and have an administrator consent to it; then retry."
        ),
    ),
    "mailbox-outside-policy": Entry(
        sentence("A policy of Exchange Online keeps MMS out of this mailbox."),
        sentence(
            "Put the mailbox into the group or scope that the application may reach, and wait up to two "
            "hours for Exchange; then retry."
        ),
    ),
    "mailbox-throttled": Entry(
        sentence("Exchange Online asks MMS to wait before it asks this mailbox again."),
        sentence("Nothing: MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=NOTHING,
    ),
    "exchange-not-installed": Entry(
        sentence("This installation of MMS has no client for Exchange on-premises."),
        sentence("Ask the operator to install MMS with its extra “exchange” (pip install .[exchange]), then retry."),
    ),
    "secret-unopenable": Entry(
        sentence("A stored password cannot be opened with the keys that MMS has."),
        sentence(
            "Put the old key back into MMS_SECRETS_KEY, after the new one, or enter the password anew; then retry."
        ),
    ),
    "mailbox-not-found": Entry(
        sentence("The mailbox, or the calendar in it, is not there."),
        sentence(
            "Check the user's address and the path template of the connection, and that the mailbox has a "
            "calendar; then retry."
        ),
    ),
    "mailbox-forbidden": Entry(
        sentence("The mailbox's server does not allow what MMS must do there."),
        sentence(
            "Give the account that MMS signs in with the right to read the user's calendar and to change "
            "what is in it, then retry."
        ),
    ),
    "mailbox-certificate": Entry(
        sentence("The certificate of the mailbox's server cannot be trusted."),
        sentence(
            "Have the server show a certificate that is valid and made out to its name, or add the CA that "
            "issued it to the connection; then retry."
        ),
    ),
    "mailbox-address": Entry(
        sentence("The address of the mailbox leads to no server that MMS may use."),
        sentence(
            "Enter the https address of the CalDAV server, or of the EWS of Exchange, in the connection. "
            "Only the installation's operator can allow private addresses and plain http, for one host at "
            "a time."
        ),
    ),
    "mailbox-who-tells": Entry(
        sentence(
            "The mailbox's server says that it tells attendees of changes, but not whether it does where a "
            "service account makes them, so MMS has changed nothing."
        ),
        sentence(
            "Change a test meeting with the service account and see whether its attendee gets a mail; then "
            "choose on the connection who tells attendees."
        ),
    ),
    "mailbox-answer": Entry(
        sentence("The mailbox's server gave an answer that MMS cannot use."),
        sentence(
            "Check that the address, where the connection has one, is that of the mail server and not of a "
            "web page, and look in the server's log; then retry."
        ),
    ),
    "mailbox-ignores-conditions": Entry(
        sentence("The mailbox's server writes without looking whether somebody else has changed the meeting."),
        sentence(
            "Use a server, or a version of it, that honours If-Match; MMS could overwrite what others have changed."
        ),
    ),
    "meeting-refused-by-server": Entry(
        sentence("The mailbox's server refused to take the changed meeting, so it stays as it was."),
        sentence("Put right what the server names, then start the run again."),
    ),
    "join-link-changed": Entry(
        sentence("The meeting was changed and its attendees were told, and the join link is not what it was to be."),
        sentence(
            "Open the meeting in the organizer's calendar and try the link that it shows. Where it leads "
            "nowhere, undo the run for this meeting, or have the organizer correct the meeting."
        ),
    ),
    "join-link-missing": Entry(
        sentence(
            "The new invitation would not show the Teams link that Exchange has for the meeting, so "
            "nothing was written."
        ),
        sentence(
            "Start a run that makes the meeting anew in another service, or have the organizer save the "
            "meeting again with its Teams link."
        ),
    ),
    "written-in-part": Entry(
        sentence(
            "MMS was cut off when it had changed a part of a series, and found then that it may not change the rest."
        ),
        sentence("Undo the run for this meeting, or have the organizer correct the series."),
    ),
    "meeting-too-large-for-exchange": Entry(
        sentence("Exchange takes no update of a meeting of this size, so it stays as it was."),
        sentence(
            "Ask the organizer to invite groups instead of people one by one, or to take out pictures and "
            "long texts; then start the run again."
        ),
    ),
    "no-bridge": Entry(
        sentence("Audio conferencing is on, but the user has no bridge."),
        sentence("Assign the user a bridge, then retry."),
    ),
    "no-dial-in-number": Entry(
        sentence("Audio conferencing is on, but the user's bridge has no toll number to print."),
        sentence("Register a toll number on the bridge or move the user to another bridge, then retry."),
    ),
    "user-without-conference-id": Entry(
        sentence("Audio conferencing is on, but the user has no conference ID."),
        sentence("Reset the user's conference ID, then retry."),
    ),
    "service-refused": Entry(
        sentence("The meeting service refused to make the online meeting, so the invitation stays as it was."),
        sentence("Put right what the service names, then start the run again."),
    ),
    "teams-no-policy": Entry(
        sentence("Teams does not let MMS make or read this user's meetings."),
        sentence(
            "Give the app the permission OnlineMeetings.ReadWrite.All with consent, and the user an "
            "application access policy that names the app; then start the run again. It may take half an "
            "hour until Teams follows a policy."
        ),
    ),
    "service-unavailable": Entry(
        sentence("The meeting service could not be reached, so the invitation stays as it was."),
        sentence("Check that the service runs and that MMS may connect to it; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Check that the service runs and that MMS may connect to it."),
    ),
    "cannot-be-served": Entry(
        sentence("MMS cannot migrate this user."),
        sentence("Use the Meeting Migration Tool: its page, or the command migrate_calendar."),
    ),
    "worker-lost": Entry(
        sentence("The worker stopped in the middle of the run."),
        sentence("Nothing: MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=NOTHING,
    ),
    "retries-used-up": Entry(
        sentence("All retries within a day failed."), sentence("Correct the cause, then start the run again.")
    ),
    "undone-instead": Entry(
        sentence("An undo of an earlier run took its place before it was done."),
        sentence("Look at the undo. To bring the user's invitations up to date after all, start the user."),
    ),
    "rolled-back": Entry(
        sentence("The user's wave was taken back before this run was done."),
        sentence("Nothing has to be done: the user is back where their meetings lead."),
    ),
    "plan-cancelled": Entry(
        sentence("The planned start was cancelled before this run began."),
        sentence("To bring the user's invitations up to date after all, start the user."),
    ),
    "run-pruned": Entry(
        sentence("The run that was to be undone is not in the history any more, so nobody knows what it had changed."),
        sentence("Nothing can be put back. To bring the user's invitations up to date, start the user."),
    ),
    "newer-run": Entry(sentence("A newer run of this user took over."), sentence("Look at the newer run.")),
    "internal-error": Entry(
        sentence("Something unexpected went wrong in MMS."),
        sentence("Look in the service's log for the reference and report it; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Look in the service's log for the reference and report it."),
    ),
}
"""Why a meeting or a whole run fails."""

UNSENT = {
    "mail-server-unreachable": Entry(
        sentence("The mail server could not be reached."),
        sentence(
            "Check the mail server, and what MMS knows of it: on the tenant's page Mail, or in EMAIL_URL. "
            "MMS tries again by itself."
        ),
        cures_by_waiting=True,
        do_when_given_up=sentence(
            "Check the mail server, and what MMS knows of it: on the tenant's page Mail, or in EMAIL_URL."
        ),
    ),
    "mail-server-without-sign-in": Entry(
        sentence("MMS has nothing to sign in to the mail server with."),
        sentence("Enter the password anew on the tenant's page Mail; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Enter the password anew on the tenant's page Mail."),
    ),
    "mail-put-off": Entry(
        sentence("The mail server asks to be given the message later, as it does with greylisting."),
        sentence("Nothing: MMS tries again by itself. Where it lasts, read the server's answer and log."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Where it lasts, read the server's answer and log."),
    ),
    "mail-limit": Entry(
        sentence("As many recipients of the domain as the limit allows were written to in this minute."),
        sentence(
            "Nothing: the message goes out when there is room. The limit stands on the tenant's page Mail, "
            "or in the installation's settings."
        ),
        cures_by_waiting=True,
    ),
    "mail-refused": Entry(
        sentence("The mail server refused the message."),
        sentence("Read the server's answer and correct the cause, then choose “Send again” on the page of the run."),
    ),
    "recipients-refused": Entry(
        sentence("The mail server took the message for some attendees and refused it for others."),
        sentence("Tell these attendees yourself, or correct the cause and choose “Send again” on the page of the run."),
    ),
    "attendees-not-told-by-server": Entry(
        sentence("The mailbox's server has taken the change, and could not tell some of the attendees."),
        sentence(
            "Tell these attendees yourself, or correct their addresses in the meeting, so that the server tells them."
        ),
    ),
    "mail-unconfirmed": Entry(
        sentence("The mail server got the message and did not say whether it took it."),
        sentence(
            "Look in the mail server's log for the Message-ID. Then say on the page of the run that it was "
            "delivered, or choose “Send again” if it was not. MMS does neither by itself, so that nobody "
            "is told twice."
        ),
    ),
    "meeting-changed-while-cut-off": Entry(
        sentence(
            "MMS was cut off when it had changed the meeting, and somebody may have changed it again "
            "before MMS could note that. Such a change tells the attendees; without one they know nothing "
            "yet."
        ),
        sentence(
            "Ask the organizer or an attendee which revision they have. Then say on the page of the run "
            "that it was delivered, or choose “Send again” if it was not."
        ),
    ),
    "message-retries-used-up": Entry(
        sentence("The message could not be sent in a day of tries."),
        sentence("Correct the cause, then choose “Send again” on the page of the run."),
    ),
    "meeting-gone": Entry(sentence("The meeting is not in the mailbox any more, so there is nothing to tell.")),
    "nobody-to-tell": Entry(sentence("The meeting names nobody any more who could be told by mail.")),
    "request-withdrawn": Entry(
        sentence("The meeting does not need its organizer any more: it is in order, or was dealt with.")
    ),
    "no-meeting-changes": Entry(
        sentence("No meeting of the organizer would be changed, so there is nothing to tell of.")
    ),
    "notice-withdrawn": Entry(sentence("The runs were cancelled, or began without waiting for the notice.")),
    "meeting-changed-since": Entry(
        sentence("The meeting was changed or cancelled again, and that change tells the attendees.")
    ),
}
"""Why a message to attendees is not sent, or not to all of them; beside these, ``internal-error``."""

ALERTS = {
    "webhook-address": Entry(
        sentence("The address of the webhook leads to no server that MMS may use."),
        sentence(
            "Enter the https address of a public server, without user name. Only the installation's "
            "operator can allow private addresses and plain http, for one host at a time "
            "(MMS_ALLOWED_WEBHOOK_HOSTS)."
        ),
        cures_by_waiting=True,
    ),
    "webhook-unavailable": Entry(
        sentence("The webhook's server could not be reached."),
        sentence("Check that it runs and can be reached from MMS; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Check that it runs and can be reached from MMS."),
    ),
    "webhook-certificate": Entry(
        sentence("The certificate of the webhook's server cannot be trusted."),
        sentence(
            "Have the server show a certificate of a public authority that is valid and made out to its "
            "name; MMS tries again by itself."
        ),
        cures_by_waiting=True,
        do_when_given_up=sentence(
            "Have the server show a certificate of a public authority that is valid and made out to its name."
        ),
    ),
    "webhook-redirected": Entry(
        sentence("The webhook's server sends MMS to another address, and alerts are not carried there."),
        sentence("Enter the address that takes alerts itself."),
        cures_by_waiting=True,
    ),
    "webhook-refused": Entry(
        sentence("The webhook's server did not take the alert."),
        sentence("Look in its log what it made of the request; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Look in its log what it made of the request."),
    ),
    "webhook-gone": Entry(
        sentence("The webhook's server says that nobody listens there any more, so MMS posts nothing more to it."),
        sentence("Enter another address, or save the settings of the alerts to post to this one again."),
    ),
    "webhook-without-secret": Entry(
        sentence("The secret that signs the webhook cannot be opened."),
        sentence("Put the old key back into MMS_SECRETS_KEY, or make a new secret; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Put the old key back into MMS_SECRETS_KEY, or make a new secret."),
    ),
    "alert-refused": Entry(
        sentence("The mail server refused the alert."),
        sentence(
            "Correct the addresses that alerts go to, or what the server names, then choose “Send again” "
            "beside the alert."
        ),
    ),
    "alert-given-up": Entry(
        sentence("The alert could not be delivered in a day of tries."),
        sentence("Correct the cause, then choose “Send again” beside the alert."),
    ),
    "alert-not-wanted": Entry(sentence("Alerts do not go this way any more.")),
}
"""Why an alert is not delivered; beside these, what keeps messages from a mail server for a while."""

NEEDS_A_PERSON: dict[Sentence, tuple[str, ...]] = {
    sentence("Left as they are"): LEFT_FOR_A_PERSON,
    sentence("Failed"): (
        "unreadable-calendar-object",
        "meeting-kept-changing",
        "meeting-refused-by-server",
        "mailbox-ignores-conditions",
        "join-link-changed",
        "join-link-missing",
        "written-in-part",
        "meeting-too-large-for-exchange",
        "service-refused",
        "teams-no-policy",
        "service-unavailable",
        "internal-error",
    ),
    sentence("Attendees not told"): (
        "mail-refused",
        "recipients-refused",
        "attendees-not-told-by-server",
        "mail-unconfirmed",
        "meeting-changed-while-cut-off",
        "message-retries-used-up",
    ),
}
"""Why a meeting may need a person, by what came of it."""

CHAT = {
    "chat-target-unavailable": Entry(
        sentence("The server to which rooms are imported could not be reached."),
        sentence("Check that it runs and that MMS may connect to it; MMS tries again by itself."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Check that it runs and that MMS may connect to it."),
    ),
    "chat-target-busy": Entry(
        sentence("The server to which rooms are imported takes no more for the moment."),
        sentence("Nothing: MMS tries again by itself, not sooner than the server asks for."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Raise its limits for MMS, then resume the import."),
    ),
    "chat-target-address": Entry(
        sentence("The address of the chat target leads to no server that MMS may use."),
        sentence(
            "Enter the https address of the server. Only the installation's operator can allow private addresses and "
            "plain http, for one host at a time."
        ),
    ),
    "chat-target-certificate": Entry(
        sentence("The certificate of the chat target's server cannot be trusted."),
        sentence(
            "Have the server show a certificate that is valid and made out to its name, or add the CA that issued it "
            "to the target; then resume the import."
        ),
    ),
    "chat-target-sign-in": Entry(
        sentence("The server to which rooms are imported does not let MMS in."),
        sentence("Renew the secret of the target, and what the server knows of MMS; then resume the import."),
    ),
    "chat-target-refused": Entry(
        sentence("The server to which rooms are imported refused what MMS asked of it."),
        sentence("Put right what the server names, then retry the room."),
    ),
    "chat-target-answer": Entry(
        sentence("The server to which rooms are imported gave an answer that MMS cannot use."),
        sentence(
            "Check that the address is that of the chat server and not of a web page, and look in the server's log; "
            "then retry the room."
        ),
    ),
    "chat-target-encrypts": Entry(
        sentence("The room is encrypted end to end at the target, so its history cannot be written."),
        sentence("Have the homeserver not encrypt new rooms by itself, or choose another room; then retry the room."),
    ),
    "chat-target-silent": Entry(
        sentence("The server to which rooms are imported did not say whether it had done what it was asked."),
        sentence("Nothing: MMS tries again by itself. It reads what is there first, and writes only what is missing."),
        cures_by_waiting=True,
        do_when_given_up=sentence("Look in the server's log why it does not answer, then retry the room."),
    ),
    "chat-target-settings": Entry(
        sentence("The settings of the chat target lack something, or contradict each other."),
        sentence("Complete them on the page of the target, or with set_chat_target; then resume the import."),
    ),
    "chat-target-unknown": Entry(
        sentence("The chat target is of a kind that this version of MMS does not have."),
        sentence("Make a target of another kind, and a plan for it."),
    ),
    "chat-secret-unopenable": Entry(
        sentence("The secret of the chat target cannot be read."),
        sentence("Put the old key back into MMS_SECRETS_KEY, or enter the secret anew; then resume the import."),
    ),
    "chat-archive-gone": Entry(
        sentence("The archive from which rooms are imported was deleted."),
        sentence("Store it again, and make a plan of it: what was imported is not imported twice."),
    ),
    "chat-archive-unreadable": Entry(
        sentence("The stored archive from which rooms are imported cannot be read, or is not as it was stored."),
        sentence("Bring MMS_DATA_DIR back from its backup, then resume; or store the archive again and plan it anew."),
    ),
    "chat-disk": Entry(
        sentence("A file of the import cannot be read or written below MMS_DATA_DIR, such as where the disk is full."),
        sentence("Make room on the disk, and see that the service's account may write there; then resume the import."),
    ),
    "chat-room-gone": Entry(
        sentence("The target does not have the room that was made there, or that its own tools were to make."),
        sentence("Find out who removed it; then retry the room, or plan and import again."),
    ),
    "chat-made-unreadable": Entry(
        sentence("Pages or files that MMS made at the target were changed or removed, so they cannot be read back."),
        sentence("Retry the room: they are made anew from what was written."),
    ),
    "chat-tables-missing": Entry(
        sentence("MMS does not know what the new Persistent Chat has: its tables were not read, or not in whole."),
        sentence("Read its tables into an archive, name that archive in the target, and compare again."),
    ),
    "chat-question-refused": Entry(
        sentence("The mail server refused the question to somebody of the rooms."),
        sentence("Correct the address of the person, or ask them in another way; then remind them."),
    ),
    "chat-question-given-up": Entry(
        sentence("The question to somebody of the rooms could not be handed over in a day of tries."),
        sentence("Correct what the mail server names, then remind them."),
    ),
    "chat-not-written-by-us": Entry(
        sentence("MMS does not write to Persistent Chat: its own cmdlets copy the rooms."),
        sentence("Follow the steps of the plan, then compare."),
    ),
}
"""Why a room of chat, or an import of rooms, does not go on (R111); ``internal-error`` can stand there too."""

CATALOGUE = {**SKIPPED, **FAILED, **UNSENT, **ALERTS, **CHAT}


def do_when_given_up(code: str) -> Sentence:
    """What to do about something that waiting might have cured, once MMS has given up trying again."""
    entry = entry_of(code)
    rest = entry.do if entry.do_when_given_up is None else entry.do_when_given_up
    return one_after_the_other(rest, FAILED["retries-used-up"].do)


class Failure(Exception):
    """Something of the catalogue happened; ``detail`` is one clause without secrets, shown after a colon."""

    def __init__(self, code: str, detail: str = "", retry_after: timedelta | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.detail = at_most(500, detail)
        self.retry_after = retry_after
        self.is_of_one_mailbox = False
        """The server answers, and says this of what was asked about: it says nothing of other mailboxes."""

    @property
    def cures_by_waiting(self) -> bool:
        return CATALOGUE[self.code].cures_by_waiting

    @property
    def told(self) -> Sentence:
        """What happened, and what to do."""
        return describe(self.code, self.detail)

    @property
    def what(self) -> Sentence:
        """What happened, without what to do."""
        return happened(self.code, self.detail)


def entry_of(code: str) -> Entry:
    """The entry of a code of any of the three tables."""
    return CATALOGUE[code]


def happened(code: str, detail: str = "") -> Sentence:
    """What happened, with the detail of this case after a colon."""
    what = entry_of(code).what
    return with_detail(what, detail) if detail else what


def describe(code: str, detail: str = "") -> Sentence:
    """What happened, the detail of this case, and what to do, as one text for people."""
    return one_after_the_other(happened(code, detail), entry_of(code).do)
