"""A real Synapse: a Matrix homeserver from PyPI, in a virtual environment of its own (it is AGPL, and no dependency).

As a script it makes that environment and says where it is. Everything else lies in one folder, on a port of its own;
it talks to no other server.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx

from migrations_app.chat.targets.matrix_names import registration
from tests.support.mail_servers import free_port
from tests.support.matrix_stand_in import SERVER_NAME, TOKEN
from tests.support.radicale_server import listens
from tests.support.waiting import wait_until

_SHARED = "shared-secret-of-the-tests"
_LIMITS_OFF = {"per_second": 100_000, "burst_count": 100_000}
_RATES = ("rc_message", "rc_admin_redaction", "rc_room_creation", "rc_joins_per_room", "rc_3pid_validation")


def environment() -> Path:
    """Where its virtual environment is."""
    named = os.environ.get("MMS_TEST_SYNAPSE_VENV")
    return Path(named) if named else Path(f"/tmp/mms-synapse-{os.getuid()}/venv")  # noqa: S108 - a cache, 0700


def install() -> Path:
    """Make the virtual environment unless it is there. 242 MB come from PyPI."""
    venv = environment()
    if not (venv / "installed").exists():
        venv.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run(
            [venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "matrix-synapse>=1.163,<2"],
            check=True,
        )
        (venv / "installed").touch()
    return venv


class SynapseServer:
    """One with its data in a folder; it can be stopped, killed and started again."""

    def __init__(
        self,
        folder: Path,
        *,
        speaks_for_accounts: bool = True,
        is_rate_limited: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._python = environment() / "bin" / "python"
        assert self._python.exists(), "Synapse is not installed: python -m tests.support.synapse_server"
        text = registration(TOKEN, "mms", "mms_", SERVER_NAME, speaks_for_accounts=speaks_for_accounts)
        if is_rate_limited:
            text = text.replace("rate_limited: false", "rate_limited: true")
        (folder / "registration.yaml").write_text(text, encoding="utf-8")
        (folder / "log.yaml").write_text(_LOG.format(folder=folder), encoding="utf-8")
        self._configuration = {
            "server_name": SERVER_NAME,
            "public_baseurl": f"{self.address}/",
            "pid_file": f"{folder}/pid",
            "listeners": [
                {
                    "port": self.port,
                    "bind_addresses": ["127.0.0.1"],
                    "type": "http",
                    "tls": False,
                    "resources": [{"names": ["client"]}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": f"{folder}/homeserver.db"}},
            "log_config": f"{folder}/log.yaml",
            "media_store_path": f"{folder}/media",
            "signing_key_path": f"{folder}/signing.key",
            "registration_shared_secret": _SHARED,
            "macaroon_secret_key": "m" * 40,
            "form_secret": "f" * 40,
            "enable_registration": False,
            "report_stats": False,
            "trusted_key_servers": [],
            "federation_domain_whitelist": [],
            "bcrypt_rounds": 4,
            "presence": {"enabled": False},
            "app_service_config_files": [f"{folder}/registration.yaml"],
            "rc_joins": {"local": _LIMITS_OFF, "remote": _LIMITS_OFF},
            "rc_invites": {"per_room": _LIMITS_OFF, "per_user": _LIMITS_OFF, "per_issuer": _LIMITS_OFF},
            **dict.fromkeys(_RATES, _LIMITS_OFF),
            **(settings or {}),
        }
        self.change()
        self._run("--generate-keys")

    def change(self, **settings: Any) -> None:
        """Give it other settings, which count from its next start on."""
        self._configuration |= settings
        # JSON is YAML.
        (self.folder / "homeserver.yaml").write_text(json.dumps(self._configuration), encoding="utf-8")

    def _run(self, *arguments: str) -> None:
        subprocess.run([*self._command(), *arguments], check=True, capture_output=True, cwd=self.folder)

    def _command(self) -> list[str]:
        return [str(self._python), "-m", "synapse.app.homeserver", "-c", str(self.folder / "homeserver.yaml")]

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "output").open("ab") as output:
            self._process = process = subprocess.Popen(self._command(), stdout=output, stderr=output, cwd=self.folder)
        wait_until(lambda: listens(self.port, process), every=0.1)

    @property
    def memory(self) -> int:
        """Octets that it holds in memory."""
        assert self._process
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def stop(self) -> None:
        """End it as an administrator would."""
        if self._process:
            self._process.terminate()
            self._process.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def register(self, localpart: str, name: str, *, is_admin: bool = False) -> str:
        """Make an account as its administrator would; its access token."""
        url = f"{self.address}/_synapse/admin/v1/register"
        nonce = httpx.get(url, trust_env=False).json()["nonce"]
        kind = "admin" if is_admin else "notadmin"
        signed = "\0".join([nonce, localpart, "correct horse", kind])
        mac = hmac.new(_SHARED.encode(), signed.encode(), hashlib.sha1).hexdigest()
        answer = httpx.post(
            url,
            trust_env=False,
            json={
                "nonce": nonce,
                "username": localpart,
                "displayname": name,
                "password": "correct horse",
                "admin": is_admin,
                "mac": mac,
            },
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def ask(self, token: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """What the server answers to somebody with an access token."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.request(
            method, f"{self.address}/_matrix/client/v3/{path}", json=body, headers=headers, trust_env=False, timeout=60
        )


@contextmanager
def synapse(
    folder: Path,
    *,
    speaks_for_accounts: bool = True,
    is_rate_limited: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[SynapseServer]:
    """A running one, stopped at the end."""
    server = SynapseServer(
        folder, speaks_for_accounts=speaks_for_accounts, is_rate_limited=is_rate_limited, settings=settings
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


_LOG = """\
version: 1
formatters: {{plain: {{format: '%(asctime)s %(levelname)s %(name)s %(message)s'}}}}
handlers:
  file: {{class: logging.FileHandler, formatter: plain, filename: '{folder}/synapse.log'}}
root: {{level: WARNING, handlers: [file]}}
"""

if __name__ == "__main__":
    print(install())  # noqa: T201
