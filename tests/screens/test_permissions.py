"""Every address of the project, for everybody: signed out, of another tenant, too small a role, and the right one.

An address belongs in one of the tables below; one that stands in none fails the first test. Their columns are what
a role must at least be to GET and to POST; empty where the address does not take the method.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from datetime import timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from django.utils import timezone
from django.utils.html import escape

from migrations_app.alerts.actions import change_alerts
from migrations_app.mail.notice_texts import change_notice_text
from migrations_app.mailboxes.embedded import EmbeddedMailbox
from migrations_app.models import (
    Alert,
    AlertDelivery,
    BulkAction,
    LeftMeeting,
    MailboxScan,
    MeetingResult,
    NumberRelease,
    Rollout,
    Run,
    UntoldNumber,
    Update,
    UserImport,
)
from migrations_app.procedures import user_import
from migrations_app.procedures.number_release import advance, start_release
from migrations_app.rollouts import further_conditions
from migrations_app.rollouts.people import change_people
from migrations_app.tasks import TIME_BUDGET
from mms_site.accounts.backends import AccountBackend
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.invitations import invite
from tenants_app.changes.mailboxes import create_connection
from tenants_app.changes.tenants import create_tenant, grant_role, revoke_role
from tenants_app.changes.users import change_user
from tenants_app.models import Bridge, ConferencingUser, SavedFilter, ServiceNumber, Tenant
from tests.support.actors import ACTOR
from tests.support.chat_tables_of_rules import chat_of_others, chat_of_tables
from tests.support.commands import invitation
from tests.support.name_server import names
from tests.support.notices import notices_to
from tests.support.pages import key_of, shown
from tests.support.planned import plan_for
from tests.support.previewed import preview_of
from tests.support.remembered import Remembered
from tests.support.retirements import retirements_of_tables
from tests.support.rollouts import a_deployment, a_rollout, a_rollout_of_others, rollouts_of_tables
from tests.support.taken_back import taken_back
from tests.support.two_tenants import Fabrikam, everything_stored, furnish
from tests.support.visitors import sign_in


class Rule(NamedTuple):
    """An address, the least role for each method, and what a POST that acts carries beside what the page shows."""

    address: str
    get: str = ""
    post: str = ""
    form: Mapping[str, Any] = {}
    again: int = 302
    """What the same POST answers once it has been done."""
    hands_out: bool = False
    """Whether a POST that acts answers with what was asked for, once the audit has noted who takes it."""
    only_looks: bool = False
    """Whether a POST changes nothing here, and answers with what it has seen."""
    changes_nothing: bool = False
    """Whether a POST changes the visitor's own browser alone."""


class Upload:
    """A file of users, the same however often it is read."""

    name = "users.csv"

    def read(self) -> bytes:
        return b"UserPrincipalName\nclara.sanz@contoso.com\n"


class SignIns(Upload):
    """A file of sign-ins."""

    def read(self) -> bytes:
        return b"UserPrincipalName,Username,Password\nanna.rossi@contoso.com,,secret\n"


class Accounts(Upload):
    """A listing of accounts that is empty but for its columns."""

    name = "accounts.csv"

    def read(self) -> bytes:
        return b"SipAddress\n"


class ChatFile(Upload):
    """Something that is given as an archive of chat, whatever it turns out to be."""

    name = "Given.zip"

    def read(self) -> bytes:
        return b"PK"


class Members(Upload):
    """A file of members of waves."""

    name = "members.csv"

    def read(self) -> bytes:
        return b"UserPrincipalName,Wave\nnoa.el@contoso.com,Pilot\n"


