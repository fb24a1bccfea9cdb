"""Tables about the users of a service number, and about numbers on their way off a bridge."""

from __future__ import annotations

import django_tables2 as tables

from migrations_app.models import NumberRelease
from tenants_app.models import ConferencingUser, ServiceNumber

_CLASSES = "table card-table table-vcenter"


class DependantTable(tables.Table):
    """Users who depend on a number; see ``number_release.dependants`` and ``views.users.with_latest_run``."""

    upn = tables.TemplateColumn(template_name="migrations/user_name.html", verbose_name="User")
    how = tables.Column(verbose_name="Depends on it by", orderable=False, empty_values=())
    latest_state = tables.TemplateColumn("{% load runs %}{% badge value %}", verbose_name="Latest run", empty_values=())
    latest_modified = tables.TemplateColumn("{% load page_parts %}{{ value|ago }}", verbose_name="Changed")

    caption = "Users who depend on the number"

    class Meta:
        model = ConferencingUser
        fields: tuple[str, ...] = ()
        attrs = {"class": _CLASSES}
        empty_text = "Nobody has this number, and no invitation shows it."

    def __init__(self, data: object, number: ServiceNumber) -> None:
        self.number = number
        super().__init__(data)

    def render_how(self, record: ConferencingUser) -> str:
        number = self.number
        if number.pk in {record.toll_number_id, record.toll_free_number_id}:
            return "Their own number"
        if number.is_default and record.toll_number_id is None and record.bridge_id == number.bridge_id:
            return "The bridge's default"
        return "Invitations that show it"


class ReleaseTable(tables.Table):
    """Numbers that are or were taken off their bridges."""

    e164 = tables.TemplateColumn(template_name="migrations/release_number.html", verbose_name="Number")
    state = tables.TemplateColumn("{% load runs %}{% badge value %}")
    bridge = tables.Column(order_by="bridge__name")
    requested_by = tables.Column(verbose_name="Asked for by")
    created = tables.TemplateColumn("{% load page_parts %}{{ value|when }}", verbose_name="Asked for")
    finished_at = tables.TemplateColumn("{% load page_parts %}{{ value|when }}", verbose_name="Ended", empty_values=())

    caption = "Numbers taken off their bridges"

    class Meta:
        model = NumberRelease
        fields: tuple[str, ...] = ()
        attrs = {"class": _CLASSES}
        empty_text = "No number was taken off a bridge yet. It is begun on the page of a number."
