"""A web machine, two workers and a database apart: one worker's clock is wrong, one is upgraded before the other, one
is unplugged in the middle, the database and Redis are started again. No meeting is lost or changed twice, and nobody is
told twice. Messages go into one folder: how a mail server is told nothing twice is tried elsewhere
(``make soak-mail``).
"""

from __future__ import annotations

import io
import os
import secrets
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.fernet import Fernet

from tests.support.meetings import told
from tests.support.network import FAKETIME, DatabaseMachine, Machine, Network, missing
from tests.support.processes import ROOT
from tests.support.released import commit_before_new_migrations
from tests.support.waiting import wait_until

pytestmark = pytest.mark.machines

MEETINGS = 4
"""Of each run where nothing else is said."""
MOST_SECONDS = 300
"""In which each step must be done, on a machine that is busy with other tests too."""
MOST_IN_DOUBT = 8
"""A worker hands one message over at a time; four are cut off by the network, the database, or the operator."""


class Story:
    """What happens, with its second: printed."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, what: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {what}", flush=True)  # noqa: T201 - pytest shows it


class Worker:
    """The background service of one machine, in one of two releases."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def start(self, release: Path) -> None:
        self._service = self.machine.start(sys.executable, "manage.py", "run_cluster", folder=release)

    def stop(self) -> None:
        """In order: it ends what its workers are at."""
        self._service.send_signal(signal.SIGTERM)
        self._service.wait(MOST_SECONDS)

    def stop_at_once(self) -> None:
        """As an operator who does not wait long: asked again, it ends, and leases are left behind."""
        for _ in range(2):
            self._service.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._service.wait(3)
        self._service.wait(60)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    if reason := missing():
        pytest.skip(reason)
    with Network(tmp_path) as made:
        yield made


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The release before: all code before the first migration that no release has."""
    commit = commit_before_new_migrations()
    if not commit:
        pytest.skip("the history of the repository is not here, to take the release before out of it")
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    folder = tmp_path / "released"
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("broker", ["database", "redis"])
def test_nothing_is_lost_or_doubled_whatever_part_fails(
    network: Network, released: Path, tmp_path: Path, broker: str
) -> None:
    story = Story()
    database = DatabaseMachine(network, network.machine("database"))
    redis = network.machine("redis")
    web, steady, wrong = (network.machine(name) for name in ("web", "steady", "wrong"))
    common = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "DATABASE_URL": database.url,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "MMS_SECRETS_KEY": Fernet.generate_key().decode(),
        "DEBUG": "true",
        "ALLOWED_HOSTS": web.address,
        # One for all, as a mail server is: there a message that is handed over again is the same file.
        "EMAIL_URL": f"filemail://{tmp_path / 'outbox'}",
        "MMS_WORKERS": "2",
    }
    if broker == "redis":
        common["MMS_BROKER_URL"] = f"redis://{redis.address}:6379/0"
        start_redis(redis)
    for machine in (web, steady, wrong):
        own = {"MMS_DATA_DIR": str(tmp_path / machine.name), "MMS_MACHINE_NAME": machine.name}
        machine.environment = common | own
    wrong.environment |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "+10m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    ask = Questions(database)
    asked_for = Counter[str]()

    def begin_asking_for(users: int, meetings: int, release: Path = ROOT) -> subprocess.Popen[bytes]:
        """So many runs more, of so many meetings each, are due as soon as they are there."""
        code = f"from tests.support.questions import *; begin_moving(users={users}, meetings={meetings})"
        asked_for.update(runs=users, meetings=users * meetings)
        return web.start(sys.executable, "manage.py", "shell", "-v0", "--no-imports", "-c", code, folder=release)

    def ask_for(users: int, release: Path = ROOT) -> None:
        assert begin_asking_for(users, MEETINGS, release).wait(MOST_SECONDS) == 0

    def all_have_ended() -> bool:
        return not ask.unfinished()

    steady.run(sys.executable, "manage.py", "migrate", "--verbosity=0", folder=released)
    one, other = Worker(steady), Worker(wrong)
    ask_for(20, release=released)
    one.start(released)
    other.start(released)
    story(f"20 runs are due, wake-ups wait in: {broker}; both workers run the release before")
    wait_until(lambda: ask.succeeded() > 2, MOST_SECONDS)
    one.stop_at_once()
    steady.run(sys.executable, "manage.py", "migrate", "--verbosity=0", folder=ROOT)
    ask_for(10)
    wait_until(all_have_ended, MOST_SECONDS)
    story("the database is upgraded; the old release, whose clock is 10 minutes ahead, has worked 10 runs on it alone")
    web.start(
        sys.executable, "-m", "gunicorn", "mms_site.wsgi", f"--bind={web.address}:8000", "--threads=4", folder=ROOT
    )
    one.start(ROOT)
    ask_for(20)
    other.stop()
    other.start(ROOT)
    wait_until(all_have_ended, MOST_SECONDS)
    story(f"both machines are upgraded, one after the other; {ask.succeeded()} runs have succeeded")

    begin_asking_for(6, meetings=40)
    wait_until(ask.held)
    database.restart()
    story(f"the database was cut off and started again; {ask.succeeded()} runs have succeeded")
    wait_until(lambda: health(web) == "200", MOST_SECONDS)
    story("/healthz answers")
    wait_until(all_have_ended, MOST_SECONDS)

    one.stop()
    held = unplug_in_the_middle(wrong, ask, lambda: begin_asking_for(4, meetings=150))
    begun = time.monotonic()
    kept = ask.changed_by(held)
    story(f"the other is unplugged, with {len(held)} runs in its hands, {kept} of their meetings are done")
    one.start(ROOT)
    wait_until(lambda: ask.states_of(held) == {"Succeeded"}, MOST_SECONDS)
    # Nothing of what it does can arrive: whoever ended them, it was not the one that is unplugged.
    assert ask.attempts_of(held) == {2}
    story(
        f"its runs were taken over, and have succeeded by their second attempts, {time.monotonic() - begun:.1f} s later"
        " (a lease lasts 30 s, and is looked for every 10 s)"
    )
    plugged_in = ask.now()
    wrong.plug_in()
    wait_until(lambda: ask.last_sign(wrong.name) > plugged_in, MOST_SECONDS)
    story("it is plugged in again, and has given a sign of life")

    if broker == "redis":
        redis.kill()
        story("Redis is gone")
        ask_for(6)
        wait_until(all_have_ended, MOST_SECONDS)
        story("runs go on without it")
        start_redis(redis)
        ask_for(6)
        story("Redis is back")

    wait_until(lambda: all_have_ended() and not ask.waiting_messages(), MOST_SECONDS)
    story("all runs have ended, and no message waits")

    assert ask.states() == {"Succeeded": asked_for["runs"]}
    changed = Counter(ask.changed())
    assert len(changed) == asked_for["meetings"]
    assert set(changed.values()) == {1}
    messages = told(tmp_path / "outbox")
    in_doubt = ask.messages_in_doubt()
    assert set(messages.values()) == {1}
    assert asked_for["meetings"] - in_doubt <= len(messages) <= asked_for["meetings"]
    assert in_doubt <= MOST_IN_DOUBT
    story(
        f"{asked_for['runs']} runs changed {len(changed)} meetings once each; {len(messages)} messages are sent, none"
        f" twice; {in_doubt} were being handed over as a part failed, and are left to a person"
    )


def unplug_in_the_middle(machine: Machine, ask: Questions, ask_for_runs: Callable[[], object]) -> list[int]:
    """Unplug it while it, and nobody else, works on runs. The keys of those that stay in its hands."""
    left_by_others = ask.held()

    def held() -> list[int]:
        return sorted(run for run, _ in ask.held() - left_by_others)

    ask_for_runs()
    while True:
        # Each run is longer than a batch: one is committed, and one is under way.
        wait_until(lambda: ask.changed_by(held()))
        machine.unplug()
        # What has arrived before is still done.
        wait_until(lambda: not ask.is_busy_for(machine.address))
        if ask.changed_by(runs := held()):
            return runs
        machine.plug_in()


def start_redis(machine: Machine) -> None:
    machine.environment = {"PATH": os.environ["PATH"]}
    machine.start("redis-server", "--bind", machine.address, "--protected-mode", "no", "--save", "")


def health(web: Machine) -> str:
    """The status of /healthz, which asks the database; empty where there is no good answer."""
    code = f"import urllib.request as r; print(r.urlopen('http://{web.address}:8000/healthz', timeout=60).status)"
    with suppress(AssertionError):
        return web.run(sys.executable, "-c", code).strip()
    return ""


class Questions:
    """Put to the database past the network; each on a connection of its own, since the server is started again."""

    def __init__(self, database: DatabaseMachine) -> None:
        self._database = database

    def _ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        def answer() -> list[list[tuple[Any, ...]]]:
            with suppress(psycopg.OperationalError), psycopg.connect(self._database.socket()) as connection:
                return [connection.execute(sql, parameters).fetchall()]  # type: ignore[call-overload]
            return []

        return wait_until(answer)[0]

    def _number(self, sql: str, *parameters: object) -> int:
        ((count,),) = self._ask(sql, *parameters)
        return int(count)

    def states(self) -> dict[str, int]:
        return dict(self._ask("SELECT state, count(*) FROM migrations_app_run GROUP BY state"))  # type: ignore[arg-type]

    def succeeded(self) -> int:
        return self.states().get("Succeeded", 0)

    def unfinished(self) -> int:
        return sum(count for state, count in self.states().items() if state in {"Pending", "InProgress"})

    def held(self) -> set[tuple[int, object]]:
        """Which runs are in progress, each under a claim of its own."""
        return set(self._ask("SELECT id, lease_token FROM migrations_app_run WHERE state = 'InProgress'"))  # type: ignore[arg-type]

    def states_of(self, runs: list[int]) -> set[str]:
        return {state for (state,) in self._ask("SELECT state FROM migrations_app_run WHERE id = ANY(%s)", runs)}

    def attempts_of(self, runs: list[int]) -> set[int]:
        return {count for (count,) in self._ask("SELECT attempts FROM migrations_app_run WHERE id = ANY(%s)", runs)}

    def changed_by(self, runs: list[int]) -> int:
        """How many meetings these runs have changed so far."""
        return self._number(
            "SELECT count(*) FROM migrations_app_meetingresult WHERE outcome = 'Succeeded' AND run_id = ANY(%s)", runs
        )

    def is_busy_for(self, address: str) -> bool:
        """Whether the server is at work on something that this machine asked for."""
        count = "SELECT count(*) FROM pg_stat_activity WHERE client_addr = %s::inet AND state = 'active'"
        return bool(self._number(f"{count} AND wait_event_type IS DISTINCT FROM 'Lock'", address))

    def now(self) -> datetime:
        return self._ask("SELECT now()")[0][0]  # type: ignore[no-any-return]

    def last_sign(self, machine: str) -> datetime:
        return self._ask("SELECT at FROM migrations_app_machine WHERE name = %s", machine)[0][0]  # type: ignore[no-any-return]

    def waiting_messages(self) -> int:
        return self._number("SELECT count(*) FROM migrations_app_update WHERE state NOT IN ('Sent', 'Failed')")

    def messages_in_doubt(self) -> int:
        """All that failed: there is no other reason here."""
        return self._number("SELECT count(*) FROM migrations_app_update WHERE state = 'Failed'")

    def changed(self) -> list[tuple[Any, ...]]:
        """The meetings that runs have changed, as often as they have."""
        return self._ask(
            "SELECT run.user_id, result.uid FROM migrations_app_meetingresult result"
            " JOIN migrations_app_run run ON run.id = result.run_id WHERE result.outcome = 'Succeeded'"
        )
