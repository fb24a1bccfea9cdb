"""The rules of who may import whom (pyproject.toml): each is broken once, in a copy of the tree, and says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ["mms_site", "migrations_app", "tenants_app"]
CONTRACTS = {
    contract["id"]: contract["name"]
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}

FORBIDDEN = [
    ("floors-of-migrations", "migrations_app.calendars.facts", "migrations_app.failures"),
    ("floors-of-migrations", "migrations_app.rewriting.rewrite", "migrations_app.failures"),
    ("floors-of-migrations", "migrations_app.runs.selection", "migrations_app.mail.imip"),
    ("floors-of-migrations", "migrations_app.runs.selection", "migrations_app.preview.changes"),
    ("floors-of-migrations", "migrations_app.runs.selection", "migrations_app.procedures.number_release"),
    ("floors-of-migrations", "migrations_app.runs.selection", "migrations_app.screens.tables"),
    ("floors-of-migrations", "migrations_app.preview.changes", "migrations_app.mail.delivery"),
    ("floors-of-migrations", "migrations_app.dial_in_directory.lookup", "migrations_app.runs.queue"),
    ("floors-of-tenants", "tenants_app.audit", "tenants_app.changes.users"),
    ("floors-of-tenants", "tenants_app.migrations.0001_initial", "tenants_app.models"),
    ("tenants-stand-alone", "tenants_app.records", "migrations_app.failures"),
    ("plain-python", "migrations_app.calendars.people", "tenants_app.wording"),
    ("plain-python", "migrations_app.calendars.people", "django"),
    ("plain-python", "migrations_app.rewriting.rewrite", "django"),
    ("clients-without-rows", "migrations_app.mailboxes.caldav.client", "migrations_app.models"),
    ("probes-without-rows", "migrations_app.rollouts.probes.tcp", "django"),
    ("chat-without-rows", "migrations_app.chat.archive.problems", "migrations_app.models"),
    ("chat-without-rows", "migrations_app.chat.verifying.compare", "django"),
    ("floors-of-chat", "migrations_app.chat.archive.problems", "migrations_app.chat.targets.base"),
    ("floors-of-chat", "migrations_app.chat.conversion.names", "migrations_app.chat.verifying.compare"),
    ("triggers-without-rows", "migrations_app.triggers.rules", "migrations_app.models"),
    ("one-way-to-a-mailbox", "migrations_app.mail.delivery", "migrations_app.mailboxes.embedded"),
    ("one-way-to-a-meeting-service", "migrations_app.runs.outcomes", "migrations_app.meeting_services.none"),
    ("screens-are-the-end", "migrations_app.tasks", "migrations_app.screens.tables"),
    ("screens-of-tenants", "tenants_app.management.base", "tenants_app.screens.fragments"),
    ("commands-are-the-end", "migrations_app.screens.runs", "tenants_app.management.listing"),
    ("no-circles", "migrations_app.runs.queue", "migrations_app.runs.worker"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What import-linter says of each contract, by id, about a tree that has all the forbidden imports."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", tree)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for _, importer, imported in FORBIDDEN:
        with (tree / importer.replace(".", "/")).with_suffix(".py").open("a") as file:
            file.write(f"import {imported}\n")
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=tree,
        env={"PATH": os.environ["PATH"], "COLUMNS": "300"},
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 1, checked.stdout + checked.stderr
    sections = checked.stdout.partition("\nBroken contracts\n")[2]
    begins = {contract: sections.index(f"{name}\n{'-' * len(name)}\n") for contract, name in CONTRACTS.items()}
    ends = sorted([*begins.values(), len(sections)])
    return {contract: sections[begin : ends[ends.index(begin) + 1]] for contract, begin in begins.items()}


def test_every_contract_is_broken_once() -> None:
    assert {contract for contract, _, _ in FORBIDDEN} == CONTRACTS.keys()


@pytest.mark.parametrize(("contract", "importer", "imported"), FORBIDDEN)
def test_a_forbidden_import_is_named(report: dict[str, str], contract: str, importer: str, imported: str) -> None:
    if contract == "no-circles":
        importer, imported = (f".{module.rpartition('.')[2]}" for module in (importer, imported))
    assert f"{importer} -> {imported} (" in report[contract]
