"""What was sent and cannot be taken: the session has ended, the page was too old, or the address is no page.

Whoever sent it is led back to the page that they came from and told that nothing was saved. What they had typed the
server does not keep, because it cannot know yet who signs in next; ``mms.js`` keeps it in the browser's tab.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.contrib.messages.storage.base import BaseStorage
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.csrf import csrf_failure
from django_htmx.http import trigger_client_event

from tenants_app.screens.addresses import page_at, route_of
from tenants_app.screens.requests import Request

UNSAVED = "unsaved"
"""Marks the sign-in page that a lost POST leads to, and the message that says so afterwards."""


def tell_unsaved(request: HttpRequest, *, is_too_old: bool = False) -> None:
    """Say on the page that comes next that nothing was saved; what was typed comes back there where it was kept."""
    told = _("You were signed out, so nothing was saved or started.")
    if is_too_old:
        told = _("The page was too old, so nothing was saved or started.")
    messages.warning(request, told, extra_tags=UNSAVED)


def page_it_came_from(request: HttpRequest) -> str:
    """The path and query of the page that a form was sent from; empty where that is no address of this service."""
    htmx = cast(Request, request).htmx
    return page_at(request, (htmx.current_url if htmx else request.headers.get("Referer")) or "")


def page_above(request: HttpRequest) -> str:
    """The nearest page that the address of the request stands below."""
    here = route_of(request.path_info) or ""
    return next((path for path in _above(request.path_info) if _is_above(route_of(path), here)), "/")


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = path.rstrip("/").rpartition("/")[0] + "/"
        yield path


def _is_above(route: str | None, here: str) -> bool:
    """Not so ``/accounts/``, which could be the page of a tenant of that name."""
    return route is not None and route != here and here.startswith(route)


class LostPosts:
    """Answers what is sent without a session, and a browser that opens an address which only takes forms.

    It stands before the middleware that asks everybody to sign in, and within those that it needs: messages, htmx.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.status_code == 405 and request.method == "GET" and _shows_pages(request):
            _explain(request)
            return redirect(page_above(request))
        return response

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        """Lead a POST of nobody to the sign-in page, and from there back to where it came from."""
        if request.method != "POST" or not getattr(view_func, "login_required", True) or request.user.is_authenticated:
            return None
        if request.resolver_match and request.resolver_match.url_name == "account_logout":
            return redirect(settings.LOGIN_URL)
        response = redirect_to_login(page_it_came_from(request) or request.get_full_path())
        response["Location"] += f"&{UNSAVED}=yes"
        return response


def _shows_pages(request: HttpRequest) -> bool:
    """Whether it is a browser that shows what it is answered as a page. Others name no type, or any."""
    return "text/html" in request.headers.get("Accept", "") and not cast(Request, request).htmx


def _explain(request: HttpRequest) -> None:
    """Say why another page is shown, unless somebody who had been signed out is led there and told already."""
    waiting = messages.get_messages(request)
    is_told = any(message.extra_tags == UNSAVED for message in waiting)
    if isinstance(waiting, BaseStorage):
        waiting.used = False  # they are still to be shown
    if not is_told:
        told = _("Nothing was changed. That address only takes forms; this is the page it belongs to.")
        messages.info(request, told)


def form_too_old(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form with a wrong token (``CSRF_FAILURE_VIEW``).

    Mostly its page was opened before the administrator signed in anew in another window. Where the session shows that
    the browser keeps cookies, the page is opened again; anybody else gets the page that explains. A part of a page
    cannot show that one: it makes the page say that it must be loaded again.
    """
    page = page_it_came_from(request)
    is_part = bool(cast(Request, request).htmx)
    if page and request.user.is_authenticated and not is_part:
        tell_unsaved(request, is_too_old=True)
        return redirect(page)
    response = csrf_failure(request, reason)
    return trigger_client_event(response, "tooOld") if is_part else response
