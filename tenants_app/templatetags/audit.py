"""The audit's before and after as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django import template
from django.db.models import Field
from django.utils.formats import number_format
from django.utils.text import Truncator, capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from tenants_app.audit import action_in_words, values_in_words
from tenants_app.models import AuditEntry, Bridge, ConferencingUser, ServiceNumber, Tenant
from tenants_app.wording import provider_name

register = template.Library()
register.filter("in_words", action_in_words)

_FIELDS: dict[str, Field[Any, Any]] = {
    field.name: field for model in (ServiceNumber, Bridge, Tenant, ConferencingUser) for field in model._meta.fields
}
_PROVIDERS = {"provider", "conferencing_provider"}
_NAMES = {"conference_id": gettext_noop("Conference ID")}
_NAMES_OF_NO_FIELD = (
    gettext_noop("accepted items"),
    gettext_noop("action"),
    gettext_noop("address"),
    gettext_noop("alert"),
    gettext_noop("because"),
    gettext_noop("begins"),
    gettext_noop("between"),
    gettext_noop("body"),
    gettext_noop("changed"),
    gettext_noop("checks"),
    gettext_noop("chosen by"),
    gettext_noop("closed by"),
    gettext_noop("created"),
    gettext_noop("default bridge"),
    gettext_noop("default mailbox"),
    gettext_noop("default number"),
    gettext_noop("deployment"),
    gettext_noop("done"),
    gettext_noop("earliest start"),
    gettext_noop("entries"),
    gettext_noop("file"),
    gettext_noop("filter"),
    gettext_noop("given up"),
    gettext_noop("hosts"),
    gettext_noop("how"),
    gettext_noop("in doubt"),
    gettext_noop("mailboxes"),
    gettext_noop("Meeting"),
    gettext_noop("meetings"),
    gettext_noop("members"),
    gettext_noop("messages"),
    gettext_noop("named"),
    gettext_noop("not told"),
    gettext_noop("note"),
    gettext_noop("Note"),
    gettext_noop("numbers"),
    gettext_noop("open"),
    gettext_noop("organizers"),
    gettext_noop("owner"),
    gettext_noop("place"),
    gettext_noop("reason"),
    gettext_noop("retired"),
    gettext_noop("role"),
    gettext_noop("run"),
    gettext_noop("runs taken back"),
    gettext_noop("sign-ins"),
    gettext_noop("State"),
    gettext_noop("subject"),
    gettext_noop("unsent"),
    gettext_noop("users"),
    gettext_noop("wave"),
    gettext_noop("webhook"),
)
"""What else entries name: here for translators, who find in the code only what is written out."""
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
    after = _readable(name, entry.after[name]) if name in entry.after else _("nothing") if is_gone else before
    return Change(_name(name), before, after, is_from_to=name in entry.before and (is_gone or name in entry.after))


def _name(name: str) -> str:
    field = _FIELDS.get(name)
    if name in _NAMES:
        return _(_NAMES[name])
    return str(capfirst(field.verbose_name if field else _(name.replace("_", " "))))


def _readable(name: str, value: Any) -> str:
    if name in _PROVIDERS and value == "":
        return provider_name(value)
    if name == "meeting_service" and value == "":
        return _("the tenant's")
    if value is None or value in ("", []):
        return _("nothing")
    if isinstance(value, list):
        return Truncator(", ".join(str(each) for each in value)).chars(_LONGEST)
    if isinstance(value, bool):
        return _("on") if value else _("off")
    if isinstance(value, int):
        return number_format(value, force_grouping=True)
    field = _FIELDS.get(name)
    choices = {**values_in_words(name), **dict(field.flatchoices if field else ())}
    return Truncator(str(choices.get(value, value))).chars(_LONGEST)
