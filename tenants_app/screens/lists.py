"""What every list of the site can do: columns, order and rows on a page as one likes, sorting, filters under a name,
and files of what is shown.

A list is a :class:`ListTable`. Its view calls :func:`arrange` once. Everything that is chosen may stand in the
address, so that an address shows the same to whoever may open it; what it says wrongly is passed over with a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlsplit

import django_tables2 as tables
from django.core.exceptions import FieldDoesNotExist
from django.db.models import F, Model, QuerySet
from django.db.models.expressions import OrderBy as OrderingTerm
from django.http import HttpResponseRedirect, QueryDict
from django.http.response import HttpResponseBase
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_filters import FilterSet
from django_htmx.http import replace_url
from django_tables2.data import TableQuerysetData
from django_tables2.utils import OrderBy, OrderByTuple

from tenants_app.access import Access
from tenants_app.models import ListLayout, SavedFilter
from tenants_app.screens import paging
from tenants_app.screens.cells import Read
from tenants_app.screens.fragments import answer
from tenants_app.screens.list_files import file_of, refusal_of
from tenants_app.screens.requests import Request
from tenants_app.wording import alternatives

ROWS = (20, 50, 100, 200)
"""How many rows a page may have."""
COLUMNS, SORT, ROWS_ON_A_PAGE, FORMAT, WITHOUT = "columns", "sort", "rows", "format", "without"
"""What the address says of a list beside its filter; ``without`` asks for the list without its default filter."""
FORMATS = ("csv", "json")
_NO_FILTER = {COLUMNS, SORT, ROWS_ON_A_PAGE, WITHOUT, "page"}

LISTS: dict[str, type[ListTable]] = {}
"""All lists, by their names."""


# --- tables -------------------------------------------------------------------------------------------


class _Rows(TableQuerysetData):
    """Rows of the database. Sorted, they stay in one order, with what is empty before what is small."""

    data: QuerySet[Any]

    def order_by(self, aliases: Sequence[str]) -> None:
        terms: list[OrderingTerm] = []
        for alias in map(OrderBy, aliases):
            column = self.table.columns[alias.bare]
            paths = column.column.order_by or OrderByTuple([column.accessor])
            terms += [self._term(path.for_queryset()) for path in (paths.opposite if alias.is_descending else paths)]
        if terms:
            is_descending = OrderBy(aliases[-1]).is_descending
            self.data = self.data.order_by(*terms, "-pk" if is_descending else "pk")

    def _term(self, path: str) -> OrderingTerm:
        is_descending, path = path.startswith("-"), path.removeprefix("-")
        # Asked for where nothing is empty, it would keep PostgreSQL from using an index.
        asked = True if _may_be_empty(self.data.model, path) else None
        return F(path).desc(nulls_last=asked) if is_descending else F(path).asc(nulls_first=asked)


def _may_be_empty(model: type[Model] | None, path: str) -> bool:
    for name in path.split("__"):
        try:
            found = model._meta.get_field("id" if name == "pk" else name) if model else None
        except FieldDoesNotExist:
            found = None
        if found is None or found.null:
            return True
        model = found.related_model
    return False


class ListTable(tables.Table):
    """A table with what every list can do. Each has a ``list_name`` of its own, under which accounts arrange it."""

    list_name: ClassVar[str] = ""
    """In addresses and in what accounts keep; empty only for a table that others derive from."""
    caption: str
    """Its title: of the class as it is declared, of a table in the language of who reads."""
    when_empty: ClassVar[str] = ""
    """What it says where there is nothing although nothing is filtered; otherwise its ``empty_text``."""
    usual: ClassVar[Sequence[str]] = ()
    """The columns that it shows where nobody has chosen any; empty: all but the extra ones."""
    usual_rows: ClassVar[int] = 20
    empty_text: str | None
    """What it says where nothing is found, in the language of who reads."""
    filter_class: ClassVar[type[FilterSet] | None] = None
    """What filters it; its fields are what a saved filter holds."""
    grows_by: ClassVar[str] = ""
    """The column of the time by which it grows without end; of many rows pages are sorted by it alone."""
    saves_filters: ClassVar[bool] = False
    """Whether its filter is a form of the page, which can be kept under a name."""
    address: ClassVar[str] = ""
    """The name of the address of the list, where that needs no key but the tenant's."""
    file_name = ""
    """How its files are called; the tenant and the day are added."""
    for_import = ""
    """The address of a file of the same rows that can be imported again; empty where there is none."""
    arrangement: Arrangement | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "list_name" in vars(cls):
            LISTS[cls.list_name] = cls

    def __init__(self, data: Any, **options: Any) -> None:
        super().__init__(_Rows(data) if isinstance(data, QuerySet) else data, **options)
        self.caption = _(self.caption)
        self.empty_text = _(self.empty_text) if self.empty_text else self.empty_text

    def prepare(self, rows: Sequence[Any]) -> None:
        """Look up for some rows at once what their cells and fields need; by default nothing."""

    @property
    def drawn_rows(self) -> Iterator[SafeString]:
        """The rows of the page, for its template: the cells of each, drawn one after another.

        django_tables2 would look up each cell's template anew, and run all context processors for it.
        """
        columns = [(column, column.attrs["td"].as_html()) for column in self.columns]
        for number, row in enumerate(self.paginated_rows):
            with self.context.push(table=self, row_counter=number):
                cells = [(attrs, column.column.draw(row.record, column, self.context)) for column, attrs in columns]
            yield format_html_join("", "<td {}>{}</td>", cells)

    def shows(self, name: str) -> bool:
        return name in self.columns.columns and bool(self.columns.columns[name].visible)

    @classmethod
    def choosable(cls) -> dict[str, tables.Column]:
        """The columns that one may choose and put in order, by their names."""
        return {name: column for name, column in cls.base_columns.items() if not column.is_fixed}

    @classmethod
    def usual_columns(cls) -> list[str]:
        return list(cls.usual) or [name for name, column in cls.choosable().items() if not column.is_extra]

    @classmethod
    def label_of(cls, name: str) -> str:
        column = cls.base_columns[name]
        return str(column.header or name.replace("_", " ").capitalize())

    @classmethod
    def kept_of(cls, asked: QueryDict) -> QueryDict:
        """Of a query what a saved filter holds: filter, sorting and columns."""
        kept = QueryDict(mutable=True)
        filters = cls.filter_class.base_filters if cls.filter_class else ()
        for name in (*filters, SORT, COLUMNS):
            if values := [value for value in asked.getlist(name) if value]:
                kept.setlist(name, values)
        return kept

    def files(self) -> dict[str, Read]:
        """The fields of a file of what is shown, in the order of the columns."""
        return {name: read for column in self.columns for name, read in column.column.files.items()}