BRIDGE = {"provider": "InterCall", "conference_ids_from": "mms", "confirmed": "yes"}
DEPLOYMENT = {
    "name": "Cloud",
    "kind": "online",
    "role": "new",
    "meeting_hosts": "meet.contoso.com",
    "mover": "record",
}
REASON = "It is known, and harmless."
ROLLOUT = {"name": "Another", "legacy": "{legacy}", "new": "{new}"}
THRESHOLDS = {
    "name": "Planned",
    "max_failed_percent": "5",
    "min_finished": "10",
    "max_failed_in_a_row": "3",
    "retire_after": "14",
}
WAVE = {"name": "Sales", "purpose": "pilot", "observe_days": "1"}
CONNECTION = {"name": "Nextcloud", "address": "https://dav.contoso.com/", "who_tells": "detect"}
BELOW_A_TENANT = {
    "dashboard": Rule("/{tenant}/", get="viewer"),
    "first-steps": Rule("/{tenant}/first-steps/", post="viewer", changes_nothing=True),
    "errors": Rule("/{tenant}/errors/", get="viewer"),
    "failures": Rule("/{tenant}/failures/", get="viewer"),
    "failure-group": Rule("/{tenant}/failures/no-bridge/", get="viewer"),
    "failure-group-csv": Rule("/{tenant}/failures/no-bridge/export.csv", get="viewer"),
    "accept-group": Rule("/{tenant}/failures/no-bridge/accept/", post="operator", form={"note": "Known"}),
    "take-back-group": Rule("/{tenant}/failures/user-without-conference-id/take-back/", post="operator"),
    "accept-failure": Rule("/{tenant}/users/{upn}/accept-failure/", post="operator", form={"note": "Known"}),
    "take-back-acceptance": Rule("/{tenant}/users/{accepted}/take-back-acceptance/", post="operator"),
    "left-meetings": Rule("/{tenant}/left/", get="viewer"),
    "left-csv": Rule("/{tenant}/left/export.csv", get="viewer"),
    "left-meeting": Rule("/{tenant}/left/{left}/", get="viewer"),
    "assign-left": Rule("/{tenant}/left/assign/", post="operator", form={"meeting": "{left}"}),
    "deal-with-left": Rule("/{tenant}/left/deal-with/", post="operator", form={"meeting": "{left}"}),
    "open-left-again": Rule("/{tenant}/left/open-again/", post="operator", form={"meeting": "{seen_to}"}),
    "look-again": Rule("/{tenant}/left/look-again/", post="operator", form={"meeting": "{left}"}),
    "history": Rule("/{tenant}/migrations/", get="viewer"),
    "run": Rule("/{tenant}/migrations/{run}/", get="viewer"),
    "run-now": Rule("/{tenant}/migrations/{pending}/run-now/", "operator", "operator", {"confirmed": "yes"}),
    "start-again": Rule("/{tenant}/migrations/{run}/start-again/", post="operator"),
    "undo-run": Rule("/{tenant}/migrations/{run}/undo/", get="operator", post="operator"),
    "undo-meeting": Rule("/{tenant}/migrations/{run}/undo/{meeting}/", get="operator"),
    "send-again": Rule("/{tenant}/migrations/{run}/send-again/", post="operator"),
    "send-in-doubt-again": Rule("/{tenant}/migrations/{doubtful}/send-in-doubt-again/", post="operator"),
    "confirm-delivered": Rule("/{tenant}/migrations/{doubtful}/confirm-delivered/", post="operator"),
    "meeting": Rule("/{tenant}/migrations/{run}/meetings/{meeting}/", get="viewer"),
    "explain": Rule("/{tenant}/migrations/{run}/meetings/{meeting}/explain/", get="viewer"),
    "users": Rule("/{tenant}/users/", get="viewer"),
    "users-csv": Rule("/{tenant}/users/export.csv", get="viewer"),
    "user-imports": Rule("/{tenant}/users/import/", get="admin", post="admin", form={"file": Upload()}),
    "users-template": Rule("/{tenant}/users/import/template.csv", get="admin"),
    "user-import": Rule("/{tenant}/users/import/{imported}/", get="admin"),
    "apply-import": Rule("/{tenant}/users/import/{imported}/apply/", post="admin"),
    "check-import": Rule("/{tenant}/users/import/{imported}/check/", post="admin"),
    "discard-import": Rule("/{tenant}/users/import/{imported}/discard/", post="admin"),
    "previews": Rule("/{tenant}/previews/", get="operator", post="operator", form={"kind": "start"}),
    "preview": Rule("/{tenant}/previews/{preview}/", get="operator"),
    "start-preview": Rule("/{tenant}/previews/{preview}/start/", post="operator"),
    "preview-csv": Rule("/{tenant}/previews/{preview}/meetings.csv", get="operator"),
    "preview-report": Rule("/{tenant}/previews/{preview}/report.html", get="operator"),
    "previewed-meeting": Rule("/{tenant}/previews/{preview}/meetings/{previewed}/", get="operator"),
    "user": Rule("/{tenant}/users/{upn}/", get="viewer", post="admin", form={"display_name": "Anna Bianchi"}),
    "selected": Rule("/{tenant}/users/selected/start/?users={selected}", get="operator", post="operator"),
    "bulk-actions": Rule("/{tenant}/users/actions/", get="viewer"),
    "bulk-action": Rule("/{tenant}/users/actions/{action}/", get="viewer"),
    "bulk-action-csv": Rule("/{tenant}/users/actions/{action}/results.csv", get="viewer"),
    "stop-bulk-action": Rule("/{tenant}/users/actions/{action}/stop/", post="operator"),
    "plans": Rule("/{tenant}/users/planned/", get="viewer"),
    "plan": Rule("/{tenant}/users/planned/{plan}/", "viewer", "operator", {"not_before": "tomorrow 23:30"}),
    "cancel-plan": Rule("/{tenant}/users/planned/{plan}/cancel/", get="operator", post="operator"),
    "begin-plan": Rule("/{tenant}/users/planned/{plan}/begin/", get="operator", post="operator"),
    "start-user": Rule("/{tenant}/users/{upn}/start/", post="operator"),
    "start-options": Rule("/{tenant}/users/{upn}/start/options/", get="operator"),
    "mark-up-to-date": Rule("/{tenant}/users/{outdated}/mark-up-to-date/", post="admin"),
    "user-meetings": Rule("/{tenant}/users/{upn}/meetings/", get="viewer"),
    "user-meeting": Rule("/{tenant}/users/{upn}/meetings/{stored}/", get="viewer"),
    "meeting-story": Rule("/{tenant}/users/{upn}/meetings/{stored}/story/", get="viewer"),
    "meetings": Rule("/{tenant}/meetings/?organizer=a", get="viewer"),
    "bridges": Rule("/{tenant}/bridges/", get="viewer"),
    "bridge": Rule("/{tenant}/bridges/{bridge}/", get="viewer"),
    "add-bridge": Rule("/{tenant}/bridges/add/", post="admin", form=BRIDGE | {"name": "Third"}, again=200),
    "edit-bridge": Rule("/{tenant}/bridges/{bridge}/edit/", post="admin", form=BRIDGE),
    "remove-bridge": Rule("/{tenant}/bridges/{empty}/remove/", get="admin", post="admin", again=404),
    "add-number": Rule(
        "/{tenant}/bridges/{bridge}/numbers/add/",
        post="admin",
        form={"number": "+14255550139", "kind": "toll"},
        again=200,
    ),
    "number": Rule("/{tenant}/bridges/{bridge}/numbers/{number}/", get="viewer"),
    "set-default-number": Rule("/{tenant}/bridges/{bridge}/numbers/{number}/default/", post="admin"),
    "describe-number": Rule(
        "/{tenant}/bridges/{bridge}/numbers/{number}/describe/", post="admin", form={"city": "Tacoma"}
    ),
    "release-number": Rule(
        "/{tenant}/bridges/{bridge}/numbers/{number}/release/?replacement={spare}", get="admin", post="admin"
    ),
    "replace-number": Rule(
        "/{tenant}/bridges/{bridge}/numbers/{number}/replace/?by=%2B14255550139", get="admin", post="admin"
    ),
    "notices": Rule("/{tenant}/settings/notices/", get="viewer"),
    "notice-text": Rule(
        "/{tenant}/settings/notices/advance/en/",
        get="viewer",
        post="admin",
        form={"subject": "Soon", "body": "On {{day}} {{meetings}} change"},
    ),
    "reset-notice-text": Rule("/{tenant}/settings/notices/advance/it/default/", post="admin"),
    "send-test-notice": Rule("/{tenant}/settings/notices/advance/en/test/", post="admin", again=200, only_looks=True),
    "notice-round": Rule("/{tenant}/notices/{notices}/", get="viewer"),
    "notice-round-csv": Rule("/{tenant}/notices/{notices}/notices.csv", get="viewer"),
    "begin-without-notices": Rule("/{tenant}/notices/{notices}/begin/", post="operator"),
    "tell-again": Rule("/{tenant}/notices/{notices}/again/", post="operator"),
    "tell-new-time": Rule("/{tenant}/notices/{moved}/new-time/", post="operator"),
    "releases": Rule("/{tenant}/releases/", get="viewer"),
    "release": Rule("/{tenant}/releases/{updating}/", get="viewer"),
    "cancel-release": Rule("/{tenant}/releases/{waiting}/cancel/", post="admin"),
    "begin-release": Rule("/{tenant}/releases/{waiting}/begin/", post="admin"),
    "start-release-runs": Rule("/{tenant}/releases/{updating}/start-runs/", post="operator"),
    "release-anyway": Rule(
        "/{tenant}/releases/{held}/anyway/", get="admin", post="admin", form={"reason": "The carrier cut it"}
    ),
    "accept-given-up": Rule("/{tenant}/releases/{held}/accept-given-up/", post="admin", form={"seen": "1"}),
    "tool": Rule("/{tenant}/tool/?user={upn}", "operator", "operator", {"do": "look"}, again=200, only_looks=True),
    "settings": Rule("/{tenant}/settings/", get="viewer", post="admin", form={"attendee_limit": "99"}),
    "deployments": Rule("/{tenant}/settings/deployments/", get="viewer", post="admin", form=DEPLOYMENT, again=200),
    "deployment": Rule(
        "/{tenant}/settings/deployments/{deployment}/", get="viewer", post="admin", form={"mover": "list"}
    ),
    "remove-deployment": Rule(
        "/{tenant}/settings/deployments/{deployment}/remove/", get="admin", post="admin", again=404
    ),
    "mailboxes": Rule("/{tenant}/settings/mailboxes/", get="viewer", post="admin", form=CONNECTION, again=200),
    "mailbox-connection": Rule(
        "/{tenant}/settings/mailboxes/{connection}/", get="viewer", post="admin", form={"calendars": "Work"}
    ),
    "try-mailbox-connection": Rule(
        "/{tenant}/settings/mailboxes/{connection}/try/", post="admin", form={"user": "anna.rossi@contoso.com"}
    ),
    "mailbox-sign-ins": Rule(
        "/{tenant}/settings/mailboxes/{connection}/sign-ins/", post="admin", form={"file": SignIns()}
    ),
    "remove-mailbox-connection": Rule(
        "/{tenant}/settings/mailboxes/{connection}/remove/", get="admin", post="admin", again=404
    ),
    "scan-now": Rule("/{tenant}/users/{scanned}/scan-now/", post="operator"),
    "rules": Rule("/{tenant}/settings/rules/", get="viewer"),
    "service-off": Rule("/{tenant}/settings/service/off/", get="admin"),
    "directory-key": Rule("/{tenant}/settings/directory-key/", post="admin"),
    "mail": Rule("/{tenant}/settings/mail/", get="viewer", post="admin", form={"dkim_selectors": "s1"}),
    "mail-test": Rule("/{tenant}/settings/mail/test/", post="admin", again=200, only_looks=True),
    "mail-test-message": Rule("/{tenant}/settings/mail/test-message/", post="admin", again=200, only_looks=True),
    "mail-deliverability": Rule("/{tenant}/settings/mail/deliverability/", post="admin", again=200, only_looks=True),
    "alerts": Rule("/{tenant}/settings/alerts/", get="viewer", post="admin", form={"recipients": "zoe@contoso.com"}),
    "alert-test-mail": Rule("/{tenant}/settings/alerts/test-mail/", post="admin", again=200, only_looks=True),
    "alert-test-webhook": Rule("/{tenant}/settings/alerts/test-webhook/", post="admin", again=200, only_looks=True),
    "alert-secret": Rule("/{tenant}/settings/alerts/secret/", post="admin"),
    "send-alert-again": Rule("/{tenant}/settings/alerts/{undelivered}/send-again/", post="admin"),
    "switch": Rule("/{tenant}/settings/MeetingMigrationEnabled/", post="admin", form={"on": "false"}),
    "search": Rule("/{tenant}/search/?q=anna", get="viewer"),
    "people": Rule("/{tenant}/people/", get="admin", post="admin", form={"email": "zoe@contoso.com", "role": "viewer"}),
    "change-role": Rule("/{tenant}/people/{member}/role/", post="admin", form={"role": "operator"}),
    "remove-person": Rule("/{tenant}/people/{member}/remove/", post="admin", again=404),
    "withdraw-invitation": Rule("/{tenant}/people/invitations/{invitation}/withdraw/", post="admin", again=404),
    "audit": Rule("/{tenant}/audit/", get="viewer"),
    "audit-csv": Rule("/{tenant}/audit/export.csv", get="viewer"),
    "selected-to-wave": Rule(
        "/{tenant}/users/to-wave/?users={idle_user}", get="admin", post="admin", form={"wave": "{first_wave}"}
    ),
    "rollouts": Rule("/{tenant}/rollouts/", get="viewer", post="admin", form=ROLLOUT, again=200),
    "rollout": Rule("/{tenant}/rollouts/{rollout}/", get="viewer"),
    "rollout-settings": Rule(
        "/{tenant}/rollouts/{rollout}/settings/", get="admin", post="admin", form={**THRESHOLDS, "batches": "1, 7"}
    ),
    "close-rollout": Rule("/{tenant}/rollouts/{rollout}/close/", post="admin", form={"reason": "No more"}, again=200),
    "rollout-mapping": Rule(
        "/{tenant}/rollouts/{rollout}/mapping/", get="viewer", post="admin", form={"default_bridge": "{new_bridge}"}
    ),
    "rollout-import": Rule("/{tenant}/rollouts/{rollout}/import/", get="admin", post="admin", form={"file": Members()}),
    "rollout-report": Rule("/{tenant}/rollouts/{rollout}/report/", get="viewer"),
    "rollout-report-file": Rule("/{tenant}/rollouts/{rollout}/report/csv/", get="viewer"),
    "wave-report": Rule("/{tenant}/rollouts/{rolling}/waves/2/report/", get="viewer"),
    "wave-report-file": Rule("/{tenant}/rollouts/{rolling}/waves/2/report/html/", get="viewer"),
    "rollout-people": Rule(
        "/{tenant}/rollouts/{rolling}/people/", get="viewer", post="admin", form={"people": "zoe@contoso.com"}
    ),
    "rollout-people-secret": Rule("/{tenant}/rollouts/{hooked}/people/secret/", post="admin"),
    "add-wave": Rule("/{tenant}/rollouts/{rollout}/waves/add/", post="admin", form=WAVE, again=200),
    "wave-settings": Rule(
        "/{tenant}/rollouts/{rollout}/waves/1/settings/",
        get="viewer",
        post="admin",
        form={"name": "First", "observe_days": "3"},
    ),
    "put-wave": Rule("/{tenant}/rollouts/{rollout}/waves/1/put/", post="admin", form={"position": "2"}),
    "split-wave": Rule(
        "/{tenant}/rollouts/{rollout}/waves/1/split/", post="admin", form={"keep": "0", "name": "Half"}, again=200
    ),
    "remove-wave": Rule(
        "/{tenant}/rollouts/{rollout}/waves/2/remove/", post="admin", form={"seen": "{second_wave}"}, again=403
    ),
    "wave-members": Rule("/{tenant}/rollouts/{rollout}/waves/1/members/", get="viewer"),
    "add-wave-members": Rule(
        "/{tenant}/rollouts/{rollout}/waves/2/members/add/", post="admin", form={"names": "{idle}"}
    ),
    "take-out-members": Rule(
        "/{tenant}/rollouts/{rollout}/waves/1/members/take-out/", post="admin", form={"member": "{first_member}"}
    ),
    "add-newcomers": Rule("/{tenant}/rollouts/{rolling}/waves/1/newcomers/", post="admin", form={"to": "{last_wave}"}),
    "exclude-member": Rule(
        "/{tenant}/rollouts/{rolling}/waves/2/members/{failed_member}/exclude/",
        get="admin",
        post="admin",
        form={"reason": "On leave"},
        again=200,
    ),
    "wave-meetings": Rule(
        "/{tenant}/rollouts/{rollout}/waves/2/meetings/", get="viewer", post="admin", form={"user": "{idle_user}"}
    ),
    "wave-readiness": Rule("/{tenant}/rollouts/{rollout}/waves/1/readiness/", get="viewer", post="operator"),
    "wave": Rule("/{tenant}/rollouts/{rolling}/waves/1/", get="viewer"),
    "start-wave": Rule("/{tenant}/rollouts/{rollout}/waves/1/start/", get="operator", post="operator", again=200),
    "pause-wave": Rule("/{tenant}/rollouts/{rolling}/waves/1/pause/", get="operator", post="operator", again=200),
    "resume-wave": Rule(
        "/{tenant}/rollouts/{rolling}/waves/2/resume/",
        get="operator",
        post="operator",
        form={"reason": "Put right"},
        again=200,
    ),
    "accept-wave": Rule(
        "/{tenant}/rollouts/{rolling}/waves/3/accept/", get="viewer", post="admin", form={"shown": "0"}, again=200
    ),
    "roll-back-wave": Rule("/{tenant}/rollouts/{rolling}/waves/3/roll-back/", "operator", "operator", again=200),
    "wave-stranded": Rule("/{tenant}/rollouts/{rolling}/waves/3/stranded/", get="viewer"),
    "wave-stranded-csv": Rule("/{tenant}/rollouts/{rolling}/waves/3/stranded.csv", get="viewer"),
    "search-stranded": Rule("/{tenant}/rollouts/{rolling}/waves/3/stranded/search/", post="operator"),
    "tell-stranded": Rule("/{tenant}/rollouts/{rolling}/waves/3/stranded/tell/", post="operator"),
    "rollout-retirement": Rule("/{tenant}/rollouts/{rolling}/retirement/", get="viewer"),
    "retirement-listing": Rule(
        "/{tenant}/rollouts/{rolling}/retirement/listing/accounts/",
        post="operator",
        form={"file": Accounts(), "is_whole": "on"},
    ),
    "retirement-search": Rule("/{tenant}/rollouts/{rolling}/retirement/search/", post="operator"),
    "retirement-accept": Rule(
        "/{tenant}/rollouts/{rolling}/retirement/accept/",
        post="admin",
        form={"meeting": "{found}", "reason": "Nobody dials in"},
    ),
    "retire-deployment": Rule("/{tenant}/rollouts/{retirable}/retirement/retire/", "admin", "admin", again=200),
    "take-back-retirement": Rule(
        "/{tenant}/rollouts/{retired}/retirement/take-back/", "admin", "admin", {"reason": "Too early"}, again=200
    ),
    "rollout-redirects": Rule("/{tenant}/rollouts/{rolling}/redirects/", get="viewer"),
    "redirects-file": Rule("/{tenant}/rollouts/{rolling}/redirects/map/", get="viewer"),
    "accept-wave-csv": Rule("/{tenant}/rollouts/{rolling}/waves/3/accept/items.csv", get="viewer"),
    "wave-moves": Rule(
        "/{tenant}/rollouts/{rolling}/waves/1/moves/", get="operator", post="operator", form={"all": "1"}
    ),
    "wave-move-list": Rule("/{tenant}/rollouts/{rolling}/waves/1/moves/list.txt", get="operator"),
    "retry-wave-member": Rule("/{tenant}/rollouts/{rolling}/waves/2/members/{failed_member}/retry/", post="operator"),
    "rollout-checks": Rule("/{tenant}/rollouts/{rolling}/checks/", get="viewer"),
    "look-at-rollout-checks": Rule("/{tenant}/rollouts/{rolling}/checks/look/", post="operator"),
    "new-rollout-check": Rule(
        "/{tenant}/rollouts/{rolling}/checks/new/?kind=manual",
        get="admin",
        post="admin",
        form={"wave": "1", "name": "Phones", "scope": "new"},
    ),
    "open-retirement-gate": Rule(
        "/{tenant}/rollouts/{rolling}/checks/open/", get="admin", post="admin", form={"reason": REASON}, again=200
    ),
    "rollout-check": Rule("/{tenant}/rollouts/{rolling}/checks/{check}/", get="viewer"),
    "answer-rollout-check": Rule(
        "/{tenant}/rollouts/{rolling}/checks/{question}/answer/", post="operator", form={"answer": "yes"}
    ),
    "look-at-rollout-check": Rule("/{tenant}/rollouts/{rolling}/checks/{check}/look/", post="operator"),
    "change-rollout-check": Rule(
        "/{tenant}/rollouts/{rolling}/checks/{question}/change/",
        get="admin",
        post="admin",
        form={"name": "Helpdesk", "scope": "new"},
    ),
    "move-rollout-check": Rule("/{tenant}/rollouts/{rolling}/checks/{question}/move/", post="admin", form={"to": "up"}),
    "remove-rollout-check": Rule(
        "/{tenant}/rollouts/{rolling}/checks/{question}/remove/",
        get="admin",
        post="admin",
        form={"reason": "Not needed"},
        again=200,
    ),
    "open-gate": Rule(
        "/{tenant}/rollouts/{rolling}/waves/1/open-gate/", get="admin", post="admin", form={"reason": REASON}, again=200
    ),
    "chat": Rule("/{tenant}/chat/", get="viewer"),
    "chat-settings": Rule("/{tenant}/chat/settings/", get="viewer", post="admin", form={"separator": " / "}),
    "chat-archives": Rule("/{tenant}/chat/archives/", get="viewer", post="operator", form={"file": ChatFile()}),
    "chat-script": Rule("/{tenant}/chat/archives/script/sql/", get="viewer"),
    "chat-evidence": Rule("/{tenant}/chat/archives/evidence/{chat_evidence}/", post="admin", again=200, hands_out=True),
    "chat-reading": Rule("/{tenant}/chat/archives/given/{chat_given}/", get="viewer"),
    "chat-archive": Rule("/{tenant}/chat/archives/{chat_archive}/", get="viewer"),
    "download-chat-archive": Rule(
        "/{tenant}/chat/archives/{chat_archive}/download/", post="admin", again=200, hands_out=True
    ),
    "delete-chat-archive": Rule("/{tenant}/chat/archives/{chat_spare_archive}/delete/", get="admin", post="admin"),
    "chat-targets": Rule(
        "/{tenant}/chat/targets/?kind=archive", get="viewer", post="admin", form={"name": "Another"}, again=200
    ),
    "chat-target": Rule("/{tenant}/chat/targets/{chat_spare}/", get="viewer", post="admin", form={"name": "Renamed"}),
    "try-chat-target": Rule("/{tenant}/chat/targets/{chat_target}/try/", post="admin", again=200, only_looks=True),
    "remove-chat-target": Rule("/{tenant}/chat/targets/{chat_spare}/remove/", get="admin", post="admin", again=404),
    "chat-target-file": Rule(
        "/{tenant}/chat/targets/{chat_target}/take/",
        post="admin",
        form={"file": "{chat_product}"},
        again=200,
        hands_out=True,
    ),
    "new-chat-plan": Rule(
        "/{tenant}/chat/plans/new/",
        get="operator",
        post="operator",
        form={"archive": "{chat_archive}", "target": "{chat_target}", "on_conflict": "refuse"},
    ),
    "chat-plan": Rule("/{tenant}/chat/plans/{chat_ready}/", get="viewer"),
    "plan-chat-again": Rule("/{tenant}/chat/plans/{chat_ready}/again/", post="operator"),
    "accept-chat-retention": Rule(
        "/{tenant}/chat/plans/{chat_ready}/retention/", get="admin", post="admin", form={"reason": REASON}
    ),
    "chat-findings": Rule("/{tenant}/chat/plans/{chat_ready}/findings/", get="viewer"),
    "start-chat-import": Rule("/{tenant}/chat/plans/{chat_start}/start/", get="operator", post="operator", again=200),
    "pause-chat-import": Rule("/{tenant}/chat/plans/{chat_moving}/pause/", post="operator"),
    "resume-chat-import": Rule(
        "/{tenant}/chat/plans/{chat_paused}/resume/", get="operator", post="operator", again=200
    ),
    "retry-chat-import": Rule("/{tenant}/chat/plans/{chat_paused}/retry/", post="operator"),
    "verify-chat": Rule("/{tenant}/chat/plans/{chat_done}/verify/", post="operator"),
    "chat-rooms": Rule("/{tenant}/chat/plans/{chat_ready}/rooms/", get="viewer"),
    "choose-chat-rooms": Rule(
        "/{tenant}/chat/plans/{chat_ready}/rooms/choose/",
        post="operator",
        form={"room": "{chat_room}", "do": "deselect", "reason": REASON},
    ),
    "chat-room": Rule("/{tenant}/chat/plans/{chat_ready}/rooms/{chat_room}/", get="viewer"),
    "name-chat-room": Rule(
        "/{tenant}/chat/plans/{chat_ready}/rooms/{chat_room}/name/", post="operator", form={"room": "Short"}, again=200
    ),
    "accept-chat-differences": Rule(
        "/{tenant}/chat/plans/{chat_done}/rooms/{chat_differs}/accept/",
        post="admin",
        form={"difference": "{chat_difference}", "reason": REASON},
        again=200,
    ),
    "verify-chat-room": Rule("/{tenant}/chat/plans/{chat_done}/rooms/{chat_differs}/verify/", post="operator"),
    "retry-chat-room": Rule("/{tenant}/chat/plans/{chat_paused}/rooms/{chat_failed}/retry/", post="operator"),
    "chat-room-sample": Rule(
        "/{tenant}/chat/plans/{chat_done}/rooms/{chat_differs}/sample/", post="operator", again=200, hands_out=True
    ),
    "chat-gate": Rule("/{tenant}/chat/plans/{chat_done}/gate/", get="viewer"),
    "answer-chat-gate": Rule(
        "/{tenant}/chat/plans/{chat_guided}/gate/backups/", post="operator", form={"evidence": REASON}
    ),
    "confirm-chat-gate": Rule("/{tenant}/chat/plans/{chat_done}/gate/retention-officer/confirm/", post="operator"),
    "take-back-chat-gate": Rule("/{tenant}/chat/plans/{chat_done}/gate/retention-officer/take-back/", post="operator"),
    "chat-steps": Rule("/{tenant}/chat/plans/{chat_guided}/steps/", get="viewer"),
    "do-chat-step": Rule(
        "/{tenant}/chat/plans/{chat_ready}/steps/stop-source/", post="operator", form={"evidence": REASON}
    ),
    "take-back-chat-step": Rule("/{tenant}/chat/plans/{chat_guided}/steps/stop-source/take-back/", post="operator"),
    "chat-endpoint": Rule("/{tenant}/chat/plans/{chat_guided}/endpoint/", get="viewer"),
    "compare-chat-endpoint": Rule(
        "/{tenant}/chat/plans/{chat_guided}/endpoint/compare/",
        post="operator",
        form={"before": "sip:ocschat@contoso.com", "after": "sip:ocschat@contoso.com"},
    ),
    "ask-chat-pool": Rule("/{tenant}/chat/plans/{chat_guided}/endpoint/ask/", post="operator", changes_nothing=True),
    "answer-chat-client": Rule(
        "/{tenant}/chat/plans/{chat_guided}/endpoint/no-old-clients/", post="operator", form={"evidence": REASON}
    ),
    "take-back-chat-client": Rule(
        "/{tenant}/chat/plans/{chat_guided}/endpoint/endpoint-uri/take-back/", post="operator"
    ),
    "chat-people": Rule("/{tenant}/chat/plans/{chat_done}/people/", get="viewer", post="operator"),
    "chat-report": Rule("/{tenant}/chat/plans/{chat_done}/report/", get="viewer"),
    "chat-report-file": Rule("/{tenant}/chat/plans/{chat_done}/report/csv/", get="viewer"),
    "list-layout": Rule("/{tenant}/lists/users/layout/", post="viewer", form={"column": "upn"}),
    "saved-filters": Rule("/{tenant}/lists/users/filters/", get="viewer", post="viewer", form={"name": "Failed"}),
    "saved-filter": Rule("/{tenant}/lists/users/filters/{saved}/", post="viewer", form={"do": "default"}),
}
SWITCHED_ON_FOR_EVERYBODY = {
    "phone-number-list": Rule("/{tenant}/dial-in/phoneNumberList", get="nobody"),
    "conference-mapper": Rule("/{tenant}/dial-in/conferenceMapper", get="nobody"),
}
"""Below a tenant too, and 404 until it is switched on there: tests/dial_in_directory."""
FOR_EVERYBODY = {
    "healthz": Rule("/healthz", get="nobody"),
    "chat-answer": Rule("/chat-answer/used-up/", get="nobody", post="nobody"),
    "account_login": Rule("/accounts/login/", get="nobody", post="nobody"),
    "password_reset_confirm": Rule("/accounts/sign-in-link/MQ/used-up/", get="nobody", post="nobody"),
    "accept-invitation": Rule("/accounts/invitation/used-up/", get="nobody", post="nobody"),
    "mfa_authenticate": Rule("/accounts/login/code/", get="nobody", post="nobody"),
    "mfa_login_webauthn": Rule("/accounts/login/passkey/", get="nobody", post="nobody"),
    "openid_login": Rule("/accounts/openid/", get="nobody"),
    "password_reset": Rule("/accounts/forgotten/", get="nobody", post="nobody"),
    "openid_callback": Rule("/accounts/openid/callback/", get="nobody"),
    "theme": Rule("/accounts/theme/", post="nobody"),
    "language": Rule("/accounts/language/", post="nobody", form={"language": "es"}),
}
BEHIND_A_KEY = {"metrics": Rule("/metrics", get="nobody")}
"""For programs, and 404 until a key is set: tests/monitoring/test_metrics.py."""
FOR_THE_SIGNED_IN = {
    "index": Rule("/", get="anybody"),
    "keyboard": Rule("/accounts/keyboard/", get="anybody"),
    "keys": Rule("/accounts/keyboard/keys/", post="anybody"),
    "account": Rule("/accounts/own/", get="anybody"),
    "change-own-name": Rule("/accounts/own/name/", get="anybody", post="anybody"),
    "change-preferences": Rule("/accounts/own/preferences/", get="anybody", post="anybody"),
    "change-own-password": Rule("/accounts/own/password/", get="anybody", post="anybody"),
    "end-session": Rule("/accounts/own/sessions/1/end/", post="anybody"),
    "end-other-sessions": Rule("/accounts/own/sessions/end-others/", post="anybody"),
    "account_logout": Rule("/accounts/logout/", post="anybody"),
    "account_reauthenticate": Rule("/accounts/confirm/", get="anybody", post="anybody"),
    "mfa_reauthenticate": Rule("/accounts/confirm/code/", get="anybody", post="anybody"),
    "mfa_reauthenticate_webauthn": Rule("/accounts/confirm/passkey/", get="anybody", post="anybody"),
    "mfa_index": Rule("/accounts/second-factor/", get="anybody"),
    "mfa_activate_totp": Rule("/accounts/second-factor/app/", get="anybody", post="anybody"),
    "mfa_deactivate_totp": Rule("/accounts/second-factor/app/remove/", get="anybody", post="anybody"),
    "mfa_view_recovery_codes": Rule("/accounts/second-factor/recovery-codes/", get="anybody"),
    "mfa_generate_recovery_codes": Rule("/accounts/second-factor/recovery-codes/new/", get="anybody", post="anybody"),
    "mfa_add_webauthn": Rule("/accounts/second-factor/passkeys/add/", get="anybody", post="anybody"),
    "mfa_remove_webauthn": Rule("/accounts/second-factor/passkeys/1/remove/", get="anybody", post="anybody"),
    "openid_connect": Rule("/accounts/openid/connect/", post="anybody"),
}
FOR_ADMINISTRATORS = {
    "accounts": Rule("/accounts/all/", get="superuser"),
    "switch-account": Rule("/accounts/all/1/switch/", post="superuser"),
    "administer-account": Rule("/accounts/all/1/administrator/", post="superuser"),
    "remove-second-factor": Rule("/accounts/all/1/remove-second-factor/", post="superuser"),
}
"""Of the installation, who are superusers: tests/accounts/test_all_accounts.py says what they see there."""
FOR_SUPERUSERS = "admin/"
"""All that begins with it is the Django admin, which shows the rows of every tenant."""

