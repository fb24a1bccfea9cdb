"""Reading settings from the environment: every secret also as NAME_FILE, every bad value named in one line."""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured, ValidationError

T = TypeVar("T")

HOST = r"\.?[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]"


def exit_naming(variable: str, problem: str) -> SystemExit:
    """The error that stops start-up: one line that names the variable, no traceback."""
    return SystemExit(f"MMS cannot start: {variable} {problem}")


def load_file(path: Path) -> None:
    """Set what the ``.env`` file names and the environment does not."""
    try:
        environ.Env.read_env(path)
    except (OSError, ValueError) as error:
        raise exit_naming(str(path), f"cannot be read ({error}).") from None


def load_secrets(*names: str) -> None:
    """Fill each unset variable NAME from the file that NAME_FILE points to (container secrets)."""
    for name in names:
        path = os.environ.get(f"{name}_FILE")
        if not path or name in os.environ:
            continue
        try:
            os.environ[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or with a NUL
            raise exit_naming(f"{name}_FILE", f"names a file that cannot be read ({error}).") from None
        if not os.environ[name]:
            raise exit_naming(f"{name}_FILE", "names a file with nothing in it.")


def given(variable: str, default: str = "") -> str:
    """What the variable holds; where it is not set, or blank, the default. It must be UTF-8."""
    value = os.environ.get(variable, "").strip() or default
    try:
        value.encode()
    except UnicodeEncodeError:
        raise exit_naming(variable, "is not usable: it is not UTF-8.") from None
    return value


def read(variable: str, expected: str, reader: Callable[[], T]) -> T:
    """The value that ``reader`` makes of ``variable``; a bad one stops start-up saying what was expected."""
    try:
        return reader()
    except (ValueError, LookupError, OSError, ValidationError, ImproperlyConfigured, environ.ImproperlyConfigured):
        raise exit_naming(variable, f"is not usable: expected {expected}.") from None


def read_bool(variable: str, default: bool) -> bool:
    """A switch; unlike ``environ.Env.bool`` a word that is neither true nor false is an error, not False."""
    value = given(variable).lower()
    if value == "":
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise exit_naming(variable, "is not usable: expected true or false.")


def read_choice(variable: str, default: str, *others: str) -> str:
    """One of a few words."""
    value = given(variable, default).lower()
    if value not in {default, *others}:
        raise exit_naming(variable, f"is not usable: expected {' or '.join((default, *others))}.")
    return value


def openid_issuer(is_development: bool) -> str:
    """MMS_OIDC_ISSUER: an address with TLS. In development one without it may be on this machine."""
    issuer = given("MMS_OIDC_ISSUER")
    safe = r"https://|http://(localhost|127\.0\.0\.1)(?=[:/]|$)" if is_development else "https://"
    if issuer and not re.match(rf"(?:{safe})[^?#\s]*$", issuer):
        raise exit_naming("MMS_OIDC_ISSUER", "is not usable: expected an address like https://login.example.org/realm.")
    return issuer


def group_roles() -> list[tuple[str, str, str]]:
    """MMS_OIDC_ROLES: which group gives which role in which tenant."""
    found = []
    for each in filter(None, map(str.strip, given("MMS_OIDC_ROLES").split(";"))):
        match = re.fullmatch(r"(.+)=([a-z0-9-]+):(viewer|operator|admin)", each)
        if match is None:
            raise exit_naming(
                "MMS_OIDC_ROLES",
                "is not usable: expected groups like mms-admins=contoso:admin;mms-staff=contoso:viewer.",
            )
        found.append((match[1].strip(), match[2], match[3]))
    return found


def read_int(variable: str, default: int, least: int, most: int) -> int:
    """A whole number from ``least`` to ``most``."""

    def number() -> int:
        value = given(variable, str(default))
        if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            raise ValueError
        return int(value)

    return read(variable, f"a whole number from {least} to {most}", number)


def read_list(variable: str, default: str, expected: str, is_usable: Callable[[str], bool]) -> list[str]:
    """What stands between the commas. Whoever sets the variable to nothing means nothing by it: the default holds."""
    values = [value.strip() for value in given(variable, default).split(",") if value.strip()]
    if not all(map(is_usable, values)) or (default and not values):
        raise exit_naming(variable, f"is not usable: expected {expected}.")
    return values


def folder_of_programs(variable: str, base: Path) -> Path | None:
    """A directory, which not everybody may write into: whoever may, could have MMS run anything."""

    def folder() -> Path | None:
        path = given(variable)
        if not path:
            return None
        found = (base / path).resolve(strict=True)
        if not found.is_dir() or found.stat().st_mode & stat.S_IWOTH:
            raise ValueError
        return found

    return read(variable, "a directory that is there and that not everybody may write into", folder)


def is_host(text: str) -> bool:
    """A host as Django compares it with the Host header: no scheme, no port; with a dot before it all below it too."""
    return text == "*" or re.fullmatch(HOST, text) is not None


def is_origin(text: str) -> bool:
    """A scheme and a host, perhaps a port, and no more."""
    return re.fullmatch(rf"https?://\*?({HOST})(:[0-9]{{1,5}})?", text) is not None


def base_url(hosts: Sequence[str], origins: Sequence[str]) -> str:
    """Where people reach the site, without a slash at the end: MMS_BASE_URL, else what the other settings tell of it.

    ``origins`` are those that may post forms, ``hosts`` those that the dashboard answers to. Where both name none but
    this machine, or only patterns, it is the address of a fresh clone.
    """
    url = given("MMS_BASE_URL").removesuffix("/")
    if url:
        if not is_origin(url) or "*" in url or not _has_port_of_its_own(url):
            raise exit_naming("MMS_BASE_URL", "is not usable: expected an address like https://mms.example.org.")
        return url
    named = [origin for origin in origins if "*" not in origin]
    named += [f"https://{host}" for host in hosts if host not in _THIS_MACHINE and host[0] not in "*."]
    return named[0] if named else "http://127.0.0.1:8000"


_THIS_MACHINE = {"127.0.0.1", "localhost", "[::1]"}


def _has_port_of_its_own(origin: str) -> bool:
    try:
        return urlsplit(origin).port != 0
    except ValueError:
        return False


def is_long_key(text: str) -> bool:
    """Long enough that nobody guesses it, and of characters that stand in a header as they are."""
    return re.fullmatch(r"[!-~]{20,500}", text) is not None


def is_fernet_key(text: str) -> bool:
    """32 octets in URL-safe Base64, as ``Fernet.generate_key`` makes them."""
    try:
        Fernet(text)
    except ValueError:
        return False
    return True


def development_secret(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(50)) -> str:
    """A secret of a development machine: made once, kept in ``path``, readable by its owner only."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise exit_naming("MMS_DATA_DIR", f"cannot be written to ({error}).") from None
    else:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(make())
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise exit_naming("MMS_DATA_DIR", f"has a file {path.name} that cannot be read ({error}).") from None
    if not key:
        raise exit_naming("MMS_DATA_DIR", f"has a file {path.name} with nothing in it: delete it.")
    return key
