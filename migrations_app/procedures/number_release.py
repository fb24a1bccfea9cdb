"""Taking a service number off its bridge, in the only order that leaves no dead number in an invitation (R32 to R35).

A :class:`NumberRelease` goes from Waiting (it can be cancelled) through Moving (users get the number that takes its
place, and their runs are started) and Updating (their invitations change) to Released. Each step is a transaction of
its own that can be repeated, so the background service takes it up again wherever it was interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, ProtectedError, Q, QuerySet
from django.utils import timezone

from migrations_app.models import NumberRelease, Run
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor, Channel, entry
from tenants_app.changes.bridges import register_number, release_number, set_default_number, set_leaving
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.dependants import dependants
from tenants_app.models import ConferencingUser, ServiceNumber, Tenant

log = logging.getLogger(__name__)

BATCH = 500
"""Users who are moved in one transaction."""

IS_WAITED_FOR = False


def holders(release: NumberRelease) -> QuerySet[ConferencingUser]:
    """Users because of whom the number is not released yet: theirs by setting or invitation, or their run has not
    succeeded (R35)."""
    if release.number is None:
        return ConferencingUser.objects.none()
    since = release.began_at or release.created
    of_user = Run.objects.filter(user=OuterRef("pk"))
    unfinished = of_user.filter(is_latest=True, modified__gte=since).exclude(state=Run.State.SUCCEEDED)
    at_work = of_user.filter(state=Run.State.IN_PROGRESS)
    moved = release.users.filter(Exists(unfinished) | Exists(at_work))
    return ConferencingUser.objects.filter(
        Q(pk__in=dependants(release.number).values("pk")) | Q(pk__in=moved.values("pk"))
    )


# --- starting and stopping ----------------------------------------------------------------------------


@transaction.atomic
def start_release(
    number: ServiceNumber, replacement: ServiceNumber, actor: Actor, *, now_due: bool = False
) -> NumberRelease:
    """Begin to take the number off its bridge; ``replacement`` takes its place with everyone who has it (R33).

    Nothing moves before the tenant's settling time is over, so that it can still be cancelled. Raises
    ``ValidationError`` where the two do not fit.
    """
    check_not_default(number)
    return _start(number, replacement, actor, now_due=now_due)


@transaction.atomic
def start_replacement(number: ServiceNumber, e164: str, actor: Actor, *, now_due: bool = False) -> NumberRelease:
    """Replace the number for everyone who uses it, in one step, and release it in the end.

    The number ``e164`` is registered on the bridge where it is not there yet, of the same kind and place, and becomes
    the bridge's default where the other one is.
    """
    replacement = ServiceNumber.objects.filter(tenant=number.tenant_id, number=e164).first()
    if replacement is None:
        replacement = register_number(number.bridge, e164, number.kind, actor, country=number.country, city=number.city)
    return _start(number, replacement, actor, now_due=now_due)


@transaction.atomic
def cancel_release(release: NumberRelease, actor: Actor) -> bool:
    """Stop it before anybody was moved. Returns whether that was still possible."""
    release = NumberRelease.objects.select_for_update(of=("self",)).get(pk=release.pk)
    if release.state != NumberRelease.State.WAITING:
        return False
    if release.number:
        set_leaving(release.number, False)
    release.state, release.finished_at = NumberRelease.State.CANCELLED, timezone.now()
    release.save(update_fields=["state", "finished_at"])
    _audit(release, actor, "cancel taking number off")
    return True


@transaction.atomic
def begin_now(release: NumberRelease, actor: Actor) -> bool:
    """Begin without waiting for the settling time. Returns whether it was still waiting."""
    waiting = NumberRelease.objects.filter(pk=release.pk, state=NumberRelease.State.WAITING)
    if not waiting.update(due_at=timezone.now()):
        return False
    _audit(release, actor, "take number off now")
    wake_cluster()
    return True


def _start(number: ServiceNumber, replacement: ServiceNumber, actor: Actor, *, now_due: bool) -> NumberRelease:
    number = set_leaving(number, True)  # locks the tenant, so that no other change comes in between
    tenant = Tenant.objects.get(pk=number.tenant_id)
    replacement = ServiceNumber.objects.select_related("bridge").get(pk=replacement.pk)
    check_release(tenant, number, replacement)
    now = timezone.now()
    release = NumberRelease.objects.create(
        tenant=tenant,
        bridge=number.bridge,
        number=number,
        e164=number.number,
        replacement=replacement,
        replacement_e164=replacement.number,
        requested_by=actor.name,
        created=now,
        due_at=now if now_due else now + timedelta(seconds=tenant.settling_time),
    )
    _audit(release, actor, "take number off")
    if release.due_at <= now:
        wake_cluster()
    return release


def check_not_default(number: ServiceNumber) -> None:
    """Raise ``ValidationError`` for a default number, which can be replaced but not simply taken off."""
    if number.is_default:
        raise ValidationError(
            {
                "number": f"{number} is the default number of {number.bridge}: make another toll number the default "
                "first, or replace it in one step."
            }
        )


def check_release(tenant: Tenant, number: ServiceNumber, replacement: ServiceNumber | None) -> None:
    """Check that the number can be taken off now. Without ``replacement`` a new number is to take its place.

    Raises ``ValidationError`` with a sentence: about the tenant, the ``number`` or the ``replacement``.
    """
    if not tenant.meeting_migration_enabled:
        raise ValidationError(
            "The service is switched off for this tenant, so no invitation would change: "
            "switch MeetingMigrationEnabled on first."
        )
    if NumberRelease.objects.filter(number=number, state__in=NumberRelease.OPEN).exists():
        raise ValidationError({"number": f"{number} is being taken off already."})
    problem = ""
    if replacement is None:
        pass
    elif replacement == number:
        problem = f"{number} cannot replace itself: choose another number."
    elif replacement.bridge_id != number.bridge_id:
        problem = f"{replacement} is on the bridge {replacement.bridge}: choose a number of {number.bridge}."
    elif replacement.kind != number.kind:
        problem = f"{replacement} is a {replacement.kind} number: choose a {number.kind} one."
    elif replacement.is_leaving:
        problem = f"{replacement} is being taken off the bridge itself: choose another number."
    if problem:
        raise ValidationError({"replacement": problem})
    other = NumberRelease.objects.filter(replacement=number, state__in=NumberRelease.OPEN).first()
    if other:
        raise ValidationError(
            {"number": f"{number} is just taking the place of {other}: wait until {other} is released, or cancel that."}
        )


def _audit(release: NumberRelease, actor: Actor, action: str) -> None:
    names = {"bridge": release.bridge.name, "number": release.e164}, {"number": release.replacement_e164}
    entry(release.tenant, actor, action, release.e164, *names).save()


# --- going on by itself -------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Take every procedure as far as possible now. Returns whether that may have made runs due."""
    moved = False
    due = _of_tenants_switched_on().filter(state__in=NumberRelease.OPEN, due_at__lte=timezone.now())
    for pk in due.order_by("pk").values_list("pk", flat=True):
        try:
            while timezone.now() < until and _step(pk):
                moved = True
        except Exception:
            log.exception("taking a number off its bridge (procedure %s) could not go on; it is tried again", pk)
    return moved


