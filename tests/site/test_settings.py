"""Settings from the environment: defaults that need nothing, and one line for what cannot be used."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from tests.support.by_day import some
from tests.support.processes import Starts

ROOT = Path(__file__).resolve().parents[2]


SET_UP = "import django; django.setup()"
USE_EACH = (
    "from django.conf import settings; settings.DEBUG; from django.core.cache import cache; cache.get; "
    "from django.core.mail import get_connection; get_connection(); from django.db import connection; connection.ops"
)
"""What settings are read for, without the models."""
PRINT_A_FEW = (
    "from django.conf import settings as s; print(s.SECRET_KEY, s.EMAIL_FILE_PATH, s.DATABASES['default']['NAME'])"
)
PRINT_HSTS = (
    "from django.test import Client; "
    "answer = Client().get('/healthz', secure=True, headers={'host': 'mms.example.org'}); "
    "print(answer.headers.get('Strict-Transport-Security'))"
)
PRINT_SMTP = (
    "from django.core.mail import get_connection; smtp = get_connection(); "
    "print(smtp.host, smtp.port, smtp.username, smtp.password, smtp.use_tls, smtp.use_ssl, smtp.timeout)"
)
Start = Callable[..., subprocess.CompletedProcess[str]]
PRODUCTION = {"ALLOWED_HOSTS": "mms.example.org", "SECRET_KEY": "x" * 50}


@pytest.fixture(scope="module")
def starts() -> Iterator[Starts]:
    with Starts() as starts:
        yield starts


@pytest.fixture
def start(starts: Starts, tmp_path: Path) -> Start:
    """Starts Django with these variables, deprecated features refused, and runs the code."""
    clean = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    clean |= {"DJANGO_SETTINGS_MODULE": "mms_site.settings", "MMS_DATA_DIR": str(tmp_path)}
    return lambda code=PRINT_A_FEW, before=SET_UP, **environment: starts.run(clean | environment, f"{before}; {code}")


def test_a_fresh_clone_needs_no_settings(start: Start, tmp_path: Path) -> None:
    first = start()
    assert first.returncode == 0, first.stderr
    key, outbox, database = first.stdout.split()
    assert (outbox, database) == (str(tmp_path / "outbox"), str(tmp_path / "db.sqlite3"))
    assert start().stdout.split()[0] == key  # made up once
    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0


def test_a_secret_can_come_from_a_file(start: Start, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    started = start(SECRET_KEY_FILE=str(tmp_path / "key"), DEBUG="false")
    assert started.stdout.split()[0] == "from-a-file"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("DEBUG", "maybe"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_URL", "nonsense"),
        ("CACHE_URL", "nonsense://x"),
        ("EMAIL_URL", "pigeon://x"),
        ("EMAIL_URL", "smtp://"),
        ("EMAIL_URL", "filemail://var/outbox"),
        ("MMS_WORKERS", "0"),
        ("MMS_WORKERS", "many"),
        ("MMS_WORKERS", "9" * 5000),
        ("SECURE_HSTS_SECONDS", "-1"),
        ("SECURE_HSTS_SECONDS", "a year"),
        ("SECURE_HSTS_INCLUDE_SUBDOMAINS", "all"),
        ("SECURE_HSTS_INCLUDE_SUBDOMAINS", "true"),
        ("SECURE_HSTS_PRELOAD", "perhaps"),
        ("SECURE_HSTS_PRELOAD", "true"),
        ("MMS_SENDER", "nobody"),
        ("LOG_LEVEL", "loud"),
        ("TIME_ZONE", "Nowhere/Land"),
        ("CSRF_TRUSTED_ORIGINS", "mms.example.org"),
        ("SECRET_KEY_FILE", "/does/not/exist"),
        ("MMS_DATA_DIR", "/proc/nothing"),
        ("MMS_DATA_DIR", "/dev/null"),
        ("MMS_DATA_DIR", "/dev/null/below"),
        ("MMS_DATA_DIR", "x" * 5000),
        ("DATABASE_URL", "postgres://u:p@h"),
        ("DATABASE_URL", "postgres://u:p@h/"),
        ("DATABASE_URL", "postgres://u:p@h:99999/name"),
        ("DATABASE_URL", "postgres://u:p@h/" + "n" * 64),
        ("DATABASE_URL", "postgres://u:p@h/name?no_such_option=1"),
        ("DATABASE_URL", "postgres://u:p@h/name?pool=true"),
        ("DATABASE_URL", "sqlite:////proc/x/db.sqlite3"),
        ("DATABASE_URL", "sqlite:////dev/null/db.sqlite3"),
        ("DATABASE_URL", "sqlite:////etc/passwd"),
        ("DATABASE_URL", "sqlite:////etc"),
        ("DATABASE_URL", "://"),
        ("CACHE_URL", "filecache:///proc/x"),
        ("CACHE_URL", "filecache://"),
        ("CACHE_URL", "filecache://var/cache"),
        ("CACHE_URL", "filecache:///dev/null"),
        ("CACHE_URL", "memcache://127.0.0.1:11211"),
        ("CACHE_URL", "pymemcache://127.0.0.1:11211"),
        ("CACHE_URL", "dbcache://table"),
        ("CACHE_URL", "redis://127.0.0.1:x/1"),
        ("CACHE_URL", "redis://[/1"),
        ("MMS_BROKER_URL", "amqp://127.0.0.1"),
        ("MMS_BROKER_URL", "redis://"),
        ("MMS_BROKER_URL", "redis://127.0.0.1:x/1"),
        ("MMS_BROKER_URL", "redis://127.0.0.1/mms"),
        ("MMS_BROKER_URL", "redis://[/1"),
        ("CACHE_URL", "\udcff"),
        ("EMAIL_URL", "filemail:///proc/x"),
        ("EMAIL_URL", "filemail:///dev/null"),
        ("EMAIL_URL", "smtp://h:port"),
        ("EMAIL_URL", "smtp://[h"),
        ("EMAIL_URL_FILE", "/dev/null"),
        ("DATABASE_URL_FILE", "/etc"),
        ("SECRET_KEY", "\udcff"),
        ("MMS_WORKERS", "9" * 12),
        ("SECURE_HSTS_SECONDS", "9" * 12),
        ("MMS_SENDER", "a@b@c"),
        ("MMS_SENDER", "@"),
        ("TIME_ZONE", "Europe"),
        ("TIME_ZONE", "../../etc/passwd"),
        ("TIME_ZONE", "x" * 5000),
        ("LOG_LEVEL", "\udcff"),
        ("ALLOWED_HOSTS", "https://mms.example.org"),
        ("ALLOWED_HOSTS", "mms.example.org:443"),
        ("ALLOWED_HOSTS", ","),
        ("CSRF_TRUSTED_ORIGINS", "https://"),
        ("CSRF_TRUSTED_ORIGINS", "https://[mms"),
        ("CSRF_TRUSTED_ORIGINS", "https://mms.example.org/path"),
        ("MMS_BASE_URL", "mms.example.org"),
        ("MMS_BASE_URL", "https://mms.example.org/path"),
        ("MMS_BASE_URL", "https://*.example.org"),
        ("MMS_BASE_URL", "https://mms.example.org:99999"),
        ("MMS_BASE_URL", "https://user:password@mms.example.org"),
        ("MMS_BASE_URL", "javascript:alert(1)"),
        ("MMS_MICROSOFT_ENDPOINTS", "https://login.example.org"),
        ("MMS_MICROSOFT_ENDPOINTS", "https://login.example.org,https://graph.example.org/v1.0"),
        ("MMS_ALLOWED_CHECK_HOSTS", "https://pool.contoso.local"),
        ("MMS_CHECK_COMMANDS", "/no/such/folder"),
        ("MMS_CHECK_COMMANDS", "/etc/passwd"),
        ("MMS_TRUSTED_PROXIES", "localhost"),
        ("MMS_TRUSTED_PROXIES", "10.0.0.0/99"),
    ],
)
def test_an_unusable_value_stops_the_start_with_one_line_that_names_it(
    start: Start, tmp_path: Path, variable: str, value: str
) -> None:
    started = start(**{variable: value})
    assert started.returncode == 1
    (line,) = started.stderr.splitlines()
    assert line.startswith(f"MMS cannot start: {variable} ")


def test_programs_of_checks_come_from_a_folder_that_not_everybody_may_write_into(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "checks"
    folder.mkdir(mode=0o755)
    code = "from django.conf import settings as s; print(s.MMS_CHECK_COMMANDS, s.MMS_ALLOWED_CHECK_HOSTS)"

    assert start(code).stdout == "None []\n"
    named = start(code, MMS_CHECK_COMMANDS=str(folder), MMS_ALLOWED_CHECK_HOSTS="pool.contoso.local, [::1]")
    assert named.stdout == f"{folder} ['pool.contoso.local', '[::1]']\n"
    folder.chmod(0o757)
    assert start(code, MMS_CHECK_COMMANDS=str(folder)).returncode == 1


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "http://127.0.0.1:8000"),
        (PRODUCTION, "https://mms.example.org"),
        (
            PRODUCTION | {"ALLOWED_HOSTS": "localhost,*,.example.org,mms.contoso.com,b.contoso.com"},
            "https://mms.contoso.com",
        ),
        (
            PRODUCTION | {"CSRF_TRUSTED_ORIGINS": "https://*.example.org,https://a.example.org:8443"},
            "https://a.example.org:8443",
        ),
        (PRODUCTION | {"ALLOWED_HOSTS": "*"}, "http://127.0.0.1:8000"),
        (PRODUCTION | {"MMS_BASE_URL": "https://meetings.example.org/"}, "https://meetings.example.org"),
    ],
)
def test_links_that_leave_the_site_begin_where_it_is_reached(
    start: Start, environment: dict[str, str], address: str
) -> None:
    code = "from tenants_app.site_address import site_address; print(site_address('/contoso/'))"
    assert start(code, **environment).stdout == f"{address}/contoso/\n"


@pytest.mark.parametrize("content", [b"\xff", b"a\0b", b" \n"])
def test_a_secret_file_with_garbage_stops_the_start(start: Start, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    started = start(SECRET_KEY_FILE=str(tmp_path / "key"))
    assert started.returncode == 1
    assert re.fullmatch(r"MMS cannot start: SECRET_KEY_FILE .+\n", started.stderr)


def test_every_setting_is_tried_with_garbage(start: Start, tmp_path: Path) -> None:
    """Whatever stands there, the service starts or says in one line which variable is wrong."""
    names = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(names) > 15
    for place, name in enumerate(names):
        for value in some(("", "   ", "\x1b[31m", "%", "/dev/null", "://", "\udc80\n"), 3, place):
            where = f"{tmp_path}/{value}" if name == "MMS_DATA_DIR" else value
            started = start(before=USE_EACH, code="pass", **{name: where})
            assert started.returncode == 0 or re.fullmatch(rf"MMS cannot start: {name} .+\n", started.stderr), (
                name,
                value,
                started.stderr,
            )


@pytest.mark.parametrize("character", ["+", "%", "%41", "?", "#", " ", "é", "&", ";"])
def test_the_folder_of_the_data_may_be_called_anything(start: Start, tmp_path: Path, character: str) -> None:
    folder = tmp_path / f"a{character}b"
    code = (
        "import json; from django.conf import settings as s; print(json.dumps("
        "[s.EMAIL_FILE_PATH, str(s.DATABASES['default']['NAME']), s.CACHES['default']['LOCATION']]))"
    )
    started = start(code, MMS_DATA_DIR=str(folder))
    assert json.loads(started.stdout) == [str(folder / name) for name in ("outbox", "db.sqlite3", "cache")]


@pytest.mark.parametrize("blank", ["", "   "])
def test_a_blank_secret_key_is_none(start: Start, tmp_path: Path, blank: str) -> None:
    started = start(SECRET_KEY=blank, DEBUG="false")
    assert started.returncode == 1
    assert started.stderr.startswith("MMS cannot start: SECRET_KEY is not set")


@pytest.mark.parametrize("production", [{"DEBUG": "false"}, {"ALLOWED_HOSTS": "mms.example.org"}])
def test_production_requires_a_secret_key(start: Start, tmp_path: Path, production: dict[str, str]) -> None:
    started = start(**production)
    assert (started.returncode, started.stderr.count("\n")) == (1, 1)
    assert "SECRET_KEY is not set" in started.stderr
    assert start(SECRET_KEY="x" * 50, **production).returncode == 0


@pytest.mark.parametrize(
    ("environment", "header"),
    [
        ({}, "None"),
        ({"SECURE_HSTS_SECONDS": "3600"}, "max-age=3600"),
        (
            {
                "SECURE_HSTS_SECONDS": "31536000",
                "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
                "SECURE_HSTS_PRELOAD": "true",
            },
            "max-age=31536000; includeSubDomains; preload",
        ),
    ],
)
def test_browsers_are_told_to_insist_on_https_only_where_the_administrator_says_so(
    start: Start, tmp_path: Path, environment: dict[str, str], header: str
) -> None:
    (tmp_path / "static").mkdir()  # as collectstatic leaves it; WhiteNoise warns without
    assert start(PRINT_HSTS, **PRODUCTION, **environment).stdout.strip() == header


@pytest.mark.parametrize(
    ("address", "connection"),
    [
        ("smtp://mail.example.org", "mail.example.org 25   False False 30"),
        ("smtp+tls://anna:p%40ss@mail.example.org:587", "mail.example.org 587 anna p@ss True False 30"),
        ("smtp+ssl://mail.example.org", "mail.example.org 465   False True 30"),
    ],
)
def test_the_mail_server_is_the_one_that_the_address_names(
    start: Start, tmp_path: Path, address: str, connection: str
) -> None:
    assert start(PRINT_SMTP, EMAIL_URL=address).stdout.strip() == connection


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("queue_limit", 10),
        ("bulk", 5),
        ("ack_failures", False),
        ("max_attempts", 0),
        ("save_limit", 250),
        ("catch_up", True),
        ("retry", 600),
        ("broker_class", "django_q.brokers.orm.ORM"),
    ],
)
def test_a_cluster_that_would_lose_or_double_runs_is_refused(settings: Any, setting: str, value: Any) -> None:
    assert not [found for found in run_checks() if (found.id or "").startswith("mms.")]
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, setting: value}
    assert [found for found in run_checks() if (found.id or "").startswith("mms.")]
