"""Taking a service number off its bridge, in the only order that leaves no dead number in an invitation (R32 to R35).

A :class:`NumberRelease` goes from Waiting (it can be cancelled) through Moving (users get the number that takes its
place, and their runs are started) and Updating (their invitations change) to Released. Each step is a transaction of
its own that can be repeated, so the background service takes it up again wherever it was interrupted.

A release with a :class:`Plan` is begun, and moves users, only while the plan is open; the runs are the plan's.

The number is held by users (:func:`holders`), by meetings that show it (:func:`holding_meetings`), by updates that
take it out of attendees' hands (:func:`holding_updates`) and by mailboxes that could not be looked at
(:mod:`number_looks`). :mod:`number_search` finds the meetings.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, ProtectedError, Q, QuerySet
from django.utils import timezone

from migrations_app.models import (
    NumberMapping,
    NumberRelease,
    Rollout,
    Run,
    ShownMeeting,
    UntoldNumber,
    Update,
    runs_may_begin,
)
from migrations_app.monitoring import clock
from migrations_app.preview.plans import NumberRelease as Replacement
from migrations_app.procedures import notices, number_looks, number_search
from migrations_app.runs.left import accept_messages
from migrations_app.runs.plans import When, begin, cancelled, make_plan, open_now
from migrations_app.runs.queue import wake_cluster
from migrations_app.runs.undo_start import undone_since
from tenants_app.audit import Actor, Channel, entry
from tenants_app.changes.bridges import new_number, register_number, release_number, set_default_number, set_leaving
from tenants_app.changes.locking import wait_for_others
from tenants_app.changes.users import UserEdit, change_users
from tenants_app.dependants import dependants
from tenants_app.models import ConferencingUser, InvitedNumber, ServiceNumber, Tenant
from tenants_app.sentences import Sentence, sentence

log = logging.getLogger(__name__)

BATCH = 500
"""Users who are moved in one transaction."""

LONGEST_REASON = 500

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


def holding_meetings(release: NumberRelease) -> QuerySet[ShownMeeting]:
    """Meetings to come that show the number, as far as they were found (R35)."""
    if release.number_id is None:
        return ShownMeeting.objects.none()
    return release.shown_meetings.filter(last_end__gt=timezone.now())


def holding_updates(release: NumberRelease) -> QuerySet[UntoldNumber]:
    """Updates that take the number out of attendees' hands and have not reached all of them: unsent, in doubt, or given
    up. One whose meeting is over holds nothing (R35)."""
    if release.number_id is None:
        return UntoldNumber.objects.none()
    not_out = UntoldNumber.objects.filter(update__state__in=[Update.State.QUEUED, Update.State.FAILED])
    return not_out.filter(number=release.number_id, meeting_ends_at__gt=timezone.now())


def is_held(release: NumberRelease) -> bool:
    """Whether anything is known that keeps the number."""
    return (
        holders(release).exists()
        or holding_meetings(release).exists()
        or holding_updates(release).exists()
        or number_looks.not_looked_at(release).exists()
    )


# --- starting and stopping ----------------------------------------------------------------------------


@transaction.atomic
def start_release(
    number: ServiceNumber,
    replacement: ServiceNumber,
    actor: Actor,
    *,
    now_due: bool = False,
    when: When | None = None,
) -> NumberRelease:
    """Begin to take the number off its bridge; ``replacement`` takes its place with everyone who has it (R33).

    Nothing moves before the tenant's settling time is over, or before the time that is asked for, so that it can still
    be cancelled. Raises ``ValidationError`` where the two do not fit.
    """
    check_not_default(number)
    return _start(number, replacement, actor, now_due=now_due, when=when)


@transaction.atomic
def start_replacement(
    number: ServiceNumber, e164: str, actor: Actor, *, now_due: bool = False, when: When | None = None
) -> NumberRelease:
    """Replace the number for everyone who uses it, in one step, and release it in the end.

    The number ``e164`` is registered on the bridge where it is not there yet, of the same kind and place, and becomes
    the bridge's default where the other one is.
    """
    replacement = ServiceNumber.objects.filter(tenant=number.tenant_id, number=e164).first()
    if replacement is None:
        replacement = register_number(number.bridge, e164, number.kind, actor, country=number.country, city=number.city)
    return _start(number, replacement, actor, now_due=now_due, when=when)


def foresee_replacement(number: ServiceNumber, e164: str) -> ServiceNumber:
    """The number that would take the other's place, not saved where it would be registered; only reads.

    Raises ``ValidationError`` as :func:`start_replacement` does.
    """
    replacement = ServiceNumber.objects.filter(tenant=number.tenant_id, number=e164).select_related("bridge").first()
    if replacement is None:
        place = {"country": number.country, "city": number.city}
        replacement = new_number(number.bridge, e164, number.kind, **place)
    check_release(number.tenant, number, replacement)
    return replacement


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
    if release.plan:
        cancelled(release.plan, actor)
    _audit(release, actor, "cancel taking number off")
    return True


@transaction.atomic
def begin_now(release: NumberRelease, actor: Actor) -> bool:
    """Begin without waiting for the settling time, or the time that was planned. Returns whether it was still
    waiting."""
    waiting = NumberRelease.objects.filter(pk=release.pk, state=NumberRelease.State.WAITING)
    if not waiting.update(due_at=timezone.now()):
        return False
    if release.plan:
        open_now(release.plan)
    _audit(release, actor, "take number off now")
    wake_cluster()
    return True


@transaction.atomic
def accept_given_up(release: NumberRelease, actor: Actor, *, seen: str | None = None) -> int:
    """Take it that some attendees keep the number, because the messages to them were given up. Returns how many these
    are; those in doubt are not among them, and are decided about on the page of their run.

    ``seen`` is how many the administrator was shown. Raises ``ValidationError`` where it are others by now.
    """
    wait_for_others(release.tenant)
    rows = list(_given_up(release).values_list("pk", "update__result__subject", "update__result__run__user__upn"))
    if rows and seen is not None and seen != str(len(rows)):
        raise ValidationError(sentence("Other messages are given up than when you looked: look at them first."))
    if rows:
        untold = UntoldNumber.objects.filter(pk__in=[pk for pk, *_ in rows])
        accept_messages(Update.objects.filter(pk__in=list(untold.values_list("update", flat=True))), actor)
        untold.delete()
        told = {"messages": len(rows), "meetings": [f"{upn}: {subject}" for _, subject, upn in rows[:20]]}
        entry(release.tenant, actor, "accept messages given up", release.e164, after=told).save()
        wake_cluster()
    return len(rows)


def _given_up(release: NumberRelease) -> QuerySet[UntoldNumber]:
    """Updates that are neither waiting nor in doubt."""
    return (
        holding_updates(release).filter(update__state=Update.State.FAILED).exclude(update__error_code=Update.IN_DOUBT)
    )


@transaction.atomic
def release_anyway(release: NumberRelease, reason: str, actor: Actor, *, seen: str | None = None) -> None:
    """Release the number although meetings, users or updates hold it: somebody knows and wants it so (R35).

    ``seen`` is the key of what the administrator was shown. Raises ``ValidationError`` with a sentence: about the
    ``reason``, or because other things hold the number by now, or it cannot be released yet.
    """
    release = NumberRelease.objects.select_for_update(of=("self",), no_key=True).get(pk=release.pk)
    wait_for_others(release.tenant)
    reason = check_release_anyway(release, reason)
    holds = Holds.of(release)
    if seen is not None and holds.key != seen:
        raise ValidationError(sentence("What holds the number has changed since you looked: look at it once more."))
    number = ServiceNumber.objects.get(releases=release)
    InvitedNumber.objects.filter(number=number).delete()
    holding_updates(release).delete()
    release.reason = reason
    entry(
        release.tenant, actor, "release number anyway", release.e164, after={"reason": reason, **asdict(holds)}
    ).save()
    if not _let_go(release, number, actor):
        raise ValidationError(sentence("%(release)s is needed again just now: look once more.", release=release.e164))


def check_release_anyway(release: NumberRelease, reason: str) -> str:
    """The reason as it is kept; raises ``ValidationError`` as :func:`release_anyway` does. Only reads."""
    check_may_be_released_anyway(release)
    reason = " ".join(reason.split())
    if not reason:
        raise ValidationError(
            {"reason": sentence("Say why it is released although it is still shown: the audit keeps it.")}
        )
    if len(reason) > LONGEST_REASON:
        raise ValidationError({"reason": sentence("Say it in at most %(most)s characters.", most=LONGEST_REASON)})
    return reason


def check_may_be_released_anyway(release: NumberRelease) -> None:
    """Raise ``ValidationError`` with a sentence where it cannot be released, not even knowingly, at the moment."""
    if not release.is_open or release.number_id is None:
        raise ValidationError(
            sentence("%(release)s is not on its way off a bridge any more: look again.", release=release.e164)
        )
    if release.state != NumberRelease.State.UPDATING:
        raise ValidationError(
            sentence(
                "Users are still to be moved from %(release)s: wait until they have another number.",
                release=release.e164,
            )
        )
    users = ConferencingUser.objects.filter(Q(toll_number=release.number_id) | Q(toll_free_number=release.number_id))
    if upn := users.order_by("pk").values_list("upn", flat=True).first():
        raise ValidationError(
            sentence(
                "%(upn)s still has %(release)s in their settings: give them another number first.",
                upn=upn,
                release=release.e164,
            )
        )
    if number_search.is_under_way(release):
        raise ValidationError(
            sentence("Runs are still putting the new number into invitations: wait until they have ended.")
        )
    if release.searched_at is None:
        raise ValidationError(
            sentence("Meetings are still being searched for the number: wait until all were looked at.")
        )


@dataclass(frozen=True, slots=True)
class Holds:
    """How much holds a number."""

    users: int
    meetings: int
    unsent: int
    in_doubt: int
    given_up: int
    mailboxes: int = 0
    """Mailboxes outside that could not be looked at, so that nobody knows what their meetings show."""

    @classmethod
    def of(cls, release: NumberRelease) -> Holds:
        """What is known by now. Takes the same few queries however much it is."""
        doubt = Q(update__state=Update.State.FAILED, update__error_code__in=Update.FOR_A_PERSON)
        queued = Q(update__state=Update.State.QUEUED)
        updates = holding_updates(release).aggregate(
            unsent=Count("pk", filter=queued),
            in_doubt=Count("pk", filter=doubt),
            given_up=Count("pk", filter=~queued & ~doubt),
        )
        unseen = number_looks.not_looked_at(release).count() if release.searched_at else 0
        return cls(holders(release).count(), holding_meetings(release).count(), **updates, mailboxes=unseen)

    @property
    def key(self) -> str:
        """What a page carries along, so that it can be told whether the same holds the number still."""
        return "-".join(str(count) for count in asdict(self).values())

    @property
    def updates(self) -> int:
        """Messages that are not out, for whatever reason."""
        return self.unsent + self.in_doubt + self.given_up


def _start(
    number: ServiceNumber, replacement: ServiceNumber, actor: Actor, *, now_due: bool, when: When | None
) -> NumberRelease:
    number = set_leaving(number, True)  # locks the tenant, so that no other change comes in between
    tenant = Tenant.objects.get(pk=number.tenant_id)
    replacement = ServiceNumber.objects.select_related("bridge").get(pk=replacement.pk)
    check_release(tenant, number, replacement)
    now = timezone.now()
    plan = make_plan(tenant, when, actor) if when else None
    settled = now if now_due else now + timedelta(seconds=tenant.settling_time)
    release = NumberRelease.objects.create(
        tenant=tenant,
        bridge=number.bridge,
        number=number,
        e164=number.number,
        replacement=replacement,
        replacement_e164=replacement.number,
        requested_by=actor.name,
        created=now,
        plan=plan,
        due_at=plan.opens_at if plan else settled,
    )
    _audit(release, actor, "take number off", **(when.kept if when else {}))
    if plan and plan.wants_notice:
        foreseen = Replacement(tenant, {"number": number.pk, "e164": replacement.number})
        notices.announce(tenant, foreseen.users, foreseen.kind, foreseen.terms, plan.opens_at, actor.name, plan=plan)
    if release.due_at <= now:
        wake_cluster()
    return release


def check_not_default(number: ServiceNumber) -> None:
    """Raise ``ValidationError`` for a default number, which can be replaced but not simply taken off."""
    if number.is_default:
        raise ValidationError(
            {
                "number": sentence(
                    "%(number)s is the default number of %(bridge)s: make another toll number the default first, "
                    "or replace it in one step.",
                    number=number.number,
                    bridge=number.bridge.name,
                )
            }
        )


def check_release(tenant: Tenant, number: ServiceNumber, replacement: ServiceNumber | None) -> None:
    """Check that the number can be taken off now. Without ``replacement`` a new number is to take its place.

    Raises ``ValidationError`` with a sentence: about the tenant, the ``number`` or the ``replacement``.
    """
    if not tenant.meeting_migration_enabled:
        raise ValidationError(
            sentence(
                "The service is switched off for this tenant, so no invitation would change: switch "
                "MeetingMigrationEnabled on first."
            )
        )
    if NumberRelease.objects.filter(number=number, state__in=NumberRelease.OPEN).exists():
        raise ValidationError({"number": sentence("%(number)s is being taken off already.", number=number.number)})
    if rollout := _leading_to(number).filter(finished_at=None).first():
        raise ValidationError(
            {
                "number": sentence(
                    "The rollout %(rollout)s moves users to %(number)s: choose another number in its mapping first.",
                    rollout=rollout.name,
                    number=number.number,
                )
            }
        )
    if replacement is not None:
        check_replacement(number, replacement)
    other = NumberRelease.objects.filter(replacement=number, state__in=NumberRelease.OPEN).first()
    if other:
        raise ValidationError(
            {
                "number": sentence(
                    "%(number)s is just taking the place of %(other)s: wait until %(other)s is released, or cancel "
                    "that.",
                    number=number.number,
                    other=other.e164,
                )
            }
        )


def check_replacement(number: ServiceNumber, replacement: ServiceNumber) -> None:
    """Raise ``ValidationError`` about the ``replacement`` where it cannot take the place of the number (R33)."""
    if problem := _why_no_replacement(number, replacement):
        raise ValidationError({"replacement": problem})


def _why_no_replacement(number: ServiceNumber, replacement: ServiceNumber) -> Sentence | None:
    if replacement == number:
        return sentence("%(number)s cannot replace itself: choose another number.", number=number.number)
    if replacement.bridge_id != number.bridge_id:
        return sentence(
            "%(number)s is on the bridge %(other)s: choose a number of %(bridge)s.",
            number=replacement.number,
            other=replacement.bridge.name,
            bridge=number.bridge.name,
        )
    if replacement.kind != number.kind:
        if number.kind == ServiceNumber.Kind.TOLL:
            return sentence("%(number)s is a toll-free number: choose a toll one.", number=replacement.number)
        return sentence("%(number)s is a toll number: choose a toll-free one.", number=replacement.number)
    if replacement.is_leaving:
        return sentence(
            "%(number)s is being taken off the bridge itself: choose another number.", number=replacement.number
        )
    return None


def _audit(release: NumberRelease, actor: Actor, action: str, **more: str) -> None:
    names = {"bridge": release.bridge.name, "number": release.e164}, {"number": release.replacement_e164} | more
    entry(release.tenant, actor, action, release.e164, *names).save()


# --- going on by itself -------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Take every procedure as far as possible now. Returns whether that may have made runs due."""
    moved = False
    now = clock.now()
    may_go_on = runs_may_begin(now) | Q(state=NumberRelease.State.UPDATING)
    due = _of_tenants_switched_on().filter(may_go_on, state__in=NumberRelease.OPEN, due_at__lte=now)
    for pk in due.order_by("pk").values_list("pk", flat=True):
        try:
            while timezone.now() < until and (_step(pk) or number_search.search(pk)):
                moved = True
        except IntegrityError:
            # Between the last look and the end of the step somebody queued an update, or wrote an invitation, that
            # needs the number: the database has kept it.
            log.info("the number of procedure %s is needed again; it is kept", pk)
        except Exception:
            log.exception("taking a number off its bridge (procedure %s) could not go on; it is tried again", pk)
    return moved


