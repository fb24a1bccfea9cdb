"""Forms about mailbox connections and mail servers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from tenants_app.changes.mailbox_kinds import FIELDS
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

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

Kind = MailboxConnection.Kind
_SETTINGS = [
    "name",
    "address",
    "autodiscover",
    "cloud",
    "directory_id",
    "username",
    "sign_in_by",
    "secret_expires_at",
    "path_template",
    "calendars",
    "who_tells",
    "ca_certificates",
]
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    Kind.CALDAV: ("address",),
    Kind.GRAPH: ("directory_id", "username"),
    Kind.EXCHANGE: ("username",),
}
_WORDS: Mapping[str, Mapping[str, tuple[_StrOrPromise, _StrOrPromise]]] = {
    Kind.GRAPH: {
        "username": (_("Application (client) ID"), _("Of the app registration in Microsoft Entra: a GUID.")),
        "password": (
            _("Client secret"),
            _("Its value, where there is no certificate. It is kept encrypted."),
        ),
    },
    Kind.EXCHANGE: {
        "address": (_("EWS address"), _("Such as https://mail.contoso.com/EWS/Exchange.asmx.")),
        "autodiscover": ("", _("Instead of the address. The password then goes to the server that the domain names.")),
        "username": ("", _("Of a service account with the role ApplicationImpersonation.")),
    },
}
"""Labels and hints that are others than the model's."""
_MOST_OCTETS = 100_000
"""Of a certificate with its key."""
_CERTIFICATES = {"ca_certificates": forms.Textarea({"rows": 3, "spellcheck": "false"})}


class _Password(forms.CharField):
    """A password that is typed in and never shown again."""

    def __init__(self, help_text: _StrOrPromise) -> None:
        widget = forms.PasswordInput({"autocomplete": "new-password"})
        super().__init__(label=_("Password"), required=False, strip=False, widget=widget, help_text=help_text)


class _DayField(forms.DateField):
    """A day; stored is its end."""

    def __init__(self) -> None:
        widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")
        super().__init__(
            label=_("Client secret ends"),
            required=False,
            widget=widget,
            help_text=_(
                "Microsoft shows it beside the secret; MMS warns 30 days before. Of a certificate MMS reads it."
            ),
        )

    def prepare_value(self, value: Any) -> Any:
        return timezone.localdate(value).isoformat() if isinstance(value, datetime) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(timezone.localdate(initial) if isinstance(initial, datetime) else initial, data)


def _end_of(day: date | None) -> datetime | None:
    return None if day is None else timezone.make_aware(datetime.combine(day, time.max.replace(microsecond=0)))


class _OfOneKind(forms.ModelForm[MailboxConnection]):
    """What the forms of a connection share: the fields that its kind has, in the words of that kind."""

    kind: str

    def _fit(self, kind: str, *more: str) -> None:
        """Leave the fields of the kind alone, in the order in which they are filled in."""
        self.kind = kind
        names = ["name", *FIELDS[kind], *more]
        after = names.index("username" if kind != Kind.GRAPH else "secret_expires_at")
        if kind == Kind.GRAPH:
            names[after:after] = ["certificate", "password"]
        else:
            names.insert(after + 1, "password")
        for name in set(self.fields) - set(names):
            del self.fields[name]
        for name, (label, hint) in _WORDS.get(kind, {}).items():
            self.fields[name].label = label or self.fields[name].label
            self.fields[name].help_text = hint
        for name in _REQUIRED[kind]:
            self.fields[name].required = True
        self.order_fields(names)
        style_fields(self)

    def clean_certificate(self) -> str:
        """The text of the file."""
        file = self.cleaned_data["certificate"]
        if not file:
            return ""
        octets = file.read(_MOST_OCTETS)
        if b"-----BEGIN" not in octets or len(octets) == _MOST_OCTETS or not octets.isascii():
            raise ValidationError(gettext("Give a file in PEM form, with the private key and its certificate."))
        text: str = octets.decode("ascii")
        return text

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if cleaned.get("certificate") and cleaned.get("password"):
            raise ValidationError({"certificate": gettext("Give a certificate or a client secret, not both.")})
        return cleaned

    def add_error(self, field: str | None, error: Any) -> None:
        """What is wrong with a certificate is said beside its file."""
        if field == "password" and self.files.get("certificate"):
            field = "certificate"
        super().add_error(field, error)

    def _as_taken(self, values: dict[str, Any]) -> dict[str, Any]:
        """As the changes take it: a certificate is the connection's secret, and a day has an end."""
        certificate = values.pop("certificate", "")
        if certificate:
            values["password"] = certificate
        if "secret_expires_at" in values:
            values["secret_expires_at"] = _end_of(values["secret_expires_at"])
        return values

    def _post_clean(self) -> None:
        """The change itself checks the row: it knows what belongs together."""


