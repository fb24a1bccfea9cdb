"""Forms of checks: what is asked of each kind, an answer, and a gate that is opened by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from migrations_app.models import CheckAnswer, Rollout, RolloutCheck, Wave
from migrations_app.rollouts.answers import LONGEST_NOTE
from migrations_app.rollouts.checks import PARAMETER, SHORTEST_INTERVAL
from migrations_app.rollouts.kinds import deployments_of, hosts_of, parameters_of
from migrations_app.rollouts.opening import LONGEST_REASON, SHORTEST_REASON
from migrations_app.rollouts.probes.command import Program
from migrations_app.rollouts.probes.parameters import Choice, Host, Number, Parameter
from migrations_app.rollouts.programs import programs
from tenants_app.screens.forms import style_fields

Scope = RolloutCheck.Scope
_NAME_ONLY = "certificate_name"
"""A host by which nothing is reached, so that no deployment need list it."""


class CheckForm(forms.Form):
    """A check of one kind; the fields of its parameters follow from the kind."""

    wave = forms.ChoiceField(label=_("Before"), required=False)
    name = forms.CharField(label=_("Name"), max_length=200)
    scope = forms.ChoiceField(label=_("Side"), choices=Scope.choices)
    instructions = forms.CharField(
        label=_("Instructions"),
        required=False,
        max_length=2000,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("What a person does to answer, or to put it right."),
    )
    interval = forms.IntegerField(label=_("Seconds between two looks"), min_value=SHORTEST_INTERVAL, initial=300)
    timeout = forms.IntegerField(label=_("Seconds it may take"), min_value=1, max_value=60, initial=10)
    valid_for = forms.IntegerField(label=_("Seconds a result counts"), required=False, min_value=60)
    is_advisory = forms.BooleanField(
        label=_("Advisory"), required=False, help_text=_("It is shown and never closes a gate.")
    )
    needs_second_account = forms.BooleanField(
        label=_("Two accounts must answer"),
        required=False,
        help_text=_("One answer alone does not count."),
    )

    def __init__(
        self,
        data: QueryDict | None,
        rollout: Rollout,
        kind: str,
        *,
        check: RolloutCheck | None = None,
        waves: Sequence[Wave] = (),
        wave: str = "",
    ) -> None:
        self.check = check
        super().__init__(data, initial={"wave": wave} if check is None else _initial_of(check))
        if check is None:
            choices = [(str(each.position), each.name) for each in waves]
            retirement = gettext("Retirement of %(deployment)s") % {"deployment": rollout.legacy.name}
            self.fields["wave"].choices = [*choices, ("", retirement)]  # type: ignore[attr-defined]
        else:
            del self.fields["wave"]
        self._parameters = parameters_of(kind)
        for parameter in self._parameters:
            self.fields[PARAMETER + parameter.name] = _field_of(parameter, rollout, self._value_of(parameter))
        is_manual = kind == RolloutCheck.Kind.MANUAL
        for name in ("interval", "timeout") if is_manual else ("needs_second_account",):
            del self.fields[name]
        self.fields["valid_for"].help_text = (
            _("Empty: an answer counts until the wave has ended.") if is_manual else _("Empty: an hour.")
        )
        style_fields(self)

    @property
    def parameters(self) -> list[forms.BoundField]:
        """The fields that differ from kind to kind."""
        return [self[PARAMETER + each.name] for each in self._parameters]

    @property
    def before_parameters(self) -> list[forms.BoundField]:
        return [self[name] for name in ("wave", "name", "scope") if name in self.fields]

    @property
    def behind_parameters(self) -> list[forms.BoundField]:
        known = {field.name for field in (*self.parameters, *self.before_parameters)}
        return [field for field in self if field.name not in known]

    def entered(self) -> dict[str, Any]:
        """What was entered, as ``define_check`` and ``change_check`` take it. A sentence that was left as it was shown
        stays one, which others read in their language."""
        values = {name: self.cleaned_data[name] for name in self.fields if not name.startswith(PARAMETER)}
        values.pop("wave", None)
        values["parameters"] = {each.name: self.cleaned_data[PARAMETER + each.name] for each in self._parameters}
        for name in ("name", "instructions"):
            stored = getattr(self.check, name, "")
            if values[name] == str(stored).strip():
                values[name] = stored
        return values

    def _value_of(self, parameter: Parameter) -> Any:
        kept = self.check.parameters if self.check else {}
        return parameter.shown(kept.get(parameter.name, parameter.default))


def _initial_of(check: RolloutCheck) -> dict[str, Any]:
    names = ("scope", "interval", "timeout", "valid_for", "is_advisory", "needs_second_account")
    return {"name": str(check.name), "instructions": str(check.instructions)} | {
        name: getattr(check, name) for name in names
    }


def _field_of(parameter: Parameter, rollout: Rollout, value: Any) -> forms.Field:
    """The field of a form for a parameter; what it may be is checked where the check is saved."""
    usual: dict[str, Any] = {
        "label": str(parameter.label),
        "help_text": str(parameter.help),
        "required": parameter.is_required,
        "initial": value,
    }
    if isinstance(parameter, Host) and parameter.name != _NAME_ONLY:
        hosts = hosts_of(rollout, Scope.BOTH)
        sides = " / ".join(each.name for each in deployments_of(rollout, Scope.BOTH))
        listed_by = gettext("Those listed by %(sides)s.") % {"sides": sides}
        usual["help_text"] = f"{parameter.help} {listed_by}"
        return forms.ChoiceField(**usual, choices=_choices(hosts, value, parameter.is_required))
    if isinstance(parameter, Program):
        return forms.ChoiceField(
            **usual, choices=_choices(programs(settings.MMS_CHECK_COMMANDS), value, parameter.is_required)
        )
    if isinstance(parameter, Choice):
        return forms.ChoiceField(**usual, choices=[(word, str(said)) for word, said in parameter.choices])
    if isinstance(parameter, Number):
        return forms.IntegerField(**usual, min_value=parameter.least, max_value=parameter.most)
    if parameter.shape == "switch":
        return forms.BooleanField(**usual | {"required": False})
    rows = {"lines": 3, "long": 4}.get(parameter.shape)
    return forms.CharField(**usual, widget=forms.Textarea({"rows": rows}) if rows else forms.TextInput())


def _choices(known: Sequence[str], value: str, is_required: bool) -> list[tuple[str, str]]:
    """What can be chosen, and what stands there now even where it cannot be any more."""
    each = [*known, *([value] if value and value not in known else [])]
    return [*([] if is_required and each else [("", gettext("None"))]), *((name, name) for name in each)]


class AnswerForm(forms.Form):
    """What a person answers to a check."""

    answer = forms.ChoiceField(label=_("Answer"), choices=[("", "–"), *CheckAnswer.Answer.choices])
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("Needed with “no” and “not applicable”. It is shown wherever the gate is."),
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        style_fields(self)


class ReasonForm(forms.Form):
    """Why a check is removed."""

    reason = forms.CharField(label=_("Reason"), max_length=500, help_text=_("It is shown in the report."))

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        style_fields(self)


class OpeningForm(forms.Form):
    """Why a closed gate is opened by hand."""

    reason = forms.CharField(
        label=_("Reason"),
        min_length=SHORTEST_REASON,
        max_length=LONGEST_REASON,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("At least 20 characters. It is mailed to the rollout's people, and shown in the report for ever."),
    )

    def __init__(self, data: QueryDict | None = None) -> None:
        super().__init__(data)
        style_fields(self)
