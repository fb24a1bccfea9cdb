from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from tenants_app.changes.tenants import change_tenant
from tenants_app.management.arguments import at_least, truth
from tenants_app.management.base import AdministratorCommand, wrong_usage
from tenants_app.models import ConferencingUser
from tenants_app.records import TENANT_FIELDS, tenant_record
from tenants_app.signals import remedy_for
from tenants_app.wording import counted

SWITCHES = (
    "meeting_migration_enabled",
    "automatically_migrate_user_meetings",
    "automatically_replace_acp_provider",
)
NUMBERS = {
    "attendee_limit": "meetings with more attendees, organizer included, are not migrated",
    "settling_time": "seconds between a change and its run",
}
TEXTS = {
    "name": "its name for people",
    "domain": "such as contoso.com; join links depend on it, and changing it starts no run",
    "meeting_url": "where join links begin; changing it starts no run",
    "local_numbers_url": "the page with all local numbers",
    "help_url": "the page that helps attendees",
    "legal_url": "the legal page",
    "logo_url": "the picture at the head of invitations",
    "footer_text": "the text at the foot of invitations",
}
SHOWN = {"domain", "meeting_url", "local_numbers_url", "help_url", "legal_url", "logo_url", "footer_text"}
"""What invitations show, or their join links depend on, so that they are out of date after a change."""


class Command(AdministratorCommand):
    help = "Change an organization's settings; only what is given changes."
    example = '--settling-time 60 --footer-text "Recording needs everyone\'s consent."'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        for field, meaning in TEXTS.items():
            parser.add_argument(_option(field), metavar="TEXT", help=meaning)
        for field, meaning in NUMBERS.items():
            parser.add_argument(_option(field), metavar="N", type=at_least(0), help=meaning)
        for field in SWITCHES:
            parser.add_argument(_option(field), metavar="true|false", type=truth)

    def handle(self, *args: Any, **options: Any) -> None:
        values = {field: options[field] for field in TENANT_FIELDS.values() if options.get(field) is not None}
        if not values:
            raise wrong_usage("Give at least one setting to change, such as --settling-time 60.")
        if "domain" in values:
            values["domain"] = values["domain"].lower()
        tenant = self.tenant(options)
        before = tenant_record(tenant)
        after = tenant_record(change_tenant(tenant, self.actor, **values))
        self.tell_changes(tenant.name, before, after)
        if any(before[name] != after[name] for name, field in TENANT_FIELDS.items() if field in SHOWN):
            users = counted(ConferencingUser.objects.filter(tenant=tenant).out_of_date().count(), "user")
            remedy = remedy_for(tenant)
            self.stdout.write(
                f"{tenant.name}: No run, because a tenant's addresses and texts start none: invitations show the old "
                f"ones{f' until {remedy.command}' if remedy else ''}. Out of date now: {users}."
            )


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"
