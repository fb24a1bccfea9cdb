"""Tables about who people are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db.models import QuerySet
from django.utils.translation import gettext_noop

from tenants_app.models import AuditEntry, Tenant
from tenants_app.screens.audit_targets import addresses_of
from tenants_app.screens.cells import Cell, reads
from tenants_app.screens.filters import AuditFilter
from tenants_app.screens.lists import ListTable
from tenants_app.signals import Page, pages_of


class AuditTable(ListTable):
    """Audit entries, newest first; on a phone each is a card of its own."""

    at = Cell("{% load page_parts %}{{ value|when }}", verbose_name=gettext_noop("When"), files={"At": reads("at")})
    actor = Cell(
        template_name="tenants/cells/audit_who.html",
        verbose_name=gettext_noop("Who, through what"),
        files={"Who": reads("actor"), "Channel": reads("channel")},
    )
    action = Cell(
        template_name="tenants/cells/audit_what.html",
        verbose_name=gettext_noop("What, to what"),
        files={"Action": reads("action"), "Target": reads("target")},
    )
    change = Cell(
        template_name="tenants/cells/audit_change.html",
        verbose_name=gettext_noop("From, to"),
        orderable=False,
        files={"Before": reads("before"), "After": reads("after")},
    )
    consequence = Cell(
        template_name="tenants/cells/audit_consequence.html",
        verbose_name=gettext_noop("What it led to"),
        orderable=False,
        files={"Consequence": reads("consequence")},
    )

    list_name = "audit"
    address = "audit"
    caption = gettext_noop("Audit")
    usual_rows = 50
    grows_by = "at"
    filter_class = AuditFilter
    saves_filters = True
    addresses: Mapping[int, str] = {}
    """Where what the entries of the page are about is shown, by their keys."""
    pages: Mapping[int, Page] = {}
    """Where what they led to is shown."""

    when_empty = gettext_noop("Nothing was done yet.")

    class Meta:
        model = AuditEntry
        fields = ("at", "actor", "action")
        empty_text = gettext_noop("No entry matches. Widen the dates or clear the filter.")

    def __init__(self, entries: QuerySet[AuditEntry], tenant: Tenant) -> None:
        self.tenant = tenant
        super().__init__(entries)

    def prepare(self, rows: Sequence[AuditEntry]) -> None:
        if self.shows("action"):
            self.addresses = addresses_of(self.tenant, rows)
        if self.shows("consequence"):
            self.pages = pages_of(self.tenant, rows)
