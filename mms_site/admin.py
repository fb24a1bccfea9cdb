"""The Django admin of this service."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest


class DataFixes(admin.AdminSite):
    """For superusers alone: its lists show the rows of every tenant, whatever rights on them staff may be given."""

    site_header = site_title = "MMS data fixes"
    index_title = "Every change made here is checked and audited like any other"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and request.user.is_superuser
