"""Running programs that the operator has put into one directory: for checks and movers (R63, R71). Plain Python.

Which programs there are is decided on the machine: who writes into the directory decides. A program gets fixed
arguments and no shell, an empty standard input, a minimal environment and a process group of its own, which is killed
with all that is in it when the program has ended or its time is over. What it prints is read within limits, kept up to
4 KiB, freed of known secrets, and never interpreted.
"""

from __future__ import annotations

import math
import os
import re
import selectors
import shutil
import signal
import stat
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from migrations_app.rollouts.printed import MOST_KEPT, has_controls, shown
from tenants_app.sentences import Sentence, sentence

MOST_READ = 1024 * 1024
"""Octets that are read; who prints more is stopped."""
MOST_CHARACTERS = 400
"""Of the first line that becomes the sentence."""
PLACEHOLDERS = ("deployment", "host", "upn")
"""What may stand in braces in an argument."""
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/nonexistent",
}
"""All that a program knows of where it runs."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_NOT_STARTED, _COMPLAINT = {126, 127}, b"/timeout: failed to run command "
"""How ``timeout`` says that there is no such program, or none that this machine runs."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class NotRunnable(Exception):
    """A program that cannot be run, or not with these arguments: one sentence that says why and what to do."""

    def __init__(self, why: Sentence) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. Exactly one of ``status`` and ``signal`` is set, neither where MMS stopped it."""

    status: int | None
    signal: int | None
    timed_out: bool
    output: str
    """What it printed, its errors where it printed nothing else."""
    seconds: float

    @property
    def first_line(self) -> str:
        """The first line that is not empty."""
        return next(filter(None, map(str.strip, self.output.splitlines())), "")


def programs(directory: Path | None) -> list[str]:
    """The names of all programs that may be run, in alphabetical order."""
    if directory is None:
        return []
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return []
    return [name for name in names if _may_run(directory, name)]


def find(directory: Path | None, name: str) -> Path:
    """The file of a program. Raises :class:`NotRunnable`."""
    if directory is None:
        raise NotRunnable(
            sentence(
                "No programs may be run here. Ask the operator of MMS to name their directory in MMS_CHECK_COMMANDS."
            )
        )
    if not is_name(name):
        raise NotRunnable(
            sentence("%(name)s is not the name of a program. Give the bare name of a file, without a path.", name=name)
        )
    try:
        base = directory.resolve(strict=True)
        is_open = base.stat().st_mode & stat.S_IWOTH
        path = (base / name).resolve(strict=True)
        mode = path.stat().st_mode
    except (OSError, RuntimeError, ValueError):  # RuntimeError: symbolic links in a circle
        raise NotRunnable(
            sentence(
                "There is no program %(name)s. Ask the operator of MMS to put it into MMS_CHECK_COMMANDS.", name=name
            )
        ) from None
    if is_open:
        raise NotRunnable(
            sentence("Everybody may write into MMS_CHECK_COMMANDS. Ask the operator of MMS to take that right away.")
        )
    if path.parent != base:
        raise NotRunnable(
            sentence(
                "%(name)s leads out of MMS_CHECK_COMMANDS. Ask the operator of MMS to put the file itself there.",
                name=name,
            )
        )
    if not stat.S_ISREG(mode) or not os.access(path, os.X_OK):
        raise NotRunnable(
            sentence(
                "%(name)s is not a file that MMS may execute. Ask the operator of MMS to make it executable.", name=name
            )
        )
    if mode & stat.S_IWOTH:
        raise NotRunnable(
            sentence(
                "Everybody may change %(name)s. Ask the operator of MMS to take that right away.",
                name=name,
            )
        )
    return path


def is_name(text: str) -> bool:
    """Whether a text can be the bare name of a program: no path, no option, nothing hidden."""
    return _NAME.fullmatch(text) is not None


def unknown_placeholders(arguments: Sequence[str]) -> list[str]:
    """What stands in braces and is none of :data:`PLACEHOLDERS`."""
    named = [name for argument in arguments for name in _PLACEHOLDER.findall(argument)]
    return [name for name in dict.fromkeys(named) if name not in PLACEHOLDERS]


def filled(arguments: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The arguments with what their placeholders stand for. Raises :class:`NotRunnable` where a value is missing, or
    would be taken for something else than a value."""
    return [
        _PLACEHOLDER.sub(lambda found: _value(found[1], values), argument) for argument in _checked(arguments, values)
    ]


