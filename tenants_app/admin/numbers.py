"""Service numbers in the Django admin."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tenants_app.admin.base import ChangeForm, ThroughChanges, actor_of
from tenants_app.admin.out_of_date import tell_out_of_date
from tenants_app.changes.bridges import describe_number, register_number, set_default_number
from tenants_app.models import ServiceNumber, Tenant
from tenants_app.screens.refusals import tell_errors


class ServiceNumberForm(ChangeForm):
    @property
    def tenant(self) -> Tenant:
        number: ServiceNumber = self.instance
        return number.bridge.tenant

    def make_change(self) -> ServiceNumber:
        """Register the number, or correct its place. Returns it as it is stored then."""
        number = self.instance
        place = {"country": self.cleaned_data["country"], "city": self.cleaned_data["city"]}
        if number.pk is None:
            return register_number(number.bridge, number.number, number.kind, self.actor, **place)
        return describe_number(number, self.actor, **place)


@admin.register(ServiceNumber)
class ServiceNumberAdmin(ThroughChanges):
    form = ServiceNumberForm
    list_display = ["number", "kind", "bridge", "tenant", "is_default", "country", "city"]
    list_filter = ["tenant", "kind", "is_default"]
    search_fields = ["number", "country", "city", "bridge__name"]
    list_select_related = ["bridge", "tenant"]
    actions = ["make_default"]

    def get_readonly_fields(self, request: HttpRequest, obj: ServiceNumber | None = None) -> list[str]:
        return ["bridge", "number", "kind", "is_default"] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: ServiceNumber | None = None) -> list[Any]:
        fields = ["bridge", "number", "kind", *(["is_default"] if obj else []), "country", "city"]
        told = _(
            "Saving a number starts no migration. Users whose invitations show what was changed are out of date until "
            "runs are started for them; after saving, a message says how many there are. An action of the list makes "
            "a number the default of its bridge."
        )
        return [(None, {"fields": fields, "description": told})]

    def save_model(self, request: HttpRequest, obj: ServiceNumber, form: Any, change: bool) -> None:
        number = form.make_change()
        obj.pk = number.pk
        tell_out_of_date(request, number.bridge.tenant, number.bridge)

    @admin.action(description=gettext_lazy("Make the default number of its bridge"))
    def make_default(self, request: HttpRequest, queryset: QuerySet[ServiceNumber]) -> None:
        """Starts no run, because the admin asks for none (R10)."""
        numbers = list(queryset.select_related("bridge__tenant", "tenant"))
        for bridge, count in Counter(number.bridge for number in numbers).items():
            if count > 1:
                told = _("%(number)s of the numbers are on %(bridge)s, which has one default: choose one of them.")
                messages.error(request, told % {"number": number_format(count, force_grouping=True), "bridge": bridge})
                return
        for number in numbers:
            if number.is_default:
                told = _("%(number)s is the default number of %(bridge)s already.")
                messages.info(request, told % {"number": number, "bridge": number.bridge})
                continue
            try:
                set_default_number(number, actor_of(request), reschedule_meetings=False)
            except ValidationError as error:
                tell_errors(request, error)
            else:
                told = _("%(number)s is the default number of %(bridge)s now.")
                messages.success(request, told % {"number": number, "bridge": number.bridge})
                tell_out_of_date(request, number.bridge.tenant, number.bridge)