RANK = ["viewer", "operator", "admin"]
MEMBERS = {"vera": "viewer", "bob": "operator", "alice": "admin"}
STRANGERS = ["charlie", "nora"]
HTMX = {"HX-Request": "true"}
WHOLE_PAGE_OR_PART: list[dict[str, str]] = [{}, HTMX]

REQUESTS = [
    (method, rule, least)
    for rule in BELOW_A_TENANT.values()
    for method, least in (("get", rule.get), ("post", rule.post))
    if least
]


def every_address(resolver: URLResolver | None = None, route: str = "") -> Iterator[tuple[str, str]]:
    """The route and the name (empty for one without) of every address of the project."""
    for pattern in (resolver or get_resolver()).url_patterns:
        if isinstance(pattern, URLPattern):
            yield f"{route}{pattern.pattern}", pattern.name or ""
        else:
            yield from every_address(pattern, f"{route}{pattern.pattern}")


# --- the tables ---------------------------------------------------------------------------------------


def test_every_address_is_classified() -> None:
    below = Counter(name or route for route, name in every_address() if route.startswith("<slug:slug>/"))
    others = Counter(
        name or route for route, name in every_address() if not route.startswith(("<slug:slug>/", FOR_SUPERUSERS))
    )
    above = [*FOR_EVERYBODY, *BEHIND_A_KEY, *FOR_THE_SIGNED_IN, *FOR_ADMINISTRATORS]
    beneath = [*BELOW_A_TENANT, *SWITCHED_ON_FOR_EVERYBODY]
    unclassified = [*(below - Counter(beneath)), *(others - Counter(above))]

    assert not unclassified, (
        f"Nobody has said who may open {', '.join(unclassified)}: put it with its address, methods and least roles "
        "into BELOW_A_TENANT, or into FOR_EVERYBODY or FOR_THE_SIGNED_IN where it shows nothing of a tenant. "
        "Give each address a name of its own."
    )
    assert below + others == Counter([*beneath, *above]), "a table names an address that is not there"


