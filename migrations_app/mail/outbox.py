"""The outbox: rows of messages to be sent, claimed by one worker at a time.

Nobody is told twice, whatever happens to a worker or to the mail server:

1. A claim gives messages to one worker for a lease, which the worker renews by time while it is at work.
2. Whatever the worker writes, it writes only while the row still carries its token.
3. Before the server can take a message over, the row says for whom it is *in doubt*; this is committed, or the message
   is not handed over. The server's answer ends the doubt: these recipients are told, or still to be told.
4. Whoever claims the row later leaves those alone who are in doubt. A person decides about them.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from functools import wraps
from time import monotonic, sleep
from typing import Any, ParamSpec, TypeVar

from django.db import DatabaseError, connection, transaction
from django.db.models import F, Q, QuerySet

from migrations_app.failures import Failure
from migrations_app.mail.smtp import FINAL_ANSWER, Answers
from migrations_app.models import Notice, Outgoing, Run, UntoldNumber, Update, UpdateText
from migrations_app.monitoring import clock
from migrations_app.retries import RETRIES, pause_before_retry
from migrations_app.runs.left import forget_messages, note_undelivered
from tenants_app.models import Tenant
from tenants_app.sentences import sentence

P = ParamSpec("P")
T = TypeVar("T")
Kind = type[Update] | type[Notice]
Picked = Callable[[QuerySet[Any]], QuerySet[Any]]
"""Picks some of the messages."""

KINDS: Sequence[Kind] = (Notice, Update)
"""What goes out, in the order in which it does: runs wait for notices, and these are few."""

log = logging.getLogger(__name__)

BATCH = 100
"""Messages that are claimed, and whose meetings are read, together."""
LEASE = timedelta(minutes=1)
"""How long a worker may be silent about its messages; longer than one answer of the mail server may take."""


class LeaseLost(Exception):
    """The message is another worker's by now; this one must not hand it over, nor write anything about it."""


@transaction.atomic
def send_again(run: Run, *, in_doubt: bool = False) -> int:
    """Queue the run's failed messages once more. Returns how many there are. Those in doubt only when asked for."""
    _hold(run)
    forget_messages(_failed(run, in_doubt=in_doubt))
    return _failed(run, in_doubt=in_doubt).update(
        state=Update.State.QUEUED,
        due_at=clock.now(),
        attempts=0,
        recipients_in_doubt={},
        recipients_refused={},
    )


def confirm(run: Run) -> int:
    """Take the run's messages in doubt as delivered; how many there are. Those still to be told get them."""
    forget_messages(_failed(run, in_doubt=True))
    count = 0
    for update in _failed(run, in_doubt=True).select_for_update():
        told = update.recipients_in_doubt
        update.recipients_left = [address for address in update.recipients_left or () if address not in told]
        update.recipients_in_doubt = {}
        update.state, update.due_at, update.attempts = Update.State.QUEUED, clock.now(), 0
        update.error_code = update.error_detail = ""
        update.save()
        count += 1
    return count


def _hold(run: Run) -> None:
    """Nobody forgets the run with its messages before the transaction ends (``runs.pruning``)."""
    Run.objects.select_for_update().filter(pk=run.pk).values_list("pk").first()


def count_failed(run: Run, *, in_doubt: bool = False) -> int:
    """How many messages :func:`send_again` would queue."""
    return _failed(run, in_doubt=in_doubt).count()


def _failed(run: Run, *, in_doubt: bool) -> QuerySet[Update]:
    failed = Update.objects.filter(result__run=run, state=Update.State.FAILED)
    doubtful = {"error_code__in": Update.FOR_A_PERSON}
    return failed.filter(**doubtful) if in_doubt else failed.exclude(**doubtful)


def sweep() -> None:
    """Make due what was queued at a time that is still to come, because the clock was set back since."""
    now = clock.now()
    made_due = 0
    for kind in KINDS:
        queued = _queued(kind).filter(due_at__gt=now, queued_at__gt=now + clock.TOLERANCE)
        made_due += queued.update(due_at=now) if queued.exists() else 0  # on SQLite a look takes no lock
    if made_due:
        log.warning("The clock was set back: %d messages that bore a time to come are due now.", made_due)


def _queued(kind: Kind) -> QuerySet[Any]:
    return kind._default_manager.filter(state=Outgoing.State.QUEUED)


def due(now: datetime, kind: Kind) -> QuerySet[Any]:
    """The messages of a kind that are due and that nobody has claimed."""
    free = Q(lease_until=None) | clock.lease_is_over(now, LEASE + timedelta(seconds=FINAL_ANSWER))
    return _queued(kind).filter(free, due_at__lte=now)


def is_in_hand(now: datetime) -> bool:
    """Whether a worker has messages in hand."""
    return any(_queued(kind).filter(lease_until__gt=now).exists() for kind in KINDS)