def run(
    directory: Path | None, name: str, arguments: Sequence[str], seconds: float, secrets: Collection[str] = ()
) -> Ended:
    """Run a program and wait until it has ended, at most so many seconds. Raises :class:`NotRunnable`."""
    path = find(directory, name)
    began = monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own program, without a shell
            [*_bounded(seconds), str(path), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    except (OSError, ValueError):  # no program of this machine, no interpreter, arguments too long or with a NUL
        raise _not_started(name) from None
    try:
        printed, complained, timed_out, too_much = _followed(process, began + seconds)
    finally:
        _end(process)
    if process.returncode in _NOT_STARTED and _COMPLAINT in complained:
        raise _not_started(name)
    status = None if timed_out or too_much else process.returncode
    return Ended(
        status=status if status is not None and status >= 0 else None,
        signal=-status if status is not None and status < 0 else None,
        timed_out=timed_out,
        output=shown(printed if printed.strip() else complained, secrets),
        seconds=monotonic() - began,
    )


def said_by(program: str, ended: Ended) -> Sentence:
    """The first line that a program printed, as it is, or how it ended where that says more."""
    if ended.timed_out:
        return sentence(
            "%(program)s had not ended after %(seconds)s seconds and was stopped. Give the check more time.",
            program=program,
            seconds=round(ended.seconds, 1),
        )
    if ended.signal:
        return sentence(
            "%(program)s was ended by signal %(signal)s. Run it on the machine to see why.",
            program=program,
            signal=str(ended.signal),
        )
    if ended.status is None:
        return sentence(
            "%(program)s printed without end and was stopped. Have it print one line that says what it found.",
            program=program,
        )
    line = ended.first_line[:MOST_CHARACTERS]
    if line:
        return Sentence(line)
    return sentence(
        "%(program)s ended with status %(status)s and printed nothing. Have it print one line that says what it found.",
        program=program,
        status=str(ended.status),
    )


def _bounded(seconds: float) -> list[str]:
    """What ends the program's group in time even where MMS itself has been killed meanwhile: ``timeout`` of coreutils,
    which ends as the program does."""
    timeout = shutil.which("timeout", path=ENVIRONMENT["PATH"])
    return [timeout, "-s", "KILL", str(math.ceil(seconds) + 1)] if timeout else []


def _not_started(name: str) -> NotRunnable:
    return NotRunnable(
        sentence(
            "%(name)s could not be started. Ask the operator of MMS whether its first line names the interpreter.",
            name=name,
        )
    )


def _may_run(directory: Path, name: str) -> bool:
    try:
        find(directory, name)
    except NotRunnable:
        return False
    return True


def _checked(arguments: Sequence[str], values: Mapping[str, str]) -> Sequence[str]:
    for argument in arguments:
        begins = _PLACEHOLDER.match(argument)
        if begins and _value(begins[1], values).startswith("-"):
            raise NotRunnable(
                sentence(
                    "%(value)s would be taken for an option. Put an option before it, such as --user={upn}.",
                    value=_value(begins[1], values),
                )
            )
    return arguments


def _value(name: str, values: Mapping[str, str]) -> str:
    value = values.get(name, "") if name in PLACEHOLDERS else ""
    if not value:
        raise NotRunnable(
            sentence("There is nothing to put in place of %(name)s. Take it out of the arguments.", name=f"{{{name}}}")
        )
    if has_controls(value):
        raise NotRunnable(sentence("What stands for %(name)s is no single line of text.", name=f"{{{name}}}"))
    return value


def _followed(process: subprocess.Popen[bytes], until: float) -> tuple[bytes, bytes, bool, bool]:
    """What it printed on either stream, whether its time was over, and whether it printed without end.

    A process that it left behind may hold the streams open: once the program itself has ended, what is in them is all.
    """
    assert process.stdout is not None  # noqa: S101 - a pipe
    assert process.stderr is not None  # noqa: S101 - a pipe
    printed, complained, octets = bytearray(), bytearray(), 0
    has_ended = timed_out = False
    with selectors.DefaultSelector() as selector:
        for stream, kept in ((process.stdout, printed), (process.stderr, complained)):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, kept)
        while not has_ended and not timed_out and octets <= MOST_READ:
            has_ended = _has_ended(process)
            left = until - monotonic()
            timed_out = not has_ended and left <= 0
            # Looked at again soon where nothing is read: it may end while another process holds its streams.
            wait = 0 if has_ended or timed_out else min(left, 0.05)
            if not selector.get_map():
                sleep(min(wait, 0.005))  # it has closed its streams and is about to end
            for key, _ in selector.select(wait) if selector.get_map() else ():
                part, is_over = _read(key.fd, key.data, to_the_end=has_ended)
                octets += part
                if is_over:
                    selector.unregister(key.fileobj)
    return bytes(printed), bytes(complained), timed_out, octets > MOST_READ


def _read(descriptor: int, kept: bytearray, to_the_end: bool) -> tuple[int, bool]:
    """Read what is there: how many octets it was, and whether that is all there will ever be."""
    octets = 0
    while octets <= MOST_READ:
        try:
            part = os.read(descriptor, 65_536)
        except BlockingIOError:
            break
        if not part:
            return octets, True
        octets += len(part)
        # More than is shown, so that a secret at the end is known whole.
        kept += part[: max(0, 2 * MOST_KEPT - len(kept))]
        if not to_the_end:
            break
    return octets, False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill whoever is left in its group and reap the program."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # before it is reaped: the number cannot be another group's yet
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(5)  # one that has become another user cannot be killed


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has, without reaping it: its number stays its own until its group is killed."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
