"""Tables about who people are."""

from __future__ import annotations

from collections.abc import Mapping

import django_tables2 as tables
from django.db.models import QuerySet
from django.http import HttpRequest

from tenants_app.models import AuditEntry, Tenant
from tenants_app.screens.audit_targets import addresses_of


class AuditTable(tables.Table):
    """Audit entries, newest first; on a phone each is a card of its own."""

    at = tables.TemplateColumn("{% load page_parts %}{{ value|when }}", verbose_name="When")
    actor = tables.TemplateColumn(template_name="tenants/cells/audit_who.html", verbose_name="Who, through what")
    action = tables.TemplateColumn(template_name="tenants/cells/audit_what.html", verbose_name="What, to what")
    change = tables.TemplateColumn(
        template_name="tenants/cells/audit_change.html", verbose_name="From, to", orderable=False, empty_values=()
    )
    consequence = tables.TemplateColumn(
        template_name="tenants/cells/audit_consequence.html",
        verbose_name="What it led to",
        orderable=False,
        empty_values=(),
    )

    caption = "Audit"
    addresses: Mapping[int, str] = {}
    """Where what the entries of the page are about is shown, by their keys."""

    when_empty = "Nothing was done yet."

    class Meta:
        model = AuditEntry
        fields = ("at", "actor", "action")
        empty_text = "No entry matches. Widen the dates or clear the filter."

    def __init__(self, entries: QuerySet[AuditEntry], tenant: Tenant) -> None:
        self.tenant = tenant
        super().__init__(entries)

    def before_render(self, request: HttpRequest) -> None:
        self.addresses = addresses_of(self.tenant, [row.record for row in self.paginated_rows])
