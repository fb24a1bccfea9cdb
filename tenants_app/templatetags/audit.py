"""The audit's before and after as people read them."""

from __future__ import annotations

from typing import Any

from django import template

from tenants_app.models import AuditEntry

register = template.Library()


@register.filter
def changes(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """What changed: the name of each value, what it was and what it is."""
    names = [*entry.before, *(name for name in entry.after if name not in entry.before)]
    return [
        (name.replace("_", " ").capitalize(), _readable(entry.before.get(name)), _readable(entry.after.get(name)))
        for name in names
    ]


def _readable(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
