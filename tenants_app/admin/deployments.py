"""Deployments in the Django admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from tenants_app.admin.base import ChangeForm, ThroughChanges, actor_of
from tenants_app.changes.deployments import SETTINGS, change_deployment, create_deployment, remove_deployment
from tenants_app.models import Deployment
from tenants_app.screens.deployment_forms import HostsField
from tenants_app.screens.refusals import tell_errors


class DeploymentForm(ChangeForm):
    meeting_hosts = HostsField()
    check_hosts = HostsField(required=False)

    class Meta:
        model = Deployment
        fields = ["tenant", *SETTINGS]

    def make_change(self) -> Deployment:
        """Make or change the deployment. Returns it as it is stored then."""
        if self.instance.pk is None:
            values = {name: self.cleaned_data[name] for name in SETTINGS}
            return create_deployment(self.cleaned_data["tenant"], self.actor, **values)
        return change_deployment(self.instance, self.actor, **self.edited())

    def _post_clean(self) -> None:
        """The change itself checks the row; a new one only learns whose it is."""
        if self.instance.pk is None and "tenant" in self.cleaned_data:
            self.instance.tenant = self.cleaned_data["tenant"]


@admin.register(Deployment)
class DeploymentAdmin(ThroughChanges):
    form = DeploymentForm
    list_display = ["name", "tenant", "kind", "role", "mover", "retired_at"]
    list_filter = ["tenant", "kind", "role"]
    list_select_related = ["tenant"]
    search_fields = ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Deployment | None = None) -> list[str]:
        return ["tenant", "retired_at", "retired_by"] if obj else []

    def get_fieldsets(self, request: HttpRequest, obj: Deployment | None = None) -> list[Any]:
        told = _("Saving a deployment starts no run: existing meetings stay where they are.")
        kept = self.get_readonly_fields(request, obj)
        fields = ["tenant", *SETTINGS, *(name for name in kept if name != "tenant")]
        return [(None, {"fields": fields, "description": told})]

    def save_model(self, request: HttpRequest, obj: Deployment, form: Any, change: bool) -> None:
        obj.pk = form.make_change().pk

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is not None

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except ValidationError as error:
            tell_errors(request, error)
            return redirect("admin:tenants_app_deployment_change", object_id)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """The deployments. Whether they may be removed is said by the change, in a sentence."""
        return [_("Deployment: %(name)s") % {"name": each} for each in objs], {_("deployments"): len(objs)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Deployment) -> None:
        remove_deployment(obj, actor_of(request))
