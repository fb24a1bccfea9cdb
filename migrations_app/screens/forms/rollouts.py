"""Forms about rollouts, their waves and members. They only read what was typed: ``rollouts`` checks and saves it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from migrations_app.models import BridgeMapping, NumberMapping, Rollout, Wave
from migrations_app.rollouts.members import MOST_BY_HAND
from tenants_app.access import Access
from tenants_app.bulk import batched
from tenants_app.csv_files.cells import decoded
from tenants_app.local_times import place_names, read_moment
from tenants_app.models import Bridge, ConferencingUser, Deployment, SavedFilter, ServiceNumber
from tenants_app.screens.forms import number_in_words, style_fields

_BATCHES_HELP = _("How many members move at a time, such as 1, 10, 100; the last repeats. Empty: 1, 10, 100, 500.")


class NewRolloutForm(forms.Form):
    """A rollout that is not there yet."""

    name = forms.CharField(label=_("Name"), max_length=100)
    legacy = forms.ModelChoiceField(
        Deployment.objects.none(), label=_("From the legacy deployment"), empty_label=_("Choose one")
    )
    new = forms.ModelChoiceField(
        Deployment.objects.none(), label=_("To the new deployment"), empty_label=_("Choose one")
    )

    def __init__(self, data: QueryDict | None, access: Access) -> None:
        super().__init__(data, auto_id="new_rollout_%s")
        theirs = Deployment.objects.filter(tenant=access.tenant, retired_at=None)
        self.fields["legacy"].queryset = theirs.filter(role=Deployment.Role.LEGACY)  # type: ignore[attr-defined]
        self.fields["new"].queryset = theirs.filter(role=Deployment.Role.NEW)  # type: ignore[attr-defined]
        style_fields(self)


class EditingForm(forms.Form):
    """A form that saves only what was edited on the page: what others changed meanwhile stays."""

    def __init__(self, data: QueryDict | None, initial: Mapping[str, Any], auto_id: str) -> None:
        super().__init__(data, initial=dict(initial), auto_id=auto_id)
        self.offer()
        for field in self.fields.values():
            field.show_hidden_initial = True
        style_fields(self)

    def offer(self) -> None:
        """Fill in the choices of fields, before anything is checked; by default there are none."""

    def edited(self) -> dict[str, Any]:
        """The values that were edited."""
        return {name: self.cleaned_data[name] for name in self.changed_data}


class RolloutForm(EditingForm):
    """What can be set of a rollout at any time."""

    name = forms.CharField(label=_("Name"), max_length=100)
    batches = forms.CharField(label=_("Batch sizes"), max_length=300, required=False, help_text=_BATCHES_HELP)
    max_failed_percent = forms.IntegerField(
        label=_("Stop above this percentage of failed members"),
        min_value=0,
        max_value=100,
        help_text=_("Of those who have finished. 0: at the first who fails."),
    )
    min_finished = forms.IntegerField(
        label=_("Once so many have finished"),
        min_value=1,
        max_value=1_000_000,
        help_text=_("Before, the percentage does not count, unless the wave is smaller."),
    )
    max_failed_in_a_row = forms.IntegerField(
        label=_("Stop after so many failed in a row"), min_value=1, max_value=1_000_000
    )
    retire_after = forms.IntegerField(
        label=_("Days of use before retirement"),
        min_value=0,
        max_value=3650,
        help_text=_("For so long the last wave is in use before the legacy deployment can be retired."),
    )

    def __init__(self, data: QueryDict | None, rollout: Rollout) -> None:
        initial = {name: getattr(rollout, name) for name in self.base_fields}
        initial["batches"] = ", ".join(map(str, rollout.batches))
        super().__init__(data, initial, "rollout_%s")


class NewWaveForm(forms.Form):
    """A wave that is not there yet."""

    name = forms.CharField(label=_("Name"), max_length=100)
    purpose = forms.ChoiceField(
        label=_("Checklist to start with"), choices=Wave.Purpose.choices, initial=Wave.Purpose.PILOT
    )
    observe_days = forms.IntegerField(
        label=_("Pilot period in days"),
        min_value=0,
        max_value=365,
        required=False,
        help_text=_("Empty: 1 for test users, 7 for a pilot, otherwise none."),
    )

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="new_wave_%s")
        style_fields(self)

    def given(self) -> dict[str, Any]:
        """The values that were given."""
        return {name: value for name, value in self.cleaned_data.items() if value is not None}


class WaveForm(EditingForm):
    """What can be set of a wave until it starts."""

    name = forms.CharField(label=_("Name"), max_length=100)
    saved = forms.ChoiceField(
        label=_("Members by a saved filter"),
        required=False,
        help_text=_("Of the user list. It is asked when the wave starts, and the result stays."),
    )
    saved_query = forms.CharField(
        label=_("Or by the address of the filtered user list"),
        required=False,
        max_length=2000,
        help_text=_("Filter the user list and copy the address of the page. Empty: by no filter."),
    )
    takes_rest = forms.BooleanField(
        label=_("Takes whoever is left"),
        required=False,
        help_text=_("All users of the legacy deployment who are in no wave join when it starts."),
    )
    batches = forms.CharField(
        label=_("Batch sizes"),
        max_length=300,
        required=False,
        help_text=_("How many members move at a time, such as 1, 10, 100; the last repeats. Empty: as the rollout."),
    )
    observe_days = forms.IntegerField(
        label=_("Pilot period in days"),
        min_value=0,
        max_value=365,
        help_text=_("For so long the wave is observed before it can be accepted."),
    )
    not_before = forms.CharField(
        label=_("Earliest start"),
        max_length=100,
        required=False,
        help_text=_("Such as Saturday 22:00 or 2026-12-05T22:00. Empty: when somebody starts it."),
    )
    window_from = forms.TimeField(
        label=_("Batches begin from"), required=False, widget=forms.TimeInput({"type": "time"}, format="%H:%M")
    )
    window_to = forms.TimeField(
        label=_("Batches begin until"),
        required=False,
        widget=forms.TimeInput({"type": "time"}, format="%H:%M"),
        help_text=_("Each day; on the next one where this is earlier."),
    )
    time_zone = forms.ChoiceField(label=_("Time zone of both"), required=False)
    min_client_version = forms.CharField(
        label=_("Lowest client version"),
        max_length=50,
        required=False,
        help_text=_("Empty: that of the new deployment. Members below it are told by the readiness."),
    )
    tells_before = forms.BooleanField(
        label=_("Tell organizers before"),
        required=False,
        help_text=_("Those among the members get a mail with the wave's date in advance."),
    )
    tells_after = forms.BooleanField(
        label=_("Tell organizers after"), required=False, help_text=_("They get one mail with what changed.")
    )

    def __init__(self, data: QueryDict | None, wave: Wave, access: Access) -> None:
        self.wave, self.access, self.zone = wave, access, access.tenant.zone
        initial = {name: getattr(wave, name) for name in self.base_fields if name != "saved"}
        initial["batches"] = ", ".join(map(str, wave.batches or ()))
        starts = wave.not_before
        initial["not_before"] = starts.astimezone(self.zone).strftime("%Y-%m-%dT%H:%M") if starts else ""
        super().__init__(data, initial, "wave_%s")

    def offer(self) -> None:
        filters = SavedFilter.objects.of(self.access.tenant, "users", self.access.account)
        self.fields["saved"].choices = [("", _("No change")), *((each.query, each.name) for each in filters)]  # type: ignore[attr-defined]
        zones = [("", _("That of the tenant: %(zone)s") % {"zone": self.zone})]
        names = dict.fromkeys((*place_names(), *filter(None, [self.wave.time_zone])))
        self.fields["time_zone"].choices = [*zones, *((name, name) for name in names)]  # type: ignore[attr-defined]

    def clean_not_before(self) -> Any:
        said = self.cleaned_data["not_before"].strip()
        return read_moment(said, self.zone, timezone.now()) if said and "not_before" in self.changed_data else None

    def edited(self) -> dict[str, Any]:
        values = super().edited()
        saved = values.pop("saved", "")
        if saved:
            values["saved_query"] = saved
        return values


class SplitForm(forms.Form):
    """How a wave is made two."""

    keep = forms.IntegerField(
        label=_("Members who stay"),
        min_value=0,
        max_value=10_000_000,
        help_text=_("The first by the order in which they were added; the others go to the new wave."),
    )
    name = forms.CharField(label=_("Name of the new wave"), max_length=100)

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="split_%s")
        style_fields(self)


class PlaceForm(forms.Form):
    """Where a wave stands among the others."""

    position = forms.TypedChoiceField(label=_("Place"), coerce=int)

    def __init__(self, data: QueryDict | None, wave: Wave, places: int) -> None:
        super().__init__(data, initial={"position": wave.position}, auto_id="place_%s")
        self.fields["position"].choices = [(n, str(n)) for n in range(1, places + 1)]  # type: ignore[attr-defined]
        style_fields(self)


class CloseForm(forms.Form):
    """Why a rollout ends."""

    reason = forms.CharField(
        label=_("Why it ends"),
        max_length=500,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("The report shows it. What was moved stays moved, and its users may join another rollout."),
    )

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="close_%s")
        style_fields(self)


class ReasonForm(forms.Form):
    """Why somebody is left out."""

    reason = forms.CharField(label=_("Why"), max_length=500)

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="reason_%s")
        style_fields(self)


class MembersForm(forms.Form):
    """Users who are added by hand, by their names."""

    names = forms.CharField(
        label=_("User principal names"),
        max_length=MOST_BY_HAND * 100,
        widget=forms.Textarea({"rows": 4, "placeholder": "anna.rossi@contoso.com"}),
        help_text=_("One on each line."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=500, required=False)

    def __init__(self, data: QueryDict | None) -> None:
        super().__init__(data, auto_id="members_%s")
        style_fields(self)

    def clean_names(self) -> list[str]:
        return list(dict.fromkeys(self.cleaned_data["names"].replace(",", " ").replace(";", " ").split()))


class MemberFileForm(forms.Form):
    """A CSV file of members."""

    file = forms.FileField(label=_("CSV file"), widget=forms.ClearableFileInput({"accept": ".csv,text/csv"}))
    skip_bad_rows = forms.BooleanField(
        label=_("Leave out rows that cannot be used"),
        required=False,
        help_text=_("Otherwise nothing is written where there is one."),
    )

    text = ""
    MOST_OCTETS = 20 * 1024 * 1024

    def __init__(self, data: QueryDict | None = None, files: Any = None) -> None:
        super().__init__(data, files, auto_id="member_file_%s")
        style_fields(self)

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > self.MOST_OCTETS:
            raise ValidationError(_("The file is larger than 20 MB: divide it, or use import_wave_members."))
        self.text = decoded(file.read())
        return file


_Rows = Mapping[str, Any]
"""Rows by their keys, as an address has them."""


def _choice(label: str, rows: _Rows, nothing: str, initial: int | None) -> forms.TypedChoiceField:
    """One of the rows, which are looked up once for all fields."""

    def row_of(key: str) -> Any:
        if key not in rows:
            raise ValueError(key)
        return rows[key]

    choices = [("", nothing), *((key, _said(row)) for key, row in rows.items())]
    field = forms.TypedChoiceField(label=label, choices=choices, coerce=row_of, empty_value=None, required=False)
    field.initial = "" if initial is None else str(initial)
    field.show_hidden_initial = True
    return field


def _said(row: Bridge | ServiceNumber) -> str:
    return number_in_words(row) if isinstance(row, ServiceNumber) else row.name


class MappingForm(forms.Form):
    """A choice for each bridge of the legacy side, and for each of its numbers, where members come to."""

    def __init__(self, data: QueryDict | None, rollout: Rollout) -> None:
        super().__init__(data, auto_id="mapping_%s")
        bridges = list(rollout.tenant.bridges.all())
        numbers = list(ServiceNumber.objects.filter(tenant=rollout.tenant).select_related("bridge"))
        self.old_bridges = [bridge for bridge in bridges if bridge.deployment_id == rollout.legacy_id]
        there = {str(each.pk): each for each in bridges if each.deployment_id in {None, rollout.new_id}}
        self.old_numbers = [each for each in numbers if each.bridge.deployment_id == rollout.legacy_id]
        of_kind: dict[str, dict[str, ServiceNumber]] = {kind: {} for kind in ServiceNumber.Kind.values}
        for number in numbers:
            if not number.is_leaving and str(number.bridge_id) in there:
                of_kind[number.kind][str(number.pk)] = number
        bridge_lines = dict(BridgeMapping.objects.filter(rollout=rollout).values_list("legacy_bridge", "new_bridge"))
        number_lines = dict(NumberMapping.objects.filter(rollout=rollout).values_list("old_number", "new_number"))
        for bridge in self.old_bridges:
            line = bridge_lines.get(bridge.pk)
            self.fields[f"bridge_{bridge.pk}"] = _choice(bridge.name, there, gettext("No line"), line)
        for number in self.old_numbers:
            line = number_lines.get(number.pk)
            label = number_in_words(number)
            self.fields[f"number_{number.pk}"] = _choice(label, of_kind[number.kind], gettext("No line"), line)
        toll, toll_free = of_kind[ServiceNumber.Kind.TOLL], of_kind[ServiceNumber.Kind.TOLL_FREE]
        same_country = gettext("One of the same country")
        self.fields |= {
            "default_bridge": _choice(
                gettext("Bridge"), there, gettext("One of the new deployment"), rollout.default_bridge_id
            ),
            "default_toll_number": _choice(gettext("Toll number"), toll, same_country, rollout.default_toll_number_id),
            "default_toll_free_number": _choice(
                gettext("Toll-free number"), toll_free, same_country, rollout.default_toll_free_number_id
            ),
        }
        style_fields(self)

    @property
    def bridge_fields(self) -> list[Any]:
        return [self[f"bridge_{bridge.pk}"] for bridge in self.old_bridges]

    @property
    def number_fields(self) -> list[Any]:
        return [self[f"number_{number.pk}"] for number in self.old_numbers]

    @property
    def default_fields(self) -> list[Any]:
        return [self[name] for name in ("default_bridge", "default_toll_number", "default_toll_free_number")]

    def edited(self) -> dict[str, Any]:
        """What was edited, as ``change_mapping`` takes it."""
        changed = set(self.changed_data)
        values: dict[str, Any] = {
            "bridges": {
                bridge: self.cleaned_data[name]
                for bridge in self.old_bridges
                if (name := f"bridge_{bridge.pk}") in changed
            },
            "numbers": {
                number: self.cleaned_data[name]
                for number in self.old_numbers
                if (name := f"number_{number.pk}") in changed
            },
        }
        return values | {name: self.cleaned_data[name] for name in changed if name.startswith("default_")}


class ToWaveForm(forms.Form):
    """To which wave users go."""

    wave = forms.ModelChoiceField(Wave.objects.none(), label=_("Wave"), empty_label=_("Choose one"))
    reason = forms.CharField(label=_("Reason"), max_length=500, required=False)
    may_leave = forms.BooleanField(
        label=_("Take them from another wave of the rollout"),
        required=False,
        help_text=_("Only from one that has not started."),
    )

    def __init__(self, data: QueryDict | None, access: Access) -> None:
        super().__init__(data, auto_id="to_wave_%s")
        waves = Wave.objects.filter(
            rollout__tenant=access.tenant, rollout__finished_at=None, state__in=Wave.NOT_STARTED
        )
        field = self.fields["wave"]
        field.queryset = waves.select_related("rollout__tenant").order_by("rollout__name", "position")  # type: ignore[attr-defined]
        field.label_from_instance = lambda wave: f"{wave.rollout.name}: {wave.name}"  # type: ignore[attr-defined]
        style_fields(self)


def users_named(access: Access, names: list[str]) -> tuple[list[int], list[str]]:
    """The keys of the tenant's users of these names, and the names of nobody."""
    found: dict[str, int] = {}
    for some in batched(names):
        rows = ConferencingUser.objects.with_upns(access.tenant, some).values_list("upn", "pk")
        found |= {upn.lower(): pk for upn, pk in rows}
    return list(found.values()), [name for name in names if name.lower() not in found]
