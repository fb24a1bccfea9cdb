"""From a row of the outbox to its messages; those about a meeting are composed from the mailbox as it is now."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import cast

from django.db.models import Max
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.facts import read_facts
from migrations_app.calendars.people import Person
from migrations_app.failures import Failure
from migrations_app.mail import imip, notices, organizer_notes, outbox
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.servers import Service, service_of
from migrations_app.mailboxes.base import Listed, Stored
from migrations_app.mailboxes.of_user import mailbox_of
from migrations_app.models import MeetingResult, Notice, Outgoing, Update, UpdateText
from migrations_app.rewriting.inherited import lines_of_block
from tenants_app.models import ConferencingUser, MailServerConnection
from tenants_app.sentences import sentence

log = logging.getLogger(__name__)


def messages_of(batch: Sequence[Outgoing]) -> Iterator[tuple[Outgoing, list[ComposedMessage]]]:
    """Each row of one claim with its messages. One that is not to be sent any more is closed instead."""
    yield from _of_notices([row for row in batch if isinstance(row, Notice)])
    yield from _of_updates([row for row in batch if isinstance(row, Update)])


def _of_notices(batch: Sequence[Notice]) -> Iterator[tuple[Notice, list[ComposedMessage]]]:
    writers: dict[int, notices.Writer] = {}
    for notice in batch:
        if notice.tenant_id not in writers:
            writers[notice.tenant_id] = notices.Writer(notice.user.tenant)
        try:
            if outdated := notices.why_outdated(notice):
                raise outdated
            message = writers[notice.tenant_id].compose(notice)
        except Failure as failure:
            outbox.close(notice, failure, Outgoing.State.SUPERSEDED)
            continue
        except Exception:
            reference = f"{notice.round.reference} for {notice.user.upn}"
            log.exception("notice %s cannot be composed", reference)
            outbox.begin([notice])
            outbox.postpone(
                [notice], Failure("internal-error", sentence("reference %(reference)s", reference=str(reference)))
            )
            continue
        yield notice, [message]


def _of_updates(batch: Sequence[Update]) -> Iterator[tuple[Update, list[ComposedMessage]]]:
    """Each update with its messages, one for all who may see the same; one whose meeting is gone, or names nobody any
    more, is closed instead."""
    services: dict[int, Service] = {}
    texts = {text.pk: text for text in UpdateText.objects.filter(pk__in=[update.pk for update in batch])}
    for (user, has_texts), group in groupby(batch, key=lambda update: (update.result.run.user, update.pk in texts)):
        updates = list(group)
        uids = [update.result.uid for update in updates]
        stored = _kept(updates, texts) if has_texts else _read(user, updates)
        if stored is None:
            continue
        latest = _latest_results(user, uids)
        if user.tenant_id not in services:
            services[user.tenant_id] = service_of(user.tenant, MailServerConnection.of(user.tenant))
        service = services[user.tenant_id]
        for update in updates:
            found = stored.get(update.result.uid)
            try:
                if update.pk < latest.get(update.result.uid, 0):
                    raise Failure("meeting-changed-since")
                language = texts[update.pk].language if has_texts else user.language
                messages = _messages(update, user, found, service, language)
            except Failure as failure:
                outbox.close(update, failure, Update.State.SUPERSEDED)
                continue
            except Exception:
                reference = update.result.run.correlation_id
                log.exception("update %s of run %s cannot be composed", update.pk, reference)
                outbox.begin([update])  # a try, so that they come to an end
                outbox.postpone(
                    [update], Failure("internal-error", sentence("reference %(reference)s", reference=str(reference)))
                )
                continue
            yield update, messages


def _read(user: ConferencingUser, updates: Sequence[Update]) -> Mapping[str, Stored] | None:
    """The meetings as they are in the user's mailbox; None where it cannot be read now, and the updates wait."""
    mailbox = mailbox_of(user)
    if until := mailbox.left_alone_until:
        outbox.put_off(updates, until)
        return None
    try:
        return mailbox.read([update.result.uid for update in updates])
    except Failure as failure:
        again_at = mailbox.note_failure(failure)
        if again_at:
            outbox.put_off(updates, again_at, failure)
        else:
            outbox.begin(updates)  # a try, so that they come to an end
            outbox.postpone(updates, failure)
    except Exception:
        reference = updates[0].result.run.correlation_id
        log.exception("the mailbox of %s, in which updates of run %s are, cannot be read", user.upn, reference)
        outbox.begin(updates)
        outbox.postpone(
            updates, Failure("internal-error", sentence("reference %(reference)s", reference=str(reference)))
        )
    return None


