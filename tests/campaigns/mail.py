"""`make soak-mail`: the whole service beside mail servers that are slow, silent or gone, in real time and at full size.

One meeting has 100 attendees, and many users have a meeting with two. Their runs begin at the same moment, and two
workers work them and deliver. What is measured: how many copies of each message came in for each recipient, how long
the runs took, and what became of the messages. Each case takes minutes, most of which is waiting.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.campaigns.results import Results, database_name
from tests.support.installation import Installation, Service, new_installation
from tests.support.mail_servers import Inbox, free_port, silence

USERS = 40
ATTENDEES = 100
SECONDS_PER_RECIPIENT = 1.5


class Server(Inbox):
    """Counts a copy when it has the whole message, whatever it answers."""

    fault: str

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.fault == "stalls at a recipient":
            await silence()
        if self.fault in {"slow", "slow, and the service is killed"}:
            await asyncio.sleep(SECONDS_PER_RECIPIENT)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        if self.fault == "stalls after DATA":
            await silence()
        if self.fault == "drops after accepting":
            server.transport.abort()
            await silence()
        return "250 OK"


CASES: dict[str, int | None] = {
    "slow": None,
    "stalls at a recipient": 300,
    "stalls after DATA": 420,
    "drops after accepting": 300,
    "gone": 180,
    "slow, and the service is killed": None,
}
"""Each fault, with the seconds for which it is watched; None until every message is out."""


def measure(installation: Installation, fault: str, seconds: int | None, rng: random.Random) -> dict[str, Any]:
    """Run the case; what was counted."""
    server, port = Server(fault), free_port()
    controller = Controller(server, hostname="127.0.0.1", port=port)
    if fault != "gone":
        controller.start()
    installation.environment["EMAIL_URL"] = f"smtp://127.0.0.1:{port}"
    installation.run("migrate", "--verbosity", "0")
    installation.ask(f"begin_mailing(users={USERS}, attendees={ATTENDEES})")
    began = time.monotonic()
    service = Service(installation)
    kills = 0
    runs_done_after: float | None = None
    try:
        with installation.watching() as ask:

            def count(table: str, states: str) -> int:
                return int(ask(f"SELECT count(*) FROM migrations_app_{table} WHERE state IN ({states})")[0][0])  # noqa: S608

            def is_over() -> bool:
                if seconds is not None:
                    return time.monotonic() - began > seconds
                return not count("run", "'Pending', 'InProgress'") and not count("update", "'Queued'")

            next_kill = rng.uniform(5, 25)
            while not is_over():
                time.sleep(0.25)
                if runs_done_after is None and not count("run", "'Pending', 'InProgress'"):
                    runs_done_after = time.monotonic() - began
                if "killed" in fault and kills < 6 and time.monotonic() - began > next_kill:
                    service.kill()
                    service = Service(installation)
                    kills += 1
                    next_kill = time.monotonic() - began + rng.uniform(5, 40)
    finally:
        service.kill()
        if fault != "gone":
            controller.stop()
    copies = server.copies()
    found = installation.ask("mailing()")
    return {
        "seconds": round(time.monotonic() - began),
        "runs": found["runs"],
        "runs_done_after": None if runs_done_after is None else round(runs_done_after, 1),
        "updates": found["updates"],
        "in_doubt": found["in_doubt"],
        "attempts": found["attempts"],
        "kills": kills,
        "recipients_told": len(copies),
        "copies_per_recipient": {str(number): count for number, count in sorted(Counter(copies.values()).items())},
    }


def is_right(row: dict[str, Any]) -> bool:
    """Nobody has two copies, and every run has ended well."""
    return set(row["copies_per_recipient"]) <= {"1"} and set(row["runs"]) == {"Succeeded"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.mail", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides when the service is killed (1)")
    parser.add_argument("--case", action="append", choices=CASES, help="only this; may be repeated")
    parser.add_argument("--results", type=Path, default=Path(tempfile.gettempdir()) / "mms-mail.jsonl")
    options = parser.parse_args()
    database = database_name(os.environ.get("MMS_TEST_DATABASE_URL", ""))
    results = Results(options.results, {"seed": options.seed, "database": database})
    for fault in options.case or CASES:
        if not results.has(fault=fault):
            with tempfile.TemporaryDirectory() as folder, new_installation(Path(folder)) as installation:
                rng = random.Random(f"{options.seed}-{fault}")  # noqa: S311 - moments, no secret
                results.add(fault=fault, **measure(installation, fault, CASES[fault], rng))
    rows = results.rows()
    for row in rows:
        sys.stdout.write(
            f"{row['database']:10} {row['fault']:32} {'right' if is_right(row) else 'WRONG':5}  "
            f"copies {row['copies_per_recipient']}, runs {row['runs']} after {row['runs_done_after']} s, "
            f"messages {row['updates']}, in doubt {row['in_doubt']}, in {row['seconds']} s\n"
        )
    return 0 if all(map(is_right, rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
