"""Previews that are made in the background, kept for a day. Nothing follows from them; a start looks anew."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from migrations_app.failures import describe
from migrations_app.models.runs import MeetingResult
from tenants_app.models import ConferencingUser, Tenant
from tenants_app.sentence_fields import SentenceField, SentencesField


class Preview(models.Model):
    """What something would do to users and their meetings: ``kind`` and ``terms`` say what (``preview/plans.py``)."""

    class State(models.TextChoices):
        LOOKING = "Looking", _("Looking")
        READY = "Ready", _("Ready")
        REFUSED = "Refused", _("Refused")

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="previews")
    kind = models.CharField(max_length=20)
    terms = models.JSONField(default=dict)
    title = SentenceField(max_length=300)
    state = models.CharField(max_length=7, choices=State.choices, default=State.LOOKING)
    problem = SentenceField(blank=True, help_text="Why it cannot be made.")
    requested_by = models.CharField(max_length=200)
    created = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    cursor = models.BigIntegerField(default=0, help_text="The last user, by key, who was looked at.")
    total_users = models.PositiveIntegerField(default=0)
    done_users = models.PositiveIntegerField(default=0)
    totals = SentencesField(default=dict, help_text="What was counted so far.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Since it last came further.")

    class Meta:
        ordering = ["-created", "-pk"]
        indexes = [models.Index(fields=["tenant", "-created"], name="previews_by_time")]

    def __str__(self) -> str:
        return self.title

    @property
    def is_open(self) -> bool:
        """Whether it is still being made."""
        return self.state == self.State.LOOKING


class PreviewedUser(models.Model):
    """One user of a preview: whether a run starts, and what the answer was taken from."""

    preview = models.ForeignKey(Preview, models.CASCADE, related_name="users")
    user = models.ForeignKey(ConferencingUser, models.CASCADE, related_name="+")
    starts_run = models.BooleanField()
    sentence = SentenceField()
    failure_code = models.CharField(max_length=40, blank=True, help_text="Why the run would fail as a whole.")
    failure_detail = SentenceField(blank=True)
    seen = models.CharField(max_length=32, help_text="A digest of settings and mailbox as they were looked at.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["preview", "user"], name="one_row_per_previewed_user")]

    def __str__(self) -> str:
        return self.sentence


class PreviewedMeeting(models.Model):
    """What would become of one meeting; not saved where a small preview is shown at once."""

    preview = models.ForeignKey(Preview, models.CASCADE, related_name="meetings")
    upn = models.CharField(max_length=254)
    uid = models.CharField(max_length=500)
    subject = models.CharField(max_length=255, blank=True)
    starts_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=MeetingResult.Outcome.choices)
    code = models.CharField(max_length=40, blank=True)
    detail = SentenceField(blank=True)
    meeting_service = models.CharField(max_length=20, blank=True)
    movement = SentenceField(max_length=100, blank=True, help_text="Whether it stays in its service (R40).")
    join_url_before = models.CharField(max_length=2000, blank=True)
    join_url_after = models.CharField(max_length=2000, blank=True)
    loses_dial_in = models.BooleanField(default=False)
    recipients = models.JSONField(default=list, help_text="Addresses that would be mailed.")
    facts = SentencesField(default=list, help_text="What leads into the meeting: a name, and it before and after.")
    spans = models.BinaryField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["preview", "outcome"], name="previewed_by_outcome"),
            models.Index(fields=["preview", "code"], name="previewed_by_code"),
            models.Index(fields=["preview", "upn"], name="previewed_by_user"),
        ]

    def __str__(self) -> str:
        return self.subject or self.uid

    @property
    def reason(self) -> str:
        """The sentence that explains why it is left or would fail."""
        return describe(self.code, self.detail) if self.code else ""