def test_the_addresses_of_the_tables_are_those_of_the_project(fill: Fill) -> None:
    beneath = BELOW_A_TENANT | SWITCHED_ON_FOR_EVERYBODY
    everything = beneath | FOR_EVERYBODY | BEHIND_A_KEY | FOR_THE_SIGNED_IN | FOR_ADMINISTRATORS
    for name, rule in everything.items():
        assert resolve(fill(rule.address).partition("?")[0]).url_name == name


# --- who is there -------------------------------------------------------------------------------------

Fill = Callable[..., str]

SignIn = Callable[[str], Client]
FormOf = Callable[[Rule], dict[str, str]]


@pytest.fixture(autouse=True)
def one_moment() -> Iterator[None]:
    """Pages and headers say when they were made: those that are compared are made at one moment."""
    with time_machine.travel(timezone.now(), tick=False):
        yield


@pytest.fixture(autouse=True)
def nothing_in_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The deliverability check asks about names: those of a server that knows none."""
    with names({}, monkeypatch):
        yield


@pytest.fixture(autouse=True)
def sessions_in_cookies(settings: Any) -> None:
    """Thousands of requests need not read their session from the database."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"


@pytest.fixture(autouse=True)
def chat_at_no_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chat of the table is not verified, which would keep its deployments from being retired (R125)."""
    monkeypatch.setattr(further_conditions, "_asked", {})


@pytest.fixture(autouse=True)
def accounts_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's account changes here: it is read once for all requests of a test. Roles are read for each of them."""
    read, known = AccountBackend.get_user, dict[Any, Any]()

    def get_user(backend: AccountBackend, key: Any) -> Any:
        if key not in known:
            known[key] = read(backend, key)
        return copy(known[key])

    monkeypatch.setattr(AccountBackend, "get_user", get_user)


