"""Filters of the lists. A value that cannot be understood is reported at its field and filters nothing."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import django_filters
from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q, QuerySet
from django.utils import timezone

from migrations_app.models import MeetingResult, Run
from migrations_app.templatetags.runs import BADGES, NEVER_RUN
from tenants_app.models import ConferencingUser

STATES = [(state, BADGES[state].label) for state in Run.State.values]
OUTCOMES = [(outcome, BADGES[outcome].label) for outcome in MeetingResult.Outcome.values]
NEVER = "never"


def _search_box(placeholder: str) -> forms.TextInput:
    return forms.TextInput(attrs={"type": "search", "placeholder": placeholder, "autocomplete": "off"})


class _StyledForm(forms.Form):
    """Gives the fields the classes of the stylesheet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            css = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            field.widget.attrs["class"] = f"{css} is-invalid" if name in self.errors else css


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, timezone.get_current_timezone())


def _day(label: str, method: str) -> django_filters.DateFilter:
    """A day of a year that every time zone can still reckon with."""
    first, last = date(1970, 1, 1), date(2999, 12, 31)
    sentence = f"Give a date from {first.year} to {last.year}."
    return django_filters.DateFilter(
        label=label,
        method=method,
        widget=forms.DateInput({"type": "date", "min": first.isoformat(), "max": last.isoformat()}, "%Y-%m-%d"),
        validators=[MinValueValidator(first, sentence), MaxValueValidator(last, sentence)],
    )


class RunFilter(django_filters.FilterSet):
    """History by user, state and time."""

    user = django_filters.CharFilter(
        label="User", method="by_user", max_length=320, widget=_search_box("Name or user principal name")
    )
    state = django_filters.ChoiceFilter(label="State", choices=STATES, empty_label="Any state")
    created_from = _day("Created from", "since")
    created_to = _day("Created until", "up_to")

    class Meta:
        model = Run
        form = _StyledForm
        fields: list[str] = []

    def by_user(self, runs: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        return runs.filter(Q(user__upn__icontains=value) | Q(user__display_name__icontains=value))

    def since(self, runs: QuerySet[Run], name: str, value: date) -> QuerySet[Run]:
        return runs.filter(created__gte=_midnight(value))

    def up_to(self, runs: QuerySet[Run], name: str, value: date) -> QuerySet[Run]:
        end_of_day = datetime.combine(value, time.max, timezone.get_current_timezone())
        return runs.filter(created__lte=end_of_day)


class ResultFilter(django_filters.FilterSet):
    """A run's meetings by what became of them."""

    outcome = django_filters.ChoiceFilter(label="Outcome", choices=OUTCOMES, empty_label="Any outcome")

    class Meta:
        model = MeetingResult
        form = _StyledForm
        fields: list[str] = []


class UserFilter(django_filters.FilterSet):
    """Users by name and by the state of their latest run; the queryset has it as ``latest_state``."""

    q = django_filters.CharFilter(
        label="User", method="by_name", max_length=320, widget=_search_box("Name, user principal name or SIP address")
    )
    state = django_filters.ChoiceFilter(
        label="Latest run", choices=[*STATES, (NEVER, NEVER_RUN.label)], empty_label="Any state", method="by_state"
    )

    class Meta:
        model = ConferencingUser
        form = _StyledForm
        fields: list[str] = []

    def by_name(self, users: QuerySet[ConferencingUser], name: str, value: str) -> QuerySet[ConferencingUser]:
        return users.filter(
            Q(upn__icontains=value) | Q(display_name__icontains=value) | Q(sip_address__icontains=value)
        )

    def by_state(self, users: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        if value == NEVER:
            return users.filter(latest_state=None)
        return users.filter(latest_state=value)
