"""Telling a rollout's people what happened (R76, R92): each event that they are told of becomes one alert of theirs.

The alert, a delivery for each address and for the webhook, and the mark that the event is told, are one transaction; an
event has one alert, by a database constraint. So an event is told once to each, wherever a worker is killed. How it
gets there is what ``alerts/delivering.py`` does with all alerts. Quiet hours and pauses are for the tenant's
administrators: who runs a rollout is told at once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from migrations_app.alerts import grouping
from migrations_app.alerts.composing import Document, address, head
from migrations_app.models import Alert, Rollout, RolloutEvent, Wave
from migrations_app.monitoring import clock
from tenants_app.sentences import sentence

log = logging.getLogger(__name__)

IS_WAITED_FOR = False

Kind = RolloutEvent.Kind

TITLES: Mapping[str, str] = {
    Kind.GATE_CLOSED: sentence("a check has closed the gate"),
    Kind.GATE_OPENED: sentence("the gate was opened by hand"),
    Kind.STARTED: sentence("started"),
    Kind.STOPPED: sentence("stopped"),
    Kind.OFFERED: sentence("ready for acceptance"),
    Kind.ACCEPTED: sentence("accepted"),
    Kind.ROLLED_BACK: sentence("rolled back"),
    Kind.RETIRED: sentence("the legacy deployment is retired"),
}
"""What stands in the subject after the rollout and the wave; there is one for each of ``RolloutEvent.TOLD``."""


def advance(until: datetime) -> bool:
    """Queue what is to be told, event by event; the rest of the main loop delivers it. No run is due by it."""
    passed_over: list[int] = []  # of which somebody else has the row, or which cannot be told
    while timezone.now() < until and (pk := _untold().exclude(pk__in=passed_over).values_list("pk", flat=True).first()):
        try:
            tell(pk)
        except Exception:
            log.exception("event %s of a rollout could not be told", pk)
        passed_over.append(pk)
    return False


def is_due(now: datetime) -> bool:
    """Whether something is to be told."""
    return _untold().exists()


def settles_at() -> datetime | None:
    """None: it waits for no settling time."""
    return None


def _untold() -> QuerySet[RolloutEvent]:
    return RolloutEvent.objects.filter(told_at=None).order_by("at", "pk")


@transaction.atomic
def tell(pk: int) -> Alert | None:
    """Queue the messages about one event, unless that is done or being done. None where nobody is to be told."""
    found = _untold().filter(pk=pk).select_related("rollout__tenant", "rollout__legacy", "rollout__new", "wave")
    event = found.select_for_update(of=("self",), skip_locked=True).first()
    if event is None:
        return None
    now = clock.now()
    event.told_at = now
    event.save(update_fields=["told_at"])
    rollout = event.rollout
    if event.kind not in RolloutEvent.TOLD or not (rollout.addresses or rollout.has_webhook):
        return None
    alert = Alert.objects.create(
        tenant=rollout.tenant, created=now, rollout_event=event, content=document(event) | {"created": now.isoformat()}
    )
    grouping.deliver(alert, rollout, now)
    return alert


def document(event: RolloutEvent) -> Document:
    """What is told of it: what the webhook gets (docs/rollouts.md has its schema), and the mail is written from."""
    rollout, wave = event.rollout, event.wave
    return {
        **head(rollout.tenant),
        "title": _title(event),
        "sentence": event.sentence,
        "kind": event.kind,
        "at": event.at.isoformat(),
        "by": event.by,
        "reason": event.reason,
        "rollout": _rollout(rollout),
        "wave": None if wave is None else _wave(rollout, wave),
    }


def _title(event: RolloutEvent) -> str:
    title = TITLES[event.kind]
    if event.wave is None:
        return sentence("%(rollout)s: %(what)s", rollout=event.rollout.name, what=title)
    return sentence(
        "%(rollout)s, wave %(wave)s: %(what)s", rollout=event.rollout.name, wave=event.wave.name, what=title
    )


def _rollout(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.pk,
        "name": rollout.name,
        "legacy": rollout.legacy.name,
        "new": rollout.new.name,
        "url": address("rollout", rollout.tenant.slug, rollout.pk),
        "people_url": address("rollout-people", rollout.tenant.slug, rollout.pk),
    }


def _wave(rollout: Rollout, wave: Wave) -> dict[str, Any]:
    return {
        "number": wave.position,
        "name": wave.name,
        "state": wave.state,
        "url": address("wave", rollout.tenant.slug, rollout.pk, wave.position),
    }