@pytest.fixture
def who() -> SignIn:
    """The client of an account, the same each time; "" is nobody's."""
    return cache(lambda name: sign_in(name) if name else Client())


@pytest.fixture
def fabrikam(cast: None, remembered: Remembered) -> Fabrikam:
    """The other tenant, of which charlie is admin; nora has an account and no role."""

    def make() -> Fabrikam:
        User.objects.create_user("nora", "nora@example.org", "a long pass phrase")
        return furnish(Tenant.objects.get(slug="fabrikam"))

    return remembered.make("fabrikam", make)


@pytest.fixture
def dora(fabrikam: Fabrikam, tenant: Tenant) -> Client:
    """Admin of both tenants, so that only the address says which of them is meant."""
    account = User.objects.create_user("dora", "dora@example.org", "a long pass phrase")
    for each in (tenant, fabrikam.tenant):
        grant_role(each, account, "admin", ACTOR)
    return sign_in("dora")


@pytest.fixture
def contoso(
    fabrikam: Fabrikam,
    make_user: Callable[..., ConferencingUser],
    new_bridge: Bridge,
    make_run: Callable[..., Run],
    remembered: Remembered,
) -> dict[str, Any]:
    """Keys of Contoso's rows, on which every POST of the table acts."""
    return remembered.make("keys of Contoso's rows", lambda: make_contoso(make_user, new_bridge, make_run))


def make_contoso(
    make_user: Callable[..., ConferencingUser], new_bridge: Bridge, make_run: Callable[..., Run]
) -> dict[str, Any]:
    anna, bruno = make_user("anna.rossi"), make_user("bruno.costa")
    run = make_run(anna, "Failed", [("Weekly sync", "Succeeded", "")], last_error_code="no-bridge")
    Update.objects.update(state=Update.State.FAILED, error_code="mail-refused", sent_at=None)
    doubtful = make_run(make_user("emil.berg"), "Succeeded", [("Budget", "Succeeded", "")])
    Update.objects.filter(result__run=doubtful).update(
        state=Update.State.FAILED,
        error_code="mail-unconfirmed",
        recipients_left=["zoe@fabrikam.com"],
        recipients_in_doubt={"zoe@fabrikam.com": "<a@contoso.com>"},
    )
    EmbeddedMailbox(anna).store([("meeting-0", invitation(anna, "meeting-0"))])
    change_user(bruno, ACTOR, is_data_fix=True, conference_id="7654321")  # so that he is out of date
    change_notice_text(anna.tenant, "Advance", "it", ACTOR, subject="Da {day}")
    left, seen_to = left_of(anna), left_of(bruno, state=LeftMeeting.State.DEALT_WITH)
    number, spare, waiting, updating = leaving_numbers(anna.bridge, make_user)
    plan = plan_for(anna)
    return {
        "tenant": "contoso",
        "member": anna.tenant.roles.get(account__username="vera").pk,
        "invitation": invite(anna.tenant, ACTOR, "yves@contoso.com", "viewer")[0].pk,
        "left": left.pk,
        "seen_to": seen_to.pk,
        "number": number.pk,
        "spare": spare.pk,
        "waiting": waiting.pk,
        "updating": updating.pk,
        "held": held(updating).pk,
        "empty": set_bridge(anna.tenant, "Empty", ACTOR).pk,
        "run": run.correlation_id,
        "meeting": run.results.get().pk,
        "pending": make_run(bruno, "Pending", plan=plan).correlation_id,
        "doubtful": doubtful.correlation_id,
        "upn": anna.upn,
        "accepted": accepted(make_run(make_user("hugo.lind"), "Failed")).user.upn,
        "outdated": bruno.upn,
        "stored": key_of(anna.calendar_objects.get().uid),
        "imported": imported(anna.tenant).pk,
        "bridge": anna.bridge_id,
        "connection": create_connection(anna.tenant, ACTOR, "Spare", address="https://127.0.0.1:9/").pk,
        "deployment": a_deployment(anna.tenant, name="Spare pool").pk,
        "undelivered": undelivered(anna.tenant).pk,
        "scanned": scanned(make_user("gina.falk")).upn,
        "selected": anna.pk,
        "action": going_on(anna).pk,
        "saved": shared_filter(anna.tenant).pk,
        "notices": notices_to(anna).pk,
        "moved": notices_to(anna, state="Sent", error_code="").pk,
        "plan": plan.pk,
        **rollouts_of_tables(
            new_bridge, *(make_user(name) for name in ("ida.ek", "jon.as", "kai.lo", "lea.mo", "noa.el"))
        ),
        **retirements_of_tables(anna),
        "hooked": hooked(anna.tenant).pk,
        **preview_of(anna),
        **chat_of_tables(anna.tenant),
    }


def hooked(tenant: Tenant) -> Rollout:
    """A rollout that is told by a webhook, which has a secret."""
    legacy, new = a_deployment(tenant, name="Pool of hooks"), a_deployment(tenant, "new", name="Service of hooks")
    rollout = a_rollout(tenant, legacy, new, name="Hooked")
    return change_people(rollout, ACTOR, webhook_url="https://hooks.invalid/")[0]


def shared_filter(tenant: Tenant) -> SavedFilter:
    """A filter of the list of users that everybody of the tenant sees."""
    return SavedFilter.objects.create(tenant=tenant, of_list="users", name="Out of date", is_shared=True)


