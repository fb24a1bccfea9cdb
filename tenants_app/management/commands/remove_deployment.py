from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tenants_app.changes.deployments import check_can_be_removed, remove_deployment
from tenants_app.management.arguments import add_dry_run
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.deployment_options import deployment_named


class Command(AdministratorCommand):
    help = "Remove a deployment that nobody belongs to. Its bridges stay, and nothing changes in any meeting."
    example = '"Pool B"'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        add_dry_run(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        deployment = deployment_named(self.tenant(options), options["name"])
        if options["dry_run"]:
            check_can_be_removed(deployment)
            self.stdout.write(_("%(name)s: can be removed.") % {"name": deployment.name})
            self.tell_rehearsal(options)
            return
        remove_deployment(deployment, self.actor)
        self.stdout.write(_("%(name)s: removed.") % {"name": deployment.name})
