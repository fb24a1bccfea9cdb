"""What befalls a campaign with mailboxes outside: requests fail, workers are killed, and others go on."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.campaigns.results import database_name
from tests.support.fault_proxy import FAULTS, SILENT, Fault
from tests.support.installation import Installation
from tests.support.meetings import logical_lines, untouched_lines
from tests.support.scripted_server import Asked

RATE = 0.2
"""How probably a request fails."""
FAULTS_PER_KILL = 20

Sql = Callable[[str], list[tuple[Any, ...]]]


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


def work_until_done(
    installation: Installation, sql: Sql, misfortune: Misfortune, what_is_left: str = "left_to_move()"
) -> None:
    """Start worker after worker until nothing is left of what the installation is asked for."""
    while installation.ask(what_is_left):
        with misfortune.befalling_a_worker():
            installation.run_to_be_killed("run_migrations")
        # None is left: its leases are over.
        sql("UPDATE migrations_app_run SET lease_until = created WHERE state = 'InProgress'")
        sql("UPDATE migrations_app_mailboxscan SET lease_token = NULL, lease_until = NULL")
        sql("UPDATE migrations_app_update SET lease_until = queued_at WHERE lease_until IS NOT NULL")


def let_time_pass(installation: Installation, sql: Sql) -> None:
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


def kept_lines(body: bytes) -> list[str]:
    """What nobody may change; how its messages went the server notes itself (RFC 6638 section 3.2.9)."""
    return sorted(re.sub(r';SCHEDULE-STATUS=("[^"]*"|[^;:]*)', "", line) for line in untouched_lines(body))


def sequence_of(body: bytes) -> int:
    return max((int(line[9:]) for line in logical_lines(body) if line.startswith("SEQUENCE:")), default=0)
