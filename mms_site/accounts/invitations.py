"""Accepting an invitation, with an account that is there or with a new one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import BaseUserCreationForm, UsernameField
from django.contrib.auth.models import User
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from mms_site.accounts.forms import PASSWORD_RULES
from mms_site.accounts.refusals import REFUSALS
from mms_site.accounts.views import sign_in_as
from mms_site.sign_in import client_address
from tenants_app.audit import Actor, Channel, entry
from tenants_app.changes import invitations
from tenants_app.changes.accounts import note
from tenants_app.mail_addresses import accounts_with
from tenants_app.models import Invitation
from tenants_app.screens.forms import style_fields
from tenants_app.screens.refusals import tell_refusal
from tenants_app.sentences import sentence

TAKEN = gettext_noop("Somebody has that user name already: choose another.")


class NewAccountForm(BaseUserCreationForm):  # type: ignore[type-arg]
    """A user name and a password for somebody who has no account yet."""

    username = UsernameField(
        label=gettext_lazy("User name"),
        max_length=150,
        help_text=gettext_lazy("With which you sign in from now on."),
        validators=[
            UnicodeUsernameValidator(message=gettext_lazy("Use letters, digits and @ . + - _ only, without spaces."))
        ],
    )

    class Meta:
        model = User
        fields = ("username",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].help_text = _(PASSWORD_RULES)
        self.fields["password1"].label = _("Password")
        self.fields["password2"].label, self.fields["password2"].help_text = _("Password once more"), ""

    def clean_username(self) -> str:
        username = str(self.cleaned_data["username"])
        if User.objects.filter(username__iexact=username).exists():
            raise forms.ValidationError(_(TAKEN))
        return username


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, token: str) -> HttpResponse:
    """Who is invited to what; then with the account of that address, or with one that is made for it."""
    invitation = invitations.find(token)
    if invitation is None:
        return _told(request, _(invitations.UNKNOWN))
    if problem := invitations.why_not(invitation):
        return _refuse(request, invitation, problem)
    account = next(iter(sorted(accounts_with(invitation.email), key=lambda each: not each.is_active)), None)
    if account is not None and not account.is_active:  # no second account leads round that
        return _refuse(request, invitation, sentence(REFUSALS["switched-off"]))
    if account is not None:
        return _accept_as(request, invitation, account)
    form = NewAccountForm(
        request.POST if request.method == "POST" else None,
        initial={"username": invitation.email},
        instance=User(email=invitation.email),  # which the password must not be like
    )
    if form.is_valid():
        made = form.save(commit=False)
        try:
            invitations.accept(invitation, made)
        except ValidationError as error:
            tell_refusal(form, error)
        except IntegrityError:  # somebody has chosen it in this moment
            form.add_error("username", _(TAKEN))
        else:
            return sign_in_as(request, made, invitation.tenant.get_absolute_url())
    style_fields(form)
    return render(request, "accounts/sign_in/invitation.html", {"invitation": invitation, "form": form})


def _accept_as(request: HttpRequest, invitation: Invitation, account: User) -> HttpResponse:
    """The address has an account: whoever has it signs in first, so that the mail alone opens no account."""
    is_theirs = request.user == account
    if request.method == "POST" and is_theirs:
        try:
            invitations.accept(invitation, account)
        except ValidationError as error:
            return _refuse(request, invitation, " ".join(error.messages))
        return redirect(invitation.tenant.get_absolute_url())
    context: dict[str, Any] = {"invitation": invitation, "account": account, "is_theirs": is_theirs}
    return render(request, "accounts/sign_in/invitation.html", context)


def _refuse(request: HttpRequest, invitation: Invitation, problem: str) -> HttpResponse:
    """An invitation that was used or is too old signs nobody in; the tenant's audit has that somebody tried."""
    actor = Actor(invitation.email, Channel.SCREEN)
    entry(invitation.tenant, actor, "refuse sign-in", invitation.email, consequence=problem).save()
    note("refuse sign-in", actor, name=invitation.email, detail=problem, address=client_address(request))
    return _told(request, problem)


def _told(request: HttpRequest, problem: str) -> HttpResponse:
    return render(request, "accounts/sign_in/refused.html", {"sentence": problem})
