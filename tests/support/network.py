"""Machines of a test's own: network namespaces on one bridge, each with an address, a cable and processes of its own.

Nothing of it is to be seen outside: the bridge stands in a namespace too. File systems are shared, so that a test looks
into the database by a Unix socket while the machines have only the network.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import psycopg

NETWORK = "10.213.7"
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
_BINARIES = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)), None)


def missing() -> str:
    """What keeps this machine from running others; empty where nothing does."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if _BINARIES is None:
        return "needs PostgreSQL's own programs (Debian: postgresql)"
    if FAKETIME is None:
        return "needs libfaketime (Debian: libfaketime)"
    for program, package in (("ip", "iproute2"), ("redis-server", "redis-server"), ("setpriv", "util-linux")):
        if not shutil.which(program):
            return f"needs {program} (Debian: {package})"
    probe = f"mms-{uuid.uuid4().hex[:6]}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces are not allowed here: {made.stderr.strip()}"
    try:
        pair = ["ip", "-n", probe, "link", "add", "one", "type", "veth", "peer", "name", "two"]
        bridge = ["ip", "-n", probe, "link", "add", "three", "type", "bridge"]
        for command in (pair, bridge):
            made = subprocess.run(command, capture_output=True, text=True)
            if made.returncode:
                return f"virtual networks are not allowed here: {made.stderr.strip()}"
    finally:
        _ip("netns", "del", probe)
    return ""


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, (arguments, done.stderr)


class Machine:
    """A namespace with an address. What is started in it has its environment, and ends with the network."""

    def __init__(self, network: Network, name: str, number: int) -> None:
        self.name, self.address = name, f"{NETWORK}.{number}"
        self.environment: dict[str, str] = {}
        self._namespace, self._switch = f"{network.prefix}-{name}", f"{network.prefix}-switch"
        self._cable = f"to-{name}"
        self._logs = network.folder / f"{name}.log"
        _ip("netns", "add", self._namespace)
        network.ends.callback(_ip, "netns", "del", self._namespace)
        _ip(
            "-n",
            self._switch,
            *["link", "add"],
            self._cable,
            *["type", "veth", "peer", "name", "eth0", "netns"],
            self._namespace,
        )
        _ip("-n", self._switch, "link", "set", self._cable, "master", "bridge", "up")
        _ip("-n", self._namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", self._namespace, "link", "set", device, "up")
        self._processes: list[subprocess.Popen[bytes]] = []
        network.ends.callback(self.kill)

    def unplug(self) -> None:
        """Nothing reaches this machine, nor leaves it, and nobody is told."""
        _ip("-n", self._switch, "link", "set", self._cable, "down")

    def plug_in(self) -> None:
        _ip("-n", self._switch, "link", "set", self._cable, "up")

    def start(self, *command: str, folder: Path | None = None) -> subprocess.Popen[bytes]:
        """A program that goes on. What it says is appended to the machine's log."""
        with self._logs.open("ab") as log:
            started = subprocess.Popen(
                self._within(command), cwd=folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self._processes.append(started)
        return started

    def run(self, *command: str, folder: Path | None = None) -> str:
        """A program that must end well; what it says."""
        done = subprocess.run(
            self._within(command), cwd=folder, env=self.environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def log(self) -> str:
        return self._logs.read_text(errors="replace") if self._logs.exists() else ""

    def _within(self, command: tuple[str, ...]) -> list[str]:
        return ["ip", "netns", "exec", self._namespace, *command]

    def kill(self) -> None:
        """All that runs on it ends at once, also what its parents have left behind."""
        for pid in subprocess.check_output(["ip", "netns", "pids", self._namespace]).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for process in self._processes:
            process.wait(30)


class Network:
    """The bridge, and the machines that are plugged in. All of it goes in the end, also where the test fails or its
    process is asked to end (SIGTERM)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prefix = f"mms{uuid.uuid4().hex[:6]}"
        self.ends = ExitStack()
        self._machines = 0

    def __enter__(self) -> Self:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        self.ends.callback(signal.signal, signal.SIGTERM, before)
        switch = f"{self.prefix}-switch"
        _ip("netns", "add", switch)
        self.ends.callback(_ip, "netns", "del", switch)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        return self

    def __exit__(self, *exception: object) -> None:
        self.ends.close()

    def machine(self, name: str) -> Machine:
        self._machines += 1
        return Machine(self, name, self._machines)


class DatabaseMachine:
    """A PostgreSQL of the test's own on a machine: a cluster in a folder, run by the user postgres."""

    def __init__(self, network: Network, machine: Machine) -> None:
        assert _BINARIES is not None
        self._machine = machine
        # Not below the test's own folder, which root alone may enter: the server never runs as root.
        self._folder = folder = Path(tempfile.mkdtemp(prefix="mms-postgresql-"))
        network.ends.callback(shutil.rmtree, folder)
        network.ends.callback(self._kill)
        self._logs = network.folder / "pg_ctl.log"
        machine.environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        owner = pwd.getpwnam("postgres")
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._as_postgres = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._programs = _BINARIES.parent
        self._program("initdb", "--auth=trust", "--no-sync", "--pgdata", str(folder / "data"))
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all postgres {NETWORK}.0/24 trust\n")
        self._control(
            "start", f"-l{folder / 'log'}", f"-o-c listen_addresses={machine.address} -c fsync=off -k {folder}"
        )
        with psycopg.connect(self.socket("postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE mms")
        self.url = f"postgres://postgres@{machine.address}:5432/mms"

    def socket(self, name: str = "mms") -> str:
        """How the test itself connects, past the network."""
        return f"host={self._folder} user=postgres dbname={name}"

    def restart(self) -> None:
        """As after a power cut: nobody is asked to finish, and the server recovers from its log."""
        self._control("restart", "--mode=immediate")

    def _kill(self) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self._control("stop", "--mode=immediate")

    def _control(self, *arguments: str) -> None:
        self._program("pg_ctl", "--wait", "--silent", "--pgdata", str(self._folder / "data"), *arguments)

    def _program(self, name: str, *arguments: str) -> None:
        # Not through a pipe, which the server would keep open.
        within = self._machine._within((*self._as_postgres, str(self._programs / name), *arguments))
        with self._logs.open("ab") as log:
            done = subprocess.run(
                within, cwd="/", env=self._machine.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        assert done.returncode == 0, (name, arguments, self._logs.read_text())
