"""Looks of checks: in the background when they are due, by command, and on a button (R69).

Whoever looks takes the check by a lease, so that a look that was killed in the middle is begun anew. The probes run in
threads that know nothing of the database, a few at a time over all workers; the worker goes on with runs as soon as one
is due, and collects what was found when it comes by again. A probe that never ends is given up: its thread is left
alone, and its result is inconclusive.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from time import monotonic

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from migrations_app.models import CheckResult, Heartbeat, Outcome, Rollout, RolloutCheck, Wave, WaveMember
from migrations_app.monitoring import clock
from migrations_app.rollouts import own_checks
from migrations_app.rollouts.answers import expires_at, why_over
from migrations_app.rollouts.kinds import deployments_of, hosts_of
from migrations_app.rollouts.measuring import measure
from migrations_app.rollouts.probes.parameters import Unusable
from migrations_app.rollouts.recording import Found, record, settle_gate
from migrations_app.runs import queue
from tenants_app.audit import Actor, entry
from tenants_app.bulk import batched
from tenants_app.sentences import Sentence, one_after_the_other, sentence

log = logging.getLogger(__name__)

IS_WAITED_FOR = True
"""While runs are worked, checks are looked at all the same: a failing one stops the wave that asked for the runs."""
AT_ONCE = 4
"""Looks at a time, over all workers."""
LONGEST = timedelta(seconds=60)
"""Of a look (R69)."""
GRACE = timedelta(seconds=15)
"""After its time, a look that has not come to its end is given up; its lease ends a little later."""
LEASE = LONGEST + 2 * GRACE
WAIT = 0.5
"""Seconds that a worker waits for looks under way where no run is due, until others have their turn."""
_SLOT = "rollout checks"
"""The row that workers wait for each other by, when they take checks."""

Look = Callable[[], Found]


# --- in the background --------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Begin the looks that are due, keep what others have found, and wait for these a moment where no run is due.

    Returns whether there are looks under way: whoever calls comes by again.
    """
    _UNDER_WAY.collect()
    while timezone.now() < until and (check := _claim()):
        _begin(check)
    if _UNDER_WAY and not queue.is_due():
        _UNDER_WAY.wait(WAIT)
    return bool(_UNDER_WAY)


def is_due(now: datetime) -> bool:
    """Whether a check is to be looked at, or one is being looked at here."""
    return bool(_UNDER_WAY) or _due(clock.now()).exists()


def settles_at() -> datetime | None:
    """None: looks do not wait for a settling time."""
    return None


def asked() -> QuerySet[RolloutCheck]:
    """The checks that are asked: not those of waves that have ended, nor where a deployment is retired (R89)."""
    checks = RolloutCheck.objects.filter(removed_at=None, rollout__finished_at=None)
    checks = checks.filter(rollout__legacy__retired_at=None, rollout__new__retired_at=None)
    return checks.filter(Q(wave=None) | ~Q(wave__state__in=Wave.ENDED))


def _due(now: datetime) -> QuerySet[RolloutCheck]:
    free = Q(lease_until=None) | clock.lease_is_over(now, LEASE)
    due = asked().filter(free, due_at__lte=now)
    return due.filter(rollout__tenant__meeting_migration_enabled=True)


def _claim() -> RolloutCheck | None:
    """Take the check that has been due longest, where not too many are looked at. Looked for before the transaction."""
    if not _due(clock.now()).exists():
        return None
    with transaction.atomic():
        Heartbeat.objects.get_or_create(name=_SLOT, defaults={"at": timezone.now()})
        Heartbeat.objects.select_for_update().get(name=_SLOT)  # one at a time counts
        now = clock.now()
        held = RolloutCheck.objects.filter(lease_until__range=(now, now + LEASE + clock.TOLERANCE))
        if held.count() >= AT_ONCE:
            return None
        due = _due(now).select_related("rollout__tenant", "rollout__legacy", "rollout__new", "wave")
        check = due.order_by("due_at", "pk").select_for_update(skip_locked=True, of=("self",)).first()
        if check is not None:
            check.lease_token, check.lease_until = uuid.uuid4(), now + timedelta(seconds=check.timeout) + 2 * GRACE
            check.save(update_fields=["lease_token", "lease_until"])
        return check


