"""One address answers a whole page to a browser, and to htmx only the part that changes."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from django_tables2 import Table

from tenants_app.screens.requests import Request


def answer(request: Request, page: str, fragment: str, context: dict[str, Any]) -> HttpResponse:
    """Render the template ``page``, or for htmx the template ``fragment`` that the page includes.

    Both find in ``is_fragment`` which of them it is. When one goes back in the browser, htmx too asks for the page.
    """
    is_fragment = bool(request.htmx) and not request.htmx.history_restore_request
    response = render(request, fragment if is_fragment else page, context | {"is_fragment": is_fragment})
    patch_vary_headers(response, ["HX-Request"])
    add_never_cache_headers(response)
    return response


def answer_table(
    request: Request,
    page: str,
    table: Table,
    context: dict[str, Any],
    *,
    per_page: int = 25,
    everything: QuerySet[Any] | None = None,
    fragment: str = "tables/results.html",
) -> HttpResponse:
    """Render a page with one table, sorted and paged as the address says, or for htmx its results alone.

    ``everything`` are the rows without a filter: where there are none, the page tells how to begin.
    """
    paginate(request, table, per_page)
    is_first_time = everything is not None and not table.paginator.count and not everything.exists()
    return answer(request, page, fragment, context | {"table": table, "is_first_time": is_first_time})


def paginate(request: Request, table: Table, per_page: int) -> Table:
    """Sort and page the table as the address says; what the address says wrongly is passed over.

    Where nothing is filtered, an empty table says ``when_empty``, if it has such a sentence.
    """
    table.request = request
    own = {table.prefixed_order_by_field, table.prefixed_page_field}
    if not any(value for name, value in request.GET.items() if name not in own):
        table.empty_text = getattr(table, "when_empty", table.empty_text)
    wanted = request.GET.getlist(table.prefixed_order_by_field)
    if sorting := [name for name in wanted if name.removeprefix("-") in table.columns]:
        table.order_by = sorting
    table.paginate(per_page=per_page)
    table.page = table.paginator.get_page(request.GET.get(table.prefixed_page_field))
    if table.prefixed_page_field in request.GET:
        _read_keys_first(table)
    return table


def _read_keys_first(table: Table) -> None:
    """Find the keys of the page, and then its rows: of the pages before it a database then reads no rows."""
    rows = table.page.object_list
    if isinstance(rows.data, QuerySet):
        keys = list(rows.data.values_list("pk", flat=True))
        found = table.data.data.in_bulk(keys)
        rows.data = [found[key] for key in keys if key in found]
