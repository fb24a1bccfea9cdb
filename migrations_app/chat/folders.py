"""Where archives, evidence, what is to be read, and what targets make lie: below ``MMS_DATA_DIR``, readable by the
service's account only (R129), each in a folder with a random name.

Whoever writes into a new folder holds its lock, which goes with the process: a folder that no row names and nobody
holds is left over from something that was cut off.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from django.conf import settings

ARCHIVES, EVIDENCE, READINGS, TARGETS = "archives", "evidence", "readings", "targets"
_NAME = re.compile(r"[0-9a-f]{32}")
_LOCK = ".lock"


class Found(NamedTuple):
    """A folder that lies there."""

    tenant: int
    name: str
    path: Path


def folder_of(tenant: int, kind: str, name: str) -> Path:
    """The folder of that name. ``tenant`` is the key of its row."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a folder")
    return _below(tenant, kind) / name


def new_name() -> str:
    """A name that nobody can guess, and nobody else has."""
    return secrets.token_hex(16)


@contextmanager
def new_folder(tenant: int, kind: str) -> Iterator[tuple[str, Path]]:
    """A new, empty folder of its own and its name; it is removed where what is done with it ends in an exception."""
    name = new_name()
    _below(tenant, kind).mkdir(mode=0o700, parents=True, exist_ok=True)
    with held(tenant, kind, name):
        path = folder_of(tenant, kind, name)
        try:
            path.mkdir(mode=0o700)
            yield name, path
        except BaseException:
            shutil.rmtree(path, ignore_errors=True)
            raise


@contextmanager
def held(tenant: int, kind: str, name: str, *, waits: bool = True) -> Iterator[bool]:
    """Hold the lock of a folder, so that no other process does. Without ``waits``, says at once whether it is held."""
    lock = folder_of(tenant, kind, name).with_name(name + _LOCK)
    lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = _locked(lock, waits=waits)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        with suppress(OSError):
            lock.unlink()
        os.close(handle)


def _locked(lock: Path, *, waits: bool) -> int | None:
    """The lock's file, open and locked; None where somebody else has it, and nobody is to wait."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            # Whoever had it may have removed the file meanwhile: then somebody may have the lock of a new one.
            if os.path.samestat(os.fstat(handle), os.stat(lock)):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            pass
        os.close(handle)


def remove(tenant: int, kind: str, name: str) -> None:
    """Remove a folder with all that lies in it, if it is there."""
    path = folder_of(tenant, kind, name)
    if path.exists():
        shutil.rmtree(path)


def lying(kind: str) -> Iterator[Found]:
    """All folders of this kind, whatever tenants there are."""
    top = _top()
    for of_tenant in sorted(top.iterdir()) if top.is_dir() else ():
        folder = of_tenant / kind
        if not of_tenant.name.isdecimal() or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if _NAME.fullmatch(path.name) and path.is_dir():
                yield Found(int(of_tenant.name), path.name, path)


def size_of(path: Path) -> int:
    """The octets of all files in a folder."""
    return sum(each.lstat().st_size for each in path.rglob("*") if each.is_file())


def _top() -> Path:
    return Path(settings.MMS_DATA_DIR) / "chat"


def _below(tenant: int, kind: str) -> Path:
    top = _top()
    for folder in (top, top / str(tenant)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return top / str(tenant) / kind
