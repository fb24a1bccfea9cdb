"""How states, outcomes and failures look: a label, a colour and an icon for each value, in one place."""

from __future__ import annotations

from typing import NamedTuple


class Badge(NamedTuple):
    """``tone`` is one of the ``tone-…`` classes of ``mms.css``."""

    label: str
    tone: str
    icon: str


NEVER_RUN = Badge("No run yet", "quiet", "circle-dashed")
BADGES = {
    # states of runs
    "Pending": Badge("Pending", "pending", "hourglass"),
    "InProgress": Badge("In progress", "progress", "loader-2"),
    "Failed": Badge("Failed", "failed", "circle-x"),
    "Succeeded": Badge("Succeeded", "succeeded", "circle-check"),
    "Accepted": Badge("Accepted", "quiet", "check"),  # a failure of which somebody said that it may be
    # outcomes of meetings, beside Failed and Succeeded
    "Skipped": Badge("Skipped", "quiet", "arrow-right"),
    # what a run would make of a meeting
    "Would be updated": Badge("Would be updated", "pending", "refresh"),
    "Would be skipped": Badge("Would be skipped", "quiet", "arrow-right"),
    "Would fail": Badge("Would fail", "failed", "circle-x"),
    "Not known": Badge("Not known", "quiet", "circle-dashed"),
    # meetings that need a person
    "Open": Badge("Open", "pending", "alert-triangle"),
    "Assigned": Badge("Assigned", "quiet", "user-circle"),
    "DealtWith": Badge("Dealt with", "succeeded", "circle-check"),
    # whether invitations say what the settings ask for
    "Out of date": Badge("Out of date", "pending", "calendar-event"),
    # numbers on their way off a bridge
    "Waiting": Badge("Waiting", "pending", "hourglass"),
    "Moving": Badge("Moving users", "progress", "loader-2"),
    "Updating": Badge("Updating invitations", "progress", "loader-2"),
    "Released": Badge("Released", "succeeded", "circle-check"),
    "Cancelled": Badge("Cancelled", "quiet", "x"),
    # imports of users
    "Checking": Badge("Checking", "progress", "loader-2"),
    "Checked": Badge("Checked", "pending", "hourglass"),
    "Applying": Badge("Applying", "progress", "loader-2"),
    "Applied": Badge("Applied", "succeeded", "circle-check"),
    "Refused": Badge("Refused", "failed", "circle-x"),
    "Discarded": Badge("Discarded", "quiet", "x"),
    # what is done for many users, beside Refused
    "Working": Badge("In progress", "progress", "loader-2"),
    "Done": Badge("Done", "succeeded", "circle-check"),
    "Stopped": Badge("Stopped", "quiet", "x"),
    "Planned": Badge("Planned", "pending", "hourglass"),
    "Begun": Badge("Begun", "progress", "loader-2"),
    "NotDone": Badge("Not done", "pending", "alert-triangle"),
    # previews, beside Refused
    "Looking": Badge("Being made", "progress", "loader-2"),
    "Ready": Badge("Ready", "succeeded", "circle-check"),
    # messages, beside Failed
    "Queued": Badge("Queued", "pending", "mail"),
    "Sent": Badge("Sent", "succeeded", "mail-check"),
    "ByServer": Badge("Sent by the mailbox's server", "succeeded", "mail-check"),
    "Superseded": Badge("Replaced by a newer one", "quiet", "mail"),
    # notices to organizers, beside Queued, Sent and Failed
    "Counting": Badge("Counting meetings", "progress", "loader-2"),
    "NotTold": Badge("Not told", "quiet", "mail"),
}

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
