from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _

from migrations_app.models import TakenListing
from migrations_app.rollouts import retirement, searching, taken_listings
from tenants_app.changes.deployments import read_deployment
from tenants_app.management.arguments import add_dry_run, add_format
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.models import Deployment, Tenant

COLUMNS = ("Condition", "Title", "Holds", "Evidence", "Named")
IN_TABLE = ("Condition", "Holds", "Evidence")


class Command(AdministratorCommand):
    help = (
        "Retire a legacy deployment: nobody can be moved to it any more, and its rollouts end. It is refused with the "
        "reasons as long as a condition does not hold; --dry-run shows all of them with their evidence. Evidence is "
        "given by --accounts (a listing of the accounts on it, which must be empty and no older than a day), "
        "--directories (its conference directories with their owners before and after) and --search (all mailboxes "
        "are searched for meetings that lead to it)."
    )
    example = '"Old pool" --accounts accounts.csv --dry-run'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME", help="of the deployment")
        parser.add_argument(
            "--accounts",
            metavar="FILE",
            help="CSV with a column SipAddress, UserPrincipalName or Identity, or an empty file; - reads it",
        )
        parser.add_argument(
            "--directories",
            metavar="FILE",
            help="CSV with the columns ConferenceDirectory, OwnerBefore and OwnerAfter, or an empty file; - reads it",
        )
        parser.add_argument("--search", action="store_true", help="have the mailboxes searched, in the background")
        parser.add_argument("--take-back", action="store_true", help="take its retirement back")
        parser.add_argument("--reason", default="", metavar="TEXT", help="stands in the audit and in the report")
        add_dry_run(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        deployment = self._deployment(tenant, options["name"])
        if options["take_back"]:
            if options["accounts"] or options["directories"] or options["search"] or options["dry_run"]:
                raise wrong_usage(_("--take-back stands alone, or with --reason."))
            retirement.take_back(deployment, self.actor, options["reason"])
            self.stdout.write(_("The retirement of %(name)s is taken back.") % {"name": deployment})
            return
        self._take_evidence(deployment, options)
        if options["dry_run"]:
            gate = retirement.gate_of(deployment)
            self.list_rows(retirement.records(gate), options, list(COLUMNS), list(IN_TABLE))
            if not gate.is_open:
                raise CommandError(_("%(name)s cannot be retired yet.") % {"name": deployment})
            return
        if options["search"]:
            return
        why = retirement.why_not_retired(deployment)
        if why:
            told = _("%(name)s cannot be retired:") % {"name": deployment}
            raise CommandError(" ".join([told, *map(str, why)]))
        retirement.retire(deployment, self.actor, options["reason"])
        self.stdout.write(_("%(name)s is retired: nobody can be moved to it any more.") % {"name": deployment})

    def _deployment(self, tenant: Tenant, name: str) -> Deployment:
        try:
            found = read_deployment(tenant, name)
        except ValueError as error:
            raise CommandError(str(error)) from error
        if found is None:
            raise CommandError(_("Name the deployment that is to be retired."))
        return found

    def _take_evidence(self, deployment: Deployment, options: dict[str, Any]) -> None:
        if options["accounts"] == "-" and options["directories"] == "-":
            raise wrong_usage(_("Only one of the files can be read from standard input."))
        for kind, path in (
            (TakenListing.Kind.ACCOUNTS, options["accounts"]),
            (TakenListing.Kind.DIRECTORIES, options["directories"]),
        ):
            if path:
                taken = taken_listings.take(deployment, kind, _octets(path), Path(path).name, self.actor)
                self.stdout.write(str(taken_listings.told_of(taken)))
        if options["search"]:
            searching.search_tenant(deployment, self.actor)
            self.stdout.write(_("The mailboxes are searched in the background: --dry-run says how far that is."))


def _octets(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(taken_listings.LONGEST_FILE + 1)
    try:
        with Path(path).open("rb") as file:
            return file.read(taken_listings.LONGEST_FILE + 1)
    except OSError as error:
        raise CommandError(
            _("%(path)s cannot be read (%(problem)s): check its path and permissions.")
            % {"path": path, "problem": error.strerror}
        ) from error
