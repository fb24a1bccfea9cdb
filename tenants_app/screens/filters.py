"""Filters of the lists. A value that cannot be understood is reported at its field and filters nothing."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import django_filters
from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Upper
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenants_app.audit import action_choices
from tenants_app.models import AuditEntry
from tenants_app.screens.forms import style_fields

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


class StyledForm(forms.Form):
    """Gives the fields the classes of the stylesheet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        style_fields(self)


def search_box(placeholder: _StrOrPromise) -> forms.TextInput:
    return forms.TextInput(attrs={"type": "search", "placeholder": placeholder, "autocomplete": "off"})


class DayFilter(django_filters.DateFilter):
    """Rows from the beginning of a day on, or with ``is_last`` up to its end, as the day is where the service is.

    The day is one of a year that every time zone can still reckon with.
    """

    FIRST, LAST = date(1970, 1, 1), date(2999, 12, 31)
    SENTENCE = _("Give a date from 1970 to 2999.")

    def __init__(self, label: _StrOrPromise, field_name: str, *, is_last: bool = False) -> None:
        bounds = {"min": self.FIRST.isoformat(), "max": self.LAST.isoformat()}
        super().__init__(
            field_name,
            "lte" if is_last else "gte",
            label=label,
            widget=forms.DateInput({"type": "date", **bounds}, "%Y-%m-%d"),
            validators=[MinValueValidator(self.FIRST, self.SENTENCE), MaxValueValidator(self.LAST, self.SENTENCE)],
        )
        self.moment = time.max if is_last else time.min

    def filter(self, rows: QuerySet[Any], value: date | None) -> QuerySet[Any]:
        if value is None:
            return rows
        bound = datetime.combine(value, self.moment, timezone.get_current_timezone())
        return rows.filter(**{f"{self.field_name}__{self.lookup_expr}": bound})


class AuditFilter(django_filters.FilterSet):
    """Audit entries by who, through what, what, and when."""

    caption = _("Filter the audit")

    q = django_filters.CharFilter(
        label=_("Search"),
        method="by_text",
        max_length=200,
        widget=search_box(_("Who, what, or to what")),
    )
    who = django_filters.CharFilter(
        label=_("Who"), method="by_actor", max_length=200, widget=search_box(_("Whole name"))
    )
    channel = django_filters.ChoiceFilter(
        label=_("Through what"), choices=AuditEntry.Channel.choices, empty_label=_("Anything")
    )
    action = django_filters.ChoiceFilter(label=_("What"), choices=action_choices, empty_label=_("Anything"))
    at_from = DayFilter(pgettext_lazy("first day", "From"), "at")
    at_to = DayFilter(pgettext_lazy("last day", "Until"), "at", is_last=True)

    class Meta:
        model = AuditEntry
        form = StyledForm
        fields: list[str] = []

    def by_actor(self, entries: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        return entries.filter(Exact(Upper("actor"), Upper(Value(value))))

    def by_text(self, entries: QuerySet[AuditEntry], name: str, value: str) -> QuerySet[AuditEntry]:
        return entries.filter(Q(actor__icontains=value) | Q(target__icontains=value) | Q(action__icontains=value))
