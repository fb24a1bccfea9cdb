from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from tenants_app.changes.deployments import change_deployment
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.management.deployment_options import (
    add_deployment_options,
    deployment_named,
    record_of,
    values_of,
)


class Command(AdministratorCommand):
    help = "Change a deployment; only what is given changes, and a list of hosts as a whole. It starts no run."
    example = '"Pool B" --highest-client-version 16.0.17000'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_deployment_options(parser, is_new=False)

    def handle(self, *args: Any, **options: Any) -> None:
        deployment = deployment_named(self.tenant(options), options["name"])
        values = values_of(options)
        if options["rename"] is not None:
            values["name"] = options["rename"]
        if not values:
            raise wrong_usage(_("Give at least one setting to change, such as --mover list."))
        before = record_of(deployment)
        changed = change_deployment(deployment, self.actor, **values)
        self.tell_changes(changed.name, before, record_of(changed))
