"""Forms about bridges, numbers, mail servers and alerts. They only read and check what was typed: others save it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.http import urlencode

from migrations_app.alerts.kinds import BY_DEFAULT, KINDS
from migrations_app.mail.notice_texts import Text, checked
from migrations_app.meeting_services.of_user import services_of
from migrations_app.models import AlertSettings
from migrations_app.monitoring import clock
from migrations_app.procedures.number_release import LONGEST_REASON, check_not_default, check_release
from migrations_app.runs.plans import When, read_when
from migrations_app.targets import ALL, CURRENT, SOURCES, Targets, service_name
from tenants_app.csv_files.cells import decoded
from tenants_app.csv_files.sign_ins import COLUMNS as SIGN_IN_COLUMNS
from tenants_app.csv_files.sign_ins import read_sign_ins
from tenants_app.local_times import in_words
from tenants_app.models import (
    Bridge,
    ConferencingUser,
    MailboxConnection,
    MailServerConnection,
    ServiceNumber,
    Tenant,
)
from tenants_app.screens.forms import MergingForm, style_fields
from tenants_app.validators import validate_e164
from tenants_app.wording import stored_provider

_PROVIDER_HELP = "Empty: Microsoft. MMS cannot migrate users on a bridge of anybody else."
_IDS_HELP = "MMS may hand them out only where the bridge learns them from MMS."


class E164Field(forms.CharField):
    """A telephone number; separators and ``tel:`` may stand in it, as in commands."""

    default_validators = [validate_e164]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            max_length=40, widget=forms.TextInput({"type": "tel", "placeholder": "+14255550100"}), **kwargs
        )

    def to_python(self, value: Any) -> str:
        return re.sub(r"[\s().-]", "", (super().to_python(value) or "").removeprefix("tel:"))


class NewBridgeForm(forms.Form):
    """A bridge that is not there yet."""

    name = forms.CharField(label="Name", max_length=100)
    provider = forms.CharField(label="Provider", max_length=100, required=False, help_text=_PROVIDER_HELP)
    conference_ids_from = forms.ChoiceField(
        label="Conference IDs from", choices=Bridge.ConferenceIdsFrom.choices, help_text=_IDS_HELP
    )
    make_default = forms.BooleanField(
        label="Make it the default bridge",
        required=False,
        help_text="The one that a user without a bridge gets with the licence.",
    )

    def __init__(self, data: QueryDict | None, tenant: Tenant) -> None:
        self.tenant = tenant
        super().__init__(data, auto_id="new_bridge_%s")
        style_fields(self)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        there = Bridge.objects.filter(tenant=self.tenant, name__iexact=name).first()
        if there:
            raise ValidationError(f"There is a bridge {there} already: choose another name, or open that one.")
        return name

    def clean_provider(self) -> str:
        return stored_provider(self.cleaned_data["provider"])


class BridgeForm(MergingForm):
    """A bridge's own settings. Its name is how commands and files know it, so it stays."""

    class Meta:
        model = Bridge
        fields = ["provider", "conference_ids_from"]
        help_texts = {"provider": _PROVIDER_HELP, "conference_ids_from": _IDS_HELP}

    def __init__(self, data: QueryDict | None, instance: Bridge) -> None:
        super().__init__(data, instance=instance, auto_id="bridge_%s")
        style_fields(self)

    def clean_provider(self) -> str:
        return stored_provider(self.cleaned_data["provider"])


class NewNumberForm(forms.Form):
    """A number that is to be registered on the bridge."""

    number = E164Field(label="Number")
    kind = forms.ChoiceField(label="Type", choices=ServiceNumber.Kind.choices)
    country = forms.CharField(label="Country", max_length=100, required=False)
    city = forms.CharField(label="City", max_length=100, required=False)
    make_default = forms.BooleanField(
        label="Make it the default number",
        required=False,
        help_text="For users without a toll number of their own. The first toll number becomes it anyway.",
    )

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="new_number_%s")
        style_fields(self)


class PlaceForm(MergingForm):
    """The place that invitations show beside a number."""

    class Meta:
        model = ServiceNumber
        fields = ["country", "city"]

    def __init__(self, data: QueryDict | None, instance: ServiceNumber) -> None:
        super().__init__(data, instance=instance, auto_id="place_%s")
        style_fields(self)


class _NumberOfTheBridge(forms.ModelChoiceField[ServiceNumber]):
    def label_from_instance(self, number: ServiceNumber) -> str:
        role = "default" if number.is_default else ""
        return " · ".join(part for part in (number.number, number.place, role) if part)


