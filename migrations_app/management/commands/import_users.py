from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from migrations_app.failures import Failure
from migrations_app.procedures import directory_users
from tenants_app.bulk import let_others_write
from tenants_app.csv_files.user_columns import COLUMNS
from tenants_app.csv_files.users_in import CREATE, Outcome, Plan, carry_out, foresee, ignored_in_words, note, plan
from tenants_app.management.arguments import add_dry_run, add_format, read_text
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.management.mailbox_options import connection_named
from tenants_app.models import Tenant
from tenants_app.signals import command_for
from tenants_app.wording import counted, grouped, sentences

SHOWN_CONSEQUENCES = 10
TOLD_EVERY = 10_000
"""Rows after which a large import says how far it has come."""


_PROGRESS = {
    "checked": gettext_noop("%(done)s of %(total)s rows checked"),
    "created": gettext_noop("%(done)s of %(total)s rows created"),
    "changed": gettext_noop("%(done)s of %(total)s rows changed"),
}
"""By what has happened to them."""


class Command(AdministratorCommand):
    help = (
        "Create and change users from a CSV file (UTF-8, comma or semicolon), or from Microsoft Entra. In a file only "
        "UserPrincipalName must be given; an absent column or an empty cell leaves a user's setting as it is, and a "
        "column that MMS does not know is ignored. A new licensed user without a bridge gets the default one. With "
        "--dry-run every row that differs is listed: what changes, whether a run starts, and why or why not. Columns: "
        f"{', '.join(COLUMNS)}. With --from-graph the members of the organization are read by a connection of kind "
        "graph: name, mail address, language and licence. Guests, blocked accounts and those without a "
        "mail address are left out; users whom the directory does not have are named, and left as they are."
    )
    example = "users.csv --dry-run"
    _told = ("", 0)

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", metavar="FILE.csv", help="the file, or - for standard input")
        parser.add_argument("--from-graph", metavar="NAME", help="the mailbox connection (kind graph) to ask instead")
        parser.add_argument(
            "--group", metavar="ID", help="with --from-graph: only who is in this group (its Object ID)"
        )
        parser.add_argument(
            "--domain", metavar="DOMAIN", help="with --from-graph: only who has this domain behind the @ of the name"
        )
        parser.add_argument(
            "--skip-bad-rows", action="store_true", help="report bad rows and import the others all the same"
        )
        add_dry_run(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["format"] != "table" and not options["dry_run"]:
            raise wrong_usage(_("--format is for the differences that a dry run lists: add --dry-run."))
        if (options["file"] is None) == (options["from_graph"] is None):
            raise wrong_usage(_("Name a file, or a connection with --from-graph."))
        if options["from_graph"] is None and (options["group"] or options["domain"]):
            raise wrong_usage(_("--group and --domain choose among the users of a directory: add --from-graph."))
        tenant = self.tenant(options)
        text = read_text(options["file"]) if options["file"] is not None else self._read_directory(tenant, options)
        planned = plan(tenant, text, self._tell_progress)
        if options["from_graph"]:
            planned.name_users()
        if ignored := ignored_in_words(planned.ignored):
            self.stderr.write(ignored, str)
        for line, sentence in sorted(planned.bad_rows):
            self.stderr.write(_("line %(line)s: %(sentence)s") % {"line": grouped(line), "sentence": sentence})
        if planned.bad and not options["skip_bad_rows"]:
            raise CommandError(
                ngettext(
                    "%(count)s bad row, so nothing was written: correct them, or leave them out with --skip-bad-rows.",
                    "%(count)s bad rows, so nothing was written: correct them, or leave them out with --skip-bad-rows.",
                    planned.bad,
                )
                % {"count": grouped(planned.bad)}
            )
        outcome = self._carry_out(tenant, planned, options)
        if options["dry_run"]:
            self._list_differences(outcome, options)
        if options["format"] == "table":
            self._tell_outcome(outcome, planned.bad, options)

    def _read_directory(self, tenant: Tenant, options: dict[str, Any]) -> str:
        connection = connection_named(tenant, options["from_graph"])
        if not directory_users.is_directory(connection):
            raise CommandError(
                _("%(connection)s leads to no directory: name a connection of kind graph.") % {"connection": connection}
            )
        source = directory_users.Source(options["group"] or "", options["domain"] or "")
        source.check()
        try:
            with directory_users.open_graph(connection) as graph:
                found = directory_users.read_directory(graph, tenant, source)
        except Failure as failure:
            raise CommandError(failure.told) from failure
        for sentence in (found.left_out_in_words, found.gone_in_words):
            if sentence:
                self.stderr.write(sentence, str)
        return found.text

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
                        note(tenant, self.actor, _source(options), outcome.created, outcome.changed, runs)
            except ValidationError as error:
                if options["dry_run"] or piece is pieces[0]:
                    raise
                raise CommandError(
                    _(
                        "%(error)s %(created)s users are created and %(changed)s changed by now: correct the file "
                        "and import it again, which goes on with the rest."
                    )
                    % {
                        "error": sentences(error),
                        "created": grouped(outcome.created),
                        "changed": grouped(outcome.changed),
                    }
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
            for difference in outcome.by_line
        )
        columns = ["Line", "UserPrincipalName", "Change", "StartsRun", "Sentence"]
        self.list_rows(rows, options, columns, when_empty=_("No row differs from what is there."))

    def _tell_outcome(self, outcome: Outcome, bad: int, options: dict[str, Any]) -> None:
        runs = len(outcome.users_with_run)
        self.stdout.write(
            (
                ngettext(
                    "%(created)s created, %(changed)s changed, %(unchanged)s unchanged, %(bad)s skipped; %(count)s run "
                    "would start.",
                    "%(created)s created, %(changed)s changed, %(unchanged)s unchanged, %(bad)s skipped; %(count)s "
                    "runs would start.",
                    runs,
                )
                if options["dry_run"]
                else ngettext(
                    "%(created)s created, %(changed)s changed, %(unchanged)s unchanged, %(bad)s skipped; %(count)s run "
                    "started.",
                    "%(created)s created, %(changed)s changed, %(unchanged)s unchanged, %(bad)s skipped; %(count)s "
                    "runs started.",
                    runs,
                )
            )
            % {
                "created": grouped(outcome.created),
                "changed": grouped(outcome.changed),
                "unchanged": grouped(outcome.unchanged),
                "bad": grouped(bad),
                "count": grouped(runs),
            }
        )
        if options["dry_run"]:
            for sentence, _starts, count in outcome.by_sentence:
                self.stdout.write(f"{counted(count, 'user')}: {sentence}")
            for column, count in outcome.by_column.items():
                self.stdout.write(
                    ngettext("%(column)s differs for %(count)s user.", "%(column)s differs for %(count)s users.", count)
                    % {"column": column, "count": grouped(count)}
                )
            self._tell_command(outcome)
            self.tell_rehearsal(options)
            return
        changed = [difference for difference in outcome.by_line if difference.change != CREATE]
        for difference in changed[:SHOWN_CONSEQUENCES]:
            self.stdout.write(f"{difference.upn}: {difference.sentence}")
        if len(changed) > SHOWN_CONSEQUENCES:
            self.stdout.write(_("… and %(count)s more.") % {"count": grouped(len(changed) - SHOWN_CONSEQUENCES)})
        self._tell_command(outcome)

    def _tell_command(self, outcome: Outcome) -> None:
        if command := command_for(sentence for sentence, *_ in outcome.by_sentence):
            self.stdout.write(command)

    def _tell_progress(self, happened: str, done: int, total: int) -> None:
        """On standard error, so that what is listed stays clean; a short import says nothing."""
        step = happened, done // TOLD_EVERY
        if total > TOLD_EVERY and (done == total or (step[1] and step != self._told)):
            self.stderr.write(
                _(_PROGRESS[happened]) % {"done": grouped(done), "total": grouped(total)},
                str,
            )
        self._told = step


def _source(options: dict[str, Any]) -> str:
    """What the audit says that the users came from."""
    return options["file"] or f"Microsoft 365, by {options['from_graph']}"
