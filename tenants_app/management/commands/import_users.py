from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from tenants_app.bulk import let_others_write
from tenants_app.csv_files.user_columns import COLUMNS
from tenants_app.csv_files.users_in import CREATE, Outcome, Plan, carry_out, foresee, ignored_in_words, note, plan
from tenants_app.management.arguments import add_dry_run, add_format, read_text
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.models import Tenant
from tenants_app.signals import command_for
from tenants_app.wording import counted, sentences

SHOWN_CONSEQUENCES = 10
TOLD_EVERY = 10_000
"""Rows after which a large import says how far it has come."""


class Command(AdministratorCommand):
    help = (
        "Create and change users from a CSV file (UTF-8, comma or semicolon). Only UserPrincipalName must be given; "
        "an absent column or an empty cell leaves a user's setting as it is, and a column that MMS does not know is "
        "ignored. A new licensed user without a bridge "
        "gets the default one. With --dry-run every row that differs is listed: what changes, whether a run starts, "
        f"and why or why not. Columns: {', '.join(COLUMNS)}."
    )
    example = "users.csv --dry-run"
    _told = ("", 0)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.csv", help="the file, or - for standard input")
        parser.add_argument(
            "--skip-bad-rows", action="store_true", help="report bad rows and import the others all the same"
        )
        add_dry_run(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["format"] != "table" and not options["dry_run"]:
            raise wrong_usage("--format is for the differences that a dry run lists: add --dry-run.")
        tenant = self.tenant(options)
        text = read_text(options["file"])
        planned = plan(tenant, text, self._tell_progress)
        if ignored := ignored_in_words(planned.ignored):
            self.stderr.write(ignored, str)
        for line, sentence in sorted(planned.bad_rows):
            self.stderr.write(f"line {line:,}: {sentence}")
        if planned.bad and not options["skip_bad_rows"]:
            raise CommandError(
                f"{counted(planned.bad, 'bad row')}, so nothing was written: "
                "correct them, or leave them out with --skip-bad-rows."
            )
        outcome = self._carry_out(tenant, planned, options)
        if options["dry_run"]:
            self._list_differences(outcome, options)
        if options["format"] == "table":
            self._tell_outcome(outcome, planned.bad, options)

    def _carry_out(self, tenant: Tenant, planned: Plan, options: dict[str, Any]) -> Outcome:
        """Write it piece by piece; a dry run only looks what each would write."""
        outcome, pieces = Outcome(unchanged=planned.unchanged), list(planned.pieces())
        for piece in pieces:
            try:
                if options["dry_run"]:
                    outcome.add(foresee(tenant, piece, self._tell_progress))
                    continue
                with transaction.atomic():
                    outcome.add(carry_out(tenant, piece, self.actor, self._tell_progress))
                    if piece is pieces[-1]:
                        runs = len(outcome.users_with_run)
                        note(tenant, self.actor, options["file"], outcome.created, outcome.changed, runs)
            except ValidationError as error:
                if options["dry_run"] or piece is pieces[0]:
                    raise
                raise CommandError(
                    f"{sentences(error)} {outcome.created:,} users are created and {outcome.changed:,} changed by now: "
                    "correct the file and import it again, which goes on with the rest."
                ) from error
            let_others_write()
        return outcome

    def _list_differences(self, outcome: Outcome, options: dict[str, Any]) -> None:
        rows = (
            {
                "Line": difference.line,
                "UserPrincipalName": difference.upn,
                "Change": difference.change,
                "StartsRun": difference.starts_run,
                "Sentence": difference.sentence,
            }
            for difference in outcome.differences
        )
        columns = ["Line", "UserPrincipalName", "Change", "StartsRun", "Sentence"]
        self.list_rows(rows, options, columns, when_empty="No row differs from what is there.")

    def _tell_outcome(self, outcome: Outcome, bad: int, options: dict[str, Any]) -> None:
        runs = counted(len(outcome.users_with_run), "run")
        self.stdout.write(
            f"{outcome.created:,} created, {outcome.changed:,} changed, {outcome.unchanged:,} unchanged, "
            f"{bad:,} skipped; {runs} {'would start' if options['dry_run'] else 'started'}."
        )
        if options["dry_run"]:
            for sentence, _, count in outcome.by_sentence:
                self.stdout.write(f"{counted(count, 'user')}: {sentence}")
            for column, count in outcome.by_column.items():
                self.stdout.write(f"{column} differs for {counted(count, 'user')}.")
            self._tell_command(outcome)
            self.tell_rehearsal(options)
            return
        changed = [difference for difference in outcome.differences if difference.change != CREATE]
        for difference in changed[:SHOWN_CONSEQUENCES]:
            self.stdout.write(f"{difference.upn}: {difference.sentence}")
        if len(changed) > SHOWN_CONSEQUENCES:
            self.stdout.write(f"… and {len(changed) - SHOWN_CONSEQUENCES:,} more.")
        self._tell_command(outcome)

    def _tell_command(self, outcome: Outcome) -> None:
        if command := command_for(sentence for sentence, *_ in outcome.by_sentence):
            self.stdout.write(command)

    def _tell_progress(self, happened: str, done: int, total: int) -> None:
        """On standard error, so that what is listed stays clean; a short import says nothing."""
        step = happened, done // TOLD_EVERY
        if total > TOLD_EVERY and (done == total or (step[1] and step != self._told)):
            self.stderr.write(f"{done:,} of {total:,} rows {happened}", str)
        self._told = step
