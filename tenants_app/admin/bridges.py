"""Bridges in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected as ask_before_deleting
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tenants_app.admin.base import ChangeForm, ThroughChanges, actor_of
from tenants_app.admin.out_of_date import tell_out_of_date
from tenants_app.changes.bridges import remove_bridge, set_bridge
from tenants_app.models import Bridge
from tenants_app.screens.refusals import tell_errors


class BridgeForm(ChangeForm):
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.pk is None and {"tenant", "name"} <= cleaned.keys():
            taken = Bridge.objects.filter(tenant=cleaned["tenant"], name__iexact=cleaned["name"]).first()
            if taken:
                self.add_error("name", _("There is already a bridge %(name)s: change that one.") % {"name": taken})
        return cleaned

    def make_change(self) -> Bridge:
        """Make or change the bridge. Returns it as it is stored then."""
        return set_bridge(
            self.instance.tenant,
            self.instance.name,
            self.actor,
            provider=self.cleaned_data["provider"],
            conference_ids_from=self.cleaned_data["conference_ids_from"],
            deployment=self.cleaned_data["deployment"],
            make_default=bool(self.cleaned_data.get("is_default")),
        )

    def _get_validation_exclusions(self) -> set[str]:
        """Left to the change itself, which takes the default away from the bridge that has it."""
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]
        return excluded | {"is_default"}


@admin.register(Bridge)
class BridgeAdmin(ThroughChanges):
    form = BridgeForm
    list_display = ["name", "tenant", "is_default", "provider", "conference_ids_from"]
    list_filter = ["tenant", "is_default"]
    list_select_related = ["tenant"]
    search_fields = ["name", "provider"]
    actions = ["delete_selected"]

    def get_readonly_fields(self, request: HttpRequest, obj: Bridge | None = None) -> list[str]:
        if obj is None:
            return []
        # The default passes to another bridge by making that one the default.
        return ["tenant", "name", *(["is_default"] if obj.is_default else [])]

    def get_fieldsets(self, request: HttpRequest, obj: Bridge | None = None) -> list[Any]:
        told = _(
            "Saving a bridge starts no migration. Users whose invitations show what was changed are out of date until "
            "runs are started for them; after saving, a message says how many there are. Where MMS hands out the "
            "conference IDs from now on, users who have none get one; otherwise invitations keep theirs."
        )
        return [
            (
                None,
                {
                    "fields": ["tenant", "name", "is_default", "provider", "conference_ids_from", "deployment"],
                    "description": told,
                },
            )
        ]

    def save_model(self, request: HttpRequest, obj: Bridge, form: Any, change: bool) -> None:
        bridge = form.make_change()
        obj.pk = bridge.pk
        tell_out_of_date(request, obj.tenant, bridge)

    # --- removing one ---------------------------------------------------------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return True

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The bridges and their numbers. Whether they may be removed is said by the change, in a sentence."""
        bridges = [(bridge, list(bridge.numbers.all())) for bridge in objs]
        named: list[Any] = []
        for bridge, numbers in bridges:
            named += [_("Bridge: %(name)s") % {"name": bridge}]
            if numbers:
                named.append([_("Service number: %(number)s") % {"number": number} for number in numbers])
        count = sum(len(numbers) for _, numbers in bridges)
        counts = {_("bridges"): len(bridges)} | ({_("service numbers"): count} if count else {})
        return named, counts, set(), []

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("admin:tenants_app_bridge_change", object_id)

    def delete_model(self, request: HttpRequest, obj: Bridge) -> None:
        remove_bridge(obj, actor_of(request))

    @admin.action(permissions=["delete"], description=gettext_lazy("Delete selected bridges"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Bridge]) -> HttpResponseBase | None:
        """Each by itself, so that one that is still needed does not keep the others."""
        if not request.POST.get("post"):
            return ask_before_deleting(self, request, queryset)
        for bridge in queryset.select_related("tenant"):
            try:
                with transaction.atomic():
                    self.log_deletions(request, Bridge.objects.filter(pk=bridge.pk))
                    self.delete_model(request, bridge)
            except ValidationError as error:
                tell_errors(request, error)
            else:
                messages.success(request, _("The bridge %(name)s was removed.") % {"name": bridge})
        return None
