"""Previews of more meetings than somebody can wait for: made some users at a time, and kept for a day.

A step looks without any lock, and commits what it saw only where nobody else has gone on meanwhile: a worker that is
killed leaves whole steps, and two that look at the same users commit them once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from migrations_app.models import BulkAction, Preview, PreviewedMeeting, PreviewedUser
from migrations_app.monitoring.machines import all_workers
from migrations_app.preview.foretold import Foretold, Totals, foretell, seen_of
from migrations_app.preview.plans import Plan, Starts, count_users, keys_after, plan_of, users_in_parts
from migrations_app.procedures import bulk_actions
from migrations_app.procedures.bulk_kinds import KINDS
from migrations_app.runs.plans import When
from migrations_app.runs.queue import wake_cluster
from tenants_app.audit import Actor
from tenants_app.bulk import batched, insert
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentences import at_most, sentence, sentence_plural
from tenants_app.wording import sentences

log = logging.getLogger(__name__)

IS_WAITED_FOR = True

KEPT = timedelta(days=1)
BATCH = 10
"""Users who are looked at in one step."""
ATTEMPTS = 5
"""A step that each worker has begun this often, and none has ended, is given up: several may begin the same one."""
_ROWS_AT_ONCE = 500


@transaction.atomic
def submit(tenant: Tenant, plan: Plan, actor: Actor) -> Preview:
    """Have a preview of the plan made. Raises ``ValidationError`` where what it names is not there."""
    wake_cluster()
    return Preview.objects.create(
        tenant=tenant,
        kind=plan.kind,
        terms=plan.terms,
        title=plan.title[:300],
        total_users=count_users(plan),
        requested_by=actor.name,
    )


def is_over(preview: Preview) -> bool:
    """Whether it is so old that nobody should go by it."""
    return preview.created < timezone.now() - KEPT


def changed_since(preview: Preview) -> list[str]:
    """The users whose settings or meetings are others than when they were looked at, or who came to or went, by name.

    Takes the same few queries for every 500 users.
    """
    plan = plan_of(preview.tenant, preview.kind, preview.terms)
    looked_at = {row.user_id: row.seen for row in preview.users.all()}
    there = {user.pk for some in users_in_parts(plan) for user in some.only("pk")}
    changed = there.symmetric_difference(looked_at)
    for pks in batched(sorted(there.intersection(looked_at))):
        seen = seen_of(list(ConferencingUser.objects.filter(pk__in=pks)))
        changed |= {pk for pk in pks if seen.get(pk) != looked_at[pk]}
    names: list[str] = []
    for pks in batched(sorted(changed)):
        names += [user.upn for user in ConferencingUser.objects.filter(pk__in=pks).only("upn").order_by("pk")]
    return names


def start(preview: Preview, actor: Actor, *, in_spite_of: str | None = None, when: When | None = None) -> BulkAction:
    """Have the runs started of a preview that is about that, due after the settling time or at the time to come.

    Raises ``ValidationError`` where it is over, or where something has changed since, and ``in_spite_of`` is not what
    the administrator was told: how many users.
    """
    if is_over(preview) or preview.state != Preview.State.READY:
        raise ValidationError(sentence("The preview is more than a day old, or not ready: look anew before you start."))
    plan = plan_of(preview.tenant, preview.kind, preview.terms)
    if not isinstance(plan, Starts):
        raise ValidationError(sentence("This preview is not about starting runs: go on where it was asked for."))
    changed = changed_since(preview)
    if changed and in_spite_of != str(len(changed)):
        raise ValidationError(what_has_changed(changed))
    # Of named users there may be more than a query can name: those who were looked at are the same.
    is_named = plan.terms.get("users") is not None
    users = ConferencingUser.objects.filter(pk__in=preview.users.values("user")) if is_named else plan.users
    options = {"targets": plan.terms["targets"]}
    return bulk_actions.perform(preview.tenant, KINDS["start"], users, actor, options=options, when=when)


def what_has_changed(upns: Sequence[str]) -> str:
    """Who changed since a preview, in a sentence."""
    named = ", ".join(upns[:3])
    return sentence_plural(
        "Settings or meetings of %(n)s user have changed since the preview (%(users)s): look again.",
        "Settings or meetings of %(n)s users have changed since the preview (%(users)s): look again.",
        len(upns),
        users=sentence("%(names)s and others", names=named) if len(upns) > 3 else named,
    )


# --- what the background service does -----------------------------------------------------------------


def advance(until: datetime) -> bool:
    """Go on with the previews that wait, oldest first, and delete those that are over. It makes no run due."""
    _prune()
    tried: set[int] = set()
    waiting = Preview.objects.filter(state=Preview.State.LOOKING).order_by("created", "pk")
    while timezone.now() < until and (preview := waiting.exclude(pk__in=tried).select_related("tenant").first()):
        try:
            _step(preview)
        except ValidationError as error:
            _end(preview, Preview.State.REFUSED, sentences(error))
        except Exception:
            log.exception("preview %s could not go on; it is tried again", preview.pk)
            tried.add(preview.pk)
    return waiting.exists()


def is_due(now: datetime) -> bool:
    """Whether a preview is to be made, or one to be deleted."""
    is_open = Preview.objects.filter(state=Preview.State.LOOKING).exists()
    return is_open or Preview.objects.filter(created__lt=now - KEPT).exists()


def settles_at() -> datetime | None:
    """None: previews do not wait for a settling time."""
    return None


def _step(preview: Preview) -> None:
    at = Preview.objects.filter(pk=preview.pk, cursor=preview.cursor, state=Preview.State.LOOKING)
    if preview.attempts >= ATTEMPTS * all_workers():
        raise ValidationError(
            sentence("It was begun several times and never came further: look into the log of the workers.")
        )
    if not at.update(attempts=F("attempts") + 1):
        return
    plan = plan_of(preview.tenant, preview.kind, preview.terms)
    pks = keys_after(plan, preview.cursor, BATCH)
    if not pks:
        _end(preview, Preview.State.READY)
        return
    seen = seen_of(list(ConferencingUser.objects.filter(pk__in=pks)))
    totals = Totals.of(preview.totals)
    told = [foretell(planned, totals) for planned in plan.planned(pks)]
    with transaction.atomic():
        moved = at.update(cursor=pks[-1], done_users=F("done_users") + len(pks), totals=totals.stored, attempts=0)
        if moved:
            insert([_row(preview, each, seen) for each in told if each.planned.user.pk in seen])
            for each in told:
                for row in each.meetings:
                    row.preview = preview
                insert(each.meetings)


def _row(preview: Preview, told: Foretold, seen: dict[int, str]) -> PreviewedUser:
    planned, failure = told.planned, told.failure
    return PreviewedUser(
        preview=preview,
        user_id=planned.user.pk,
        starts_run=planned.starts_run,
        sentence=at_most(500, planned.sentence),
        failure_code=failure.code if failure else "",
        failure_detail=at_most(500, failure.detail) if failure else "",
        seen=seen[planned.user.pk],
    )


def _end(preview: Preview, state: Preview.State, problem: str = "") -> None:
    at = Preview.objects.filter(pk=preview.pk, state=Preview.State.LOOKING)
    at.update(state=state, problem=at_most(500, problem), finished_at=timezone.now())


def _prune() -> None:
    """Delete previews that are over, a few rows in each transaction."""
    over = Preview.objects.filter(created__lt=timezone.now() - KEPT)
    for pk in list(over.values_list("pk", flat=True)[:20]):
        for rows in (PreviewedMeeting.objects, PreviewedUser.objects):
            while pks := list(rows.filter(preview=pk).values_list("pk", flat=True)[:_ROWS_AT_ONCE]):
                rows.filter(pk__in=pks).delete()
        Preview.objects.filter(pk=pk).delete()
