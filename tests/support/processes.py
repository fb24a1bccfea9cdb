"""Python in processes of their own, each forked off one that has loaded Django: a start costs milliseconds.

As a script it is the process that is forked off: it reads a job per line and answers with its exit status.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, Self

from tests.support.process_tree import children_of

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 600


class _Forked:
    """One that hangs is ended by SIGALRM. The process that they are forked off is started by the first job."""

    def __init__(self, environment: Mapping[str, str], kind: str, *options: str) -> None:
        self._environment, self._program = environment, [*options, "-m", "tests.support.processes", kind]
        self._parent: subprocess.Popen[str] | None = None

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *self._program],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _run(self, job: Any, text: str = "") -> subprocess.CompletedProcess[str]:
        self._parent = self._parent or self._start()
        assert self._parent.stdin
        assert self._parent.stdout
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stdin").write_text(text)
            self._parent.stdin.write(json.dumps([name, job]) + "\n")
            self._parent.stdin.flush()
            status = int(self._parent.stdout.readline())
            return subprocess.CompletedProcess(
                [], status, (folder / "stdout").read_text(), (folder / "stderr").read_text()
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._parent:
            self._parent.communicate()


class ManagePy(_Forked):
    """Runs manage.py in an environment."""

    @property
    def at_work(self) -> list[int]:
        """The process (ID) of the command that runs at this moment, for another thread; none between two commands."""
        return children_of(self._parent.pid) if self._parent else []

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment, "manage.py")

    def run(self, *arguments: str, text: str = "", folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return self._run([str(folder), *arguments], text)


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
]
"""Modules that the settings and the applications load, and that can be loaded before there are any."""


def _answer_jobs(kind: str) -> None:
    if kind == "manage.py":
        _load_everything()
    else:
        for module in NEED_NO_SETTINGS:
            importlib.import_module(module)
    gc.freeze()  # a collection in a child would copy every page of what is loaded
    gc.set_threshold(100_000)
    for line in sys.stdin:
        folder, job = json.loads(line)
        child = os.fork()
        if child == 0:
            _connect_streams(Path(folder))
            signal.alarm(MOST_SECONDS)
            _exit_after(partial(_do, kind, job))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
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


def _connect_streams(folder: Path) -> None:
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        with (folder / name).open(mode) as file:
            os.dup2(file.fileno(), descriptor)


if __name__ == "__main__":
    _answer_jobs(sys.argv[1])
