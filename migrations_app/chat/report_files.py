"""The report as files (R128): JSON for programs, CSV for spreadsheets, HTML for people; written piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext

from migrations_app.chat.report import FORMAT, LISTS, Document, Listed, Row
from migrations_app.rollouts.json_pieces import pieces
from tenants_app.csv_files.cells import BYTE_ORDER_MARK, lines

CSV_COLUMNS = (
    *("Section", "Room", "Id", "State", "Code", "Count", "Time", "By", "Text"),
    *("Category", "Becomes", "BecomesCategory", "Written", "Files", "Errors", "Warnings", "Differences"),
)
"""Of every row; what a row does not have is empty."""

Cells = tuple[Any, ...]


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_json(report: Document) -> Iterator[str]:
    """One JSON object: the report, with its lists in full."""
    document = {name: value for name, value in report.items() if name != "id"}
    document["plan"] = {name: value for name, value in report["plan"].items() if name != "state_label"}
    yield from pieces(document | {listed.name: listed.rows(report["id"]) for listed in LISTS})
    yield "\n"


# --- CSV --------------------------------------------------------------------------------------------------------------


def as_csv(report: Document) -> Iterator[str]:
    """A row for the plan, its archive and each number, each room, each finding and each difference."""
    yield BYTE_ORDER_MARK + lines([CSV_COLUMNS])
    for row in _rows(report):
        yield lines([tuple(row.get(name, "") for name in CSV_COLUMNS)])


def _rows(report: Document) -> Iterator[Mapping[str, Any]]:
    plan, archive, totals = report["plan"], report["archive"], report["totals"]
    about = f"{archive['name']} → {report['target']['name']} ({report['target']['kind']})"
    yield {
        "Section": "plan",
        "Id": plan["number"],
        "State": plan["state"],
        "Time": report["created"],
        "By": plan["created_by"],
        "Text": f"{about} {plan['problem']}".strip(),
    }
    yield {
        "Section": "archive",
        "Id": archive["sha256"],
        "Count": archive["bytes"],
        "Time": archive["exported"],
        "By": archive["stored_by"],
        "Text": f"{archive['name']}: {archive['source']}",
    }
    for name, number in totals["rooms"].items():
        yield {"Section": "rooms", "State": name, "Count": number}
    for name, number in totals["comparison"].items():
        yield {"Section": "comparison", "State": name, "Count": number}
    for name in ("messages", "written", "files", "file_bytes", "errors", "warnings", "notes", "differences"):
        yield {"Section": "total", "State": name, "Count": totals[name]}
    for listed in LISTS:
        for row in listed.rows(report["id"]):
            yield _OF_LIST[listed.name](row)


def _room(row: Row) -> Mapping[str, Any]:
    texts = [row["comparison"], row["on_conflict"], row["reason"], row["error"]]
    return {
        "Section": "room",
        "Room": row["room"],
        "Id": row["id"],
        "State": row["state"],
        "Code": row["error_code"],
        "Count": row["messages"],
        "Time": row["finished"],
        "By": row["decided_by"],
        "Text": " · ".join(text for text in texts if text),
        "Category": row["category"],
        "Becomes": row["becomes"],
        "BecomesCategory": row["becomes_category"],
        "Written": row["written"],
        "Files": row["files"],
        "Errors": row["errors"],
        "Warnings": row["warnings"],
        "Differences": row["differences"],
    }


def _finding(row: Row) -> Mapping[str, Any]:
    return {
        "Section": "finding",
        "Room": row["room"],
        "Id": row["id"],
        "State": row["severity"],
        "Code": row["code"],
        "Count": row["count"],
        "Text": row["sentence"],
    }


def _difference(row: Row) -> Mapping[str, Any]:
    texts = [row["sentence"], row["do"], row["reason"]]
    return {
        "Section": "difference",
        "Room": row["room"],
        "Id": row["id"],
        "State": "accepted" if row["accepted"] else "open",
        "Code": row["code"],
        "Count": row["message"],
        "Time": row["accepted"],
        "By": row["accepted_by"],
        "Text": " ".join(text for text in texts if text),
    }


_OF_LIST: Mapping[str, Callable[[Row], Mapping[str, Any]]] = {
    "rooms": _room,
    "findings": _finding,
    "differences": _difference,
}


# --- HTML -------------------------------------------------------------------------------------------------------------


def as_html(report: Document) -> Iterator[str]:
    """One file that loads nothing and prints; its lists are complete."""
    yield render_to_string("chat/report/head.html", {"report": report, "format": FORMAT})
    for listed in LISTS:
        yield from _table(listed, report["id"])
    yield render_to_string("chat/report/end.html", {"report": report})


_PRINTED = {
    "rooms": (
        *("room", "category", "becomes", "becomes_category", "state", "messages", "written", "files", "errors"),
        *("warnings", "comparison", "differences", "reason"),
    ),
    "findings": ("room", "severity", "code", "count", "sentence"),
    "differences": ("room", "code", "message", "sentence", "do", "accepted_by", "reason"),
}
"""What fits on a page of each list; the other files have all of it."""


def _table(listed: Listed, plan: int) -> Iterator[str]:
    printed = _PRINTED[listed.name]
    is_first = True
    for row in listed.rows(plan):
        if is_first:
            columns = [gettext(listed.columns[name]) for name in printed]
            yield render_to_string("chat/report/list_head.html", {"title": gettext(listed.title), "columns": columns})
        is_first = False
        yield render_to_string("chat/report/list_row.html", {"cells": [_printed(row, name) for name in printed]})
    if not is_first:
        yield "</tbody></table></div>\n"


def _printed(row: Row, name: str) -> Any:
    """A cell; of why something is so, all that there is: who left the room out, or what went wrong."""
    if name != "reason":
        return row[name]
    return " · ".join(filter(None, (row.get("decided_by"), row["reason"], row.get("error"))))


# --- kinds ------------------------------------------------------------------------------------------------------------

WRITERS: Mapping[str, Callable[[Document], Iterator[str]]] = {"html": as_html, "csv": as_csv, "json": as_json}
TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}

_LOOKED_AT = 2_000
_MARKS = {
    "html": f'<meta name="generator" content="{FORMAT}">',
    "csv": lines([CSV_COLUMNS]).strip(),
    "json": f'"format":"{FORMAT}"',
}
"""By what stands at the beginning of a report of ours."""


def file_name(report: Document, kind: str) -> str:
    """What the file is called, where it is downloaded."""
    created: date = report["created"]
    return f"{report['tenant']['slug']}-chat-plan-{report['plan']['number']}-{created:%Y-%m-%d}.{kind}"


def kind_of(path: Path) -> str | None:
    """Which kind of report the file holds; empty where it has nothing in it, None where it is something else. Raises
    ``OSError`` where it cannot be read."""
    with path.open("rb") as file:
        begins = file.read(_LOOKED_AT)
    if not begins:
        return ""
    text = begins.decode("utf-8", errors="replace")
    return next((kind for kind, mark in _MARKS.items() if mark in text), None)
