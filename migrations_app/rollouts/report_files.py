"""The report as files (R93): JSON for programs, CSV for spreadsheets, HTML for people; written piece by piece."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from migrations_app.rollouts.json_pieces import pieces
from migrations_app.rollouts.listed import LISTS
from migrations_app.rollouts.report import Document
from tenants_app.csv_files.cells import BYTE_ORDER_MARK, lines

CSV_COLUMNS = ("Wave", "Section", "Item", "Count", "Time", "By", "Text")
"""Of every row; what a row does not have is empty."""

Cells = tuple[Any, ...]


# --- JSON -------------------------------------------------------------------------------------------------------------


def as_json(report: Document) -> Iterator[str]:
    """One JSON object: the report, and in each wave its lists in full."""
    waves = [
        wave | {"lists": {listed.name: listed.rows(wave["id"]) for listed in LISTS}, "checks": _bare(wave["checks"])}
        for wave in report["waves"]
    ]
    retirement = report["retirement"]
    if retirement is not None:
        retirement = retirement | {"checks": _bare(retirement["checks"])}
    yield from pieces(report | {"waves": waves, "retirement": retirement})
    yield "\n"


def _bare(checks: list[Document]) -> list[Document]:
    return [{name: value for name, value in check.items() if not name.endswith("label")} for check in checks]


# --- CSV --------------------------------------------------------------------------------------------------------------


def as_csv(report: Document) -> Iterator[str]:
    """A row for each number, each event, check, answer and opened gate, and each row of the lists."""
    yield BYTE_ORDER_MARK + lines([CSV_COLUMNS])
    for row in _rows(report):
        yield lines([row])


def _rows(report: Document) -> Iterator[Cells]:
    about = report["rollout"]
    yield (
        "",
        "rollout",
        about["name"],
        "",
        report["created"],
        about["created_by"],
        f"{about['legacy']} → {about['new']}",
    )
    if not report["is_of_one_wave"]:
        yield from _counts("", report["totals"])
    for wave in report["waves"]:
        yield from _wave(wave)
    if report["retirement"] is not None:
        yield from _gate("", report["retirement"])
        yield from _events("", report["retirement"]["events"])


def _wave(wave: Document) -> Iterator[Cells]:
    name = wave["name"]
    yield name, "wave", wave["state"], wave["number"], "", "", ""
    for item in ("started", "moved", "observed_until", "accepted"):
        yield name, "time", item, "", wave[item], wave.get(f"{item}_by", ""), ""
    for item, value in (wave["planned"] or {}).items():
        yield name, "planned", item, *_as_count(value)
    yield from _counts(name, wave)
    for item, value in (wave["throughput"] or {}).items():
        yield name, "throughput", item, value, "", "", ""
    for each in wave["interruptions"]:
        text = f"{each['sentence']} {each['reason']}".strip()
        yield name, "interruption", each["kind"], each["seconds"], each["from"], each["by"], text
    yield from _events(name, wave["events"])
    yield from _gate(name, wave)
    for listed in LISTS:
        for row in listed.rows(wave["id"]):
            yield _listed(name, listed.name, row)


def _as_count(value: Any) -> Cells:
    """A number as a count, anything else as a text."""
    is_count = isinstance(value, (int, float))
    return (value if is_count else "", "", "", "" if is_count else json.dumps(value, ensure_ascii=False))


def _counts(wave: str, sections: Document, of: str = "") -> Iterator[Cells]:
    for section in ("members", "runs", "meetings", "messages"):
        for item, value in sections.get(section, {}).items():
            if isinstance(value, list):
                for each in value:
                    yield wave, of + section, f"{item}: {each['code']}", each["count"], "", "", each["reason"]
            else:
                yield wave, of + section, item, value, "", "", ""
    if "taken_back" in sections:
        yield from _counts(wave, sections["taken_back"], "taken back: ")


def _events(wave: str, events: list[Document]) -> Iterator[Cells]:
    for each in events:
        yield wave, "event", each["kind"], "", each["at"], each["by"], f"{each['sentence']} {each['reason']}".strip()


def _gate(wave: str, gate: Document) -> Iterator[Cells]:
    for check in gate["checks"]:
        result = check["last_result"]
        if result is not None:
            yield (
                wave,
                "check",
                check["name"],
                "",
                result["at"],
                result["by"],
                f"{result['outcome']}: {result['sentence']}",
            )
        elif not check["answers"]:
            yield wave, "check", check["name"], "", "", "", ""
        for each in check["answers"]:
            text = f"{each['answer']}: {each['note']}" if each["note"] else each["answer"]
            yield wave, "answer", check["name"], "", each["at"], each["by"], text
        if check["removed"]:
            yield (
                wave,
                "removed check",
                check["name"],
                "",
                check["removed"],
                check["removed_by"],
                check["removal_reason"],
            )
    for each in gate["openings"]:
        yield wave, "opened gate", each["closed_by"], "", each["at"], each["by"], each["reason"]


def _listed(wave: str, name: str, row: Mapping[str, Any]) -> Cells:
    known = ("user", "starts", "attendees", "by")
    text = " · ".join(str(value) for key, value in row.items() if key not in known and value)
    return wave, name, row["user"], row.get("attendees", ""), row.get("starts", ""), row.get("by", ""), text


# --- HTML -------------------------------------------------------------------------------------------------------------


def as_html(report: Document) -> Iterator[str]:
    """One file that loads nothing and prints; its lists are complete."""
    context = {"report": report}
    yield render_to_string("rollouts/report/file_head.html", context)
    for wave in report["waves"]:
        yield render_to_string("rollouts/report/file_wave.html", context | {"wave": wave})
        for listed in LISTS:
            yield from _table(listed.title, list(map(_, listed.columns.values())), listed.rows(wave["id"]))
    yield render_to_string("rollouts/report/file_end.html", context)


def _table(title: str, columns: list[str], rows: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    is_first = True
    for row in rows:
        if is_first:
            yield render_to_string("rollouts/report/list_head.html", {"title": title, "columns": columns})
        is_first = False
        yield render_to_string("rollouts/report/list_row.html", {"row": row, "columns": columns})
    if not is_first:
        yield "</tbody></table>\n"


WRITERS: Mapping[str, Callable[[Document], Iterator[str]]] = {"html": as_html, "csv": as_csv, "json": as_json}
TYPES = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}


def file_name(report: Document, kind: str) -> str:
    """What the file is called, where it is downloaded."""
    about = f"rollout-{report['rollout']['id']}"
    if report["is_of_one_wave"]:
        about = f"{about}-wave-{report['waves'][0]['number']}"
    return f"{report['tenant']['slug']}-{about}-{report['created']:%Y-%m-%d}.{kind}"
