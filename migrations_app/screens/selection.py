"""Whom an administrator has selected on a list: the rows that were ticked, or all that the list's filter finds.

The selection stands in the address, so that a page about it can be reloaded, turned and gone back to.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

from django import forms
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext, override
from django_filters import FilterSet

from migrations_app.models import Rollout, Run
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.screens.filters import RunFilter, UserFilter
from tenants_app.access import Access
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.screens.lists import COLUMNS, ROWS_ON_A_PAGE, SORT
from tenants_app.screens.requests import Request
from tenants_app.sentences import Sentence, sentence

MOST_TICKED = 300
"""Users who can be ticked one by one: their keys must fit into an address that every server takes."""
_KEYS = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})*")
_AN_AMOUNT = re.compile(r"[0-9]{1,9}")
ARRANGED = (SORT, COLUMNS, ROWS_ON_A_PAGE)
"""What an address says of how the list is shown, so that the way back leads to the same."""
NOT_UNDERSTOOD = gettext_noop("A part of the filter is not understood, so nothing was done: choose the users again.")


@dataclass(frozen=True, slots=True)
class Selection:
    """Users, and how they were chosen."""

    users: QuerySet[ConferencingUser]
    is_all: bool
    """Whether they are all that the filter finds."""
    rows: str
    """What the list's rows are: ``user`` or ``run``."""
    words: str
    """The filter in words; empty where there is none."""
    the_list: str
    """The address of the list, with its filter."""
    shown: int
    """How many rows the list said that it was about."""
    found: int
    """How many of these rows there are by now."""
    kept: tuple[tuple[str, str], ...]
    """The selection as the parameters of an address."""
    back: str
    """The list as it was left, with what was ticked."""

    @property
    def asked(self) -> str:
        """The selection as the query of an address."""
        return urlencode(self.kept)

    @property
    def changed(self) -> str:
        """What is different by now from what the list showed; empty where nothing is."""
        if self.found == self.shown:
            return ""
        if self.is_all:
            return self._other_amount % {"shown": intcomma(self.shown), "found": intcomma(self.found)}
        gone = self.shown - self.found
        return ngettext(
            "%(count)s user of those you ticked cannot be found any more.",
            "%(count)s users of those you ticked cannot be found any more.",
            gone,
        ) % {"count": intcomma(gone)}

    @property
    def _other_amount(self) -> str:
        if self.rows == "run":
            return ngettext(
                "The list showed %(shown)s run; by now the filter finds %(found)s.",
                "The list showed %(shown)s runs; by now the filter finds %(found)s.",
                self.shown,
            )
        return ngettext(
            "The list showed %(shown)s user; by now the filter finds %(found)s.",
            "The list showed %(shown)s users; by now the filter finds %(found)s.",
            self.shown,
        )

    @property
    def nobody(self) -> str:
        """What is said where nobody is left."""
        if self.is_all:
            return _("The filter finds nobody any more, so there is nothing to do.")
        return _("None of the users that you ticked can be found any more, so there is nothing to do.")


def _users(data: Any, tenant: Tenant) -> tuple[FilterSet, QuerySet[ConferencingUser]]:
    found = UserFilter(data, ConferencingUser.objects.filter(tenant=tenant), tenant)
    return found, found.qs


def _runs(data: Any, tenant: Tenant) -> tuple[FilterSet, QuerySet[ConferencingUser]]:
    found = RunFilter(data, Run.objects.filter(tenant=tenant), tenant)
    of_runs = found.qs.order_by().values("user")
    return found, ConferencingUser.objects.filter(tenant=tenant, pk__in=of_runs)


_LISTS: Mapping[str, tuple[str, str, Callable[[Any, Tenant], tuple[FilterSet, QuerySet[ConferencingUser]]]]] = (
    MappingProxyType({"users": ("users", "user", _users), "runs": ("history", "run", _runs)})
)
"""The lists on which users are selected: the name of their address, what a row is, and who is found."""


