"""How states, outcomes and failures look: a label, a colour and an icon for each value, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.utils.translation import gettext_lazy as _
from django.utils.translation import override, pgettext_lazy

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


class Badge(NamedTuple):
    """``tone`` is one of the ``tone-…`` classes of ``mms.css``."""

    said: StrOrPromise
    tone: str
    icon: str
    said_of_many: StrOrPromise = ""
    """Beside a number, where languages tell one from many."""

    @property
    def label(self) -> str:
        """In the reader's language."""
        return str(self.said)

    @property
    def label_of_many(self) -> str:
        return str(self.said_of_many or self.said)

    @property
    def english(self) -> str:
        """For files, which read the same to everybody."""
        with override("en"):
            return str(self.said)


NEVER_RUN = Badge(_("No run yet"), "quiet", "circle-dashed")
BADGES = {
    # states of runs
    "Pending": Badge(_("Pending"), "pending", "hourglass", pgettext_lazy("of many", "Pending")),
    "InProgress": Badge(_("In progress"), "progress", "loader-2"),
    "Failed": Badge(_("Failed"), "failed", "circle-x", pgettext_lazy("of many", "Failed")),
    "Succeeded": Badge(_("Succeeded"), "succeeded", "circle-check", pgettext_lazy("of many", "Succeeded")),
    "Accepted": Badge(_("Accepted"), "quiet", "check"),  # a failure of which somebody said that it may be
    # what checks of rollouts find, beside Failed
    "Passed": Badge(_("Passed"), "succeeded", "circle-check"),
    "Inconclusive": Badge(_("Inconclusive"), "pending", "alert-triangle"),
    # outcomes of meetings, beside Failed and Succeeded
    "Skipped": Badge(_("Skipped"), "quiet", "arrow-right", pgettext_lazy("of many", "Skipped")),
    # what a run would make of a meeting
    "Would be updated": Badge(_("Would be updated"), "pending", "refresh"),
    "Would be skipped": Badge(_("Would be skipped"), "quiet", "arrow-right"),
    "Would fail": Badge(_("Would fail"), "failed", "circle-x"),
    "Not known": Badge(_("Not known"), "quiet", "circle-dashed"),
    # meetings that need a person
    "Open": Badge(pgettext_lazy("state", "Open"), "pending", "alert-triangle"),
    "Assigned": Badge(_("Assigned"), "quiet", "user-circle"),
    "DealtWith": Badge(_("Dealt with"), "succeeded", "circle-check"),
    # whether invitations say what the settings ask for
    "Out of date": Badge(_("Out of date"), "pending", "calendar-event"),
    # numbers on their way off a bridge
    "Waiting": Badge(_("Waiting"), "pending", "hourglass"),
    "Moving": Badge(_("Moving users"), "progress", "loader-2"),
    "Updating": Badge(_("Updating invitations"), "progress", "loader-2"),
    "Released": Badge(_("Released"), "succeeded", "circle-check"),
    "Cancelled": Badge(_("Cancelled"), "quiet", "x"),
    # imports of users
    "Checking": Badge(_("Checking"), "progress", "loader-2"),
    "Checked": Badge(_("Checked"), "pending", "hourglass"),
    "Applying": Badge(_("Applying"), "progress", "loader-2"),
    "Applied": Badge(_("Applied"), "succeeded", "circle-check"),
    "Refused": Badge(_("Refused"), "failed", "circle-x"),
    "Discarded": Badge(_("Discarded"), "quiet", "x"),
    # what is done for many users, beside Refused
    "Working": Badge(_("In progress"), "progress", "loader-2"),
    "Done": Badge(_("Done"), "succeeded", "circle-check"),
    "Stopped": Badge(_("Stopped"), "quiet", "x"),
    "Planned": Badge(_("Planned"), "pending", "hourglass"),
    "Begun": Badge(_("Begun"), "progress", "loader-2"),
    "NotDone": Badge(_("Not done"), "pending", "alert-triangle"),
    # previews, beside Refused
    "Looking": Badge(_("Being made"), "progress", "loader-2"),
    "Ready": Badge(_("Ready"), "succeeded", "circle-check"),
    # messages, beside Failed
    "Queued": Badge(_("Queued"), "pending", "mail"),
    "Sent": Badge(_("Sent"), "succeeded", "mail-check"),
    "ByServer": Badge(_("Sent by the mailbox's server"), "succeeded", "mail-check"),
    "Superseded": Badge(_("Replaced by a newer one"), "quiet", "mail"),
    # notices to organizers, beside Queued, Sent and Failed
    "Counting": Badge(_("Counting meetings"), "progress", "loader-2"),
    "NotTold": Badge(_("Not told"), "quiet", "mail"),
}