def is_due(now: datetime) -> bool:
    """Whether users are to be moved at this moment."""
    moving = [NumberRelease.State.WAITING, NumberRelease.State.MOVING]
    return _of_tenants_switched_on().filter(runs_may_begin(now), state__in=moving, due_at__lte=now).exists()


def settles_at() -> datetime | None:
    """When the next one begins that can still be cancelled, and waits for no plan."""
    waiting = _of_tenants_switched_on().filter(state=NumberRelease.State.WAITING, plan=None)
    return waiting.order_by("due_at").values_list("due_at", flat=True).first()


def _of_tenants_switched_on() -> QuerySet[NumberRelease]:
    """Those whose tenant is switched on; the others wait (R12)."""
    return NumberRelease.objects.filter(tenant__meeting_migration_enabled=True)


@transaction.atomic
def _step(pk: int) -> bool:
    """Take one step. Returns whether another may follow at once."""
    # No key update, so that nobody who notes a meeting that shows the number waits for this step.
    unlocked = NumberRelease.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
    found = unlocked.select_related("tenant", "bridge", "number__bridge", "replacement", "plan")
    release = found.filter(pk=pk, state__in=NumberRelease.OPEN).first()
    if release is None or release.number is None or release.replacement is None:
        return False
    actor = Actor(release.requested_by, Channel.SERVICE)
    may_move = release.plan is None or release.plan.is_open(clock.now())
    if release.state != NumberRelease.State.UPDATING and not may_move:
        return False
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
    if release.plan:
        begin(release.plan)
    return True


