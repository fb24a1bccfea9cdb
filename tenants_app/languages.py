"""In which language somebody is told something: that of their account, else the one of the installation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils.translation import deactivate, override

from tenants_app.mail_addresses import accounts_with
from tenants_app.models import Preferences

P = ParamSpec("P")
T = TypeVar("T")


def is_language(code: str) -> bool:
    """Whether the pages speak it."""
    return code in dict(settings.LANGUAGES)


def language_of(account: AbstractBaseUser | AnonymousUser | None) -> str:
    """What the account has chosen, where the pages speak it still; else the language of the installation."""
    chosen = Preferences.of(account).language if account is not None else ""
    return chosen if is_language(chosen) else settings.LANGUAGE_CODE


def language_of_address(address: str) -> str:
    """The language of the account with that mail address; where several have it, of the one that came first."""
    chosen = [Preferences.of(account).language for account in accounts_with(address) if account.is_active]
    return next(filter(is_language, chosen), settings.LANGUAGE_CODE)


def spoken_to(address: str) -> AbstractContextManager[None]:
    """What is written within goes to that mail address, in the language of whoever has it."""
    return override(language_of_address(address))


def leave_language(**of_signal: object) -> None:
    """Go back to the installation's: one thread answers requests of people who speak different ones."""
    deactivate()


def in_english(function: Callable[P, T]) -> Callable[P, T]:
    """For what nobody reads at once: what it writes down is English, and is put into a language by who reads it."""

    @wraps(function)
    def spoken(*args: P.args, **kwargs: P.kwargs) -> T:
        with override("en"):
            return function(*args, **kwargs)

    return spoken
