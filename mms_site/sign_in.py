"""How often a password may be guessed, without letting anybody lock an administrator out.

django-axes counts wrong passwords by name, address and browser; here stand the limits that it is given, the address
that counts behind a proxy, and the browsers that an administrator has signed in with before. Those are judged by their
own wrong passwords alone, so that guesses from elsewhere do not keep their owner out (OWASP: Slow Down Online Guessing
Attacks with Device Cookies).
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from typing import Any, cast

from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_client_username
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponseBase

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DEVICE_COOKIE = "mms_device"
DEVICE_AGE = 180 * 86_400
"""For how many seconds after a sign-in a browser is known."""
NAMES_OF_A_DEVICE = 5
"""How many people may share a browser that is known for each of them."""


class SignInTries(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Counts wrong passwords against a limit for each of ``AXES_LOCKOUT_PARAMETERS``; axes itself knows one for all."""

    def filter_user_attempts(
        self, request: HttpRequest, credentials: dict[str, Any] | None = None
    ) -> list[QuerySet[AccessAttempt]]:
        """The wrong passwords that count: those of the device where it is known, otherwise those of each scope."""
        name = get_client_username(request, credentials)
        if device := known_device(request, name):
            return [AccessAttempt.objects.filter(username=name, user_agent=device)]
        return cast(list[QuerySet[AccessAttempt]], super().filter_user_attempts(request, credentials))

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """How near the nearest limit is, as a number out of ``AXES_FAILURE_LIMIT``, which axes compares it with."""
        limits = settings.MMS_SIGN_IN_LIMITS  # a known device has one scope only, and so the first limit
        shares = []
        for attempts, limit in zip(self.get_user_attempts(request, credentials), limits, strict=False):
            failures = attempts.aggregate(count=Sum("failures_since_start"))["count"] or 0
            shares.append(failures * settings.AXES_FAILURE_LIMIT // limit)
        return max(shares)

    def user_login_failed(self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any) -> None:
        """Record a wrong password; that of a known device under its own mark in place of the browser's name."""
        if request is not None:
            device = known_device(request, get_client_username(request, credentials))
            request.axes_user_agent = device or request.axes_user_agent.replace("\0", "")
        super().user_login_failed(sender, credentials, request, **kwargs)

    def user_logged_in(self, sender: Any, request: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
        """Note the sign-in, and that the browser is to be known from now on."""
        super().user_logged_in(sender, request, user, **kwargs)
        request.signed_in_as = user.get_username()

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Forget the wrong passwords of this name from here, and no others.

        Otherwise who has an account could guess at those of others without end, signing in between.
        """
        attempts = self.filter_user_attempts(request, credentials)[0]
        count, _ = attempts.delete()
        return count


def client_address(request: HttpRequest) -> str:
    """The address that tries are counted for (``AXES_CLIENT_IP_CALLABLE``).

    It is that of whoever is connected; where that is a proxy in ``MMS_TRUSTED_PROXIES``, the last address of
    X-Forwarded-For that is none. A client can write there what it likes, but only before what the proxies add. Of an
    IPv6 address the first 64 bits count: the rest is for its owner to choose. A Unix socket counts as 127.0.0.1.
    """
    address = _address(request.META.get("REMOTE_ADDR", "")) or ipaddress.ip_address("127.0.0.1")
    hops = request.headers.get("X-Forwarded-For", "").split(",")
    while hops and any(address in network for network in settings.MMS_TRUSTED_PROXIES):
        hop = _address(hops.pop())
        if hop is None:
            break
        address = hop
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def _address(text: str) -> Address | None:
    """An address as proxies write it, with or without a port; an IPv4 address in IPv6 notation is one of IPv4."""
    text = text.strip()
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def known_device(request: HttpRequest, name: str | None) -> str:
    """The mark of the browser that has signed in with this name before; empty where it has not."""
    device, names = _device_of(request)
    return f"device {device}" if name in names else ""


def _device_of(request: HttpRequest) -> tuple[str, list[str]]:
    """The browser's own random word and the names that have signed in with it; none where its cookie is not ours."""
    try:
        device, names = signing.loads(request.COOKIES.get(DEVICE_COOKIE, ""), salt=DEVICE_COOKIE, max_age=DEVICE_AGE)
    except signing.BadSignature:
        return "", []
    return device, names


class KnownDevices:
    """Lets a browser that somebody has signed in with carry a signed cookie that says so, for ``DEVICE_AGE``."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        name = getattr(request, "signed_in_as", None)
        if name is not None:
            device, names = _device_of(request)
            names = [name, *(other for other in names if other != name)][:NAMES_OF_A_DEVICE]
            response.set_cookie(
                DEVICE_COOKIE,
                signing.dumps((device or secrets.token_urlsafe(16), names), salt=DEVICE_COOKIE),
                max_age=DEVICE_AGE,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response
