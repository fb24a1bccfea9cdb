"""One address answers a whole page to a browser, and to htmx only the part that changes.

A page that follows what happens asks by itself, and says with each question what it shows. Where that is what it would
get, the answer is empty, and only the time moves on that the page bears. What follows from time alone ages by a minute
at most: what a page shows counts for the minute in which it was made.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django.utils.formats import date_format
from django.utils.translation import get_language
from django_htmx.http import trigger_client_event

from tenants_app.screens.requests import Request

SHOWN = "MMS-Shown"
"""The header in which a part of a page that asks by itself says what it shows."""


def answer(request: Request, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
    """Render the template ``page``, or for htmx the template ``fragment`` that the page includes.

    Both find in ``is_fragment`` which of them it is. When one goes back in the browser, htmx too asks for the page.
    """
    is_fragment = bool(request.htmx) and not request.htmx.history_restore_request
    response = render(request, fragment if is_fragment else page, context | {"is_fragment": is_fragment})
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response


class Look:
    """One look at a page that follows what happens. Made before anything is read that the page shows: what changes
    meanwhile shows at the next look."""

    def __init__(self, request: Request, *shown: object) -> None:
        """``shown`` is another after each change of what the page shows."""
        self._request = request
        self.now = timezone.now()
        whole = (
            *shown,
            request.get_full_path(),
            get_language(),
            timezone.get_current_timezone_name(),
            int(self.now.timestamp() // 60),
        )
        self.version = hashlib.blake2b(repr(whole).encode(), digest_size=12).hexdigest()

    @property
    def is_unchanged(self) -> bool:
        """Whether the browser shows already what it would get."""
        return bool(self._request.htmx) and self._request.headers.get(SHOWN) == self.version

    def nothing_new(self) -> HttpResponse:
        """The answer then: nothing but the time."""
        local = timezone.localtime(self.now)
        moment = {
            "iso": local.isoformat(timespec="seconds"),
            "text": f"{date_format(local, 'SHORT_DATETIME_FORMAT')} {local.tzname()}",
        }
        response = trigger_client_event(HttpResponse(status=204), "nothingNew", moment)
        add_never_cache_headers(response)
        return response

    def answer(self, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
        """The page, or its live part for htmx, which knows then what it shows."""
        return answer(self._request, page, fragment, {"now": self.now, "shown_version": self.version} | context)
