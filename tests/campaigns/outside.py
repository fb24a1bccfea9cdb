"""`make campaign`: whole runs of users whose meetings are on a real server, while anything may go wrong on the way.

Any request may be reset before or after the server saw it, delayed, cut off or refused, and the worker is killed with
-9 in the midst of requests and between them. All users are moved from one bridge to the other and back, until so many
faults were made. After each move nothing may be lost: every meeting shows the new number and is otherwise as it was,
was written once, and each attendee was told once, by MMS (Radicale) or by the server (Cyrus).
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()  # before anything below is imported

from tests.campaigns.results import Results, database_name
from tests.support import cyrus_server, radicale_server
from tests.support.cyrus_server import CyrusServer, cyrus
from tests.support.fault_proxy import FAULTS, SILENT, Fault, faulty
from tests.support.installation import Installation, new_installation
from tests.support.meetings import logical_lines, told, untouched_lines
from tests.support.radicale_server import RadicaleServer, radicale
from tests.support.scripted_server import Asked

USERS = tuple(f"user{number}@contoso.com" for number in range(4))
MEETINGS = 6
"""Of each user."""
RATE = 0.2
"""How probably a request fails."""
FAULTS_PER_KILL = 20
NUMBERS = {"one": "+1 425-555-0100", "two": "+44 20 7946 0123"}
"""What an invitation shows on each bridge."""
OLDEST_NUMBER = "(425) 555-0101"
"""What invitations show before they are first moved."""
GUESTS = 2
SETTINGS = {"MMS_ALLOWED_MAIL_HOSTS": "127.0.0.1"}

Sql = Callable[[str], list[tuple[Any, ...]]]


class Mailboxes(Protocol):
    """The mailboxes on one kind of server, looked at past the proxy and past MMS."""

    address: str
    service: str
    password: str

    def calendar(self, upn: str) -> str:
        """The href of the user's calendar, which is there from now on."""

    def put(self, href: str, body: bytes, upn: str) -> None: ...

    def get(self, href: str, upn: str) -> bytes:
        """Empty where nothing is there."""

    def told(self, outbox: Path) -> Counter[tuple[str, str]]:
        """How often each attendee was told of each meeting (UID), since this was last asked; MMS's messages too."""


class OnRadicale:
    service, password = radicale_server.SERVICE, radicale_server.PASSWORD

    def __init__(self, server: RadicaleServer) -> None:
        self._server, self.address = server, server.address

    def calendar(self, upn: str) -> str:
        return self._server.make_calendar(upn, "work")

    def put(self, href: str, body: bytes, upn: str) -> None:
        self._server.put(href, body)

    def get(self, href: str, upn: str) -> bytes:
        answer = self._server.request("GET", href)
        return answer.content if answer.status_code == 200 else b""

    def told(self, outbox: Path) -> Counter[tuple[str, str]]:
        found = told(outbox)
        for path in outbox.glob("*.eml"):
            path.unlink()
        return found


class OnCyrus:
    service, password = "", cyrus_server.PASSWORD

    def __init__(self, server: CyrusServer) -> None:
        self._server, self.address = server, server.address

    def calendar(self, upn: str) -> str:
        return self._server.calendar(_local(upn))

    def put(self, href: str, body: bytes, upn: str) -> None:
        self._server.put(href, body, _local(upn))

    def get(self, href: str, upn: str) -> bytes:
        answer = self._server.request("GET", href, user=_local(upn))
        return answer.content if answer.status_code == 200 else b""

    def told(self, outbox: Path) -> Counter[tuple[str, str]]:
        found = self._server.told_of() + told(outbox)
        self._server.inbox.envelopes.clear()
        return found


def _local(upn: str) -> str:
    return upn.partition("@")[0]


@contextmanager
def mailboxes_on(server: str, folder: Path) -> Iterator[Mailboxes]:
    """A server of this kind with empty mailboxes."""
    if server == "cyrus":
        with cyrus(tuple(map(_local, USERS))) as on_cyrus:
            yield OnCyrus(on_cyrus)
    else:
        with radicale(folder, USERS) as on_radicale:
            yield OnRadicale(on_radicale)


class Misfortune:
    """Plans what becomes of each request, and kills the worker soon after one of them."""

    def __init__(self, seed: int, kill: Callable[[], bool]) -> None:
        self.kills = 0
        self._kill = kill
        self._chance = random.Random(seed)  # noqa: S311 - to be repeatable
        self._lock = threading.Lock()
        self._is_doomed = False
        self._left = 0
        self._timer: threading.Timer | None = None

    @contextmanager
    def befalling_a_worker(self) -> Iterator[None]:
        """Most are killed, soon after one of their next fifty requests; what works later is left alone."""
        with self._lock:
            self._is_doomed, self._left = self._chance.random() < 0.7, self._chance.randint(1, 50)
        yield
        with self._lock:
            self._is_doomed = False
            if self._timer:
                self._timer.cancel()
                self._timer = None

    def __call__(self, asked: Asked) -> Fault | None:
        with self._lock:
            self._left -= 1
            if self._is_doomed and self._left <= 0:
                self._is_doomed = False
                seconds = self._chance.choice((0, 0.01, 0.05, 0.3)) * self._chance.random()
                self._timer = threading.Timer(seconds, self._strike)
                self._timer.start()
                if self._chance.random() < 0.3:
                    return SILENT
            return self._chance.choice(FAULTS) if self._chance.random() < RATE else None

    def _strike(self) -> None:
        with self._lock:
            if self._timer:
                self.kills += self._kill()


