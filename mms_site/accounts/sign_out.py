"""Signing out: here, and with the organization's sign-in where that one let somebody in (OpenID Connect RP-Initiated
Logout 1.0)."""

from __future__ import annotations

from typing import Any, TypedDict
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

SIGN_OUT = "openid_sign_out"
"""Of a session that the organization's sign-in began: a ``Way``."""


class Way(TypedDict):
    """How to sign out there."""

    address: str
    """Where the provider has one do it; empty where it has no such page."""
    hint: str
    """The ID token, by which the provider knows which session is meant and asks no further."""
    issuer: str


class SignOut(LogoutView):
    """Ends the session here first, so that it has ended whatever the provider does."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        way: Way | None = request.session.get(SIGN_OUT)
        response = super().post(request, *args, **kwargs)
        if way is None or not settings.MMS_OIDC_NAME or way["issuer"] != settings.MMS_OIDC_ISSUER:
            return response
        return _signed_out(request, way)


def _signed_out(request: HttpRequest, way: Way) -> HttpResponse:
    """The page that leads on to the provider. It does so by itself, as the policy of pages lets no form do; where the
    provider has no such page, it says that the session there goes on."""
    leads_to = ""
    if way["address"]:
        back = f"{settings.MMS_BASE_URL}{reverse('account_login')}"
        query = {"id_token_hint": way["hint"], "post_logout_redirect_uri": back}
        leads_to = f"{way['address']}{'&' if '?' in way['address'] else '?'}{urlencode(query)}"
    return render(
        request, "accounts/sign_in/signed_out.html", {"leads_to": leads_to, "openid_name": settings.MMS_OIDC_NAME}
    )
