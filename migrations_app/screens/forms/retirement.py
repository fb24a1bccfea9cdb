"""Forms about taking a wave back, and about retiring a legacy deployment."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants_app.bulk import batched
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.screens.forms import style_fields

MOST_CHOSEN = 1_000
LONGEST_REASON = 500


class RollbackForm(forms.Form):
    """Who is taken back, and why."""

    users = forms.CharField(
        label=_("Only these members"),
        required=False,
        max_length=100_000,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
        help_text=_("User principal names, one on each line. Empty: all who have moved."),
    )
    reason = forms.CharField(
        label=_("Why"),
        required=False,
        max_length=LONGEST_REASON,
        help_text=_("It stands in the audit and in the report."),
    )

    def __init__(self, data: QueryDict | None, tenant: Tenant) -> None:
        self.tenant = tenant
        super().__init__(data)
        style_fields(self)

    def clean_users(self) -> list[ConferencingUser] | None:
        """The users; None where nobody is named."""
        names = list(dict.fromkeys(self.cleaned_data["users"].replace(",", " ").lower().split()))
        if not names:
            return None
        if len(names) > MOST_CHOSEN:
            raise ValidationError(gettext("Name at most %(most)s members at once.") % {"most": MOST_CHOSEN})
        found: dict[str, ConferencingUser] = {}
        for some in batched(names):
            rows = ConferencingUser.objects.with_upns(self.tenant, some)
            found |= {user.upn.lower(): user for user in rows}
        missing = [name for name in names if name not in found]
        if missing:
            raise ValidationError(
                gettext("There is no user %(users)s: check the spelling.") % {"users": ", ".join(missing[:5])[:400]}
            )
        return [found[name] for name in names]


class ListingForm(forms.Form):
    """A list that somebody has taken from the deployment."""

    file = forms.FileField(label=_("CSV file"), allow_empty_file=True)
    is_whole = forms.BooleanField(
        label=_("It is the whole list, taken from the deployment today"),
        error_messages={"required": _("Tick that it is the whole list, taken today: MMS cannot know that.")},
    )

    def __init__(self, data: QueryDict | None, files: Any, kind: str) -> None:
        self.kind = kind
        super().__init__(data, files, auto_id=f"{kind}_%s")
        style_fields(self)


class ReasonForm(forms.Form):
    """Why something is done."""

    reason = forms.CharField(
        label=_("Why"), max_length=LONGEST_REASON, help_text=_("It stands in the audit and in the report.")
    )

    def __init__(self, data: QueryDict | None, *, is_required: bool = True) -> None:
        super().__init__(data)
        self.fields["reason"].required = is_required
        style_fields(self)
