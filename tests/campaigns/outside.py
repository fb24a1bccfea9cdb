"""`make campaign`: whole runs of users whose meetings are on a real server, while anything may go wrong on the way.

Any request may be reset before or after the server saw it, delayed, cut off or refused, and the worker is killed with
-9 in the midst of requests and between them. All users are moved from one bridge to the other and back, until so many
faults were made. After each move nothing may be lost: every meeting shows the new number and is otherwise as it was,
was written once, and each attendee was told once, by MMS (Radicale) or by the server. No meeting has got
another join link, whatever the server makes of blocks. ``--server teams`` is ``tests.campaigns.into_teams``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()  # before anything below is imported

from tests.campaigns.into_teams import OnTeams, mailboxes_and_teams, run_into_teams
from tests.campaigns.misfortune import (
    FAULTS_PER_KILL,
    Misfortune,
    kept_lines,
    let_time_pass,
    sequence_of,
    work_until_done,
)
from tests.campaigns.on_exchange import mailboxes_on_exchange
from tests.campaigns.on_graph import mailboxes_on_graph
from tests.campaigns.results import Results, database_name
from tests.support import cyrus_server, radicale_server
from tests.support.cyrus_server import CyrusServer, cyrus
from tests.support.fault_proxy import FaultProxy, faulty
from tests.support.installation import Installation, new_installation
from tests.support.meetings import logical_lines, told
from tests.support.processes import LOADED
from tests.support.radicale_server import RadicaleServer, radicale

USERS = tuple(f"user{number}@contoso.com" for number in range(4))
MEETINGS = 6
"""Of each user."""
NUMBERS = {"one": "+1 425-555-0100", "two": "+44 20 7946 0123"}
"""What an invitation shows on each bridge."""
OLDEST_NUMBER = "(425) 555-0101"
"""What invitations show before they are first moved."""
GUESTS = ("guest.one@example.org", "guest.two@example.org")
"""Who is invited to each meeting."""
SETTINGS = {"MMS_ALLOWED_MAIL_HOSTS": "127.0.0.1"}


class Mailboxes(Protocol):
    """The mailboxes on one kind of server, looked at past the proxy and past MMS."""

    proxy: FaultProxy
    """What MMS asks instead of the server."""
    has_teams: bool
    """Whether half of the meetings are in Teams."""
    has_series: bool
    """Whether the last meeting is a series with exceptions."""

    @property
    def settings(self) -> Mapping[str, str]:
        """What the operator of MMS must have set."""

    def connecting(self, users: Sequence[str]) -> str:
        """What an installation is asked (``tests.support.questions``) to connect these users."""

    def begin_move(self) -> None:
        """The server may have other ways from now on."""

    def calendar(self, upn: str) -> str:
        """The href of the user's calendar, which is there from now on."""

    def put(self, href: str, body: bytes, upn: str) -> None: ...

    def get(self, href: str, upn: str) -> bytes:
        """Empty where nothing is there."""

    def told(self, outbox: Path) -> Counter[tuple[str, str]]:
        """How often each attendee was told of each meeting (UID), since this was last asked; MMS's messages too."""


class _OnCalDav:
    """What both servers have in common; ``service`` is who signs in for all users, if anybody does."""

    service, password = "", ""
    settings: Mapping[str, str] = {LOADED: "phonenumbers.geocoder"}
    has_teams = has_series = False

    def __init__(self, proxy: FaultProxy) -> None:
        self.proxy = proxy

    def connecting(self, users: Sequence[str]) -> str:
        account = f"service={self.service!r}, password={self.password!r}"
        return f"connect_outside({self.proxy.address!r}, {[*users]!r}, {account})"

    def begin_move(self) -> None: ...


class OnRadicale(_OnCalDav):
    service, password = radicale_server.SERVICE, radicale_server.PASSWORD

    def __init__(self, server: RadicaleServer, proxy: FaultProxy) -> None:
        super().__init__(proxy)
        self._server = server

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