def claim(most: int = BATCH, of: Picked = lambda messages: messages) -> Sequence[Outgoing]:
    """Take messages of one kind that have been due longest, of those that ``of`` picks. They are this worker's for a
    lease; none of them is tried yet."""
    return next(filter(None, (_claim(kind, most, of) for kind in KINDS)), [])


@transaction.atomic
def _claim(kind: Kind, most: int, of: Picked) -> Sequence[Outgoing]:
    now = clock.now()
    found = of(due(now, kind)).order_by("due_at", "pk").select_for_update(skip_locked=True)
    pks = list(found.values_list("pk", flat=True)[:most])
    if not pks:
        return []
    kind._default_manager.filter(pk__in=pks).update(lease_token=uuid.uuid4(), lease_until=now + LEASE)
    if kind is Notice:
        notices = Notice.objects.filter(pk__in=pks).select_related("round__plan", "user__tenant")
        return list(notices.order_by("pk"))
    return list(
        Update.objects.filter(pk__in=pks)
        .select_related("result")
        .defer("result__spans")
        .prefetch_related("result__run__user__tenant")  # many results share a run
        .order_by("result__run__user", "pk")
    )


def keep(claimed: Sequence[Outgoing]) -> None:
    """Renew the lease on what is left of a claim; where it is longer, it stays so."""
    until = clock.now() + LEASE
    if claimed:
        _mine(*claimed).filter(lease_until__lt=until).update(lease_until=until)


def begin(updates: Sequence[Outgoing]) -> None:
    """Count a try, right before it. Raises ``LeaseLost`` where one of them is another worker's by now."""
    lease_until = clock.now() + LEASE
    if _mine(*updates).update(lease_until=lease_until, attempts=F("attempts") + 1) != len(updates):
        raise LeaseLost
    for update in updates:
        update.attempts += 1


def put_back(claimed: Sequence[Outgoing], failure: Failure | None = None) -> None:
    """Give up the claim on what is left of it; where it was not tried for a reason, with that. It stays due."""
    reason = {"error_code": failure.code, "error_detail": failure.detail} if failure else {}
    _mine(*claimed).update(lease_token=None, lease_until=None, **reason)


def sleep_until(update: Outgoing, until: datetime, failure: Failure) -> None:
    """Let the message sleep for a reason that is no failed try, so that it counts none."""
    _let_go(_mine(update), failure, due_at=until)


def wake(tenant: Tenant) -> int:
    """Make the tenant's messages due that wait for another try; how many there are."""
    now = clock.now()
    return sum(
        _queued(kind).filter(tenant=tenant, lease_token=None, due_at__gt=now).update(due_at=now) for kind in KINDS
    )


def still_to_ask(update: Outgoing, recipients: Iterable[str]) -> list[str]:
    """Those of the message's recipients for whom it is to be handed over now; whom the server put off comes last."""
    left: Iterable[str] = recipients if update.recipients_left is None else update.recipients_left
    wanted = set(recipients) - update.recipients_in_doubt.keys() - update.recipients_refused.keys()
    return [address for address in left if address in wanted]


def note_doubt(update: Outgoing, everyone: Collection[str], taken: Iterable[str], message_id: str) -> None:
    """Before the final dot: from now on these may be told. Raises ``LeaseLost``, and then they must not be.

    The lease is longer than the answer may take, so that another worker sees no doubt that is about to end.
    """
    if update.recipients_left is None:
        update.recipients_left = list(everyone)
    update.recipients_in_doubt = {**update.recipients_in_doubt, **dict.fromkeys(taken, message_id)}
    _note(update, lease_until=clock.now() + LEASE + timedelta(seconds=FINAL_ANSWER))


def note_not_taken(update: Outgoing, asked: Iterable[str]) -> None:
    """None of these was told after all: the server refused the message, or did not get the end of it."""
    if not update.recipients_in_doubt.keys().isdisjoint(asked):
        update.recipients_in_doubt = _without(update.recipients_in_doubt, asked)
        _note(update)


def _insistently(write: Callable[P, T]) -> Callable[P, T]:
    """Have a write tried again for a while where the database is away: nobody can ask a server again what it said."""

    @wraps(write)
    def insist(*args: P.args, **kwargs: P.kwargs) -> T:
        until = monotonic() + LEASE.total_seconds() / 2
        while True:
            try:
                return write(*args, **kwargs)
            except DatabaseError:
                if connection.in_atomic_block or monotonic() > until:
                    raise
                log.warning("the database did not take what became of a message; trying again")
                connection.close_if_unusable_or_obsolete()
                sleep(1)

    return insist


@_insistently
def note_answers(update: Outgoing, everyone: Collection[str], answers: Answers) -> None:
    """Note whom the server took the message for, which is at once on its way to them, and whom it refused."""
    left = everyone if update.recipients_left is None else update.recipients_left
    asked = {*answers.taken, *answers.put_off}
    update.recipients_left = [*(address for address in left if address not in asked), *answers.put_off]
    update.recipients_in_doubt = _without(update.recipients_in_doubt, answers.taken)
    update.recipients_refused = {**update.recipients_refused, **answers.refused}
    if answers.taken:
        update.attempts = 0
    if update.recipients_left:  # otherwise the next statement marks the message as sent
        _note(update)