@dataclass(slots=True)
class Choice:
    """A column as it is offered."""

    name: str
    label: str
    place: int
    is_shown: bool


@dataclass
class Arrangement:
    """How a list is shown now, for its page."""

    table: ListTable
    access: Access
    asked: QueryDict
    path: str
    rows: int
    choices: list[Choice] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    found: FilterSet | None = None
    ROWS = ROWS

    @property
    def name(self) -> str:
        return self.table.list_name

    @property
    def columns(self) -> str:
        """What is shown, as the address says it."""
        return ",".join(choice.name for choice in self.choices if choice.is_shown)

    @cached_property
    def whole(self) -> str:
        """Filter, sorting and columns as the query of an address."""
        kept = type(self.table).kept_of(self.asked)
        kept[COLUMNS] = self.columns
        return kept.urlencode(safe=",")

    @property
    def permalink(self) -> str:
        """An address that shows the same to whoever opens it."""
        return f"{self.path}?{self.whole}&{ROWS_ON_A_PAGE}={self.rows}"

    @property
    def as_csv(self) -> str:
        return f"{self.path}?{self.whole}&{FORMAT}=csv"

    @property
    def as_json(self) -> str:
        return f"{self.path}?{self.whole}&{FORMAT}=json"

    @property
    def here(self) -> str:
        """The address of the page, which forms lead back to."""
        return f"{self.path}?{self.asked.urlencode()}" if self.asked else self.path

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What a change of the filter leaves as it is."""
        return [(name, value) for name in (SORT, COLUMNS, ROWS_ON_A_PAGE) for value in self.asked.getlist(name)]

    @property
    def passed_over(self) -> list[str]:
        """The parts of the filter that are not understood, such as a bridge that is gone."""
        return [str(self.found.form.fields[name].label) for name in self.found.errors] if self.found else []

    @cached_property
    def saved(self) -> list[SavedFilter]:
        """The filters that the account may open here."""
        if self.found is None or not self.table.saves_filters:
            return []
        found = list(SavedFilter.objects.of(self.access.tenant, self.name, self.access.account))
        return sorted(found, key=lambda each: (each.is_shared, each.name.casefold()))

    @cached_property
    def opened(self) -> SavedFilter | None:
        """The saved filter that is shown."""
        return next((each for each in self.saved if each.query == self.whole), None)

    @cached_property
    def default(self) -> SavedFilter | None:
        return next((each for each in self.saved if each.is_default), None)  # type: ignore[attr-defined]

    @property
    def without(self) -> str | None:
        """What an address must say so that the list opens without its default filter; None where there is none."""
        return "filter" if self.default else None

    @property
    def cleared(self) -> str:
        """The address of the list without any filter."""
        return f"{self.path}?{WITHOUT}={self.without}" if self.without else self.path


def answer_list(
    request: Request,
    page: str,
    table: ListTable,
    context: dict[str, Any],
    *,
    found: FilterSet | None = None,
    everything: QuerySet[Any] | None = None,
) -> HttpResponseBase:
    """Render a page of ``context["access"]`` with one list, or for htmx its results alone, or answer with a file of it.

    ``found`` is its filter, and ``everything`` the rows without it: where there are none, the page tells how to begin.
    """
    if instead := arrange(request, context["access"], table, found):
        return instead
    is_first_time = everything is not None and not table.paginator.count and not everything.exists()
    more = {"table": table, "filter": found, "is_first_time": is_first_time}
    response = answer(request, page, "tables/results.html", context | more)
    if found is not None and _goes_on_filtering(request, found):
        replace_url(response, request.get_full_path())
    return response


def _goes_on_filtering(request: Request, found: FilterSet) -> bool:
    """Whether somebody who filters already types on: all of that is one step in the browser's history."""
    if request.htmx.trigger != "filter":
        return False
    try:
        before = urlsplit(request.htmx.current_url or "")
    except ValueError:  # what no browser sends
        return False
    return before.path == request.path and set(found.filters) <= QueryDict(before.query).keys()