def is_due(now: datetime) -> bool:
    """Whether users are to be moved at this moment."""
    moving = [NumberRelease.State.WAITING, NumberRelease.State.MOVING]
    return _of_tenants_switched_on().filter(state__in=moving, due_at__lte=now).exists()


def settles_at() -> datetime | None:
    """When the next one begins that can still be cancelled."""
    waiting = _of_tenants_switched_on().filter(state=NumberRelease.State.WAITING)
    return waiting.order_by("due_at").values_list("due_at", flat=True).first()


def _of_tenants_switched_on() -> QuerySet[NumberRelease]:
    """Those whose tenant is switched on; the others wait (R12)."""
    return NumberRelease.objects.filter(tenant__meeting_migration_enabled=True)


@transaction.atomic
def _step(pk: int) -> bool:
    """Take one step. Returns whether another may follow at once."""
    found = NumberRelease.objects.select_for_update(of=("self",), skip_locked=True).select_related(
        "tenant", "bridge", "number__bridge", "replacement"
    )
    release = found.filter(pk=pk, state__in=NumberRelease.OPEN).first()
    if release is None or release.number is None or release.replacement is None:
        return False
    actor = Actor(release.requested_by, Channel.SERVICE)
    if release.state == NumberRelease.State.UPDATING:
        return _finish(release, release.number, actor)
    if release.state == NumberRelease.State.WAITING:
        release.state, release.began_at = NumberRelease.State.MOVING, timezone.now()
        if release.number.is_default:
            set_default_number(release.replacement, actor, reschedule_meetings=False)
            release.number.is_default = False
    batch = list(dependants(release.number).filter(pk__gt=release.cursor).order_by("pk")[:BATCH])
    if batch:
        _move(release, release.number, batch, actor)
        release.cursor = batch[-1].pk
    else:
        release.state, release.moved_at = NumberRelease.State.UPDATING, timezone.now()
    release.save()
    return True


def _move(release: NumberRelease, number: ServiceNumber, users: Iterable[ConferencingUser], actor: Actor) -> int:
    """Give the users the replacement (R34). Returns how many got it; any other keeps the number on the bridge."""
    edits = []
    for user in users:
        values = {}
        if user.toll_number_id == number.pk:
            values["toll_number"] = release.replacement
        if user.toll_free_number_id == number.pk:
            values["toll_free_number"] = release.replacement
        edits.append(UserEdit(user.pk, values, unassigned_number=number.number))
    release.users.add(*users)
    try:
        return len(change_users(release.tenant, edits, actor, due_now=True))
    except ValidationError:
        changed = 0
        for edit in edits:
            try:
                changed += len(change_users(release.tenant, [edit], actor, due_now=True))
            except ValidationError as error:
                log.warning("user %s keeps the number %s: %s", edit.user_pk, number, " ".join(error.messages))
        return changed


def _finish(release: NumberRelease, number: ServiceNumber, actor: Actor) -> bool:
    """Release the number where nothing holds it any more (R35)."""
    late = ConferencingUser.objects.filter(Q(toll_number=number) | Q(toll_free_number=number)).order_by("pk")[:BATCH]
    if late:
        # Somebody could not be changed until now, or was given it in the last moment. Only they are tried again: the
        # others have their runs, and whose run failed must not get another with every wake-up.
        return _move(release, number, late, actor) > 0
    if holders(release).exists():
        return False
    try:
        with transaction.atomic():
            release_number(number, actor)
    except ProtectedError:
        return False
    NumberRelease.objects.filter(pk=release.pk).update(
        state=NumberRelease.State.RELEASED, finished_at=timezone.now(), number=None
    )
    return True
