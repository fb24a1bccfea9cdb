"""The page of one's own account: name, language, time zone and colours, password, and where one is signed in."""

from __future__ import annotations

from typing import Any

from allauth.core import ratelimit
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language_from_request, gettext_lazy, ngettext, override
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mms_site.accounts import sessions
from mms_site.accounts.forms import PASSWORD_RULES
from tenants_app.audit import Actor, Channel
from tenants_app.changes import accounts
from tenants_app.local_times import place_names, time_zone_names
from tenants_app.models import Preferences
from tenants_app.screens.forms import style_fields
from tenants_app.screens.languages import language_choices
from tenants_app.screens.refusals import refusals_told
from tenants_app.screens.requests import Request

ADDED = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


class NameForm(forms.Form):
    full_name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("As your colleagues know you. You go on signing in with your user name."),
        widget=forms.TextInput({"autocomplete": "name"}),
    )


class PreferencesForm(forms.Form):
    """What is left empty is as it comes: from the browser, from the tenant, from the system."""

    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        required=False,
        error_messages={"invalid_choice": gettext_lazy("There is no such language here: choose one of the list.")},
    )
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        required=False,
        max_length=64,
        help_text=gettext_lazy(
            "Like Europe/Rome. Empty: that of the tenant whose page it is. Plans and windows stay in the tenant’s."
        ),
    )
    theme = forms.ChoiceField(
        label=gettext_lazy("Colours"),
        required=False,
        error_messages={"invalid_choice": gettext_lazy("There are no such colours: choose from the list.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["language"].choices = [("", _("As the browser asks for")), *language_choices()]  # type: ignore[attr-defined]
        self.fields["theme"].choices = [  # type: ignore[attr-defined]
            ("", _("Like the system")),
            (Preferences.Theme.LIGHT, _("Light")),
            (Preferences.Theme.DARK, _("Dark")),
        ]
        self.fields["time_zone"].widget.attrs |= {"list": "zones", "autocomplete": "off"}

    def clean_time_zone(self) -> str:
        """Upper and lower case do not matter, and a space is as good as a ``_``."""
        typed = str(self.cleaned_data["time_zone"]).strip().replace(" ", "_")
        if not typed:
            return ""
        known = {name.lower(): name for name in time_zone_names()}
        if typed.lower() not in known:
            raise ValidationError(_("There is no time zone of that name: choose one like Europe/Rome."))
        return known[typed.lower()]


class PasswordForm(PasswordChangeForm):
    """The old password, and the new one twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.error_messages = {**self.error_messages, "password_incorrect": _("That is not your current password.")}
        self.fields["old_password"].label = _("Current password")
        self.fields["old_password"].widget.attrs.pop("autofocus", None)
        self.fields["new_password1"].label = _("New password")
        self.fields["new_password1"].help_text = _(PASSWORD_RULES)
        self.fields["new_password2"].label = _("New password once more")
        self.fields["new_password2"].help_text = ""


def _actor(request: Request) -> Actor:
    return Actor(request.user.get_username(), Channel.SCREEN)


def _page(
    request: Request,
    name: forms.Form | None = None,
    preferences: forms.Form | None = None,
    password: PasswordForm | None = None,
) -> HttpResponse:
    user, chosen = request.user, Preferences.of(request.user)
    of_now = {"language": chosen.language, "time_zone": chosen.time_zone, "theme": chosen.theme}
    name_form = name or NameForm(initial={"full_name": user.get_full_name()})
    preferences_form = preferences or PreferencesForm(initial=of_now)
    password_form = (password or PasswordForm(user)) if user.has_usable_password() else None
    for form in (name_form, preferences_form, password_form):
        if form is not None:
            style_fields(form)
    where = [
        {
            "row": row,
            "words": sessions.in_words(row.user_agent),
            "is_here": row.session_key == request.session.session_key,
        }
        for row in sessions.of_account(request, user)
    ]
    context = {
        "name_form": name_form,
        "preferences_form": preferences_form,
        "password_form": password_form,
        "zones": place_names(),
        "sessions": where,
        "others": sum(not each["is_here"] for each in where),
        "factors": Authenticator.objects.filter(user=user, type__in=ADDED).count(),
        "openid_name": settings.MMS_OIDC_NAME,
        "is_connected": SocialAccount.objects.filter(user=user, provider=settings.MMS_OIDC_PROVIDER_ID).exists(),
    }
    return render(request, "accounts/own.html", context)


@require_safe
def own(request: Request) -> HttpResponse:
    """The page."""
    return _page(request)


@require_http_methods(["GET", "HEAD", "POST"])
def change_name(request: Request) -> HttpResponse:
    form = NameForm(request.POST)
    if request.method != "POST":
        return redirect("account")
    if form.is_valid():
        with refusals_told(form):
            accounts.rename(request.user, form.cleaned_data["full_name"], _actor(request))
            messages.success(request, _("Your name was saved."))
            return redirect("account")
    return _page(request, name=form)


@require_http_methods(["GET", "HEAD", "POST"])
def change_preferences(request: Request) -> HttpResponse:
    """From the next page on all is shown so; what is said now, is said in the language that was chosen."""
    form = PreferencesForm(request.POST)
    if request.method != "POST":
        return redirect("account")
    if form.is_valid():
        with refusals_told(form):
            accounts.prefer(request.user, _actor(request), **form.cleaned_data)
            response = redirect("account")
            if not form.cleaned_data["language"]:  # the browser has kept the one from before
                request.COOKIES.pop(settings.LANGUAGE_COOKIE_NAME, None)
                response.delete_cookie(settings.LANGUAGE_COOKIE_NAME)
            with override(form.cleaned_data["language"] or get_language_from_request(request)):
                messages.success(request, _("Saved: this is how you see the pages from now on."))
            return response
    if "language" in form.errors:
        accounts.refuse_language(request.user, _actor(request), request.POST.get("language", ""))
    return _page(request, preferences=form)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def change_password(request: Request) -> HttpResponse:
    """Whoever knows the old password chooses another one; all other sessions end."""
    if request.method != "POST" or not request.user.has_usable_password():
        return redirect("account")
    form = PasswordForm(request.user, request.POST)
    if not ratelimit.consume(request, action="change_password", user=request.user):
        form.add_error(None, _("There were too many tries: wait a minute and try again."))
    elif form.is_valid():
        before = request.session.session_key
        accounts.change_password(request.user, form.cleaned_data["new_password1"], _actor(request), keep=before)
        update_session_auth_hash(request, request.user)
        sessions.keep_current(request, before)
        messages.success(request, _("Your password was changed. All other sessions have ended."))
        return redirect("account")
    return _page(request, password=form)


@require_POST
def end_session(request: Request, pk: int) -> HttpResponse:
    """Sign out somewhere else."""
    session = UserSession.objects.filter(user=request.user, pk=pk).first()
    if session is None:
        messages.info(request, _("That session has ended already."))
    elif session.session_key == request.session.session_key:
        messages.error(request, _("This is the session that you are in: sign out instead."))
    else:
        accounts.end_sessions(request.user, _actor(request), only=pk)
        messages.success(request, _("The session has ended."))
    return redirect("account")


@require_POST
def end_other_sessions(request: Request) -> HttpResponse:
    """Sign out everywhere but here."""
    ended = accounts.end_sessions(request.user, _actor(request), keep=request.session.session_key)
    if ended:
        told = ngettext("%(count)d other session has ended.", "%(count)d other sessions have ended.", ended)
        messages.success(request, told % {"count": ended})
    else:
        messages.info(request, _("You are signed in nowhere else."))
    return redirect("account")
