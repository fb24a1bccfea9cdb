"""`make bench ARGS=caldav`: mailboxes on a real Radicale, beside the plain script of an administrator.

One mailbox of each size: the first scan, one after ten meetings were changed, a run that changes at most ``MIGRATED``
meetings (8 KB with HTML) and mails their attendees (files), and then the script with the ``caldav`` library, which
changes as many and mails nobody. Each is a process of its own; its requests are counted by a proxy before the server.
The other meetings are over (3 KB of text).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.support.fault_proxy import FaultProxy, faulty
from tests.support.installation import Installation, new_installation
from tests.support.radicale_server import PASSWORD, SERVICE, RadicaleServer, radicale

SIZES = (10, 1_000, 20_000)
"""Events of a mailbox."""
MIGRATED = 200
CHANGED = 10
"""Meetings that somebody changes between two scans."""
MOST_MEMORY = 150
"""MB that a scanning process may take at most, whatever the mailbox's size; printed, never enforced."""
UPN = "anna.rossi@contoso.com"
CALENDAR = f"/{UPN}/work/"
NEW, NEWER = "+44 20 7946 0123", "+1 425-555-0171"
"""The number that MMS writes, and the one that the script puts in its place."""


@dataclass(frozen=True)
class Taken:
    """What a process took."""

    requests: int
    seconds: float
    cpu: float
    megabytes: float
    """The most memory."""


def main() -> None:
    """Measure, print."""
    from tests.bench.__main__ import show

    show("\nMailboxes on a real Radicale (its cache is warm), one process each")
    show(f"  {'events':>7}  {'':30}{'requests':>9}{'s':>8}{'CPU s':>8}{'MB':>6}{'a second':>10}   requests per meeting")
    most = 0.0
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            for name, count, taken in measure(Path(folder), size):
                each = f"{taken.requests / count:>10.2f}" if name.startswith(("run", "plain")) else ""
                show(
                    f"  {size:>7,}  {f'{name}, {count:,}':30}{taken.requests:>9,}{taken.seconds:>8.1f}{taken.cpu:>8.1f}"
                    f"{taken.megabytes:>6.0f}{count / taken.seconds:>10,.0f}{each}"
                )
                most = max(most, taken.megabytes) if "scan" in name else most
    verdict = "as it should be" if most < MOST_MEMORY else "TOO MUCH"
    show(
        f"  The most memory of a scanning process was {most:.0f} MB, {verdict}: less than {MOST_MEMORY} MB is the aim."
    )


def measure(folder: Path, size: int) -> Iterator[tuple[str, int, Taken]]:
    """What was done, with how many meetings, and what that took; each as soon as it is known."""
    on_server, of_mms = folder / "server", folder / "mms"
    of_mms.mkdir()
    store(on_server, size)
    migrated, changed = min(size, MIGRATED), min(size, CHANGED)
    settings = {"MMS_ALLOWED_MAIL_HOSTS": "127.0.0.1"}
    with (
        radicale(on_server, (UPN,)) as server,
        faulty(server.address) as proxy,
        new_installation(of_mms, **settings) as installation,
    ):
        installation.run("migrate", "--verbosity", "0")
        warm(server)
        account = f"service={SERVICE!r}, password={PASSWORD!r}"
        installation.ask(f"connect_outside({proxy.address!r}, {[UPN]!r}, {account})")
        first = worker(installation, proxy)
        expect(installation, "IndexedMeeting.objects.count()", size)
        yield "first scan", size, first
        for number in range(changed):
            change(server, number)
        installation.ask("MailboxScan.objects.update(due_at='2020-01-01T00:00Z')")
        later = worker(installation, proxy)
        expect(installation, "IndexedMeeting.objects.filter(subject__startswith='Changed: ').count()", changed)
        yield "scan of what changed", changed, later
        installation.ask("move_everybody('two')")
        run = worker(installation, proxy)
        expect(installation, "MeetingResult.objects.filter(outcome='Succeeded').count()", migrated)
        expect(installation, "Update.objects.filter(state='Sent').count()", migrated)
        yield "run", migrated, run
        script = [sys.executable, "-m", "tests.bench.caldav", proxy.address.rstrip("/") + CALENDAR]
        try:
            plain = taken(script, dict(os.environ), proxy)
        except SystemExit:
            # It asks for all texts in one answer, which a server may take too long for.
            from tests.bench.__main__ import show

            show(f"  {size:>7,}  {'plain script':30}  did not come to its end")
            return
        text = server.request("GET", f"{CALENDAR}0.ics").text
        if NEWER not in text:
            raise SystemExit("The plain script changed nothing: its figure would not count.")
        yield "plain script", migrated, plain


