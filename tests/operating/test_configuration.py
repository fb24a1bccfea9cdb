"""The files that the operator's guide gives to systemd, nginx and Caddy are taken by these programs themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

from tests.support.processes import ROOT

pytestmark = pytest.mark.servers
FILES = ROOT / "docs" / "operating" / "files"


def told(*command: str, **environment: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=os.environ | environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """With the programs of this installation in place of those below /opt."""
    units = [path for path in FILES.iterdir() if path.suffix in {".service", ".timer"}]
    for path in units:
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"(?m)^(Exec\w+=)/opt/mms/.venv/bin/\w+", rf"\1{sys.executable}", text)
        text = text.replace("User=mms", "User=root").replace("/etc/mms.env", str(FILES / "mms.env"))
        (tmp_path / path.name).write_text(text.replace("/opt/mms", str(ROOT)), encoding="utf-8")

    assert told("systemd-analyze", "verify", "--man=no", *(str(tmp_path / path.name) for path in units)) == ""


def test_nginx_takes_its_file(tmp_path: Path) -> None:
    trustme.CA().issue_cert("mms.contoso.com").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    server = (FILES / "nginx.conf").read_text(encoding="utf-8")
    server = re.sub(r"/etc/ssl/mms/\w+\.pem", str(tmp_path / "both.pem"), server)
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"pid {tmp_path}/nginx.pid;\nevents {{}}\nhttp {{ access_log off;\n{server}\n}}\n", encoding="utf-8"
    )

    assert "test is successful" in told(program("nginx"), "-t", "-e", str(tmp_path / "log"), "-c", str(configuration))


def test_caddy_takes_its_file(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    file = str(FILES / "Caddyfile")

    assert "Valid configuration" in told(
        program("caddy"), "validate", "--adapter", "caddyfile", "--config", file, **home
    )


def program(name: str) -> str:
    """Where it is, also for whoever has no folders of administrators in the path."""
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin")
    assert found, f"{name} is not installed: make test-servers needs it"
    return found


def test_the_settings_are_taken(tmp_path: Path) -> None:
    """By the service itself, with keys of its own and this machine's folders."""
    for name, key in (("secret-key", "x" * 50), ("secrets-key", "A" * 43 + "=")):
        (tmp_path / name).write_text(key, encoding="utf-8")
    given = dict(re.findall(r"(?m)^(\w+)=(.*)$", (FILES / "mms.env").read_text(encoding="utf-8")))
    given = {name: value.replace("/etc/mms/", f"{tmp_path}/") for name, value in given.items()}
    given["MMS_DATA_DIR"] = str(tmp_path)
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    code = (
        "import django; django.setup(); from django.conf import settings; print(settings.DATABASES['default']['NAME'])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=kept | given | {"DJANGO_SETTINGS_MODULE": "mms_site.settings"},
    )
    assert (done.returncode, done.stdout) == (0, "mms\n"), done.stderr
