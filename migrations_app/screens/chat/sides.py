"""What a room is to be at the target, and what was counted of both sides, as rows that people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from tenants_app.templatetags.page_parts import when
from tenants_app.wording import grouped


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One row: what was looked at, on both sides, in words."""

    label: str
    source: str
    target: str
    is_same: bool


def settings_of(planned: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Settings and people of a room as it was planned; empty where it could not be."""
    if not planned:
        return []
    joining = {
        "invited": _("Who is invited"),
        "organization": _("Everybody of the organization"),
    }
    rows = [
        (_("Who may join"), joining.get(planned["joining"], planned["joining"])),
        (_("Only presenters write"), _in_words(planned["is_auditorium"])),
        (_("Read-only"), _in_words(planned["is_read_only"])),
        (_("Invitations"), _in_words(planned["allows_invitations"])),
        (_("Members"), grouped(len(planned["members"]))),
        (_("Managers"), grouped(len(planned["managers"]))),
    ]
    if planned["presenters"]:
        rows.append((_("Presenters"), grouped(len(planned["presenters"]))))
    if planned["merges_into"]:
        rows.append((_("Merged into a room that is there"), _("Yes")))
    return rows


def _in_words(value: bool | None) -> str:
    return _("Not known") if value is None else _("Yes") if value else _("No")


def sides_of(compared: Mapping[str, Any]) -> list[SideBySide]:
    """Both sides of a room that was compared, row by row; of months only those that differ."""
    if "archive" not in compared or "there" not in compared:
        return []
    ours, there = compared["archive"], compared["there"]
    rows = [_counted(_("Messages"), ours["messages"], there["messages"])]
    kinds = {
        "message": _("Plain messages"),
        "story": _("Stories"),
        "alert": _("Alerts"),
        "file": _("Messages with a file"),
    }
    for kind, label in kinds.items():
        if ours["kinds"].get(kind) or there["kinds"].get(kind):
            rows.append(_counted(label, ours["kinds"].get(kind, 0), there["kinds"].get(kind, 0)))
    rows += [
        _row(_("First message"), ours["first"], there["first"], _moment),
        _row(_("Last message"), ours["last"], there["last"], _moment),
        _counted(_("Files"), ours["files"], there["files"]),
        _row(_("Size of the files"), ours["file_bytes"], there["file_bytes"], filesizeformat),
        _row(_("Checksum of all messages"), ours["sha256"], there["sha256"], _short),
    ]
    if ours["files_sha256"] and there["files_sha256"]:
        rows.append(_row(_("Checksum of all files"), ours["files_sha256"], there["files_sha256"], _short))
    for month in sorted({*ours["months"], *there["months"]}):
        counts = ours["months"].get(month, 0), there["months"].get(month, 0)
        if counts[0] != counts[1]:
            rows.append(_counted(_("Messages in %(month)s") % {"month": month}, *counts))
    return rows


def not_told(compared: Mapping[str, Any]) -> list[str]:
    """What the target does not tell of the room, so that nobody compared it."""
    names = {
        "joining": _("Who may join"),
        "description": _("Description"),
        "is_auditorium": _("Only presenters write"),
        "is_read_only": _("Read-only"),
        "allows_invitations": _("Invitations"),
        "members": _("Members"),
        "managers": _("Managers"),
        "presenters": _("Presenters"),
        "files_sha256": _("Checksum of all files"),
    }
    return [names.get(each, each) for each in compared.get("not_told", ())]


def _row(label: str, source: Any, target: Any, say: Any) -> SideBySide:
    return SideBySide(label, say(source), say(target), source == target)


def _counted(label: str, source: int, target: int) -> SideBySide:
    return _row(label, source, target, grouped)


def _moment(text: str | None) -> str:
    return str(when(parse_datetime(text) if text else None))


def _short(digest: str) -> str:
    return f"{digest[:16]}…" if digest else "–"
