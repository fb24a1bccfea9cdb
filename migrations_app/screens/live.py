"""Pages of a tenant that follow what happens: whether the part that a browser shows must be made anew.

One statement tells whether anything has changed since that any page of the tenant shows (``monitoring.activity``).
"""

from __future__ import annotations

from django.utils.translation import get_language

from migrations_app.monitoring import activity
from tenants_app.access import Access
from tenants_app.screens.fragments import Look
from tenants_app.screens.requests import Request


class Live(Look):
    """One look at such a page."""

    def __init__(self, request: Request, access: Access) -> None:
        super().__init__(request, activity.version([access.tenant]), access.account.pk, access.role, get_language())
