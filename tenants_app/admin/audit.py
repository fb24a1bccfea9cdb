"""The audit in the Django admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from tenants_app.admin.base import ReadOnly
from tenants_app.audit import action_choices
from tenants_app.models import AuditEntry


class ActionFilter(admin.SimpleListFilter):
    """What was done, from the list of what there is: asking all entries for it would take long."""

    title = _("what")
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [choice for _, choices in action_choices() for choice in choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(action=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ["at", "tenant", "actor", "channel", "action", "target", "consequence"]
    list_filter = ["tenant", "channel", ActionFilter]
    list_select_related = ["tenant"]
    search_fields = ["actor", "target"]
    date_hierarchy = "at"
    show_full_result_count = False
