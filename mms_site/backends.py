"""The database, the cache and the way of the mail, from the addresses in the environment.

What would show only when it is first used, as a traceback of some library, is tried here.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ

from mms_site.environment import exit_naming, given, read

env = environ.Env()
OF_DJANGO = {"assume_role", "isolation_level", "server_side_binding"}
"""Options of a PostgreSQL connection that Django takes for itself."""
CONNECTION = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "tcp_user_timeout": "20000",
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=2"
    " -c tcp_user_timeout=20000 -c jit=off",
}
"""Options of a PostgreSQL connection. To compile a statement that looks dear takes a server longer than any statement
of a page, so it never does (jit). By the others either side gives the other up after 20 seconds without any answer: the
server so ends the transactions of a machine that was unplugged, and frees what they had locked, before its leases end.
An option in ``DATABASE_URL`` goes before that of the same name."""
NAME_LENGTH = 63
"""Octets that a name may have on PostgreSQL."""
CACHES = {"redis", "rediss", "rediscache", "filecache", "locmemcache", "dummycache"}


def data_folder(path: Path) -> Path:
    """The folder of the data, absolute. Whether it can be written to is asked where something is kept there."""
    try:
        folder = path.resolve()
        is_usable = folder.is_dir() or not folder.exists()
    except (OSError, RuntimeError) as error:
        raise exit_naming("MMS_DATA_DIR", f"is not usable ({error}).") from None
    if not is_usable:
        raise exit_naming("MMS_DATA_DIR", "is not usable: it is no folder.")
    return folder


def check_writable(variable: str, folder: Path) -> None:
    """Stop the start where the folder cannot be made or written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise exit_naming(variable, f"names a folder that cannot be written to ({error}).") from None


def database(data_dir: Path) -> dict[str, Any]:
    """What ``DATABASE_URL`` names; without it a file in the folder of the data."""
    if not given("DATABASE_URL"):
        return _sqlite({"ENGINE": "django.db.backends.sqlite3", "NAME": str(data_dir / "db.sqlite3")})
    found: dict[str, Any] = read(
        "DATABASE_URL",
        "an address like postgres://user:password@host:5432/name or sqlite:////path/to/file",
        lambda: env.db_url("DATABASE_URL"),
    )
    match found.get("ENGINE"):
        case "django.db.backends.sqlite3":
            return _sqlite(found)
        case "django.db.backends.postgresql":
            return _postgresql(found)
    raise exit_naming("DATABASE_URL", "is not usable: MMS runs on SQLite or PostgreSQL.")


