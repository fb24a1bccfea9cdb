"""How callers of the stand-in sign in: Basic, or NTLM, which is bound to the connection."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import spnego


class Passwords:
    """Who may sign in. Kept in a file too, because that is where the acceptor of NTLM looks."""

    def __init__(self) -> None:
        self.all: dict[str, str] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="mms-ews-")
        self.file = Path(self._folder.name) / "ntlm"

    def close(self) -> None:
        self._folder.cleanup()

    def set(self, passwords: Mapping[str, str]) -> None:
        self.all = {name.lower(): password for name, password in passwords.items()}
        lines = []
        for name, password in passwords.items():
            domain, _, user = name.rpartition("\\")
            lines.append(f"{domain}:{user}:{password}\n")
        self.file.write_text("".join(lines))
        os.environ["NTLM_USER_FILE"] = str(self.file)

    def by_basic(self, header: str) -> str:
        """Who signs in; empty where the password is not theirs."""
        try:
            name, _, password = base64.b64decode(header.partition(" ")[2]).decode().partition(":")
        except (ValueError, UnicodeError):
            return ""
        return name.lower() if self.all.get(name.lower()) == password else ""


class Handshake:
    """NTLM on one connection: three messages, after which the connection counts as signed in."""

    def __init__(self) -> None:
        self._context = spnego.server(protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
        self.user = ""

    def step(self, header: str) -> str:
        """The next message for the caller, in base64; empty once it is over. Raises ``SpnegoError``."""
        answer = self._context.step(base64.b64decode(header.partition(" ")[2]))
        if self._context.complete:
            self.user = str(self._context.client_principal or "").lower()
            return ""
        return base64.b64encode(answer or b"").decode()
