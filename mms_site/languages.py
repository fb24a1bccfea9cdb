"""Which language a page speaks: the account's own, else the one that the browser keeps, else that it asks for, else the
installation's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import render
from django.utils.translation import activate, get_language
from django.views.decorators.http import require_POST

from tenants_app.access import use_time_zone
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import prefer, refuse_language
from tenants_app.languages import is_language
from tenants_app.models import Preferences
from tenants_app.screens.addresses import page_at
from tenants_app.screens.languages import language_choices

A_YEAR = 31_536_000


class LanguageOfReader(LocaleMiddleware):
    """Django's own, for those who are not signed in; whoever is has the language and the time zone of their account.

    It stands within the middleware that knows who is signed in, but asks only where a page does: ``/healthz`` answers
    also while the database is down. The browser is told what the account has chosen, for pages that nobody is asked to
    sign in to.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., Any], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if getattr(view_func, "login_required", True) and isinstance(request.user, User):
            use_time_zone(request.user)  # also on pages above the tenants
            chosen = Preferences.of(request.user).language
            if is_language(chosen):
                activate(chosen)
                request.LANGUAGE_CODE = chosen
        return None

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response = super().process_response(request, response)
        user = getattr(request, "_cached_user", None)  # who was asked for; nobody is asked for here
        chosen = Preferences.of(user).language if user is not None and user.is_authenticated else ""
        if is_language(chosen) and request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME) != chosen:
            keep_in_browser(request, response, chosen)
        return response


def keep_in_browser(request: HttpRequest, response: HttpResponseBase, language: str) -> None:
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        language,
        max_age=A_YEAR,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )


def languages(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``languages``, each with its code and by its own name, and whether the page speaks it."""
    return {"languages": _languages}


def _languages() -> list[dict[str, Any]]:
    now = get_language()
    return [{"code": code, "name": name, "is_now": code == now} for code, name in language_choices()]


@login_not_required
@require_POST
def choose_language(request: HttpRequest) -> HttpResponse:
    """Keep the language that a visitor likes, and go back to where they were: with the account of who is signed in, and
    with the browser for a year."""
    language = request.POST.get("language", "")
    if not is_language(language):
        if isinstance(request.user, User):  # what anybody can do as often as they like is kept nowhere
            refuse_language(request.user, Actor(request.user.get_username(), Channel.SCREEN), language)
        return render(request, "accounts/no_such_language.html", status=400)
    if isinstance(request.user, User):
        prefer(request.user, Actor(request.user.get_username(), Channel.SCREEN), language=language)
    response = HttpResponseRedirect(page_at(request, request.POST.get("next", "")) or "/")
    keep_in_browser(request, response, language)
    return response
