"""Telling organizers in advance that their meetings will be changed, or that they will not be after all (R37).

A notice is a row of the outbox like an update, and goes the same way. It is written when it is sent, in the service's
name. Its Message-ID follows from the round and the user, so that whatever is repeated is the same message.
"""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone

from migrations_app.calendars import itip
from migrations_app.calendars.people import Person
from migrations_app.failures import Failure
from migrations_app.mail.composed import ComposedMessage
from migrations_app.mail.imip import message_id
from migrations_app.mail.letters import Letter
from migrations_app.mail.notice_texts import EDITABLE, default_text, filled, texts_of
from migrations_app.mail.servers import service_of
from migrations_app.mail.when_and_where import date_in_words, time_in_words
from migrations_app.models import FoundMeeting, Notice, NoticeKind, NoticeRound
from migrations_app.monitoring import clock
from migrations_app.rewriting.labels import LABELS, language_of
from tenants_app.models import MailServerConnection, Tenant


class Writer:
    """Writes a tenant's notices; it asks for texts and sender once."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._sender = service_of(tenant, MailServerConnection.of(tenant)).address
        self._texts = texts_of(tenant)

    def compose(self, notice: Notice) -> ComposedMessage:
        """The message to the notice's user."""
        tenant, user = self._tenant, notice.user
        language = language_of(notice.language)
        is_stranded = notice.kind == NoticeKind.STRANDED
        text = filled(
            self._texts[notice.kind, language] if notice.kind in EDITABLE else default_text(notice.kind, language),
            tenant=tenant,
            language=language,
            name=user.display_name or user.upn,
            begins_at=self._begins_at(notice),
            meetings=notice.meetings,
        )
        letter = Letter(
            sender=Person(tenant.name, self._sender),
            to=Person(user.display_name, itip.ascii_address(user.upn)),
            subject=text.subject,
            text=_with_meetings(text.body, notice, language) if is_stranded else text.body,
            language=language,
            message_id=message_id(notice.round.reference, str(user.pk), 0, tenant.domain, f"notice {notice.kind}"),
            date=notice.queued_at,
        )
        return letter.compose()

    def _begins_at(self, notice: Notice) -> datetime:
        """When the runs begin that a notice announces, noted in it: as it is planned now, or at once where mail
        was late and they wait for it. One that calls them off names the time that was told."""
        round_, told = notice.round, notice.begins_at
        if told and notice.kind != NoticeKind.ADVANCE:
            return told
        begins = max(round_.begins, clock.now()) if round_.plan else round_.begins
        if begins != told:
            Notice.objects.filter(pk=notice.pk).update(begins_at=begins)
        return begins


def why_outdated(notice: Notice) -> Failure | None:
    """Why a notice is not to be sent any more: what it announces was called off, or begins without waiting for it."""
    if notice.kind in {NoticeKind.CANCELLED, NoticeKind.CHANGED}:
        return None
    if notice.kind == NoticeKind.STRANDED:
        return None if _stranded(notice).exists() else Failure("notice-withdrawn")
    round_ = NoticeRound.objects.select_related("plan").get(pk=notice.round_id)
    waits = round_.plan.waits_for_notices if round_.plan else round_.begins_at > clock.now()
    return None if waits and not round_.is_cancelled else Failure("notice-withdrawn")


MOST_LISTED = 200
"""Meetings that a letter about stranded ones names; of more it says how many there are."""


def _stranded(notice: Notice) -> QuerySet[FoundMeeting]:
    """The meetings to come that the notice is about (R85)."""
    return FoundMeeting.objects.filter(notice=notice, last_end__gt=timezone.now()).order_by("starts_at", "pk")


def _with_meetings(body: str, notice: Notice, language: str) -> str:
    """The text, and below it the meetings that the organizer has to schedule anew."""
    labels, zone = LABELS[language], notice.user.tenant.zone
    rows = list(_stranded(notice)[: MOST_LISTED + 1])
    lines = []
    for row in rows[:MOST_LISTED]:
        subject = " ".join(row.subject.split()) or labels["note_no_subject"]
        if row.starts_at:
            local = row.starts_at.astimezone(zone)
            subject += f" ({date_in_words(local, labels)}, {time_in_words(local, labels)})"
        lines.append(f"- {subject}")
    if len(rows) > MOST_LISTED:
        lines.append(labels["stranded_more"].format(number=_stranded(notice).count() - MOST_LISTED))
    return "\n".join([body, "", *lines])
