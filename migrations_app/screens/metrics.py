"""``/metrics``: how the service stands, for Prometheus, behind a key."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from migrations_app.monitoring.metrics import Service
from tenants_app.directory_keys import hash_of, is_key

_PLAIN = "text/plain; charset=utf-8"


@never_cache
@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """All metrics; 404 where no key is set, 401 for who does not send it, 503 while the database does not answer."""
    if not settings.MMS_METRICS_KEY:
        raise Http404
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not is_key(key.strip(), hash_of(settings.MMS_METRICS_KEY)):
        sentence = "Send the key of MMS_METRICS_KEY as “Authorization: Bearer …”.\n"
        return HttpResponse(sentence, _PLAIN, 401, headers={"WWW-Authenticate": 'Bearer realm="MMS metrics"'})
    registry = CollectorRegistry(auto_describe=False)
    try:
        registry.register(Service())
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        told = encode(registry)
    except DatabaseError:
        return HttpResponse("The database does not answer.\n", _PLAIN, 503)
    return HttpResponse(told, content_type)
