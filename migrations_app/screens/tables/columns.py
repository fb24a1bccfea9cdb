"""Columns that several tables have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import django_tables2 as tables
from django.utils.translation import gettext_noop
from django_stubs_ext import StrOrPromise

from tenants_app.catalogue import USER_SETTINGS, UserSetting
from tenants_app.records import written
from tenants_app.screens.cells import Cell, Read, Text, reads

NUMBER = {"th": {"class": "number"}, "td": {"class": "number in-line"}}
IN_LINE = {"td": {"class": "in-line"}}
"""What stands in one line with its neighbours where rows are cards, on a phone."""
UPN = {"UserPrincipalName": reads("user__upn")}
PERSON = {**UPN, "DisplayName": reads("user__display_name")}


def some_of(fields: Mapping[str, Read], *names: str) -> dict[str, Read]:
    """These of the fields by which commands and files tell of a thing."""
    return {name: fields[name] for name in names}


def number_column(label: StrOrPromise, files: Mapping[str, Read], unit: str = "", **more: Any) -> tables.Column:
    """A number; where rows are cards, on a phone, its ``unit`` says what it counts: one of ``runs.UNITS``."""
    told = f" <span class='on-phones'>{{{{ value|unit:'{unit}' }}}}</span>" if unit else ""
    return Cell(
        "{% load humanize runs %}{{ value|intcomma }}" + told,
        verbose_name=label,
        files=files,
        attrs=NUMBER,
        **more,
    )


def tick_column() -> tables.Column:
    """A box for each row, which belongs to the form below the table (``tables/selection.html``)."""
    return Cell(
        template_name="tables/tick.html",
        verbose_name=gettext_noop("Select"),
        orderable=False,
        is_fixed=True,
        attrs={"th": {"class": "tick"}, "td": {"class": "tick"}},
    )


def time_column(label: str, files: Mapping[str, Read], **more: Any) -> tables.Column:
    """A time; where rows are cards, on a phone, its label stands before it, and nothing where there is none yet."""
    return Cell(
        "{% load i18n page_parts %}{% if value %}<span class='on-phones'>{% translate '"
        + label
        + "' %}</span> {{ value|when }}"
        "{% else %}<span class='text-secondary d-none d-sm-inline'>–</span>{% endif %}",
        verbose_name=label,
        files=files,
        **more,
    )


def person_column(label: str) -> tables.Column:
    """Whose doing it was; where rows are cards, on a phone, its label stands before it."""
    return Cell(
        "{% load i18n %}<span class='on-phones'>{% translate '" + label + "' %}</span> {{ value }}",
        verbose_name=label,
        files={"RequestedBy": reads("requested_by")},
    )


def changed_column() -> tables.Column:
    """When the latest run of a user changed."""
    return Cell(
        template_name="tables/changed.html",
        verbose_name=gettext_noop("Changed"),
        files={"ModifiedDate": reads("latest_modified")},
        attrs=IN_LINE,
    )


def extra_column(label: str, path: str, field: str, read: Read | None = None, **more: Any) -> tables.Column:
    """A column that is shown only where somebody asks for it, sorted by ``path``; ``field`` is its name in files."""
    read = read or reads(path)
    return Text(label, read, order_by=path, is_extra=True, files={field: read}, **more)


def _reading(setting: UserSetting) -> Read:
    """Reads a setting of a user as commands tell it."""
    return lambda user: written(setting.kind, getattr(user, setting.field))


_SETTINGS = {each.field: (each.name, _reading(each)) for each in USER_SETTINGS}


def settings_of(*fields: str) -> dict[str, Read]:
    """Settings of a user as files tell them."""
    return dict(_SETTINGS[field] for field in fields)


def setting_column(field: str, label: str, path: str = "", **more: Any) -> tables.Column:
    """A setting of a user that is shown only where somebody asks for it, sorted by ``path``."""
    name, read = _SETTINGS[field]
    return extra_column(label, path or field, name, read, **more)