def selection_of(asked: QueryDict, access: Access, *, all_by_default: bool = False) -> Selection:
    """What an address asks for. Raises ``ValidationError`` with a sentence where it says nothing that can be meant.

    ``all_by_default`` takes all that the filter finds where no row was ticked.
    """
    address, rows, find = _LISTS.get(asked.get("of", ""), _LISTS["users"])
    found, users = find(asked, access.tenant)
    names = [name for name in found.filters if asked.get(name)]
    chosen = [(name, str(asked[name])) for name in names]
    arranged = [(name, str(asked[name])) for name in ARRANGED if asked.get(name)]
    shown_as = [*chosen, *arranged]
    the_list = reverse(address, args=[access.tenant.slug]) + (f"?{urlencode(shown_as)}" if shown_as else "")
    ticked = [value for value in asked.getlist("users") if value]
    if not all(_KEYS.fullmatch(value) for value in ticked):
        raise Misunderstood(
            _("A part of the selection is not understood, so nothing was done: tick the users again."), the_list
        )
    keys = {int(key) for value in ticked for key in value.split(".")}
    is_all = "all" in asked or (all_by_default and not keys)
    kept = [*([("of", "runs")] if rows == "run" else []), *shown_as]
    if is_all:
        if not found.is_valid():
            raise Misunderstood(_(NOT_UNDERSTOOD), the_list)
        count, amount = found.qs.count(), str(asked.get("all", ""))
        shown = int(amount) if _AN_AMOUNT.fullmatch(amount) else count
        words = in_words(found.form)
        return Selection(users, True, rows, words, the_list, shown, count, (*kept, ("all", str(shown))), the_list)
    if not keys:
        raise Misunderstood(_("Nobody is selected: tick users, or choose all that the filter finds."), the_list)
    if len(keys) > MOST_TICKED:
        raise Misunderstood(
            _("%(count)s users are ticked, and at most %(most)s go at once: choose all that a filter finds.")
            % {"count": intcomma(len(keys)), "most": intcomma(MOST_TICKED)},
            the_list,
        )
    users = ConferencingUser.objects.filter(tenant=access.tenant, pk__in=sorted(keys))
    ticks = ("users", ".".join(map(str, sorted(keys))))
    back = f"{reverse(address, args=[access.tenant.slug])}?{urlencode([*shown_as, ticks])}"
    return Selection(users, False, "user", "", the_list, len(keys), users.count(), (*kept, ticks), back)


def bar_of(request: Request, access: Access, of: str = "users") -> dict[str, Any]:
    """What a list shows below its rows, so that they can be selected (``tables/selection.html``)."""
    _, rows, _ = _LISTS[of]
    names = (UserFilter if of == "users" else RunFilter).base_filters
    chosen = [(name, request.GET[name]) for name in names if request.GET.get(name)]
    ticked = {
        key for value in request.GET.getlist("users") for key in value.split(".") if key.isascii() and key.isdigit()
    }
    return {
        "below": "tables/selection.html",
        "selection_of": of,
        "selection_rows": rows,
        "selection_filter": chosen,
        "selection_arranged": [(name, request.GET[name]) for name in ARRANGED if request.GET.get(name)],
        "selection_query": urlencode(chosen),
        "has_waves": Rollout.objects.filter(tenant=access.tenant, finished_at=None).exists(),
        "selection_kinds": [kind for kind in KINDS.values() if access.allows(kind.role)],
        "ticked_keys": ticked,
        "ticked": ".".join(sorted(ticked)[:MOST_TICKED]),
        "most_ticked": MOST_TICKED,
    }


class Misunderstood(ValidationError):
    """A selection that cannot be meant, with the list to go back to."""

    def __init__(self, sentence: str, the_list: str) -> None:
        super().__init__(sentence)
        self.sentence, self.the_list = sentence, the_list


def in_words(form: forms.Form) -> Sentence:
    """A filter, such as ``Latest run: Failed; Bridge: Old bridge``, to be read in any language."""
    told = Sentence("")
    with override("en"):  # in which all that is declared is written, and looked up when it is read
        for name, value in form.cleaned_data.items():
            if value in (None, ""):
                continue
            part = sentence(
                "%(label)s: %(value)s", label=Sentence(str(form.fields[name].label)), value=_chosen(form, name)
            )
            told = sentence("%(first)s; %(second)s", first=told, second=part) if told else part
    return told


def _chosen(form: forms.Form, name: str) -> str:
    """What was chosen in a field of a filter; a name as it is."""
    field, value = form.fields[name], form.cleaned_data[name]
    if isinstance(field, forms.ModelChoiceField):
        return (
            Sentence(str(getattr(field, "null_label", "")))
            if isinstance(value, str)
            else field.label_from_instance(value)
        )
    if isinstance(field, forms.ChoiceField):
        choices = dict(cast("Iterable[tuple[Any, Any]]", field.choices))
        return Sentence(str(choices[value])) if value in choices else str(value)
    return str(value)
