"""Microsoft Entra's token endpoint for client credentials (v2-oauth2-client-creds-grant-flow, error codes)."""

from __future__ import annotations

import base64
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from migrations_app.microsoft.clouds import CLOUDS
from tests.support.graph_stand_in.errors import Refusal, Reply
from tests.support.graph_stand_in.world import Application, World

_KEY = "signs the stand-in's tokens, which nobody else has to believe"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRAPHS = {cloud.graph for cloud in CLOUDS.values()}
LOGINS = {cloud.authority for cloud in CLOUDS.values()}


class SignInRefusal(Exception):
    """An error of the token endpoint: ``error`` of OAuth 2.0 with a code AADSTS."""

    def __init__(self, status: int, error: str, number: int, message: str) -> None:
        super().__init__(message)
        self.reply = Reply(
            status,
            {
                "error": error,
                "error_description": f"AADSTS{number}: {message} Trace ID: 0 Correlation ID: 0",
                "error_codes": [number],
                "timestamp": "2026-01-01 00:00:00Z",
                "trace_id": str(uuid.UUID(int=0)),
                "correlation_id": str(uuid.UUID(int=0)),
            },
        )


class Tokens:
    """Issues and checks access tokens. ``lifetime`` in seconds."""

    def __init__(self, world: World, origin: str) -> None:
        self.world = world
        self.origin = origin
        self.lifetime = 3599
        self.graph = CLOUDS["global"].graph
        """Whose tokens Graph takes, beside those for its own origin."""
        self.revoked_before: datetime | None = None
        self.issued = 0

    def configuration(self, tenant: str) -> Reply:
        """``/{tenant}/v2.0/.well-known/openid-configuration``. Endpoints are https, as msal demands."""
        try:
            self._known(tenant)
        except SignInRefusal as refusal:
            return refusal.reply
        base = f"https://{self.origin.split('//')[1]}/{self.world.tenant}"
        return Reply(
            200,
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "issuer": f"{base}/v2.0",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "msgraph_host": self.graph.split("//")[1],
            },
        )

    def token(self, tenant: str, form: dict[str, str]) -> Reply:
        """``POST /{tenant}/oauth2/v2.0/token``."""
        try:
            self._known(tenant)
            return self._token(form)
        except SignInRefusal as refusal:
            return refusal.reply

    def _known(self, tenant: str) -> None:
        if tenant.casefold() not in {self.world.tenant, *self.world.domains}:
            raise SignInRefusal(400, "invalid_request", 90002, f"Tenant '{tenant}' not found.")

    def _token(self, form: dict[str, str]) -> Reply:
        if form.get("grant_type") != "client_credentials":
            raise SignInRefusal(400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        application = self.world.applications.get(form.get("client_id", "").casefold())
        if application is None:
            message = f"Application with identifier '{form.get('client_id')}' was not found in the directory."
            raise SignInRefusal(400, "unauthorized_client", 700016, message)
        if "client_secret" in form:
            self._secret(application, form["client_secret"])
        elif form.get("client_assertion_type") == _ASSERTION:
            self._assertion(application, form.get("client_assertion", ""))
        else:
            message = "The request body must contain 'client_assertion' or 'client_secret'."
            raise SignInRefusal(401, "invalid_client", 7000218, message)
        scope = form.get("scope", "")
        resource = scope.removesuffix("/.default").rstrip("/")
        if not scope.endswith("/.default") or " " in scope:
            raise SignInRefusal(400, "invalid_scope", 1002012, f"The provided value for scope {scope} is not valid.")
        if resource not in GRAPHS | {self.origin}:
            message = f"The resource principal named {resource} was not found in the tenant."
            raise SignInRefusal(400, "invalid_resource", 500011, message)
        self.issued += 1
        answer = {"token_type": "Bearer", "expires_in": self.lifetime, "ext_expires_in": self.lifetime}
        return Reply(200, {**answer, "access_token": self.issue(application, resource)})

    def issue(self, application: Application, resource: str) -> str:
        """An access token for this resource."""
        now = self.world.clock.now().timestamp()
        claims: dict[str, Any] = {
            "aud": resource,
            "appid": application.client_id,
            "roles": list(application.roles),
            "tid": self.world.tenant,
            "iss": f"https://sts.windows.net/{self.world.tenant}/",
            "iat": now,
            "exp": now + self.lifetime,
        }
        return jwt.encode(claims, _KEY, algorithm="HS256")

    def _secret(self, application: Application, secret: str) -> None:
        if secret not in application.secrets:
            message = "Invalid client secret provided. Ensure the secret being sent is the client secret value."
            raise SignInRefusal(401, "invalid_client", 7000215, message)
        until = application.secrets[secret]
        if until is not None and until <= self.world.clock.now():
            message = f"The provided client secret keys for app '{application.client_id}' are expired."
            raise SignInRefusal(401, "invalid_client", 7000222, message)

    def _assertion(self, application: Application, assertion: str) -> None:
        """A JWT signed with a certificate of the application (certificate-credentials)."""
        try:
            head = jwt.get_unverified_header(assertion)
            certificate = next(
                (
                    found
                    for der in application.certificates
                    if _thumbprint(found := x509.load_der_x509_certificate(der), head)
                ),
                None,
            )
            if certificate is None:
                raise SignInRefusal(401, "invalid_client", 700027, "The key was not found: thumbprint not registered.")
            claims = jwt.decode(
                assertion,
                certificate.public_key(),  # type: ignore[arg-type]
                algorithms=["RS256", "PS256"],
                options={
                    "verify_exp": False,
                    "verify_aud": False,
                    "verify_nbf": False,
                    "require": ["exp", "jti", "sub"],
                },
            )
        except jwt.InvalidSignatureError as bad:
            message = "The certificate used to sign the client assertion does not match its signature."
            raise SignInRefusal(401, "invalid_client", 700027, message) from bad
        except jwt.PyJWTError as bad:
            raise SignInRefusal(401, "invalid_client", 50027, f"JWT token is invalid or malformed: {bad}.") from bad
        if not certificate.not_valid_before_utc <= self.world.clock.now() < certificate.not_valid_after_utc:
            message = "The provided certificate is not within its specified validity period."
            raise SignInRefusal(401, "invalid_client", 1000502, message)
        if claims["exp"] <= time.time():
            raise SignInRefusal(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")
        own = f"https://{self.origin.split('//')[1]}"
        if not str(claims.get("aud", "")).startswith((self.origin + "/", own + "/", *(f"{at}/" for at in LOGINS))):
            raise SignInRefusal(401, "invalid_client", 700023, "Client assertion audience claim does not match.")
        if not application.client_id == claims.get("iss") == claims.get("sub"):
            raise SignInRefusal(401, "invalid_client", 700021, "Client assertion issuer or subject is not the app.")

    def who(self, header: str) -> Application:
        """Whose token a request brought. Raises 401 InvalidAuthenticationToken."""
        if not header.lower().startswith("bearer "):
            raise _unauthorized("Access token is empty.")
        try:
            claims = jwt.decode(header[7:].strip(), _KEY, algorithms=["HS256"], options=_UNCHECKED)
        except jwt.PyJWTError as bad:
            raise _unauthorized("CompactToken parsing failed with error code: 80049217") from bad
        if claims["aud"] not in (self.origin, self.graph):
            raise _unauthorized("Access token validation failure. Invalid audience.")
        if claims["exp"] <= self.world.clock.now().timestamp():
            raise _unauthorized("Lifetime validation failed, the token is expired.")
        if self.revoked_before and claims["iat"] < self.revoked_before.timestamp():
            raise _unauthorized("Continuous access evaluation resulted in challenge: the token was revoked.")
        application = self.world.applications.get(claims["appid"].casefold())
        if application is None or claims["tid"] != self.world.tenant:
            raise _unauthorized("Access token validation failure.")
        return application

    def revoke(self) -> None:
        """Take no token any more that was issued until now."""
        self.revoked_before = datetime.fromtimestamp(self.world.clock.now().timestamp() + 0.001, UTC)


_UNCHECKED: Any = {"verify_aud": False, "verify_exp": False, "verify_iat": False}


def _unauthorized(message: str) -> Refusal:
    return Refusal(
        401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": 'Bearer realm="", error="invalid_token"'}
    )


def _thumbprint(certificate: x509.Certificate, head: dict[str, Any]) -> bool:
    """Whether the assertion's header names this certificate (x5t#S256, or x5t of old)."""
    for name, digest in (("x5t#S256", hashes.SHA256()), ("x5t", hashes.SHA1())):  # noqa: S303 - as the protocol has it
        if name in head:
            told = base64.urlsafe_b64decode(str(head[name]) + "==")
            return told == certificate.fingerprint(digest)
    return False
