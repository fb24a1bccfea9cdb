"""The form of the texts of notices."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from migrations_app.mail.notice_texts import Text, checked
from tenants_app.screens.forms import style_fields


class NoticeTextForm(forms.Form):
    """What a tenant's notices of a kind say in one language."""

    subject = forms.CharField(label=_("Subject"), required=False, strip=False)
    body = forms.CharField(
        label=_("Text"),
        required=False,
        strip=False,
        widget=forms.Textarea({"rows": 12, "aria-describedby": "placeholders"}),
    )

    def __init__(self, data: QueryDict | None, kind: str, text: Text) -> None:
        super().__init__(data, initial={"subject": text.subject, "body": text.body}, auto_id="notice_%s")
        self._kind = kind
        style_fields(self)

    def clean(self) -> dict[str, Any]:
        """Raises what :func:`notice_texts.checked` finds, beside the field that it is about."""
        text = checked(self._kind, self.cleaned_data.get("subject", ""), self.cleaned_data.get("body", ""))
        return {"subject": text.subject, "body": text.body}
