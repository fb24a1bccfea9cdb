"""Forms about bridges and service numbers."""

from __future__ import annotations

import re
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from migrations_app.procedures.number_release import (
    LONGEST_REASON,
    check_not_default,
    check_release,
    check_replacement,
)
from tenants_app.models import (
    Bridge,
    Deployment,
    ServiceNumber,
    Tenant,
)
from tenants_app.screens.forms import MergingForm, style_fields
from tenants_app.validators import validate_e164
from tenants_app.wording import stored_provider

_PROVIDER_HELP = _("Empty: Microsoft. MMS cannot migrate users on a bridge of anybody else.")
_IDS_HELP = _("MMS may hand them out only where the bridge learns them from MMS.")


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

    name = forms.CharField(label=_("Name"), max_length=100)
    provider = forms.CharField(label=_("Provider"), max_length=100, required=False, help_text=_PROVIDER_HELP)
    conference_ids_from = forms.ChoiceField(
        label=_("Conference IDs from"), choices=Bridge.ConferenceIdsFrom.choices, help_text=_IDS_HELP
    )
    make_default = forms.BooleanField(
        label=_("Make it the default bridge"),
        required=False,
        help_text=_("The one that a user without a bridge gets with the licence."),
    )

    def __init__(self, data: QueryDict | None, tenant: Tenant) -> None:
        self.tenant = tenant
        super().__init__(data, auto_id="new_bridge_%s")
        style_fields(self)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        there = Bridge.objects.filter(tenant=self.tenant, name__iexact=name).first()
        if there:
            told = gettext("There is a bridge %(name)s already: choose another name, or open that one.")
            raise ValidationError(told % {"name": there})
        return name

    def clean_provider(self) -> str:
        return stored_provider(self.cleaned_data["provider"])


class BridgeForm(MergingForm):
    """A bridge's own settings. Its name is how commands and files know it, so it stays."""

    class Meta:
        model = Bridge
        fields = ["provider", "conference_ids_from", "deployment"]
        help_texts = {"provider": _PROVIDER_HELP, "conference_ids_from": _IDS_HELP}

    def __init__(self, data: QueryDict | None, instance: Bridge) -> None:
        super().__init__(data, instance=instance, auto_id="bridge_%s")
        offered = Deployment.objects.filter(tenant=instance.tenant_id)
        if offered.exists():
            deployments = cast(forms.ModelChoiceField[Any], self.fields["deployment"])
            deployments.queryset, deployments.empty_label = offered, gettext("No deployment")
        else:
            del self.fields["deployment"]
        style_fields(self)

    def clean_provider(self) -> str:
        return stored_provider(self.cleaned_data["provider"])


class NewNumberForm(forms.Form):
    """A number that is to be registered on the bridge."""

    number = E164Field(label=_("Number"))
    kind = forms.ChoiceField(label=_("Type"), choices=ServiceNumber.Kind.choices)
    country = forms.CharField(label=_("Country"), max_length=100, required=False)
    city = forms.CharField(label=_("City"), max_length=100, required=False)
    make_default = forms.BooleanField(
        label=_("Make it the default number"),
        required=False,
        help_text=_("For users without a toll number of their own. The first toll number becomes it anyway."),
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
        role = gettext("default") if number.is_default else ""
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
            if self.field in self.cleaned_data and (successor := self.successor()):
                check_replacement(self.number, successor)
        except ValidationError as error:
            about = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
            for name, sentences in about.items():
                self.add_error(self.field if name == "replacement" else None, sentences)
        return self.cleaned_data


class ReleaseAnywayForm(forms.Form):
    """Why a number is released although it is held, and what of that was on the page."""

    reason = forms.CharField(
        label=_("Why it is released all the same"),
        max_length=LONGEST_REASON,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("It stands in the audit, with what still held the number."),
        error_messages={"required": _("Say why it is released although it is still shown: the audit keeps it.")},
    )
    seen = forms.CharField(max_length=100, required=False, widget=forms.HiddenInput)

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="anyway_%s")
        style_fields(self)


class TakeOffForm(SuccessorForm):
    """For a number that is to be taken off its bridge: another of the bridge and the same kind (R33)."""

    field = "replacement"
    replacement = _NumberOfTheBridge(queryset=ServiceNumber.objects.none(), empty_label=_("Choose a number"))

    def __init__(self, data: QueryDict | None, number: ServiceNumber) -> None:
        super().__init__(data, number, "take_off_%s")

    def prepare(self, field: Any) -> None:
        number, is_toll = self.number, self.number.kind == ServiceNumber.Kind.TOLL
        of_the_bridge = ServiceNumber.objects.filter(tenant=number.tenant_id, bridge=number.bridge_id, kind=number.kind)
        field.label = gettext("The toll-free number that takes its place")
        choose = gettext("Choose one of the other toll-free numbers of %(bridge)s.")
        if is_toll:
            field.label = gettext("The toll number that takes its place")
            choose = gettext("Choose one of the other toll numbers of %(bridge)s.")
        field.queryset = of_the_bridge.filter(is_leaving=False).exclude(pk=number.pk)
        required = gettext("Choose the number that takes the place of %(number)s.")
        field.error_messages = {
            "required": required % {"number": number},
            "invalid_choice": choose % {"bridge": number.bridge},
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
    by = E164Field(label=_("The number that takes its place"))

    def __init__(self, data: QueryDict | None, number: ServiceNumber) -> None:
        super().__init__(data, number, "replace_%s")

    def prepare(self, field: Any) -> None:
        required = gettext("Give the number that takes the place of %(number)s.")
        field.error_messages["required"] = required % {"number": self.number}
        told = gettext("A toll-free number of %(bridge)s, or a new one, which is registered there.")
        if self.number.kind == ServiceNumber.Kind.TOLL:
            told = gettext("A toll number of %(bridge)s, or a new one, which is registered there.")
        field.help_text = told % {"bridge": self.number.bridge}

    def successor(self) -> ServiceNumber | None:
        known = ServiceNumber.objects.filter(tenant=self.number.tenant_id, number=self.cleaned_data["by"])
        return known.select_related("bridge").first()
