"""Signing in and out, second factors, and the way to the organization's own sign-in."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import unquote, urlsplit

from allauth.account.adapter import get_adapter
from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import AuthenticateView, IndexView
from allauth.mfa.base.views import ReauthenticateView as CodeAgainView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    LoginWebAuthnView,
    ReauthenticateWebAuthnView,
    RemoveWebAuthnView,
)
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.base.constants import AuthProcess
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordResetConfirmView
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import (
    HttpResponseClientRedirect,
    HttpResponseClientRefresh,
    HttpResponseStopPolling,
    reswap,
    trigger_client_event,
)

from mms_site.accounts import openid
from mms_site.accounts.adapters import NOT_THE_PASSKEY
from mms_site.accounts.forms import (
    AppForm,
    ChosenPasswordForm,
    CodeAgainForm,
    CodeForm,
    NewPasskeyForm,
    PasskeyAgainForm,
    PasskeyForm,
    PasskeySignInForm,
    step_of,
)
from mms_site.accounts.receivers import codes_renewed, factor_added
from tenants_app.screens.addresses import page_at, route_of
from tenants_app.screens.fragments import SHOWN
from tenants_app.screens.lost_posts import UNSAVED, tell_unsaved
from tenants_app.screens.requests import Request
from tenants_app.sealing import NoSecretsKey

PAGES = "accounts/sign_in"


def sign_in_as(request: HttpRequest, user: User, leads_to: str) -> HttpResponse:
    """Go on with somebody whose password has just been right: to the second factor where there is one, or in.

    Who has just shown the password need not show it again for a while, as where they add a second factor next.
    """
    record_authentication(request, user, method="password", reauthenticated=True)
    return cast(HttpResponse, perform_login(request, Login(user=user, redirect_url=leads_to)))


@method_decorator(login_not_required, name="dispatch")
class SignIn(LoginView):
    """Django's own, except that a part of a page whose session has ended makes the whole page sign in; one that asks by
    itself is told to stop, and the page stays as it is and says so.

    With ``?unsaved=yes`` it says before and after that nothing was saved of what was sent without a session.
    """

    redirect_authenticated_user = True

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        is_unsaved = UNSAVED in request.GET
        if cast(Request, request).htmx and SHOWN in request.headers:
            return reswap(trigger_client_event(HttpResponseStopPolling(), "signedOut"), "none")
        if cast(Request, request).htmx:
            return HttpResponseClientRedirect(request.get_full_path()) if is_unsaved else HttpResponseClientRefresh()
        response = super().dispatch(request, *args, **kwargs)
        if is_unsaved and isinstance(response, HttpResponseRedirect):
            tell_unsaved(request)
        return response

    def form_valid(self, form: Any) -> HttpResponse:
        return sign_in_as(self.request, form.get_user(), self.get_success_url())

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"openid_name": settings.MMS_OIDC_NAME}

    def get_redirect_url(self, request: HttpRequest | None = None) -> str:
        """Where one wanted to, if that is a page and not the sign-in itself, which would lead round in a circle."""
        return wanted(self.request, super().get_redirect_url())


def wanted(request: HttpRequest, address: str) -> str:
    """The page at that address, to go to once signed in; none where it is no page, or the sign-in."""
    page = page_at(request, address)
    is_sign_in = route_of(unquote(urlsplit(page).path)) in {
        route_of(str(reverse_lazy("account_login"))),
        route_of(request.path),
    }
    return "" if is_sign_in else page


class SignInLink(PasswordResetConfirmView):
    """The link that is used once, with which one chooses a password. Second factors are asked for as always."""

    template_name = "registration/password_reset_confirm.html"
    form_class = ChosenPasswordForm
    success_url = "/"

    def form_valid(self, form: Any) -> HttpResponse:
        super().form_valid(form)
        if self.request.user.is_authenticated:
            get_adapter().logout(self.request)
        return sign_in_as(self.request, form.user, "/")


# --- the second factor at the sign-in -----------------------------------------------------------------


class Code(AuthenticateView):  # type: ignore[misc]
    form_class = CodeForm
    webauthn_form_class = PasskeyForm
    template_name = f"{PAGES}/code.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        factors = set(Authenticator.objects.filter(user=self.stage.login.user).values_list("type", flat=True))
        name = self.stage.login.user.get_username()
        return {**super().get_context_data(**kwargs), "factors": factors, "signs_in": name}


class PasskeySignIn(LoginWebAuthnView):  # type: ignore[misc]
    """Answers with what the browser asks the passkey, and takes the passkey's answer."""

    form_class = PasskeySignInForm

    def form_invalid(self, form: Any) -> HttpResponse:
        context = {"passkey_problem": NOT_THE_PASSKEY, "openid_name": settings.MMS_OIDC_NAME, "next": ""}
        return render(self.request, "registration/login.html", context)


# --- once more, before a change -----------------------------------------------------------------------


class PasswordAgain(ReauthenticateView):  # type: ignore[misc]
    template_name = f"{PAGES}/password_again.html"


class CodeAgain(CodeAgainView):  # type: ignore[misc]
    form_class = CodeAgainForm
    template_name = f"{PAGES}/code_again.html"


