"""Probing within what this installation allows: the settings of its operator, and its secrets, which are not shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings

from migrations_app.rollouts.probes.answers import Answer
from migrations_app.rollouts.probes.bounds import Bounds
from migrations_app.rollouts.probes.kinds import KINDS


def measure(
    kind: str,
    parameters: Mapping[str, Any],
    *,
    hosts: Collection[str],
    seconds: float,
    placeholders: Mapping[str, str] | None = None,
) -> Answer:
    """What a probe of this kind finds now. ``hosts`` are those that the deployments of the check list (R60),
    ``placeholders`` what ``{deployment}``, ``{host}`` and ``{upn}`` stand for.

    Raises ``Unusable`` for parameters that the kind refuses, and nothing for what the outside does.
    """
    bounds = Bounds(
        hosts=hosts,
        seconds=seconds,
        private_hosts=settings.MMS_ALLOWED_CHECK_HOSTS,
        programs=settings.MMS_CHECK_COMMANDS,
        placeholders=placeholders or {},
        secrets=own_secrets(),
    )
    return KINDS[kind].measure(parameters, bounds)


def own_secrets() -> frozenset[str]:
    """The secrets of this installation, none of which may show in what a program prints."""
    named = [
        settings.SECRET_KEY,
        *settings.MMS_SECRETS_KEYS,
        settings.MMS_METRICS_KEY,
        settings.EMAIL_HOST_PASSWORD,
        str(settings.DATABASES["default"].get("PASSWORD") or ""),
        *(app["secret"] for app in settings.SOCIALACCOUNT_PROVIDERS["openid_connect"].get("APPS", ())),
    ]
    return frozenset(filter(None, named))
