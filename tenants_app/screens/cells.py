"""The columns of lists: how their cells are drawn, and which fields files have of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import django_tables2 as tables
from django.template import Context, Template
from django.template.loader import get_template, render_to_string
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django_tables2.columns.base import BoundColumn
from django_tables2.utils import Accessor

Read = Callable[[Any], Any]
"""Reads a value of a row, as files tell it."""
NOTHING: Mapping[str, Read] = MappingProxyType({})


class _Told:
    """What a list asks of a column beside what django_tables2 does."""

    def __init__(
        self,
        *args: Any,
        files: Mapping[str, Read] = NOTHING,
        is_extra: bool = False,
        is_fixed: bool = False,
        loads: Sequence[str] = (),
        **more: Any,
    ) -> None:
        """``files``: the fields of files that tell what the cell shows, and how each is read.

        ``is_extra``: shown only where somebody asks for it. ``is_fixed``: not chosen, as the box that selects a row.
        ``loads``: relations of the rows that the cell reads.
        """
        self.files, self.is_extra, self.is_fixed, self.loads = dict(files), is_extra, is_fixed, tuple(loads)
        super().__init__(*args, **more)

    @property
    def header(self) -> str | None:
        """The title, in the language of who reads; None where the name of the column is its title."""
        return _(self.verbose_name) if self.verbose_name else None  # type: ignore[attr-defined]


class Cell(_Told, tables.TemplateColumn):
    """A column whose cells are drawn by a template, in the context of the page: it has ``record`` and its ``value``."""

    def draw(self, record: Any, column: BoundColumn, context: Context) -> SafeString:
        """The cell of a row. All cells share one context, and each template is looked up once."""
        with context.push(record=record, value=_value_of(record, column.accessor)):
            drawn: SafeString = _template(self.template_name, self.template_code).render(context)
            return drawn


@cache
def _template(name: str | None, code: str | None) -> Template:
    if code:
        return Template(code)
    return get_template(name).template  # type: ignore[arg-type, attr-defined, no-any-return]


def _value_of(record: Any, accessor: Accessor) -> Any:
    """What the path leads to, in words where it is a choice; None where something on the way is missing."""
    owner, name = accessor.penultimate(record)
    in_words = getattr(owner, f"get_{name}_display", None)
    return in_words() if in_words else accessor.resolve(record, quiet=True)


class Text(_Told, tables.Column):
    """A column of plain values: texts, numbers and times, none of which needs a template.

    Where rows are cards, on a phone, its label stands before the value, and nothing where there is none.
    """

    def __init__(self, label: str, read: Read, **more: Any) -> None:
        attrs = more.pop("attrs", {"td": {"class": "in-line"}})
        # The value is read here alone: found by the name of the column, it may be asked of the database row by row.
        super().__init__(verbose_name=label, accessor="pk", empty_values=(), attrs=attrs, **more)
        self.read = read

    def draw(self, record: Any, column: BoundColumn, context: Context) -> SafeString:
        """The cell of a row."""
        value = self.read(record)
        if value is None or value == "":
            return format_html('<span class="text-secondary d-none d-sm-inline">{}</span>', "–")
        if hasattr(value, "isoformat"):
            value = render_to_string("tables/moment.html", {"moment": value})
        elif isinstance(value, bool):
            value = _("Yes") if value else _("No")
        elif isinstance(value, int):
            value = number_format(value, force_grouping=True)
        return format_html('<span class="on-phones">{}:</span> <bdi>{}</bdi>', self.header, value)


def reads(path: str) -> Read:
    """Reads what the path leads to from a row, such as ``user__upn``; None where something on the way is missing."""
    accessor = Accessor(path)
    return lambda row: accessor.resolve(row, quiet=True)
