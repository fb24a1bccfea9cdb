"""Secrets encrypted at rest: passwords with which MMS signs in elsewhere.

Fernet (AES-128-CBC with HMAC-SHA256) under the keys of ``MMS_SECRETS_KEY``: the newest comes first and encrypts, all of
them decrypt. A secret is bound to the row that it belongs to, so that one copied into another row opens nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.utils.translation import gettext as _

_VERSION = "v1:"
"""Stands before what this module wrote, so that another way can follow without guessing."""


class NoSecretsKey(Exception):
    """``MMS_SECRETS_KEY`` is not set, so no secret can be stored or read."""

    def __str__(self) -> str:
        return _("MMS_SECRETS_KEY is not set, and without it no password can be kept: set it, then start MMS again.")


class UnopenableSecret(Exception):
    """No key opens the secret, or it belongs to another row."""

    def __str__(self) -> str:
        return _(
            "No key of MMS_SECRETS_KEY opens the stored password: put the old key back, or enter the password anew."
        )


def seal(secret: str, bound_to: str) -> str:
    """The secret, to be stored in the row that ``bound_to`` names. Raises :class:`NoSecretsKey`."""
    return _VERSION + _fernet().encrypt(_bound(secret, bound_to)).decode("ascii")


def unseal(sealed: str, bound_to: str) -> str:
    """The secret again. Raises :class:`NoSecretsKey`, and :class:`UnopenableSecret` rather than return a wrong one."""
    try:
        if not sealed.startswith(_VERSION):
            raise InvalidToken
        text = _fernet().decrypt(sealed[len(_VERSION) :].encode()).decode()
    except (InvalidToken, UnicodeError):
        raise UnopenableSecret from None
    row, _, secret = text.partition("\n")
    if row != bound_to:
        raise UnopenableSecret
    return secret


def _bound(secret: str, bound_to: str) -> bytes:
    return f"{bound_to}\n{secret}".encode()


def _fernet() -> MultiFernet:
    keys: Sequence[str] = settings.MMS_SECRETS_KEYS
    if not keys:
        raise NoSecretsKey
    return MultiFernet([Fernet(key) for key in keys])
