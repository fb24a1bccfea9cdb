"""Forms about tenants and users. They only read and check what was typed: ``tenants_app.changes`` saves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, cast

from django import forms
from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import QueryDict
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from tenants_app.catalogue import ON_FORM, STORED_WITH_USER
from tenants_app.changes.brought_along import left_behind
from tenants_app.changes.conference_ids import NEW_CONFERENCE_ID
from tenants_app.models import (
    Bridge,
    ConferencingUser,
    Deployment,
    MailboxConnection,
    MeetingService,
    ServiceNumber,
    Tenant,
)
from tenants_app.validators import validate_conference_id
from tenants_app.wording import alternatives, stored_provider


def style_fields(form: forms.BaseForm) -> None:
    """Give the widgets the classes of the stylesheet, and tie the help and the errors to them."""
    for name, field in form.fields.items():
        if isinstance(field.widget, forms.CheckboxInput):
            css = "form-check-input"
        else:
            css = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
        if name in form.errors:
            css += " is-invalid"
        field.widget.attrs["class"] = css


class MergingForm(forms.ModelForm[Any]):
    """A form of a stored row that saves only what was edited on the page, over whatever others saved meanwhile.

    The page carries what it showed of each field, hidden beside the field. A field that was posted as it was shown
    takes the value stored now; one that was edited, and that somebody else changed meanwhile, is refused. What the
    page claims to have shown decides nothing else: every value is checked as without it. Where it claims nothing,
    it counts as up to date.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            for field in self.fields.values():
                field.show_hidden_initial = True

    def full_clean(self) -> None:
        overtaken = self._merge() if self.is_bound and self.instance.pk else {}
        super().full_clean()
        for name, stored in overtaken.items():
            now = _in_words(self.fields[name], stored)
            told = gettext("It was changed meanwhile to %(value)s: look again and save once more.")
            self.add_error(name, told % {"value": now})

    def edited(self) -> dict[str, Any]:
        """The values that were edited on the page."""
        return {name: self.cleaned_data[name] for name in self.changed_data}

    def _merge(self) -> dict[str, str]:
        """Bring what was posted up to date. Returns the stored value of each field that others have edited too."""
        data = self.data = cast(QueryDict, self.data).copy()
        stored = {field.name: _hidden(field) for field in self}
        for field in self:
            data.setdefault(field.html_initial_name, stored[field.name])
        edited = set(self.changed_data)  # kept by Django from here on, as what differs from what the page showed
        overtaken = {}
        for field in self:
            name, now = field.name, stored[field.name]
            if name not in edited:
                data[field.html_name] = now
            elif _lines(str(data[field.html_initial_name])) != _lines(now) and field.field.has_changed(
                field.initial, field.data
            ):
                overtaken[name] = now
            data[field.html_initial_name] = now
        return overtaken


def _hidden(field: forms.BoundField) -> str:
    """The stored value as a page made now would carry it."""
    return field.field.hidden_widget().format_value(field.field.prepare_value(field.initial)) or ""


def _lines(text: str) -> str:
    """Browsers post every line break as CR LF."""
    return re.sub(r"\r\n?", "\n", text)


def _in_words(field: forms.Field, value: str) -> str:
    """What an administrator calls the value that a page carries as ``value``."""
    if isinstance(field, forms.BooleanField):
        return gettext("on") if value == "True" else gettext("off")
    if isinstance(field, forms.ChoiceField):
        choices = cast(Iterable[tuple[Any, Any]], field.choices)
        return str(next((label for key, label in choices if str(key) == value), value))
    return value or gettext("an empty text")


