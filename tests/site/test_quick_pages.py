"""What the suite writes in less time is what Django writes (tests/support/quick_pages.py)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from django import forms
from django.forms import renderers
from django.template import NodeList
from django.templatetags.static import StaticNode
from django.test import Client
from django.utils import html, timezone
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from tenants_app.models import Bridge, ConferencingUser
from tests.support import quick_pages

HOSTILE = '<b> & "it\'s" \n 1.234'
CHOICES: Any = [
    ("", HOSTILE),
    (
        HOSTILE,
        [(1234567, 1234567.5), (None, mark_safe("<i>as it is</i>")), (mark_safe("a&amp;b"), gettext_lazy("Yes"))],
    ),
]
ATTRIBUTES = {
    "required": True,
    "disabled": False,
    "data-x": HOSTILE,
    "min": 1234567,
    "class": mark_safe("a&amp;b"),
    HOSTILE: 1,
}
VALUES = ["", None, 0, 1234567, 12.5, True, HOSTILE, mark_safe("a&amp;b"), date(2026, 3, 2), gettext_lazy("Yes")]
WIDGETS: list[type[forms.Widget]] = [
    *(forms.TextInput, forms.Textarea, forms.HiddenInput, forms.NumberInput, forms.EmailInput, forms.URLInput),
    *(forms.PasswordInput, forms.CheckboxInput, forms.DateInput, forms.DateTimeInput, forms.TimeInput, forms.Select),
    *(forms.NullBooleanSelect, forms.SelectMultiple, forms.RadioSelect, forms.CheckboxSelectMultiple, forms.FileInput),
]


@contextmanager
def as_django_does() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for of, name, told in quick_pages.AS_DJANGO:
            patch.setattr(of, name, told)
        yield


def both_ways(work: Callable[..., Any], *values: Any) -> tuple[Any, Any]:
    """What it gives quickly, and where nothing is written quickly."""
    quick = work(*values)
    with as_django_does():
        return quick, work(*values)


def widget(kind: type[forms.Widget]) -> forms.Widget:
    has_choices = issubclass(kind, forms.widgets.ChoiceWidget) and kind is not forms.NullBooleanSelect
    return kind(ATTRIBUTES, choices=CHOICES) if has_choices else kind(ATTRIBUTES)


@pytest.mark.parametrize("kind", WIDGETS)
def test_each_widget_is_written_as_by_its_template(kind: type[forms.Widget]) -> None:
    for value in VALUES:
        for name in ("plain", HOSTILE):
            quick, told = both_ways(widget(kind).render, name, value)
            assert quick == told


def test_it_escapes_the_same() -> None:
    for value in VALUES:
        quick, told = both_ways(lambda text: [html.escape(text), html.conditional_escape(text)], value)
        assert quick == told
        assert [type(text) for text in quick] == [type(text) for text in told]


PAGES = [
    "/contoso/",
    "/contoso/users/",
    "/contoso/users/anna.rossi@contoso.com/",
    "/contoso/settings/",
    "/contoso/nothing/",
]


def test_whole_pages_are_the_same(alice: Client, anna: ConferencingUser, new_bridge: Bridge, time_machine: Any) -> None:
    time_machine.move_to(timezone.now(), tick=False)

    def page(address: str) -> str:
        return re.sub(r'name="csrfmiddlewaretoken" value="[^"]+"', "", alice.get(address).content.decode())

    for address in PAGES:
        quick, told = both_ways(page, address)
        assert "</html>" in quick
        assert quick == told


def test_it_is_at_work() -> None:
    """Otherwise the comparisons above would be of Django with itself."""
    quick = [(of, name) for of, name, told in quick_pages.AS_DJANGO if getattr(of, name) != told]
    assert quick == [
        (renderers.BaseRenderer, "render"),
        (html, "escape"),
        (NodeList, "render"),
        (NodeList, "get_nodes_by_type"),
        (StaticNode, "handle_simple"),
    ]
