from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count
from django.utils.translation import gettext as _

from tenants_app.dependants import count_dependants
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand
from tenants_app.records import number_record


class Command(AdministratorCommand):
    help = (
        "List the service numbers, their bridges, how many users depend on each, as their own number, the bridge's "
        "default, or by their invitations (UserCount), how many of them have it as their own (AssignedCount), and "
        "whether it is being taken off (State)."
    )
    example = "--format csv"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        service_numbers = self.tenant(options).service_numbers
        dependants = count_dependants(service_numbers.all())
        numbers = (
            service_numbers.select_related("bridge")
            .annotate(
                toll_count=Count("toll_users", distinct=True), toll_free_count=Count("toll_free_users", distinct=True)
            )
            .order_by("number")
        )
        self.list_rows(
            (
                {
                    **number_record(row),
                    "UserCount": dependants.get(row.pk, 0),
                    "AssignedCount": row.toll_count + row.toll_free_count,
                    "State": "leaving" if row.is_leaving else "assigned",
                }
                for row in numbers
            ),
            options,
            ["Number", "Type", "Bridge", "IsDefault", "Country", "City", "UserCount", "AssignedCount", "State"],
            when_empty=_("There is no service number yet: add one with register_service_number."),
        )
