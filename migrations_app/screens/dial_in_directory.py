"""The dial-in directory at its two public addresses, in the form that Jitsi Meet and its SIP gateways ask for (R46).

The form is that of ``resources/cloud-api.swagger`` in Jitsi Meet. Whatever is asked, the answer of the mapper is an
object with ``message``, ``id`` and ``conference``; the last two are false where there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from urllib.parse import urlsplit

from axes.helpers import get_client_ip_address
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import TooManyFieldsSent
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.csrf import csrf_exempt

from migrations_app.dial_in_directory.lookup import Answer, by_id, by_name
from migrations_app.dial_in_directory.numbers import phone_numbers
from migrations_app.dial_in_directory.throttle import SECONDS, Throttle
from migrations_app.failures import Failure
from tenants_app.directory_keys import is_key
from tenants_app.models import Tenant

METHODS = "GET, HEAD, OPTIONS"
FOR_A_MINUTE = "public, max-age=60"
EACH_TIME_ANEW = "private, no-cache"
"""What a conference ID leads to changes by the minute, and is for who has the key."""
NOT_AT_ALL = "no-store"

View = Callable[[HttpRequest, str], HttpResponse]
ForTenant = Callable[[HttpRequest, Tenant], HttpResponse]


class Refused(Exception):
    """A request that gets no answer from the directory: its status and why, in a sentence."""

    def __init__(self, status: int, sentence: str, **headers: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def open_to_all(answer: ForTenant) -> View:
    """An address of the directory: 404 unless the tenant has switched it on, with what all such answers share."""

    @csrf_exempt
    @login_not_required
    @wraps(answer)
    def view(request: HttpRequest, slug: str) -> HttpResponse:
        if request.method not in METHODS.split(", "):
            return _refusal(Refused(405, f"Only {METHODS} are answered here.", Allow=METHODS))
        tenant = Tenant.objects.filter(slug=slug, dial_in_directory=True).first()
        if tenant is None:
            raise Http404
        if request.method == "OPTIONS":
            response = HttpResponse(status=204, headers={"Allow": METHODS, "Cache-Control": FOR_A_MINUTE})
        else:
            try:
                response = answer(request, tenant)
            except Refused as refused:
                response = _refusal(refused)
        return _for_the_meeting_host(response, request, tenant)

    return cast(View, view)


@open_to_all
def phone_number_list(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The tenant's dial-in numbers, an array; what else Jitsi sends along, such as the room, changes nothing."""
    _let_in(_throttle(request, tenant))
    return _cached(request, phone_numbers(tenant), FOR_A_MINUTE)


@open_to_all
def conference_mapper(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The conference ID of ``conference``, a room; or the room that ``id`` leads to, for who has the directory key.

    Where both are given, the room counts, as in Jitsi's own mapper.
    """
    given = _given(request)
    key = _key(request, given)
    has_key = key != "" and is_key(key, tenant.directory_key_hash)
    throttle = _throttle(request, tenant, has_key=has_key)
    _let_in(throttle)
    if conference := given["conference"]:
        found, cached = by_name(tenant, conference), FOR_A_MINUTE
    elif not given["id"]:
        raise Refused(400, "Ask for conference=ROOM, or for id=CONFERENCE-ID with the directory key.")
    elif not has_key:
        throttle.count_miss()
        raise Refused(
            401,
            "By conference ID only who has the directory key is told: send it as Authorization: Bearer.",
            WWW_Authenticate='Bearer realm="dial-in directory"',
        )
    else:
        found, cached = _led_to(tenant, given), EACH_TIME_ANEW
    if found.room is None:
        throttle.count_miss()
    return _cached(request, _as_json(found), cached)


def _led_to(tenant: Tenant, given: dict[str, str]) -> Answer:
    number = "".join(filter(str.isdigit, given["number"][:40]))
    try:
        return by_id(tenant, given["id"], f"+{number}" if number else "", timezone.now())
    except Failure as failure:
        raise Refused(503, "The organizer's calendar does not answer now: try again.", Retry_After="60") from failure


def _given(request: HttpRequest) -> dict[str, str]:
    """What the directory is asked. Raises ``Refused`` where it is asked more than one thing."""
    names = ("conference", "id", "number", "key")
    try:
        values = {name: request.GET.getlist(name) for name in names}
    except TooManyFieldsSent as error:
        raise Refused(400, "Ask for one meeting at a time.") from error
    if any(len(each) > 1 for each in values.values()):
        raise Refused(400, "Ask for one meeting at a time.")
    return {name: each[0].strip() if each else "" for name, each in values.items()}


def _key(request: HttpRequest, given: dict[str, str]) -> str:
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else given["key"]


def _throttle(request: HttpRequest, tenant: Tenant, *, has_key: bool = False) -> Throttle:
    return Throttle(tenant, get_client_ip_address(request) or "", has_key=has_key)


def _let_in(throttle: Throttle) -> None:
    if not throttle.lets_in():
        raise Refused(429, "Too many requests: try again in a minute.", Retry_After=str(SECONDS))


def _as_json(answer: Answer) -> dict[str, Any]:
    return {
        "message": answer.message,
        "id": int(answer.digits) if answer.digits else False,
        "conference": str(answer.room) if answer.room else False,
    }


def _refusal(refused: Refused) -> HttpResponse:
    body = {"message": refused.sentence, "id": False, "conference": False}
    return JsonResponse(body, status=refused.status, headers={"Cache-Control": NOT_AT_ALL, **refused.headers})


def _cached(request: HttpRequest, content: Any, how: str) -> HttpResponse:
    """The answer, or 304 for who has it already."""
    response = JsonResponse(content, safe=False, headers={"Cache-Control": how})
    etag = f'"{hashlib.blake2b(response.content, digest_size=16).hexdigest()}"'
    response.headers["ETag"] = etag
    return cast(HttpResponse, get_conditional_response(request, etag=etag, response=response))


def _for_the_meeting_host(response: HttpResponse, request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Let pages of the servers read the answer that the tenant's meetings are on, and no other pages."""
    patch_vary_headers(response, ["Origin"])
    origin = request.headers.get("Origin", "")
    server = _server(origin)
    if server is not None and server in _servers(tenant):
        response.headers["Access-Control-Allow-Origin"] = origin
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = "GET, HEAD"
            response.headers["Access-Control-Max-Age"] = "600"
    return response


def _servers(tenant: Tenant) -> set[tuple[str, str, int] | None]:
    """Where the tenant's meetings are: at its own meeting URL, and at those of its deployments (R60)."""
    of_deployments = tenant.deployments.exclude(meeting_url="").values_list("meeting_url", flat=True)
    return {_server(address) for address in (tenant.meeting_url, *of_deployments)}


def _server(address: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a web address; None of what is none."""
    try:
        parts = urlsplit(address)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname and port else None
