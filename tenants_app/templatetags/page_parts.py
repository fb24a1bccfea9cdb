"""Small parts of pages: icons, times, durations, counts."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from django import template
from django.contrib.humanize.templatetags.humanize import naturaltime
from django.templatetags.static import static
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from tenants_app import wording

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """A decorative icon: a symbol of ``static/vendor/tabler-icons/icons.svg``."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>', _all_icons(), name
    )


@cache  # a page has dozens of icons
def _all_icons() -> str:
    return static("vendor/tabler-icons/icons.svg")


@register.filter
def when(moment: datetime | None) -> SafeString:
    """The moment with its time zone; a dash where there is none."""
    if moment is None:
        return _time(None, None)
    local = timezone.localtime(moment)  # its name is also known in the hour that the clocks show twice
    return _time(moment, f"{date_format(local, 'SHORT_DATETIME_FORMAT')} {local.tzname()}")


@register.filter
def ago(moment: datetime | None) -> SafeString:
    """The moment relative to now; the tooltip has the exact one."""
    return _time(moment, None if moment is None else naturaltime(moment))


def _time(moment: datetime | None, text: str | None) -> SafeString:
    if moment is None:
        return format_html('<span class="text-secondary">{}</span>', "–")
    local = timezone.localtime(moment)
    return format_html('<time datetime="{0}" title="{0}">{1}</time>', local.isoformat(timespec="seconds"), text)


@register.filter
def counted(number: int, noun: str) -> str:
    """A number of things, such as ``1 user`` and ``1,200 users``."""
    return wording.counted(number, noun)


@register.filter
def until(start: datetime | None, end: datetime | None) -> str:
    """How long it took from ``start`` to ``end``; empty where either is missing."""
    if start is None or end is None:
        return ""
    seconds = max((end - start).total_seconds(), 0)
    if seconds < 1:
        return _("less than 1 s")
    hours, rest = divmod(round(seconds), 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": minutes}
    if minutes:
        return _("%(minutes)s min %(seconds)s s") % {"minutes": minutes, "seconds": seconds}
    return _("%(seconds)s s") % {"seconds": seconds}
