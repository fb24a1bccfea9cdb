"""The timeline of a rollout: every entrance to it writes here what happened, in the transaction in which it does."""

from __future__ import annotations

from django.utils import timezone

from migrations_app.models import Rollout, RolloutEvent, Wave


def note(
    rollout: Rollout,
    kind: RolloutEvent.Kind,
    sentence: str,
    *,
    wave: Wave | None = None,
    by: str = "",
    reason: str = "",
) -> RolloutEvent:
    """Write down that something happened; ``by`` is empty where MMS did it by itself.

    What the rollout's people are told of (``RolloutEvent.TOLD``) is picked up from here once the transaction has ended.
    """
    now = timezone.now()
    return RolloutEvent.objects.create(
        rollout=rollout,
        wave=wave,
        kind=kind,
        at=now,
        by=by,
        sentence=sentence,
        reason=reason,
        told_at=None if kind in RolloutEvent.TOLD else now,
    )
