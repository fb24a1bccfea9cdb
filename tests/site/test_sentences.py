"""What is wrong with an input is said in the words of MMS, not of Django: what is wrong, and what to do (R31)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import django_filters
import pytest
from django import forms
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.utils.functional import Promise
from django.utils.translation import override

from tenants_app.models import Tenant
from tests.support.catalogue import entries_of
from tests.support.commands import Command

OWN = ("tenants_app", "migrations_app", "mms_site")


def subclasses(kind: type) -> Iterator[type]:
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def fields() -> Iterator[tuple[str, Any]]:
    """Every field of every form, filter and model of the project."""
    for name in OWN:
        for module in walk_packages(import_module(name).__path__, f"{name}."):
            if not re.search(r"\.(migrations|management|wsgi|urls)\b", module.name):
                import_module(module.name)
    for form in set(subclasses(forms.BaseForm)):
        if form.__module__.startswith(OWN):
            yield from ((f"{form.__name__}.{name}", field) for name, field in form.base_fields.items())  # type: ignore[attr-defined]
    for filters in set(subclasses(django_filters.FilterSet)):
        if filters.__module__.startswith(OWN):
            # Copies, since a filter keeps the field that it has made once, and all its lists would have it then.
            own = deepcopy(filters.base_filters)  # type: ignore[attr-defined]
            yield from ((f"{filters.__name__}.{name}", each.field) for name, each in own.items())
    for app in ("tenants_app", "migrations_app"):
        for model in apps.get_app_config(app).get_models():
            yield from ((f"{model.__name__}.{field.name}", field) for field in model._meta.fields)


def messages(field: Any) -> Iterator[Promise]:
    """The sentences of Django that the field may answer with."""
    answers = [*field.error_messages.values(), *(getattr(each, "message", "") for each in field.validators)]
    return (answer for answer in answers if isinstance(answer, Promise))


def in_words(message: Promise) -> str:
    return str(message % defaultdict(lambda: 2))  # type: ignore[operator]


def test_r31_no_field_answers_with_a_sentence_of_django() -> None:
    ours = {entry.text for entry in entries_of(Path(settings.LOCALE_PATHS[0]) / "es/LC_MESSAGES/django.po")}
    seen, djangos = set(), {}
    for where, field in fields():
        for message in messages(field):
            told = in_words(message)
            seen.add(told)
            with override(None):
                if in_words(message) == told and str(message) not in ours:
                    djangos[told] = where
    assert len(seen) > 15
    assert djangos == {}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [("9" * 6, "Give at most 86400."), ("-1", "Give at least 0."), ("soon", "“soon” is not a whole number")],
)
def test_a_model_says_it_the_same_way(tenant: Tenant, value: str, sentence: str) -> None:
    tenant.settling_time = value  # type: ignore[assignment]
    with pytest.raises(ValidationError, match=sentence):
        tenant.full_clean()


def test_so_does_a_command(command: Command, tenant: Tenant) -> None:
    with pytest.raises(CommandError, match="settling time: Give at most 86400"):
        command("set_tenant", "--settling-time", "999999")
