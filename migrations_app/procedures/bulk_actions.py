"""What was asked for many users at once, done piece by piece with a result for each (see ``bulk_kinds``).

Whom it is about is settled once, when it is confirmed: their keys are stored with the :class:`BulkAction`. Each piece
of users is one transaction, which also notes what became of them: a worker that is killed leaves whole pieces, and
whoever comes next goes on with the rest. Tenants take turns piece by piece, and after :data:`TURN` the worker looks
after something else, such as a run.

An action with a :class:`Plan` waits: nothing is changed and no run is asked for before the plan opens, nor while it is
closed or the tenant's service is off (R12). The runs that it starts then are the plan's.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import CharField, IntegerField, Min, Q, QuerySet, Value
from django.utils import timezone

from migrations_app.models import BulkAction, BulkActionUser, Plan, runs_may_begin
from migrations_app.monitoring import clock
from migrations_app.procedures import notices
from migrations_app.procedures.bulk_kinds import KINDS, Answer, Kind
from migrations_app.runs.plans import When, begin, cancelled, make_plan
from migrations_app.runs.queue import wake_cluster
from migrations_app.runs.undo_start import undone_since
from tenants_app import bulk
from tenants_app.audit import Actor, Channel, entry
from tenants_app.bulk import let_others_write
from tenants_app.changes.locking import wait_for_others
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentences import at_most, sentence, sentence_plural
from tenants_app.wording import counted, sentences

log = logging.getLogger(__name__)

AT_ONCE = 200
"""An action for no more users than these is done while the one who confirmed it waits."""

PIECE = 500
"""Users in one transaction: as many as one statement takes, so that it takes the same statements for all of them."""

TURN = timedelta(seconds=2)
"""For how long pieces follow each other before whatever else there is to do gets its turn."""

SHOWN_SENTENCES = 50
"""Different sentences that are counted; what is said of more users stands in their own results."""

IS_WAITED_FOR = True

GONE = sentence("The user is not there any more, so nothing was done.")
UNDONE_SINCE = sentence(
    "Nothing was done, because an undo was asked for since this was confirmed: start the user alone to end it."
)
BROKEN = sentence(
    "It could not be done, and nothing was changed: look into the log of the workers, then try this user alone."
)
OTHERS = sentence("Other sentences: see the results.")


# --- what administrators do ---------------------------------------------------------------------------


def perform(
    tenant: Tenant,
    kind: Kind,
    users: QuerySet[ConferencingUser],
    actor: Actor,
    *,
    options: Mapping[str, Any] | None = None,
    shown: int | None = None,
    chosen_by: str = "",
    when: When | None = None,
) -> BulkAction:
    """Settle whom it is about and have it done: at once for a few users, else in the background, or at a time to come.

    ``shown`` is of how many users the administrator was told. Raises ``ValidationError`` with a sentence, and does
    nothing, where it would be nobody, or more users than that.
    """
    action = _settle(tenant, kind, users, actor, options or {}, shown, chosen_by, when)
    if action.user_count <= AT_ONCE:
        _try_piece(action.pk)
        action.refresh_from_db()
    return action


@transaction.atomic
def _settle(
    tenant: Tenant,
    kind: Kind,
    users: QuerySet[ConferencingUser],
    actor: Actor,
    options: Mapping[str, Any],
    shown: int | None,
    chosen_by: str,
    when: When | None,
) -> BulkAction:
    action = BulkAction.objects.create(
        tenant=tenant,
        kind=kind.name,
        options=dict(options),
        chosen_by=at_most(500, chosen_by),
        plan=make_plan(tenant, when, actor) if when else None,
        requested_by=actor.name,
        channel=actor.channel,
    )
    action.user_count = _store_keys(action, users.filter(tenant=tenant))
    if not action.user_count:
        raise ValidationError(sentence("Nobody is left of those who were selected, so there was nothing to do."))
    if shown is not None and action.user_count > shown:
        raise ValidationError(
            sentence_plural(
                "By now it would be %(n)s user and not %(shown)s as shown, so nothing was done: look once more.",
                "By now it would be %(n)s users and not %(shown)s as shown, so nothing was done: look once more.",
                action.user_count,
                shown=shown,
            )
        )
    action.missed = shown - action.user_count if shown is not None else 0
    action.save(update_fields=["user_count", "missed"])
    told = {"users": action.user_count, "chosen by": action.chosen_by, "how": kind.how(options)}
    told |= when.kept if when else {}
    told = {name: value for name, value in told.items() if value}
    entry(tenant, actor, kind.audited, counted(action.user_count, "user"), after=told).save()
    if action.plan and action.plan.wants_notice:
        _tell_before(action, kind, action.plan)
    if action.user_count > AT_ONCE:
        wake_cluster()
    return action


def _tell_before(action: BulkAction, kind: Kind, plan: Plan) -> None:
    """Have the organizers told before it begins, those whose meetings it changes (R37)."""
    if kind.foreseen is None:
        raise ValidationError(
            sentence("“%(action)s” changes no meeting, so there is nothing to tell the organizers.", action=kind.label)
        )
    preview, terms, whom = kind.foreseen(action.options)
    chosen = BulkActionUser.objects.filter(action=action).values("user")
    users = ConferencingUser.objects.filter(whom, pk__in=chosen)
    notices.announce(action.tenant, users, preview, terms, plan.opens_at, action.requested_by, plan=plan)


def _store_keys(action: BulkAction, users: QuerySet[ConferencingUser]) -> int:
    """Store whom it is about, in one statement however many they are; how many."""
    chosen = ConferencingUser.objects.filter(pk__in=users.order_by().values("pk")).order_by("pk")
    rows = chosen.annotate(
        of_action=Value(action.pk, IntegerField()),
        standing=Value(BulkActionUser.State.WAITING.value, CharField()),
        said=Value("", CharField()),
    ).values_list("of_action", "pk", "upn", "standing", "said")
    try:
        selected, parameters = rows.query.sql_with_params()
    except EmptyResultSet:
        return 0
    table = connection.ops.quote_name(BulkActionUser._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (action_id, user_id, upn, state, sentence) {selected}",
            parameters,
        )
        return int(cursor.rowcount)


@transaction.atomic
def stop(action: BulkAction, actor: Actor) -> bool:
    """Leave the rest as it is. Returns whether there was a rest; what was done stays done."""
    unlocked = BulkAction.objects.select_related("tenant", "plan")
    found = unlocked.select_for_update(of=("self",), no_key=True).get(pk=action.pk)
    if not found.is_open:
        return False
    found.state, found.finished_at = BulkAction.State.STOPPED, timezone.now()
    found.save(update_fields=["state", "finished_at"])
    if found.plan and found.plan.state == Plan.State.PLANNED:
        cancelled(found.plan, actor)
    told = {"action": KINDS[found.kind].audited, "done": found.handled_count}
    left = counted(found.user_count - found.handled_count, "user")
    entry(found.tenant, actor, "stop what is done for many users", left, after=told).save()
    return True


# --- going on by itself -------------------------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Do a turn of pieces, one of each tenant's oldest action after the other. Returns whether any was done: then more
    may follow, and runs."""
    goes_on = False
    ends = timezone.now() + TURN
    while [pk for pk in _oldest_of_each_tenant() if timezone.now() < until and _try_piece(pk)]:
        goes_on = True
        if timezone.now() >= ends:
            break
        let_others_write()
    return goes_on


