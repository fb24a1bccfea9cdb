"""A password that was forgotten: a link by mail, without telling anybody whether there is an account."""

from __future__ import annotations

import logging
from smtplib import SMTPException
from urllib.parse import urlsplit

from allauth.core import ratelimit
from allauth.socialaccount.models import SocialAccount
from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import get_language, gettext_lazy, ngettext, override
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_q.tasks import async_task

from mms_site.sign_in import client_address
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import note
from tenants_app.languages import is_language
from tenants_app.mail_addresses import accounts_with
from tenants_app.models import Preferences
from tenants_app.screens.forms import style_fields
from tenants_app.sentences import sentence
from tenants_app.site_address import sign_in_path, site_address

logger = logging.getLogger(__name__)


class AddressForm(forms.Form):
    email = forms.EmailField(
        label=gettext_lazy("Mail address"), max_length=254, widget=forms.EmailInput({"autocomplete": "email"})
    )


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Takes an address. The answer is the same for every one, and comes as soon: the background service looks whose
    it is."""
    form, sent = AddressForm(request.POST if request.method == "POST" else None), False
    if form.is_valid():
        email = form.cleaned_data["email"]
        if not ratelimit.consume(request, action="reset_password", key=email.lower()):
            form.add_error(None, _("There were too many tries: wait five minutes and try again."))
        else:
            send = "mms_site.accounts.recovery.send_links"
            try:
                async_task(send, email, get_language() or "en", client_address(request), task_name="link", save=False)
                sent = True
            except ConnectionError:  # of the broker
                logger.exception("The background service cannot be told to send links for forgotten passwords.")
                form.add_error(None, _("No mail can be sent at the moment: try again in some minutes."))
    style_fields(form)
    return render(request, "registration/forgotten.html", {"form": form, "sent": sent})


def send_links(email: str, language: str, asked_from: str) -> None:
    """Send each account of the address a link with which its owner chooses a password; its second factor stays.

    Who signs in through the organization alone has no password to be forgotten, and gets none.
    """
    through_others = SocialAccount.objects.values("user")
    found = [each for each in accounts_with(email) if each.is_active]
    accounts = [each for each in found if each.has_usable_password() or not through_others.filter(user=each).exists()]
    if not accounts:
        logger.info("A forgotten password was asked for with an address that no account with a password has.")
    for account in accounts:
        chosen = Preferences.of(account).language
        with override(chosen if is_language(chosen) else language):
            message = _message(account)
        told = sentence("A link with which to choose a password was sent to the address of the account.")
        try:
            message.send()
        except (OSError, SMTPException, ValueError) as error:
            logger.warning("The mail server did not take a link for a forgotten password: %s", error)
            told = sentence("The mail server did not take the mail with the link.")
        actor = Actor(account.get_username(), Channel.SCREEN)
        note("ask for sign-in link", actor, account=account, detail=told, address=asked_from)


def _message(account: User) -> EmailMessage:
    days = settings.PASSWORD_RESET_TIMEOUT // 86_400
    validity = ngettext(
        "It works once and for %(days)s day; give it to nobody. Your second factor is asked for as always.",
        "It works once and for %(days)s days; give it to nobody. Your second factor is asked for as always.",
        days,
    )
    parts = (
        _("Somebody has asked for a new password of %(name)s in the Meeting Migration Service.")
        % {"name": account.get_username()},
        _("If it was you, open this link and choose one."),
        site_address(sign_in_path(account)),
        validity % {"days": days},
        _("If it was not you, do nothing: your password stays as it is."),
    )
    host = urlsplit(settings.MMS_BASE_URL).hostname or "localhost"
    return EmailMessage(
        subject=_("Choose a new password"),
        body="\n\n".join(parts) + "\n",
        from_email=settings.MMS_SENDER or f"meeting-migration@{host}",
        to=[account.email],
        headers={"Auto-Submitted": "auto-generated"},
    )
