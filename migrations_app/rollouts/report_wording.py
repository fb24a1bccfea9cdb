"""What the numbers of a rollout's report are called."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_noop as _

LABELS: Mapping[str, str] = {
    "total": _("In all"),
    # members
    "Waiting": _("Waiting"),
    "Moving": _("Moving"),
    "Updating": _("Updating"),
    "Done": _("Done"),
    "Failed": _("Failed"),
    "Excluded": _("Excluded"),
    "RolledBack": _("Rolled back"),
    # runs
    "Pending": _("Pending"),
    "InProgress": _("In progress"),
    "Succeeded": _("Succeeded"),
    # meetings
    "updated": _("Updated"),
    "skipped": _("Skipped"),
    "failed": _("Failed"),
    "to_do": _("Still to do"),
    # messages
    "sent": _("Sent"),
    "sent_by_server": _("Sent by the mailbox's server"),
    "waiting": _("Waiting to be sent"),
    "refused": _("Refused or given up"),
    "not_needed": _("Not needed any more"),
    # what was planned, as readiness said it
    "members": _("Members"),
    "run": _("With a run"),
    "no_run": _("Without a run"),
    "meetings": _("Meetings that change"),
    "attendees": _("Attendees who are told"),
    "over_limit": _("Over the limit of meetings"),
    "needs_review": _("Meetings for a person"),
    "unreachable": _("Mailbox not reachable"),
    "failing": _("Runs that would fail"),
    "run_in_progress": _("Run in progress"),
    "client_unknown": _("Client version unknown"),
    "client_below": _("Client too old"),
    # throughput
    "members_per_hour": _("Members in an hour"),
    "meetings_per_hour": _("Meetings in an hour"),
}
