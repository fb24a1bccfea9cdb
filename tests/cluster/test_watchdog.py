"""The watchdog: whatever process dies, work goes on by itself; whatever it started ends with it (hostile row 4)."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from django.db import OperationalError

from migrations_app.cluster import signs
from migrations_app.cluster.signs import Signs
from migrations_app.cluster.watchdog import PATIENCE, Watchdog
from tests.support.installation import Installation
from tests.support.process_tree import children_of, living, with_descendants
from tests.support.processes import ROOT
from tests.support.waiting import wait_until

ENDED_WITHIN = 60
"""Seconds after which nothing may be left of what a dead process had started."""


def test_kill_9_of_each_kind_of_process_is_healed_within_a_minute(tmp_path: Path, migrated: Path) -> None:
    """The short form of `make soak-kills`."""
    results = tmp_path / "results"
    campaign = subprocess.run(
        [
            *(sys.executable, "-m", "tests.campaigns.kills", "--short"),
            *("--results", str(results), "--migrated", str(migrated)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert campaign.returncode == 0, campaign.stdout + campaign.stderr
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert len(rows) == 6
    assert all(row["within_a_minute"] for row in rows)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def all_processes(pid: int, number: int, without: Iterable[int] = ()) -> list[int]:
    """The process and those below it, as soon as they are so many and none of ``without`` is left."""
    return wait_until(
        lambda: len(found := with_descendants(pid)) == number and set(found).isdisjoint(without) and found
    )


def all_gone(pids: list[int]) -> bool:
    return wait_until(lambda: not living(pids), ENDED_WITHIN)


def test_what_serve_has_started_ends_with_it_and_when_the_watchdog_is_killed_it_says_so(
    installation: Installation,
) -> None:
    for killed, status in (("watchdog", 1), ("serve", -signal.SIGKILL)):
        port = free_port()
        with installation.start("serve", "--port", port) as service:
            # The web server with a worker, and the watchdog with a cluster of six.
            processes = all_processes(service.pid, 10)
            assert_light(int(port), installation.data_dir)
            watchdog = max(children_of(service.pid), key=lambda pid: len(with_descendants(pid)))
            os.kill({"watchdog": watchdog, "serve": service.pid}[killed], signal.SIGKILL)
            assert service.wait(timeout=ENDED_WITHIN) == status
            assert all_gone(processes)


def assert_light(port: int, data_folder: Path) -> None:
    """The first page comes compressed, and so do its files, which browsers then keep for good."""

    def kept(address: str) -> str:
        with closing(HTTPConnection("127.0.0.1", port, timeout=ENDED_WITHIN)) as server:
            server.request("GET", address, headers={"Accept-Encoding": "gzip"})
            answer = server.getresponse()
            assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
            return str(answer.headers["Cache-Control"])

    assert "no-store" in kept("/accounts/login/")
    names = json.loads((data_folder / "static" / "staticfiles.json").read_text())["paths"]
    for name in ("mms.css", "mms.js", "vendor/tabler/tabler.css"):
        assert "immutable" in kept(f"/static/{names[name]}")


# --- systemd ------------------------------------------------------------------------------------------


@contextmanager
def notify_socket(folder: Path) -> Iterator[socket.socket]:
    """Where systemd would listen."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(folder / "notify"))
        listener.settimeout(ENDED_WITHIN)
        yield listener


def until_told(listener: socket.socket, line: str) -> set[str]:
    """What is told until this is; fails where it is not told."""
    told: set[str] = set()
    while line not in told:
        told.update(listener.recv(1000).decode().splitlines())
    return told


def test_systemd_is_told_that_it_is_ready_alive_and_stopping_and_sigterm_ends_even_a_stalled_cluster(
    installation: Installation, tmp_path: Path
) -> None:
    with notify_socket(tmp_path) as listener:
        installation.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        watchdog = installation.start_watchdog()
        until_told(listener, "READY=1")
        until_told(listener, "WATCHDOG=1")
        processes = all_processes(watchdog.pid, 7)
        _, _, _, *others = processes
        for pid in others:
            os.kill(pid, signal.SIGKILL)  # whoever waits for a queue takes its lock along
        # Whether the sentinel replaces them or, where it waits for such a lock itself, the watchdog replaces it.
        new = all_processes(watchdog.pid, 7, without=others)
        watchdog.terminate()
        until_told(listener, "STOPPING=1")
        assert watchdog.wait(timeout=ENDED_WITHIN) == 0
        assert not living([*processes, *new])


# --- a cluster that cannot start ------------------------------------------------------------------------


def never_answers(reports: int, questions: int) -> None:
    """In place of a cluster: gives no sign of life until it is ended."""
    signal.pause()


def guards_and_never_answers(reports: int, questions: int) -> None:
    """In place of a cluster whose sentinel is at its post and whose workers never answer."""
    while True:
        os.write(reports, signs._RECORD.pack(signs.GUARDED, os.getpid()))
        time.sleep(0.05)


