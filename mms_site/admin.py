"""The Django admin of this service."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import DataError, OperationalError, ProgrammingError, connection, transaction
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import SimpleTemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache

from mms_site.accounts.sign_out import SignOut

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

    site_header = site_title = gettext_lazy("MMS data fixes")
    index_title = gettext_lazy("Every change made here is checked and audited like any other")

    def has_permission(self, request: HttpRequest) -> bool:
        return super().has_permission(request) and request.user.is_superuser

    @method_decorator(never_cache)
    @login_not_required
    def login(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The door is that of the whole site, with its second factors; who is signed in and no superuser is told so."""
        if self.has_permission(request):
            return redirect("admin:index")
        if request.user.is_authenticated:
            raise PermissionDenied(gettext("The Django admin is for superusers: sign in as one, or ask one to do it."))
        return redirect_to_login(request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index", current_app=self.name))

    def logout(self, request: HttpRequest, extra_context: Any = None) -> Any:
        return SignOut.as_view()(request)

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