def is_due(now: datetime) -> bool:
    """Whether some action goes on."""
    return BulkAction.objects.filter(_goes_on(now), state__in=BulkAction.OPEN).exists()


def _goes_on(now: datetime) -> Q:
    """Those that wait for nothing: neither for their plan to open, nor, being planned, for the service."""
    return runs_may_begin(now) & (Q(plan=None) | Q(tenant__meeting_migration_enabled=True))


def settles_at() -> datetime | None:
    """None: they do not wait for a settling time."""
    return None


def _oldest_of_each_tenant() -> list[int]:
    waiting = BulkAction.objects.filter(_goes_on(clock.now()), state__in=BulkAction.OPEN).order_by()
    return list(waiting.values("tenant").annotate(oldest=Min("pk")).values_list("oldest", flat=True))


def _try_piece(pk: int) -> bool:
    """Do the next piece, whatever happens. Returns whether it was done."""
    try:
        return _piece(pk)
    except Exception:
        log.exception("what is done for many users (%s) could not go on; it is tried again", pk)
        return False


@transaction.atomic
def _piece(pk: int) -> bool:
    """Do the next piece. Returns False where the action has ended, waits, or another worker is at it."""
    unlocked = BulkAction.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
    found = unlocked.select_related("tenant", "plan").filter(_goes_on(clock.now()), state__in=BulkAction.OPEN)
    action = found.filter(pk=pk).first()
    if action is None:
        return False
    rows = list(action.users.filter(state=BulkActionUser.State.WAITING).order_by("pk")[:PIECE])
    answers = _answers(action, rows)
    done, refused = BulkActionUser.State.DONE, BulkActionUser.State.REFUSED
    for row in rows:
        answer = answers.get(row.user_id or 0, Answer(False, GONE))
        row.state, row.sentence = done if answer.is_done else refused, at_most(500, answer.sentence)
    bulk.update(rows, ["state", "sentence"])
    action.done_count += sum(row.state == done for row in rows)
    action.refused_count += sum(row.state == refused for row in rows)
    action.sentences = _counted(action.sentences, rows)
    action.state = BulkAction.State.WORKING
    if action.handled_count >= action.user_count or not rows:
        action.state, action.finished_at = BulkAction.State.DONE, timezone.now()
    action.save(update_fields=["done_count", "refused_count", "sentences", "state", "finished_at"])
    if action.plan:
        begin(action.plan)
    return True