def told(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.mark.django_db(transaction=True)
def test_a_cluster_that_ends_at_once_again_and_again_is_started_ever_more_slowly_and_each_time_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watchdog = Watchdog(cluster=lambda reports, questions: None)
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return len(waited) < 4

    monkeypatch.setattr(watchdog, "_wait", wait)
    watchdog.run()
    assert waited == [2, 4, 8, 16]
    assert told(caplog, logging.ERROR) == [
        f"The cluster is started again in {pause} s, because its main process ended (exit status 0)."
        for pause in waited
    ]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("database_answers", [True, False])
def test_a_cluster_that_does_not_answer_is_started_again_but_not_while_the_database_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, database_answers: bool
) -> None:
    asked: list[bool] = []

    def ask_database() -> None:
        asked.append(database_answers)
        if len(asked) == 6:
            watchdog.stop()
        if not database_answers:
            raise OperationalError("connection refused")

    monkeypatch.setattr("migrations_app.cluster.watchdog.ask_database", ask_database)
    monkeypatch.setattr("migrations_app.cluster.watchdog.PATIENCE_AT_START", 1.2)
    watchdog = Watchdog(patience=1.2, cluster=never_answers)
    watchdog.run()
    restarts, outages = told(caplog, logging.ERROR), told(caplog, logging.WARNING)
    if database_answers:
        assert restarts[0].startswith("The cluster is started again in 2 s, because no worker has answered for ")
        assert outages == []
    else:
        assert restarts == []
        assert outages == ["The database cannot be used, so nobody can tell how the cluster is: connection refused"]


# --- what counts as silence -------------------------------------------------------------------------------


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard(clock: Clock) -> Iterator[Signs]:
    made = Signs(longest_task=600, clock=clock)
    yield made
    made.close()


def report(to: Signs, happened: bytes, pid: int) -> None:
    """What a process of the cluster writes."""
    os.write(to.writing, signs._RECORD.pack(happened, pid))
    to.listen(0)


def test_a_worker_that_is_long_at_work_is_not_silent_as_long_as_it_may_be(clock: Clock, heard: Signs) -> None:
    report(heard, signs.BEGUN, os.getpid())
    clock.now += 10 * PATIENCE
    assert heard.silence == 0
    clock.now += 600
    heard.silence  # noqa: B018 - it is lost from now on
    clock.now += 7
    assert heard.silence >= 7


def test_a_worker_that_was_killed_at_work_is_silent_from_then_on(clock: Clock, heard: Signs) -> None:
    worker = subprocess.Popen(["sleep", "1000"])
    report(heard, signs.BEGUN, worker.pid)
    clock.now += 10 * PATIENCE
    assert heard.silence == 0
    worker.kill()
    worker.wait()
    clock.now += 3
    assert heard.silence == 3


def test_what_has_ended_and_is_not_acknowledged_is_noticed(clock: Clock, heard: Signs) -> None:
    report(heard, signs.BEGUN, os.getpid())
    report(heard, signs.ENDED, os.getpid())
    clock.now += 5
    assert heard.silence == heard.unacknowledged == 5
    report(heard, signs.ACKNOWLEDGED, os.getpid())
    assert (heard.silence, heard.unacknowledged) == (5, 0)
    heard.excuse()
    assert heard.silence == 0


def test_how_long_new_workers_are_silent_is_counted_from_when_they_are_there(clock: Clock, heard: Signs) -> None:
    clock.now += 100
    assert (heard.silence, heard.has_started, heard.answered) == (100, False, False)
    report(heard, signs.GUARDED, os.getpid())
    clock.now += 5
    report(heard, signs.GUARDED, os.getpid())
    assert (heard.silence, heard.has_started, heard.answered) == (5, True, False)
    report(heard, signs.BEGUN, os.getpid())
    assert (heard.silence, heard.answered) == (0, True)


@pytest.mark.django_db(transaction=True)
def test_workers_that_were_killed_before_they_could_answer_are_missed_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that is killed while it waits for the queue takes its lock along, so that no other ever answers."""
    watchdog = Watchdog(patience=1.2, cluster=guards_and_never_answers)
    monkeypatch.setattr("migrations_app.cluster.watchdog.PATIENCE_WITH_NEW_WORKERS", 1.2)
    monkeypatch.setattr(watchdog, "_wait", lambda seconds: False)
    watchdog.run()
    assert told(caplog, logging.ERROR)[0].startswith(
        "The cluster is started again in 2 s, because no worker has answered for 1 s."
    )


def test_a_sentinel_that_stands_still_is_noticed_while_workers_answer(clock: Clock, heard: Signs) -> None:
    clock.now += 5
    assert heard.unguarded == 0  # the cluster is still being started
    report(heard, signs.GUARDED, os.getpid())
    clock.now += 5
    report(heard, signs.BEGUN, os.getpid())
    assert (heard.silence, heard.unguarded) == (0, 5)
    report(heard, signs.GUARDED, os.getpid())
    assert heard.unguarded == 0
