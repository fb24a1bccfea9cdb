"""Passwords of rows, kept encrypted."""

from __future__ import annotations

from django.core.exceptions import ValidationError

from tenants_app.models import Sealed
from tenants_app.sealing import NoSecretsKey


def keep_password(row: Sealed, password: str) -> None:
    """Keep the password with a row that has its key already and is still to be saved; empty removes it.

    Raises ``ValidationError`` with a sentence where there is no key to encrypt it with.
    """
    try:
        row.seal_password(password)
    except NoSecretsKey as error:
        raise ValidationError(str(error)) from None
