"""Sending the messages of a use of the tool, by the same outbox as those of runs: nobody is told twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db import transaction
from django.utils.translation import gettext as _

from migrations_app.failures import FAILED
from migrations_app.models import MeetingResult, Run, Update, UpdateText
from migrations_app.monitoring import clock
from migrations_app.rewriting.spans import unpack
from migrations_app.runs.outcomes import Outcome
from migrations_app.runs.queue import lock_users
from migrations_app.runs.untold import note_untold
from migrations_app.tool.errors import Refused
from migrations_app.tool.migration import Migration
from migrations_app.tool.settings import is_of_tenant
from tenants_app.audit import Actor
from tenants_app.bulk import batched, insert
from tenants_app.changes.locking import lock
from tenants_app.models import ConferencingUser
from tenants_app.sentences import sentence, sentence_plural

_TELLS = (Update.State.QUEUED, Update.State.SENT, Update.State.FAILED, Update.State.BY_SERVER)
"""An update in one of these states has told the attendees or will; a failed one waits for a person to send it again."""
_TEXTS = 100
"""Meetings whose texts are written together."""


@dataclass(slots=True)
class Sending:
    """What became of the messages."""

    queued: set[str] = field(default_factory=set)
    """UIDs of the meetings whose attendees are told now."""
    told_already: dict[str, Update] = field(default_factory=dict)
    """By UID of a meeting, the earlier update that is about the very same."""


def check_may_send(user: ConferencingUser) -> None:
    """Raise ``Refused`` where nothing may be sent for the user now."""
    if not is_of_tenant(user):
        raise Refused(
            _(
                "MMS sends messages for users of the tenant alone, whose history says who was told: have the "
                "messages written as .eml files, or bring the user in with import_users."
            )
        )
    if not user.tenant.meeting_migration_enabled:
        raise Refused(
            _(
                "The service is switched off for this tenant, so nothing is sent: switch "
                "MeetingMigrationEnabled on first, or have the messages written as .eml files."
            )
        )
    if Run.objects.filter(user=user.pk, state__in=[Run.State.PENDING, Run.State.IN_PROGRESS]).exists():
        raise Refused(
            _(
                "A run of %(upn)s is pending or in progress, and attendees could be told twice: wait until "
                "it has ended, or have the messages written as .eml files."
            )
            % {"upn": user.upn}
        )


@transaction.atomic
def send(migration: Migration, actor: Actor) -> Sending:
    """Queue a message for each changed meeting that has somebody to tell, recorded as a run in the user's history.

    Whoever was told the very same of a meeting is not told again, so the tool may be used again with the same files.
    Raises ``Refused``.
    """
    run, user = migration.run, migration.user
    user.tenant.meeting_migration_enabled = lock(user.tenant).meeting_migration_enabled
    lock_users([user.pk])
    check_may_send(user)
    sending = Sending()
    to_tell = [outcome for outcome in migration.changed if outcome.recipient_count]
    earlier_runs = list(Run.objects.filter(user=user.pk).values_list("pk", flat=True))
    for some in batched(to_tell):
        sending.told_already |= _told_already(user, some)
    told = {each.result.uid: each for each in to_tell if each.result.uid not in sending.told_already}
    if not told:
        return sending
    _record(migration, actor, len(told))
    insert([outcome.result for outcome in migration.done])
    keys = dict(run.results.filter(sequence__isnull=False).values_list("uid", "pk"))
    for uids in batched(told):
        _supersede(earlier_runs, uids)
    for uids in batched(told, _TEXTS):
        _queue(migration, {uid: told[uid] for uid in uids}, keys, earlier_runs)
    sending.queued = set(told)
    return sending


def _queue(
    migration: Migration, told: Mapping[str, Outcome], keys: Mapping[str, int], earlier_runs: Sequence[int]
) -> None:
    """Queue the messages about these meetings with their texts; ``keys`` are those of all results, by UID."""
    user, now = migration.user, clock.now()
    updates = [
        Update(
            result_id=keys[uid],
            tenant_id=user.tenant_id,
            recipient_count=outcome.recipient_count,
            queued_at=now,
            due_at=now,
        )
        for uid, outcome in told.items()
    ]
    insert(updates)
    insert(
        [UpdateText(update_id=keys[uid], body=migration.mailbox.text_of(uid), language=user.language) for uid in told]
    )
    kept = [key for key in migration.outcomes.settings.number_keys if key]  # those given by hand have no key
    spanned = {
        uid: replace(outcome, replaced=unpack(bytes(outcome.result.spans or b""))) for uid, outcome in told.items()
    }
    note_untold(user.tenant, kept, spanned, keys, earlier_runs)


def _told_already(user: ConferencingUser, outcomes: Sequence[Outcome]) -> dict[str, Update]:
    """Earlier updates about the very same of these meetings, by UID: the same change, as the same revision.

    Of changes that bear the same revision, which a tenant may want, the last one counts: before an undo, say, attendees
    were told what they are to be told again.
    """
    changed = MeetingResult.objects.filter(
        run__user=user.pk, uid__in=[outcome.result.uid for outcome in outcomes], sequence__isnull=False
    )
    last = {(result.uid, result.sequence): result for result in changed.order_by("pk")}
    same = {
        uid: result.pk
        for outcome in outcomes
        if (result := last.get((uid := outcome.result.uid, outcome.result.sequence)))
        and bytes(result.spans or b"") == bytes(outcome.result.spans or b"")
    }
    updates = Update.objects.filter(pk__in=same.values(), state__in=_TELLS).select_related("result__run")
    found = updates.in_bulk()
    return {uid: found[key] for uid, key in same.items() if key in found}


def _record(migration: Migration, actor: Actor, messages: int) -> None:
    """The run in the history. It is never the one that counts (R29): of the user's mailbox it says nothing."""
    run, counts = migration.run, migration.counts()
    failed = [outcome.result for outcome in migration.done if outcome.result.outcome == MeetingResult.Outcome.FAILED]
    run.requested_by = actor.name
    run.reasons = [
        {
            "rule": "R38",
            "sentence": sentence("Migrated by %(name)s with the Meeting Migration Tool, from files.", name=actor.name),
        }
    ]
    run.state = Run.State.FAILED if failed else Run.State.SUCCEEDED
    if failed:
        curable = [result for result in failed if FAILED[result.code].cures_by_waiting]
        run.last_error_code = (curable or failed)[0].code
        run.last_error_detail = sentence_plural(
            "%(n)s meeting of %(all)s", "%(n)s meetings of %(all)s", len(failed), all=counts.all
        )
    run.attempts = 1
    run.finished_at = clock.now()
    run.total_meetings = counts.all
    run.succeeded_meetings, run.skipped_meetings, run.failed_meetings = counts.changed, counts.skipped, counts.failed
    run.invites_update = messages
    run.user = ConferencingUser.objects.get(pk=migration.user.pk)
    run.save()
    for outcome in migration.done:
        outcome.result.run = run


def _supersede(earlier_runs: Sequence[int], uids: Sequence[str]) -> None:
    """Withdraw earlier updates of these meetings that nobody is sending: the newer one replaces them."""
    earlier = Update.objects.filter(
        result__run__in=earlier_runs, result__uid__in=uids, state=Update.State.QUEUED, lease_token=None
    )
    pks = list(earlier.values_list("pk", flat=True))
    Update.objects.filter(pk__in=pks, state=Update.State.QUEUED, lease_token=None).update(state=Update.State.SUPERSEDED)
    UpdateText.objects.filter(pk__in=pks, update__state=Update.State.SUPERSEDED).delete()
