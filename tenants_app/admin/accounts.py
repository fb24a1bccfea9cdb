"""Accounts in the Django admin, and their roles in the tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from tenants_app.admin.base import ChangeForm, ThroughChanges, actor_of
from tenants_app.changes.tenants import grant_role, revoke_role
from tenants_app.models import Role


class RoleForm(ChangeForm):
    def make_change(self) -> Role:
        """Grant the role. Returns it as it is stored then."""
        role = self.instance
        return grant_role(role.tenant, role.account, role.name, self.actor)


@admin.register(Role)
class RoleAdmin(ThroughChanges):
    form = RoleForm
    list_display = ["account", "tenant", "name"]
    list_filter = ["tenant", "name"]
    search_fields = ["account__username", "tenant__name"]
    autocomplete_fields = ["account", "tenant"]

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> list[str]:
        return ["account", "tenant"] if obj else []

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        obj.pk = form.make_change().pk

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(cast(User, request.user).is_superuser)

    def delete_model(self, request: HttpRequest, obj: Role) -> None:
        revoke_role(obj, actor_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Role]) -> None:
        for role in queryset:
            revoke_role(role, actor_of(request))


admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(UserAdmin[User]):
    """Accounts, which belong to no tenant. Deleting one takes its roles away, each with a trace in its tenant."""

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self._revoke_roles(request, [obj])
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._revoke_roles(request, list(queryset))
        super().delete_queryset(request, queryset)

    @staticmethod
    def _revoke_roles(request: HttpRequest, accounts: Sequence[User]) -> None:
        for role in Role.objects.filter(account__in=accounts).select_related("tenant", "account"):
            revoke_role(role, actor_of(request))
