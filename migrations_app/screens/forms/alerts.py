"""The form of alerts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from migrations_app.alerts.kinds import BY_DEFAULT, KINDS
from migrations_app.models import AlertSettings
from tenants_app.screens.forms import MergingForm, style_fields


class AlertForm(MergingForm):
    """Whom a tenant's alerts go to, about what, and when."""

    class Meta:
        model = AlertSettings
        fields = [
            *("recipients", "webhook_url", "pause_minutes"),
            *("quiet_from", "quiet_until", "quiet_weekends", "breaks_quiet"),
        ]
        labels = {"breaks_quiet": _("Told even in quiet hours")}
        widgets = {
            "recipients": forms.Textarea({"rows": 3, "placeholder": "alice@contoso.com"}),
            "quiet_from": forms.TimeInput({"type": "time"}, format="%H:%M"),
            "quiet_until": forms.TimeInput({"type": "time"}, format="%H:%M"),
        }

    def __init__(self, data: QueryDict | None, instance: AlertSettings) -> None:
        super().__init__(data, instance=instance, auto_id="alerts_%s")
        for name, field in _kinds_of_alerts(instance.watched if instance.pk else BY_DEFAULT).items():
            field.show_hidden_initial = instance.pk is not None
            self.fields[name] = field
        style_fields(self)

    @property
    def kinds(self) -> list[forms.BoundField]:
        """The fields that say about what alerts are."""
        return [self[_field_of(kind)] for kind in KINDS]

    def edited(self) -> dict[str, Any]:
        """What was edited, as ``actions.change_alerts`` takes it."""
        values = super().edited()
        fields = {_field_of(kind): kind for kind in KINDS}
        if self.instance.webhook_off_at:  # whoever saves while it is off wants it on again
            values["webhook_url"] = self.cleaned_data["webhook_url"]
        if not self.instance.pk or not values.keys().isdisjoint(fields):
            values["kinds"] = [kind for field, kind in fields.items() if self.cleaned_data[field]]
        return {name: value for name, value in values.items() if name not in fields}

    def _post_clean(self) -> None:
        """The change itself checks the row: it knows what belongs together."""


def _field_of(kind: str) -> str:
    return f"about_{kind.replace('-', '_')}"


def _kinds_of_alerts(watched: Collection[str]) -> dict[str, forms.Field]:
    return {
        _field_of(name): forms.BooleanField(
            label=gettext(kind.label), help_text=gettext(kind.help), required=False, initial=name in watched
        )
        for name, kind in KINDS.items()
    }
