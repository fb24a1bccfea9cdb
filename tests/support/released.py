"""What the release before was: where its migrations end, and which code it ran."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAST = {"migrations_app": "0030_chat", "tenants_app": "0025_deployments"}
"""The last migrations that installations have. What comes after them must leave the code before them working."""


def new_migrations() -> list[Path]:
    """The files of those that no release has."""
    return [
        path
        for app, last in LAST.items()
        for path in sorted((ROOT / app / "migrations").glob("0*.py"))
        if path.stem > last
    ]


def commit_before_new_migrations() -> str:
    """The commit whose code is the last without any of them; empty where the history is not here."""
    new = [str(path.relative_to(ROOT)) for path in new_migrations()]
    if not new:
        return _git("rev-parse", "HEAD")
    added = _git("log", "--diff-filter=A", "--format=%H", "--reverse", "--", *new).split()
    return _git("rev-parse", f"{added[0]}^") if added else ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