def _sqlite(found: dict[str, Any]) -> dict[str, Any]:
    path = Path(found["NAME"])
    if found["NAME"] != ":memory:":
        check_writable("DATABASE_URL" if given("DATABASE_URL") else "MMS_DATA_DIR", path.parent)
        try:
            if path.exists():
                with closing(sqlite3.connect(path)) as connection:
                    connection.execute("PRAGMA schema_version")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise exit_naming("DATABASE_URL", f"names a file that is no usable database ({error}).") from None
    # WAL lets the dashboard read while the cluster writes. IMMEDIATE takes the write lock when a transaction
    # begins, so that two workers wait for each other instead of failing half-way with "database is locked".
    found["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
    return found


def _postgresql(found: dict[str, Any]) -> dict[str, Any]:
    options = found.get("OPTIONS", {})
    if not found["NAME"] and "service" not in options:
        raise exit_naming("DATABASE_URL", "names no database: write its name after the host, as in …@host:5432/name.")
    if len(found["NAME"].encode(errors="replace")) > NAME_LENGTH:
        raise exit_naming("DATABASE_URL", f"names a database with more than {NAME_LENGTH} octets.")
    if "pool" in options:
        raise exit_naming("DATABASE_URL", "asks for a pool of connections, which the cluster's processes cannot share.")
    # Loading it takes a tenth of the time in which a command starts, and on SQLite nobody needs it.
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    try:
        make_conninfo(**{name: value for name, value in options.items() if name not in OF_DJANGO})
    except ProgrammingError as error:
        raise exit_naming(
            "DATABASE_URL", f"has an option that PostgreSQL does not know ({str(error).strip()})."
        ) from None
    return found | {"CONN_HEALTH_CHECKS": True, "OPTIONS": CONNECTION | options}


def cache(data_dir: Path) -> dict[str, Any]:
    """What ``CACHE_URL`` names; without it a folder, because the web process and the cluster must share it."""
    if not given("CACHE_URL"):
        check_writable("MMS_DATA_DIR", data_dir)
        return {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(data_dir / "cache")}
    expected = "an address like redis://host:6379/1 or filecache:///path/to/folder"
    found: dict[str, Any] = read("CACHE_URL", expected, lambda: env.cache_url("CACHE_URL"))
    kind, location = given("CACHE_URL").partition(":")[0], found["LOCATION"]
    if kind not in CACHES:
        raise exit_naming("CACHE_URL", f"is not usable: expected {expected}.")
    if kind == "filecache":
        if not location.startswith("/"):
            raise exit_naming(
                "CACHE_URL", "is not usable: write three slashes before a folder, as in filecache:///path."
            )
        check_writable("CACHE_URL", Path(location))
    if kind.startswith("redis"):
        _require_redis("CACHE_URL")
        servers = location if isinstance(location, list) else [location]
        read("CACHE_URL", expected, lambda: [urlsplit(server).port for server in servers])
    return found


def broker() -> str:
    """The address in ``MMS_BROKER_URL``, of the Redis in which wake-ups wait; empty where they wait in the database."""
    address = given("MMS_BROKER_URL")
    if address:
        expected = "an address like redis://host:6379/0 or rediss://user:password@host:6379/0"
        parts = read("MMS_BROKER_URL", expected, lambda: urlsplit(address))
        number = parts.path.removeprefix("/")
        read("MMS_BROKER_URL", expected, lambda: (parts.port, int(number or "0")))
        if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not (number or "0").isdigit():
            raise exit_naming("MMS_BROKER_URL", f"is not usable: expected {expected}.")
        _require_redis("MMS_BROKER_URL")
    return address


def _require_redis(variable: str) -> None:
    if find_spec("redis") is None:
        raise exit_naming(variable, "needs the Python package redis, which is not installed: pip install '.[redis]'.")


def mail(data_dir: Path) -> dict[str, Any]:
    """What ``EMAIL_URL`` names, as Django's settings of that name; without it a folder with one file per message."""
    folder, variable = data_dir / "outbox", "MMS_DATA_DIR"
    found: dict[str, Any] = {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend"}
    if given("EMAIL_URL"):
        found = read(
            "EMAIL_URL",
            "an address like smtp+tls://user:password@host:587 or filemail:///path/to/folder",
            lambda: env.email_url("EMAIL_URL"),
        )
        folder, variable = Path("/") / found["EMAIL_FILE_PATH"], "EMAIL_URL"
    host = found.get("EMAIL_HOST") or ""
    if found["EMAIL_BACKEND"].endswith("filebased.EmailBackend"):
        # Django's own writes one log per connection; ours one .eml file per message, whose name follows from
        # the Message-ID, so that a repeated delivery writes the same file again instead of a second one.
        found["EMAIL_BACKEND"] = "migrations_app.mail.eml_files.EmailBackend"
        if host:
            raise exit_naming(
                "EMAIL_URL", "is not usable: write three slashes before a folder, as in filemail:///path."
            )
        check_writable(variable, folder)
    elif found["EMAIL_BACKEND"].endswith("smtp.EmailBackend") and not host:
        raise exit_naming("EMAIL_URL", "is not usable: it names no host, as smtp://host:25 does.")
    uses_ssl = bool(found.get("EMAIL_USE_SSL"))
    return {
        "EMAIL_BACKEND": found["EMAIL_BACKEND"],
        "EMAIL_HOST": host,
        "EMAIL_USE_TLS": bool(found.get("EMAIL_USE_TLS")),
        "EMAIL_USE_SSL": uses_ssl,
        "EMAIL_PORT": found.get("EMAIL_PORT") or (465 if uses_ssl else 25),
        "EMAIL_HOST_USER": found.get("EMAIL_HOST_USER") or "",
        "EMAIL_HOST_PASSWORD": found.get("EMAIL_HOST_PASSWORD") or "",
        "EMAIL_FILE_PATH": str(folder),
    }
