"""The tenant's users, and one user: settings, what changing them starts, meetings and runs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import F, FilteredRelation, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from migrations_app.decisions import why_not_served
from migrations_app.filters import UserFilter
from migrations_app.foresight import foresee, future_meetings
from migrations_app.models import Run
from migrations_app.reactions import start_by_hand
from migrations_app.tables import UserTable
from migrations_app.views.told import tell_consequences
from tenants_app.access import Access, access_for
from tenants_app.announcements import UserSettings
from tenants_app.changes import UserEdit, change_users
from tenants_app.forms import UserForm, tell_refusal
from tenants_app.fragments import answer, paginate
from tenants_app.models import ConferencingUser, Role


def with_latest_run(users: QuerySet[ConferencingUser]) -> QuerySet[Any]:
    """The users with the state and the last change of their latest run (R29), joined by its index."""
    return users.annotate(latest=FilteredRelation("runs", condition=Q(runs__is_latest=True))).annotate(
        latest_state=F("latest__state"), latest_modified=F("latest__modified")
    )


@require_safe
def users(request: HttpRequest, slug: str) -> HttpResponse:
    """All users, by name and by the state of their latest run."""
    access = access_for(request, slug)
    everyone = ConferencingUser.objects.filter(tenant=access.tenant)
    found = UserFilter(request.GET, with_latest_run(everyone).select_related("bridge"))
    table = paginate(request, UserTable(found.qs), 25)
    context = {
        "access": access,
        "filter": found,
        "table": table,
        "is_first_time": not table.paginator.count and not everyone.exists(),
    }
    return answer(request, "migrations/users.html", "tables/results.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def user(request: HttpRequest, slug: str, upn: str) -> HttpResponse:
    """One user. A POST by an admin saves the form, or with ``preview`` only tells what saving would start."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    shown = _user(access, upn)
    form = UserForm(request.POST if is_post else None, shown)
    consequence = None
    is_preview = "preview" in request.POST
    if is_post and form.is_valid():
        edit = UserEdit(shown.pk, form.edited(), form.cleaned_data["reschedule_meetings"])
        try:
            if not is_preview:
                consequences = change_users(access.tenant, [edit], access.actor)
                messages.success(request, f"The settings of {shown.upn} are saved.")
                tell_consequences(request, consequences)
                return redirect("user", slug, upn)
            consequence = foresee(access.tenant, edit, access.actor)
        except ValidationError as error:
            tell_refusal(form, error)
    # The form has put what was typed into its instance; what stands beside it shows the user as stored.
    stored = _user(access, upn)
    context = {
        "access": access,
        "user_shown": stored,
        "form": form,
        "is_preview": is_preview,
        "consequence": consequence,
        "refusal": why_not_served(UserSettings.of(stored, "")),
        "future": future_meetings(ConferencingUser.objects.filter(pk=stored.pk)),
        "runs": Run.objects.filter(user=stored)[:5],
    }
    return answer(request, "migrations/user.html", "migrations/user_consequence.html", context)


@require_POST
def start_user(request: HttpRequest, slug: str, upn: str) -> HttpResponse:
    """Start a run for the user by hand (R11), due at once."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    tell_consequences(request, start_by_hand(access.tenant, [_user(access, upn)], access.actor, now_due=True))
    return redirect("user", slug, upn)


def _user(access: Access, upn: str) -> ConferencingUser:
    found = (
        ConferencingUser.objects.with_upns(access.tenant, [upn])
        .select_related("tenant", "bridge", "toll_number", "toll_free_number")
        .prefetch_related("conference_ids")
        .first()
    )
    if found is None:
        raise Http404
    return found