def _without(addresses: dict[str, str], gone: Iterable[str]) -> dict[str, str]:
    gone = set(gone)
    return {address: value for address, value in addresses.items() if address not in gone}


def _note(update: Outgoing, **changes: datetime) -> None:
    noted = _mine(update).update(
        recipients_left=update.recipients_left,
        recipients_in_doubt=update.recipients_in_doubt,
        recipients_refused=update.recipients_refused,
        attempts=update.attempts,
        **changes,
    )
    if noted != 1:
        raise LeaseLost


def _mine(*claimed: Outgoing) -> QuerySet[Any]:
    """Those rows of one claim that still carry this worker's token."""
    pks = [update.pk for update in claimed]
    rows = type(claimed[0])._default_manager
    return rows.filter(pk__in=pks, lease_token=claimed[0].lease_token)


@_insistently
def mark_sent(updates: Sequence[Outgoing]) -> None:
    """Note that these messages of one claim have reached everybody."""
    if updates:
        _end(
            updates,
            None,
            state=Update.State.SENT,
            sent_at=clock.now(),
            recipients_left=None,
            recipients_in_doubt={},
            recipients_refused={},
        )


def finish(update: Outgoing, everyone: Collection[str]) -> bool:
    """Close a message that is to be handed over to nobody any more; whether it has reached everybody."""
    refused = update.recipients_refused
    if update.recipients_in_doubt:
        close(update, Failure(Update.IN_DOUBT))
    elif refused:
        code = "mail-refused" if len(refused) == len(everyone) else "recipients-refused"
        close(update, Failure(code, who(refused)))
    else:
        mark_sent([update])
        return True
    return False


def postpone(updates: Sequence[Outgoing], failure: Failure) -> None:
    """Try again later where waiting may help, with the same pauses as runs have (R28)."""
    for update in updates:
        if failure.cures_by_waiting and update.attempts <= RETRIES:
            pause = max(pause_before_retry(max(update.attempts, 1)), failure.retry_after or timedelta(0))
            _let_go(_mine(update), failure, due_at=clock.now() + pause)
        elif failure.cures_by_waiting:
            close(update, Failure("message-retries-used-up", failure.what))
        else:
            close(update, failure)
    log.warning("%d messages not sent: %s %s", len(updates), failure.code, failure.detail)


def put_off(updates: Sequence[Outgoing], until: datetime, failure: Failure | None = None) -> None:
    """Try again then; this was no try, because what is in the way is not about these messages."""
    _let_go(_mine(*updates), failure, due_at=until)


def close(update: Outgoing, failure: Failure, state: str = Outgoing.State.FAILED) -> None:
    """Give the message up for good. Where somebody is in doubt, that comes before every other reason why it failed."""
    if update.recipients_in_doubt and state == Update.State.FAILED:
        message_ids = " ".join(sorted(set(update.recipients_in_doubt.values())))
        told = sentence(
            "message-ID %(message_ids)s for %(recipients)s",
            message_ids=message_ids,
            recipients=_some(update.recipients_in_doubt),
        )
        if update.recipients_refused:
            told = sentence("%(told)s; refused for %(who)s", told=told, who=who(update.recipients_refused))
        failure = Failure(Update.IN_DOUBT, told)
    if state == Update.State.FAILED:
        with transaction.atomic():
            if _let_go(_mine(update), failure, state=state) and isinstance(update, Update):
                note_undelivered(update, failure)
    else:
        _end([update], failure, state=state)


@transaction.atomic
def _end(updates: Sequence[Outgoing], failure: Failure | None, **changes: object) -> None:
    """Nobody is to be told any more: what updates were to take out of attendees' hands holds no number now, and
    texts that were kept for them are not needed."""
    if _let_go(_mine(*updates), failure, **changes) and isinstance(updates[0], Update):
        ended = Update.objects.filter(pk__in=[update.pk for update in updates], state=changes["state"])
        UntoldNumber.objects.filter(update__in=ended).delete()
        UpdateText.objects.filter(update__in=ended).delete()


def _let_go(claimed: QuerySet[Any], failure: Failure | None, **changes: object) -> int:
    """Give up the claim, with what came of it."""
    return claimed.update(
        lease_token=None,
        lease_until=None,
        error_code=failure.code if failure else "",
        error_detail=failure.detail if failure else "",
        **changes,
    )


def who(answers: dict[str, int]) -> str:
    """The refused recipients in short, with the first answer."""
    return sentence("%(recipients)s, answer %(code)s", recipients=_some(answers), code=next(iter(answers.values())))


def _some(addresses: Collection[str]) -> str:
    first, *others = addresses
    return sentence("%(first)s and %(count)s more", first=first, count=len(others)) if others else first
