"""manage.py in processes of its own, each forked off one that has loaded Django: a start costs milliseconds.

As a script it is the process that is forked off: it reads a job per line and answers with its exit status.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 600


class ManagePy:
    """Runs manage.py in an environment; one that hangs is ended by SIGALRM."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._parent = subprocess.Popen(
            [sys.executable, "-m", "tests.support.processes"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        assert self._parent.stdin
        assert self._parent.stdout
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "stdin").write_text(text)
            self._parent.stdin.write(json.dumps([name, arguments]) + "\n")
            self._parent.stdin.flush()
            status = int(self._parent.stdout.readline())
            return subprocess.CompletedProcess(
                arguments, status, (folder / "stdout").read_text(), (folder / "stderr").read_text()
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate()


def _answer_jobs() -> None:
    import django
    from django.urls import get_resolver

    os.environ["DJANGO_SETTINGS_MODULE"] = "mms_site.settings"
    django.setup()
    assert get_resolver().url_patterns  # loads what the system checks would
    gc.freeze()  # a collection in a child would copy every page of what is loaded
    for line in sys.stdin:
        folder, arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            _connect_streams(Path(folder))
            signal.alarm(MOST_SECONDS)
            sys.argv = ["manage.py", *arguments]
            runpy.run_path("manage.py", run_name="__main__")
            return
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _connect_streams(folder: Path) -> None:
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        with (folder / name).open(mode) as file:
            os.dup2(file.fileno(), descriptor)


if __name__ == "__main__":
    _answer_jobs()
