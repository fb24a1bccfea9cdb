"""Whether who is signed in has shown a second factor, and where those are led who must and have not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from allauth.account.internal.flows.login import get_authentication_records
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from tenants_app.access import SECOND_FACTOR, SecondFactorNeeded
from tenants_app.screens.requests import Request

OPEN_WITHOUT = ("mfa_", "account_", "openid_", "theme", "keyboard", "keys", "password_reset_confirm")
"""How the names of those addresses begin that lead to a second factor, or need none."""


def remember(request: HttpRequest, user: User) -> None:
    """Keep in the session whether this sign-in counts as one with a second factor.

    An organization's own sign-in counts: whether it asks for a second factor is for the organization to say.
    """
    shown = {record.get("method") for record in get_authentication_records(request, user)}
    request.session[SECOND_FACTOR] = bool(shown & {"mfa", "socialaccount"})


class SecondFactorRequired:
    """Leads those to the page of second factors who need one for what they want to see."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        """Everywhere, where the installation asks for a second factor."""
        if settings.MMS_SECOND_FACTOR != "required" or not getattr(view_func, "login_required", True):
            return None
        name = (request.resolver_match.url_name if request.resolver_match else "") or ""
        if not request.user.is_authenticated or request.session.get(SECOND_FACTOR):
            return None
        if name.startswith(OPEN_WITHOUT) and "admin" not in request.resolver_match.namespaces:  # type: ignore[union-attr]
            return None
        return self._lead_on(request, _("Everybody here signs in with a second factor: set one up first."))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """On the pages of a tenant that asks for one."""
        if isinstance(exception, SecondFactorNeeded):
            return self._lead_on(request, str(exception))
        return None

    @staticmethod
    def _lead_on(request: HttpRequest, why: str) -> HttpResponseBase:
        messages.warning(request, why)
        if cast(Request, request).htmx:
            return HttpResponseClientRedirect(redirect("mfa_index").url)
        return redirect("mfa_index")
