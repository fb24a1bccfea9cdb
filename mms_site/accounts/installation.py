"""All accounts of the installation, for its administrators alone: who they are, how they sign in, what they may do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from tenants_app.audit import Actor, Channel
from tenants_app.changes import accounts
from tenants_app.models import Role
from tenants_app.screens.refusals import tell_errors
from tenants_app.screens.requests import Request

ON_A_PAGE = 50
FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def _actor(request: Request) -> Actor:
    """Who acts, once it is sure that they look after the installation. Others learn of no such page."""
    if not request.user.is_superuser:
        raise Http404
    return Actor(request.user.get_username(), Channel.SCREEN)


def _found(words: str) -> QuerySet[User]:
    """The accounts in whose name, address or tenants all of the words stand."""
    of_account = Authenticator.objects.filter(user=OuterRef("pk"), type__in=FACTORS)
    roles = Role.objects.select_related("tenant").order_by("tenant__name")
    found = User.objects.annotate(
        has_factor=Exists(of_account), is_connected=Exists(SocialAccount.objects.filter(user=OuterRef("pk")))
    ).prefetch_related(Prefetch("tenant_roles", roles))
    for word in words.replace("\0", "").split()[:5]:
        named = Q(username__icontains=word) | Q(email__icontains=word)
        named |= Q(first_name__icontains=word) | Q(last_name__icontains=word)
        in_tenant = Role.objects.filter(account=OuterRef("pk"), tenant__name__icontains=word)
        found = found.filter(named | Exists(in_tenant))
    return found.order_by("username")


@require_safe
def accounts_of_all(request: Request) -> HttpResponse:
    """The accounts, with a search."""
    _actor(request)
    words = request.GET.get("q", "").strip()[:200]
    page = Paginator(_found(words), ON_A_PAGE).get_page(request.GET.get("page"))
    return render(request, "accounts/all.html", {"page": page, "q": words, "total": page.paginator.count})


def _other(request: Request, pk: int) -> User:
    """Somebody else's account: what is one's own one could take from oneself by mistake."""
    account = get_object_or_404(User, pk=pk)
    if account == request.user:
        raise PermissionDenied(_("That is your own account: ask another administrator of the installation."))
    return account


def _tried(request: Request, change: Callable[[], object], told: str) -> HttpResponse:
    """Make the change, and say on the page of all accounts that it was made, or why not."""
    try:
        change()
    except ValidationError as error:
        tell_errors(request, error)
    else:
        messages.success(request, told)
    return redirect("accounts")


@require_POST
def switch(request: Request, pk: int) -> HttpResponse:
    """Switch an account off, which ends its sessions at once, or on again."""
    actor, is_on = _actor(request), request.POST.get("on") == "true"
    account = _other(request, pk)
    told = (
        _("%(account)s can sign in again.")
        if is_on
        else _("%(account)s cannot sign in any more, and is signed out everywhere.")
    )
    return _tried(request, partial(accounts.switch_account, account, is_on, actor), told % {"account": account})


@require_POST
def administer(request: Request, pk: int) -> HttpResponse:
    """Make somebody an administrator of the installation, or end that."""
    actor, is_on = _actor(request), request.POST.get("on") == "true"
    account = _other(request, pk)
    told = (
        _("%(account)s is an administrator of the installation now.")
        if is_on
        else _("%(account)s is no administrator of the installation any more.")
    )
    return _tried(request, partial(accounts.make_administrator, account, is_on, actor), told % {"account": account})


@require_POST
def remove_second_factor(request: Request, pk: int) -> HttpResponse:
    """Take away the second factors of somebody who has lost them."""
    actor = _actor(request)
    account = _other(request, pk)
    told = _("%(account)s has no second factor any more.") % {"account": account}
    return _tried(request, partial(accounts.remove_second_factor, account, actor), told)
