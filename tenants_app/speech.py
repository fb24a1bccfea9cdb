"""How sentences are spoken: by Django's catalogues, with numbers and times as the active language writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, ngettext, override

from tenants_app.sentences import Speech, speak_with


def shown(value: Any) -> str:
    """A number in groups of three; a time as the clocks of who reads it show it, with what that zone is called."""
    if isinstance(value, datetime):
        local = timezone.localtime(value) if timezone.is_aware(value) else value
        return f"{date_format(local, 'SHORT_DATETIME_FORMAT')} {local.tzname() or ''}".rstrip()
    if isinstance(value, (int, float)):
        return number_format(value, use_l10n=True, force_grouping=True)
    return date_format(value, "DATE_FORMAT")


def _in_english(value: Any) -> str:
    with override("en"):
        return shown(value)


def begin() -> None:
    """Speak the language that is active, wherever a sentence is printed."""
    speak_with(Speech(gettext, ngettext, shown, _in_english))
