"""Forms about deployments, for the pages and the Django admin."""

from __future__ import annotations

import re
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants_app.changes.deployments import SETTINGS
from tenants_app.models import Deployment, MeetingService, Tenant
from tenants_app.screens.forms import MergingForm, style_fields


class HostsField(forms.CharField):
    """Names of servers, one on each line; commas and blanks separate them too."""

    def __init__(self, **kwargs: Any) -> None:
        widget = forms.Textarea({"rows": 2, "spellcheck": "false", "autocapitalize": "off"})
        super().__init__(max_length=10_000, widget=widget, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        hosts = value if isinstance(value, list) else re.split(r"[\s,;]+", super().to_python(value) or "")
        return list(dict.fromkeys(host.lower().removesuffix(".") for host in hosts if host))

    def run_validators(self, value: Any) -> None:
        """The change itself checks the names."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(initial) != self.to_python(data))


class _DeploymentForm(forms.ModelForm[Deployment]):
    """What the forms of a deployment share."""

    meeting_hosts = HostsField(
        label=_("Meeting hosts"), help_text=_("Servers in its join links, one on each line, such as meet.contoso.com.")
    )
    check_hosts = HostsField(
        label=_("Hosts for checks"),
        required=False,
        help_text=_("Other servers that checks may connect to, one on each line."),
    )

    def _fit(self, tenant: Tenant) -> None:
        services = cast(forms.ChoiceField, self.fields["meeting_service"])
        tenants_own = gettext("The tenant's (%(name)s)") % {"name": tenant.get_meeting_service_display()}
        services.choices = [("", tenants_own), *MeetingService.choices]
        for name, choices in (("kind", Deployment.Kind.choices), ("role", Deployment.Role.choices)):
            cast(forms.ChoiceField, self.fields[name]).choices = [("", gettext("Choose one")), *choices]
        style_fields(self)

    def _post_clean(self) -> None:
        """The change itself checks the row: it knows what belongs together."""


class NewDeploymentForm(_DeploymentForm):
    """A deployment that is not there yet."""

    class Meta:
        model = Deployment
        fields = SETTINGS

    def __init__(self, data: QueryDict | None, tenant: Tenant) -> None:
        super().__init__(data, auto_id="new_deployment_%s")
        self._fit(tenant)


class DeploymentForm(_DeploymentForm, MergingForm):
    """A deployment's settings."""

    class Meta:
        model = Deployment
        fields = SETTINGS

    def __init__(self, data: QueryDict | None, instance: Deployment) -> None:
        super().__init__(data, instance=instance, auto_id="deployment_%s")
        self._fit(instance.tenant)
