"""Filters of the lists. A value that cannot be understood is reported at its field and filters nothing."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import django_filters
from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q, QuerySet
from django.utils import timezone

from tenants_app.audit import action_choices
from tenants_app.models import AuditEntry


class StyledForm(forms.Form):
    """Gives the fields the classes of the stylesheet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            css = "form-select" if isinstance(field.widget, forms.Select) else "form-control"
            field.widget.attrs["class"] = f"{css} is-invalid" if name in self.errors else css


def search_box(placeholder: str) -> forms.TextInput:
    return forms.TextInput(attrs={"type": "search", "placeholder": placeholder, "autocomplete": "off"})


def day_filter(label: str, method: str) -> django_filters.DateFilter:
    """A filter by a day, of years that work in every time zone."""
    first, last = date(1970, 1, 1), date(2999, 12, 31)
    sentence = f"Give a date from {first.year} to {last.year}."
    return django_filters.DateFilter(
        label=label,
        method=method,
        widget=forms.DateInput({"type": "date", "min": first.isoformat(), "max": last.isoformat()}, "%Y-%m-%d"),
        validators=[MinValueValidator(first, sentence), MaxValueValidator(last, sentence)],
    )


def start_of(day: date) -> datetime:
    """The first moment of the day where the service is."""
    return datetime.combine(day, time.min, timezone.get_current_timezone())


def end_of(day: date) -> datetime:
    """The last moment of the day where the service is."""
    return datetime.combine(day, time.max, timezone.get_current_timezone())


class AuditFilter(django_filters.FilterSet):
    """Audit entries by who, through what, what, and when."""

    caption = "Filter the audit"

    q = django_filters.CharFilter(
        label="Search",
        method="by_text",
        max_length=200,
        widget=search_box("Who, what, or to what"),
    )
    who = django_filters.CharFilter("actor", "iexact", label="Who", max_length=200, widget=search_box("Whole name"))
    channel = django_filters.ChoiceFilter(
        label="Through what", choices=AuditEntry.Channel.choices, empty_label="Anything"
    )
    action = django_filters.ChoiceFilter(label="What", choices=action_choices, empty_label="Anything")
    at_from = day_filter("From", "since")
    at_to = day_filter("Until", "up_to")

    class Meta:
        model = AuditEntry
        form = StyledForm
        fields: list[str] = []

    def by_text(self, entries: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        return entries.filter(Q(actor__icontains=value) | Q(target__icontains=value) | Q(action__icontains=value))

    def since(self, entries: QuerySet[AuditEntry], name: str, value: date) -> QuerySet[AuditEntry]:
        return entries.filter(at__gte=start_of(value))

    def up_to(self, entries: QuerySet[AuditEntry], name: str, value: date) -> QuerySet[AuditEntry]:
        return entries.filter(at__lte=end_of(value))
