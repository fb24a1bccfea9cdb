"""What people call each kind of finding and each kind of difference, in lists and filters."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.translation import gettext_noop as _

FINDINGS: Mapping[str, str] = {
    "flattened": _("Nested categories become one"),
    "prefixed": _("Room gets the name of its category"),
    "name-too-long": _("Name too long"),
    "name-not-allowed": _("Name not allowed at the target"),
    "name-taken": _("Name exists at the target"),
    "merged": _("Merged with a room of the target"),
    "renamed": _("Gets another name"),
    "skipped": _("Skipped"),
    "collides": _("Two rooms get the same name"),
    "root-managers": _("Managers of the top category"),
    "invitations-off": _("Invitations are switched off"),
    "federated": _("Federated people lose access"),
    "inactive": _("People who are disabled or deleted"),
    "group-to-be-granted": _("Group to be granted at the target"),
    "group-expanded": _("Group becomes its members"),
    "no-account": _("People without an account at the target"),
    "no-members": _("Nobody would be a member"),
    "authors-made": _("Accounts are made for authors"),
    "speaks-for-nobody": _("Messages stand under made accounts"),
    "privacy-mapped": _("Who may join"),
    "auditorium": _("Only presenters write"),
    "read-only": _("Becomes read-only"),
    "setting-lost": _("Setting is lost"),
    "add-in-lost": _("Add-in is lost"),
    "author-in-text": _("Author stands in the text"),
    "time-in-text": _("Time stands in the text"),
    "times-shifted": _("Times move by milliseconds"),
    "time-not-kept": _("Time cannot be kept"),
    "split": _("Long messages are split"),
    "replaced-characters": _("Characters are replaced"),
    "formatting-lost": _("Formatting is lost"),
    "file-missing": _("File not found"),
    "file-too-large": _("File too large"),
    "empty-message": _("Empty messages"),
    "left-out-before": _("Left out by the export"),
    "retention": _("Retention would delete history"),
    "retention-unknown": _("Retention not known"),
    "target-limit": _("Limit of the target"),
    "target-not-seen": _("Nothing known of the target"),
    "history-off": _("History was off"),
    "members-made-up": _("Members taken from those who wrote"),
    "old-clients": _("Old clients"),
    "fee": _("Fee"),
    "source-note": _("Said by the source"),
}
"""By the codes of ``chat/conversion/findings.py: CODES``."""

DIFFERENCES: Mapping[str, str] = {}
"""By the codes of ``chat/verifying``."""
