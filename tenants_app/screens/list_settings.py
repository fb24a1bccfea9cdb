"""How an account arranges a list, and the filters that it keeps under a name, for itself or for the tenant."""

from __future__ import annotations

from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from tenants_app.access import Access, access_for
from tenants_app.changes import lists as changes
from tenants_app.models import SavedFilter
from tenants_app.screens.addresses import page_at
from tenants_app.screens.lists import COLUMNS, LISTS, ROWS, ROWS_ON_A_PAGE, ListTable
from tenants_app.screens.refusals import refusal_of, tell_errors
from tenants_app.screens.requests import Request
from tenants_app.validators import validate_one_line


class SaveForm(forms.Form):
    """A name for what a list shows, and for whom it is."""

    name = forms.CharField(
        max_length=80,
        validators=[validate_one_line],
        error_messages={
            "required": _("Give the filter a name."),
            "max_length": _("The name is too long: at most 80 characters."),
        },
    )
    query = forms.CharField(
        max_length=2000, required=False, error_messages={"max_length": _("The filter is too long to be kept.")}
    )
    is_shared = forms.BooleanField(required=False)
    is_default = forms.BooleanField(required=False)
    replaces = forms.BooleanField(required=False)


@require_POST
def layout(request: Request, slug: str, name: str) -> HttpResponse:
    """Keep which columns the account sees of a list, in which order, and how many rows; ``reset`` forgets it."""
    access = access_for(request, slug)
    table = _table(name)
    path, asked = _list_at(request, access, table, request.POST.get("next", ""))
    for gone in (COLUMNS, ROWS_ON_A_PAGE, "page"):
        asked.pop(gone, None)
    if "reset" in request.POST:
        changes.drop_layout(request.user, name)
        return redirect(_address(path, asked))
    # Of columns with one number, that comes first which was moved up to it, and that last which was moved down.
    before = [column for column in request.POST.get("order", "").split(",") if column in table.choosable()]
    known = list(dict.fromkeys([*before, *table.choosable()]))
    chosen = [column for column in known if column in request.POST.getlist("column")]
    if not chosen:
        told = gettext("A list shows at least one column, so nothing was changed: choose some.")
        messages.error(request, told)
        return redirect(_address(path, asked))
    chosen.sort(key=lambda column: _place(request.POST.get(f"at-{column}", ""), known.index(column) + 1))
    given = request.POST.get(ROWS_ON_A_PAGE, "")
    rows = int(given) if given in map(str, ROWS) else None
    changes.keep_layout(request.user, name, chosen, rows)
    asked[COLUMNS] = ",".join(chosen)
    if rows:
        asked[ROWS_ON_A_PAGE] = str(rows)
    return redirect(_address(path, asked))


@require_http_methods(["GET", "HEAD", "POST"])
def saved_filters(request: Request, slug: str, name: str) -> HttpResponse:
    """The filters of a list that the account may open. A POST keeps one more; sharing it needs an operator."""
    access = access_for(request, slug)
    table = _table(name)
    if not table.saves_filters:
        raise Http404
    if request.method == "POST":
        return _save(request, access, table)
    path, _ = _list_at(request, access, table, request.GET.get("at", ""))
    found = SavedFilter.objects.of(access.tenant, name, request.user)
    context = {
        "access": access,
        "name": name,
        "caption": gettext(table.caption),
        "saved": found,
        "path": path,
        "at": request.GET.get("at", ""),
    }
    return render(request, "tables/saved_filters.html", context)


