"""Settings from the environment: defaults that need nothing, and one line for what cannot be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

ROOT = Path(__file__).resolve().parents[2]


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
PRODUCTION = {"ALLOWED_HOSTS": "mms.example.org", "SECRET_KEY": "x" * 50}


def start(tmp_path: Path, code: str = PRINT_A_FEW, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start Django with these variables, deprecated features refused, and run the code."""
    clean = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import django; django.setup(); {code}"],
        cwd=ROOT,
        env=clean | {"DJANGO_SETTINGS_MODULE": "mms_site.settings", "MMS_DATA_DIR": str(tmp_path)} | environment,
        capture_output=True,
        text=True,
    )


def test_a_fresh_clone_needs_no_settings(tmp_path: Path) -> None:
    first = start(tmp_path)
    assert first.returncode == 0, first.stderr
    key, outbox, database = first.stdout.split()
    assert (outbox, database) == (str(tmp_path / "outbox"), str(tmp_path / "db.sqlite3"))
    assert start(tmp_path).stdout.split()[0] == key  # made up once
    assert (tmp_path / "secret-key").stat().st_mode & 0o077 == 0


def test_a_secret_can_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-a-file\n")
    started = start(tmp_path, SECRET_KEY_FILE=str(tmp_path / "key"), DEBUG="false")
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
    ],
)
def test_an_unusable_value_stops_the_start_with_one_line_that_names_it(
    tmp_path: Path, variable: str, value: str
) -> None:
    started = start(tmp_path, **{variable: value})
    assert started.returncode == 1
    (line,) = started.stderr.splitlines()
    assert line.startswith(f"MMS cannot start: {variable} ")


@pytest.mark.parametrize("production", [{"DEBUG": "false"}, {"ALLOWED_HOSTS": "mms.example.org"}])
def test_production_requires_a_secret_key(tmp_path: Path, production: dict[str, str]) -> None:
    started = start(tmp_path, **production)
    assert (started.returncode, started.stderr.count("\n")) == (1, 1)
    assert "SECRET_KEY is not set" in started.stderr
    assert start(tmp_path, SECRET_KEY="x" * 50, **production).returncode == 0


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
    tmp_path: Path, environment: dict[str, str], header: str
) -> None:
    (tmp_path / "static").mkdir()  # as collectstatic leaves it; WhiteNoise warns without
    assert start(tmp_path, PRINT_HSTS, **PRODUCTION, **environment).stdout.strip() == header


@pytest.mark.parametrize(
    ("address", "connection"),
    [
        ("smtp://mail.example.org", "mail.example.org 25   False False 30"),
        ("smtp+tls://anna:p%40ss@mail.example.org:587", "mail.example.org 587 anna p@ss True False 30"),
        ("smtp+ssl://mail.example.org", "mail.example.org 465   False True 30"),
    ],
)
def test_the_mail_server_is_the_one_that_the_address_names(tmp_path: Path, address: str, connection: str) -> None:
    assert start(tmp_path, PRINT_SMTP, EMAIL_URL=address).stdout.strip() == connection


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
    ],
)
def test_a_cluster_that_would_lose_or_double_runs_is_refused(settings: Any, setting: str, value: Any) -> None:
    assert not [found for found in run_checks() if (found.id or "").startswith("mms.")]
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, setting: value}
    assert [found for found in run_checks() if (found.id or "").startswith("mms.")]
