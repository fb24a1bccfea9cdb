"""One address answers a whole page to a browser, and to htmx only the part that changes."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers

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
