"""The requests that views answer."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails


class Request(HttpRequest):
    """A request of somebody signed in, as the middleware hands it to a view. Only a type: nothing makes one of it."""

    htmx: HtmxDetails
    user: User
