"""A database that has been carried through all migrations: made once, where each would take seconds.

It is kept for later suites, until anything changes in what it follows from: on SQLite as a file, on PostgreSQL as a
database to make others of.
"""

from __future__ import annotations

import ast
import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import psycopg

from tests.support.processes import ROOT

APPLICATIONS = ("mms_site", "migrations_app", "tenants_app")
BESIDE = ("migrations_app/apps.py", "tenants_app/apps.py", "mms_site/settings.py", "tests/support/migrated.py")
"""What the database follows from, but not all that it loads: only migrations, models and triggers go on from there."""
KEPT_DAYS = 7
"""For how long one is kept that nobody has asked for."""
AS_IF_WOKEN = "UPDATE django_q_schedule SET next_run = {}"
"""What was kept looks as if the cluster had been woken up until now."""


def migrated_database(folder: Path) -> Path:
    """The SQLite file in this folder, made by the first process of the suite that asks for it. Copy it."""
    made = folder / "migrated.sqlite3"
    with _alone(folder):
        if not made.exists():
            in_the_making = folder / "in-the-making.sqlite3"
            _copy_kept(in_the_making)
            in_the_making.rename(made)
    return made


def migrated_on_server(server: str) -> str:
    """The name of a database on the PostgreSQL server (an address that ends with a slash), to be a template."""
    name = f"mms_migrated_{_digest()}"
    with _alone(_kept()), psycopg.connect(f"{server}postgres", autocommit=True) as connection:
        there = dict(
            connection.execute(
                "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
                " WHERE starts_with(datname, 'mms_migrated_')"
            ).fetchall()
        )
        if name not in there:
            in_the_making = f"mms_{uuid.uuid4().hex}"
            connection.execute(f"CREATE DATABASE {in_the_making}")  # type: ignore[call-overload]
            _migrate(f"{server}{in_the_making}")
            connection.execute(f"ALTER DATABASE {in_the_making} RENAME TO {name}")  # type: ignore[call-overload]
        connection.execute(f"COMMENT ON DATABASE {name} IS '{time.time():.0f}'")  # type: ignore[call-overload]
        for other, asked_for in there.items():
            if _is_outdated(float(asked_for or 0)) and other != name:
                connection.execute(f"DROP DATABASE IF EXISTS {other}")  # type: ignore[call-overload]
    return name


def _copy_kept(to: Path) -> None:
    kept = _kept() / f"{_digest()}.sqlite3"
    with _alone(_kept()):  # of several suites at a time
        if not kept.exists():
            in_the_making = _kept() / "in-the-making.sqlite3"
            in_the_making.unlink(missing_ok=True)
            _migrate(f"sqlite:///{in_the_making}")
            in_the_making.rename(kept)
        kept.touch()
        for other in _kept().glob("*.sqlite3"):
            if _is_outdated(other.stat().st_mtime):
                other.unlink()
        shutil.copy(kept, to)
    now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
    with closing(sqlite3.connect(to)) as connection, connection:
        connection.execute(AS_IF_WOKEN.format("?"), [now])


def _is_outdated(asked_for: float) -> bool:
    return time.time() - asked_for > KEPT_DAYS * 86_400


@cache
def _kept() -> Path:
    """Where they are kept: for all copies of the project of whoever runs the tests, and for nobody else."""
    folder = Path(tempfile.gettempdir()) / f"mms-migrated-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    assert folder.stat().st_uid == os.getuid(), f"{folder} is somebody else's: remove it."
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "migrated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _migrate(address: str) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "MMS"))}
    with tempfile.TemporaryDirectory() as data_folder:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env=kept | {"MMS_DATA_DIR": data_folder, "DATABASE_URL": address},
            check=True,
        )


@cache
def _digest() -> str:
    digest = hashlib.blake2b(sys.version.encode(), digest_size=16)
    for installed in sorted(f"{each.name} {each.version}" for each in distributions()):
        digest.update(f"{installed}\n".encode())
    for path in sorted(_files()):
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files() -> set[Path]:
    """Migrations, models and the triggers of activity, with what they load of the project; and what is beside them."""
    waiting = [
        path
        for application in APPLICATIONS
        for path in (ROOT / application).rglob("*.py")
        if {"migrations", "models"} & set(path.relative_to(ROOT).parts) or path.name == "activity.py"
    ]
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _loaded_by(path)
    return found | {ROOT / name for name in BESIDE}


def _loaded_by(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
        for name in names:
            if name.partition(".")[0] in APPLICATIONS:
                stem = ROOT.joinpath(*name.split("."))
                yield from (each for each in (stem.with_suffix(".py"), stem / "__init__.py") if each.is_file())
