"""Forms of what is done with a wave."""

from __future__ import annotations

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from migrations_app.rollouts.acceptance import LONGEST_NOTE
from migrations_app.rollouts.steering import LONGEST_REASON
from tenants_app.screens.forms import style_fields


class ReasonForm(forms.Form):
    """A reason in a person's own words, which stands in the audit, the timeline and the report."""

    reason = forms.CharField(
        label=_("Reason"), max_length=LONGEST_REASON, required=False, widget=forms.Textarea({"rows": 3})
    )

    def __init__(self, data: QueryDict | None = None, *, is_required: bool = False) -> None:
        super().__init__(data)
        self.fields["reason"].required = is_required
        if not is_required:
            self.fields["reason"].label = _("Reason, if you like")
        style_fields(self)


class NoteForm(forms.Form):
    """What somebody says who accepts a wave."""

    note = forms.CharField(
        label=_("Note, if you like"), max_length=LONGEST_NOTE, required=False, widget=forms.Textarea({"rows": 3})
    )
    shown = forms.IntegerField(widget=forms.HiddenInput, min_value=0)

    def __init__(self, data: QueryDict | None = None, *, shown: int = 0) -> None:
        super().__init__(data, initial={"shown": shown})
        style_fields(self)


class ResultsForm(forms.Form):
    """What became of a list of accounts, as a file."""

    results = forms.FileField(
        label=_("File of results"),
        help_text=_("CSV with the columns UserPrincipalName, Result (moved or failed) and Message."),
    )

    def __init__(self, data: QueryDict | None = None, files: object = None) -> None:
        super().__init__(data, files)  # type: ignore[arg-type]
        style_fields(self)
