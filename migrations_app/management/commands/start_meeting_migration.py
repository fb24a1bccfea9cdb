from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser

from migrations_app.failures import Failure, describe
from migrations_app.history import block_record
from migrations_app.models import Run
from migrations_app.monitoring import WORKER_SILENT, worker_silence
from migrations_app.reactions import start_by_hand
from migrations_app.runner import preview
from tenants_app.commands import AdministratorCommand, add_format, read_text, rehearsed, wrong_usage
from tenants_app.models import ConferencingUser
from tenants_app.records import counted

BULK = 500
POLL_SECONDS = 0.5
ENDED = {Run.State.SUCCEEDED, Run.State.FAILED}
COLUMNS = ["UserPrincipalName", "Subject", "StartDate", "Outcome", "Reason", "Recipients"]


class Command(AdministratorCommand):
    help = "Start migrations by hand, for some users or for a list; users who cannot be served are named and left out."
    example = "--user anna@contoso.com bruno@contoso.com --now --wait"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        users = parser.add_mutually_exclusive_group(required=True)
        users.add_argument("--user", nargs="+", action="extend", metavar="UPN", help="may be given several times")
        users.add_argument(
            "--users-from",
            metavar="FILE",
            help="a file (- for standard input) with one UPN per line, or CSV with a column UserPrincipalName",
        )
        parser.add_argument("--now", action="store_true", help="do not wait for the tenant's settling time")
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="write nothing; list what a run would do with each meeting, in JSON with the block before and after",
        )
        parser.add_argument(
            "--wait", action="store_true", help="wait until the runs have ended; exit status 1 if one failed"
        )
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"] and options["wait"]:
            raise wrong_usage("A dry run starts nothing to wait for: leave out --dry-run or --wait.")
        if options["format"] != "table" and not options["dry_run"]:
            raise wrong_usage("Only a dry run lists anything: add --dry-run or leave out --format.")
        tenant = self.tenant(options)
        upns = options["user"] if options["user"] is not None else _upns(read_text(options["users_from"]))
        if not upns:
            raise CommandError(f"{options['users_from']} names no user: write one UPN per line.")
        users = self.users(tenant, upns)
        with rehearsed(options["dry_run"]):
            consequences = start_by_hand(tenant, users, self.actor, now_due=options["now"])
        problems = [
            f"{consequence.upn}: {consequence.sentence}" for consequence in consequences if not consequence.starts_run
        ]
        accepted = {consequence.upn for consequence in consequences if consequence.starts_run}
        started = [user for user in users if user.upn in accepted]
        if options["dry_run"]:
            problems += self._preview(started, options)
        else:
            self.tell_consequences(consequence for consequence in consequences if consequence.starts_run)
            if options["wait"] and started:
                problems += self._wait(started)
        if len(problems) == 1:
            raise CommandError(problems[0])
        for problem in problems:
            self.stderr.write(problem)
        if problems:
            raise CommandError(f"{len(problems):,} of {counted(len(users), 'user')} failed or refused: see above.")

    def _preview(self, users: Sequence[ConferencingUser], options: dict[str, Any]) -> list[str]:
        """List what runs would do; a sentence for each that would fail."""
        problems = []

        def rows() -> Iterator[dict[str, Any]]:
            for user in users:
                try:
                    for result, recipients in preview(user):
                        row = {
                            "UserPrincipalName": user.upn,
                            "Subject": result.subject,
                            "StartDate": result.starts_at,
                            "Outcome": result.outcome,
                            "Reason": result.code,
                            "Message": result.reason,
                            "Recipients": recipients,
                        }
                        yield row | (block_record(result) if options["format"] == "json" else {})
                except Failure as failure:
                    problems.append(f"{user.upn}: {describe(failure.code, failure.detail)}")

        self.list_rows(rows(), options, COLUMNS, when_empty="There is no meeting to look at.")
        return problems

    def _wait(self, users: Sequence[ConferencingUser]) -> list[str]:
        """Show how the users' runs go on until all have ended; a sentence for each that failed."""
        runs = _latest_runs(users)
        silence = worker_silence()
        if silence is None or silence > WORKER_SILENT:
            self.stderr.write("No worker has been seen lately: start the cluster, or run_migrations in another window.")
        shown = ""
        while True:
            states = _states(runs)
            line = ", ".join(f"{state} {states[state]:,}" for state in Run.State.values)
            if line != shown:
                self.stdout.write(line)
                self.stdout.flush()
                shown = line
            if sum(states.values()) == sum(states[state] for state in ENDED):
                break
            time.sleep(POLL_SECONDS)
        problems = []
        for start in range(0, len(runs), BULK):
            failed = Run.objects.filter(pk__in=runs[start : start + BULK], state=Run.State.FAILED)
            problems += [f"{run.user.upn}: {run.last_error_message}" for run in failed.select_related("user")]
        return problems


def _upns(text: str) -> list[str]:
    """The names in a list: one per line with # comments, or the column UserPrincipalName of a CSV file."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if lines and "userprincipalname" in lines[0].lower():
        delimiter = ";" if lines[0].count(";") > lines[0].count(",") else ","
        rows = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter)
        header = [cell.strip().lower() for cell in next(rows)]
        if "userprincipalname" in header:
            column = header.index("userprincipalname")
            return [row[column].strip() for row in rows if len(row) > column and row[column].strip()]
    return [line.partition("#")[0].strip() for line in lines]


def _latest_runs(users: Sequence[ConferencingUser]) -> list[int]:
    runs: list[int] = []
    for start in range(0, len(users), BULK):
        runs += Run.objects.filter(user__in=users[start : start + BULK], is_latest=True).values_list("pk", flat=True)
    return runs


def _states(runs: Sequence[int]) -> Counter[str]:
    states: Counter[str] = Counter()
    for start in range(0, len(runs), BULK):
        states.update(Run.objects.filter(pk__in=runs[start : start + BULK]).values_list("state", flat=True))
    return states
