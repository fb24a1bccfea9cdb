"""`make bench ARGS=graph`: mailboxes in Exchange Online, for which the stand-in for Graph answers.

One mailbox of each size: the first scan, one after ten meetings were changed, a run that changes the meetings to come
(with HTML), and a second run that finds nothing to do. Each is a process of its own. Requests are those that Graph
counts, each of a batch by itself; exchanges are what goes over the network. With what the smallest mailbox took follows
how long an organization takes: a simulation by the stand-in's limits and a clock of its own. It says nothing of how
fast Microsoft answers.
"""

from __future__ import annotations

import heapq
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.support.graph_stand_in import GraphStandIn
from tests.support.graph_stand_in.clock import Clock
from tests.support.graph_stand_in.errors import Refusal
from tests.support.graph_stand_in.invitations import of_invitation
from tests.support.graph_stand_in.limits import AT_ONCE, IN_A_WINDOW, WINDOW_SECONDS, Limits
from tests.support.graph_stand_in.remote import Remote
from tests.support.installation import Installation, new_installation

SIZES = {"30": (30, 0), "30, series": (30, 3), "2,000": (2_000, 0)}
"""Mailboxes: how many events, and which of those to come is a series with exceptions (every third, or none)."""
MIGRATED = 30
"""Of these are to come."""
CHANGED = 10
MOST_MEMORY = 150
"""MB that a process may take at most, whatever the mailbox's size; printed, never enforced."""
UPN = "anna.rossi@contoso.com"
USERS = 10_000
SIMULATED = 1_000
"""Of the users; the others take as long."""
LATENCY = 0.3
WORKERS = (2, 8, 50)


@dataclass(frozen=True)
class Taken:
    """What a process took; ``trips`` has the number of requests in each exchange."""

    requests: int
    trips: Sequence[int]
    seconds: float
    cpu: float
    megabytes: float


def main() -> None:
    """Measure, print."""
    from tests.bench.__main__ import show

    show("\nMailboxes in Exchange Online (a stand-in for Graph on this machine), one process each")
    head = f"{'requests':>9}{'exchanges':>10}{'s':>8}{'CPU s':>8}{'MB':>6}"
    show(f"  {'events':>10}  {'':30}{head}   requests per meeting")
    most = 0.0
    shapes: dict[str, list[int]] = {}
    for mailbox, (size, every) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            for name, count, taken in measure(Path(folder), size, every):
                show(
                    f"  {mailbox:>10}  {f'{name}, {count:,}':30}{taken.requests:>9,}{len(taken.trips):>10,}"
                    f"{taken.seconds:>8.1f}{taken.cpu:>8.1f}{taken.megabytes:>6.0f}{taken.requests / count:>12.2f}"
                )
                most = max(most, taken.megabytes)
                if name in ("first scan", "run"):
                    shapes.setdefault(mailbox, []).extend(taken.trips)
    verdict = "as it should be" if most < MOST_MEMORY else "TOO MUCH"
    show(f"  The most memory of a process was {most:.0f} MB, {verdict}: less than {MOST_MEMORY} MB is the aim.")
    show(
        f"\n{USERS:,} users × {MIGRATED} meetings, simulated: first scan and run, {LATENCY * 1000:.0f} ms for each "
        f"exchange, four of a batch at once; limits of each mailbox: {AT_ONCE} at once, {IN_A_WINDOW:,} in "
        f"{WINDOW_SECONDS // 60} minutes"
    )
    for mailbox in ("30", "30, series"):
        trips = shapes[mailbox]
        show(f"  {mailbox}: {sum(trips)} requests a user in {len(trips)} exchanges")
        for workers in WORKERS:
            hours, refused = simulate(trips, workers)
            show(f"  {workers:>12} workers: {hours:>6.1f} hours, {refused:,} requests refused")


