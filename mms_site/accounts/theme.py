"""The colours of a page: those that who is signed in has chosen, or that the browser keeps for who is not."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from tenants_app.models import Preferences


def theme(request: HttpRequest) -> dict[str, Any]:
    """Context processor: ``theme``, ``light``, ``dark`` or ``auto``, made when a template asks for it."""
    return {"theme": lambda: theme_of(request)}


def theme_of(request: HttpRequest) -> str:
    """Who has never chosen anything for their account keeps what their browser keeps."""
    user = getattr(request, "user", None)  # none on the page of an error that came before the sign-in was looked at
    if user is not None and user.is_authenticated:
        chosen = Preferences.of(user)
        if not chosen._state.adding:
            return chosen.theme or "auto"
    kept = request.COOKIES.get("theme")
    return kept if kept in {"light", "dark"} else "auto"
