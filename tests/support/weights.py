"""How heavy pages are, and how many questions they ask the database, beside what is committed as the baseline."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.contrib.staticfiles import finders
from django.http import HttpResponse

BASELINE = Path(__file__).parent.parent / "baselines" / "pages.json"
RENEW = "MMS_RENEW_BASELINES"
HOW_TO_RENEW = f"If it is meant, `make baselines` writes {BASELINE.parent.name}/{BASELINE.name} anew."
FIRST_VISIT = 120_000
LATER_PAGE = 15_000
"""What pages may weigh in bytes: one that brings all its files along, and one whose files the browser has."""
NOISE = 100
"""By how many bytes two answers of the same page differ: tokens, times and keys compress differently."""


def weight(answer: HttpResponse) -> int:
    """Bytes of a page as it travels, without the random ones that the server adds."""
    return len(gzip.compress(answer.content, compresslevel=6, mtime=0))


def files_of(page: str) -> set[str]:
    """The static files that a page loads, without those that its stylesheets load where a text needs them."""
    loads = re.findall(r'<(?:link|script|img|use)\b[^>]*?\b(?:href|src)="/static/([^"#?]+)', page)
    return set(loads)


def weight_of_files(names: set[str]) -> int:
    total = 0
    for name in names:
        path = finders.find(name)
        assert path, f"{name} is not there."
        content = Path(path).read_bytes()
        total += min(len(content), len(gzip.compress(content, compresslevel=9, mtime=0)))
    return total


def beside_baseline(measured: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What grew, shrank, came or went; with ``MMS_RENEW_BASELINES`` it becomes the baseline."""
    if os.environ.get(RENEW):
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in measured.items())
        BASELINE.write_text(f"{{\n{lines}\n}}\n", "utf-8")
    before: dict[str, Any] = json.loads(BASELINE.read_text("utf-8"))
    told = [f"{name} is gone" for name in before if name not in measured]
    for name, values in measured.items():
        if name not in before:
            told.append(f"{name} is new: {dict(values)}")
            continue
        for unit, value in values.items():
            was = before[name].get(unit, 0)
            if abs(value - was) > (NOISE if unit == "bytes" else 0):
                told.append(f"{name}: {was:,} {unit} became {value:,}")
    return told
