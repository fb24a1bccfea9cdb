"""How a notice reads, for the pages on which one decides about it (R37)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from migrations_app.mail.notice_texts import Text, filled, texts_of
from migrations_app.mail.servers import service_of
from migrations_app.models import NoticeKind
from migrations_app.monitoring import clock
from migrations_app.rewriting.labels import language_of
from tenants_app.models import ConferencingUser, MailServerConnection, Tenant

MEETINGS = 3
NAME = "Anna Rossi"
"""Of an organizer who is made up, where the tenant has none of that language."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A message as somebody would read it."""

    tenant: Tenant
    sender: str
    to: str
    """The reader's address; empty for one who is made up."""
    language: str
    text: Text


def sample(
    tenant: Tenant,
    reader: ConferencingUser | None,
    language: str,
    text: Text,
    begins_at: datetime | None = None,
    meetings: int = MEETINGS,
) -> Sample:
    """The text as that organizer would read it, of runs on Saturday evening where no time is given."""
    name = reader.display_name or reader.upn if reader else NAME
    reads = filled(
        text,
        tenant=tenant,
        language=language,
        name=name,
        begins_at=begins_at or _saturday(tenant),
        meetings=meetings,
    )
    sender = service_of(tenant, MailServerConnection.of(tenant)).address
    return Sample(tenant, sender, reader.upn if reader else "", language, reads)


def sample_of_language(tenant: Tenant, language: str, text: Text) -> Sample:
    """The text as the first organizer of that language would read it."""
    reader = ConferencingUser.objects.filter(tenant=tenant, language__istartswith=language).order_by("upn").first()
    return sample(tenant, reader, language, text)


def sample_of(tenant: Tenant, users: QuerySet[ConferencingUser], begins_at: datetime | None = None) -> Sample:
    """The notice in advance as the first of these users would read it, in their language."""
    reader = users.order_by("upn").first()
    language = language_of(reader.language if reader else "en")
    return sample(tenant, reader, language, texts_of(tenant)[NoticeKind.ADVANCE, language], begins_at)


def _saturday(tenant: Tenant) -> datetime:
    now = clock.now().astimezone(tenant.zone)
    day = now + timedelta(days=(5 - now.weekday()) % 7 or 7)
    return day.replace(hour=22, minute=0)
