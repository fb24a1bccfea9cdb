"""Python in processes of their own, each forked off one that has loaded Django: a start costs milliseconds.

As a script it is the process that has loaded Django. It forks a parent for each environment, which reads a job per
line, forks once more for each, and answers with the ID of that process and, when it has ended, with its exit status.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn, Self

from tests.support.process_tree import children_of

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 600
LOADED = "TESTS_LOADED"
"""In the environment of manage.py: modules to load beforehand, which each command would load by itself."""


@dataclass(frozen=True)
class _Parent:
    """The process that they are forked off: where it reads jobs, and where it writes their exit statuses."""

    pid: int
    jobs: IO[str]
    statuses: IO[bytes]

    def give(self, folder: Path, job: Any, *, is_service: bool = False) -> int:
        """Have it done, with the streams in this folder; the ID of the process that does it.

        A service has a session of its own, and all the time it likes.
        """
        self.jobs.write(json.dumps([str(folder), is_service, job]) + "\n")
        self.jobs.flush()
        return int(self.statuses.readline())

    def end(self) -> None:
        self.jobs.close()
        self.statuses.read()  # until it has ended
        self.statuses.close()


class _Loaded:
    """A process that has loaded something, off which the parents of commands are forked: one for many of them."""

    def __init__(self, environment: Mapping[str, str], kind: str, *options: str) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *options, "-m", "tests.support.processes", kind, str(theirs.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._socket, self._answers = ours, ours.makefile()
        self._lock = threading.Lock()
        atexit.register(self._end)

    def fork(self, environment: Mapping[str, str]) -> _Parent:
        jobs, to_write = os.pipe()
        to_read, statuses = os.pipe()
        with self._lock:
            socket.send_fds(self._socket, [b"\n"], [jobs, statuses])
            self._socket.sendall(json.dumps(dict(environment)).encode() + b"\n")
            os.close(jobs)
            os.close(statuses)
            pid = int(self._answers.readline())
        return _Parent(pid, os.fdopen(to_write, "w"), os.fdopen(to_read, "rb", buffering=0))

    def _end(self) -> None:
        self._answers.close()
        self._socket.close()
        self._process.wait()


_loaded: dict[tuple[str, ...], _Loaded] = {}


class _Forked:
    """One that hangs is ended by SIGALRM. The process that they are forked off is started by the first job."""

    def __init__(self, environment: Mapping[str, str], *program: str) -> None:
        self._environment, self._program = environment, program
        self._parent: _Parent | None = None

    def _start(self) -> _Parent:
        database, _, _ = self._environment.get("DATABASE_URL", "").partition(":")
        key = (database, *self._program)
        if key not in _loaded:
            _loaded[key] = _Loaded(self._environment, *self._program)
        return _loaded[key].fork(self._environment)

    def _run(self, job: Any, text: str = "") -> subprocess.CompletedProcess[str]:
        self._parent = self._parent or self._start()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stdin").write_text(text)
            self._parent.give(folder, job)
            status = int(self._parent.statuses.readline())
            return subprocess.CompletedProcess(
                [], status, (folder / "stdout").read_text(), (folder / "stderr").read_text()
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._parent:
            self._parent.end()


class Started:
    """A command that runs beside the test as a service, to be used as a :class:`subprocess.Popen`.

    Where it is heard, ``stdout`` is a pipe for text. What else it says is lost.
    """

    def __init__(self, parent: _Parent, *arguments: str, is_heard: bool) -> None:
        self._parent = parent
        self._lock = threading.RLock()
        self.returncode: int | None = None
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        for stream in ("stdin", "stdout", "stderr"):
            if is_heard and stream == "stdout":
                os.mkfifo(folder / stream)
            else:
                (folder / stream).symlink_to(os.devnull)
        self.pid = parent.give(folder, [str(ROOT), *arguments], is_service=True)
        self.stdout = (folder / "stdout").open()

    def wait(self, timeout: float | None = None) -> int:
        with self._lock:
            if self.returncode is None:
                if not select.select([self._parent.statuses], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
                self.returncode = int(self._parent.statuses.readline())
                self._parent.end()
                self._folder.cleanup()
            return self.returncode

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def terminate(self) -> None:
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        self._send(signal.SIGKILL)

    def _send(self, signum: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()


class ManagePy(_Forked):
    """Runs manage.py in an environment.

    Django is loaded once for all environments with the same kind of database; each reads its own settings.
    """

    @property
    def at_work(self) -> list[int]:
        """The process (ID) of the command that runs at this moment, for another thread; none between two commands."""
        return children_of(self._parent.pid) if self._parent else []

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment, "manage.py")

    def run(self, *arguments: str, text: str = "", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return self._run([str(folder), *arguments], text)

    def start(self, *arguments: str, is_heard: bool = True) -> Started:
        """Start it in the environment as it is now."""
        return Started(self._start(), *arguments, is_heard=is_heard)


class Starts(_Forked):
    """Runs code in an environment of its own each time, where no settings have been read; warnings are errors."""

    def __init__(self) -> None:
        super().__init__(os.environ, "code", "-W", "error")

    def run(self, environment: Mapping[str, str], code: str) -> subprocess.CompletedProcess[str]:
        return self._run([dict(environment), code])


NEED_NO_SETTINGS = [
    *("csp.constants", "csv", "environ", "icalendar", "lxml.html", "phonenumbers", "picklefield", "psycopg", "sqlite3"),
    *("multiprocessing.sharedctypes", "pprint", "statistics", "tomllib", "urllib.request", "xml.sax.saxutils"),
    *("django.core.cache", "django.core.mail.backends.smtp", "django.core.management", "django.db.models"),
    *("django.db.backends.base.base", "django.db.migrations.migration", "django.forms", "django.http"),
    *("django.middleware.csrf", "django.shortcuts", "django.template.defaultfilters", "django.template.loader_tags"),
    *("django.urls", "django.utils.feedgenerator", "django.utils.html", "django.views.generic"),
    *("django_filters", "django_stubs_ext", "whitenoise.middleware", "zoneinfo"),
    *("multiprocessing.queues", "multiprocessing.synchronize", "packaging.version", "axes.apps"),
    *("django.contrib.auth.apps", "django.contrib.auth.tokens", "django.contrib.contenttypes.checks"),
    *("django.contrib.postgres.fields", "django.contrib.staticfiles.apps", "django.views.debug"),
    *("django.db.backends.postgresql.base", "django.db.backends.sqlite3.base", "django.utils.translation.trans_real"),
    *("migrations_app.calendars.itip", "migrations_app.rewriting.rewrite", "migrations_app.triggers.rules"),
    *("cryptography.x509", "fido2.server", "migrations_app.https.session", "migrations_app.mailboxes.caldav.client"),
    *("django.contrib.syndication.views", "django.test", "icalendar.timezone.windows_to_olson", "requests"),
]
"""Modules that the settings and the applications load, and that can be loaded before there are any."""


def _load(kind: str) -> None:
    gc.disable()  # nothing of what is being loaded is garbage
    if kind == "manage.py":
        _load_everything()
    else:
        for module in NEED_NO_SETTINGS:
            importlib.import_module(module)
    gc.freeze()  # a collection in a child would copy every page of what is loaded
    gc.set_threshold(100_000)
    gc.enable()


def _fork_parents(kind: str, asked: socket.socket) -> None:
    """Fork a parent of commands for each environment that comes in, with two descriptors; answer with its ID."""
    while (received := socket.recv_fds(asked, 1, 2))[0]:
        with asked.makefile() as lines:
            environment = json.loads(lines.readline())
        descriptors = received[1]
        pid = os.fork()
        if pid == 0:
            asked.close()
            for descriptor, to in zip(descriptors, (0, 1), strict=True):
                os.dup2(descriptor, to)
                os.close(descriptor)
            _exit_after(partial(_answer_jobs, kind, environment))
        for descriptor in descriptors:
            os.close(descriptor)
        asked.sendall(f"{pid}\n".encode())
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _answer_jobs(kind: str, environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    if kind == "manage.py":
        _read_settings()
        for module in os.environ.get(LOADED, "").split():
            importlib.import_module(module)
    for line in sys.stdin:
        folder, is_service, job = json.loads(line)
        child = os.fork()
        if child == 0:
            _connect_streams(Path(folder))
            if is_service:
                os.setsid()
            else:
                signal.alarm(MOST_SECONDS)
            _exit_after(partial(_do, kind, job))
        _say(child)
        _, status = os.waitpid(child, 0)
        _say(os.waitstatus_to_exitcode(status))


def _say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _do(kind: str, job: Any) -> None:
    if kind == "manage.py":
        folder, *arguments = job
        os.chdir(folder)
        sys.argv = ["manage.py", *arguments]
        runpy.run_path(str(ROOT / "manage.py"), run_name="__main__")
    else:
        environment, code = job
        os.environ.clear()
        os.environ.update(environment)
        exec(code, {})  # noqa: S102 - the tests' own


def _exit_after(work: Callable[[], None]) -> NoReturn:
    """End as Python does, but without taking everything that is loaded apart, which takes longer than most jobs."""
    status = 0
    try:
        work()
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if status and not isinstance(end.code, int):
            sys.stderr.write(f"{end.code}\n")
    except BaseException:  # noqa: BLE001 - as Python does
        sys.excepthook(*sys.exc_info())
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status & 0xFF)


def _load_everything() -> None:
    import django
    from django.core.checks import run_checks
    from django.core.management import get_commands, load_command_class

    os.environ["DJANGO_SETTINGS_MODULE"] = "mms_site.settings"
    django.setup()
    run_checks()  # what they load and find stays
    for name, app in get_commands().items():
        if app in {"migrations_app", "tenants_app"}:
            load_command_class(app, name)


def _read_settings() -> None:
    """Read them anew from the environment, and let all that has looked at the others look at these."""
    import axes.conf
    import django_q.conf
    from django.conf import Settings, settings
    from django.core.signals import setting_changed
    from django.db import connections
    from django.test import signals  # noqa: F401 - forgets what Django knows of each setting that is changed
    from django.utils.log import configure_logging

    before = settings._wrapped
    os.environ["DJANGO_SETTINGS_MODULE"] = "mms_site.settings"
    del sys.modules["mms_site.settings"]
    settings.__dict__.clear()
    settings._wrapped = Settings("mms_site.settings")
    importlib.reload(axes.conf)
    for used in connections.all(initialized_only=True):
        del connections[used.alias]
    connections._settings = None
    del connections.settings
    for name in dir(settings):
        if name.isupper() and getattr(settings, name) != getattr(before, name, None) and name != "DATABASES":
            setting_changed.send(None, setting=name, value=getattr(settings, name), enter=True)
    of_queue = django_q.conf.Conf  # which others have at hand
    importlib.reload(django_q.conf)
    for name, value in vars(django_q.conf.Conf).items():
        if name.isupper():
            setattr(of_queue, name, value)
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


def _connect_streams(folder: Path) -> None:
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        with (folder / name).open(mode) as file:
            os.dup2(file.fileno(), descriptor)


if __name__ == "__main__":
    _load(sys.argv[1])
    _fork_parents(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
