"""The languages of pages and mails, as one chooses among them."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import get_language_info


def language_choices() -> list[tuple[str, str]]:
    """Each by its own name, so that everybody finds theirs."""
    return [(code, get_language_info(code)["name_local"].capitalize()) for code in dict(settings.LANGUAGES)]
