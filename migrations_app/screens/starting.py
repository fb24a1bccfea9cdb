"""Starting a run by hand for one user (R11, R40)."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from migrations_app.preview.many_users import foresee_start
from migrations_app.preview.plans import Starts
from migrations_app.procedures.bulk_actions import perform
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.runs.actions import start_by_hand
from migrations_app.screens.consequence_messages import tell_consequences
from migrations_app.screens.forms.starting import MeetingTypesForm, WhenForm
from migrations_app.screens.looked_at import changed_since, has_changed_since, looked_at
from migrations_app.screens.notice_samples import sample_of
from migrations_app.triggers.rules import why_not_served
from tenants_app.access import access_for
from tenants_app.models import ConferencingUser, Role
from tenants_app.screens.fragments import answer
from tenants_app.screens.refusals import refusal_of
from tenants_app.screens.requests import Request
from tenants_app.user_settings import UserSettings


@require_POST
def start_user(request: Request, slug: str, upn: str) -> HttpResponse:
    """Start one user's run, due at once or at the time that the form says, as its types say."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    users = ConferencingUser.objects.with_upns(access.tenant, [upn]).select_related("bridge")
    if not users:
        raise Http404
    form = MeetingTypesForm(request.POST, access.tenant)
    if not form.is_valid():
        messages.error(request, " ".join(refusal_of(form).messages))
        return redirect("start-options", slug, upn)
    when = WhenForm(request.POST, access.tenant)
    as_typed = f"{reverse('start-options', args=[slug, upn])}?{urlencode([*form.chosen, *when.typed])}"
    if not when.is_valid():
        return redirect(f"{as_typed}#when")
    if has_changed_since(request, users):
        messages.warning(request, changed_since("started"))
        return redirect(as_typed)
    if when.when:
        targets = form.targets()
        options = {"targets": targets.stored if targets else None}
        planned = perform(access.tenant, KINDS["start"], users, access.actor, options=options, when=when.when)
        return redirect("bulk-action", slug, planned.pk)
    told = start_by_hand(access.tenant, list(users), access.actor, targets=form.targets(), now_due=True)
    tell_consequences(request, told)
    return redirect("user", slug, upn)


@require_safe
def start_options(request: Request, slug: str, upn: str) -> HttpResponse:
    """What starting one user's run leads to, with the types chosen; for htmx only what follows from these."""
    access = access_for(request, slug, Role.Name.OPERATOR)
    users = ConferencingUser.objects.with_upns(access.tenant, [upn]).select_related("bridge")
    user = users.first()
    if user is None:
        raise Http404
    form = MeetingTypesForm(request.GET, access.tenant)
    context = {
        "access": access,
        "user_shown": user,
        "refusal": why_not_served(UserSettings.of(user, "")),
        "cancel": reverse("user", args=[slug, user.upn]),
        "address": reverse("start-user", args=[slug, user.upn]),
        "types": form,
        "when": WhenForm(request.GET, access.tenant),
        "sample": sample_of(access.tenant, users),
        "foreseen": foresee_start(access.tenant, users, form.targets()),
        "is_asked": True,
        **looked_at(Starts.of(access.tenant, users=[user.pk], targets=form.targets())),
        "prepare": [("kind", "start"), ("user", user.pk), *form.chosen],
    }
    return answer(request, "users/start.html", "runs/start_form.html", context)