def arrange(
    request: Request, access: Access, table: ListTable, found: FilterSet | None = None
) -> HttpResponseBase | None:
    """Bring columns, sorting and page of a list to what the address says, or else to what the account has chosen.

    ``found`` is the filter, whose rows the table has. Returns an answer instead of the page where a file of the list
    is asked for, or where the list opens with a filter of its own.
    """
    is_page = request.method in {"GET", "HEAD"}
    asked = request.GET if is_page else QueryDict()
    table.request = request
    now = Arrangement(table, access, asked, request.path, table.usual_rows, found=found)
    table.arrangement = now
    if table.when_empty and not any(value for name, value in asked.items() if name not in _NO_FILTER):
        table.empty_text = _(table.when_empty)
    kept = None
    if not (asked.get(COLUMNS) and asked.get(ROWS_ON_A_PAGE)):
        kept = ListLayout.objects.filter(account=request.user, of_list=table.list_name).first()
    _choose_columns(table, now, kept)
    problems = [*now.remarks, *_misunderstood(found)]
    table.paginator = pages = paging.Pages(table)
    _sort(table, now, by_time_alone=FORMAT not in asked and pages.is_more)
    if wanted := asked.get(FORMAT):
        if wanted not in FORMATS:
            problems.append(_("There are files as csv and json only."))
        return refusal_of(problems) if problems else file_of(request, table, access.tenant.slug, wanted)
    if is_page and not asked and not request.htmx and now.default and now.default.query:
        return HttpResponseRedirect(f"{request.path}?{now.default.query}")
    now.rows = _rows_of(now, kept, table.usual_rows)
    table.page = pages.read(asked.get(table.prefixed_page_field), now.rows)
    table.prepare([row.record for row in table.page.object_list])
    now.choices = [choice for choice in now.choices if table.shows(choice.name) or not choice.is_shown]
    return None