class TenantForm(MergingForm):
    """The tenant's limits and what its invitations say; not its switches."""

    class Meta:
        model = Tenant
        fields = [setting.field for setting in ON_FORM]
        widgets = {
            "footer_text": forms.Textarea({"rows": 3}),
            "time_zone": forms.TextInput({"list": "time-zones", "autocomplete": "off", "spellcheck": "false"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        teams = cast(forms.ModelChoiceField[Any], self.fields["teams_connection"])
        graph = MailboxConnection.Kind.GRAPH
        teams.queryset = MailboxConnection.objects.filter(tenant=self.instance.pk, kind=graph)
        teams.empty_label = gettext("None: MMS does not reach Teams")
        teams.error_messages["invalid_choice"] = gettext(
            "What was chosen is not on offer any more: choose another one."
        )
        style_fields(self)


def number_in_words(number: ServiceNumber) -> str:
    """The number with its bridge and place, as a choice."""
    return " · ".join(part for part in (number.number, number.bridge.name, number.place) if part)


class NumberField(forms.ModelChoiceField[ServiceNumber]):
    """A service number, shown with its bridge and place."""

    def label_from_instance(self, number: ServiceNumber) -> str:
        return number_in_words(number)


_LANGUAGES = {
    "en": pgettext_lazy("language in a sentence", "English"),
    "es": pgettext_lazy("language in a sentence", "Spanish"),
    "it": pgettext_lazy("language in a sentence", "Italian"),
}


def language_name(code: str) -> str:
    """A language that invitations are written in, as a sentence names it."""
    return str(_LANGUAGES.get(code, settings.MMS_INVITATION_LANGUAGES[code]))


class UserForm(MergingForm):
    """One user's settings, and whether a changed number alone should reschedule the meetings (R10)."""

    conference_id = forms.CharField(
        label=_("Conference ID"),
        required=False,
        validators=[validate_conference_id],
        widget=forms.TextInput({"maxlength": 7}),
        help_text=_("7 digits. Leave it as it is to keep it."),
    )
    reset_conference_id = forms.BooleanField(
        label=_("Give a new conference ID"),
        required=False,
        help_text=_("A free one is chosen; the old one stops working."),
    )
    reschedule_meetings = forms.BooleanField(
        label=_("Reschedule meetings"),
        required=False,
        help_text=_("A changed default number starts a run only with this."),
    )

    class Meta:
        model = ConferencingUser
        fields = STORED_WITH_USER
        field_classes = {"toll_number": NumberField, "toll_free_number": NumberField}
        labels = {"conference_id_type": _("Conference IDs are")}
        help_texts = {
            "toll_number": "",  # its empty choice says it
            "deployment": _(
                "Moves the user there, with its hosting, bridge and numbers. The account is not moved by MMS."
            ),
            "mailbox": _("Where the user's meetings are. Changing it starts no run."),
            "meeting_service": _("Hosts the meetings that are made anew. Changing it starts no run."),
        }

    def __init__(self, data: QueryDict | None, instance: ConferencingUser) -> None:
        super().__init__(data, instance=instance)
        self.fields["conference_id"].initial = instance.conference_id
        written = alternatives([language_name(code) for code in settings.MMS_INVITATION_LANGUAGES])
        told = gettext("Of the invitation: %(languages)s; others get English.")
        self.fields["language"].help_text = told % {"languages": written}
        if instance.bridge and not instance.bridge.gives_conference_ids:
            self.fields["conference_id"].help_text = gettext(
                "Empty: the meeting service hands out the IDs of this bridge."
            )
        services = cast(forms.ChoiceField, self.fields["meeting_service"])
        tenants_own = gettext("The tenant's (%(name)s)")
        service = instance.tenant.get_meeting_service_display()
        services.choices = [("", tenants_own % {"name": service}), *MeetingService.choices]
        # A number on its way off its bridge is for those only who have it already (R35).
        theirs = Q(is_leaving=False) | Q(pk__in=[instance.toll_number_id or 0, instance.toll_free_number_id or 0])
        numbers = ServiceNumber.objects.filter(theirs, tenant=instance.tenant_id).select_related("bridge")
        self._offer("bridge", Bridge.objects.filter(tenant=instance.tenant_id), gettext("No bridge"))
        connections = MailboxConnection.objects.filter(tenant=instance.tenant_id)
        self._offer("mailbox", connections, tenants_own % {"name": instance.tenant.mailbox or gettext("kept by MMS")})
        deployments = Deployment.objects.filter(tenant=instance.tenant_id)
        if deployments.exists():
            theirs = Q(retired_at=None) | Q(pk=instance.deployment_id or 0)
            self._offer("deployment", deployments.filter(theirs), gettext("No deployment"))
        else:
            del self.fields["deployment"]
        self._offer("toll_number", numbers.filter(kind=ServiceNumber.Kind.TOLL), gettext("The bridge's default number"))
        self._offer("toll_free_number", numbers.filter(kind=ServiceNumber.Kind.TOLL_FREE), gettext("None"))
        style_fields(self)

    def _offer(self, name: str, rows: QuerySet[Any], empty: str) -> None:
        field = cast(forms.ModelChoiceField[Any], self.fields[name])
        field.queryset = rows
        field.empty_label = empty
        field.error_messages["invalid_choice"] = gettext(
            "What was chosen is not on offer any more: choose another one."
        )

    def clean_conferencing_provider(self) -> str:
        return stored_provider(self.cleaned_data["conferencing_provider"])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        edited = {name: cleaned[name] for name in self.changed_data if name in cleaned}
        return cleaned | left_behind(self.instance, edited)

    def edited(self) -> dict[str, Any]:
        """The values that were edited on the page, as ``changes.change_user`` takes them."""
        asked = {"conference_id", "reset_conference_id", "reschedule_meetings"}
        values = {name: value for name, value in super().edited().items() if name not in asked}
        if self.cleaned_data["reset_conference_id"]:
            values["conference_id"] = NEW_CONFERENCE_ID
        elif "conference_id" in self.changed_data:
            values["conference_id"] = self.cleaned_data["conference_id"]
        return values