def going_on(user: ConferencingUser) -> BulkAction:
    """Something for many users that waits to be done."""
    action = BulkAction.objects.create(tenant=user.tenant, kind="start", channel="screen", user_count=1)
    action.users.create(user=user, upn=user.upn)
    return action


def undelivered(tenant: Tenant) -> AlertDelivery:
    """An alert that was given up, where alerts go to a webhook."""
    change_alerts(tenant, ACTOR, webhook_url="https://hooks.invalid/")
    alert = Alert.objects.create(tenant=tenant, content={"title": f"1 run of {tenant.name} failed"})
    return AlertDelivery.objects.create(alert=alert, channel="webhook", state="Failed", error_code="alert-given-up")


def left_of(user: ConferencingUser, **values: Any) -> LeftMeeting:
    """A meeting of the user that needs a person, as an ended run has left it."""
    run = Run.objects.create(
        tenant=user.tenant, user=user, state="Succeeded", is_latest=False, due_at=timezone.now(), reasons=[]
    )
    MeetingResult.objects.create(run=run, uid="left", outcome="Skipped", code="needs-review")
    ends = timezone.now() + timedelta(days=7)
    return LeftMeeting.objects.create(
        tenant=user.tenant, user=user, uid="left", run=run, code="needs-review", last_end=ends, **values
    )


def accepted(run: Run) -> Run:
    """The run, failed by something that somebody has accepted."""
    Run.objects.filter(pk=run.pk).update(
        last_error_code="user-without-conference-id", accepted_at=timezone.now(), accepted_by="zoe", accepted_note="Old"
    )
    return run


def scanned(user: ConferencingUser) -> ConferencingUser:
    """The user, with a mailbox outside that waits for its next look."""
    outside = create_connection(user.tenant, ACTOR, "Outside", address="https://dav.contoso.com/")
    change_user(user, ACTOR, is_data_fix=True, mailbox=outside)
    MailboxScan.objects.update(due_at=timezone.now() + timedelta(hours=1))
    return user


def leaving_numbers(
    bridge: Bridge | None, make_user: Callable[..., ConferencingUser] | None = None
) -> tuple[ServiceNumber, ServiceNumber, NumberRelease, NumberRelease]:
    """Two more numbers of the bridge, and two procedures for others: one that waits, one that a failed run holds up."""
    assert bridge
    area = "206" if make_user is None else "425"
    number, spare, third, fourth = (
        register_number(bridge, f"+1{area}555013{digit}", "toll", ACTOR) for digit in range(4)
    )
    if make_user:
        clara = make_user("clara.vega", bridge=bridge, toll_number=fourth)
    updating = start_release(fourth, spare, ACTOR)
    advance(timezone.now() + timedelta(minutes=1))
    if make_user:
        clara.runs.update(state=Run.State.FAILED, last_error_code="no-bridge")
    return number, spare, start_release(third, spare, ACTOR), updating


def held(release: NumberRelease) -> NumberRelease:
    """The same, whose meetings were searched, and which a message that was given up holds too."""
    NumberRelease.objects.filter(pk=release.pk).update(searched_at=timezone.now())
    refused = Update.objects.get(error_code="mail-refused")
    UntoldNumber.objects.create(
        update=refused, number=release.number, meeting_ends_at=timezone.now() + timedelta(days=9)
    )
    return release


def imported(tenant: Tenant) -> UserImport:
    """A file of users that was checked and waits for a decision."""
    submitted = user_import.submit(tenant, "users.csv", Upload().read().decode(), ACTOR)
    user_import.advance(timezone.now() + TIME_BUDGET)
    return submitted


@pytest.fixture
def theirs(fabrikam: Fabrikam, contoso: dict[str, Any], make_run: Callable[..., Run]) -> dict[str, Any]:
    """Keys of Fabrikam's rows."""
    _, spare, waiting, updating = leaving_numbers(fabrikam.bridge)
    run = make_run(fabrikam.user, "Failed", [("Harbour budget", "Succeeded", "")], last_error_code="no-bridge")
    EmbeddedMailbox(fabrikam.user).store([(uid, invitation(fabrikam.user, uid)) for uid in ("meeting-0", "harbour")])
    return {
        "member": fabrikam.tenant.roles.get(account__username="charlie").pk,
        "invitation": invite(fabrikam.tenant, ACTOR, "yves@fabrikam.com", "viewer")[0].pk,
        "run": run.correlation_id,
        "meeting": run.results.get().pk,
        "pending": run.correlation_id,
        "doubtful": run.correlation_id,
        "left": left_of(fabrikam.user).pk,
        "upn": fabrikam.user.upn,
        "accepted": fabrikam.user.upn,
        "outdated": fabrikam.user.upn,
        "stored": key_of("harbour"),
        "imported": imported(fabrikam.tenant).pk,
        "bridge": fabrikam.bridge.pk,
        "number": fabrikam.toll.pk,
        "spare": spare.pk,
        "waiting": waiting.pk,
        "updating": updating.pk,
        "held": updating.pk,
        "connection": create_connection(fabrikam.tenant, ACTOR, "Harbour", address="https://dav.fabrikam.com/").pk,
        "deployment": a_deployment(fabrikam.tenant, name="Harbour pool").pk,
        "undelivered": undelivered(fabrikam.tenant).pk,
        "scanned": fabrikam.user.upn,
        "saved": shared_filter(fabrikam.tenant).pk,
        "notices": (harbour := notices_to(fabrikam.user).pk),
        "moved": harbour,
        **preview_of(fabrikam.user),
        "empty": fabrikam.bridge.pk,
        "selected": fabrikam.user.pk,
        "action": going_on(fabrikam.user).pk,
        "plan": plan_for(fabrikam.user).pk,
        **a_rollout_of_others(fabrikam.user),
        "hooked": hooked(fabrikam.tenant).pk,
        **chat_of_others(fabrikam.tenant),
    }


INVENTED = {
    "member": 987_654,
    "invitation": 987_654,
    "saved": 987_654,
    "run": uuid4(),
    "meeting": 987_654,
    "pending": uuid4(),
    "doubtful": uuid4(),
    "left": 987_654,
    "upn": "nobody@contoso.com",
    "accepted": "nobody@contoso.com",
    "outdated": "nobody@contoso.com",
    "stored": key_of("nothing"),
    "imported": 987_654,
    "connection": 987_654,
    "deployment": 987_654,
    "rollout": 987_654,
    "rolling": 987_654,
    "failed_member": 987_654,
    "check": 987_654,
    "question": 987_654,
    "retirable": 987_654,
    "retired": 987_654,
    "found": 987_654,
    "undelivered": 987_654,
    "preview": 987_654,
    "previewed": 987_654,
    "scanned": "nobody@contoso.com",
    "bridge": 987_654,
    "number": 987_654,
    "spare": 987_654,
    "waiting": 987_654,
    "updating": 987_654,
    "held": 987_654,
    "empty": 987_654,
    "selected": 987_654,
    "action": 987_654,
    "notices": 987_654,
    "moved": 987_654,
    "plan": 987_654,
    "hooked": 987_654,
    "idle_user": 987_654,
    **dict.fromkeys(
        (
            *("chat_archive", "chat_spare_archive", "chat_evidence", "chat_given", "chat_target", "chat_spare"),
            *("chat_ready", "chat_start", "chat_moving", "chat_paused", "chat_done", "chat_guided"),
            *("chat_room", "chat_failed", "chat_differs"),
        ),
        987_654,
    ),
}
"""Keys of rows that are nobody's."""


@pytest.fixture
def fill(contoso: dict[str, Any]) -> Fill:
    """Puts keys into an address, Contoso's where no other is given."""
    return lambda address, **keys: address.format(**(contoso | keys))


@pytest.fixture
def form_of(fill: Fill, who: SignIn) -> Callable[[Rule], dict[str, str]]:
    """What is posted to act: what the page of the address shows, edited."""
    return lambda rule: (
        (shown(who("alice").get(fill(rule.address))) if rule.get and rule.form else {})
        | {name: fill(value) if isinstance(value, str) else value for name, value in rule.form.items()}
    )


def text_of(answer: HttpResponse) -> str:
    """The page without what follows from the request alone: its address, and the token that every form has anew."""
    asked = answer.wsgi_request.get_full_path()  # type: ignore[attr-defined]
    page = answer.getvalue().decode()  # of what is sent bit by bit as well
    return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", page.replace(escape(asked), ""))


def same_answer(one: HttpResponse, other: HttpResponse) -> bool:
    # Expires is the second of the answer, which may be over before the next one.
    headers = [{**answer.headers, "Content-Length": "", "Expires": ""} for answer in (one, other)]
    return one.status_code == other.status_code and headers[0] == headers[1] and text_of(one) == text_of(other)


# --- below a tenant -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEMBERS)
def test_it_answers_a_role_by_what_it_may_do_and_shows_it_nothing_of_another_tenant(
    fill: Fill, who: SignIn, theirs: dict[str, Any], name: str
) -> None:
    role = MEMBERS[name]
    before = everything_stored()

    for method, rule, least in REQUESTS:
        is_allowed = RANK.index(role) >= RANK.index(least)
        if method == "post" and is_allowed:
            continue
        form = rule.form if method == "post" else {}  # which would take the place of what the address asks for
        for headers in WHOLE_PAGE_OR_PART:
            answer = getattr(who(name), method)(fill(rule.address), form, headers=headers)
            assert answer.status_code == (200 if is_allowed else 403), (method, rule.address)
            assert_nothing_of_another_tenant(rule, answer)
            if not is_allowed:
                assert f"This needs the role {least}; yours in Contoso is {role}." in answer.content.decode()
    assert everything_stored() == before