def all_of(request: Request, access: Access, table: ListTable, found: FilterSet | None = None) -> HttpResponseBase:
    """A CSV file of a list under an address of its own: with all columns where the address names none."""
    asked = request.GET.copy()
    asked[FORMAT] = "csv"
    if not asked.get(COLUMNS):
        asked[COLUMNS] = ",".join(name for name in table.choosable() if table.shows(name))
    request.GET = asked  # type: ignore[assignment]
    answer = arrange(request, access, table, found)
    assert answer is not None  # noqa: S101 - a file was asked for
    return answer


def _choose_columns(table: ListTable, now: Arrangement, kept: ListLayout | None) -> None:
    known = [name for name in table.choosable() if table.shows(name)]
    wanted: Iterable[str]
    if given := now.asked.get(COLUMNS):
        wanted = dict.fromkeys(name.strip() for name in given.split(",") if name.strip())
        unknown = [name for name in wanted if name not in table.choosable()]
        if unknown:
            named = ", ".join(f"“{Truncator(name).chars(40)}”" for name in unknown[:3])
            told = ngettext(
                "This list has no column %(names)s, so it is passed over.",
                "This list has no column %(names)s, so they are passed over.",
                len(unknown),
            )
            if len(unknown) > 3:
                told = _("This list has no column %(names)s and %(number)s more, so they are passed over.")
            now.remarks.append(told % {"names": named, "number": len(unknown) - 3})
    else:
        wanted = kept.columns if kept else ()
    shown = [name for name in wanted if name in known] or [name for name in table.usual_columns() if name in known]
    rest = [name for name in known if name not in shown]
    fixed = [name for name, column in table.base_columns.items() if column.is_fixed]
    gone = [name for name in table.choosable() if name not in known]
    table.sequence = [name for name in [*fixed, *shown, *rest, *gone] if name in table.columns.columns]
    for name in [*rest, *gone]:
        if name in table.columns.columns:
            table.columns.hide(name)
    now.choices = [
        Choice(name, table.label_of(name), place, name in shown) for place, name in enumerate([*shown, *rest], 1)
    ]
    loads = {path for name in shown for path in table.base_columns[name].loads}
    if loads and isinstance(table.data.data, QuerySet):
        table.data.data = table.data.data.select_related(*sorted(loads))


def _sort(table: ListTable, now: Arrangement, *, by_time_alone: bool) -> None:
    """``by_time_alone``: there are so many rows that a page takes long in any order but the one that an index has."""
    if by_time_alone:
        for name in table.columns.names():
            table.columns[name].column.orderable = name == table.grows_by
    wanted = [name for name in now.asked.getlist(SORT) if name]
    known = [
        name for name in wanted if (bare := name.removeprefix("-")) in table.columns and table.columns[bare].orderable
    ]
    if len(known) < len(wanted) and by_time_alone:
        told = _("More than %(most)s rows are found: filter them, and they can be sorted otherwise than by time.")
        now.remarks.append(told % {"most": number_format(paging.MOST, force_grouping=True)})
    elif len(known) < len(wanted):
        now.remarks.append(_("The list cannot be sorted as the address says, so that part is passed over."))
    if known:
        table.order_by = known


def _rows_of(now: Arrangement, kept: ListLayout | None, usual: int) -> int:
    if given := now.asked.get(ROWS_ON_A_PAGE):
        if given in map(str, ROWS):
            return int(given)
        told = _("A page has %(choices)s rows, so %(number)s are shown.")
        now.remarks.append(told % {"choices": alternatives(list(map(str, ROWS))), "number": usual})
        return usual
    return kept.rows if kept and kept.rows in ROWS else usual


def _misunderstood(found: FilterSet | None) -> list[str]:
    if found is None or not found.errors:
        return []
    return [f"{found.form.fields[name].label}: {' '.join(errors)}" for name, errors in found.errors.items()]
