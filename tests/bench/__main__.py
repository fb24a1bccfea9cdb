"""`make bench`: meetings per second on one core, each figure beside a named baseline of the same run.

The same invitations go through the engine, through whole runs with and without messages, and through the plain
script that an administrator would write with icalendar, one save() and one composed message a meeting.
`make bench ARGS=NAME` prints one of the sections alone; `make bench ARGS=help` lists them.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import django

from migrations_app.demo.mailbox import plan_meeting
from tests.bench import activity, caldav, chat, fanout, graph, housekeeping, imports, lists, load, matrix
from tests.bench import queue as queue_at_scale

MEETINGS = {"4 KB text": 1500, "50 KB with HTML": 1500}
AIMS = {"4 KB text": 3000, "50 KB with HTML": 250}
"""Meetings per second that the engine should reach on one core; printed, never enforced."""
PER_USER = 50
CURVE = {f"{kilobytes} KB": kilobytes * 1024 for kilobytes in (1, 4, 16, 64, 256)} | {
    f"{megabytes} MB": megabytes * 1024 * 1024 for megabytes in (1, 5)
}


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the bench that can be run alone."""

    work: Callable[[], object]
    tells: str
    needs_database: bool = False
    on_one_core: bool = False


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    name = " ".join(sys.argv[1:]) or "usual"
    section = SECTIONS.get(name)
    if section is None:
        for each, known in SECTIONS.items():
            show(f"  {each:12}{known.tells}")
        return 0 if name == "help" else 2
    if section.on_one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    if section.needs_database:
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
    section.work()
    return 0


