"""Which admin site ``django.contrib.admin`` uses; the first application that Django loads."""

from __future__ import annotations

import django_stubs_ext
from django.contrib.admin.apps import AdminConfig

# Lets forms, fields and admin classes name their model, as in ModelForm[Tenant]: for mypy; Django ignores it.
django_stubs_ext.monkeypatch()


class DataFixesConfig(AdminConfig):
    default_site = "mms_site.admin.DataFixes"