def _begin(check: RolloutCheck) -> None:
    """Let a claimed check be looked at."""
    if check.is_manual:
        _answers_end(check)
        return
    look = prepared(check)
    if check.kind != RolloutCheck.Kind.RUNS:
        _UNDER_WAY.begin(check, look)
    elif connection.in_atomic_block:  # what is in a transaction no other thread sees
        _keep(check, _carefully(look), check.lease_token)
    else:
        _UNDER_WAY.begin(check, _by_itself(look))


@transaction.atomic
def _answers_end(check: RolloutCheck) -> None:
    """An answer to a manual check is too old from now on."""
    mine = RolloutCheck.objects.filter(pk=check.pk, lease_token=check.lease_token)
    due_at = expires_at(check, clock.now())
    if mine.update(due_at=due_at, lease_token=None, lease_until=None) and check.wave_id:
        settle_gate(check.wave_id)


def _keep(check: RolloutCheck, found: Found, token: uuid.UUID | None) -> None:
    try:
        record(check, found, by=check.asked_by, token=token)
    except Exception:
        log.exception("what check %s has found could not be kept; it is looked at again", check.pk)


# --- one look -----------------------------------------------------------------------------------------


def prepared(check: RolloutCheck) -> Look:
    """What is to be done to look at a check, with all that it needs of the database; but ``runs`` asks that itself.

    ``check.rollout`` with its deployments and ``check.wave`` should be loaded already.
    """
    if check.kind == RolloutCheck.Kind.RUNS:
        return lambda: own_checks.look(check)
    if check.kind == RolloutCheck.Kind.DNS and "expected" not in check.parameters:
        return lambda: Found(
            Outcome.INCONCLUSIVE, sentence("Nobody has said yet which records are expected: change the check.")
        )
    hosts = hosts_of(check.rollout, check.scope)
    placeholders = _placeholders(check) if check.kind == RolloutCheck.Kind.COMMAND else {}
    kind, parameters, seconds = check.kind, dict(check.parameters), float(check.timeout)

    def look() -> Found:
        answer = measure(kind, parameters, hosts=hosts, seconds=seconds, placeholders=placeholders)
        return Found(Outcome(answer.outcome.value), answer.sentence, answer.seconds, answer.output)

    return look


def _by_itself(look: Look) -> Look:
    """A look that asks the database in a thread, by a connection of its own."""

    def looked() -> Found:
        try:
            return look()
        finally:
            connection.close()

    return looked


def _carefully(look: Look) -> Found:
    """What a look finds, whatever happens in it."""
    began = monotonic()
    try:
        return look()
    except Unusable as error:
        whats = [sentence("%(name)s: %(why)s", name=name, why=why) for name, why in error.errors.items()]
        told = one_after_the_other(sentence("The check is not described in full. Change it."), *whats)
        return Found(Outcome.INCONCLUSIVE, told)
    except Exception:
        log.exception("a look of a check has broken off")
        return Found(Outcome.INCONCLUSIVE, _BROKEN_OFF, monotonic() - began)


_BROKEN_OFF = sentence("The check has broken off for a reason of MMS itself: look into the log of the workers.")
_NEVER_ENDS = sentence("The check did not come to its end and was given up. Look whether what it asks is overloaded.")
_STILL_HANGS = sentence("An earlier look of this check has not come to its end yet. Restart the background service.")


def _placeholders(check: RolloutCheck) -> Mapping[str, str]:
    """What may stand in a program's arguments: the deployment, its first host, and the first member of the wave."""
    deployment = deployments_of(check.rollout, check.scope)[0]
    found = {"deployment": deployment.name}
    if hosts := [*deployment.check_hosts, *deployment.meeting_hosts]:
        found["host"] = hosts[0]
    members = WaveMember.objects.filter(wave=check.wave, is_current=True).order_by("pk") if check.wave else None
    if members is not None and (upn := members.values_list("user__upn", flat=True).first()):
        found["upn"] = upn
    return found


