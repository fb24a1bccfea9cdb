"""Links that leave the site: in mails and webhooks, in reports, in what commands print and what others are to enter."""

from __future__ import annotations

from django.conf import settings


def site_address(path: str) -> str:
    """The whole address of a page, given its path such as ``reverse`` makes."""
    return f"{settings.MMS_BASE_URL}{path}"
