"""What the organizers among a wave's members are told: before it, with its date, and after it, what changed (R82)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q, Sum

from migrations_app.models import Notice, NoticeKind, NoticeRound, Run, Wave, WaveMember
from migrations_app.preview.plans import DeploymentMove
from migrations_app.procedures import notices
from migrations_app.rewriting.labels import language_of
from migrations_app.rollouts.mapping import mapping_of
from migrations_app.runs.queue import wake_cluster
from migrations_app.targets import UNDO
from tenants_app.bulk import insert
from tenants_app.models import ConferencingUser

PIECE = 500
"""Members in one step."""
ROUND_KIND = "changed"
"""As ``NoticeRound.preview_kind``: it tells of what was done."""

_NAMESPACE = uuid.UUID("7f1c3a52-6a3e-5a8e-9c1d-1b1f9d6b2f10")


@dataclass(frozen=True, slots=True)
class Told:
    """How many organizers were told, and of how many it is known that they are to be."""

    sent: int
    planned: int
    failed: int


def reference_of(wave: Wave, kind: NoticeKind) -> uuid.UUID:
    """Of the round of notices about the wave: the same each time, so that nobody is told twice."""
    return uuid.uuid5(_NAMESPACE, f"{wave.pk} {kind} {wave.started_at.isoformat() if wave.started_at else ''}")


def tell_before(wave: Wave, begins_at: datetime) -> None:
    """Have organizers told when the wave begins whose meetings its move would change; in the caller's transaction.

    Who is told is counted in the background (R37), and not told any more once the wave has begun.
    """
    rollout = wave.rollout
    move = DeploymentMove.of(rollout.tenant, rollout.new, mapping_of(rollout), users=(), wave=wave.pk)
    terms = {name: value for name, value in move.terms.items() if name != "users"}
    members = wave.members.filter(state=WaveMember.State.WAITING)
    users = ConferencingUser.objects.filter(pk__in=members.values("user"))
    reference = reference_of(wave, NoticeKind.ADVANCE)
    notices.announce(rollout.tenant, users, move.kind, terms, begins_at, wave.started_by, reference=reference)


def tell_after(wave: Wave, now: datetime) -> bool:
    """Queue one mail for some more of the members whose meetings were changed; whether these were the last.

    In the caller's transaction, which saves the wave: its cursor says who was looked at.
    """
    found = wave.members.filter(pk__gt=wave.cursor, state=WaveMember.State.DONE, moved_at__isnull=False)
    some = list(found.select_related("user").order_by("pk")[:PIECE])
    changed = _changed(wave, some)
    if changed:
        round_, _ = NoticeRound.objects.get_or_create(
            reference=reference_of(wave, NoticeKind.CHANGED),
            tenant=wave.rollout.tenant,
            defaults={"preview_kind": ROUND_KIND, "begins_at": now, "requested_by": wave.started_by},
        )
        insert(
            [
                Notice(
                    round=round_,
                    tenant_id=round_.tenant_id,
                    user_id=member.user_id,
                    kind=NoticeKind.CHANGED,
                    state=Notice.State.QUEUED,
                    meetings=changed[member.user_id],
                    begins_at=member.moved_at,
                    language=language_of(member.user.language),
                    queued_at=now,
                    due_at=now,
                )
                for member in some
                if changed.get(member.user_id)
            ],
            unless_there=True,
        )
        wake_cluster()
    if some:
        wave.cursor = some[-1].pk
    return len(some) < PIECE


def _changed(wave: Wave, members: list[WaveMember]) -> Mapping[int, int]:
    """How many meetings the runs of each of these members (users, by key) have changed since the wave was started."""
    runs = Run.objects.filter(
        user__in=[member.user_id for member in members], finished_at__gte=wave.started_at, succeeded_meetings__gt=0
    ).exclude(migration_type=UNDO)
    sums = runs.order_by().values("user_id").annotate(meetings=Sum("succeeded_meetings"))
    return {row["user_id"]: row["meetings"] for row in sums}


def told(wave: Wave) -> Mapping[str, Told]:
    """How many organizers were told before and after the wave, by the kind of notice; one question."""
    kinds = (NoticeKind.ADVANCE, NoticeKind.CHANGED)
    references = {reference_of(wave, kind): kind.value for kind in kinds}
    rows = (
        NoticeRound.objects.filter(reference__in=references, tenant=wave.rollout.tenant_id)
        .order_by()
        .values_list("reference")
        .annotate(
            sent=Count("notices", filter=Q(notices__state=Notice.State.SENT)),
            planned=Count("notices", filter=~Q(notices__state__in=[Notice.State.SUPERSEDED, Notice.COUNTING])),
            failed=Count("notices", filter=Q(notices__state=Notice.State.FAILED)),
        )
    )
    return {references[reference]: Told(sent, planned, failed) for reference, sent, planned, failed in rows}