class SuccessorForm(forms.Form):
    """Which number takes the place of ``number``. What prevents any is an error of the form, not of a field."""

    field = ""
    """The name of the field that it is chosen in."""

    def __init__(self, data: QueryDict | None, number: ServiceNumber, auto_id: str) -> None:
        self.number = number
        super().__init__(data, auto_id=auto_id)
        self.prepare(self.fields[self.field])
        style_fields(self)

    def prepare(self, field: Any) -> None:
        """Fit the field to the number."""

    def successor(self) -> ServiceNumber | None:
        """The number that was chosen; None for one that is still to be registered."""
        raise NotImplementedError

    def check_number(self) -> None:
        """Raise ``ValidationError`` where nothing can take the number's place now."""
        check_release(self.number.tenant, self.number, None)

    def clean(self) -> dict[str, Any] | None:
        try:
            self.check_number()
            if self.field in self.cleaned_data:
                check_release(self.number.tenant, self.number, self.successor())
        except ValidationError as error:
            about = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
            for name, sentences in about.items():
                self.add_error(self.field if name == "replacement" else None, sentences)
        return self.cleaned_data


class ReleaseAnywayForm(forms.Form):
    """Why a number is released although it is held, and what of that was on the page."""

    reason = forms.CharField(
        label="Why it is released all the same",
        max_length=LONGEST_REASON,
        widget=forms.Textarea({"rows": 3}),
        help_text="It stands in the audit, with what still held the number.",
        error_messages={"required": "Say why it is released although it is still shown: the audit keeps it."},
    )
    seen = forms.CharField(max_length=100, required=False, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="anyway_%s")
        style_fields(self)


class TakeOffForm(SuccessorForm):
    """For a number that is to be taken off its bridge: another of the bridge and the same kind (R33)."""

    field = "replacement"
    replacement = _NumberOfTheBridge(queryset=ServiceNumber.objects.none(), empty_label="Choose a number")

    def __init__(self, data: QueryDict | None, number: ServiceNumber) -> None:
        super().__init__(data, number, "take_off_%s")

    def prepare(self, field: Any) -> None:
        number, kind = self.number, self.number.get_kind_display().lower()
        of_the_bridge = ServiceNumber.objects.filter(tenant=number.tenant_id, bridge=number.bridge_id, kind=number.kind)
        field.label = f"The {kind} number that takes its place"
        field.queryset = of_the_bridge.filter(is_leaving=False).exclude(pk=number.pk)
        field.error_messages = {
            "required": f"Choose the number that takes the place of {number}.",
            "invalid_choice": f"Choose one of the other {kind} numbers of {number.bridge}.",
        }

    @property
    def has_choices(self) -> bool:
        replacement = cast(_NumberOfTheBridge, self.fields["replacement"])
        return replacement.queryset is not None and replacement.queryset.exists()

    def successor(self) -> ServiceNumber | None:
        return cast(ServiceNumber, self.cleaned_data["replacement"])

    def check_number(self) -> None:
        super().check_number()
        check_not_default(self.number)


class ReplaceForm(SuccessorForm):
    """For a number that is to be replaced for everyone: another of the bridge, or a new one."""

    field = "by"
    by = E164Field(label="The number that takes its place")

    def __init__(self, data: QueryDict | None, number: ServiceNumber) -> None:
        super().__init__(data, number, "replace_%s")

    def prepare(self, field: Any) -> None:
        kind = self.number.get_kind_display().lower()
        field.error_messages["required"] = f"Give the number that takes the place of {self.number}."
        field.help_text = f"A {kind} number of {self.number.bridge}, or a new one, which is registered there."

    def successor(self) -> ServiceNumber | None:
        known = ServiceNumber.objects.filter(tenant=self.number.tenant_id, number=self.cleaned_data["by"])
        return known.select_related("bridge").first()