@dataclass(slots=True)
class _UnderWay:
    """Looks that threads of this process are at, and what they have found."""

    looks: dict[int, tuple[RolloutCheck, float, threading.Thread]] = field(default_factory=dict)
    """By key of the check: the check as it was claimed, when it is given up, and who looks."""
    hanging: dict[int, threading.Thread] = field(default_factory=dict)
    """Those that were given up, for as long as they go on."""
    found: SimpleQueue[tuple[int, uuid.UUID | None, Found]] = field(default_factory=SimpleQueue)

    def __bool__(self) -> bool:
        return bool(self.looks)

    def begin(self, check: RolloutCheck, look: Look) -> None:
        token, found = check.lease_token, self.found
        if (hanging := self.hanging.get(check.pk)) and hanging.is_alive():
            _keep(check, Found(Outcome.INCONCLUSIVE, _STILL_HANGS), token)
            return
        thread = threading.Thread(
            target=lambda: found.put((check.pk, token, _carefully(look))), daemon=True, name=f"check {check.pk}"
        )
        self.looks[check.pk] = check, monotonic() + check.timeout + GRACE.total_seconds(), thread
        thread.start()

    def wait(self, seconds: float) -> None:
        """Until something was found, or so long."""
        try:
            self._take(*self.found.get(timeout=seconds))
        except Empty:
            return

    def collect(self) -> None:
        """Keep what was found, and give up what does not end."""
        while True:
            try:
                self._take(*self.found.get_nowait())
            except Empty:
                break
        for pk, (check, ends, thread) in list(self.looks.items()):
            if monotonic() > ends:
                del self.looks[pk]
                self.hanging[pk] = thread
                _keep(check, Found(Outcome.INCONCLUSIVE, _NEVER_ENDS, float(check.timeout)), check.lease_token)
        self.hanging = {pk: thread for pk, thread in self.hanging.items() if thread.is_alive()}

    def _take(self, pk: int, token: uuid.UUID | None, found: Found) -> None:
        known = self.looks.get(pk)
        if known is not None and known[0].lease_token == token:  # else it was given up
            del self.looks[pk]
            _keep(known[0], found, token)


_UNDER_WAY = _UnderWay()


# --- because somebody asks ----------------------------------------------------------------------------


@transaction.atomic
def ask(rollout: Rollout, checks: Iterable[RolloutCheck], actor: Actor) -> int:
    """Let the background service look at these checks at once; how many there are that it can look at."""
    pks = [check.pk for check in checks]
    mine = asked().filter(rollout=rollout, pk__in=pks).exclude(kind=RolloutCheck.Kind.MANUAL)
    found = list(mine.select_related("wave").order_by("pk"))
    if not found:
        return 0
    RolloutCheck.objects.filter(pk__in=[check.pk for check in found]).update(due_at=clock.now(), asked_by=actor.name)
    _audit(rollout, found, actor)
    queue.wake_cluster()
    return len(found)


def look_now(rollout: Rollout, checks: Sequence[RolloutCheck], actor: Actor) -> list[CheckResult]:
    """Look at these checks now, a few at a time, and wait for all of them. Manual ones are passed over.

    Raises ``ValidationError`` where a check is not asked any more.
    """
    measured = [check for check in checks if not check.is_manual]
    for check in measured:
        if why := why_over(check):
            raise ValidationError(why)
    if measured:
        with transaction.atomic():
            _audit(rollout, measured, actor)
    results = []
    for some in batched(measured, AT_ONCE):
        looks = [(check, prepared(check)) for check in some]
        founds: dict[int, Found] = {}
        threads = [
            threading.Thread(target=_put, args=(founds, check.pk, look), daemon=True)
            for check, look in looks
            if check.kind != RolloutCheck.Kind.RUNS
        ]
        for thread in threads:
            thread.start()
        for check, look in looks:
            if check.kind == RolloutCheck.Kind.RUNS:
                _put(founds, check.pk, look)
        ends = monotonic() + max(check.timeout for check in some) + GRACE.total_seconds()
        for thread in threads:
            thread.join(max(0.0, ends - monotonic()))
        for check, _ in looks:
            found = founds.get(check.pk) or Found(Outcome.INCONCLUSIVE, _NEVER_ENDS, float(check.timeout))
            results.append(record(check, found, by=actor.name))
    return [result for result in results if result is not None]


def _put(founds: dict[int, Found], pk: int, look: Look) -> None:
    founds[pk] = _carefully(look)


def _audit(rollout: Rollout, checks: Sequence[RolloutCheck], actor: Actor) -> None:
    named: list[str | Sentence] = [check.name for check in checks[:20]]
    entry(rollout.tenant, actor, "check rollout", rollout.name, after={"checks": len(checks), "named": named}).save()