def _move(release: NumberRelease, number: ServiceNumber, users: Sequence[ConferencingUser], actor: Actor) -> int:
    """Give the users the replacement (R34). Returns how many got it; any other keeps the number on the bridge.

    An undo that was asked for since the procedure was started is not ended by it: nobody was told that it would be. A
    number that it has brought back is held until a person starts the user.
    """
    edits = []
    wait_for_others(release.tenant)
    undone = undone_since([user.pk for user in users], release.created)
    for user in users:
        values = {}
        if user.toll_number_id == number.pk:
            values["toll_number"] = release.replacement
        if user.toll_free_number_id == number.pk:
            values["toll_free_number"] = release.replacement
        if user.pk in undone:
            edits.append(UserEdit(user.pk, values, reschedule_meetings=True))
        else:
            edits.append(UserEdit(user.pk, values, unassigned_number=number.number))
    release.users.add(*users)
    try:
        return len(change_users(release.tenant, edits, actor, due_now=True, part_of=release.plan))
    except ValidationError:
        changed = 0
        for edit in edits:
            try:
                changed += len(change_users(release.tenant, [edit], actor, due_now=True, part_of=release.plan))
            except ValidationError as error:
                log.warning("user %s keeps the number %s: %s", edit.user_pk, number, " ".join(error.messages))
        return changed


