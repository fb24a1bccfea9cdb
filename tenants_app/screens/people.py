"""Who may act in a tenant: roles of people, and invitations by mail."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext_lazy, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from tenants_app.access import Access, access_for
from tenants_app.changes import invitations
from tenants_app.changes.tenants import grant_role, revoke_role
from tenants_app.models import Invitation, Role
from tenants_app.screens.forms import style_fields
from tenants_app.screens.languages import language_choices
from tenants_app.screens.refusals import refusals_told, tell_errors
from tenants_app.screens.requests import Request
from tenants_app.signals import post
from tenants_app.site_address import site_address

LINK = "invitation_link"
"""Of a session: the link of an invitation that no mail server has taken, shown once to whoever invited."""


class InviteForm(forms.Form):
    email = forms.EmailField(label=gettext_lazy("Mail address"), max_length=254)
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.Name.choices)
    language = forms.ChoiceField(
        label=gettext_lazy("Language of the mail"),
        error_messages={"invalid_choice": gettext_lazy("There is no such language here: choose one of the list.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """What is proposed is the language that who invites speaks: a tenant has none of its own."""
        super().__init__(*args, **kwargs)
        self.fields["language"].initial = get_language()
        self.fields["language"].choices = language_choices()  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
def people(request: Request, slug: str) -> HttpResponse:
    """Who has which role, who is invited, and a form to invite somebody by mail."""
    access = access_for(request, slug, Role.Name.ADMIN)
    form = InviteForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        with refusals_told(form):
            _invite(request, access, **form.cleaned_data)
            return redirect("people", slug)
    style_fields(form)
    roles = access.tenant.roles.select_related("account").order_by("account__username")
    waiting = access.tenant.invitations.filter(used_at=None)
    link = request.session.pop(LINK, "") if LINK in request.session else ""
    context = {"access": access, "form": form, "roles": roles, "invitations": waiting, "now": timezone.now()}
    return render(request, "people/people.html", context | {"role_names": Role.Name.choices, "link": link})


def _invite(request: Request, access: Access, email: str, role: str, language: str) -> None:
    """Invite and mail it; where the mail server does not take the message nobody is invited.

    It is mailed when the invitation is kept, so that a slow server keeps nobody else from writing.
    """
    invitation, token = invitations.invite(access.tenant, access.actor, email, role, language)
    link = site_address(reverse("accept-invitation", args=[token]))
    with override(language):
        subject, text = _letter(access, invitation, link)
    posted = post(access.tenant, to=email, subject=subject, text=text, language=language)
    if posted.problem:
        invitations.withdraw(invitation, access.actor)
        raise ValidationError(
            _("The mail server did not take the invitation, so nobody is invited: %(problem)s.")
            % {"problem": posted.problem}
        )
    if posted.by_mail:
        messages.success(request, _("%(email)s is invited. The mail is on its way.") % {"email": email})
    else:
        request.session[LINK] = link
        messages.success(request, _("%(email)s is invited.") % {"email": email})


def _letter(access: Access, invitation: Invitation, link: str) -> tuple[str, str]:
    """Subject and text, in the language that is active."""
    named = {
        "actor": access.actor.name,
        "tenant": access.tenant.name,
        "role": invitation.get_role_display(),
        "until": date_format(timezone.localtime(invitation.expires_at, access.tenant.zone), "DATETIME_FORMAT"),
        "zone": access.tenant.time_zone,
    }
    parts = (
        _("%(actor)s invites you to the Meeting Migration Service of %(tenant)s. Your role there: %(role)s.") % named,
        _("Open this link to accept. It works once and until %(until)s (%(zone)s); give it to nobody.") % named,
        link,
        _("If you do not know what this is, do nothing."),
    )
    subject = _("Invitation to look after the meetings of %(tenant)s") % named
    return subject, "\n\n".join(parts)


@require_POST
def change_role(request: Request, slug: str, pk: int) -> HttpResponse:
    """Give somebody another role."""
    access = access_for(request, slug, Role.Name.ADMIN)
    role = _role_of_somebody_else(request, access, pk)
    if role is not None:
        try:
            given = grant_role(access.tenant, role.account, request.POST.get("role", ""), access.actor)
            messages.success(
                request,
                _("The role was changed. %(account)s: %(role)s.")
                % {"account": role.account, "role": given.get_name_display()},
            )
        except ValidationError as error:
            tell_errors(request, error)
    return redirect("people", slug)


@require_POST
def remove(request: Request, slug: str, pk: int) -> HttpResponse:
    """Take somebody's role away; the account keeps its other tenants."""
    access = access_for(request, slug, Role.Name.ADMIN)
    role = _role_of_somebody_else(request, access, pk)
    if role is not None:
        revoke_role(role, access.actor)
        messages.success(request, _("%(account)s has no role here any more.") % {"account": role.account})
    return redirect("people", slug)


def _role_of_somebody_else(request: Request, access: Access, pk: int) -> Role | None:
    """The role; none, with the reason told, where it is one's own, so that nobody shuts themselves out."""
    role = get_object_or_404(access.tenant.roles.select_related("account", "tenant"), pk=pk)
    if role.account_id == request.user.pk:
        messages.error(request, _("That is your own role: ask another admin of the tenant to change it."))
        return None
    return role


@require_POST
def withdraw(request: Request, slug: str, pk: int) -> HttpResponse:
    """End an invitation that was not accepted yet."""
    access = access_for(request, slug, Role.Name.ADMIN)
    invitation = get_object_or_404(Invitation, tenant=access.tenant, used_at=None, pk=pk)
    try:
        invitations.withdraw(invitation, access.actor)
    except ValidationError as error:
        tell_errors(request, error)
        return redirect("people", slug)
    messages.success(request, _("The invitation of %(email)s does not work any more.") % {"email": invitation.email})
    return redirect("people", slug)
