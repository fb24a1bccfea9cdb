from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from tenants_app.catalogue import SHOWN_IN_INVITATIONS, TENANT_SETTINGS
from tenants_app.changes.tenants import renew_directory_key
from tenants_app.management.settings_command import SetSettingsCommand
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.signals import remedy_for
from tenants_app.wording import MEETINGS_STAY, counted


class Command(SetSettingsCommand):
    help = "Change an organization's settings; only what is given changes."
    example = '--settling-time 60 --footer-text "Recording needs everyone\'s consent."'
    settings = TENANT_SETTINGS

    def tell_what_follows(self, before: Tenant, after: Tenant, values: Mapping[str, Any]) -> None:
        if values.get("dial_in_directory"):
            key = renew_directory_key(after, self.actor)
            self.stdout.write(
                _("%(name)s: the new directory key, which is shown only now and replaces any from before:\n%(key)s")
                % {"name": after.name, "key": key}
            )
        for field, why in MEETINGS_STAY.items():
            if getattr(before, field) != getattr(after, field):
                self.stdout.write(_("%(name)s: No run, because %(why)s.") % {"name": after.name, "why": _(why)})
        if all(getattr(before, field) == getattr(after, field) for field in SHOWN_IN_INVITATIONS):
            return
        users = counted(ConferencingUser.objects.filter(tenant=after).out_of_date().count(), "user")
        remedy = remedy_for(after)
        told = {"tenant": after.name, "command": remedy.command if remedy else "", "users": users}
        self.stdout.write(
            _(
                "%(tenant)s: No run, because a tenant's addresses and texts start none: invitations show the old ones "
                "until %(command)s. Out of date now: %(users)s."
            )
            % told
            if remedy
            else _(
                "%(tenant)s: No run, because a tenant's addresses and texts start none: invitations show the old "
                "ones. Out of date now: %(users)s."
            )
            % told
        )
