"""What the commands that check a real Microsoft 365 or Exchange share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from migrations_app.failures import Failure, describe
from migrations_app.microsoft.client import Unsettled
from migrations_app.tenant_checks.findings import Finding, Verdict, failed, report
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.management.listing import printable
from tenants_app.management.mailbox_options import connection_named
from tenants_app.models import MailboxConnection, Tenant
from tenants_app.validators import validate_address


class TenantCheckCommand(AdministratorCommand):
    """A check of a tenant's connection: findings as they come, an exit status, a report to keep."""

    kind: MailboxConnection.Kind
    """Of the connections that it checks."""
    title = ""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "name", nargs="?", metavar="NAME", help="the mailbox connection (default: the only one of this kind)"
        )
        parser.add_argument(
            "--report", metavar="FILE", help="keep what was found in this file; as JSON where its name ends in .json"
        )

    def add_writing_arguments(self, parser: CommandParser, what: str) -> None:
        """Of a check that makes ``what`` in a test mailbox."""
        parser.add_argument(
            "--write-to", metavar="UPN", help=f"a test mailbox in which {what} are made, changed and deleted again"
        )
        parser.add_argument(
            "--attendee",
            metavar="ADDRESS",
            help="with --write-to: who is invited to these, and gets about a dozen mails",
        )

    def check_addresses(self, options: Mapping[str, Any]) -> None:
        """What is given as an address must be one; who is written to, and who gets mail, must both be named, and be
        two, and not the mailbox that must be closed."""
        write_to, attendee, outside = (options.get(name) for name in ("write_to", "attendee", "outside"))
        if "attendee" in options and bool(write_to) != bool(attendee):
            raise wrong_usage(_("--write-to and --attendee go together: name a test mailbox, and who is invited."))
        for address in (options["user"], outside, write_to, attendee):
            if address:
                try:
                    validate_address(address)
                except ValidationError as error:
                    raise wrong_usage(f"{address}: {error.messages[0]}") from error
        if write_to and write_to.lower() in {(attendee or "").lower(), (outside or "").lower()}:
            raise wrong_usage(_("The test mailbox can be neither the attendee nor the mailbox outside: name others."))

    def check_report(self, options: Mapping[str, Any]) -> None:
        """Whether the report can be kept, before anything is asked that it should tell of."""
        if path := options["report"]:
            report_file = Path(path)
            try:
                is_there = report_file.exists()
                with report_file.open("a", encoding="utf-8"):
                    pass
                if not is_there:
                    report_file.unlink()
            except (OSError, ValueError) as error:
                raise _not_writable(path, error) from error

    def connection(self, tenant: Tenant, options: Mapping[str, Any]) -> MailboxConnection:
        """The connection that is named, or the only one of the kind."""
        if options["name"]:
            found = connection_named(tenant, options["name"])
            if found.kind != self.kind:
                raise CommandError(
                    _("%(found)s is of kind %(kind)s: name a connection of kind %(kind2)s.")
                    % {"found": found, "kind": found.kind, "kind2": self.kind}
                )
            return found
        all_of_kind = list(MailboxConnection.objects.filter(tenant=tenant, kind=self.kind)[:2])
        if len(all_of_kind) != 1:
            told = {"tenant": tenant.name, "kind": self.kind}
            raise CommandError(
                _("%(tenant)s has several connections of kind %(kind)s: name one.") % told
                if all_of_kind
                else _("%(tenant)s has no connection of kind %(kind)s: make one with new_mailbox_connection.") % told
            )
        all_of_kind[0].tenant = tenant
        return all_of_kind[0]

    def announce(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.stdout.write(printable(line))
        self.stdout.flush()

    def tell(self, findings: Iterable[Finding]) -> list[Finding]:
        """Print what is found as soon as it is."""
        told: list[Finding] = []
        try:
            for finding in findings:
                told.append(finding)
                self.stdout.write(printable(finding.line))
                self.stdout.flush()
        except Failure as failure:
            told.append(failed(_("check"), describe(failure.code, failure.detail), code=failure.code))
            self.stdout.write(printable(told[-1].line))
        except Unsettled as lost:
            told.append(failed(_("check"), _("An answer was lost (%(why)s): run it again.") % {"why": lost.why}))
            self.stdout.write(printable(told[-1].line))
        return told

    def end(self, findings: Sequence[Finding], about: Mapping[str, str], options: Mapping[str, Any]) -> None:
        """Keep the report where it was asked for, and exit with 1 where something failed."""
        if path := options["report"]:
            text = report(_(self.title), about, findings, timezone.now(), as_json=path.lower().endswith(".json"))
            try:
                Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
            except (OSError, ValueError) as error:
                raise _not_writable(path, error) from error
            self.stdout.write(_("The report is in %(path)s.") % {"path": path})
        if any(finding.verdict == Verdict.FAILED for finding in findings):
            sys.exit(1)


def _not_writable(path: str, error: OSError | ValueError) -> CommandError:
    why = (error.strerror if isinstance(error, OSError) else None) or _("no name of a file")
    return CommandError(
        _("The report cannot be written to %(path)s (%(why)s): choose another place with --report.")
        % {"path": path, "why": why}
    )