def _save(request: Request, access: Access, table: type[ListTable]) -> HttpResponse:
    back = request.POST.get("next", "")
    path, asked = _list_at(request, access, table, back)
    form = SaveForm(request.POST)
    if not form.is_valid():
        tell_errors(request, refusal_of(form))
        return redirect(_address(path, asked))
    values = form.cleaned_data
    if values["is_shared"] and not access.may_operate:
        told = gettext("Sharing a filter needs the role operator: keep it for yourself, or ask an operator.")
        raise PermissionDenied(told)
    query = table.kept_of(QueryDict(values["query"])).urlencode(safe=",")
    try:
        saved = changes.save_filter(
            access.tenant,
            request.user,
            access.actor,
            of_list=table.list_name,
            name=values["name"],
            query=query,
            is_shared=values["is_shared"],
            is_default=values["is_default"],
            replaces=values["replaces"],
        )
    except ValidationError as error:
        tell_errors(request, error)
        return redirect(_address(path, asked))
    told = gettext("The filter “%(name)s” is kept.")
    if saved.is_shared:
        told = gettext("The filter “%(name)s” is kept. Everybody of %(tenant)s sees it.")
    messages.success(request, told % {"name": saved, "tenant": access.tenant})
    return redirect(f"{path}?{saved.query}")


@require_POST
@transaction.atomic
def saved_filter(request: Request, slug: str, name: str, pk: int) -> HttpResponse:
    """Share a filter or keep it to oneself, open the list with it, take it over, or delete it, as ``do`` says.

    What the owner may do, an admin of the tenant may do with a shared one, but for keeping it to oneself.
    """
    access = access_for(request, slug)
    table = _table(name)
    found = SavedFilter.objects.of(access.tenant, name, request.user)
    saved = get_object_or_404(found.select_for_update(of=("self",)), pk=pk)
    is_owner = saved.owner_id == request.user.pk
    do = request.POST.get("do", "")
    try:
        sentence = _do(request, access, saved, do, is_owner=is_owner)
    except ValidationError as error:
        tell_errors(request, error)
    else:
        messages.success(request, sentence)
    at = request.POST.get("at", "")
    address = reverse("saved-filters", args=[slug, table.list_name])
    return redirect(f"{address}?{urlencode({'at': at})}" if at else address)


def _do(request: Request, access: Access, saved: SavedFilter, do: str, *, is_owner: bool) -> str:
    """Does it, and says what was done."""
    name = {"name": saved, "tenant": access.tenant}
    if do == "default":
        changes.make_default(saved, request.user)
        return gettext("From now on the list opens with “%(name)s” for you.") % name
    if do == "no-default":
        changes.drop_default(saved, request.user)
        return gettext("From now on the list opens without a filter for you.")
    if do == "take-over" and saved.is_shared and access.may_administer:
        changes.take_over_filter(saved, request.user, access.actor)
        return gettext("The filter “%(name)s” is yours now.") % name
    if do == "share" and is_owner and access.may_operate:
        changes.share_filter(saved, access.actor, is_shared=True)
        return gettext("Everybody of %(tenant)s sees the filter “%(name)s” now.") % name
    if do == "unshare" and is_owner:
        changes.share_filter(saved, access.actor, is_shared=False)
        return gettext("Only you see the filter “%(name)s” now.") % name
    if do == "delete" and (is_owner or (saved.is_shared and access.may_administer)):
        changes.delete_filter(saved, access.actor)
        return gettext("The filter “%(name)s” is deleted.") % name
    raise PermissionDenied(gettext("That is for the owner of the filter, or for an admin of the tenant."))


def _table(name: str) -> type[ListTable]:
    if name not in LISTS:
        raise Http404
    return LISTS[name]


def _list_at(request: Request, access: Access, table: type[ListTable], address: str) -> tuple[str, QueryDict]:
    """The path and the query of the page that shows the list; only one of the tenant is gone back to."""
    page = urlsplit(page_at(request, address))
    if page.path.startswith(f"/{access.tenant.slug}/"):
        return page.path, QueryDict(page.query, mutable=True)
    home = table.address or "dashboard"
    return reverse(home, args=[access.tenant.slug]), QueryDict(mutable=True)


def _address(path: str, asked: QueryDict) -> str:
    return f"{path}?{asked.urlencode(safe=',')}" if asked else path


def _place(given: str, before: int) -> tuple[int, int, int]:
    """Where a column goes that was at ``before``; where it was, if what was typed is no number."""
    place = int(given) if given.isascii() and given.isdecimal() and len(given) < 4 else before
    return (place, (place > before) - (place < before), before)