class MeetingTypesForm(forms.Form):
    """Which meetings a start by hand is about, and in which service they are afterwards (R40)."""

    source_meeting_type = forms.ChoiceField(
        label="Meetings",
        choices=[(ALL, "All meetings"), *((each, f"Only {service_name(each)} meetings") for each in SOURCES)],
        help_text="With one service only, the meetings of all others are left alone, and nobody becomes up to date.",
    )
    target_meeting_type = forms.ChoiceField(
        label="Afterwards they are",
        help_text="Where they are: join links stay, and what is wrong beside them is put right. In a service: meetings "
        "that are not in it get a new join link.",
    )

    def __init__(self, asked: Mapping[str, Any], tenant: Tenant) -> None:
        """``asked`` may lack both types: then they are the usual ones."""
        usual = {"source_meeting_type": ALL, "target_meeting_type": CURRENT}
        super().__init__(usual | {name: asked[name] for name in usual if name in asked}, auto_id="types_%s")
        offered = [(each, f"In {service_name(each)}") for each in services_of(tenant)]
        target = cast(forms.ChoiceField, self.fields["target_meeting_type"])
        target.choices = [(CURRENT, "Where they are"), *offered]
        target.error_messages["invalid_choice"] = (
            f"%(value)s is not a meeting service of {tenant.name}: choose one that is offered."
        )
        style_fields(self)

    def targets(self) -> Targets | None:
        """What was chosen; None for the usual types, and for what cannot be chosen."""
        if not self.is_valid() or not self.is_special:
            return None
        return Targets.of_types(self.cleaned_data["source_meeting_type"], self.cleaned_data["target_meeting_type"])

    @property
    def asked(self) -> str:
        """What was chosen, as the query of an address; "" for the usual types, and for what cannot be chosen."""
        return f"?{urlencode(self.cleaned_data)}" if self.targets() else ""

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """The types as the parameters of an address or a form."""
        return [(name, self[name].value() or "") for name in self.fields]

    @property
    def is_special(self) -> bool:
        """Whether other types than the usual ones were asked for."""
        return (self.data["source_meeting_type"], self.data["target_meeting_type"]) != (ALL, CURRENT)


_WHEN_FIELDS = ("not_before", "window_from", "window_to", "notify", "notify_cancelled")


class WhenForm(forms.Form):
    """An earliest start and a daily window, typed as people say them, in the tenant's time zone; and whether the
    organizers are told before."""

    not_before = forms.CharField(
        label="Earliest start",
        required=False,
        widget=forms.TextInput({"placeholder": "Saturday 22:00", "list": "earliest-starts", "autocomplete": "off"}),
    )
    window_from = forms.CharField(
        label="Only between",
        required=False,
        widget=forms.TextInput({"placeholder": "22:00", "autocomplete": "off"}),
        help_text="Each day. Runs that have not begun when it ends wait for the next day.",
    )
    window_to = forms.CharField(
        label="and", required=False, widget=forms.TextInput({"placeholder": "6:00", "autocomplete": "off"})
    )
    notify = forms.BooleanField(
        label="Tell the organizers before",
        required=False,
        help_text="Each whose meetings change gets one mail now, with the day and how many. All are told first.",
    )
    notify_cancelled = forms.BooleanField(
        label="Tell them also if it is cancelled",
        required=False,
        help_text="Only those who were told.",
    )

    def __init__(self, asked: Mapping[str, Any], tenant: Tenant) -> None:
        given = {name: asked.get(name, "") for name in _WHEN_FIELDS}
        if "not_before" not in asked and tenant.notify_cancelled:  # nobody has seen the box yet
            given["notify_cancelled"] = "on"
        super().__init__(given, auto_id="when_%s")
        self._tenant = tenant
        self.when: When | None = None
        now = clock.now().astimezone(tenant.zone)
        self.fields["not_before"].help_text = (
            f"In {in_words(tenant.zone)}, where it is {now:%H:%M} now. Such as tonight 22:00, Saturday 22:00, tomorrow "
            "6:00 or 2026-12-05T22:00. Empty: as soon as it can."
        )
        style_fields(self)

    def clean(self) -> None:
        self.when = read_when(self._tenant, self.data)

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What was typed, as the parameters of an address; with an empty time too, since the form was seen."""
        return [(name, self.data[name][:100]) for name in _WHEN_FIELDS if self.data[name] or name == "not_before"]


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


class AlertForm(MergingForm):
    """Whom a tenant's alerts go to, about what, and when."""

    class Meta:
        model = AlertSettings
        fields = [
            *("recipients", "webhook_url", "pause_minutes"),
            *("quiet_from", "quiet_until", "quiet_weekends", "breaks_quiet"),
        ]
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
            label=kind.label, help_text=kind.help, required=False, initial=name in watched
        )
        for name, kind in KINDS.items()
    }


class NoticeTextForm(forms.Form):
    """What a tenant's notices of a kind say in one language."""

    subject = forms.CharField(required=False, strip=False)
    body = forms.CharField(
        label="Text",
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
