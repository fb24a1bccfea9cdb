"""Pages that follow what happens: whether the part that a browser shows must be made anew.

A browser says with each question what it shows. One statement tells whether anything has changed since that any page of
the tenant shows (``monitoring.activity``); where nothing has, the answer is empty, and only the time moves on that the
page bears. What follows from time alone ages by a minute at most: what a page shows counts for the minute in which it
was made.
"""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.formats import date_format
from django_htmx.http import trigger_client_event

from migrations_app.monitoring import activity
from tenants_app.access import Access
from tenants_app.screens.fragments import SHOWN, answer
from tenants_app.screens.requests import Request


class Live:
    """One look at a page that follows what happens. Made before anything is read that the page shows: what changes
    meanwhile shows at the next look."""

    def __init__(self, request: Request, access: Access) -> None:
        self._request = request
        self.now = timezone.now()
        shown = (
            activity.version(access.tenant),
            access.account.pk,
            access.role,
            request.get_full_path(),
            int(self.now.timestamp() // 60),
        )
        self.version = hashlib.blake2b(repr(shown).encode(), digest_size=12).hexdigest()

    @property
    def is_unchanged(self) -> bool:
        """Whether the browser shows already what it would get."""
        return bool(self._request.htmx) and self._request.headers.get(SHOWN) == self.version

    def nothing_new(self) -> HttpResponse:
        """The answer then: nothing but the time."""
        local = timezone.localtime(self.now)
        moment = {"iso": local.isoformat(timespec="seconds"), "text": date_format(local, "j M Y, H:i T")}
        response = trigger_client_event(HttpResponse(status=204), "nothingNew", moment)
        add_never_cache_headers(response)
        return response

    def answer(self, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
        """The page, or its live part for htmx, which knows then what it shows."""
        return answer(self._request, page, fragment, {"now": self.now, "shown_version": self.version} | context)
