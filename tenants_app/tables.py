"""Tables about who people are."""

from __future__ import annotations

import django_tables2 as tables

from tenants_app.models import AuditEntry


class AuditTable(tables.Table):
    """Audit entries, newest first."""

    at = tables.TemplateColumn("{% load page_parts %}{{ value|when }}", verbose_name="When")
    actor = tables.Column("Who")
    action = tables.Column("What")
    target = tables.TemplateColumn("<bdi>{{ value }}</bdi>", verbose_name="To what")
    change = tables.TemplateColumn(
        template_name="tenants/audit_change.html", verbose_name="From, to", orderable=False, empty_values=()
    )

    caption = "Audit"

    class Meta:
        model = AuditEntry
        fields = ("at", "actor", "action", "target")
        empty_text = "Nothing here. Every change of a setting, a user or a role is listed as soon as it is made."
        attrs = {"class": "table card-table table-vcenter"}
