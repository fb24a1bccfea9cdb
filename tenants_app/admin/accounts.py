"""Accounts in the Django admin, and their roles in the tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from tenants_app.admin.base import ChangeForm, ThroughChanges, actor_of
from tenants_app.changes.accounts import (
    end_sessions,
    is_last_administrator,
    last_administrator,
    make_administrator,
    note,
    switch_account,
)
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


class AccountForm(UserChangeForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        """Refuses what would leave nobody to look after the installation."""
        cleaned = super().clean() or self.cleaned_data
        stays = cleaned.get("is_active") and cleaned.get("is_superuser")
        if "is_active" in self.fields and not stays and is_last_administrator(self.instance):
            raise ValidationError(last_administrator(self.instance))
        return cleaned


@admin.register(User)
class AccountAdmin(UserAdmin[User]):
    """Accounts, which belong to no tenant. Deleting one takes its roles away, each with a trace in its tenant.

    The last administrator of the installation stays one: neither is the account deleted, nor switched off.
    """

    form = AccountForm

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Whether it may sign in, and who looks after the installation, changes as on the page of all accounts."""
        if not change:
            super().save_model(request, obj, form, change)
            return
        wanted, stored = (obj.is_active, obj.is_superuser), User.objects.get(pk=obj.pk)
        is_staff = obj.is_staff
        obj.is_active, obj.is_superuser = stored.is_active, stored.is_superuser
        super().save_model(request, obj, form, change)
        switch_account(obj, wanted[0], actor_of(request))
        make_administrator(obj, wanted[1], actor_of(request))
        User.objects.filter(pk=obj.pk).update(is_staff=is_staff)
        obj.is_active, obj.is_superuser = wanted

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:  # noqa: A002 - Django's
        """Another password ends the sessions of the account, and stands in the audit."""
        account = User.objects.filter(pk=id).first() if id.isdigit() else None
        before = account.password if account else ""
        response = super().user_change_password(request, id, form_url)
        if account:
            account.refresh_from_db()
            if account.password != before:
                end_sessions(account, actor_of(request), keep=request.session.session_key)
                note("change password", actor_of(request), account=account)
        return response

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or not is_last_administrator(obj))

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self._revoke_roles(request, [obj])
        super().delete_model(request, obj)

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        if not User.objects.filter(is_superuser=True, is_active=True).exclude(pk__in=queryset).exists():
            messages.error(request, _("Nobody would look after the installation any more, so none was deleted."))
            return
        self._revoke_roles(request, list(queryset))
        super().delete_queryset(request, queryset)

    @staticmethod
    def _revoke_roles(request: HttpRequest, accounts: Sequence[User]) -> None:
        for role in Role.objects.filter(account__in=accounts).select_related("tenant", "account"):
            revoke_role(role, actor_of(request))
