"""What is audited of sign-ins and second factors."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.account.signals import user_logged_in
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import (
    authentication_failed,
    authenticator_removed,
)
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_out
from django.http import HttpRequest
from django.utils.translation import gettext_noop

from mms_site.accounts import second_factor
from mms_site.accounts.sessions import note_use
from mms_site.accounts.sign_out import SIGN_OUT
from mms_site.sign_in import client_address
from tenants_app.access import SECOND_FACTOR
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import note
from tenants_app.sentences import sentence

FACTORS = {
    "totp": gettext_noop("an app"),
    "webauthn": gettext_noop("a passkey"),
    "recovery_codes": gettext_noop("a recovery code"),
}
ADDED = {"totp": gettext_noop("An app that shows codes."), "webauthn": gettext_noop("A passkey.")}


def connect() -> None:
    """Listen to what allauth and Django tell of accounts."""
    user_logged_in.connect(on_sign_in, dispatch_uid="accounts")
    user_logged_out.connect(on_sign_out, dispatch_uid="accounts")
    authentication_failed.connect(on_wrong_code, dispatch_uid="accounts")
    authenticator_removed.connect(on_factor_removed, dispatch_uid="accounts")


def _note(what: str, request: HttpRequest, user: User, detail: str = "") -> None:
    actor = Actor(user.get_username(), Channel.SCREEN)
    note(what, actor, account=user, detail=detail, address=client_address(request))


def on_sign_in(request: HttpRequest, user: User, **of_signal: Any) -> None:
    """How somebody has signed in."""
    ways = {"password": sentence("a password"), "socialaccount": settings.MMS_OIDC_NAME}
    shown = [
        sentence(FACTORS[record["type"]]) if record["method"] == "mfa" else ways[record["method"]]
        for record in get_authentication_records(request, user)
        if record["method"] in {*ways, "mfa"}
    ]
    note_use(request)
    if login := of_signal.get("sociallogin"):
        request.session[SIGN_OUT] = login.state.get(SIGN_OUT)
    _note("sign in", request, user, _with(list(dict.fromkeys(shown))))


def _with(ways: list[str]) -> str:
    """What somebody has shown: one thing, or a password and one more."""
    if not ways:
        return ""
    if len(ways) == 1:
        return sentence("With %(way)s.", way=ways[0])
    return sentence("With %(way)s and %(other)s.", way=ways[0], other=ways[1])


def on_sign_out(request: HttpRequest, user: User | None, **of_signal: Any) -> None:
    if user is not None:
        _note("sign out", request, user)


def on_wrong_code(request: HttpRequest, user: User, **of_signal: Any) -> None:
    """The password was right, and the code was wrong or had been used."""
    _note(
        "refuse sign-in", request, user, sentence("The code of the second factor was wrong, or had been used already.")
    )


def factor_added(request: HttpRequest, user: User, authenticator: Authenticator) -> None:
    """Who adds one has just shown it: the session counts as one with a second factor.

    allauth tells of it only when all is committed; the audit belongs into the same transaction.
    """
    record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)
    second_factor.remember(request, user)
    _note("add second factor", request, user, sentence(ADDED[authenticator.type]))


def on_factor_removed(request: HttpRequest, user: User, authenticator: Authenticator, **of_signal: Any) -> None:
    """Without any left the session counts as one with a password alone, unless the organization's sign-in let it in."""
    if authenticator.type not in ADDED:
        return
    _note("remove second factor", request, user, sentence(ADDED[authenticator.type]))
    if not Authenticator.objects.filter(user=user, type__in=ADDED).exists():
        shown = {record["method"] for record in get_authentication_records(request, user)}
        request.session[SECOND_FACTOR] = "socialaccount" in shown


def codes_renewed(request: HttpRequest, user: User) -> None:
    _note("renew recovery codes", request, user, sentence("Those from before do not work any more."))
