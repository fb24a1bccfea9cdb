"""Signing in through the organization's own OpenID provider, and what its answer must be like to be believed.

allauth leads to the provider and back. What it leaves out is done here: the answer's signature, nonce, audience, issuer
and hours are checked in full, nobody takes over an account by an address that the provider does not vouch for, and
groups say which roles there are.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from typing import Any, NoReturn

import jwt
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.providers.base.constants import AuthError, AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from requests import RequestException

from mms_site.accounts.claims import groups_of, is_verified, name_for, roles_of
from mms_site.accounts.refusals import refused
from mms_site.accounts.sign_out import SIGN_OUT, Way
from tenants_app.audit import Actor, Channel
from tenants_app.changes.accounts import connect_sign_in, follow_groups, is_taken_by_address, make_account
from tenants_app.mail_addresses import accounts_with
from tenants_app.sentences import sentence

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
"""Of signatures that only the provider can make."""
LEEWAY = 30
"""By how many seconds two clocks may differ."""
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class NotBelieved(OAuth2Error):  # type: ignore[misc]
    """The answer is not what it must be; ``reason`` is one of ``REFUSALS``."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


class Endpoints(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]
    """Where the provider is, and whether what it answers is to be believed."""

    expected_nonce = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """What the provider tells of itself; of another issuer nothing is taken."""
        if not hasattr(self, "_openid_config"):
            config = self._ask(self.get_provider().server_url)
            if str(config.get("issuer", "")).rstrip("/") != settings.MMS_OIDC_ISSUER.rstrip("/"):
                raise NotBelieved("issuer", sentence("Its configuration names another issuer."))
            for name in ENDPOINTS:
                if not isinstance(config.get(name), str) or not _is_as_safe(config[name]):
                    raise NotBelieved("unreachable", sentence("Its configuration has no usable %(name)s.", name=name))
            self._openid_config = config
        return self._openid_config

    def _ask(self, address: str, **headers: str) -> dict[str, Any]:
        with get_adapter().get_requests_session() as session:
            response = session.get(address, headers=headers)
            response.raise_for_status()
            answer = response.json()
        if not isinstance(answer, dict):
            raise NotBelieved("unreachable", sentence("It answered with something else than an object."))
        return answer

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return f"{settings.MMS_BASE_URL}{reverse('openid_callback')}"

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> SocialLogin:
        claims = self._claims(app, kwargs["response"].get("id_token"))
        told = self._told(claims, token.token)
        login = self.get_provider().sociallogin_from_response(request, {"userinfo": told, "id_token": claims})
        login.claims = told
        address = self.openid_config.get("end_session_endpoint")
        login.way_out = Way(
            address=address if isinstance(address, str) and _is_as_safe(address) else "",
            hint=kwargs["response"]["id_token"],
            issuer=settings.MMS_OIDC_ISSUER,
        )
        return login

    def _claims(self, app: Any, id_token: Any) -> dict[str, Any]:
        """What the ID token says, once all is checked that OpenID Connect Core 3.1.3.7 asks for."""
        try:
            key = self._key_of(id_token)
            claims: dict[str, Any] = jwt.decode(
                id_token,
                key=key,
                algorithms=ALGORITHMS,
                audience=app.client_id,
                issuer=self.openid_config["issuer"],
                leeway=LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except jwt.InvalidIssuerError:
            raise NotBelieved("issuer") from None
        except jwt.InvalidAudienceError:
            raise NotBelieved("audience") from None
        except jwt.ExpiredSignatureError:
            raise NotBelieved("expired") from None
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
            raise NotBelieved("signature") from None
        except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
            raise NotBelieved("malformed", type(error).__name__) from None
        is_for_several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", app.client_id) != app.client_id or (is_for_several and "azp" not in claims):
            raise NotBelieved("audience")
        if not claims["sub"] or not isinstance(claims["sub"], str):
            raise NotBelieved("malformed")
        nonce = claims.get("nonce")
        if not self.expected_nonce or not isinstance(nonce, str):
            raise NotBelieved("nonce")
        if not hmac.compare_digest(nonce.encode(), self.expected_nonce.encode()):
            raise NotBelieved("nonce")
        return claims

    def _key_of(self, id_token: Any) -> Any:
        """The provider's key that the token says it is signed with, among those that it publishes."""
        keys = jwt.PyJWKSet.from_dict(self._ask(self.openid_config["jwks_uri"])).keys
        keys = [key for key in keys if key.public_key_use in {None, "sig"}]
        named = jwt.get_unverified_header(id_token).get("kid")
        found = [key for key in keys if named is None or key.key_id == named]
        if len(found) != 1:
            raise NotBelieved("signature")
        return found[0].key

    def _told(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        """What is known of the person: the ID token, and what it leaves out, from the provider's own page of people."""
        address = self.openid_config.get("userinfo_endpoint")
        if not isinstance(address, str) or not _is_as_safe(address):
            return claims
        more = self._ask(address, Authorization=f"Bearer {access_token}")
        if more.get("sub") != claims["sub"]:
            raise NotBelieved("malformed", sentence("Its userinfo is about somebody else."))
        if "email" in claims:
            more.pop("email_verified", None)  # that is about the other address
        return more | claims


def _is_as_safe(address: str) -> bool:
    """Whether it has TLS; on this machine it need not, where the issuer has none either."""
    if address.startswith("https://"):
        return True
    return address.startswith("http://") and not settings.MMS_OIDC_ISSUER.startswith("https://")


class SignInProvider(OpenIDConnectProvider):  # type: ignore[misc]
    """allauth's own, with a nonce, and one address of ours instead of one for each provider."""

    oauth2_adapter_class = Endpoints
    pkce_enabled_default = True

    def get_login_url(self, request: HttpRequest, **kwargs: Any) -> str:
        return reverse("openid_login")

    def get_callback_url(self) -> str:
        return reverse("openid_callback")

    def extract_extra_data(self, data: Any) -> dict[str, Any]:
        """Nothing is kept of what the provider tells: it is asked at each sign-in."""
        return {}

    def redirect(
        self, request: HttpRequest, process: Any, next_url: Any = None, data: Any = None, **kwargs: Any
    ) -> Any:
        nonce = secrets.token_urlsafe(24)
        auth_params = {"nonce": nonce}
        return super().redirect(request, process, next_url, data, auth_params=auth_params, nonce=nonce, **kwargs)


class Callback(OAuth2CallbackView):  # type: ignore[misc]
    """Takes the provider's answer to a sign-in that was begun in this browser."""

    def _get_state(self, request: HttpRequest, provider: Any) -> Any:
        state, response = super()._get_state(request, provider)
        self.adapter.expected_nonce = (state or {}).get("nonce") or ""
        return state, response


def begin(request: HttpRequest, process: Any, next_url: str, data: str = "") -> Any:
    """Lead to the provider, or say why that cannot be done."""
    try:
        provider = get_adapter().get_provider(request, settings.MMS_OIDC_PROVIDER_ID)
        return provider.redirect(request, process, next_url, data)
    except (OAuth2Error, RequestException, ValueError) as error:
        return refused(request, getattr(error, "reason", "unreachable"), detail=getattr(error, "detail", ""))


def complete(request: HttpRequest) -> Any:
    """Answer what the provider sends back."""
    adapter = Endpoints(request, settings.MMS_OIDC_PROVIDER_ID)
    try:
        return Callback.adapter_view(adapter)(request)
    except (OAuth2Error, ValueError) as error:
        return refused(request, getattr(error, "reason", "unreachable"), detail=getattr(error, "detail", ""))


def answer_of_no_use(request: HttpRequest, error: Any, exception: Any, *, is_expected: bool) -> None:
    """Refuse where allauth has found a mistake; ``is_expected`` is an answer that this browser had asked for."""
    if isinstance(exception, NotBelieved):
        reason = exception.reason
    elif not is_expected:
        reason = "stale"
    elif error == AuthError.CANCELLED:
        reason = "cancelled"
    else:
        reason = "no-code" if exception is None else "unreachable"
    raise ImmediateHttpResponse(refused(request, reason, detail=getattr(exception, "detail", "")))


def admit(request: HttpRequest, login: SocialLogin) -> None:
    """Say whose account it is, with the roles of the groups, or refuse. The answer has been found to be genuine."""
    claims: Mapping[str, Any] = login.claims
    login.state[SIGN_OUT] = login.way_out  # which stays with the login where a second factor is asked for in between
    if login.state.get("process") == AuthProcess.CONNECT:
        _connect(request, login)
    account = login.user if login.is_existing else None
    email, name = str(claims.get("email") or ""), name_for(claims)
    actor = Actor(name, Channel.SCREEN)
    if account is None and email:
        account = _account_by_address(request, login, email, name)
    given = roles_of(groups_of(claims))
    if account is None:
        if not given:
            _refuse(request, "no-role", name=name)
        account = _new_account(request, login, actor, email, name)
    actor = Actor(account.get_username(), Channel.SCREEN)
    follow_groups(account, given, actor)
    if not account.is_superuser and not account.tenant_roles.exists():
        _refuse(request, "no-role", account=account)
    if not account.is_active:
        _refuse(request, "switched-off", account=account)
    login.user = account


def _account_by_address(request: HttpRequest, login: SocialLogin, email: str, name: str) -> User | None:
    """The account with that address, where the provider vouches that it is theirs; none where nobody has it."""
    found = accounts_with(email)
    if not found:
        return None
    if len(found) > 1 or not is_verified(login.claims):
        _refuse(request, "unverified", account=found[0], name=name)
    if is_taken_by_address(found[0], login.account.provider):
        _refuse(request, "not-by-address", account=found[0], name=name)
    connect_sign_in(
        Actor(found[0].get_username(), Channel.SCREEN),
        found[0],
        login.account.provider,
        login.account.uid,
        sentence("The organization's sign-in vouches for the address."),
    )
    login.lookup()
    return found[0]


def _new_account(request: HttpRequest, login: SocialLogin, actor: Actor, email: str, name: str) -> User:
    if User.objects.filter(username__iexact=name).exists():
        _refuse(request, "name-taken", name=name)
    try:
        account = make_account(actor, name, email, str(login.claims.get("name") or ""))
    except ValidationError as error:
        _refuse(request, "malformed", name=name, detail=" ".join(error.messages))
    connect_sign_in(actor, account, login.account.provider, login.account.uid, sentence("The account was made for it."))
    login.lookup()
    return account


def _connect(request: HttpRequest, login: SocialLogin) -> None:
    """Connect it with the account that is signed in, whose owner has just shown the password or a second factor."""
    user = request.user
    if not isinstance(user, User) or str(user.pk) != str(login.state.get("data") or ""):
        _refuse(request, "not-signed-in", name=name_for(login.claims))
    if login.is_existing and login.user != user:
        _refuse(request, "other-account", account=user)
    if not login.is_existing:
        actor = Actor(user.get_username(), Channel.SCREEN)
        connect_sign_in(
            actor, user, login.account.provider, login.account.uid, sentence("They asked for it, signed in.")
        )
    messages.success(request, _("You can sign in through %(provider)s now.") % {"provider": settings.MMS_OIDC_NAME})
    raise ImmediateHttpResponse(HttpResponseRedirect(reverse("mfa_index")))


def _refuse(request: HttpRequest, reason: str, **about: Any) -> NoReturn:
    raise ImmediateHttpResponse(refused(request, reason, **about))
