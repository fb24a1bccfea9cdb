"""Pages written as Django writes them, letter for letter, in less time: the suite has tens of thousands written.

``tests/site/test_quick_pages.py`` sees that they are the same.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from django.forms.renderers import BaseRenderer, DjangoTemplates
from django.template import Context, Node, NodeList
from django.template.base import render_value_in_context
from django.templatetags.static import StaticNode
from django.utils import html as django_html
from django.utils.functional import Promise
from django.utils.html import conditional_escape
from django.utils.safestring import SafeData, SafeString

Widget = Mapping[str, Any]

_PLAIN = Context()
_INPUTS = (
    "checkbox",
    "date",
    "datetime",
    "email",
    "hidden",
    "input",
    "number",
    "password",
    "tel",
    "text",
    "time",
    "url",
)


AS_DJANGO = [
    (of, name, getattr(of, name))
    for of, name in (
        (BaseRenderer, "render"),
        (django_html, "escape"),
        (NodeList, "render"),
        (NodeList, "get_nodes_by_type"),
        (StaticNode, "handle_simple"),
    )
]
"""What is replaced: where it stands, its name, and Django's own."""


@contextmanager
def quick_pages() -> Iterator[None]:
    """Meanwhile the widgets of forms are written without templates, and what has no error is not looked through.

    Blocks of a template and addresses of files, which stay as they are, are looked for once.
    """
    by_template, escape, find = BaseRenderer.render, django_html.escape, NodeList.get_nodes_by_type

    def render(renderer: BaseRenderer, template_name: str, context: dict[str, Any], request: Any = None) -> str:
        write = _WIDGETS.get(template_name)
        if write is None or type(renderer) is not DjangoTemplates:
            return by_template(renderer, template_name, context, request)
        return write(context["widget"]).strip()

    def quick_escape(text: Any) -> Any:
        return escape(text) if isinstance(text, Promise) else SafeString(html.escape(str(text)))

    def write_all(nodes: NodeList, context: Context) -> SafeString:
        return SafeString("".join([node.render(context) for node in nodes]))

    def found_once(nodes: NodeList, kind: type[Node]) -> list[Node]:
        known = nodes.__dict__.setdefault("found", {})
        if (kind, len(nodes)) not in known:
            known[kind, len(nodes)] = find(nodes, kind)
        found: list[Node] = known[kind, len(nodes)]
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NodeList, "get_nodes_by_type", found_once)
        patch.setattr(StaticNode, "handle_simple", staticmethod(cache(StaticNode.handle_simple)))
        patch.setattr(BaseRenderer, "render", render)
        patch.setattr(django_html, "escape", quick_escape)
        patch.setattr(NodeList, "render", write_all)
        yield


def _shown(value: Any) -> str:
    return str(render_value_in_context(value, _PLAIN))


def _as_string(value: Any) -> str:
    """As with the filter ``stringformat:'s'``."""
    text = f"{value!s}"
    return text if isinstance(value, SafeData) else str(conditional_escape(text))


def _attributes(widget: Widget) -> str:
    return "".join(
        f" {_shown(name)}" + ("" if value is True else f'="{_as_string(value)}"')
        for name, value in widget["attrs"].items()
        if value is not False
    )


def _input(widget: Widget) -> str:
    value = "" if widget["value"] is None else f' value="{_as_string(widget["value"])}"'
    return f'<input type="{_shown(widget["type"])}" name="{_shown(widget["name"])}"{value}{_attributes(widget)}>\n'


def _textarea(widget: Widget) -> str:
    value = _shown(widget["value"]) if widget["value"] else ""
    return f'<textarea name="{_shown(widget["name"])}"{_attributes(widget)}>\n{value}</textarea>\n'


def _select(widget: Widget) -> str:
    parts = [f'<select name="{_shown(widget["name"])}"{_attributes(widget)}>']
    for name, options, _ in widget["optgroups"]:
        if name:
            parts.append(f'\n  <optgroup label="{_shown(name)}">')
        parts.extend(f"\n  {_WIDGETS[option['template_name']](option)}" for option in options)
        if name:
            parts.append("\n  </optgroup>")
    return "".join([*parts, "\n</select>\n"])


def _option(option: Widget) -> str:
    return f'<option value="{_as_string(option["value"])}"{_attributes(option)}>{_shown(option["label"])}</option>\n'


_WIDGETS: Mapping[str, Callable[[Widget], str]] = {
    f"django/forms/widgets/{name}.html": write
    for name, write in {
        **dict.fromkeys(_INPUTS, _input),
        "select": _select,
        "select_option": _option,
        "textarea": _textarea,
    }.items()
}