def assert_nothing_of_another_tenant(rule: Rule, answer: HttpResponse) -> None:
    page = text_of(answer)
    if names_fabrikam(page):  # to take out what was asked takes longer than to look
        page = re.sub(ASKED_FOR, "", page)
    assert not names_fabrikam(page), rule.address


def names_fabrikam(page: str) -> bool:
    told = page.lower()
    return any(word in told for word in OF_FABRIKAM) or bool(re.search("555.?0147", page))


def test_what_is_posted_acts_for_the_least_role_and_those_above(
    fill: Fill, form_of: FormOf, who: SignIn, subtests: pytest.Subtests
) -> None:
    for name in MEMBERS:
        who(name)  # signed in before, not in what is taken back
    for rule in BELOW_A_TENANT.values():
        if not rule.post:
            continue
        with subtests.test(rule.address), taken_back():
            address, form = fill(rule.address), form_of(rule)
            able = [name for name, role in MEMBERS.items() if RANK.index(role) >= RANK.index(rule.post)]
            before = everything_stored()

            answered = who(able[0]).post(address, form)
            assert answered.status_code == (200 if rule.only_looks or rule.hands_out else 302)
            if rule.hands_out:
                assert answered.getvalue()
            assert (everything_stored() == before) == (rule.only_looks or rule.changes_nothing)
            for name in able:
                for headers in WHOLE_PAGE_OR_PART:
                    assert who(name).post(address, form, headers=headers).status_code == rule.again


def test_it_tells_strangers_nothing(fill: Fill, form_of: FormOf, who: SignIn) -> None:
    forms = {rule.address: form_of(rule) for method, rule, _ in REQUESTS if method == "post"}
    before = everything_stored()

    def ask(name: str, method: str, rule: Rule, tenant: str, headers: dict[str, str]) -> tuple[HttpResponse, list[str]]:
        address, form = fill(rule.address, tenant=tenant), forms[rule.address] if method == "post" else {}
        client = who(name)
        with CaptureQueriesContext(connection) as queries:
            answer = getattr(client, method)(address, form, headers=headers)
        return answer, [re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in queries]

    for name in STRANGERS:
        who(name).get("/")  # so that the account is at hand
        for method, rule, _ in REQUESTS:
            for headers in WHOLE_PAGE_OR_PART:
                real, asked = ask(name, method, rule, "contoso", headers)
                invented, asked_too = ask(name, method, rule, "nowhere", headers)
                assert real.status_code == 404, (method, rule.address)
                assert same_answer(real, invented), (method, rule.address)
                # No clock has to be read: the same questions to the database take the same time.
                assert asked == asked_too, (method, rule.address)
    assert everything_stored() == before


def test_it_sends_the_signed_out_to_sign_in(fill: Fill, who: SignIn) -> None:
    before = everything_stored()

    for rule in BELOW_A_TENANT.values():
        for method in ("get", "post"):
            for headers in WHOLE_PAGE_OR_PART:
                real = getattr(who(""), method)(fill(rule.address), rule.form, headers=headers)
                invented = getattr(who(""), method)(fill(rule.address, tenant="nowhere"), rule.form, headers=headers)
                assert real.status_code == 302, (method, rule.address)
                assert real.url.startswith("/accounts/login/?next=/contoso/")
                assert invented.url == real.url.replace("contoso", "nowhere", 1)
    assert everything_stored() == before


def test_it_takes_no_other_method(fill: Fill, who: SignIn) -> None:
    before = everything_stored()

    for rule in BELOW_A_TENANT.values():
        taken = {method for method in ("get", "post") if getattr(rule, method)}
        for method in {"get", "post", "put", "patch", "delete"} - taken:
            for name in ("alice", "charlie"):
                for headers in WHOLE_PAGE_OR_PART:
                    answer = getattr(who(name), method)(fill(rule.address), headers=headers)
                    assert answer.status_code == 405, (method, rule.address)
    assert everything_stored() == before


def test_a_browser_is_led_to_a_page_from_every_address_that_only_takes_forms(fill: Fill, who: SignIn) -> None:
    before = everything_stored()

    for rule in BELOW_A_TENANT.values():
        if not rule.get:
            page = who("alice").get(fill(rule.address), headers={"Accept": "text/html"}, follow=True)
            assert page.status_code == 200, rule.address
            assert fill(rule.address).startswith(page.request["PATH_INFO"])
            stranger = who("charlie").get(fill(rule.address), headers={"Accept": "text/html"}, follow=True)
            assert stranger.status_code == 404
    assert everything_stored() == before


def test_a_role_counts_in_its_own_tenant_only(fill: Fill, dora: Client, tenant: Tenant) -> None:
    grant_role(tenant, User.objects.get(username="dora"), "viewer", ACTOR)

    assert dora.get("/fabrikam/settings/").status_code == 200
    assert dora.post("/fabrikam/settings/MeetingMigrationEnabled/", {"on": "false"}).status_code == 302
    for rule in BELOW_A_TENANT.values():
        if rule.post and rule.post != "viewer":
            assert dora.post(fill(rule.address), rule.form).status_code == 403


def test_a_role_that_was_taken_away_counts_no_more(alice: Client, tenant: Tenant) -> None:
    assert alice.get("/contoso/").status_code == 200
    revoke_role(tenant.roles.get(account__username="alice"), ACTOR)

    assert alice.get("/contoso/").status_code == 404


def test_it_lets_a_superuser_administer_every_tenant(fill: Fill) -> None:
    User.objects.create_superuser("root", "root@example.org", "a long pass phrase")
    client = sign_in("root")

    for rule in BELOW_A_TENANT.values():
        if rule.get:
            assert client.get(fill(rule.address)).status_code == 200
            assert client.get(fill(rule.address, tenant="nowhere")).status_code == 404
    assert client.get("/fabrikam/settings/").status_code == 200


def test_it_shows_no_button_that_the_role_may_not_press(fill: Fill, vera: Client, bob: Client) -> None:
    user = fill("/contoso/users/{upn}/")

    assert "Retry" not in vera.get("/contoso/").content.decode()
    assert "Retry" in bob.get("/contoso/").content.decode()
    assert "Save changes" not in bob.get(user).content.decode()
    assert "Start a run" in bob.get(user).content.decode()
    assert "disabled title=" in bob.get("/contoso/settings/").content.decode()


# --- rows of another tenant ---------------------------------------------------------------------------

KEYS = [
    (method, rule, key)
    for method, rule, _ in REQUESTS
    for key in re.findall(r"{(\w+)}", rule.address)
    if key != "tenant"
]


@pytest.mark.parametrize("name", ["alice", "dora"])
def test_a_key_of_another_tenant_is_as_good_as_one_that_nothing_has(
    fill: Fill, form_of: FormOf, who: SignIn, dora: Client, theirs: dict[str, Any], name: str
) -> None:
    forms = {rule.address: form_of(rule) for method, rule, _ in REQUESTS if method == "post"}
    before = everything_stored()

    for method, rule, key in KEYS:
        for headers in WHOLE_PAGE_OR_PART:
            real, invented = (
                getattr(who(name), method)(
                    fill(rule.address, **{key: keys[key]}),
                    forms[rule.address] if method == "post" else {},
                    headers=headers,
                )
                for keys in (theirs, INVENTED)
            )
            # What names no row of the address itself is a choice: it is refused on the page that offers it.
            assert real.status_code == {"selected": 302, "idle_user": 302, "spare": 200}.get(key, 404), (
                method,
                rule.address,
                key,
            )
            assert same_answer(real, invented), (method, rule.address, key)
            if real.status_code == 302:
                who(name).get(real.url)  # which tells why, so that the next page does not
    assert everything_stored() == before


def test_a_meeting_of_another_run_is_not_there(fill: Fill, alice: Client, theirs: dict[str, Any]) -> None:
    for name in ("meeting", "explain"):
        address = BELOW_A_TENANT[name].address
        assert alice.get(fill(address)).status_code == 200
        for keys in ({"run": fill("{pending}")}, {"run": theirs["run"], "meeting": theirs["meeting"]}):
            assert alice.get(fill(address, **keys)).status_code == 404


CHOICES = ["bridge", "toll_number", "toll_free_number"]


def test_a_choice_of_another_tenant_is_none_of_the_form(
    fill: Fill, dora: Client, fabrikam: Fabrikam, subtests: pytest.Subtests
) -> None:
    for field in CHOICES:
        with subtests.test(field):
            address = fill("/contoso/users/{upn}/")
            foreign = {"bridge": fabrikam.bridge, "toll_number": fabrikam.toll, "toll_free_number": fabrikam.toll_free}[
                field
            ]
            page_shows = shown(dora.get(address))
            before = everything_stored()

            for extra in ({}, {"preview": "1"}):
                for headers in WHOLE_PAGE_OR_PART:
                    real, invented = (
                        dora.post(address, page_shows | extra | {field: str(pk)}, headers=headers)
                        for pk in (foreign.pk, 987_654)
                    )
                    assert real.status_code == invented.status_code == 200
                    assert headers or "What was chosen is not on offer" in real.content.decode()
                    assert str(foreign) not in real.content.decode()
                    assert text_of(real).replace(f'"{foreign.pk}"', "") == text_of(invented).replace(
                        '"987654"', ""
                    ).replace(f'"{foreign.pk}"', "")
            assert everything_stored() == before


