"""Why somebody was not signed in: one sentence for each reason, shown and audited."""

from __future__ import annotations

import logging

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_noop

from mms_site.sign_in import client_address
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import note
from tenants_app.sentences import english, one_after_the_other, sentence

logger = logging.getLogger(__name__)

REFUSALS = {
    "switched-off": gettext_noop("This account is switched off. Ask whoever runs the service to switch it on."),
    "unreachable": gettext_noop(
        "The organization's sign-in does not answer, or not as OpenID Connect says. Try again later, or ask "
        "whoever runs the service to look at its settings."
    ),
    "cancelled": gettext_noop("You left the organization's sign-in, so nobody was signed in here."),
    "stale": gettext_noop("This sign-in was not begun in this browser, or too long ago. Begin it again here."),
    "no-code": gettext_noop("The organization's sign-in refused to let you in. Ask whoever looks after it."),
    "signature": gettext_noop(
        "The answer of the organization's sign-in is not signed with one of its keys, so it is not believed."
    ),
    "issuer": gettext_noop("The answer came from another issuer than the one that MMS asks, so it is not believed."),
    "audience": gettext_noop("The answer of the organization's sign-in was meant for another service than MMS."),
    "expired": gettext_noop(
        "The answer of the organization's sign-in has expired. Begin again; or else a clock is wrong."
    ),
    "nonce": gettext_noop(
        "The answer of the organization's sign-in belongs to another attempt (a wrong nonce). Begin again."
    ),
    "malformed": gettext_noop("The answer of the organization's sign-in lacks something, so it is not believed."),
    "unverified": gettext_noop(
        "There is an account with this address, and the organization's sign-in does not say that the address "
        "is yours. Sign in with its password, and connect the two on the page of your second factor."
    ),
    "not-by-address": gettext_noop(
        "There is an account with this address that may be somebody else's. If it is yours, sign in with its password, "
        "and connect the two on the page of your second factor; if not, tell whoever runs the service."
    ),
    "name-taken": gettext_noop(
        "There is an account with this user name already. Sign in with its password, and connect the two on "
        "the page of your second factor."
    ),
    "no-role": gettext_noop(
        "None of your groups has a role here. Ask whoever runs the service which group that should be."
    ),
    "other-account": gettext_noop(
        "This sign-in belongs to another account already, so it was not connected with yours."
    ),
    "not-signed-in": gettext_noop("You were signed out before the two were connected. Sign in and begin again."),
}


WORTH_NOTHING = {"stale", "unreachable"}
"""What anybody can bring about as often as they like, without being known to the organization: it goes to the log."""


def refused(
    request: HttpRequest, reason: str, account: User | None = None, name: str = "", detail: str = ""
) -> HttpResponse:
    """The page that says why nobody was signed in; and the same in the audit, with what helps to find the mistake.

    ``name`` is how they named themselves, ``account`` the one that they wanted to be.
    """
    told = sentence(REFUSALS[reason])
    named = name or (account.get_username() if account else "somebody unknown")
    if reason in WORTH_NOTHING:
        logger.warning("Nobody was signed in through OpenID Connect: %s %s", english(told), detail)
        return render(request, "accounts/sign_in/refused.html", {"sentence": told}, status=403)
    note(
        "refuse sign-in",
        Actor(named[:200], Channel.SCREEN),
        account=account,
        name=named,
        detail=one_after_the_other(told, detail),
        address=client_address(request),
    )
    return render(request, "accounts/sign_in/refused.html", {"sentence": told}, status=403)
