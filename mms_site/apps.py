"""Which admin site ``django.contrib.admin`` uses."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class DataFixesConfig(AdminConfig):
    default_site = "mms_site.admin.DataFixes"
