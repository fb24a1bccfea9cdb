"""How pages of persistent chat say states, findings, sizes and times to come."""

from __future__ import annotations

from django import template
from django.template.defaultfilters import filesizeformat
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from migrations_app.badges import CHAT
from migrations_app.chat.conversion.findings import CODES
from migrations_app.chat.names import DIFFERENCES, FINDINGS
from migrations_app.cures import CURES, Place
from migrations_app.failures import CATALOGUE
from tenants_app.templatetags.components import state

register = template.Library()


@register.simple_tag
def chat_badge(value: str, href: str = "") -> SafeString:
    """The badge of a state of an archive, plan or room, of a comparison or of a severity."""
    look = CHAT[value]
    return state(look.tone, look.icon, look.label, href)


@register.filter
def chat_label(value: str) -> str:
    """What people call such a state."""
    return CHAT[value].label


@register.filter
def finding_name(code: str) -> str:
    """What people call a kind of finding."""
    return _(FINDINGS[code]) if code in FINDINGS else code


@register.filter
def finding_severity(code: str) -> str:
    """How grave a kind of finding is."""
    return CODES[code]


@register.filter
def difference_name(code: str) -> str:
    """What people call a kind of difference."""
    return _(DIFFERENCES[code]) if code in DIFFERENCES else code


@register.filter
def chat_do(code: str) -> str:
    """What to do about the code of a room that failed for good; empty for one that is not in the catalogue."""
    if code not in CATALOGUE:
        return ""
    entry = CATALOGUE[code]
    return str(entry.do if entry.do_when_given_up is None else entry.do_when_given_up)


@register.filter
def is_of_target(code: str) -> bool:
    """Whether that is put right on the page of the target."""
    return CURES.get(code) == Place.CHAT_TARGET


@register.filter
def octets(number: int | None) -> str:
    """A size, such as ``1.2 MB``."""
    return filesizeformat(number or 0)


@register.filter
def lasts(seconds: float | None) -> str:
    """How long something will take, roughly; empty where nobody knows."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if minutes < 1:
        return _("less than a minute")
    if minutes < 90:
        return ngettext("about %(n)s minute", "about %(n)s minutes", minutes) % {"n": minutes}
    hours = round(seconds / 3600)
    if hours < 48:
        return ngettext("about %(n)s hour", "about %(n)s hours", hours) % {"n": hours}
    days = round(seconds / 86_400)
    return ngettext("about %(n)s day", "about %(n)s days", days) % {"n": days}
