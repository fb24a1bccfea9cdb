"""Tables about who people are."""

from __future__ import annotations

import django_tables2 as tables

from tenants_app.models import AuditEntry


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

    class Meta:
        model = AuditEntry
        fields = ("at", "actor", "action")
        empty_text = "No entry matches. Widen the dates or clear the filter."
        attrs = {"class": "table card-table table-vcenter cards-on-phones"}
