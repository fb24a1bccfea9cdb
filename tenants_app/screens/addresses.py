"""Addresses that come from outside, and whether a page of this service stands behind them."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit, urlunsplit

from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.http import url_has_allowed_host_and_scheme


def page_at(request: HttpRequest, address: str) -> str:
    """The path and query of the page that the address leads to; empty where that is no page of this service."""
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, request.is_secure()):
        return ""
    parts = urlsplit(address)
    page = urlunsplit(("", "", parts.path, parts.query, ""))
    # A path may look like the address of another host, once the host before it is gone.
    is_page = url_has_allowed_host_and_scheme(page, None) and route_of(unquote(parts.path)) is not None
    return page if is_page else ""


def route_of(path: str) -> str | None:
    """The route that a path belongs to, such as ``<slug:slug>/users/``; None where it is no address of ours."""
    try:
        return resolve(path).route
    except Resolver404:
        return None