def _certificate_field() -> forms.FileField:
    return forms.FileField(
        label=_("Private key and certificate"),
        required=False,
        widget=forms.FileInput({"accept": ".pem,.crt,.key,.txt"}),
        help_text=_(
            "One file in PEM form; upload the certificate alone to the app registration too. It is kept "
            "encrypted, and never shown again."
        ),
    )


class NewConnectionForm(_OfOneKind):
    """A mailbox connection of one kind that is not there yet."""

    certificate = _certificate_field()
    password = _Password(_("Of the service account. It is kept encrypted and never shown again."))
    secret_expires_at = _DayField()
    make_default = forms.BooleanField(
        label=_("For all users who have no other mailbox"),
        required=False,
        help_text=_("Their invitations are unknown to MMS until their next run, so they are out of date."),
    )

    class Meta:
        model = MailboxConnection
        fields = _SETTINGS
        widgets = _CERTIFICATES

    def __init__(self, data: QueryDict | None, files: Any, *, tenant: Tenant, kind: str) -> None:
        self.tenant = tenant
        told = gettext("Connect a CalDAV server") if kind == Kind.CALDAV else gettext("Connect %(kind)s")
        self.title = told % {"kind": Kind(kind).label}
        super().__init__(data, files, auto_id="new_connection_%s")
        self._fit(kind, "make_default")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"].strip()
        there = MailboxConnection.objects.filter(tenant=self.tenant, name__iexact=name).first()
        if there:
            told = gettext("There is a connection %(name)s already: choose another name, or open that one.")
            raise ValidationError(told % {"name": there})
        return name

    def entered(self) -> dict[str, Any]:
        """What was entered, as ``changes.create_connection`` takes it."""
        return self._as_taken({**self.cleaned_data, "kind": self.kind})


class ConnectionForm(_OfOneKind, MergingForm):
    """A connection's settings. Its name is how commands and files know it, so it stays; and so does its kind."""

    certificate = _certificate_field()
    password = _Password(_("Empty: the one that is stored stays."))
    secret_expires_at = _DayField()

    class Meta:
        model = MailboxConnection
        fields = [*(name for name in _SETTINGS if name != "name"), "most_requests"]
        widgets = _CERTIFICATES

    def __init__(self, data: QueryDict | None, files: Any, *, instance: MailboxConnection) -> None:
        super().__init__(data, files, instance=instance, auto_id="connection_%s")
        for name in ("password", "certificate"):
            self.fields[name].show_hidden_initial = False
        if instance.certificate_fingerprint:
            self.initial["secret_expires_at"] = None  # it is the certificate's, and no date that somebody could enter
        self._fit(instance.kind, "most_requests")

    def edited(self) -> dict[str, Any]:
        """What was edited, as ``changes.change_connection`` takes it; without a user name there is no password."""
        values = self._as_taken(super().edited())
        if not values.get("password"):
            values.pop("password", None)
        if "username" in values and not values["username"]:
            values["password"] = ""
        return values


class TryForm(forms.Form):
    """On whose mailbox a connection is tried."""

    user = forms.CharField(
        label=_("User principal name"),
        max_length=320,
        help_text=_("Nothing is changed in this mailbox, and nobody is told anything."),
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
            told = gettext("%(tenant)s has no user %(upn)s: correct the name.")
            raise ValidationError(told % {"tenant": self.tenant.name, "upn": upn})
        return found


class SignInsForm(forms.Form):
    """A CSV file of users' own sign-ins."""

    file = forms.FileField(
        label=_("CSV file"),
        widget=forms.FileInput({"accept": ".csv,text/csv"}),
    )

    def __init__(self, data: QueryDict | None = None, files: Any = None) -> None:
        super().__init__(data, files, auto_id="sign_ins_%s")
        told = gettext(
            "UTF-8, with the columns %(columns)s. An empty user name is the user principal name; an empty password "
            "removes the sign-in. The file itself is not kept."
        )
        self.fields["file"].help_text = told % {"columns": ", ".join(SIGN_IN_COLUMNS)}
        style_fields(self)

    def clean_file(self) -> list[tuple[str, str, str]]:
        """The rows of the file."""
        return read_sign_ins(decoded(self.cleaned_data["file"].read()))


class MailServerForm(MergingForm):
    """By which mail server a tenant's messages go out, within which limits and in whose name."""

    password = _Password(_("It is kept encrypted and never shown again. Empty: the one that is stored stays."))

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
