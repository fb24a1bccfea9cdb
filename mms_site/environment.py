"""Reading settings from the environment: every secret also as NAME_FILE, every bad value named in one line."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


def exit_naming(variable: str, problem: str) -> SystemExit:
    """The error that stops start-up: one line that names the variable, no traceback."""
    return SystemExit(f"MMS cannot start: {variable} {problem}")


def load_files(*names: str) -> None:
    """Fill each unset variable NAME from the file that NAME_FILE points to (container secrets)."""
    for name in names:
        path = os.environ.get(f"{name}_FILE")
        if not path or name in os.environ:
            continue
        try:
            os.environ[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise exit_naming(f"{name}_FILE", f"names a file that cannot be read ({error}).") from None


def read(variable: str, expected: str, reader: Callable[[], T]) -> T:
    """The value that ``reader`` makes of ``variable``; a bad one stops start-up saying what was expected."""
    try:
        return reader()
    except (ValueError, KeyError, ImproperlyConfigured, environ.ImproperlyConfigured):
        raise exit_naming(variable, f"is not usable: expected {expected}.") from None


def read_bool(variable: str, default: bool) -> bool:
    """A switch; unlike ``environ.Env.bool`` a word that is neither true nor false is an error, not False."""
    value = os.environ.get(variable, "").strip().lower()
    if value == "":
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise exit_naming(variable, "is not usable: expected true or false.")


def read_int(variable: str, default: int, least: int) -> int:
    """A whole number of at least ``least``."""

    def number() -> int:
        value = os.environ.get(variable, "").strip()
        if value == "":
            return default
        if not value.isascii() or not value.isdigit() or int(value) < least:
            raise ValueError
        return int(value)

    return read(variable, f"a whole number of at least {least}", number)


def development_secret(path: Path) -> str:
    """The secret key of a development machine: made once, kept in ``path``, readable by its owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise exit_naming("MMS_DATA_DIR", f"cannot be written to ({error}).") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        key = secrets.token_urlsafe(50)
        file.write(key)
    return key
