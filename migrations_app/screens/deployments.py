"""The tenant's deployments: the systems that users belong to and move between (R60)."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from tenants_app.access import Access, access_for
from tenants_app.changes.deployments import (
    change_deployment,
    check_can_be_removed,
    create_deployment,
    remove_deployment,
)
from tenants_app.models import Deployment, Role
from tenants_app.screens.deployment_forms import DeploymentForm, NewDeploymentForm
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request


@require_http_methods(["GET", "HEAD", "POST"])
def deployments(request: Request, slug: str) -> HttpResponse:
    """All deployments. A POST by an admin makes one."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    form = NewDeploymentForm(request.POST if is_post else None, access.tenant)
    if is_post and form.is_valid():
        with refusals_told(form):
            made = create_deployment(access.tenant, access.actor, **form.cleaned_data)
            told = _("The deployment %(name)s is there. Say on their pages which bridges belong to it.")
            messages.success(request, told % {"name": made})
            return redirect("deployment", slug, made.pk)
    context = {"access": access, "deployments": _with_counts(access), "form": form}
    return render(request, "deployments/deployments.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def deployment(request: Request, slug: str, pk: int) -> HttpResponse:
    """One deployment: its settings, its bridges, and how many users belong to it. A POST by an admin saves the form."""
    is_post = request.method == "POST"
    access = access_for(request, slug, Role.Name.ADMIN if is_post else Role.Name.VIEWER)
    shown = get_object_or_404(_with_counts(access), pk=pk)
    form = DeploymentForm(request.POST if is_post else None, _deployment(access, pk))
    if is_post and form.is_valid():
        with refusals_told(form):
            saved = change_deployment(shown, access.actor, **form.edited())
            messages.success(request, _("The settings of %(name)s are saved.") % {"name": saved})
            return redirect("deployment", slug, pk)
    bridges = shown.bridges.annotate(user_count=Count("users"))
    context = {"access": access, "deployment": shown, "bridges": bridges, "form": form}
    return render(request, "deployments/deployment.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    """Remove the deployment. GET says whether that is possible, POST removes it."""
    access = access_for(request, slug, Role.Name.ADMIN)
    shown = _deployment(access, pk)
    refusal = ""
    try:
        if request.method == "POST":
            remove_deployment(_deployment(access, pk), access.actor)
        else:
            check_can_be_removed(shown)
    except ValidationError as error:
        refusal = " ".join(error.messages)
    if request.method == "POST" and not refusal:
        messages.success(request, _("The deployment %(name)s is removed.") % {"name": shown})
        return redirect("deployments", slug)
    context = {"access": access, "deployment": shown, "refusal": refusal, "bridges": shown.bridges.all()}
    return render(request, "deployments/remove.html", context)


def _with_counts(access: Access) -> QuerySet[Deployment]:
    """The tenant's deployments, legacy ones first, with how many users belong to each."""
    found = Deployment.objects.filter(tenant=access.tenant).annotate(user_count=Count("users"))
    return found.select_related("tenant").prefetch_related("bridges").order_by("role", "name")


def _deployment(access: Access, pk: int) -> Deployment:
    return get_object_or_404(Deployment.objects.select_related("tenant"), tenant=access.tenant, pk=pk)