def test_a_page_that_claims_to_have_shown_a_row_of_another_tenant_learns_nothing_of_it(
    fill: Fill, dora: Client, fabrikam: Fabrikam, new_bridge: Bridge, subtests: pytest.Subtests
) -> None:
    for field in CHOICES:
        with subtests.test(field):
            address = fill("/contoso/users/{upn}/")
            foreign = {"bridge": fabrikam.bridge, "toll_number": fabrikam.toll, "toll_free_number": fabrikam.toll_free}[
                field
            ]
            own = (
                new_bridge
                if field == "bridge"
                else new_bridge.numbers.get(kind=field.removesuffix("_number").replace("_", "-"))
            )
            form = shown(dora.get(address)) | {field: str(own.pk)}
            before = everything_stored()
            real, invented = (dora.post(address, form | {f"initial-{field}": str(pk)}) for pk in (foreign.pk, 987_654))

            assert "It was changed meanwhile" in real.content.decode()
            assert str(foreign) not in real.content.decode()
            assert text_of(real) == text_of(invented)
            assert everything_stored() == before


def test_a_move_to_a_bridge_of_another_tenant_moves_nobody(fill: Fill, dora: Client, fabrikam: Fabrikam) -> None:
    before = everything_stored()
    told = [
        dora.post(fill("/contoso/users/selected/move/?bridge={bridge}&all"), {"to": to}, follow=True)
        for to in (fabrikam.bridge.pk, 987_654)
    ]

    assert "Choose the bridge that the users should move to." in told[0].content.decode()
    assert text_of(told[0]) == text_of(told[1])
    assert everything_stored() == before


def options(page: str, field: str) -> set[str]:
    (select,) = re.findall(rf'<select[^>]* name="{field}".*?</select>', page, re.DOTALL)
    return set(re.findall(r'<option value="(\d+)"', select))


def pks(rows: Iterable[Any]) -> set[str]:
    return {str(row.pk) for row in rows}


def test_a_form_offers_the_tenants_own_rows(fill: Fill, dora: Client, tenant: Tenant) -> None:
    user = dora.get(fill("/contoso/users/{upn}/")).content.decode()
    bridge = dora.get(fill("/contoso/bridges/{bridge}/")).content.decode()

    assert options(user, "bridge") == pks(tenant.bridges.all())
    assert options(user, "toll_number") == pks(tenant.service_numbers.filter(kind="toll", is_leaving=False))
    assert options(user, "toll_free_number") == pks(tenant.service_numbers.filter(kind="toll-free"))
    assert options(bridge, "to") == pks(tenant.bridges.exclude(name="Old bridge"))
    number = dora.get(fill("/contoso/bridges/{bridge}/numbers/{number}/")).content.decode()
    same_kind = tenant.service_numbers.filter(bridge__name="Old bridge", kind="toll", is_leaving=False)
    assert options(number, "replacement") == pks(same_kind.exclude(pk=fill("{number}")))


def with_query(address: str, query: str) -> str:
    return f"{address}{'&' if '?' in address else '?'}{query}"


ASKED_FOR = r'(q|user)=\w+|value="(frank|harbour)"|Search: (frank|harbour)|America/Coral_Harbour'
"""What a page repeats of the question, and the one time zone whose name looks like it."""
OF_FABRIKAM = ["/fabrikam/", "fabrikam.com", "frank", "harbour"]
QUESTIONS = ["q=frank&user=frank", "q=harbour&user=harbour&state=Failed&outcome=Succeeded", "sort=user&page=2"]


def test_whatever_a_page_is_asked_it_shows_nothing_of_another_tenant(
    fill: Fill, who: SignIn, theirs: dict[str, Any]
) -> None:
    """Asked nothing, it is seen to above: test_it_answers_a_role_by_what_it_may_do_and_shows_it_nothing_…"""
    assert "frank.moor@fabrikam.com" in who("charlie").get("/fabrikam/migrations/").content.decode()

    for rule in BELOW_A_TENANT.values():
        for question in QUESTIONS if rule.get == "viewer" else []:
            answer = who("vera").get(with_query(fill(rule.address), question))
            # A filter that means nothing to a list gives no file of it.
            assert answer.status_code == 200 or (rule.address.endswith(".csv") and "state=Failed" in question)
            assert_nothing_of_another_tenant(rule, answer)


# --- above the tenants --------------------------------------------------------------------------------


def test_what_is_for_everybody_names_no_tenant(fill: Fill, who: SignIn) -> None:
    for rule in FOR_EVERYBODY.values():
        for method in ("get", "post"):
            for headers in WHOLE_PAGE_OR_PART:
                answer = getattr(Client(), method)(rule.address, rule.form, headers=headers)
                assert answer.status_code in ({200, 302} if getattr(rule, method) else {405}), (method, rule.address)
                assert "contoso" not in answer.content.decode().lower()


def test_what_is_for_the_signed_in_is_for_all_of_them(fill: Fill, who: SignIn) -> None:
    for rule in FOR_THE_SIGNED_IN.values():
        for method in ("get", "post"):
            for headers in WHOLE_PAGE_OR_PART:
                signed_out = getattr(who(""), method)(rule.address, headers=headers)
                assert (signed_out.status_code, signed_out.url.partition("?")[0]) == (302, "/accounts/login/")
                for name in ("nora", "vera"):
                    answer = getattr(sign_in(name), method)(rule.address, headers=headers)
                    assert answer.status_code in ({200, 302} if getattr(rule, method) else {405}), (name, rule.address)


def test_what_is_for_administrators_of_the_installation_is_for_nobody_else(fill: Fill, who: SignIn) -> None:
    before = everything_stored()
    for rule in FOR_ADMINISTRATORS.values():
        for method in ("get", "post"):
            signed_out = getattr(who(""), method)(rule.address)
            assert (signed_out.status_code, signed_out.url.partition("?")[0]) == (302, "/accounts/login/")
            for name in ("nora", *MEMBERS):
                answer = getattr(who(name), method)(rule.address, {"on": "true"})
                assert answer.status_code == (404 if getattr(rule, method) else 405), (name, rule.address)
                assert "charlie" not in answer.content.decode()
    assert everything_stored() == before


def test_the_first_page_lists_the_tenants_that_one_has_a_role_in(fill: Fill, dora: Client) -> None:
    create_tenant(ACTOR, slug="example", name="Example", domain="example.org", meeting_url="https://example.org")

    assert sign_in("vera").get("/").url == "/contoso/"
    assert sign_in("charlie").get("/").url == "/fabrikam/"
    of_nora, of_dora = sign_in("nora").get("/").content.decode(), dora.get("/").content.decode()
    assert not re.search("contoso|fabrikam|harbour|/example/", of_nora, re.IGNORECASE)
    assert set(re.findall(r'href="/([a-z]+)/"', of_dora)) == {"contoso", "fabrikam"}
    assert set(re.findall(r'href="/([a-z]+)/"', dora.get("/contoso/audit/").content.decode())) >= {"fabrikam"}
    assert "/example/" not in dora.get("/contoso/audit/").content.decode()


# --- the Django admin ---------------------------------------------------------------------------------


def admin_addresses() -> list[str]:
    """Every address of the admin, with a key or a word that fits."""
    routes = [route for route, _ in every_address() if route.startswith(FOR_SUPERUSERS)]
    spelled = [re.sub(r"\^?\(\?P<\w+>(\w*)[^)]*\)(.*)\$", r"\1\2", route) for route in routes]
    return ["/" + re.sub(r"<(?:\w+:)?\w+>", "1", route) for route in spelled]


def test_the_admin_is_for_superusers(fill: Fill, who: SignIn, theirs: dict[str, Any]) -> None:
    """Staff who are given rights on the rows would otherwise see those of every tenant."""
    staff = User.objects.create_user("stella", "stella@example.org", "a long pass phrase", is_staff=True)
    staff.user_permissions.set(Permission.objects.all())
    before = everything_stored()

    for address in sorted({*admin_addresses()} - {"/admin/login/", "/admin/logout/"}):
        for name, method in (("", "get"), ("alice", "get"), ("stella", "get"), ("stella", "post")):
            answer = getattr(who(name), method)(address)
            assert answer.status_code == 302, (name, method, address)
            assert re.match(r"/(admin|accounts)/login/\?next=/admin/", answer.url), (name, method, address)
    assert everything_stored() == before


def test_a_superuser_opens_every_list_of_the_admin(fill: Fill) -> None:
    User.objects.create_superuser("root", "root@example.org", "a long pass phrase")
    client = sign_in("root")

    for route, name in every_address():
        if route.startswith(FOR_SUPERUSERS) and name.endswith("_changelist"):
            assert client.get(f"/{route}").status_code == 200, route
