"""Forms of the page on which users are brought in."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from migrations_app.procedures import user_import as imports
from migrations_app.procedures.directory_users import Source
from tenants_app.models import MailboxConnection, Tenant
from tenants_app.screens.forms import style_fields


class UploadForm(forms.Form):
    """An upload that must be a CSV file of users."""

    file = forms.FileField(
        label=_("CSV file"),
        allow_empty_file=True,  # which is refused with more of a reason
        widget=forms.FileInput({"accept": ".csv,text/csv", "class": "form-control"}),
    )
    text = ""
    """What stands in the file, once the form is valid."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        told = gettext(
            "UTF-8, comma or semicolon, at most %(size)s MB and %(rows)s rows. The first line names the columns."
        )
        self.fields["file"].help_text = told % {
            "size": imports.MAX_OCTETS // 1024**2,
            "rows": number_format(imports.MAX_ROWS, force_grouping=True),
        }

    def clean_file(self) -> UploadedFile[bytes]:
        uploaded: UploadedFile[bytes] = self.cleaned_data["file"]
        if uploaded.size and uploaded.size > imports.MAX_OCTETS:
            told = gettext(
                "The file has %(size)s MB, and at most %(most)s MB go at once: divide it, or use import_users."
            )
            size = number_format(round(uploaded.size / 1024**2), force_grouping=True)
            raise ValidationError(told % {"size": size, "most": imports.MAX_OCTETS // 1024**2})
        self.text = imports.read(uploaded.read())
        return uploaded


class DirectoryForm(forms.Form):
    """Which users of Microsoft 365 are brought in, and by which connection."""

    connection = forms.ModelChoiceField(
        MailboxConnection.objects.none(), label=_("Connection"), help_text=_("Its application needs User.Read.All.")
    )
    group = forms.CharField(
        label=_("Group"),
        required=False,
        max_length=36,
        help_text=_("Object ID of a group; then only who is in it. The application needs GroupMember.Read.All too."),
    )
    domain = forms.CharField(
        label=_("Domain"), required=False, max_length=253, help_text=_("Such as contoso.com; then only who has it.")
    )

    def __init__(self, tenant: Tenant, data: Any = None) -> None:
        super().__init__(data, auto_id="id_directory_%s")
        found = MailboxConnection.objects.filter(tenant=tenant, kind=MailboxConnection.Kind.GRAPH)
        field = cast("forms.ModelChoiceField[MailboxConnection]", self.fields["connection"])
        field.queryset = found
        self.can_be_used = bool(found)
        if len(found) == 1:
            field.empty_label, field.initial = None, found[0]
        style_fields(self)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self.source = Source(cleaned.get("group", ""), cleaned.get("domain", ""))
        if not self.errors:
            self.source.check()
        return cleaned
