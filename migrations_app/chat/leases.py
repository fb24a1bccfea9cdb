"""Whose a plan or a room is: at most one worker's, by a token and a lease that it renews while it is at work.

What a worker writes down, it writes only while the row still bears its token; who fell silent loses the row when the
lease is over. A write to a target is begun only with the whole lease left, and while the target takes its time, the
lease is renewed beside it (:func:`kept_meanwhile`): it ends only where the process does.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Q

from migrations_app.models import ChatPlan, ChatRoom, ChatTarget
from migrations_app.monitoring import clock

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=1)
"""After so long somebody else may go on with what a worker has left behind."""
RENEWED_EVERY = LEASE.total_seconds() / 4


class LeaseLost(Exception):
    """Another worker has it by now, or the import does not go on: whatever is not committed must not be."""


def is_free(now: datetime) -> Q:
    """Rows that no worker holds now."""
    return Q(lease_until=None) | clock.lease_is_over(now, LEASE)


def may_begin(now: datetime) -> Q:
    """Rows that no worker holds, and that need not wait for a time to come."""
    return is_free(now) & (Q(retry_at=None) | Q(retry_at__lte=now))


def claim_plan(plan: ChatPlan, state: ChatPlan.State, *, waits: bool = True) -> bool:
    """Take the plan, in that state, where it is free, and unless it ``waits`` for a time to come. Its row in hand has
    the token then."""
    now = clock.now()
    token = uuid.uuid4()
    free = ChatPlan.objects.filter(may_begin(now) if waits else is_free(now), pk=plan.pk, state=state)
    if not free.update(lease_token=token, lease_until=now + LEASE):
        return False
    plan.refresh_from_db()
    return plan.lease_token == token


def keep_plan(plan: ChatPlan, **changes: Any) -> None:
    """Renew the lease and set ``changes``. Raises :class:`LeaseLost` also where the plan has another state by now."""
    mine = ChatPlan.objects.filter(pk=plan.pk, lease_token=plan.lease_token, state=plan.state)
    if not mine.update(lease_until=clock.now() + LEASE, **changes):
        raise LeaseLost(f"plan {plan.pk}")
    for name, value in changes.items():
        setattr(plan, name, value)


def leave_plan(plan: ChatPlan, **changes: Any) -> bool:
    """Give the plan back with ``changes``. Whether it was still this worker's, in the state that it had."""
    mine = ChatPlan.objects.filter(pk=plan.pk, lease_token=plan.lease_token, state=plan.state)
    return bool(mine.update(lease_token=None, lease_until=None, **changes))


def waiting_room(plan: ChatPlan, now: datetime) -> ChatRoom | None:
    """The first room of the plan that nobody holds, where its target takes another now; None where there is none."""
    goes_on = Q(plan__retry_at=None) | Q(plan__retry_at__lte=now), Q(plan__state=ChatPlan.State.IMPORTING)
    waiting = plan.rooms.filter(may_begin(now), *goes_on, state__in=ChatRoom.UNDER_WAY)
    room = waiting.order_by("position").first()
    if room is not None and plan.rooms_at_once is not None:
        held = ChatRoom.objects.filter(plan__target=plan.target_id, lease_until__isnull=False).exclude(is_free(now))
        if held.count() >= plan.rooms_at_once:
            return None
    return room


def claim_room(plan: ChatPlan) -> ChatRoom | None:
    """Take the first room of the plan that waits, where its target takes another one now; None where there is none.

    Whoever claims waits for the row of the target: two that counted at the same time would both go on.
    """
    if waiting_room(plan, clock.now()) is None:  # without any lock, as long as there is nothing to do
        return None
    with transaction.atomic():
        ChatTarget.objects.select_for_update(no_key=True).get(pk=plan.target_id)
        now = clock.now()
        room = waiting_room(plan, now)
        if room is None:
            return None
        room.lease_token, room.lease_until, room.state = uuid.uuid4(), now + LEASE, ChatRoom.State.WRITING
        room.started_at, room.retry_at = room.started_at or now, None
        room.plan = plan
        room.save(update_fields=["lease_token", "lease_until", "state", "started_at", "retry_at"])
        return room


def keep_room(room: ChatRoom, **changes: Any) -> None:
    """Renew the lease and set ``changes``. Raises :class:`LeaseLost` where another worker has it, or its plan was
    paused or stopped meanwhile."""
    mine = ChatRoom.objects.filter(
        pk=room.pk, lease_token=room.lease_token, plan__in=ChatPlan.objects.filter(state=ChatPlan.State.IMPORTING)
    )
    if not mine.update(lease_until=clock.now() + LEASE, **changes):
        raise LeaseLost(f"room {room.pk}")
    for name, value in changes.items():
        setattr(room, name, value)


def leave_room(room: ChatRoom, state: ChatRoom.State, **changes: Any) -> bool:
    """Give the room back in that state, with ``changes``. Whether it was still this worker's."""
    mine = ChatRoom.objects.filter(pk=room.pk, lease_token=room.lease_token)
    changed = mine.update(lease_token=None, lease_until=None, state=state, **changes)
    for name, value in changes.items():
        setattr(room, name, value)
    room.state = state
    return bool(changed)


@contextmanager
def kept_meanwhile(row: ChatPlan | ChatRoom) -> Iterator[None]:
    """Renew the lease on the row while something takes long that cannot be interrupted, such as a large file."""
    over = threading.Event()
    mine = type(row)._default_manager.filter(pk=row.pk, lease_token=row.lease_token)

    def renew() -> None:
        while not over.wait(RENEWED_EVERY):
            try:
                mine.update(lease_until=clock.now() + LEASE)
            except Error as error:  # it has some time left, and is renewed the next time
                log.warning("a lease was not renewed: %s", type(error).__name__)
            finally:
                connection.close()

    beside = threading.Thread(target=renew, name="lease", daemon=True)
    beside.start()
    try:
        yield
    finally:
        over.set()
        beside.join()
