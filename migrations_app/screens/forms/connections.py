"""Forms about mailbox connections and mail servers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict

from tenants_app.csv_files.cells import decoded
from tenants_app.csv_files.sign_ins import COLUMNS as SIGN_IN_COLUMNS
from tenants_app.csv_files.sign_ins import read_sign_ins
from tenants_app.models import (
    ConferencingUser,
    MailboxConnection,
    MailServerConnection,
    Tenant,
)
from tenants_app.screens.forms import MergingForm, style_fields

_CONNECTION_FIELDS = (
    "address",
    "username",
    "path_template",
    "calendars",
    "who_tells",
    "most_requests",
    "ca_certificates",
)
_CERTIFICATES = {"ca_certificates": forms.Textarea({"rows": 3, "spellcheck": "false"})}


class _Password(forms.CharField):
    """A password that is typed in and never shown again."""

    def __init__(self, help_text: str) -> None:
        widget = forms.PasswordInput({"autocomplete": "new-password"})
        super().__init__(label="Password", required=False, strip=False, widget=widget, help_text=help_text)


class NewConnectionForm(forms.ModelForm[MailboxConnection]):
    """A mailbox connection that is not there yet."""

    password = _Password("Of the service account. It is kept encrypted and never shown again.")
    make_default = forms.BooleanField(
        label="For all users who have no other mailbox",
        required=False,
        help_text="Their invitations are unknown to MMS until their next run, so they are out of date.",
    )

    class Meta:
        model = MailboxConnection
        fields = ["name", "address", "username", "path_template", "calendars", "who_tells", "ca_certificates"]
        widgets = _CERTIFICATES

    field_order = [
        "name",
        "address",
        "username",
        "password",
        "path_template",
        "calendars",
        "who_tells",
        "ca_certificates",
    ]

    def __init__(self, data: QueryDict | None, tenant: Tenant) -> None:
        self.tenant = tenant
        super().__init__(data, auto_id="new_connection_%s")
        self.fields["address"].required = True
        style_fields(self)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        there = MailboxConnection.objects.filter(tenant=self.tenant, name__iexact=name).first()
        if there:
            raise ValidationError(f"There is a connection {there} already: choose another name, or open that one.")
        return name

    def _post_clean(self) -> None:
        """The change itself checks the row: it knows what belongs together."""


class ConnectionForm(MergingForm):
    """A connection's settings. Its name is how commands and files know it, so it stays."""

    password = _Password("Empty: the one that is stored stays.")

    class Meta:
        model = MailboxConnection
        fields = _CONNECTION_FIELDS
        widgets = _CERTIFICATES

    def __init__(self, data: QueryDict | None, instance: MailboxConnection) -> None:
        super().__init__(data, instance=instance, auto_id="connection_%s")
        self.fields["password"].show_hidden_initial = False
        self.fields["address"].required = True
        self.order_fields(["address", "username", "password"])
        style_fields(self)

    def edited(self) -> dict[str, Any]:
        """What was edited, as ``changes.change_connection`` takes it; without a user name there is no password."""
        values = super().edited()
        if not values.get("password"):
            values.pop("password", None)
        if "username" in values and not values["username"]:
            values["password"] = ""
        return values

    def _post_clean(self) -> None:
        """The change itself checks the row: it knows what belongs together."""


class TryForm(forms.Form):
    """On whose mailbox a connection is tried."""

    user = forms.CharField(
        label="User principal name",
        max_length=320,
        help_text="Nothing is changed in this mailbox, and nobody is told anything.",
        widget=forms.TextInput({"placeholder": "anna@contoso.com", "autocomplete": "off"}),
    )

    def __init__(self, data: QueryDict | None, tenant: Tenant) -> None:
        self.tenant = tenant
        super().__init__(data, auto_id="try_%s")
        style_fields(self)

    def clean_user(self) -> ConferencingUser:
        upn = self.cleaned_data["user"].strip()
        found = ConferencingUser.objects.with_upns(self.tenant, [upn]).select_related("tenant").first()
        if found is None:
            raise ValidationError(f"{self.tenant.name} has no user {upn}: correct the name.")
        return found


class SignInsForm(forms.Form):
    """A CSV file of users' own sign-ins."""

    file = forms.FileField(
        label="CSV file",
        widget=forms.FileInput({"accept": ".csv,text/csv"}),
        help_text=f"UTF-8, with the columns {', '.join(SIGN_IN_COLUMNS)}. An empty user name is the user principal "
        "name; an empty password removes the sign-in. The file itself is not kept.",
    )

    def __init__(self, data: QueryDict | None = None, files: Any = None) -> None:
        super().__init__(data, files, auto_id="sign_ins_%s")
        style_fields(self)

    def clean_file(self) -> list[tuple[str, str, str]]:
        """The rows of the file."""
        return read_sign_ins(decoded(self.cleaned_data["file"].read()))


class MailServerForm(MergingForm):
    """By which mail server a tenant's messages go out, within which limits and in whose name."""

    password = _Password("It is kept encrypted and never shown again. Empty: the one that is stored stays.")

    class Meta:
        model = MailServerConnection
        fields = [
            "sender_mode",
            "sender",
            "dkim_selectors",
            "host",
            "port",
            "security",
            "username",
            "password",
            "messages_per_minute",
            "per_domain_per_minute",
            "ca_certificates",
        ]
        widgets = _CERTIFICATES

    field_order = Meta.fields

    def __init__(self, data: QueryDict | None, instance: MailServerConnection) -> None:
        super().__init__(data, instance=instance, auto_id="mail_%s")
        self.fields["password"].show_hidden_initial = False
        style_fields(self)

    def edited(self) -> dict[str, Any]:
        """What was edited, as ``changes.change_mail_server`` takes it."""
        values = super().edited()
        if not values.get("password"):
            values.pop("password", None)
        return values

    def _post_clean(self) -> None:
        """The change itself checks the row: it knows what belongs together."""