WAVES = {
    "Draft": Badge(_("Draft"), "quiet", "circle-dashed"),
    "Ready": Badge(_("Ready"), "succeeded", "circle-check"),
    "Running": Badge(_("Running"), "progress", "loader-2"),
    "Paused": Badge(_("Paused"), "pending", "clock"),
    "Stopped": Badge(pgettext_lazy("a wave", "Stopped"), "failed", "alert-triangle"),
    "Observing": Badge(_("Observing"), "pending", "hourglass"),
    "Completed": Badge(_("Completed"), "succeeded", "circle-check"),
    "CompletedWithErrors": Badge(_("Completed with errors"), "pending", "alert-triangle"),
    "RollingBack": Badge(_("Rolling back"), "progress", "loader-2"),
    "RolledBack": Badge(_("Rolled back"), "quiet", "arrow-left"),
}
"""States of waves."""

MEMBERS = {
    "Waiting": Badge(_("Waiting"), "quiet", "hourglass"),
    "Moving": Badge(_("Moving"), "progress", "loader-2"),
    "Updating": Badge(_("Updating invitations"), "progress", "loader-2"),
    "Done": Badge(_("Done"), "succeeded", "circle-check"),
    "Failed": Badge(_("Failed"), "failed", "circle-x", pgettext_lazy("of many", "Failed")),
    "Excluded": Badge(_("Excluded"), "quiet", "x"),
    "RolledBack": Badge(_("Rolled back"), "quiet", "arrow-left"),
}
"""States of members of waves."""

CHAT = {
    # what was given, and archives
    "Waiting": Badge(_("Waiting"), "pending", "hourglass"),
    "Read": Badge(pgettext_lazy("file", "Read"), "succeeded", "circle-check"),
    "Refused": Badge(_("Refused"), "failed", "circle-x"),
    "Stored": Badge(_("Stored"), "succeeded", "circle-check"),
    "Deleted": Badge(pgettext_lazy("archive", "Deleted"), "quiet", "x"),
    # plans, beside Refused
    "Planning": Badge(_("Planning"), "progress", "loader-2"),
    "Ready": Badge(_("Ready"), "succeeded", "circle-check"),
    "Importing": Badge(_("Importing"), "progress", "loader-2"),
    "Paused": Badge(_("Paused"), "pending", "clock"),
    "Stopped": Badge(pgettext_lazy("an import", "Stopped"), "failed", "alert-triangle"),
    "Outdated": Badge(_("Outdated"), "pending", "refresh"),
    # rooms, beside Waiting; and plans that are imported
    "Planned": Badge(_("Planned"), "quiet", "circle-dashed"),
    "Deselected": Badge(_("Deselected"), "quiet", "x"),
    "Skipped": Badge(_("Skipped"), "quiet", "arrow-right"),
    "Writing": Badge(_("Writing"), "progress", "loader-2"),
    "Imported": Badge(_("Imported"), "succeeded", "circle-check"),
    "Failed": Badge(_("Failed"), "failed", "circle-x"),
    # both sides compared
    "": Badge(_("Not compared"), "quiet", "circle-dashed"),
    "Verified": Badge(_("Verified"), "succeeded", "shield-check"),
    "Differs": Badge(_("Differs"), "failed", "alert-triangle"),
    "NotReadable": Badge(_("Not readable"), "failed", "circle-x"),
    # what plans find
    "error": Badge(_("Error"), "failed", "circle-x"),
    "warning": Badge(_("Warning"), "pending", "alert-triangle"),
    "note": Badge(pgettext_lazy("severity", "Note"), "quiet", "info-circle"),
}
"""States of archives, plans and rooms of persistent chat."""

STORY = {
    "changed": ("succeeded", "refresh"),
    "left": ("quiet", "arrow-right"),
    "failed": ("failed", "circle-x"),
    "told": ("succeeded", "mail-check"),
    "not told": ("failed", "mail-x"),
    "to be told": ("pending", "mail"),
    "withdrawn": ("quiet", "mail"),
    "nobody": ("quiet", "mail"),
    "asked": ("pending", "mail"),
    "run failed": ("failed", "circle-x"),
    "run ahead": ("pending", "hourglass"),
    "unsettled": ("pending", "alert-triangle"),
}
"""For each kind of entry in the story of a meeting its tone and its icon."""

FORESEEN = {"Succeeded": "Would be updated", "Skipped": "Would be skipped", "Failed": "Would fail"}
"""For each outcome of a meeting, the badge that shows it before the run."""
