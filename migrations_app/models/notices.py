"""Notices: organizers are told in advance when their meetings will be changed, and told if they will not be (R37)."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import happened
from migrations_app.models.plans import Plan
from migrations_app.models.updates import Outgoing
from tenants_app.models import ConferencingUser, Tenant


class NoticeKind(models.TextChoices):
    """What a notice says."""

    ADVANCE = "Advance", _("The meetings will be changed")
    CANCELLED = "Cancelled", _("They will not be changed after all")
    CHANGED = "Changed", _("The meetings were changed (R82)")
    STRANDED = "Stranded", _("They must be scheduled anew after a wave was taken back (R85)")


class NoticeText(models.Model):
    """What a tenant's notices say in one language, where it is not what MMS says by itself."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="notice_texts")
    kind = models.CharField(max_length=9, choices=NoticeKind.choices)
    language = models.CharField(max_length=3, help_text="One of those of invitations.")
    subject = models.CharField(max_length=200)
    body = models.TextField(max_length=5000)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "kind", "language"], name="one_notice_text_per_language")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.language}"


class NoticeRound(models.Model):
    """The notices about one set of runs. Whom it is about is settled when it is asked for: each has a notice."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="notice_rounds")
    plan = models.OneToOneField(
        Plan, models.CASCADE, null=True, related_name="notice_round", help_text="Of which runs; none: told alone."
    )
    reference = models.UUIDField(
        default=uuid.uuid4, unique=True, editable=False, help_text="From which Message-IDs follow."
    )
    preview_kind = models.CharField(max_length=10, help_text="What is planned, as previews call it.")
    terms = models.JSONField(default=dict, help_text="Of that, without the users.")
    begins_at = models.DateTimeField(help_text="When the runs begin, where no plan says so.")
    is_open = models.BooleanField(default=True, help_text="Something may still have to be done about it.")
    is_cancelled = models.BooleanField(default=False, help_text="The runs were called off.")
    requested_by = models.CharField(max_length=200)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [
            models.Index(fields=["tenant", "-created"], name="notice_rounds_by_time"),
            models.Index(fields=["is_open"], condition=Q(is_open=True), name="open_notice_rounds"),
        ]

    def __str__(self) -> str:
        return f"notices {self.pk}"

    @property
    def begins(self) -> datetime:
        """When the runs begin, as it is planned now."""
        return self.plan.opens_at if self.plan else self.begins_at


class Notice(Outgoing):
    """One message to one organizer. It is counted first how many meetings it is about; who has none is not told.

    One of each kind per round and user: whatever is repeated, nobody is told twice.
    """

    COUNTING = "Counting"
    """The state of one whose meetings are still to be counted."""
    UNRESOLVED = (COUNTING, Outgoing.State.QUEUED)
    """States of those for which runs wait."""

    round = models.ForeignKey(NoticeRound, models.CASCADE, related_name="notices")
    tenant = models.ForeignKey(Tenant, models.CASCADE, db_index=False, related_name="+")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="notices")
    kind = models.CharField(max_length=9, choices=NoticeKind.choices, default=NoticeKind.ADVANCE)
    state = models.CharField(
        max_length=10, choices=[(COUNTING, "Counting meetings"), *Outgoing.State.choices], default=COUNTING
    )
    meetings = models.PositiveIntegerField(default=0, help_text="How many it says will be changed.")
    begins_at = models.DateTimeField(null=True, help_text="When the runs begin, as it says.")
    language = models.CharField(max_length=3, blank=True, help_text="In which it was written.")
    counting_attempts = models.PositiveSmallIntegerField(default=0, help_text="Begun counts that never ended.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["round", "user", "kind"], name="one_notice_per_round_and_user")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(state="Queued"), name="queued_notices_by_due_time"),
            models.Index(fields=["tenant", "due_at"], condition=Q(state="Queued"), name="queued_notices_by_tenant"),
            models.Index(fields=["round"], condition=Q(state="Counting"), name="notices_being_counted"),
            models.Index(fields=["user", "-sent_at"], name="notices_by_user"),
        ]

    def __str__(self) -> str:
        return f"notice {self.pk}"

    @property
    def why(self) -> str:
        """Why it was not sent, or not yet; empty where nothing is in the way."""
        return happened(self.error_code, self.error_detail) if self.error_code else ""
