"""Where somebody is signed in: noted at the sign-in, and from time to time while the session is used."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence

from allauth.usersessions.models import UserSession
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from mms_site.sign_in import client_address
from tenants_app.screens.fragments import SHOWN

NOTED_AT = "used_noted_at"
"""Of a session: when its use was last written down, in seconds."""
EVERY_SECONDS = 300

BROWSERS = (
    ("Edge", r"\bEdg(?:e|A|iOS)?/"),
    ("Opera", r"\bOPR/"),
    ("Samsung Internet", r"\bSamsungBrowser/"),
    ("Firefox", r"\b(?:Firefox|FxiOS)/"),
    ("Chrome", r"\b(?:Chrome|CriOS|Chromium)/"),
    ("Safari", r"\bVersion/\S+ .*Safari/"),
)
"""Names, and by what the first that fits is known: most call themselves by the names of those below them too."""
SYSTEMS = (
    ("Windows", r"Windows"),
    ("iPhone", r"\biPhone\b"),
    ("iPad", r"\biPad\b"),
    ("Android", r"\bAndroid\b"),
    ("ChromeOS", r"\bCrOS\b"),
    ("macOS", r"\bMac(?:intosh| OS X)\b"),
    ("Linux", r"\bLinux\b"),
)


class SessionsUsed:
    """Notes that a session is used: at most once in ``EVERY_SECONDS``, and not for pages that ask by themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        session = request.session
        if not session.accessed or SHOWN in request.headers or SESSION_KEY not in session:
            return response
        noted_at = session.get(NOTED_AT)  # none where it was not begun by a sign-in that was noted
        if noted_at is not None and not 0 <= time.time() - noted_at < EVERY_SECONDS:
            note_use(request)
        return response


def note_use(request: HttpRequest) -> None:
    """Write down that the session is used now, from where and with what."""
    request.session[NOTED_AT] = int(time.time())
    UserSession.objects.filter(session_key=request.session.session_key).update(
        last_seen_at=timezone.now(), ip=client_address(request), user_agent=request.headers.get("User-Agent", "")[:200]
    )


def keep_current(request: HttpRequest, key_before: str | None) -> None:
    """The session of the request has a new key: it is the same one for its owner."""
    UserSession.objects.filter(session_key=key_before).update(session_key=request.session.session_key)


def of_account(request: HttpRequest, account: User) -> Sequence[UserSession]:
    """The sessions of the account that have not ended; the one of this request first, then who was used last."""
    here = request.session.session_key
    found = UserSession.objects.purge_and_list(account)
    return sorted(found, key=lambda each: (each.session_key != here, -each.last_seen_at.timestamp()))


def in_words(user_agent: str) -> str:
    """Browser and system as people call them, such as “Firefox on Windows”."""
    browser, system = _first(BROWSERS, user_agent), _first(SYSTEMS, user_agent)
    if browser and system:
        return _("%(browser)s on %(system)s") % {"browser": browser, "system": system}
    return browser or system or _("Unknown browser")


def _first(known: Sequence[tuple[str, str]], user_agent: str) -> str:
    return next((name for name, sign in known if re.search(sign, user_agent)), "")
