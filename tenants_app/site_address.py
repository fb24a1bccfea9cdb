"""Links that leave the site: in mails and webhooks, in reports, in what commands print and what others are to enter."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode


def site_address(path: str) -> str:
    """The whole address of a page, given its path such as ``reverse`` makes."""
    return f"{settings.MMS_BASE_URL}{path}"


def sign_in_path(account: User) -> str:
    """The path of a link by which whoever has it signs in once as the account, and chooses a password."""
    key = {
        "uidb64": urlsafe_base64_encode(force_bytes(account.pk)),
        "token": default_token_generator.make_token(account),
    }
    return reverse("password_reset_confirm", kwargs=key)
