from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.changes.tenants import change_tenant
from tenants_app.management.arguments import truth
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.records import tenant_record

SWITCHES = {
    "automatically_migrate_user_meetings": "false: changes of audio conferencing start no run; moves and manual "
    "starts still do",
    "automatically_replace_acp_provider": "true: a licence makes Microsoft the provider of a user who has another",
}


class Command(AdministratorCommand):
    help = "Say what the service does by itself when audio conferencing changes; only what is given changes."
    example = "--automatically-migrate-user-meetings false"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        for field, meaning in SWITCHES.items():
            parser.add_argument(f"--{field.replace('_', '-')}", type=truth, metavar="true|false", help=meaning)

    def handle(self, *args: Any, **options: Any) -> None:
        values = {field: options[field] for field in SWITCHES if options[field] is not None}
        if not values:
            raise wrong_usage("Give at least one switch, such as --automatically-migrate-user-meetings false.")
        before = self.tenant(options)
        after = change_tenant(before, self.actor, **values)
        self.tell_changes(after.name, tenant_record(before), tenant_record(after))
