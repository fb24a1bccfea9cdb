"""``tenants_app`` stands alone: it neither imports ``migrations_app`` nor knows its addresses, commands and actions."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from migrations_app.urls import tenant_urlpatterns

REVERSING = {"reverse", "reverse_lazy", "redirect", "resolve_url"}
COMMANDS = {path.stem for path in settings.BASE_DIR.glob("migrations_app/management/commands/[a-z]*.py")}
ADDRESSES = {pattern.name for pattern in tenant_urlpatterns}
ACTIONS = {
    "start migration",
    "retry migration",
    "run now",
    "send messages again",
    "take number off",
    "take number off now",
    "cancel taking number off",
}


def sources() -> Iterator[Path]:
    """All but the migrations, which tell of their own time."""
    for path in sorted(settings.BASE_DIR.glob("tenants_app/**/*.py")):
        if path.parent.name != "migrations":
            yield path


def texts(node: ast.AST) -> set[str]:
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: path.relative_to(settings.BASE_DIR).as_posix())
def test_a_module_knows_nothing_of_migrations(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    reversed_names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in REVERSING:
            reversed_names |= texts(node)
    words = texts(tree)

    assert not [name for name in imported if name.startswith("migrations_app")]
    assert not reversed_names & ADDRESSES
    assert not [command for command in COMMANDS if any(re.search(rf"\b{command}\b", text) for text in words)]
    assert not words & ACTIONS


def test_there_are_addresses_and_commands_to_look_for() -> None:
    assert {"dashboard", "user", "selected"} <= ADDRESSES
    assert {"start_meeting_migration", "import_meetings"} <= COMMANDS


@pytest.mark.parametrize(
    "path", sorted(settings.BASE_DIR.glob("templates/tenants/**/*.html")), ids=lambda path: path.name
)
def test_a_template_knows_nothing_of_migrations(path: Path) -> None:
    linked = set(re.findall(r"""{% url ["']([\w-]+)["']""", path.read_text(encoding="utf-8")))

    assert not linked & ADDRESSES
