from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count

from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.deployment_options import deployment_named
from tenants_app.models import Deployment
from tenants_app.records import DEPLOYMENT_COLUMNS, deployment_record


class Command(AdministratorCommand):
    help = "List the deployments, or one of them: what they are, how many users belong to them, and since when retired."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)
        parser.add_argument("name", metavar="NAME", nargs="?", help="only this one")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        deployments = Deployment.objects.filter(tenant=tenant).annotate(members=Count("users"))
        if options["name"] is not None:
            deployments = deployments.filter(pk=deployment_named(tenant, options["name"]).pk)
        self.list_rows(
            (deployment_record(each, each.members) for each in deployments.prefetch_related("bridges")),
            options,
            DEPLOYMENT_COLUMNS,
            in_table=["Name", "Kind", "Role", "MeetingHosts", "Mover", "Users", "RetiredDate"],
        )
