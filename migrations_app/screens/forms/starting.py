"""Forms about what is to be started: which meetings, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from migrations_app.meeting_services.of_user import services_of
from migrations_app.monitoring import clock
from migrations_app.runs.plans import When, read_when
from migrations_app.targets import ALL, CURRENT, SOURCES, Targets, service_name
from tenants_app.local_times import in_words
from tenants_app.models import (
    Tenant,
)
from tenants_app.screens.forms import style_fields


class MeetingTypesForm(forms.Form):
    """Which meetings a start by hand is about, and in which service they are afterwards (R40)."""

    source_meeting_type = forms.ChoiceField(
        label=gettext_lazy("Meetings"),
        help_text=gettext_lazy(
            "With one service only, the meetings of all others are left alone, and nobody becomes up to date."
        ),
    )
    target_meeting_type = forms.ChoiceField(
        label=gettext_lazy("Afterwards they are"),
        help_text=gettext_lazy(
            "Where they are: join links stay, and what is wrong beside them is put right. In a service: meetings that "
            "are not in it get a new join link."
        ),
    )

    def __init__(self, asked: Mapping[str, Any], tenant: Tenant) -> None:
        """``asked`` may lack both types: then they are the usual ones."""
        usual = {"source_meeting_type": ALL, "target_meeting_type": CURRENT}
        super().__init__(usual | {name: asked[name] for name in usual if name in asked}, auto_id="types_%s")
        source = cast(forms.ChoiceField, self.fields["source_meeting_type"])
        only = _("Only %(service)s meetings")
        source.choices = [
            (ALL, _("All meetings")),
            *((each, only % {"service": service_name(each)}) for each in SOURCES),
        ]
        offered = [(each, _("In %(service)s") % {"service": service_name(each)}) for each in services_of(tenant)]
        target = cast(forms.ChoiceField, self.fields["target_meeting_type"])
        target.choices = [(CURRENT, _("Where they are")), *offered]
        refusal = _("%(value)s is not a meeting service of %(tenant)s: choose one that is offered.")
        target.error_messages["invalid_choice"] = refusal % {
            "value": "%(value)s",
            "tenant": tenant.name.replace("%", "%%"),
        }
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
        label=gettext_lazy("Earliest start"),
        required=False,
        widget=forms.TextInput(
            {"placeholder": gettext_lazy("Saturday 22:00"), "list": "earliest-starts", "autocomplete": "off"}
        ),
    )
    window_from = forms.CharField(
        label=gettext_lazy("Only between"),
        required=False,
        widget=forms.TextInput({"placeholder": "22:00", "autocomplete": "off"}),
        help_text=gettext_lazy("Each day. Runs that have not begun when it ends wait for the next day."),
    )
    window_to = forms.CharField(
        label=pgettext_lazy("end of the daily window", "and"),
        required=False,
        widget=forms.TextInput({"placeholder": "6:00", "autocomplete": "off"}),
    )
    notify = forms.BooleanField(
        label=gettext_lazy("Tell the organizers before"),
        required=False,
        help_text=gettext_lazy(
            "Each whose meetings change gets one mail now, with the day and how many. All are told first."
        ),
    )
    notify_cancelled = forms.BooleanField(
        label=gettext_lazy("Tell them also if it is cancelled"),
        required=False,
        help_text=gettext_lazy("Only those who were told."),
    )

    def __init__(self, asked: Mapping[str, Any], tenant: Tenant) -> None:
        given = {name: asked.get(name, "") for name in _WHEN_FIELDS}
        if "not_before" not in asked and tenant.notify_cancelled:  # nobody has seen the box yet
            given["notify_cancelled"] = "on"
        super().__init__(given, auto_id="when_%s")
        self._tenant = tenant
        self.when: When | None = None
        now = clock.now().astimezone(tenant.zone)
        self.fields["not_before"].help_text = _(
            "In %(zone)s, where it is %(time)s now. Such as tonight 22:00, Saturday 22:00, tomorrow 6:00 or "
            "2026-12-05T22:00. Empty: as soon as it can."
        ) % {"zone": in_words(tenant.zone), "time": f"{now:%H:%M}"}
        style_fields(self)

    def clean(self) -> None:
        self.when = read_when(self._tenant, self.data)

    @property
    def typed(self) -> list[tuple[str, str]]:
        """What was typed, as the parameters of an address; with an empty time too, since the form was seen."""
        return [(name, self.data[name][:100]) for name in _WHEN_FIELDS if self.data[name] or name == "not_before"]
