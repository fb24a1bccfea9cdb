"""The whole service in one terminal: web server, watched cluster, and the migrations' progress."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.translation import gettext as _

from migrations_app.cluster import lifeline
from migrations_app.demo import people
from migrations_app.demo.calendar_server import HOST, CalendarServer
from migrations_app.models import MAY_BE_WORKED, Run
from migrations_app.monitoring.progress import Progress, progress
from tenants_app.management.base import SafeOutput
from tenants_app.wording import grouped


class Command(SafeOutput):
    help = "Start the web server and the cluster, and show how the migrations go on until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=_port, default=8000, help="where the dashboard listens (8000)")
        parser.add_argument(
            "--once",
            action="store_true",
            help="no web server; print the summary and stop when nothing is pending or in progress",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        port = options["port"]
        calendars: list[subprocess.Popen[bytes]] = []
        children: list[subprocess.Popen[bytes]] = []
        signal.signal(signal.SIGTERM, _interrupt)
        server = CalendarServer(settings.MMS_DATA_DIR)
        environment = dict(os.environ)
        if settings.MMS_DEVELOPMENT:
            environment.setdefault("MMS_BASE_URL", f"http://127.0.0.1:{port}")
        try:
            if not options["once"]:
                _require_free(port)
                _collect_static_files()
            if server.is_there:
                calendars.append(self._start_calendar_server(server))
                hosts = [*settings.MMS_ALLOWED_MAIL_HOSTS, HOST]
                environment["MMS_ALLOWED_MAIL_HOSTS"] = ",".join(hosts)
            if not options["once"]:
                children.append(self._start_web_server(port, environment))
            children.append(lifeline.start("django", "run_cluster", environment=environment))
            self._watch([*calendars, *children], until_idle=options["once"])
        except KeyboardInterrupt:
            self.stdout.write("\n" + _("Stopping …"))
        finally:
            _stop(children)
            _stop(calendars)  # after the workers, who finish what they are at

    def _start_calendar_server(self, server: CalendarServer) -> subprocess.Popen[bytes]:
        """The demo's, where its mailboxes are on one."""
        if find_spec("radicale") is None:
            raise CommandError(
                _("The demo's mailboxes in %(folder)s need Radicale, which is not installed: pip install radicale.")
                % {"folder": server.folder}
            )
        _require_free(
            server.port,
            _("Port %(port)s is in use: stop what listens there, or begin the demo anew with another MMS_DATA_DIR=."),
        )
        process = lifeline.start("radicale", "--config", str(server.configuration))
        try:
            _wait_until_it_listens(server.port, process)
        except BaseException:
            _stop([process])
            raise
        self.stdout.write(
            _(
                "Calendars: %(address)s for calendar programs, with a user's name such as %(user)s and the password "
                "%(password)s"
            )
            % {
                "address": server.address,
                "user": people.DAMAGED_MAILBOX_USER_UPN,
                "password": server.password_of(people.DAMAGED_MAILBOX_USER_UPN),
            }
        )
        return process

    def _start_web_server(self, port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        server = lifeline.start(
            "gunicorn",
            "mms_site.wsgi",
            "--bind",
            f"127.0.0.1:{port}",
            "--threads",
            "8",
            "--log-level",
            "warning",
            environment=environment,
        )
        self.stdout.write(_("Dashboard: %(address)s") % {"address": f"http://127.0.0.1:{port}/"})
        password = settings.MMS_DATA_DIR / "demo-password"
        if password.is_file():
            told = _("Sign in as demo with the password %(password)s")
            self.stdout.write(told % {"password": password.read_text().strip()})
        self.stdout.write(_("Ctrl-C stops the service.") + "\n")
        return server

    def _watch(self, children: list[subprocess.Popen[bytes]], until_idle: bool) -> None:
        shown = ""
        while True:
            now = progress()
            line = _line(now)
            if line != shown:
                self.stdout.write(f"{timezone.now():%H:%M:%S}  {line}")
                self.stdout.flush()
                shown = line
            if until_idle and (now.is_idle or self._only_waiting()):
                self._print_summary(now)
                return
            for child in children:
                if child.poll() is not None:
                    raise CommandError(_("A part of the service has stopped by itself: read the lines above."))
            time.sleep(0.2 if until_idle else 1)

    def _only_waiting(self) -> bool:
        """What is left cannot go on now: its tenant is switched off (R12)."""
        left = Run.objects.filter(state__in=[Run.State.PENDING, Run.State.IN_PROGRESS])
        return left.exists() and not left.filter(MAY_BE_WORKED).exists()

    def _print_summary(self, now: Progress) -> None:
        state, users = _("State"), _("Users")
        self.stdout.write(f"\n{state:<12} {users:>5}")
        for state, count in now.users.items():
            self.stdout.write(f"{state:<12} {count:>5,}")
        self.stdout.write(
            "\n"
            + _("%(meetings)s meetings looked at, %(sent)s messages sent, %(failed)s messages failed")
            % {
                "meetings": grouped(now.meetings_done),
                "sent": grouped(now.messages_sent),
                "failed": grouped(now.messages_failed),
            }
        )
        for run in Run.objects.filter(is_latest=True, state=Run.State.FAILED).select_related("user")[:20]:
            told = _("Failed: %(user)s: %(error)s")
            self.stdout.write(told % {"user": run.user.upn, "error": run.last_error_message})


def _collect_static_files() -> None:
    """What pages load, compressed and under the names that they ask for; nothing where it is there as it is now."""
    if settings.DEBUG:
        return
    manifest = settings.STATIC_ROOT / "staticfiles.json"
    newest = max(storage.get_modified_time(path) for finder in get_finders() for path, storage in finder.list([]))
    if not manifest.is_file() or datetime.fromtimestamp(manifest.stat().st_mtime, UTC) < newest:
        call_command("collectstatic", interactive=False, verbosity=0)


def _port(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65_535:
        raise ArgumentTypeError(_("%(text)s is not a port: give a number from 1 to 65535.") % {"text": repr(text)})
    return int(text)


def _line(now: Progress) -> str:
    users = "  ".join(f"{state} {count:,}" for state, count in now.users.items())
    return _("%(users)s  |  meetings %(done)s/%(total)s  |  messages %(sent)s sent") % {
        "users": users,
        "done": grouped(now.meetings_done),
        "total": grouped(now.meetings_total),
        "sent": grouped(now.messages_sent),
    }


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    """SIGTERM to each: the watchdog lets the workers finish what they are doing. What it leaves ends with it."""
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        try:
            child.wait(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise CommandError(_("Radicale does not start: read the lines above."))


def _require_free(port: int, refusal: str = "") -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            refusal = refusal or _("Port %(port)s is in use: stop what listens there, or choose another with PORT=.")
            raise CommandError(refusal % {"port": port}) from None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
