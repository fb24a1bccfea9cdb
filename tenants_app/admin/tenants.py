"""Tenants in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from tenants_app.admin.base import ChangeForm, ThroughChanges
from tenants_app.admin.out_of_date import tell_out_of_date
from tenants_app.changes.tenants import change_tenant, create_tenant
from tenants_app.models import Tenant


class TenantForm(ChangeForm):
    @property
    def tenant(self) -> Tenant | None:
        return self.instance if self.instance.pk else None

    def make_change(self) -> Tenant:
        """Make or change the tenant. Returns it as it is stored then."""
        if self.tenant is None:
            return create_tenant(self.actor, **self.cleaned_data)
        return change_tenant(self.tenant, self.actor, **self.edited())


@admin.register(Tenant)
class TenantAdmin(ThroughChanges):
    form = TenantForm
    list_display = ["name", "slug", "domain", "meeting_migration_enabled", "automatically_migrate_user_meetings"]
    list_filter = ["meeting_migration_enabled", "automatically_migrate_user_meetings"]
    search_fields = ["name", "slug", "domain"]

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> list[str]:
        return ["created", "slug"] if obj else ["created"]

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        obj.pk = form.make_change().pk
        if change:
            tell_out_of_date(request, obj)
