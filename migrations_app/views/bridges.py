"""The tenant's bridges, and moving everyone on one of them to another."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Prefetch, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from migrations_app.foresight import foresee_move, future_meetings
from migrations_app.tables import UserTable
from migrations_app.views.told import tell_consequences
from migrations_app.views.users import with_latest_run
from tenants_app.access import Access, access_for
from tenants_app.changes import UserEdit, change_users
from tenants_app.fragments import answer, paginate
from tenants_app.models import Bridge, ConferencingUser, Role, ServiceNumber


@require_safe
def bridges(request: HttpRequest, slug: str) -> HttpResponse:
    """All bridges with their numbers and how many users are on each."""
    access = access_for(request, slug)
    default_number = Prefetch("numbers", ServiceNumber.objects.filter(is_default=True), to_attr="default_numbers")
    found = (
        Bridge.objects.filter(tenant=access.tenant)
        .annotate(
            user_count=Count("users", distinct=True),
            toll_count=Count("numbers", Q(numbers__kind=ServiceNumber.Kind.TOLL), distinct=True),
            toll_free_count=Count("numbers", Q(numbers__kind=ServiceNumber.Kind.TOLL_FREE), distinct=True),
        )
        .prefetch_related(default_number)
        .order_by("-is_default", "name")
    )
    return render(request, "migrations/bridges.html", {"access": access, "bridges": found})


@require_safe
def bridge(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """One bridge: its numbers and its users."""
    access = access_for(request, slug)
    shown = _bridge(access, pk)
    on_it = with_latest_run(ConferencingUser.objects.filter(bridge=shown)).select_related("bridge")
    numbers = shown.numbers.annotate(
        toll_count=Count("toll_users", distinct=True), toll_free_count=Count("toll_free_users", distinct=True)
    ).order_by("-is_default", "kind", "number")
    table = paginate(request, UserTable(on_it, exclude=["bridge"]), 25)
    context = {
        "access": access,
        "bridge": shown,
        "numbers": numbers,
        "table": table,
        "others": Bridge.objects.filter(tenant=access.tenant).exclude(pk=shown.pk),
    }
    return answer(request, "migrations/bridge.html", "tables/results.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def move_everyone(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Move all users of the bridge to the one that ``to`` names: first what it will start, then on POST the move."""
    access = access_for(request, slug, Role.Name.ADMIN)
    source = _bridge(access, pk)
    others = forms.ModelChoiceField(Bridge.objects.filter(tenant=access.tenant).exclude(pk=source.pk))
    try:
        target = others.clean((request.POST or request.GET).get("to"))
    except ValidationError:
        messages.error(request, "Choose the bridge that everyone should move to.")
        return redirect("bridge", slug, pk)
    on_it = ConferencingUser.objects.filter(bridge=source)
    if request.method == "POST":
        edits = [UserEdit(user_pk, {"bridge": target}) for user_pk in on_it.values_list("pk", flat=True)]
        try:
            consequences = change_users(access.tenant, edits, access.actor)
        except ValidationError as error:
            for sentence in error.messages:
                messages.error(request, sentence)
            return redirect("bridge", slug, pk)
        messages.success(request, f"{len(edits):,} users moved from {source} to {target}.")
        tell_consequences(request, consequences)
        return redirect("dashboard", slug)
    context = {
        "access": access,
        "bridge": source,
        "target": target,
        "move": foresee_move(access.tenant, source, target),
        "future": future_meetings(on_it),
        "lacks_number": not target.provider and not target.numbers.filter(is_default=True).exists(),
    }
    return render(request, "migrations/bridge_move.html", context)


def _bridge(access: Access, pk: int) -> Bridge:
    return get_object_or_404(Bridge, tenant=access.tenant, pk=pk)
