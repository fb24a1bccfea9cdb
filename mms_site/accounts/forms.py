"""The forms of second factors, with sentences of MMS, and codes that are taken once."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal import auth as totp
from allauth.mfa.utils import decrypt
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext_lazy, gettext_noop

from mms_site.accounts.adapters import NOT_READABLE, NOT_THE_CODE, NOT_THE_PASSKEY
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import change_password
from tenants_app.sealing import NoSecretsKey, UnopenableSecret

PASSWORD_RULES = gettext_noop(
    "At least 8 characters, not only digits, not a common password, and not like your name or address."
)
CODE_GIVEN = {"required": gettext_lazy("Give the code."), "null_characters_not_allowed": NOT_THE_CODE}
NO_PASSKEY = {"required": NOT_THE_PASSKEY, "invalid": NOT_THE_PASSKEY}


class ChosenPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """A password in place of one that was forgotten. Whoever knew that one is signed out."""

    def save(self, commit: bool = True) -> Any:
        actor = Actor(self.user.get_username(), Channel.SCREEN)
        change_password(self.user, self.cleaned_data["new_password1"], actor, keep=None)
        return self.user


def step_of(secret: str, code: str) -> int | None:
    """The moment, in steps of the clock, that the code of an app belongs to; none where it is no code of now."""
    for step in totp.yield_hotp_counters_from_time():
        if totp.format_hotp_value(totp.hotp_value(secret, step)) == code:
            return int(step)
    return None


class _EachCodeOnce:
    """Takes a code of an app once, however many processes and machines are asked at the same moment (RFC 6238, 5.2).

    allauth keeps the codes that were used in the cache, from which they can be crowded out; here the row knows.
    """

    user: Any
    cleaned_data: dict[str, Any]

    def clean_code(self) -> str:
        try:
            return self._clean_code_once()
        except (NoSecretsKey, UnopenableSecret):
            raise ValidationError(NOT_READABLE) from None

    def _clean_code_once(self) -> str:
        with transaction.atomic():
            app = Authenticator.objects.select_for_update().filter(user=self.user, type=Authenticator.Type.TOTP).first()
            given = "".join(self.cleaned_data["code"].split())
            step = step_of(decrypt(app.data["secret"]), given) if app else None
            if app is None or step is None:
                return str(super().clean_code())  # type: ignore[misc]  # a recovery code, or a wrong one
            is_used = step <= app.data.get("last_step", -1)
            if not is_used:
                app.data["last_step"] = step
                app.save(update_fields=["data"])
        if is_used:
            self._emit_authentication_failed(app)  # type: ignore[attr-defined]
            raise ValidationError(NOT_THE_CODE)
        return str(super().clean_code())  # type: ignore[misc]


class CodeForm(_EachCodeOnce, AuthenticateForm):  # type: ignore[misc]
    code = forms.CharField(label=gettext_lazy("Code"), max_length=20, error_messages=CODE_GIVEN)


class CodeAgainForm(_EachCodeOnce, ReauthenticateForm):  # type: ignore[misc]
    code = forms.CharField(label=gettext_lazy("Code"), max_length=20, error_messages=CODE_GIVEN)


class AppForm(ActivateTOTPForm):  # type: ignore[misc]
    code = forms.CharField(label=gettext_lazy("Code that the app shows"), max_length=20, error_messages=CODE_GIVEN)


class CredentialField(forms.JSONField):
    """What the browser brings of a passkey. Anybody can send it, and it may be nested deeper than can be read."""

    widget = forms.HiddenInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(error_messages=NO_PASSKEY, **kwargs)

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except RecursionError:
            raise ValidationError(NOT_THE_PASSKEY) from None


@contextmanager
def _whatever_was_sent() -> Iterator[None]:
    """What was sent in place of a passkey is none: libraries take it apart, and stumble in ways of their own."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError, struct.error):
        raise ValidationError(NOT_THE_PASSKEY) from None


class _AnyCredential:
    def clean_credential(self) -> Any:
        with _whatever_was_sent():
            return super().clean_credential()  # type: ignore[misc]


class PasskeyForm(_AnyCredential, AuthenticateWebAuthnForm):  # type: ignore[misc]
    credential = CredentialField()


class PasskeyAgainForm(_AnyCredential, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    credential = CredentialField()


class PasskeySignInForm(_AnyCredential, LoginWebAuthnForm):  # type: ignore[misc]
    credential = CredentialField()


class NewPasskeyForm(AddWebAuthnForm):  # type: ignore[misc]
    """A passkey is one that signs in by itself: it is kept in the device, which asks who holds it."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60, required=False)
    credential = CredentialField()
    passwordless = forms.BooleanField(required=False, widget=forms.HiddenInput, initial=True)

    def clean(self) -> Any:
        try:
            with _whatever_was_sent():
                return super().clean()
        except ValidationError:
            self.add_error("credential", NOT_THE_PASSKEY)
            return self.cleaned_data
