"""What every request passes: who is asked to sign in, and that private pages are kept nowhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.utils.cache import add_never_cache_headers


class QuietDirectory:
    """Takes the query out of what the web server logs of a request to a dial-in directory: it may hold its key.

    gunicorn writes its access log after the answer, from the same environment. Stands before all other middleware,
    which may answer by itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if re.match("/+[^/]+/+dial-in/", request.path_info):
            request.META["QUERY_STRING"] = ""
            request.META["RAW_URI"] = request.path
        return response


class CompressedPages(GZipMiddleware):
    """Django's own, but for what another site has made the browser ask for.

    From the size of compressed answers one learns what stands in them, if one can have them made again and again with
    words of one's own beside the secret (BREACH). Who can do that is another site, and it gets plain answers. Besides,
    the token of forms is masked anew in each answer, each is made longer by up to 100 random bytes, and the session's
    cookie goes along only where one follows a link.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.headers.get("Sec-Fetch-Site") in {"cross-site", "same-site"}:
            return response
        return super().process_response(request, response)


class SignInRequired(LoginRequiredMiddleware):
    """Django's own, but for views that are open to all it does not look who asks.

    So ``/healthz`` can answer that the database is down, also to a browser with a session, which is in the database.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)


class PrivatePages:
    """Forbids browsers and proxies to keep what is answered to somebody who may be signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            add_never_cache_headers(response)
        return response