class PasskeyAgain(ReauthenticateWebAuthnView):  # type: ignore[misc]
    form_class = PasskeyAgainForm
    template_name = f"{PAGES}/passkey_again.html"

    def form_invalid(self, form: Any) -> HttpResponse:
        context = self.get_context_data() | {"passkey_problem": NOT_THE_PASSKEY}
        return cast(HttpResponse, self.render_to_response(context))


# --- one's second factors -----------------------------------------------------------------------------


class SecondFactor(IndexView):  # type: ignore[misc]
    """What one signs in with beside the password, and the organization's sign-in."""

    template_name = f"{PAGES}/second_factor.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = cast(User, self.request.user)
        connected = SocialAccount.objects.filter(user=user, provider=settings.MMS_OIDC_PROVIDER_ID).exists()
        return {
            **super().get_context_data(**kwargs),
            "has_password": user.has_usable_password(),
            "openid_name": settings.MMS_OIDC_NAME,
            "is_connected": connected,
            "is_required": settings.MMS_SECOND_FACTOR == "required",
        }


class AddApp(ActivateTOTPView):  # type: ignore[misc]
    form_class = AppForm
    template_name = f"{PAGES}/app.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        try:
            response = super().form_valid(form)
        except NoSecretsKey:
            form.add_error(None, _(NO_KEY))
            return cast(HttpResponse, self.form_invalid(form))
        user = cast(User, self.request.user)
        app = Authenticator.objects.get(user=user, type=Authenticator.Type.TOTP)
        app.data["last_step"] = step_of(form.secret, "".join(form.cleaned_data["code"].split()))
        app.save(update_fields=["data"])  # the code that was given here is used too
        factor_added(self.request, user, app)
        return cast(HttpResponse, response)


NO_KEY = gettext_noop(
    "Second factors are kept encrypted, and the service has no key: ask whoever runs it to set MMS_SECRETS_KEY."
)


class RemoveApp(DeactivateTOTPView):  # type: ignore[misc]
    template_name = f"{PAGES}/app_remove.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not Authenticator.objects.filter(user=request.user.pk, type=Authenticator.Type.TOTP).exists():
            return redirect("mfa_index")
        return cast(HttpResponseBase, super().dispatch(request, *args, **kwargs))

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        return cast(HttpResponse, super().form_valid(form))


class RecoveryCodes(ViewRecoveryCodesView):  # type: ignore[misc]
    template_name = f"{PAGES}/recovery.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not Authenticator.objects.filter(user=request.user.pk, type=Authenticator.Type.RECOVERY_CODES).exists():
            return redirect("mfa_index")
        return cast(HttpResponse, super().get(request, *args, **kwargs))


class NewRecoveryCodes(GenerateRecoveryCodesView):  # type: ignore[misc]
    template_name = f"{PAGES}/recovery_new.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        codes_renewed(self.request, cast(User, self.request.user))
        return cast(HttpResponse, super().form_valid(form))


class AddPasskey(AddWebAuthnView):  # type: ignore[misc]
    form_class = NewPasskeyForm
    template_name = f"{PAGES}/passkey.html"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        try:
            response = super().form_valid(form)
        except NoSecretsKey:
            transaction.set_rollback(True)
            form.add_error(None, _(NO_KEY))
            return cast(HttpResponse, self.form_invalid(form))
        user = cast(User, self.request.user)
        passkey = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN).latest("pk")
        factor_added(self.request, user, passkey)
        return cast(HttpResponse, response)


class RemovePasskey(RemoveWebAuthnView):  # type: ignore[misc]
    template_name = f"{PAGES}/passkey_remove.html"
    success_url = reverse_lazy("mfa_index")

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        return cast(HttpResponse, super().form_valid(form))


# --- the organization's own sign-in -------------------------------------------------------------------


@never_cache
@login_not_required
@require_GET
def openid_login(request: HttpRequest) -> HttpResponseBase:
    """Go to the organization's sign-in, and come back to where one wanted."""
    if not settings.MMS_OIDC_NAME:
        return redirect("account_login")
    return cast(
        HttpResponseBase, openid.begin(request, AuthProcess.LOGIN, wanted(request, request.GET.get("next", "")))
    )


@never_cache
@login_not_required
@require_GET
def openid_callback(request: HttpRequest) -> HttpResponseBase:
    """Come back from there."""
    if not settings.MMS_OIDC_NAME:
        return redirect("account_login")
    return cast(HttpResponseBase, openid.complete(request))


@never_cache
@require_POST
@reauthentication_required(app="allauth.mfa")  # type: ignore[untyped-decorator]
def openid_connect(request: Request) -> HttpResponseBase:
    """Begin to connect the account with who one is there. The policy of pages lets no form lead to another site, so the
    page that follows has a link."""
    if not settings.MMS_OIDC_NAME:
        return redirect("mfa_index")
    answer = openid.begin(request, AuthProcess.CONNECT, "", data=str(request.user.pk))
    if not isinstance(answer, HttpResponseRedirect):
        return cast(HttpResponseBase, answer)
    return render(request, f"{PAGES}/connect.html", {"leads_to": answer.url, "openid_name": settings.MMS_OIDC_NAME})
