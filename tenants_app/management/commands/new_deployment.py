from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tenants_app.changes.deployments import create_deployment
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.deployment_options import add_deployment_options, values_of


class Command(AdministratorCommand):
    help = "Record a deployment: a system that users belong to, of which two can run side by side while users move."
    example = '"Pool B" --kind on-premises --role new --meeting-host meet.contoso.com'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_deployment_options(parser, is_new=True)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        deployment = create_deployment(tenant, self.actor, name=options["name"], **values_of(options))
        self.stdout.write(
            _("%(name)s: new deployment. Next, say which bridges and users belong to it.") % {"name": deployment.name}
        )
