from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext

from tenants_app.changes.bridges import UNSET, foresee_conference_ids, set_bridge
from tenants_app.management.arguments import e164, one_of
from tenants_app.management.base import AdministratorCommand
from tenants_app.management.deployment_options import deployment_or_none
from tenants_app.models import Bridge
from tenants_app.records import bridge_record
from tenants_app.signals import remedy_for
from tenants_app.wording import grouped, stored_provider


class Command(AdministratorCommand):
    help = "Make a bridge, or change the one of that name; only what is given changes."
    example = '"Europe" --default --default-number +442079460123'

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--default", action="store_true", help="make it the tenant's default bridge")
        parser.add_argument(
            "--default-number", metavar="E164", type=e164, help="one of its toll numbers, for users without their own"
        )
        parser.add_argument("--provider", metavar="microsoft|NAME", type=stored_provider, help="who runs the bridge")
        parser.add_argument(
            "--conference-ids-from",
            metavar="mms|service",
            type=one_of(Bridge.ConferenceIdsFrom.values, gettext_noop("a source of conference IDs")),
            help="who hands out the conference IDs: MMS, or the meeting service (default for a new bridge: mms)",
        )
        parser.add_argument("--deployment", metavar="NAME|none", help="the deployment that it belongs to, or none")

    def handle(self, *args: Any, **options: Any) -> None:
        tenant, name = self.tenant(options), options["name"].strip()
        old = Bridge.objects.filter(tenant=tenant, name__iexact=name).first()
        before = bridge_record(old) if old else {}
        wanted = options["conference_ids_from"]
        follows = ""
        if old and wanted and wanted != old.conference_ids_from:
            old.conference_ids_from = wanted
            follows = foresee_conference_ids(old)
        deployment = UNSET if options["deployment"] is None else deployment_or_none(tenant, options["deployment"])
        bridge = set_bridge(
            tenant,
            name,
            self.actor,
            provider=options["provider"],
            make_default=options["default"],
            default_number=options["default_number"],
            conference_ids_from=options["conference_ids_from"],
            deployment=deployment,
        )
        after = bridge_record(bridge)
        if old is None:
            self.stdout.write(
                _("%(name)s: new bridge; register_service_number gives it numbers.") % {"name": bridge.name}
            )
            return
        self.tell_changes(bridge.name, before, after)
        if follows:
            self.stdout.write(f"{bridge.name}: {follows}")
        users = bridge.users.count()
        if users and any(before[field] != after[field] for field in ("DefaultNumber", "Provider")):
            remedy = remedy_for(tenant, bridge=bridge)
            told = {"bridge": bridge.name, "count": grouped(users), "command": remedy.command if remedy else ""}
            self.stdout.write(
                ngettext(
                    "%(bridge)s: No run, because a bridge's own settings start none: bring the invitations of its "
                    "%(count)s user up to date with %(command)s.",
                    "%(bridge)s: No run, because a bridge's own settings start none: bring the invitations of its "
                    "%(count)s users up to date with %(command)s.",
                    users,
                )
                % told
                if remedy
                else ngettext(
                    "%(bridge)s: No run, because a bridge's own settings start none: bring the invitations of its "
                    "%(count)s user up to date.",
                    "%(bridge)s: No run, because a bridge's own settings start none: bring the invitations of its "
                    "%(count)s users up to date.",
                    users,
                )
                % told
            )
