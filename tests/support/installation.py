"""An installation of its own for tests that run real processes: database, data folder, outbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psycopg

from tests.support.migrated import AS_IF_WOKEN, migrated_on_server
from tests.support.process_tree import children_of
from tests.support.processes import ManagePy, Started
from tests.support.waiting import wait_until


class Installation:
    """Runs ``manage.py`` as an administrator would."""

    def __init__(self, data_dir: Path, database_url: str, settings: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "MMS", "DATABASE"))
        } | {"MMS_DATA_DIR": str(data_dir), "DATABASE_URL": database_url, "MMS_WORKERS": "2", **settings}
        self._commands = ManagePy(self.environment)
        self._watchdogs: list[Started] = []

    def __enter__(self) -> Self:
        self._commands.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        for watchdog in self._watchdogs:
            with watchdog:
                watchdog.kill()  # without effect on one that has ended; what it had started ends with it
        self._commands.__exit__(*exception)

    def start(self, *arguments: str) -> Started:
        return self._commands.start(*arguments)

    def start_watchdog(self, *arguments: str) -> Started:
        """The background service. It ends with the installation at the latest."""
        watchdog = self._commands.start("run_cluster", *arguments, is_heard=False)
        self._watchdogs.append(watchdog)
        return watchdog

    @contextmanager
    def running_service(self) -> Iterator[None]:
        """The background service at work, killed in the end."""
        service = Service(self)
        try:
            yield
            assert service.watchdog.poll() is None
        finally:
            service.kill()

    @contextmanager
    def watching(self) -> Iterator[Callable[[str], list[tuple[Any, ...]]]]:
        """Puts SQL to the database directly, where starting a process for each question would be too slow."""
        url = self.environment["DATABASE_URL"]
        if url.startswith("sqlite"):
            connection: Any = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30, isolation_level=None)
        else:
            connection = psycopg.connect(url, autocommit=True)
        with closing(connection):
            yield lambda sql: _rows(connection.execute(sql))

    def migrate(self, migrated: Path) -> None:
        """Prepare the database as a copy of one that is prepared, which is quicker: on SQLite of this file."""
        url = self.environment["DATABASE_URL"]
        if url.startswith("sqlite"):
            shutil.copy(migrated, url.removeprefix("sqlite:///"))
            return
        server, _, name = url.rpartition("/")
        template = migrated_on_server(f"{server}/")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name}")  # type: ignore[call-overload]
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")  # type: ignore[call-overload]
        with psycopg.connect(url) as connection:
            connection.execute(AS_IF_WOKEN.format("now()"))  # type: ignore[call-overload]

    def run(self, *arguments: str) -> str:
        done = self._commands.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_in_vain(self, *arguments: str) -> None:
        """Run a command that must refuse what it is asked for."""
        assert self._commands.run(*arguments).returncode == 1

    def run_to_be_killed(self, *arguments: str) -> bool:
        """Run a command that another thread may kill (``kill``); whether it was. By itself it must end well."""
        done = self._commands.run(*arguments)
        assert done.returncode in {0, -signal.SIGKILL}, done.stderr
        return done.returncode != 0

    def kill(self) -> bool:
        """Kill the command that runs at this moment with -9; whether there was one."""
        killed = False
        for pid in self._commands.at_work:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed = True
        return killed

    def ask(self, expression: str) -> Any:
        """The value of a Python expression inside the installation, through JSON."""
        code = (
            "import json; from migrations_app.models import *; "
            "from migrations_app.monitoring.progress import progress; "
            "from tests.support.questions import *; from tests.support.teams_questions import *; "
            "from tests.support.wave_questions import *; from tests.support.story_questions import *; "
            "from tests.support.chat_questions import *; "
            f"print(json.dumps({expression}))"
        )
        return json.loads(self.run("shell", "--verbosity", "0", "--no-imports", "-c", code))


def _rows(cursor: Any) -> list[tuple[Any, ...]]:
    return cursor.fetchall() if cursor.description else []  # psycopg fetches nothing from what is no question


class Service:
    """The background service: the watchdog, and the cluster in a process group of its own."""

    def __init__(self, installation: Installation) -> None:
        self.watchdog = installation.start_watchdog()
        # Looked up now, so that nothing has to be looked up when they are killed.
        self._groups = [self.watchdog.pid, *wait_until(lambda: children_of(self.watchdog.pid))]

    def kill(self) -> None:
        """Kill all processes with -9, at one moment."""
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, signal.SIGKILL)
        self.watchdog.wait()


def wait_for_succeeded(running: Started, users: int) -> None:
    """Read what ``serve`` says until it counts so many users."""
    for line in running.stdout:
        if int(re.search(r"Succeeded (\d+)", line)[1]) >= users:  # type: ignore[index]
            return
    raise AssertionError("It ended too early.")


@contextmanager
def new_installation(folder: Path, **settings: str) -> Iterator[Installation]:
    """On SQLite in the folder, or with a database of its own on the server of MMS_TEST_DATABASE_URL.

    ``settings`` are set in its environment.
    """
    server = os.environ.get("MMS_TEST_DATABASE_URL", "")
    if not server:
        with Installation(folder, f"sqlite:///{folder}/db.sqlite3", settings) as installation:
            yield installation
        return
    base, _, _ = server.rpartition("/")
    name = f"mms_{uuid.uuid4().hex}"
    with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        try:
            with Installation(folder, f"{base}/{name}", settings) as installation:
                yield installation
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]