def run_campaign(
    installation: Installation,
    mailboxes: Mailboxes,
    count: int,
    seed: int,
    *,
    users: Sequence[str] = USERS,
    meetings: int = MEETINGS,
    tell: Callable[[str], object] = str,
) -> dict[str, Any]:
    """Move the users to and fro until there were so many faults, and kills among them; what was found.

    Each has so many meetings. After each move ``tell`` gets a line about it.
    """
    with faulty(mailboxes.address) as proxy, installation.watching() as sql:
        account = f"service={mailboxes.service!r}, password={mailboxes.password!r}"
        installation.ask(f"connect_outside({proxy.address!r}, {[*users]!r}, {account})")
        hrefs = _fill(installation, mailboxes, meetings)
        outbox = installation.data_dir / "outbox"
        mailboxes.told(outbox)
        texts = {uid: mailboxes.get(href, upn) for uid, (upn, href) in hrefs.items()}
        found, moves, misfortune = Counter[str](), 0, Misfortune(seed, installation.kill)
        _let_time_pass(installation, sql)
        proxy.plan = misfortune
        while len([*proxy.faults()]) < count or misfortune.kills < count // FAULTS_PER_KILL:
            bridge = "one" if moves % 2 else "two"
            installation.ask(f"move_everybody({bridge!r})")
            _work_until_done(installation, sql, misfortune)
            moves += 1
            before, texts = texts, {uid: mailboxes.get(href, upn) for uid, (upn, href) in hrefs.items()}
            found.update(_compare(before, texts, bridge))
            found.update(_told(mailboxes.told(outbox), [*hrefs]))
            tell(f"{len([*proxy.faults()]):,} faults, {misfortune.kills} kills, {moves} moves: {dict(found)}\n")
            for upn in users:
                calendar = next(href for whose, href in hrefs.values() if whose == upn).rpartition("/")[0] + "/"
                found["doubled meetings"] += max(0, mailboxes.get(calendar, upn).count(b"BEGIN:VEVENT") - meetings)
        faults = Counter(proxy.faults())
        return {
            "faults": faults.total(),
            "by_kind": dict(sorted(faults.items())),
            "kills": misfortune.kills,
            "requests": len(proxy.done),
            "meetings": len(hrefs),
            "moves": moves,
            "found": dict(found),
            **installation.ask("moved_outside()"),
        }


def _fill(installation: Installation, mailboxes: Mailboxes, meetings: int) -> dict[str, tuple[str, str]]:
    """Put the meetings where they belong; by UID the user and the href."""
    hrefs = {}
    for upn, texts in installation.ask(f"invitations_of({meetings})").items():
        calendar = mailboxes.calendar(upn)
        for number, (uid, text) in enumerate(texts.items()):
            hrefs[uid] = upn, f"{calendar}{number}.ics"
            mailboxes.put(hrefs[uid][1], text.encode(), upn)
    return hrefs


def _work_until_done(installation: Installation, sql: Sql, misfortune: Misfortune) -> None:
    """Start worker after worker until all is moved and told."""
    while installation.ask("left_to_move()"):
        with misfortune.befalling_a_worker():
            installation.run_to_be_killed("run_migrations")
        # None is left: its leases are over.
        sql("UPDATE migrations_app_run SET lease_until = created WHERE state = 'InProgress'")
        sql("UPDATE migrations_app_mailboxscan SET lease_token = NULL, lease_until = NULL")
        sql("UPDATE migrations_app_update SET lease_until = queued_at WHERE lease_until IS NOT NULL")


