"""The audit's before and after as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django import template
from django.db.models import Field
from django.utils.text import Truncator, capfirst

from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.wording import provider_name

register = template.Library()

_FIELDS: dict[str, Field[Any, Any]] = {
    field.name: field for model in (ServiceNumber, Bridge, Tenant, ConferencingUser) for field in model._meta.fields
}
_PROVIDERS = {"provider", "conferencing_provider"}
_NAMES = {"conference_id": "Conference ID"}
_LONGEST = 200


class Change(NamedTuple):
    """One value of an entry. What was given on one side only, beside others that changed, has no from and to."""

    name: str
    before: str
    after: str
    is_from_to: bool


@register.filter
def of(pages: Mapping[int, Any], entry: AuditEntry) -> Any:
    """What there is for the entry, such as the page of what it is about; empty where there is nothing."""
    return pages.get(entry.pk, "")


@register.filter
def changes(entry: AuditEntry) -> list[Change]:
    """What changed: the name of each value, what it was and what it is. Long texts are cut; the CSV has them whole."""
    names = [*entry.before, *(name for name in entry.after if name not in entry.before)]
    return [_change(entry, name) for name in names]


def _change(entry: AuditEntry, name: str) -> Change:
    before = _readable(name, entry.before.get(name))
    is_gone = not entry.after
    after = _readable(name, entry.after[name]) if name in entry.after else "nothing" if is_gone else before
    return Change(_name(name), before, after, is_from_to=name in entry.before and (is_gone or name in entry.after))


def _name(name: str) -> str:
    field = _FIELDS.get(name)
    return _NAMES.get(name) or str(capfirst(field.verbose_name if field else name.replace("_", " ")))


def _readable(name: str, value: Any) -> str:
    if name in _PROVIDERS and value == "":
        return provider_name(value)
    if name == "meeting_service" and value == "":
        return "the tenant's"
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value:,}"
    field = _FIELDS.get(name)
    label = dict(field.flatchoices).get(value, value) if field else value
    return Truncator(str(label)).chars(_LONGEST)
