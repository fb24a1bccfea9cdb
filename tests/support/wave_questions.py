"""What the campaign that kills while a wave moves asks an installation about itself."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from migrations_app.demo.meetings import Attendee
from migrations_app.models import Rollout, RolloutCheck, Run, Wave, WaveMember
from migrations_app.rollouts import steering
from tenants_app.changes.bridges import register_number, set_bridge
from tenants_app.changes.tenants import create_tenant
from tenants_app.changes.users import create_users
from tenants_app.models import AuditEntry, Deployment, Tenant
from tests.support.meetings import calendar_of, invite, logical_lines, messages_in
from tests.support.questions import ACTOR
from tests.support.rollouts import a_deployment, a_rollout, a_wave, belong_to, members


@transaction.atomic
def begin_wave(*, users: int, meetings: int) -> None:
    """Start a wave of new users, each with meetings whose number the move exchanges. Every second wave has accounts
    that a program moves."""
    tenant = Tenant.objects.filter(slug="contoso").first() or create_tenant(
        ACTOR, slug="contoso", name="Contoso", domain="contoso.com", meeting_url="https://meet.contoso.com"
    )
    old, new = (set_bridge(tenant, name, ACTOR, make_default=name == "one") for name in ("one", "two"))
    if not old.numbers.exists():
        register_number(old, "+14255550100", "toll", ACTOR, country="United States", city="Redmond")
        register_number(new, "+442079460123", "toll", ACTOR, country="United Kingdom")
    number = Rollout.objects.count()
    mover = {"mover": "command", "mover_command": "move"} if number % 2 == 0 else {}
    legacy = a_deployment(tenant, name=f"Pool {number}")
    target = a_deployment(tenant, "new", name=f"Service {number}", **mover)
    phone = {"audio_conferencing_license": True, "audio_conferencing_enabled": True, "bridge": old}
    there = tenant.users.count()
    everyone = create_users(tenant, [{"upn": f"user{there + n}@contoso.com", **phone} for n in range(users)], ACTOR)
    belong_to(legacy, everyone)
    for user in everyone:
        for each in range(meetings):
            invite(user, each, attendees=(Attendee(f"guest{each}@example.org", "Guest"),))
    rollout = a_rollout(tenant, legacy, target, name=f"Rollout {number}")
    Rollout.objects.filter(pk=rollout.pk).update(default_bridge=new)
    RolloutCheck.objects.filter(rollout=rollout).delete()
    wave = a_wave(rollout, batches=[1, 3, 4], observe_days=1)
    members(wave, everyone)
    steering.start(wave, ACTOR)


def is_moving() -> bool:
    """Whether some wave has members who are still to move, or under way."""
    return Wave.objects.filter(state__in=Wave.MOVES).exists()


def expire_claims() -> None:
    """Let the time pass after which a program is called again that a killed worker had called."""
    past = timezone.now() - timedelta(hours=1)
    WaveMember.objects.filter(state=WaveMember.State.MOVING).update(asked_at=past)
    Wave.objects.filter(next_look_at__isnull=False).update(next_look_at=past)


def wave_moved(outbox: str, called: str) -> dict[str, Any]:
    """What became of members, runs and attendees."""
    told = Counter(
        next(line for line in logical_lines(calendar_of(message)) if line.startswith("UID:"))
        for message in messages_in(Path(outbox))
    )
    moves = Counter(
        entry.target for entry in AuditEntry.objects.filter(action="change user") if "deployment" in entry.after
    )
    runs = Counter(Run.objects.values_list("user__upn", flat=True))
    by_program = WaveMember.objects.filter(wave__rollout__new__mover=Deployment.Mover.COMMAND)
    file = Path(called)
    calls = Counter(file.read_text().split()) if file.exists() else Counter()
    return {
        "members": WaveMember.objects.count(),
        "states": Counter(WaveMember.objects.values_list("state", flat=True)),
        "waves": Counter(Wave.objects.exclude(started_at=None).values_list("state", flat=True)),
        "moved_once": sum(count == 1 for count in moves.values()),
        "one_run": sum(count == 1 for count in runs.values()),
        "messages": told.total(),
        "told_once": sum(count == 1 for count in told.values()),
        "by_program": by_program.count(),
        "called": len(calls),
        "called_again": sum(count > 1 for count in calls.values()),
    }