class OnCyrus(_OnCalDav):
    password = cyrus_server.PASSWORD

    def __init__(self, server: CyrusServer, proxy: FaultProxy) -> None:
        super().__init__(proxy)
        self._server = server

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
    if server == "graph":
        with mailboxes_on_graph(USERS) as on_graph:
            yield on_graph
    elif server == "teams":
        with mailboxes_and_teams(USERS) as on_teams:
            yield on_teams
    elif server == "exchange":
        with mailboxes_on_exchange(USERS) as on_exchange:
            yield on_exchange
    elif server == "cyrus":
        with cyrus(tuple(map(_local, USERS))) as on_cyrus, faulty(on_cyrus.address) as proxy:
            yield OnCyrus(on_cyrus, proxy)
    else:
        with radicale(folder, USERS) as on_radicale, faulty(on_radicale.address) as proxy:
            yield OnRadicale(on_radicale, proxy)


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
    if isinstance(mailboxes, OnTeams):
        options: Any = {"users": users, "meetings": meetings, "guests": GUESTS, "tell": tell}
        return run_into_teams(installation, mailboxes, count, seed, **options)
    proxy = mailboxes.proxy
    with installation.watching() as sql:
        installation.ask(mailboxes.connecting(users))
        hrefs = _fill(installation, mailboxes, meetings)
        outbox = installation.data_dir / "outbox"
        mailboxes.told(outbox)
        texts = {uid: mailboxes.get(href, upn) for uid, (upn, href) in hrefs.items()}
        found, moves, misfortune = Counter[str](), 0, Misfortune(seed, installation.kill)
        let_time_pass(installation, sql)
        proxy.plan = misfortune
        while len([*proxy.faults()]) < count or misfortune.kills < count // FAULTS_PER_KILL:
            bridge = "one" if moves % 2 else "two"
            mailboxes.begin_move()
            installation.ask(f"move_everybody({bridge!r})")
            work_until_done(installation, sql, misfortune)
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
    asked = f"invitations_of({meetings}, {mailboxes.has_teams}, {mailboxes.has_series})"
    for upn, texts in installation.ask(asked).items():
        calendar = mailboxes.calendar(upn)
        for number, (uid, text) in enumerate(texts.items()):
            hrefs[uid] = upn, f"{calendar}{number}.ics"
            mailboxes.put(hrefs[uid][1], text.encode(), upn)
    return hrefs


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
        elif kept_lines(before[uid]) != kept_lines(body) or "SCHEDULE-AGENT" in text:
            found["otherwise changed"] += 1
        elif sequence_of(body) != sequence_of(before[uid]) + 1:
            found["written more than once"] += 1
        else:
            found["right"] += 1
    return found


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
    found = {name: number for name, number in row["found"].items() if number}
    return found == {"right": row["meetings"] * row["moves"], "told once": _to_tell(row)} and row["intents"] == 0


def _to_tell(row: dict[str, Any]) -> int:
    """How many messages there should be: where a campaign does not say, each move changes every meeting."""
    said: int = row.get("to_tell", row["meetings"] * row["moves"] * len(GUESTS))
    return said


def summary(row: dict[str, Any]) -> str:
    """The figures in words."""
    found, changes = row["found"], row["meetings"] * row["moves"]
    kinds = ", ".join(f"{name} {number}" for name, number in row["by_kind"].items())
    twice = ("told more than once", "written more than once", "doubled meetings", "made more than once")
    doubled = sum(found.get(name, 0) for name in twice)
    rest = ", ".join(f"{name} {number:,}" for name, number in sorted(found.items()))
    return (
        f"{row['server']}, {row['database']}, seed {row['seed']}: {'right' if is_right(row) else 'WRONG'}\n"
        f"  {row['faults']:,} faults in {row['requests']:,} requests, {row['kills']} times kill -9\n"
        f"  {kinds}\n"
        f"  {row['runs']:,} runs, {row['meetings']} meetings moved {row['moves']} times: {changes:,} looks, "
        f"{_to_tell(row):,} to be told\n"
        f"  lost {found.get('lost', 0)}, doubled {doubled}, intents left {row['intents']} ({rest})\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.outside", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="faults, with one kill to every 20 (1000)")
    parser.add_argument("--seed", type=int, default=1, help="decides what fails and when (1)")
    parser.add_argument(
        "--server", choices=("radicale", "cyrus", "graph", "exchange", "teams"), default="radicale", help="(radicale)"
    )
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
                new_installation(Path(folder) / "installation", **SETTINGS, **mailboxes.settings) as installation,
            ):
                installation.run("migrate", "--verbosity", "0")
                found = run_campaign(installation, mailboxes, options.count, options.seed, tell=sys.stderr.write)
                results.add(**found)
    for row in results.rows():
        sys.stdout.write(summary(row))
    return 0 if all(map(is_right, results.rows())) else 1


if __name__ == "__main__":
    sys.exit(main())
