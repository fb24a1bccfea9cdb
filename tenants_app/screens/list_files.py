"""Files of what a list shows: all its rows, however many, as CSV or JSON with the same fields."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.http import HttpResponseBadRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from tenants_app.bulk import BULK, batched
from tenants_app.csv_files.cells import BYTE_ORDER_MARK, lines
from tenants_app.screens.requests import Request
from tenants_app.wording import plain

if TYPE_CHECKING:
    from tenants_app.screens.lists import ListTable

_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def file_of(request: Request, table: ListTable, slug: str, kind: str) -> HttpResponseBase:
    """All rows of the table, as it is filtered, sorted and arranged. Nothing is read for a HEAD request."""
    fields = table.files()
    rows = ({name: told(read(row)) for name, read in fields.items()} for some in _some_rows(table) for row in some)
    written = _csv(list(fields), rows) if kind == "csv" else _json(rows)
    name = f"{table.file_name or table.list_name}-{slug}-{timezone.localdate()}.{kind}"
    response = StreamingHttpResponse(
        written if request.method == "GET" else (),
        content_type=_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    add_never_cache_headers(response)
    return response


def refusal_of(problems: Sequence[str]) -> HttpResponseBase:
    """Why there is no file: one of other rows than were meant would be taken for the right one."""
    told = _("Nothing was exported. %(problems)s Correct that and download it again.")
    sentence = told % {"problems": " ".join(problems)}
    return HttpResponseBadRequest(f"{sentence}\n", content_type="text/plain; charset=utf-8")


def told(value: Any) -> Any:
    """A value as JSON has it, and CSV as text: times in ISO 8601 and UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds")
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(name): told(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [told(each) for each in value]
    return str(value)


def _some_rows(table: ListTable) -> Iterator[Sequence[Any]]:
    """The rows, some at a time, with as many questions to the database for each such lot.

    Which they are is settled at the beginning, by their keys: a cursor would keep a transaction open for as long as
    the download takes, and to turn pages would tell a row twice or not at all when others come and go.
    """
    found = table.data.data
    if not isinstance(found, QuerySet):
        for some in batched(found, BULK):
            table.prepare(some)
            yield some
        return
    # Eight octets for each row, of however many.
    keys = array("q", found.values_list("pk", flat=True).iterator(chunk_size=10_000))
    for batch in batched(keys, BULK):
        by_key = found.order_by().in_bulk(batch)
        some = [by_key[key] for key in batch if key in by_key]
        table.prepare(some)
        yield some


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Begins with the mark by which Excel knows UTF-8."""
    yield BYTE_ORDER_MARK + lines([columns])
    for some in batched(rows, BULK):
        yield lines([_cell(value) for value in row.values()] for row in some)


def _cell(value: Any) -> str:
    return _in_one_line(value) if isinstance(value, dict) else plain(value)


def _json(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    opening = "["
    for some in batched(rows, BULK):
        text = ",\n  ".join(map(_in_one_line, some))
        yield f"{opening}\n  {text}"
        opening = ","
    yield "[]\n" if opening == "[" else "\n]\n"


_in_one_line: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False).encode
