"""What allauth asks of its site."""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter, _build_apps_from_settings
from allauth.socialaccount.models import SocialApp
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mms_site.accounts import second_factor
from mms_site.sign_in import client_address
from tenants_app.changes.accounts import SEALED_FOR
from tenants_app.sealing import seal, unseal

BACKEND = "mms_site.accounts.backends.AccountBackend"
NOT_THE_CODE = gettext_lazy(
    "That is not the code, or it has been used already: wait for the next one, or give a recovery code that is unused."
)
NOT_READABLE = gettext_lazy(
    "The second factor cannot be read, because MMS_SECRETS_KEY is not what it was: ask whoever runs the service to put "
    "the key back."
)
NOT_THE_PASSKEY = gettext_lazy("That passkey is not one of this account, or it was too slow: try again.")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth has no types
    """Sessions as Django makes them; nobody signs up by themselves."""

    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "incorrect_password": gettext_lazy("That is not your password. It is case-sensitive."),
        "too_many_login_attempts": gettext_lazy("There were too many wrong codes: wait five minutes and try again."),
        "rate_limited": gettext_lazy("There were too many tries: wait five minutes and try again."),
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        user.backend = BACKEND  # the one whose sessions end with a changed password
        super().login(request, user)
        if isinstance(user, User):
            second_factor.remember(request, user)

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kwargs: Any
    ) -> None:
        """Nothing is said that the next page shows by itself, as that one is signed in."""
        if message_template not in {"account/messages/logged_in.txt", "account/messages/logged_out.txt"}:
            super().add_message(request, level, message_template, *args, **kwargs)

    def respond_user_inactive(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        from mms_site.accounts.refusals import refused

        return refused(request, "switched-off", account=user if isinstance(user, User) else None)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets are kept like the passwords of mail systems: encrypted under ``MMS_SECRETS_KEY``."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": NOT_THE_CODE,
        "cannot_generate_recovery_codes": gettext_lazy(
            "Recovery codes go with a second factor: add an app or a passkey first."
        ),
    }

    def get_totp_issuer(self) -> str:
        return "MMS"

    def encrypt(self, text: str) -> str:
        return seal(text, SEALED_FOR)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(encrypted_text, SEALED_FOR)

    def generate_authenticator_name(self, user: AbstractBaseUser, type: Any) -> str:  # noqa: A002 - allauth's name
        return _("Passkey")


class OpenIdAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """The organization's sign-in is the one of the settings; who may come in, ``openid`` decides."""

    def list_apps(self, request: HttpRequest, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        return [
            app for apps in _build_apps_from_settings(provider=provider, client_id=client_id).values() for app in apps
        ]

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        from mms_site.accounts.openid import admit

        admit(request, sociallogin)

    def on_authentication_error(
        self, request: HttpRequest, provider: Any, error: Any = None, exception: Any = None, extra_context: Any = None
    ) -> None:
        from mms_site.accounts.openid import answer_of_no_use

        answer_of_no_use(request, error, exception, is_expected=bool((extra_context or {}).get("state")))