def _finish(release: NumberRelease, number: ServiceNumber, actor: Actor) -> bool:
    """Release the number where nothing holds it any more (R35)."""
    late = list(
        ConferencingUser.objects.filter(Q(toll_number=number) | Q(toll_free_number=number)).order_by("pk")[:BATCH]
    )
    if late and release.plan and not release.plan.is_open(clock.now()):
        return False
    if late:
        # Somebody could not be changed until now, or was given it in the last moment. Only they are tried again: the
        # others have their runs, and whose run failed must not get another with every wake-up.
        return _move(release, number, late, actor) > 0
    if release.searched_at is None:
        # Mailboxes outside are looked at after the last update was handed over.
        _note_held(release, number_looks.are_needed(release) and holding_updates(release).exists())
        return False
    if not is_held(release):
        wait_for_others(release.tenant)  # from here on nobody changes a user, nor imports a meeting
        if not is_held(release):
            if not release.is_search_outdated:
                return _let_go(release, number, actor)
            number_search.search_anew(release)
            return False
    _note_held(release, True)
    return False


def _note_held(release: NumberRelease, is_held_now: bool) -> None:
    if is_held_now and not release.is_search_outdated:
        release.is_search_outdated = True
        release.save(update_fields=["is_search_outdated"])


def _leading_to(number: ServiceNumber) -> QuerySet[Rollout]:
    """The rollouts in whose mapping users come to the number (R61)."""
    default = Q(default_toll_number=number) | Q(default_toll_free_number=number)
    lines = NumberMapping.objects.filter(new_number=number)
    return Rollout.objects.filter(default | Q(pk__in=lines.values("rollout")))


def _leave_mappings(number: ServiceNumber) -> None:
    """Rollouts that have ended move nobody to the number any more."""
    ended = list(_leading_to(number).filter(finished_at__isnull=False).values_list("pk", flat=True))
    NumberMapping.objects.filter(rollout__in=ended, new_number=number).delete()
    for name in ("default_toll_number", "default_toll_free_number"):
        Rollout.objects.filter(pk__in=ended, **{name: number}).update(**{name: None})


def _let_go(release: NumberRelease, number: ServiceNumber, actor: Actor) -> bool:
    """Release the number. Returns whether the database let it go."""
    try:
        with transaction.atomic():
            # Of updates that hold nothing: their meetings are over.
            UntoldNumber.objects.filter(number=number).exclude(pk__in=holding_updates(release).values("pk")).delete()
            _leave_mappings(number)
            release_number(number, actor)
    except ProtectedError:
        return False
    release.state, release.finished_at, release.number = NumberRelease.State.RELEASED, timezone.now(), None
    release.save(update_fields=["state", "finished_at", "number", "reason"])
    return True
