"""The Django admin of this service."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db import DataError, OperationalError, ProgrammingError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse

logger = logging.getLogger(__name__)

NOT_UNDERSTOOD = (
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    FieldDoesNotExist,
    DataError,
    ProgrammingError,
)
"""What Django and the databases raise, each for other garbage, when a filter or a key is built, sent or shown."""


class DataFixes(admin.AdminSite):
    """For superusers alone: its lists show the rows of every tenant, whatever rights on them staff may be given."""

    site_header = site_title = "MMS data fixes"
    index_title = "Every change made here is checked and audited like any other"

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and request.user.is_superuser

    def admin_view(self, view: Callable[..., HttpResponseBase], cacheable: bool = False) -> Any:
        """Django's own, but an address or a form that makes no sense is answered like a page that is not there.

        Django lets superusers filter by any field in any way and hands what stands in the address to the database; much
        of it is looked at only when the page is rendered, so that is done here. The reason goes to the log.
        """

        @wraps(view)
        def understood(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            try:
                with _undone_on_errors(request):
                    response = view(request, *args, **kwargs)
                    return response.render() if isinstance(response, SimpleTemplateResponse) else response
            except NOT_UNDERSTOOD as error:
                problem: Exception = error
            except OperationalError as error:
                if "user-defined function" not in str(error):  # SQLite of a pattern that is none; else it is down
                    raise
                problem = error
            address = request.get_full_path()
            # With the traceback: it may be a fault of ours, and nobody else would ever see it.
            logger.warning(
                "An address of the Django admin was not understood (%r): %r", problem, address, exc_info=problem
            )
            raise Http404

        return super().admin_view(understood, cacheable)


def _undone_on_errors(request: HttpRequest) -> Any:
    """Whatever sends something is one transaction. What only looks gets one where it is within another already."""
    is_read = request.method in {"GET", "HEAD"} and not connection.in_atomic_block
    return nullcontext() if is_read else transaction.atomic()