def measure(folder: Path, size: int, every: int) -> Iterator[tuple[str, int, Taken]]:
    """What was done, with how many meetings, and what that took; each as soon as it is known."""
    with ExitStack() as stack:
        stand_in = stack.enter_context(Remote())
        installation = stack.enter_context(new_installation(folder, **stand_in.call("environment")))
        installation.run("migrate", "--verbosity", "0")
        stand_in.call("add_mailbox", UPN)
        keys = store(stand_in, size, every)
        account = (stand_in.call("directory_id"), GraphStandIn.client_id, GraphStandIn.secret)
        installation.ask(f"connect_graph({[UPN]!r}, *{account!r})")
        first = worker(installation, stand_in)
        expect(installation, "IndexedMeeting.objects.count()", MIGRATED)
        yield "first scan", size, first
        for key in keys[:CHANGED]:
            stand_in.call("change", UPN, key, subject="Changed")
        installation.ask("MailboxScan.objects.update(due_at='2020-01-01T00:00Z')")
        later = worker(installation, stand_in)
        expect(installation, "IndexedMeeting.objects.filter(subject='Changed').count()", CHANGED)
        yield "scan of what changed", CHANGED, later
        installation.ask("move_everybody('two')")
        run = worker(installation, stand_in)
        expect(installation, "MeetingResult.objects.filter(outcome='Succeeded').count()", MIGRATED)
        mails = len(stand_in.call("mails"))
        yield "run", MIGRATED, run
        installation.ask("move_everybody('two')")
        again = worker(installation, stand_in)
        expect(installation, "MeetingResult.objects.filter(outcome='Succeeded').count()", MIGRATED)
        if len(stand_in.call("mails")) != mails:
            raise SystemExit("The second run mailed attendees: the figure would not count.")
        yield "second run", MIGRATED, again


def store(stand_in: Remote, size: int, every: int) -> Sequence[str]:
    """Fill the mailbox; the ids of what is to come."""
    from migrations_app.demo import invitations, people
    from migrations_app.demo.mailbox import plan_meeting

    everyone = people.users()
    anna = replace(everyone[0], upn=UPN, sip_address=UPN, display_name="Anna Rossi")
    now = datetime.now(UTC)
    keys = []
    for number in range(size):
        meeting = plan_meeting(anna, everyone, now, 7, number)
        if number < MIGRATED and every and number % every == 0:
            body = invitations.series_with_overrides(meeting)
        elif number < MIGRATED:
            body = invitations.skype_html(meeting)
        else:
            body = invitations.skype_text(
                replace(meeting, tzid="", rule="", excluded=(), start=meeting.weeks_later(-26))
            )
        keys.append(stand_in.call("add_event", UPN, of_invitation(body)))
    return keys[:MIGRATED]


def worker(installation: Installation, stand_in: Remote) -> Taken:
    """Do what is due, as the command run_migrations; what that took."""
    stand_in.call("forget_requests")
    start = time.perf_counter()
    command = [sys.executable, "manage.py", "run_migrations"]
    # By a small process between: what starts another one counts as memory of that.
    told = subprocess.run(
        [sys.executable, "-c", _BETWEEN, *command], env=installation.environment, stdout=subprocess.PIPE, text=True
    )
    if told.returncode:
        raise SystemExit(f"{' '.join(command)} failed: the figure would not count.")
    cpu, memory = (float(figure) for figure in told.stdout.split())
    seconds = time.perf_counter() - start
    asked = stand_in.call("asked")
    trips = list(Counter(trip for trip, *_ in asked).values())
    return Taken(len(asked), trips, seconds, cpu, memory / 1024)


_BETWEEN = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(done.returncode)
"""


def expect(installation: Installation, expression: str, value: int) -> None:
    found = installation.ask(expression)
    if found != value:
        raise SystemExit(f"{expression} is {found} instead of {value}: the figure would not count.")


def simulate(trips: Sequence[int], workers: int) -> tuple[float, int]:
    """Let workers take one user after the other, each with these exchanges: hours of waiting for Graph, and requests
    that were refused, which are asked again when the limit says. A user has one worker, so one exchange at a time."""
    clock = Clock()
    begin = clock.now()
    clock.stop(begin)
    limits = Limits(clock)
    left = iter(range(SIMULATED))
    refused, last = 0, 0.0
    agenda: list[tuple[float, int, int, int]] = []  # when, worker, its user, its exchange
    for number in range(workers):
        user = next(left, None)
        if user is not None:
            heapq.heappush(agenda, (0.0, number, user, 0))
    at = 0.0
    while agenda:
        when, number, user, trip = heapq.heappop(agenda)
        clock.advance(when - at)
        at = when
        try:
            with limits.place("app", str(user), min(trips[trip], AT_ONCE)):
                for _ in range(trips[trip]):
                    limits.count("app", str(user))
        except Refusal as refusal:
            refused += 1
            heapq.heappush(agenda, (when + float(refusal.headers["Retry-After"]), number, user, trip))
            continue
        ends = when + LATENCY * -(-trips[trip] // AT_ONCE)
        last = max(last, ends)
        if trip + 1 < len(trips):
            heapq.heappush(agenda, (ends, number, user, trip + 1))
        elif (following := next(left, None)) is not None:
            heapq.heappush(agenda, (ends, number, following, 0))
    return last / 3600 * USERS / SIMULATED, refused
