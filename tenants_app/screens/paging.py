"""The pages of a list: how many rows there are, and which of them a page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

if TYPE_CHECKING:
    from tenants_app.screens.lists import ListTable

MOST = 10_000
"""Rows up to which a list is counted and turned that grows without end."""


class Pages(Paginator):  # type: ignore[type-arg]
    """The pages of a table.

    To count costs a database as much as to read all that is counted. So rows of a table that ``grows_by`` a time are
    counted up to ``MOST``.
    """

    def __init__(self, table: ListTable) -> None:
        super().__init__(table.rows, table.usual_rows)
        self.table = table

    @property
    def _found(self) -> QuerySet[Any] | None:
        found = self.table.data.data
        return found if isinstance(found, QuerySet) else None

    @cached_property
    def _counted(self) -> int:
        if self._found is None:
            return len(self.object_list)
        return (self._found.order_by().values("pk")[: MOST + 1] if self.table.grows_by else self._found).count()

    @property
    def is_more(self) -> bool:
        """Whether more are found than are counted."""
        return bool(self.table.grows_by) and self._counted > MOST

    @cached_property
    def count(self) -> int:
        """How many rows are found; ``MOST`` where it ``is_more``."""
        return min(self._counted, MOST) if self.table.grows_by else self._counted

    def read(self, asked: str | None, rows: int) -> Page[Any]:
        """The page of that number with so many rows, or the one next to it that is there."""
        self.per_page = rows
        page = self.get_page(asked)
        if self._found is None or asked in (None, "", "1"):
            return page
        bound: Any = page.object_list
        # The keys first: of the pages before it a database then reads no rows.
        keys = list(bound.data.values_list("pk", flat=True))
        found = self._found.in_bulk(keys)
        bound.data = [found[key] for key in keys if key in found]
        return page