def usual() -> None:
    """The engine, whole runs, one user, lists, imports and CalDAV."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    runs()
    curve()
    os.sched_setaffinity(0, cores)
    waits = one_user()
    show(
        "\nOne user with 30 meetings, cluster running, from the saved change to the last message: "
        f"{statistics.median(waits):.2f} s (median of {len(waits)}, slowest {max(waits):.2f} s)"
    )
    lists.main()
    imports.main()
    caldav.main()


def runs() -> None:
    """The engine and whole runs beside their baselines."""
    show(f"Python {sys.version.split()[0]}, one core, database {database()}")
    show(f"{'':34}{'meetings/s':>12}   beside its baseline (engine and icalendar: the best of three times)")
    totals: dict[str, float] = {}
    for kind, count in MEETINGS.items():
        for name, seconds in measure(kind, count).items():
            totals[name] = totals.get(name, 0) + seconds
    report("all of them", sum(MEETINGS.values()), totals)


def measure(kind: str, count: int) -> dict[str, float]:
    """Seconds that each way took for ``count`` meetings of this kind."""
    invitations = make_invitations(kind, count)
    seconds = {
        "icalendar parse + to_ical": best_of_three(lambda: icalendar_round_trip(invitations)),
        "(a) engine": best_of_three(lambda: engine(invitations)),
        "(a) engine, in place": best_of_three(lambda: engine_in_place(invitations)),
    }
    for name, messages in (("(d) plain script", False), ("(d) plain script + messages", True)):
        fill(invitations)
        seconds[name] = timed(lambda messages=messages: plain_script(messages))  # type: ignore[misc]
    fill(invitations)
    seconds["(b) whole run"] = timed(whole_run)
    from migrations_app.mail.delivery import deliver

    seconds["(c) whole run + messages"] = seconds["(b) whole run"] + timed(deliver)
    report(kind, count, seconds)
    return seconds


def report(kind: str, count: int, seconds: dict[str, float]) -> None:
    show(f"\n{count:,} invitations, {kind}")
    baselines = {
        "(a) engine": "icalendar parse + to_ical",
        "(a) engine, in place": "icalendar parse + to_ical",
        "(b) whole run": "(d) plain script",
        "(c) whole run + messages": "(d) plain script + messages",
    }
    for name in sorted(seconds, key=lambda name: (not name.startswith("ical"), name)):
        line = f"  {name:32}{count / seconds[name]:>12,.0f}"
        if name in baselines:
            line += f"   {seconds[baselines[name]] / seconds[name]:.1f} times {baselines[name]}"
        if name == "(a) engine" and kind in AIMS:
            line += f"; aim: at least {AIMS[kind]:,}"
        show(line)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def best_of_three(work: Callable[[], object]) -> float:
    """Seconds of the quickest of three times: what else the machine does only ever adds to them."""
    return min(timed(work) for _ in range(3))


def show(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def actor() -> Any:
    """Who makes the changes; what is imported needs the settings, so not before."""
    from tenants_app.audit import Actor, Channel

    return Actor("bench", Channel.COMMAND)


def database() -> str:
    from django.db import connection

    return connection.vendor


# --- how time grows with size ---------------------------------------------------------------------------


def curve() -> None:
    """Print what one invitation takes, by its size, and how straight the line is."""
    show("\nOne invitation by its size: the engine, and icalendar parse + to_ical on the same file")
    show(f"{'':26}{'engine: ms':>12}{'MB/s':>8}{'per KB*':>9}{'icalendar: ms':>16}{'MB/s':>8}{'per KB*':>9}")
    for kind, with_html in (("text", False), ("text and HTML", True)):
        files = {name: sized_invitation(size, with_html=with_html) for name, size in CURVE.items()}
        seconds = {
            work: {name: fastest(work, file) for name, file in files.items()} for work in (engine, icalendar_round_trip)
        }
        usual = {
            work: statistics.median(times[name] / len(files[name]) for name in files) for work, times in seconds.items()
        }
        for name, file in files.items():
            columns = [
                f"{seconds[work][name] * 1e3:>{width}.2f}{len(file) / seconds[work][name] / 1e6:>8.1f}"
                f"{seconds[work][name] / len(file) / usual[work]:>9.2f}"
                for work, width in ((engine, 12), (icalendar_round_trip, 16))
            ]
            show(f"  {kind:14}{f'{len(file):,} B':>12}" + "".join(columns))
        costs = [seconds[engine][name] / len(file) for name, file in files.items() if CURVE[name] >= CURVE["64 KB"]]
        show(
            f"  From 64 KB on, the dearest octet costs {max(costs) / min(costs):.2f} times the cheapest; "
            "1.00 would be a straight line."
        )
    show("  * time per KB relative to the median of its column")


def sized_invitation(size: int, *, with_html: bool) -> bytes:
    """A Skype for Business invitation whose agenda fills it up to about ``size`` octets; never less than its block."""
    from tests.support import samples

    line = "Please bring the figures of the last month; what follows from them, we shall discuss."

    def invitation(lines: int) -> bytes:
        text = f"{line}\n" * lines + samples.skype_text()
        if not with_html:
            return samples.calendar(samples.event(text=text))
        html = samples.document(samples.paragraph(line) * lines, samples.skype_html())
        return samples.calendar(samples.event(text=text, html=html))

    empty = len(invitation(0))
    return invitation(max(0, round((size - empty) / (len(invitation(100)) - empty) * 100)))


def fastest(work: Callable[[list[tuple[int, str, bytes]]], object], file: bytes) -> float:
    """Seconds of the fastest of at least three turns on one file; more turns, until half a second is full."""
    turns = [timed(lambda: work([(0, "", file)])) for _ in range(3)]
    while sum(turns) < 0.5:
        turns.append(timed(lambda: work([(0, "", file)])))
    return min(turns)


# --- the material ---------------------------------------------------------------------------------------


def make_invitations(kind: str, count: int) -> list[tuple[int, str, bytes]]:
    """(number of the user, UID, text) of ``count`` meetings."""
    from migrations_app.calendars.objects import split_objects
    from migrations_app.demo import invitations, people

    build = invitations.text_4kb if kind.startswith("4 KB") else invitations.large_html
    everyone = people.users()
    now = datetime.now(UTC)
    made = []
    for number in range(count):
        user = number // PER_USER
        meeting = plan_meeting(everyone[user % len(everyone)], everyone, now, 7, number)
        ((uid, text),) = split_objects(build(meeting))
        made.append((user, uid, text))
    return made


def fill(invitations: list[tuple[int, str, bytes]]) -> None:
    """A fresh tenant with these meetings in its users' mailboxes, and a due run for each user.

    The runs make every meeting anew, as the plain script does.
    """
    from migrations_app.demo import people
    from migrations_app.mailboxes.embedded import EmbeddedMailbox
    from migrations_app.models import CalendarObject, Run
    from migrations_app.runs.actions import start_by_hand
    from migrations_app.targets import ALL, LINK, Targets
    from tenants_app.changes.bridges import register_number, set_bridge
    from tenants_app.changes.tenants import create_tenant
    from tenants_app.changes.users import create_users
    from tenants_app.models import ConferencingUser, Tenant

    everyone = people.users()
    users = sorted({user for user, _, _ in invitations})
    tenant = Tenant.objects.filter(slug="bench").first()
    if tenant is None:
        tenant = create_tenant(
            actor(),
            slug="bench",
            name="Bench",
            domain="contoso.com",
            meeting_url="https://meet.contoso.com",
            settling_time=0,
        )
        bridge = set_bridge(tenant, "Bridge", actor(), make_default=True)
        register_number(bridge, "+14255550171", "toll", actor(), country="United States", city="Seattle")
        create_users(
            tenant,
            [
                {
                    "upn": user.upn,
                    "display_name": user.display_name,
                    "language": user.language,
                    "audio_conferencing_license": True,
                    "audio_conferencing_enabled": True,
                    "bridge": bridge,
                }
                for user in everyone
            ],
            actor(),
        )
    Run.objects.filter(tenant=tenant).delete()
    CalendarObject.objects.filter(user__tenant=tenant).delete()
    rows = {user.upn: user for user in ConferencingUser.objects.filter(tenant=tenant).select_related("bridge")}
    mine = [rows[everyone[number % len(everyone)].upn] for number in users]
    for number, row in zip(users, mine, strict=True):
        EmbeddedMailbox(row).store([(uid, text) for user, uid, text in invitations if user == number])
    start_by_hand(tenant, mine, actor(), targets=Targets.of_types(ALL, LINK))


# --- the contenders -------------------------------------------------------------------------------------


def icalendar_round_trip(invitations: Iterable[tuple[int, str, bytes]]) -> None:
    import icalendar

    for _, _, text in invitations:
        icalendar.Calendar.from_ical(text).to_ical()


def engine(invitations: Iterable[tuple[int, str, bytes]]) -> None:
    from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
    from tests.support.rewriting import rewrite

    block = MeetingBlock(
        join_url="https://meet.contoso.com/anna.rossi/ABCD2345",
        toll=PhoneNumber("+14255550171", "+1 425-555-0171", "United States, Seattle"),
        conference_id="7654321",
        local_numbers_url="https://meet.contoso.com/dialin",
    )
    now = datetime.now(UTC)
    for _, _, text in invitations:
        rewrite(text, block, now=now)


def engine_in_place(invitations: Iterable[tuple[int, str, bytes]]) -> None:
    """The meeting stays in its service: number, place and conference ID are exchanged (R40)."""
    from migrations_app.rewriting.block import MeetingBlock, PhoneNumber
    from migrations_app.rewriting.examine import examine
    from migrations_app.rewriting.online_meeting import OnlineMeeting
    from migrations_app.rewriting.own import Own
    from migrations_app.rewriting.rewrite import write

    phones = {
        is_free: MeetingBlock(
            join_url="",
            toll=PhoneNumber("+31205550171", "+31 20 555 0171", "Amsterdam, Netherlands"),
            toll_free=PhoneNumber("+318000225", "+31 800 0225", "Netherlands") if is_free else None,
            conference_id="7654321",
        )
        for is_free in (False, True)
    }
    now = datetime.now(UTC)
    for _, _, text in invitations:
        examined = examine(text, Own(), now=now)
        _, toll_free, has_id = examined.facts_of[""][0].parts()
        # The few without a phone part have nothing that could stay in place.
        made = {} if has_id else {"": OnlineMeeting("https://meet.contoso.com/anna.rossi/ABCD2345")}
        write(examined, phones[bool(toll_free)], made, now=now)


def whole_run() -> None:
    from migrations_app.models import MeetingResult
    from migrations_app.runs import queue
    from migrations_app.runs.worker import work_run

    while run := queue.claim():
        work_run(run)
    done = MeetingResult.objects.exclude(outcome="Succeeded").count()
    if done:
        raise SystemExit(f"{done} meetings were not migrated: the figure would not count.")


FRAME = re.compile(r"(?:\.{60,}\s*)+.*?(?:\.{60,}\s*)+", re.DOTALL)
NEW_BLOCK = "Join: https://meet.contoso.com/anna.rossi/ABCD2345\nPhone: +1 425-555-0171, conference ID 7654321\n"


def plain_script(messages: bool) -> None:
    """What an administrator would write: parse, edit, serialise, save, compose, write."""
    import icalendar

    from migrations_app.models import CalendarObject

    outbox = Path(tempfile.mkdtemp(prefix="mms-bench-"))
    for row in CalendarObject.objects.iterator():
        calendar = icalendar.Calendar.from_ical(bytes(row.body))
        for event in calendar.walk("VEVENT"):
            for name in ("DESCRIPTION", "X-ALT-DESC"):
                if name in event:
                    event[name] = icalendar.vText(FRAME.sub(NEW_BLOCK, str(event[name])))
            event["SEQUENCE"] = int(event.get("SEQUENCE", 0)) + 1
        row.body = calendar.to_ical()
        row.save()
        if messages:
            event = calendar.walk("VEVENT")[0]
            attendees = event.get("ATTENDEE", [])
            message = EmailMessage()
            message["From"] = str(event["ORGANIZER"]).removeprefix("mailto:")
            message["To"] = ", ".join(
                str(one).removeprefix("mailto:") for one in (attendees if isinstance(attendees, list) else [attendees])
            )
            message["Subject"] = f"Updated: {event['SUMMARY']}"
            message.set_content(str(event["DESCRIPTION"]))
            message.add_alternative(row.body.decode(), subtype="calendar", params={"method": "REQUEST"})
            (outbox / f"{row.pk}.eml").write_bytes(bytes(message))


def one_user() -> list[float]:
    """Seconds, each time, from a saved change of a user with 30 meetings to their last message, cluster running."""
    from migrations_app.models import Heartbeat, Update
    from migrations_app.runs.queue import wake_cluster
    from tenants_app.changes.users import change_user
    from tenants_app.models import ConferencingUser

    fill(make_invitations("4 KB text", 30))
    whole_run()
    from migrations_app.mail.delivery import deliver

    deliver()
    from django.conf import settings
    from django.db import connection

    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mms_site.settings",
        "MMS_DATA_DIR": str(settings.MMS_DATA_DIR),
        "DATABASE_URL": os.environ["DATABASE_URL"],
    }
    connection.close()
    cluster = subprocess.Popen(
        [sys.executable, "manage.py", "qcluster"],
        env=environment,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        Heartbeat.objects.all().delete()
        wake_cluster()
        wait_for(Heartbeat.objects.exists)
        user = ConferencingUser.objects.get(runs__isnull=False)
        waits = []
        for change in range(1, 10):
            sent = Update.objects.filter(state="Sent").count()
            start = time.perf_counter()
            change_user(user, actor(), audio_conferencing_enabled=change % 2 == 0)
            wait_for(lambda sent=sent: Update.objects.filter(state="Sent").count() == sent + 30)  # type: ignore[misc]
            waits.append(time.perf_counter() - start)
        return waits
    finally:
        cluster.terminate()
        cluster.wait(timeout=60)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until:
            raise SystemExit("The cluster did not get there within a minute.")
        time.sleep(0.01)


SECTIONS = {
    "usual": Section(usual, "runs, curve, one user, lists, import and caldav: what no argument prints", True),
    "runs": Section(runs, "the engine and whole runs, with and without messages, beside the plain script", True, True),
    "curve": Section(curve, "how the engine's time grows with the size of one invitation", on_one_core=True),
    "lists": Section(lists.main, "what every list and page takes at 100,000 users and 1,000,000 runs"),
    "load": Section(load.main, "what pages take at 50 requests a second, while the cluster works beside"),
    "import": Section(imports.main, "how long it takes to import these"),
    "prune": Section(housekeeping.main, "how long it takes to forget a million runs, beside a plain DELETE"),
    "fanout": Section(fanout.main, "from the click to the last run in the queue, where it is about 100,000 users"),
    "queue": Section(
        queue_at_scale.main, "what claim, sweep and outbox take with a million runs, and their plans", True
    ),
    "activity": Section(activity.main, "what noting each change for live pages costs runs and messages", True, True),
    "caldav": Section(caldav.main, "mailboxes on a real CalDAV server"),
    "graph": Section(graph.main, "mailboxes in Exchange Online, of which a stand-in answers for Graph"),
    "chat": Section(chat.main, "targets of persistent chat that are made of files"),
    "matrix": Section(matrix.main, "what a real Synapse takes of persistent chat"),
}


if __name__ == "__main__":
    sys.exit(main())
