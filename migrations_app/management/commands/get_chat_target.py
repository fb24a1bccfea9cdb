from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.db.models import Count
from django.utils.translation import gettext as _

from migrations_app.chat.target_rows import target_named
from migrations_app.models import ChatTarget
from tenants_app.management.arguments import add_format
from tenants_app.management.base import AdministratorCommand

COLUMNS = ("Name", "Kind", "Address", "Account", "HasSecret", "Options", "Plans", "CreateDate", "CreatedBy")


class Command(AdministratorCommand):
    help = "List the targets to which rooms of chat are imported. Secrets are not shown."
    example = "--format json"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", nargs="?", metavar="NAME", help="only this one")
        add_format(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = self.tenant(options)
        targets = ChatTarget.objects.filter(tenant=tenant).annotate(planned=Count("plans")).order_by("name")
        if options["name"] is not None:
            targets = targets.filter(pk=target_named(tenant, options["name"]).pk)
        self.list_rows(
            (_record(target) for target in targets),
            options,
            COLUMNS,
            COLUMNS[:7],
            _("There are no targets: set_chat_target makes one."),
        )


def _record(target: Any) -> dict[str, Any]:
    return {
        "Name": target.name,
        "Kind": target.kind,
        "Address": target.address,
        "Account": target.account,
        "HasSecret": bool(target.sealed_password),
        "Options": ", ".join(f"{name}={value}" for name, value in sorted(target.options.items())),
        "Plans": target.planned,
        "CreateDate": target.created,
        "CreatedBy": target.created_by,
    }
