"""The demo's calendar server: the files with which a Radicale serves the mailboxes of Contoso to whoever signs in.

Radicale keeps each calendar as a folder and each object as a file in it, so the mailboxes are filled without a server.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HOST = "127.0.0.1"
SERVICE_ACCOUNT = "mms@contoso.com"
"""May read and write the calendars of everybody; the others only their own."""
PATH_TEMPLATE = "/{upn}/"

_RIGHTS = """\
[service]
user: {service}
collection: .*
permissions: RrWw
{others}[root]
user: .+
collection:
permissions: R
[principal]
user: .+
collection: {{user}}
permissions: RW
[calendars]
user: .+
collection: {{user}}/[^/]+
permissions: rw
"""
_CONFIGURATION = """\
[server]
hosts = {host}:{port}
{server}[auth]
type = htpasswd
htpasswd_filename = {folder}/accounts
htpasswd_encryption = plain
{auth}[rights]
type = from_file
file = {folder}/rights
[storage]
filesystem_folder = {folder}/collections
[logging]
level = warning
"""


@dataclass(frozen=True)
class DemoCalendar:
    """One calendar of one person, and the objects in it."""

    owner: str
    name: str
    objects: Sequence[bytes]


class CalendarServer:
    """The Radicale of a data folder, and its files."""

    def __init__(self, data_folder: Path) -> None:
        self.folder = data_folder / "radicale"

    @property
    def is_there(self) -> bool:
        """Whether the demo's mailboxes are on it."""
        return self.configuration.is_file()

    @property
    def configuration(self) -> Path:
        return self.folder / "config"

    @property
    def port(self) -> int:
        """Chosen when the files were made, and the same ever since, because the connection names it."""
        configuration = ConfigParser(interpolation=None)
        configuration.read(self.configuration, encoding="utf-8")
        return int(configuration["server"]["hosts"].rpartition(":")[2])

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def password_of(self, account: str) -> str:
        """With which the account signs in."""
        lines = (self.folder / "accounts").read_text(encoding="utf-8").splitlines()
        return dict(line.split(":", 1) for line in lines)[account]

    def fill(self, calendars: Iterable[DemoCalendar]) -> None:
        """Make all that a Radicale needs to serve these calendars; all of it or, where that fails, nothing.

        People share one password and the service account has its own; both are made up here. Raises
        ``FileExistsError`` where mailboxes are there already.
        """
        if self.folder.exists():
            raise FileExistsError(self.folder)
        with TemporaryDirectory(dir=self.folder.parent) as unfinished:
            part = Path(unfinished, "radicale")
            part.mkdir()
            owners = dict.fromkeys(_store(part, calendar) for calendar in calendars)
            service, shared = secrets.token_urlsafe(24), secrets.token_urlsafe(9)
            configure(part, {SERVICE_ACCOUNT: service} | dict.fromkeys(owners, shared), self.folder, _free_port())
            part.rename(self.folder)


def configure(
    folder: Path,
    passwords: Mapping[str, str],
    serves: Path,
    port: int,
    *,
    others: str = "",
    server: str = "",
    auth: str = "",
) -> None:
    """Write what a Radicale goes by into a folder: ``config``, ``rights`` and ``accounts``.

    The first of the accounts may reach everybody's calendars, the others their own. ``serves`` is where the folder is
    when the server runs. More lines for the rights of ``others``, the section ``server`` and ``auth`` end with a line
    break each.
    """
    accounts = folder / "accounts"
    accounts.touch(mode=0o600)
    accounts.write_text("".join(f"{name}:{password}\n" for name, password in passwords.items()), encoding="utf-8")
    rights = _RIGHTS.format(service=next(iter(passwords)), others=others)
    (folder / "rights").write_text(rights, encoding="utf-8")
    configuration = _CONFIGURATION.format(host=HOST, port=port, folder=serves, server=server, auth=auth)
    (folder / "config").write_text(configuration, encoding="utf-8")


def _store(folder: Path, calendar: DemoCalendar) -> str:
    path = folder / "collections" / "collection-root" / calendar.owner / calendar.name.lower()
    path.mkdir(parents=True)
    properties = {"tag": "VCALENDAR", "D:displayname": calendar.name, "C:supported-calendar-component-set": "VEVENT"}
    (path / ".Radicale.props").write_text(json.dumps(properties), encoding="utf-8")
    for number, text in enumerate(calendar.objects):
        (path / f"{number}.ics").write_bytes(text)
    return calendar.owner


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