def store(folder: Path, size: int) -> None:
    """Write the mailbox into the folder of a Radicale that does not run yet: putting it there takes hours."""
    from migrations_app.demo import invitations, people
    from migrations_app.demo.mailbox import plan_meeting

    calendar = folder / "collections" / "collection-root" / CALENDAR.strip("/")
    calendar.mkdir(parents=True)
    (calendar / ".Radicale.props").write_text('{"tag": "VCALENDAR"}')
    everyone = people.users()
    anna = replace(everyone[0], upn=UPN, sip_address=UPN, display_name="Anna Rossi")
    now = datetime.now(UTC)
    for number in range(size):
        meeting = plan_meeting(anna, everyone, now, 7, number)
        if number < MIGRATED:
            body = invitations.skype_html(meeting)
        else:
            body = invitations.skype_text(replace(meeting, tzid="", start=meeting.weeks_later(-26)))
        (calendar / f"{number}.ics").write_bytes(body)


def warm(server: RadicaleServer) -> None:
    """Let the server read what was put into its folder: MMS does not do that to any other."""
    query = b'<sync-collection xmlns="DAV:"><sync-token/><prop><getetag/></prop></sync-collection>'
    answer = server.http.request(
        "REPORT", server.address.rstrip("/") + CALENDAR, content=query, auth=(SERVICE, PASSWORD), timeout=1800
    )
    if answer.status_code != 207:
        raise SystemExit(f"Radicale does not list the calendar: {answer.status_code}.")


def change(server: RadicaleServer, number: int) -> None:
    href = f"{CALENDAR}{number}.ics"
    body = server.request("GET", href).content
    name, colon, subject = next(line for line in body.splitlines() if line.startswith(b"SUMMARY")).partition(b":")
    body = body.replace(name + colon + subject, name + colon + b"Changed: " + subject)
    if server.request("PUT", href, body).status_code not in {201, 204}:
        raise SystemExit("Radicale does not take a changed meeting.")


def worker(installation: Installation, proxy: FaultProxy) -> Taken:
    """Do what is due, as the command run_migrations."""
    return taken([sys.executable, "manage.py", "run_migrations"], installation.environment, proxy)


def taken(command: Sequence[str], environment: dict[str, str], proxy: FaultProxy) -> Taken:
    """Run the command, and say what it took."""
    proxy.done.clear()
    proxy.front.asked.clear()
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: the figure would not count.")
    seconds = time.perf_counter() - start
    return Taken(len(proxy.done), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def expect(installation: Installation, expression: str, value: int) -> None:
    found = installation.ask(expression)
    if found != value:
        raise SystemExit(f"{expression} is {found} instead of {value}: the figure would not count.")


def plain_script(address: str) -> None:
    """What an administrator would write: list, parse, replace, save; what is over is left alone."""
    import caldav

    now = datetime.now(UTC)
    with caldav.DAVClient(address, username=SERVICE, password=PASSWORD, huge_tree=True) as client:
        for event in client.calendar(url=address).events():
            component = event.icalendar_component
            if component.end < now:
                continue
            for name in ("DESCRIPTION", "X-ALT-DESC"):
                if NEW in component.get(name, ""):
                    component[name] = component[name].replace(NEW, NEWER)
            component["SEQUENCE"] = int(component.get("SEQUENCE", 0)) + 1
            event.save()


if __name__ == "__main__":
    plain_script(sys.argv[1])