def _answers(action: BulkAction, rows: Sequence[BulkActionUser]) -> Mapping[int, Answer]:
    """What became of it for the users of these rows who are still there, by their keys."""
    actor = Actor(action.requested_by, Channel(action.channel))
    found = ConferencingUser.objects.filter(tenant=action.tenant_id, pk__in=[row.user_id for row in rows])
    users = list(found.prefetch_related("bridge").order_by("pk"))  # a join would copy the bridge for each
    kind = KINDS[action.kind]
    undone = set[int]()
    if kind.ends_undos:
        wait_for_others(action.tenant)
        undone = undone_since([user.pk for user in users], action.created)
    answers = {key: Answer(False, UNDONE_SINCE) for key in undone}
    users = [user for user in users if user.pk not in undone]
    if not users:
        return answers
    try:
        with transaction.atomic():
            return answers | dict(kind.act(action.tenant, users, actor, action.options, action.plan))
    except (OperationalError, InterfaceError):
        raise  # about the database and not about the users: the piece is tried again
    except ValidationError:
        pass
    except Exception:
        log.exception("a piece of action %s went wrong; its users are tried one by one", action.pk)
    return answers | {user.pk: _answer_alone(kind, action, user, actor) for user in users}


def _answer_alone(kind: Kind, action: BulkAction, user: ConferencingUser, actor: Actor) -> Answer:
    """What became of it for one user of a piece that could not be done as a whole."""
    try:
        with transaction.atomic():
            return kind.act(action.tenant, [user], actor, action.options, action.plan)[user.pk]
    except (OperationalError, InterfaceError):
        raise
    except ValidationError as error:
        return Answer(False, sentences(error))
    except Exception:
        log.exception("action %s went wrong for user %s", action.pk, user.pk)
        return Answer(False, BROKEN)


def _counted(earlier: Sequence[Sequence[Any]], rows: Sequence[BulkActionUser]) -> list[list[Any]]:
    """How many users each sentence was said of: ``[sentence, whether it was done, users]``, the most frequent first."""
    told = Counter({(words, is_done): users for words, is_done, users in earlier})
    for row in rows:
        which = (row.sentence, row.state == BulkActionUser.State.DONE)
        told[which if which in told or len(told) < SHOWN_SENTENCES else (OTHERS, which[1])] += 1
    return [[words, is_done, users] for (words, is_done), users in told.most_common()]
