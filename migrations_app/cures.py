"""Where what went wrong is put right: for each code of the catalogue the page to open, or why there is none (R31)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from django.utils.translation import gettext_noop

from tenants_app.sentences import Sentence, sentence


class Place(Enum):
    """A page on which something is put right, as the documentation calls it."""

    USER = gettext_noop("the user's page")
    BRIDGE = gettext_noop("the page of the user's bridge")
    CONNECTION = gettext_noop("the page of the mailbox's connection")
    MEETING_SERVICE = gettext_noop("the user's page, or *Settings* where the meeting service is the tenant's")
    SETTINGS = gettext_noop("*Settings*")
    MAIL = gettext_noop("*Settings → Mail*")
    ALERTS = gettext_noop("*Settings → Alerts*")
    START = gettext_noop("*Start with options* of the user")
    RUN = gettext_noop("the page of the run")
    UNDO = gettext_noop("*Undo* on the page of the run")
    TOOL = gettext_noop("the Meeting Migration Tool")
    CHAT_TARGET = gettext_noop("the page of the chat target")
    CHAT_PLAN = gettext_noop("the page of the chat import")
    MEETING = gettext_noop("*What happened to this meeting*")


_NOTHING_WRONG = sentence("Nothing is wrong with it.")
_BY_ITSELF = sentence("MMS tries again by itself.")
_NOBODY_TO_TELL = sentence("Nobody is left to be told.")

CURES: Mapping[str, Place | Sentence] = {
    # why a meeting is skipped
    "past": _NOTHING_WRONG,
    "not-organizer": _NOTHING_WRONG,
    "cancelled": _NOTHING_WRONG,
    "no-block": _NOTHING_WRONG,
    "pasted-block": Place.MEETING,
    "too-many-attendees": Place.SETTINGS,
    "already-current": _NOTHING_WRONG,
    "needs-review": Place.MEETING,
    "other-service": _NOTHING_WRONG,
    "not-selected": Place.START,
    "no-meeting-service": Place.MEETING_SERVICE,
    "no-conference-id": Place.START,
    "unknown-to-service": Place.START,
    # why an undo leaves a meeting
    "changed-since": Place.MEETING,
    "already-put-back": _NOTHING_WRONG,
    "meeting-deleted": _NOTHING_WRONG,
    "number-released": Place.MEETING,
    "conference-id-taken": Place.MEETING,
    # why a meeting or a run fails
    "unreadable-calendar-object": Place.MEETING,
    "meeting-kept-changing": _BY_ITSELF,
    "mailbox-unavailable": Place.CONNECTION,
    "mailbox-sign-in-refused": Place.CONNECTION,
    "mailbox-without-sign-in": Place.CONNECTION,
    "exchange-not-installed": Place.CONNECTION,
    "directory-unknown": Place.CONNECTION,
    "application-unknown": Place.CONNECTION,
    "secret-refused": Place.CONNECTION,
    "secret-expired": Place.CONNECTION,
    "certificate-refused": Place.CONNECTION,
    "application-without-consent": Place.CONNECTION,
    "mailbox-outside-policy": Place.CONNECTION,
    "mailbox-throttled": _BY_ITSELF,
    "secret-unopenable": Place.CONNECTION,
    "mailbox-not-found": Place.CONNECTION,
    "mailbox-forbidden": Place.CONNECTION,
    "mailbox-certificate": Place.CONNECTION,
    "mailbox-address": Place.CONNECTION,
    "mailbox-who-tells": Place.CONNECTION,
    "mailbox-answer": Place.CONNECTION,
    "mailbox-ignores-conditions": Place.CONNECTION,
    "meeting-refused-by-server": Place.MEETING,
    "join-link-changed": Place.UNDO,
    "join-link-missing": Place.START,
    "written-in-part": Place.UNDO,
    "meeting-too-large-for-exchange": Place.MEETING,
    "no-bridge": Place.USER,
    "no-dial-in-number": Place.BRIDGE,
    "user-without-conference-id": Place.USER,
    "service-refused": Place.MEETING_SERVICE,
    "teams-no-policy": Place.MEETING_SERVICE,
    "service-unavailable": Place.MEETING_SERVICE,
    "cannot-be-served": Place.TOOL,
    "worker-lost": _BY_ITSELF,
    "retries-used-up": Place.RUN,
    "undone-instead": _NOTHING_WRONG,
    "rolled-back": _NOTHING_WRONG,
    "plan-cancelled": Place.USER,
    "run-pruned": sentence("What was changed is not known any more."),
    "newer-run": Place.USER,
    "internal-error": sentence("What to do follows from the service's log."),
    # why a message is not sent
    "mail-server-unreachable": Place.MAIL,
    "mail-server-without-sign-in": Place.MAIL,
    "mail-put-off": Place.MAIL,
    "mail-limit": Place.MAIL,
    "mail-refused": Place.RUN,
    "recipients-refused": Place.RUN,
    "mail-unconfirmed": Place.RUN,
    "message-retries-used-up": Place.RUN,
    "meeting-gone": _NOBODY_TO_TELL,
    "nobody-to-tell": _NOBODY_TO_TELL,
    "request-withdrawn": _NOTHING_WRONG,
    "attendees-not-told-by-server": Place.RUN,
    "meeting-changed-while-cut-off": Place.RUN,
    "no-meeting-changes": _NOBODY_TO_TELL,
    "notice-withdrawn": _NOBODY_TO_TELL,
    "meeting-changed-since": _NOBODY_TO_TELL,
    # why an alert is not delivered
    "webhook-address": Place.ALERTS,
    "webhook-unavailable": Place.ALERTS,
    "webhook-certificate": Place.ALERTS,
    "webhook-redirected": Place.ALERTS,
    "webhook-refused": Place.ALERTS,
    "webhook-gone": Place.ALERTS,
    "webhook-without-secret": Place.ALERTS,
    "alert-refused": Place.ALERTS,
    "alert-given-up": Place.ALERTS,
    "alert-not-wanted": sentence("Nobody is to be told this way."),
    # why a room of chat is not imported
    "chat-target-unavailable": Place.CHAT_TARGET,
    "chat-target-busy": _BY_ITSELF,
    "chat-target-address": Place.CHAT_TARGET,
    "chat-target-certificate": Place.CHAT_TARGET,
    "chat-target-sign-in": Place.CHAT_TARGET,
    "chat-target-refused": Place.CHAT_PLAN,
    "chat-target-answer": Place.CHAT_TARGET,
    "chat-target-encrypts": Place.CHAT_PLAN,
    "chat-target-silent": _BY_ITSELF,
    "chat-target-settings": Place.CHAT_TARGET,
    "chat-target-unknown": Place.CHAT_TARGET,
    "chat-secret-unopenable": Place.CHAT_TARGET,
    "chat-archive-gone": Place.CHAT_PLAN,
    "chat-archive-unreadable": Place.CHAT_PLAN,
    "chat-disk": Place.CHAT_PLAN,
    "chat-room-gone": Place.CHAT_PLAN,
    "chat-made-unreadable": Place.CHAT_PLAN,
    "chat-tables-missing": Place.CHAT_TARGET,
    "chat-question-refused": Place.CHAT_PLAN,
    "chat-question-given-up": Place.CHAT_PLAN,
    "chat-not-written-by-us": Place.CHAT_PLAN,
}
"""By code: where it is put right, or the sentence that says why nowhere."""


def place_of(code: str) -> Place | None:
    """Where it is put right; None where nothing on a page does."""
    found = CURES[code]
    return found if isinstance(found, Place) else None
