"""Every column that a table may have can be called something in each language."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from django.utils.translation import override

from tenants_app.management.titles import TITLES

ROOT = Path(__file__).parents[2]


def columns() -> Iterator[str]:
    """Of all tables, as they are written: the lists that are called ``in_table``."""
    for path in sorted(ROOT.glob("*_app/management/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword):
                name, value = node.arg or "", node.value
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                name, value = node.targets[0].id, node.value
            else:
                continue
            if name.lower().strip("_") == "in_table":
                yield from (each.value for each in ast.walk(value) if isinstance(each, ast.Constant))


def test_every_column_of_a_table_has_a_title() -> None:
    found = set(columns())
    assert {"UserPrincipalName", "MeetingUrl", "HeldBy"} <= found
    assert found - TITLES.keys() == set()
    with override("en"):
        assert {name: str(title) for name, title in TITLES.items()} == {name: name for name in TITLES}