def _let_time_pass(installation: Installation, sql: Sql) -> None:
    """From now on whatever is to wait for a time to come is due at once."""
    for table, key, column, to, applies in (
        ("migrations_app_run", "id", "due_at", "created", "NEW.state = 'Pending'"),
        ("migrations_app_update", "result_id", "due_at", "queued_at", "NEW.state = 'Queued'"),
        ("tenants_app_mailboxconnection", "id", "paused_until", "NULL", "NEW.paused_until IS NOT NULL"),
    ):
        if database_name(installation.environment["DATABASE_URL"]) == "SQLite":
            update = f"UPDATE {table} SET {column} = {to} WHERE {key} = NEW.{key}"  # noqa: S608 - all of it is above
            trigger = f"CREATE TRIGGER {table}_waits_not AFTER UPDATE OF {column} ON {table} WHEN {applies}"
            sql(f"{trigger} BEGIN {update}; END")
        else:
            new = "NEW." + to if to != "NULL" else to
            sql(
                f"CREATE FUNCTION {table}_waits_not() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN NEW.{column} := {new}; RETURN NEW; END $$"
            )
            sql(
                f"CREATE TRIGGER {table}_waits_not BEFORE UPDATE ON {table} FOR EACH ROW WHEN ({applies}) "
                f"EXECUTE FUNCTION {table}_waits_not()"
            )


def _compare(before: dict[str, bytes], after: dict[str, bytes], bridge: str) -> Counter[str]:
    """What became of the meetings: right, or what is wrong with them."""
    others = [OLDEST_NUMBER, *(number for name, number in NUMBERS.items() if name != bridge)]
    found = Counter[str]()
    for uid, body in after.items():
        text = "\n".join(logical_lines(body))
        if not body:
            found["lost"] += 1
        elif NUMBERS[bridge] not in text or any(number in text for number in others):
            found["without the new number"] += 1
        elif _kept_lines(before[uid]) != _kept_lines(body) or "SCHEDULE-AGENT" in text:
            found["otherwise changed"] += 1
        elif _sequence(body) != _sequence(before[uid]) + 1:
            found["written more than once"] += 1
        else:
            found["right"] += 1
    return found


def _kept_lines(body: bytes) -> list[str]:
    """What nobody may change; how its messages went the server notes itself (RFC 6638 section 3.2.9)."""
    return sorted(re.sub(r';SCHEDULE-STATUS=("[^"]*"|[^;:]*)', "", line) for line in untouched_lines(body))


def _sequence(body: bytes) -> int:
    return max((int(line[9:]) for line in logical_lines(body) if line.startswith("SEQUENCE:")), default=0)


def _told(told: Counter[tuple[str, str]], uids: list[str]) -> Counter[str]:
    return Counter(
        {
            "told once": sum(count == 1 for count in told.values()),
            "told more than once": sum(count > 1 for count in told.values()),
            "told of nothing": sum(uid not in uids for uid, _ in told),
        }
    )


def is_right(row: dict[str, Any]) -> bool:
    """Every meeting is right after every move, each attendee was told once of each, and nothing is left open."""
    changes = row["meetings"] * row["moves"]
    found = {name: number for name, number in row["found"].items() if number}
    return found == {"right": changes, "told once": changes * GUESTS} and row["intents"] == 0


def summary(row: dict[str, Any]) -> str:
    """The figures in words."""
    found, changes = row["found"], row["meetings"] * row["moves"]
    kinds = ", ".join(f"{name} {number}" for name, number in row["by_kind"].items())
    doubled = sum(found.get(name, 0) for name in ("told more than once", "written more than once", "doubled meetings"))
    rest = ", ".join(f"{name} {number:,}" for name, number in sorted(found.items()))
    return (
        f"{row['server']}, {row['database']}, seed {row['seed']}: {'right' if is_right(row) else 'WRONG'}\n"
        f"  {row['faults']:,} faults in {row['requests']:,} requests, {row['kills']} times kill -9\n"
        f"  {kinds}\n"
        f"  {row['runs']:,} runs, {row['meetings']} meetings moved {row['moves']} times: {changes:,} changes, "
        f"{changes * GUESTS:,} to be told\n"
        f"  lost {found.get('lost', 0)}, doubled {doubled}, intents left {row['intents']} ({rest})\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.outside", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="faults, with one kill to every 20 (1000)")
    parser.add_argument("--seed", type=int, default=1, help="decides what fails and when (1)")
    parser.add_argument("--server", choices=("radicale", "cyrus"), default="radicale", help="(radicale)")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-outside.jsonl")
    options = parser.parse_args()
    database = database_name(os.environ.get("MMS_TEST_DATABASE_URL", ""))
    name = {"seed": options.seed, "count": options.count, "server": options.server, "database": database}
    results = Results(options.results, name)
    if not results.rows():
        with tempfile.TemporaryDirectory() as folder:
            for part in ("server", "installation"):
                (Path(folder) / part).mkdir()
            with (
                mailboxes_on(options.server, Path(folder) / "server") as mailboxes,
                new_installation(Path(folder) / "installation", **SETTINGS) as installation,
            ):
                installation.run("migrate", "--verbosity", "0")
                found = run_campaign(installation, mailboxes, options.count, options.seed, tell=sys.stderr.write)
                results.add(**found)
    for row in results.rows():
        sys.stdout.write(summary(row))
    return 0 if all(map(is_right, results.rows())) else 1


if __name__ == "__main__":
    sys.exit(main())