def _kept(updates: Sequence[Update], texts: Mapping[int, UpdateText]) -> Mapping[str, Stored]:
    """The meetings as they were kept for their messages, because they are in no mailbox that MMS can read (R38)."""
    bodies = {update.result.uid: bytes(texts[update.pk].body) for update in updates}
    return {uid: Stored(Listed.of(read_facts(body)), body, "") for uid, body in bodies.items()}


def why_outdated(row: Outgoing) -> Failure | None:
    """Why a message is not to be sent any more that was composed a while ago, right before it is handed over: a run has
    changed the meeting again, so that a newer one is queued, or what a notice announces was called off."""
    if isinstance(row, Notice):
        return notices.why_outdated(row)
    result = cast(Update, row).result
    is_outdated = result.pk < _latest_results(result.run.user, [result.uid]).get(result.uid, 0)
    return Failure("meeting-changed-since") if is_outdated else None


def _latest_results(user: ConferencingUser, uids: Sequence[str]) -> dict[str, int]:
    """The latest result of each meeting that a run has changed. SEQUENCE does not tell it: it may have stayed."""
    changed = MeetingResult.objects.filter(run__user=user, uid__in=uids, sequence__isnull=False)
    return dict(changed.order_by().values_list("uid").annotate(Max("pk")))


def _messages(
    update: Update, user: ConferencingUser, found: Stored | None, service: Service, language: str
) -> list[ComposedMessage]:
    """The update's messages; a ``Failure`` where none is to be sent any more."""
    if found is None:
        raise Failure("meeting-gone")
    if update.asks_organizer:
        if not organizer_notes.is_wanted(update):
            raise Failure("request-withdrawn")
        return [organizer_notes.compose(update, user, found, service)]
    contents = contents_of(update.result, user, found, service, update.queued_at, language)
    return [ComposedMessage.of(content) for content in contents]


def contents_of(
    result: MeetingResult, user: ConferencingUser, found: Stored, service: Service, date: datetime, language: str
) -> list[imip.Content]:
    """What the messages about a changed meeting are made of; a ``Failure`` where none is to be sent any more."""
    run, tenant = result.run, user.tenant
    now, body = timezone.now(), found.body
    invitation = itip.read(body, user.addresses, now=now, inherited=lambda: lines_of_block(body, now))
    if not invitation.recipients:
        raise Failure("nobody-to-tell")
    if found.listed.cancelled or invitation.sequence != result.sequence:
        # Another revision than the one that this update is about; whoever made it tells the attendees.
        raise Failure("meeting-changed-since")
    organizer = invitation.organizer or Person(user.display_name, user.upn)
    return [
        imip.Content(
            organizer=organizer,
            sender=service.address,
            is_from_service=service.is_author,
            recipients=request.recipients,
            message_id=imip.message_id(
                run.correlation_id, result.uid, result.sequence or 0, tenant.domain, request.key
            ),
            date=date.astimezone(UTC),
            # Guests of an occurrence do not learn what the series is called.
            subject=result.subject if request.has_series else request.subject or organizer.name,
            description=request.description,
            html=request.html,
            calendar=request.body,
            language=language,
            appointments=request.appointments,
        )
        for request in invitation.requests
    ]
