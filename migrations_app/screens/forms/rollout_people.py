"""The form of whom a rollout tells."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from migrations_app.models import Rollout
from tenants_app.screens.forms import MergingForm, style_fields


class PeopleForm(MergingForm):
    """Mail addresses and a webhook."""

    class Meta:
        model = Rollout
        fields = ["people", "webhook_url"]
        widgets = {"people": forms.Textarea({"rows": 3, "placeholder": "alice@contoso.com"})}

    def __init__(self, data: QueryDict | None, instance: Rollout) -> None:
        super().__init__(data, instance=instance, auto_id="people_%s")
        style_fields(self)

    def edited(self) -> dict[str, Any]:
        """What was edited, as ``people.change_people`` takes it."""
        values = super().edited()
        if self.instance.webhook_off_at:  # whoever saves while it is off wants it on again
            values["webhook_url"] = self.cleaned_data["webhook_url"]
        return values

    def _post_clean(self) -> None:
        """The change itself checks the row: it knows what belongs together."""
