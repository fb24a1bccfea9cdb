"""Applications of others as this site has them; the admin is the first that Django loads."""

from __future__ import annotations

import django_stubs_ext
from allauth.socialaccount.apps import SocialAccountConfig
from django.contrib.admin.apps import AdminConfig

# Lets forms, fields and admin classes name their model, as in ModelForm[Tenant]: for mypy; Django ignores it.
django_stubs_ext.monkeypatch()


class DataFixesConfig(AdminConfig):
    default_site = "mms_site.admin.DataFixes"


class OpenIdConfig(SocialAccountConfig):  # type: ignore[misc]  # allauth has no types
    """Its providers are loaded with the addresses of signing in: commands need nothing of what that loads."""

    def ready(self) -> None:
        from allauth.socialaccount import checks  # noqa: F401 - registers the system checks
