"""Signing in, as a part of the site that Django starts."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "mms_site.accounts"
    label = "sign_in"
    verbose_name = "Signing in"

    def ready(self) -> None:
        from mms_site.accounts.receivers import connect

        connect()
