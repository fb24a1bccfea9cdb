"""A real Cyrus IMAP with its CalDAV: a server that tells attendees of changes itself and stores its own octets.

From Debian's packages, everything in one folder and on ports of its own; nothing of the system's configuration is used.
"""

from __future__ import annotations

import email
import email.policy
import imaplib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from migrations_app.mailboxes.caldav.transport import Account
from tests.support.mail_servers import Inbox, free_port
from tests.support.radicale_server import listens
from tests.support.waiting import wait_until

PROGRAMS = ("/usr/lib/cyrus/bin/master", "/usr/sbin/saslpasswd2")
PASSWORD = "correct horse battery staple"
ADMIN = "cyrusadmin"

_CONFIGURATION = """
configdirectory: {folder}/conf
partition-default: {folder}/spool
defaultpartition: default
proc_path: {folder}/proc
mboxname_lockpath: {folder}/lock
lmtpsocket: {folder}/run/lmtp
idlesocket: {folder}/run/idle
notifysocket: {folder}/run/notify
cyrus_user: {user}
servername: localhost
admins: {admin}
virtdomains: off
unixhierarchysep: yes
altnamespace: no
allowplaintext: yes
httpmodules: caldav
caldav_realm: contoso.com
calendar_user_address_set: contoso.com
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {folder}/sasldb2
sasl_mech_list: PLAIN
smtp_backend: host
smtp_host: 127.0.0.1:{smtp}/noauth
"""
_SERVICES = """
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -C {folder}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="/usr/lib/cyrus/bin/imapd -C {folder}/imapd.conf" listen="127.0.0.1:{imap}" prefork=0
  http cmd="/usr/lib/cyrus/bin/httpd -C {folder}/imapd.conf" listen="127.0.0.1:{http}" prefork=0
}}
EVENTS {{
}}
"""


@dataclass(frozen=True)
class CyrusServer:
    """A running one. ``inbox`` is the mail server that it hands its messages to."""

    address: str
    inbox: Inbox
    http: httpx.Client
    imap_port: int
    process: subprocess.Popen[bytes]

    def account(self, user: str, password: str = PASSWORD) -> Account:
        return Account(self.address, user, password)

    def calendar(self, user: str) -> str:
        """The href of a user's own calendar, which is made when it is first asked for."""
        href = f"/dav/calendars/user/{user}/Default/"
        assert self.request("PROPFIND", href, user=user, headers={"Depth": "0"}).status_code == 207
        return href

    def put(self, href: str, body: bytes, user: str) -> None:
        """Store an object as another client would."""
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        answer = self.request("PUT", href, body, user=user, headers=headers)
        assert answer.status_code in {201, 204}, answer.text

    def share(self, owner: str, user: str) -> str:
        """Let another user read and change the calendar of the owner; its href for that user."""
        with self.imap() as imap:
            for name in ("", "/Default"):
                status, _ = imap.setacl(f'"user/{owner}/#calendars{name}"', user, "lrswipkxtecda9")
                assert status == "OK"
        return f"/dav/calendars/user/{user}/{owner}.Default/"

    def request(self, method: str, href: str, body: bytes = b"", *, user: str, headers: Any = None) -> httpx.Response:
        url = self.address.rstrip("/") + href
        return self.http.request(method, url, content=body, auth=(user, PASSWORD), headers=headers)

    def told(self) -> list[tuple[str, str]]:
        """Who was sent a message, and its subject, in order."""
        return [
            (recipient, _subject(envelope.content))
            for envelope in self.inbox.envelopes
            for recipient in envelope.rcpt_tos
        ]

    def told_of(self) -> Counter[tuple[str, str]]:
        """How many messages were sent about each meeting, by its UID, to each address."""
        from tests.support.meetings import uid_of  # needs Django, which asking for the programs does not

        found = Counter[tuple[str, str]]()
        for envelope in self.inbox.envelopes:
            message: Any = email.message_from_bytes(bytes(envelope.content or b""), policy=email.policy.default)
            found.update((uid_of(message), recipient) for recipient in envelope.rcpt_tos)
        return found

    @contextmanager
    def imap(self) -> Iterator[imaplib.IMAP4]:
        """A session of the administrator."""
        session = imaplib.IMAP4("127.0.0.1", self.imap_port)
        session.login(ADMIN, PASSWORD)
        try:
            yield session
        finally:
            session.logout()


class _LongLines(SMTP):
    """Takes lines as long as Cyrus makes them of a description; a strict server refuses all beyond 998 octets."""

    line_length_limit = 1_000_000


class _MailServer(Controller):
    def factory(self) -> SMTP:
        return _LongLines(self.handler, **self.SMTP_kwargs)


def _subject(content: Any) -> str:
    return next(line[9:].decode() for line in content.splitlines() if line.lower().startswith(b"subject: "))


def missing() -> str:
    """What must be installed first, as one sentence; empty where everything is there."""
    if all(Path(program).exists() for program in PROGRAMS):
        return ""
    return (
        "The tests against Cyrus need its programs: apt-get install cyrus-caldav cyrus-imapd cyrus-admin sasl2-bin "
        "libsasl2-modules, with a /usr/sbin/policy-rc.d that answers 101 if none of it shall be started."
    )


@contextmanager
def cyrus(users: tuple[str, ...]) -> Iterator[CyrusServer]:
    """Serve these users, who have the addresses <user>@contoso.com. They need no root, but root's files are Cyrus's."""
    assert not missing(), missing()
    folder = Path(tempfile.mkdtemp(prefix="mms-cyrus-"))
    user = "cyrus" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    controller = _MailServer(Inbox(), hostname="127.0.0.1", port=free_port())
    controller.start()
    ports = {"imap": free_port(), "http": free_port(), "smtp": controller.port}
    try:
        for name in ("conf", "spool", "proc", "lock", "run"):
            (folder / name).mkdir()
        (folder / "imapd.conf").write_text(_CONFIGURATION.format(folder=folder, user=user, admin=ADMIN, **ports))
        (folder / "cyrus.conf").write_text(_SERVICES.format(folder=folder, **ports))
        for name in (ADMIN, *users):
            subprocess.run(
                [PROGRAMS[1], "-p", "-c", "-f", folder / "sasldb2", "-u", "localhost", name],
                input=PASSWORD.encode(),
                check=True,
            )
        if os.geteuid() == 0:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, user, "mail")
        with _running(folder, ports) as process, httpx.Client(trust_env=False, timeout=60) as http:
            address = f"http://127.0.0.1:{ports['http']}/"
            server = CyrusServer(address, controller.handler, http, ports["imap"], process)
            with server.imap() as imap:
                for name in users:
                    assert imap.create(f"user/{name}")[0] == "OK"
            yield server
    finally:
        controller.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(folder: Path, ports: dict[str, int]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [
            *(PROGRAMS[0], "-D", "-C", folder / "imapd.conf", "-M", folder / "cyrus.conf"),
            *("-p", folder / "run/master.pid", "-L", folder / "run/log"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for name in ("imap", "http"):
            wait_until(lambda port=ports[name]: listens(port, process), every=0.02)  # type: ignore[misc]
        yield process
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    sys.exit(missing() or None)
